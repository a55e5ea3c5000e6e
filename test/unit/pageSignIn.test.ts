import assert from "node:assert/strict";
import type { AccountEntry, SignInEnd } from "../../src/accounts";
import { PageSignIn } from "../../src/webview/pageSignIn";

/** A host that writes down what it was asked for. */
class Host {
  readonly done: string[] = [];
  end: SignInEnd = { kind: "signedIn", user: "ada@gmail.com" };
  agrees = true;
  private finish: (() => void) | undefined;

  readonly page = new PageSignIn({
    accounts: { list: () => Promise.resolve([{ id: "work", level: "user" } as AccountEntry]) },
    dialogs: {
      confirm: (message) => {
        this.done.push(message);
        return Promise.resolve(this.agrees);
      },
    },
    signIns: {
      signIn: async (_scope, id) => {
        this.done.push(`sign in ${id}`);
        await new Promise<void>((resolve) => (this.finish = resolve));
        return this.end;
      },
      signOut: (_scope, id) => Promise.resolve(void this.done.push(`sign out ${id}`)),
      cancel: () => this.done.push("cancel"),
      hasClient: (provider) => Promise.resolve(provider === "google"),
      takeClient: (provider, text) => {
        this.done.push(`${provider}: ${text}`);
        return Promise.resolve({ kind: "stored" });
      },
    },
  });

  /** Ends the sign-in that is under way, once it is. */
  async ends(): Promise<void> {
    while (this.finish === undefined) await Promise.resolve();
    this.finish();
    this.finish = undefined;
  }
}

describe("signing in from the accounts panel, the host's half (R1, R15)", () => {
  let host: Host;
  beforeEach(() => (host = new Host()));

  it("signs in to the account that the page shows, and tells the page no more than how it ended", async () => {
    const reply = host.page.signIn("work", "user");
    await host.ends();
    assert.deepEqual(await reply, { kind: "signedIn" });
    host.end = { kind: "failed", text: "Nobody\u001b[31m came back." };
    const again = host.page.signIn("work", "user");
    await host.ends();
    assert.deepEqual(await again, { kind: "failed", text: "Nobody came back." });
    host.end = { kind: "failed", text: "Somebody else signed in.", detail: "signed in as “bob”" };
    const other = host.page.signIn("work", "user");
    await host.ends();
    assert.deepEqual(await other, { kind: "failed", text: "Somebody else signed in. (signed in as “bob”)" });
  });

  it("signs nobody in or out where another level has taken the account's name since", async () => {
    const reply = await host.page.signIn("work", "workspace");
    assert.match(reply.kind === "failed" ? reply.text : "", /changed in the meantime/);
    assert.equal(await host.page.signOut("work", "workspace"), false);
    assert.deepEqual(host.done, []);
  });

  it("asks before it signs out", async () => {
    host.agrees = false;
    assert.equal(await host.page.signOut("work", "user"), false);
    host.agrees = true;
    assert.equal(await host.page.signOut("work", "user"), true);
    assert.deepEqual(host.done, ["Sign out of work?", "Sign out of work?", "sign out work"]);
  });

  it("cancels what the page waits for, and no sign-in of anybody else", async () => {
    host.page.cancel();
    const reply = host.page.signIn("work", "user");
    await Promise.resolve();
    await Promise.resolve();
    host.page.cancel();
    await host.ends();
    await reply;
    host.page.cancel();
    assert.deepEqual(host.done, ["sign in work", "cancel"]);
  });

  it("hands a client on, and says only whether there is one", async () => {
    assert.deepEqual(await host.page.takeClient("microsoft", "an id"), { kind: "stored" });
    assert.deepEqual(host.done, ["microsoft: an id"]);
    assert.deepEqual(await host.page.clients(), { google: true, microsoft: false });
  });
});

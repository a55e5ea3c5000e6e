import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Accounts, type Draft, type Resolution, type SignInEnd } from "../../src/accounts";
import type { AccountSettings, Level, SettingsScope } from "../../src/config";
import type { MicrosoftToken, SignInState } from "../../src/heldSignIns";
import type { AccessTokens, Clock, Grant, Granted } from "../../src/mail/index";
import { FakeClock } from "../fakes/fakeClock";

type Settings = Record<string, unknown>;

const work: Settings = { host: "smtp.example.com", user: "ada@example.com" };

const gmail: Settings = { provider: "gmail", transport: "gmailApi", user: "ada@gmail.com" };

/** A grant that says which one it is. */
const grantOf = (name: string): Grant => ({
  provider: "google",
  clientId: "client",
  clientSecret: "the client's secret",
  refreshToken: `refresh token ${name}`,
  scopes: ["https://www.googleapis.com/auth/gmail.send"],
  user: "ada@gmail.com",
  grantedAt: "2026-11-24T10:00:00.000Z",
});

/** Everything in an account that decides where, how and as whom a secret is handed over, and how its change is named. */
const moves: Readonly<Record<string, { readonly more: Settings; readonly changed: string }>> = {
  "other host": { more: { host: "evil.example" }, changed: "server: evil.example, was smtp.example.com" },
  "other port": { more: { port: 2525 }, changed: "port: 2525, was 587" },
  "no encryption": { more: { security: "none" }, changed: "encryption: none, was starttls" },
  "implicit TLS": { more: { security: "tls" }, changed: "encryption: tls, was starttls" },
  "other server name": {
    more: { tls: { servername: "evil.example" } },
    changed: "server name: evil.example, was none",
  },
  "no verification": { more: { tls: { verify: false } }, changed: "certificate check: off, was on" },
  "other minimum TLS": {
    more: { tls: { minVersion: "TLSv1.3" } },
    changed: "minimum TLS version: TLSv1.3, was TLSv1.2",
  },
  "HTTP proxy": { more: { proxy: "http://evil.example:3128" }, changed: "proxy: http://evil.example:3128, was none" },
  "SOCKS proxy": { more: { proxy: "socks5://evil.example:1080" }, changed: "proxy: socks5://evil.example:1080" },
  "VS Code's proxy": { more: { proxy: "vscode" }, changed: "proxy: http://proxy.corp.example:8080, was none" },
  "user at the proxy": { more: { proxyUser: "eve" }, changed: "user at the proxy: eve, was none" },
  "other user": { more: { user: "eve@example.com" }, changed: "user: eve@example.com, was ada@example.com" },
};

/** A person, a settings file a level, Secret Storage and state, as VS Code would give them. */
class Desk {
  readonly levels: Partial<Record<Level, Settings>> = {};
  defaults: Partial<Record<Level, string>> = {};
  readonly secrets = new Map<string, string>();
  readonly state = new Map<string, unknown>();
  /** Every question asked, and how the person answers. */
  readonly questions: string[] = [];
  agrees = true;
  password: { secret: string; store: boolean } | undefined = { secret: "typed", store: true };
  trusted = true;
  whileAsked: () => void = () => {};
  folder = "file:///folder";
  httpProxy = "";
  canStore = true;
  /** Secret Storage takes its time over a store: what it waits for, by the key. */
  whileStored: (key: string) => Promise<unknown> | undefined = () => undefined;
  root: string | undefined;
  /** What comes of signing in. */
  signsIn: SignInEnd = { kind: "signedIn", user: "ada@gmail.com" };
  /** The provider's answer when an access token is wanted. */
  refresh: (grant: Grant) => Promise<Granted> = (grant) =>
    Promise.resolve({ ok: true, grant, token: `token of ${grant.refreshToken}`, expiresInMs: 3_600_000 });
  microsoftToken: MicrosoftToken = { kind: "signedOut" };
  clock: Clock | undefined;

  private readonly settings: AccountSettings<SettingsScope> = {
    read: () =>
      (["workspaceFolder", "workspace", "user"] as const).flatMap((level) => {
        const accounts = this.levels[level];
        return accounts === undefined ? [] : [{ level, accounts }];
      }),
    write: (_scope, level, accounts) => {
      this.levels[level] = { ...accounts };
      return Promise.resolve();
    },
    defaultAccount: () => this.defaults.workspace ?? this.defaults.user ?? "",
    writeDefaultAccount: (_scope, level, id) => {
      this.defaults[level] = id;
      return Promise.resolve();
    },
    place: (_scope, level) => ({ owner: level === "user" ? "" : this.folder, root: this.root }),
    levels: () => (this.trusted ? ["workspace", "user"] : ["user"]),
    httpProxy: () => this.httpProxy,
  };

  readonly accounts = new Accounts({
    settings: this.settings,
    secrets: {
      get: (key) => Promise.resolve(this.secrets.get(key)),
      store: async (key, value) => {
        await this.whileStored(key);
        if (!this.canStore) throw new Error("no keyring");
        this.secrets.set(key, value);
      },
      delete: (key) => Promise.resolve(void this.secrets.delete(key)),
      keys: () => Promise.resolve([...this.secrets.keys()]),
    },
    memento: {
      get: <T>(key: string): T | undefined => this.state.get(key) as T | undefined,
      update: (key: string, value: unknown) => Promise.resolve(void this.state.set(key, value)),
    },
    dialogs: {
      confirm: (message, detail) => {
        this.questions.push(`${message} ${detail}`);
        this.whileAsked();
        return Promise.resolve(this.agrees);
      },
      askSecret: (title, prompt) => {
        this.questions.push(`${title} ${prompt}`);
        this.whileAsked();
        return Promise.resolve(this.password);
      },
    },
    tokens: {
      refresh: (_way, grant) => this.refresh(grant),
      microsoftToken: () => Promise.resolve(this.microsoftToken),
      clock: {
        now: () => this.clock?.now() ?? Date.now(),
        monotonic: () => this.clock?.monotonic() ?? performance.now(),
        boot: () => this.clock?.boot() ?? { id: "boot", ms: performance.now() },
        sleep: () => Promise.resolve(),
      },
    },
    takeBack: () => Promise.resolve(),
    signIn: async (_scope, way) => {
      if (this.signsIn.kind === "signedIn")
        await this.accounts.signIns.store(way, { kind: "grant", grant: grantOf("1") });
      return this.signsIn;
    },
    isTrusted: () => this.trusted,
  });

  resolve(id = "work"): Promise<Resolution> {
    return this.accounts.resolve(undefined, id);
  }

  /** The password that `resolve` hands out, or what came instead. */
  async handedOut(id = "work"): Promise<string | undefined> {
    const resolution = await this.resolve(id);
    return resolution.kind === "account" ? resolution.credentials.password : resolution.kind;
  }

  /** Everything that `resolve` hands out, or what came instead. */
  async credentials(id = "work"): Promise<unknown> {
    const resolution = await this.resolve(id);
    return resolution.kind === "account" ? resolution.credentials : resolution.kind;
  }

  save(draft: Partial<Draft> & { readonly level: Level }): ReturnType<Accounts["save"]> {
    return this.accounts.save(undefined, { id: "work", settings: work, ...draft });
  }

  /** What is in Secret Storage besides the records of endpoints. */
  stored(): string[] {
    return [...this.secrets].filter(([key]) => !key.startsWith("endpoint/")).map(([, value]) => value);
  }
}

describe("accounts", () => {
  let desk: Desk;
  beforeEach(() => (desk = new Desk()));

  it("R15 saves the account in its level and the password in Secret Storage only", async () => {
    assert.deepEqual(await desk.save({ level: "workspace", password: "hunter2" }), { kind: "saved" });
    assert.deepEqual(desk.levels, { workspace: { work } });
    assert.deepEqual(desk.stored(), ["hunter2"]);
    assert.ok(!JSON.stringify([desk.levels, [...desk.state], [...desk.secrets.keys()]]).includes("hunter2"));
    assert.equal(await desk.handedOut(), "hunter2");
    assert.deepEqual(desk.questions, [], "who typed it all is not asked again");
  });

  it("R16 asks for a missing password, and again next time unless it may be stored", async () => {
    desk.levels.user = { work };
    desk.password = { secret: "once", store: false };
    assert.equal(await desk.handedOut(), "once");
    assert.deepEqual(desk.stored(), []);
    desk.password = { secret: "kept", store: true };
    assert.equal(await desk.handedOut(), "kept");
    desk.password = undefined;
    assert.equal(await desk.handedOut(), "kept");
    assert.equal(desk.questions.length, 2);
    assert.match(desk.questions[0] ?? "", /ada@example\.com at smtp\.example\.com, port 587/);
  });

  it("asks nothing for an account that does not sign in", async () => {
    desk.levels.user = { work: { ...work, auth: "none", from: "ada@example.com" } };
    assert.equal(await desk.handedOut(), undefined);
    assert.deepEqual(desk.questions, []);
  });

  it("resolves nothing without trust, not even the user's own account or the sandbox", async () => {
    await desk.save({ level: "user", password: "hunter2" });
    desk.trusted = false;
    assert.equal((await desk.resolve()).kind, "refused");
    assert.equal((await desk.resolve("sandbox")).kind, "refused");
    const draft: Draft = { id: "work", level: "user", settings: work, password: "x" };
    assert.equal((await desk.accounts.resolveDraft(undefined, draft)).kind, "refused");
    desk.trusted = true;
    assert.equal((await desk.resolve("sandbox")).kind, "sandbox");
  });

  for (const level of ["workspaceFolder", "workspace", "user"] as const) {
    it(`resolves no ${level} account without trust, and asks nothing`, async () => {
      desk.levels[level] = { work };
      desk.trusted = false;
      assert.equal(await desk.handedOut(), "refused");
      assert.equal(await desk.handedOut("missing"), "refused");
      const settings = { ...work, host: "evil.example" };
      for (const previous of [undefined, { id: "work", level }]) {
        const draft: Draft = { id: "work", level, settings, password: "x", ...(previous && { previous }) };
        assert.equal((await desk.accounts.resolveDraft(undefined, draft)).kind, "refused");
      }
      assert.deepEqual(desk.questions, []);
    });
  }

  it("trust that ends while a question is open, or before the connection, ends the use of the account", async () => {
    desk.levels.user = { work };
    desk.whileAsked = () => (desk.trusted = false);
    assert.equal(await desk.handedOut(), "refused");
    desk.trusted = true;
    const resolved = await desk.resolve();
    assert.ok(resolved.kind === "account");
    desk.trusted = false;
    assert.equal(await desk.accounts.stillHolds(undefined, resolved), false);
  });

  it("writes no workspace settings without trust, because those that stand there cannot be seen", async () => {
    desk.trusted = false;
    assert.equal((await desk.save({ level: "workspace", password: "hunter2" })).kind, "failed");
    assert.deepEqual([desk.levels, desk.secrets.size], [{}, 0]);
    assert.equal((await desk.save({ level: "user" })).kind, "saved");
  });

  it("refuses an account that does not exist or is broken, with the reason", async () => {
    desk.levels.user = { work: { ...work, port: "587" } };
    const broken = await desk.resolve();
    assert.ok(broken.kind === "refused");
    assert.match(broken.detail, /port: This must be a whole number/);
    const missing = await desk.resolve("[x](command:evil)\u001b[31m");
    assert.ok(missing.kind === "refused");
    assert.ok(!missing.text.includes("evil") && !missing.detail.includes("\u001b"));
  });

  describe("a workspace that wants the user's password", () => {
    beforeEach(async () => {
      await desk.save({ level: "user", password: "hunter2" });
      desk.password = undefined;
    });

    for (const [name, { more, changed }] of Object.entries(moves)) {
      it(`gets none: whole account, ${name}`, async () => {
        desk.levels.workspace = { work: { ...work, ...more } };
        desk.httpProxy = "http://proxy.corp.example:8080";
        assert.equal(await desk.handedOut(), "cancelled");
        assert.match(desk.questions[0] ?? "", /This workspace defines the account work/);
        // Even an agreement to the account does not bring the old password along: it is asked for, with what changed.
        const last = desk.questions.at(-1) ?? "";
        assert.match(last, /The stored password was entered for another one \(/);
        assert.ok(last.includes(changed), last);
      });

      it(`gets none: a fragment that VS Code would merge, ${name}`, async () => {
        desk.levels.workspace = { work: more };
        assert.equal((await desk.resolve()).kind, "refused");
        assert.deepEqual(desk.questions, []);
      });
    }

    it("gets no mail through an account that does not sign in any more before a person agreed", async () => {
      desk.agrees = false;
      desk.levels.workspace = { work: { ...work, host: "evil.example", auth: "none" } };
      assert.equal(await desk.handedOut(), "cancelled");
      assert.match(desk.questions[0] ?? "", /Server: evil\.example:587, STARTTLS[^]*User: no sign-in/);
      desk.agrees = true;
      assert.deepEqual(await desk.credentials(), {}, "and no password after that");
    });

    it("gets none by another CA file, nor by another content of the same", async () => {
      desk.root = await mkdtemp(join(tmpdir(), "bulk-mail-accounts-"));
      try {
        await writeFile(join(desk.root, "evil.pem"), "evil");
        desk.levels.workspace = { work: { ...work, tls: { caFile: "evil.pem" } } };
        assert.equal(await desk.handedOut(), "cancelled");
        assert.match(desk.questions[0] ?? "", /CA file: evil\.pem/);
        assert.match(desk.questions.at(-1) ?? "", /CA file: another content/);
      } finally {
        await rm(desk.root, { recursive: true });
      }
    });

    for (const fragment of [
      { limits: { delay: 0, connections: 50 } },
      { from: "eve@example.net" },
      { replyTo: "eve@example.net" },
    ]) {
      const [key = ""] = Object.keys(fragment);
      it(`changes nothing by a fragment with ${key} alone, and by the whole account only after a question`, async () => {
        desk.levels.workspace = { work: fragment };
        assert.equal((await desk.resolve()).kind, "refused");
        desk.levels.workspace = { work: { ...work, ...fragment } };
        desk.agrees = false;
        assert.equal(await desk.handedOut(), "cancelled");
        assert.match(desk.questions[0] ?? "", /This workspace defines the account work/);
      });
    }

    it("gets none: a fragment that VS Code would merge into the user's account", async () => {
      desk.levels.workspace = { work: { host: "evil.example" } };
      const resolution = await desk.resolve();
      assert.ok(resolution.kind === "refused");
      assert.match(resolution.detail, /user name is missing/);
      const [entry] = await desk.accounts.list(undefined);
      assert.deepEqual([entry?.level, entry?.account, entry?.overrides], ["workspace", undefined, ["user"]]);
    });

    it("gets no connection with the same endpoint before a person agreed, and the sender counts too", async () => {
      desk.levels.workspace = { work: { ...work, from: "boss@example.com" } };
      desk.agrees = false;
      assert.equal(await desk.handedOut(), "cancelled");
      assert.match(desk.questions[0] ?? "", /From: boss@example\.com/);
      desk.agrees = true;
      assert.equal(await desk.handedOut(), "hunter2");
      assert.equal(await desk.handedOut(), "hunter2");
      assert.equal(desk.questions.length, 2, "an approval lasts");
      desk.levels.workspace = { work: { ...work, from: "boss@example.com", replyTo: "eve@example.org" } };
      desk.agrees = false;
      assert.equal(await desk.handedOut(), "cancelled", "any change asks again");
    });

    it("gets none by an approval that was given in another folder", async () => {
      desk.levels.workspace = { work: { ...work, from: "ada@example.com" } };
      assert.equal(await desk.handedOut(), "hunter2");
      desk.folder = "file:///elsewhere";
      desk.agrees = false;
      assert.equal(await desk.handedOut(), "cancelled");
    });

    it("gets none by changing the settings while a question is open", async () => {
      desk.levels.workspace = { work: { ...work, from: "ada@example.com" } };
      desk.whileAsked = () => (desk.levels.workspace = { work: { ...work, host: "evil.example" } });
      assert.equal((await desk.resolve()).kind, "refused");
    });

    it("is noticed by stillHolds right before the connection", async () => {
      const resolved = await desk.resolve();
      assert.ok(resolved.kind === "account");
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), true);
      desk.levels.workspace = { work: { ...work, host: "evil.example" } };
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), false);
      desk.levels.workspace = { work };
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), false, "another level is another account");
      delete desk.levels.workspace;
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), true);
      delete desk.levels.user;
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), false);
    });

    it("gets nothing through the panel: neither a test nor a save of its account is an approval", async () => {
      const settings = { ...work, host: "evil.example" };
      desk.levels.workspace = { work: settings };
      const previous = { id: "work", level: "workspace" } as const;
      desk.agrees = false;
      const draft: Draft = { id: "work", level: "workspace", settings, previous, password: "typed" };
      assert.equal((await desk.accounts.resolveDraft(undefined, draft)).kind, "cancelled");
      await desk.accounts.save(undefined, draft);
      assert.equal(await desk.handedOut(), "cancelled");
    });

    it("R23 finds the user's own account first when nothing names one", () => {
      desk.levels.workspace = { evil: { ...work, host: "evil.example" } };
      assert.equal(desk.accounts.defaultId(undefined), "work");
    });
  });

  it("a changed CA file is another endpoint and another account", async () => {
    const root = await mkdtemp(join(tmpdir(), "bulk-mail-accounts-"));
    try {
      desk.root = root;
      await writeFile(join(root, "ca.pem"), "mine");
      const settings = { ...work, tls: { caFile: "ca.pem" } };
      await desk.save({ level: "workspace", settings, password: "hunter2" });
      const resolved = await desk.resolve();
      assert.ok(resolved.kind === "account" && resolved.credentials.password === "hunter2");
      await writeFile(join(root, "ca.pem"), "theirs");
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), false);
      desk.password = undefined;
      assert.equal(await desk.handedOut(), "cancelled");
      assert.match(desk.questions[0] ?? "", /This workspace defines/);
      assert.match(desk.questions[1] ?? "", /CA file: another content/);
      await rm(join(root, "ca.pem"));
      const [entry] = await desk.accounts.list(undefined);
      assert.deepEqual(
        entry?.problems.map(({ field, code }) => [field, code]),
        [["tls.caFile", "account.ca.missing"]],
      );
    } finally {
      await rm(root, { recursive: true });
    }
  });

  describe("a secret is bound to its endpoint (R15)", () => {
    beforeEach(async () => {
      await desk.save({ level: "user", password: "hunter2" });
      desk.password = undefined;
    });

    for (const [name, { more, changed }] of Object.entries(moves)) {
      it(`${name}: the stored password is not found, whoever changed it`, async () => {
        desk.httpProxy = "http://proxy.corp.example:8080";
        desk.levels.user = { work: { ...work, ...more } };
        assert.equal(await desk.handedOut(), "cancelled");
        assert.ok(desk.questions.at(-1)?.includes(changed), desk.questions.at(-1));
        desk.levels.user = { work };
        assert.equal(await desk.handedOut(), "hunter2", "and is found again when it is changed back");
      });
    }
  });

  describe("a proxy (R20)", () => {
    const proxied = { ...work, proxy: "http://proxy.example:3128", proxyUser: "ada" };

    it("is asked for its own password, once, bound to the endpoint like the other", async () => {
      desk.levels.user = { work: proxied };
      assert.deepEqual(await desk.credentials(), { proxyPassword: "typed", password: "typed" });
      assert.match(
        desk.questions[0] ?? "",
        /^Password for the proxy of work For ada at the proxy http:\/\/proxy\.example:3128/,
      );
      assert.match(desk.questions[1] ?? "", /^Password for work /);
      assert.equal(desk.questions.length, 2);
      assert.deepEqual(await desk.credentials(), { proxyPassword: "typed", password: "typed" });
      assert.equal(desk.questions.length, 2, "both were stored");
      desk.password = undefined;
      desk.levels.user = { work: { ...proxied, proxy: "http://evil.example:3128" } };
      assert.equal(await desk.credentials(), "cancelled");
      assert.match(desk.questions[2] ?? "", /proxy: http:\/\/evil\.example:3128, was http:\/\/proxy\.example:3128/);
    });

    it("without a user has no password, and neither has a user without a proxy", async () => {
      desk.levels.user = { work: { ...proxied, proxyUser: "" } };
      assert.deepEqual(await desk.credentials(), { password: "typed" });
      desk.levels.user = { work: { ...proxied, proxy: "" } };
      assert.deepEqual(await desk.credentials(), { password: "typed" });
    });

    it("keeps a typed password, takes it along when renamed, and forgets it with the account or alone with all", async () => {
      await desk.save({ level: "user", settings: proxied, password: "mail", proxyPassword: "proxy" });
      assert.deepEqual(await desk.credentials(), { proxyPassword: "proxy", password: "mail" });
      const previous = { id: "work", level: "user" } as const;
      await desk.save({ id: "office", level: "user", settings: proxied, previous });
      assert.deepEqual(await desk.credentials("office"), { proxyPassword: "proxy", password: "mail" });
      assert.deepEqual(desk.stored().sort(), ["mail", "proxy"]);
      assert.deepEqual(desk.questions, []);
      assert.equal(await desk.accounts.forgetAll(), 2);
      await desk.save({ level: "user", settings: proxied, password: "mail", proxyPassword: "proxy" });
      await desk.accounts.forget("work");
      assert.equal(desk.secrets.size, 0);
    });

    it("of VS Code is put in its place before anything is asked, hashed or handed out", async () => {
      desk.httpProxy = "http://ada:s%40cret@Proxy.corp.example:8080/";
      desk.levels.workspace = { work: { ...work, proxy: "vscode" } };
      const resolved = await desk.resolve();
      assert.ok(resolved.kind === "account");
      assert.equal(resolved.account.proxy, "http://proxy.corp.example:8080");
      assert.equal(resolved.account.proxyUser, "ada");
      assert.deepEqual(resolved.credentials, { proxyPassword: "s@cret", password: "typed" });
      assert.match(desk.questions[0] ?? "", /Proxy: http:\/\/proxy\.corp\.example:8080\nUser at the proxy: ada/);
      const [entry] = await desk.accounts.list(undefined);
      assert.equal(entry?.account?.proxy, "http://proxy.corp.example:8080");
      const shown = JSON.stringify([desk.questions, [...desk.secrets], [...desk.state], resolved.account]);
      assert.doesNotMatch(shown, /s@cret|s%40cret/);
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), true);
      desk.httpProxy = "http://elsewhere.example:8080";
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), false);
      desk.agrees = false;
      assert.equal(await desk.handedOut(), "cancelled", "another proxy is another account");
    });

    it("of VS Code that is empty means none, and one that mail cannot go through is a problem of the field", async () => {
      desk.levels.user = { work: { ...work, proxy: "vscode", proxyUser: "ada" } };
      assert.deepEqual(await desk.credentials(), { password: "typed" });
      desk.httpProxy = "https://secret:word@proxy.example";
      const resolution = await desk.resolve();
      assert.ok(resolution.kind === "refused");
      assert.match(resolution.detail, /^proxy: VS Code's setting http\.proxy names a proxy that is reached by https/);
      assert.ok(!resolution.detail.includes("word"));
      const [entry] = await desk.accounts.list(undefined);
      assert.deepEqual(
        entry?.problems.map(({ field, severity }) => [field, severity]),
        [["proxy", "error"]],
      );
    });

    it("of VS Code does not give its password to a user that the account names itself", async () => {
      desk.httpProxy = "http://ada:secret@proxy.example:8080";
      desk.levels.user = { work: { ...work, proxy: "vscode", proxyUser: "eve" } };
      assert.deepEqual(await desk.credentials(), { proxyPassword: "typed", password: "typed" });
    });
  });

  describe("a VS Code that keeps no secrets, for want of a keyring", () => {
    it("is named in the question after the next start, and the password is asked for once", async () => {
      desk.levels.user = { work };
      assert.equal(await desk.handedOut(), "typed");
      desk.secrets.clear();
      assert.deepEqual((await desk.accounts.list(undefined))[0]?.secret, { kind: "lost" });
      assert.equal(await desk.handedOut(), "typed");
      assert.match(desk.questions[1] ?? "", /VS Code could not keep it, most likely because it found no keyring/);
      assert.equal(await desk.handedOut(), "typed");
      assert.equal(desk.questions.length, 2);
      assert.ok(!JSON.stringify([...desk.state]).includes("typed"));
    });

    it("does not end a send when it cannot store at all", async () => {
      desk.levels.user = { work };
      desk.canStore = false;
      assert.equal(await desk.handedOut(), "typed");
      assert.equal(await desk.handedOut(), "typed");
      assert.match(desk.questions[1] ?? "", /could not keep it/);
      const previous = { id: "work", level: "user" } as const;
      const saved = await desk.save({ level: "user", previous, password: "hunter2" });
      assert.ok(saved.kind === "failed");
      assert.match(saved.text, /could not store its password.*no keyring/);
    });

    it("is not blamed for what was forgotten on purpose, nor for another endpoint", async () => {
      desk.levels.user = { work };
      await desk.handedOut();
      await desk.accounts.forget("work");
      assert.deepEqual((await desk.accounts.list(undefined))[0]?.secret, { kind: "none" });
      await desk.handedOut();
      await desk.accounts.forgetAll();
      await desk.handedOut();
      assert.ok(!desk.questions.some((question) => question.includes("keyring")));
      desk.secrets.clear();
      desk.levels.user = { work: { ...work, port: 2525 } };
      await desk.handedOut();
      assert.ok(!desk.questions.at(-1)?.includes("keyring"));
    });
  });

  for (const [name, danger] of [
    ["without encryption", { security: "none" }],
    ["without checking the certificate", { tls: { verify: false } }],
  ] as const) {
    it(`R12 connects ${name} only after a person agreed, once an account`, async () => {
      const settings = { ...work, ...danger };
      desk.agrees = false;
      assert.deepEqual(await desk.save({ level: "user", settings, password: "x" }), { kind: "cancelled" });
      assert.deepEqual([desk.levels.user, desk.stored()], [undefined, []]);
      desk.levels.user = { work: settings };
      assert.equal(await desk.handedOut(), "cancelled");
      desk.agrees = true;
      desk.questions.length = 0;
      assert.equal(await desk.handedOut(), "typed");
      assert.equal(await desk.handedOut(), "typed");
      assert.equal(desk.questions.filter((question) => question.includes(name)).length, 1);
    });
  }

  it("uses a typed password for a test without storing it, and the stored one only for its own endpoint", async () => {
    await desk.save({ level: "user", password: "hunter2" });
    const previous = { id: "work", level: "user" } as const;
    const tested = async (draft: Partial<Draft>): Promise<unknown> => {
      const full: Draft = { id: "work", level: "user", settings: work, previous, ...draft };
      const resolution = await desk.accounts.resolveDraft(undefined, full);
      return resolution.kind === "account" ? resolution.credentials.password : resolution.kind;
    };
    assert.equal(await tested({ password: "new" }), "new");
    assert.equal(await tested({}), "hunter2");
    assert.equal(await tested({ id: "renamed" }), "hunter2");
    desk.password = undefined;
    assert.equal(await tested({ settings: { ...work, host: "smtp.example.org" } }), "cancelled");
    assert.deepEqual(desk.stored(), ["hunter2"]);
  });

  it("forgets the password of an endpoint that a saved one replaces", async () => {
    await desk.save({ level: "user", password: "old" });
    const previous = { id: "work", level: "user" } as const;
    await desk.save({ level: "user", settings: { ...work, port: 465, security: "tls" }, previous, password: "new" });
    assert.deepEqual(desk.stored(), ["new"]);
  });

  it("renames in place: order, password and default stay", async () => {
    desk.levels.user = { work, other: work };
    await desk.save({ level: "user", previous: { id: "work", level: "user" }, password: "hunter2" });
    await desk.accounts.setDefault(undefined, "work");
    await desk.save({ id: "office", level: "user", previous: { id: "work", level: "user" } });
    assert.deepEqual(Object.keys(desk.levels.user), ["office", "other"]);
    assert.equal(desk.accounts.defaultId(undefined), "office");
    assert.equal(await desk.handedOut("office"), "hunter2");
    assert.deepEqual(desk.stored(), ["hunter2"]);
  });

  it("takes no name twice in a level", async () => {
    desk.levels.user = { work };
    const saved = await desk.save({ level: "user" });
    assert.ok(saved.kind === "problems");
    assert.deepEqual(
      saved.problems.map(({ field, code }) => [field, code]),
      [["id", "account.id.taken"]],
    );
    assert.deepEqual(await desk.save({ level: "workspace" }), { kind: "saved" }, "another level may have its own");
  });

  it("moving to a farther level leaves the nearer one, moving nearer keeps the farther", async () => {
    await desk.save({ level: "workspace", password: "hunter2" });
    await desk.save({ level: "user", previous: { id: "work", level: "workspace" } });
    assert.deepEqual(desk.levels, { workspace: {}, user: { work } });
    await desk.save({ level: "workspace", previous: { id: "work", level: "user" } });
    assert.deepEqual(desk.levels, { workspace: { work }, user: { work } });
    assert.equal(await desk.handedOut(), "hunter2");
  });

  it("removes an account with its passwords, but keeps those of the same name at another level", async () => {
    await desk.save({ level: "user", password: "hunter2" });
    await desk.save({ level: "workspace", previous: { id: "work", level: "user" } });
    await desk.accounts.remove(undefined, "work", "workspace");
    assert.deepEqual(desk.levels, { workspace: {}, user: { work } });
    assert.deepEqual(desk.stored(), ["hunter2"]);
    await desk.accounts.remove(undefined, "work", "user");
    assert.equal(desk.secrets.size, 0);
  });

  it("forgets one account's passwords, or all", async () => {
    await desk.save({ level: "user", password: "one" });
    await desk.save({ id: "other", level: "user", password: "two" });
    let heard = 0;
    const listening = desk.accounts.onDidChangeSecrets(() => heard++);
    await desk.accounts.forget("work");
    assert.deepEqual(desk.stored(), ["two"]);
    assert.equal(await desk.accounts.forgetAll(), 1);
    assert.equal(desk.secrets.size, 0);
    assert.equal(heard, 2);
    listening.dispose();
    await desk.accounts.forget("work");
    assert.equal(heard, 2);
  });

  it("tells whether a password is stored, here or for another endpoint", async () => {
    const state = async (): Promise<unknown> => (await desk.accounts.list(undefined))[0]?.secret;
    desk.levels.user = { work };
    assert.deepEqual(await state(), { kind: "none" });
    await desk.save({ level: "user", previous: { id: "work", level: "user" }, password: "hunter2" });
    assert.deepEqual(await state(), { kind: "stored" });
    desk.levels.user = { work: { ...work, host: "smtp.example.org" } };
    assert.deepEqual(await state(), { kind: "elsewhere", changes: ["server: smtp.example.org, was smtp.example.com"] });
  });

  it("one more account does not change the default", async () => {
    await desk.save({ id: "near", level: "workspace" });
    assert.deepEqual([desk.accounts.defaultId(undefined), desk.defaults], ["near", {}]);
    await desk.save({ id: "own", level: "user" });
    assert.equal(desk.accounts.defaultId(undefined), "near");
    await desk.save({ id: "renamed", level: "workspace", previous: { id: "near", level: "workspace" } });
    assert.equal(desk.accounts.defaultId(undefined), "renamed");
  });

  it("the sandbox is the default until there is an account, and a setting decides over both", () => {
    assert.equal(desk.accounts.defaultId(undefined), "sandbox");
    desk.levels.workspace = { near: work };
    assert.equal(desk.accounts.defaultId(undefined), "near");
    desk.defaults = { user: "sandbox" };
    assert.equal(desk.accounts.defaultId(undefined), "sandbox");
  });
});

describe("accounts that sign in in the browser", () => {
  let desk: Desk;
  beforeEach(() => {
    desk = new Desk();
    desk.levels.user = { work: gmail };
  });

  async function resolved(id = "work"): Promise<Extract<Resolution, { kind: "account" }>> {
    const resolution = await desk.resolve(id);
    assert.ok(resolution.kind === "account", JSON.stringify(resolution));
    return resolution;
  }
  const token = async (account: { accessToken: AccessTokens }, refused?: string): Promise<string> => {
    const reply = await account.accessToken(refused);
    return reply.ok ? reply.token : reply.failure.text;
  };
  const signInOf = async (id = "work"): Promise<SignInState | undefined> =>
    (await desk.accounts.list(undefined)).find((entry) => entry.id === id)?.signIn;
  /** The grant as Secret Storage holds it. */
  const stored = (): string[] =>
    [...desk.secrets].filter(([key]) => key.startsWith("grant/")).map(([, value]) => value);
  const signInAnew = async (name: string): Promise<void> => {
    const found = await desk.accounts.resolveSignIn(undefined, "work");
    assert.ok(found.kind === "way");
    await desk.accounts.signIns.store(found.way, { kind: "grant", grant: grantOf(name) });
  };
  const signInByVsCode = async (): Promise<void> => {
    desk.levels.user = { work: { provider: "outlook", user: "ada@outlook.com" } };
    const found = await desk.accounts.resolveSignIn(undefined, "work");
    assert.ok(found.kind === "way");
    const account = { id: "1", label: "ada@outlook.com" };
    await desk.accounts.signIns.store(found.way, { kind: "vscode", clientId: "c", account, since: "2026-11-24" });
    desk.microsoftToken = { kind: "token", token: "from VS Code" };
  };
  const revoked: Granted = {
    ok: false,
    failure: { class: "account", stage: "auth", text: "Google no longer takes this sign-in.", signIn: true },
  };

  it("R16 are asked to sign in once, as a missing password is asked for, and not again", async () => {
    assert.deepEqual(await signInOf(), { kind: "signedOut", user: "", since: "", changes: [] });
    const account = await resolved();
    assert.equal(desk.questions.length, 1);
    assert.match(desk.questions[0] ?? "", /^Sign in with Google to send through ada@gmail\.com\? Nobody is signed in/);
    assert.equal(await token(account), "token of refresh token 1");
    await resolved();
    assert.equal(desk.questions.length, 1);
    assert.deepEqual(await signInOf(), {
      kind: "signedIn",
      user: "ada@gmail.com",
      since: "2026-11-24T10:00:00.000Z",
      by: "browser",
      changes: [],
    });
  });

  it("R15 keep the grant in Secret Storage only, and the access token nowhere", async () => {
    await token(await resolved());
    const beside = JSON.stringify([desk.levels, [...desk.state], [...desk.secrets.keys()]]);
    for (const secret of ["refresh token 1", "the client's secret", "token of"]) assert.ok(!beside.includes(secret));
    assert.equal(stored().length, 1);
    assert.match(stored()[0] ?? "", /"refreshToken":"refresh token 1"/);
    assert.ok(![...desk.secrets.values()].join("\n").includes("token of refresh token"));
  });

  it("are not resolved when the person turns away, or when signing in fails", async () => {
    desk.agrees = false;
    assert.deepEqual(await desk.resolve(), { kind: "cancelled" });
    desk.agrees = true;
    desk.signsIn = { kind: "cancelled" };
    assert.deepEqual(await desk.resolve(), { kind: "cancelled" });
    desk.signsIn = { kind: "failed", text: "Nobody came back from the browser." };
    assert.deepEqual(await desk.resolve(), { kind: "refused", text: "Nobody came back from the browser.", detail: "" });
    assert.deepEqual(stored(), []);
  });

  it("are asked for nothing and handed no token without trust", async () => {
    const account = await resolved();
    desk.trusted = false;
    assert.equal((await desk.resolve()).kind, "refused");
    assert.equal((await desk.accounts.resolveSignIn(undefined, "work")).kind, "refused");
    assert.equal(await desk.accounts.endpointHolds(undefined, account), false);
    assert.equal(desk.questions.length, 1);
  });

  for (const [name, more, changed] of [
    ["another user", { user: "eve@gmail.com" }, /user: eve@gmail\.com, was ada@gmail\.com/],
    ["a proxy", { proxy: "http://evil.example:3128" }, /proxy: http:\/\/evil\.example:3128, was none/],
    ["another transport", { transport: "smtp" }, /transport: SMTP, was Gmail API/],
    ["another minimum of TLS", { tls: { minVersion: "TLSv1.3" } }, /minimum TLS version/],
  ] as const) {
    it(`R16 a grant is not found by ${name}, and the question names what changed`, async () => {
      const before = await resolved();
      desk.levels.user = { work: { ...gmail, auth: "oauth2", ...more } };
      assert.equal((await signInOf())?.kind, "elsewhere");
      assert.equal(await desk.accounts.endpointHolds(undefined, before), false);
      desk.agrees = false;
      assert.equal((await desk.resolve()).kind, "cancelled");
      assert.match(desk.questions.at(-1) ?? "", changed);
    });
  }

  it("a workspace's file cannot borrow the user's grant, and a workspace's account is approved before it signs in", async () => {
    await resolved();
    desk.levels.workspace = { work: { ...gmail, proxy: "http://evil.example:3128" } };
    desk.agrees = false;
    assert.equal((await desk.accounts.resolveSignIn(undefined, "work")).kind, "cancelled");
    assert.match(desk.questions.at(-1) ?? "", /^This workspace defines the account work\. Use it\?/);
    assert.match(
      desk.questions.at(-1) ?? "",
      /Proxy: http:\/\/evil\.example:3128[^]*Your sign-in and every mail go this way/,
    );
  });

  it("go on with their sign-in when they are renamed or change their pace, and lose it when they are removed", async () => {
    const before = await resolved();
    const saved = await desk.save({
      id: "news",
      level: "user",
      settings: { ...gmail, limits: { perDay: 100 } },
      previous: { id: "work", level: "user" },
    });
    assert.deepEqual(saved, { kind: "saved" });
    assert.equal((await signInOf("news"))?.kind, "signedIn");
    assert.equal(await token(await resolved("news")), "token of refresh token 1");
    assert.equal(stored().length, 1);
    assert.notEqual(await token(before), "token of refresh token 1", "the old name opens nothing");
    assert.equal(desk.questions.length, 1);
    await desk.accounts.remove(undefined, "news", "user");
    assert.deepEqual(stored(), []);
    assert.ok(!JSON.stringify([...desk.state]).includes("ada@gmail.com"), "nobody is remembered");
  });

  it("R37 still want a new sign-in after they were renamed", async () => {
    const running = await resolved();
    desk.refresh = () => Promise.resolve(revoked);
    await token(running);
    await desk.save({ id: "news", level: "user", settings: gmail, previous: { id: "work", level: "user" } });
    assert.equal((await signInOf("news"))?.kind, "signedOut");
  });

  it("share one access token among runs, tests and diagnoses", async () => {
    let asked = 0;
    const refresh = desk.refresh;
    desk.refresh = (grant) => {
      asked++;
      return refresh(grant);
    };
    const [one, other] = [await resolved(), await resolved()];
    await Promise.all([token(one), token(other), token(one)]);
    assert.equal(asked, 1);
  });

  it("keep a grant that the provider replaced, once", async () => {
    desk.refresh = () => Promise.resolve({ ok: true, grant: grantOf("2"), token: "a", expiresInMs: 3_600_000 });
    const account = await resolved();
    assert.equal(await token(account), "a");
    assert.match(stored()[0] ?? "", /"refresh token 2"/);
    desk.refresh = () => Promise.reject(new Error("The same token is still good."));
    assert.equal(await token(account), "a");
    // A new window starts from what is stored.
    assert.equal((await signInOf())?.kind, "signedIn");
  });

  for (const [name, end, left] of [
    ["a sign-out", (id: string) => desk.accounts.forget(id), []],
    ["forgetting all secrets", () => desk.accounts.forgetAll(), []],
    ["another sign-in", () => signInAnew("9"), ["refresh token 9"]],
  ] as const) {
    it(`R16 ${name} is not undone by a replaced grant whose store ends late`, async () => {
      const account = await resolved();
      let release = (): void => undefined;
      const begun = new Promise<void>((began) => {
        desk.whileStored = (key) => {
          if (!key.startsWith("grant/")) return undefined;
          desk.whileStored = () => undefined;
          began();
          return new Promise<void>((resolve) => (release = resolve));
        };
      });
      desk.refresh = () => Promise.resolve({ ok: true, grant: grantOf("2"), token: "a", expiresInMs: 3_600_000 });
      const running = token(account);
      await begun;
      const ending = end("work");
      // Whoever does not wait for its turn is through by now.
      await new Promise((resolve) => setImmediate(resolve));
      release();
      await Promise.all([running, ending]);
      assert.deepEqual(
        stored().map((text) => (JSON.parse(text) as { grant: Grant }).grant.refreshToken),
        left,
      );
    });
  }

  it("R37 want a new sign-in once the provider takes the grant back, and then a run goes on with it", async () => {
    const running = await resolved();
    desk.refresh = () => Promise.resolve(revoked);
    assert.equal(await token(running), "Google no longer takes this sign-in.");
    assert.equal((await signInOf())?.kind, "signedOut");
    assert.equal(desk.questions.length, 1, "nobody is asked in the middle of a run");
    desk.refresh = () => Promise.resolve({ ok: true, grant: grantOf("1"), token: "new", expiresInMs: 3_600_000 });
    const again = await resolved();
    assert.match(desk.questions[1] ?? "", /Google wants a new sign-in/);
    assert.equal(await token(again), "new");
  });

  it("hand out nothing after a sign-out, in whichever window that was", async () => {
    const running = await resolved();
    assert.equal(await token(running), "token of refresh token 1");
    for (const key of [...desk.secrets.keys()]) if (key.startsWith("grant/")) desk.secrets.delete(key);
    assert.match(await token(running), /^Nobody is signed in/);
    assert.equal((await signInOf())?.kind, "signedOut");
  });

  it("take up the sign-in of another window", async () => {
    const running = await resolved();
    await token(running);
    const [key = ""] = [...desk.secrets.keys()].filter((one) => one.startsWith("grant/"));
    desk.secrets.set(key, JSON.stringify({ kind: "grant", grant: grantOf("9") }));
    assert.equal(await token(running), "token of refresh token 9");
  });

  it("are signed in to only as they are saved: a draft of another account is not", async () => {
    const draft: Draft = { id: "new", level: "user", settings: gmail };
    const resolution = await desk.accounts.resolveDraft(undefined, draft);
    assert.ok(resolution.kind === "refused");
    assert.match(resolution.text, /Save the account first/);
    const same: Draft = { id: "work", level: "user", settings: gmail, previous: { id: "work", level: "user" } };
    assert.equal((await desk.accounts.resolveDraft(undefined, same)).kind, "account");
  });

  it("leave the tokens to VS Code where it signs in with Microsoft (R6)", async () => {
    await signInByVsCode();
    const running = await resolved();
    assert.deepEqual(desk.questions, []);
    assert.equal(await token(running), "from VS Code");
    desk.microsoftToken = { kind: "signedOut" };
    assert.match(await token(running), /^Nobody is signed in/);
    assert.equal((await signInOf())?.kind, "signedIn", "VS Code may have a session again");
    desk.agrees = false;
    assert.equal((await desk.resolve()).kind, "cancelled", "but nothing starts without a session");
    desk.microsoftToken = { kind: "token", token: "from VS Code" };
    assert.match(await token(running, "from VS Code"), /^Nobody is signed in/);
    assert.equal((await signInOf())?.kind, "signedOut", "what is refused although it is new wants a person");
    assert.ok(![...desk.secrets.values()].join("\n").includes("from VS Code"));
  });

  it("R37 do not count as signed out while VS Code cannot renew its token for want of a network", async () => {
    const clock = (desk.clock = new FakeClock());
    await signInByVsCode();
    const running = await resolved();
    desk.microsoftToken = { kind: "unreachable" };
    for (const minutes of [0, 10]) {
      clock.advance(minutes * 60_000);
      const reply = await running.accessToken();
      assert.ok(!reply.ok && reply.failure.class === "offline" && reply.failure.signIn === undefined);
    }
    desk.microsoftToken = { kind: "token", token: "renewed" };
    assert.equal(await token(running), "renewed");
    desk.microsoftToken = { kind: "unreachable" };
    clock.advance(10 * 60_000);
    assert.match(await token(running), /^VS Code gets no access token/, "the time counts from the last token");
    clock.advance(15 * 60_000);
    const reply = await running.accessToken();
    assert.ok(!reply.ok && reply.failure.signIn === true, "Microsoft may want to see the person");
    desk.microsoftToken = { kind: "token", token: "again" };
    assert.equal(await token(running), "again");
  });

  it("forget sign-ins and OAuth clients with all other secrets", async () => {
    await resolved();
    desk.secrets.set("client/google", "{}");
    assert.equal(await desk.accounts.forgetAll(), 2);
    assert.equal(desk.secrets.size, 0);
    assert.equal((await signInOf())?.kind, "signedOut");
  });
});

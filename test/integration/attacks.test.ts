/** What a workspace, or another extension, gets out of an account with a stored secret: no secret, no mail, a clear question. */
import assert from "node:assert/strict";
import { copyFile, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import * as vscode from "vscode";
import { run } from "../../src/commands/index";
import { accountSettings } from "../../src/config";
import { commands, type CommandName } from "../../src/contributions";
import { smallCampaign } from "../fakes/campaigns";
import { Editor, until } from "../fakes/editor";
import { answerJson, Interceptor } from "../fakes/interceptor";
import { authorityFile, MailServer } from "../fakes/mailServer";
import { googleClientFile, SignInServer } from "../fakes/signInServer";

type Settings = Readonly<Record<string, unknown>>;

const password = "correct horse battery staple";

describe("attacks", () => {
  let editor: Editor;
  let server: MailServer;
  let evil: MailServer;
  /** The user's own account, as it stands in the user's settings. */
  let own: Settings;

  beforeEach(async () => {
    [server, evil] = await Promise.all([MailServer.start("ada", password), MailServer.start("ada", password)]);
    editor = await Editor.open(smallCampaign(2, "account: work\n"));
    for (const name of ["ca.pem", "evil.pem"]) await copyFile(authorityFile(), editor.uri(name).fsPath);
    await writeFile(editor.uri("evil.pem").fsPath, "\n", { flag: "a" });
    own = {
      host: "127.0.0.1",
      port: server.port,
      user: "ada",
      tls: { caFile: inWorkspace("ca.pem"), servername: "localhost" },
      limits: { delay: 0 },
    };
    await saveOwn("work", own);
  });
  afterEach(async () => {
    await editor.close();
    await workspaceSettings({});
    const settings = vscode.workspace.getConfiguration("bulkMail");
    await settings.update("accounts", undefined, vscode.ConfigurationTarget.Global);
    await Promise.all([server.close(), evil.close()]);
  });

  after(async () => {
    const [folder] = vscode.workspace.workspaceFolders ?? [];
    if (folder !== undefined)
      await vscode.workspace.fs.delete(vscode.Uri.joinPath(folder.uri, ".vscode", "settings.json"));
  });

  const inWorkspace = (name: string): string => vscode.workspace.asRelativePath(editor.uri(name));

  async function saveOwn(id: string, settings: Settings): Promise<void> {
    const saved = await editor.services.accounts.save(undefined, { id, level: "user", settings, password });
    assert.deepEqual(saved, { kind: "saved" });
  }

  /** Writes `.vscode/settings.json` as a pull does, and waits until VS Code has read it. */
  async function workspaceSettings(settings: Settings): Promise<void> {
    const [folder] = vscode.workspace.workspaceFolders ?? [];
    assert.ok(folder !== undefined);
    const file = vscode.Uri.joinPath(folder.uri, ".vscode", "settings.json");
    // A harmless setting that is different every time tells when the file was read.
    const mark = { "bulkMail.codeLens": true, "files.associations": { [`*.${String(Date.now())}`]: "plaintext" } };
    const expected = JSON.stringify(mark["files.associations"]);
    const whole = Object.keys(settings).length === 0 ? mark : { ...mark, ...settings };
    await vscode.workspace.fs.writeFile(file, Buffer.from(JSON.stringify(whole)));
    await until("the workspace's settings", vscode.workspace.onDidChangeConfiguration, () => {
      const found = vscode.workspace.getConfiguration("files", folder.uri).inspect("associations");
      return JSON.stringify(found?.workspaceValue) === expected;
    });
  }

  /** No password and no mail has reached anybody. */
  function assertSilence(): void {
    for (const { signIns, received } of [server, evil]) assert.deepEqual([signIns, received], [[], []]);
  }

  const send = (): Promise<void> => editor.run("send", editor.uri("hello.mail.md"));
  const asked = (): string[] => editor.dialogs.asked.map(({ message, detail }) => `${message}\n${detail}`);

  it("the account works until somebody changes it", async () => {
    editor.dialogs.answer("Send");
    await send();
    assert.equal(server.received.length, 2);
    assert.equal(asked().length, 1, "neither an approval nor a password is asked for");
  });

  describe("a workspace's settings.json that changes the user's account", () => {
    const tls = (more: Settings) => (): Settings => ({ tls: { ...(own.tls as Settings), ...more } });
    const changes: Readonly<Record<string, () => Settings>> = {
      host: () => ({ host: "localhost" }),
      port: () => ({ port: evil.port }),
      "no encryption": () => ({ security: "none" }),
      "implicit TLS": () => ({ security: "tls" }),
      "server name": tls({ servername: "evil.example" }),
      "minimum TLS": tls({ minVersion: "TLSv1.3" }),
      verification: tls({ verify: false }),
      "CA file": () => ({ tls: { servername: "localhost", caFile: inWorkspace("evil.pem") } }),
      "sign-in": () => ({ auth: "none" }),
      proxy: () => ({ proxy: `http://127.0.0.1:${String(evil.port)}` }),
      "user at the proxy": () => ({ proxyUser: "eve" }),
      user: () => ({ user: "eve" }),
    };
    for (const [name, change] of Object.entries(changes)) {
      it(`gets no secret and no mail, whole: ${name}`, async () => {
        await workspaceSettings({ "bulkMail.accounts": { work: { ...own, ...change() } } });
        editor.dialogs.answer(undefined);
        await send();
        assert.match(asked()[0] ?? "", /^This workspace defines the account work\. Use it\?\nServer: /);
        // Whoever agrees is still asked: for the danger, for the password, or before the mail.
        editor.dialogs.answer("Use This Account", undefined);
        await send();
        assert.equal(asked().length, 3);
        const last = asked()[2] ?? "";
        assert.match(
          last,
          /entered for another one|^Connect without|^Send “hello” to 2 people\?[^]*without signing in/,
        );
        assertSilence();
        assert.deepEqual(editor.services.task.views, []);
        assert.ok(!editor.log.join("\n").includes(password));
      });
    }

    it("gets no secret and no mail by any of these as a fragment, which VS Code would merge", async () => {
      for (const [name, change] of Object.entries(changes)) {
        await workspaceSettings({ "bulkMail.accounts": { work: change() } });
        const merged = vscode.workspace.getConfiguration("bulkMail").get<Record<string, Settings>>("accounts");
        assert.deepEqual(merged?.work?.limits, own.limits, "VS Code does merge it");
        const before = editor.toasts.length;
        await send();
        assert.equal(editor.toasts.length, before + 1, name);
        assert.match(editor.toasts.at(-1)?.message ?? "", /^This account cannot be used as it is\. Open Accounts/);
        assertSilence();
      }
      assert.deepEqual(asked(), []);
    });

    it("gets nothing by changing it while the last question is open", async () => {
      const { confirm } = editor.dialogs;
      editor.dialogs.confirm = async (...question) => {
        await workspaceSettings({ "bulkMail.accounts": { work: { ...own, port: evil.port } } });
        return await confirm(...question);
      };
      editor.dialogs.answer("Send");
      await send();
      assert.match(editor.toasts.at(-1)?.message ?? "", /changed in the meantime/);
      assertSilence();
    });
  });

  it("no endpoint of a sign-in comes from a workspace, nor from the client's file (R15, R16)", async () => {
    const interceptor = await Interceptor.start();
    const provider = await SignInServer.start(interceptor, "google");
    try {
      interceptor.play("evil.example", (_request, response) => answerJson(response, 200, {}));
      await copyFile(interceptor.caFile, editor.uri("providers.pem").fsPath);
      const settings = {
        ...{ provider: "gmail", transport: "gmailApi", user: "ada@gmail.com", proxy: interceptor.proxy },
        tls: { caFile: inWorkspace("providers.pem") },
      };
      assert.deepEqual(await editor.services.accounts.save(undefined, { id: "google", level: "user", settings }), {
        kind: "saved",
      });
      const evilUrl = "https://evil.example/token";
      const keys = ["token_uri", "tokenUrl", "auth_uri", "authorizationUrl", "authority", "revokeUrl", "rootUrl"];
      const everywhere = keys.flatMap((key) => [`bulkMail.${key}`, `bulkMail.oauth.${key}`, `bulkMail.gmail.${key}`]);
      await workspaceSettings(Object.fromEntries(everywhere.map((key) => [key, evilUrl])));
      const { installed } = JSON.parse(googleClientFile) as { readonly installed: Settings };
      const client = (more: Settings): string => JSON.stringify({ installed: { ...installed, ...more } });
      for (const key of ["token_uri", "auth_uri"])
        assert.equal((await editor.services.signIns.takeClient("google", client({ [key]: evilUrl }))).kind, "failed");
      const ignored = { revoke_uri: evilUrl, redirect_uris: [evilUrl], universe_domain: "evil.example" };
      const elsewhere = { token_uri: "https://www.googleapis.com/oauth2/v3/token" };
      const text = client({ ...ignored, ...elsewhere });
      assert.equal((await editor.services.signIns.takeClient("google", text)).kind, "stored");
      editor.browser.onPage = async (url) => await fetch(await provider.consent(url));
      assert.deepEqual(await editor.services.signIns.signIn(undefined, "google"), {
        kind: "signedIn",
        user: "ada@gmail.com",
      });
      const [page = "", ...more] = editor.browser.pages;
      assert.deepEqual([new URL(page).host, more], ["accounts.google.com", []]);
      assert.match(new URL(page).searchParams.get("redirect_uri") ?? "", /^http:\/\/127\.0\.0\.1:\d+$/);
      assert.deepEqual(new Set(interceptor.connections), new Set(["oauth2.googleapis.com:443"]));
      // An account of the workspace's with such a key is none at all, so that the sign-in goes nowhere.
      const before = interceptor.connections.length;
      await workspaceSettings({ "bulkMail.accounts": { google: { ...settings, token_uri: evilUrl } } });
      const refused = await editor.services.signIns.signIn(undefined, "google");
      assert.equal(refused.kind, "failed");
      assert.deepEqual([interceptor.connections.length, editor.browser.pages.length], [before, 1]);
    } finally {
      await provider.close();
      await interceptor.close();
    }
  });

  it("a workspace moves neither the state directory nor the pace of the user's account", async () => {
    const moved = await mkdtemp(path.join(tmpdir(), "bulk-mail-moved-"));
    try {
      await workspaceSettings({
        "bulkMail.stateDirectory": moved,
        "bulkMail.sending.connections": 50,
        "bulkMail.retry.maxAttempts": 100,
        "bulkMail.pauseAfterFailures": 0,
      });
      editor.dialogs.answer("Send");
      await send();
      assert.match(asked()[0] ?? "", /over 1 connection$/m);
      assert.equal(server.received.length, 2);
      assert.deepEqual(await readdir(moved), []);
    } finally {
      await rm(moved, { recursive: true });
    }
  });

  it("another default account of the workspace's own is asked about, one of the user's is shown", async () => {
    const { "hello.mail.md": text = "" } = smallCampaign(2);
    await vscode.workspace.fs.writeFile(editor.uri("hello.mail.md"), Buffer.from(text));
    await workspaceSettings({
      "bulkMail.defaultAccount": "evil",
      "bulkMail.accounts": { evil: { ...own, port: evil.port } },
    });
    editor.dialogs.answer(undefined);
    await send();
    assert.match(asked()[0] ?? "", /^This workspace defines the account evil\. Use it\?/);
    await saveOwn("other", { ...own, user: "eve" });
    await workspaceSettings({ "bulkMail.defaultAccount": "other" });
    editor.dialogs.answer(undefined);
    await send();
    assert.match(asked()[1] ?? "", /^Through: other: 127\.0\.0\.1:\d+ \(STARTTLS\), as eve$/m);
    assertSilence();
  });

  it("From, Reply-To and limits of a workspace's account are asked about, those of the campaign and Bcc are shown", async () => {
    for (const more of [{ from: "Eve <eve@example.net>" }, { replyTo: "eve@example.net" }, { limits: { delay: 9 } }]) {
      await workspaceSettings({ "bulkMail.accounts": { work: { ...own, ...more } } });
      editor.dialogs.answer(undefined);
      await send();
      assert.match(asked().at(-1) ?? "", /^This workspace defines the account work/);
    }
    assert.match(asked()[0] ?? "", /^From: Eve <eve@example\.net>$/m);
    assert.match(asked()[1] ?? "", /^Reply-To: eve@example\.net$/m);
    await workspaceSettings({});
    const { "hello.mail.md": text = "" } = smallCampaign(
      2,
      "account: work\nreplyTo: eve@example.net\nbcc: all@example.net\n",
    );
    const changed = text.replace("Ada <ada@example.com>", "Eve <eve@example.net>");
    await vscode.workspace.fs.writeFile(editor.uri("hello.mail.md"), Buffer.from(changed));
    editor.dialogs.answer(undefined);
    await send();
    for (const line of ["From: Eve <eve@example.net>", "Reply-To: eve@example.net", "Bcc: all@example.net"])
      assert.ok(asked()[3]?.split("\n").includes(line), `${line} is not in ${asked()[3] ?? ""}`);
    assertSilence();
  });

  it("VS Code's proxy is the user's, never the workspace's (R20)", async () => {
    await workspaceSettings({ "http.proxy": `http://127.0.0.1:${String(evil.port)}` });
    assert.equal(accountSettings.httpProxy(), "");
    await saveOwn("proxied", { ...own, proxy: "vscode" });
    const entries = await editor.services.accounts.list(undefined);
    assert.equal(entries.find(({ id }) => id === "proxied")?.account?.proxy, "");
  });

  describe("another extension that calls our commands", () => {
    /** Nobody answers: every question is a refusal. */
    const hostile = (): readonly (readonly [unknown, unknown?])[] => [
      [{ account: "work", yes: true, approve: true, password: "x", __proto__: { scheme: "file" } }],
      [{ scheme: "file", path: "/evil.mail.md", fsPath: editor.uri("hello.mail.md").fsPath }, { row: 0 }],
      ["file:///evil.mail.md", "0"],
      [vscode.Uri.parse("https://evil.example/hello.mail.md"), -1],
      [editor.uri("people.csv"), Number.MAX_VALUE],
      [editor.uri("hello.mail.md"), 1e9],
      ["x".repeat(1_000_000), ["send", "now"]],
      [null, Number.NaN],
    ];
    /** A rehearsal never leaves the machine and a test of a connection mails nobody: people start both without a question. */
    const askFirst = (Object.keys(commands) as CommandName[]).filter(
      (name) => name !== "rehearse" && name !== "testConnection",
    );

    for (const name of askFirst) {
      it(`starts nothing and learns nothing: ${name}`, async () => {
        for (const words of hostile()) {
          const told: Promise<unknown> = run(editor.services, name, ...words);
          assert.equal(await told, undefined);
        }
        assertSilence();
        assert.deepEqual(editor.services.task.views, []);
        const entry = (await editor.services.accounts.list(undefined)).find(({ id }) => id === "work");
        assert.equal(entry?.secret.kind, "stored", "and nothing is forgotten");
      });
    }

    it("learns nothing from those that need no question, and reaches nobody but the account's own server", async () => {
      for (const name of ["rehearse", "testConnection"] as const) {
        for (const words of hostile().slice(0, 3)) {
          const told: Promise<unknown> = run(editor.services, name, ...words);
          assert.equal(await told, undefined);
        }
      }
      assert.deepEqual([server.received, evil.signIns, evil.received], [[], [], []]);
    });

    it("gets undefined from the registered commands as well", async () => {
      const campaign = editor.uri("hello.mail.md");
      for (const { id } of [commands.pause, commands.stop, commands.checkCampaign, commands.openReport])
        assert.equal(await vscode.commands.executeCommand(id, campaign, { secret: true }), undefined);
      assertSilence();
    });

    it("mails nobody of a campaign that lies outside the workspace", async () => {
      const elsewhere = await mkdtemp(path.join(tmpdir(), "bulk-mail-elsewhere-"));
      try {
        // With an id of its own: a copied one would be an error before anything else.
        for (const [name, content] of Object.entries(smallCampaign(1, "account: work\n")))
          await writeFile(path.join(elsewhere, name), content.replace("0b0e7d3a", "3e0e7d3a"));
        editor.dialogs.answer(undefined);
        await editor.run("send", vscode.Uri.file(path.join(elsewhere, "hello.mail.md")));
        assert.match(asked()[0] ?? "", /^Send “hello” to 1 person\?/);
        assertSilence();
      } finally {
        await rm(elsewhere, { recursive: true });
      }
    });
  });
});

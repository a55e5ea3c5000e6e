/** What a changed settings file or a lying server gets out of the command line: no password, no mail, and a clear refusal. */
import assert from "node:assert/strict";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { loopbackSettings, smallCampaign } from "../fakes/campaigns";
import { Sandbox } from "../fakes/cli";
import { answerJson, bodyOf, Interceptor } from "../fakes/interceptor";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";
import { knownClient, SignInServer } from "../fakes/signInServer";
import { playTokenMail } from "../fakes/tokenMailServer";

const password = "correct horse battery staple";
const environment = { BULK_MAIL_PASSWORD: password, BULK_MAIL_PROXY_PASSWORD: `proxy ${password}` };
const workspaceSettings = ".vscode/settings.json";
const evilUrl = "https://evil.example/token";
/** Names under which programs know the endpoints of a sign-in, and where its tokens go. */
const endpointKeys = [
  ...["token_uri", "tokenUrl", "tokenEndpoint", "auth_uri", "authorizationUrl", "revokeUrl", "authority", "issuer"],
  ...["rootUrl", "apiUrl", "endpoint", "universe_domain", "redirectUri"],
] as const;
/** What the providers' own programs and libraries read. */
const endpointVariables = [
  ...["GOOGLE_CLOUD_UNIVERSE_DOMAIN", "GOOGLE_API_USE_MTLS_ENDPOINT", "GOOGLE_OAUTH_TOKEN_URI", "GMAIL_API_ENDPOINT"],
  ...["AZURE_AUTHORITY_HOST", "MSAL_AUTHORITY", "OAUTH_TOKEN_URL", "BULK_MAIL_TOKEN_URL", "HTTPS_PROXY", "https_proxy"],
] as const;

/** Whether a server saw the password, in clear text or as SASL encodes it (RFC 4616, LOGIN). */
function sawPassword(server: ScriptedSmtp): boolean {
  const encoded = [password, `\0ada\0${password}`].map((text) => Buffer.from(text).toString("base64"));
  return server.lines.some((line) => [password, ...encoded].some((text) => line.includes(text)));
}

describe("attacks on the command line", () => {
  let sandbox: Sandbox;
  let server: ScriptedSmtp;
  let evil: ScriptedSmtp;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
    [server, evil] = await Promise.all([start(), start()]);
    await sandbox.write(smallCampaign(2));
  });
  afterEach(async () => {
    await Promise.all([server.close(), evil.close()]);
    await sandbox.remove();
  });

  const start = (): Promise<ScriptedSmtp> => ScriptedSmtp.start(undefined, ["AUTH PLAIN LOGIN", "PIPELINING"]);
  const signsIn = { auth: "password", user: "ada" };
  const words = ["send", "hello.mail.md", "--account", "local", "--yes"];

  /** Sends once with approval, so that only a later change is in question. */
  async function approved(more: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await sandbox.write({
      [workspaceSettings]: loopbackSettings(server.port, { ...signsIn, ...more }),
      "ca.pem": "mine",
      "evil.pem": "theirs",
    });
    const { code, stderr } = await sandbox.run([...words, "--approve"], environment);
    assert.equal(code, 0, stderr);
    assert.equal(server.accepted.length, 2);
  }

  /** Nobody heard anything since the approved send. */
  function assertSilence(connections: number): void {
    assert.deepEqual([server.connections, server.accepted.length], [connections, 2]);
    assert.equal(evil.connections, 0);
  }

  describe("a pull that changed the account of the workspace", () => {
    /** The change, and what tells the two apart in the refusal. */
    const changes: Readonly<Record<string, { more: Readonly<Record<string, unknown>>; before: RegExp; now: RegExp }>> =
      {
        host: { more: { host: "localhost" }, before: /127\.0\.0\.1:\d+/, now: /localhost:\d+/ },
        security: { more: { security: "starttls" }, before: /NOT ENCRYPTED/, now: /STARTTLS/ },
        "server name": {
          more: { tls: { servername: "evil.example" } },
          before: /user ada/,
          now: /server name evil\.example/,
        },
        "minimum TLS": { more: { tls: { minVersion: "TLSv1.3" } }, before: /user ada/, now: /minimum TLS TLSv1\.3/ },
        "CA file": {
          more: { tls: { caFile: "evil.pem" } },
          before: /user ada/,
          now: /CA file evil\.pem \(SHA-256 [0-9a-f]{16}\)/,
        },
        "sign-in": { more: { auth: "none" }, before: /user ada, from/, now: /user ada \(no sign-in\)/ },
        proxy: { more: { proxy: "http://127.0.0.1:9" }, before: /user ada/, now: /proxy http:\/\/127\.0\.0\.1:9/ },
        "user at the proxy": { more: { proxyUser: "eve" }, before: /user ada/, now: /user at the proxy eve/ },
        user: { more: { user: "eve" }, before: /user ada/, now: /user eve/ },
        limits: {
          more: { limits: { delay: 0, connections: 50 } },
          before: /limits delay=0$/m,
          now: /limits delay=0 connections=50/,
        },
        timeouts: { more: { timeouts: { socket: 1000 } }, before: /user ada/, now: /timeouts socket=1000/ },
        "reply address": {
          more: { replyTo: "eve@example.net" },
          before: /reply-to none/,
          now: /reply-to eve@example\.net/,
        },
      };
    for (const [name, { more, before, now }] of Object.entries(changes)) {
      it(`stops with both shown: ${name}`, async () => {
        await approved();
        const { connections } = server;
        await sandbox.write({ [workspaceSettings]: loopbackSettings(server.port, { ...signsIn, ...more }) });
        const { code, stderr } = await sandbox.run([...words, "--again"], environment);
        assert.equal(code, 2, stderr);
        const [was = "", is = ""] = ["before", "now"].map(
          (label) => new RegExp(`^ *${label}: .*$`, "m").exec(stderr)?.[0],
        );
        assert.match(was, before);
        assert.match(is, now);
        assert.notEqual(was.replace(/^ *before: */, ""), is.replace(/^ *now: */, ""));
        assertSilence(connections);
      });
    }

    it("stops with both shown: port", async () => {
      await approved();
      const { connections } = server;
      await sandbox.write({ [workspaceSettings]: loopbackSettings(evil.port, signsIn) });
      const { code, stderr } = await sandbox.run([...words, "--again"], environment);
      assert.equal(code, 2, stderr);
      assert.match(stderr, new RegExp(`before: 127\\.0\\.0\\.1:${String(server.port)} `));
      assert.match(stderr, new RegExp(`now: +127\\.0\\.0\\.1:${String(evil.port)} `));
      assertSilence(connections);
    });

    it("stops with both shown: verification", async () => {
      await sandbox.write({ [workspaceSettings]: loopbackSettings(1, { ...signsIn, security: "starttls" }) });
      await sandbox.run([...words, "--approve"], environment);
      const more = { ...signsIn, security: "starttls", tls: { verify: false } };
      await sandbox.write({ [workspaceSettings]: loopbackSettings(1, more) });
      const { code, stderr } = await sandbox.run(words, environment);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /before: .*\(STARTTLS\)/);
      assert.match(stderr, /now: .*\(STARTTLS, CERTIFICATE NOT CHECKED\)/);
    });

    it("stops with both shown: content of the CA file", async () => {
      await approved({ tls: { caFile: "ca.pem" } });
      const { connections } = server;
      await sandbox.write({ "ca.pem": "theirs" });
      const { code, stderr } = await sandbox.run([...words, "--again"], environment);
      assert.equal(code, 2, stderr);
      const [was, is] = [...stderr.matchAll(/CA file ca\.pem \(SHA-256 ([0-9a-f]{16})\)/g)].map(([, hash]) => hash);
      assert.ok(was !== undefined && is !== undefined && was !== is, stderr);
      assertSilence(connections);
    });

    it("stops an interrupted run as well, and From of the campaign counts", async () => {
      await sandbox.write({ [workspaceSettings]: loopbackSettings(server.port, signsIn) });
      const first = await sandbox.run([...words, "--approve", "--limit", "1"], environment);
      assert.equal(first.code, 4, first.stderr);
      await sandbox.write({ [workspaceSettings]: loopbackSettings(evil.port, signsIn) });
      const moved = await sandbox.run([...words, "--continue"], environment);
      assert.equal(moved.code, 2, moved.stderr);
      assert.match(moved.stderr, /before: .*\n.*now: /);
      await sandbox.write({ [workspaceSettings]: loopbackSettings(server.port, signsIn) });
      const campaign = smallCampaign(2)["hello.mail.md"]?.replace("Ada <ada@", "Eve <eve@") ?? "";
      await sandbox.write({ "hello.mail.md": campaign });
      const renamed = await sandbox.run([...words, "--continue"], environment);
      assert.equal(renamed.code, 2, renamed.stderr);
      assert.match(renamed.stderr, /before: .*from Ada <ada@example\.com>.*\n.*now: .*from Eve <eve@example\.com>/);
      assert.deepEqual([server.accepted.length, evil.connections], [1, 0]);
    });

    it("gets nothing through a file that was named either, once it was used", async () => {
      const named = [...words, "--settings", "settings.json"];
      await sandbox.write({ "settings.json": loopbackSettings(server.port, signsIn) });
      const first = await sandbox.run(named, environment);
      assert.equal(first.code, 0, first.stderr);
      await sandbox.write({ "settings.json": loopbackSettings(evil.port, signsIn) });
      const { code, stderr } = await sandbox.run([...named, "--again"], environment);
      assert.equal(code, 2, stderr);
      assert.equal(evil.connections, 0);
    });

    it("gets no password through the doctor", async () => {
      await approved();
      await sandbox.write({ [workspaceSettings]: loopbackSettings(evil.port, signsIn) });
      const { code, stderr } = await sandbox.run(["doctor", "--account", "local"], environment);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /before: .*\n.*now: /);
      assert.equal(evil.connections, 0);
    });
  });

  it("a test by the doctor approves no sender, and does not stand in the way of the first send", async () => {
    await sandbox.write({ "settings.json": loopbackSettings(server.port, signsIn) });
    const named = ["--settings", "settings.json"];
    const tested = await sandbox.run(["doctor", "--account", "local", ...named], environment);
    assert.notEqual(tested.code, 2, tested.stderr);
    assert.ok(sawPassword(server));
    const sent = await sandbox.run([...words, ...named], environment);
    assert.equal(sent.code, 0, sent.stderr);
    await sandbox.write({ "settings.json": loopbackSettings(evil.port, signsIn) });
    const moved = await sandbox.run(["doctor", "--account", "local", ...named], environment);
    assert.equal(moved.code, 2, moved.stderr);
    assert.equal(evil.connections, 0);
  });

  it("another default account, or one that the campaign names, is not the approved one", async () => {
    await approved();
    const { "bulkMail.accounts": accounts } = JSON.parse(loopbackSettings(evil.port, signsIn)) as Record<
      string,
      object
    >;
    const { "bulkMail.accounts": own } = JSON.parse(loopbackSettings(server.port, signsIn)) as Record<string, object>;
    const both = { ...own, evil: (accounts as Record<string, unknown>).local };
    await sandbox.write({
      [workspaceSettings]: JSON.stringify({ "bulkMail.accounts": both, "bulkMail.defaultAccount": "evil" }),
    });
    const send = ["send", "hello.mail.md", "--yes", "--again"];
    const byDefault = await sandbox.run(send, environment);
    await sandbox.write(smallCampaign(2, "account: evil\n"));
    const byCampaign = await sandbox.run(send, environment);
    for (const { code, stderr } of [byDefault, byCampaign]) {
      assert.equal(code, 2, stderr);
      assert.match(stderr, /Account evil .* was not used here before: 127\.0\.0\.1:/);
    }
    assert.equal(evil.connections, 0);
  });

  it("a workspace does not move the state directory, where approvals and records lie", async () => {
    const moved = path.join(sandbox.folder, "moved");
    await mkdir(moved);
    const settings = { ...(JSON.parse(loopbackSettings(server.port)) as object), "bulkMail.stateDirectory": moved };
    await sandbox.write({ [workspaceSettings]: JSON.stringify(settings) });
    const { code, stderr } = await sandbox.run([...words, "--approve"], { XDG_STATE_HOME: "" }, false);
    assert.equal(code, 0, stderr);
    assert.deepEqual(await readdir(moved), []);
  });

  it("who gets a copy is shown before anything is sent", async () => {
    await sandbox.write({
      ...smallCampaign(2, "bcc: eve@example.net\nreplyTo: eve@example.net\n"),
      [workspaceSettings]: loopbackSettings(server.port, signsIn),
    });
    const { code, stderr } = await sandbox.run(
      ["send", "hello.mail.md", "--account", "local", "--approve"],
      environment,
    );
    assert.equal(code, 2);
    assert.match(stderr, /cc, bcc +eve@example\.net/);
    assert.equal(server.accepted.length, 0);
  });

  describe("VS Code's proxy", () => {
    const through = { ...signsIn, proxy: "vscode" };
    const withProxy = (port: number, proxy: unknown): string =>
      JSON.stringify({ ...(JSON.parse(loopbackSettings(port, through)) as object), "http.proxy": proxy });

    it("is never what a workspace says", async () => {
      await sandbox.write({ [workspaceSettings]: withProxy(server.port, `http://127.0.0.1:${String(evil.port)}`) });
      const { code, stderr } = await sandbox.run([...words, "--approve"], environment);
      assert.equal(code, 2);
      assert.match(stderr, /which a workspace's own settings cannot name\. Name a settings file .* --settings/);
      assert.deepEqual([server.connections, evil.connections], [0, 0]);
    });

    it("is what the named file says, none when that is empty, and a question when it says nothing", async () => {
      const named = [...words, "--settings", "settings.json"];
      await sandbox.write({ "settings.json": loopbackSettings(server.port, through) });
      const silent = await sandbox.run(named, environment);
      assert.equal(silent.code, 2);
      assert.match(silent.stderr, /does not say which: add http\.proxy to it/);
      await sandbox.write({ "settings.json": withProxy(server.port, "https://ada:secret@proxy.example") });
      const wrong = await sandbox.run(named, environment);
      assert.equal(wrong.code, 2);
      assert.match(wrong.stderr, /reached by https:\/\//);
      assert.ok(!wrong.stderr.includes("secret"));
      assert.equal(server.connections, 0);
      await sandbox.write({ "settings.json": withProxy(server.port, "") });
      const none = await sandbox.run(named, environment);
      assert.equal(none.code, 0, none.stderr);
      await sandbox.write({ "settings.json": withProxy(server.port, `http://127.0.0.1:${String(evil.port)}`) });
      const changed = await sandbox.run([...named, "--again"], environment);
      assert.equal(changed.code, 2, changed.stderr);
      assert.match(changed.stderr, /now: .*proxy http:\/\/127\.0\.0\.1:\d+/);
      assert.equal(evil.connections, 0);
    });

    it("and its absence do not keep anybody from a check or a dry run", async () => {
      await sandbox.write({ [workspaceSettings]: loopbackSettings(server.port, through) });
      const checked = await sandbox.run(["check", "hello.mail.md"]);
      assert.equal(checked.code, 0, checked.stderr + checked.stdout);
      const dry = await sandbox.run(["send", "hello.mail.md", "--account", "local", "--dry-run", "out"]);
      assert.equal(dry.code, 0, dry.stderr);
    });
  });

  it("a proxy with a user needs its password from the environment before anything is connected (R20)", async () => {
    const more = { ...signsIn, proxy: `http://127.0.0.1:${String(evil.port)}`, proxyUser: "ada" };
    await sandbox.write({ "settings.json": loopbackSettings(server.port, more) });
    const named = [...words, "--settings", "settings.json"];
    const secrets = { BULK_MAIL_PASSWORD: password, BULK_MAIL_PROXY_PASSWORD: "" };
    // Loopback behind a proxy is the proxy's: what is not encrypted there is read by others, and naming it is not enough.
    const exposed = await sandbox.run(named, secrets);
    assert.equal(exposed.code, 2);
    assert.match(exposed.stderr, /repeat the command with --approve/);
    const { code, stderr } = await sandbox.run([...named, "--approve"], secrets);
    assert.equal(code, 2);
    assert.match(stderr, /BULK_MAIL_PROXY_PASSWORD/);
    assert.deepEqual([server.connections, evil.connections], [0, 0]);
  });

  describe("who wants the tokens of a sign-in with OAuth (R15, R16)", () => {
    const google = { provider: "gmail", transport: "gmailApi", user: "ada@gmail.com" };
    const microsoft = { provider: "outlook", user: "ada@outlook.com" };
    let interceptor: Interceptor;
    let mailed: number;
    beforeEach(async () => {
      mailed = 0;
      interceptor = await Interceptor.start();
      interceptor.play("evil.example", (_request, response) => answerJson(response, 200, {}));
    });
    afterEach(() => interceptor.close());

    const account = (more: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
      ...{ proxy: interceptor.proxy, tls: { caFile: "ca.pem" }, limits: { delay: 0 } },
      ...more,
    });

    /** Sends through the account that the settings name; `more` stands in the settings beside it, `file` in the sign-in's file. */
    async function sends(
      of: Readonly<Record<string, unknown>>,
      provider: SignInServer,
      more: Readonly<Record<string, unknown>> = {},
      file: Readonly<Record<string, unknown>> = {},
      environment: Readonly<Record<string, string>> = {},
    ): ReturnType<Sandbox["run"]> {
      provider.email = String(of.user);
      const settings = JSON.stringify({ ...more, "bulkMail.accounts": { local: account(of) } });
      await sandbox.write({ "ca.pem": interceptor.ca, [workspaceSettings]: settings });
      const { clientId: client_id, clientSecret: client_secret } =
        knownClient[of.provider === "gmail" ? "google" : "microsoft"];
      const token = path.join(sandbox.folder, "token.json");
      const signIn = { type: "authorized_user", client_id, client_secret, refresh_token: provider.grant(), ...file };
      await writeFile(token, JSON.stringify(signIn), { mode: 0o600 });
      return await sandbox.run([...words, "--approve"], { ...environment, BULK_MAIL_TOKEN_FILE: token });
    }

    const reached = (): readonly string[] => [...new Set(interceptor.connections)].sort();
    const everywhere = (keys: readonly string[], value: string): Readonly<Record<string, string>> =>
      Object.fromEntries(keys.map((key) => [key, value]));
    const settingsKeys = endpointKeys.flatMap((key) => [
      `bulkMail.${key}`,
      `bulkMail.oauth.${key}`,
      `bulkMail.gmail.${key}`,
    ]);

    async function withGoogle<T>(work: (provider: SignInServer) => Promise<T>): Promise<T> {
      const provider = await SignInServer.start(interceptor, "google");
      interceptor.play("gmail.googleapis.com", async (request, response) => {
        await bodyOf(request);
        mailed++;
        answerJson(response, 200, { id: "1" });
      });
      try {
        return await work(provider);
      } finally {
        await provider.close();
      }
    }

    it("names no other endpoint in a key of the account", async () => {
      await withGoogle(async (provider) => {
        for (const more of [
          { token_uri: evilUrl },
          { oauth: { tokenUrl: evilUrl } },
          everywhere(endpointKeys, evilUrl),
          { tls: { verify: false } },
          { tls: { servername: "evil.example", caFile: "ca.pem" } },
        ]) {
          const { code, stderr } = await sends({ ...google, ...more }, provider);
          assert.equal(code, 2, JSON.stringify(more));
          assert.match(stderr, /^local: /m);
        }
        assert.deepEqual([interceptor.connections, mailed], [[], 0]);
        // The API is where it is.
        const moved = { host: "evil.example", port: 8443, security: "none" };
        assert.equal((await sends({ ...google, ...moved }, provider)).code, 0);
        assert.deepEqual(reached(), ["gmail.googleapis.com:443", "oauth2.googleapis.com:443"]);
        const smtp = { ...google, transport: "smtp", auth: "oauth2", host: "evil.example" };
        assert.equal((await sends(smtp, provider)).code, 2);
        assert.deepEqual([reached().length, mailed], [2, 2]);
      });
    });

    it("names none for Google by settings, by the sign-in's file, or by the environment", async () => {
      const sent = await withGoogle((provider) =>
        sends(
          google,
          provider,
          everywhere(settingsKeys, evilUrl),
          everywhere(endpointKeys, evilUrl),
          everywhere(endpointVariables, "https://evil.example"),
        ),
      );
      assert.equal(sent.code, 0, `${sent.stdout}${sent.stderr}`);
      assert.equal(mailed, 2);
      assert.deepEqual(reached(), ["gmail.googleapis.com:443", "oauth2.googleapis.com:443"]);
    });

    it("names none for Microsoft either", async () => {
      const provider = await SignInServer.start(interceptor, "microsoft");
      const mails = playTokenMail(interceptor, "smtp-mail.outlook.com:587", microsoft.user, (token) =>
        provider.accessTokens.includes(token),
      );
      try {
        const sent = await sends(
          microsoft,
          provider,
          everywhere(settingsKeys, evilUrl),
          everywhere(endpointKeys, evilUrl),
          everywhere(endpointVariables, "https://evil.example"),
        );
        assert.equal(sent.code, 0, `${sent.stdout}${sent.stderr}`);
      } finally {
        await provider.close();
      }
      assert.equal(mails.received.length, 2);
      assert.deepEqual(reached(), ["login.microsoftonline.com:443", "smtp-mail.outlook.com:587"]);
    });
  });

  describe("a server, or somebody on the way to it", () => {
    const named = [...words, "--settings", "settings.json"];

    async function send(
      extensions: readonly string[],
      more: Readonly<Record<string, unknown>>,
      script?: Parameters<typeof ScriptedSmtp.start>[0],
    ): Promise<{ code: number | null; stdout: string }> {
      await server.close();
      server = await ScriptedSmtp.start(script, [...extensions]);
      await sandbox.write({ "settings.json": loopbackSettings(server.port, { ...signsIn, ...more }) });
      const { code, stdout } = await sandbox.run(named, environment);
      assert.ok(server.connections > 0, stdout);
      assert.deepEqual(server.accepted, []);
      assert.ok(!server.lines.some((line) => /^(?:MAIL|RCPT|DATA)/i.test(line)), server.lines.join("\n"));
      return { code, stdout };
    }

    it("that strips STARTTLS sees no password, though it offers to take one (R11)", async () => {
      const { code, stdout } = await send(["AUTH PLAIN LOGIN", "PIPELINING"], { security: "starttls" });
      assert.equal(code, 3, stdout);
      assert.ok(!sawPassword(server), server.lines.join("\n"));
      assert.ok(!server.lines.some((line) => line.startsWith("AUTH")), server.lines.join("\n"));
    });

    it("that offers STARTTLS and then refuses it sees no password (R11)", async () => {
      const { code, stdout } = await send(["STARTTLS", "AUTH PLAIN LOGIN"], { security: "starttls" });
      assert.notEqual(code, 0, stdout);
      assert.ok(server.lines.includes("STARTTLS"), server.lines.join("\n"));
      assert.ok(!sawPassword(server) && !server.lines.some((line) => line.startsWith("AUTH")), server.lines.join("\n"));
    });

    it("that speaks plain text where TLS is due sees no password (R11)", async () => {
      const { code, stdout } = await send(["AUTH PLAIN LOGIN"], { security: "tls" });
      assert.notEqual(code, 0, stdout);
      assert.ok(!sawPassword(server));
    });

    it("that does not offer AUTH gets no mail without sign-in (R37)", async () => {
      const { code, stdout } = await send(["PIPELINING"], {});
      assert.equal(code, 3, stdout);
      assert.ok(!sawPassword(server), "what was not asked for is not told");
    });

    it("that refuses the sign-in gets no mail without one (R37)", async () => {
      const refuse: Parameters<typeof ScriptedSmtp.start>[0] = ({ command }) =>
        command === "AUTH" ? { reply: "535 5.7.8 no" } : undefined;
      const { code, stdout } = await send(["AUTH PLAIN"], {}, refuse);
      assert.equal(code, 3, stdout);
    });
  });
});

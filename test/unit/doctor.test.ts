import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import type { OutcomeClass } from "../../src/mail/classify";
import type { Diagnosis, DoctorStep, DoctorStepName } from "../../src/mail/diagnosis";
import { formatDiagnosis } from "../../src/mail/diagnosis";
import { diagnose, type DoctorOptions } from "../../src/mail/doctor";
import { loopbackAccount } from "../fakes/accounts";
import { authorityFile, MailServer } from "../fakes/mailServer";
import { HttpProxy, SocksProxy } from "../fakes/proxies";
import { ScriptedSmtp, type Script } from "../fakes/scriptedSmtp";
import { silentPort } from "../fakes/silentPort";
import { FakeTokens, revoked, tokenServer } from "../fakes/tokens";

const user = "ada@example.com";
const never = new AbortController().signal;
/** A port where nothing listens any more. */
async function refusedPort(): Promise<number> {
  const server = await ScriptedSmtp.start();
  const { port } = server;
  await server.close();
  return port;
}

/** DNS as a domain with everything in place answers. */
const goodDns = {
  resolveTxt: (name: string) => Promise.resolve([[name.startsWith("_dmarc.") ? "v=DMARC1; p=none" : "v=spf1 -all"]]),
};

type Fields = Readonly<Record<string, unknown>>;

describe("the doctor (R37-R42): each failure ends in its step, class, sentence and fix", () => {
  let folder: string;
  const closing: (() => Promise<unknown>)[] = [];
  before(() => (folder = mkdtempSync(path.join(tmpdir(), "doctor-"))));
  after(() => rmSync(folder, { recursive: true }));
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  const owned = <T extends { close(): Promise<unknown> }>(server: T): T => {
    closing.push(() => server.close());
    return server;
  };
  const scripted = async (script?: Script, extensions?: string[]): Promise<ScriptedSmtp> =>
    owned(await ScriptedSmtp.start(script, extensions));
  const mailServer = async (refusal?: string, more?: Parameters<typeof MailServer.start>[4]): Promise<MailServer> =>
    owned(await MailServer.start(user, "right", undefined, refusal, more));

  async function examine(port: number, fields: Fields = {}, more: Partial<DoctorOptions> = {}): Promise<Diagnosis> {
    return await diagnose(loopbackAccount(port, fields), {
      root: folder,
      caSha256: undefined,
      credentials: { password: "right" },
      signal: never,
      onStep: () => {},
      resolver: goodDns,
      ports: [],
      ...more,
    });
  }

  /** Fields of an account that trusts the fixtures' authority, by a CA file as a person names it. */
  function trusting(of: "server" | "expired" = "server"): [Fields, Partial<DoctorOptions>] {
    const caFile = `${of}-ca.pem`;
    copyFileSync(authorityFile(of), path.join(folder, caFile));
    const caSha256 = createHash("sha256")
      .update(readFileSync(authorityFile(of)))
      .digest("hex");
    return [
      { host: "localhost", security: "starttls", auth: "password", user, tls: { caFile } },
      { root: folder, caSha256 },
    ];
  }

  function failed(diagnosis: Diagnosis, name: DoctorStepName, outcome: OutcomeClass): DoctorStep {
    assert.equal(diagnosis.ok, false, formatDiagnosis(diagnosis));
    assert.equal(diagnosis.failure?.class, outcome, formatDiagnosis(diagnosis));
    const steps = diagnosis.steps.filter(({ state }) => state === "failed");
    assert.deepEqual(
      steps.map((step) => step.name),
      [name],
      formatDiagnosis(diagnosis),
    );
    const [step] = steps;
    assert.ok(step !== undefined);
    return step;
  }

  const titles = (step: DoctorStep): string[] => step.fixes.map(({ title }) => title);
  const stepOf = ({ steps }: Diagnosis, name: DoctorStepName): DoctorStep => {
    const found = steps.find((step) => step.name === name);
    assert.ok(found !== undefined);
    return found;
  };

  it("walks every step of a good server, shows what it saw, sends nothing (R3, R18, R39)", async () => {
    const server = await mailServer();
    const [fields, more] = trusting();
    const told: string[] = [];
    const diagnosis = await examine(server.port, fields, { ...more, onStep: ({ name }) => told.push(name) });
    assert.equal(diagnosis.ok, true, formatDiagnosis(diagnosis));
    const seen = (name: DoctorStepName): string => stepOf(diagnosis, name).seen;
    assert.match(seen("dns"), /127\.0\.0\.1/);
    assert.match(seen("tcp"), new RegExp(`port ${String(server.port)}`));
    assert.match(seen("greeting"), /^220/);
    assert.match(seen("ehlo"), /AUTH/);
    assert.match(
      seen("certificate"),
      /for localhost, 127\.0\.0\.1; issued by .*; valid from 2026-\d\d-\d\d to 2126-.*TLSv1/,
    );
    assert.match(seen("auth"), /^235/);
    assert.match(seen("sender"), /ada@example\.com: 250/);
    assert.match(seen("domain"), /SPF found, DMARC found/);
    assert.ok(told.includes("auth") && told.includes("domain"));
    assert.deepEqual(server.received, []);
    assert.equal(server.signIns.length, 1);
  });

  it("sends a test mail to oneself when asked (R55)", async () => {
    const server = await mailServer();
    const [fields, more] = trusting();
    const diagnosis = await examine(server.port, fields, { ...more, sendTo: { name: "", address: user } });
    assert.equal(stepOf(diagnosis, "mail").state, "ok", formatDiagnosis(diagnosis));
    await server.until(1);
    assert.deepEqual(server.received[0]?.to, [user]);
    assert.ok(!diagnosis.transcript.includes(`RCPT TO:<${user}`));
  });

  it("no form of the password stands in the transcript, even when the server repeats it", async () => {
    const secret = Buffer.from(`\0${user}\0right`).toString("base64");
    const server = await scripted(
      ({ command }) => (command === "AUTH" ? { reply: `535 5.7.8 no: ${secret} right` } : undefined),
      ["AUTH PLAIN"],
    );
    const diagnosis = await examine(server.port, { auth: "password", user });
    assert.match(diagnosis.transcript, /C: AUTH PLAIN/);
    const all = JSON.stringify(diagnosis);
    assert.ok(!all.includes(secret) && !/\bright\b/.test(all), all);
  });

  describe("signing in (R37)", () => {
    for (const [who, provider, reply, text, fix] of [
      [
        "Gmail's wrong password",
        "gmail",
        "535-5.7.8 Username and Password not accepted.\r\n535 5.7.8 See the help pages.",
        /refused the user name or the password/,
        "Create an app password",
      ],
      [
        "Yahoo's wrong password",
        "yahoo",
        "535 5.7.0 (#AUTH005) Too many bad auth attempts.",
        /refused the user name or the password/,
        "Create an app password",
      ],
      [
        "a needed app password",
        "gmail",
        "534-5.7.9 Application-specific password required.\r\n534 5.7.9 See the help pages.",
        /wants an app password/,
        "Create an app password",
      ],
      [
        "Outlook's retired passwords",
        "outlook",
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        /no longer lets this account sign in with a password/,
        "What Outlook.com, Hotmail, Live asks for",
      ],
    ] as const)
      it(`names ${who}`, async () => {
        const server = await scripted(
          ({ command }) => (command === "AUTH" ? { reply } : undefined),
          ["AUTH PLAIN LOGIN"],
        );
        const diagnosis = await examine(server.port, { provider, auth: "password", user });
        const step = failed(diagnosis, "auth", "account");
        assert.equal(diagnosis.failure?.class, "account");
        assert.match(step.text, text);
        assert.ok(titles(step).includes(fix), titles(step).join());
        assert.ok(titles(step).includes("Enter the password again"));
        assert.equal(
          server.lines.filter((line) => line.startsWith("AUTH")).length,
          1,
          "a refused password is tried once",
        );
      });

    it("names a server that offers no sign-in, and sends nothing without one", async () => {
      const server = await scripted();
      const step = failed(await examine(server.port, { auth: "password", user }), "auth", "account");
      assert.match(step.text, /offers no sign-in/);
      assert.deepEqual(titles(step), ["Check port and encryption"]);
      assert.ok(!server.lines.some((line) => /^(?:AUTH|MAIL)/.test(line)));
    });

    it("names a refused sender", async () => {
      const server = await scripted(({ command }) =>
        command === "MAIL" ? { reply: "553 5.7.1 not yours" } : undefined,
      );
      const step = failed(await examine(server.port), "sender", "account");
      assert.match(step.text, /does not let this account send from this address/);
      assert.deepEqual(titles(step), ["Change the sender"]);
    });
  });

  describe("signing in with an access token (R6, R37)", () => {
    const offer = ["AUTH XOAUTH2"];
    const gmail = { provider: "gmail", auth: "oauth2", user };

    it("asks for a token once the server offers to take one, and says nothing of it", async () => {
      const tokens = new FakeTokens("ya29.secret-token");
      const server = await scripted(
        tokenServer(user, () => true),
        offer,
      );
      const diagnosis = await examine(server.port, gmail, { accessTokens: tokens.get });
      assert.equal(diagnosis.ok, true, formatDiagnosis(diagnosis));
      assert.match(stepOf(diagnosis, "auth").seen, /^235/);
      assert.match(diagnosis.transcript, /# got an access token\nC: AUTH XOAUTH2 \/\* secret \*\/\nS: 235/);
      assert.doesNotMatch(JSON.stringify(diagnosis), /ya29/);
    });

    it("names a sign-in that has ended, by the server's challenge, and offers another one", async () => {
      const tokens = new FakeTokens("old");
      const server = await scripted(
        tokenServer(user, () => false),
        offer,
      );
      const diagnosis = await examine(server.port, gmail, { accessTokens: tokens.get });
      const step = failed(diagnosis, "auth", "account");
      assert.match(step.text, /refused the sign-in.*Sign in again/);
      assert.match(step.seen, /^535 .*\(status 400, schemes Bearer, scope https:\/\/mail\.google\.com\/\)$/);
      assert.deepEqual(step.fixes, [{ kind: "signIn", title: "Sign in with Google" }]);
      assert.match(diagnosis.transcript, /S: 334 \(status 400/);
      assert.match(diagnosis.transcript, /# got another access token/);
      assert.equal(server.lines.filter((line) => line.startsWith("AUTH")).length, 2);
    });

    for (const [name, accessTokens] of [
      ["nobody is signed in", undefined],
      ["the sign-in was taken back", () => Promise.resolve(revoked)],
    ] as const)
      it(`offers to sign in where ${name}, once the way there is known to work`, async () => {
        const server = await scripted(undefined, offer);
        const fields = { ...gmail, provider: "outlook" };
        const diagnosis = await examine(server.port, fields, { ...(accessTokens !== undefined && { accessTokens }) });
        const step = failed(diagnosis, "auth", "account");
        assert.deepEqual(titles(step), ["Sign in with Microsoft"]);
        assert.equal(stepOf(diagnosis, "ehlo").state, "ok");
      });

    it("takes what stands between us and the provider's tokens for no trouble of the mail server", async () => {
      const server = await scripted(undefined, offer);
      const failure = { class: "offline", stage: "connect", text: "No answer.", systemCode: "ENOTFOUND" } as const;
      const accessTokens = () => Promise.resolve({ ok: false as const, failure });
      const diagnosis = await examine(server.port, gmail, { accessTokens });
      assert.deepEqual(titles(failed(diagnosis, "auth", "offline")), ["Set a proxy"]);
      assert.equal(stepOf(diagnosis, "tcp").state, "ok");
    });

    it("names a server that takes no tokens, and a mailbox whose SMTP is switched off", async () => {
      const tokens = new FakeTokens("good");
      const passwords = await scripted(undefined, ["AUTH PLAIN LOGIN"]);
      const none = failed(await examine(passwords.port, gmail, { accessTokens: tokens.get }), "auth", "account");
      assert.match(none.text, /XOAUTH2.*was not sent/);
      assert.deepEqual([titles(none), tokens.asked], [["Check port and encryption"], []]);
      const reply = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.";
      const off = await scripted(({ command }) => (command === "AUTH" ? { reply } : undefined), offer);
      const fields = { ...gmail, provider: "microsoft365" };
      const step = failed(await examine(off.port, fields, { accessTokens: tokens.get }), "auth", "account");
      assert.match(step.text, /switched off/);
      assert.deepEqual(titles(step), ["What Microsoft 365 (work or school) asks for"]);
    });

    it("offers the browser to whose password is not taken any more", async () => {
      const server = await scripted(undefined, offer);
      const step = failed(await examine(server.port, { ...gmail, auth: "password" }), "auth", "account");
      assert.match(step.text, /takes no passwords/);
      assert.deepEqual(step.fixes[0], {
        kind: "set",
        title: "Sign in with Google instead",
        values: { auth: "oauth2" },
      });
    });

    it("offers no other host and no other name: tokens go to the provider's own server only", async () => {
      const lookup = (): Promise<never> => Promise.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" }));
      const fields = { ...gmail, host: "smtp.gmail.com" };
      assert.deepEqual(titles(failed(await examine(587, fields, { lookup }), "dns", "offline")), ["Set a proxy"]);
      assert.deepEqual(titles(failed(await examine(await refusedPort(), gmail), "tcp", "offline")), ["Set a proxy"]);
      const server = await mailServer();
      const lookupHere = () => Promise.resolve([{ address: "127.0.0.1", family: 4 as const }]);
      const [trust, more] = trusting();
      const another = { ...gmail, host: "smtp.gmail.com", security: "starttls", tls: trust.tls };
      const step = failed(
        await examine(server.port, another, { ...more, lookup: lookupHere }),
        "certificate",
        "account",
      );
      assert.match(step.text, /for another name/);
      assert.deepEqual(step.fixes, []);
    });
  });

  it("notices a sign-in that takes several lines", async () => {
    const script: Script = ({ command, line }) => {
      if (command === "AUTH") return { reply: "334 VXNlcm5hbWU6" };
      if (command !== "answer") return undefined;
      return line === Buffer.from(user).toString("base64") ? { reply: "334 UGFzc3dvcmQ6" } : { reply: "235 2.7.0 ok" };
    };
    const server = await scripted(script, ["AUTH LOGIN"]);
    const diagnosis = await examine(server.port, { auth: "password", user });
    assert.equal(stepOf(diagnosis, "auth").state, "ok", formatDiagnosis(diagnosis));
  });

  describe("encryption (R11-R14, R39)", () => {
    it("offers a sign-in, not another sender, to who has not signed in", async () => {
      const server = await scripted(({ command }) =>
        command === "MAIL" ? { reply: "530 5.7.0 authentication required" } : undefined,
      );
      assert.deepEqual(titles(failed(await examine(server.port), "sender", "account")), ["Set a sign-in"]);
      const busy = await scripted(({ command }) => (command === "MAIL" ? { reply: "451 4.7.1 later" } : undefined));
      assert.deepEqual(titles(failed(await examine(busy.port), "sender", "throttled")), []);
    });

    it("names STARTTLS that is not offered and shows no password", async () => {
      const server = await scripted(undefined, ["AUTH PLAIN"]);
      const step = failed(
        await examine(server.port, { security: "starttls", auth: "password", user }),
        "starttls",
        "account",
      );
      assert.match(step.text, /offers no encryption on this port/);
      assert.ok(!server.lines.some((line) => line.startsWith("AUTH")));
    });

    it("mends TLS on a STARTTLS port by one click", async () => {
      const server = await mailServer();
      const [fields, more] = trusting();
      const step = failed(await examine(server.port, { ...fields, security: "tls" }, more), "starttls", "account");
      assert.match(step.text, /does not speak TLS from the start/);
      assert.deepEqual(step.fixes[0], {
        kind: "set",
        title: `Use STARTTLS on port ${String(server.port)}`,
        values: { security: "starttls" },
      });
    });

    it("mends STARTTLS on a TLS port by one click", async () => {
      const server = await mailServer(undefined, { secure: true });
      const [fields, more] = trusting();
      const timeouts = { greeting: 300 };
      const step = failed(await examine(server.port, { ...fields, timeouts }, more), "greeting", "offline");
      assert.match(step.text, /expects TLS from the start/);
      assert.deepEqual(step.fixes, [
        { kind: "set", title: `Use TLS on port ${String(server.port)}`, values: { security: "tls" } },
      ]);
    });

    it("names a certificate that only itself has signed, and says what it shows", async () => {
      const server = await mailServer(undefined, { certificate: "selfsigned" });
      const [fields] = trusting();
      const step = failed(await examine(server.port, { ...fields, tls: {} }), "certificate", "account");
      assert.match(step.text, /not signed by an authority that this machine trusts/);
      assert.match(step.seen, /signed by itself/);
      assert.deepEqual(titles(step), ["Trust this CA file…"]);
      assert.deepEqual(server.signIns, []);
    });

    it("names an unknown authority; with its CA file all is well (R13)", async () => {
      const server = await mailServer();
      const [fields, more] = trusting();
      assert.deepEqual(titles(failed(await examine(server.port, { ...fields, tls: {} }), "certificate", "account")), [
        "Trust this CA file…",
      ]);
      assert.equal((await examine(server.port, fields, more)).ok, true);
    });

    it("names an expired certificate, its dates and the clock (R19)", async () => {
      const server = await mailServer(undefined, { certificate: "expired" });
      const [fields, more] = trusting("expired");
      const step = failed(await examine(server.port, fields, more), "certificate", "account");
      assert.match(step.text, /not valid today.*machine's date/);
      assert.match(step.seen, /to 2021-01-01/);
    });

    it("names a certificate for another name; its name is never taken over by a click (R14)", async () => {
      const server = await mailServer();
      const [fields, more] = trusting();
      const tls = { caFile: "server-ca.pem", servername: "mail.example.com" };
      const step = failed(await examine(server.port, { ...fields, tls }, more), "certificate", "account");
      assert.match(step.text, /for another name/);
      assert.match(step.seen, /for localhost/);
      assert.ok(step.fixes.every(({ kind }) => kind === "field"));
    });

    it("names a server that only speaks TLS 1.0", async () => {
      const server = await mailServer(undefined, { old: true });
      const [fields, more] = trusting();
      const step = failed(await examine(server.port, fields, more), "starttls", "account");
      assert.match(step.text, /no TLS version that the account allows/);
      assert.deepEqual(server.signIns, []);
    });

    it("offers TLS 1.2 where only the account's own minimum stands in the way", async () => {
      const server = await mailServer(undefined, { newest: "TLSv1.2" });
      const [fields, more] = trusting();
      const tls = { caFile: "server-ca.pem", minVersion: "TLSv1.3" };
      const step = failed(await examine(server.port, { ...fields, tls }, more), "starttls", "account");
      assert.match(step.text, /no TLS version that the account allows/);
      assert.deepEqual(step.fixes, [{ kind: "set", title: "Allow TLS 1.2", values: { "tls.minVersion": "TLSv1.2" } }]);
      assert.deepEqual(server.signIns, []);
    });

    it("warns while the certificate is not checked (R12)", async () => {
      const server = await mailServer();
      const [fields] = trusting();
      const diagnosis = await examine(server.port, { ...fields, tls: { verify: false } });
      assert.equal(stepOf(diagnosis, "certificate").state, "warning");
      assert.equal(diagnosis.ok, true);
    });

    it("notices this machine's wrong clock by the server's greeting (R19)", async () => {
      const server = await scripted(({ command }) =>
        command === "connect" ? { reply: "220 mx.example.com ESMTP; Tue, 24 Nov 2020 10:00:00 +0000" } : undefined,
      );
      const step = stepOf(await examine(server.port), "greeting");
      assert.equal(step.state, "warning");
      assert.match(step.text, /clock is \d+ minutes ahead/);
    });
  });

  describe("the network (R17, R18, R38, R42)", () => {
    it("names a port where nothing listens, and the ports that do answer", async () => {
      const refused = await refusedPort();
      const other = await scripted();
      const ports = [{ port: other.port, security: "starttls" as const }];
      const step = failed(await examine(refused, {}, { ports }), "tcp", "offline");
      assert.match(step.text, /Nothing answers at this host and port.*does answer on port/);
      assert.deepEqual(step.fixes, [
        { kind: "set", title: `Use port ${String(other.port)} with STARTTLS`, values: ports[0] },
      ]);
    });

    it("names a block when none of the mail ports answers (R42)", async () => {
      const refused = await refusedPort();
      const ports = [{ port: await refusedPort(), security: "tls" as const }];
      const step = failed(await examine(refused, {}, { ports }), "tcp", "offline");
      assert.match(step.text, /firewall or the internet provider blocks mail/);
      assert.deepEqual(titles(step), ["Correct host and port", "Set a proxy"]);
    });

    it("names a port that swallows everything (R28)", async function () {
      if (process.platform === "win32") this.skip();
      const silent = owned(await silentPort(folder));
      const step = failed(await examine(silent.port, { timeouts: { connection: 300 } }), "tcp", "offline");
      assert.match(step.text, /did not answer in time/);
    });

    it("names a server that connects and says nothing (R28)", async () => {
      const server = await scripted(({ command }) => (command === "connect" ? { end: "hang" } : undefined));
      const step = failed(await examine(server.port, { timeouts: { greeting: 200 } }), "greeting", "offline");
      assert.match(step.text, /did not answer in time/);
    });

    it("names a silent server the same way where TLS is due, and the ports that answer", async () => {
      const server = await scripted(({ command }) => (command === "connect" ? { end: "hang" } : undefined));
      const other = await scripted();
      const ports = [{ port: other.port, security: "starttls" as const }];
      const fields = { security: "tls", timeouts: { greeting: 200, connection: 200 } };
      const step = failed(await examine(server.port, fields, { ports }), "greeting", "offline");
      assert.match(step.text, /did not answer in time.*does answer on port/);
      assert.deepEqual(titles(step), [`Use port ${String(other.port)} with STARTTLS`]);
    });

    it("goes to nobody's other ports when the server has spoken", async () => {
      const server = await scripted(({ command }) =>
        command === "connect" ? { reply: "421 4.7.0 too many connections", close: true } : undefined,
      );
      const other = await scripted();
      failed(
        await examine(server.port, {}, { ports: [{ port: other.port, security: "starttls" }] }),
        "greeting",
        "throttled",
      );
      assert.equal(other.connections, 0);
      assert.equal(server.connections, 1);
    });

    it("names a host that DNS does not know (R40)", async () => {
      const lookup = (): Promise<never> => Promise.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" }));
      const step = failed(await examine(25, { host: "mail.example.com" }, { lookup }), "dns", "offline");
      assert.match(step.text, /name is not known/);
      assert.equal(titles(step)[0], "Correct the host name");
      failed(await examine(25, { host: "no-such-host.invalid" }), "dns", "offline");
      const silent = (): Promise<never> => new Promise<never>(() => {});
      const slow = { host: "mail.example.com", timeouts: { dns: 50 } };
      assert.match(
        failed(await examine(25, slow, { lookup: silent }), "dns", "offline").text,
        /could not be looked up/,
      );
    });

    it("gets through on IPv4 where IPv6 is dead (R18)", async () => {
      const server = await scripted();
      const lookup = () =>
        Promise.resolve([
          { address: "::1", family: 6 as const },
          { address: "127.0.0.1", family: 4 as const },
        ]);
      const diagnosis = await examine(server.port, { host: "mail.example.com" }, { lookup });
      assert.equal(diagnosis.ok, true, formatDiagnosis(diagnosis));
      assert.match(stepOf(diagnosis, "dns").seen, /::1/);
      assert.match(stepOf(diagnosis, "tcp").seen, /127\.0\.0\.1/);
    });

    for (const [reply, type, text] of [
      ["421 4.7.0 try again later", "throttled", /asks to slow down/],
      ["554 5.7.1 your network is listed", "account", /refuses this connection/],
    ] as const)
      it(`names the greeting ${reply}`, async () => {
        const server = await scripted(({ command }) => (command === "connect" ? { reply, close: true } : undefined));
        const diagnosis = await examine(server.port);
        const step = failed(diagnosis, "greeting", type);
        assert.equal(diagnosis.failure?.class, type);
        assert.match(step.text, text);
        assert.match(step.seen, new RegExp(reply.slice(0, 9)));
      });

    it("ends at once when it is cancelled", async () => {
      const server = await scripted(({ command }) => (command === "connect" ? { end: "hang" } : undefined));
      const cancelled = new AbortController();
      const work = examine(server.port, {}, { signal: cancelled.signal });
      await server.until(() => server.connections === 1);
      cancelled.abort();
      await assert.rejects(work, { name: "AbortError" });
    });
  });

  describe("the proxy (R20, R41)", () => {
    it("names a proxy that is down", async () => {
      const proxy = await HttpProxy.start();
      await proxy.close();
      const server = await scripted();
      const step = failed(
        await examine(server.port, { proxy: `http://127.0.0.1:${String(proxy.port)}` }),
        "proxy",
        "offline",
      );
      assert.match(step.text, /proxy does not answer/);
      assert.ok(titles(step).includes("Connect without a proxy"));
      assert.equal(server.connections, 0);
    });

    it("names a proxy that wants another password (407)", async () => {
      const proxy = owned(await HttpProxy.start({ user: "p", password: "right" }));
      const server = await scripted();
      const fields = { proxy: `http://127.0.0.1:${String(proxy.port)}`, proxyUser: "p" };
      const step = failed(
        await examine(server.port, fields, { credentials: { proxyPassword: "wrong" } }),
        "proxy",
        "account",
      );
      assert.match(step.text, /proxy refused its user name or password/);
      assert.ok(titles(step).includes("Enter the proxy's password again"));
    });

    it("goes through HTTP CONNECT, and through SOCKS5 with a password", async () => {
      const server = await scripted();
      const credentials = { proxyPassword: "right" };
      const http = owned(await HttpProxy.start({ user: "p", password: "right" }));
      const socks = owned(await SocksProxy.start({ user: "p", password: "right" }));
      for (const proxy of [`http://127.0.0.1:${String(http.port)}`, `socks5://127.0.0.1:${String(socks.port)}`]) {
        const diagnosis = await examine(server.port, { proxy, proxyUser: "p" }, { credentials });
        assert.equal(diagnosis.ok, true, formatDiagnosis(diagnosis));
        assert.equal(stepOf(diagnosis, "proxy").state, "ok");
      }
      assert.equal(server.connections, 2);
    });
  });

  describe("the sender's domain", () => {
    it("says what is missing, and keeps quiet when DNS does not answer", async () => {
      const server = await scripted();
      const answer = (code: string) => ({
        resolveTxt: () => Promise.reject(Object.assign(new Error(code), { code })),
      });
      const none = stepOf(await examine(server.port, {}, { resolver: answer("ENOTFOUND") }), "domain");
      assert.equal(none.state, "warning");
      assert.match(none.text, /no SPF and no DMARC record/);
      assert.equal(stepOf(await examine(server.port, {}, { resolver: answer("ETIMEOUT") }), "domain").state, "skipped");
    });
  });
});

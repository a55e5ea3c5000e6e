import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { createSecureContext, TLSSocket } from "node:tls";
import { simpleParser } from "mailparser";
import { formatDiagnosis, type Diagnosis, type DoctorStep, type DoctorStepName } from "../../src/mail/diagnosis";
import { diagnose, type DoctorOptions } from "../../src/mail/doctor";
import { answerJson, bodyOf, Interceptor, type RequestHandler } from "../fakes/interceptor";
import { authorityFile } from "../fakes/mailServer";
import { oauthAccount } from "../fakes/oauthAccounts";
import { FakeTokens, revoked } from "../fakes/tokens";
import { repositoryRoot } from "../host/repo";

const host = "gmail.googleapis.com";
const never = new AbortController().signal;
const goodDns = {
  resolveTxt: (name: string) => Promise.resolve([[name.startsWith("_dmarc.") ? "v=DMARC1; p=none" : "v=spf1 -all"]]),
};

describe("the doctor on the way to the Gmail API (R1, R37-R41)", () => {
  let folder: string;
  let google: Interceptor;
  /** Messages that were taken, as they came. */
  let taken: string[];
  const caFile = "authority.pem";

  before(() => (folder = mkdtempSync(path.join(tmpdir(), "doctor-gmail-"))));
  after(() => rmSync(folder, { recursive: true }));
  beforeEach(async () => {
    google = await Interceptor.start();
    taken = [];
    copyFileSync(google.caFile, path.join(folder, caFile));
  });
  afterEach(() => google.close());

  /** Takes a message with this token, as the API does. */
  const api =
    (isGood: (authorization: string) => boolean): RequestHandler =>
    async (request: IncomingMessage, response: ServerResponse) => {
      const body = await bodyOf(request);
      if (!isGood(request.headers.authorization ?? "")) {
        answerJson(response, 401, { error: { code: 401, status: "UNAUTHENTICATED", message: "Invalid" } });
        return;
      }
      const { raw } = JSON.parse(body.toString()) as { readonly raw: string };
      taken.push(Buffer.from(raw, "base64url").toString());
      answerJson(response, 200, { id: "18c0ffee" });
    };

  async function examine(
    fields: Readonly<Record<string, unknown>> = {},
    more: Partial<DoctorOptions> = {},
  ): Promise<Diagnosis> {
    const account = oauthAccount(google, "gmailApi", { from: "Ada <ada@gmail.com>", tls: { caFile }, ...fields });
    return await diagnose(account, {
      root: folder,
      caSha256: createHash("sha256").update(google.ca).digest("hex"),
      credentials: {},
      accessTokens: new FakeTokens("ya29.secret-token").get,
      signal: never,
      onStep: () => {},
      resolver: goodDns,
      ...more,
    });
  }

  function stepOf(diagnosis: Diagnosis, name: DoctorStepName): DoctorStep {
    const found = diagnosis.steps.find((step) => step.name === name);
    assert.ok(found !== undefined);
    return found;
  }

  function failed(diagnosis: Diagnosis, name: DoctorStepName): DoctorStep {
    assert.equal(diagnosis.ok, false, formatDiagnosis(diagnosis));
    const names = diagnosis.steps.filter(({ state }) => state === "failed").map((step) => step.name);
    assert.deepEqual(names, [name], formatDiagnosis(diagnosis));
    return stepOf(diagnosis, name);
  }

  const to = { name: "", address: "ada@gmail.com" };

  it("walks every step, sends nothing, and asks Gmail nothing", async () => {
    google.play(
      host,
      api(() => true),
    );
    const told: string[] = [];
    const diagnosis = await examine({}, { onStep: ({ name }) => told.push(name) });
    assert.equal(diagnosis.ok, true, formatDiagnosis(diagnosis));
    assert.deepEqual(told, ["tcp", "proxy", "certificate", "auth", "sender", "domain"]);
    assert.match(stepOf(diagnosis, "certificate").seen, /gmail\.googleapis\.com/);
    assert.match(stepOf(diagnosis, "sender").seen, /the account's own address/);
    assert.match(stepOf(diagnosis, "domain").seen, /SPF found/);
    assert.deepEqual(google.requests, []);
    assert.deepEqual(google.connections, [`${host}:443`]);
  });

  it("sends a test mail to oneself when asked; the transcript tells neither token nor recipient (R15, R55)", async () => {
    google.play(
      host,
      api((authorization) => authorization === "Bearer ya29.secret-token"),
    );
    const diagnosis = await examine({}, { sendTo: to });
    assert.equal(stepOf(diagnosis, "mail").state, "ok", formatDiagnosis(diagnosis));
    assert.equal((await simpleParser(taken[0] ?? "")).subject, "Test of your mail account");
    assert.match(diagnosis.transcript, /\nPOST gmail\.googleapis\.com\/gmail\/v1\/users\/me\/messages\/send: 200$/);
    assert.doesNotMatch(JSON.stringify(diagnosis), /ya29|Bearer/);
    assert.doesNotMatch(diagnosis.transcript, /ada@/);
  });

  it("warns of a sender that Gmail replaces", async () => {
    google.play(
      host,
      api(() => true),
    );
    const diagnosis = await examine({ from: "news@example.com" });
    const step = stepOf(diagnosis, "sender");
    assert.equal(step.state, "warning");
    assert.match(step.text, /“ada@gmail\.com” in place of “news@example\.com”/);
    assert.equal(stepOf(await examine({ from: "ADA@gmail.com" }), "sender").state, "ok");
  });

  for (const [name, accessTokens] of [
    ["nobody is signed in", undefined],
    ["the sign-in was taken back", () => Promise.resolve(revoked)],
  ] as const)
    it(`offers to sign in where ${name}`, async () => {
      google.play(
        host,
        api(() => true),
      );
      const diagnosis = await examine({}, { accessTokens });
      assert.deepEqual(failed(diagnosis, "auth").fixes, [{ kind: "signIn", title: "Sign in with Google" }]);
      assert.equal(stepOf(diagnosis, "certificate").state, "ok");
    });

  it("offers to sign in where Gmail takes the tokens for no good, the other one too", async () => {
    google.play(
      host,
      api(() => false),
    );
    const tokens = new FakeTokens("old");
    const diagnosis = await examine({}, { accessTokens: tokens.get, sendTo: to });
    assert.deepEqual(
      failed(diagnosis, "auth").fixes.map(({ kind }) => kind),
      ["signIn"],
    );
    assert.equal(tokens.renewals, 1);
    assert.equal(diagnosis.transcript.match(/send: 401/g)?.length, 2);
  });

  it("names an API that is switched off at the mail that was refused for it", async () => {
    google.play(host, (_request, response) =>
      answerJson(response, 403, {
        error: {
          ...{ code: 403, status: "PERMISSION_DENIED", message: "Gmail API has not been used in project 1 before" },
          errors: [{ reason: "accessNotConfigured", message: "off", domain: "usageLimits" }],
        },
      }),
    );
    assert.match(failed(await examine({}, { sendTo: to }), "mail").text, /switched off in your Google Cloud project/);
  });

  it("takes what stands between us and the tokens for no trouble of Gmail's", async () => {
    google.play(
      host,
      api(() => true),
    );
    const failure = { class: "offline", stage: "connect", text: "No answer.", systemCode: "EPROXYTARGET" } as const;
    const diagnosis = await examine({}, { accessTokens: () => Promise.resolve({ ok: false, failure }) });
    assert.match(failed(diagnosis, "auth").text, /No answer/);
  });

  it("names a certificate of nobody known, and what it shows; no port is probed (R13)", async () => {
    google.play(
      host,
      api(() => true),
    );
    const diagnosis = await examine({ tls: {} }, { caSha256: undefined });
    const step = failed(diagnosis, "certificate");
    assert.match(step.text, /company looks into encrypted connections/);
    assert.match(step.seen, /for .*gmail\.googleapis\.com.*issued by/);
    assert.deepEqual(
      step.fixes.map(({ title }) => title),
      ["Trust this CA file…"],
    );
    assert.deepEqual([...new Set(google.connections)], [`${host}:443`]);
  });

  it("names whoever answers under another name", async () => {
    const [key, cert] = ["server.key", "server.pem"].map((name) =>
      readFileSync(path.join(repositoryRoot(), "test", "fixtures", "tls", name)),
    );
    const secureContext = createSecureContext({ key, cert });
    google.playSocket(`${host}:443`, (socket) => {
      new TLSSocket(socket, { isServer: true, secureContext }).on("error", () => {}).resume();
    });
    copyFileSync(authorityFile(), path.join(folder, "other.pem"));
    const caSha256 = createHash("sha256").update(readFileSync(authorityFile())).digest("hex");
    const step = failed(await examine({ tls: { caFile: "other.pem" } }, { caSha256 }), "certificate");
    assert.match(step.text, /cannot prove to be it/);
    assert.match(step.seen, /for localhost/);
    assert.deepEqual(step.fixes, []);
  });

  it("names a proxy that does not let us through, and one that is down (R20)", async () => {
    assert.match(failed(await examine(), "proxy").text, /does not connect us to gmail\.googleapis\.com/);
    const gone = await Interceptor.start();
    const { proxy } = gone;
    await gone.close();
    assert.match(failed(await examine({ proxy }), "proxy").text, /proxy does not answer/);
  });

  it("names a name that is not known and a host that does not answer, and offers no other host", async () => {
    const lookup = (): Promise<never> => Promise.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" }));
    const unknown = failed(await examine({ proxy: "" }, { lookup }), "dns");
    assert.match(unknown.text, /gmail\.googleapis\.com could not be looked up/);
    assert.deepEqual(
      unknown.fixes.map(({ title }) => title),
      ["Set a proxy"],
    );
  });

  it("names something that does not speak TLS", async () => {
    google.playSocket(`${host}:443`, (socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert.match(failed(await examine(), "starttls").text, /No encrypted connection/);
    google.playSocket(`${host}:443`, (socket) => void socket.end());
    failed(await examine(), "starttls");
  });

  it("ends at once when it is cancelled", async () => {
    google.playSocket(`${host}:443`, () => {});
    const cancelled = new AbortController();
    const work = examine({}, { signal: cancelled.signal });
    await google.until(() => google.connections.length === 1);
    cancelled.abort();
    await assert.rejects(work, { name: "AbortError" });
  });
});

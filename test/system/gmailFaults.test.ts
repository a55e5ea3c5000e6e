/**
 * What becomes of everybody when the Gmail API goes wrong: connections that break at every moment and every kind of no, over one and over
 * five connections. Every cell is a whole run with real sockets, TLS and a real journal, and its resumption.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { diskFiles } from "../../src/mail/files";
import { createPlan, type Plan } from "../../src/mail/plan";
import { silentLogger, systemClock } from "../../src/mail/ports";
import { checkRows, prepareCampaign } from "../../src/mail/preflight";
import { readReport } from "../../src/mail/report";
import { runCampaign, type RunSummary } from "../../src/mail/sender";
import { loopbackAccount, quickPace } from "../fakes/accounts";
import { judge, judgeResumed, letterOf, printTable } from "../fakes/faultCells";
import {
  GmailEndpoint,
  gmailHost,
  googleError,
  type GmailBehaviour,
  type GmailBreak,
  type GmailMoment,
  type Refusal,
} from "../fakes/gmailEndpoint";
import { providerCertificate } from "../fakes/interceptor";

const campaignId = "0b0e7d3a-8f4e-4d52-9f0a-6f2f1f9e5a13";
const recipients = 6;
/** The one whose message goes as an upload, and is larger than what two sockets hold. */
const heavy = "person2@example.com";
const heavyBytes = 4 * 1024 * 1024;

/**
 * What becomes of whom it happens to: `a` accepted, `f` failed, `u` unknown. `p`: the run stops for the account with the rest pending.
 * `l`: it waits for its allowance. Gone on with, everybody who was pending is accepted. `-`: no cell.
 */
type Letter = "a" | "f" | "u" | "p" | "l" | "-" | "a or u" | "f or p";
/** Once, and every time. */
type Expected = readonly [Letter, Letter];

/** Unknown stands only where the last byte of an upload may have left. */
const breaks: readonly (readonly [GmailMoment, GmailBreak, Expected])[] = [
  ["connect", "refuse", ["a", "p"]],
  ["connect", "stranger", ["p", "p"]],
  ["connect", "close", ["a", "p"]],
  ["connect", "reset", ["a", "p"]],
  ["connect", "hang", ["a", "-"]],
  // A message that never comes through is given up when others do, and a server where none does stops the run.
  ["head", "close", ["a", "f or p"]],
  ["head", "reset", ["a", "f or p"]],
  ["head", "hang", ["a", "-"]],
  ["body", "close", ["a", "f or p"]],
  ["body", "reset", ["a", "f or p"]],
  ["body", "hang", ["a", "-"]],
  ["end, lost", "close", ["u", "u"]],
  ["end, lost", "reset", ["u", "u"]],
  ["end, lost", "hang", ["u", "-"]],
  ["end, kept", "close", ["u", "u"]],
  ["end, kept", "reset", ["u", "u"]],
  ["end, kept", "hang", ["u", "-"]],
  // The yes was heard.
  ["reply", "close", ["a", "a"]],
  ["reply", "reset", ["a", "a"]],
  ["reply", "hang", ["a", "-"]],
  // Who hangs up without a word may do so just when the next message leaves.
  ["idle", "close", ["a or u", "-"]],
  ["idle", "reset", ["a or u", "-"]],
];

const later = new Date(Date.now() + 86_400_000).toISOString();
const refusals: readonly (readonly [string, Refusal, Expected])[] = [
  ["400 badRequest", googleError(400, "Invalid attachment", "badRequest"), ["f", "f"]],
  ["400 Invalid To header", googleError(400, "Invalid To header", "invalidArgument"), ["f", "f"]],
  ["400 failedPrecondition", googleError(400, "Mail service not enabled", "failedPrecondition"), ["p", "p"]],
  ["401", googleError(401, "Invalid Credentials", "authError"), ["a", "p"]],
  ["403 rateLimitExceeded", googleError(403, "Rate Limit Exceeded", "rateLimitExceeded"), ["a", "p"]],
  ["403 userRateLimitExceeded", googleError(403, "User Rate Limit Exceeded", "userRateLimitExceeded"), ["a", "p"]],
  ["403 RATE_LIMIT_EXCEEDED", googleError(403, "Quota exceeded", "forbidden", "RATE_LIMIT_EXCEEDED"), ["a", "p"]],
  ["403 dailyLimitExceeded", googleError(403, "Daily Limit Exceeded", "dailyLimitExceeded"), ["l", "l"]],
  ["403 quotaExceeded", googleError(403, "Quota exceeded", "quotaExceeded"), ["l", "l"]],
  ["403 insufficientPermissions", googleError(403, "Insufficient Permission", "insufficientPermissions"), ["p", "p"]],
  ["403 SCOPE_INSUFFICIENT", googleError(403, "No", "forbidden", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), ["p", "p"]],
  ["403 accessNotConfigured", googleError(403, "Gmail API has not been used", "accessNotConfigured"), ["p", "p"]],
  ["403 SERVICE_DISABLED", googleError(403, "Disabled", "forbidden", "SERVICE_DISABLED"), ["p", "p"]],
  ["403 domainPolicy", googleError(403, "The administrators have disabled apps", "domainPolicy"), ["p", "p"]],
  ["403 of no known reason", googleError(403, "No", "mystery"), ["p", "p"]],
  ["403 as a page", { status: 403, body: "<html><title>No</title></html>" }, ["p", "p"]],
  ["404", googleError(404, "Not Found", "notFound"), ["p", "p"]],
  ["413", { status: 413, body: "" }, ["f", "f"]],
  ["429", { status: 429 }, ["a", "p"]],
  ["429, Retry-After: 1", { status: 429, headers: { "Retry-After": "1" } }, ["a", "-"]],
  ["429, Retry-After: hours", { status: 429, headers: { "Retry-After": "20000" } }, ["l", "l"]],
  ["429, Retry after a day", googleError(429, `Retry after ${later}`, "userRateLimitExceeded"), ["l", "l"]],
  ["429 (Mail sending)", googleError(429, "User-rate limit exceeded. (Mail sending)", "rateLimitExceeded"), ["l", "l"]],
  ["429 concurrent", googleError(429, "Too many concurrent requests for user", "rateLimitExceeded"), ["a", "p"]],
  ["408", { status: 408 }, ["u", "u"]],
  ["500", googleError(500, "Backend Error", "backendError"), ["u", "u"]],
  ["502", { status: 502, body: "<html><title>Bad Gateway</title></html>" }, ["u", "u"]],
  ["503", googleError(503, "Unavailable", "backendError"), ["u", "u"]],
  ["504", { status: 504 }, ["u", "u"]],
];
/** After the message was taken all the same, and before it came to its end. */
const late: readonly (readonly [GmailMoment, string, Refusal, Expected])[] = [
  ["end, kept", "408", { status: 408 }, ["u", "u"]],
  ["end, kept", "500", { status: 500 }, ["u", "u"]],
  ["end, kept", "502", { status: 502 }, ["u", "u"]],
  ["end, kept", "503", { status: 503 }, ["u", "u"]],
  ["end, kept", "504", { status: 504 }, ["u", "u"]],
  ["body", "401", { status: 401 }, ["a", "p"]],
  ["body", "408", { status: 408 }, ["a", "f"]],
  ["body", "413", { status: 413 }, ["f", "f"]],
  ["body", "500", { status: 500 }, ["a", "f"]],
  ["body", "503", { status: 503 }, ["a", "p"]],
];

const table = new Map<string, readonly string[]>();

describe("the fault matrix of the Gmail API (R1, R29-R33, R57)", function () {
  this.timeout(180_000);
  let folder: string;
  let cells = 0;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-gmail-faults-"));
    const rows = Array.from({ length: recipients }, (_, i) => {
      const n = String(i);
      const file = `person${n}@example.com` === heavy ? "heavy.bin" : "light.bin";
      return `person${n}@example.com,Person ${n},copy${n}@example.com,${file}`;
    });
    await writeFile(path.join(folder, "people.csv"), `email,name,copy,file\n${rows.join("\n")}\n`);
    await writeFile(path.join(folder, "light.bin"), "light");
    await writeFile(path.join(folder, "heavy.bin"), Buffer.alloc(heavyBytes, "heavy "));
    await writeFile(path.join(folder, "ca.pem"), readFileSync(providerCertificate.caFile));
    for (const [name, more] of [
      ["copies", 'bcc: "{{ copy }}"\n'],
      ["heavy", 'attachments:\n  - "{{ file }}"\n'],
    ] as const)
      await writeFile(
        path.join(folder, `${name}.mail.md`),
        `---\nid: ${campaignId}\nsubject: "For {{ name }}"\nfrom: Ada <ada@gmail.com>\nrecipients: people.csv\nto: "{{ name }} <{{ email }}>"\n${more}---\nHello {{ name }}.\n`,
      );
  });
  after(async () => {
    await rm(folder, { recursive: true });
    printTable(
      ["1", "5"],
      table,
      `${String(cells)} cells: a accepted, f failed, u unknown, p stopped and pending, l waits for its allowance; then accepted`,
    );
  });

  const all: readonly (readonly [GmailMoment, string, GmailBehaviour["fault"], Expected])[] = [
    ...breaks.map(([moment, fault, expected]) => [moment, fault, fault, expected] as const),
    ...refusals.map(([name, fault, expected]) => ["end, lost", name, fault, expected] as const),
    ...late,
  ];
  for (const [nth, name] of ["once", "always"].entries())
    describe(name, () => {
      for (const [moment, what, fault, expectations] of all) {
        const expected = expectations[nth] ?? "-";
        if (expected === "-") continue;
        it(`${moment}, ${what}: ${expected}`, async () => {
          const results = await Promise.all([1, 5].map((count) => cell(moment, fault, nth === 1, count)));
          table.set(
            `${moment}, ${what}, ${name}`,
            results.map(({ letter }) => letter),
          );
          assert.deepEqual(
            results.flatMap(({ wrong }) => wrong),
            [],
          );
          for (const { letter } of results) assert.ok(expected.split(" or ").includes(letter), letter);
        });
      }
    });

  async function cell(
    moment: GmailMoment,
    fault: GmailBehaviour["fault"],
    repeated: boolean,
    connections: number,
  ): Promise<{ readonly letter: string; readonly wrong: readonly string[] }> {
    cells++;
    const wrong: string[] = [];
    const isHeavy = moment === "head" || moment === "body";
    const server = await GmailEndpoint.start({
      moment,
      fault,
      always: repeated,
      nth: repeated || isHeavy ? 0 : 1,
      uploadsTo: heavy,
      // One connection comes again only because it is ended: then it goes wrong in the middle of the run.
      ...(moment === "connect" && connections === 1 && { messagesPerConnection: 2 }),
    });
    const state = await mkdtemp(path.join(folder, "state-"));
    try {
      const plan = await planned(isHeavy ? "heavy" : "copies", state, server, fault, connections);
      const tokens = new Tokens();
      const first = await run(plan, tokens);
      const report = await readReport(plan);
      wrong.push(...(await judge(plan, first, report, server, recipients)));
      if (server.faults === 0) wrong.push("it never went wrong");
      if (!repeated && server.faults !== 1) wrong.push(`it went wrong ${String(server.faults)} times`);
      const isRefused = typeof fault !== "string" && fault.status === 401;
      if (isRefused !== tokens.refused.length > 0) wrong.push(`${String(tokens.refused.length)} tokens were refused`);
      if (isRefused && first.ending.kind === "account" && first.ending.failure.signIn !== true)
        wrong.push("nobody is asked to sign in");
      // Another token is asked for once a message, then the run stops.
      if (tokens.refused.length > connections) wrong.push(`${String(tokens.refused.length)} tokens were asked for`);
      const letter = letterOf(first, report, server, repeated && !isHeavy);
      // What a stop left over goes out once the server is mended, and nobody gets a second one.
      server.mend();
      const second = await run(plan, tokens);
      wrong.push(...(await judgeResumed(plan, report, second, server, recipients)), ...server.wrong);
      return { letter, wrong: wrong.map((text) => `${String(connections)}: ${text}`) };
    } finally {
      await server.close();
      await rm(state, { recursive: true });
    }
  }

  async function planned(
    campaign: string,
    stateDirectory: string,
    server: GmailEndpoint,
    fault: GmailBehaviour["fault"],
    connections: number,
  ): Promise<Plan> {
    // Short only where silence is the fault: a busy machine is not to be taken for it.
    const patience = fault === "hang" ? 2000 : 60_000;
    const account = loopbackAccount(443, {
      provider: "gmail",
      transport: "gmailApi",
      host: gmailHost,
      security: "tls",
      auth: "oauth2",
      user: "ada@gmail.com",
      proxy: server.interceptor.proxy,
      tls: { caFile: "ca.pem" },
      timeouts: { connection: patience, greeting: patience, socket: patience },
    });
    const request = {
      file: path.join(folder, `${campaign}.mail.md`),
      files: await diskFiles(folder),
      csv: { delimiter: "auto", encoding: "auto" },
      sender: { from: undefined, replyTo: undefined },
    } as const;
    const { value: prepared, problems } = await prepareCampaign(request);
    assert.ok(prepared !== undefined, JSON.stringify(problems));
    const caSha256 = createHash("sha256").update(readFileSync(providerCertificate.caFile)).digest("hex");
    return createPlan(
      {
        ...request,
        stateDirectory,
        prepared,
        check: await checkRows(prepared),
        target: { kind: "account", account, caSha256 },
        root: folder,
        // Where patience is short a busy machine may lose a connection, too.
        pace: {
          ...quickPace,
          connections,
          maxAttempts: fault === "hang" ? 10 : quickPace.maxAttempts,
          retryInitialDelay: 1,
          retryMaxDelay: 5,
        },
        previousRunId: undefined,
      },
      systemClock,
    );
  }

  function run(plan: Plan, tokens: Tokens): Promise<RunSummary> {
    const never = new AbortController().signal;
    const ports = {
      clock: systemClock,
      logger: silentLogger,
      random: () => 0.5,
      credentials: () => Promise.resolve({}),
      accessTokens: tokens.get,
    };
    const hooks = { stop: never, abort: never, onProgress: () => {}, onAttempt: () => {} };
    return runCampaign(plan, ports, hooks, { patience: 60_000 });
  }
});

/** Access tokens, each refused one replaced. */
class Tokens {
  readonly refused: string[] = [];
  readonly get = (refused?: string): Promise<{ readonly ok: true; readonly token: string }> => {
    if (refused !== undefined) this.refused.push(refused);
    return Promise.resolve({ ok: true, token: `token${String(this.refused.length)}` });
  };
}

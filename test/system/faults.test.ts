/**
 * What becomes of everybody when a server goes wrong: six faults at thirteen moments, with and without PIPELINING, over one and
 * over five connections. Every cell is a whole run with real sockets and a real journal, and its resumption.
 */
import assert from "node:assert/strict";
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
import { FaultServer, faults, moments, type Behaviour, type Fault, type Moment } from "../fakes/faultServer";
import { FakeTokens } from "../fakes/tokens";
import { repositoryRoot } from "../host/repo";

const campaignId = "0b0e7d3a-8f4e-4d52-9f0a-6f2f1f9e5a11";
const recipients = 6;
/** The one whose message is larger than what two sockets hold, so that its middle is not its end. */
const heavy = "person2@example.com";
const heavyBytes = 4 * 1024 * 1024;

const variants = [
  { connections: 1, pipelining: true },
  { connections: 1, pipelining: false },
  { connections: 5, pipelining: true },
  { connections: 5, pipelining: false },
] as const;

/**
 * What becomes of whom it happens to: `a` accepted, `f` failed, `u` unknown. `p`: the run stops for the account with the rest
 * pending; gone on with, everybody is accepted. `-`: no cell.
 */
type Letter = "a" | "f" | "u" | "p" | "-" | "a or p" | "f or p";
type Row = Readonly<Record<Fault, Letter>>;

const row = (
  ...[close, reset, hang, later, never, bye]: readonly [Letter, Letter, Letter, Letter, Letter, Letter]
): Row => ({
  close,
  reset,
  hang,
  "4xx": later,
  "5xx": never,
  "421": bye,
});

/** It goes wrong once. Unknown stands only where the final dot may have left. */
const once: Readonly<Record<Moment, Row>> = {
  greeting: row("a", "a", "a", "a", "p", "a"),
  // Refused EHLO: HELO does (RFC 5321 §4.1.1.1).
  EHLO: row("a", "a", "a", "a", "a", "a"),
  STARTTLS: row("a", "a", "a", "a", "p", "a"),
  AUTH: row("a", "a", "a", "a", "p", "a"),
  // A refused access token is replaced, a refused password is not.
  "AUTH token": row("a", "a", "a", "a", "a", "a"),
  MAIL: row("a", "a", "a", "a", "p", "a"),
  "RCPT to": row("a", "a", "a", "a", "f", "a"),
  "RCPT cc": row("a", "a", "a", "a", "f", "a"),
  DATA: row("a", "a", "a", "a", "f", "a"),
  body: row("a", "a", "a", "a", "f", "a"),
  "dot, lost": row("u", "u", "u", "a", "f", "a"),
  "dot, kept": row("u", "u", "u", "-", "-", "-"),
  // A stray reply speaks for the next MAIL when that is out already: 5xx stops the run.
  "after 250": row("a", "a", "a", "a", "a or p", "a"),
};

/** It goes wrong every time; what the letter says holds for everybody. Silence is a lost connection that takes longer. */
const always: Readonly<Record<Moment, Row>> = {
  greeting: row("p", "p", "-", "p", "p", "p"),
  EHLO: row("p", "p", "-", "a", "a", "p"),
  STARTTLS: row("p", "p", "-", "p", "p", "p"),
  AUTH: row("p", "p", "-", "p", "p", "p"),
  "AUTH token": row("p", "p", "-", "p", "p", "p"),
  MAIL: row("p", "p", "-", "p", "p", "p"),
  "RCPT to": row("p", "p", "-", "f", "f", "p"),
  "RCPT cc": row("p", "p", "-", "f", "f", "p"),
  DATA: row("p", "p", "-", "p", "f", "p"),
  // A message that never comes through is given up when others do, and a server where none does stops the run.
  body: row("f or p", "f or p", "-", "f", "f", "p"),
  "dot, lost": row("u", "u", "-", "f", "f", "p"),
  "dot, kept": row("u", "u", "-", "-", "-", "-"),
  "after 250": row("a", "a", "-", "a", "a or p", "a"),
};

const table = new Map<string, readonly string[]>();

describe("the fault matrix (R29-R33, R57)", function () {
  this.timeout(180_000);
  let folder: string;
  let cells = 0;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-faults-"));
    const rows = Array.from({ length: recipients }, (_, i) => {
      const n = String(i);
      const file = `person${n}@example.com` === heavy ? "heavy.bin" : "light.bin";
      return `person${n}@example.com,Person ${n},copy${n}@example.com,${file}`;
    });
    await writeFile(path.join(folder, "people.csv"), `email,name,copy,file\n${rows.join("\n")}\n`);
    await writeFile(path.join(folder, "light.bin"), "light");
    await writeFile(path.join(folder, "heavy.bin"), Buffer.alloc(heavyBytes, "heavy "));
    for (const [name, more] of [
      ["plain", ""],
      ["copies", 'cc: "{{ copy }}"\n'],
      ["heavy", 'attachments:\n  - "{{ file }}"\n'],
    ] as const)
      await writeFile(
        path.join(folder, `${name}.mail.md`),
        `---\nid: ${campaignId}\nsubject: "For {{ name }}"\nfrom: Ada <ada@example.com>\nrecipients: people.csv\nto: "{{ name }} <{{ email }}>"\n${more}---\nHello {{ name }}.\n`,
      );
  });
  after(async () => {
    await rm(folder, { recursive: true });
    const heads = variants.map(
      ({ connections, pipelining }) => `${String(connections)}${pipelining ? " pipelined" : ""}`,
    );
    printTable(
      heads,
      table,
      `${String(cells)} cells: a accepted, f failed, u unknown, p stopped and pending, then accepted`,
    );
  });

  for (const [name, expectations] of [
    ["once", once],
    ["always", always],
  ] as const)
    describe(name, () => {
      for (const moment of moments)
        for (const fault of faults) {
          const expected = expectations[moment][fault];
          if (expected === "-") continue;
          it(`${moment}, ${fault}: ${expected}`, async () => {
            const tried = variants.filter(
              ({ connections, pipelining }) => name === "once" || connections > 1 === pipelining,
            );
            const results = await Promise.all(tried.map((variant) => cell(moment, fault, name === "always", variant)));
            table.set(
              `${moment}, ${fault}, ${name}`,
              variants.map((variant) => results[tried.indexOf(variant)]?.letter ?? "-"),
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
    moment: Moment,
    fault: Fault,
    repeated: boolean,
    { connections, pipelining }: (typeof variants)[number],
  ): Promise<{ readonly letter: string; readonly wrong: readonly string[] }> {
    cells++;
    const wrong: string[] = [];
    const secure = moment === "STARTTLS" || moment.startsWith("AUTH");
    const connecting = secure || moment === "greeting" || moment === "EHLO";
    const behaviour: Behaviour = {
      moment,
      fault,
      always: repeated,
      // One connection comes again only because it is ended: then it goes wrong in the middle of the run.
      nth: repeated ? 0 : connecting && connections === 1 ? 1 : 2,
      pipelining,
      ...(connecting && connections === 1 && { messagesPerConnection: 2 }),
      ...(moment === "body" && { only: heavy, nth: 0 }),
      ...(secure && { certificate: certificate() }),
    };
    const server = await FaultServer.start(behaviour);
    const state = await mkdtemp(path.join(folder, "state-"));
    try {
      const campaign = moment.startsWith("RCPT") ? "copies" : moment === "body" ? "heavy" : "plain";
      const plan = await planned(campaign, state, server, fault, connections, secure);
      const first = await run(plan);
      const report = await readReport(plan);
      wrong.push(...(await judge(plan, first, report, server, recipients)));
      if (server.faults === 0) wrong.push("it never went wrong");
      if (!repeated && server.faults !== 1) wrong.push(`it went wrong ${String(server.faults)} times`);
      const letter = letterOf(first, report, server, repeated && moment !== "body");
      // What a stop left over goes out once the server is mended, and nobody gets a second one.
      server.mend();
      const second = await run(plan);
      wrong.push(...(await judgeResumed(plan, report, second, server, recipients)));
      return {
        letter,
        wrong: wrong.map((text) => `${connections === 1 ? "1" : "5"}${pipelining ? "p" : ""}: ${text}`),
      };
    } finally {
      await server.close();
      await rm(state, { recursive: true });
    }
  }

  async function planned(
    campaign: string,
    stateDirectory: string,
    server: FaultServer,
    fault: Fault,
    connections: number,
    secure: boolean,
  ): Promise<Plan> {
    // Short only where silence is the fault: a busy machine is not to be taken for it.
    const patience = fault === "hang" ? 1500 : 60_000;
    const account = loopbackAccount(server.port, {
      timeouts: { connection: patience, greeting: patience, socket: patience },
      ...(secure && { security: "starttls", auth: "password", user: "ada", tls: { verify: false } }),
      ...(server.behaviour.moment === "AUTH token" && { auth: "oauth2" }),
    });
    // Behind a 250 every connection is lost at once, and each one that the next recipient meets costs it an attempt.
    const maxAttempts = server.behaviour.moment === "after 250" ? 20 : quickPace.maxAttempts;
    const request = {
      file: path.join(folder, `${campaign}.mail.md`),
      files: await diskFiles(folder),
      csv: { delimiter: "auto", encoding: "auto" },
      sender: { from: undefined, replyTo: undefined },
    } as const;
    const { value: prepared, problems } = await prepareCampaign(request);
    assert.ok(prepared !== undefined, JSON.stringify(problems));
    return createPlan(
      {
        ...request,
        stateDirectory,
        prepared,
        check: await checkRows(prepared),
        target: { kind: "account", account, caSha256: undefined },
        root: folder,
        pace: { ...quickPace, connections, maxAttempts, retryInitialDelay: 1, retryMaxDelay: 5 },
        previousRunId: undefined,
      },
      systemClock,
    );
  }

  function run(plan: Plan): Promise<RunSummary> {
    const never = new AbortController().signal;
    const ports = {
      clock: systemClock,
      logger: silentLogger,
      random: () => 0.5,
      credentials: () => Promise.resolve({ password: "secret" }),
      accessTokens: new FakeTokens("token").get,
    };
    return runCampaign(plan, ports, { stop: never, abort: never, onProgress: () => {}, onAttempt: () => {} });
  }
});

function certificate(): { readonly key: Buffer; readonly cert: Buffer } {
  const file = (name: string): Buffer => readFileSync(path.join(repositoryRoot(), "test", "fixtures", "tls", name));
  return { key: file("server.key"), cert: file("server.pem") };
}

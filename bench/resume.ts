/**
 * Resuming a run of a million recipients: (a) replaying a journal that holds all of them, half settled, and (b) a whole resume
 * of a list of which all but a few hundred are settled, these at its very end. Each in a process of its own; prints seconds and
 * the most memory that the process had. The bars: 10 s and 300 MB.
 */
import { fork, type ChildProcess } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  checkRows,
  createPlan,
  diskFiles,
  formatReport,
  openReport,
  parseAccount,
  prepareCampaign,
  runCampaign,
  silentLogger,
  systemClock,
  unlimited,
} from "../src/mail/index";
import { readHistory, type JournalRecord } from "../src/mail/journal";
import { formatLine } from "../src/mail/journalRecords";
import { readPlan, totalsOf } from "../src/mail/plan";
import { writeCampaign } from "./campaign";

const recipients = Number(process.env.BENCH_RECIPIENTS ?? 1_000_000);
/** Recipients of (b) that are left to send to. */
const left = 300;

const addressOf = (index: number): string => `person${String(index)}@example.com`;

interface Measure {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly maxRssMb: number;
  readonly words: string;
}

/** Prints both measures. Throws when a result is wrong, never because it is slow. */
export async function resumeBench(): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-resume-"));
  const sink = fork(path.join(__dirname, "sink.js"));
  try {
    const { port } = await message<{ port: number }>(sink);
    const half = path.join(folder, "half");
    await mkdir(half);
    await writeJournal(half, "half", (index) => (index % 2 === 0 ? settled(index) : deferred(index)));
    const run = await plannedRun(folder, port);
    await writeJournal(run.directory, run.runId, (index) => (index < recipients - left ? settled(index) : []));
    console.log(`${recipients.toLocaleString("en")} recipients\n`);
    console.log("                              seconds  CPU s    MB");
    for (const [name, mode, directory] of [
      ["idle process", "idle", half],
      ["replay, half settled", "read", half],
      ["report as CSV", "report", run.directory],
      ["resume to the first message", "run", run.directory],
    ] as const) {
      const { seconds, cpuSeconds, maxRssMb, words } = await measured(mode, directory);
      console.log(
        `${name.padEnd(29)} ${seconds.toFixed(2).padStart(7)} ${cpuSeconds.toFixed(2).padStart(6)} ${maxRssMb.toFixed(0).padStart(5)}  ${words}`,
      );
    }
  } finally {
    sink.disconnect();
    await rm(folder, { recursive: true });
  }
}

function settled(index: number): readonly JournalRecord[] {
  const k = addressOf(index);
  const at = 1_767_600_000_000 + index;
  const begun: readonly JournalRecord[] = [
    { t: "attempt", k, n: 1, id: `<mfzwizltoqzdgnbvgy3tqojq${String(index)}@example.com>`, at },
    { t: "data", k, n: 1, at },
  ];
  if (index % 100 === 0)
    return [...begun, { t: "unknown", k, why: "The connection was lost before the reply.", at: at + 90 }];
  if (index % 20 === 0)
    return [...begun, { t: "fail", k, class: "recipient", reply: "550 5.1.1 No such user", ms: 90, at: at + 90 }];
  return [...begun, { t: "ok", k, reply: "250 2.0.0 Ok: queued as 4Xk1Zq2bRzz9sP", ms: 90, at: at + 90 }];
}

function deferred(index: number): readonly JournalRecord[] {
  const k = addressOf(index);
  const at = 1_767_600_000_000 + index;
  return [
    { t: "attempt", k, n: 1, id: `<mfzwizltoqzdgnbvgy3tqojq${String(index)}@example.com>`, at },
    { t: "defer", k, class: "deferred", reply: "450 4.2.0 Greylisted", next: at + 300_000.25, counts: true, at },
  ];
}

async function writeJournal(
  directory: string,
  runId: string,
  recordsOf: (index: number) => readonly JournalRecord[],
): Promise<void> {
  const lines = function* (): Generator<string> {
    yield formatLine({ t: "hdr", v: 1, campaignId: "bench", runId, generation: 1, at: 1, host: "bench" });
    let text = "";
    for (let index = 0; index < recipients; index++) {
      text += recordsOf(index).map(formatLine).join("");
      if (text.length < 1_000_000) continue;
      yield text;
      text = "";
    }
    yield text;
  };
  await pipeline(Readable.from(lines()), createWriteStream(path.join(directory, "journal-000001.jsonl")));
}

/** Plans a run of the whole list, as it would be after its confirmation. */
async function plannedRun(
  folder: string,
  port: number,
): Promise<{ readonly directory: string; readonly runId: string }> {
  const file = await writeCampaign(folder, 1);
  const rows = function* (): Generator<string> {
    yield "name,email,invoice\n";
    for (let index = 0; index < recipients; index++)
      yield `Person ${String(index)},${addressOf(index)},${String(1000 + index)}\n`;
  };
  await pipeline(Readable.from(rows()), createWriteStream(path.join(folder, "list.csv")));
  const { value: account } = parseAccount("bench", { host: "127.0.0.1", port, security: "none", auth: "none" });
  if (account === undefined) throw new Error("The account is wrong.");
  const request = {
    file,
    files: await diskFiles(folder),
    csv: { delimiter: "auto", encoding: "auto" },
    sender: { from: undefined, replyTo: undefined },
  } as const;
  const { value: prepared, problems } = await prepareCampaign(request);
  if (prepared === undefined) throw new Error(problems[0]?.message);
  const began = performance.now();
  const check = await checkRows(prepared);
  console.log(`checked at ${((recipients / (performance.now() - began)) * 1000).toFixed(0)} rows/s`);
  return await createPlan(
    {
      ...request,
      stateDirectory: path.join(folder, "state"),
      prepared,
      check,
      target: { kind: "account", account, caSha256: undefined },
      root: folder,
      pace: {
        delay: 0,
        connections: 5,
        maxAttempts: 1,
        retryInitialDelay: 1,
        retryMaxDelay: 1,
        ...unlimited,
        pauseAfterFailures: 1,
      },
      previousRunId: undefined,
    },
    systemClock,
  );
}

async function measured(mode: string, directory: string): Promise<Measure> {
  const child = fork(__filename, [mode, directory]);
  const measure = await message<Measure>(child);
  child.disconnect();
  return measure;
}

interface Result {
  readonly seconds?: number;
  readonly cpu?: number;
  readonly words: string;
}

/** What is measured, in a process of its own. Returns how long it took, and words on it. */
const work: Readonly<Record<string, (directory: string) => Promise<Result>>> = {
  idle: () => Promise.resolve({ words: "" }),
  read: async (directory) => {
    const { fates } = await readHistory(directory);
    if (fates.size !== recipients) throw new Error(`${String(fates.size)} recipients on record`);
    return { words: JSON.stringify(fates.counts) };
  },
  report: async (directory) => {
    const file = path.join(directory, "report.csv");
    await writeFile(file, formatReport(await openReport(await readPlan(directory)), "csv"));
    return { words: "" };
  },
  run: async (directory) => {
    const plan = await readPlan(directory);
    const never = new AbortController().signal;
    const began = performance.now();
    let first: number | undefined;
    let cpu = NaN;
    const onAttempt = (): void => {
      if (first !== undefined) return;
      first = performance.now();
      cpu = cpuSeconds();
    };
    const summary = await runCampaign(
      plan,
      { clock: systemClock, logger: silentLogger, random: Math.random, credentials: () => Promise.resolve({}) },
      { stop: never, abort: never, onProgress: () => {}, onAttempt },
    );
    const { accepted } = totalsOf(plan, await readHistory(directory));
    if (summary.ending.kind !== "finished" || summary.pending !== 0 || summary.accepted !== accepted)
      throw new Error(JSON.stringify(summary));
    const total = ((performance.now() - began) / 1000).toFixed(2);
    return { seconds: ((first ?? NaN) - began) / 1000, cpu, words: `${String(left)} sent, ${total} s in all` };
  },
};

/** What the process has worked so far: tells more than the clock when the machine is busy. */
function cpuSeconds(): number {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return (userCPUTime + systemCPUTime) / 1e6;
}

async function child(mode: string, directory: string): Promise<void> {
  const began = performance.now();
  const result = await work[mode]?.(directory);
  const seconds = result?.seconds ?? (performance.now() - began) / 1000;
  const measure: Measure = {
    seconds,
    cpuSeconds: result?.cpu ?? cpuSeconds(),
    maxRssMb: process.resourceUsage().maxRSS / 1024,
    words: result?.words ?? "",
  };
  process.send?.(measure);
}

function message<T>(from: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    from.once("message", (value) => resolve(value as T));
    from.once("exit", (code) => reject(new Error(`ended with ${String(code)}`)));
  });
}

if (require.main === module) {
  const [mode, directory] = process.argv.slice(2);
  const done = mode === undefined || directory === undefined ? resumeBench() : child(mode, directory);
  done.catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}

/** Runs on disk: real plans of real files, with journals that hold what a test wants to have happened. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import * as path from "node:path";
import { diskFiles } from "../../src/mail/files";
import { Journal, readHistory, type JournalRecord } from "../../src/mail/journal";
import { acquireLock } from "../../src/mail/lock";
import { createPlan, lastRun, worldOf, type Plan, type Target } from "../../src/mail/plan";
import { systemClock, type Clock } from "../../src/mail/ports";
import { checkRows, prepareCampaign, type Prepared } from "../../src/mail/preflight";
import { loopbackAccount, quickPace } from "./accounts";

const csv = { delimiter: "auto", encoding: "auto" } as const;
const sender = { from: undefined, replyTo: undefined };

/** The id of `smallCampaign`. */
export const smallCampaignId = "0b0e7d3a-8f4e-4d52-9f0a-6f2f1f9e5a11";

/** A real run through a server on loopback that is never reached. */
export const nowhere: Target = { kind: "account", account: loopbackAccount(2525), caSha256: undefined };

/** Writes `files` below `root` and opens `hello.mail.md` among them. */
export async function openFiles(root: string, files: Readonly<Record<string, string>>): Promise<Prepared> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(root, name)), { recursive: true });
    await writeFile(path.join(root, name), text);
  }
  const file = path.join(root, Object.keys(files).find((name) => name.endsWith(".mail.md")) ?? "");
  const { value, problems } = await prepareCampaign({ file, files: await diskFiles(root), csv, sender });
  assert.ok(value !== undefined, JSON.stringify(problems));
  return value;
}

/** Plans a run of `files` below `root`, after whichever run is the campaign's last. */
export async function planRun(
  root: string,
  stateDirectory: string,
  files: Readonly<Record<string, string>>,
  { target = nowhere, clock = systemClock }: { readonly target?: Target; readonly clock?: Clock } = {},
): Promise<Plan> {
  const prepared = await openFiles(root, files);
  const last = await lastRun(stateDirectory, prepared.campaign.id ?? "", worldOf(target));
  const check = await checkRows(prepared);
  return createPlan(
    { stateDirectory, prepared, check, target, root, csv, sender, pace: quickPace, previousRunId: last?.plan.runId },
    clock,
  );
}

/** Appends a stretch of sending to a run's journal, as a process that held the lock and ended. */
export async function record(plan: Plan, records: readonly JournalRecord[]): Promise<void> {
  const { generation } = await readHistory(plan.directory);
  const lock = await acquireLock(path.dirname(plan.directory), systemClock, {
    takeOver: false,
    atLeast: generation + 1,
  });
  assert.ok(lock.kind === "held");
  const journal = await Journal.open(plan.directory, {
    campaignId: plan.campaignId,
    runId: plan.runId,
    generation: lock.generation,
    at: 1,
    host: hostname(),
  });
  for (const one of records) journal.append(one);
  await journal.close();
  await lock.release();
}

/** The records of one attempt at `k`, handed over at `at` (milliseconds since the epoch), with its end; without one it is in doubt. */
export function attempt(k: string, at: number, end?: "ok" | "fail" | "unknown"): readonly JournalRecord[] {
  const began = [
    { t: "attempt", k, n: 1, id: `<${k}@example.com>`, at },
    { t: "data", k, n: 1, at },
  ] as const;
  switch (end) {
    case undefined:
      return began;
    case "ok":
      return [...began, { t: "ok", k, reply: "250 taken", ms: 1, at }];
    case "fail":
      return [...began, { t: "fail", k, class: "recipient", reply: "550 no such user", ms: 1, at }];
    case "unknown":
      return [...began, { t: "unknown", k, why: "the reply was lost", at: at + 60_000 }];
  }
}

/** The end of a run. */
export function finish(at: number): JournalRecord {
  return { t: "ctl", what: "finish", at };
}

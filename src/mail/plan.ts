/** The plan of a run: what was confirmed, copied into the state directory, so that nothing edited later changes a message. */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readFile, readdir, rename, rm, stat } from "node:fs/promises";
import * as path from "node:path";
import type { Account } from "./account";
import { readCertificates } from "./delivery";
import { diskFiles, FileError, stampOf, syncDirectory, type Files } from "./files";
import { movedText, readHandOver } from "./handOver";
import { readHistory, type History } from "./journal";
import { acquireLock, holder } from "./lock";
import { sendingText } from "./sendingText";
import type { Pace } from "./pace";
import type { Clock } from "./ports";
import type { CheckResult, Counts, Prepared, SenderDefaults } from "./preflight";
import type { CsvOptions } from "./recipients";
import { campaignDirectory, isCampaignId, makePrivateDirectory } from "./stateDirectory";

/** Worlds keep their own journals: a rehearsal or a dry run never settles a recipient of a real run. */
export type World = "real" | "sandbox" | "outbox";

/** Where a run's messages go. */
export type Target =
  /** `caSha256` is the approved content of the account's CA file, hex; undefined when it names none. */
  | { readonly kind: "account"; readonly account: Account; readonly caSha256: string | undefined }
  | { readonly kind: "sandbox" }
  /** One `.eml` file a message. */
  | { readonly kind: "outbox"; readonly directory: string };

/** A confirmed run, as `plan.json` in its folder holds it. */
export interface Plan {
  readonly version: 1;
  readonly campaignId: string;
  /** UUID of this run. */
  readonly runId: string;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Absolute folder of the run in the state directory; not stored, set when read. */
  readonly directory: string;
  readonly target: Target;
  /** Absolute paths of the originals. */
  readonly campaignFile: string;
  readonly root: string;
  /** The subject's template: one letter under two ids is found by it. */
  readonly subject?: string | undefined;
  readonly csv: CsvOptions;
  readonly sender: SenderDefaults;
  readonly counts: Counts;
  /** The copies: original absolute path → name in the run's folder, with the SHA-256 of the content. */
  readonly copies: readonly { readonly original: string; readonly copy: string; readonly sha256: string }[];
  /** Attachments by absolute path, pinned. */
  readonly attachments: readonly { readonly file: string; readonly size: number; readonly sha256: string }[];
  /** PEM text of the account's own authorities, as it was when confirmed. */
  readonly ca: string | undefined;
  readonly pace: Pace;
  /** Not before this moment, ISO 8601; undefined is at once. */
  readonly startAt?: string | undefined;
}

/** What a host gives to make a plan. */
export interface PlanRequest {
  readonly stateDirectory: string;
  readonly prepared: Prepared;
  readonly check: CheckResult;
  readonly target: Target;
  readonly root: string;
  readonly csv: CsvOptions;
  readonly sender: SenderDefaults;
  readonly pace: Pace;
  readonly startAt?: string | undefined;
  /**
   * The run that was the campaign's last when the person decided on a new one (undefined: none). If another window started
   * one meanwhile, no plan is made: two plans for the same people would mail them twice.
   */
  readonly previousRunId: string | undefined;
}

/** How a run stands. */
export interface RunState {
  readonly plan: Plan;
  /** `moved`: unfinished, and another machine goes on with it. */
  readonly state: "running" | "interrupted" | "finished" | "moved";
  /** When it was handed over, ISO 8601; only with `moved`. */
  readonly movedAt?: string;
  /** True for a running one whose owner lives but has not stirred for 30 s: a person may take over. */
  readonly silent: boolean;
  readonly totals: Totals;
  /** Original files whose content is no longer the copy's: absolute paths. */
  readonly changed: readonly string[];
  /** Whether the list is among them: then people may be on it whom this run does not know. */
  readonly listChanged: boolean;
}

/** The recipients of a run by outcome; they add up to `rows` less the excluded ones. */
export interface Totals {
  readonly accepted: number;
  readonly failed: number;
  readonly unknown: number;
  readonly skipped: number;
  readonly pending: number;
}

/** No plan can be made now. The message is fit to show. */
export class PlanError extends Error {
  override readonly name: string = "PlanError";
}

/** Somebody else sends this campaign, or is about to. The message is fit to show. */
export class RunningError extends PlanError {
  override readonly name = "RunningError";
}

/** The world of a target. */
export function worldOf(target: Target): World {
  return target.kind === "account" ? "real" : target.kind;
}

/** Copies what the campaign consists of into a new run's folder and flushes it to disk. Throws `PlanError` and `FileError`. */
export async function createPlan(request: PlanRequest, clock: Clock): Promise<Plan> {
  const { prepared, check, stateDirectory, root, target } = request;
  const campaignId = prepared.campaign.id;
  if (campaignId === undefined) throw new PlanError("The campaign has no id. Add one, then send.");
  const home = campaignDirectory(stateDirectory, campaignId, worldOf(target));
  await makePrivateDirectory(home);
  // Asked before the lock is taken too: whoever comes too late must not be in the way of the one that is about to send.
  await refuseNewer(home, request.previousRunId);
  const lock = await acquireLock(home, clock, { takeOver: false, atLeast: 1 });
  if (lock.kind === "busy") throw new RunningError(sendingText(lock.owner));
  try {
    const newest = await refuseNewer(home, request.previousRunId);
    // The other machine is mailing these very people.
    if (newest !== undefined) await refuseMoved(path.join(home, newest));
    const runId = randomUUID();
    const name = `${String(Number(newest?.slice(0, 4) ?? 0) + 1).padStart(4, "0")}-${runId}`;
    // What a killed maker left behind holds addresses and is of no use.
    for (const left of (await readdir(home)).filter((one) => one.startsWith("new-")))
      await rm(path.join(home, left), { recursive: true, force: true });
    const draft = path.join(home, `new-${runId}`);
    await makePrivateDirectory(draft);
    try {
      const files = await diskFiles(root);
      await refuseChanged(prepared, files);
      const copies: Plan["copies"][number][] = [];
      for (const { role, file } of prepared.opened) {
        if (copies.some(({ original }) => original === file)) continue;
        const copy = `${String(copies.length).padStart(3, "0")}-${role}`;
        // Through `files`, so that nothing outside the root is ever copied.
        const sha256 = await copyInto(files, file, path.join(draft, copy));
        copies.push({ original: file, copy, sha256 });
      }
      // Again behind the copying: what was confirmed is what was copied, all of it.
      await refuseChanged(prepared, files);
      const attachments: Plan["attachments"][number][] = [];
      for (const file of check.attachments.keys()) {
        const { size } = await files.stat(file);
        attachments.push({ file, size, sha256: await hashOf(files.stream(file)) });
      }
      const plan: Omit<Plan, "directory"> = {
        version: 1,
        campaignId,
        runId,
        createdAt: new Date(clock.now()).toISOString(),
        target,
        campaignFile: prepared.campaign.file,
        root,
        subject: prepared.campaign.subject?.text,
        csv: request.csv,
        sender: request.sender,
        counts: check.counts,
        copies,
        attachments,
        ca: target.kind === "account" ? await readCertificates(target.account, root, target.caSha256) : undefined,
        pace: request.pace,
        startAt: request.startAt,
      };
      await writeSynced(path.join(draft, "plan.json"), JSON.stringify(plan, undefined, 1));
      await syncDirectory(draft);
      const directory = path.join(home, name);
      await rename(draft, directory);
      await syncDirectory(home);
      return { ...plan, directory };
    } catch (error) {
      await rm(draft, { recursive: true, force: true });
      throw error;
    }
  } finally {
    await lock.release();
  }
}

/**
 * The last run of a campaign in a world, or undefined when there was none. Takes no lock. Throws `JournalError`; with `tolerant`,
 * for who only looks, it tells what a damaged journal still says.
 */
export async function lastRun(
  stateDirectory: string,
  campaignId: string,
  world: World,
  options: { readonly tolerant?: boolean } = {},
): Promise<RunState | undefined> {
  const home = campaignDirectory(stateDirectory, campaignId, world);
  const plan = await lastPlan(home);
  if (plan === undefined) return undefined;
  const history = await readHistory(plan.directory, options);
  const changed = await changedOriginals(plan);
  const list = plan.copies.find(({ copy }) => copy.endsWith("-recipients"))?.original;
  const listChanged = list !== undefined && changed.includes(list);
  const moved = history.finished ? undefined : await readHandOver(plan.directory, "moved");
  const held = history.finished || moved !== undefined ? "nobody" : await holder(home);
  const unfinished = held === "nobody" ? "interrupted" : "running";
  return {
    plan,
    state: history.finished ? "finished" : moved === undefined ? unfinished : "moved",
    ...(moved !== undefined && { movedAt: moved.at }),
    silent: held === "silent",
    totals: totalsOf(plan, history),
    changed,
    listChanged,
  };
}

/**
 * The last real run that mailed somebody from this very file while it had another id, or undefined. A lost or changed id
 * forgets who was mailed: whoever is about to send must hear of it. Throws `JournalError`.
 */
export async function runUnderAnotherId(
  stateDirectory: string,
  campaignFile: string,
  campaignId: string,
): Promise<RunState | undefined> {
  const ids = await readdir(path.join(stateDirectory, "campaigns")).catch(() => []);
  let newest: RunState | undefined;
  for (const id of ids.filter((one) => isCampaignId(one) && one !== campaignId)) {
    const plan = await lastPlan(campaignDirectory(stateDirectory, id, "real"));
    if (plan?.campaignFile !== campaignFile) continue;
    const run = await lastRun(stateDirectory, id, "real");
    if (run === undefined || run.totals.accepted + run.totals.unknown === 0) continue;
    if (newest === undefined || newest.plan.createdAt < run.plan.createdAt) newest = run;
  }
  return newest;
}

/** Every run of a campaign in a world, oldest first; those that cannot be read are left out. */
export async function allRuns(stateDirectory: string, campaignId: string, world: World): Promise<readonly Plan[]> {
  const home = campaignDirectory(stateDirectory, campaignId, world);
  const plans = await Promise.all(
    (await runNames(home)).map((name) => readPlan(path.join(home, name)).catch(() => undefined)),
  );
  return plans.filter((plan) => plan !== undefined);
}

/** All runs of the campaign that `plan` belongs to, in the same world, oldest first. */
export async function runsOf(plan: Plan): Promise<readonly Plan[]> {
  const home = path.dirname(plan.directory);
  return Promise.all((await runNames(home)).map((name) => readPlan(path.join(home, name))));
}

/** Whether no run of the campaign is newer than this one. Throws `PlanError` when another machine goes on with it. */
export async function isLastRun(plan: Plan): Promise<boolean> {
  await refuseMoved(plan.directory);
  return (await runNames(path.dirname(plan.directory))).at(-1) === path.basename(plan.directory);
}

async function refuseMoved(directory: string): Promise<void> {
  const moved = await readHandOver(directory, "moved");
  if (moved !== undefined) throw new PlanError(movedText(moved.at));
}

/**
 * Where everybody stands, from counters: as cheap for a million as for one. `doubt` is shown as unknown: that is what a resume
 * will make of it. Of a damaged journal, whoever is not accepted is unknown.
 */
export function totalsOf(plan: Plan, { fates, damage }: History): Totals {
  const { mail, invalid, skipped } = plan.counts;
  const { accepted, failed, unknown, doubt, skipped: left } = fates.counts;
  if (damage !== undefined)
    return { accepted, failed: invalid, unknown: Math.max(0, mail - accepted), skipped, pending: 0 };
  const done = accepted + failed + unknown + doubt + left;
  return {
    accepted,
    failed: failed + invalid,
    unknown: unknown + doubt,
    skipped: left + skipped,
    pending: Math.max(0, mail - done),
  };
}

/**
 * The files of a run: the copies under the names of their originals, and the pinned attachments. An attachment that is no
 * longer what was confirmed cannot be read.
 */
export async function plannedFiles(plan: Plan): Promise<Files> {
  const disk = await diskFiles(plan.root);
  const copies = new Map(plan.copies.map(({ original, copy }) => [original, path.join(plan.directory, copy)]));
  const pinned = new Map(plan.attachments.map((one) => [one.file, one]));
  return {
    root: disk.root,
    read: async (file) => {
      const copy = copies.get(file);
      if (copy !== undefined) return readFile(copy);
      const expected = pinned.get(file)?.sha256;
      if (expected === undefined) throw new FileError("outside", file, "is no part of this run");
      // Whatever keeps a pinned file from being what it was, also its absence, is a change that a person must see.
      const bytes = await disk.read(file).catch(() => undefined);
      if (bytes === undefined || createHash("sha256").update(bytes).digest("hex") !== expected)
        throw new FileError("unreadable", file, changedDetail);
      return bytes;
    },
    stream: async function* (file) {
      const copy = copies.get(file);
      if (copy === undefined) throw new FileError("outside", file, "is no part of this run");
      yield* createReadStream(copy, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>;
    },
    stat: async (file) => {
      const attachment = pinned.get(file);
      if (attachment !== undefined) return { size: attachment.size, mtimeMs: 0 };
      const copy = copies.get(file);
      if (copy === undefined) return disk.stat(file);
      const { size, mtimeMs } = await stat(copy);
      return { size, mtimeMs };
    },
  };
}

/** The detail of the error for an attachment that changed after the run was confirmed. */
export const changedDetail = "has changed since the run was confirmed";

/** The name of the newest run, which is the one that the planner knows. Throws `RunningError` when it is another. */
async function refuseNewer(home: string, knownRunId: string | undefined): Promise<string | undefined> {
  const newest = (await runNames(home)).at(-1);
  if (newest?.slice(5) !== knownRunId)
    throw new RunningError("Another run of this campaign was started meanwhile. Look at its report first.");
  return newest;
}

/** The names of the runs' folders in a campaign's folder of one world, oldest first; none where that is missing. */
export async function runNames(home: string): Promise<readonly string[]> {
  const names = await readdir(home).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => /^\d{4}-[0-9a-f-]{36}$/.test(name)).sort();
}

/** The plan of the last run in a campaign's folder of one world. */
export async function lastPlan(home: string): Promise<Plan | undefined> {
  const newest = (await runNames(home)).at(-1);
  return newest === undefined ? undefined : readPlan(path.join(home, newest));
}

/** The plan in a run's folder. */
export async function readPlan(directory: string): Promise<Plan> {
  const plan = JSON.parse(await readFile(path.join(directory, "plan.json"), "utf8")) as Omit<Plan, "directory">;
  if ((plan.version as number) !== 1)
    throw new PlanError("This run was planned by a newer Bulk Mail. Update, then resume.");
  return { ...plan, directory };
}

async function changedOriginals(plan: Plan): Promise<readonly string[]> {
  const files = await diskFiles(plan.root).catch(() => undefined);
  const changed: string[] = [];
  for (const { original, copy, sha256 } of plan.copies) {
    // The suppression file is meant to change: it is read afresh before every message.
    if (copy.endsWith("-suppress")) continue;
    const now = files === undefined ? undefined : await hashOf(files.stream(original)).catch(() => undefined);
    if (now !== sha256) changed.push(original);
  }
  return changed;
}

/** Throws `PlanError` when a file is not what it was when the campaign was opened and checked. */
async function refuseChanged(prepared: Prepared, files: Files): Promise<void> {
  // The suppression file too: whom it names is counted as skipped, and the run ends when all the others are settled.
  for (const { file, stamp } of prepared.opened)
    if ((await stampOf(files, file)) !== stamp)
      throw new PlanError(
        "The campaign or its list was changed while it was being checked. Nothing was sent: send again.",
      );
}

async function copyInto(files: Files, from: string, to: string): Promise<string> {
  const hash = createHash("sha256");
  const handle = await open(to, "wx", 0o600);
  try {
    for await (const chunk of files.stream(from)) {
      hash.update(chunk);
      await handle.writeFile(chunk);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return hash.digest("hex");
}

async function hashOf(chunks: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Records of runs hold addresses: people delete them, and old ones go by themselves. What is deleted can no longer keep anybody from
 * being mailed a second time; receipts beside campaigns stay, and say so.
 */
import { randomUUID } from "node:crypto";
import { readdir, rename, rm, rmdir } from "node:fs/promises";
import * as path from "node:path";
import { readHistory } from "./journal";
import { acquireLock, type Lock } from "./lock";
import { allRuns, PlanError, runNames, totalsOf, type Plan, type Totals, type World } from "./plan";
import type { Clock } from "./ports";
import { campaignDirectory, isCampaignId } from "./stateDirectory";

/** A run whose record is gone or may go. */
export interface PastRun {
  readonly campaignId: string;
  readonly runId: string;
  readonly world: World;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly campaignFile: string;
  readonly finished: boolean;
  readonly totals: Totals;
}

/** Said before history is deleted. */
export const deletionWarning =
  "Deleted history can no longer prevent a second send: whoever was mailed would be mailed again.";

/** Days after which a finished run's record goes by itself. */
export const defaultRetentionDays = 180;

const worlds = ["real", "sandbox", "outbox"] as const satisfies readonly World[];
const dayMs = 24 * 3600 * 1000;

/**
 * Deletes all records of a campaign, rehearsals and dry runs too; what was deleted. Runs that cannot be read go as well, and are
 * not listed. Throws `PlanError` when the campaign is being sent.
 */
export async function deleteHistory(
  stateDirectory: string,
  campaignId: string,
  clock: Clock,
): Promise<readonly PastRun[]> {
  const held: { readonly lock: Lock; readonly home: string }[] = [];
  try {
    for (const world of worlds) {
      const home = campaignDirectory(stateDirectory, campaignId, world);
      const lock = await lockOf(home, clock);
      if (lock === "busy")
        throw new PlanError("This campaign is being sent right now. Stop it, then delete its history.");
      if (lock !== undefined) held.push({ lock, home });
    }
    const removed: PastRun[] = [];
    for (const world of worlds)
      for (const plan of await allRuns(stateDirectory, campaignId, world)) removed.push(await describe(plan, world));
    for (const { home } of held) await removeWhole(home);
    await removeEmpty(stateDirectory, campaignId);
    return removed;
  } finally {
    for (const { lock } of held) await lock.release();
  }
}

/** The finished runs whose last message is more than `days` days before `now` (milliseconds since the epoch); 0 days is never. */
export async function expiredHistory(stateDirectory: string, days: number, now: number): Promise<readonly PastRun[]> {
  const expired: PastRun[] = [];
  for (const campaignId of await campaignIds(stateDirectory))
    for (const world of worlds) {
      const plans = await expiredPlans(stateDirectory, campaignId, world, days, now);
      for (const plan of plans) expired.push(await describe(plan, world));
    }
  return expired;
}

/** Removes what `expiredHistory` names, but for campaigns that are held just now; what was removed. Nothing else is touched. */
export async function applyRetention(stateDirectory: string, days: number, clock: Clock): Promise<readonly PastRun[]> {
  const removed: PastRun[] = [];
  for (const campaignId of await campaignIds(stateDirectory)) {
    for (const world of worlds) {
      const about = [stateDirectory, campaignId, world, days, clock.now()] as const;
      // Most campaigns have nothing to remove: their locks are left alone.
      if ((await expiredPlans(...about)).length === 0) continue;
      const home = campaignDirectory(stateDirectory, campaignId, world);
      const lock = await lockOf(home, clock);
      if (lock === undefined || lock === "busy") continue;
      try {
        for (const plan of await expiredPlans(...about)) {
          const past = await describe(plan, world);
          await removeRun(home, plan);
          removed.push(past);
        }
        if ((await runNames(home)).length === 0) await removeWhole(home);
      } finally {
        await lock.release();
      }
    }
    await removeEmpty(stateDirectory, campaignId);
  }
  return removed;
}

/**
 * The oldest runs of a campaign, up to the first that must stay. A later one is kept behind an unfinished one even when it is old:
 * without it, the unfinished one would be the last run again, and resuming it would mail people whom the later one reached.
 */
async function expiredPlans(
  stateDirectory: string,
  campaignId: string,
  world: World,
  days: number,
  now: number,
): Promise<readonly Plan[]> {
  if (days <= 0) return [];
  const before = now - days * dayMs;
  const expired: Plan[] = [];
  const home = campaignDirectory(stateDirectory, campaignId, world);
  const plans = await allRuns(stateDirectory, campaignId, world);
  for (const name of await runNames(home)) {
    const directory = path.join(home, name);
    const plan = plans.find((one) => one.directory === directory);
    // One that cannot be read may be unfinished.
    if (plan === undefined || !(await isOver(plan, before))) break;
    expired.push(plan);
  }
  return expired;
}

/** Whether a run is finished and nothing happened in it since `before`. */
async function isOver(plan: Plan, before: number): Promise<boolean> {
  if (Date.parse(plan.createdAt) >= before) return false;
  // A journal that cannot be trusted says nothing about its end.
  const history = await readHistory(plan.directory).catch(() => undefined);
  if (history?.finished !== true) return false;
  for (const { settledAt = 0 } of history.fates.values()) if (settledAt >= before) return false;
  return true;
}

async function describe(plan: Plan, world: World): Promise<PastRun> {
  const { campaignId, runId, createdAt, campaignFile } = plan;
  const history = await readHistory(plan.directory).catch(() => undefined);
  return {
    campaignId,
    runId,
    world,
    createdAt,
    campaignFile,
    finished: history?.finished === true,
    totals: totalsOf(plan, history ?? { fates: new Map(), finished: false, generation: 0 }),
  };
}

/** Undefined where there is no folder to lock. */
async function lockOf(home: string, clock: Clock): Promise<Lock | "busy" | undefined> {
  try {
    const lock = await acquireLock(home, clock, { takeOver: false, atLeast: 1 });
    return lock.kind === "busy" ? "busy" : lock;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Moved away in one step, so that nobody finds half a record; what a killed process leaves has no run's name. */
async function removeWhole(home: string): Promise<void> {
  const away = `${home}-deleted-${randomUUID()}`;
  await rename(home, away);
  await rm(away, { recursive: true, force: true });
}

/** Takes a campaign's folder away if nothing is in it: somebody may have begun a new run in it just now. */
async function removeEmpty(stateDirectory: string, campaignId: string): Promise<void> {
  const folder = path.join(stateDirectory, "campaigns", campaignId);
  for (const name of await namesIn(folder))
    if (name.includes("-deleted-")) await rm(path.join(folder, name), { recursive: true, force: true });
  await rmdir(folder).catch(() => {});
}

/** As `removeWhole`; the next plan of the campaign clears away what begins like this. */
async function removeRun(home: string, { directory }: Plan): Promise<void> {
  const away = path.join(home, `new-deleted-${path.basename(directory)}`);
  await rename(directory, away);
  await rm(away, { recursive: true, force: true });
}

async function campaignIds(stateDirectory: string): Promise<readonly string[]> {
  return (await namesIn(path.join(stateDirectory, "campaigns"))).filter(isCampaignId);
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return await readdir(directory).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  });
}

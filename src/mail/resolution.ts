/** What people decide about recipients whose fate nobody knows or who failed: they have the message, or are to be tried again. */
import { readdir, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import * as path from "node:path";
import { addressKey } from "./address";
import { FileError } from "./files";
import { Journal, readHistory, type Fate, type History, type JournalRecord } from "./journal";
import { acquireLock } from "./lock";
import { isLastRun, plannedFiles, PlanError, totalsOf, worldOf, type Plan, type Totals } from "./plan";
import type { Clock } from "./ports";
import { prepareCampaign, RowError, type Entry, type Prepared } from "./preflight";
import { readReceipt, writeReceipt } from "./receipt";

/** What a decision changed. */
export interface Resolution {
  /** How many recipients were decided on; those that were accepted, skipped or still to be mailed are left as they are. */
  readonly resolved: number;
  /** How many of those asked for never became a message: their rows have to be mended and sent in a new run. */
  readonly invalid: number;
  readonly totals: Totals;
}

/** A recipient who may have the message. */
export interface UnknownRecipient {
  readonly identity: string;
  readonly address: string;
  /** One-based line in the recipients file. */
  readonly line: number;
  /** With angle brackets; undefined when the journal holds none. */
  readonly messageId: string | undefined;
  /** When the message was handed over, ISO 8601. */
  readonly at: string;
  /** As it was sent; only for the first hundred, and undefined where it cannot be made again. */
  readonly subject?: string;
}

/** Subjects cost as much as composing a message: whoever looks for more than these looks for the Message-ID. */
const subjectLimit = 100;

const interrupted =
  "Sending was interrupted after the message may have been handed over. Look into the account's Sent folder before sending again.";

/**
 * Writes a person's decision about recipients of a campaign's last run into its journal; on disk when it resolves. `which` names
 * identities, or everybody of an outcome. A recipient that is in doubt counts as unknown. Those decided on as `retry` are mailed
 * when the run is resumed. Throws `PlanError` when the run cannot be decided on now, and `JournalError`.
 */
export async function resolveRecipients(
  plan: Plan,
  which: readonly string[] | "unknown" | "failed",
  as: "sent" | "retry",
  clock: Clock,
): Promise<Resolution> {
  const before = await readHistory(plan.directory);
  const home = path.dirname(plan.directory);
  const lock = await acquireLock(home, clock, { takeOver: false, atLeast: before.generation + 1 });
  if (lock.kind === "busy")
    throw new PlanError("This campaign is being sent right now. Stop it or wait for its end, then decide.");
  let journal: Journal | undefined;
  try {
    if (!(await isLastRun(plan)))
      throw new PlanError("A newer run of this campaign exists. Only the last run's recipients can be decided on.");
    journal = await Journal.open(plan.directory, {
      campaignId: plan.campaignId,
      runId: plan.runId,
      generation: lock.generation,
      at: clock.now(),
      host: hostname(),
    });
    const { history } = journal;
    settleDoubts(journal, clock);
    const chosen = choose(history, which);
    for (const k of chosen) journal.append({ t: "resolve", k, as, at: clock.now() });
    const totals = totalsOf(plan, history);
    if (chosen.length > 0 && totals.pending === 0 && !history.finished)
      journal.append({ t: "ctl", what: "finish", at: clock.now() });
    await journal.sync();
    if (chosen.length > 0) await keepReceipt(plan, history.finished, totals, clock);
    return { resolved: chosen.length, invalid: await countInvalid(plan, history, which), totals };
  } finally {
    await journal?.close();
    await lock.release();
  }
}

/** Why rows that never became a message cannot be tried again, and what can be done. */
export function invalidText(count: number): string {
  return count === 1
    ? "1 row never became a message, so there is nothing to try again: mend it, then send it in a new run."
    : `${String(count)} rows never became messages, so there is nothing to try again: mend them, then send them in a new run.`;
}

/** Everybody who may have the message, in the order of the list, with what helps to find it among the sent ones. Throws as `readReport`. */
export async function unknownRecipients(plan: Plan): Promise<readonly UnknownRecipient[]> {
  const { fates } = await readHistory(plan.directory);
  const isUnknown = (fate: Fate | undefined): fate is Fate => fate?.outcome === "unknown" || fate?.outcome === "doubt";
  if (![...fates.values()].some(isUnknown)) return [];
  const handedOver = await handOvers(plan.directory);
  const prepared = await openPlan(plan);
  const found: UnknownRecipient[] = [];
  for await (const entry of prepared.entries()) {
    const fate = fates.get(entry.identity);
    if (entry.kind !== "mail" || !isUnknown(fate)) continue;
    const at = handedOver.get(entry.identity) ?? fate.settledAt ?? Date.parse(plan.createdAt);
    const subject = found.length < subjectLimit ? await subjectOf(prepared, entry, plan, at) : undefined;
    found.push({
      identity: entry.identity,
      address: entry.to.address,
      line: entry.row.line + 1,
      messageId: fate.messageId,
      at: new Date(at).toISOString(),
      ...(subject !== undefined && { subject }),
    });
  }
  return found;
}

/**
 * The identities of the run's recipients by address as given: several where a list has a key column, none where nobody of that
 * address is on it. Throws as `readReport`.
 */
export async function identitiesOf(
  plan: Plan,
  addresses: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const wanted = new Map(addresses.map((address) => [address, addressKey(address.trim())]));
  const keys = new Set(wanted.values());
  const found = new Map<string, Set<string>>();
  for await (const { identity } of (await openPlan(plan)).entries()) {
    const [person = ""] = identity.split("\t");
    if (keys.has(person)) found.set(person, (found.get(person) ?? new Set()).add(identity));
  }
  return new Map([...wanted].map(([address, key]) => [address, [...(found.get(key) ?? [])]]));
}

/** Doubts are unknown: that is what a resume makes of them, too. */
function settleDoubts(journal: Journal, clock: Clock): void {
  for (const [k, { outcome }] of journal.history.fates)
    if (outcome === "doubt") journal.append({ t: "unknown", k, why: interrupted, at: clock.now() });
}

function choose({ fates }: History, which: readonly string[] | "unknown" | "failed"): readonly string[] {
  if (typeof which === "string") return [...fates].filter(([, { outcome }]) => outcome === which).map(([k]) => k);
  return [...new Set(which)].filter((k) => ["unknown", "failed"].includes(fates.get(k)?.outcome ?? ""));
}

/** How many of those asked for are rows that never became a message: the journal knows nothing of them. */
async function countInvalid(plan: Plan, { fates }: History, which: readonly string[] | string): Promise<number> {
  if (which === "failed") return plan.counts.invalid;
  if (typeof which === "string" || plan.counts.invalid === 0) return 0;
  const missing = new Set(which.filter((identity) => !fates.has(identity)));
  if (missing.size === 0) return 0;
  let count = 0;
  for await (const { kind, identity } of (await openPlan(plan)).entries())
    if (kind === "invalid" && missing.has(identity)) count++;
  return count;
}

/** The receipt tells what the journal tells. It was written when the run began; a decision makes none. */
async function keepReceipt(plan: Plan, finished: boolean, totals: Totals, clock: Clock): Promise<void> {
  if (worldOf(plan.target) !== "real") return;
  try {
    const receipt = await readReceipt(plan.campaignFile, plan.campaignId);
    if (receipt?.runId === plan.runId) await writeReceipt(plan, finished ? "finished" : "stopped", totals, clock);
  } catch {
    // The decision is in the journal, which is what counts here; the next stretch of the run writes the receipt again.
  }
}

/** When each message was last handed over, milliseconds since the epoch: a run that died settles its doubts only later. */
async function handOvers(directory: string): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number>();
  for (const name of (await readdir(directory)).filter((one) => /^journal-\d{6}\.jsonl$/.test(one)).sort()) {
    // Its checksums have been looked at already; a torn tail is no record.
    for (const line of (await readFile(path.join(directory, name), "utf8")).split("\n").slice(0, -1)) {
      if (line.slice(9, 20) !== '{"t":"data"') continue;
      const { k, at } = JSON.parse(line.slice(9)) as Extract<JournalRecord, { t: "data" }>;
      times.set(k, at);
    }
  }
  return times;
}

async function openPlan(plan: Plan): Promise<Prepared> {
  const { value, problems } = await prepareCampaign({
    file: plan.campaignFile,
    files: await plannedFiles(plan),
    csv: plan.csv,
    sender: plan.sender,
  });
  if (value === undefined)
    throw new PlanError(problems[0]?.message ?? "The run's copy of the campaign cannot be read.");
  return value;
}

async function subjectOf(
  prepared: Prepared,
  entry: Extract<Entry, { kind: "mail" }>,
  { runId }: Plan,
  at: number,
): Promise<string | undefined> {
  try {
    return (await prepared.compose(entry, { runId, date: new Date(at) })).subject;
  } catch (error) {
    // An attachment that changed since keeps the message from being made again, not the person from looking for it.
    if (error instanceof RowError || error instanceof FileError) return undefined;
    throw error;
  }
}

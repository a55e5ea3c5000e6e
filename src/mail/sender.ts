/** The heart: sends a plan to its end, or as far as it may go. */
import { hostname } from "node:os";
import * as path from "node:path";
import type { Failure, OutcomeClass } from "./classify";
import { openDelivery, type Delivery } from "./delivery";
import { diskFiles, FileError } from "./files";
import { History, Journal, JournalError, readHistory } from "./journal";
import { Lanes } from "./lanes";
import { acquireLock, ownerIn, type Busy, type Lock } from "./lock";
import { isLastRun, plannedFiles, PlanError, totalsOf, type Plan, type Totals } from "./plan";
import { leaseMailbox } from "./mailboxLease";
import type { Pace } from "./pace";
import type { Clock, Ports } from "./ports";
import { prepareCampaign, suppression } from "./preflight";
import { plainText } from "./problems";
import { openReceipt } from "./receipt";
import { mailboxDirectory, mailboxOf, QuotaLedger } from "./quota";
import { RunProgress } from "./runProgress";
import type { Waiting } from "./waiting";

/** How often the clock is looked at while a run waits for its start, and how late it may start, milliseconds. */
const lookAgainMs = 30_000;
const tooLateMs = 120_000;

/** A whole picture of a run at one moment. */
export interface Progress extends Totals {
  readonly runId: string;
  readonly state: "starting" | "sending" | "waiting" | "stopping";
  readonly total: number;
  /** ISO 8601, of this stretch of the run. */
  readonly startedAt: string;
  /** Milliseconds until the rest is sent at the present pace; undefined when it cannot be said. */
  readonly remainingMs: number | undefined;
  /** What the run waits for, when `state` is `waiting`. */
  readonly waiting: Waiting | undefined;
}

/** What became of one attempt. */
export interface AttemptEvent {
  readonly address: string;
  /** Zero-based line in the recipients file. */
  readonly line: number;
  readonly result: "accepted" | "failed" | "unknown" | "retry";
  readonly attempt: number;
  readonly durationMs: number;
  readonly class?: OutcomeClass;
  /** Our sentence for a failure. */
  readonly text?: string;
  /** The server's words, plain text. */
  readonly reply?: string;
  readonly messageId: string;
  /** When `retry`: how long until the next attempt, milliseconds. */
  readonly retryInMs?: number;
}

/** Why a run came to rest. */
export type Ending =
  /** Every recipient is settled. */
  | { readonly kind: "finished" }
  /** Somebody asked; what was in flight was awaited. */
  | { readonly kind: "stopped" }
  /** The limit given for this stretch was reached. */
  | { readonly kind: "limit" }
  /** Nothing can leave for longer than the host is ready to wait; later it goes on where it stands. */
  | { readonly kind: "later"; readonly waiting: Waiting }
  /** Its start came while the machine slept: a person decides when it goes. */
  | { readonly kind: "missed"; readonly startAt: string }
  /** The account, the server or too many failures: nothing more can go out before a person looks. */
  | { readonly kind: "account"; readonly failure: Failure }
  | { readonly kind: "failures"; readonly text: string; readonly failure: Failure }
  /** The journal cannot be written, or an attachment is no longer what was confirmed. */
  | { readonly kind: "broken"; readonly text: string }
  /** Somebody else sends this campaign. */
  | { readonly kind: "locked"; readonly text: string; readonly silent: boolean };

/** How a stretch ended and where everybody stands. */
export interface RunSummary extends Totals {
  readonly runId: string;
  readonly ending: Ending;
  readonly durationMs: number;
}

/** A pace that may change while a run goes. */
export interface PaceSource {
  readonly current: Pace;
  /** Calls `listener` after every change, until the signal aborts. */
  onChange(listener: () => void, signal: AbortSignal): void;
}

/** How a host steers and watches a run. */
export interface RunHooks {
  /** Aborting it takes nothing new and awaits what is in flight. */
  readonly stop: AbortSignal;
  /** Aborting it ends at once; what was handed over without a reply is unknown. */
  readonly abort: AbortSignal;
  /** Whole snapshots, at most four a second and one at the end. */
  onProgress(progress: Progress): void;
  onAttempt(event: AttemptEvent): void;
  /** The pace as the settings have it now; without it, the plan's holds to the end. */
  readonly pace?: PaceSource;
}

/** Choices for one stretch. */
export interface RunOptions {
  /** Send at most this many messages in this stretch. */
  readonly limit?: number;
  /** Take over from a live owner that has been silent for 30 s; a person said so. */
  readonly takeOver?: boolean;
  /** How long it may wait at a stretch for hours, allowances or another's mailbox, milliseconds; else it ends as `later`. Default: for ever. */
  readonly patience?: number;
}

/**
 * Sends what the plan's journal says is not settled yet. Settles every doubt as unknown first. Never throws for what mail
 * servers, disks or people do: that is in the summary's `ending`.
 */
export async function runCampaign(
  plan: Plan,
  ports: Ports,
  hooks: RunHooks,
  options: RunOptions = {},
): Promise<RunSummary> {
  const began = ports.clock.monotonic();
  const home = path.dirname(plan.directory);
  let lock: Lock | Busy | undefined;
  let lease: Lock | undefined;
  let ledger: QuotaLedger | undefined;
  let journal: Journal | undefined;
  let delivery: Delivery | undefined;
  let totals: Totals | undefined;
  const receipt = openReceipt(plan, ports);
  const end = (ending: Ending): RunSummary => ({
    runId: plan.runId,
    ending,
    durationMs: ports.clock.monotonic() - began,
    ...(totals ?? totalsOf(plan, new History())),
  });
  // Who was taken over has no say about the run any more.
  const closeReceipt = async (ending: Ending): Promise<void> => {
    if (totals !== undefined && lock?.kind === "held" && lock.stillOurs()) await receipt.end(ending, totals);
  };
  try {
    const earlier = await readHistory(plan.directory);
    totals = totalsOf(plan, earlier);
    const before = await ownerIn(home);
    lock = await acquireLock(home, ports.clock, {
      takeOver: options.takeOver ?? false,
      atLeast: earlier.generation + 1,
    });
    if (lock.kind === "busy") return end(lockedEnding(lock));
    if (!(await isLastRun(plan))) throw new PlanError("A newer run of this campaign exists. Go on with that one.");
    const header = {
      campaignId: plan.campaignId,
      runId: plan.runId,
      generation: lock.generation,
      at: ports.clock.now(),
      host: hostname(),
    };
    journal = await Journal.open(plan.directory, header, earlier);
    settleDoubts(journal, ports);
    totals = totalsOf(plan, journal.history);
    if (totals.pending === 0) {
      if (!journal.history.finished) journal.append({ t: "ctl", what: "finish", at: ports.clock.now() });
      return end({ kind: "finished" });
    }
    const { value: prepared, problems } = await prepareCampaign({
      file: plan.campaignFile,
      files: await plannedFiles(plan),
      csv: plan.csv,
      sender: plan.sender,
    });
    if (prepared === undefined)
      throw new PlanError(problems[0]?.message ?? "The run's copy of the campaign cannot be read.");
    const stateDirectory = path.resolve(home, "..", "..", "..");
    const progress = new RunProgress(plan, journal, ports.clock, (snapshot) => {
      const stopping = snapshot.state !== "starting" && (hooks.stop.aborted || hooks.abort.aborted);
      hooks.onProgress(stopping ? { ...snapshot, state: "stopping", waiting: undefined } : snapshot);
    });
    const waits = (waiting: Waiting): void => progress.waits(waiting);
    const late = await waitForStart(plan, ports.clock, hooks.stop, waits);
    if (late !== undefined) return end(late);
    if (plan.target.kind === "account") {
      const directory = mailboxDirectory(stateDirectory, mailboxOf(plan.target.account));
      const found = await leaseMailbox(directory, {
        clock: ports.clock,
        purpose: plainText(path.basename(plan.campaignFile), 60),
        takeFrom: options.takeOver === true ? before : undefined,
        signal: hooks.stop,
        patience: options.patience ?? Infinity,
        onWait: waits,
      });
      if (found === undefined) return end({ kind: "stopped" });
      if ("why" in found) return end({ kind: "later", waiting: found });
      lease = found;
      ledger = await QuotaLedger.open(directory, ports.clock);
    }
    delivery = await openDelivery(plan.target, {
      stateDirectory,
      campaignId: plan.campaignId,
      ca: plan.ca,
      credentials: await ports.credentials(),
      accessTokens: ports.accessTokens,
    });
    const isSuppressed = await suppression(await diskFiles(plan.root), prepared.campaign, plan.csv);
    await receipt.begin(totals);
    const lanes = new Lanes({
      plan,
      prepared,
      isSuppressed,
      journal,
      locks: lease === undefined ? [lock] : [lock, lease],
      ledger,
      delivery,
      ports,
      hooks,
      progress,
      limit: options.limit,
      patience: options.patience ?? Infinity,
    });
    const ending = await lanes.toTheirEnd();
    totals = totalsOf(plan, journal.history);
    await closeReceipt(ending);
    return end(ending);
  } catch (error) {
    if (journal !== undefined) totals = totalsOf(plan, journal.history);
    const ending = { kind: "broken", text: brokenText(error) } as const;
    await closeReceipt(ending);
    return end(ending);
  } finally {
    try {
      await delivery?.close();
    } finally {
      await ledger?.close();
      await lease?.release();
      await journal?.close();
      if (lock?.kind === "held") await lock.release();
    }
  }
}

/** Doubts of earlier stretches: their body may have left, so they are unknown until a person says more. */
function settleDoubts(journal: Journal, ports: Ports): void {
  for (const k of journal.history.fates.inDoubt())
    journal.append({
      t: "unknown",
      k,
      why: "Sending was interrupted after the message may have been handed over. Look into the account's Sent folder before sending again.",
      at: ports.clock.now(),
    });
}

/** Waits for the start that was chosen. A start that passed while the machine slept is not made up for: a person says when. */
async function waitForStart(
  plan: Plan,
  clock: Clock,
  stop: AbortSignal,
  waits: (waiting: Waiting) => void,
): Promise<Ending | undefined> {
  const { startAt } = plan;
  if (startAt === undefined) return undefined;
  const until = Date.parse(startAt);
  for (let left = until - clock.now(); left > 0; left = until - clock.now()) {
    waits({ why: "start", until });
    // In pieces: the wall clock may be set, and timers stand still while the machine sleeps.
    await clock.sleep(Math.min(left, lookAgainMs), stop);
    if (stop.aborted) return { kind: "stopped" };
  }
  return clock.now() - until > tooLateMs ? { kind: "missed", startAt } : undefined;
}

function lockedEnding(busy: Busy): Ending {
  const where =
    busy.owner === undefined ? "another window or process" : `process ${String(busy.owner.pid)} on ${busy.owner.host}`;
  return busy.silent
    ? {
        kind: "locked",
        silent: true,
        text: `This campaign is held by ${where}, which has not stirred for 30 seconds. Take over if you are sure that it no longer sends.`,
      }
    : { kind: "locked", silent: false, text: `This campaign is being sent by ${where}. Wait for its end.` };
}

/** What broke, as a sentence with the next step. Broken code is thrown again. */
function brokenText(error: unknown): string {
  if (error instanceof JournalError || error instanceof PlanError) return error.message;
  if (error instanceof FileError)
    return `A file of the campaign cannot be used: ${plainText(error.message)}. Restore it, then resume.`;
  if (isDiskError(error)) return `The run's folder cannot be used (${error.code}). Mend the disk, then resume.`;
  throw error;
}

function isDiskError(error: unknown): error is NodeJS.ErrnoException & { readonly code: string } {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === "string" && "syscall" in error;
}

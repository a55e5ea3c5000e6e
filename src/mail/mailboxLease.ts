/** One process sends through a mailbox at a time: its provider counts what leaves it, whichever campaign that belongs to. */
import { acquireLock, heartbeatMs, ownerIn, type Lock, type Owner } from "./lock";
import type { Clock } from "./ports";
import { makePrivateDirectory } from "./stateDirectory";
import type { Waiting } from "./waiting";

/** How often a taken mailbox is asked for again, milliseconds. */
const lookAgainMs = 500;

/** How much later a look may come without the machine having slept, milliseconds. */
const lateMs = 5_000;

/** How a lease is waited for. */
export interface LeaseOptions {
  readonly clock: Clock;
  /** The campaign that wants it, for whoever has to wait then; plain text. */
  readonly purpose: string;
  /** The silent process that a person takes the run over from: its mailbox comes with it. Any other is waited for. */
  readonly takeFrom: Owner | undefined;
  /** Aborting it ends the wait. */
  readonly signal: AbortSignal;
  /** Milliseconds. */
  readonly patience: number;
  readonly onWait: (waiting: Waiting) => void;
}

/** The lease; or what it waited for when its patience was at an end; or undefined when it was told to stop. */
export async function leaseMailbox(directory: string, options: LeaseOptions): Promise<Lock | Waiting | undefined> {
  const { clock, purpose, takeFrom, signal, patience, onWait } = options;
  await makePrivateDirectory(directory);
  const began = clock.monotonic();
  for (;;) {
    if (signal.aborted) return undefined;
    const takeOver = takeFrom !== undefined && isSameProcess(takeFrom, await ownerIn(directory));
    const lock = await acquireLock(directory, clock, { takeOver, atLeast: 1, purpose });
    if (lock.kind === "held") return lock;
    const waiting: Waiting = { why: "mailbox", until: undefined, who: describe(lock.owner) };
    if (clock.monotonic() - began + lookAgainMs > patience) return waiting;
    onWait(waiting);
    const before = clock.boot().ms;
    await clock.sleep(lookAgainMs, signal);
    // The machine slept, and its owner with it: let that one show that it lives.
    if (clock.boot().ms - before > lookAgainMs + lateMs) await clock.sleep(heartbeatMs + lookAgainMs, signal);
  }
}

function isSameProcess(one: Owner, other: Owner | undefined): boolean {
  return one.pid === other?.pid && one.host === other.host && one.processStart === other.processStart;
}

function describe(owner: Owner | undefined): string {
  if (owner === undefined) return "another process";
  const where = `process ${String(owner.pid)} on ${owner.host}`;
  return owner.purpose === undefined ? where : `${owner.purpose} (${where})`;
}

/** Pace: when the next message may leave, over all connections of a run. */
import { setMaxListeners } from "node:events";
import type { Pace } from "./pace";
import type { Clock } from "./ports";
import type { QuotaLedger, Reservation } from "./quota";
import { windowWaitMs } from "./sendingWindow";
import { SteadyTime } from "./steadyTime";
import type { Waiting } from "./waiting";

/** What became of a wish to send. */
export type Turn =
  /** Send now. The place in the mailbox's allowance is committed or given back; undefined without a ledger. */
  | { readonly kind: "go"; readonly reservation: Reservation | undefined }
  | { readonly kind: "aborted" }
  /** The wait that is needed is longer than the patience. */
  | { readonly kind: "impatient"; readonly waiting: Waiting }
  /** No wait is long enough. The text has the cause and the next step. */
  | { readonly kind: "never"; readonly text: string };

/** Shorter waits are not told, milliseconds. */
const tellMs = 2_000;
/** Clocks are looked at again after this: timers drift while a machine sleeps, and the wall clock may be set. */
const lookMs = 60_000;
/** What a delay grows from where there is none, and to where it grows: shares of the first retry's delay, a second and a minute by default. */
const growFromShare = 1 / 5;
const growToShare = 12;
const growToFactor = 16;
/** After so many accepted messages in a row a grown delay shrinks by a quarter. */
const shrinkAfter = 10;

/** A wait that is needed; `why` undefined: just the delay between two messages. */
interface Wait {
  readonly ms: number;
  readonly why: Waiting["why"] | undefined;
}

/** Hands out turns, in the order in which they were asked for. Nothing that was not used is caught up. */
export class Throttle {
  private readonly time: SteadyTime;
  /** Resolves when everybody who asked so far has got an answer. */
  private line: Promise<unknown> = Promise.resolve();
  /** When the last turn was given. */
  private last = -Infinity;
  private inBatch = 0;
  private readonly holds = { server: -Infinity, quota: -Infinity };
  /** The delay as refusals made it grow; 0 while they did not. */
  private grown = 0;
  private acceptedInARow = 0;
  /** Whether a turn was given since the delay grew: what several connections hear at one moment counts once. */
  private turnSinceGrowth = true;
  private sleeper: AbortController | undefined;
  private told: Waiting | undefined;

  /** @param ledger of the mailbox; without one the limits a minute, hour and day do not count */
  constructor(
    private readonly clock: Clock,
    private pace: Pace,
    private readonly ledger: QuotaLedger | undefined,
  ) {
    this.time = new SteadyTime(clock);
  }

  /** What the next turn waits for, when that takes long enough to be told. */
  get waiting(): Waiting | undefined {
    return this.told;
  }

  /**
   * Waits for a turn and takes it, once delay, batch, limits, holds and hours agree at one moment.
   *
   * @param recipients of the message, cc and bcc included
   * @param patience how long it may be until hours, allowance or rate let the message go, milliseconds
   * @param onWait told why and until when, whenever a wait of 2 s or more begins or changes
   */
  async turn(
    recipients: number,
    signal: AbortSignal,
    patience = Infinity,
    onWait?: (waiting: Waiting) => void,
  ): Promise<Turn> {
    const before = this.line;
    let leave = (): void => {};
    this.line = Promise.all([before, new Promise<void>((resolve) => (leave = resolve))]);
    try {
      await eitherOf(before, signal);
      return await this.atTheHead(recipients, signal, patience, onWait);
    } finally {
      leave();
    }
  }

  /** Nobody gets a turn for `ms` from now. */
  hold(ms: number, why: "server" | "quota"): void {
    this.holds[why] = Math.max(this.holds[why], this.time.now() + ms);
    this.wake();
  }

  /** The server asked for patience: the delay doubles, from a second at least, to 16 times or a minute, whichever is shorter. */
  slowDown(): void {
    this.acceptedInARow = 0;
    if (!this.turnSinceGrowth) return;
    this.turnSinceGrowth = false;
    const base = this.growFrom;
    // A delay of more than half a minute doubles once all the same.
    const most = Math.max(2 * base, Math.min(growToFactor * base, this.pace.retryInitialDelay * growToShare));
    this.grown = Math.min(most, 2 * Math.max(this.grown, base));
    this.wake();
  }

  /** A message was accepted: a grown delay shrinks slowly, until it is the pace's own again. */
  accepted(): void {
    if (this.grown === 0 || ++this.acceptedInARow < shrinkAfter) return;
    this.acceptedInARow = 0;
    const less = this.grown * 0.75;
    this.grown = less <= this.growFrom ? 0 : less;
    this.wake();
  }

  /** Another pace counts from now on, for those who wait too. */
  setPace(pace: Pace): void {
    this.pace = pace;
    this.wake();
  }

  private get growFrom(): number {
    return Math.max(this.pace.delay, this.pace.retryInitialDelay * growFromShare);
  }

  private async atTheHead(
    recipients: number,
    signal: AbortSignal,
    patience: number,
    onWait: ((waiting: Waiting) => void) | undefined,
  ): Promise<Turn> {
    try {
      for (;;) {
        if (signal.aborted) return { kind: "aborted" };
        const { perDay } = this.pace;
        if (this.ledger !== undefined && perDay > 0 && recipients > perDay)
          return {
            kind: "never",
            text: `The message has ${recipients} recipients, and the mailbox may send to ${perDay} in 24 hours. Write to fewer people at once, or raise the limit per day.`,
          };
        const { ms, why } = this.wait(recipients);
        if (ms <= 0) return { kind: "go", reservation: this.take(recipients) };
        if (why !== undefined) {
          const waiting: Waiting = { why, until: ms === Infinity ? undefined : Math.ceil(this.clock.now() + ms) };
          if (ms > patience && (why === "window" || why === "quota" || why === "rate"))
            return { kind: "impatient", waiting };
          if (ms >= tellMs && !isSame(waiting, this.told)) {
            this.told = waiting;
            onWait?.(waiting);
          }
        }
        await this.sleep(ms, signal);
      }
    } finally {
      this.told = undefined;
    }
  }

  /** The longest wait of all; it is nobody's turn before. */
  private wait(recipients: number): Wait {
    const { pace, last, ledger } = this;
    const now = this.time.now();
    let longest: Wait = { ms: 0, why: undefined };
    const consider = (ms: number, why: Wait["why"]): void => {
      if (ms > longest.ms) longest = { ms, why };
    };
    consider(last + pace.delay - now, undefined);
    consider(last + this.grown - now, "server");
    if (pace.batchSize > 0 && this.inBatch >= pace.batchSize) consider(last + pace.batchPause - now, "batch");
    consider(this.holds.server - now, "server");
    consider(this.holds.quota - now, "quota");
    if (ledger !== undefined) {
      const { perMinute, perHour, perDay } = pace;
      consider(ledger.waitMs({ perMinute, perHour, perDay: 0 }, recipients), "rate");
      consider(ledger.waitMs({ perMinute: 0, perHour: 0, perDay }, recipients), "quota");
    }
    // The hours may be over when all the others agree.
    const closed = windowWaitMs(pace.window, this.clock.now() + longest.ms);
    return closed > 0 ? { ms: longest.ms + closed, why: "window" } : longest;
  }

  private take(recipients: number): Reservation | undefined {
    // From now, not from when the turn was due: what was not used is not caught up.
    this.last = this.time.now();
    const { batchSize } = this.pace;
    this.inBatch = batchSize > 0 && this.inBatch >= batchSize ? 1 : this.inBatch + 1;
    this.turnSinceGrowth = true;
    const reservation = this.ledger?.take(recipients);
    if (reservation === undefined) return undefined;
    const giveBack = (): void => {
      reservation.giveBack();
      this.wake();
    };
    return { commit: () => reservation.commit(), giveBack };
  }

  private async sleep(ms: number, signal: AbortSignal): Promise<void> {
    const sleeper = new AbortController();
    this.sleeper = sleeper;
    const wake = (): void => sleeper.abort();
    signal.addEventListener("abort", wake, { once: true });
    await this.clock.sleep(Math.min(ms, lookMs), sleeper.signal);
    signal.removeEventListener("abort", wake);
    this.sleeper = undefined;
  }

  private wake(): void {
    this.sleeper?.abort();
  }
}

/** Whether a wait was told already: moments wander by a little as clocks do. */
function isSame(a: Waiting, b: Waiting | undefined): boolean {
  if (a.why !== b?.why) return false;
  return a.until === b.until || Math.abs((a.until ?? Infinity) - (b.until ?? Infinity)) < 1_000;
}

/** Resolves with `promise`, which never rejects, or when the signal aborts. */
function eitherOf(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    if (signal.aborted) return done();
    // Every lane of a run listens to one signal: that is no leak.
    setMaxListeners(0, signal);
    signal.addEventListener("abort", done, { once: true });
    void promise.then(done);
  });
}

/** How fast a run may go, and how stubbornly it tries: the settings and the account's own limits as one. */

/** How fast a run goes and how long it tries. Milliseconds; 0 is no limit. */
export interface Pace {
  readonly delay: number;
  readonly connections: number;
  /** Messages in any minute and in any hour. */
  readonly perMinute: number;
  readonly perHour: number;
  /** Recipients in any 24 hours, cc and bcc included, over everything that leaves through the mailbox. */
  readonly perDay: number;
  /** After so many messages the run pauses for `batchPause`. */
  readonly batchSize: number;
  readonly batchPause: number;
  /** When messages may leave; undefined is always. */
  readonly window: SendingWindow | undefined;
  readonly maxAttempts: number;
  readonly retryInitialDelay: number;
  readonly retryMaxDelay: number;
  /** Pause after this many final failures in a row; 0 never. */
  readonly pauseAfterFailures: number;
}

/** No limit of any kind but the delay. */
export const unlimited = {
  perMinute: 0,
  perHour: 0,
  perDay: 0,
  batchSize: 0,
  batchPause: 0,
  window: undefined,
} as const satisfies Partial<Pace>;

/** A day of the week. */
export type Weekday = "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun";

/** The hours in which messages may leave. */
export interface SendingWindow {
  /** Never empty. */
  readonly days: readonly Weekday[];
  /** `HH:MM`, on the clocks of `zone`. A `to` that is not later than `from` is on the next day; equal ones are the whole day. */
  readonly from: string;
  readonly to: string;
  /** IANA name such as Europe/Berlin; empty for the machine's own. */
  readonly zone: string;
}

/** How fast a run may go, and how stubbornly it tries: the settings and the account's own limits as one. */
import type { Account } from "./account";
import { providerById } from "./providers";
import { parseWindow } from "./sendingWindow";

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

/** The settings that make a pace, by their keys without `bulkMail.`. Milliseconds; 0 is no limit. */
export interface PaceSettings {
  readonly "sending.delay": number;
  /** At least 1. */
  readonly "sending.connections": number;
  readonly "sending.perMinute": number;
  readonly "sending.perHour": number;
  readonly "sending.perDay": number;
  readonly "sending.batchSize": number;
  readonly "sending.batchPause": number;
  /** As `parseWindow` takes it; an empty object is always. */
  readonly "sending.window": Readonly<Record<string, unknown>>;
  /** At least 1. */
  readonly "retry.maxAttempts": number;
  readonly "retry.initialDelay": number;
  readonly "retry.maxDelay": number;
  readonly pauseAfterFailures: number;
}

/** Where the settings are read. Values are checked already. */
export interface PaceReader {
  /** What counts for the account: of a user's own account, what the user says. */
  get<K extends keyof PaceSettings>(key: K): PaceSettings[K];
  /** What a workspace says about a user's own account, which it may slow down only; undefined where it says nothing. */
  tighter<K extends keyof PaceSettings>(key: K): PaceSettings[K] | undefined;
}

/** What an account may limit by itself. */
export type Limits = Pick<Pace, "delay" | "connections" | "perMinute" | "perHour" | "perDay">;

/**
 * The pace of an account. A limit that stands in the account wins over the settings; where it says nothing, the stricter of
 * settings and provider counts. A workspace tightens a user's own account and never loosens it: of two numbers the slower one
 * counts, and its hours only where the user has none. Undefined is the sandbox, which waits for nothing.
 */
export function paceFrom(account: Account | undefined, read: PaceReader): Pace {
  const strict = <K extends keyof PaceSettings>(key: K, mine: PaceSettings[K]): PaceSettings[K] => {
    const theirs = read.tighter(key);
    return theirs === undefined ? mine : stricter[key](mine, theirs);
  };
  const setting = <K extends keyof PaceSettings>(key: K): PaceSettings[K] => strict(key, read.get(key));
  const retries = {
    maxAttempts: setting("retry.maxAttempts"),
    retryInitialDelay: setting("retry.initialDelay"),
    retryMaxDelay: setting("retry.maxDelay"),
    pauseAfterFailures: setting("pauseAfterFailures"),
  };
  if (account === undefined) return { delay: 0, connections: 1, ...unlimited, ...retries };
  const usual = defaultLimits(account.provider, read, account.transport);
  const limit = (name: keyof Limits): number => strict(`sending.${name}`, account.limits[name] ?? usual[name]);
  return {
    delay: limit("delay"),
    connections: limit("connections"),
    perMinute: limit("perMinute"),
    perHour: limit("perHour"),
    perDay: limit("perDay"),
    batchSize: setting("sending.batchSize"),
    batchPause: setting("sending.batchPause"),
    window: parseWindow(setting("sending.window")),
    ...retries,
  };
}

/** What holds for an account of the provider that has no limits of its own: the stricter of settings and provider. */
export function defaultLimits(
  provider: string,
  read: Pick<PaceReader, "get">,
  transport: Account["transport"] = "smtp",
): Limits {
  const { limits, published, api } = providerById(provider) ?? {};
  const ofApi = transport === "gmailApi" ? (api?.perMinute ?? 0) : 0;
  return {
    delay: Math.max(read.get("sending.delay"), limits?.delay ?? 0),
    connections: Math.min(
      read.get("sending.connections"),
      limits?.connections ?? Infinity,
      published?.connections ?? Infinity,
    ),
    perMinute: fewer(fewer(read.get("sending.perMinute"), published?.perMinute ?? 0), ofApi),
    perHour: read.get("sending.perHour"),
    perDay: fewer(read.get("sending.perDay"), published?.perDay ?? 0),
  };
}

/** Of two counts the smaller one, where 0 is no limit and so the loosest of all. */
function fewer(mine: number, theirs: number): number {
  if (mine === 0) return theirs;
  return theirs === 0 ? mine : Math.min(mine, theirs);
}

const stricter: {
  readonly [K in keyof PaceSettings]: (mine: PaceSettings[K], theirs: PaceSettings[K]) => PaceSettings[K];
} = {
  "sending.delay": Math.max,
  "sending.connections": Math.min,
  "sending.perMinute": fewer,
  "sending.perHour": fewer,
  "sending.perDay": fewer,
  "sending.batchSize": fewer,
  "sending.batchPause": Math.max,
  // Hours that were joined might leave no minute open: the user's own stay as they are.
  "sending.window": (mine, theirs) => (parseWindow(mine) === undefined ? theirs : mine),
  "retry.maxAttempts": Math.min,
  "retry.initialDelay": Math.max,
  "retry.maxDelay": Math.max,
  pauseAfterFailures: fewer,
};

/** The slower of two paces in everything; the hours are the first one's. */
export function slower(first: Pace, second: Pace): Pace {
  return {
    delay: Math.max(first.delay, second.delay),
    connections: Math.min(first.connections, second.connections),
    perMinute: fewer(first.perMinute, second.perMinute),
    perHour: fewer(first.perHour, second.perHour),
    perDay: fewer(first.perDay, second.perDay),
    batchSize: fewer(first.batchSize, second.batchSize),
    batchPause: Math.max(first.batchPause, second.batchPause),
    window: first.window,
    maxAttempts: Math.min(first.maxAttempts, second.maxAttempts),
    retryInitialDelay: Math.max(first.retryInitialDelay, second.retryInitialDelay),
    retryMaxDelay: Math.max(first.retryMaxDelay, second.retryMaxDelay),
    pauseAfterFailures: fewer(first.pauseAfterFailures, second.pauseAfterFailures),
  };
}

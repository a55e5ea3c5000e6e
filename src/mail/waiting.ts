/** What a run waits for when nothing can leave just now, and how that is said. */

/** Why nothing leaves. */
export interface Waiting {
  readonly why:
    /** The start that was chosen has not come. */
    | "start"
    /** The hours of `sending.window` are over. */
    | "window"
    /** The allowance of 24 hours is used up, by our count or by the server's word. */
    | "quota"
    /** So many a minute or an hour have left. */
    | "rate"
    /** A batch is out, and its pause is not over. */
    | "batch"
    /** The server asked for patience, or cannot be reached. */
    | "server"
    /** Everybody left is to be tried again later. */
    | "retry"
    /** Another campaign or process sends through the mailbox. */
    | "mailbox";
  /** Until when, milliseconds since the epoch; undefined when nobody can know. */
  readonly until: number | undefined;
  /** For `mailbox`: who has it, plain text. */
  readonly who?: string;
}

const reasons: Readonly<Record<Waiting["why"], string>> = {
  start: "not started yet",
  window: "outside the sending hours",
  quota: "the day's allowance is used up",
  rate: "the limit per minute or hour is reached",
  batch: "pause between two batches",
  server: "the server asked for patience",
  retry: "everybody left is tried again later",
  mailbox: "the mailbox is in use",
};

/** `outside the sending hours, goes on Thu 10:40`: no capital, no full stop, nothing from outside but `who`. */
export function waitingText({ why, until, who }: Waiting, now: number): string {
  const reason = who === undefined || who === "" ? reasons[why] : `${reasons[why]} by ${who}`;
  return until === undefined ? reason : `${reason}, goes on ${momentText(until, now)}`;
}

/** A moment as a person says it, on this machine's clocks: `10:40` today, `Thu 10:40` within a week, else with the date. */
export function momentText(at: number, now: number): string {
  const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  if (new Date(at).toDateString() === new Date(now).toDateString()) return format(at, time);
  const week = 6 * 24 * 3600 * 1000;
  return at > now && at - now < week
    ? format(at, { weekday: "short", ...time })
    : format(at, { day: "numeric", month: "short", year: "numeric", ...time });
}

function format(at: number, options: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat("en-GB", options).format(at);
}

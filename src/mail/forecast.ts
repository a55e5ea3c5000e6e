/** How long a list takes at a pace, said before it is sent. */
import type { Account } from "./account";
import { dayMs } from "./rollingCounts";
import type { Pace } from "./pace";
import type { Clock } from "./ports";
import { mailboxDirectory, mailboxOf, readUsage, type Usage } from "./quota";
import { openingAt } from "./sendingWindow";
import { momentText } from "./waiting";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const weekMs = 7 * dayMs;

/** What is to be expected. */
export interface Forecast {
  /** Messages that leave within 24 hours, before hours or allowance end for an hour or more. */
  readonly today: number;
  /** When the last one leaves, milliseconds since the epoch; Infinity when that never comes. */
  readonly end: number;
  /** Whether some leave later than `today` says. */
  readonly spread: boolean;
}

/** What a forecast is made of. */
export interface ForecastRequest {
  readonly pace: Pace;
  /** Of the mailbox; `noUsage` for one that nobody used. */
  readonly usage: Usage;
  readonly messages: number;
  /** Recipients of a message on average, cc and bcc included. */
  readonly recipientsEach: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Messages at even distances: `count` of them from `start` on, each to `recipients`. */
interface Burst {
  start: number;
  count: number;
  readonly gap: number;
  readonly recipients: number;
}

/**
 * Plays the pace forward in bursts, not message by message: what the throttle does when nothing is refused, nothing is
 * retried and the server takes no time of its own. What comes again every day (every week, with hours) is played twice and
 * then skipped, so a list of years is said to within a batch in every such period.
 */
export function forecast({ pace, usage, messages, recipientsEach, now }: ForecastRequest): Forecast {
  const each = Math.max(1, recipientsEach);
  const { window, perMinute, perHour, perDay } = pace;
  if (messages <= 0) return { today: 0, end: now, spread: false };
  const never: Forecast = { today: 0, end: Infinity, spread: true };
  if (perDay > 0 && each > perDay) return never;
  // A single message a window, or a batch, is nothing but a longer delay.
  const gap = Math.max(
    pace.delay,
    perMinute === 1 ? minuteMs : 0,
    perHour === 1 ? hourMs : 0,
    pace.batchSize === 1 ? pace.batchPause : 0,
  );
  const batch = pace.batchSize > 1 && pace.batchPause > gap ? pace.batchSize : Infinity;
  const bursts: Burst[] = Array.from(usage.at, (start, index) => ({
    start: Math.min(start, now),
    count: 1,
    gap: 0,
    recipients: usage.recipients[index] ?? 1,
  }));
  const limits = [
    new Limit(bursts, minuteMs, perMinute, () => 1, 1),
    new Limit(bursts, hourMs, perHour, () => 1, 1),
    new Limit(bursts, dayMs, perDay, ({ recipients }) => recipients, each),
  ].filter(({ most }) => most > 0);

  let [at, sent, inBatch, end] = [now, 0, 0, now];
  let today: number | undefined;
  const period = window === undefined ? dayMs : weekMs;
  let mark = now + period;
  /** What was sent at the last marks, the newest last. */
  let marks: readonly number[] = [];
  while (sent < messages) {
    const due = at;
    let closes = Infinity;
    for (let before = NaN; before !== at;) {
      before = at;
      for (const limit of limits) at = limit.freeFrom(at);
      if (window === undefined) continue;
      const opening = openingAt(window, at);
      if (opening === undefined) return never;
      at = Math.max(at, opening.opens);
      ({ closes } = opening);
    }
    if (at >= now + dayMs || (sent > 0 && at - due >= hourMs)) today ??= sent;
    for (; mark <= at; mark += period) marks = [...marks.slice(-1), sent];
    const inPeriod = (marks[1] ?? sent) - (marks[0] ?? sent);
    const periods = inPeriod > 0 && marks[1] === sent ? Math.floor((messages - sent) / inPeriod) - 1 : 0;
    if (periods > 0) {
      for (const burst of bursts) burst.start += periods * period;
      at += periods * period;
      mark += periods * period;
      sent += periods * inPeriod;
      continue;
    }
    const untilCut = gap > 0 ? Math.ceil((Math.min(closes, mark) - at) / gap) : Infinity;
    const count = Math.max(
      1,
      Math.min(messages - sent, batch - inBatch, untilCut, ...limits.map((limit) => limit.count(at, gap))),
    );
    push(bursts, { start: at, count, gap, recipients: each });
    for (const limit of limits) limit.add(count);
    end = at + (count - 1) * gap;
    if (end >= now + dayMs) today ??= sent + Math.ceil((now + dayMs - at) / gap);
    sent += count;
    inBatch = inBatch + count >= batch ? 0 : inBatch + count;
    at = end + (inBatch === 0 && batch !== Infinity ? pace.batchPause : gap);
  }
  today ??= messages;
  return { today, end: Math.round(end), spread: today < messages };
}

/** `forecastText` for messages through an account, with what its mailbox has sent in the last day. Throws for broken I/O. */
export async function forecastFor(
  stateDirectory: string,
  account: Account,
  about: Pick<ForecastRequest, "pace" | "messages" | "recipientsEach">,
  clock: Clock,
): Promise<string> {
  const usage = await readUsage(mailboxDirectory(stateDirectory, mailboxOf(account)), clock);
  const now = clock.now();
  return forecastText(forecast({ ...about, usage, now }), about.messages, now);
}

/** `fits today, about 12 min` or `478 today, the rest until Thu 10:40`: no capital, no full stop. */
export function forecastText({ today, end, spread }: Forecast, messages: number, now: number): string {
  if (messages <= 0) return "nothing to send";
  if (end === Infinity) return "never fits the day's allowance or the sending hours";
  const until = momentText(end, now);
  if (spread)
    return today === 0
      ? `none today, all until ${until}`
      : `${today.toLocaleString("en")} today, the rest until ${until}`;
  const isToday = new Date(end).toDateString() === new Date(now).toDateString();
  return isToday ? `fits today, ${lengthText(end - now)}` : `done ${until}, ${lengthText(end - now)}`;
}

function lengthText(ms: number): string {
  const minutes = Math.round(ms / minuteMs);
  if (minutes < 1) return "less than a minute";
  if (minutes < 60) return `about ${minutes} min`;
  // Nobody needs the minutes of half a day.
  const hours = minutes < 10 * 60 ? Math.floor(minutes / 60) : Math.round(minutes / 60);
  const rest = minutes < 10 * 60 ? minutes % 60 : 0;
  return rest === 0 ? `about ${hours} h` : `about ${hours} h ${rest} min`;
}

/** One rolling limit over the bursts so far. Moments that are asked for never run back. */
class Limit {
  /** The first burst that has not left the window, and how many of its messages have. */
  private index = 0;
  private left = 0;
  /** What the window holds. */
  private held: number;

  constructor(
    private readonly bursts: readonly Burst[],
    private readonly window: number,
    readonly most: number,
    private readonly weigh: (burst: Burst) => number,
    private readonly each: number,
  ) {
    this.held = bursts.reduce((sum, burst) => sum + weigh(burst), 0);
  }

  /** The first moment, from `at` on, at which one message more fits. */
  freeFrom(at: number): number {
    this.release(at);
    while (this.room < 1) {
      at = Math.max(at, this.nextFree);
      this.release(at);
    }
    return at;
  }

  /** How many messages fit from `at` on at this distance; `freeFrom` has agreed to `at`. */
  count(at: number, gap: number): number {
    const { room } = this;
    const burst = this.bursts[this.index];
    // While old messages leave the window in the same step, new ones follow them.
    return burst !== undefined && this.nextFree <= at + room * gap && burst.gap <= gap && this.weigh(burst) >= this.each
      ? room + burst.count - this.left
      : room;
  }

  add(count: number): void {
    this.held += count * this.each;
  }

  private get room(): number {
    return Math.floor((this.most - this.held) / this.each + 1e-9);
  }

  private get nextFree(): number {
    const burst = this.bursts[this.index];
    return burst === undefined ? Infinity : burst.start + this.left * burst.gap + this.window;
  }

  private release(at: number): void {
    for (;;) {
      const burst = this.bursts[this.index];
      // A hundredth of a millisecond: moments are sums of fractions.
      if (burst === undefined || at + 0.01 < burst.start + this.window) return;
      const since = at - this.window - burst.start + 0.01;
      const left = burst.gap === 0 ? burst.count : Math.min(burst.count, Math.floor(since / burst.gap) + 1);
      this.held -= (left - this.left) * this.weigh(burst);
      this.left = left;
      // The last one may still grow.
      if (left < burst.count || this.index === this.bursts.length - 1) return;
      this.index++;
      this.left = 0;
    }
  }
}

/** Appends a burst, as part of the last one where it goes on evenly. */
function push(bursts: Burst[], burst: Burst): void {
  const last = bursts.at(-1);
  if (
    last?.gap === burst.gap &&
    last.recipients === burst.recipients &&
    Math.abs(last.start + last.count * last.gap - burst.start) < 0.01
  )
    last.count += burst.count;
  else bursts.push(burst);
}

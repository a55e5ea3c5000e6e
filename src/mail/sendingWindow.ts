/** The hours in which messages may leave, on the clocks of a zone. */
import type { SendingWindow, Weekday } from "./pace";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const weekdays: readonly Weekday[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/** Day 0 of the epoch was a Thursday. */
const byDayNumber: readonly Weekday[] = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];

/** One stretch of open hours, milliseconds since the epoch; `closes` is the first moment that is outside again. */
export interface Opening {
  readonly opens: number;
  readonly closes: number;
}

/** How long until the window is open, milliseconds: 0 when it is, or there is none; Infinity when it never opens. */
export function windowWaitMs(window: SendingWindow | undefined, now: number): number {
  if (window === undefined) return 0;
  const opening = openingAt(window, now);
  return opening === undefined ? Infinity : Math.max(0, opening.opens - now);
}

/** The last answer for each window, good for every moment from `since` to its closing: a run asks once a message. */
const answers = new WeakMap<SendingWindow, { readonly since: number; readonly opening: Opening }>();

/**
 * The opening that holds `now`, else the next one; undefined when the window never opens. A time of day is the first moment
 * at which the zone's clock shows it or later: one that is skipped is the moment of the skip, one that comes twice its first.
 */
export function openingAt(window: SendingWindow, now: number): Opening | undefined {
  const known = answers.get(window);
  if (known !== undefined && now >= known.since && now < known.opening.closes) return known.opening;
  const from = timeOfDay(window.from);
  const to = timeOfDay(window.to);
  const today = Math.floor((now + offsetAt(window.zone, now)) / dayMs);
  // Three weeks: even a window of one day a week whose hours a change of clocks swallows opens again in two.
  for (let day = today - 2; day < today + 21; day++) {
    if (!window.days.includes(byDayNumber[((day % 7) + 7) % 7] ?? "thu")) continue;
    const closes = firstMoment(window.zone, (to > from ? day : day + 1) * dayMs + to);
    if (closes <= now) continue;
    const opens = firstMoment(window.zone, day * dayMs + from);
    if (opens >= closes) continue;
    const opening = { opens, closes };
    answers.set(window, { since: Math.min(now, opens), opening });
    return opening;
  }
  return undefined;
}

/** The first moment at which the zone's clock shows `local` (milliseconds, as if it were UTC) or later. */
function firstMoment(zone: string, local: number): number {
  // Zones are at most 16 hours from UTC, so the moment lies between these two.
  let before = local - 16 * hourMs;
  let after = local + 16 * hourMs;
  const offsets = [offsetAt(zone, before), offsetAt(zone, after)];
  const moments = offsets.map((offset) => local - offset).filter((at) => at + offsetAt(zone, at) === local);
  if (moments.length > 0) return Math.min(...moments);
  // The clock skips this time: look for the skip.
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (middle + offsetAt(zone, middle) >= local) after = middle;
    else before = middle;
  }
  return after;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** How far the zone's clock is before UTC at a moment, milliseconds. */
function offsetAt(zone: string, at: number): number {
  if (zone === "") return -new Date(at).getTimezoneOffset() * 60_000;
  let format = formats.get(zone);
  if (format === undefined) {
    const date = { year: "numeric", month: "2-digit", day: "2-digit" } as const;
    const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
    format = new Intl.DateTimeFormat("en-US", { timeZone: zone, calendar: "gregory", ...date, ...time });
    formats.set(zone, format);
  }
  // 01/05/2026, 09:00:00
  const [month = 0, day = 0, year = 0, hour = 0, minute = 0, second = 0] = (format.format(at).match(/\d+/g) ?? []).map(
    Number,
  );
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at / 1000) * 1000;
}

/** Milliseconds since midnight of an `HH:MM`. */
function timeOfDay(text: string): number {
  return Number(text.slice(0, 2)) * hourMs + Number(text.slice(3, 5)) * 60_000;
}

/**
 * What is wrong with a setting that is to be a window, cause and next step; undefined for a good one and for none at all
 * (null or undefined). Without `days` it is every day, without `zone` the machine's own.
 */
export function windowProblem(value: unknown): string | undefined {
  if (saysNothing(value)) return undefined;
  if (typeof value !== "object" || Array.isArray(value))
    return 'The sending window is not an object. Write {"days": ["mon", "fri"], "from": "09:00", "to": "17:00"}, or remove it.';
  const { days, from, to, zone, ...others } = value as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined)
    return `The sending window has no ${JSON.stringify(unknown)}. Use days, from, to and zone.`;
  if (days !== undefined && !(Array.isArray(days) && days.length > 0 && days.every(isWeekday)))
    return `The days of the sending window are not known. List at least one of ${weekdays.join(", ")}, or leave days out for all.`;
  for (const [name, time] of Object.entries({ from, to }))
    if (time !== undefined && (typeof time !== "string" || !/^(?:[01]\d|2[0-3]):[0-5]\d$/.test(time)))
      return `The sending window's ${name} is not a time. Write it as HH:MM from 00:00 to 23:59.`;
  if (zone !== undefined && zone !== "" && !(typeof zone === "string" && isZone(zone)))
    return "The sending window's zone is not known. Write an IANA name such as Europe/Berlin, or leave it out for this machine's zone.";
  return undefined;
}

/** The window that a setting holds; undefined when it holds none, or one that `windowProblem` refuses. */
export function parseWindow(value: unknown): SendingWindow | undefined {
  if (saysNothing(value) || windowProblem(value) !== undefined) return undefined;
  const { days = weekdays, from = "00:00", to = "00:00", zone = "" } = value as Partial<SendingWindow>;
  return { days: weekdays.filter((day) => days.includes(day)), from, to, zone };
}

/** An empty object is what the setting holds by default. */
function saysNothing(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === "object" && !Array.isArray(value) && Object.keys(value).length === 0;
}

function isWeekday(value: unknown): value is Weekday {
  return weekdays.some((day) => day === value);
}

function isZone(name: string): boolean {
  // Some engines take offsets such as +05:30 too, others refuse them: a setting must mean the same everywhere.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

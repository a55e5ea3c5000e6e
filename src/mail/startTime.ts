/** When a campaign is to start, as a person types it. */

/** What a text says: a moment in milliseconds since the epoch, or what is wrong with it. */
export type StartTime = { readonly at: number } | { readonly problem: string };

/** The longest wait for a start: VS Code has to stay open all that time. */
const longestMs = 31 * 24 * 3600 * 1000;

const zoned = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * Reads `HH:MM`, which is today or else tomorrow, or `YYYY-MM-DD HH:MM`, on this machine's clocks; or ISO 8601 with a zone. The
 * moment lies in the future, at most a month away.
 */
export function parseStart(text: string, now: number): StartTime {
  const at = zoned.test(text.trim()) ? Date.parse(text.trim()) : localMoment(text, now);
  if (at === undefined)
    return { problem: "Write a time such as 10:40, or a date and a time such as 2026-03-05 10:40." };
  if (Number.isNaN(at)) return { problem: "There is no such time. Write one such as 10:40, or 2026-03-05 10:40." };
  if (at <= now) return { problem: "That is over already. Write a time to come." };
  if (at - now > longestMs) return { problem: "That is more than a month away. Choose a nearer time." };
  return { at };
}

/** Undefined for a text of another form, NaN for a moment that does not exist. */
function localMoment(text: string, now: number): number | undefined {
  const found = /^\s*(?:(\d{4})-(\d{1,2})-(\d{1,2})[T\s]+)?(\d{1,2}):(\d{2})\s*$/.exec(text);
  if (found === null) return undefined;
  const [, year, month, date, hours, minutes] = found.map(Number);
  const today = new Date(now);
  const named = found[1] !== undefined;
  const day = named ? dayOf(year, month, date) : today;
  const first = day === undefined ? NaN : momentOn(day, hours, minutes);
  // A time without a date that is over for today is meant for tomorrow.
  return !named && first <= now ? momentOn(dayAfter(today), hours, minutes) : first;
}

/** Noon of a day of the calendar; undefined for one that does not exist, such as the 31st of June. */
function dayOf(year = 0, month = 0, date = 0): Date | undefined {
  const day = new Date(year, month - 1, date, 12);
  return day.getMonth() === month - 1 && day.getDate() === date ? day : undefined;
}

function dayAfter(day: Date): Date {
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1, 12);
}

/** NaN for a time that the day does not have: 25:00, or the hour that is left out in spring. */
function momentOn(day: Date, hours = 0, minutes = 0): number {
  const moment = new Date(day.getFullYear(), day.getMonth(), day.getDate(), hours, minutes);
  return moment.getHours() === hours && moment.getMinutes() === minutes ? moment.getTime() : NaN;
}

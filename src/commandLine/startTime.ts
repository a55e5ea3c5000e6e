/** When a send is to start, as it is written after `--at`. */
import { Refusal } from "./usage";

/**
 * The moment as ISO 8601. `HH:MM` is the next time that this machine's clocks show it, today or tomorrow; a date with a time is taken as
 * it stands, on this machine's clocks where it names no zone. Throws `Refusal` for anything else and for what is over.
 */
export function startTime(text: string, now: Date): string {
  const [, hours, minutes] = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  if (hours !== undefined && minutes !== undefined) {
    const at = new Date(now);
    at.setHours(Number(hours), Number(minutes), 0, 0);
    // By the calendar, not by 24 hours: a night may have 23 or 25.
    if (at <= now) at.setDate(at.getDate() + 1);
    return at.toISOString();
  }
  const isMoment = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?$/.test(text);
  const at = new Date(isMoment ? text.replace(" ", "T") : "");
  if (Number.isNaN(at.getTime()))
    throw new Refusal("--at takes a time such as 18:30, or a moment such as 2027-03-01T09:30.");
  if (at <= now) throw new Refusal("The time of --at is over. Name a later one, or send without --at.");
  return at.toISOString();
}

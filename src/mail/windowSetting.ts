/** The setting `sending.window` as a settings file holds it. */
import * as v from "valibot";
import type { SendingWindow } from "./pace";

const time = v.pipe(v.string(), v.regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/));

/** What is left out is every day, the whole day, on the machine's own clocks. */
const windowSchema = v.strictObject({
  days: v.optional(v.pipe(v.array(v.picklist(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])), v.minLength(1)), [
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sat",
    "sun",
  ]),
  from: v.optional(time, "00:00"),
  to: v.optional(time, "00:00"),
  zone: v.optional(v.pipe(v.string(), v.check(isZone)), ""),
});

/** The hours that `value` says; undefined when it says none, or something wrong. */
export function parseWindow(value: unknown): SendingWindow | undefined {
  if (saysNothing(value)) return undefined;
  const parsed = v.safeParse(windowSchema, value);
  return parsed.success ? parsed.output : undefined;
}

/** What is wrong with `value`, as a sentence; undefined when it can be used. */
export function windowProblem(value: unknown): string | undefined {
  // A list is an object too, to the schema.
  if (saysNothing(value) || (!Array.isArray(value) && v.is(windowSchema, value))) return undefined;
  return 'The sending hours cannot be used. Write them like { "days": ["mon", "fri"], "from": "09:00", "to": "17:00", "zone": "Europe/Berlin" }.';
}

function saysNothing(value: unknown): boolean {
  return (
    value === undefined ||
    (typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0)
  );
}

function isZone(zone: string): boolean {
  if (zone === "") return true;
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** How long a server asks to wait, read from its words: there is no field for it in SMTP. */

/** Shortest and longest wait that is believed, milliseconds. */
const shortest = 1_000;
const longest = 24 * 3_600_000;
/** What asks for more than this is no wait that anybody meant. */
const nonsense = 7 * 24 * 3_600_000;

const millisecondsOf: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

// Every repetition is bounded, so that a hostile reply costs no more than its length.
/** Words that a wait follows. No digit between: in "again, 100 mails in 1 hour" the hour is a limit, not a wait. */
const asks =
  /\b(?:retry(?:ing)?|again|wait|come back|return|resend|reconnect|later|delayed|postponed|deferred|gr[ae]y-?list(?:ed|ing)?|blocked|throttled|suspended|locked|paused)\b[^.\d]{0,40}/;
const unit = /(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)\b/;
const amount = /(?:(\d{1,6})|\b(?:an?|one))/;
/** "within the last 5 minutes" looks back, and so does a minus. */
const looksBack = /(?<!\b(?:within|per|every|each|last|past)[ \t]|[-+])/;

const duration = new RegExp(
  `${asks.source}?${looksBack.source}${amount.source}[ \\t-]{0,3}(${unit.source})(?:[ \\t,]{0,3}(?:and[ \\t]{1,3})?(\\d{1,6})[ \\t-]{0,3}(${unit.source}))?`,
  "i",
);
/** As milter-greylist counts: hours, minutes and seconds. */
const clockwork = new RegExp(`${asks.source}?(?<!\\d)(\\d{1,3}):([0-5]\\d):([0-5]\\d)(?![\\d:])`, "i");
/** Seconds without saying so (as in RFC 9110 §10.2.3). */
const bare = /\bretry[- ]after[:= \t]{1,3}(\d{1,6})(?![\d.:-])(?![ \t]{1,3}[a-z])/i;
/** RFC 3339, as the Gmail API says it. */
const moment =
  /\b(?:after|until|before|at)[: \t]{1,3}(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))/i;

/**
 * The wait that `words` ask for, milliseconds, between a second and 24 hours; undefined when they name none, or nonsense. A moment
 * counts from `now` (milliseconds since 1970) and is ignored without it.
 */
export function retryAfter(words: string, now: number | undefined): number | undefined {
  const wait = momentIn(words, now) ?? durationIn(words);
  if (wait === undefined || !(wait > 0) || wait > nonsense) return undefined;
  return Math.round(Math.min(longest, Math.max(shortest, wait)));
}

function momentIn(words: string, now: number | undefined): number | undefined {
  const written = moment.exec(words)?.[1];
  if (written === undefined || now === undefined) return undefined;
  const wait = Date.parse(written) - now;
  return Number.isNaN(wait) ? undefined : wait;
}

function durationIn(words: string): number | undefined {
  const [, count = "1", first, more, second] = duration.exec(words) ?? [];
  if (first !== undefined) return inMilliseconds(count, first) + inMilliseconds(more ?? "0", second ?? "s");
  const [, hours, minutes, seconds] = clockwork.exec(words) ?? [];
  if (hours !== undefined) return (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
  const secondsAlone = bare.exec(words)?.[1];
  return secondsAlone === undefined ? undefined : Number(secondsAlone) * 1_000;
}

function inMilliseconds(count: string, name: string): number {
  return Number(count) * (millisecondsOf[name.charAt(0).toLowerCase()] ?? 0);
}

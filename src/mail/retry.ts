/** What follows a failed attempt. Pure: everything it needs comes in. */
import type { Failure, Stage } from "./classify";
import type { Pace } from "./pace";

/** What the sender does next. */
export type Decision =
  /** Settle the recipient as failed. */
  | { readonly kind: "fail" }
  /** Settle the recipient as unknown; only a person may say that it is sent again. */
  | { readonly kind: "unknown" }
  /** Try this recipient again after `delayMs`; the others go on. */
  | { readonly kind: "later"; readonly delayMs: number }
  /** The whole account waits `delayMs`, by the server's wish or for its allowance; the recipient keeps its number of attempts. */
  | { readonly kind: "hold"; readonly delayMs: number; readonly why: "server" | "quota" }
  /** End the run: every message would meet the same failure. */
  | { readonly kind: "stop" };

/** The history that counts. */
export interface Attempts {
  /** Attempts of this recipient, this one included. */
  readonly recipient: number;
  /** Failures of this kind in a row over the whole run, this one included: `offline`, `throttled` or `quota`. */
  readonly inARow: number;
}

/** A refusal that asks for patience is repeated in minutes, a lost connection in seconds: both scale with the one setting. */
const deferredFactor = 60;
const throttledFactor = 6;
const deferredCap = 48;
const throttledCap = 6;

const hourMs = 3_600_000;
/** The longest that a server is waited for without a new look, whatever it asks for. */
const longestMs = 24 * hourMs;

/** Where a lost connection may be the message's own fault, such as a filter on the way that cuts it off. */
const inTransaction: readonly Stage[] = ["mail", "rcpt", "data", "body"];

/**
 * Decides. `random` is uniform in [0, 1). A first `offline` failure is repeated at once; after that delays double, with full
 * jitter, up to their cap. `deferred` never waits less than its first delay, `deferred`, `throttled` and `quota` never less than
 * the server said, of which a day at most counts. An allowance that is used up ends no run: it is waited for, an hour at first.
 */
export function decide(failure: Failure, attempts: Attempts, pace: Pace, random: () => number): Decision {
  const { retryInitialDelay: initial, retryMaxDelay: max, maxAttempts } = pace;
  const asked = failure.retryAfterMs === undefined ? undefined : Math.min(Math.max(0, failure.retryAfterMs), longestMs);
  switch (failure.class) {
    case "unknown":
      return { kind: "unknown" };
    case "recipient":
    case "message":
      return { kind: "fail" };
    case "account":
      return { kind: "stop" };
    case "quota": {
      const own = backoff(hourMs, Math.max(1, attempts.inARow), longestMs);
      return { kind: "hold", delayMs: asked ?? own, why: "quota" };
    }
    case "throttled":
      if (attempts.inARow >= maxAttempts) return { kind: "stop" };
      return {
        kind: "hold",
        delayMs: Math.max(
          asked ?? 0,
          half(backoff(initial * throttledFactor, attempts.inARow, max * throttledCap), random),
          // A sign-in that is put off is not knocked at: providers lock accounts for that.
          failure.stage === "auth" ? initial * deferredFactor : 0,
        ),
        why: "server",
      };
    case "deferred": {
      if (attempts.recipient >= maxAttempts) return { kind: "fail" };
      const base = initial * deferredFactor;
      const delay = backoff(base, attempts.recipient, max * deferredCap);
      return { kind: "later", delayMs: Math.max(asked ?? 0, base + random() * Math.max(0, delay - base)) };
    }
    case "offline":
      if (attempts.inARow >= maxAttempts) return { kind: "stop" };
      // Only where the connection worked just before: an outage is nobody's failure.
      if (attempts.recipient >= maxAttempts && attempts.inARow === 1 && inTransaction.includes(failure.stage))
        return { kind: "fail" };
      if (attempts.inARow === 1) return { kind: "hold", delayMs: 0, why: "server" };
      return { kind: "hold", delayMs: random() * backoff(initial, attempts.inARow - 1, max), why: "server" };
  }
}

/** `base` doubled with every attempt after the first, at most `cap`. */
function backoff(base: number, attempt: number, cap: number): number {
  return Math.min(cap, base * 2 ** Math.min(attempt - 1, 30));
}

/** Between half of `delay` and all of it: a busy server gets a real pause, whatever the dice say. */
function half(delay: number, random: () => number): number {
  return delay / 2 + (random() * delay) / 2;
}

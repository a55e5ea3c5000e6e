/** What the core asks of the outside. Hosts implement these; nothing else in `src/mail` touches time, chance or a log. */
import { uptime } from "node:os";
import { bootId } from "./boot";
import type { Failure } from "./classify";
import { ownFailures } from "./systemFailures";

/** Time. Everything that waits or stamps goes through here, so tests can turn the hands. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch: for stamps that people read. */
  now(): number;
  /** A clock that never runs back, in milliseconds: for durations and pace. */
  monotonic(): number;
  /** The boot of the machine and the milliseconds since, time asleep included: it goes on when the wall clock is set. */
  boot(): { readonly id: string; readonly ms: number };
  /** Resolves after `ms` milliseconds, or at once (without throwing) when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Where the core says what it does. Text is already free of secrets; the sink strips control characters. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** The secret of an account, fetched when it is needed and kept nowhere. */
export interface Credentials {
  readonly password?: string;
  /** Of the account's `proxyUser`. */
  readonly proxyPassword?: string;
}

/** An access token (RFC 6749 §1.4), or why there is none; plain data, so that it crosses to a thread. */
export type TokenReply =
  { readonly ok: true; readonly token: string } | { readonly ok: false; readonly failure: Failure };

/** Nobody is signed in. */
export const signedOut: TokenReply = { ok: false, failure: { ...ownFailures.signedOut, stage: "auth" } };

/**
 * Hands out access tokens of an account that signs in with OAuth, whenever one is about to be used. `refused` is one that the server
 * did not take: another one is got, once. Never throws.
 */
export type AccessTokens = (refused?: string) => Promise<TokenReply>;

/** Everything `runCampaign` needs besides its plan. */
export interface Ports {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Uniform in [0, 1): the jitter of retries. */
  random(): number;
  /** How long a server may keep silent before that is said, milliseconds; 60 s. */
  readonly silenceMs?: number;
  /** The account's secret; asked for once a run, right before the first connection. */
  credentials(): Promise<Credentials>;
  /** For accounts that sign in with OAuth; a host without it cannot send through them. */
  readonly accessTokens?: AccessTokens;
}

let thisBoot: string | undefined;

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  boot: () => ({ id: (thisBoot ??= bootId()), ms: uptime() * 1000 }),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      // Timers hold at most 2^31-1 ms; a longer wait ends early and its caller looks at the clock again.
      const timer = setTimeout(done, Math.min(ms, 2_147_483_647));
      signal?.addEventListener("abort", done, { once: true });
    }),
};

/** A logger that says nothing. */
export const silentLogger: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

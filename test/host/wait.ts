import { setTimeout as delay } from "node:timers/promises";

/** How long a page object waits for what it was asked for, in milliseconds. */
export const patienceMs = 45_000;

const pollMs = 50;

/**
 * The first value other than undefined that `attempt` gives.
 *
 * A page may be redrawn between two looks, so an attempt that throws is only one that found nothing yet.
 * @throws after `limitMs`, naming `what` and the last failure.
 */
export async function eventually<T>(
  what: string | (() => Promise<string>),
  attempt: () => Promise<T | undefined>,
  limitMs: number = patienceMs,
): Promise<T> {
  const end = performance.now() + limitMs;
  let failure = "";
  do {
    try {
      const value = await attempt();
      if (value !== undefined) return value;
    } catch (error) {
      failure = `\n${error instanceof Error ? error.message : String(error)}`;
    }
    await delay(pollMs);
  } while (performance.now() < end);
  const name = typeof what === "string" ? what : await what().catch(() => "it");
  throw new Error(`Waited ${limitMs / 1000} s for ${name}.${failure}`);
}

/** Whether a text is, or by an expression contains, what is looked for. */
export function matches(text: string, wanted: string | RegExp): boolean {
  return typeof wanted === "string" ? text.includes(wanted) : wanted.test(text);
}

/** An expression for exactly this text between optional white space. */
export function exactly(text: string): RegExp {
  return new RegExp(`^\\s*${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\\s*$`);
}

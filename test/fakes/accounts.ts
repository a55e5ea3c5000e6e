/** Accounts for servers on loopback. */
import { parse } from "valibot";
import { accountSchema, type Account } from "../../src/mail/account";
import { unlimited, type Pace } from "../../src/mail/pace";

/** An account without TLS and sign-in on `port`; `more` changes fields. */
export function loopbackAccount(port: number, more: Readonly<Record<string, unknown>> = {}): Account {
  const fields = { host: "127.0.0.1", port, security: "none", auth: "none", from: "Ada <ada@example.com>", ...more };
  return { ...parse(accountSchema, fields), id: "loopback" };
}

/** As fast as it goes, with retries that are still in the right order. */
export const quickPace: Pace = {
  delay: 0,
  connections: 1,
  maxAttempts: 3,
  retryInitialDelay: 10,
  retryMaxDelay: 100,
  ...unlimited,
  pauseAfterFailures: 0,
};

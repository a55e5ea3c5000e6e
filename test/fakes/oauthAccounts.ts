/** Accounts that sign in with OAuth, as settings would give them, behind an interceptor. */
import { parse } from "valibot";
import { accountSchema, type Account } from "../../src/mail/account";
import type { Interceptor } from "./interceptor";

const kinds = {
  gmailApi: { provider: "gmail", transport: "gmailApi", host: "gmail.googleapis.com", port: 443, security: "tls" },
  gmailSmtp: { provider: "gmail", host: "smtp.gmail.com", port: 587 },
  outlook: { provider: "outlook", host: "smtp-mail.outlook.com", port: 587, user: "ada@outlook.com" },
} as const;

/** An account of `ada@gmail.com`, or `ada@outlook.com`; `more` changes fields. */
export function oauthAccount(
  { proxy }: Pick<Interceptor, "proxy">,
  kind: keyof typeof kinds,
  more: Readonly<Record<string, unknown>> = {},
): Account {
  const fields = { user: "ada@gmail.com", auth: "oauth2", proxy, ...kinds[kind], ...more };
  return { ...parse(accountSchema, fields), id: "work" };
}

/** An account: where and as whom mail is sent. One schema for settings, panel and command line. */
import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import * as v from "valibot";
import { parseMailbox } from "./address";
import type { SenderDefaults } from "./preflight";
import type { ProblemCode, Severity } from "./problems";
import { nearest, sentence } from "./problems";
import type { Provider } from "./providers";
import { providerById, providers } from "./providers";

const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535));
const milliseconds = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(24 * 3600 * 1000));
const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000_000));
const line = v.pipe(
  v.string(),
  v.maxLength(320),
  v.check((text) => !/\p{Cc}/u.test(text)),
);
const hostName = v.pipe(
  line,
  v.trim(),
  v.transform(toAsciiHost),
  v.check((host) => host === "" || isHostName(host)),
);

const proxyUrl = v.pipe(
  line,
  v.trim(),
  v.check((text) => text === "" || text === "vscode" || isProxyUrl(text)),
);

/** The account as it stands in `bulkMail.accounts`; what is left out gets its default, or its provider's. */
export const accountSchema = v.strictObject({
  provider: v.optional(line, "custom"),
  transport: v.optional(v.picklist(["smtp", "gmailApi"]), "smtp"),
  host: v.pipe(
    hostName,
    v.check((host) => host !== ""),
  ),
  port: v.optional(port, 587),
  security: v.optional(v.picklist(["starttls", "tls", "none"]), "starttls"),
  user: v.optional(line, ""),
  /** `oauth2`: an access token, got by signing in with the provider in the browser. */
  auth: v.optional(v.picklist(["password", "oauth2", "none"]), "password"),
  from: v.optional(line, ""),
  replyTo: v.optional(line, ""),
  tls: v.optional(
    v.strictObject({
      verify: v.optional(v.boolean(), true),
      caFile: v.optional(line, ""),
      servername: v.optional(hostName, ""),
      minVersion: v.optional(v.picklist(["TLSv1.2", "TLSv1.3"]), "TLSv1.2"),
    }),
    {},
  ),
  /** `http://host:port`, `socks5://host:port`, or `vscode` for VS Code's `http.proxy`; hosts resolve that before use. */
  proxy: v.optional(proxyUrl, ""),
  proxyUser: v.optional(line, ""),
  timeouts: v.optional(
    v.strictObject({
      dns: v.optional(milliseconds, 30_000),
      connection: v.optional(milliseconds, 30_000),
      greeting: v.optional(milliseconds, 30_000),
      socket: v.optional(milliseconds, 600_000),
    }),
    {},
  ),
  limits: v.optional(
    v.strictObject({
      delay: v.optional(milliseconds),
      connections: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(50))),
      /** Messages; 0 is no limit. */
      perMinute: v.optional(count),
      perHour: v.optional(count),
      /** Recipients in any 24 hours; 0 is no limit. */
      perDay: v.optional(count),
    }),
    {},
  ),
});

/** An account with every default filled in, without its secret. */
export interface Account extends v.InferOutput<typeof accountSchema> {
  readonly id: string;
}

/** The reserved id of the built-in account whose server runs in this process. */
export const sandboxId = "sandbox";

/** One thing that is wrong with an account. An `error` keeps it from being used. */
export interface AccountProblem {
  readonly code: ProblemCode;
  readonly severity: Severity;
  /** `id`, or the key in the account's object, nested ones with a dot: `tls.caFile`. Empty for the object itself. */
  readonly field: string;
  /** Cause and next step; plain text. */
  readonly message: string;
  /** New values, by field, that mend it. */
  readonly mend?: { readonly title: string; readonly values: Readonly<Record<string, string | number | boolean>> };
}

/** What each field may hold, as the end of a sentence. */
const expectations: Readonly<Record<string, string>> = {
  provider: "the name of a provider",
  transport: "smtp or gmailApi",
  host: "a host name, such as smtp.example.com",
  port: "a whole number from 1 to 65535",
  security: "starttls, tls or none",
  user: "one line of at most 320 characters",
  auth: "password, oauth2 or none",
  from: "one line of at most 320 characters",
  replyTo: "one line of at most 320 characters",
  tls: "an object with verify, caFile, servername and minVersion",
  "tls.verify": "true or false",
  "tls.caFile": "one line of at most 320 characters",
  "tls.servername": "a host name, such as smtp.example.com",
  "tls.minVersion": "TLSv1.2 or TLSv1.3",
  proxy: "http://host:port, socks5://host:port or vscode",
  proxyUser: "one line of at most 320 characters",
  timeouts: "an object with dns, connection, greeting and socket",
  "timeouts.dns": "a whole number of milliseconds, at most a day",
  "timeouts.connection": "a whole number of milliseconds, at most a day",
  "timeouts.greeting": "a whole number of milliseconds, at most a day",
  "timeouts.socket": "a whole number of milliseconds, at most a day",
  limits: "an object with delay, connections, perMinute, perHour and perDay",
  "limits.delay": "a whole number of milliseconds, at most a day",
  "limits.connections": "a whole number from 1 to 50",
  "limits.perMinute": "a whole number from 0 (no limit) to 1000000",
  "limits.perHour": "a whole number from 0 (no limit) to 1000000",
  "limits.perDay": "a whole number from 0 (no limit) to 1000000",
};

/**
 * Reads an account as a settings file holds it and says everything that is wrong. `value` is undefined exactly when there
 * is an error among the problems.
 */
export function parseAccount(
  id: string,
  settings: unknown,
): { readonly value: Account | undefined; readonly problems: readonly AccountProblem[] } {
  const problems: AccountProblem[] = [...checkId(id)];
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) {
    problems.push({ code: "account.shape", severity: "error", field: "", message: sentence("account.shape") });
    return { value: undefined, problems };
  }
  const filled = fillFromProvider(settings as Readonly<Record<string, unknown>>);
  const parsed = v.safeParse(accountSchema, filled);
  if (!parsed.success) problems.push(...parsed.issues.map((issue) => schemaProblem(issue, filled)));
  // Meaning is checked even where the shape is wrong elsewhere, so that a form shows everything at once.
  problems.push(...checkMeaning(filled, new Set(problems.map((problem) => problem.field))));
  const failed = problems.some((problem) => problem.severity === "error");
  return { value: failed || !parsed.success ? undefined : { ...parsed.output, id }, problems };
}

/** What an account adds to its campaigns. Without a sender of its own, the user is the sender where that is an address. */
export function senderOf(account: Pick<Account, "from" | "replyTo" | "user" | "provider">): SenderDefaults {
  const fallback = parseMailbox(account.user).ok ? account.user : undefined;
  const provider = providerById(account.provider);
  const maxSize = provider?.published?.maxSize;
  const replacedBy = provider?.replacesSender === true ? fallback : undefined;
  return {
    from: account.from.trim() === "" ? fallback : account.from,
    replyTo: account.replyTo.trim() === "" ? undefined : account.replyTo,
    ...(replacedBy !== undefined && { replacedBy }),
    ...(maxSize !== undefined && { maxSize }),
  };
}

function checkId(id: string): readonly AccountProblem[] {
  if (id === sandboxId) {
    return [
      {
        code: "account.id.reserved",
        severity: "error",
        field: "id",
        message: sentence("account.id.reserved", { id }),
      },
    ];
  }
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id)) return [];
  return [{ code: "account.id", severity: "error", field: "id", message: sentence("account.id") }];
}

/** The provider gives what the account does not say; its limits count elsewhere, beside the settings (`paceFrom`). */
function fillFromProvider(settings: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const provider = typeof settings.provider === "string" ? providerById(settings.provider) : undefined;
  if (provider === undefined) return settings;
  const auth = settings.transport === "gmailApi" || !provider.auths.includes("password") ? { auth: "oauth2" } : {};
  const filled = { ...presetOf(provider, settings.port, settings.security), ...auth, ...settings };
  // There is one Gmail API: what stands in the settings is about the mail server.
  return settings.transport === "gmailApi" ? { ...filled, ...gmailApi } : filled;
}

/** Where the Gmail API is. */
const gmailApi = { host: "gmail.googleapis.com", port: 443, security: "tls" } as const;

/** Port and security go together: one that is given picks the other. */
function presetOf(provider: Provider, port: unknown, security: unknown): Readonly<Record<string, unknown>> {
  const chosen =
    provider.ports.find((one) => one.port === port) ??
    provider.ports.find((one) => one.security === security) ??
    provider.ports[0];
  return {
    ...(provider.host === "" ? {} : { host: provider.host }),
    ...(provider.user === undefined ? {} : { user: provider.user }),
    ...chosen,
  };
}

type Issue = v.InferIssue<typeof accountSchema>;

function schemaProblem(issue: Issue, settings: Readonly<Record<string, unknown>>): AccountProblem {
  const field = v.getDotPath(issue) ?? "";
  const expected = expectations[field];
  const problem = (code: ProblemCode, message: string): AccountProblem => ({ code, severity: "error", field, message });
  if (issue.type === "strict_object" && issue.expected === "never") {
    if (/pass(word|wd|phrase)?$|secret|token/i.test(field))
      return problem("account.password", sentence("account.password", { key: field }));
    const suggestion = nearest(field, Object.keys(expectations));
    const found = suggestion === undefined ? {} : { suggestion };
    return problem("account.unknownKey", sentence("account.unknownKey", { key: field, ...found }));
  }
  if (field === "proxy" && typeof settings.proxy === "string" && /^[a-z0-9]+:\/\/[^/]*@/i.test(settings.proxy))
    return problem("account.proxy.userInfo", sentence("account.proxy.userInfo"));
  if (field === "host") {
    const { host } = settings;
    if (host === undefined || (typeof host === "string" && host.trim() === ""))
      return problem("account.host.missing", sentence("account.host.missing"));
    const withPort = typeof host === "string" ? /^\s*([^:\s]+):(\d{1,5})\s*$/.exec(host) : null;
    if (withPort?.[1] !== undefined && isHostName(withPort[1]))
      return {
        ...problem(
          "account.host.port",
          sentence("account.host.port", { host: withPort[1], port: Number(withPort[2]) }),
        ),
        mend: { title: "Put the port into its own field", values: { host: withPort[1], port: Number(withPort[2]) } },
      };
    if (typeof host === "string") return problem("account.host.invalid", sentence("account.host.invalid", { host }));
  }
  return problem("account.type", sentence("account.type", { expected: expected ?? "of another type" }));
}

/** What the schema cannot say: what fits together. `broken` are the fields that are wrong already. */
function checkMeaning(account: Readonly<Record<string, unknown>>, broken: ReadonlySet<string>): AccountProblem[] {
  const problems: AccountProblem[] = [];
  const text = (key: string): string => (typeof account[key] === "string" ? account[key].trim() : "");
  const add = (
    problem: Omit<AccountProblem, "message" | "field"> & { readonly field: string; readonly message: string },
  ): void => {
    if (!broken.has(problem.field)) problems.push(problem);
  };

  const providerId = account.provider;
  if (typeof providerId === "string" && providerById(providerId) === undefined) {
    const suggestion = nearest(
      providerId,
      providers.map((provider) => provider.id),
    );
    add({
      code: "account.provider",
      severity: "error",
      field: "provider",
      message: sentence("account.provider", { id: providerId, ...(suggestion === undefined ? {} : { suggestion }) }),
    });
  }

  for (const problem of oauthProblems(account)) add(problem);
  if (account.auth !== "none" && text("user") === "")
    add({
      code: "account.user.missing",
      severity: "error",
      field: "user",
      message: sentence("account.user.missing"),
    });

  for (const [field, key] of [
    ["from", "sender"],
    ["replyTo", "reply-to"],
  ] as const) {
    const value = text(field);
    const mailbox = value === "" ? undefined : parseMailbox(value);
    if (mailbox !== undefined && !mailbox.ok)
      add({
        code: "account.mailbox",
        severity: "error",
        field,
        message: sentence("account.mailbox", { key, text: value, detail: mailbox.detail }),
      });
  }
  if (text("from") === "" && text("user") !== "" && !parseMailbox(text("user")).ok)
    add({
      code: "account.from.missing",
      severity: "information",
      field: "from",
      message: sentence("account.from.missing"),
    });

  problems.push(...checkSecurity(account, broken));
  return problems;
}

/** An access token opens the whole mailbox: it goes to the provider's own servers and nowhere else, and never unprotected. */
function oauthProblems(account: Readonly<Record<string, unknown>>): readonly AccountProblem[] {
  const { transport, provider: id, auth, host, security, tls } = account;
  const problem = (
    code: ProblemCode & `account.oauth.${string}`,
    field: string,
    mend?: AccountProblem["mend"],
  ): AccountProblem => ({
    code,
    severity: "error",
    field,
    message: sentence(code),
    ...(mend === undefined ? {} : { mend }),
  });
  if (transport === "gmailApi" && id !== "gmail")
    return [problem("account.oauth.gmailApi", "transport", { title: "Use SMTP", values: { transport: "smtp" } })];
  if (transport === "gmailApi" && auth !== "oauth2")
    return [
      problem("account.oauth.gmailApiAuth", "auth", { title: "Sign in with Google", values: { auth: "oauth2" } }),
    ];
  if (auth !== "oauth2") return [];
  const provider = typeof id === "string" ? providerById(id) : undefined;
  if (provider?.oauth === undefined)
    return [problem("account.oauth.provider", "auth", { title: "Use a password", values: { auth: "password" } })];
  const problems: AccountProblem[] = [];
  if (transport !== "gmailApi" && toAsciiHost(String(host).trim()) !== provider.host)
    problems.push(
      problem("account.oauth.host", "host", { title: `Use ${provider.host}`, values: { host: provider.host } }),
    );
  if (security === "none") {
    const values = { security: account.port === 465 ? "tls" : "starttls" };
    problems.push(problem("account.oauth.insecure", "security", { title: "Encrypt the connection", values }));
  }
  if (isRecord(tls) && tls.verify === false)
    problems.push(
      problem("account.oauth.unverified", "tls.verify", {
        title: "Check the certificate",
        values: { "tls.verify": true },
      }),
    );
  if (isRecord(tls) && typeof tls.servername === "string" && tls.servername.trim() !== "")
    problems.push(
      problem("account.oauth.servername", "tls.servername", {
        title: "Remove the server name",
        values: { "tls.servername": "" },
      }),
    );
  return problems;
}

function checkSecurity(account: Readonly<Record<string, unknown>>, broken: ReadonlySet<string>): AccountProblem[] {
  if (broken.has("port") || broken.has("security")) return [];
  const port = (account.port ?? 587) as number;
  const security = (account.security ?? "starttls") as string;
  const problems: AccountProblem[] = [];
  if (port === 465 && security === "starttls")
    problems.push({
      code: "account.pair.starttls",
      severity: "warning",
      field: "security",
      message: sentence("account.pair.starttls", { port }),
      mend: { title: "Use TLS on port 465", values: { security: "tls" } },
    });
  if ((port === 587 || port === 25 || port === 2525) && security === "tls")
    problems.push({
      code: "account.pair.tls",
      severity: "warning",
      field: "security",
      message: sentence("account.pair.tls", { port }),
      mend: { title: `Use STARTTLS on port ${String(port)}`, values: { security: "starttls" } },
    });
  if (port === 25)
    problems.push({
      code: "account.port25",
      severity: "information",
      field: "port",
      message: sentence("account.port25"),
      mend: { title: "Use port 587 with STARTTLS", values: { port: 587, security: "starttls" } },
    });
  // Of an access token that is an error already.
  const token = account.auth === "oauth2";
  if (security === "none" && !token)
    problems.push({
      code: "account.insecure",
      severity: "warning",
      field: "security",
      message: sentence("account.insecure"),
      mend: { title: "Use STARTTLS", values: { security: "starttls", ...(port === 465 ? { port: 587 } : {}) } },
    });
  const tls = account.tls;
  if (security !== "none" && !token && isRecord(tls) && tls.verify === false)
    problems.push({
      code: "account.unverified",
      severity: "warning",
      field: "tls.verify",
      message: sentence("account.unverified"),
      mend: { title: "Check the certificate", values: { "tls.verify": true } },
    });
  return problems;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Lower case, and a name with other letters in its ASCII form (UTS 46). */
function toAsciiHost(host: string): string {
  return /^[\u0000-\u007f]*$/.test(host) ? host.toLowerCase() : domainToASCII(host) || host;
}

/** A proxy's address without user info, which would stand in a file: RFC 3986 §3.2.1 lets a password hide there. */
function isProxyUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, pathname, search, hash } = new URL(text);
  const bare =
    username === "" && password === "" && (pathname === "" || pathname === "/") && search === "" && hash === "";
  return /^(?:http|socks5):$/.test(protocol) && hostname !== "" && bare;
}

/** A DNS name (RFC 1123 §2.1, underscores tolerated) or an IP address without brackets. */
function isHostName(host: string): boolean {
  if (isIP(host) !== 0) return true;
  if (host.length > 253) return false;
  return host.split(".").every((label) => /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label));
}

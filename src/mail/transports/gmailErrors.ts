/**
 * What the Gmail API's errors mean, as data: Google's own list (developers.google.com/workspace/gmail/api/guides/handle-errors), its common
 * error model (google.rpc.Status with ErrorInfo), and what others have met. First match wins.
 */
import type { Failure, OutcomeClass } from "../classify";
import { say } from "../failureSentences";
import type { HttpsReply } from "../https";
import { retryAfter } from "../retryAfter";

/** One row; every condition that stands must hold. */
export interface GmailRule {
  readonly class: OutcomeClass;
  readonly text: string;
  /** Tested against the HTTP status. */
  readonly status: RegExp;
  /** Tested against every reason that the error names, and its status word. */
  readonly reason?: RegExp;
  /** Tested against its message. */
  readonly words?: RegExp;
  /** The reply came before the upload was complete. */
  readonly early?: true;
  readonly signIn?: true;
  readonly connections?: 1;
}

/** Our sentences about the API: the cause and the next step. */
const sayGmail = {
  signIn:
    "Google does not accept the sign-in of this account any more. Sign in again, then resume: whoever has the message stays out.",
  scope:
    "Google was not asked to let Bulk Mail send mail for this account. Sign in again and leave the box for sending mail ticked.",
  apiOff:
    "The Gmail API is switched off in your Google Cloud project. Switch it on there (APIs & Services, Gmail API), wait some minutes, then resume.",
  domain:
    "The administrator of this Google Workspace does not let apps send mail for you. Ask for access, or send through another account.",
  forbidden: "Google refuses this account the Gmail API. Look at its words, and at the account and project in Google.",
  noMail:
    "This Google account has no mailbox that can send. Open Gmail with it once, or ask its administrator to switch Gmail on.",
  daily: "The account has used up its sending allowance with Google. The run goes on when there is room again.",
  slow: "Google asks to slow down. The run waits and goes on slower.",
  concurrent: "Google takes fewer messages at once from this account. The run goes on with one connection.",
  busy: "Google cannot take the message at the moment. It is tried again.",
  unsure:
    "Google reported an error of its own after it had the whole message, which may have been sent all the same. Look into the account's Sent folder before sending again.",
  recipient: "Google refused an address of this row. Check to, cc and bcc.",
  content: "Google refused this message's content. Look at its words, and at the message in the preview.",
  stranger:
    "What answers is not the Gmail API. Check whether a proxy or a sign-in page of the network stands in between; nothing was sent.",
  lost: "What answered is not the Gmail API, and it had the whole message. Look into the account's Sent folder before sending again.",
} as const;

/** The table. */
export const gmailRules: readonly GmailRule[] = [
  { class: "account", status: /^401$/, text: sayGmail.signIn, signIn: true },
  // Whatever the status: the same limits are reported as 403 and as 429.
  {
    class: "throttled",
    status: /^(?:403|429)$/,
    words: /concurrent requests/i,
    text: sayGmail.concurrent,
    connections: 1,
  },
  {
    class: "quota",
    status: /^(?:403|429)$/,
    reason: /^(?:dailyLimitExceeded\w*|quotaExceeded|limitExceeded)$/,
    text: sayGmail.daily,
  },
  { class: "quota", status: /^(?:403|429)$/, words: /\(mail sending\)|per day|daily/i, text: sayGmail.daily },
  {
    class: "throttled",
    status: /^403$/,
    reason: /^(?:(?:user)?rateLimitExceeded\w*|RATE_LIMIT_EXCEEDED|RESOURCE_EXHAUSTED)$/i,
    text: sayGmail.slow,
  },
  { class: "throttled", status: /^429$/, text: sayGmail.slow },
  {
    class: "account",
    status: /^403$/,
    reason: /^(?:insufficientPermissions|insufficientScopes?|ACCESS_TOKEN_SCOPE_INSUFFICIENT)$/,
    text: sayGmail.scope,
    signIn: true,
  },
  {
    class: "account",
    status: /^403$/,
    reason: /^(?:accessNotConfigured|SERVICE_DISABLED)$/,
    text: sayGmail.apiOff,
  },
  {
    class: "account",
    status: /^403$/,
    reason: /^(?:domainPolicy|accessDenied|ADMIN_POLICY\w*)$/,
    text: sayGmail.domain,
  },
  { class: "account", status: /^403$/, text: sayGmail.forbidden },
  { class: "account", status: /^400$/, words: /mail service not enabled/i, text: sayGmail.noMail },
  { class: "account", status: /^400$/, reason: /^(?:failedPrecondition|FAILED_PRECONDITION)$/, text: sayGmail.noMail },
  { class: "account", status: /^400$/, words: /invalid from header|delegation denied/i, text: say.sender },
  {
    class: "recipient",
    status: /^400$/,
    words: /invalid (?:to|cc|bcc) header|recipient address|invalid recipient|no recipients?\b/i,
    text: sayGmail.recipient,
  },
  { class: "message", status: /^(?:400|413)$/, words: /too large|exceeds? the (?:maximum|limit)/i, text: say.tooLarge },
  { class: "message", status: /^400$/, text: sayGmail.content },
  { class: "message", status: /^413$/, text: say.tooLarge },
  { class: "throttled", status: /^503$/, early: true, text: sayGmail.busy },
  { class: "deferred", status: /^(?:408|5)/, early: true, text: sayGmail.busy },
  // Also 503 and 408: a server in front may say so of a message that went through behind it (google.rpc.Code, UNAVAILABLE).
  { class: "unknown", status: /^(?:408|5)/, text: sayGmail.unsure },
  { class: "account", status: /^[34]/, text: sayGmail.stranger },
  { class: "unknown", status: /./, text: sayGmail.lost },
];

/** A limit that is to be waited for longer than this is an allowance, not a rate. Milliseconds. */
const longestRateMs = 3_600_000;

/** Characters of an error's message that are read. */
const readCharacters = 2048;

/**
 * Classifies a reply that is no yes. `now` is the time of the reply, milliseconds since 1970. `reply` holds the server's words as they
 * came: secrets are not taken out of them yet.
 */
export function classifyGmail({ status, headers, body, isEarly }: HttpsReply, now: number): Failure {
  const { reasons, message } = readError(body);
  const rule = gmailRules.find(
    (candidate) =>
      candidate.status.test(String(status)) &&
      (candidate.reason === undefined || reasons.some((reason) => candidate.reason?.test(reason))) &&
      (candidate.words === undefined || candidate.words.test(message)) &&
      (candidate.early === undefined || isEarly),
  );
  const verdict = rule ?? { class: "unknown", text: sayGmail.lost };
  const wait = waitOf(headers["retry-after"], message, now);
  const isAllowance = verdict.class === "throttled" && wait !== undefined && wait > longestRateMs;
  const waits = verdict.class === "throttled" || verdict.class === "quota" || verdict.class === "deferred";
  return {
    class: isAllowance ? "quota" : verdict.class,
    text: isAllowance ? sayGmail.daily : verdict.text,
    stage: isEarly ? "body" : "reply",
    code: status,
    reply: [String(status), reasons[0], message].filter((word) => word !== undefined && word !== "").join(" "),
    ...(waits && wait !== undefined && { retryAfterMs: wait }),
    ...(rule?.signIn === true && { signIn: true }),
    ...(rule?.connections !== undefined && { connections: rule.connections }),
  };
}

/** What an error says. Google's two shapes and OAuth's (RFC 6750 §3.1) are understood, of a web page only its title. */
export function readError(body: Buffer): { readonly reasons: readonly string[]; readonly message: string } {
  const text = body.toString("utf8");
  const error = parsed(text).error;
  if (typeof error === "string") return { reasons: [error], message: "" };
  if (!isRecord(error)) {
    const title = /<title>([^<]{0,300})/i.exec(text.slice(0, readCharacters))?.[1] ?? "";
    return { reasons: [], message: title.trim() };
  }
  const reasons = [...listOf(error.errors), ...listOf(error.details)].map(({ reason }) => reason);
  return {
    reasons: [...new Set([...reasons, error.status].filter((reason) => typeof reason === "string"))],
    message: typeof error.message === "string" ? error.message.slice(0, readCharacters) : "",
  };
}

/** The id under which Gmail filed a message, undefined where the reply names none. */
export function readMessageId(body: Buffer): string | undefined {
  const { id } = parsed(body.toString("utf8"));
  return typeof id === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : undefined;
}

/** The wait that a header (RFC 9110 §10.2.3) or the message asks for, milliseconds. */
function waitOf(header: string | undefined, message: string, now: number): number | undefined {
  const value = header?.trim() ?? "";
  const date = /^\d+$/.test(value) ? NaN : Date.parse(value);
  const written = Number.isNaN(date) ? `retry-after: ${value}` : `retry after ${new Date(date).toISOString()}`;
  return retryAfter(written, now) ?? retryAfter(message, now);
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    // Errors of Google's upload servers come in a list of one.
    const first: unknown = Array.isArray(value) ? value[0] : value;
    return isRecord(first) ? first : {};
  } catch {
    return {};
  }
}

function listOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

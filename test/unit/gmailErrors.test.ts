import assert from "node:assert/strict";
import type { OutcomeClass } from "../../src/mail/classify";
import { classifyGmail, gmailRules, readError, readMessageId } from "../../src/mail/transports/gmailErrors";

const now = Date.parse("2026-11-24T12:00:00Z");

/** Google's error model; `status` as in google.rpc.Code. */
const google = (code: number, message: string, reason?: string, status?: string, detail?: string): string =>
  JSON.stringify({
    error: {
      code,
      message,
      ...(reason !== undefined && { errors: [{ message, domain: "global", reason }] }),
      ...(status !== undefined && { status }),
      ...(detail !== undefined && {
        details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: detail, domain: "googleapis.com" }],
      }),
    },
  });

interface Case {
  readonly status: number;
  readonly body: string;
  readonly is: OutcomeClass;
  readonly says: RegExp;
  readonly header?: string;
  readonly waits?: number;
  readonly early?: true;
  readonly signIn?: true;
  readonly connections?: 1;
}

const limited = "User-rate limit exceeded.  Retry after 2026-11-24T12:10:00.000Z";
const page = "<!DOCTYPE html><html><head><title>Error 502 (Server Error)!!1</title></head><body>…</body></html>";

/** At least one for every row of the table, in its order. */
const cases: readonly Case[] = [
  {
    status: 401,
    body: google(401, "Invalid Credentials", "authError", "UNAUTHENTICATED"),
    is: "account",
    says: /Sign in again/,
    signIn: true,
  },
  { status: 401, body: "", is: "account", says: /Sign in again/, signIn: true },
  {
    status: 429,
    body: google(429, "Too many concurrent requests for user", "rateLimitExceeded"),
    is: "throttled",
    says: /one connection/,
    connections: 1,
  },
  { status: 403, body: google(403, "Daily Limit Exceeded", "dailyLimitExceeded"), is: "quota", says: /allowance/ },
  { status: 403, body: google(403, "Quota exceeded", "quotaExceeded"), is: "quota", says: /allowance/ },
  {
    status: 429,
    body: google(429, `${limited} (Mail sending)`, "userRateLimitExceeded"),
    is: "quota",
    says: /allowance/,
    waits: 600_000,
  },
  {
    status: 429,
    body: google(
      429,
      "Quota exceeded for quota metric 'Queries' and limit 'Queries per day' of service 'gmail.googleapis.com'",
      "rateLimitExceeded",
      "RESOURCE_EXHAUSTED",
    ),
    is: "quota",
    says: /allowance/,
  },
  { status: 403, body: google(403, "Rate Limit Exceeded", "rateLimitExceeded"), is: "throttled", says: /slow down/ },
  {
    status: 403,
    body: google(403, "User Rate Limit Exceeded", "userRateLimitExceeded"),
    is: "throttled",
    says: /slow down/,
    header: "7",
    waits: 7_000,
  },
  {
    status: 403,
    body: google(403, "Quota exceeded for 'Queries per minute per user'", undefined, undefined, "RATE_LIMIT_EXCEEDED"),
    is: "throttled",
    says: /slow down/,
  },
  { status: 429, body: "", is: "throttled", says: /slow down/ },
  { status: 429, body: "", is: "throttled", says: /slow down/, header: "30", waits: 30_000 },
  {
    status: 429,
    body: "",
    is: "throttled",
    says: /slow down/,
    header: "Tue, 24 Nov 2026 12:02:00 GMT",
    waits: 120_000,
  },
  { status: 429, body: google(429, limited, "rateLimitExceeded"), is: "throttled", says: /slow down/, waits: 600_000 },
  { status: 429, body: "", is: "quota", says: /allowance/, header: "18000", waits: 18_000_000 },
  {
    status: 429,
    body: google(429, "User-rate limit exceeded.  Retry after 2026-11-25T06:00:00Z", "userRateLimitExceeded"),
    is: "quota",
    says: /allowance/,
    waits: 18 * 3_600_000,
  },
  {
    status: 403,
    body: google(403, "Insufficient Permission", "insufficientPermissions", "PERMISSION_DENIED"),
    is: "account",
    says: /box for sending mail/,
    signIn: true,
  },
  {
    status: 403,
    body: google(
      403,
      "Request had insufficient authentication scopes.",
      undefined,
      "PERMISSION_DENIED",
      "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    ),
    is: "account",
    says: /box for sending mail/,
    signIn: true,
  },
  {
    status: 403,
    body: google(403, "Gmail API has not been used in project 7 before", "accessNotConfigured"),
    is: "account",
    says: /switched off in your Google Cloud project/,
  },
  {
    status: 403,
    body: google(403, "Gmail API has not been used", undefined, "PERMISSION_DENIED", "SERVICE_DISABLED"),
    is: "account",
    says: /switched off in your Google Cloud project/,
  },
  {
    status: 403,
    body: google(403, "The domain administrators have disabled Gmail apps.", "domainPolicy"),
    is: "account",
    says: /administrator/,
  },
  { status: 403, body: google(403, "Forbidden", "forbidden"), is: "account", says: /refuses this account/ },
  { status: 403, body: "<html>", is: "account", says: /refuses this account/ },
  {
    status: 400,
    body: google(400, "Mail service not enabled", "failedPrecondition", "FAILED_PRECONDITION"),
    is: "account",
    says: /no mailbox/,
  },
  {
    status: 400,
    body: google(400, "Precondition check failed.", "failedPrecondition"),
    is: "account",
    says: /no mailbox/,
  },
  {
    status: 400,
    body: google(400, "Invalid From header", "invalidArgument"),
    is: "account",
    says: /own address in from/,
  },
  { status: 400, body: google(400, "Invalid To header", "invalidArgument"), is: "recipient", says: /to, cc and bcc/ },
  { status: 400, body: google(400, "Invalid Bcc header", "invalidArgument"), is: "recipient", says: /to, cc and bcc/ },
  {
    status: 400,
    body: google(400, "Recipient address required", "invalidArgument"),
    is: "recipient",
    says: /to, cc and bcc/,
  },
  { status: 400, body: google(400, "Message too large", "invalidArgument"), is: "message", says: /large/ },
  { status: 400, body: google(400, "Invalid attachment", "badRequest"), is: "message", says: /content/ },
  { status: 400, body: "", is: "message", says: /content/ },
  { status: 413, body: google(413, "Request too large.", "uploadTooLarge"), is: "message", says: /large/ },
  { status: 413, body: "", is: "message", says: /large/ },
  {
    status: 503,
    body: google(503, "The service is currently unavailable.", "backendError"),
    is: "throttled",
    says: /tried again/,
    early: true,
  },
  { status: 503, body: "", is: "throttled", says: /tried again/, header: "60", waits: 60_000, early: true },
  { status: 408, body: "", is: "deferred", says: /tried again/, early: true },
  { status: 500, body: "", is: "deferred", says: /tried again/, early: true },
  {
    status: 503,
    body: google(503, "The service is currently unavailable.", "backendError"),
    is: "unknown",
    says: /Sent folder/,
  },
  { status: 503, body: "", is: "unknown", says: /Sent folder/, header: "60" },
  { status: 408, body: "", is: "unknown", says: /Sent folder/ },
  { status: 500, body: google(500, "Backend Error", "backendError"), is: "unknown", says: /Sent folder/ },
  { status: 502, body: page, is: "unknown", says: /Sent folder/ },
  { status: 504, body: "", is: "unknown", says: /Sent folder/ },
  {
    status: 404,
    body: google(404, "Requested entity was not found.", "notFound"),
    is: "account",
    says: /not the Gmail API/,
  },
  { status: 302, body: "", is: "account", says: /not the Gmail API/ },
  { status: 200, body: page, is: "unknown", says: /had the whole message/ },
];

describe("the Gmail API's errors (R1, R29)", () => {
  for (const { status, body, is, says, header, waits, early, signIn, connections } of cases)
    it(`${String(status)}${early === true ? ", early" : ""} ${readError(Buffer.from(body)).message || "without words"}: ${is}`, () => {
      const failure = classifyGmail(
        {
          status,
          headers: header === undefined ? {} : { "retry-after": header },
          body: Buffer.from(body),
          isWhole: true,
          isEarly: early === true,
        },
        now,
      );
      assert.equal(failure.class, is);
      assert.match(failure.text, says);
      assert.equal(failure.code, status);
      assert.equal(failure.retryAfterMs, waits);
      assert.equal(failure.signIn, signIn);
      assert.equal(failure.connections, connections);
      assert.equal(failure.stage, early === true ? "body" : "reply");
    });

  it("every row of the table is met by a case", () => {
    const met = new Set(
      cases.map(({ status, body, early }) => {
        const { reasons, message } = readError(Buffer.from(body));
        return gmailRules.findIndex(
          (rule) =>
            rule.status.test(String(status)) &&
            (rule.reason === undefined || reasons.some((reason) => rule.reason?.test(reason))) &&
            (rule.words === undefined || rule.words.test(message)) &&
            (rule.early === undefined || early === true),
        );
      }),
    );
    assert.deepEqual(
      gmailRules.map((_, i) => i).filter((i) => !met.has(i)),
      [],
    );
  });

  it("understands both shapes of Google's, OAuth's, pages, nothing and noise", () => {
    const read = (text: string | Buffer): ReturnType<typeof readError> => readError(Buffer.from(text));
    assert.deepEqual(read(google(403, "No", "one", "TWO", "THREE")), {
      reasons: ["one", "THREE", "TWO"],
      message: "No",
    });
    assert.deepEqual(read(`[${google(403, "No", "one")}]`), { reasons: ["one"], message: "No" });
    assert.deepEqual(read('{"error":"invalid_token"}'), { reasons: ["invalid_token"], message: "" });
    assert.deepEqual(read(page), { reasons: [], message: "Error 502 (Server Error)!!1" });
    for (const noise of ["", "null", "[]", "7", '{"error":null}', '{"error":{"errors":7,"details":[null]}}', "{"])
      assert.deepEqual(read(noise), { reasons: [], message: "" }, noise);
  });

  it("reads a megabyte of nonsense in no time", () => {
    const start = performance.now();
    for (const noise of [
      Buffer.alloc(1024 * 1024, "<title>"),
      Buffer.alloc(1024 * 1024, "["),
      Buffer.alloc(1024 * 1024),
    ])
      classifyGmail({ status: 500, headers: {}, body: noise, isWhole: false, isEarly: false }, now);
    const words = google(429, "retry after ".repeat(80_000), "x");
    const failure = classifyGmail(
      { status: 429, headers: {}, body: Buffer.from(words), isWhole: true, isEarly: false },
      now,
    );
    assert.equal(failure.class, "throttled");
    assert.ok(performance.now() - start < 2_000);
  });

  it("takes an id only where it looks like one", () => {
    assert.equal(readMessageId(Buffer.from('{"id":"18c9f0a2b3","threadId":"18c9"}')), "18c9f0a2b3");
    for (const text of ['{"id":"a\\nb"}', '{"id":7}', "{", ""])
      assert.equal(readMessageId(Buffer.from(text)), undefined);
  });
});

/** Every row of the tables that `classifyRules.ts` and `systemFailures.ts` hold as data: stages, providers, enhanced codes, the engine. */
import assert from "node:assert/strict";
import { classify, type OutcomeClass, type RawFailure, type Stage } from "../../src/mail/classify";

type Row = readonly [
  name: string,
  stage: Stage,
  reply: string,
  expected: OutcomeClass,
  text?: RegExp,
  more?: Partial<RawFailure>,
];

function rows(all: readonly Row[]): void {
  for (const [name, stage, reply, expected, text, more] of all)
    it(`R32 ${name} at ${stage.toUpperCase()} → ${expected}`, () => {
      const failure = classify({ stage, reply, ...more });
      assert.equal(failure.class, expected, reply);
      if (text !== undefined) assert.match(failure.text, text);
    });
}

/** One row for each of some stages. */
const at = (
  stages: readonly Stage[],
  name: string,
  reply: string,
  expected: OutcomeClass,
  text?: RegExp,
): readonly Row[] =>
  stages.map((stage) => (text === undefined ? [name, stage, reply, expected] : [name, stage, reply, expected, text]));

const handedOver: readonly Stage[] = ["body", "reply"];
const transaction: readonly Stage[] = ["mail", "rcpt", "data", ...handedOver];
const everywhere: readonly Stage[] = ["connect", "greeting", "ehlo", "starttls", "auth", ...transaction];

describe("stage and reply code: every cell (R32)", () => {
  rows([
    ...at(everywhere, "421 shutting down", "421 4.3.2 service shutting down", "throttled"),
    ...at(["greeting", "ehlo"], "other 4xx", "450 4.3.2 not now", "throttled"),
    ["554 blocked", "greeting", "554 5.7.1 blocked", "account", /refuses this connection/],
    ["521 no mail here (RFC 7504)", "greeting", "521 5.3.2 no mail here", "account", /refuses this connection/],
    ["5xx", "ehlo", "502 5.5.1 no", "account", /how we speak/],
    ["454 TLS not available", "starttls", "454 4.7.0 TLS not available", "offline", /cannot encrypt.*Nothing was sent/],
    ["5xx", "starttls", "502 5.5.1 not implemented", "account", /offers no encryption/],
    ["454", "auth", "454 4.7.0 Temporary authentication failure", "throttled"],
    ["432", "auth", "432 4.3.2 busy", "throttled"],
    ["535", "auth", "535 5.7.8 no", "account", /user name or the password/],
    ["534", "auth", "534 5.7.9 mechanism too weak", "account", /app password/],
    ["530", "auth", "530 5.7.0 Authentication required", "account", /user name or the password/],
    ["530 that wants STARTTLS", "auth", "530 5.7.0 Must issue a STARTTLS command first", "account", /encrypted/],
    ["530 that wants STARTTLS", "mail", "530 5.7.0 Must issue a STARTTLS command first", "account", /encrypted/],
    ["538", "auth", "538 5.7.11 Encryption required", "account", /encrypted/],
    ["504", "auth", "504 5.5.4 unknown mechanism", "account"],
    ["450 4.7.x (Postfix rate limit)", "mail", "450 4.7.1 Error: too much mail from 192.0.2.1", "throttled"],
    ["451 4.7.x", "mail", "451 4.7.0 later", "throttled"],
    ["452 4.3.1", "mail", "452 4.3.1 Insufficient system storage", "throttled"],
    ["450 4.1.8", "mail", "450 4.1.8 <ada@x.example>: Sender address rejected", "throttled", /domain of the sender/],
    ["450 4.1.8", "rcpt", "450 4.1.8 <ada@x.example>: Domain not found", "throttled", /domain of the sender/],
    ["530", "mail", "530 5.7.0 Authentication required", "account", /sign-in first/],
    ["550 5.7.1", "mail", "550 5.7.1 not allowed", "account", /send from this address/],
    ["553 5.7.1", "mail", "553 5.7.1 not owned by user", "account", /send from this address/],
    ["550 5.7.60", "mail", "550 5.7.60 no permission", "account", /send from this address/],
    ["550 5.1.8", "mail", "550 5.1.8 bad sender domain", "account", /send from this address/],
    ["552 5.3.4", "mail", "552 5.3.4 message too big", "message", /larger than the server takes/],
    ["555 (unknown parameter)", "mail", "555 5.5.4 unsupported parameter", "account", /how we speak/],
    ["501 5.5.4 (syntax)", "mail", "501 5.5.4 syntax", "account", /how we speak/],
    ["501 5.1.7 (sender's syntax)", "mail", "501 5.1.7 bad sender", "account", /send from this address/],
    ["450 4.2.x", "rcpt", "450 4.2.0 busy", "deferred"],
    ["451 4.7.1 greylist", "rcpt", "451 4.7.1 Greylisting in action, come back later", "deferred", /second try/],
    ["450 without enhanced code (Exim greylist)", "rcpt", "451 Greylisted, try later", "deferred", /second try/],
    ["452 4.5.3 too many recipients", "rcpt", "452 4.5.3 too many recipients", "throttled"],
    ["452 4.2.2 full", "rcpt", "452 4.2.2 full", "deferred"],
    ["550 5.1.x", "rcpt", "550 5.1.1 no such user", "recipient"],
    ["550 5.2.1", "rcpt", "550 5.2.1 disabled", "recipient"],
    ["551", "rcpt", "551 5.1.6 moved", "recipient"],
    ["553", "rcpt", "553 5.1.3 bad", "recipient"],
    ["501", "rcpt", "501 5.1.3 bad", "recipient"],
    ["513", "rcpt", "513 bad address", "recipient"],
    ["556 (RFC 7504)", "rcpt", "556 5.1.10 null MX", "recipient"],
    ["relay denied", "rcpt", "554 5.7.1 Relay access denied", "account", /does not pass on mail/],
    ["550 5.4.5", "rcpt", "550 5.4.5 Daily SMTP relay sending limit exceeded for user", "quota"],
    ["other 4xx", "data", "451 4.3.0 not now", "throttled"],
    ["no valid recipients", "data", "554 5.5.1 no valid recipients", "recipient"],
    ["550 5.1.1", "data", "550 5.1.1 no such user", "recipient"],
    ["5xx", "data", "554 5.7.1 refused", "message"],
    ...at(handedOver, "451", "451 4.3.0 later", "deferred"),
    ...at(handedOver, "452", "452 4.3.1 disk full", "deferred"),
    ...at(handedOver, "4.7.x", "450 4.7.1 slow", "throttled"),
    ...at(handedOver, "greylist", "451 4.7.1 Greylisted for 60 seconds", "deferred", /second try/),
    ...at(handedOver, "552 5.3.4", "552 5.3.4 too big", "message", /larger/),
    ...at(handedOver, "554 5.2.3", "554 5.2.3 too long", "message", /larger/),
    ...at(handedOver, "554 5.7.x", "554 5.7.1 spam", "message", /content/),
    ...at(["mail", "rcpt", "data"], "503 out of step", "503 5.5.1 bad sequence", "offline"),
    // A refusal of the message itself: repeated for ever, it would block the run.
    ...at(handedOver, "503 to the body", "503 5.5.1 bad sequence", "message"),
    // The fallbacks: nothing in the tables.
    ["an unheard 4xx", "reply", "499 huh", "deferred"],
    ["an unheard 5xx", "rcpt", "599 huh", "recipient"],
    ["an unheard 5xx", "reply", "599 huh", "message"],
    ["an unheard 5xx", "mail", "599 huh", "account"],
  ]);
});

describe("providers' own words (R32, R37, R43)", () => {
  rows([
    ...at(transaction, "Gmail 421 4.3.0", "421 4.3.0 Temporary System Problem. Try again later", "throttled"),
    ...at(transaction, "Gmail 421 4.4.5", "421 4.4.5 Server busy, try again later.", "throttled"),
    ...at(transaction, "Gmail 421 4.7.0", "421 4.7.0 Try again later, closing connection.", "throttled"),
    ...at(transaction, "Gmail 421 4.7.28", "421 4.7.28 Gmail has detected an unusual rate of mail", "throttled"),
    ["Gmail 450 4.2.1 too quickly", "rcpt", "450 4.2.1 The user is receiving mail too quickly.", "deferred"],
    ["Gmail 450 4.2.1 Peak relay", "rcpt", "450 4.2.1 Peak SMTP relay limit exceeded for customer.", "throttled"],
    ["Gmail 454 4.7.0", "auth", "454 4.7.0 Too many login attempts, please try again later.", "throttled"],
    ["Gmail 550 5.4.5", "reply", "550 5.4.5 Daily user sending limit exceeded.", "quota"],
    [
      "Gmail 550 5.4.5 broken over lines",
      "reply",
      "550-5.4.5 Daily user sending\r\n550 5.4.5 limit exceeded - gsmtp",
      "quota",
    ],
    [
      "a limit whose words are broken over lines",
      "reply",
      "550-5.7.0 You have reached your sending\r\n550 5.7.0 limit",
      "quota",
    ],
    ["Gmail 550 5.7.1 Daily relay", "mail", "550 5.7.1 Daily SMTP relay limit exceeded for customer.", "quota"],
    ["Gmail 535 5.7.8", "auth", "535-5.7.8 Username and Password not accepted.\n535 5.7.8 Help", "account"],
    ["Gmail 534 5.7.9", "auth", "534-5.7.9 Application-specific password required.", "account", /app password/],
    ["Gmail 534 5.7.14", "auth", "534-5.7.14 Please log in via your web browser", "account", /in the browser/],
    ...at(["mail", "reply"], "Gmail 550 5.7.26", "550 5.7.26 unauthenticated", "account", /SPF, DKIM and DMARC/),
    ...[26, 27, 29, 30, 31, 32].flatMap((n) =>
      at(
        ["reply"],
        `Gmail 421 4.7.${String(n)}`,
        `421 4.7.${String(n)} rate limited: unauthenticated`,
        "account",
        /SPF/,
      ),
    ),
    ...at(["mail", "reply"], "Gmail 550 5.7.28", "550 5.7.28 blocked", "account", /whether this network/),
    ["M365 432 4.3.2", "auth", "432 4.3.2 Concurrent connections limit exceeded.", "throttled", /fewer connections/],
    ["M365 sender thread limit", "reply", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "throttled"],
    ["M365 554 5.2.0", "reply", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", "quota"],
    ["M365 550 5.1.90", "reply", "550 5.1.90 Your message can't be sent: your daily limit", "quota"],
    ["M365 550 5.7.233", "rcpt", "550 5.7.233 tenant has exceeded its external recipients", "quota", /organisation/],
    ["M365 535 5.7.139", "auth", "535 5.7.139 SmtpClientAuthentication is disabled", "account", /administrator/],
    ["M365 535 5.7.3", "auth", "535 5.7.3 Authentication unsuccessful", "account", /user name or the password/],
    ["M365 550 5.7.30", "auth", "550 5.7.30 Basic authentication is not supported", "account", /administrator/],
    ["M365 SendAsDenied", "reply", "554 5.2.252 SendAsDenied; not allowed", "account", /send from this address/],
    ["M365 5.7.60", "reply", "550 5.7.60 does not have permissions to send as", "account", /send from this address/],
    ["Outlook.com 550 5.7.515", "reply", "550 5.7.515 Access denied, sending domain", "message", /SPF, DKIM and DMARC/],
    ["Outlook.com 550 5.7.515", "rcpt", "550 5.7.515 Access denied, sending domain", "message", /SPF, DKIM and DMARC/],
    ...at(["greeting", "mail"], "Yahoo TSS04", "421 4.7.0 [TSS04] temporarily deferred", "throttled"),
    ...at(["greeting", "mail"], "Yahoo TS03", "421 4.7.1 [TS03] will be permanently deferred", "account", /puts off/),
    ["Yahoo 554 5.7.9", "reply", "554 5.7.9 Message not accepted for policy reasons.", "message", /content/],
    ["SES 454 rate", "reply", "454 Throttling failure: Maximum sending rate exceeded.", "throttled"],
    ["SES 454 daily", "reply", "454 Throttling failure: Daily message quota exceeded.", "quota"],
    [
      "SES 554 not verified, a recipient",
      "reply",
      "554 Message rejected: Email address is not verified. The following identities failed: bob@example.org",
      "recipient",
      /confirmed addresses only/,
      { sender: "ada@example.com" },
    ],
    [
      "SES 554 not verified, an address that ends like the sender's",
      "reply",
      "554 Message rejected: Email address is not verified: grandada@example.com",
      "recipient",
      /confirmed addresses only/,
      { sender: "ada@example.com" },
    ],
    [
      "SES 554 not verified, the sender",
      "reply",
      "554 Message rejected: Email address is not verified. The following identities failed: Ada@Example.com.",
      "account",
      /not confirmed the sender/,
      { sender: "ada@example.com" },
    ],
    ["iCloud 550 5.7.1", "reply", "550 5.7.1 You have exceeded your daily sending limit.", "quota"],
    ["any daily limit", "mail", "451 4.0.0 daily message limit reached", "quota"],
    ["any hourly quota", "reply", "452 4.0.0 hourly quota", "quota"],
    ["any 24 hour limit", "rcpt", "550 24 hour limit reached", "quota"],
    ["any sending limit", "reply", "550 sending limit", "quota"],
    ["any quota exceeded", "reply", "550 quota exceeded", "quota"],
  ]);

  it("R32 too many connections hint at one (Exchange Online, Postfix, Dovecot), and nothing else does", () => {
    for (const reply of [
      "432 4.3.2 Concurrent connections limit exceeded",
      "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
      "421 4.7.0 Error: too many connections from 192.0.2.1",
      "421 4.7.0 Too many concurrent SMTP connections",
    ]) {
      assert.deepEqual([classify({ stage: "mail", reply }).connections, reply], [1, reply]);
    }
    assert.equal(classify({ stage: "mail", reply: "421 4.7.0 slow down" }).connections, undefined);
    assert.equal(classify({ stage: "mail", reply: "550 too many connections" }).connections, undefined);
  });
});

describe("enhanced codes, RFC 3463 and its registry (R32)", () => {
  rows([
    ...[0, 1, 2, 3, 4, 5, 6, 10].flatMap((n) => [
      ...at(["rcpt", "data", "reply"], `5.1.${String(n)}`, `550 5.1.${String(n)} no`, "recipient", /Check the address/),
      ...at(["rcpt", "reply"], `4.1.${String(n)}`, `450 4.1.${String(n)} later`, "deferred"),
    ]),
    ...[7, 8, 9].flatMap((n) => [
      ...at(transaction, `5.1.${String(n)}`, `550 5.1.${String(n)} sender`, "account", /send from this address/),
      ...at(["mail", "rcpt"], `4.1.${String(n)}`, `450 4.1.${String(n)} sender`, "throttled", /domain of the sender/),
    ]),
    ...at(["rcpt", "reply"], "5.2.1 disabled", "550 5.2.1 x", "recipient"),
    ...at(["rcpt", "reply"], "4.2.1 disabled", "450 4.2.1 x", "deferred"),
    ...at(["rcpt", "reply"], "4.2.2 full", "452 4.2.2 x", "deferred"),
    ...at(["rcpt", "reply"], "5.2.2 full", "552 5.2.2 x", "recipient", /full/),
    ...at(["rcpt", "reply"], "5.2.3 too long", "554 5.2.3 x", "message", /larger/),
    ...at(["rcpt", "reply"], "5.2.4 list", "550 5.2.4 x", "recipient"),
    ...at(["rcpt", "reply"], "4.2.4 list", "450 4.2.4 x", "deferred"),
    ...[1, 2, 5].flatMap((n) => at(["rcpt"], `4.3.${String(n)} server state`, `452 4.3.${String(n)} x`, "throttled")),
    ...[1, 2].flatMap((n) =>
      at(["rcpt", "data", "reply"], `5.3.${String(n)} server state`, `554 5.3.${String(n)} x`, "account", /no mail at/),
    ),
    ...at(["mail", "rcpt", "reply"], "5.3.4 too big", "552 5.3.4 x", "message", /larger/),
    ...[1, 2, 4, 7].flatMap((n) => [
      ...at(["rcpt", "reply"], `4.4.${String(n)} route`, `450 4.4.${String(n)} x`, "deferred"),
      ...at(["rcpt", "reply"], `5.4.${String(n)} route`, `550 5.4.${String(n)} x`, "recipient"),
    ]),
    ...at(["mail", "rcpt", "reply"], "5.4.5", "550 5.4.5 x", "quota"),
    ["4.5.3 too many recipients", "rcpt", "452 4.5.3 x", "throttled"],
    ...at(["rcpt", "data", "reply"], "5.5.3 too many recipients", "554 5.5.3 x", "recipient", /fewer in cc and bcc/),
    ...[0, 1, 2, 3, 5, 6].flatMap((n) =>
      at(["rcpt", "reply"], `5.6.${String(n)} content`, `554 5.6.${String(n)} x`, "message", /content/),
    ),
    ...at(["rcpt", "reply"], "5.6.7 SMTPUTF8 needed", "553 5.6.7 x", "recipient", /SMTPUTF8/),
    ...[0, 1].flatMap((n) => [
      ...at(["greeting", "auth", "mail"], `5.7.${String(n)} policy`, `550 5.7.${String(n)} x`, "account"),
      ...at(["rcpt"], `5.7.${String(n)} policy`, `550 5.7.${String(n)} x`, "recipient"),
      ...at(["data", ...handedOver], `5.7.${String(n)} policy`, `550 5.7.${String(n)} x`, "message"),
    ]),
    ["5.7.1 and the word relay", "rcpt", "550 5.7.1 we do not relay", "account"],
    ...at(["auth", "mail", "rcpt", "data", "reply"], "5.7.8 bad credentials", "535 5.7.8 x", "account"),
    ...at(["auth", "rcpt", "data"], "5.7.9 mechanism too weak", "534 5.7.9 x", "account"),
    ["4.7.12 password transition", "auth", "432 4.7.12 A password transition is needed", "account", /renewed/],
    ...at(["auth", "mail", "rcpt", "reply"], "5.7.11 encryption required", "538 5.7.11 x", "account", /encrypted/),
    ...at(["auth", "mail", "reply"], "5.7.30", "550 5.7.30 x", "account"),
    ...[20, 21, 22, 23, 24, 25, 27, 29].flatMap((n) => [
      ...at(["rcpt", ...handedOver], `5.7.${String(n)} sender's domain`, `550 5.7.${String(n)} x`, "message", /SPF/),
      ...at(["mail"], `5.7.${String(n)} sender's domain`, `550 5.7.${String(n)} x`, "account", /SPF/),
    ]),
  ]);

  describe("that contradict their reply code: its first digit wins", () =>
    rows([
      ["450 5.1.1", "rcpt", "450 5.1.1 x", "deferred"],
      ["550 4.2.2", "rcpt", "550 4.2.2 x", "recipient"],
      ["450 5.3.4", "mail", "450 5.3.4 x", "throttled"],
      ["550 4.1.8", "mail", "550 4.1.8 x", "account"],
      ["450 5.1.8", "rcpt", "450 5.1.8 x", "deferred"],
      ["451 5.7.26", "reply", "451 5.7.26 x", "deferred"],
      ["550 4.7.26", "reply", "550 4.7.26 x", "message"],
      ["450 5.4.5", "reply", "450 5.4.5 x", "deferred"],
      ["454 5.7.8", "auth", "454 5.7.8 x", "throttled"],
      ["535 4.7.12", "auth", "535 4.7.12 x", "account"],
      ["554 2.0.0", "reply", "554 2.0.0 x", "message"],
    ]));
});

/** What the protocol engine reports, as the transport hands it on: `originalCode`, else `code`; the reply where there was one. */
const engine: readonly (readonly [fault: string, raw: RawFailure, expected: OutcomeClass, text?: RegExp])[] = [
  ["connection refused", { stage: "connect", systemCode: "ECONNREFUSED" }, "offline", /Nothing answers/],
  ["host not found", { stage: "connect", systemCode: "ENOTFOUND" }, "offline", /not known/],
  ["name server silent", { stage: "connect", systemCode: "EAI_AGAIN" }, "offline", /looked up/],
  ["closed before the greeting", { stage: "connect", systemCode: "ECONNECTION" }, "offline"],
  ["greeting 421", { stage: "greeting", reply: "421 no", systemCode: "EPROTOCOL" }, "throttled"],
  ["greeting 554", { stage: "greeting", reply: "554 no", systemCode: "EPROTOCOL" }, "account"],
  ["silent server", { stage: "greeting", systemCode: "ETIMEDOUT" }, "offline", /in time.*port and security/],
  ["plain client on a TLS port", { stage: "greeting", systemCode: "ETIMEDOUT" }, "offline", /port and security/],
  ["TLS client on a plain port", { stage: "connect", systemCode: "ERR_SSL_WRONG_VERSION_NUMBER" }, "account", /TLS/],
  ["self-signed", { stage: "starttls", systemCode: "DEPTH_ZERO_SELF_SIGNED_CERT" }, "account", /not signed/],
  ["wrong name", { stage: "starttls", systemCode: "ERR_TLS_CERT_ALTNAME_INVALID" }, "account", /another name/],
  ["expired", { stage: "starttls", systemCode: "CERT_HAS_EXPIRED" }, "account", /not valid today/],
  ["STARTTLS 454", { stage: "starttls", reply: "454 no", systemCode: "ETLS" }, "offline", /Nothing was sent/],
  ["STARTTLS 502", { stage: "starttls", reply: "502 no", systemCode: "ETLS" }, "account", /offers no encryption/],
  ["STARTTLS not offered", { stage: "starttls", systemCode: "ETLS" }, "account", /offers no encryption/],
  ["no sign-in given", { stage: "auth", systemCode: "ENOAUTH" }, "account", /sign-in first/],
  ["AUTH 535", { stage: "auth", reply: "535 no", systemCode: "EAUTH" }, "account"],
  ["AUTH 454", { stage: "auth", reply: "454 no", systemCode: "EAUTH" }, "throttled"],
  ["AUTH 432", { stage: "auth", reply: "432 no", systemCode: "EAUTH" }, "throttled"],
  ["AUTH 421", { stage: "auth", reply: "421 no", systemCode: "EAUTH" }, "throttled"],
  ["MAIL 5xx", { stage: "mail", reply: "550 no", systemCode: "EENVELOPE" }, "account"],
  ["MAIL 4xx", { stage: "mail", reply: "450 no", systemCode: "EENVELOPE" }, "throttled"],
  ["MAIL 421", { stage: "mail", reply: "421 no", systemCode: "EENVELOPE" }, "throttled"],
  ["RCPT refused", { stage: "rcpt", reply: "550 no", systemCode: "EENVELOPE" }, "recipient"],
  ["RCPT 421 while pipelining", { stage: "rcpt", reply: "421 no", systemCode: "ECONNECTION" }, "throttled"],
  ["DATA 451", { stage: "data", reply: "451 no", systemCode: "EENVELOPE" }, "throttled"],
  ["behind the dot 4xx", { stage: "reply", reply: "450 no", systemCode: "EMESSAGE" }, "deferred"],
  ["behind the dot 5xx", { stage: "reply", reply: "550 no", systemCode: "EMESSAGE" }, "message"],
  ["behind the dot 421", { stage: "reply", reply: "421 no", systemCode: "EMESSAGE" }, "throttled"],
  ["closed at MAIL", { stage: "mail", systemCode: "ECONNECTION" }, "offline"],
  ["closed at RCPT", { stage: "rcpt", systemCode: "ECONNECTION" }, "offline"],
  ["closed at DATA", { stage: "data", systemCode: "ECONNECTION" }, "offline"],
  ["closed behind the dot", { stage: "reply", systemCode: "ECONNECTION" }, "unknown"],
  ["reset in the body", { stage: "body", systemCode: "ECONNRESET" }, "offline"],
  ["reset behind the dot", { stage: "reply", systemCode: "ECONNRESET" }, "unknown"],
  ["silence behind the dot", { stage: "reply", systemCode: "ETIMEDOUT" }, "unknown"],
  ["closed after half a reply", { stage: "reply", reply: "25", systemCode: "ECONNECTION" }, "unknown"],
  ["aborted before the body", { stage: "data", systemCode: "EABORT" }, "offline"],
  ["aborted behind the dot", { stage: "reply", systemCode: "EABORT" }, "unknown"],
  ["proxy down", { stage: "connect", systemCode: "EPROXYDOWN" }, "offline", /proxy/],
  ["proxy 407", { stage: "connect", systemCode: "EPROXYAUTH" }, "account", /proxy/],
  ["proxy refuses the server", { stage: "connect", systemCode: "EPROXYTARGET" }, "offline", /proxy/],
  ["an envelope that cannot be written", { stage: "mail", systemCode: "EENVELOPE" }, "recipient", /address/],
];

describe("what the protocol engine reports (R32, R38-R41)", () => {
  for (const [fault, raw, expected, text] of engine)
    it(`R32 ${fault} → ${expected}`, () => {
      const failure = classify(raw);
      assert.equal(failure.class, expected);
      if (text !== undefined) assert.match(failure.text, text);
    });
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { classify, ownFailures, replyCodes, type OutcomeClass, type Stage } from "../../src/mail/classify";

/** What is said of an address that is refused for good. */
const refusedText = classify({ stage: "rcpt", reply: "550 5.1.1 x" }).text;

type Row = readonly [stage: Stage, reply: string, expected: OutcomeClass];

/** Checks each row in a test of its own. */
function table(rows: readonly Row[]): void {
  for (const [stage, reply, expected] of rows)
    it(`${stage}: ${reply.replaceAll("\n", " / ")} → ${expected}`, () =>
      assert.equal(classify({ stage, reply }).class, expected));
}

const stages: readonly Stage[] = [
  "connect",
  "greeting",
  "ehlo",
  "starttls",
  "auth",
  "mail",
  "rcpt",
  "data",
  "body",
  "reply",
];

describe("classify by stage and code (R32)", () => {
  describe("421 asks to slow down, wherever it comes", () =>
    table(stages.map((stage) => [stage, "421 4.3.2 shutting down", "throttled"])));

  describe("before the transaction", () =>
    table([
      ["greeting", "450 try later", "throttled"],
      ["greeting", "554 5.7.1 blocked", "account"],
      ["greeting", "521 no mail here", "account"],
      ["ehlo", "451 not now", "throttled"],
      ["ehlo", "550 who are you", "account"],
      ["starttls", "454 4.7.0 TLS not available", "offline"],
      ["starttls", "502 5.5.1 not implemented", "account"],
      ["auth", "454 4.7.0 Temporary authentication failure", "throttled"],
      ["auth", "432 4.3.2 busy", "throttled"],
      ["auth", "535 5.7.8 bad credentials", "account"],
      ["auth", "534 5.7.9 mechanism too weak", "account"],
      ["auth", "530 5.7.0 must issue STARTTLS", "account"],
      ["auth", "538 5.7.11 encryption required", "account"],
      ["auth", "504 5.5.4 unknown mechanism", "account"],
      ["auth", "503 5.5.1 bad sequence", "account"],
      ["auth", "334 VXNlcm5hbWU6", "account"],
    ]));

  describe("MAIL FROM", () =>
    table([
      ["mail", "450 4.7.1 Error: too much mail from 192.0.2.1", "throttled"],
      ["mail", "451 4.7.0 later", "throttled"],
      ["mail", "452 4.3.1 Insufficient system storage", "throttled"],
      ["mail", "450 4.1.8 Sender address rejected: Domain not found", "throttled"],
      ["mail", "530 5.7.0 Authentication required", "account"],
      ["mail", "550 5.7.1 not allowed", "account"],
      ["mail", "553 5.7.1 not owned by user", "account"],
      ["mail", "550 5.1.8 bad sender domain", "account"],
      ["mail", "552 5.3.4 message too big", "message"],
      ["mail", "552 too big", "message"],
      ["mail", "503 5.5.1 nested MAIL", "offline"],
      ["mail", "450 5.3.4 contradicts itself", "throttled"],
    ]));

  describe("RCPT TO", () =>
    table([
      ["rcpt", "450 4.2.0 greylisted", "deferred"],
      ["rcpt", "451 4.7.1 Greylisting in action, please come back later", "deferred"],
      ["rcpt", "451 Greylisted, try later", "deferred"],
      ["rcpt", "450 later", "deferred"],
      ["rcpt", "452 4.2.2 mailbox full", "deferred"],
      ["rcpt", "452 4.5.3 too many recipients", "throttled"],
      ["rcpt", "451 4.3.0 Temporary lookup failure", "deferred"],
      ["rcpt", "452 4.3.1 Insufficient system storage", "throttled"],
      ["rcpt", "450 4.3.2 system not accepting messages", "throttled"],
      ["rcpt", "550 5.1.1 no such user", "recipient"],
      ["rcpt", "550 Unknown user", "recipient"],
      ["rcpt", "550 5.2.1 disabled", "recipient"],
      ["rcpt", "552 5.2.2 mailbox full", "recipient"],
      ["rcpt", "551 5.1.6 user has moved", "recipient"],
      ["rcpt", "553 5.1.3 bad address", "recipient"],
      ["rcpt", "501 5.1.3 bad syntax", "recipient"],
      ["rcpt", "513 5.1.1 bad address", "recipient"],
      ["rcpt", "550 5.7.1 rejected by policy", "recipient"],
      ["rcpt", "556 5.1.10 null MX", "recipient"],
      ["rcpt", "553 5.6.7 SMTPUTF8 needed", "recipient"],
      ["rcpt", "552 5.3.4 message too big", "message"],
      ["rcpt", "554 5.7.1 <bob@example.org>: Relay access denied", "account"],
      ["rcpt", "550 5.7.1 Unable to relay", "account"],
      ["rcpt", "550 relay not permitted", "account"],
      ["rcpt", "550 5.7.1 We do not relay", "account"],
      ["rcpt", "530 5.7.0 Must authenticate", "account"],
      ["rcpt", "550 5.1.7 bad sender", "account"],
      ["rcpt", "550 5.1.8 bad sender domain", "account"],
      ["rcpt", "450 5.1.1 contradicts itself", "deferred"],
      ["rcpt", "550 4.2.0 contradicts itself", "recipient"],
      ["rcpt", "503 5.5.1 need MAIL", "offline"],
    ]));

  describe("DATA", () =>
    table([
      ["data", "451 4.3.0 not now", "throttled"],
      ["data", "554 5.5.1 Error: no valid recipients", "recipient"],
      ["data", "554 5.7.1 refused", "message"],
      ["data", "503 5.5.1 need RCPT", "offline"],
    ]));

  for (const stage of ["body", "reply"] as const)
    describe(`the reply to the body (${stage}): a definite no`, () =>
      table([
        [stage, "451 4.3.0 try again", "deferred"],
        [stage, "452 4.3.1 disk full", "deferred"],
        [stage, "452 4.2.2 over quota", "deferred"],
        [stage, "450 4.7.1 slow", "throttled"],
        [stage, "552 5.3.4 too big", "message"],
        [stage, "552 message size exceeds fixed limit", "message"],
        [stage, "554 5.2.3 message too long", "message"],
        [stage, "554 5.7.1 spam", "message"],
        [stage, "550 5.7.1 refused", "message"],
        [stage, "550 refused", "message"],
        [stage, "550 5.1.1 no such user", "recipient"],
        [stage, "552 5.2.2 mailbox full", "recipient"],
        [stage, "550 5.1.10 null MX", "recipient"],
      ]));

  it("never calls a success reply a refusal behind the body: the dialogue is out of step, and the message may be taken", () => {
    for (const stage of ["body", "reply"] as const)
      for (const reply of ["250 2.0.0 Ok", "354 go ahead", "220 hello"])
        assert.equal(classify({ stage, reply }).class, "unknown", `${stage} ${reply}`);
  });

  it("takes a success reply where none is due as a session out of step", () => {
    for (const stage of ["greeting", "ehlo", "mail", "rcpt", "data"] as const)
      assert.equal(classify({ stage, reply: "250 Ok" }).class, "offline", stage);
  });

  it("never says unknown before the body, nor resends what may have arrived (property)", () => {
    const reply = fc
      .tuple(fc.integer({ min: 0, max: 999 }), fc.string())
      .map(([code, text]) => `${String(code)} ${text}`);
    fc.assert(
      fc.property(fc.constantFrom(...stages), fc.option(reply, { nil: undefined }), (stage, words) => {
        const { class: kind } = classify({ stage, ...(words !== undefined && { reply: words }) });
        if (stage !== "body" && stage !== "reply") assert.notEqual(kind, "unknown");
        // Only a 4xx or 5xx says that a message, read to its end, was not accepted.
        if (stage === "reply" && !/^[45]\d\d[ -]/.test(words ?? "")) assert.equal(kind, "unknown");
      }),
    );
  });
});

describe("classify by the provider's words (R32, R37)", () => {
  describe("Gmail", () =>
    table([
      ["reply", "421 4.3.0 Temporary System Problem. Try again later (10). - gsmtp", "throttled"],
      ["reply", "421 4.4.5 Server busy, try again later.", "throttled"],
      ["reply", "421 4.7.0 Temporary System Problem. Try again later.", "throttled"],
      ["reply", "421 4.7.28 Gmail has detected an unusual rate of mail.", "throttled"],
      ["rcpt", "450 4.2.1 The user you are trying to contact is receiving mail too quickly.", "deferred"],
      [
        "rcpt",
        "450 4.2.1 is receiving mail at a rate that prevents additional messages from being delivered",
        "deferred",
      ],
      ["rcpt", "450 4.2.1 Peak SMTP relay limit exceeded for customer.", "throttled"],
      ["auth", "454 4.7.0 Too many login attempts, please try again later.", "throttled"],
      ["reply", "550 5.4.5 Daily user sending limit exceeded.", "quota"],
      ["rcpt", "550 5.4.5 Daily SMTP relay sending limit exceeded for user.", "quota"],
      ["mail", "550 5.7.1 Daily SMTP relay limit exceeded for customer.", "quota"],
      ["auth", "535-5.7.8 Username and Password not accepted.\n535 5.7.8 See the help page", "account"],
      ["auth", "534-5.7.9 Application-specific password required.\n534 5.7.9 Learn more", "account"],
      ["auth", "534-5.7.14 Please log in via your web browser\n534 5.7.14 and try again", "account"],
      [
        "reply",
        "550-5.7.26 This mail has been blocked because the sender is unauthenticated.\n550 5.7.26 DKIM",
        "account",
      ],
      ["reply", "421 4.7.26 This mail has been rate limited because it is unauthenticated.", "account"],
      ["reply", "421 4.7.32 Your email has been rate limited: no alignment", "account"],
    ]));

  describe("Microsoft 365 and Outlook.com", () =>
    table([
      ["auth", "432 4.3.2 Concurrent connections limit exceeded. Visit the help page", "throttled"],
      ["reply", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "throttled"],
      ["reply", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed", "quota"],
      ["reply", "550 5.1.90 Your message can't be sent because you've reached your daily limit.", "quota"],
      ["rcpt", "550 5.1.90 not now", "quota"],
      ["rcpt", "550 5.7.233 Your tenant has exceeded its external recipients", "quota"],
      [
        "auth",
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
        "account",
      ],
      ["auth", "535 5.7.3 Authentication unsuccessful", "account"],
      ["auth", "550 5.7.30 Basic authentication is not supported for Client Submission.", "account"],
      ["reply", "554 5.2.252 SendAsDenied; ada@example.com not allowed to send as", "account"],
      ["reply", "550 5.7.60 SMTP; Client does not have permissions to send as this sender", "account"],
      ["rcpt", "550 5.7.60 SMTP; Client does not have permissions to send as this sender", "account"],
      ["reply", "550 5.7.515 Access denied, sending domain example.com does not meet the level", "message"],
    ]));

  describe("Yahoo, Amazon SES, iCloud and others", () =>
    table([
      ["mail", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", "throttled"],
      ["greeting", "421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred", "account"],
      ["reply", "554 5.7.9 Message not accepted for policy reasons.", "message"],
      ["reply", "454 Throttling failure: Maximum sending rate exceeded.", "throttled"],
      ["reply", "454 Throttling failure: Daily message quota exceeded.", "quota"],
      ["reply", "554 Message rejected: Email address is not verified.", "recipient"],
      ["reply", "550 5.7.1 You have exceeded your daily sending limit.", "quota"],
      ["reply", "550 5.7.0 Sending limit reached", "quota"],
      ["reply", "452 4.0.0 hourly limit reached", "quota"],
      ["mail", "550 quota exceeded, see your plan", "quota"],
    ]));

  it("knows a full mailbox from a used-up account: it concerns one recipient only", () => {
    for (const [stage, reply, expected] of [
      ["rcpt", "552 5.2.2 Quota exceeded (mailbox for user is full)", "recipient"],
      ["rcpt", "452 4.2.2 User quota exceeded", "deferred"],
      ["rcpt", "552 Mailbox quota exceeded", "recipient"],
      ["rcpt", "550 User quota exceeded", "recipient"],
      ["rcpt", "452 Quota exceeded", "deferred"],
      ["reply", "552 5.2.2 The email account that you tried to reach is over quota", "recipient"],
      ["reply", "552 user is over quota", "recipient"],
      ["reply", "452 The recipient's inbox is out of storage space", "deferred"],
    ] as const)
      assert.equal(classify({ stage, reply }).class, expected, reply);
  });

  it("reads no meaning into the address that the server repeats", () => {
    for (const address of [
      "daily.limit@example.org",
      "hourly-quota-exceeded@example.org",
      "relay-not-permitted@example.org",
      "over-quota@mailbox-full.example.org",
      "sending-limit@example.org",
    ])
      for (const named of [`<${address}>`, address])
        assert.equal(classify({ stage: "rcpt", reply: `550 5.1.1 ${named}: unknown` }).text, refusedText, named);
  });

  it("reads no meaning into numbers in the text", () => {
    assert.equal(classify({ stage: "rcpt", reply: "550 5.1.1 unknown here, says 198.5.4.5" }).class, "recipient");
    assert.equal(classify({ stage: "reply", reply: "550 5.7.1 see error 5.7.60.1" }).class, "message");
  });
});

describe("classify without a reply (R32, R38-R40)", () => {
  it("is unknown only when the whole body was read", () => {
    for (const stage of stages)
      assert.equal(classify({ stage }).class, stage === "reply" ? "unknown" : "offline", stage);
    for (const systemCode of ["ECONNRESET", "ETIMEDOUT", "EPIPE", "ENOTFOUND", "CERT_HAS_EXPIRED"])
      assert.equal(classify({ stage: "reply", systemCode }).class, "unknown", systemCode);
  });

  it("takes a reply that is none for none", () => {
    assert.equal(classify({ stage: "reply", reply: "hello" }).class, "unknown");
    assert.equal(classify({ stage: "reply", reply: "25" }).class, "unknown");
    assert.equal(classify({ stage: "mail", reply: "" }).class, "offline");
  });

  const causes: readonly [string, OutcomeClass, RegExp][] = [
    ["ECONNREFUSED", "offline", /Nothing answers/],
    ["ENOTFOUND", "offline", /name is not known/],
    ["EAI_AGAIN", "offline", /could not be looked up/],
    ["EDNS", "offline", /could not be looked up/],
    ["ENETUNREACH", "offline", /cannot be reached/],
    ["EHOSTUNREACH", "offline", /cannot be reached/],
    ["ETIMEDOUT", "offline", /did not answer in time/],
    ["ECONNRESET", "offline", /ended before/],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "account", /not signed by an authority/],
    ["SELF_SIGNED_CERT_IN_CHAIN", "account", /not signed by an authority/],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "account", /not signed by an authority/],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "account", /another name/],
    ["CERT_HAS_EXPIRED", "account", /not valid today/],
    ["CERT_NOT_YET_VALID", "account", /not valid today/],
    ["CERT_REVOKED", "account", /cannot be accepted/],
    ["EACCES", "offline", /cannot be reached/],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "account", /does not speak TLS at once/],
    ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "account", /no TLS version that the account allows/],
    ["ERR_SSL_UNSUPPORTED_PROTOCOL", "account", /no TLS version that the account allows/],
    ["ERR_SSL_BAD_RECORD_TYPE", "account", /could not be set up/],
    ["EPROXYDOWN", "offline", /proxy does not answer/],
    ["EPROXYAUTH", "account", /proxy refused its user name or password/],
    ["EPROXYTARGET", "offline", /proxy answers but does not connect us/],
  ];
  for (const [systemCode, expected, text] of causes)
    it(`${systemCode} while connecting: ${expected}`, () => {
      const failure = classify({ stage: "connect", systemCode });
      assert.equal(failure.class, expected);
      assert.match(failure.text, text);
    });

  it("never blames certificates for a connection that breaks in the middle of a message", () => {
    for (const stage of ["mail", "rcpt", "data", "body"] as const)
      assert.equal(classify({ stage, systemCode: "ERR_SSL_DECRYPTION_FAILED" }).class, "offline");
  });
});

describe("what is kept of a reply", () => {
  it("takes the code of the last line, and the enhanced code that came with it", () => {
    assert.deepEqual(replyCodes("450-4.2.0 one\n550 5.1.1 two"), { code: 550, enhanced: "5.1.1" });
    assert.deepEqual(replyCodes("550-5.1.1 no such user\r\n550 see https://example.com/help"), {
      code: 550,
      enhanced: "5.1.1",
    });
    assert.deepEqual(replyCodes("450-4.2.0 one\n550 two"), { code: 550, enhanced: undefined });
    assert.deepEqual(replyCodes("451"), { code: 451, enhanced: undefined });
    assert.deepEqual(replyCodes("550 5.1.1.9 no code"), { code: 550, enhanced: undefined });
    assert.equal(replyCodes("no reply at all"), undefined);
    assert.equal(replyCodes("5501 x"), undefined);
  });

  it("decides by the last line of a reply whose lines differ", () => {
    assert.equal(classify({ stage: "rcpt", reply: "550-5.1.1 no\n450 4.2.0 wait" }).class, "deferred");
    assert.equal(classify({ stage: "rcpt", reply: "450-4.2.0 wait\n550 5.1.1 no" }).class, "recipient");
  });

  it("keeps the server's words plain and short, apart from our sentence", () => {
    const failure = classify({
      stage: "rcpt",
      reply: `550-5.1.1 \u001b[31mred\u001b[0m\u202e\n550 5.1.1 [click](command:evil) ${"x".repeat(1000)}`,
      refused: "bob@example.org",
    });
    assert.deepEqual([failure.code, failure.enhanced, failure.stage], [550, "5.1.1", "rcpt"]);
    assert.equal(failure.refused, "bob@example.org");
    assert.match(failure.reply ?? "", /^550-5\.1\.1 red 550 5\.1\.1 \[click\]/);
    assert.ok((failure.reply?.length ?? 999) <= 300);
    assert.ok(!/command|click|red/.test(failure.text));
  });

  it("has a cause and a next step in every sentence of its own", () => {
    const texts = [
      ...Object.values(ownFailures).map(({ text }) => text),
      ...stages.flatMap((stage) =>
        [undefined, "450 x", "550 x", "421 x"].map((reply) => classify({ stage, ...(reply && { reply }) }).text),
      ),
    ];
    for (const text of texts) assert.match(text, /^\p{Lu}.*\.$/u);
  });
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { classify } from "../../src/mail/classify";
import { retryAfter } from "../../src/mail/retryAfter";

const now = Date.parse("2026-11-24T09:00:00Z");
const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];
const wait = (reply: string): number | undefined => classify({ stage: "rcpt", reply, now }).retryAfterMs;

describe("how long a server asks to wait (R30, R43)", () => {
  const named: readonly (readonly [reply: string, expected: number])[] = [
    ["450 4.7.1 retry after 300 seconds", 300 * second],
    ["450 4.7.1 Try again in 5 minutes", 5 * minute],
    ["451 4.7.1 Greylisted for 60 seconds", minute],
    ["451 4.7.1 Greylisting in action, please come back in 00:04:56", 4 * minute + 56 * second],
    ["450 4.2.0 Recipient address rejected: Greylisted, please retry in 4 mins", 4 * minute],
    ["451 4.7.1 Please try again in 1 hour", hour],
    ["451 try again in an hour", hour],
    ["421 4.7.0 try again in one minute", minute],
    ["450 retry in 1 hour and 30 minutes", 90 * minute],
    ["450 retry in 2 minutes, 30 seconds", 150 * second],
    ["450 wait 90s", 90 * second],
    ["421 Retry-After: 120", 120 * second],
    ["421 Retry after 2026-11-24T10:00:00Z", hour],
    ["421 User-rate limit exceeded.  Retry after 2026-11-24T09:05:00.123Z (Mail sending)", 5 * minute + 123],
    ["421 not before 2026-11-24T12:00:00+01:00", 2 * hour],
    ["450-4.7.1 You are greylisted. Please try again in\r\n450 4.7.1 5 minutes", 5 * minute],
    ["550 5.4.5 Daily sending limit exceeded, try again in 24 hours", day],
    ["421 temporarily blocked for 10 minutes", 10 * minute],
  ];
  for (const [reply, expected] of named)
    it(`R30 ${reply.replaceAll("\r\n", " / ")} → ${String(expected)} ms`, () => assert.equal(wait(reply), expected));

  it("is at least a second and at most 24 hours", () => {
    assert.equal(wait("421 retry after 2026-11-24T09:00:00.005Z"), second);
    assert.equal(wait("450 try again in 3 days"), day);
    assert.equal(wait("421 Retry after 2026-11-27T09:00:00Z"), day);
  });

  for (const reply of [
    "450 try again later",
    "451 4.7.1 Greylisted, see http://postgrey.schweikert.ch/help/example.org.html",
    "450 retry in 0 seconds",
    "450 retry in 999999 hours",
    "450 retry in 99999999999999999999 seconds",
    "450 retry in -5 minutes",
    "421 Retry after 2026-11-24T08:59:59Z",
    "421 Retry after 2099-01-01T00:00:00Z",
    "421 Retry after 2026-99-99T99:99:99Z",
    "421 too many mails: 100 in 1 hour",
    "421 try again later, the limit is 100 per 1 hour",
    "421 deferred: too many connections within 60 seconds",
    "451 4.7.1 Greylisted <try-again-in-5-minutes@example.org>",
    "451 4.3.0 from 192.0.2.5",
    "450 retry in 1.5e9 seconds",
    "450 try again in NaN minutes",
  ])
    it(`R30 no wait is read into: ${reply}`, () => assert.equal(wait(reply), undefined));

  it("is not said of a refusal for good, where no wait helps", () => {
    assert.equal(wait("550 5.1.1 no such user, try again in 5 minutes"), undefined);
    assert.equal(classify({ stage: "auth", reply: "535 5.7.8 locked for 5 minutes" }).retryAfterMs, undefined);
  });

  it("needs the clock for a moment, and reads no moment without", () => {
    assert.equal(retryAfter("Retry after 2026-11-24T10:00:00Z", undefined), undefined);
    assert.equal(retryAfter("Retry after 2026-11-24T10:00:00Z", now), hour);
  });

  it("is a whole number within its bounds for whatever a server says (property)", () => {
    const piece = fc.constantFrom(
      "retry ",
      "in ",
      "after ",
      "5",
      "99999",
      " minutes",
      " h",
      ":",
      "00:01:02",
      ".",
      "\n",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 12 }).map((all) => all.join("")),
        ),
        (text) => {
          const found = wait(`450 ${text}`);
          if (found !== undefined) assert.ok(Number.isInteger(found) && found >= second && found <= day, String(found));
        },
      ),
    );
  });
});

describe("a reply of any length (R32)", () => {
  /** One megabyte of `unit`. */
  const megabyte = (unit: string): string => unit.repeat(Math.ceil(1_000_000 / unit.length));
  // Whatever a rule could start to match again and again. Quadratic work on any of these would not end within the time of a test.
  const hostile: readonly string[] = [
    ...["a", "@", "<", "a@", " ", "-", "9", "\u001b[", "\u001b]", "\u001b[0", "\r\n", "450-4.2.0 x\r\n", "mailbox "],
    ...[
      "over ",
      "exceed",
      "daily ",
      "limit ",
      "retry ",
      "retry in ",
      "again 1",
      "wait 1:",
      "retry after: ",
      "🦄",
      "\0",
    ],
    ...["2026-11-24T", "at 2026-", "too many ", "concurrent ", "\u202e", "<a", "a@b, "],
  ];
  for (const unit of hostile)
    it(`is judged at once: 1 MB of ${JSON.stringify(unit)}`, () => {
      const failure = classify({
        stage: "reply",
        reply: `450 4.2.0 ${megabyte(unit)}`,
        sender: "ada@example.com",
        now,
      });
      assert.notEqual(failure.class, "unknown");
      assert.equal(failure.code, 450);
      assert.ok(Array.from(failure.reply ?? "").length <= 300);
    });

  it("is judged by its last line, however far that is", () => {
    const lines = megabyte("450-4.2.0 please wait\r\n");
    assert.equal(classify({ stage: "rcpt", reply: `${lines}550 5.1.1 no such user` }).class, "recipient");
    assert.equal(classify({ stage: "rcpt", reply: `${lines}550 5.1.1 no such user\r\n` }).class, "recipient");
    const long = `${lines}550 5.1.1 ${megabyte("x")}`;
    assert.deepEqual([classify({ stage: "rcpt", reply: long }).code, long.length > 2e6], [550, true]);
  });
});

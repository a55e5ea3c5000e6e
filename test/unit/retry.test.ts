import assert from "node:assert/strict";
import fc from "fast-check";
import type { Failure, OutcomeClass, Stage } from "../../src/mail/classify";
import { decide, type Decision } from "../../src/mail/retry";
import { unlimited, type Pace } from "../../src/mail/pace";

const pace: Pace = {
  delay: 1000,
  connections: 1,
  maxAttempts: 5,
  retryInitialDelay: 5_000,
  retryMaxDelay: 300_000,
  ...unlimited,
  pauseAfterFailures: 5,
};
const hour = 3_600_000;
const [lowest, highest] = [(): number => 0, (): number => 0.999_999_999];

function failure(kind: OutcomeClass, stage: Stage = "rcpt"): Failure {
  return { class: kind, stage, text: "It failed." };
}

function delayOf(decision: Decision): number {
  assert.ok("delayMs" in decision, `${decision.kind} has no delay`);
  return decision.delayMs;
}

/** The smallest and the largest delay, rounded. */
function bounds(kind: OutcomeClass, attempts: { recipient?: number; inARow?: number }, stage?: Stage): number[] {
  return [lowest, highest].map((random) =>
    Math.round(delayOf(decide(failure(kind, stage), { recipient: 1, inARow: 1, ...attempts }, pace, random))),
  );
}

describe("retry (R29, R30, R31)", () => {
  const final: readonly [OutcomeClass, Decision["kind"]][] = [
    ["recipient", "fail"],
    ["message", "fail"],
    ["unknown", "unknown"],
    ["account", "stop"],
  ];
  for (const [kind, expected] of final)
    it(`${kind}: ${expected}, whatever came before`, () => {
      for (const recipient of [1, 5, 9])
        assert.deepEqual(decide(failure(kind), { recipient, inARow: 0 }, pace, lowest), { kind: expected });
    });

  it("repeats the first lost connection at once, whatever the dice say", () => {
    for (const random of [lowest, highest])
      assert.deepEqual(decide(failure("offline"), { recipient: 1, inARow: 1 }, pace, random), {
        kind: "hold",
        delayMs: 0,
        why: "server",
      });
  });

  it("doubles the wait for a lost connection, with full jitter", () => {
    assert.deepEqual(
      [2, 3, 4].map((inARow) => bounds("offline", { inARow })),
      [
        [0, 5_000],
        [0, 10_000],
        [0, 20_000],
      ],
    );
  });

  it("caps the wait for a lost connection", () => {
    const patient = { ...pace, maxAttempts: 100 };
    for (const inARow of [20, 60, 99])
      assert.equal(
        Math.round(delayOf(decide(failure("offline"), { recipient: 1, inARow }, patient, highest))),
        pace.retryMaxDelay,
      );
  });

  it("stops when the connection fails again and again", () => {
    assert.deepEqual(decide(failure("offline"), { recipient: 1, inARow: 5 }, pace, lowest), { kind: "stop" });
  });

  it("fails a recipient whose message breaks every connection, while the others get through", () => {
    for (const stage of ["mail", "rcpt", "data", "body"] as const)
      assert.deepEqual(decide(failure("offline", stage), { recipient: 5, inARow: 1 }, pace, lowest), { kind: "fail" });
  });

  it("fails nobody in an outage, however often each was tried", () => {
    for (const inARow of [2, 3, 4])
      assert.equal(decide(failure("offline", "mail"), { recipient: 99, inARow }, pace, lowest).kind, "hold");
  });

  it("charges no recipient with a server that cannot be reached", () => {
    for (const stage of ["connect", "greeting", "ehlo", "starttls", "auth"] as const)
      assert.equal(decide(failure("offline", stage), { recipient: 99, inARow: 1 }, pace, lowest).kind, "hold");
  });

  it("makes the account wait when the server asks to slow down: at least half, at most all of a doubling wait", () => {
    assert.deepEqual(
      [1, 2, 3, 4].map((inARow) => bounds("throttled", { inARow })),
      [
        [15_000, 30_000],
        [30_000, 60_000],
        [60_000, 120_000],
        [120_000, 240_000],
      ],
    );
  });

  it("caps the account's wait at half an hour by default", () => {
    const patient = { ...pace, maxAttempts: 100 };
    assert.equal(
      Math.round(delayOf(decide(failure("throttled"), { recipient: 1, inARow: 50 }, patient, highest))),
      1_800_000,
    );
  });

  it("does not knock again for five minutes where the sign-in was put off: providers lock accounts for that", () => {
    assert.deepEqual(bounds("throttled", { inARow: 1 }, "auth"), [300_000, 300_000]);
  });

  it("stops when slowing down does not help, and never blames the recipient", () => {
    assert.deepEqual(decide(failure("throttled"), { recipient: 1, inARow: 5 }, pace, lowest), { kind: "stop" });
    assert.equal(decide(failure("throttled"), { recipient: 99, inARow: 1 }, pace, lowest).kind, "hold");
  });

  it("lets a deferred recipient wait five minutes or more, growing, while the others go on", () => {
    assert.deepEqual(
      [1, 2, 3, 4].map((recipient) => bounds("deferred", { recipient })),
      [
        [300_000, 300_000],
        [300_000, 600_000],
        [300_000, 1_200_000],
        [300_000, 2_400_000],
      ],
    );
    assert.equal(decide(failure("deferred"), { recipient: 1, inARow: 0 }, pace, lowest).kind, "later");
  });

  it("fails a deferred recipient after so many attempts", () => {
    assert.deepEqual(decide(failure("deferred"), { recipient: 5, inARow: 0 }, pace, lowest), { kind: "fail" });
  });

  it("never waits less than the first delay for a deferred recipient, nor more than the cap (property)", () => {
    fc.assert(
      fc.property(
        fc.record({
          initial: fc.integer({ min: 0, max: 100_000 }),
          max: fc.integer({ min: 0, max: 1_000_000 }),
          recipient: fc.integer({ min: 1, max: 60 }),
          random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        }),
        ({ initial, max, recipient, random }) => {
          const settings = { ...pace, retryInitialDelay: initial, retryMaxDelay: max, maxAttempts: 100 };
          const delay = delayOf(decide(failure("deferred"), { recipient, inARow: 0 }, settings, () => random));
          assert.ok(delay >= initial * 60, `${String(delay)} is below the first delay`);
          assert.ok(delay <= Math.max(initial * 60, max * 48), `${String(delay)} is above the cap`);
        },
      ),
    );
  });

  it("waits for an allowance that is used up, an hour at first and then twice as long, up to a day; it ends no run", () => {
    const waits = [0, 1, 2, 3, 4, 5, 6, 50].map((inARow) =>
      decide(failure("quota"), { recipient: 99, inARow }, pace, highest),
    );
    assert.deepEqual(
      waits,
      [1, 1, 2, 4, 8, 16, 24, 24].map((hours) => ({ kind: "hold", delayMs: hours * hour, why: "quota" })),
    );
  });

  it("waits as long as the server said, a day at most before it looks again", () => {
    const asked = (kind: OutcomeClass, retryAfterMs: number): Decision =>
      decide({ ...failure(kind), retryAfterMs }, { recipient: 1, inARow: 1 }, pace, lowest);
    assert.deepEqual(asked("quota", 90_000), { kind: "hold", delayMs: 90_000, why: "quota" });
    assert.deepEqual(asked("throttled", 3 * hour), { kind: "hold", delayMs: 3 * hour, why: "server" });
    assert.deepEqual(asked("throttled", 1_000), { kind: "hold", delayMs: 15_000, why: "server" });
    assert.deepEqual(asked("deferred", 3 * hour), { kind: "later", delayMs: 3 * hour });
    assert.deepEqual(asked("deferred", 1_000), { kind: "later", delayMs: 300_000 });
    for (const kind of ["quota", "throttled", "deferred"] as const)
      assert.equal(delayOf(asked(kind, 90 * hour)), 24 * hour);
  });

  const anyFailure = fc.record({
    kind: fc.constantFrom<OutcomeClass>(
      "recipient",
      "deferred",
      "throttled",
      "quota",
      "account",
      "message",
      "offline",
      "unknown",
    ),
    stage: fc.constantFrom<Stage>("connect", "auth", "mail", "rcpt", "data", "body", "reply"),
    retryAfterMs: fc.option(fc.integer({ min: -1_000, max: 100 * hour }), { nil: undefined }),
  });
  const anySettings = fc.record({
    maxAttempts: fc.integer({ min: 1, max: 20 }),
    retryInitialDelay: fc.integer({ min: 0, max: 24 * hour }),
    retryMaxDelay: fc.integer({ min: 0, max: 24 * hour }),
  });
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  function failed({
    kind,
    stage,
    retryAfterMs,
  }: {
    kind: OutcomeClass;
    stage: Stage;
    retryAfterMs: number | undefined;
  }) {
    return { ...failure(kind, stage), ...(retryAfterMs !== undefined && { retryAfterMs }) };
  }

  it("waits within the caps, and no shorter than the server said (property)", () => {
    fc.assert(
      fc.property(
        anyFailure,
        anySettings,
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 0, max: 60 }),
        chance,
        (about, settings, recipient, inARow, random) => {
          const decision = decide(failed(about), { recipient, inARow }, { ...pace, ...settings }, () => random);
          if (!("delayMs" in decision)) return;
          const { retryInitialDelay: initial, retryMaxDelay: max } = settings;
          const asked = Math.max(0, Math.min(about.retryAfterMs ?? 0, 24 * hour));
          const caps = {
            offline: max,
            throttled: Math.max(asked, max * 6, about.stage === "auth" ? initial * 60 : 0),
            deferred: Math.max(asked, initial * 60, max * 48),
            quota: 24 * hour,
          };
          const { kind } = about;
          assert.ok(kind === "offline" || kind === "throttled" || kind === "deferred" || kind === "quota", kind);
          assert.ok(decision.delayMs <= caps[kind], "above the cap");
          assert.ok(decision.delayMs >= (kind === "offline" ? 0 : asked), "shorter than asked");
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("tries nobody without end, and never less than once: attempts and failures in a row are bounded (property)", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<OutcomeClass>("deferred", "throttled", "offline"),
        fc.constantFrom<Stage>("connect", "mail", "rcpt", "body"),
        anySettings,
        chance,
        (kind, stage, settings, random) => {
          let tries = 0;
          for (let decision: Decision = { kind: "later", delayMs: 0 }; "delayMs" in decision;) {
            tries++;
            // A deferred recipient is charged with every attempt, the account with every failure in a row.
            const attempts = { recipient: kind === "deferred" ? tries : 1, inARow: kind === "deferred" ? 0 : tries };
            decision = decide(failure(kind, stage), attempts, { ...pace, ...settings }, () => random);
            assert.ok(tries <= settings.maxAttempts, `${kind} goes on after ${tries}`);
          }
          assert.equal(tries, settings.maxAttempts);
        },
      ),
    );
  });

  it("spreads the waits by its dice alone: monotonic in them, over half of the range or all of it (property)", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<OutcomeClass>("offline", "throttled", "deferred"),
        anySettings,
        fc.integer({ min: 2, max: 30 }),
        chance,
        chance,
        (kind, settings, inARow, a, b) => {
          const patient = { ...pace, ...settings, maxAttempts: 100 };
          const wait = (random: number): number =>
            delayOf(decide(failure(kind), { recipient: inARow, inARow }, patient, () => random));
          assert.ok(a <= b ? wait(a) <= wait(b) : wait(a) >= wait(b));
          const [least, most] = [wait(0), wait(1)];
          if (kind === "offline") assert.equal(least, 0);
          if (kind === "throttled") assert.equal(least, most / 2);
          if (kind === "deferred") assert.equal(least, settings.retryInitialDelay * 60);
        },
      ),
    );
  });
});

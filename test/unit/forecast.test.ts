import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import fc from "fast-check";
import { forecast, forecastText, type Forecast } from "../../src/mail/forecast";
import { unlimited, type Pace, type Weekday } from "../../src/mail/pace";
import { noUsage, QuotaLedger, type Usage } from "../../src/mail/quota";
import { windowWaitMs } from "../../src/mail/sendingWindow";
import { Throttle } from "../../src/mail/throttle";
import { LeapingClock } from "../fakes/fakeClock";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** A Monday. */
const now = Date.UTC(2026, 0, 5, 9);

function paceWith(changes: Partial<Pace>): Pace {
  return {
    delay: 1000,
    connections: 1,
    maxAttempts: 5,
    retryInitialDelay: 5_000,
    retryMaxDelay: 300_000,
    pauseAfterFailures: 5,
    ...unlimited,
    ...changes,
  };
}

function of(changes: Partial<Pace>, messages: number, recipientsEach = 1, usage: Usage = noUsage): Forecast {
  return forecast({ pace: paceWith(changes), usage, messages, recipientsEach, now });
}

/** What was used so long ago, to so many. */
function used(...entries: readonly (readonly [ago: number, recipients: number])[]): Usage {
  return {
    at: Float64Array.from(entries, ([ago]) => now - ago),
    recipients: Float64Array.from(entries, ([, recipients]) => recipients),
  };
}

describe("forecast (R23, R26)", () => {
  it("counts the delays between the messages", () => {
    assert.deepEqual(of({}, 721), { today: 721, end: now + 12 * minute, spread: false });
    assert.deepEqual(of({ delay: 0 }, 1_000), { today: 1_000, end: now, spread: false });
    assert.deepEqual(of({}, 0), { today: 0, end: now, spread: false });
  });

  it("counts batches and the limits a minute and an hour", () => {
    assert.equal(of({ batchSize: 10, batchPause: minute }, 21).end, now + 2 * (9_000 + minute));
    assert.equal(of({ batchSize: 1, batchPause: minute }, 3).end, now + 2 * minute);
    assert.equal(of({ perMinute: 10 }, 21).end, now + 2 * minute);
    assert.equal(of({ perHour: 100 }, 100).end, now + 99_000);
    assert.equal(of({ perHour: 100, perMinute: 10 }, 101).end, now + hour);
  });

  it("spreads what the day's allowance does not hold, each row with all its recipients", () => {
    assert.deepEqual(of({ perDay: 500 }, 600), { today: 500, end: now + day + 99_000, spread: true });
    assert.deepEqual(of({ perDay: 500 }, 600, 5), { today: 100, end: now + 5 * day + 99_000, spread: true });
    assert.deepEqual(of({ perDay: 2 }, 1, 3), { today: 0, end: Infinity, spread: true });
  });

  it("counts what the mailbox has used, and when it is free again", () => {
    const usage = used([day - 2 * hour, 400], [hour, 22]);
    assert.deepEqual(of({ perDay: 500 }, 78, 1, usage), { today: 78, end: now + 77_000, spread: false });
    assert.deepEqual(of({ perDay: 500 }, 79, 1, usage), { today: 78, end: now + 2 * hour, spread: true });
    assert.equal(of({ perMinute: 1, delay: 0 }, 1, 1, used([20_000, 1])).end, now + 40_000);
    assert.deepEqual(of({ perDay: 400 }, 10, 1, used([day - 2 * hour, 400])), {
      today: 10,
      end: now + 2 * hour + 9_000,
      spread: false,
    });
  });

  it("keeps to the hours, over the weekend too", () => {
    const window = {
      days: ["mon", "tue", "wed", "thu", "fri"] as readonly Weekday[],
      from: "09:00",
      to: "10:00",
      zone: "UTC",
    };
    assert.deepEqual(of({ window }, 3_600), { today: 3_600, end: now + hour - 1_000, spread: false });
    assert.deepEqual(of({ window }, 3_601), { today: 3_600, end: now + day, spread: true });
    assert.equal(of({ window }, 5 * 3_600 + 1).end, now + 7 * day);
    assert.deepEqual(of({ window: { ...window, days: [] } }, 1), { today: 0, end: Infinity, spread: true });
    const sunday = of({ window: { ...window, days: ["sun"] } }, 5);
    assert.deepEqual(sunday, { today: 0, end: now + 6 * day + 4_000, spread: true });
  });

  it("says the end of a list of years", () => {
    assert.deepEqual(of({ perDay: 100 }, 1_000_000), { today: 100, end: now + 9_999 * day + 99_000, spread: true });
  });

  it("steps over bursts, not messages: a million are as many steps as their pauses", () => {
    // Counted, not timed: what a forecast asks of the pace's window is asked once a burst.
    let asked = 0;
    const window = {
      get days(): readonly Weekday[] {
        asked++;
        return ["mon", "tue", "wed", "thu", "fri"];
      },
      from: "09:00",
      to: "17:00",
      zone: "Europe/Berlin",
    };
    const { end } = of({ window, perDay: 20_000, perHour: 5_000 }, 1_000_000);
    assert.ok(end > now + 60 * day && end < now + 80 * day, String((end - now) / day));
    assert.ok(asked > 0 && asked < 2_000, `asked ${asked} times`);
  });

  it("is what a walk message by message says, within a hundredth, over weeks and changes of clocks (property)", function () {
    this.timeout(60_000);
    const walk = (pace: Pace, messages: number): number => {
      const times: number[] = [];
      for (let i = 0; i < messages; i++) {
        const isBatch = pace.batchSize > 0 && i % pace.batchSize === 0;
        let at = i === 0 ? now : times[i - 1]! + Math.max(pace.delay, isBatch ? pace.batchPause : 0);
        for (const [limit, window] of [
          [pace.perMinute, minute],
          [pace.perHour, hour],
          [pace.perDay, day],
        ] as const)
          if (limit > 0 && i >= limit) at = Math.max(at, times[i - limit]! + window);
        times.push(at + windowWaitMs(pace.window, at));
      }
      return times.at(-1)!;
    };
    const limit = (min: number, max: number): fc.Arbitrary<number> =>
      fc.oneof(fc.constant(0), fc.integer({ min, max }));
    fc.assert(
      fc.property(
        fc.record({
          delay: fc.constantFrom(1_000, 20_000, 10 * minute),
          perMinute: limit(1, 5),
          perHour: limit(10, 60),
          perDay: fc.integer({ min: 20, max: 300 }),
          batchSize: limit(1, 9),
          batchPause: fc.integer({ min: 0, max: 20 * minute }),
          window: fc.constantFrom<Pace["window"]>(
            undefined,
            { days: ["mon", "wed", "fri"], from: "08:00", to: "18:00", zone: "Europe/Berlin" },
            { days: ["tue", "sat", "sun"], from: "22:00", to: "03:00", zone: "Europe/Berlin" },
          ),
        }),
        fc.integer({ min: 1, max: 6_000 }),
        (changes, messages) => {
          const walked = walk(paceWith(changes), messages);
          const { end } = of(changes, messages);
          // Where a day's hours end, one message more or less is a day or a weekend.
          const most = Math.max(2_000, (walked - now) / 100) + (end - now > 14 * day ? 3 * day : 0);
          assert.ok(Math.abs(end - walked) <= most, `off by ${(end - walked) / hour} h of ${(walked - now) / hour} h`);
        },
      ),
    );
  });

  it("is what a run does: the same end within a tenth of a second, whatever the pace, hours and use (property)", async function () {
    this.timeout(60_000);
    const directory = await mkdtemp(path.join(tmpdir(), "forecast-"));
    let runs = 0;
    try {
      const limit = (max: number): fc.Arbitrary<number> => fc.oneof(fc.constant(0), fc.integer({ min: 1, max }));
      const days: readonly Weekday[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
      await fc.assert(
        fc.asyncProperty(
          fc.record({
            delay: fc.constantFrom(0, 300, 1_000, 7_000, 90_000),
            perMinute: limit(12),
            perHour: limit(40),
            perDay: fc.oneof(fc.constant(0), fc.integer({ min: 20, max: 90 })),
            batchSize: limit(9),
            batchPause: fc.integer({ min: 0, max: 10 * minute }),
            window: fc.option(
              fc.record({
                days: fc.subarray([...days], { minLength: 5 }),
                from: fc.constantFrom("00:00", "09:00", "09:20", "22:00"),
                to: fc.constantFrom("00:00", "09:30", "17:00", "06:00"),
                zone: fc.constantFrom("UTC", "America/St_Johns"),
              }),
              { nil: undefined },
            ),
          }),
          fc.integer({ min: 1, max: 3 }),
          fc.integer({ min: 1, max: 100 }),
          fc.array(fc.record({ after: fc.integer({ min: 0, max: 2 * hour }), n: fc.integer({ min: 1, max: 4 }) }), {
            maxLength: 12,
          }),
          async (changes, recipientsEach, messages, before) => {
            const clock = new LeapingClock(now);
            const pace = paceWith(changes);
            const ledger = await QuotaLedger.open(path.join(directory, String(++runs)), clock);
            try {
              for (const { after, n } of before) {
                ledger.take(n).commit();
                clock.advance(after);
              }
              const start = clock.now();
              const said = forecast({ pace, usage: ledger.usage, messages, recipientsEach, now: start });
              const throttle = new Throttle(clock, pace, ledger);
              for (let i = 0; i < messages; i++) {
                const turn = await throttle.turn(recipientsEach, new AbortController().signal);
                assert.ok(turn.kind === "go");
                turn.reservation?.commit();
              }
              const off = said.end - clock.now();
              assert.ok(Math.abs(off) <= 100, `off by ${off / 1000} s of ${(clock.now() - start) / 1000} s`);
            } finally {
              await ledger.close();
            }
          },
        ),
        { numRuns: 60 },
      );
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("says it in a few words", () => {
    const morning = new Date(2026, 0, 7, 9, 30).getTime();
    const text = (today: number, end: number, messages: number): string =>
      forecastText({ today, end, spread: today < messages }, messages, morning);
    assert.equal(text(720, morning + 12 * minute, 720), "fits today, about 12 min");
    assert.equal(text(1, morning + 20_000, 1), "fits today, less than a minute");
    assert.equal(text(9, morning + 2 * hour, 9), "fits today, about 2 h");
    assert.equal(text(9, morning + 2 * hour + 5 * minute, 9), "fits today, about 2 h 5 min");
    assert.equal(text(9, morning + 20 * hour, 9), "done Thu 05:30, about 20 h");
    assert.equal(text(478, new Date(2026, 0, 8, 10, 40).getTime(), 600), "478 today, the rest until Thu 10:40");
    assert.equal(text(0, new Date(2026, 0, 8, 10, 40).getTime(), 600), "none today, all until Thu 10:40");
    assert.equal(text(0, Infinity, 600), "never fits the day's allowance or the sending hours");
    assert.equal(text(0, morning, 0), "nothing to send");
  });
});

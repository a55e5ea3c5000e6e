import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setImmediate as macrotask } from "node:timers/promises";
import fc from "fast-check";
import { unlimited, type Pace, type Weekday } from "../../src/mail/pace";
import { QuotaLedger } from "../../src/mail/quota";
import { windowWaitMs } from "../../src/mail/sendingWindow";
import { Throttle, type Turn } from "../../src/mail/throttle";
import type { Waiting } from "../../src/mail/waiting";
import { FakeClock } from "../fakes/fakeClock";

const minute = 60_000;
const hour = 60 * minute;

function paceWith(changes: Partial<Pace>): Pace {
  return {
    delay: 0,
    connections: 1,
    maxAttempts: 5,
    retryInitialDelay: 5_000,
    retryMaxDelay: 300_000,
    pauseAfterFailures: 5,
    ...unlimited,
    ...changes,
  };
}

/** Turns the hands from sleeper to sleeper, until `done` or nobody sleeps. */
async function run(clock: FakeClock, done: () => boolean): Promise<void> {
  for (;;) {
    await macrotask();
    const next = clock.nextWakeMs;
    if (done() || next === undefined) return;
    clock.advance(next);
  }
}

/** The end of one wish, with the hands turned as far as it takes. */
async function answer(clock: FakeClock, turn: Promise<Turn>): Promise<Turn> {
  let isThere = false;
  void turn.then(() => (isThere = true));
  await run(clock, () => isThere);
  return turn;
}

/** `takers` take `each` turns; who got them and when. */
async function turns(
  clock: FakeClock,
  throttle: Throttle,
  takers: number,
  each: number,
): Promise<readonly { readonly taker: number; readonly at: number }[]> {
  const got: { taker: number; at: number }[] = [];
  const all = Promise.all(
    Array.from({ length: takers }, async (_, taker) => {
      for (let i = 0; i < each; i++) {
        const turn = await throttle.turn(1, new AbortController().signal);
        assert.ok(turn.kind === "go");
        turn.reservation?.commit();
        got.push({ taker, at: clock.monotonic() });
      }
    }),
  );
  await run(clock, () => got.length === takers * each);
  await all;
  return got;
}

async function times(clock: FakeClock, throttle: Throttle, takers: number, each: number): Promise<readonly number[]> {
  return (await turns(clock, throttle, takers, each)).map(({ at }) => at);
}

const never = new AbortController().signal;

describe("throttle: delay (R21, R27)", () => {
  it("gives the first turn at once and keeps the delay between the others", async () => {
    const clock = new FakeClock();
    assert.deepEqual(
      await times(clock, new Throttle(clock, paceWith({ delay: 1000 }), undefined), 1, 4),
      [0, 1000, 2000, 3000],
    );
  });

  it("keeps the pace over many takers that sleep until the same moment, and serves them in order", async () => {
    const clock = new FakeClock();
    const got = await turns(clock, new Throttle(clock, paceWith({ delay: 500 }), undefined), 5, 1);
    assert.deepEqual(got, [
      { taker: 0, at: 0 },
      { taker: 1, at: 500 },
      { taker: 2, at: 1000 },
      { taker: 3, at: 1500 },
      { taker: 4, at: 2000 },
    ]);
  });

  it("does not catch up on what was not used: two messages never leave together after a slow one", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({ delay: 1000 }), undefined);
    await throttle.turn(1, never);
    clock.advance(30_000);
    assert.deepEqual(await times(clock, throttle, 2, 2), [30_000, 31_000, 32_000, 33_000]);
  });

  it("does not limit without a delay", async () => {
    const clock = new FakeClock();
    assert.ok((await times(clock, new Throttle(clock, paceWith({}), undefined), 3, 50)).every((at) => at === 0));
  });

  it("lets a sleeper go at once when it is aborted, and gives its turn to the next in the line", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({ delay: 1000 }), undefined);
    await throttle.turn(1, never);
    const abort = new AbortController();
    const [first, second] = [throttle.turn(1, abort.signal), throttle.turn(1, abort.signal)];
    const third = throttle.turn(1, never);
    abort.abort();
    assert.deepEqual([await first, await second], [{ kind: "aborted" }, { kind: "aborted" }]);
    assert.equal(clock.monotonic(), 0);
    assert.equal((await answer(clock, third)).kind, "go");
    assert.equal(clock.monotonic(), 1000);
    assert.deepEqual(await throttle.turn(1, abort.signal), { kind: "aborted" });
  });

  it("keeps the order when one in the middle of the line gives up", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({ delay: 1000 }), undefined);
    await throttle.turn(1, never);
    const abort = new AbortController();
    const order: string[] = [];
    const note = (name: string) => (turn: Turn) => void order.push(`${name} ${turn.kind} ${clock.monotonic()}`);
    const all = [
      throttle.turn(1, never).then(note("a")),
      throttle.turn(1, abort.signal).then(note("b")),
      throttle.turn(1, never).then(note("c")),
    ];
    abort.abort();
    await run(clock, () => order.length === 3);
    await Promise.all(all);
    assert.deepEqual(order, ["b aborted 0", "a go 1000", "c go 2000"]);
  });
});

describe("throttle: holds and growth (R24, R30, R32)", () => {
  it("gives nobody a turn while the account is held, also those who sleep already", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({ delay: 100 }), undefined);
    await throttle.turn(1, never);
    const got = times(clock, throttle, 2, 1);
    throttle.hold(60_000, "server");
    assert.deepEqual(await got, [60_000, 60_100]);
  });

  it("is not held shorter by a second, smaller hold, nor by one of another kind", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({ delay: 100 }), undefined);
    throttle.hold(60_000, "server");
    throttle.hold(10, "server");
    throttle.hold(5_000, "quota");
    assert.deepEqual(await times(clock, throttle, 1, 1), [60_000]);
  });

  it("goes on holding through a sleep of the machine no longer than was asked", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({}), undefined);
    throttle.hold(8 * hour, "quota");
    const turn = throttle.turn(1, never);
    await macrotask();
    clock.suspend(9 * hour);
    assert.equal((await answer(clock, turn)).kind, "go");
    assert.ok(clock.monotonic() <= minute, "looks again within a minute of being awake");
  });

  it("doubles the delay when the server asks for patience, once a moment, and shrinks it after ten accepted messages", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({ delay: 1000 }), undefined);
    const gap = async (): Promise<number> => {
      const from = clock.monotonic();
      await answer(clock, throttle.turn(1, never));
      return clock.monotonic() - from;
    };
    await gap();
    throttle.slowDown();
    // The other connections of the same moment.
    throttle.slowDown();
    assert.equal(await gap(), 2000);
    throttle.slowDown();
    assert.equal(await gap(), 4000);
    for (let i = 0; i < 9; i++) throttle.accepted();
    assert.equal(await gap(), 4000);
    throttle.accepted();
    assert.equal(await gap(), 3000);
    for (let i = 0; i < 40; i++) throttle.accepted();
    assert.equal(await gap(), 1000);
  });

  it("grows and recovers within bounds, whatever the server says (property)", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 120_000 }),
        fc.array(fc.boolean(), { maxLength: 60 }),
        async (delay, words) => {
          const clock = new FakeClock();
          const throttle = new Throttle(clock, paceWith({ delay }), undefined);
          const base = Math.max(delay, 1000);
          const most = Math.max(2 * base, Math.min(16 * base, 60_000));
          const gap = async (): Promise<number> => {
            const from = clock.monotonic();
            await answer(clock, throttle.turn(1, never));
            return clock.monotonic() - from;
          };
          await gap();
          for (const isRefused of words) {
            if (isRefused) throttle.slowDown();
            else throttle.accepted();
            const got = await gap();
            assert.ok(got >= delay && got <= most, `${got} is not within ${delay} and ${most}`);
          }
          for (let i = 0; i < 200; i++) throttle.accepted();
          assert.equal(await gap(), delay);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("throttle: batches, hours and limits (R23, R25, R26)", () => {
  let directory: string;
  const ledgers: QuotaLedger[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "throttle-"));
  });

  afterEach(async () => {
    await Promise.all(ledgers.splice(0).map((ledger) => ledger.close()));
    await rm(directory, { recursive: true });
  });

  async function ledgerOf(clock: FakeClock, name = "mailbox"): Promise<QuotaLedger> {
    const ledger = await QuotaLedger.open(path.join(directory, name), clock);
    ledgers.push(ledger);
    return ledger;
  }

  it("pauses after every batch", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({ delay: 10, batchSize: 3, batchPause: 1000 }), undefined);
    assert.deepEqual(await times(clock, throttle, 2, 4), [0, 10, 20, 1020, 1030, 1040, 2040, 2050]);
  });

  it("waits for the hours, and says so", async () => {
    const clock = new FakeClock(Date.UTC(2026, 0, 5, 8, 30));
    const window = { days: ["mon"], from: "09:00", to: "17:00", zone: "UTC" } as const;
    const throttle = new Throttle(clock, paceWith({ window }), undefined);
    const told: Waiting[] = [];
    const turn = throttle.turn(1, never, undefined, (waiting) => told.push(waiting));
    await macrotask();
    assert.deepEqual(throttle.waiting, { why: "window", until: Date.UTC(2026, 0, 5, 9) });
    assert.equal((await answer(clock, turn)).kind, "go");
    assert.equal(clock.now(), Date.UTC(2026, 0, 5, 9));
    assert.deepEqual(told, [{ why: "window", until: Date.UTC(2026, 0, 5, 9) }], "told once, not every minute");
    assert.equal(throttle.waiting, undefined);
  });

  it("takes no turn when the hours end while it waits for the rate", async () => {
    const clock = new FakeClock(Date.UTC(2026, 0, 5, 16, 59, 30));
    const window = { days: ["mon", "tue"], from: "09:00", to: "17:00", zone: "UTC" } as const;
    const throttle = new Throttle(clock, paceWith({ window, perMinute: 1 }), await ledgerOf(clock));
    assert.deepEqual(await times(clock, throttle, 1, 1), [0]);
    assert.deepEqual(
      await throttle.turn(1, never, hour),
      { kind: "impatient", waiting: { why: "window", until: Date.UTC(2026, 0, 6, 9) } },
      "seen at once, though the rate alone takes a minute",
    );
    assert.deepEqual(await times(clock, throttle, 1, 1), [16 * hour + 30_000]);
    assert.equal(clock.now(), Date.UTC(2026, 0, 6, 9));
  });

  it("notices within a minute that the wall clock was set, in both directions", async () => {
    const window = { days: ["mon"], from: "09:00", to: "10:00", zone: "UTC" } as const;
    const clock = new FakeClock(Date.UTC(2026, 0, 5, 5));
    const throttle = new Throttle(clock, paceWith({ window }), undefined);
    const turn = throttle.turn(1, never);
    await macrotask();
    clock.setWall(4.5 * hour);
    assert.equal((await answer(clock, turn)).kind, "go");
    assert.ok(clock.monotonic() <= minute);
    clock.setWall(-2 * hour);
    assert.equal((await answer(clock, throttle.turn(1, never))).kind, "go");
    assert.ok(clock.now() >= Date.UTC(2026, 0, 5, 9) && clock.now() < Date.UTC(2026, 0, 5, 10));
  });

  it("keeps the limits a minute, an hour and a day, and tells which one it is", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({ perMinute: 2, perHour: 3, perDay: 5 }), await ledgerOf(clock));
    const told: Waiting["why"][] = [];
    const at: number[] = [];
    for (let i = 0; i < 6; i++) {
      const turn = await answer(
        clock,
        throttle.turn(1, never, undefined, ({ why }) => told.push(why)),
      );
      assert.ok(turn.kind === "go");
      turn.reservation?.commit();
      at.push(clock.monotonic());
    }
    assert.deepEqual(at, [0, 0, minute, hour, hour, 24 * hour]);
    assert.deepEqual(told, ["rate", "rate", "quota"]);
  });

  it("never gives the last place of the day to two lanes, and a place that was given back to the next at once", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({ perDay: 3 }), await ledgerOf(clock));
    const first = await throttle.turn(2, never);
    assert.ok(first.kind === "go");
    let second: Turn | undefined;
    const asked = throttle.turn(2, never).then((turn) => (second = turn));
    await macrotask();
    assert.equal(second, undefined);
    first.reservation?.giveBack();
    await asked;
    assert.equal((second as unknown as Turn).kind, "go");
    assert.equal(clock.monotonic(), 0);
  });

  it("says at once that a message fits no day", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({ perDay: 3 }), await ledgerOf(clock));
    const turn = await throttle.turn(4, never);
    assert.ok(turn.kind === "never");
    assert.match(turn.text, /has 4 recipients.*to 3 in 24 hours\. .*raise the limit/);
    assert.equal((await new Throttle(clock, paceWith({ perDay: 3 }), undefined).turn(4, never)).kind, "go");
  });

  it("gives up at once when a wait is longer than the patience, and waits out shorter ones", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({ perMinute: 1, perDay: 2 }), await ledgerOf(clock));
    for (const at of [0, minute]) {
      const turn = await answer(clock, throttle.turn(1, never, 5 * minute));
      assert.ok(turn.kind === "go");
      turn.reservation?.commit();
      assert.equal(clock.monotonic(), at);
    }
    const until = clock.now() - minute + 24 * hour;
    assert.deepEqual(await throttle.turn(1, never, 5 * minute), {
      kind: "impatient",
      waiting: { why: "quota", until },
    });
    assert.equal(clock.monotonic(), minute);
  });

  it("obeys another pace at once, also for those who sleep", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, paceWith({ delay: 24 * hour }), undefined);
    await throttle.turn(1, never);
    const turn = throttle.turn(1, never);
    await macrotask();
    clock.advance(3_000);
    throttle.setPace(paceWith({ delay: 5_000 }));
    await answer(clock, turn);
    assert.equal(clock.monotonic(), 5_000);
    const closed = { days: ["sun"], from: "09:00", to: "10:00", zone: "UTC" } as const;
    throttle.setPace(paceWith({ window: closed }));
    assert.equal((await throttle.turn(1, never, hour)).kind, "impatient");
  });

  const days: readonly Weekday[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
  const timeOfDay = fc
    .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
    .map(([h, m]) => `${String(h).padStart(2, "0")}:${String(m).padStart(2, "0")}`);
  const limit = (max: number): fc.Arbitrary<number> => fc.oneof(fc.constant(0), fc.integer({ min: 1, max }));
  const anyPace = fc.record({
    delay: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 20_000 })),
    perMinute: limit(8),
    perHour: limit(30),
    perDay: fc.oneof(fc.constant(0), fc.integer({ min: 10, max: 30 })),
    batchSize: fc.integer({ min: 0, max: 6 }),
    batchPause: fc.integer({ min: 0, max: 20 * minute }),
    window: fc.option(
      fc.record({
        days: fc.subarray([...days], { minLength: 4 }),
        from: timeOfDay,
        to: timeOfDay,
        zone: fc.constantFrom("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"),
      }),
      { nil: undefined },
    ),
  });

  it("exceeds no limit in any rolling window, sends in the hours only and keeps delay and pauses: any pace, lanes, jumps of the clock and restarts (property)", async function () {
    this.timeout(60_000);
    const spring = Date.UTC(2026, 2, 27, 20);
    const autumn = Date.UTC(2026, 9, 23, 20);
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        anyPace,
        fc.constantFrom(spring, autumn),
        fc.integer({ min: 1, max: 3 }),
        fc.array(
          fc.record({
            recipients: fc.integer({ min: 1, max: 3 }),
            idle: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 * hour })),
            /** How long the message takes from its turn to its commitment. */
            slow: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 90_000 })),
            jump: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: -30 * hour, max: 30 * hour })),
            event: fc.constantFrom("none", "none", "none", "restart", "suspend", "back"),
          }),
          { minLength: 5, maxLength: 25 },
        ),
        async (changes, start, lanes, steps) => {
          const clock = new FakeClock(start);
          const pace = paceWith(changes);
          const home = `run-${++runs}`;
          let ledger = await ledgerOf(clock, home);
          const left: { at: number; recipients: number }[] = [];
          const waiting = [...steps];
          while (waiting.length > 0) {
            // A restart ends the lanes where they are, as a kill does: nothing is closed, nothing of the pace is known.
            const throttle = new Throttle(clock, pace, ledger);
            const end = new AbortController();
            let [last, inBatch, restarts] = [-Infinity, 0, false];
            const lane = async (): Promise<void> => {
              for (let step = waiting.pop(); step !== undefined && !restarts; step = waiting.pop()) {
                const { recipients, idle, slow, jump, event } = step;
                await clock.sleep(idle);
                // Not between a turn of another lane and its look at the clock.
                await macrotask();
                clock.setWall(jump);
                if (event === "suspend") clock.suspend(3 * hour);
                const turn = await throttle.turn(recipients, end.signal);
                assert.ok(turn.kind === "go");
                assert.equal(windowWaitMs(pace.window, clock.now()), 0, "outside the hours");
                const now = clock.passed;
                assert.ok(now - last >= pace.delay, "the delay was not kept");
                if (pace.batchSize > 0 && inBatch === pace.batchSize) {
                  assert.ok(now - last >= pace.batchPause, "the pause was not kept");
                  inBatch = 0;
                }
                inBatch++;
                last = now;
                await clock.sleep(slow);
                if (event === "back") turn.reservation?.giveBack();
                else {
                  turn.reservation?.commit();
                  left.push({ at: clock.passed, recipients });
                }
                if (event === "restart") restarts = true;
              }
            };
            let failure: Error | undefined;
            let running = lanes;
            for (let i = 0; i < lanes; i++)
              void lane()
                .catch((error: unknown) => {
                  failure ??= error as Error;
                  end.abort();
                })
                .finally(() => running--);
            while (running > 0) {
              await macrotask();
              if (clock.nextWakeMs !== undefined) clock.advance(clock.nextWakeMs);
            }
            if (failure !== undefined) throw failure;
            if (waiting.length > 0) ledger = await ledgerOf(clock, home);
          }
          const most = (window: number, weigh: (one: { recipients: number }) => number): number =>
            Math.max(
              0,
              ...left.map(({ at }) =>
                left.filter((one) => one.at >= at && one.at < at + window).reduce((sum, one) => sum + weigh(one), 0),
              ),
            );
          if (pace.perMinute > 0) assert.ok(most(minute, () => 1) <= pace.perMinute, "too many a minute");
          if (pace.perHour > 0) assert.ok(most(hour, () => 1) <= pace.perHour, "too many an hour");
          if (pace.perDay > 0) assert.ok(most(24 * hour, (one) => one.recipients) <= pace.perDay, "too many a day");
          await Promise.all(ledgers.splice(0).map((one) => one.close()));
        },
      ),
      { numRuns: 30 },
    );
  });
});

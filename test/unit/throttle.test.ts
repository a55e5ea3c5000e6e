import assert from "node:assert/strict";
import { setImmediate as macrotask } from "node:timers/promises";
import { Throttle } from "../../src/mail/throttle";
import { FakeClock } from "../fakes/fakeClock";

/** Turns the hands from sleeper to sleeper, until `done` or nobody sleeps. */
async function run(clock: FakeClock, done: () => boolean): Promise<void> {
  for (;;) {
    await macrotask();
    const next = clock.nextWakeMs;
    if (done() || next === undefined) return;
    clock.advance(next);
  }
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
        assert.equal(await throttle.turn(new AbortController().signal), true);
        got.push({ taker, at: clock.monotonic() });
      }
    }),
  );
  await run(clock, () => got.length === takers * each);
  await all;
  return got;
}

describe("throttle (R21, R27)", () => {
  it("gives the first turn at once and keeps the delay between the others", async () => {
    const clock = new FakeClock();
    const got = await turns(clock, new Throttle(clock, 1000), 1, 4);
    assert.deepEqual(
      got.map(({ at }) => at),
      [0, 1000, 2000, 3000],
    );
  });

  it("keeps the pace over many takers that sleep until the same moment, and serves them in order", async () => {
    const clock = new FakeClock();
    const got = await turns(clock, new Throttle(clock, 500), 5, 1);
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
    const throttle = new Throttle(clock, 1000);
    await throttle.turn(new AbortController().signal);
    clock.advance(30_000);
    assert.deepEqual(
      (await turns(clock, throttle, 2, 2)).map(({ at }) => at),
      [30_000, 31_000, 32_000, 33_000],
    );
  });

  it("does not limit without a delay", async () => {
    const clock = new FakeClock();
    assert.ok((await turns(clock, new Throttle(clock, 0), 3, 50)).every(({ at }) => at === 0));
  });

  it("gives nobody a turn while the account is held, also those who sleep already", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, 100);
    await throttle.turn(new AbortController().signal);
    const got = turns(clock, throttle, 2, 1);
    throttle.hold(60_000);
    assert.equal(throttle.waitMs, 60_000);
    assert.deepEqual(
      (await got).map(({ at }) => at),
      [60_000, 60_100],
    );
  });

  it("is not held shorter by a second, smaller hold", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, 100);
    throttle.hold(60_000);
    throttle.hold(10);
    assert.deepEqual(
      (await turns(clock, throttle, 1, 1)).map(({ at }) => at),
      [60_000],
    );
  });

  it("lets a sleeper go at once when it is aborted, and gives its turn to the next", async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, 1000);
    await throttle.turn(new AbortController().signal);
    const abort = new AbortController();
    const aborted = throttle.turn(abort.signal);
    abort.abort();
    assert.equal(await aborted, false);
    assert.equal(clock.monotonic(), 0);
    assert.deepEqual(
      (await turns(clock, throttle, 1, 1)).map(({ at }) => at),
      [1000],
    );
    assert.equal(await throttle.turn(abort.signal), false);
  });
});

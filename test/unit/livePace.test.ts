import assert from "node:assert/strict";
import { LivePace } from "../../src/livePace";
import { unlimited } from "../../src/mail/index";
import type { Pace } from "../../src/mail/index";

const pace = (delay: number): Pace => ({
  ...unlimited,
  delay,
  connections: 1,
  maxAttempts: 1,
  retryInitialDelay: 0,
  retryMaxDelay: 0,
  pauseAfterFailures: 0,
});

describe("a pace that changes on the way (R22)", () => {
  it("tells everybody who listens, until they have ended", () => {
    const source = new LivePace(pace(1000));
    const heard: number[] = [];
    const over = new AbortController();
    source.onChange(() => heard.push(source.current.delay), over.signal);
    source.set(pace(5));
    source.set(pace(0));
    over.abort();
    source.set(pace(9));
    assert.deepEqual(heard, [5, 0]);
    assert.equal(source.current.delay, 9);
  });

  it("tells nobody who has ended before", () => {
    const source = new LivePace(pace(1));
    source.onChange(() => assert.fail("was told"), AbortSignal.abort());
    source.set(pace(2));
  });
});

import assert from "node:assert/strict";
import { startTime } from "../../src/commandLine/startTime";
import { Refusal } from "../../src/commandLine/usage";

/** A Tuesday at noon, on this machine's clocks. */
const now = new Date(2027, 2, 2, 12, 0, 0);

describe("--at (R57)", () => {
  const local = (text: string): Date => new Date(startTime(text, now));

  it("a time is the next one: today, or tomorrow when it is over", () => {
    assert.deepEqual(local("18:30"), new Date(2027, 2, 2, 18, 30));
    assert.deepEqual(local("9:05"), new Date(2027, 2, 3, 9, 5));
    assert.deepEqual(local("12:00"), new Date(2027, 2, 3, 12, 0));
    assert.deepEqual(local("00:00"), new Date(2027, 2, 3));
  });

  it("a date with a time is taken as it stands", () => {
    assert.deepEqual(local("2027-03-09T08:15"), new Date(2027, 2, 9, 8, 15));
    assert.deepEqual(local("2027-03-09 08:15"), new Date(2027, 2, 9, 8, 15));
    assert.equal(startTime("2027-03-09T08:15:30+02:00", now), "2027-03-09T06:15:30.000Z");
    assert.equal(startTime("2027-03-09T08:15Z", now), "2027-03-09T08:15:00.000Z");
  });

  for (const text of [
    "",
    "24:00",
    "9:60",
    "noon",
    "2027-03-09",
    "2027-13-09T08:15",
    "1800",
    "12:00:00",
    "tomorrow 9:00",
  ])
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => startTime(text, now),
        (error: unknown) => error instanceof Refusal && error.code === 2,
      );
    });

  it("refuses what is over: a slip of the pen must not send at once", () => {
    assert.throws(() => startTime("2027-03-02T11:59", now), /is over/);
  });
});

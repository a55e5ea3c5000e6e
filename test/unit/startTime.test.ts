import assert from "node:assert/strict";
import { parseStart } from "../../src/mail/startTime";

/** A Wednesday, half past eight in the evening. */
const now = new Date(2026, 2, 4, 20, 30).getTime();

function at(text: string): string | undefined {
  const start = parseStart(text, now);
  if ("problem" in start) return undefined;
  const moment = new Date(start.at);
  const two = (part: number): string => String(part).padStart(2, "0");
  return `${String(moment.getFullYear())}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${two(moment.getHours())}:${two(moment.getMinutes())}`;
}

describe("the start of a campaign (R26)", () => {
  it("is today, or tomorrow when that time is over for today", () => {
    assert.equal(at("20:31"), "2026-03-04 20:31");
    assert.equal(at(" 23:59 "), "2026-03-04 23:59");
    assert.equal(at("20:30"), "2026-03-05 20:30");
    assert.equal(at("6:05"), "2026-03-05 06:05");
    assert.equal(at("00:00"), "2026-03-05 00:00");
  });

  it("is on the day that is named", () => {
    assert.equal(at("2026-03-05 10:40"), "2026-03-05 10:40");
    assert.equal(at("2026-3-31T08:00"), "2026-03-31 08:00");
  });

  it("is the moment that ISO 8601 with a zone names", () => {
    assert.deepEqual(parseStart("2026-03-09T08:15:30+02:00", now), { at: Date.UTC(2026, 2, 9, 6, 15, 30) });
    assert.deepEqual(parseStart("2026-03-09T08:15Z", now), { at: Date.UTC(2026, 2, 9, 8, 15) });
    assert.match(JSON.stringify(parseStart("2026-03-09T25:15Z", now)), /no such time/);
  });

  it("exists, lies ahead, and not more than a month", () => {
    for (const text of [
      "",
      "soon",
      "10",
      "24:00",
      "25:10",
      "10:60",
      "10:4",
      "10.40",
      "2026-02-30 10:00",
      "2026-13-01 10:00",
    ])
      assert.equal(at(text), undefined, text);
    assert.match(JSON.stringify(parseStart("2026-03-04 20:30", now)), /over already/);
    assert.match(JSON.stringify(parseStart("2025-03-05 10:00", now)), /over already/);
    assert.equal(at("2026-04-04 10:00"), "2026-04-04 10:00");
    assert.match(JSON.stringify(parseStart("2026-05-01 10:00", now)), /more than a month/);
  });
});

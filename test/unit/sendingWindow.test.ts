import assert from "node:assert/strict";
import fc from "fast-check";
import type { SendingWindow, Weekday } from "../../src/mail/pace";
import { openingAt, parseWindow, windowProblem, windowWaitMs } from "../../src/mail/sendingWindow";

const minute = 60_000;
const hour = 60 * minute;
const everyDay: readonly Weekday[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const office: SendingWindow = { days: ["mon", "tue", "wed", "thu", "fri"], from: "09:00", to: "17:00", zone: "UTC" };

/** The openings of a window from a moment on, as ISO 8601. */
function openings(window: SendingWindow, from: string, count: number): readonly string[] {
  const found: string[] = [];
  for (let at = Date.parse(from); found.length < count;) {
    const opening = openingAt(window, at);
    assert.ok(opening !== undefined);
    found.push([opening.opens, opening.closes].map((one) => new Date(one).toISOString().slice(5, 16)).join(" – "));
    at = opening.closes;
  }
  return found;
}

describe("sending window (R26)", () => {
  it("is open without a window, inside it from its first moment to before its last", () => {
    assert.equal(windowWaitMs(undefined, 0), 0);
    const at = (text: string): number => windowWaitMs(office, Date.parse(text));
    assert.equal(at("2026-01-05T08:59:59.999Z"), 1);
    assert.equal(at("2026-01-05T09:00:00Z"), 0);
    assert.equal(at("2026-01-05T16:59:59.999Z"), 0);
    assert.equal(at("2026-01-05T17:00:00Z"), 16 * hour);
    assert.equal(at("2026-01-09T17:00:00Z"), 64 * hour, "from Friday evening to Monday morning");
    assert.equal(windowWaitMs({ ...office, days: [] }, 0), Infinity);
  });

  it("runs into the next day when it ends at or before its beginning, by the day on which it began", () => {
    assert.deepEqual(openings({ days: ["fri"], from: "22:00", to: "06:00", zone: "UTC" }, "2026-01-05T00:00Z", 2), [
      "01-09T22:00 – 01-10T06:00",
      "01-16T22:00 – 01-17T06:00",
    ]);
    assert.equal(
      windowWaitMs({ days: ["fri"], from: "22:00", to: "06:00", zone: "UTC" }, Date.parse("2026-01-10T05:00Z")),
      0,
      "Saturday morning belongs to Friday",
    );
    assert.deepEqual(openings({ days: ["mon"], from: "09:00", to: "09:00", zone: "UTC" }, "2026-01-05T00:00Z", 1), [
      "01-05T09:00 – 01-06T09:00",
    ]);
  });

  it("goes by the clocks of its zone, half-hour and quarter-hour ones too", () => {
    const from = "2026-01-05T00:00Z";
    const opens = (zone: string): string | undefined => openings({ ...office, zone }, from, 1)[0];
    assert.equal(opens("Asia/Kolkata"), "01-05T03:30 – 01-05T11:30");
    assert.equal(opens("Asia/Kathmandu"), "01-05T03:15 – 01-05T11:15");
    assert.equal(opens("America/St_Johns"), "01-05T12:30 – 01-05T20:30");
    assert.equal(opens("Pacific/Kiritimati"), "01-04T19:00 – 01-05T03:00", "already Monday there");
  });

  it("goes by the machine's zone when it names none", () => {
    const before = process.env.TZ;
    try {
      process.env.TZ = "Asia/Kolkata";
      assert.deepEqual(openings({ ...office, zone: "" }, "2026-01-05T00:00Z", 1), ["01-05T03:30 – 01-05T11:30"]);
    } finally {
      if (before === undefined) delete process.env.TZ;
      else process.env.TZ = before;
    }
  });

  it("opens at the first moment that exists when a change of clocks skips its beginning", () => {
    // Berlin, 29 March 2026: after 01:59 comes 03:00, at 01:00 UTC.
    const berlin = { days: everyDay, from: "02:30", to: "17:00", zone: "Europe/Berlin" } as const;
    assert.deepEqual(openings(berlin, "2026-03-28T18:00Z", 2), [
      "03-29T01:00 – 03-29T15:00",
      "03-30T00:30 – 03-30T15:00",
    ]);
    // Both ends skipped: not open at all on that day.
    assert.deepEqual(openings({ ...berlin, from: "02:10", to: "02:50" }, "2026-03-28T18:00Z", 1), [
      "03-30T00:10 – 03-30T00:50",
    ]);
    // Half an hour is skipped on Lord Howe Island.
    assert.deepEqual(
      openings({ ...berlin, from: "02:15", to: "03:00", zone: "Australia/Lord_Howe" }, "2026-10-03T15:00Z", 1),
      ["10-03T15:30 – 10-03T16:00"],
    );
  });

  it("opens and closes once when an hour comes twice", () => {
    // Berlin, 25 October 2026: 02:00 to 03:00 comes twice, from 00:00 and from 01:00 UTC.
    const berlin = { days: everyDay, from: "02:30", to: "17:00", zone: "Europe/Berlin" } as const;
    assert.deepEqual(openings(berlin, "2026-10-24T18:00Z", 1), ["10-25T00:30 – 10-25T16:00"]);
    assert.deepEqual(openings({ ...berlin, from: "22:00", to: "02:30" }, "2026-10-24T18:00Z", 2), [
      "10-24T20:00 – 10-25T00:30",
      "10-25T21:00 – 10-26T01:30",
    ]);
    // Havana puts the clocks back at 01:00, so midnight comes twice.
    assert.deepEqual(
      openings({ days: ["sun"], from: "00:00", to: "02:00", zone: "America/Havana" }, "2026-10-31T12:00Z", 1),
      ["11-01T04:00 – 11-01T07:00"],
    );
  });

  it("loses no day around the date line: Samoa had no 30 December 2011", () => {
    const samoa = { days: everyDay, from: "09:00", to: "17:00", zone: "Pacific/Apia" } as const;
    assert.deepEqual(openings(samoa, "2011-12-29T12:00Z", 2), [
      "12-29T19:00 – 12-30T03:00",
      "12-30T19:00 – 12-31T03:00",
    ]);
  });

  it("agrees with a walk over the clocks of the zone, minute by minute, around their changes (property)", function () {
    this.timeout(60_000);
    const length = 9 * 24 * 60;
    const tables = [
      ["Europe/Berlin", "2026-03-26"],
      ["Europe/Berlin", "2026-10-22"],
      ["Australia/Lord_Howe", "2026-10-01"],
      ["Australia/Lord_Howe", "2026-04-02"],
      ["America/Havana", "2026-10-29"],
      ["America/Sao_Paulo", "2018-11-01"],
      ["Asia/Kolkata", "2026-03-01"],
      ["Pacific/Apia", "2011-12-27"],
    ].map(([zone = "", day = ""]) => {
      const format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "short" });
      const start = Date.parse(`${day}T00:00Z`);
      // What the clocks show, as if it were UTC.
      const shown = Float64Array.from({ length }, (_, i) =>
        Date.parse(`${format.format(start + i * minute).replace(" ", "T")}Z`),
      );
      return { zone, start, shown };
    });
    /** Whether the window is open, for every minute of a table from its third day on. */
    const walk = ({ shown }: { readonly shown: Float64Array }, window: SendingWindow): Uint8Array => {
      const open = new Uint8Array(length);
      const clock = (text: string): number => Number(text.slice(0, 2)) * hour + Number(text.slice(3)) * minute;
      const first = (local: number): number => {
        const index = shown.findIndex((one) => one >= local);
        return index < 0 ? length : index;
      };
      for (let day = Math.floor(shown[0]! / (24 * hour)); day <= Math.floor(shown.at(-1)! / (24 * hour)); day++) {
        const name = new Date(day * 24 * hour).toLocaleDateString("en", { weekday: "short", timeZone: "UTC" });
        if (!window.days.includes(name.toLowerCase() as Weekday)) continue;
        const end = window.to > window.from ? day : day + 1;
        open.fill(1, first(day * 24 * hour + clock(window.from)), first(end * 24 * hour + clock(window.to)));
      }
      return open;
    };
    const time = fc
      .integer({ min: 0, max: 24 * 60 - 1 })
      // Many around the hours that are skipped or come twice.
      .chain((any) => fc.constantFrom(any, any % 240))
      .map((m) => `${String(Math.floor(m / 60)).padStart(2, "0")}:${String(m % 60).padStart(2, "0")}`);
    fc.assert(
      fc.property(
        fc.constantFrom(...tables),
        fc.subarray([...everyDay], { minLength: 1 }),
        time,
        time,
        fc.array(fc.integer({ min: 2 * 24 * 60, max: length - 1 }), { minLength: 20, maxLength: 20 }),
        (table, days, from, to, moments) => {
          const window = { days, from, to, zone: table.zone };
          const open = walk(table, window);
          for (const moment of moments) {
            const next = open.indexOf(1, moment);
            const wait = windowWaitMs(window, table.start + moment * minute);
            if (next < 0) assert.ok(wait >= (length - moment) * minute);
            else assert.equal(wait, (next - moment) * minute, new Date(table.start + moment * minute).toISOString());
          }
        },
      ),
    );
  });

  it("reads a setting, with its defaults, in the order of the week", () => {
    assert.deepEqual(parseWindow({ days: ["fri", "mon", "fri"], from: "09:00", to: "17:00", zone: "Europe/Berlin" }), {
      days: ["mon", "fri"],
      from: "09:00",
      to: "17:00",
      zone: "Europe/Berlin",
    });
    assert.deepEqual(parseWindow({ from: "22:00", to: "06:00" }), {
      days: everyDay,
      from: "22:00",
      to: "06:00",
      zone: "",
    });
    for (const none of [undefined, null]) {
      assert.equal(parseWindow(none), undefined);
      assert.equal(windowProblem(none), undefined);
    }
  });

  it("says what is wrong with a setting, and reads none of it", () => {
    const good = { days: ["mon"], from: "09:00", to: "17:00", zone: "Europe/Berlin" };
    assert.equal(windowProblem(good), undefined);
    const bad: readonly [unknown, RegExp][] = [
      ["09:00-17:00", /not an object/],
      [[], /not an object/],
      [{}, /window's from is not a time/],
      [{ ...good, days: [] }, /days .* List at least one of mon, tue/],
      [{ ...good, days: ["monday"] }, /days/],
      [{ ...good, days: "mon" }, /days/],
      [{ ...good, from: "9:00" }, /from is not a time\. Write it as HH:MM/],
      [{ ...good, to: "24:00" }, /to is not a time/],
      [{ ...good, to: 17 }, /to is not a time/],
      [{ ...good, zone: "Europe/Atlantis" }, /zone is not known/],
      [{ ...good, zone: "+05:30" }, /zone is not known/],
      [{ ...good, until: "18:00" }, /has no "until"/],
    ];
    for (const [value, expected] of bad) {
      assert.match(windowProblem(value) ?? "", expected, JSON.stringify(value));
      assert.equal(parseWindow(value), undefined);
    }
  });
});

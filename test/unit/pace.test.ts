import assert from "node:assert/strict";
import { checkedSetting, settings } from "../../src/contributions";
import { defaultLimits, mailboxOf, paceFrom, parseAccount, windowProblem } from "../../src/mail/index";
import type { Account, Limits, PaceReader, PaceSettings } from "../../src/mail/index";

type Said = Partial<PaceSettings>;

/** Settings as somebody wrote them; what is left out has its default. */
function reading(mine: Said = {}, theirs: Said = {}): PaceReader {
  return { get: (key) => mine[key] ?? settings[key].default, tighter: (key) => theirs[key] };
}

function account(limits: Partial<Limits> = {}, provider = "custom"): Account {
  const { value } = parseAccount("work", { provider, host: "smtp.example.com", user: "ada@example.com", limits });
  assert.ok(value !== undefined);
  return value;
}

const evenings = { days: ["mon"], from: "18:00", to: "22:00", zone: "Europe/Berlin" };
const mornings = { from: "06:00", to: "09:00" };
const everyDay = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

describe("pace", () => {
  it("R23 without limits it is one message a second over one connection, at any hour", () => {
    assert.deepEqual(paceFrom(account(), reading()), {
      delay: 1000,
      connections: 1,
      perMinute: 0,
      perHour: 0,
      perDay: 0,
      batchSize: 0,
      batchPause: 60_000,
      window: undefined,
      maxAttempts: 5,
      retryInitialDelay: 5000,
      retryMaxDelay: 300_000,
      pauseAfterFailures: 5,
    });
  });

  it("R22–R27 takes every limit of the settings", () => {
    const pace = paceFrom(
      account(),
      reading({
        "sending.delay": 0,
        "sending.connections": 4,
        "sending.perMinute": 30,
        "sending.perHour": 600,
        "sending.perDay": 2000,
        "sending.batchSize": 50,
        "sending.batchPause": 5000,
        "sending.window": evenings,
      }),
    );
    assert.deepEqual(
      [pace.delay, pace.connections, pace.perMinute, pace.perHour, pace.perDay, pace.batchSize, pace.batchPause],
      [0, 4, 30, 600, 2000, 50, 5000],
    );
    assert.deepEqual(pace.window, evenings);
  });

  it("an account's own limit wins over settings and provider, 0 included", () => {
    const own = { delay: 0, connections: 5, perMinute: 60, perHour: 0, perDay: 0 };
    const mine = { "sending.delay": 9000, "sending.perMinute": 5, "sending.perHour": 5, "sending.perDay": 5 };
    const { delay, connections, perMinute, perHour, perDay } = paceFrom(account(own, "microsoft365"), reading(mine));
    assert.deepEqual({ delay, connections, perMinute, perHour, perDay }, own);
  });

  it("R10 R23 what a provider publishes counts where the account says nothing, and a stricter setting beside it", () => {
    const of = (provider: string, mine: Said = {}): readonly number[] => {
      const { delay, connections, perMinute, perDay } = paceFrom(account({}, provider), reading(mine));
      return [delay, connections, perMinute, perDay];
    };
    assert.deepEqual(of("gmail"), [1000, 1, 0, 500]);
    assert.deepEqual(of("microsoft365"), [2000, 1, 30, 10_000]);
    const loose = { "sending.delay": 0, "sending.connections": 9, "sending.perMinute": 90, "sending.perDay": 50_000 };
    assert.deepEqual(of("microsoft365", loose), [2000, 1, 30, 10_000]);
    const strict = { "sending.delay": 5000, "sending.perMinute": 10, "sending.perDay": 100 };
    assert.deepEqual(of("microsoft365", strict), [5000, 1, 10, 100]);
    assert.deepEqual(of("custom", loose), [0, 9, 90, 50_000]);
    assert.deepEqual(defaultLimits("gmail", reading()), {
      delay: 1000,
      connections: 1,
      perMinute: 0,
      perHour: 0,
      perDay: 500,
    });
  });

  it("R1 R10 the Gmail API takes 150 messages a minute, beside the mailbox's allowance", () => {
    const api = { transport: "gmailApi", user: "ada@gmail.com" } as const;
    const { value, problems } = parseAccount("work", { provider: "gmail", ...api });
    assert.ok(value !== undefined, JSON.stringify(problems));
    const of = (said: Said): readonly number[] => {
      const { perMinute, perDay } = paceFrom(value, reading(said));
      return [perMinute, perDay];
    };
    assert.deepEqual(of({}), [150, 500]);
    assert.deepEqual(of({ "sending.perMinute": 60 }), [60, 500]);
    assert.deepEqual(of({ "sending.perMinute": 200 }), [150, 500]);
    const smtp = parseAccount("work", { provider: "gmail", user: "ada@gmail.com" }).value;
    assert.ok(smtp !== undefined);
    assert.equal(mailboxOf(value), mailboxOf(smtp), "both ways share an allowance");
  });

  it("a workspace slows a user's own account down, number by number, and never speeds it up", () => {
    const mine: Said = {
      "sending.delay": 2000,
      "sending.connections": 3,
      "sending.perMinute": 20,
      "sending.perDay": 0,
      "sending.batchSize": 10,
      "sending.batchPause": 1000,
      "retry.maxAttempts": 4,
      "retry.maxDelay": 1000,
      pauseAfterFailures: 3,
    };
    const loose: Said = {
      "sending.delay": 0,
      "sending.connections": 50,
      "sending.perMinute": 0,
      "sending.perDay": 0,
      "sending.batchSize": 0,
      "sending.batchPause": 0,
      "retry.maxAttempts": 100,
      "retry.maxDelay": 0,
      pauseAfterFailures: 0,
    };
    assert.deepEqual(paceFrom(account(), reading(mine, loose)), paceFrom(account(), reading(mine)));
    const strict: Said = {
      "sending.delay": 3000,
      "sending.connections": 1,
      "sending.perMinute": 5,
      "sending.perDay": 100,
      "sending.batchSize": 2,
      "sending.batchPause": 9000,
      "retry.maxAttempts": 1,
      pauseAfterFailures: 1,
    };
    const slow = paceFrom(account(), reading(mine, strict));
    assert.deepEqual(
      [slow.delay, slow.connections, slow.perMinute, slow.perDay, slow.batchSize, slow.batchPause],
      [3000, 1, 5, 100, 2, 9000],
    );
    assert.deepEqual([slow.maxAttempts, slow.pauseAfterFailures], [1, 1]);
    const own = paceFrom(account({ delay: 0, perDay: 0 }), reading({}, strict));
    assert.deepEqual([own.delay, own.perDay], [3000, 100]);
  });

  it("a workspace's hours count for a user's own account only where the user has none", () => {
    const hours = (mine: Said, theirs: Said): unknown => paceFrom(account(), reading(mine, theirs)).window;
    assert.deepEqual(hours({ "sending.window": evenings }, { "sending.window": mornings }), evenings);
    assert.deepEqual(hours({ "sending.window": evenings }, { "sending.window": {} }), evenings);
    assert.deepEqual(hours({}, { "sending.window": mornings }), { ...mornings, days: everyDay, zone: "" });
    assert.equal(hours({}, {}), undefined);
  });

  it("R56 the sandbox waits for nothing, whatever the settings say", () => {
    const { delay, perMinute, perHour, perDay, batchSize, window } = paceFrom(
      undefined,
      reading({ "sending.perMinute": 1, "sending.perDay": 1, "sending.batchSize": 1, "sending.window": evenings }),
    );
    assert.deepEqual([delay, perMinute, perHour, perDay, batchSize, window], [0, 0, 0, 0, 0, undefined]);
  });

  it("takes sending hours that can be kept, and says how to write them", () => {
    for (const value of [{}, evenings, mornings, { days: ["sat", "sun"] }, { from: "22:00", to: "06:00" }])
      assert.equal(windowProblem(value), undefined, JSON.stringify(value));
    for (const value of [
      [],
      "09:00",
      { days: [] },
      { days: ["monday"] },
      { from: "9:00" },
      { to: "24:00" },
      { zone: "Mars/Olympus" },
      { until: "17:00" },
    ]) {
      assert.match(windowProblem(value) ?? "", /^The .*sending window/, JSON.stringify(value));
      assert.equal(checkedSetting("sending.window", value), undefined, JSON.stringify(value));
    }
    assert.deepEqual(checkedSetting("sending.window", evenings), evenings);
  });
});

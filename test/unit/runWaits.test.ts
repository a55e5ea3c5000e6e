/** What a run waits for: its start, its hours, its allowance, its mailbox; and how changed settings reach it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import * as path from "node:path";
import { acquireLock, thisProcess } from "../../src/mail/lock";
import type { Pace } from "../../src/mail/pace";
import { systemClock, type Clock } from "../../src/mail/ports";
import { mailboxDirectory, mailboxOf } from "../../src/mail/quota";
import { makePrivateDirectory } from "../../src/mail/stateDirectory";
import { loopbackAccount, quickPace } from "../fakes/accounts";
import { smallCampaign } from "../fakes/campaigns";
import { LeapingClock } from "../fakes/fakeClock";
import { RunBench } from "../fakes/runBench";

const minute = 60_000;
const hour = 60 * minute;
/** Where `LeapingClock` begins: a Monday, 09:00 UTC. */
const monday = Date.UTC(2026, 0, 5, 9);

describe("what a run waits for (R23, R25, R26, R57)", () => {
  let bench: RunBench;
  beforeEach(async () => {
    bench = await RunBench.open();
  });
  afterEach(() => bench.close());

  const waits = (): readonly (string | undefined)[] => [
    ...new Set(bench.snapshots.filter(({ state }) => state === "waiting").map(({ waiting }) => waiting?.why)),
  ];

  it("so many a minute, and goes on by itself", async () => {
    const clock = new LeapingClock();
    const plan = await bench.plan(undefined, smallCampaign(25), { perMinute: 10 });
    assert.deepEqual((await bench.run(plan, { clock })).ending, { kind: "finished" });
    bench.everyoneOnce(25);
    assert.deepEqual(waits(), ["rate"]);
    assert.ok(clock.monotonic() >= 2 * minute && clock.monotonic() < 3 * minute, String(clock.monotonic()));
  });

  it("the day's allowance: cc and bcc count, what an earlier run sent counts, and it goes on the next day", async () => {
    const clock = new LeapingClock();
    const plan = await bench.plan(undefined, smallCampaign(5, "cc: office@example.org\n"), { perDay: 6 });
    assert.deepEqual((await bench.run(plan, { clock, limit: 2 })).ending, { kind: "limit" });
    assert.deepEqual((await bench.run(plan, { clock })).ending, { kind: "finished" });
    assert.equal(bench.server.accepted.length, 5);
    assert.deepEqual(waits(), ["quota"]);
    assert.ok(clock.monotonic() >= 24 * hour && clock.monotonic() < 25 * hour, String(clock.monotonic()));
  });

  it("ends as paused when that is longer than the host waits, with the moment when it can go on", async () => {
    const clock = new LeapingClock();
    const plan = await bench.plan(undefined, smallCampaign(3), { perDay: 2 });
    const { ending, pending } = await bench.run(plan, { clock, patience: hour });
    assert.ok(ending.kind === "later", JSON.stringify(ending));
    assert.equal(ending.waiting.why, "quota");
    assert.ok(Math.abs((ending.waiting.until ?? 0) - (monday + 24 * hour)) < minute);
    assert.equal(pending, 1);
  });

  it("a message with more recipients than a day allows ends the run, and says why", async () => {
    const plan = await bench.plan(undefined, smallCampaign(2, "cc: office@example.org\n"), { perDay: 1 });
    const { ending, pending } = await bench.run(plan, { clock: new LeapingClock() });
    assert.ok(ending.kind === "broken", JSON.stringify(ending));
    assert.match(ending.text, /2 recipients/);
    assert.equal(pending, 2);
    assert.equal(bench.server.accepted.length, 0);
  });

  it("its hours", async () => {
    const clock = new LeapingClock();
    const window = { days: ["tue"], from: "10:00", to: "11:00", zone: "UTC" } as const;
    const plan = await bench.plan(undefined, smallCampaign(2), { window });
    assert.deepEqual((await bench.run(plan, { clock })).ending, { kind: "finished" });
    assert.deepEqual(waits(), ["window"]);
    assert.ok(
      clock.now() >= monday + 25 * hour && clock.now() < monday + 26 * hour,
      new Date(clock.now()).toISOString(),
    );
  });

  it("the pause between two batches", async () => {
    const clock = new LeapingClock();
    const plan = await bench.plan(undefined, smallCampaign(5), { batchSize: 2, batchPause: 10 * minute });
    assert.deepEqual((await bench.run(plan, { clock })).ending, { kind: "finished" });
    assert.deepEqual(waits(), ["batch"]);
    assert.ok(clock.monotonic() >= 20 * minute && clock.monotonic() < 21 * minute, String(clock.monotonic()));
  });

  it("its start, and asks for the secret only then", async () => {
    const clock = new LeapingClock();
    const startAt = new Date(monday + 90 * minute).toISOString();
    const plan = await bench.plan(undefined, smallCampaign(2), {}, { startAt });
    let askedAt = 0;
    const credentials = (): Promise<object> => {
      askedAt = clock.now();
      return Promise.resolve({});
    };
    assert.deepEqual((await bench.run(plan, { clock, ports: { credentials } })).ending, { kind: "finished" });
    assert.deepEqual(waits(), ["start"]);
    assert.equal(askedAt, monday + 90 * minute);
  });

  it("a start that passed while the machine slept is not made up for; whoever resumes decides that it goes", async () => {
    class SleepyClock extends LeapingClock {
      override sleep(ms: number, signal?: AbortSignal): Promise<void> {
        if (ms !== Infinity) this.suspend(3 * hour);
        return super.sleep(ms, signal);
      }
    }
    const startAt = new Date(monday + 90 * minute).toISOString();
    const plan = await bench.plan(undefined, smallCampaign(2), {}, { startAt });
    const clock = new SleepyClock();
    assert.deepEqual((await bench.run(plan, { clock })).ending, { kind: "missed", startAt });
    assert.equal(bench.server.connections, 0);
    assert.deepEqual((await bench.run(plan, { clock })).ending, { kind: "missed", startAt }, "nor by starting again");
    assert.deepEqual((await bench.run({ ...plan, startAt: undefined }, { clock })).ending, { kind: "finished" });
    bench.everyoneOnce(2);
  });

  it("can be stopped while it waits", async () => {
    const startAt = new Date(systemClock.now() + hour).toISOString();
    const plan = await bench.plan(undefined, smallCampaign(2), {}, { startAt });
    bench.onSnapshot = ({ state }) => {
      if (state === "waiting") bench.stop.abort();
    };
    assert.deepEqual((await bench.run(plan)).ending, { kind: "stopped" });
  });

  it("a mailbox that another process uses: it waits, says for whom, and goes on when it is free", async () => {
    const plan = await bench.plan(undefined, smallCampaign(2));
    const directory = mailboxDirectory(bench.stateDirectory, mailboxOf(loopbackAccount(bench.server.port)));
    await makePrivateDirectory(directory);
    const other = await acquireLock(directory, systemClock, { takeOver: false, atLeast: 1, purpose: "spring.mail.md" });
    assert.ok(other.kind === "held");
    const { ending } = await bench.run(plan, { patience: 0 });
    assert.ok(ending.kind === "later", JSON.stringify(ending));
    assert.equal(ending.waiting.why, "mailbox");
    assert.match(ending.waiting.who ?? "", /^spring\.mail\.md \(process \d+ on /);
    bench.onSnapshot = ({ waiting }) => {
      if (waiting?.why === "mailbox") void other.release();
    };
    assert.deepEqual((await bench.run(plan)).ending, { kind: "finished" });
    bench.everyoneOnce(2);
  });

  it("what a server calls an allowance is waited for, and nobody is charged with it", async () => {
    const clock = new LeapingClock();
    const plan = await bench.plan(
      ({ command, before }) =>
        command === "dot" && before === 1 ? { reply: "550 5.4.5 Daily user sending limit exceeded" } : undefined,
      smallCampaign(3),
    );
    assert.deepEqual((await bench.run(plan, { clock })).ending, { kind: "finished" });
    bench.everyoneOnce(3);
    assert.deepEqual(waits(), ["quota"]);
    assert.ok(clock.monotonic() >= hour && clock.monotonic() < 2 * hour, String(clock.monotonic()));
  });

  describe("changed settings", () => {
    /** A pace that a test changes. */
    class Dial {
      current: Pace;
      private readonly changed = new EventTarget();
      constructor(pace: Partial<Pace>) {
        this.current = { ...quickPace, ...pace };
      }
      onChange(listener: () => void, signal: AbortSignal): void {
        this.changed.addEventListener("change", listener, { signal });
      }
      turn(pace: Partial<Pace>): void {
        this.current = { ...this.current, ...pace };
        this.changed.dispatchEvent(new Event("change"));
      }
    }

    it("a shorter delay counts at once, also for who waits already", async () => {
      const pace = new Dial({ delay: hour });
      const plan = await bench.plan(undefined, smallCampaign(4), { delay: hour });
      const clock: Clock = {
        ...systemClock,
        sleep: (ms, signal) => {
          if (ms >= minute) setImmediate(() => pace.turn({ delay: 0 }));
          return systemClock.sleep(ms, signal);
        },
      };
      assert.deepEqual((await bench.run(plan, { pace, clock })).ending, { kind: "finished" });
      bench.everyoneOnce(4);
    });

    it("more connections are opened, and fewer are used, in the middle of a run", async () => {
      const pace = new Dial({ connections: 1 });
      let open = 0;
      let most = 0;
      const seen: number[] = [];
      const plan = await bench.plan(async ({ command, connection }) => {
        if (command === "DATA") most = Math.max(most, ++open);
        if (command !== "dot") return undefined;
        await new Promise((resolve) => setImmediate(resolve));
        open--;
        seen.push(connection);
        if (seen.length === 10) pace.turn({ connections: 3 });
        if (seen.length === 40) pace.turn({ connections: 1 });
        return undefined;
      }, smallCampaign(80));
      assert.deepEqual((await bench.run(plan, { pace })).ending, { kind: "finished" });
      bench.everyoneOnce(80);
      assert.equal(new Set(seen.slice(0, 10)).size, 1);
      assert.equal(new Set(seen).size, 3);
      assert.equal(new Set(seen.slice(50)).size, 1);
      assert.ok(most <= 3);
    });
  });

  describe("a server that keeps silent", () => {
    it("is spoken of, and tried again on a new connection while nothing was handed over", async () => {
      const warned: string[] = [];
      const logger = {
        debug: () => {},
        info: () => {},
        warn: (text: string) => void warned.push(text),
        error: () => {},
      };
      const plan = await bench.plan(
        ({ command, before }) => (command === "MAIL" && before === 1 ? { end: "hang" } : undefined),
        smallCampaign(3),
      );
      const { ending } = await bench.run(plan, { ports: { logger, silenceMs: 150 } });
      assert.deepEqual(ending, { kind: "finished" });
      bench.everyoneOnce(3);
      assert.match(
        warned.join("\n"),
        /^No word from 127\.0\.0\.1 for \d+ s: its go-ahead is awaited\.\n.*is tried again/,
      );
      assert.ok(waits().includes("server"));
      assert.equal(bench.events.find(({ result }) => result === "retry")?.class, "offline");
    });

    it("is not one that takes its time for every reply (RFC 5321 §4.5.3.2)", async () => {
      const silenceMs = 60;
      const slow = await bench.serve(async ({ command }) => {
        if (command === "MAIL" || command === "RCPT" || command === "DATA")
          await new Promise((resolve) => setTimeout(resolve, silenceMs * 2));
        return undefined;
      }, []);
      const plan = await bench.plan(undefined, smallCampaign(1, "cc:\n  - a@example.org\n  - b@example.org\n"));
      assert.deepEqual((await bench.run(plan, { ports: { silenceMs } })).ending, { kind: "finished" });
      assert.equal(slow.accepted.length, 1);
      assert.deepEqual(
        bench.events.map(({ result }) => result),
        ["accepted"],
      );
    });

    it("is waited for when the message may have arrived: only its reply ends that", async () => {
      const warned: string[] = [];
      let answer: () => void = () => {};
      const answered = new Promise<void>((resolve) => (answer = resolve));
      const logger = {
        debug: () => {},
        info: () => {},
        warn: (text: string) => {
          warned.push(text);
          answer();
        },
        error: () => {},
      };
      const plan = await bench.plan(async ({ command, before }) => {
        if (command === "dot" && before === 0) await answered;
        return undefined;
      }, smallCampaign(2));
      assert.deepEqual((await bench.run(plan, { ports: { logger, silenceMs: 150 } })).ending, { kind: "finished" });
      bench.everyoneOnce(2);
      assert.match(warned[0] ?? "", /the reply to a message is awaited/);
    });
  });

  it("composes nothing for who was stopped: a stop in the middle of a reply hands back whoever was ready (R57)", async () => {
    const plan = await bench.plan(({ command, before }) => {
      if (command === "dot" && before === 0) bench.stop.abort();
      return undefined;
    }, smallCampaign(5));
    const { ending, accepted, pending } = await bench.run(plan);
    assert.deepEqual([ending, accepted, pending], [{ kind: "stopped" }, 1, 4]);
    assert.deepEqual((await bench.run(plan, { stop: new AbortController().signal })).ending, { kind: "finished" });
    bench.everyoneOnce(5);
  });

  it("connections are made again after the machine slept, and nobody is mailed twice", async () => {
    const clock = new LeapingClock();
    const slept = new EventTarget();
    const logger = {
      debug: () => {},
      info: (text: string) => {
        if (text.includes("slept")) slept.dispatchEvent(new Event("slept"));
      },
      warn: () => {},
      error: () => {},
    };
    const plan = await bench.plan(async ({ command, before }) => {
      if (command === "MAIL" && before === 2) {
        const told = once(slept, "slept");
        clock.suspend(hour);
        await told;
      }
      return undefined;
    }, smallCampaign(4));
    assert.deepEqual((await bench.run(plan, { clock, ports: { logger } })).ending, { kind: "finished" });
    bench.everyoneOnce(4);
    assert.equal(bench.server.connections, 2);
  });

  it("uses no more connections than the server says that it takes (R27)", async () => {
    const after: number[] = [];
    let told = false;
    const plan = await bench.plan(
      ({ command, connection }) => {
        if (command === "dot" && told) after.push(connection);
        if (command !== "MAIL" || told || connection === 0) return undefined;
        told = true;
        return { reply: "432 4.3.2 Concurrent connections limit exceeded" };
      },
      smallCampaign(60),
      { connections: 3 },
    );
    assert.deepEqual((await bench.run(plan, { clock: new LeapingClock() })).ending, { kind: "finished" });
    bench.everyoneOnce(60);
    // One at a time: a later connection never alternates with an earlier one.
    const rest = after.slice(3);
    assert.deepEqual(
      rest,
      [...rest].sort((a, b) => a - b),
    );
  });

  it("a limit that was reached is what it says, also when the message was put off after all", async () => {
    const plan = await bench.plan(
      ({ command, before }) => (command === "dot" && before === 0 ? { reply: "451 4.3.0 later" } : undefined),
      smallCampaign(3),
    );
    const { ending, pending } = await bench.run(plan, { clock: new LeapingClock(), limit: 1 });
    assert.deepEqual([ending.kind, pending], ["limit", 2]);
    assert.equal(bench.server.accepted.length, 1);
  });

  it("a 503 to the body settles the recipient: it never came through (R32)", async () => {
    const plan = await bench.plan(
      ({ command, before }) => (command === "dot" && before === 0 ? { reply: "503 5.5.1 bad sequence" } : undefined),
      smallCampaign(2),
    );
    const { ending, failed, accepted } = await bench.run(plan);
    assert.deepEqual([ending.kind, failed, accepted], ["finished", 1, 1]);
  });

  it("who loses the mailbox to another process stops, knows nobody as unknown, and keeps the run", async () => {
    const directory = mailboxDirectory(
      bench.stateDirectory,
      mailboxOf(loopbackAccount((await bench.serve(({ command }) => (command === "DATA" ? steal() : undefined))).port)),
    );
    const steal = async (): Promise<undefined> => {
      await writeFile(path.join(directory, "lock-000099.json"), JSON.stringify(thisProcess()));
      return undefined;
    };
    const plan = await bench.plan(undefined, smallCampaign(3));
    const { ending, unknown, pending } = await bench.run(plan);
    assert.deepEqual(
      [ending, unknown, pending],
      [{ kind: "later", waiting: { why: "mailbox", until: undefined } }, 0, 3],
    );
    assert.equal(bench.server.accepted.length, 0);
  });

  it("a gate that opens behind its message's end loses nobody and speaks for nobody", async () => {
    let connection = 0;
    const plan = await bench.plan(
      ({ command, before, connection: now }) => {
        connection = now;
        return command === "DATA" && before === 0
          ? { reply: "354 go ahead\r\n421 4.3.2 closing", close: true }
          : undefined;
      },
      { ...smallCampaign(6, "suppress: gone.csv\n"), "gone.csv": "email\nnobody@example.org\n" },
    );
    assert.deepEqual((await bench.run(plan, { clock: new LeapingClock() })).ending, { kind: "finished" });
    bench.everyoneOnce(6);
    assert.ok(connection >= 1);
  });

  it("offline before the message was named charges nobody with an attempt (R31)", async () => {
    const plan = await bench.plan(
      ({ command, before }) => (command === "EHLO" && before < 2 ? { end: "close" } : undefined),
      smallCampaign(1),
    );
    assert.deepEqual((await bench.run(plan, { clock: new LeapingClock() })).ending, { kind: "finished" });
    assert.deepEqual(
      bench.events.map(({ attempt }) => attempt),
      [1, 1, 1],
    );
  });
});

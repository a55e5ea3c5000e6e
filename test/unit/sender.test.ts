import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import * as path from "node:path";
import { acquireLock } from "../../src/mail/lock";
import type { Pace } from "../../src/mail/pace";
import { lastRun, type Plan } from "../../src/mail/plan";
import { systemClock, type Clock } from "../../src/mail/ports";
import { readReport } from "../../src/mail/report";
import type { AttemptEvent, Progress, RunOptions, RunSummary } from "../../src/mail/sender";
import { quickPace } from "../fakes/accounts";
import { smallCampaign } from "../fakes/campaigns";
import { LeapingClock } from "../fakes/fakeClock";
import { RunBench } from "../fakes/runBench";
import type { Script, ScriptedSmtp } from "../fakes/scriptedSmtp";

describe("a run (R3, R21, R27, R29-R33)", () => {
  let bench: RunBench;
  let folder: string;
  let server: ScriptedSmtp;
  let events: readonly AttemptEvent[];
  let snapshots: readonly Progress[];
  let stop: AbortController;

  beforeEach(async () => {
    bench = await RunBench.open();
    ({ folder, events, snapshots, stop } = bench);
  });
  afterEach(() => bench.close());

  async function plan(
    script: Script | undefined,
    files: Readonly<Record<string, string>>,
    pace: Partial<Pace> = {},
  ): Promise<Plan> {
    const planned = await bench.plan(script, files, pace);
    server = bench.server;
    return planned;
  }

  const run = (of: Plan, clock: Clock = systemClock, options: RunOptions = {}): Promise<RunSummary> =>
    bench.run(of, { clock, stop: stop.signal, ...options });

  const everyoneOnce = (count: number): void => bench.everyoneOnce(count);

  it("mails everybody once, in order, and is finished", async () => {
    const summary = await run(await plan(undefined, smallCampaign(6)));
    assert.deepEqual(summary.ending, { kind: "finished" });
    everyoneOnce(6);
    assert.deepEqual(
      server.accepted.map(({ to }) => to[0]),
      [0, 1, 2, 3, 4, 5].map((i) => `person${String(i)}@example.com`),
    );
    assert.deepEqual(
      events.map(({ result, line }) => [result, line]),
      [1, 2, 3, 4, 5, 6].map((line) => ["accepted", line]),
    );
    const last = snapshots.at(-1);
    assert.equal(last?.accepted, 6);
    assert.equal(last.pending, 0);
    // Nobody asked it to stop: a person must not read that it does.
    assert.ok(snapshots.every(({ state }) => state !== "stopping"));
  });

  it("a finished run sends nothing when it is run again", async () => {
    const planned = await plan(undefined, smallCampaign(3));
    await run(planned);
    assert.deepEqual((await run(planned)).ending, { kind: "finished" });
    everyoneOnce(3);
  });

  it("waits the delay between two messages, and not before the first (R21)", async () => {
    const clock = new LeapingClock();
    await run(await plan(undefined, smallCampaign(4), { delay: 1000 }), clock);
    assert.deepEqual(
      clock.slept.filter((ms) => ms > 0),
      [1000, 1000, 1000],
    );
  });

  it("repeats a first lost connection at once, and later ones after a growing wait (R29, R30)", async () => {
    const clock = new LeapingClock();
    const script: Script = ({ command, before }) => (command === "MAIL" && before < 3 ? { end: "close" } : undefined);
    const pace = { maxAttempts: 5, retryInitialDelay: 1000, retryMaxDelay: 60_000 };
    const summary = await run(await plan(script, smallCampaign(2), pace), clock);
    assert.deepEqual(summary.ending, { kind: "finished" });
    everyoneOnce(2);
    assert.deepEqual(
      events.filter(({ result }) => result === "retry").map(({ retryInMs }) => retryInMs),
      [0, 500, 1000],
    );
  });

  it("pauses when the server stays away, with everybody still to be mailed (R31)", async () => {
    const script: Script = ({ command }) => (command === "connect" ? { end: "close" } : undefined);
    const summary = await run(await plan(script, smallCampaign(3)));
    assert.equal(summary.ending.kind, "account");
    assert.equal(summary.pending, 3);
    assert.equal(server.connections, quickPace.maxAttempts);
  });

  it("a greylisted recipient comes again after minutes while the others go on (R32)", async () => {
    const clock = new LeapingClock();
    const script: Script = ({ command, line, before }) =>
      command === "RCPT" && line.includes("person1@") && before < 4 ? { reply: "450 4.2.0 greylisted" } : undefined;
    const pace = { retryInitialDelay: 5000, retryMaxDelay: 300_000 };
    const summary = await run(await plan(script, smallCampaign(4), pace), clock);
    assert.deepEqual(summary.ending, { kind: "finished" });
    everyoneOnce(4);
    assert.equal(server.accepted.at(-1)?.to[0], "person1@example.com");
    assert.equal(events.find(({ result }) => result === "retry")?.retryInMs, 300_000);
  });

  it("gives a deferred recipient up after its attempts, and says so (R31)", async () => {
    const clock = new LeapingClock();
    const script: Script = ({ command, line }) =>
      command === "RCPT" && line.includes("person0@") ? { reply: "452 4.2.2 mailbox full" } : undefined;
    const summary = await run(await plan(script, smallCampaign(2)), clock);
    assert.equal(summary.failed, 1);
    assert.equal(summary.accepted, 1);
    assert.equal(events.filter(({ line }) => line === 1).length, quickPace.maxAttempts);
  });

  it("holds the whole account when it is throttled, and charges nobody for it", async () => {
    const clock = new LeapingClock();
    const script: Script = ({ command, before }) =>
      command === "MAIL" && before < 2 ? { reply: "450 4.7.1 too much mail" } : undefined;
    const planned = await plan(script, smallCampaign(2), { retryInitialDelay: 5000, retryMaxDelay: 300_000 });
    assert.deepEqual((await run(planned, clock)).ending, { kind: "finished" });
    everyoneOnce(2);
    const { recipients } = await readReport(planned);
    assert.deepEqual(
      recipients.map(({ attempts }) => attempts),
      [1, 1],
    );
    assert.ok(clock.slept.some((ms) => ms >= 15_000));
  });

  it("a lost reply is unknown, and no resume sends it again", async () => {
    const script: Script = ({ command, before }) =>
      command === "dot" && before === 1 ? { acceptThen: "close" } : undefined;
    const planned = await plan(script, smallCampaign(3));
    const summary = await run(planned);
    assert.deepEqual(summary.ending, { kind: "finished" });
    assert.equal(summary.unknown, 1);
    assert.deepEqual((await run(planned)).ending, { kind: "finished" });
    everyoneOnce(3);
    const { recipients } = await readReport(planned);
    assert.deepEqual(
      recipients.map(({ outcome }) => outcome),
      ["accepted", "unknown", "accepted"],
    );
  });

  it("stops at once for what would meet every message, and goes on from there", async () => {
    let refuse = true;
    const script: Script = ({ command, before }) =>
      command === "MAIL" && before === 1 && refuse
        ? { reply: "550 5.7.60 not permitted to send as this sender" }
        : undefined;
    const planned = await plan(script, smallCampaign(4));
    const summary = await run(planned);
    assert.equal(summary.ending.kind, "account");
    assert.equal(summary.accepted, 1);
    assert.equal(summary.pending, 3);
    refuse = false;
    assert.deepEqual((await run(planned)).ending, { kind: "finished" });
    everyoneOnce(4);
  });

  it("pauses after refusals in a row, with the reason", async () => {
    const script: Script = ({ command, before }) =>
      command === "RCPT" && before >= 2 ? { reply: "550 5.1.1 no such user" } : undefined;
    const summary = await run(await plan(script, smallCampaign(20), { pauseAfterFailures: 5 }));
    assert.ok(summary.ending.kind === "failures");
    assert.match(summary.ending.text, /5 messages in a row/);
    assert.deepEqual([summary.accepted, summary.failed, summary.pending], [2, 5, 13]);
  });

  it("over several connections nobody is mailed twice, whatever breaks", async () => {
    const script: Script = ({ command, before }) => {
      if (command === "MAIL" && before % 7 === 3) return { end: "reset" };
      if (command === "RCPT" && before % 11 === 5) return { reply: "451 4.3.0 try again" };
      if (command === "dot" && before % 13 === 6) return { acceptThen: "reset" };
      return undefined;
    };
    const clock = new LeapingClock();
    const planned = await plan(script, smallCampaign(60), { connections: 5, maxAttempts: 20 });
    const summary = await run(planned, clock);
    assert.deepEqual(summary.ending, { kind: "finished" });
    assert.equal(summary.accepted + summary.unknown, 60);
    for (const { address, outcome } of (await readReport(planned)).recipients)
      assert.equal(server.perRecipient.get(address), 1, `${address} is ${outcome}`);
    assert.ok(server.connections > 5);
  });

  it("a server that restarts under five connections counts as one trouble, not as five", async () => {
    let fallen = 0;
    const script: Script = ({ command, connection }) => {
      if (command !== "MAIL" || connection >= 5) return undefined;
      fallen++;
      return { end: "close" };
    };
    const summary = await run(await plan(script, smallCampaign(30), { connections: 5, maxAttempts: 3 }));
    assert.deepEqual(summary.ending, { kind: "finished" });
    assert.ok(fallen >= 2, String(fallen));
    everyoneOnce(30);
  });

  it("a limit ends the stretch exactly there, also over several connections", async () => {
    const planned = await plan(undefined, smallCampaign(20), { connections: 4 });
    const summary = await run(planned, systemClock, { limit: 7 });
    assert.deepEqual(summary.ending, { kind: "limit" });
    assert.equal(server.accepted.length, 7);
    assert.equal(summary.pending, 13);
    assert.deepEqual((await run(planned)).ending, { kind: "finished" });
    everyoneOnce(20);
  });

  it("stops after what is in flight, and the next stretch sends only the rest (R57)", async () => {
    const script: Script = ({ command, before }) => {
      if (command === "dot" && before === 2) stop.abort();
      return undefined;
    };
    const planned = await plan(script, smallCampaign(8));
    const summary = await run(planned);
    assert.deepEqual(summary.ending, { kind: "stopped" });
    assert.equal(summary.accepted, 3);
    stop = new AbortController();
    assert.deepEqual((await run(planned)).ending, { kind: "finished" });
    everyoneOnce(8);
  });

  it("whoever lost the lock while the server said 354 hands nothing over", async () => {
    const home = (): string => path.join(folder, "state", "campaigns", "0b0e7d3a-8f4e-4d52-9f0a-6f2f1f9e5a11", "real");
    const script: Script = async ({ command, before }) => {
      if (command === "DATA" && before === 1) {
        // As if this process had slept: another took the next generation over.
        const names = await import("node:fs/promises").then(({ readdir }) => readdir(home()));
        const newest = Math.max(...names.map((name) => Number(/^lock-(\d+)\.json$/.exec(name)?.[1] ?? 0)));
        await writeFile(path.join(home(), `lock-${String(newest + 1).padStart(6, "0")}.json`), "{}");
      }
      return undefined;
    };
    const summary = await run(await plan(script, smallCampaign(4)));
    assert.equal(summary.ending.kind, "locked");
    assert.equal(server.accepted.length, 1);
  });

  it("does not start while somebody else holds the campaign", async () => {
    const planned = await plan(undefined, smallCampaign(2));
    const lock = await acquireLock(path.dirname(planned.directory), systemClock, { takeOver: false, atLeast: 1 });
    assert.ok(lock.kind === "held");
    assert.equal((await run(planned)).ending.kind, "locked");
    assert.equal(server.connections, 0);
    await lock.release();
    assert.deepEqual((await run(planned)).ending, { kind: "finished" });
  });

  it("asks the suppression list right before every message (R59)", async () => {
    const suppressed = path.join(folder, "gone.csv");
    const script: Script = async ({ command, before }) => {
      if (command === "dot" && before === 0)
        await writeFile(suppressed, "email\nnobody@example.org\nPerson2@example.com\n");
      return undefined;
    };
    const files = { ...smallCampaign(4, "suppress: gone.csv\n"), "gone.csv": "email\nnobody@example.org\n" };
    const summary = await run(await plan(script, files));
    assert.deepEqual(summary.ending, { kind: "finished" });
    assert.deepEqual([summary.accepted, summary.skipped, summary.pending], [3, 1, 0]);
    assert.ok(!server.perRecipient.has("person2@example.com"));
  });

  it("asks it for copies too: who left in the middle gets no cc any more (R59, R60)", async () => {
    const suppressed = path.join(folder, "gone.csv");
    const script: Script = async ({ command, before }) => {
      if (command === "dot" && before === 0)
        await writeFile(suppressed, "email\nnobody@example.org\noffice@example.org\n");
      return undefined;
    };
    const keys = "suppress: gone.csv\ncc: office@example.org\n";
    const files = { ...smallCampaign(3, keys), "gone.csv": "email\nnobody@example.org\n" };
    assert.deepEqual((await run(await plan(script, files))).ending, { kind: "finished" });
    assert.equal(server.perRecipient.get("office@example.org"), 1);
    assert.equal(server.accepted.length, 3);
  });

  it("breaks off when an attachment is no longer what was confirmed (R53)", async () => {
    const script: Script = async ({ command, before }) => {
      if (command === "connect" && before === 0) await writeFile(path.join(folder, "b.txt"), "changed");
      return undefined;
    };
    const files = { ...smallCampaign(2, `attachments:\n  - "{{ file }}"\n`), "a.txt": "a", "b.txt": "b" };
    const list = "email,name,number,file\nperson0@example.com,P,0,a.txt\nperson1@example.com,P,1,b.txt\n";
    const summary = await run(await plan(script, { ...files, "people.csv": list }));
    assert.ok(summary.ending.kind === "broken");
    assert.match(summary.ending.text, /attachment has changed/);
    assert.equal(server.accepted.length, 1);
  });

  it("sends every row's own values though the list is rewritten in the middle (R57)", async () => {
    const script: Script = async ({ command, before }) => {
      if (command === "dot" && before === 1) {
        const rows = Array.from(
          { length: 6 },
          (_, i) => `person${String(5 - i)}@example.com,Somebody,${String(100 + i)}`,
        );
        await writeFile(path.join(folder, "people.csv"), `email,name,number\n${rows.join("\n")}\n`);
      }
      return undefined;
    };
    await run(await plan(script, smallCampaign(6)));
    for (const { to, source } of server.accepted)
      assert.match(source, new RegExp(`Subject: Number ${/\d+/.exec(to[0] ?? "")?.[0] ?? "?"}\\r\\n`));
    everyoneOnce(6);
  });

  it("the last run's state is told without taking its lock", async () => {
    const planned = await plan(undefined, smallCampaign(3));
    const about = [path.join(folder, "state"), planned.campaignId, "real"] as const;
    assert.equal((await lastRun(...about))?.state, "interrupted");
    await run(planned, systemClock, { limit: 1 });
    const interrupted = await lastRun(...about);
    assert.deepEqual(interrupted?.totals, { accepted: 1, failed: 0, unknown: 0, skipped: 0, pending: 2 });
    await run(planned);
    assert.equal((await lastRun(...about))?.state, "finished");
  });
});

import assert from "node:assert/strict";
import { setImmediate as macrotask } from "node:timers/promises";
import type { Fate } from "../../src/mail/journal";
import type { Entry } from "../../src/mail/preflight";
import { RecipientQueue, type Mailable } from "../../src/mail/recipientQueue";
import { FakeClock } from "../fakes/fakeClock";

/** Counts the sleeps, and shows how long each would be. */
class CountingClock extends FakeClock {
  readonly sleeps: number[] = [];

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.sleeps.push(ms);
    return super.sleep(ms, signal);
  }
}

const row = { values: [], line: 1, endLine: 1 };

function mail(name: string): Mailable {
  const address = `${name}@example.org`;
  return { kind: "mail", row, to: { name: "", address }, identity: address, key: undefined };
}

function fate(outcome: Fate["outcome"], next = 0): Fate {
  return { outcome, attempts: 1, next };
}

describe("recipient queue", () => {
  let clock: CountingClock;
  let rest: AbortController;
  let idle: number;
  let closed: boolean;

  beforeEach(() => {
    clock = new CountingClock();
    rest = new AbortController();
    idle = 0;
    closed = false;
  });

  function queueOf(entries: Iterable<Entry> | AsyncIterable<Entry>, fates = new Map<string, Fate>()): RecipientQueue {
    async function* list(): AsyncGenerator<Entry> {
      try {
        yield* entries;
      } finally {
        closed = true;
      }
    }
    return new RecipientQueue(list(), fates, clock, rest.signal, () => idle++);
  }

  /** The names of all that come, each settled at once. */
  async function drain(queue: RecipientQueue): Promise<readonly string[]> {
    const names: string[] = [];
    for (let entry = await queue.take(); entry !== undefined; entry = await queue.take()) {
      names.push(nameOf(entry));
      queue.done(entry);
    }
    return names;
  }

  /** What a promise has come to, without waiting for it. */
  async function now(taking: Promise<Mailable | undefined>): Promise<string> {
    let state = "waits";
    void taking.then((entry) => (state = entry === undefined ? "nobody" : nameOf(entry)));
    for (let i = 0; i < 5; i++) await macrotask();
    return state;
  }

  function nameOf(entry: Mailable): string {
    return entry.to.address.split("@")[0] ?? "";
  }

  it("hands out the list in its order and then ends", async () => {
    assert.deepEqual(await drain(queueOf(["a", "b", "c"].map(mail))), ["a", "b", "c"]);
    assert.deepEqual(clock.sleeps, []);
    assert.equal(closed, true);
  });

  it("ends at once on an empty list", async () => {
    assert.equal(await queueOf([]).take(), undefined);
  });

  it("hands out only who can be mailed and is not settled (R57)", async () => {
    const problems: Entry[] = [
      { kind: "invalid", row, address: "x", identity: "x", problems: [] },
      { kind: "skipped", row, address: "y", identity: "y", reason: "suppressed" },
    ];
    const names = ["a", "b", "c", "d", "e", "f", "g"];
    const outcomes = ["accepted", "failed", "unknown", "skipped", "doubt", "pending"] as const;
    const fates = new Map(outcomes.map((outcome, index) => [mail(names[index] ?? "").identity, fate(outcome)]));
    assert.deepEqual(await drain(queueOf([...problems, ...names.map(mail)], fates)), ["f", "g"]);
  });

  it("asks the fates when the turn comes, not when the run began", async () => {
    const fates = new Map<string, Fate>();
    const queue = queueOf(["a", "b"].map(mail), fates);
    const first = await queue.take();
    assert.ok(first);
    fates.set(mail("b").identity, fate("skipped"));
    queue.done(first);
    assert.equal(await queue.take(), undefined);
  });

  it("gives every recipient to one taker only", async () => {
    const all = Array.from({ length: 200 }, (_, index) => `r${String(index)}`);
    const queue = queueOf(all.map(mail));
    const lanes = await Promise.all(Array.from({ length: 7 }, () => drain(queue)));
    assert.deepEqual(lanes.flat().sort(), [...all].sort());
  });

  it("never has one identity on its way twice, even if the list does", async () => {
    const queue = queueOf(["a", "a", "b"].map(mail));
    const [first, second] = [await queue.take(), await queue.take()];
    assert.deepEqual(
      [first, second].map((entry) => entry && nameOf(entry)),
      ["a", "b"],
    );
    assert.ok(first && second);
    queue.back(first);
    queue.done(second);
    assert.deepEqual(await drain(queue), ["a"]);
  });

  it("serves who comes again before the rest of the list, and the earliest first", async () => {
    const queue = queueOf(["a", "b", "c", "d"].map(mail));
    const [a, b, c] = [await queue.take(), await queue.take(), await queue.take()];
    assert.ok(a && b && c);
    queue.back(a, clock.now() + 1000);
    queue.back(b, clock.now() - 5);
    queue.back(c);
    assert.deepEqual(
      [await queue.take(), await queue.take(), await queue.take()].map((one) => one && nameOf(one)),
      ["c", "b", "d"],
    );
  });

  it("keeps those of one moment in their order", async () => {
    const queue = queueOf(["a", "b", "c"].map(mail));
    const taken = [await queue.take(), await queue.take(), await queue.take()];
    for (const entry of taken) if (entry !== undefined) queue.back(entry, 7);
    assert.deepEqual(await drain(queue), ["a", "b", "c"]);
  });

  it("lets a deferred recipient wait until its time, while the others go on", async () => {
    const queue = queueOf(["a", "b"].map(mail));
    const a = await queue.take();
    assert.ok(a);
    queue.back(a, clock.now() + 300_000);
    const b = await queue.take();
    assert.ok(b);
    assert.equal(nameOf(b), "b");
    queue.done(b);
    const again = queue.take();
    assert.equal(await now(again), "waits");
    clock.advance(299_999);
    assert.equal(await now(again), "waits");
    clock.advance(1);
    assert.equal(await now(again), "a");
  });

  it("resumes a deferral at the time that the journal names", async () => {
    const due = clock.now() + 60_000;
    const queue = queueOf(["a", "b"].map(mail), new Map([[mail("a").identity, fate("pending", due)]]));
    const b = await queue.take();
    assert.ok(b);
    assert.equal(nameOf(b), "b");
    queue.done(b);
    const a = queue.take();
    assert.equal(await now(a), "waits");
    clock.advance(60_000);
    assert.equal(await now(a), "a");
  });

  it("does not turn in circles while it waits, and looks at the clocks once a minute", async () => {
    const queue = queueOf([mail("a")]);
    const a = await queue.take();
    assert.ok(a);
    queue.back(a, clock.now() + 90_000);
    const again = queue.take();
    await now(again);
    assert.deepEqual(clock.sleeps, [60_000]);
    clock.advance(60_000);
    await now(again);
    clock.advance(30_000);
    assert.equal(await now(again), "a");
    assert.deepEqual(clock.sleeps, [60_000, 30_000]);
  });

  it("says once that everybody left has to wait, and only then", async () => {
    const queue = queueOf(["a", "b"].map(mail));
    const [a, b] = [await queue.take(), await queue.take()];
    assert.ok(a && b);
    queue.back(a, clock.now() + 1000);
    const third = queue.take();
    await now(third);
    assert.equal(idle, 0, "b is still on its way");
    queue.done(b);
    await now(third);
    assert.equal(idle, 1);
  });

  it("waits for those on their way: they may come back", async () => {
    const queue = queueOf([mail("a")]);
    const a = await queue.take();
    assert.ok(a);
    const second = queue.take();
    assert.equal(await now(second), "waits");
    queue.back(a);
    assert.equal(await now(second), "a");
  });

  it("ends for every taker when the last one is settled", async () => {
    const queue = queueOf([mail("a")]);
    const a = await queue.take();
    assert.ok(a);
    const others = [queue.take(), queue.take(), queue.take()];
    assert.deepEqual(await Promise.all(others.map(now)), ["waits", "waits", "waits"]);
    queue.done(a);
    assert.deepEqual(await Promise.all(others), [undefined, undefined, undefined]);
  });

  it("notices who comes back while the end of the list is being read", async () => {
    let endList = (): void => {};
    const end = new Promise<void>((resolve) => (endList = resolve));
    async function* slow(): AsyncGenerator<Entry> {
      yield mail("a");
      await end;
    }
    const queue = queueOf(slow());
    const a = await queue.take();
    assert.ok(a);
    const second = queue.take();
    assert.equal(await now(second), "waits");
    queue.back(a);
    endList();
    assert.equal(await now(second), "a");
  });

  it("hands out nobody once the run rests, whoever waits", async () => {
    const queue = queueOf(["a", "b"].map(mail));
    const [a, b] = [await queue.take(), await queue.take()];
    assert.ok(a && b);
    queue.back(a, clock.now() + 1000);
    const waiting = [queue.take(), queue.take()];
    assert.deepEqual(await Promise.all(waiting.map(now)), ["waits", "waits"]);
    rest.abort();
    assert.deepEqual(await Promise.all(waiting), [undefined, undefined]);
    assert.equal(await queue.take(), undefined);
  });

  it("rests although it was told so while the list was being read", async () => {
    let endList = (): void => {};
    const end = new Promise<void>((resolve) => (endList = resolve));
    async function* slow(): AsyncGenerator<Entry> {
      yield mail("a");
      await end;
    }
    const queue = queueOf(slow());
    await queue.take();
    const second = queue.take();
    assert.equal(await now(second), "waits");
    rest.abort();
    endList();
    assert.equal(await now(second), "nobody");
  });

  it("takes a list that throws because it was told to stop for one that stopped", async () => {
    async function* stopped(): AsyncGenerator<Entry> {
      yield mail("a");
      await new Promise<void>((resolve) => rest.signal.addEventListener("abort", () => resolve()));
      rest.signal.throwIfAborted();
    }
    const queue = queueOf(stopped());
    await queue.take();
    const second = queue.take();
    await now(second);
    rest.abort();
    assert.equal(await second, undefined);
    await queue.close();
  });

  it("passes on what else goes wrong with the list", async () => {
    async function* broken(): AsyncGenerator<Entry> {
      yield mail("a");
      await macrotask();
      throw new Error("the disk is gone");
    }
    const queue = queueOf(broken());
    await queue.take();
    await assert.rejects(queue.take(), /the disk is gone/);
    await queue.close();
  });

  it("closes the list, also in its middle", async () => {
    const queue = queueOf(["a", "b"].map(mail));
    await queue.take();
    assert.equal(closed, false);
    await queue.close();
    assert.equal(closed, true);
  });

  it("stays quick with very many that wait", async () => {
    const count = 130_000;
    const due = clock.now() + 1000;
    const names = Array.from({ length: count }, (_, index) => mail(`r${String(index)}`));
    const queue = queueOf(names, new Map(names.map(({ identity }) => [identity, fate("pending", due)])));
    const first = queue.take();
    while (clock.nextWakeMs === undefined) await macrotask();
    clock.advance(1000);
    assert.equal(await now(first), "r0");
  });
});

import assert from "node:assert/strict";
import { constants, readFileSync } from "node:fs";
import { appendFile, mkdtemp, open, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { JournalError } from "../../src/mail/journal";
import { mailboxDirectory, mailboxOf, QuotaLedger, readUsage } from "../../src/mail/quota";
import { SteadyTime } from "../../src/mail/steadyTime";
import { FakeClock } from "../fakes/fakeClock";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** Ages are taken a second too young after a restart: the clock since the boot may count whole seconds. */
const grain = 1_000;
const none = { perMinute: 0, perHour: 0, perDay: 0 };

describe("quota (R23)", () => {
  let state: string;
  let directory: string;
  let file: string;
  let clock: FakeClock;
  const ledgers: QuotaLedger[] = [];

  beforeEach(async () => {
    state = await mkdtemp(path.join(tmpdir(), "quota-"));
    directory = mailboxDirectory(state, "gmail me@example.org");
    file = path.join(directory, "ledger.jsonl");
    clock = new FakeClock();
  });

  afterEach(async () => {
    await closeAll();
    await rm(state, { recursive: true });
  });

  async function ledger(): Promise<QuotaLedger> {
    const opened = await QuotaLedger.open(directory, clock);
    ledgers.push(opened);
    return opened;
  }

  async function closeAll(): Promise<void> {
    await Promise.all(ledgers.splice(0).map((one) => one.close()));
  }

  /** The ledger as the next process finds it. */
  async function restarted(): Promise<QuotaLedger> {
    await closeAll();
    return ledger();
  }

  function send(from: QuotaLedger, recipients: number): void {
    from.take(recipients).commit();
  }

  it("is one for all accounts of a provider and user, whatever their ids and the case", () => {
    const account = { id: "work", provider: "gmail", host: "smtp.gmail.com", user: "Me@Example.org" };
    assert.equal(mailboxOf(account), mailboxOf({ ...account, id: "other", user: " me@example.ORG" }));
    assert.notEqual(mailboxOf(account), mailboxOf({ ...account, user: "you@example.org" }));
    const custom = { ...account, provider: "custom", host: "Mail.Example.org" };
    assert.equal(mailboxOf(custom), mailboxOf({ ...custom, host: "mail.example.org" }));
    assert.notEqual(mailboxOf(custom), mailboxOf({ ...custom, host: "mail2.example.org" }));
    assert.notEqual(mailboxOf({ ...account, user: "" }), mailboxOf({ ...account, user: "", id: "other" }));
  });

  it("is one however a Gmail address is written, and not so elsewhere", () => {
    const account = { id: "work", provider: "gmail", host: "smtp.gmail.com", user: "ada@gmail.com" };
    for (const user of ["a.da@gmail.com", "Ada@GoogleMail.com", " a.d.a@googlemail.com "])
      assert.equal(mailboxOf({ ...account, user }), mailboxOf(account), user);
    for (const user of ["adam@gmail.com", "ada@example.org", "ada@gmail.com.example.org", "ada"])
      assert.notEqual(mailboxOf({ ...account, user }), mailboxOf(account), user);
    const own = { ...account, user: "ada@example.org" };
    assert.notEqual(mailboxOf({ ...own, user: "a.da@example.org" }), mailboxOf(own));
  });

  it("lies in a folder that tells nobody whose it is, and that nobody else can enter", async () => {
    assert.match(path.relative(state, directory), /^mailboxes[/\\][0-9a-f]{32}$/);
    send(await ledger(), 1);
    const mode = async (name: string): Promise<number> => (await stat(name)).mode & 0o777;
    if (process.platform !== "win32")
      assert.deepEqual(
        [await mode(path.dirname(directory)), await mode(directory), await mode(file)],
        [0o700, 0o700, 0o600],
      );
    assert.doesNotMatch(await readFile(file, "utf8"), /example/);
  });

  it("has a message on file before its commitment returns", async () => {
    const reservation = (await ledger()).take(3);
    assert.equal(readFileSync(file, "utf8"), "");
    reservation.commit();
    assert.match(readFileSync(file, "utf8"), /^[0-9a-f]{8} \{.*"n":3\}\n$/);
  });

  it("counts messages a minute and an hour, and recipients a day", async () => {
    const open = await ledger();
    send(open, 5);
    assert.equal(open.waitMs({ ...none, perMinute: 1 }, 1), minute);
    assert.equal(open.waitMs({ ...none, perHour: 1 }, 1), hour);
    assert.equal(open.waitMs({ ...none, perDay: 6 }, 1), 0);
    assert.equal(open.waitMs({ ...none, perDay: 6 }, 2), day);
    assert.equal(open.waitMs({ ...none, perDay: 6 }, 7), Infinity);
    assert.equal(open.waitMs(none, 1_000_000), 0);
    clock.advance(minute);
    assert.equal(open.waitMs({ perMinute: 1, perHour: 2, perDay: 6 }, 1), 0);
    assert.equal(open.usedToday, 5);
    assert.equal(open.soonestFreeMs, day - minute);
    clock.advance(day - minute);
    assert.equal(open.usedToday, 0);
    assert.equal(open.soonestFreeMs, 0);
  });

  it("gives a place to one lane only, from the moment it is taken", async () => {
    const open = await ledger();
    const limits = { perMinute: 2, perHour: 0, perDay: 3 };
    const first = open.take(2);
    assert.equal(open.waitMs(limits, 2), day);
    assert.equal(open.waitMs(limits, 1), 0);
    const second = open.take(1);
    assert.equal(open.waitMs({ ...limits, perDay: 0 }, 1), minute);
    second.giveBack();
    second.giveBack();
    assert.equal(open.waitMs(limits, 1), 0);
    assert.throws(() => second.commit());
    first.commit();
    first.commit();
    first.giveBack();
    assert.equal(open.usedToday, 2, "a committed one is never returned, nor counted twice");
  });

  it("counts a slow message from its commitment, not from its turn", async () => {
    const open = await ledger();
    const slow = open.take(1);
    clock.advance(50_000);
    slow.commit();
    assert.equal(open.waitMs({ ...none, perMinute: 1 }, 1), minute);
  });

  it("is kept across restarts, and dropped after a day with a new file", async () => {
    send(await ledger(), 2);
    clock.advance(hour);
    send(await restarted(), 3);
    clock.advance(hour);
    assert.equal((await restarted()).usedToday, 5);
    clock.advance(22 * hour + grain);
    assert.equal((await restarted()).usedToday, 3);
    assert.equal((await readFile(file, "utf8")).trimEnd().split("\n").length, 1);
    assert.deepEqual(await readdir(directory), ["ledger.jsonl"]);
    clock.advance(hour);
    assert.equal((await restarted()).usedToday, 0);
    assert.equal(await readFile(file, "utf8"), "");
  });

  it("counts after a kill what a closed ledger would: nothing waits in memory", async () => {
    for (let i = 0; i < 20; i++) send(await ledger(), 1);
    assert.equal((await ledger()).usedToday, 20);
  });

  it("frees nothing when the wall clock runs back or jumps ahead, in a run or between two", async () => {
    const open = await ledger();
    send(open, 1);
    for (const jump of [30 * day, -60 * day]) {
      clock.setWall(jump);
      assert.equal(open.usedToday, 1);
      assert.equal(open.waitMs({ ...none, perDay: 1 }, 1), day);
      assert.equal((await restarted()).waitMs({ ...none, perDay: 1 }, 1), day);
    }
    clock.advance(day + grain);
    assert.equal((await restarted()).usedToday, 0);
  });

  it("goes by the wall clock from one boot to the next, where a stamp from the future is as young as can be", async () => {
    send(await ledger(), 1);
    clock.reboot(23 * hour);
    assert.equal((await restarted()).waitMs({ ...none, perDay: 1 }, 1), hour + grain);
    clock.setWall(-365 * day);
    clock.reboot(2 * hour);
    assert.equal((await restarted()).waitMs({ ...none, perDay: 1 }, 1), hour + grain);
    clock.setWall(-365 * day);
    assert.equal((await restarted()).usedToday, 1);
    clock.advance(hour + grain);
    assert.equal((await restarted()).usedToday, 0, "and does not stay young for years");
  });

  it("counts the hours that the machine slept", async () => {
    const open = await ledger();
    send(open, 1);
    clock.suspend(day);
    clock.advance(3_000);
    assert.equal(open.usedToday, 0);
  });

  it("has a steady time that never runs ahead of the real one, and is behind by two seconds a sleep at most (property)", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ awake: fc.integer({ min: 0, max: 5_000 }), asleep: fc.constantFrom(0, 0, 0, 5_000, hour) }),
          { maxLength: 50 },
        ),
        fc.boolean(),
        (steps, isCoarse) => {
          class Coarse extends FakeClock {
            override boot(): { readonly id: string; readonly ms: number } {
              const { id, ms } = super.boot();
              return { id, ms: isCoarse ? Math.floor(ms / 1000) * 1000 : ms };
            }
          }
          const hands = new Coarse();
          hands.advance(1_234);
          const time = new SteadyTime(hands);
          const [from, began] = [time.now(), hands.passed];
          let sleeps = 0;
          let before = from;
          for (const { awake, asleep } of steps) {
            hands.suspend(asleep);
            if (asleep > 0) sleeps++;
            hands.advance(awake);
            const steady = time.now();
            assert.ok(steady >= before, "ran back");
            before = steady;
            assert.ok(steady - from <= hands.passed - began, "ran ahead");
          }
          hands.advance(1_000);
          assert.ok(hands.passed - began - (time.now() - from) <= 2_000 * sleeps + 1e-6, "fell behind");
        },
      ),
    );
  });

  describe("damage", () => {
    it("ignores a torn last line, which nobody sent on, and cuts it", async () => {
      send(await ledger(), 2);
      const whole = await readFile(file);
      await closeAll();
      for (const length of [1, 9, 40]) {
        await appendFile(file, whole.subarray(0, length));
        const usage = await readUsage(directory, clock);
        assert.deepEqual([...usage.recipients], [2]);
        assert.equal((await restarted()).usedToday, 2);
        assert.deepEqual(await readFile(file), whole);
      }
      send(ledgers[0]!, 1);
      assert.equal((await restarted()).usedToday, 3);
    });

    it("counts a damaged line as a message to as many as any had, as young as the next line, and mends the file", async () => {
      const open = await ledger();
      send(open, 4);
      clock.advance(hour);
      send(open, 1);
      clock.advance(hour);
      send(open, 1);
      await closeAll();
      const bytes = await readFile(file);
      // A digit of the second line's time.
      const at = bytes.indexOf(0x0a) + 20;
      bytes[at] = bytes[at]! ^ 1;
      await writeFile(file, bytes);
      const mended = await ledger();
      assert.equal(mended.usedToday, 9);
      assert.equal(mended.waitMs({ ...none, perHour: 2 }, 1), hour, "as young as the line behind it");
      assert.equal((await restarted()).usedToday, 9);
      assert.doesNotMatch(await readFile(file, "utf8"), /\0/);
    });

    it("counts what a block of zeros swallowed, at least", async () => {
      const open = await ledger();
      for (let i = 0; i < 100; i++) send(open, 1);
      await closeAll();
      const bytes = await readFile(file);
      bytes.fill(0, 1_000, 5_096);
      await writeFile(file, bytes);
      const used = (await ledger()).usedToday;
      assert.ok(used >= 100 && used <= 125, String(used));
    });

    it("never counts less than was sent, and stays readable, wherever one byte is damaged (property)", async function () {
      this.timeout(60_000);
      const open = await ledger();
      for (const recipients of [1, 2, 2, 1]) {
        send(open, recipients);
        clock.advance(1_000);
      }
      await closeAll();
      const whole = await readFile(file);
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 0, max: whole.length - 1 }),
          fc.integer({ min: 1, max: 255 }),
          async (at, mask) => {
            const bytes = Buffer.from(whole);
            bytes[at] = bytes[at]! ^ mask;
            await writeFile(file, bytes);
            const { recipients } = await readUsage(directory, clock);
            assert.ok(recipients.length >= 4 && recipients.reduce((sum, one) => sum + one, 0) >= 6);
          },
        ),
      );
    });

    it("is not led astray by a line that is no stamp, whatever its checksum says", async () => {
      await ledger();
      await closeAll();
      for (const json of ["null", '{"at":"now"}', "[]", '{"at":1,"boot":"x","ms":null,"n":1}'])
        await appendFile(file, `${crc32(json).toString(16).padStart(8, "0")} ${json}\n`);
      assert.equal((await ledger()).usedToday, 4);
    });

    it("throws when the disk does not take a commitment, and goes on refusing", async function () {
      // A ledger that is a device without any room.
      const full = await open("/dev/full", constants.O_WRONLY).catch(() => undefined);
      if (full === undefined) return this.skip();
      const opened = await ledger();
      const { descriptor } = opened as unknown as { descriptor: number };
      Object.assign(opened, { descriptor: full.fd });
      try {
        const reservation = opened.take(1);
        for (let i = 0; i < 2; i++)
          assert.throws(
            () => reservation.commit(),
            (error) => error instanceof JournalError && /ENOSPC.*Free space/.test(error.message),
          );
        assert.equal(opened.usedToday, 1, "it counts until it is given back");
      } finally {
        Object.assign(opened, { descriptor });
        await full.close();
      }
    });

    it("commits nothing once it is closed", async () => {
      const opened = await ledger();
      const reservation = opened.take(1);
      await closeAll();
      assert.throws(() => reservation.commit(), JournalError);
    });
  });

  it("is looked at without a lease and without a trace, also where there is none", async () => {
    assert.deepEqual([...(await readUsage(directory, clock)).at], []);
    assert.deepEqual(await readdir(state), []);
    const opened = await ledger();
    send(opened, 2);
    clock.advance(hour);
    send(opened, 1);
    const before = await readFile(file);
    const usage = await readUsage(directory, clock);
    assert.deepEqual([...usage.recipients], [2, 1]);
    assert.deepEqual(
      [...usage.at].map((at) => clock.now() - at),
      [hour - grain, 0],
    );
    assert.deepEqual([...opened.usage.at], [clock.now() - hour, clock.now()]);
    assert.deepEqual(await readFile(file), before);
  });

  it("holds a hundred thousand messages a day and answers as it does with few", async function () {
    this.timeout(60_000);
    const many = await ledger();
    const each = 800;
    for (let i = 0; i < 100_000; i++) {
      send(many, (i % 3) + 1);
      clock.advance(each);
    }
    assert.equal(many.usedToday, 199_999);
    const oldest = 100_000 * each;
    assert.equal(many.waitMs({ ...none, perDay: 199_999 }, 1), day - oldest);
    assert.equal(many.waitMs({ ...none, perDay: 199_999 }, 4), day - oldest + 2 * each);
    assert.equal(many.waitMs({ ...none, perHour: 4_500 }, 1), 0);
    assert.equal(many.waitMs({ ...none, perHour: 4_499 }, 1), each);
    const again = await restarted();
    assert.equal(again.usedToday, 199_999);
    assert.equal(again.waitMs({ ...none, perDay: 199_999 }, 4), day - oldest + 2 * each + grain);
  });

  it("exceeds no limit in any rolling window: any commitments, sleeps, boots, kills and jumps of the clock (property)", async function () {
    this.timeout(60_000);
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          perMinute: fc.integer({ min: 0, max: 4 }),
          perHour: fc.integer({ min: 0, max: 8 }),
          perDay: fc.integer({ min: 3, max: 20 }),
        }),
        fc.array(
          fc.oneof(
            {
              weight: 8,
              arbitrary: fc.record({ do: fc.constant("send" as const), n: fc.integer({ min: 1, max: 3 }) }),
            },
            {
              weight: 4,
              arbitrary: fc.record({ do: fc.constant("settle" as const), n: fc.integer({ min: 0, max: 9 }) }),
            },
            {
              weight: 3,
              arbitrary: fc.record({ do: fc.constant("advance" as const), n: fc.integer({ min: 0, max: 20 * hour }) }),
            },
            {
              weight: 3,
              arbitrary: fc.record({ do: fc.constant("advance" as const), n: fc.integer({ min: 0, max: 2 * minute }) }),
            },
            fc.record({ do: fc.constant("suspend" as const), n: fc.integer({ min: 0, max: 30 * hour }) }),
            fc.record({ do: fc.constant("set" as const), n: fc.integer({ min: -50 * hour, max: 50 * hour }) }),
            fc.record({ do: fc.constant("kill" as const), n: fc.constant(0) }),
            fc.record({ do: fc.constant("boot" as const), n: fc.integer({ min: 0, max: 30 * hour }) }),
          ),
          { minLength: 20, maxLength: 80 },
        ),
        async (limits, steps) => {
          clock = new FakeClock();
          directory = mailboxDirectory(state, `run ${++runs}`);
          let opened = await ledger();
          const left: { at: number; n: number }[] = [];
          let held: { n: number; reservation: ReturnType<QuotaLedger["take"]> }[] = [];
          /** How wrong the wall clock is, now and when something was last written. */
          let [wrong, wrongAtLast] = [0, 0];
          for (const { do: what, n } of steps) {
            if (what === "advance") clock.advance(n);
            if (what === "suspend") clock.suspend(n);
            if (what === "set") {
              clock.setWall(n);
              wrong += n;
            }
            if (what === "boot") {
              // Between two boots there is the wall clock only: a lie ahead that began after the last line is believed.
              if (wrong > wrongAtLast) clock.setWall(wrongAtLast - wrong);
              wrong = Math.min(wrong, wrongAtLast);
              clock.reboot(n);
            }
            if (what === "boot" || what === "kill") {
              held = [];
              opened = await ledger();
              if (what === "boot") wrongAtLast = wrong;
            }
            if (what === "send") {
              if (opened.waitMs(limits, n) > 0) continue;
              held.push({ n, reservation: opened.take(n) });
            }
            if (what === "settle") {
              const [one] = held.splice(n % Math.max(1, held.length), 1);
              if (one === undefined) continue;
              if (n === 9) one.reservation.giveBack();
              else {
                one.reservation.commit();
                wrongAtLast = wrong;
                left.push({ at: clock.passed, n: one.n });
              }
            }
          }
          const most = (window: number, weigh: (one: { n: number }) => number): number =>
            Math.max(
              0,
              ...left.map(({ at }) =>
                left.filter((one) => one.at >= at && one.at < at + window).reduce((sum, one) => sum + weigh(one), 0),
              ),
            );
          if (limits.perMinute > 0) assert.ok(most(minute, () => 1) <= limits.perMinute, "too many a minute");
          if (limits.perHour > 0) assert.ok(most(hour, () => 1) <= limits.perHour, "too many an hour");
          assert.ok(most(day, ({ n }) => n) <= limits.perDay, "too many a day");
          await closeAll();
        },
      ),
    );
  });
});

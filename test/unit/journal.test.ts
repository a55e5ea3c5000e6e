import assert from "node:assert/strict";
import { appendFileSync, closeSync, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { placeOf } from "../../src/mail/fates";
import { History, Journal, JournalError, readHistory, type Fate, type JournalRecord } from "../../src/mail/journal";
import { JournalDetails, type FateDetails } from "../../src/mail/journalDetails";

type Step = JournalRecord extends infer R ? (R extends { t: "hdr" } ? never : R) : never;

const header = { campaignId: "c", runId: "r", generation: 1, at: 1, host: "h" };
const k = "bob@example.org";

const attempt = (n = 1, identity = k): Step => ({
  t: "attempt",
  k: identity,
  n,
  id: `<${String(n)}@example.com>`,
  at: 10,
});
const data = (n = 1, identity = k): Step => ({ t: "data", k: identity, n, at: 11 });
const ok = (identity = k): Step => ({ t: "ok", k: identity, reply: "250 Ok", ms: 5, at: 12 });
const defer = (next = 99, counts = true, identity = k): Step => ({
  t: "defer",
  k: identity,
  class: "deferred",
  reply: "450 later",
  next,
  counts,
  at: 13,
});
const fail = (identity = k): Step => ({ t: "fail", k: identity, class: "recipient", reply: "550 no", ms: 6, at: 14 });
const unknown = (identity = k): Step => ({ t: "unknown", k: identity, why: "no reply", at: 15 });
const skip = (identity = k): Step => ({ t: "skip", k: identity, why: "suppressed", at: 16 });
const resolve = (as: "sent" | "retry", identity = k): Step => ({ t: "resolve", k: identity, as, at: 17 });
const control = (what: "start" | "stop" | "finish"): Step => ({ t: "ctl", what, at: 18 });

describe("journal (R57)", function () {
  // Much here is read back from a disk that may be busy.
  this.timeout(60_000);
  let directory: string;
  const open: Journal[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "journal-"));
  });

  afterEach(async () => {
    await Promise.all(open.splice(0).map((journal) => journal.close()));
    await rm(directory, { recursive: true });
  });

  async function openJournal(generation = 1): Promise<Journal> {
    const journal = await Journal.open(directory, { ...header, generation });
    open.push(journal);
    return journal;
  }

  /** Writes a segment of its own with these records. */
  async function write(generation: number, ...records: readonly Step[]): Promise<void> {
    const journal = await openJournal(generation);
    for (const record of records) journal.append(record);
  }

  function fileOf(generation: number): string {
    return path.join(directory, `journal-${String(generation).padStart(6, "0")}.jsonl`);
  }

  /** What becomes of one recipient after these records. */
  async function fateAfter(...records: readonly Step[]): Promise<Fate> {
    await write(1, ...records);
    const fate = (await readHistory(directory)).fates.get(k);
    assert.ok(fate !== undefined);
    return fate;
  }

  /** What the journal keeps of somebody for a report. */
  async function details(identity = k): Promise<FateDetails | undefined> {
    const reader = new JournalDetails(directory, (await readHistory(directory)).fates);
    try {
      return reader.of(identity);
    } finally {
      reader.close();
    }
  }

  function rawLine(record: object): string {
    const json = JSON.stringify(record);
    return `${crc32(json).toString(16).padStart(8, "0")} ${json}\n`;
  }

  describe("records", () => {
    it("are lines of CRC, space, JSON and line feed, and the first one is the header", async () => {
      await write(1, attempt(), data());
      const text = await readFile(fileOf(1), "utf8");
      assert.equal(text, [{ t: "hdr", v: 1, ...header }, attempt(), data()].map(rawLine).join(""));
      assert.match(text, /^(?:[0-9a-f]{8} \{.*\}\n){3}$/);
    });

    it("come back as they were, whatever is in them", async () => {
      const nasty = `é "\\ \u0000\u2028\n\r {"t":"ok"} ${"x".repeat(5000)}`;
      const journal = await openJournal();
      journal.append({ t: "attempt", k: nasty, n: 3, id: nasty, at: 1 });
      journal.append({ t: "ok", k: nasty, reply: nasty, serverId: nasty, ms: 1, at: 2 });
      const { fates } = await readHistory(directory);
      assert.deepEqual([...fates.keys()], [nasty]);
      assert.deepEqual(fates.get(nasty), { outcome: "accepted", attempts: 3, next: 0 });
      assert.equal((await details(nasty))?.reply, nasty);
      assert.equal((await details(nasty))?.messageId, nasty);
    });

    it("are on disk and in the history as soon as they are appended", async () => {
      const journal = await openJournal();
      journal.append(attempt());
      journal.append(data());
      assert.equal(journal.history.fates.get(k)?.outcome, "doubt");
      assert.deepEqual([...(await readHistory(directory)).fates], [...journal.history.fates]);
    });

    it("are this user's alone", async function () {
      if (process.platform === "win32") return this.skip();
      await write(1);
      assert.equal((await stat(fileOf(1))).mode & 0o777, 0o600);
    });

    it("have one writer: a generation is opened once", async () => {
      await openJournal(4);
      await assert.rejects(Journal.open(directory, { ...header, generation: 4 }), { code: "EEXIST" });
    });
  });

  describe("replay: what is done on resume", () => {
    const cases: readonly [string, readonly Step[], Fate["outcome"]][] = [
      ["an attempt alone: the body never left", [attempt()], "pending"],
      ["data without an outcome: doubt", [attempt(), data()], "doubt"],
      ["accepted", [attempt(), data(), ok()], "accepted"],
      ["deferred before the body", [attempt(), defer()], "pending"],
      ["deferred after the body: the server said no", [attempt(), data(), defer()], "pending"],
      ["failed before the body", [attempt(), fail()], "failed"],
      ["failed after the body", [attempt(), data(), fail()], "failed"],
      ["unknown", [attempt(), data(), unknown()], "unknown"],
      ["skipped", [skip()], "skipped"],
      ["unknown, then counted as sent", [attempt(), data(), unknown(), resolve("sent")], "accepted"],
      ["unknown, then to be sent again", [attempt(), data(), unknown(), resolve("retry")], "pending"],
      ["failed, then to be sent again", [attempt(), fail(), resolve("retry")], "pending"],
      ["a second attempt in doubt", [attempt(), defer(), attempt(2), data(2)], "doubt"],
      ["a second attempt accepted", [attempt(), defer(), attempt(2), data(2), ok()], "accepted"],
      ["an attempt after a deferral", [attempt(), defer(), attempt(2)], "pending"],
      ["resent and in doubt", [attempt(), data(), unknown(), resolve("retry"), attempt(), data()], "doubt"],
    ];
    for (const [name, records, outcome] of cases)
      it(`${name}: ${outcome}`, async () => assert.equal((await fateAfter(...records)).outcome, outcome));

    it("knows nothing of those that were never tried", async () => {
      await write(1, attempt(1, "other@example.org"));
      assert.equal((await readHistory(directory)).fates.get(k), undefined);
    });

    it("keeps what the report needs", async () => {
      assert.deepEqual(await fateAfter(attempt(2), data(2), ok()), { outcome: "accepted", attempts: 2, next: 0 });
      assert.deepEqual(await details(), {
        messageId: "<2@example.com>",
        class: undefined,
        reply: "250 Ok",
        settledAt: 12,
        durationMs: 5,
      });
    });

    it("keeps class and reply of a failure", async () => {
      await write(1, attempt(), fail());
      assert.deepEqual(await details(), {
        messageId: "<1@example.com>",
        class: "recipient",
        reply: "550 no",
        settledAt: 14,
        durationMs: 6,
      });
    });

    it("keeps the time of the next attempt, and counts the attempt", async () => {
      const { next, attempts } = await fateAfter(attempt(3), defer(4711));
      assert.deepEqual([next, attempts, (await details())?.class], [4711, 3, "deferred"]);
    });

    it("does not charge the recipient when the account was asked to wait", async () => {
      assert.equal((await fateAfter(attempt(3), defer(0, false))).attempts, 2);
    });

    it("starts to count anew, without a wait, when a person orders a retry", async () => {
      const { next, attempts } = await fateAfter(attempt(5), defer(4711), attempt(5), fail(), resolve("retry"));
      assert.deepEqual([next, attempts], [0, 0]);
    });

    it("knows a finished run, and that it goes on", async () => {
      await write(1, control("start"), fail());
      assert.equal((await readHistory(directory)).finished, false);
      await write(2, control("start"), control("finish"));
      assert.equal((await readHistory(directory)).finished, true);
      await write(3, control("start"), control("stop"));
      assert.equal((await readHistory(directory)).finished, false);
    });

    it("does not call a run finished whose failure is to be sent again", async () => {
      await write(1, attempt(), fail(), control("finish"), resolve("retry"));
      assert.equal((await readHistory(directory)).finished, false);
    });
  });

  describe("segments", () => {
    it("are read in the order of their generations, whatever their age", async () => {
      await write(10, attempt(2), data(2), ok());
      await write(9, attempt(), defer());
      const history = await readHistory(directory);
      assert.equal(history.fates.get(k)?.outcome, "accepted");
      assert.equal(history.generation, 10);
    });

    it("count by their names too: a header that was torn off does not free its generation", async () => {
      await write(1);
      await writeFile(fileOf(7), "0123");
      assert.equal((await readHistory(directory)).generation, 7);
    });

    it("take up what the earlier ones say, and add nothing to them", async () => {
      await write(1, attempt(), data(), ok());
      const before = await readFile(fileOf(1));
      const journal = await openJournal(2);
      assert.equal(journal.history.fates.get(k)?.outcome, "accepted");
      journal.append(attempt(1, "other@example.org"));
      assert.deepEqual(await readFile(fileOf(1)), before);
    });

    it("leave other files of the folder alone", async () => {
      await writeFile(path.join(directory, "plan.json"), "not a journal");
      await writeFile(path.join(directory, "journal-1.jsonl"), "not a journal");
      await write(1, attempt());
      assert.equal((await readHistory(directory)).fates.size, 1);
    });

    it("an empty folder has no history", async () => {
      const { fates, finished, generation, damage } = await readHistory(directory);
      assert.deepEqual([fates.size, finished, generation, damage], [0, false, 0, undefined]);
    });
  });

  describe("late lines of a writer that was taken over", () => {
    const newer: readonly [string, readonly Step[]][] = [
      ["accepted", [attempt(2), data(2), ok()]],
      ["counted as sent by a person", [unknown(), resolve("sent")]],
    ];
    const late: readonly [string, readonly Step[]][] = [
      ["data", [data()]],
      ["a deferral", [data(), defer()]],
      ["a failure", [fail()]],
      ["a skip", [skip()]],
      ["unknown", [unknown()]],
      ["a retry", [resolve("retry")]],
    ];
    for (const [what, records] of newer)
      for (const [name, lines] of late)
        it(`${name} never undoes what is ${what}`, async () => {
          const old = await openJournal(1);
          old.append(attempt());
          await write(2, ...records);
          for (const line of lines) old.append(line);
          assert.equal((await readHistory(directory)).fates.get(k)?.outcome, "accepted");
        });

    it("turn not sent into doubt, never into sent again", async () => {
      const old = await openJournal(1);
      old.append(attempt());
      await write(2, control("start"));
      old.append(data());
      assert.equal((await readHistory(directory)).fates.get(k)?.outcome, "doubt");
    });

    it("do not make one that is unknown pending again", async () => {
      const old = await openJournal(1);
      old.append(attempt());
      old.append(data());
      await write(2, unknown());
      old.append(defer());
      assert.equal((await readHistory(directory)).fates.get(k)?.outcome, "unknown");
    });

    it("are believed when they say that it was accepted after all", async () => {
      const old = await openJournal(1);
      old.append(attempt());
      old.append(data());
      await write(2, unknown());
      old.append(ok());
      assert.equal((await readHistory(directory)).fates.get(k)?.outcome, "accepted");
    });

    it("never make an accepted recipient anything else (property)", async () => {
      const steps = fc.constantFrom<Step>(
        attempt(),
        data(),
        ok(),
        defer(),
        fail(),
        unknown(),
        skip(),
        resolve("retry"),
        resolve("sent"),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(steps), fc.array(steps), async (before, after) => {
          await write(1, ...before, ok());
          await write(2, ...after);
          const outcome = (await readHistory(directory)).fates.get(k)?.outcome;
          await Promise.all(open.splice(0).map((journal) => journal.close()));
          for (const generation of [1, 2]) await rm(fileOf(generation));
          assert.equal(outcome, "accepted");
        }),
        { numRuns: 50 },
      );
    });
  });

  describe("damage (R57)", () => {
    const names = ["a", "b", "c"].map((name) => `${name}@example.org`);
    const records = names.flatMap((name) => [attempt(1, name), data(1, name), ok(name)]);

    /** The bytes of a segment with all records, and where its last line starts. */
    async function segment(): Promise<{ readonly bytes: Buffer; readonly lastLine: number }> {
      await write(1, ...records);
      const bytes = await readFile(fileOf(1));
      return { bytes, lastLine: bytes.lastIndexOf("\n", bytes.length - 2) + 1 };
    }

    async function outcomes(): Promise<readonly (Fate["outcome"] | undefined)[]> {
      const { fates } = await readHistory(directory);
      return names.map((name) => fates.get(name)?.outcome);
    }

    it("a tail torn at any byte of the last line loses that line alone, and refuses nothing", async () => {
      const { bytes, lastLine } = await segment();
      for (let length = lastLine; length < bytes.length; length++) {
        await writeFile(fileOf(1), bytes.subarray(0, length));
        // Without its line end alone, the record is still whole.
        const last = length === bytes.length - 1 ? "accepted" : "doubt";
        assert.deepEqual(await outcomes(), ["accepted", "accepted", last], `torn at byte ${String(length)}`);
      }
      await writeFile(fileOf(1), bytes);
      assert.deepEqual(await outcomes(), ["accepted", "accepted", "accepted"]);
    });

    it("a file torn at any byte at all still gives every whole line before it", async () => {
      const { bytes } = await segment();
      for (let length = 0; length < bytes.length; length += 7) {
        const torn = bytes.subarray(0, length);
        await writeFile(fileOf(1), torn);
        const whole = torn.toString("utf8").split("}").length - 2;
        const { fates } = await readHistory(directory);
        const seen = new Set(records.slice(0, Math.max(0, whole)).map((record) => "k" in record && record.k));
        assert.equal(fates.size, seen.size, `torn at byte ${String(length)}`);
      }
    });

    it("goes on in a new segment after a torn tail", async () => {
      const { bytes, lastLine } = await segment();
      await writeFile(fileOf(1), bytes.subarray(0, lastLine + 20));
      await write(2, unknown(names[2]));
      assert.deepEqual(await outcomes(), ["accepted", "accepted", "unknown"]);
    });

    it("a byte flipped before the last line refuses, wherever it is", async () => {
      const { bytes, lastLine } = await segment();
      for (let at = 0; at < lastLine; at++) {
        const broken = Buffer.from(bytes);
        broken[at] = bytes.readUInt8(at) ^ 0x01;
        await writeFile(fileOf(1), broken);
        await assert.rejects(readHistory(directory), JournalError, `byte ${String(at)} of ${String(lastLine)}`);
      }
    });

    it("a byte flipped in the last line loses that line alone", async () => {
      const { bytes, lastLine } = await segment();
      for (let at = lastLine; at < bytes.length; at++) {
        const broken = Buffer.from(bytes);
        broken[at] = bytes.readUInt8(at) ^ 0x01;
        await writeFile(fileOf(1), broken);
        const last = at === bytes.length - 1 ? "accepted" : "doubt";
        assert.deepEqual(await outcomes(), ["accepted", "accepted", last], `byte ${String(at)}`);
      }
    });

    it("is never taken over: nothing can be opened on a damaged journal", async () => {
      const { bytes } = await segment();
      bytes[100] = bytes.readUInt8(100) ^ 0x01;
      await writeFile(fileOf(1), bytes);
      await assert.rejects(openJournal(2), /damaged at byte/);
      assert.deepEqual(readdirSync(directory), ["journal-000001.jsonl"]);
    });

    it("a line that is missing its neighbour's end is no torn tail, also without its own end", async () => {
      const { bytes, lastLine } = await segment();
      const merged = Buffer.concat([bytes.subarray(0, lastLine - 1), bytes.subarray(lastLine)]);
      for (const length of [merged.length, merged.length - 1, merged.length - 10]) {
        await writeFile(fileOf(1), merged.subarray(0, length));
        await assert.rejects(readHistory(directory), JournalError);
      }
    });

    it("an older segment is no different: its torn tail is cut, its damage refuses", async () => {
      const { bytes, lastLine } = await segment();
      await write(2, control("start"));
      await writeFile(fileOf(1), bytes.subarray(0, bytes.length - 3));
      assert.deepEqual(await outcomes(), ["accepted", "accepted", "doubt"]);
      bytes[lastLine - 2] = 0;
      await writeFile(fileOf(1), bytes);
      await assert.rejects(readHistory(directory), JournalError);
    });

    it("refuses a newer version instead of guessing", async () => {
      appendFileSync(fileOf(1), rawLine({ t: "hdr", v: 2, ...header }));
      await assert.rejects(readHistory(directory), /newer Bulk Mail/);
      await assert.rejects(openJournal(2), JournalError);
    });

    it("says what is wrong and what to do", async () => {
      const { bytes } = await segment();
      bytes[12] = 0x20;
      await writeFile(fileOf(1), bytes);
      await assert.rejects(readHistory(directory), {
        name: "JournalError",
        message:
          "The journal journal-000001.jsonl is damaged at byte 0, so who was mailed is not certain. Restore it from a backup; nothing is sent until then.",
      });
    });

    const newer = "The journal was written by a newer Bulk Mail. Update, then resume: nothing is sent until then.";

    for (const [what, record] of [
      ["a kind of record that this version does not know", { t: "bounce", k, at: 20 }],
      ["a header of a newer version", { t: "hdr", v: 2, ...header }],
      ["a known record whose fields mean something else", { t: "defer", k, next: "tomorrow", at: 20 }],
      ["a record that is no object", [1, 2]],
    ] as const)
      it(`${what}, with a right checksum, is a newer version's: nothing is sent`, async () => {
        await write(1, attempt(), data(), ok());
        appendFileSync(fileOf(1), rawLine(record));
        await assert.rejects(readHistory(directory), { name: "JournalError", message: newer });
        await assert.rejects(openJournal(2), { name: "JournalError", message: newer });
        const { damage, fates } = await readHistory(directory, { tolerant: true });
        assert.deepEqual([damage, fates.get(k)?.outcome], [newer, "accepted"]);
      });

    it("an empty segment says nothing, and its generation is taken", async () => {
      await write(1, attempt(), data(), ok());
      await writeFile(fileOf(2), "");
      const { fates, generation } = await readHistory(directory);
      assert.deepEqual([fates.get(k)?.outcome, generation], ["accepted", 2]);
      await assert.rejects(openJournal(2), { code: "EEXIST" });
      await write(3, control("start"));
    });

    it("a copy of a segment under another name refuses: its old records would count as new ones", async () => {
      await write(1, attempt(), data(), unknown(), resolve("retry"));
      await write(2, attempt(), data(), unknown());
      await copyFile(fileOf(1), fileOf(3));
      const message =
        "The journal journal-000003.jsonl is a copy, or its beginning is gone. Restore the run's folder from a backup; nothing is sent until then.";
      await assert.rejects(readHistory(directory), { name: "JournalError", message });
      await assert.rejects(openJournal(4), { message });
      assert.equal((await readHistory(directory, { tolerant: true })).damage, message);
    });

    it("a segment without its header refuses", async () => {
      const { bytes } = await segment();
      await writeFile(fileOf(1), bytes.subarray(bytes.indexOf(0x0a) + 1));
      await assert.rejects(readHistory(directory), /is a copy, or its beginning is gone/);
    });

    it("a segment of another run refuses, and a tolerant reading believes none of it", async () => {
      await write(1, attempt());
      const other = await mkdtemp(path.join(tmpdir(), "journal-"));
      const journal = await Journal.open(other, { ...header, runId: "another", generation: 2 });
      journal.append(attempt(), data(), ok());
      await journal.close();
      await copyFile(path.join(other, "journal-000002.jsonl"), fileOf(2));
      await rm(other, { recursive: true });
      const message =
        "The journal journal-000002.jsonl belongs to another run. Restore the run's folder from a backup; nothing is sent until then.";
      await assert.rejects(readHistory(directory), { name: "JournalError", message });
      const history = await readHistory(directory, { tolerant: true });
      assert.deepEqual([history.damage, history.fates.get(k)?.outcome], [message, "pending"]);
    });

    it("a tolerant reading tells who was accepted on both sides of the damage, and never throws for it", async () => {
      const { bytes } = await segment();
      const middle = bytes.indexOf('"b@example.org"');
      bytes[middle] = 0x20;
      await writeFile(fileOf(1), bytes);
      const { damage, fates } = await readHistory(directory, { tolerant: true });
      assert.match(damage ?? "", /journal-000001\.jsonl is damaged at byte \d+/);
      assert.deepEqual(
        names.map((name) => fates.get(name)?.outcome),
        ["accepted", "accepted", "accepted"],
      );
      assert.equal((await readHistory(directory, { tolerant: true })).damage, damage);
    });

    it("every bit and every length of the last record: never lost, never not sent out of sent, whatever record it is", async function () {
      this.timeout(240_000);
      const c = "c@example.org";
      const lasts: readonly (readonly [before: readonly Step[], last: Step])[] = [
        [[], attempt(1, c)],
        [[attempt(1, c)], data(1, c)],
        [[attempt(1, c), defer(0, true, c), attempt(2, c)], data(2, c)],
        [[attempt(1, c), data(1, c)], ok(c)],
        [[attempt(1, c), data(1, c)], defer(9, true, c)],
        [[attempt(1, c)], fail(c)],
        [[attempt(1, c), data(1, c)], unknown(c)],
        [[attempt(1, c), data(1, c), unknown(c)], resolve("sent", c)],
        [[attempt(1, c), data(1, c), unknown(c)], resolve("retry", c)],
      ];
      const maybeSent = ["accepted", "doubt", "unknown"];
      for (const [before, last] of lasts) {
        const settledBefore = [attempt(1, "a@example.org"), data(1, "a@example.org"), ok("a@example.org")];
        await write(1, ...settledBefore, ...before, last);
        await Promise.all(open.splice(0).map((journal) => journal.close()));
        const bytes = readFileSync(fileOf(1));
        const lastLine = bytes.lastIndexOf("\n", bytes.length - 2) + 1;
        const whole = (await readHistory(directory)).fates.get(c)?.outcome ?? "pending";
        const check = async (damaged: Buffer, what: string): Promise<void> => {
          writeFileSync(fileOf(1), damaged);
          let history: History;
          try {
            history = await readHistory(directory);
          } catch (error) {
            // Refused: nothing is sent.
            assert.ok(error instanceof JournalError, what);
            return;
          }
          const outcome = history.fates.get(c)?.outcome ?? "pending";
          assert.equal(history.fates.get("a@example.org")?.outcome, "accepted", what);
          if (maybeSent.includes(whole)) assert.ok(maybeSent.includes(outcome), `${what}: ${whole} became ${outcome}`);
        };
        // Cut at the line's very start it is no damage but an earlier moment.
        for (let length = lastLine + 1; length < bytes.length; length++)
          await check(bytes.subarray(0, length), `${last.t} torn at ${String(length - lastLine)}`);
        for (let bit = lastLine * 8; bit < bytes.length * 8; bit++) {
          const flipped = Buffer.from(bytes);
          flipped[bit >> 3] = flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7));
          await check(flipped, `${last.t} with bit ${String(bit - lastLine * 8)} flipped`);
        }
        await rm(fileOf(1));
      }
    });

    it("a data record that is damaged leaves whoever was being tried in doubt", async () => {
      await write(1, attempt(), data());
      const bytes = await readFile(fileOf(1));
      bytes[bytes.length - 5] = 0x20;
      await writeFile(fileOf(1), bytes);
      assert.equal((await readHistory(directory)).fates.get(k)?.outcome, "doubt");
    });

    it("a tail of zeros, as a power failure leaves it, is cut", async () => {
      const { bytes } = await segment();
      await writeFile(fileOf(1), Buffer.concat([bytes, Buffer.alloc(4096)]));
      assert.deepEqual(await outcomes(), ["accepted", "accepted", "accepted"]);
    });
  });

  describe("replay of any prefix (property)", () => {
    const people = ["a@example.org", "b@example.org", 'é "q"\t7@example.org'];
    const step = fc
      .tuple(fc.constantFrom(...people), fc.nat({ max: 9 }), fc.nat({ max: 5 }))
      .map(([who, kind, n]): Step => {
        const kinds = [
          attempt(n, who),
          data(n, who),
          ok(who),
          defer(n, true, who),
          defer(n, false, who),
          fail(who),
          unknown(who),
          skip(who),
          resolve("sent", who),
          resolve("retry", who),
        ];
        return kinds[kind] ?? attempt(n, who);
      });

    function outcomesOf({ fates }: History): readonly (Fate["outcome"] | undefined)[] {
      return people.map((who) => fates.get(who)?.outcome);
    }

    it("accepted stays accepted, data without an outcome is doubt, unknown waits for a person, counters count", () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
          const history = new History();
          const lastWords = new Map<string, Step["t"]>();
          for (const [index, record] of steps.entries()) {
            const before = outcomesOf(history);
            history.apply(record, index + 1);
            const after = outcomesOf(history);
            for (const [at, who] of people.entries()) {
              if (before[at] === "accepted") assert.equal(after[at], "accepted");
              if (before[at] === "unknown" && record.t !== "ok" && record.t !== "resolve")
                assert.equal(after[at], "unknown");
              if ("k" in record && record.k === who && record.t !== "attempt") lastWords.set(who, record.t);
              if (lastWords.get(who) === "data")
                assert.ok(["doubt", "unknown", "accepted"].includes(after[at] ?? ""), after[at]);
            }
            const counted = { pending: 0, doubt: 0, accepted: 0, failed: 0, unknown: 0, skipped: 0 };
            for (const { outcome } of history.fates.values()) counted[outcome]++;
            assert.deepEqual(history.fates.counts, counted);
            assert.equal(
              Object.values(counted).reduce((sum, one) => sum + one, 0),
              history.fates.size,
            );
          }
        }),
      );
    });

    it("what a writer knows after the rest is what a reader finds of all of it", async function () {
      this.timeout(120_000);
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 15 }), fc.array(step, { maxLength: 15 }), async (first, rest) => {
          await write(1, ...first);
          const prefix = await readHistory(directory);
          const journal = await Journal.open(directory, { ...header, generation: 2 }, prefix);
          open.push(journal);
          assert.equal(journal.history, prefix, "nothing was written meanwhile, so it is not read again");
          journal.append(...rest);
          const all = await readHistory(directory);
          const known = [...journal.history.fates];
          await Promise.all(open.splice(0).map((one) => one.close()));
          for (const generation of [1, 2]) await rm(fileOf(generation));
          assert.deepEqual(known, [...all.fates]);
          assert.deepEqual(journal.history.fates.counts, all.fates.counts);
        }),
        { numRuns: 40 },
      );
    });

    it("late lines of an older generation only make unknown or accepted out of not sent", () => {
      const certainty = (outcome: Fate["outcome"] | undefined): number =>
        outcome === "accepted" ? 2 : outcome === "doubt" || outcome === "unknown" ? 1 : 0;
      const words = fc.constantFrom<Step>(
        attempt(),
        data(),
        ok(),
        defer(),
        fail(),
        unknown(),
        skip(),
        resolve("sent"),
        resolve("retry"),
      );
      // Whoever was taken over writes on what its connections do; a person's word goes through the new owner.
      const late = fc.array(fc.constantFrom<Step>(attempt(), data(), ok(), defer(), fail(), unknown(), skip()));
      const replay = (old: readonly Step[], newer: readonly Step[]): History => {
        const history = new History();
        for (const [index, record] of old.entries()) history.apply(record, placeOf(1, index + 1));
        for (const [index, record] of newer.entries()) history.apply(record, placeOf(2, index + 1));
        return history;
      };
      fc.assert(
        fc.property(fc.array(words), late, fc.array(words), (before, lines, after) => {
          // The new owner settles the doubts that it finds before it sends.
          const found = replay(before, []).fates.get(k)?.outcome;
          const newer = found === "doubt" ? [unknown(), ...after] : after;
          const without = replay(before, newer).fates.get(k)?.outcome;
          const outcome = replay([...before, ...lines], newer).fates.get(k)?.outcome;
          assert.ok(
            certainty(outcome) >= certainty(without),
            `${String(without)} became ${String(outcome)} by late lines`,
          );
        }),
        { numRuns: 500 },
      );
    });

    it("a refusal by another writer does not answer what was handed over", () => {
      const history = new History();
      history.apply(data(), placeOf(1, 1));
      for (const record of [defer(), fail(), skip()]) history.apply(record, placeOf(2, 1));
      assert.equal(history.fates.get(k)?.outcome, "doubt");
      history.apply(defer(), placeOf(1, 2));
      assert.equal(history.fates.get(k)?.outcome, "pending");
    });
  });

  describe("many recipients (R44)", () => {
    it("are kept apart and found again, beyond every first size of a table", async () => {
      const count = 5000;
      const nameOf = (index: number): string => `p${String(index)}@example.org${index % 7 === 0 ? "\té" : ""}`;
      const journal = await openJournal();
      for (let index = 0; index < count; index += 100)
        journal.append(
          ...Array.from({ length: 100 }, (_, at) =>
            (index + at) % 3 === 0 ? fail(nameOf(index + at)) : defer(index + at, true, nameOf(index + at)),
          ),
        );
      for (const { fates } of [journal.history, await readHistory(directory)]) {
        assert.equal(fates.size, count);
        for (let index = 0; index < count; index++)
          assert.deepEqual(
            fates.get(nameOf(index)),
            index % 3 === 0
              ? { outcome: "failed", attempts: 0, next: 0 }
              : { outcome: "pending", attempts: 0, next: index },
          );
        assert.equal(fates.get("p5000@example.org"), undefined);
        assert.deepEqual([...fates.keys()].slice(0, 2), [nameOf(0), nameOf(1)]);
      }
    });

    it("whose segment is read in several pieces, with a record across their border and one longer than a piece", async () => {
      const journal = await openJournal();
      const long = "x".repeat(3_000_000);
      for (let index = 0; index < 2000; index++)
        journal.append({ ...fail(`p${String(index)}`), reply: "y".repeat(700) } as Step);
      journal.append({ ...ok("long@example.org"), reply: long } as Step);
      journal.append(attempt(1, "last@example.org"));
      const { fates } = await readHistory(directory);
      assert.equal(fates.size, 2002);
      assert.equal((await details("long@example.org"))?.reply, long);
      assert.equal((await details("p1500"))?.reply?.length, 700);
    });

    it("records of one call are on disk together and in order, or not at all in the history", async () => {
      const journal = await openJournal();
      journal.append(attempt(), data());
      const text = await readFile(fileOf(1), "utf8");
      assert.ok(text.endsWith(rawLine(attempt()) + rawLine(data())));
    });

    it("an earlier reading is not taken when something was written behind it", async () => {
      await write(1, attempt());
      const since = await readHistory(directory);
      await write(2, data());
      const again = await readHistory(directory, { since });
      assert.notEqual(again, since);
      assert.equal(again.fates.get(k)?.outcome, "doubt");
      assert.equal(await readHistory(directory, { since: again }), again);
      appendFileSync(fileOf(2), rawLine(ok()));
      assert.equal((await readHistory(directory, { since: again })).fates.get(k)?.outcome, "accepted");
    });
  });

  describe("flushing", () => {
    it("is shared by those who ask while the disk is busy, and all of them are answered", async () => {
      const journal = await openJournal();
      const flushes = new Set<Promise<void>>();
      const synced: string[] = [];
      await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const name = `r${String(index)}@example.org`;
          journal.append(data(1, name));
          const flush = journal.sync();
          flushes.add(flush);
          await flush;
          synced.push(name);
        }),
      );
      assert.equal(synced.length, 50);
      assert.ok(flushes.size <= 2, `${String(flushes.size)} flushes`);
    });

    it("begins after the record that it is asked for, although another one runs", async () => {
      const journal = await openJournal();
      journal.append(data());
      const first = journal.sync();
      await Promise.resolve();
      await Promise.resolve();
      journal.append(data(1, "late@example.org"));
      const second = journal.sync();
      assert.notEqual(first, second);
      const order: string[] = [];
      await Promise.all([first.then(() => order.push("first")), second.then(() => order.push("second"))]);
      assert.deepEqual(order, ["first", "second"]);
    });

    it("can be asked for again and again", async () => {
      const journal = await openJournal();
      for (let i = 0; i < 5; i++) {
        journal.append(attempt(i));
        await journal.sync();
      }
      assert.equal((await readHistory(directory)).fates.get(k)?.attempts, 4);
    });

    it("comes with closing", async () => {
      const journal = await Journal.open(directory, header);
      journal.append(data());
      await journal.close();
      assert.equal((await readHistory(directory)).fates.get(k)?.outcome, "doubt");
    });
  });

  describe("a disk that fails", () => {
    /** The open descriptors of a file (Linux). */
    function descriptorOf(file: string): number {
      const found = readdirSync("/proc/self/fd").find((name) => {
        try {
          return readlinkSync(`/proc/self/fd/${name}`) === file;
        } catch {
          return false;
        }
      });
      assert.ok(found !== undefined);
      return Number(found);
    }

    /** Puts another file behind an open descriptor, as a disk that turned bad would: the lowest free number is given out next. */
    function replace(descriptor: number, file: string): void {
      closeSync(descriptor);
      const spare: number[] = [];
      let opened = openSync(file, "a");
      while (opened !== descriptor) {
        assert.ok(opened < descriptor, "the descriptor was taken");
        spare.push(opened);
        opened = openSync(file, "a");
      }
      for (const one of spare) closeSync(one);
    }

    /** A journal whose file is now `device`, and a way to mend it. */
    async function failing(device: string): Promise<{ readonly journal: Journal; readonly mend: () => void }> {
      const journal = await openJournal();
      const descriptor = descriptorOf(fileOf(1));
      replace(descriptor, device);
      return { journal, mend: () => replace(descriptor, fileOf(1)) };
    }

    before(function () {
      if (process.platform !== "linux") this.skip();
    });

    it("breaks the journal for good when a record cannot be written: full disk", async () => {
      const { journal, mend } = await failing("/dev/full");
      assert.throws(() => journal.append(data()), /cannot be written \(ENOSPC\)/);
      assert.equal(journal.history.fates.get(k), undefined, "what is not on disk is not in the history");
      mend();
      assert.throws(() => journal.append(data()), JournalError);
      await assert.rejects(journal.sync(), JournalError);
      assert.equal((await readHistory(directory)).fates.size, 0);
    });

    it("breaks the journal for good when it cannot be flushed, and never flushes again", async () => {
      // The null device takes every record and cannot be flushed.
      const { journal, mend } = await failing("/dev/null");
      journal.append(data());
      await assert.rejects(journal.sync(), /cannot be written \(EINVAL\)/);
      mend();
      await assert.rejects(journal.sync(), JournalError);
      assert.throws(() => journal.append(ok()), JournalError);
    });

    it("fails everybody who waits for a flush that fails, and those behind them", async () => {
      const { journal, mend } = await failing("/dev/null");
      journal.append(data());
      const first = journal.sync();
      await Promise.resolve();
      await Promise.resolve();
      journal.append(data(1, "late@example.org"));
      const second = journal.sync();
      const results = Promise.allSettled([first, second]);
      await assert.rejects(first, JournalError);
      // Even a disk that is well again must not answer for what it dropped.
      mend();
      assert.deepEqual(
        (await results).map(({ status }) => status),
        ["rejected", "rejected"],
      );
    });

    it("can still be closed", async () => {
      const { journal } = await failing("/dev/full");
      assert.throws(() => journal.append(data()), JournalError);
      open.splice(open.indexOf(journal), 1);
      await journal.close();
    });
  });
});

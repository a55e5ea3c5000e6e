import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { acquireLock, holder, judge, thisProcess, type Busy, type Lock, type Owner } from "../../src/mail/lock";
import { systemClock } from "../../src/mail/ports";

/** In a process of its own, this file takes the lock in this folder, says what it got, and holds it until its input ends. */
const childDirectory = process.env.BULK_MAIL_LOCK_TEST;

const patient = { takeOver: false, atLeast: 1 };

async function childMain(directory: string): Promise<void> {
  await once(process.stdin, "data");
  const lock = await acquireLock(directory, systemClock, patient);
  process.stdout.write(
    `${JSON.stringify({ kind: lock.kind, generation: "generation" in lock ? lock.generation : 0 })}\n`,
  );
  await once(process.stdin.resume(), "end");
  if (lock.kind === "held") await lock.release();
}

if (childDirectory !== undefined) void childMain(childDirectory);
else
  describe("lock (R57)", () => {
    let directory: string;
    const held: Lock[] = [];
    const children: ChildProcess[] = [];

    beforeEach(async () => {
      directory = await mkdtemp(path.join(tmpdir(), "lock-"));
    });

    afterEach(async () => {
      await Promise.all(held.splice(0).map((lock) => lock.release()));
      for (const child of children.splice(0)) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      await rm(directory, { recursive: true });
    });

    async function acquire(options: { takeOver?: boolean; atLeast?: number } = {}): Promise<Lock | Busy> {
      const lock = await acquireLock(directory, systemClock, { ...patient, ...options });
      if (lock.kind === "held") held.push(lock);
      return lock;
    }

    async function hold(options: { takeOver?: boolean; atLeast?: number } = {}): Promise<Lock> {
      const lock = await acquire(options);
      assert.ok(lock.kind === "held", JSON.stringify(lock));
      return lock;
    }

    async function busy(options: { takeOver?: boolean; atLeast?: number } = {}): Promise<Busy> {
      const lock = await acquire(options);
      assert.ok(lock.kind === "busy");
      return lock;
    }

    function fileOf(generation: number): string {
      return path.join(directory, `lock-${String(generation).padStart(6, "0")}.json`);
    }

    /** Writes a lock file as somebody else would, silent for so long. */
    async function foreign(content: Partial<Owner> | string, silentMs = 0, generation = 1): Promise<void> {
      const file = fileOf(generation);
      await writeFile(file, typeof content === "string" ? content : JSON.stringify({ ...thisProcess(), ...content }));
      await age(file, silentMs);
    }

    async function age(file: string, silentMs: number): Promise<void> {
      const then = new Date(Date.now() - silentMs);
      await utimes(file, then, then);
    }

    /** Another process that is ready to take the lock once it is told to. */
    async function startChild(): Promise<ChildProcess> {
      const child = spawn(process.execPath, [__filename], {
        env: { ...process.env, BULK_MAIL_LOCK_TEST: directory },
        stdio: ["pipe", "pipe", "inherit"],
      });
      children.push(child);
      await once(child, "spawn");
      return child;
    }

    /** Tells it to, and says what it got. */
    async function acquireIn(child: ChildProcess): Promise<{ readonly kind: string; readonly generation: number }> {
      assert.ok(child.stdin && child.stdout);
      const answer = once(child.stdout, "data");
      child.stdin.write("go\n");
      const [bytes] = (await answer) as [Buffer];
      return JSON.parse(bytes.toString()) as { kind: string; generation: number };
    }

    async function kill(child: ChildProcess): Promise<void> {
      child.kill("SIGKILL");
      await once(child, "exit");
    }

    it("is given to one, and to the next when it is released, with a higher generation", async () => {
      const first = await hold();
      assert.equal(first.generation, 1);
      assert.ok(first.stillOurs());
      const other = await busy();
      assert.equal(other.owner?.pid, process.pid);
      assert.equal(other.silent, false);
      await first.release();
      assert.equal(first.stillOurs() && (await holder(directory)) !== "nobody", false);
      const second = await hold();
      assert.equal(second.generation, 2);
      assert.equal(first.stillOurs(), false);
    });

    it("never gives out a generation that the journal knows already", async () => {
      assert.equal((await hold({ atLeast: 17 })).generation, 17);
    });

    it("has one winner among many who want it at once", async () => {
      const all = await Promise.all(Array.from({ length: 40 }, () => acquire()));
      assert.equal(all.filter(({ kind }) => kind === "held").length, 1);
      assert.equal(held.filter((lock) => lock.stillOurs()).length, 1);
    });

    it("has at most one winner, round after round, also when they count from different numbers", async () => {
      for (let round = 0; round < 20; round++) {
        const all = await Promise.all(Array.from({ length: 8 }, (_, index) => acquire({ atLeast: index * 3 })));
        assert.ok(all.filter(({ kind }) => kind === "held").length <= 1, `round ${String(round)}`);
        await Promise.all(held.splice(0).map((lock) => lock.release()));
      }
      assert.ok((await hold()).stillOurs());
    });

    it("has one winner among several processes", async function () {
      this.timeout(60_000);
      const several = await Promise.all(Array.from({ length: 5 }, startChild));
      const answers = await Promise.all(several.map(acquireIn));
      assert.deepEqual(answers.map(({ kind }) => kind).sort(), ["busy", "busy", "busy", "busy", "held"]);
      assert.equal((await busy()).owner?.pid, several[answers.findIndex(({ kind }) => kind === "held")]?.pid);
    });

    it("is taken over at once from a process that was killed", async function () {
      this.timeout(60_000);
      const child = await startChild();
      assert.deepEqual(await acquireIn(child), { kind: "held", generation: 1 });
      assert.equal(await holder(directory), "stirring");
      assert.equal((await busy()).owner?.pid, child.pid);
      await kill(child);
      assert.equal(await holder(directory), "nobody");
      assert.equal((await hold()).generation, 2);
    });

    it("has one winner among many who take over from a dead owner", async function () {
      this.timeout(60_000);
      const child = await startChild();
      await acquireIn(child);
      await kill(child);
      const all = await Promise.all(Array.from({ length: 20 }, () => acquire()));
      assert.equal(all.filter(({ kind }) => kind === "held").length, 1);
    });

    it("is released by a process that ends in order", async function () {
      this.timeout(60_000);
      const child = await startChild();
      await acquireIn(child);
      child.stdin?.end();
      await once(child, "exit");
      assert.equal((JSON.parse(await readFile(fileOf(1), "utf8")) as Owner).released, true);
      await hold();
    });

    it("is not taken from a live owner, silent or not, unless a person says so", async function () {
      if (process.platform === "win32") return this.skip();
      this.timeout(60_000);
      const child = await startChild();
      await acquireIn(child);
      assert.equal((await busy({ takeOver: true })).silent, false, "a take-over needs silence");
      // A stopped process lives and does not stir.
      child.kill("SIGSTOP");
      await age(fileOf(1), 31_000);
      assert.equal((await busy()).silent, true);
      assert.equal((await hold({ takeOver: true })).generation, 2);
    });

    it("fences off an owner that was taken over: it sees so at once, and leaves the new owner alone", async () => {
      const old = await hold();
      await age(fileOf(1), 31_000);
      // The heart of an owner in this very process has stopped: it is a worker that died.
      const next = await hold();
      assert.equal(old.stillOurs(), false);
      const content = await readFile(fileOf(2), "utf8");
      await old.release();
      assert.equal(await readFile(fileOf(2), "utf8"), content);
      assert.ok(next.stillOurs());
      await busy();
    });

    it("stays lost when several generations went by", async () => {
      const old = await hold();
      await age(fileOf(1), 31_000);
      await (await hold()).release();
      await (await hold()).release();
      assert.equal(old.stillOurs(), false);
      await foreign({}, 0, 9);
      await writeFile(fileOf(1), JSON.stringify({ ...thisProcess() }));
      assert.equal(old.stillOurs(), false);
    });

    it("is lost when its file is gone or another's", async () => {
      const lock = await hold();
      await writeFile(fileOf(1), JSON.stringify(thisProcess()));
      assert.equal(lock.stillOurs(), false);
      await rm(fileOf(1));
      assert.equal(lock.stillOurs(), false);
    });

    const owners: readonly [name: string, owner: Partial<Owner> | string, silentMs: number, free: boolean][] = [
      ["an owner on another host that stirs", { host: "elsewhere" }, 0, false],
      ["an owner on another host, 29 s silent", { host: "elsewhere" }, 29_000, false],
      ["an owner on another host, 31 s silent", { host: "elsewhere" }, 31_000, true],
      ["an owner in another PID namespace that stirs", { pidNamespace: "pid:[1]" }, 0, false],
      ["an owner in another PID namespace, 31 s silent", { pidNamespace: "pid:[1]" }, 31_000, true],
      ["an owner on another host whose pid is dead here", { host: "elsewhere", pid: 2 ** 30 }, 0, false],
      ["an owner before the last boot", { bootId: "0", pid: process.ppid }, 0, true],
      ["an owner that released it", { released: true }, 0, true],
      ["a dead owner", { pid: 2 ** 30 }, 0, true],
      ["a live owner", { pid: process.ppid, processStart: "" }, 0, false],
      ["a live owner, an hour silent", { pid: process.ppid, processStart: "" }, 3_600_000, false],
      ["this very process, stirring", {}, 0, false],
      ["this very process, 31 s silent: a worker that died", {}, 31_000, true],
      ["an unreadable file", "{", 0, false],
      ["an unreadable file, 29 s old", "{", 29_000, false],
      ["an unreadable file, 31 s old", "", 31_000, true],
    ];
    for (const [name, owner, silentMs, free] of owners)
      it(`${name}: ${free ? "free" : "busy"}`, async () => {
        await foreign(owner, silentMs);
        assert.equal((await holder(directory)) === "nobody", free);
        assert.equal((await acquire()).kind, free ? "held" : "busy");
      });

    it("does not take a reused pid for its owner", async function () {
      if (process.platform !== "linux") return this.skip();
      await foreign({ pid: process.ppid, processStart: "1" });
      await hold();
    });

    it("tells an owner by the start of its process, where the system says it", function () {
      if (process.platform !== "linux") return this.skip();
      assert.match(thisProcess().processStart, /^\d+$/);
      assert.equal(thisProcess().processStart, thisProcess().processStart);
    });

    it("does not believe in a reboot that was computed from a clock while the owner stirs", () => {
      const owner = { ...thisProcess(), pid: process.ppid, processStart: "", bootId: "minute-100" };
      assert.equal(judge(owner, false), "alive");
      assert.equal(judge(owner, true), "gone");
    });

    it("asks the person for a take-over only where silence can be judged", async () => {
      await foreign("{", 0);
      assert.equal((await busy({ takeOver: true })).owner, undefined);
      await foreign({ host: "elsewhere" }, 5_000);
      assert.equal((await busy({ takeOver: true })).owner?.host, "elsewhere");
    });

    it("names the owner whose file is there a moment before its words", async () => {
      const file = path.join(directory, "lock-000001.json");
      await writeFile(file, "");
      const asked = acquireLock(directory, systemClock, patient);
      await writeFile(file, JSON.stringify(thisProcess()));
      const answer = await asked;
      assert.equal(answer.kind, "busy");
      assert.equal(answer.owner?.pid, process.pid);
    });

    it("holds nothing in a folder that is empty or missing", async () => {
      assert.equal(await holder(directory), "nobody");
      assert.equal(await holder(path.join(directory, "missing")), "nobody");
      await assert.rejects(acquireLock(path.join(directory, "missing"), systemClock, patient), { code: "ENOENT" });
    });

    it("cleans up behind itself, but never the file before the last", async () => {
      for (let i = 0; i < 5; i++) await (await hold()).release();
      await hold();
      assert.deepEqual((await readdir(directory)).sort(), ["lock-000005.json", "lock-000006.json"]);
    });

    it("writes files for this user alone, and tells who holds it", async function () {
      await hold();
      const owner = JSON.parse(await readFile(fileOf(1), "utf8")) as Owner;
      assert.equal(owner.pid, process.pid);
      assert.equal(owner.released, false);
      assert.match(owner.session, /^[0-9a-f-]{36}$/);
      if (process.platform !== "win32") assert.equal((await stat(fileOf(1))).mode & 0o777, 0o600);
    });

    it("release never throws, also when the folder is gone", async () => {
      const lock = await hold();
      await rm(directory, { recursive: true });
      await lock.release();
      await lock.release();
      await writeFile(directory, "");
    });
  });

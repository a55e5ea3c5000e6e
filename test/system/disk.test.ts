/** Disks that are full, broken, read-only or gone: nothing leaves without its record, and nothing is lost once they are mended. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { lastRun } from "../../src/mail/plan";
import { readReport, type Report } from "../../src/mail/report";
import { campaignIdOfSmall, loopbackSettings, smallCampaign } from "../fakes/campaigns";
import { Sandbox } from "../fakes/cli";
import { ScriptedSmtp, type Script } from "../fakes/scriptedSmtp";
import { repositoryRoot } from "../host/repo";

const send = ["send", "hello.mail.md", "--settings", "settings.json", "--account", "local", "--yes"];
const recipients = 5;
const preload = path.join(repositoryRoot(), "test", "fakes", "diskFaults.cjs");

/** For each kind of record: a server that brings it about, and the most that has been taken when the disk fails at it. */
const kinds: readonly {
  readonly record: string;
  readonly script?: Script;
  /** Messages that were taken and are on record. */
  readonly taken: number;
  /** Messages that were taken, or may have been, without their record: unknown afterwards. */
  readonly doubts: number;
}[] = [
  { record: "hdr", taken: 0, doubts: 0 },
  { record: "start", taken: 0, doubts: 0 },
  { record: "attempt", taken: 0, doubts: 0 },
  { record: "data", taken: 0, doubts: 0 },
  { record: "ok", taken: 0, doubts: 1 },
  {
    record: "defer",
    script: ({ command, before }) => (command === "MAIL" && before === 1 ? { reply: "451 4.3.0 later" } : undefined),
    taken: 1,
    doubts: 0,
  },
  {
    record: "fail",
    script: ({ command, before }) => (command === "RCPT" && before === 1 ? { reply: "550 5.1.1 unknown" } : undefined),
    taken: 1,
    doubts: 0,
  },
  {
    record: "unknown",
    script: ({ command, before }) => (command === "dot" && before === 1 ? { acceptThen: "close" } : undefined),
    taken: 1,
    doubts: 1,
  },
  { record: "finish", taken: recipients, doubts: 0 },
];

describe("a disk that fails (R57)", function () {
  this.timeout(180_000);
  let sandbox: Sandbox;
  let server: ScriptedSmtp;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
  });
  afterEach(async () => {
    await server.close();
    await sandbox.remove();
  });

  async function prepare(script?: Script): Promise<void> {
    server = await ScriptedSmtp.start(script);
    await sandbox.write({ ...smallCampaign(recipients), "settings.json": loopbackSettings(server.port) });
  }

  async function report(): Promise<Report> {
    const run = await lastRun(sandbox.state, campaignIdOfSmall, "real");
    assert.ok(run !== undefined);
    return readReport(run.plan);
  }

  /** Goes on with a mended disk, and looks at everybody. */
  async function mended(unknown: number, failed = 0): Promise<void> {
    const second = await sandbox.run(send);
    assert.equal(second.code, unknown + failed === 0 ? 0 : 1, second.stdout + second.stderr);
    const { totals, recipients: rows } = await report();
    const accepted = recipients - unknown - failed;
    assert.deepEqual(totals, { accepted, failed, unknown, skipped: 0, pending: 0 });
    for (const { address, outcome } of rows) {
      const copies = server.perRecipient.get(address) ?? 0;
      if (outcome === "accepted") assert.equal(copies, 1, address);
      else assert.ok(copies <= 1, `${address} has ${String(copies)} copies`);
    }
  }

  for (const { record, script, taken, doubts } of kinds)
    for (const fault of ["ENOSPC", "half", "EIO"])
      it(`${fault} at a ${record} record: sending stops, and loses nobody`, async () => {
        await prepare(script);
        const first = await sandbox.run(send, {
          NODE_OPTIONS: `--require ${preload}`,
          BULK_MAIL_DISK_RECORD: record,
          BULK_MAIL_DISK_FAULT: fault,
        });
        const told = first.stdout + first.stderr;
        assert.equal(first.code, 3, told);
        assert.match(told, /cannot be (?:written|used) \(.+\).*(?:Free space or mend|Mend) the disk/, told);
        assert.doesNotMatch(told, /^ +at /m, "a trace is no sentence");
        // No message left whose `data` record is not on disk.
        assert.ok(server.accepted.length <= taken + doubts, `${String(server.accepted.length)} messages left`);
        // A flush that fails leaves its lines readable: a written failure counts, and whoever was at the gate is in doubt.
        const isFlush = fault === "EIO" && record !== "hdr" && record !== "finish";
        const isRecorded = isFlush && record === "fail";
        // Half a write leaves the attempt without its end: that could have been anything.
        const isHalf = fault === "half" && (record === "defer" || record === "fail");
        await mended(isHalf ? 1 : isFlush ? (record === "unknown" ? 2 : 1) : doubts, isRecorded ? 1 : 0);
      });

  it("a disk of 96 KiB that fills up by itself: stops in the middle, and goes on with room", async function () {
    await prepare();
    const count = 400;
    await sandbox.write(smallCampaign(count));
    await mkdir(sandbox.state);
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=96k", "tmpfs", sandbox.state]).status !== 0) {
      if (this.test !== undefined) this.test.title += " (skipped: mounting needs root)";
      return this.skip();
    }
    try {
      const first = await sandbox.run([...send, "--quiet"]);
      const told = first.stdout + first.stderr;
      assert.equal(first.code, 3, told);
      // The first write that meets the end of the disk may be cut short, which is no error of the system yet.
      assert.match(told, /\((?:ENOSPC|.*bytes written)\).*Free space/, told);
      assert.doesNotMatch(told, /^ +at /m, "a trace is no sentence");
      const before = server.accepted.length;
      assert.ok(before > 0 && before < count, `${String(before)} messages left`);
      assert.equal(spawnSync("mount", ["-o", "remount,size=10m", sandbox.state]).status, 0);
      const second = await sandbox.run([...send, "--quiet"]);
      assert.ok(second.code === 0 || second.code === 1, second.stdout + second.stderr);
      const { totals } = await report();
      assert.equal(totals.accepted + totals.unknown, count);
      assert.ok(totals.unknown <= 1, `${String(totals.unknown)} unknown`);
      assert.ok([...server.perRecipient.values()].every((copies) => copies === 1));
    } finally {
      spawnSync("umount", [sandbox.state]);
    }
  });

  it("a state directory that cannot be written: nothing leaves, and a sentence says why", async () => {
    await prepare();
    // Root writes wherever it likes, but never into a file as if it were a folder.
    if (process.getuid?.() === 0) await writeFile(sandbox.state, "");
    else {
      await mkdir(sandbox.state);
      await chmod(sandbox.state, 0o500);
    }
    const first = await sandbox.run(send);
    const told = first.stdout + first.stderr;
    assert.equal(first.code, 3, told);
    assert.doesNotMatch(told, /^ +at /m, "a trace is no sentence");
    assert.ok(told.includes(sandbox.state), told);
    assert.equal(server.accepted.length, 0);
    if (process.getuid?.() === 0) await rm(sandbox.state);
    else await chmod(sandbox.state, 0o700);
    await mended(0);
  });

  it("a state directory on a read-only disk: nothing leaves, and what was begun goes on later", async function () {
    await prepare();
    assert.equal((await sandbox.run([...send, "--limit", "2"])).code, 4);
    const mount = (...words: readonly string[]): boolean => spawnSync("mount", words).status === 0;
    if (!mount("--bind", sandbox.state, sandbox.state)) {
      if (this.test !== undefined) this.test.title += " (skipped: mounting needs root)";
      return this.skip();
    }
    try {
      assert.ok(mount("-o", "remount,ro,bind", sandbox.state));
      const second = await sandbox.run(send);
      const told = second.stdout + second.stderr;
      assert.equal(second.code, 3, told);
      assert.match(told, /EROFS/);
      assert.doesNotMatch(told, /^ +at /m, "a trace is no sentence");
      assert.equal(server.accepted.length, 2);
    } finally {
      spawnSync("umount", [sandbox.state]);
    }
    await mended(0);
  });

  it("a state directory that is removed in the middle of a run: not one more body leaves", async () => {
    let removed = 0;
    await prepare(async ({ command, before }) => {
      if (command === "MAIL" && before === 2) {
        await rm(sandbox.state, { recursive: true });
        removed = server.accepted.length;
      }
      return undefined;
    });
    const first = await sandbox.run(send);
    const told = first.stdout + first.stderr;
    assert.ok(first.code === 3 || first.code === 4, told);
    assert.doesNotMatch(told, /^ +at /m, "a trace is no sentence");
    assert.equal(removed, 2);
    assert.equal(server.accepted.length, 2);
  });
});

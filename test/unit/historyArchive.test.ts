import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { exportHistory, importHistory } from "../../src/mail/historyArchive";
import { Journal, JournalError } from "../../src/mail/journal";
import { acquireLock, holder } from "../../src/mail/lock";
import { createPlan, lastRun, PlanError, runsOf, type Plan } from "../../src/mail/plan";
import { systemClock } from "../../src/mail/ports";
import type { Prepared } from "../../src/mail/preflight";
import { loopbackAccount, quickPace } from "../fakes/accounts";
import { stampNow } from "../fakes/campaigns";

const campaignId = "7d0c1a52-0000-4000-8000-000000000001";

interface Archive {
  format: unknown;
  version: unknown;
  campaignId: string;
  sha256: string;
  handOver?: unknown;
  runs: Record<string, Record<string, string>>;
}

const bring = (stateDirectory: string, archive: Buffer): ReturnType<typeof importHistory> =>
  importHistory(stateDirectory, archive, systemClock);

describe("history archive (R57)", () => {
  let folder: string;
  let here: string;
  let there: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "archive-"));
    here = path.join(folder, "here");
    there = path.join(folder, "there");
    await mkdir(path.join(folder, "workspace"));
    await writeFile(path.join(folder, "workspace", "spring.mail.md"), "the campaign");
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  /** A run in `stateDirectory` that accepted one message. */
  async function sendOne(stateDirectory: string, previousRunId?: string, finished = true): Promise<Plan> {
    const root = path.join(folder, "workspace");
    const file = path.join(root, "spring.mail.md");
    const plan = await createPlan(
      {
        stateDirectory,
        prepared: {
          campaign: { id: campaignId, file },
          opened: [{ role: "campaign", file, stamp: stampNow(root, file) }],
        } as unknown as Prepared,
        check: {
          problems: [],
          counts: { rows: 2, mail: 2, invalid: 0, skipped: 0, excluded: 0 },
          first: [],
          more: new Map(),
          attachments: new Map(),
        },
        target: { kind: "account", account: loopbackAccount(2525), caSha256: undefined },
        root,
        csv: { delimiter: "auto", encoding: "auto" },
        sender: { from: undefined, replyTo: undefined },
        pace: quickPace,
        previousRunId,
      },
      systemClock,
    );
    const home = path.dirname(plan.directory);
    const lock = await acquireLock(home, systemClock, { takeOver: false, atLeast: 1 });
    assert.ok(lock.kind === "held");
    const header = { campaignId, runId: plan.runId, generation: lock.generation, at: 1, host: "h" };
    const journal = await Journal.open(plan.directory, header);
    journal.append({ t: "attempt", k: "bob@example.org", n: 1, id: "<1@example.com>", at: 2 });
    journal.append({ t: "data", k: "bob@example.org", n: 1, at: 3 });
    journal.append({ t: "ok", k: "bob@example.org", reply: "250", ms: 1, at: 4 });
    if (finished) journal.append({ t: "ctl", what: "finish", at: 5 });
    await journal.close();
    await lock.release();
    return plan;
  }

  function unpack(archive: Buffer): Archive {
    return JSON.parse(gunzipSync(archive).toString("utf8")) as Archive;
  }

  /** Packs a changed archive; its checksum is right unless told otherwise. */
  function pack(archive: Archive, change: (archive: Archive) => void, rightChecksum = true): Buffer {
    const changed = structuredClone(archive);
    change(changed);
    if (rightChecksum) changed.sha256 = createHash("sha256").update(JSON.stringify(changed.runs)).digest("hex");
    return gzipSync(JSON.stringify(changed));
  }

  async function filesOf(directory: string): Promise<Record<string, string>> {
    const names = await readdir(directory);
    return Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await readFile(path.join(directory, name), "utf8")] as const)),
    );
  }

  it("carries every run to another machine, to the byte", async () => {
    const first = await sendOne(here);
    const second = await sendOne(here, first.runId);
    assert.deepEqual(await bring(there, await exportHistory(second)), { runs: 2, goesOn: false });
    const arrived = await lastRun(there, campaignId, "real");
    assert.equal(arrived?.plan.runId, second.runId);
    assert.deepEqual(arrived.totals, { accepted: 1, failed: 0, unknown: 0, skipped: 0, pending: 1 });
    const copies = await runsOf(arrived.plan);
    assert.equal(copies.length, 2);
    for (const [index, plan] of [first, second].entries())
      assert.deepEqual(await filesOf(copies[index]!.directory), await filesOf(plan.directory));
  });

  it("carries no locks: nobody holds anything on the other machine", async () => {
    const plan = await sendOne(here);
    await bring(there, await exportHistory(plan));
    const home = path.join(there, "campaigns", campaignId, "real");
    // The import's own lock, given back, and none that came along.
    assert.deepEqual(await readdir(home), [path.basename(plan.directory), "lock-000001.json"]);
    assert.equal(await holder(home), "nobody");
  });

  it("writes for this user alone", async function () {
    if (process.platform === "win32") return this.skip();
    const plan = await sendOne(here);
    await bring(there, await exportHistory(plan));
    const run = path.join(there, "campaigns", campaignId, "real", path.basename(plan.directory));
    assert.equal((await stat(run)).mode & 0o777, 0o700);
    for (const file of await readdir(run)) assert.equal((await stat(path.join(run, file))).mode & 0o777, 0o600, file);
  });

  it("leaves a run alone that is here already, and adds the others", async () => {
    const first = await sendOne(here);
    await bring(there, await exportHistory(first));
    const home = path.join(there, "campaigns", campaignId, "real");
    const known = path.join(home, path.basename(first.directory));
    await writeFile(path.join(known, "journal-000009.jsonl"), "");
    const before = await filesOf(known);
    const second = await sendOne(here, first.runId);
    assert.deepEqual(await bring(there, await exportHistory(second)), { runs: 1, goesOn: false });
    assert.deepEqual(await filesOf(known), before);
    assert.deepEqual(await bring(there, await exportHistory(second)), { runs: 0, goesOn: false });
  });

  it("refuses an unfinished last run: two machines would both send the rest, or what an archive plans", async () => {
    const plan = await sendOne(here, undefined, false);
    await assert.rejects(exportHistory(plan), /not finished.*hand it over/);
    const given = unpack(await exportHistory(plan, { handOver: true }));
    const bytes = pack(given, (one) => delete one.handOver);
    await assert.rejects(bring(there, bytes), /not finished/);
    assert.equal(await lastRun(there, campaignId, "real"), undefined);
  });

  it("waits for nobody: while the campaign is being sent, nothing is imported", async () => {
    const bytes = await exportHistory(await sendOne(here));
    const theirs = await sendOne(there);
    const lock = await acquireLock(path.dirname(theirs.directory), systemClock, { takeOver: false, atLeast: 1 });
    assert.ok(lock.kind === "held");
    await assert.rejects(bring(there, bytes), /being sent right now/);
    await lock.release();
    assert.deepEqual(await bring(there, bytes), { runs: 1, goesOn: false });
  });

  it("starts over after an import that was killed", async () => {
    const plan = await sendOne(here);
    const home = path.join(there, "campaigns", campaignId, "real");
    const draft = path.join(home, `new-${path.basename(plan.directory)}`);
    await mkdir(draft, { recursive: true });
    await writeFile(path.join(draft, "half"), "");
    await bring(there, await exportHistory(plan));
    assert.deepEqual(await readdir(home), [path.basename(plan.directory), "lock-000001.json"]);
  });

  describe("refuses", () => {
    let archive: Archive;
    let run: string;

    beforeEach(async () => {
      const plan = await sendOne(here);
      run = path.basename(plan.directory);
      archive = unpack(await exportHistory(plan));
    });

    async function refused(bytes: Buffer, error: typeof PlanError | typeof JournalError = PlanError): Promise<void> {
      await assert.rejects(bring(there, bytes), error);
      assert.equal(await lastRun(there, campaignId, "real"), undefined);
    }

    it("nothing when nothing was changed (the frame of these tests)", async () => {
      assert.deepEqual(
        await bring(
          there,
          pack(archive, () => {}),
        ),
        { runs: 1, goesOn: false },
      );
    });

    it("what is no archive", async () => {
      await refused(Buffer.from("no archive"));
      await refused(Buffer.alloc(0));
      await refused(gzipSync("{"));
      await refused(gzipSync("null"));
    });

    it("an archive that was cut off at any place", async () => {
      const whole = pack(archive, () => {});
      for (let length = 0; length < whole.length; length += 50) await refused(whole.subarray(0, length));
    });

    it("an archive whose contents were changed", async () => {
      const change = (one: Archive): void => {
        for (const files of Object.values(one.runs)) files["000-campaign"] = Buffer.from("another").toString("base64");
      };
      await refused(pack(archive, change, false));
    });

    it("another format or version", async () => {
      await refused(pack(archive, (one) => (one.format = "zip")));
      await refused(pack(archive, (one) => (one.version = 2)));
    });

    it("an id that is no UUID: it would name a folder", async () => {
      for (const id of ["../../evil", "", "7d0c1a52", `${campaignId}/..`])
        await refused(pack(archive, (one) => (one.campaignId = id)));
    });

    for (const name of ["../evil", "..", "0001-../../evil", `new-${campaignId}`, "0001-x", "", "/etc", "a\\b"])
      it(`a run that is called ${JSON.stringify(name)}`, async () => {
        await refused(pack(archive, (one) => (one.runs = { [name]: one.runs[run] ?? {} })));
      });

    for (const name of ["../evil", "..", ".", ".hidden", "a/b", "a\\b", "", "x\0y", "/etc/passwd", "C:evil"])
      it(`a file that is called ${JSON.stringify(name)}`, async () => {
        await refused(
          pack(
            archive,
            (one) => (one.runs[run] = { ...one.runs[run], [name]: Buffer.from("evil").toString("base64") }),
          ),
        );
        assert.deepEqual((await readdir(folder)).sort(), ["here", ...(await left()), "workspace"].sort());
      });

    /** What a refused import may leave: its own folder, without a run. */
    async function left(): Promise<readonly string[]> {
      return (await readdir(folder)).filter((name) => name === "there");
    }

    it("a copy that is not what the plan says, or lies elsewhere: nobody is mailed from another file", async () => {
      const planText = Buffer.from(archive.runs[run]?.["plan.json"] ?? "", "base64").toString();
      const { sha256 } = (JSON.parse(planText) as Plan).copies[0]!;
      for (const changed of [
        planText.replaceAll("000-campaign", "../../../../../etc/hostname"),
        planText.replaceAll(
          sha256,
          sha256.replace(/^./, (first) => (first === "0" ? "1" : "0")),
        ),
      ]) {
        assert.notEqual(changed, planText);
        const content = Buffer.from(changed).toString("base64");
        await refused(pack(archive, (one) => (one.runs[run] = { ...one.runs[run], "plan.json": content })));
      }
    });

    it("a journal that is damaged, before it is in its place", async () => {
      const change = (one: Archive): void => {
        const files = one.runs[run] ?? {};
        const name = Object.keys(files).find((file) => file.startsWith("journal-")) ?? "";
        const bytes = Buffer.from(files[name] ?? "", "base64");
        bytes[20] = (bytes[20] ?? 0) ^ 1;
        files[name] = bytes.toString("base64");
      };
      await refused(pack(archive, change), JournalError);
    });
  });
});

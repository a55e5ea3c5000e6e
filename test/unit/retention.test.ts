import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import {
  applyRetention,
  defaultRetentionDays,
  deleteHistory,
  deletionWarning,
  expiredHistory,
  type Target,
} from "../../src/mail/index";
import { acquireLock } from "../../src/mail/lock";
import { lastRun, PlanError, type Plan } from "../../src/mail/plan";
import { systemClock } from "../../src/mail/ports";
import { readReceipt, writeReceipt } from "../../src/mail/receipt";
import { smallCampaign } from "../fakes/campaigns";
import { FakeClock } from "../fakes/fakeClock";
import { attempt, finish, planRun, record, smallCampaignId } from "../fakes/runs";

const day = 24 * 3600 * 1000;
const start = Date.UTC(2026, 0, 5, 9);
const clockAt = (days: number): FakeClock => new FakeClock(start + days * day);

describe("deleting history and its retention (R57)", () => {
  let folder: string;
  let state: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "retention-"));
    state = path.join(folder, "state");
    await mkdir(path.join(folder, "workspace"));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  /** A run that was made on a day and mailed its first recipient on the day `mailed`. */
  async function run(made: number, ended: boolean, mailed = made, target?: Target): Promise<Plan> {
    const clock = clockAt(made);
    const options = target === undefined ? { clock } : { clock, target };
    const plan = await planRun(path.join(folder, "workspace"), state, smallCampaign(2), options);
    const at = start + mailed * day;
    await record(plan, [...attempt("person0@example.com", at, "ok"), ...(ended ? [finish(at)] : [])]);
    return plan;
  }

  const campaigns = (): Promise<readonly string[]> => readdir(path.join(state, "campaigns"));
  const expired = async (days: number, now: number): Promise<readonly string[]> =>
    (await expiredHistory(state, days, start + now * day)).map(({ runId }) => runId);
  const apply = async (days: number, now: number): Promise<readonly string[]> =>
    (await applyRetention(state, days, clockAt(now))).map(({ runId }) => runId);

  it("deletes every world of a campaign, and says what that was; receipts stay and still speak", async () => {
    const plan = await run(0, true);
    await run(0, true, 0, { kind: "sandbox" });
    await writeReceipt(plan, "finished", { accepted: 1, failed: 0, unknown: 0, pending: 1, skipped: 0 }, systemClock);
    const mails = path.join(state, "campaigns", smallCampaignId, "sandbox", "mails");
    await mkdir(mails);
    await writeFile(path.join(mails, "1.eml"), "To: person0@example.com");
    const removed = await deleteHistory(state, smallCampaignId, systemClock);
    assert.deepEqual(
      removed.map(({ world, finished, totals }) => [world, finished, totals.accepted]),
      [
        ["real", true, 1],
        ["sandbox", true, 1],
      ],
    );
    assert.equal(removed[0]?.runId, plan.runId);
    assert.deepEqual(await campaigns(), []);
    assert.equal((await readReceipt(plan.campaignFile, smallCampaignId))?.runId, plan.runId);
    assert.match(deletionWarning, /no longer prevent a second send/);
  });

  it("deletes an unfinished run when a person asks for it, and nothing while it is being sent", async () => {
    const plan = await run(0, false);
    const lock = await acquireLock(path.dirname(plan.directory), systemClock, { takeOver: false, atLeast: 1 });
    assert.ok(lock.kind === "held");
    await assert.rejects(deleteHistory(state, smallCampaignId, systemClock), PlanError);
    assert.equal((await lastRun(state, smallCampaignId, "real"))?.plan.runId, plan.runId);
    await lock.release();
    assert.deepEqual(
      (await deleteHistory(state, smallCampaignId, systemClock)).map(({ finished }) => finished),
      [false],
    );
    assert.deepEqual(await campaigns(), []);
  });

  it("a rehearsal that is being sent keeps the real run from being deleted half", async () => {
    const plan = await run(0, true);
    const rehearsal = await run(0, false, 0, { kind: "sandbox" });
    const lock = await acquireLock(path.dirname(rehearsal.directory), systemClock, { takeOver: false, atLeast: 1 });
    assert.ok(lock.kind === "held");
    await assert.rejects(deleteHistory(state, smallCampaignId, systemClock), PlanError);
    await lock.release();
    assert.equal((await lastRun(state, smallCampaignId, "real"))?.plan.runId, plan.runId);
    assert.equal((await deleteHistory(state, smallCampaignId, systemClock)).length, 2);
  });

  it("of what is not there nothing is deleted, and no name is made of what is no id", async () => {
    assert.deepEqual(await deleteHistory(state, smallCampaignId, systemClock), []);
    await assert.rejects(deleteHistory(state, "../..", systemClock), /UUID/);
  });

  it("deletes what cannot be read, too: a damaged record is no reason to keep addresses", async () => {
    const plan = await run(0, true);
    await writeFile(path.join(plan.directory, "plan.json"), "{");
    assert.deepEqual(await deleteHistory(state, smallCampaignId, systemClock), []);
    assert.deepEqual(await campaigns(), []);
  });

  it("finished runs go after so many days since their last message, 180 unless told otherwise; 0 is never", async () => {
    assert.equal(defaultRetentionDays, 180);
    const plan = await run(0, true, 10);
    assert.deepEqual(await expired(180, 189), []);
    assert.deepEqual(await apply(180, 189), []);
    assert.deepEqual(await expired(180, 191), [plan.runId]);
    assert.deepEqual(await apply(0, 5000), []);
    assert.deepEqual(await apply(180, 191), [plan.runId]);
    assert.deepEqual(await campaigns(), []);
  });

  it("an unfinished run stays however old it is, and so does what came behind it: else it would be resumed", async () => {
    const old = await run(0, true);
    const unfinished = await run(1, false);
    const later = await run(2, true);
    assert.deepEqual(await apply(30, 400), [old.runId]);
    assert.equal((await lastRun(state, smallCampaignId, "real"))?.plan.runId, later.runId);
    assert.deepEqual((await readdir(path.dirname(later.directory))).filter((name) => /^\d{4}-/.test(name)).sort(), [
      path.basename(unfinished.directory),
      path.basename(later.directory),
    ]);
  });

  it("a newer run stays when an older one goes, and the next one is counted on", async () => {
    const old = await run(0, true);
    const recent = await run(100, true);
    assert.deepEqual(await apply(30, 110), [old.runId]);
    const next = await run(111, true);
    assert.equal(path.basename(recent.directory).slice(0, 4), "0002");
    assert.equal(path.basename(next.directory).slice(0, 4), "0003");
  });

  it("rehearsals go with their mails", async () => {
    const rehearsal = await run(0, true, 0, { kind: "sandbox" });
    const mails = path.join(path.dirname(rehearsal.directory), "mails");
    await mkdir(mails);
    await writeFile(path.join(mails, "1.eml"), "To: person0@example.com");
    assert.deepEqual(await apply(30, 31), [rehearsal.runId]);
    assert.deepEqual(await campaigns(), []);
  });

  it("passes over a campaign that is held just now, and a run whose journal is damaged or newer than we are", async () => {
    // Long ago for the machine's own clock, too, which judges whether an owner stirs.
    const plan = await run(-5000, true);
    const lock = await acquireLock(path.dirname(plan.directory), systemClock, { takeOver: false, atLeast: 1 });
    assert.ok(lock.kind === "held");
    assert.deepEqual(await applyRetention(state, 30, systemClock), []);
    await lock.release();
    const text = await readFile(path.join(plan.directory, "plan.json"), "utf8");
    await writeFile(path.join(plan.directory, "plan.json"), text.replace('"version": 1', '"version": 2'));
    assert.deepEqual(await apply(30, 400), []);
    await writeFile(path.join(plan.directory, "plan.json"), text);
    const [segment = ""] = (await readdir(plan.directory)).filter((name) => name.startsWith("journal-"));
    const bytes = await readFile(path.join(plan.directory, segment));
    bytes[30] = (bytes[30] ?? 0) ^ 1;
    await writeFile(path.join(plan.directory, segment), bytes);
    assert.deepEqual(await apply(30, 400), []);
    bytes[30] = bytes[30] ^ 1;
    await writeFile(path.join(plan.directory, segment), bytes);
    assert.deepEqual(await apply(30, 400), [plan.runId]);
  });

  it("touches nothing but runs: what else lies in the state directory stays", async () => {
    await run(0, true);
    const others = ["endpoints.json", "mailboxes/a.json", "campaigns/notes.txt"];
    for (const name of others) {
      await mkdir(path.dirname(path.join(state, name)), { recursive: true });
      await writeFile(path.join(state, name), name);
    }
    assert.equal((await apply(30, 400)).length, 1);
    for (const name of others) assert.equal(await readFile(path.join(state, name), "utf8"), name);
  });
});

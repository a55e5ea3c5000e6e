import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { exportHistory } from "../../src/mail/historyArchive";
import { readHistory } from "../../src/mail/journal";
import { acquireLock, holder } from "../../src/mail/lock";
import { lastRun, PlanError, type Plan } from "../../src/mail/plan";
import { silentLogger, systemClock } from "../../src/mail/ports";
import { readReceipt, writeReceipt } from "../../src/mail/receipt";
import { identitiesOf, invalidText, resolveRecipients, unknownRecipients } from "../../src/mail/resolution";
import { runCampaign, type RunSummary } from "../../src/mail/sender";
import { loopbackAccount } from "../fakes/accounts";
import { smallCampaign } from "../fakes/campaigns";
import { attempt, finish, planRun, record, smallCampaignId } from "../fakes/runs";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";

const at = Date.UTC(2026, 2, 1, 9, 30);
const person = (number: number): string => `person${String(number)}@example.com`;

describe("resolving recipients (R57, R58)", () => {
  let folder: string;
  let root: string;
  let stateDirectory: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "resolution-"));
    [root, stateDirectory] = [path.join(folder, "workspace"), path.join(folder, "state")];
    await mkdir(root);
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  /** Six people: accepted, failed, unknown, in doubt, and two who were not tried. */
  async function mixedRun(more: Readonly<Record<string, string>> = {}): Promise<Plan> {
    const plan = await planRun(root, stateDirectory, { ...smallCampaign(6), ...more });
    await record(plan, [
      ...attempt(person(0), at, "ok"),
      ...attempt(person(1), at, "fail"),
      ...attempt(person(2), at, "unknown"),
      ...attempt(person(3), at + 1000),
    ]);
    return plan;
  }

  async function outcomes(plan: Plan): Promise<readonly (string | undefined)[]> {
    const { fates } = await readHistory(plan.directory);
    return [0, 1, 2, 3, 4].map((number) => fates.get(person(number))?.outcome);
  }

  async function send(plan: Plan): Promise<{ readonly summary: RunSummary; readonly mailed: readonly string[] }> {
    const server = await ScriptedSmtp.start();
    const ports = {
      clock: systemClock,
      logger: silentLogger,
      random: () => 0.5,
      credentials: () => Promise.resolve({}),
    };
    const never = new AbortController().signal;
    const hooks = { stop: never, abort: never, onAttempt: () => {}, onProgress: () => {} };
    try {
      const target = { kind: "account", account: loopbackAccount(server.port), caSha256: undefined } as const;
      const summary = await runCampaign({ ...plan, target }, ports, hooks);
      return { summary, mailed: server.accepted.map(({ to }) => to[0] ?? "") };
    } finally {
      await server.close();
    }
  }

  it("everybody unknown counts as sent, who is in doubt too, and nobody else is touched", async () => {
    const plan = await mixedRun();
    const { resolved, invalid, totals } = await resolveRecipients(plan, "unknown", "sent", systemClock);
    assert.deepEqual([resolved, invalid], [2, 0]);
    assert.deepEqual(totals, { accepted: 3, failed: 1, unknown: 0, skipped: 0, pending: 2 });
    assert.deepEqual(await outcomes(plan), ["accepted", "failed", "accepted", "accepted", undefined]);
    const { mailed } = await send(plan);
    assert.deepEqual(mailed, [person(4), person(5)]);
  });

  it("an unknown one who is to be tried again is mailed by a resume; the others in doubt are not", async () => {
    const plan = await mixedRun();
    assert.equal((await resolveRecipients(plan, [person(3)], "retry", systemClock)).resolved, 1);
    const { summary, mailed } = await send(plan);
    assert.deepEqual(mailed, [person(3), person(4), person(5)]);
    assert.equal(summary.unknown, 1);
  });

  it("trying those again who failed makes a finished run unfinished, and Resume sends from its copy", async () => {
    const plan = await planRun(root, stateDirectory, smallCampaign(2));
    await record(plan, [...attempt(person(0), at, "ok"), ...attempt(person(1), at, "fail"), finish(at)]);
    assert.equal((await lastRun(stateDirectory, smallCampaignId, "real"))?.state, "finished");
    await resolveRecipients(plan, "failed", "retry", systemClock);
    const run = await lastRun(stateDirectory, smallCampaignId, "real");
    assert.equal(run?.state, "interrupted");
    assert.deepEqual(run.totals, { accepted: 1, failed: 0, unknown: 0, skipped: 0, pending: 1 });
    // What the files say by now is nothing to this run.
    for (const file of await readdir(root)) await rm(path.join(root, file), { recursive: true });
    const { summary, mailed } = await send(run.plan);
    assert.deepEqual(mailed, [person(1)]);
    assert.equal(summary.ending.kind, "finished");
    assert.equal((await lastRun(stateDirectory, smallCampaignId, "real"))?.state, "finished");
  });

  it("leaves who was accepted, and who was never tried, and counts them out", async () => {
    const plan = await mixedRun();
    const which = [person(0), person(1), person(4), "nobody@example.com", person(1)];
    assert.equal((await resolveRecipients(plan, which, "retry", systemClock)).resolved, 1);
    assert.deepEqual(await outcomes(plan), ["accepted", "pending", "unknown", "unknown", undefined]);
  });

  it("a run whose last doubt is settled as sent is finished", async () => {
    const plan = await planRun(root, stateDirectory, smallCampaign(2));
    await record(plan, [...attempt(person(0), at, "ok"), ...attempt(person(1), at)]);
    await resolveRecipients(plan, "unknown", "sent", systemClock);
    assert.equal((await lastRun(stateDirectory, smallCampaignId, "real"))?.state, "finished");
  });

  it("says how many rows never became a message: they cannot be tried again", async () => {
    const list = "email,name,number\nada@example.com,Ada,1\nnot an address,Bob,2\ncy@example.com,Cy,3\n";
    const plan = await planRun(root, stateDirectory, { ...smallCampaign(1), "people.csv": list });
    await record(plan, attempt("ada@example.com", at, "fail"));
    const { resolved, invalid, totals } = await resolveRecipients(plan, "failed", "retry", systemClock);
    assert.deepEqual([resolved, invalid, totals.failed, totals.pending], [1, 1, 1, 2]);
    const [identity = ""] = (await identitiesOf(plan, ["not an address"])).get("not an address") ?? [];
    assert.deepEqual(await resolveRecipients(plan, [identity], "retry", systemClock), {
      resolved: 0,
      invalid: 1,
      totals,
    });
    assert.match(invalidText(2), /2 rows never became messages.*new run/);
  });

  it("refuses while somebody sends, and decides nothing", async () => {
    const plan = await mixedRun();
    const before = await outcomes(plan);
    const lock = await acquireLock(path.dirname(plan.directory), systemClock, { takeOver: false, atLeast: 1 });
    assert.ok(lock.kind === "held");
    await assert.rejects(resolveRecipients(plan, "unknown", "retry", systemClock), (error: unknown) => {
      assert.ok(error instanceof PlanError);
      assert.match(error.message, /being sent right now\. Stop it/);
      return true;
    });
    await lock.release();
    assert.deepEqual(await outcomes(plan), before);
  });

  it("decides about the last run only: an older one is over", async () => {
    const plan = await mixedRun();
    await planRun(root, stateDirectory, smallCampaign(6));
    await assert.rejects(resolveRecipients(plan, "unknown", "sent", systemClock), /newer run of this campaign exists/);
    assert.equal(await holder(path.dirname(plan.directory)), "nobody");
  });

  it("decides nothing about a run that was handed over: the other machine may be sending it", async () => {
    const plan = await mixedRun();
    await exportHistory(plan, { handOver: true });
    await assert.rejects(resolveRecipients(plan, "unknown", "sent", systemClock), /handed over to another machine/);
  });

  it("keeps the receipt in step, and makes none of its own", async () => {
    const plan = await mixedRun();
    await resolveRecipients(plan, [person(2)], "sent", systemClock);
    assert.equal(await readReceipt(plan.campaignFile, plan.campaignId), undefined);
    const zero = { accepted: 0, failed: 0, unknown: 0, pending: 6, skipped: 0 };
    await writeReceipt(plan, "sending", zero, systemClock);
    const { totals } = await resolveRecipients(plan, [person(3)], "sent", systemClock);
    const receipt = await readReceipt(plan.campaignFile, plan.campaignId);
    assert.deepEqual([receipt?.state, receipt?.counts], ["stopped", totals]);
  });

  it("tells where to look: address, line, Message-ID, subject, and when it was handed over, not when that was found out", async () => {
    const plan = await mixedRun();
    await resolveRecipients(plan, [], "sent", systemClock);
    assert.deepEqual(await unknownRecipients(plan), [
      {
        identity: person(2),
        address: person(2),
        line: 4,
        messageId: `<${person(2)}@example.com>`,
        at: "2026-03-01T09:30:00.000Z",
        subject: "Number 2",
      },
      {
        identity: person(3),
        address: person(3),
        line: 5,
        messageId: `<${person(3)}@example.com>`,
        at: "2026-03-01T09:30:01.000Z",
        subject: "Number 3",
      },
    ]);
  });

  it("an address names all its messages where the list has a key, in any case of its letters", async () => {
    const files = smallCampaign(1, "key: number\n");
    const list = "email,name,number\nada@example.com,Ada,1\nAda@Example.com,Ada,2\ncy@example.com,Cy,3\n";
    const plan = await planRun(root, stateDirectory, { ...files, "people.csv": list });
    const found = await identitiesOf(plan, ["ADA@example.com", "nobody@example.com"]);
    assert.deepEqual(
      [...found],
      [
        ["ADA@example.com", ["ada@example.com\t1", "ada@example.com\t2"]],
        ["nobody@example.com", []],
      ],
    );
  });
});

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import * as path from "node:path";
import { PlanError, type Plan } from "../../src/mail/plan";
import { silentLogger, systemClock } from "../../src/mail/ports";
import { openReceipt, readReceipt, receiptText, receiptWithoutJournal, writeReceipt } from "../../src/mail/receipt";
import { smallCampaign } from "../fakes/campaigns";
import { planRun, smallCampaignId } from "../fakes/runs";

const totals = { accepted: 1, failed: 1, unknown: 1, pending: 2, skipped: 0 };

describe("receipt (R57)", () => {
  let folder: string;
  let root: string;
  let directory: string;
  let plan: Plan;
  const warnings: string[] = [];
  const ports = {
    clock: systemClock,
    logger: { ...silentLogger, warn: (message: string) => void warnings.push(message) },
  };

  beforeEach(async () => {
    warnings.length = 0;
    folder = await mkdtemp(path.join(tmpdir(), "receipt-"));
    root = path.join(folder, "workspace");
    directory = path.join(root, "mails", ".bulk-mail");
    await mkdir(root);
    const files = Object.entries(smallCampaign(5)).map(([name, text]) => [`mails/${name}`, text] as const);
    plan = await planRun(root, path.join(folder, "state"), Object.fromEntries(files));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  const text = (): Promise<string> => readFile(path.join(directory, `${smallCampaignId}.json`), "utf8");
  const read = (): ReturnType<typeof readReceipt> => readReceipt(plan.campaignFile, smallCampaignId);
  const elsewhere = (): ReturnType<typeof receiptWithoutJournal> =>
    receiptWithoutJournal(path.join(folder, "other"), plan.campaignFile, smallCampaignId);

  it("tells run, machine, time and counts beside the campaign, and no address and nothing of the letter", async () => {
    await writeReceipt(plan, "sending", totals, systemClock);
    const receipt = await read();
    assert.equal(receipt?.runId, plan.runId);
    assert.equal(receipt.machine, hostname());
    assert.equal(receipt.startedAt, plan.createdAt);
    assert.deepEqual(receipt.counts, totals);
    assert.doesNotMatch(await text(), /@|Number|Hello|people\.csv/);
    // For people and for a diff: a line each.
    assert.ok((await text()).split("\n").length > 10);
    assert.deepEqual(await readdir(directory), [`${smallCampaignId}.json`]);
  });

  it("is written by its owner alone, and no program", async function () {
    if (process.platform === "win32") return this.skip();
    await writeReceipt(plan, "sending", totals, systemClock);
    const { mode } = await stat(path.join(directory, `${smallCampaignId}.json`));
    // Who may read it is for the umask to say, as with the campaign itself.
    assert.equal(mode & 0o733, 0o600);
  });

  it("is written before the first message and again when the run comes to rest", async () => {
    const receipt = openReceipt(plan, ports);
    await receipt.begin({ ...totals, accepted: 0, pending: 3 });
    assert.deepEqual([(await read())?.state, (await read())?.counts.accepted], ["sending", 0]);
    await receipt.end({ kind: "stopped" }, totals);
    assert.deepEqual([(await read())?.state, (await read())?.counts], ["stopped", totals]);
    await receipt.end({ kind: "finished" }, totals);
    assert.equal((await read())?.state, "finished");
  });

  it("says nothing of a run that never began, nor of a rehearsal", async () => {
    await openReceipt(plan, ports).end({ kind: "stopped" }, totals);
    const rehearsal = openReceipt({ ...plan, target: { kind: "sandbox" } }, ports);
    await rehearsal.begin(totals);
    await rehearsal.end({ kind: "finished" }, totals);
    assert.equal(await read(), undefined);
  });

  it("never leaves the root: a link that leads out keeps the run from starting, and nothing is written there", async () => {
    const outside = path.join(folder, "outside");
    await mkdir(outside);
    await symlink(outside, directory);
    await assert.rejects(openReceipt(plan, ports).begin(totals), (error: unknown) => {
      assert.ok(error instanceof PlanError);
      assert.match(error.message, /leads out of .*nothing was sent\. Remove the link/);
      return true;
    });
    assert.deepEqual(await readdir(outside), []);
  });

  it("a link in the receipt's own place is replaced, never written through", async () => {
    await mkdir(directory);
    const target = path.join(folder, "precious");
    await writeFile(target, "precious");
    await symlink(target, path.join(directory, `${smallCampaignId}.json`));
    await writeReceipt(plan, "sending", totals, systemClock);
    assert.equal(await readFile(target, "utf8"), "precious");
    assert.equal((await read())?.runId, plan.runId);
  });

  it("a folder link that stays below the root is followed", async () => {
    await mkdir(path.join(root, "receipts"));
    await symlink(path.join(root, "receipts"), directory);
    await writeReceipt(plan, "sending", totals, systemClock);
    assert.deepEqual(await readdir(path.join(root, "receipts")), [`${smallCampaignId}.json`]);
  });

  it("a read-only folder does not stop the run: nobody could commit from there; it is said in the log", async function () {
    if (process.platform !== "linux") return this.skip();
    // No user may make a folder there, not even root.
    const readOnly = { ...plan, root: "/sys", campaignFile: "/sys/hello.mail.md" };
    const receipt = openReceipt(readOnly, ports);
    await receipt.begin(totals);
    await receipt.end({ kind: "finished" }, totals);
    assert.equal(warnings.length, 2);
    assert.match(warnings[0] ?? "", /(?:EACCES|EROFS|EPERM).*Another machine will not hear/);
  });

  it("a campaign whose folder is gone goes on from its copy", async () => {
    await rm(path.dirname(directory), { recursive: true });
    await openReceipt(plan, ports).begin(totals);
    assert.match(warnings[0] ?? "", /ENOENT/);
  });

  it("anything else that keeps it from being written keeps the run from starting; at the end it is only said", async () => {
    await writeFile(directory, "a file where the folder should be");
    const receipt = openReceipt(plan, ports);
    await assert.rejects(receipt.begin(totals), /\((?:ENOTDIR|EEXIST|EPERM)\), so nothing was sent/);
    await receipt.end({ kind: "finished" }, totals);
    assert.equal(warnings.length, 1);
  });

  it("without its journal it speaks; with it, it does not", async () => {
    await writeReceipt(plan, "finished", { ...totals, accepted: 478, unknown: 0, pending: 0 }, systemClock);
    assert.equal(
      await receiptWithoutJournal(path.join(folder, "state"), plan.campaignFile, smallCampaignId),
      undefined,
    );
    const receipt = await elsewhere();
    assert.ok(receipt !== undefined);
    assert.equal(
      receiptText(receipt),
      `Sent from ${hostname()} on ${plan.createdAt.slice(0, 10)}: 478 accepted. Import its journal, or start a new run.`,
    );
  });

  it("where there is none, nothing is said", async () => {
    assert.equal(await elsewhere(), undefined);
    assert.equal(await readReceipt(plan.campaignFile, "../../evil"), undefined);
  });

  for (const [what, content] of [
    ["conflict marks", '<<<<<<< ours\n{"version": 1}\n=======\n'],
    ["half a file", '{"version": 1, "campaignId"'],
    ["another campaign's", JSON.stringify({ version: 1, campaignId: "7d0c1a52-0000-4000-8000-000000000001" })],
    ["too much", "x".repeat(70_000)],
  ] as const)
    it(`one that cannot be understood (${what}) stands for people who were mailed`, async () => {
      await mkdir(directory);
      await writeFile(path.join(directory, `${smallCampaignId}.json`), content);
      await assert.rejects(elsewhere(), (error: unknown) => {
        assert.ok(error instanceof PlanError);
        assert.match(error.message, /cannot be read.*Restore it/);
        return true;
      });
    });

  it("a machine's name in it is plain text", async () => {
    await writeReceipt(plan, "finished", totals, systemClock);
    const file = path.join(directory, `${smallCampaignId}.json`);
    const changed = { ...(JSON.parse(await text()) as object), machine: "evil\u001b[31m\u202ehost" };
    await writeFile(file, JSON.stringify(changed));
    const receipt = await elsewhere();
    assert.ok(receipt !== undefined && !/[\u001b\u202e]/.test(receiptText(receipt)));
  });
});

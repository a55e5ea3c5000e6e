import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import * as path from "node:path";
import { exportHistory, importHistory, type Imported } from "../../src/mail/historyArchive";
import { acquireLock } from "../../src/mail/lock";
import { lastRun, PlanError, type Plan, type RunState } from "../../src/mail/plan";
import { silentLogger, systemClock } from "../../src/mail/ports";
import { readReport } from "../../src/mail/report";
import { runCampaign, type RunSummary } from "../../src/mail/sender";
import { loopbackAccount } from "../fakes/accounts";
import { smallCampaign } from "../fakes/campaigns";
import { attempt, finish, planRun, record, smallCampaignId } from "../fakes/runs";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";

/** A machine is a state directory and a workspace at a path of its own. */
interface Machine {
  readonly root: string;
  readonly state: string;
}

const at = Date.UTC(2026, 2, 1);
const person = (number: number): string => `person${String(number)}@example.com`;

describe("handing an unfinished run over (R57)", () => {
  let folder: string;
  let ada: Machine;
  let bob: Machine;
  let server: ScriptedSmtp;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "hand-over-"));
    const machine = (name: string, workspace: string): Machine => ({
      root: path.join(folder, name, workspace),
      state: path.join(folder, name, "state"),
    });
    [ada, bob] = [machine("ada", "mails"), machine("bob", "somewhere/else")];
    for (const { root } of [ada, bob]) await mkdir(root, { recursive: true });
    for (const [name, text] of Object.entries(smallCampaign(4))) await writeFile(path.join(bob.root, name), text);
    server = await ScriptedSmtp.start();
  });
  afterEach(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  const fileOf = ({ root }: Machine): string => path.join(root, "hello.mail.md");
  const bring = ({ state, root }: Machine, archive: Buffer): Promise<Imported> =>
    importHistory(state, archive, systemClock, { campaignFile: path.join(root, "hello.mail.md"), root });
  const give = (plan: Plan): Promise<Buffer> => exportHistory(plan, { handOver: true });

  async function standing({ state }: Machine): Promise<RunState> {
    const run = await lastRun(state, smallCampaignId, "real");
    assert.ok(run !== undefined);
    return run;
  }

  /** Four people on Ada's machine, the first of whom was mailed. */
  async function begin(): Promise<Plan> {
    const plan = await planRun(ada.root, ada.state, smallCampaign(4));
    await record(plan, attempt(person(0), at, "ok"));
    return plan;
  }

  async function send(plan: Plan, limit?: number): Promise<RunSummary> {
    const never = new AbortController().signal;
    const ports = {
      clock: systemClock,
      logger: silentLogger,
      random: () => 0.5,
      credentials: () => Promise.resolve({}),
    };
    const hooks = { stop: never, abort: never, onAttempt: () => {}, onProgress: () => {} };
    const target = { kind: "account", account: loopbackAccount(server.port), caSha256: undefined } as const;
    return await runCampaign({ ...plan, target }, ports, hooks, limit === undefined ? {} : { limit });
  }

  it("marks it here: this machine refuses to go on with it, and to begin a new one", async () => {
    const plan = await begin();
    await give(plan);
    const run = await standing(ada);
    assert.equal(run.state, "moved");
    assert.ok(Math.abs(Date.parse(run.movedAt ?? "") - Date.now()) < 60_000);
    assert.deepEqual(run.totals, { accepted: 1, failed: 0, unknown: 0, skipped: 0, pending: 3 });
    const { ending } = await send(plan);
    assert.ok(ending.kind === "broken", ending.kind);
    assert.match(ending.text, /handed over to another machine on \d{4}-\d\d-\d\d\..*import it back/);
    await assert.rejects(planRun(ada.root, ada.state, smallCampaign(4)), PlanError);
    assert.equal(server.connections, 0);
  });

  it("goes on where it is imported, from its copy, for those alone who were not mailed", async () => {
    await writeFile(path.join(bob.root, "people.csv"), "email,name,number\neve@example.com,Eve,9\n");
    assert.deepEqual(await bring(bob, await give(await begin())), { runs: 1, goesOn: true });
    const run = await standing(bob);
    assert.equal(run.state, "interrupted");
    assert.deepEqual(run.changed, [path.join(bob.root, "people.csv")]);
    // The other machine's folder is nothing to it.
    await rename(ada.root, `${ada.root}-away`);
    const { ending } = await send(run.plan);
    assert.deepEqual(ending, { kind: "finished" });
    assert.deepEqual([...server.perRecipient.keys()], [1, 2, 3].map(person));
    assert.equal((await readReport(run.plan)).campaign.file, fileOf(bob));
  });

  it("comes back with what was sent meanwhile, finished or not", async () => {
    const plan = await begin();
    await bring(bob, await give(plan));
    await send((await standing(bob)).plan, 1);
    assert.deepEqual(await bring(ada, await give((await standing(bob)).plan)), { runs: 1, goesOn: true });
    assert.equal((await standing(bob)).state, "moved");
    assert.equal((await standing(ada)).state, "interrupted");
    assert.equal((await standing(ada)).plan.campaignFile, fileOf(ada));
    await send(plan, 1);
    await bring(bob, await give(plan));
    await send((await standing(bob)).plan);
    assert.deepEqual(await bring(ada, await exportHistory((await standing(bob)).plan)), { runs: 1, goesOn: false });
    assert.equal((await standing(ada)).state, "finished");
    assert.equal((await standing(ada)).totals.accepted, 4);
    assert.deepEqual(
      [...server.perRecipient],
      [1, 2, 3].map((number) => [person(number), 1]),
    );
  });

  it("is taken back by importing the very archive, and the archive is written again when it is asked for again", async () => {
    const plan = await begin();
    const first = await give(plan);
    assert.deepEqual(await give(plan), first);
    assert.deepEqual(await bring(ada, first), { runs: 1, goesOn: true });
    assert.equal((await standing(ada)).state, "interrupted");
  });

  it("an archive of an earlier move brings nothing back: it does not know what was sent since", async () => {
    const plan = await begin();
    const first = await give(plan);
    await bring(bob, first);
    const back = await give((await standing(bob)).plan);
    // Nothing was sent there, so the journals are the same: the move itself tells.
    await assert.rejects(bring(bob, first), /older than what is known/);
    await bring(ada, back);
    await send(plan, 1);
    await give(plan);
    await assert.rejects(bring(ada, back), /older than what is known/);
    assert.equal((await standing(ada)).state, "moved");
  });

  it("an import of what goes on here already changes nothing", async () => {
    const archive = await give(await begin());
    await bring(bob, archive);
    await send((await standing(bob)).plan, 1);
    const { totals } = await standing(bob);
    assert.deepEqual(await bring(bob, archive), { runs: 0, goesOn: false });
    assert.deepEqual((await standing(bob)).totals, totals);
  });

  it("needs its campaign where it goes on: not without one, and not with another's", async () => {
    const archive = await give(await begin());
    await assert.rejects(importHistory(bob.state, archive, systemClock), /was not found here\. Name the campaign file/);
    const text = smallCampaign(1)["hello.mail.md"]?.replace("0b0e7d3a", "1c0e7d3a") ?? "";
    await writeFile(fileOf(bob), text);
    await assert.rejects(bring(bob, archive), /another campaign/);
    assert.equal(await lastRun(bob.state, smallCampaignId, "real"), undefined);
  });

  it("is not given away while it is being sent", async () => {
    const plan = await begin();
    const lock = await acquireLock(path.dirname(plan.directory), systemClock, { takeOver: false, atLeast: 1 });
    assert.ok(lock.kind === "held");
    await assert.rejects(give(plan), /being sent right now/);
    await lock.release();
    assert.equal((await standing(ada)).state, "interrupted");
  });

  it("a finished run needs none: it is exported as ever, and stays", async () => {
    const plan = await begin();
    await record(plan, [finish(at)]);
    assert.deepEqual(await bring(bob, await give(plan)), { runs: 1, goesOn: false });
    assert.equal((await standing(ada)).state, "finished");
  });

  it("a mark that a failing disk damaged still counts", async () => {
    const plan = await begin();
    await give(plan);
    await writeFile(path.join(plan.directory, "moved.json"), "{");
    assert.equal((await standing(ada)).state, "moved");
  });

  it("marks do not travel: what arrives says where it came from", async () => {
    await bring(bob, await give(await begin()));
    const { plan } = await standing(bob);
    const names = await readdir(plan.directory);
    assert.ok(names.includes("arrived.json") && !names.includes("moved.json"), names.join(" "));
    const { from } = JSON.parse(await readFile(path.join(plan.directory, "arrived.json"), "utf8")) as { from: string };
    assert.equal(from, hostname());
  });
});

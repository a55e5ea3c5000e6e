/** `kill -9` at every moment of a send, again and again, and two processes that want the same campaign. */
import assert from "node:assert/strict";
import { hostname } from "node:os";
import { once } from "node:events";
import type { Report } from "../../src/mail/index";
import { readHistory } from "../../src/mail/journal";
import { lastRun } from "../../src/mail/plan";
import { campaignIdOfSmall, loopbackSettings, smallCampaign } from "../fakes/campaigns";
import { Sandbox } from "../fakes/cli";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";
import { seededRandom } from "../fakes/seededRandom";
import { Killer } from "../fakes/killer";

const send = ["send", "hello.mail.md", "--settings", "settings.json", "--account", "local", "--yes", "--quiet"];

/** 200 kills. The seeds are printed: the same one chooses the same moments. */
const stories = [
  { connections: 1, kills: 140, seed: Number(process.env.BULK_MAIL_TEST_SEED ?? Date.now() % 1e6) },
  { connections: 5, kills: 60, seed: Number(process.env.BULK_MAIL_TEST_SEED ?? Date.now() % 1e6) + 1 },
];
const recipients = 300;

describe("kill -9 in the middle of a send (R57)", function () {
  // About two minutes on two idle cores; a busy machine only takes longer.
  this.timeout(1_200_000);

  it("200 kills: mails nobody twice, loses nobody and names every doubt", async () => {
    const told = await Promise.all(stories.map((story) => tell(story)));
    for (const { line } of told) process.stdout.write(`      ${line}\n`);
    const sum = (of: (story: (typeof told)[number]) => number): number =>
      told.reduce((total, story) => total + of(story), 0);
    assert.equal(
      sum(({ kills }) => kills),
      200,
    );
    assert.ok(sum(({ between }) => between) >= 20, "too few kills between 354 and the reply");
    assert.ok(sum(({ unrecorded }) => unrecorded) >= 5, "too few kills between the reply and its record");
  });

  for (const start of ["a new campaign", "an interrupted run"])
    it(`two processes at once on ${start}: one sends, the other says who does`, async () => {
      for (let race = 0; race < 5; race++) await raceOnce(start === "an interrupted run");
    });
});

/** One campaign from its first start to its end, with all its kills. */
async function tell({ connections, kills, seed }: (typeof stories)[number]): Promise<{
  readonly kills: number;
  readonly between: number;
  readonly unrecorded: number;
  readonly line: string;
}> {
  const sandbox = await Sandbox.create();
  const killer = new Killer(seededRandom(seed), connections);
  const server = await ScriptedSmtp.start((step) => killer.script(step));
  try {
    await sandbox.write({
      ...smallCampaign(recipients),
      "settings.json": loopbackSettings(server.port, { limits: { delay: 0, connections } }),
    });
    let unrecorded = 0;
    let code: number | null = null;
    const known = new Set<string>();
    while (code === null) {
      const { child, done } = sandbox.start(send);
      if (killer.kills < kills) killer.arm(child);
      const { code: left, stderr } = await done;
      code = left;
      if (code !== null)
        assert.equal(killer.kills, kills, `came to its end after ${String(killer.kills)} kills: ${stderr}`);
      killer.disarm();
      // The journal as the dead left it: whoever was told "250" is on record as accepted or in doubt, never as not sent.
      const run = await lastRun(sandbox.state, campaignIdOfSmall, "real");
      if (run === undefined) continue;
      const { fates } = await readHistory(run.plan.directory);
      let lost = false;
      for (const address of killer.replied) {
        const outcome = fates.get(address)?.outcome;
        assert.ok(
          outcome === "accepted" || outcome === "doubt" || outcome === "unknown",
          `${address}: ${String(outcome)}`,
        );
        if (outcome === "accepted" || known.has(address)) continue;
        known.add(address);
        lost = true;
      }
      if (lost) unrecorded++;
    }

    const { stdout } = await sandbox.run(["report", "hello.mail.md", "--format", "json"]);
    const report = JSON.parse(stdout) as Report;
    const counts = server.perRecipient;
    assert.equal(report.recipients.length, recipients);
    assert.equal(report.totals.pending + report.totals.failed + report.totals.skipped, 0);
    assert.equal(report.totals.accepted + report.totals.unknown, recipients);
    assert.equal(code, 1, "unknown recipients are no success");
    let arrived = 0;
    for (const { address, outcome } of report.recipients) {
      const copies = counts.get(address) ?? 0;
      assert.ok(copies <= 1, `${address} has ${String(copies)} copies`);
      if (outcome === "accepted") assert.equal(copies, 1, address);
      else arrived += copies;
    }
    const { accepted, unknown } = report.totals;
    return {
      kills: killer.kills,
      between: killer.between,
      unrecorded,
      line:
        `${String(connections)} connections, seed ${String(seed)}: ${String(killer.kills)} kills, ${String(killer.between)} between 354 and reply, ` +
        `${String(unrecorded)} between reply and record; ${String(accepted)} accepted, ${String(unknown)} unknown (${String(arrived)} of them arrived)`,
    };
  } finally {
    killer.disarm();
    await server.close();
    await sandbox.remove();
  }
}

async function raceOnce(interrupted: boolean): Promise<void> {
  const sandbox = await Sandbox.create();
  let open: () => void = () => {};
  let gate: Promise<void> | undefined;
  const server = await ScriptedSmtp.start(async ({ command }) => {
    if (command === "MAIL") await gate;
    return undefined;
  });
  try {
    await sandbox.write({ ...smallCampaign(4), "settings.json": loopbackSettings(server.port) });
    if (interrupted) assert.equal((await sandbox.run([...send, "--limit", "1"])).code, 4);
    // Nothing goes through until one of the two is gone.
    gate = new Promise<void>((resolve) => (open = resolve));
    const both = [sandbox.start(send), sandbox.start(send)];
    await Promise.race(both.map(({ child }) => once(child, "exit")));
    open();
    const left = await Promise.all(both.map(({ done }) => done));
    const told = left.map(({ code, stdout, stderr }) => `${String(code)}: ${stdout}${stderr}`).join("\n");
    assert.deepEqual(left.map(({ code }) => code).sort(), [0, 4], told);
    const loser = left.findIndex(({ code }) => code === 4);
    const winner = both[1 - loser]?.child.pid;
    const words = `${left[loser]?.stdout ?? ""}${left[loser]?.stderr ?? ""}`;
    // Whoever finds the other's run ready made, and nobody sending yet, cannot name it.
    const isNamed = words.includes(`process ${String(winner)} on ${hostname()}`);
    assert.ok(isNamed || (!interrupted && words.includes("was started meanwhile")), told);
    assert.deepEqual([...server.perRecipient.values()], [1, 1, 1, 1]);
  } finally {
    open();
    await server.close();
    await sandbox.remove();
  }
}

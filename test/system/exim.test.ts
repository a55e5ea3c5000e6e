import assert from "node:assert/strict";
import { Sandbox } from "../fakes/cli";
import { orSkip, type ServerPrograms } from "../fakes/debianPackages";
import { announced, assertDelivered } from "../fakes/deliveredMail";
import { Exim, eximPrograms } from "../fakes/exim";
import { people, sendCampaign, writeCampaign } from "../fakes/realRun";

describe("Debian's Exim, which gives no enhanced codes", () => {
  let programs: ServerPrograms;
  let sandbox: Sandbox;
  let exim: Exim | undefined;

  before(async function () {
    programs = orSkip(this, await eximPrograms());
  });
  beforeEach(async () => {
    sandbox = await Sandbox.create();
  });
  afterEach(async () => {
    await exim?.close();
    exim = undefined;
    await sandbox.remove();
  });

  for (const connections of [1, 5]) {
    it(`each refusal means what it says, over ${String(connections)} connections (R32, R33, R35)`, async () => {
      exim = await Exim.start(programs, { unknown: "nobody", spam: "strict", greylist: true });
      const [unknown, strict] = ["nobody@example.com", "strict@example.com"] as const;
      const list = [...people(3), unknown, strict, "last@example.com"];
      await writeCampaign(sandbox, exim.port, list, { connections });
      const run = await sendCampaign(sandbox);
      assert.equal(run.code, 1, `${run.stdout}${run.stderr}${exim.log}`);
      assert.match(run.stdout, /^4 accepted, 2 failed, 0 unknown, 0 pending, 0 skipped\.$/m);
      const taken = list.filter((address) => address !== unknown && address !== strict);
      assert.deepEqual(run.by("accepted"), taken);
      assertDelivered(await exim.mails(taken.length), list, taken);
      const row = (address: string) => run.report.recipients.find((one) => one.address === address);
      assert.deepEqual([row(unknown)?.class, row(unknown)?.attempts], ["recipient", 1]);
      assert.match(row(unknown)?.reply ?? "", /550 Unknown user/);
      // Put off like the others at first, then refused for what it holds.
      assert.deepEqual([row(strict)?.class, row(strict)?.attempts], ["message", 2]);
      assert.match(row(strict)?.reply ?? "", /550 This message looks like spam/);
      const retries = run.stderr.split("\n").filter((line) => line.startsWith("retry "));
      assert.equal(retries.length, list.length - 1, run.stderr);
      for (const retry of retries) assert.match(retry, /Server: 451 Greylisted, try later/);
    });

    it(`takes what is written ahead of its replies, over ${String(connections)} connections (R27)`, async () => {
      exim = await Exim.start(programs);
      const keywords = await announced(exim.port);
      assert.ok(keywords.includes("PIPELINING") && keywords.includes("SMTPUTF8"), keywords.join());
      assert.ok(!keywords.includes("ENHANCEDSTATUSCODES"), keywords.join());
      const list = [...people(39), "josé@example.com"];
      await writeCampaign(sandbox, exim.port, list, { connections });
      const run = await sendCampaign(sandbox);
      assert.equal(run.code, 0, `${run.stdout}${run.stderr}${exim.log}`);
      assertDelivered(await exim.mails(list.length), list);
      // Exim notices who speaks before it may.
      assert.doesNotMatch(exim.log, /synchronization error|syntax error|rejected/);
    });
  }
});

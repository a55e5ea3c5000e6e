import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import type { Report } from "../../src/mail/index";
import { loopbackSettings, smallCampaign } from "../fakes/campaigns";
import { Sandbox } from "../fakes/cli";
import { ScriptedSmtp, type Script, type Step } from "../fakes/scriptedSmtp";

const recipients = 40;
const send = ["send", "hello.mail.md", "--settings", "settings.json", "--account", "local", "--yes"];

/** Where the sender is killed, in turn. `accepted` is after the server took the message and before its reply. */
const moments = ["MAIL", "DATA", "body", "dot", "accepted", "next MAIL"] as const;

describe("kill -9 in the middle of a send (R57)", () => {
  let sandbox: Sandbox;
  let server: ScriptedSmtp;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
  });
  afterEach(async () => {
    await server.close();
    await sandbox.remove();
  });

  for (const connections of [1, 5])
    it(`mails nobody twice, loses nobody and names every doubt, over ${String(connections)} connections`, async () => {
      let child: ChildProcess | undefined;
      let kills = 0;
      let armed = false;
      const kill = (): { end: "hang" } => {
        armed = false;
        kills++;
        child?.kill("SIGKILL");
        return { end: "hang" };
      };
      const script: Script = (step: Step) => {
        if (!armed) return undefined;
        const moment = moments[kills % moments.length];
        if (moment === "accepted" && step.command === "dot") {
          kill();
          return { acceptThen: "hang" };
        }
        if (moment === "next MAIL" ? step.command === "MAIL" && step.before % 3 === 2 : step.command === moment)
          return kill();
        return undefined;
      };
      server = await ScriptedSmtp.start(script);
      await sandbox.write({
        ...smallCampaign(recipients),
        "settings.json": loopbackSettings(server.port, { limits: { delay: 0, connections } }),
      });
      let code: number | null = null;
      for (let round = 0; code === null; round++) {
        assert.ok(round < 200, "it never came to an end");
        armed = kills < 18;
        const started = sandbox.start(send);
        child = started.child;
        ({ code } = await started.done);
      }
      assert.equal(kills, 18);

      const { stdout } = await sandbox.run(["report", "hello.mail.md", "--format", "json"]);
      const report = JSON.parse(stdout) as Report;
      const counts = server.perRecipient;
      assert.equal(report.recipients.length, recipients);
      assert.equal(report.totals.pending + report.totals.failed, 0);
      assert.equal(report.totals.accepted + report.totals.unknown, recipients);
      // With one connection exactly the kills between 354 and the recorded outcome leave a doubt, and no other.
      if (connections === 1) assert.equal(report.totals.unknown, 9);
      assert.ok(report.totals.unknown > 0);
      assert.equal(code, 1, "unknown recipients are no success");
      for (const { address, outcome } of report.recipients) {
        const copies = counts.get(address) ?? 0;
        assert.ok(copies <= 1, `${address} has ${String(copies)} copies`);
        if (outcome === "accepted") assert.equal(copies, 1, address);
      }
    });
});

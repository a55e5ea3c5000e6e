import assert from "node:assert/strict";
import { Sandbox } from "../fakes/cli";
import { orSkip, type ServerPrograms } from "../fakes/debianPackages";
import { announced, assertDelivered } from "../fakes/deliveredMail";
import { OpenSmtpd, openSmtpdPrograms } from "../fakes/opensmtpd";
import { people, sendCampaign, writeCampaign } from "../fakes/realRun";

describe("Debian's OpenSMTPD, which knows neither PIPELINING nor SMTPUTF8", () => {
  let programs: ServerPrograms;
  let sandbox: Sandbox;
  let server: OpenSmtpd | undefined;

  before(async function () {
    programs = orSkip(this, await openSmtpdPrograms());
  });
  beforeEach(async () => {
    sandbox = await Sandbox.create();
  });
  afterEach(async () => {
    await server?.close();
    server = undefined;
    await sandbox.remove();
  });

  for (const connections of [1, 5])
    it(`takes one command at a time; who has an international address fails alone, over ${String(connections)} connections (R32, R33, R35)`, async () => {
      server = await OpenSmtpd.start(programs);
      const keywords = await announced(server.port);
      for (const missing of ["PIPELINING", "SMTPUTF8"]) assert.ok(!keywords.includes(missing), keywords.join());
      const international = "josé@example.com";
      const list = [...people(5), international, "o'neil+news@example.com", ...people(20).slice(5)];
      await writeCampaign(sandbox, server.port, list, { connections });
      const run = await sendCampaign(sandbox);
      assert.equal(run.code, 1, `${run.stdout}${run.stderr}${server.log}`);
      assert.match(run.stdout, /^21 accepted, 1 failed, 0 unknown, 0 pending, 0 skipped\.$/m);
      const row = run.report.recipients.find(({ address }) => address === international);
      assert.deepEqual([row?.outcome, row?.class, row?.attempts], ["failed", "recipient", 1]);
      assert.match(row?.reply ?? "", /SMTPUTF8/);
      assertDelivered(
        await server.mails(21),
        list,
        list.filter((address) => address !== international),
      );
      // Nothing was begun for that one: every MAIL became a message, and the server refused nothing.
      assert.equal(server.log.match(/<<< MAIL FROM/gi)?.length, 21);
      assert.doesNotMatch(server.log, /failed-command|jos/);
    });
});

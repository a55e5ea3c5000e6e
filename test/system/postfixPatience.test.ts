import assert from "node:assert/strict";
import { Sandbox } from "../fakes/cli";
import { orSkip, type ServerPrograms } from "../fakes/debianPackages";
import { announced, assertDelivered } from "../fakes/deliveredMail";
import { Postgrey, postgreyPrograms } from "../fakes/greylist";
import { Postfix, postfixPrograms } from "../fakes/postfix";
import { people, sendCampaign, writeCampaign, type RealRun } from "../fakes/realRun";

/** Postfix holds its replies back for who makes many errors, and a put-off recipient is one: here only the waits of ours count. */
const noPause = { smtpd_error_sleep_time: "0" };

/** The lines of a run's log with this word in front. */
function lines({ stderr }: RealRun, result: string): readonly string[] {
  return stderr.split("\n").filter((line) => line.startsWith(`${result} `));
}

/** When they were accepted, milliseconds since the epoch, in the list's order. */
function acceptedAt({ report }: RealRun, addresses: readonly string[]): readonly number[] {
  return report.recipients
    .filter(({ address }) => addresses.includes(address))
    .map((row) => Date.parse(row.acceptedAt ?? "never"));
}

describe("Debian's Postfix asks for patience", () => {
  let programs: ServerPrograms;
  let sandbox: Sandbox;
  let postfix: Postfix | undefined;
  let postgrey: Postgrey | undefined;

  before(async function () {
    programs = orSkip(this, await postfixPrograms());
  });
  beforeEach(async () => {
    sandbox = await Sandbox.create();
  });
  afterEach(async () => {
    await postfix?.close();
    await postgrey?.close();
    postfix = postgrey = undefined;
    await sandbox.remove();
  });

  for (const connections of [1, 5])
    it(`takes 4 messages in 2 s from a client: slower, and nobody fails, over ${String(connections)} connections (R23, R24, R43)`, async () => {
      postfix = await Postfix.start(programs, {
        main: { ...noPause, smtpd_client_message_rate_limit: "4", anvil_rate_time_unit: "2s" },
      });
      assert.ok((await announced(postfix.port)).includes("PIPELINING"));
      const list = people(9);
      await writeCampaign(sandbox, postfix.port, list, {
        connections,
        maxAttempts: 10,
        initialDelay: 50,
        maxDelay: 200,
      });
      const run = await sendCampaign(sandbox);
      assert.equal(run.code, 0, `${run.stdout}${run.stderr}${postfix.log}`);
      assert.match(run.stdout, /^9 accepted, 0 failed, 0 unknown, 0 pending, 0 skipped\.$/m);
      assertDelivered(await postfix.mails(9), list);
      assert.doesNotMatch(postfix.log, /improper command pipelining/);
      const retries = lines(run, "retry");
      assert.ok(retries.length > 0, run.stderr);
      for (const retry of retries)
        assert.match(retry, /The server asks to slow down\..* Server: 450 4\.7\.1 .*too much mail/);
      // The ninth is in the third stretch of 2 s at the earliest, so the whole second one lies before it.
      const times = acceptedAt(run, list);
      assert.ok(Math.max(...times) - Math.min(...times) >= 2000, run.stderr);
    });

  for (const connections of [1, 5])
    it(`puts off whom it does not know yet: the others go on meanwhile, and everybody is accepted, over ${String(connections)} connections (R30, R32)`, async function () {
      const list = people(10);
      const [strangers, known] = [list.slice(0, 6), list.slice(6)];
      postgrey = await Postgrey.start(orSkip(this, await postgreyPrograms()), 4, known);
      postfix = await Postfix.start(programs, {
        main: { ...noPause, smtpd_recipient_restrictions: postgrey.restriction },
      });
      await writeCampaign(sandbox, postfix.port, list, {
        connections,
        maxAttempts: 6,
        // 80 ms are 4.8 s for who is put off: time enough to come to the end of the list first.
        initialDelay: 80,
        maxDelay: 50,
      });
      const run = await sendCampaign(sandbox);
      assert.equal(run.code, 0, `${run.stdout}${run.stderr}${postfix.log}`);
      assert.match(run.stdout, /^10 accepted, 0 failed, 0 unknown, 0 pending, 0 skipped\.$/m);
      assertDelivered(await postfix.mails(10), list);
      for (const retry of lines(run, "retry"))
        assert.match(retry, /It is tried again later\. Server: 450 4\.2\.0 .*Greylisted/);
      for (const { address, attempts } of run.report.recipients)
        assert.ok(known.includes(address) ? attempts === 1 : attempts > 1, `${address} ${String(attempts)}`);
      // Who stands at the end of the list does not wait for who stands before.
      assert.ok(Math.max(...acceptedAt(run, known)) < Math.min(...acceptedAt(run, strangers)), run.stderr);
    });

  it("hangs up on who makes many errors, as putting off a whole list looks: nobody is lost (R29, R32)", async function () {
    const list = people(16);
    postgrey = await Postgrey.start(orSkip(this, await postgreyPrograms()), 2);
    postfix = await Postfix.start(programs, {
      main: { ...noPause, smtpd_hard_error_limit: "6", smtpd_recipient_restrictions: postgrey.restriction },
    });
    await writeCampaign(sandbox, postfix.port, list, { maxAttempts: 8, initialDelay: 20, maxDelay: 50 });
    const run = await sendCampaign(sandbox);
    assert.equal(run.code, 0, `${run.stdout}${run.stderr}${postfix.log}`);
    assert.match(postfix.log, /too many errors after/);
    assertDelivered(await postfix.mails(16), list);
  });
});

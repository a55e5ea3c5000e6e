/** The forecast in the question before a send: limits, and what the mailbox has sent already. */
import assert from "node:assert/strict";
import { smallCampaign } from "../fakes/campaigns";
import { SendingDesk, through } from "../fakes/sendingDesk";

describe("the forecast before a send (R23, R26)", () => {
  let desk: SendingDesk;
  afterEach(async () => await desk.close());

  /** The lines of the last question that say when. */
  const when = (): readonly string[] =>
    (desk.editor.dialogs.asked.at(-1)?.detail ?? "").split("\n").filter((line) => /^(When|Takes): /.test(line));

  it("counts what left the mailbox in the last day, copies included, and says when the rest follows", async () => {
    desk = await SendingDesk.open(smallCampaign(3, `${through}bcc: archive@example.com\n`), undefined, {
      delay: 0,
      perDay: 8,
    });
    const { editor, server, campaign } = desk;
    editor.dialogs.answer("Send");
    await editor.run("send", campaign);
    assert.deepEqual(when(), ["When: fits today, less than a minute"]);
    assert.equal(server.received.length, 3);
    // Six of the eight recipients of a day are gone: one message to two of them fits.
    editor.dialogs.answer("Send Again to Everyone…", undefined);
    await editor.run("send", campaign);
    assert.equal(when().length, 1);
    assert.match(when()[0] ?? "", /^When: 1 today, the rest until \w{3} \d\d:\d\d$/);
  });

  it("says nothing where only the server decides how long it takes, and nothing for the sandbox", async () => {
    desk = await SendingDesk.open(smallCampaign(2, through));
    desk.editor.dialogs.answer(undefined);
    await desk.editor.run("send", desk.campaign);
    assert.deepEqual(when(), ["Takes: as long as the server does, over 1 connection"]);
    await desk.close();
    desk = await SendingDesk.open(smallCampaign(2, "account: sandbox\n"), undefined, { delay: 0, perDay: 1 });
    desk.editor.dialogs.answer(undefined);
    await desk.editor.run("send", desk.campaign);
    assert.match(desk.editor.dialogs.asked[0]?.message ?? "", /into the sandbox\?$/);
    assert.deepEqual(when(), ["Takes: as long as the server does, over 1 connection"]);
  });
});

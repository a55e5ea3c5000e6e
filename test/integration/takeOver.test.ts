/** Take Over: a run whose owner lives and does not stir goes on here, and only after a person said so. */
import assert from "node:assert/strict";
import { hostname } from "node:os";
import { look } from "../../src/interruptedRuns";
import { statusText } from "../../src/statusBar";
import { smallCampaign } from "../fakes/campaigns";
import { SendingDesk, through } from "../fakes/sendingDesk";

describe("Take Over (R57)", () => {
  let desk: SendingDesk;
  beforeEach(async () => {
    desk = await SendingDesk.open(smallCampaign(10, through));
    await desk.pauseInTheMiddle();
  });
  afterEach(async () => await desk.close());

  for (const name of ["send", "resume", "takeOver"] as const)
    it(`${name} names the silent process and what may happen, and goes on after a yes`, async () => {
      const { editor, server, campaign } = desk;
      const left = 10 - server.received.length;
      const pid = await desk.holdSilently();
      editor.dialogs.answer("Take Over");
      await editor.run(name, campaign);
      const question = editor.dialogs.asked.at(-1);
      assert.equal(question?.message, `Take over “hello”, and go on sending to ${String(left)} more?`);
      assert.deepEqual(question.buttons, ["Take Over"]);
      assert.ok(question.detail.includes(`process ${String(pid)} on ${hostname()}`), question.detail);
      assert.match(question.detail, /in doubt, and is not mailed again/);
      assert.equal(editor.toasts.at(-1)?.message, "hello: 10 accepted.");
      assert.deepEqual(new Set(server.perRecipient.values()), new Set([1]));
    });

  it("nothing happens without a yes", async () => {
    const { editor, server, campaign } = desk;
    const before = server.received.length;
    await desk.holdSilently();
    editor.dialogs.answer(undefined);
    await editor.run("takeOver", campaign);
    assert.equal(server.received.length, before);
    assert.deepEqual(editor.toasts, []);
  });

  it("says so when there is nothing to take over, and asks nothing", async () => {
    const { editor, campaign } = desk;
    await editor.run("takeOver", campaign);
    assert.match(editor.toasts[0]?.message ?? "", /^Nobody holds this campaign/);
    assert.equal(editor.dialogs.asked.length, 1, "only the question of the first send");
  });

  it("a new window shows that a silent process holds it, with the way on", async () => {
    const { editor, campaign } = desk;
    await desk.holdSilently();
    const { task, campaigns } = editor.services;
    task.stop(campaign.fsPath);
    await look(campaigns, task, editor.stateDirectory);
    const [view] = task.views;
    assert.ok(view !== undefined);
    assert.equal(statusText(view), "$(debug-pause) hello: held by a silent process · Take Over");
  });
});

/** Send At: the same question as Send, with the start in it; a start that passed unseen is asked about. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import * as path from "node:path";
import { look } from "../../src/interruptedRuns";
import { momentText } from "../../src/mail/index";
import { statusText } from "../../src/statusBar";
import { smallCampaign } from "../fakes/campaigns";
import { until } from "../fakes/editor";
import { SendingDesk, through } from "../fakes/sendingDesk";

describe("Send At (R26)", () => {
  let desk: SendingDesk;
  let refusal: string | undefined;
  beforeEach(async () => (desk = await SendingDesk.open(smallCampaign(3, through), () => refusal)));
  afterEach(async () => await desk.close());

  /** Noon in two days, as somebody types it and as a moment. */
  function noon(): { readonly text: string; readonly at: number } {
    const today = new Date();
    const day = new Date(today.getFullYear(), today.getMonth(), today.getDate() + 2, 12);
    const date = [day.getFullYear(), day.getMonth() + 1, day.getDate()].map((part) => String(part).padStart(2, "0"));
    return { text: `${date.join("-")} 12:00`, at: day.getTime() };
  }

  it("asks when, then everything that Send asks, and hands the start to the run", async () => {
    const { editor, campaign } = desk;
    const { text, at } = noon();
    editor.dialogs.answer(text, "Send");
    const sending = editor.run("sendAt", campaign);
    const { task } = editor.services;
    await until("the run", task.onDidChange, () =>
      task.views.some(({ phase, totals }) => phase !== "preparing" && totals !== undefined),
    );
    task.pause(campaign.fsPath);
    await sending;
    assert.equal(editor.dialogs.asked[1]?.message, "Send “hello” to 3 people?");
    assert.match(
      editor.dialogs.asked[1].detail,
      new RegExp(`^Starts ${momentText(at, Date.now())}\\. Until then VS Code must stay open`, "m"),
    );
    assert.equal(Date.parse((await desk.plan()).startAt ?? ""), at);
  });

  it("sends nothing when the person turns away from the time, or from the question", async () => {
    const { editor, server, campaign } = desk;
    editor.dialogs.answer(undefined);
    await editor.run("sendAt", campaign);
    editor.dialogs.answer(noon().text, undefined);
    await editor.run("sendAt", campaign);
    assert.equal(editor.dialogs.asked.length, 3);
    assert.deepEqual(server.received, []);
    assert.deepEqual(editor.toasts, []);
  });

  it("a start that passed unseen is offered quietly, and goes only after a question that says so", async () => {
    const { editor, server, campaign } = desk;
    const { task, campaigns } = editor.services;
    // What a closed window leaves behind: a plan with a start, and nobody mailed.
    const at = Date.now() - 60_000;
    await leavePlan(at);
    await look(campaigns, task, editor.stateDirectory);
    const [view] = task.views;
    assert.ok(view !== undefined);
    const when = momentText(at, Date.now());
    assert.equal(statusText(view), `$(debug-pause) hello: was to start ${when} · Resume`);
    assert.equal(editor.toasts.length, 1, "the one of the run that ended");
    assert.deepEqual(server.received, []);
    editor.dialogs.answer("Resume");
    await editor.run("resume", campaign);
    const question = editor.dialogs.asked.at(-1);
    assert.equal(question?.message, "Resume sending “hello” to 3 more?");
    assert.ok(question.detail.includes(`It was to start ${when}, and did not. It starts at once.`), question.detail);
    assert.equal(editor.toasts.at(-1)?.message, "hello: 3 accepted.");
  });

  it("a start that is still to come can be kept, or begun now", async () => {
    const { editor, server, campaign } = desk;
    const { at } = noon();
    await leavePlan(at);
    editor.dialogs.answer("Start Now");
    await editor.run("resume", campaign);
    const question = editor.dialogs.asked.at(-1);
    assert.deepEqual(question?.buttons, ["Resume", "Start Now"]);
    assert.match(question.detail, /^Starts .* VS Code must stay open/m);
    assert.equal(server.received.length, 3);
  });

  /** A run that mailed nobody, since the server took nothing; then its plan says that it was to start `at`. */
  async function leavePlan(at: number): Promise<void> {
    const { editor, server, campaign } = desk;
    editor.dialogs.answer("Send");
    refusal = "530 5.7.0 Must issue a STARTTLS command first";
    await editor.run("send", campaign);
    refusal = undefined;
    assert.deepEqual(server.received, []);
    editor.services.task.stop(campaign.fsPath);
    const { directory, ...plan } = await desk.plan();
    await writeFile(
      path.join(directory, "plan.json"),
      JSON.stringify({ ...plan, startAt: new Date(at).toISOString() }),
    );
  }
});

/** Settings that change while a run goes: the run hears of them. */
import assert from "node:assert/strict";
import * as vscode from "vscode";
import { readPace } from "../../src/config";
import { parseAccount } from "../../src/mail/index";
import { smallCampaign } from "../fakes/campaigns";
import { SendingDesk, through } from "../fakes/sendingDesk";

describe("pace settings", () => {
  let desk: SendingDesk;
  const set = async (key: string, value: unknown, target = vscode.ConfigurationTarget.Workspace): Promise<void> => {
    await vscode.workspace.getConfiguration("bulkMail").update(key, value, target);
  };
  beforeEach(async () => (desk = await SendingDesk.open(smallCampaign(3, through), undefined, {})));
  afterEach(async () => {
    for (const key of ["sending.delay", "sending.perHour", "sending.window"]) await set(key, undefined);
    await set("sending.perHour", undefined, vscode.ConfigurationTarget.Global);
    await set("sending.window", undefined, vscode.ConfigurationTarget.Global);
    await desk.close();
  });

  it("that change reach a run on its way (R22)", async () => {
    const { editor } = desk;
    const { sending, release } = await desk.startHeld();
    const before = editor.log.length;
    await set("sending.perHour", 1000);
    await editor.services.task.readPaces();
    await set("sending.perHour", "many");
    await editor.services.task.readPaces();
    release();
    await sending;
    const said = editor.log.slice(before).filter((line) => line.includes("pace"));
    assert.equal(said.filter((line) => line.includes("goes on at the pace that the settings have now")).length, 1);
    assert.ok(said.some((line) => /keeps its pace\. .*bulkMail\.sending\.perHour has a value/.test(line)));
    assert.equal(editor.toasts.at(-1)?.message, "hello: 3 accepted.");
  });

  it("that let a user's account go faster wake a run that waits for its next turn (R22)", async () => {
    await desk.close();
    const global = vscode.ConfigurationTarget.Global;
    // The user settings of these tests have no delay; so it is again at the end.
    await set("sending.delay", 3_600_000, global);
    try {
      desk = await SendingDesk.open(smallCampaign(3, through), undefined, {}, "user");
      const { editor, server, campaign } = desk;
      editor.dialogs.answer("Send");
      const sending = editor.run("send", campaign);
      await server.until(1);
      assert.match(editor.dialogs.asked[0]?.detail ?? "", /^When: fits today, about 2 h$|^When: done .*, about 2 h$/m);
      assert.equal(server.received.length, 1, "the second message has an hour to go");
      await set("sending.delay", 0, global);
      await sending;
      assert.equal(editor.toasts.at(-1)?.message, "hello: 3 accepted.");
      assert.deepEqual([...server.perRecipient.values()], [1, 1, 1]);
    } finally {
      await set("sending.delay", 0, global);
    }
  });

  it("that cannot be used stop a send before it begins, with the setting's name", async () => {
    const { editor, server, campaign } = desk;
    await set("sending.window", { from: "9 o'clock" });
    await editor.run("send", campaign);
    assert.match(editor.toasts[0]?.message ?? "", /^The setting bulkMail\.sending\.window has a value/);
    assert.deepEqual(server.received, []);
  });

  it("of a workspace replace the user's for its own account, whole, and only tighten them for a user's", async () => {
    const { value: account } = parseAccount("work", { host: "smtp.example.com", user: "ada@example.com" });
    const global = vscode.ConfigurationTarget.Global;
    await set("sending.perHour", 60, global);
    await set("sending.window", { days: ["mon"], from: "18:00", to: "22:00" }, global);
    await set("sending.perHour", 600);
    await set("sending.window", { from: "06:00", to: "09:00" });
    const own = readPace(account, "user");
    assert.deepEqual([own.perHour, own.window?.from, own.window?.days], [60, "18:00", ["mon"]]);
    const theirs = readPace(account, "workspace");
    assert.deepEqual([theirs.perHour, theirs.window?.from, theirs.window?.days.length], [600, "06:00", 7]);
    assert.deepEqual([readPace(undefined, "user").perHour, readPace(undefined, "user").window], [0, undefined]);
  });
});

/** Rehearse: the whole way through worker, sandbox server, journal and report, without anything leaving the machine. */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import * as vscode from "vscode";
import { sandboxDirectory } from "../../src/mail/stateDirectory";
import { smallCampaign } from "../fakes/campaigns";
import { Editor } from "../fakes/editor";

const id = "0b0e7d3a-8f4e-4d52-9f0a-6f2f1f9e5a11";

describe("Rehearse in Sandbox (R56)", () => {
  let editor: Editor;
  afterEach(async () => await editor.close());

  it("sends everyone into the sandbox, says so once, and opens the report from the toast", async () => {
    editor = await Editor.open(smallCampaign(25));
    await editor.run("rehearse", editor.uri("hello.mail.md"));
    assert.deepEqual(
      editor.toasts.map(({ kind, message, actions }) => [kind, message, actions.map(({ title }) => title)]),
      [["info", "Rehearsed hello: 25 of 25 accepted. Sandbox: nothing left this machine.", ["Open Report"]]],
    );
    const mails = await readdir(sandboxDirectory(editor.stateDirectory, id));
    assert.equal(mails.filter((name) => name.endsWith(".eml")).length, 25);
    const lines = editor.log.filter((line) => line.includes("accepted person"));
    assert.equal(lines.length, 25);
    assert.match(lines[0] ?? "", /hello: accepted person0@example\.com \(line 2, \d+ ms\) 250 /);

    await editor.toasts[0]?.actions[0]?.run();
    const report = vscode.window.activeTextEditor?.document;
    assert.equal(report?.uri.scheme, "bulk-mail-report");
    assert.match(report.getText(), /^Sandbox: nothing left this machine\./);
    for (const address of ["person0@example.com", "person24@example.com"])
      assert.ok(report.getText().includes(address));
    assert.deepEqual(editor.dialogs.asked, [], "a rehearsal asks nothing");
  });

  it("is a new run every time, and the report is the newest one's", async () => {
    editor = await Editor.open(smallCampaign(2));
    await editor.run("rehearse", editor.uri("hello.mail.md"));
    await editor.run("rehearse", editor.uri("hello.mail.md"));
    assert.equal(editor.toasts.length, 2);
    assert.equal((await readdir(sandboxDirectory(editor.stateDirectory, id))).length, 4);
    await editor.run("openReport", editor.uri("hello.mail.md"));
    assert.equal(vscode.window.activeTextEditor?.document.uri.scheme, "bulk-mail-report");
  });

  it("leaves out the rows that cannot be mailed, and counts them as failed", async () => {
    const { "people.csv": list = "", ...rest } = smallCampaign(3);
    editor = await Editor.open({ ...rest, "people.csv": `${list}no address,Nobody,3\n` });
    await editor.run("rehearse", editor.uri("hello.mail.md"));
    assert.equal(
      editor.toasts[0]?.message,
      "Rehearsed hello: 3 of 4 accepted, 1 failed. Sandbox: nothing left this machine.",
    );
  });

  it("sends nothing of a campaign with problems, and shows them", async () => {
    const files = smallCampaign(3);
    editor = await Editor.open({ ...files, "hello.mail.md": `${files["hello.mail.md"] ?? ""}{{ nobody }}\n` });
    await editor.run("rehearse", editor.uri("hello.mail.md"));
    assert.match(editor.toasts[0]?.message ?? "", /^Nothing was sent: the campaign has 1 problem\./);
    const shown = vscode.languages.getDiagnostics(editor.uri("hello.mail.md"));
    assert.ok(shown.some(({ code }) => code === "liquid.unknown"));
    await assert.rejects(readdir(sandboxDirectory(editor.stateDirectory, id)));
  });

  it("has no report before anything was sent", async () => {
    editor = await Editor.open(smallCampaign(1));
    await editor.run("openReport", editor.uri("hello.mail.md"));
    assert.match(editor.toasts[0]?.message ?? "", /has not been sent yet/);
  });
});

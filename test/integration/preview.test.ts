/** The preview panel's host half, on a real panel: rows, problems, live changes. Its page is tested by clicking. */
import assert from "node:assert/strict";
import * as vscode from "vscode";
import type { PreviewState } from "../../src/webview/protocol";
import { smallCampaign } from "../fakes/campaigns";
import { Editor, writeFiles } from "../fakes/editor";
import { eventually } from "../host/wait";

describe("Preview (R54)", () => {
  let editor: Editor;
  afterEach(async () => await editor.close());

  const state = (): PreviewState => {
    const shown = editor.services.previews.state;
    assert.ok(shown, "nothing is previewed");
    return shown;
  };

  it("shows the exact message of a row, and steps to others", async () => {
    editor = await Editor.open(smallCampaign(5));
    const campaign = editor.uri("hello.mail.md");
    await editor.run("preview", campaign);
    assert.deepEqual(
      [state().index, state().count, state().row?.line, state().row?.address],
      [0, 5, 2, "person0@example.com"],
    );
    assert.equal(state().message?.subject, "Number 0");
    assert.match(state().message?.to ?? "", /Person 0.*<person0@example\.com>/);
    assert.match(state().message?.html ?? "", /<strong[^>]*>Person 0<\/strong>/);
    assert.match(state().message?.text ?? "", /Hello .*Person 0/);
    assert.match(state().message?.source ?? "", /^Subject: Number 0\r$/m);
    await editor.run("preview", campaign, 4);
    assert.equal(state().message?.subject, "Number 4");
    await editor.run("preview", campaign, 99);
    assert.deepEqual([state().index, state().message?.subject], [4, "Number 4"]);
  });

  it("follows what is typed", async () => {
    editor = await Editor.open(smallCampaign(1));
    const campaign = editor.uri("hello.mail.md");
    const document = await vscode.workspace.openTextDocument(campaign);
    await vscode.window.showTextDocument(document);
    await editor.run("preview", campaign);
    const edit = new vscode.WorkspaceEdit();
    edit.insert(campaign, new vscode.Position(document.lineCount, 0), "Yours, {{ name }}\n");
    await vscode.workspace.applyEdit(edit);
    await eventually("the new text", () =>
      Promise.resolve(state().message?.text.includes("Yours, Person 0") === true ? true : undefined),
    );
    await vscode.commands.executeCommand("workbench.action.files.revert");
  });

  it("is content as soon as a missing attachment comes", async () => {
    editor = await Editor.open(smallCampaign(1, "attachments: [terms.pdf]\n"));
    const campaign = editor.uri("hello.mail.md");
    await editor.run("preview", campaign);
    assert.equal(state().message, undefined);
    assert.match(state().problems[0]?.place ?? "", /^hello\.mail\.md:7$/);
    await writeFiles(editor.folder, { "terms.pdf": "terms" });
    await editor.run("preview", campaign);
    assert.deepEqual(state().problems, []);
    assert.equal(state().message?.attachments[0]?.name, "terms.pdf");
  });

  it("shows the row's problems, and keeps the last good message as stale", async () => {
    const files = smallCampaign(1);
    editor = await Editor.open({ ...files, "people.csv": `${files["people.csv"] ?? ""}no address,Nobody,1\n` });
    const campaign = editor.uri("hello.mail.md");
    await editor.run("preview", campaign);
    assert.deepEqual([state().stale, state().problems], [false, []]);
    await editor.run("preview", campaign, 1);
    assert.equal(state().row?.fate, "invalid");
    assert.equal(state().stale, true);
    assert.match(state().problems[0]?.place ?? "", /^people\.csv:3$/);
  });
});

/** New Campaign: from a list in the workspace to a campaign that checks clean. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import * as path from "node:path";
import * as vscode from "vscode";
import { Editor, until } from "../fakes/editor";

describe("New Campaign", () => {
  let editor: Editor;
  afterEach(async () => await editor.close());

  const label = (file: string): string => vscode.workspace.asRelativePath(editor.uri(file));

  it("finds the address column, writes a campaign with the columns as placeholders and opens it (R50)", async () => {
    editor = await Editor.open({
      "customers.csv": "Customer No;Full Name;E-Mail;City\n1;Ada;ada@example.com;London\n2;Grace;grace@example.org;\n",
    });
    editor.dialogs.answer(label("customers.csv"), "Plain letter");
    await editor.run("newCampaign");
    assert.deepEqual(editor.toasts, []);
    const document = vscode.window.activeTextEditor?.document;
    assert.equal(document?.uri.fsPath, editor.uri("hello.mail.md").fsPath);
    const text = document.getText();
    assert.match(text, /^---\nid: [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\n/);
    assert.match(text, /^recipients: "customers\.csv"$/m);
    assert.match(text, /^to: "\{\{ full_name \}\} <\{\{ e_mail \}\}>"$/m);
    for (const placeholder of ["{{ customer_no }}", "{{ full_name }}"]) assert.ok(text.includes(placeholder), text);
    const { diagnostics } = editor.services;
    const state = await until("the check", diagnostics.onDidCheck, () => diagnostics.stateOf(document.uri));
    assert.equal(state.kind, "checked");
    assert.deepEqual(
      state.reply.problems.map(({ message }) => message),
      [],
    );
    assert.equal(state.reply.counts?.mail, 2);
  });

  it("overwrites nothing", async () => {
    editor = await Editor.open({ "people.csv": "email,name\nada@example.com,Ada\n", "hello.mail.md": "mine" });
    editor.dialogs.answer(label("people.csv"), "Plain letter");
    await editor.run("newCampaign");
    assert.equal(await readFile(editor.uri("hello.mail.md").fsPath, "utf8"), "mine");
    assert.equal(vscode.window.activeTextEditor?.document.uri.fsPath, editor.uri("hello-2.mail.md").fsPath);
  });

  it("makes a small list where there is none", async () => {
    editor = await Editor.open();
    editor.dialogs.answer("$(add) Make a small list", "Plain letter");
    await editor.run("newCampaign");
    const document = vscode.window.activeTextEditor?.document;
    assert.ok(document);
    const folder = path.dirname(document.uri.fsPath);
    const state = await until("the check", editor.services.diagnostics.onDidCheck, () =>
      editor.services.diagnostics.stateOf(document.uri),
    );
    assert.equal(state.kind === "checked" && state.reply.counts?.mail, 2);
    for (const name of ["people.csv", path.basename(document.uri.fsPath)]) {
      assert.ok((await readdir(folder)).includes(name));
      await vscode.workspace.fs.delete(vscode.Uri.file(path.join(folder, name)));
    }
  });

  it("writes nothing when the person turns away, from either question", async () => {
    editor = await Editor.open({ "people.csv": "email,name\nada@example.com,Ada\n" });
    editor.dialogs.answer(undefined);
    await editor.run("newCampaign");
    editor.dialogs.answer(label("people.csv"), undefined);
    await editor.run("newCampaign");
    assert.deepEqual(await readdir(editor.folder), ["people.csv"]);
  });

  const invoices = "email,name,invoice,amount,due\nada@example.com,Ada,1001,12.50,2026-04-01\n";

  for (const [letter, file] of [
    ["Announcement", "announcement.mail.html"],
    ["Invoice with attachment", "invoice.mail.md"],
    ["Event invitation", "invitation.mail.html"],
  ] as const)
    it(`${letter}: checks clean for the list that a menu names (R52, R53)`, async () => {
      editor = await Editor.open({ "people.csv": invoices, "invoices/1001.pdf": "%PDF-1.4" });
      editor.dialogs.answer(letter);
      await editor.run("newCampaign", editor.uri("people.csv"));
      const document = vscode.window.activeTextEditor?.document;
      assert.equal(document?.uri.fsPath, editor.uri(file).fsPath);
      const { diagnostics } = editor.services;
      const state = await until("the check", diagnostics.onDidCheck, () => diagnostics.stateOf(document.uri));
      assert.equal(state.kind, "checked");
      assert.deepEqual(
        state.reply.problems.map(({ message }) => message),
        [],
      );
      assert.equal(state.reply.counts?.mail, 1);
    });
});

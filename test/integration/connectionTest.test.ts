/** The host half of a connection test in the panel: what a page can and cannot bring about. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import * as vscode from "vscode";
import type { Draft } from "../../src/accounts";
import type { Diagnosis } from "../../src/mail/index";
import { providerById } from "../../src/mail/index";
import { ConnectionTest, type Doctor } from "../../src/webview/connectionTest";
import type { TestStep } from "../../src/webview/protocol";
import { Editor } from "../fakes/editor";
import { authorityFile, MailServer } from "../fakes/mailServer";
import { accountAt } from "../fakes/editorAccount";

const password = "correct horse battery staple";

describe("a connection test in the panel", () => {
  let editor: Editor;
  let server: MailServer;
  let shown: { run: number; steps: readonly TestStep[] }[];
  let test: ConnectionTest;
  let draft: Draft;

  beforeEach(async () => {
    server = await MailServer.start("ada", password);
    editor = await Editor.open();
    const settings = await accountAt(server, editor);
    draft = { id: "work", level: "user", settings, password };
    shown = [];
    test = testWith(editor.services.task);
  });
  afterEach(async () => {
    await editor.close();
    await server.close();
  });

  function testWith(doctor: Doctor): ConnectionTest {
    const { accounts } = editor.services;
    return new ConnectionTest({ accounts, dialogs: editor.dialogs, doctor }, (run, steps) =>
      shown.push({ run, steps }),
    );
  }

  it("shows the steps one by one, then all of them (R17, R18)", async () => {
    const reply = await test.run(7, draft, false);
    assert.ok(reply.kind === "tested" && reply.ok, JSON.stringify(reply));
    assert.deepEqual(new Set(shown.map(({ run }) => run)), new Set([7]));
    assert.equal(shown[0]?.steps.length, 1);
    assert.deepEqual(
      reply.steps.map(({ name }) => name),
      shown.at(-1)?.steps.map(({ name }) => name),
    );
    assert.ok(!JSON.stringify([shown, reply]).includes(password), "a page never receives a secret");
  });

  it("sends no test mail unless the person says so to VS Code itself (R55)", async () => {
    editor.dialogs.answer(undefined);
    assert.deepEqual(await test.run(1, draft, true), { kind: "cancelled" });
    assert.deepEqual([server.signIns, server.received], [[], []]);
    assert.equal(editor.dialogs.asked[0]?.message, "Send a test mail to ada@example.com?");
    editor.dialogs.answer("Send Test Mail");
    const reply = await test.run(2, draft, true);
    assert.ok(reply.kind === "tested" && reply.ok && reply.mailTo === "");
    assert.deepEqual(
      server.received.map(({ to }) => to),
      [["ada@example.com"]],
    );
  });

  it("is not tried when the account changed while the person was asked: the password stays here", async () => {
    const { accounts } = editor.services;
    const confirm = async (): Promise<boolean> => {
      await writeFile(editor.uri("ca.pem").fsPath, await readFile(authorityFile("expired")));
      return true;
    };
    const asking = new ConnectionTest(
      { accounts, dialogs: { confirm }, doctor: editor.services.task },
      () => undefined,
    );
    const reply = await asking.run(1, draft, true);
    assert.equal(reply.kind, "refused");
    assert.deepEqual([server.signIns, server.received], [[], []]);
  });

  it("an authority that nobody trusts is named, with the way to its field, and gets no password (R13, R39)", async () => {
    const settings = { ...draft.settings, tls: { servername: "localhost" } };
    const reply = await test.run(1, { ...draft, settings }, false);
    assert.ok(reply.kind === "tested" && !reply.ok, JSON.stringify(reply));
    const failed = reply.steps.at(-1);
    assert.deepEqual([failed?.name, failed?.text], ["certificate", reply.text]);
    assert.ok(failed?.fixes.some((fix) => fix.kind === "field" && fix.field === "caFile"));
    assert.equal(server.signIns.length, 0);
  });

  it("a server that repeats the password brings it neither to the page nor into the log (R15)", async () => {
    const wrong = "battery horse wrong staple";
    const encoded = Buffer.from(`\0ada\0${wrong}`).toString("base64");
    const echo = await MailServer.start("ada", password, undefined, `535 5.7.8 refused: ${wrong} ${encoded}`);
    try {
      const reply = await test.run(
        1,
        { ...draft, settings: { ...draft.settings, port: echo.port }, password: wrong },
        false,
      );
      assert.ok(reply.kind === "tested" && reply.steps.at(-1)?.name === "auth", JSON.stringify(reply));
      assert.match(reply.steps.at(-1)?.seen ?? "", /refused: ••• •••/);
      const told = JSON.stringify([reply, shown, editor.log]);
      assert.ok(!told.includes(wrong) && !told.includes(encoded), told);
    } finally {
      await echo.close();
    }
  });

  it("a newer test ends the one before, and the transcript is the last one's only", async () => {
    const first = test.run(1, draft, false);
    const second = test.run(2, draft, false);
    assert.deepEqual(await first, { kind: "cancelled" });
    assert.equal((await second).kind, "tested");
    assert.equal(await test.copyTranscript(1), false);
    assert.equal(await test.copyTranscript(2), true);
    const copied = await vscode.env.clipboard.readText();
    assert.match(copied, /C: EHLO/);
    assert.ok(!copied.includes(password) && !copied.includes(Buffer.from(`\0ada\0${password}`).toString("base64")));
  });

  it("offers no link and no field but our own", async () => {
    const url = providerById("gmail")?.appPasswordUrl ?? "";
    const diagnosis: Diagnosis = {
      steps: [
        {
          name: "auth",
          state: "failed",
          ms: 1,
          seen: "",
          text: "It failed.",
          fixes: [
            { kind: "open", title: "Elsewhere", url: "https://phishing.example.com/" },
            { kind: "open", title: "A command", url: "command:workbench.action.quit" },
            { kind: "open", title: "Create an app password", url },
            { kind: "field", title: "Unknown", field: "__proto__" },
            { kind: "field", title: "Password", field: "password" },
            { kind: "set", title: "Unknown", values: { stateDirectory: "/tmp" } },
            { kind: "set", title: "Port", values: { port: 465, security: "tls" } },
          ],
        },
      ],
      ok: false,
      failure: { class: "account", stage: "auth", text: "It failed." },
      transcript: "",
    };
    const reply = await testWith({ diagnose: () => Promise.resolve(diagnosis) }).run(1, draft, false);
    assert.ok(reply.kind === "tested");
    assert.equal(reply.text, "It failed.");
    assert.deepEqual(reply.steps[0]?.fixes, [
      { kind: "open", title: "Create an app password", url },
      { kind: "field", title: "Password", field: "password" },
      { kind: "set", title: "Port", values: { port: "465", security: "tls" } },
    ]);
  });
});

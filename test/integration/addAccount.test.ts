/** Add Account: quick picks that write real settings, and a test of the connection that goes on from there. */
import assert from "node:assert/strict";
import * as vscode from "vscode";
import { Editor } from "../fakes/editor";
import { MailServer } from "../fakes/mailServer";

const password = "correct horse battery staple";

describe("Add Account…", () => {
  let editor: Editor;
  let server: MailServer;

  beforeEach(async () => {
    [editor, server] = await Promise.all([Editor.open(), MailServer.start("ada", password)]);
  });
  afterEach(async () => {
    await editor.close();
    const settings = vscode.workspace.getConfiguration("bulkMail");
    await settings.update("accounts", undefined, vscode.ConfigurationTarget.Global);
    await server.close();
  });

  const accounts = (): Readonly<Record<string, unknown>> | undefined =>
    vscode.workspace.getConfiguration("bulkMail").inspect<Record<string, unknown>>("accounts")?.globalValue;

  it("writes the account into the settings, its password into Secret Storage, and tests it (R2, R15, R37)", async () => {
    const where = ["Another server", "ada@example.com", "localhost", "Another port…", String(server.port), "STARTTLS"];
    editor.dialogs.answer(...where, "ada", "office", "User settings", "$(save) Save", password);
    await editor.run("addAccount");
    assert.deepEqual(accounts()?.office, {
      provider: "custom",
      host: "localhost",
      port: server.port,
      security: "starttls",
      user: "ada",
      from: "ada@example.com",
    });
    assert.ok(!JSON.stringify(accounts()).includes(password));
    const [entry] = await editor.services.accounts.list(undefined);
    assert.deepEqual([entry?.id, entry?.secret.kind], ["office", "stored"]);

    const [saved] = editor.toasts;
    assert.equal(saved?.message, "The account is saved.");
    const [test] = saved.actions;
    assert.equal(test?.title, "Test Connection");
    await test.run();
    // Nobody trusts this server's authority yet: the test says so, and the password stays here.
    assert.equal(editor.toasts.at(-1)?.kind, "error");
    assert.match(editor.toasts.at(-1)?.message ?? "", /certificate/i);
    assert.deepEqual(server.signIns, []);
  });

  it("goes on where the person stopped", async () => {
    editor.dialogs.answer("Gmail", "App password", "ada@gmail.com", undefined);
    await editor.run("addAccount");
    assert.equal(accounts(), undefined);
    editor.dialogs.answer(
      "Go on where you stopped",
      "ada@gmail.com",
      "gmail",
      "User settings",
      "$(save) Save",
      undefined,
    );
    await editor.run("addAccount");
    assert.deepEqual(accounts()?.gmail, { provider: "gmail", user: "ada@gmail.com" });
  });
});

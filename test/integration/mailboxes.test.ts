/** Two campaigns of one mailbox, in one window: they go one after the other, whatever the accounts are called. */
import assert from "node:assert/strict";
import { copyFile } from "node:fs/promises";
import * as vscode from "vscode";
import { smallCampaign } from "../fakes/campaigns";
import { Editor, until } from "../fakes/editor";
import { GmailEndpoint } from "../fakes/gmailEndpoint";
import { googleClientFile, SignInServer } from "../fakes/signInServer";

describe("one mailbox (R23)", () => {
  it("is one for two accounts that write its address in different ways: the second campaign waits its turn", async () => {
    const server = await GmailEndpoint.start();
    const provider = await SignInServer.start(server.interceptor, "google");
    const { "hello.mail.md": text = "", ...lists } = smallCampaign(1, "account: one\n");
    const second = text.replace("account: one", "account: two").replace("0b0e7d3a", "3e0e7d3a");
    const editor = await Editor.open({ ...lists, "hello.mail.md": text, "other.mail.md": second });
    try {
      await copyFile(server.interceptor.caFile, editor.uri("ca.pem").fsPath);
      const { signIns, accounts, task } = editor.services;
      assert.equal((await signIns.takeClient("google", googleClientFile)).kind, "stored");
      editor.browser.onPage = async (url) => await fetch(await provider.consent(url));
      for (const [id, user] of [
        ["one", "ada@gmail.com"],
        ["two", "A.da@googlemail.com"],
      ] as const) {
        const settings = {
          ...{ provider: "gmail", transport: "gmailApi", user, proxy: server.interceptor.proxy },
          ...{ tls: { caFile: vscode.workspace.asRelativePath(editor.uri("ca.pem")) }, limits: { delay: 0 } },
        };
        assert.deepEqual(await accounts.save(undefined, { id, level: "workspace", settings }), { kind: "saved" });
        assert.equal((await signIns.signIn(undefined, id)).kind, "signedIn");
      }
      const phases: string[] = [];
      let other: Promise<void> | undefined;
      server.onTaken = () => {
        other ??= editor.run("send", editor.uri("other.mail.md"));
        return "silence";
      };
      task.onDidChange(({ name, phase }) => {
        if (name === "other") phases.push(phase);
      });
      editor.dialogs.answer("Send", "Send");
      const sending = editor.run("send", editor.uri("hello.mail.md"));
      await until("the second campaign's turn", task.onDidChange, () => phases.length > 0);
      server.onTaken = () => "answer";
      server.interceptor.cut();
      await Promise.all([sending, other]);
      assert.equal(phases[0], "queued");
    } finally {
      await editor.close();
      await vscode.workspace
        .getConfiguration("bulkMail")
        .update("accounts", undefined, vscode.ConfigurationTarget.Workspace);
      await provider.close();
      await server.close();
    }
  });
});

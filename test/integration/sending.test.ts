/** Send: through a real server on loopback with STARTTLS, own authority and sign-in. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import * as vscode from "vscode";
import { smallCampaign } from "../fakes/campaigns";
import { Editor } from "../fakes/editor";
import { MailServer } from "../fakes/mailServer";
import { accountAt } from "../fakes/editorAccount";
import { eventually } from "../host/wait";

const password = "correct horse battery staple";

describe("Send Campaign", () => {
  let editor: Editor;
  let server: MailServer;
  let onFirstRecipient: () => void = () => undefined;

  afterEach(async () => {
    await editor.close();
    await vscode.workspace
      .getConfiguration("bulkMail")
      .update("accounts", undefined, vscode.ConfigurationTarget.Workspace);
    await server.close();
  });

  /** A campaign that is sent through the account `work`, whose server refuses what `onRcpt` says. */
  async function open(
    files: Readonly<Record<string, string>>,
    onRcpt?: (address: string) => string | undefined,
  ): Promise<vscode.Uri> {
    server = await MailServer.start("ada", password, (address) => {
      onFirstRecipient();
      return onRcpt?.(address);
    });
    editor = await Editor.open(files);
    const settings = { ...(await accountAt(server, editor)), limits: { delay: 0 } };
    const saved = await editor.services.accounts.save(undefined, {
      id: "work",
      level: "workspace",
      settings,
      password,
    });
    assert.deepEqual(saved, { kind: "saved" });
    return editor.uri("hello.mail.md");
  }

  /** Sends until the first message lies at the server, which keeps its reply back until `release`. */
  async function startHeld(campaign: vscode.Uri): Promise<{ sending: Promise<void>; release: () => void }> {
    const release = server.hold();
    const arrived = new Promise<void>((resolve) => (onFirstRecipient = resolve));
    editor.dialogs.answer("Send");
    const sending = editor.run("send", campaign);
    await arrived;
    return { sending, release };
  }

  const through = "account: work\n";

  it("shows beside the list what became of each row (R33, R36)", async () => {
    const campaign = await open(smallCampaign(3, through), (address) =>
      address.startsWith("person1") ? "550 5.1.1 No such user" : undefined,
    );
    editor.dialogs.answer("Send");
    await editor.run("send", campaign);
    const list = editor.uri("people.csv");
    await vscode.window.showTextDocument(list);
    const hoverAt = async (line: number): Promise<string> => {
      const position = new vscode.Position(line, 1);
      const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
        "vscode.executeHoverProvider",
        list,
        position,
      );
      const parts = hovers.flatMap(({ contents }) => contents);
      return parts
        .map((part) => (part instanceof vscode.MarkdownString ? part.value.replace(/\\/g, "") : ""))
        .join(" ");
    };
    const first = await eventually("the outcome of the first row", async () => {
      const text = await hoverAt(1);
      return text.includes("Sent") ? text : undefined;
    });
    assert.match(first, /^Sent \d\d:\d\d: 250 /);
    assert.match(await hoverAt(2), /^Failed \d\d:\d\d: .* Server: 550 5\.1\.1 No such user/);
    assert.equal((await vscode.workspace.openTextDocument(list)).isDirty, false);
  });

  it("asks once with every number, and mails everyone once (R15, R33)", async () => {
    const campaign = await open(smallCampaign(3, through));
    editor.dialogs.answer("Send");
    await editor.run("send", campaign);
    assert.deepEqual(
      editor.toasts.map(({ message }) => message),
      ["hello: 3 accepted."],
    );
    const [question] = editor.dialogs.asked;
    assert.equal(editor.dialogs.asked.length, 1);
    assert.equal(question?.message, "Send “hello” to 3 people?");
    for (const fact of [
      "List: 3 rows, nobody left out",
      "From: Ada <ada@example.com>",
      `Through: work: 127.0.0.1:${String(server.port)} (STARTTLS), as ada`,
      "From this machine: ",
      "Attachments: none",
      "First: person0@example.com, person1@example.com, person2@example.com",
    ]) {
      assert.ok(question.detail.includes(fact), `${fact} is not in ${question.detail}`);
    }
    assert.deepEqual([...server.perRecipient.values()], [1, 1, 1]);
    assert.deepEqual(new Set(server.signIns.map(({ password }) => password)), new Set([password]));
    assert.ok(!editor.log.join("\n").includes(password));
  });

  it("mails nobody when the person turns away", async () => {
    const campaign = await open(smallCampaign(3, through));
    editor.dialogs.answer(undefined);
    await editor.run("send", campaign);
    assert.deepEqual(server.received, []);
    assert.deepEqual(editor.toasts, []);
  });

  it("asks to save what is not saved, and sends what was saved", async () => {
    const campaign = await open(smallCampaign(1, through));
    const document = await vscode.workspace.openTextDocument(campaign);
    const edit = new vscode.WorkspaceEdit();
    edit.insert(campaign, new vscode.Position(document.lineCount, 0), "Yours, Ada\n");
    await vscode.workspace.applyEdit(edit);
    editor.dialogs.answer(undefined);
    await editor.run("send", campaign);
    assert.deepEqual([server.received.length, document.isDirty], [0, true]);
    editor.dialogs.answer("Save", "Send");
    await editor.run("send", campaign);
    assert.equal(document.isDirty, false);
    assert.match(server.received[0]?.parsed.text ?? "", /Yours, Ada/);
  });

  it("a file that lost its id is not mailed to everyone again without two questions that say so", async () => {
    const campaign = await open(smallCampaign(2, through));
    editor.dialogs.answer("Send");
    await editor.run("send", campaign);
    const text = smallCampaign(2, through)["hello.mail.md"] ?? "";
    await vscode.workspace.fs.writeFile(campaign, Buffer.from(text.replace("0b0e7d3a", "2d0e7d3a")));
    editor.dialogs.answer(undefined);
    await editor.run("send", campaign);
    assert.equal(editor.dialogs.asked[1]?.message, "“hello” was sent already.");
    assert.match(editor.dialogs.asked[1].detail, /2 accepted\nThat was under another id, 0b0e7d3a-/);
    assert.equal(server.received.length, 2);
    editor.dialogs.answer("Send Again to Everyone…", "Send Again");
    await editor.run("send", campaign);
    assert.match(editor.dialogs.asked[3]?.detail ?? "", /The last run mailed 2 messages/);
    assert.equal(server.received.length, 4);
  });

  it("sends nothing twice: what is finished is sent again to everyone only after two questions", async () => {
    const campaign = await open(smallCampaign(2, through));
    editor.dialogs.answer("Send");
    await editor.run("send", campaign);
    editor.dialogs.answer(undefined);
    await editor.run("send", campaign);
    assert.equal(server.received.length, 2);
    assert.equal(editor.dialogs.asked[1]?.message, "“hello” was sent already.");
    editor.dialogs.answer("Send Again to Everyone…", "Send Again");
    await editor.run("send", campaign);
    assert.match(editor.dialogs.asked[3]?.detail ?? "", /The last run mailed 2 messages/);
    assert.equal(server.received.length, 4);
  });

  it("rehearses, tests and then still mails everyone", async () => {
    const campaign = await open(smallCampaign(3, through));
    await editor.run("rehearse", campaign);
    editor.dialogs.answer("me@example.net");
    await editor.run("sendTest", campaign);
    assert.deepEqual(
      server.received.map(({ to }) => to),
      [["me@example.net"]],
    );
    editor.dialogs.answer("Send");
    await editor.run("send", campaign);
    assert.equal(server.received.length, 4);
    assert.equal(editor.toasts.at(-1)?.message, "hello: 3 accepted.");
  });

  it("names who failed, in log and report, and tells the number in the toast (R33, R35)", async () => {
    const campaign = await open(smallCampaign(3, through), (address) =>
      address.startsWith("person1@")
        ? "550 5.1.1 [Click](command:workbench.action.quit) \u001b[31mno such user\u001b[0m <b>"
        : undefined,
    );
    editor.dialogs.answer("Send");
    await editor.run("send", campaign);
    assert.deepEqual(
      editor.toasts.map(({ kind, message }) => [kind, message]),
      [["warn", "hello: 2 accepted, 1 failed."]],
    );
    const line = editor.log.find((text) => text.includes("failed person1@example.com"));
    assert.match(line ?? "", /hello: failed person1@example\.com \(line 3, \d+ ms, recipient\) .*Server: 550/);
    assert.ok(!editor.log.join("\n").includes("\u001b"), "the server's colours are in the log");
    await editor.toasts[0]?.actions[0]?.run();
    const report = vscode.window.activeTextEditor?.document.getText() ?? "";
    assert.match(report, /person1@example\.com/);
    assert.ok(!report.includes("\u001b"));
  });

  it("offers to send without the rows that cannot be mailed, by number", async () => {
    const { "people.csv": list = "", ...rest } = smallCampaign(2, through);
    const campaign = await open({ ...rest, "people.csv": `${list}no address,Nobody,2\n` });
    editor.dialogs.answer("Send");
    await editor.run("send", campaign);
    assert.equal(
      editor.dialogs.asked[0]?.message,
      "Send “hello” to 2 people, without the 1 row that cannot be mailed?",
    );
    assert.equal(editor.toasts[0]?.message, "hello: 2 accepted, 1 failed.");
  });

  it("pauses, shows what is left, and resumes without mailing anyone twice (R57)", async () => {
    const campaign = await open(smallCampaign(20, through));
    const { task } = editor.services;
    const { sending, release } = await startHeld(campaign);
    await editor.run("pause", campaign);
    release();
    await sending;
    assert.equal(editor.toasts.length, 0, "who pauses needs no toast");
    const paused = task.views.find(({ file }) => file === campaign.fsPath);
    assert.equal(paused?.phase, "paused");
    assert.ok(server.received.length < 20);

    editor.dialogs.answer("Resume");
    await editor.run("resume", campaign);
    const left = 20 - (paused.totals?.accepted ?? 0);
    assert.equal(editor.dialogs.asked[1]?.message, `Resume sending “hello” to ${String(left)} more?`);
    assert.equal(editor.toasts[0]?.message, "hello: 20 accepted.");
    assert.equal(server.perRecipient.size, 20);
    assert.deepEqual(new Set(server.perRecipient.values()), new Set([1]));
  });

  it("keeps every row's own values when the list is sorted and saved in the middle of a run", async () => {
    const campaign = await open(smallCampaign(30, through));
    const { sending, release } = await startHeld(campaign);
    const list = editor.uri("people.csv").fsPath;
    const [header = "", ...rows] = (await readFile(list, "utf8")).trimEnd().split("\n");
    await writeFile(list, `${[header, ...rows.toReversed()].join("\n")}\n`);
    release();
    await sending;
    assert.equal(server.received.length, 30);
    for (const { to, parsed } of server.received) {
      const number = /^person(\d+)@/.exec(to[0] ?? "")?.[1] ?? "";
      assert.equal(parsed.subject, `Number ${number}`);
      assert.match(parsed.text ?? "", new RegExp(`Person ${number}\\b.*number ${number}\\b`, "s"));
    }
  });

  it("goes on with the copy when the originals were changed, and says which", async () => {
    const campaign = await open(smallCampaign(10, through));
    const { sending, release } = await startHeld(campaign);
    await editor.run("pause", campaign);
    release();
    await sending;
    await writeFile(editor.uri("people.csv").fsPath, "email,name,number\nmallory@example.net,Mallory,99\n");
    editor.dialogs.answer("Resume");
    await editor.run("send", campaign);
    assert.match(editor.dialogs.asked[1]?.detail ?? "", /Changed since the run was confirmed: people\.csv/);
    assert.deepEqual(editor.dialogs.asked[1]?.buttons, ["Resume", "Start a New Run…"]);
    assert.ok(!server.perRecipient.has("mallory@example.net"));
    assert.equal(server.perRecipient.size, 10);
  });

  it("finds an interrupted run in a new window, and resumes nothing by itself", async () => {
    const campaign = await open(smallCampaign(10, through));
    const { task } = editor.services;
    const { sending, release } = await startHeld(campaign);
    const closing = task.close();
    release();
    await Promise.all([closing, sending]);
    const sent = server.received.length;
    task.showInterrupted([]);
    const { look } = await import("../../src/interruptedRuns");
    task.stop(campaign.fsPath);
    assert.deepEqual(task.views, []);
    await look(editor.services.campaigns, task, editor.stateDirectory);
    assert.deepEqual(
      task.views.map(({ name, phase, total }) => [name, phase, total]),
      [["hello", "paused", 10]],
    );
    assert.equal(server.received.length, sent);
  });

  it("stops at once, with the account's fix, when the password is wrong (R37)", async () => {
    const campaign = await open(smallCampaign(3, through));
    const { accounts } = editor.services;
    await accounts.forget("work");
    editor.dialogs.answer("wrong password", "Send");
    await editor.run("send", campaign);
    assert.equal(server.signIns.length, 1, "a wrong password is tried once");
    assert.deepEqual(server.received, []);
    const [toast] = editor.toasts;
    assert.equal(toast?.kind, "error");
    assert.match(toast.message, /^hello stopped\. /);
    assert.ok(toast.actions.some(({ title }) => title === "Accounts"));
  });

  it("tests a connection in the thread that sends, and sends nothing", async () => {
    await open(smallCampaign(1, through));
    await editor.run("testConnection");
    assert.deepEqual(
      editor.toasts.map(({ kind }) => kind),
      ["info"],
    );
    assert.equal(server.signIns.length, 1);
    assert.deepEqual(server.received, []);
    for (const step of ["Connect", "Certificate", "Sign in", "Sender address"])
      assert.ok(
        editor.log.some((line) => line.startsWith(`Test of work: ${step} ok (`)),
        editor.log.join("\n"),
      );
  });

  it("a test that fails says why in our words, with the server's in the log alone (R37)", async () => {
    await open(smallCampaign(1, through));
    await editor.services.accounts.forget("work");
    editor.dialogs.answer("wrong password");
    await editor.run("testConnection");
    assert.equal(server.signIns.length, 1, "a wrong password is tried once");
    const [toast] = editor.toasts;
    assert.equal(toast?.kind, "error");
    assert.match(toast.message, /refused the user name or the password/);
    assert.doesNotMatch(toast.message, /not accepted/);
    assert.deepEqual(
      toast.actions.map(({ title }) => title),
      ["Open Accounts", "Show Log"],
    );
    assert.ok(editor.log.some((line) => /^Test of work: Sign in failed \(\d+ ms\) .*not accepted/.test(line)));
    assert.ok(!editor.log.join("\n").includes("wrong password"));
  });
});

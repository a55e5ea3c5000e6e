/** An editor with a campaign that is sent through the account `work`, and the real server behind it. */
import assert from "node:assert/strict";
import { readdir, utimes, writeFile } from "node:fs/promises";
import * as path from "node:path";
import * as vscode from "vscode";
import { thisProcess } from "../../src/mail/lock";
import { readPlan, type Plan } from "../../src/mail/plan";
import { Editor } from "./editor";
import { accountAt } from "./editorAccount";
import { MailServer } from "./mailServer";

const password = "correct horse battery staple";

/** Front matter of a campaign that goes through the desk's account. */
export const through = "account: work\n";

/** Everything that a test about sending needs. */
export class SendingDesk {
  private onRecipient: () => void = () => undefined;

  private constructor(
    readonly editor: Editor,
    readonly server: MailServer,
    /** The campaign. */
    readonly campaign: vscode.Uri,
  ) {}

  /** Writes the files and saves the account. `onRcpt` may refuse a recipient by a reply text with its code. */
  static async open(
    files: Readonly<Record<string, string>>,
    onRcpt: (address: string) => string | undefined = () => undefined,
    limits: Readonly<Record<string, number>> = { delay: 0 },
    level: "user" | "workspace" = "workspace",
  ): Promise<SendingDesk> {
    const opened: { desk?: SendingDesk } = {};
    const server = await MailServer.start("ada", password, (address) => {
      opened.desk?.onRecipient();
      return onRcpt(address);
    });
    const editor = await Editor.open(files);
    const desk = new SendingDesk(editor, server, editor.uri("hello.mail.md"));
    opened.desk = desk;
    const settings = { ...(await accountAt(server, editor)), limits };
    const saved = await editor.services.accounts.save(undefined, {
      id: "work",
      level,
      settings,
      password,
    });
    assert.deepEqual(saved, { kind: "saved" });
    return desk;
  }

  /** Sends until the first message lies at the server, which keeps its reply back until `release`. */
  async startHeld(): Promise<{ readonly sending: Promise<void>; readonly release: () => void }> {
    const release = this.server.hold();
    const arrived = this.nextRecipient();
    this.editor.dialogs.answer("Send");
    const sending = this.editor.run("send", this.campaign);
    await arrived;
    return { sending, release };
  }

  /** Sends a few, then pauses: an interrupted run with somebody left. */
  async pauseInTheMiddle(): Promise<void> {
    const { sending, release } = await this.startHeld();
    await this.editor.run("pause", this.campaign);
    release();
    await sending;
  }

  /** Resolves when the server is next asked to take a recipient. */
  async nextRecipient(): Promise<void> {
    await new Promise<void>((resolve) => (this.onRecipient = resolve));
  }

  /** The plan of the last real run, as it lies on disk. */
  async plan(): Promise<Plan> {
    const home = await this.home();
    const runs = (await readdir(home)).filter((name) => /^\d{4}-/.test(name)).sort();
    return await readPlan(path.join(home, runs.at(-1) ?? ""));
  }

  /** Lets a living process that has not stirred for a minute hold the campaign; its id. */
  async holdSilently(): Promise<number> {
    const home = await this.home();
    const newest = Math.max(
      0,
      ...(await readdir(home)).map((name) => Number(/^lock-(\d{6})\.json$/.exec(name)?.[1] ?? 0)),
    );
    const file = path.join(home, `lock-${String(newest + 1).padStart(6, "0")}.json`);
    // The parent lives as long as this test, and a start that is not known is not compared.
    await writeFile(file, JSON.stringify({ ...thisProcess(), pid: process.ppid, processStart: "" }));
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(file, longAgo, longAgo);
    return process.ppid;
  }

  /** Ends everything and takes the account out of the settings. */
  async close(): Promise<void> {
    await this.editor.close();
    const settings = vscode.workspace.getConfiguration("bulkMail");
    for (const target of [vscode.ConfigurationTarget.Workspace, vscode.ConfigurationTarget.Global])
      await settings.update("accounts", undefined, target);
    await this.server.close();
  }

  private async home(): Promise<string> {
    const campaigns = path.join(this.editor.stateDirectory, "campaigns");
    const [id = ""] = await readdir(campaigns);
    return path.join(campaigns, id, "real");
  }
}

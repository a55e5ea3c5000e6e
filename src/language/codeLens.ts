/** The line above a campaign: how many it reaches, or what is wrong, and what can be done with it. */
import * as vscode from "vscode";
import { isCampaign } from "../campaignFiles";
import { commands } from "../contributions";
import { DisposableStore } from "../dispose";
import type { Disposable } from "../dispose";
import type { CheckReply } from "../workerProtocol";
import type { CheckState, Diagnostics } from "./diagnostics";

/** Provides the CodeLens of campaigns. */
export class CampaignLens implements vscode.CodeLensProvider, Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.add(new vscode.EventEmitter<void>());

  readonly onDidChangeCodeLenses = this.changed.event;

  constructor(
    private readonly diagnostics: Diagnostics,
    private readonly enabled: (campaign: vscode.Uri) => boolean,
  ) {
    this.owned.add(vscode.languages.registerCodeLensProvider({ scheme: "file", pattern: "**/*.mail.{md,html}" }, this));
    this.owned.add(diagnostics.onDidCheck(() => this.changed.fire()));
  }

  /** Shows or hides the line when its setting changed. */
  refresh(): void {
    this.changed.fire();
  }

  provideCodeLenses({ uri }: vscode.TextDocument): vscode.CodeLens[] {
    if (!isCampaign(uri) || !this.enabled(uri)) return [];
    const top = new vscode.Range(0, 0, 0, 0);
    return lensTitles(this.diagnostics.stateOf(uri)).map(
      ({ title, command }) =>
        new vscode.CodeLens(top, { title, command, arguments: command === problemsView ? [] : [uri] }),
    );
  }

  dispose(): void {
    this.owned.dispose();
  }
}

const problemsView = "workbench.actions.view.problems";

/** The titles in order, each with the command that it runs. */
export function lensTitles(
  state: CheckState | undefined,
): readonly { readonly title: string; readonly command: string }[] {
  const preview = { title: "Preview", command: commands.preview.id };
  if (state === undefined) return [{ title: "Checking…", command: commands.checkCampaign.id }, preview];
  if (state.kind === "failed")
    return [{ title: "This campaign cannot be read: show the log", command: commands.showLog.id }];
  const rest = [
    preview,
    { title: "Send test to me", command: commands.sendTest.id },
    { title: "Rehearse", command: commands.rehearse.id },
    { title: "Send…", command: commands.send.id },
  ];
  if (state.kind === "tooSlow") {
    return [
      { title: "The list is too long to check while you type: check it now", command: commands.checkCampaign.id },
      ...rest,
    ];
  }
  const blocking = state.reply.problems.filter(
    ({ severity, rowOnly }) => severity === "error" && rowOnly !== true,
  ).length;
  if (blocking > 0) return [{ title: `$(error) ${count(blocking, "problem")}`, command: problemsView }, preview];
  return [...audience(state.reply), ...rest];
}

function audience({ counts }: CheckReply): readonly { readonly title: string; readonly command: string }[] {
  if (counts === undefined) return [];
  const mailed = { title: count(counts.mail, "recipient"), command: commands.checkCampaign.id };
  if (counts.invalid === 0) return [mailed];
  return [mailed, { title: `$(error) ${count(counts.invalid, "row")} cannot be mailed`, command: problemsView }];
}

function count(amount: number, noun: string): string {
  return `${amount.toLocaleString("en")} ${noun}${amount === 1 ? "" : "s"}`;
}

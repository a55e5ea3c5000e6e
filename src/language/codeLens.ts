/** The line above a campaign: how many it reaches, or what is wrong, and what can be done with it. */
import * as vscode from "vscode";
import { isCampaign } from "../campaignFiles";
import { commands } from "../contributions";
import { DisposableStore } from "../dispose";
import type { Disposable } from "../dispose";
import type { CheckReply } from "../workerProtocol";
import type { CheckState, Diagnostics } from "./diagnostics";

/** Which of how many rows is on show, zero-based. */
interface RowPlace {
  readonly index: number;
  readonly count: number;
}

/** The rows that previews show. */
export interface ShownRows {
  readonly onDidShow: vscode.Event<void>;
  placeIn(campaign: vscode.Uri): RowPlace | undefined;
}

/** Provides the CodeLens of campaigns. */
export class CampaignLens implements vscode.CodeLensProvider, Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.add(new vscode.EventEmitter<void>());

  readonly onDidChangeCodeLenses = this.changed.event;

  constructor(
    private readonly diagnostics: Diagnostics,
    private readonly previews: ShownRows,
    private readonly enabled: (campaign: vscode.Uri) => boolean,
  ) {
    this.owned.add(vscode.languages.registerCodeLensProvider({ scheme: "file", pattern: "**/*.mail.{md,html}" }, this));
    this.owned.add(diagnostics.onDidCheck(() => this.changed.fire()));
    this.owned.add(previews.onDidShow(() => this.changed.fire()));
  }

  /** Shows or hides the line when its setting changed. */
  refresh(): void {
    this.changed.fire();
  }

  provideCodeLenses({ uri }: vscode.TextDocument): vscode.CodeLens[] {
    if (!isCampaign(uri) || !this.enabled(uri)) return [];
    const top = new vscode.Range(0, 0, 0, 0);
    return lensTitles(this.diagnostics.stateOf(uri), this.previews.placeIn(uri)).map(
      ({ title, command, row, tooltip }) =>
        new vscode.CodeLens(top, {
          title,
          command,
          ...(tooltip !== undefined && { tooltip }),
          arguments: command === problemsView ? [] : row === undefined ? [uri] : [uri, row],
        }),
    );
  }

  dispose(): void {
    this.owned.dispose();
  }
}

const problemsView = "workbench.actions.view.problems";

/** A title with what it runs. */
interface Title {
  readonly title: string;
  readonly command: string;
  /** The row that a preview turns to. */
  readonly row?: number;
  readonly tooltip?: string;
}

/** The titles in order; `place` is the row that a preview shows. */
export function lensTitles(state: CheckState | undefined, place?: RowPlace): readonly Title[] {
  return [...aboutCampaign(state), ...aboutRow(place)];
}

/** The way through the rows, from the letter's own line. */
function aboutRow(place: RowPlace | undefined): readonly Title[] {
  if (place === undefined) return [];
  const { index, count: rows } = place;
  const turn = (title: string, tooltip: string, row: number): readonly Title[] =>
    row < 0 || row >= rows ? [] : [{ title, tooltip, command: commands.preview.id, row }];
  const here = `Row ${(index + 1).toLocaleString("en")} of ${rows.toLocaleString("en")}`;
  return [
    ...turn("◀", "Previous row", index - 1),
    { title: here, command: commands.preview.id, row: index },
    ...turn("▶", "Next row", index + 1),
  ];
}

function aboutCampaign(state: CheckState | undefined): readonly Title[] {
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

function audience({ counts }: CheckReply): readonly Title[] {
  if (counts === undefined) return [];
  const mailed = { title: count(counts.mail, "recipient"), command: commands.checkCampaign.id };
  if (counts.invalid === 0) return [mailed];
  return [mailed, { title: `$(error) ${count(counts.invalid, "row")} cannot be mailed`, command: problemsView }];
}

function count(amount: number, noun: string): string {
  return `${amount.toLocaleString("en")} ${noun}${amount === 1 ? "" : "s"}`;
}

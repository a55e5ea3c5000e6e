/** What became of each row, beside the list: an icon in the gutter and a hover. The file itself is never touched. */
import * as vscode from "vscode";
import type { CampaignFiles } from "../campaignFiles";
import { DisposableStore } from "../dispose";
import type { Disposable } from "../dispose";
import type { LanguageWork } from "../languageWork";
import type { Logger, RowOutcome } from "../mail/index";
import type { SendTask } from "../sendTask";
import { plainMarkdown } from "./markdown";
import type { Symbols } from "./symbols";

/** Lines around the visible ones that get their icons too. */
const margin = 100;

/** Quiet time before icons are drawn again, milliseconds; a run moves on several times a second. */
const pauseMs = 500;

/** Reading a long journal takes its time: drawing gets a part of it only, so that a run in progress keeps the machine. */
const share = 1 / 10;

const kinds = [
  "accepted",
  "failed",
  "unknown",
  "pending",
  "skipped",
] as const satisfies readonly RowOutcome["outcome"][];

/** Draws outcomes in every visible editor of a list. */
export class ListOutcomes implements Disposable {
  private readonly owned = new DisposableStore();
  private readonly icons: Readonly<Record<RowOutcome["outcome"], vscode.TextEditorDecorationType>>;
  private readonly timers = new Map<vscode.TextEditor, NodeJS.Timeout>();
  /** How long the last drawing took, milliseconds. */
  private tookMs = 0;
  private readonly turns = new WeakMap<vscode.TextEditor, symbol>();
  /** Of each list that is on screen, what stands at its lines. */
  private readonly shown = new Map<string, ReadonlyMap<number, RowOutcome>>();

  constructor(
    private readonly ports: {
      readonly extensionUri: vscode.Uri;
      readonly campaigns: CampaignFiles;
      readonly symbols: Symbols;
      readonly work: LanguageWork;
      readonly task: Pick<SendTask, "onDidChange" | "onDidEnd">;
      readonly logger: Logger;
      stateDirectory(): string;
    },
  ) {
    const { extensionUri, task, campaigns } = ports;
    const icon = (kind: string): vscode.TextEditorDecorationType => {
      const file = (theme: string): vscode.Uri =>
        vscode.Uri.joinPath(extensionUri, "media", `outcome-${kind}-${theme}.svg`);
      return this.owned.add(
        vscode.window.createTextEditorDecorationType({
          gutterIconSize: "contain",
          light: { gutterIconPath: file("light") },
          dark: { gutterIconPath: file("dark") },
        }),
      );
    };
    this.icons = {
      accepted: icon("accepted"),
      failed: icon("failed"),
      unknown: icon("unknown"),
      pending: icon("pending"),
      skipped: icon("skipped"),
    };
    this.owned.add(vscode.window.onDidChangeVisibleTextEditors(() => this.all()));
    this.owned.add(vscode.window.onDidChangeTextEditorVisibleRanges(({ textEditor }) => this.soon(textEditor)));
    this.owned.add(task.onDidEnd(() => this.all()));
    this.owned.add(task.onDidChange(() => this.all()));
    this.owned.add(campaigns.onDidChange(() => this.all()));
    this.owned.add(vscode.languages.registerHoverProvider({ scheme: "file", pattern: "**/*.{csv,tsv,txt}" }, this));
    this.all();
  }

  provideHover({ uri }: vscode.TextDocument, { line }: vscode.Position): vscode.Hover | undefined {
    const outcome = this.shown.get(uri.fsPath)?.get(line);
    return outcome === undefined ? undefined : new vscode.Hover(plainMarkdown(outcome.text));
  }

  dispose(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.owned.dispose();
  }

  private all(): void {
    const visible = new Set(vscode.window.visibleTextEditors.map(({ document }) => document.uri.fsPath));
    for (const file of [...this.shown.keys()]) if (!visible.has(file)) this.shown.delete(file);
    for (const editor of vscode.window.visibleTextEditors) this.soon(editor);
  }

  /** A moment later; whatever comes meanwhile is part of that. */
  private soon(editor: vscode.TextEditor): void {
    const { document } = editor;
    if (document.uri.scheme !== "file" || !/\.(?:csv|tsv|txt)$/i.test(document.uri.path)) return;
    if (this.timers.has(editor)) return;
    this.timers.set(
      editor,
      setTimeout(
        () => {
          this.timers.delete(editor);
          const began = performance.now();
          this.draw(editor)
            .catch((error: unknown) => this.ports.logger.warn(`Outcomes cannot be shown: ${String(error)}`))
            .finally(() => (this.tookMs = performance.now() - began));
        },
        Math.max(pauseMs, this.tookMs / share),
      ),
    );
  }

  private async draw(editor: vscode.TextEditor): Promise<void> {
    const { symbols, work, campaigns } = this.ports;
    const turn = Symbol("draw");
    this.turns.set(editor, turn);
    const { uri, lineCount } = editor.document;
    const first = Math.max(0, Math.min(...editor.visibleRanges.map(({ start }) => start.line)) - margin);
    const last = Math.min(lineCount - 1, Math.max(...editor.visibleRanges.map(({ end }) => end.line)) + margin);
    if (last < first) return;
    const found = new Map<number, RowOutcome>();
    for (const { campaign, symbols: names } of await symbols.users(uri)) {
      if (names.list !== uri.fsPath) continue;
      const request = await campaigns.request(campaign);
      for (const outcome of await work.outcomes(request, this.ports.stateDirectory(), [first, last])) {
        const other = found.get(outcome.line);
        // Of several campaigns on one list, the one that says most about the row.
        if (other === undefined || kinds.indexOf(outcome.outcome) < kinds.indexOf(other.outcome))
          found.set(outcome.line, outcome);
      }
    }
    // What was asked later knows more.
    if (this.turns.get(editor) !== turn) return;
    this.shown.set(uri.fsPath, found);
    for (const kind of kinds) {
      const lines = [...found.values()].filter(({ outcome }) => outcome === kind);
      const ranges = lines.filter(({ line }) => line < lineCount).map(({ line }) => new vscode.Range(line, 0, line, 0));
      editor.setDecorations(this.icons[kind], ranges);
    }
  }
}

/** Completion in campaigns: keys and their values, columns with what they hold, filters and tags. */
import * as path from "node:path";
import * as vscode from "vscode";
import { isCampaign } from "../campaignFiles";
import type { CampaignFiles } from "../campaignFiles";
import { plainText, sandboxId } from "../mail/index";
import type { SymbolsReply } from "../workerProtocol";
import { cursorAt } from "./cursor";
import type { Cursor } from "./cursor";
import { aboutColumn, ourFiles } from "./symbols";
import type { Symbols } from "./symbols";
import { filterWords, keyWords, tagWords } from "./words";

/** Files that each key may name, as a glob. */
const fileKeys: Readonly<Record<string, string>> = {
  recipients: "**/*.{csv,tsv,txt,xlsx,json,jsonl}",
  suppress: "**/*.{csv,tsv,txt,xlsx,json,jsonl}",
  body: "**/*.{md,html,htm}",
  attachments: "**/*",
};

/** Files that are offered at most. */
const fileLimit = 200;

/** Completes what a person writes; everything that takes time is asked of the worker. */
export class CampaignCompletion implements vscode.CompletionItemProvider {
  constructor(
    private readonly symbols: Symbols,
    private readonly campaigns: CampaignFiles,
  ) {}

  /** Registers it; dispose the answer to take it back. */
  register(): vscode.Disposable {
    return vscode.languages.registerCompletionItemProvider(ourFiles, this, "{", "%", "|", "[");
  }

  async provideCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
  ): Promise<vscode.CompletionItem[] | undefined> {
    const ofCampaign = isCampaign(document.uri);
    const cursor = cursorAt(document.getText(), document.offsetAt(position), !ofCampaign);
    if (cursor === undefined) return undefined;
    const range = new vscode.Range(document.positionAt(cursor.from), position);
    // Any Markdown file may have braces in it: only those that a campaign names are ours.
    if (cursor.kind === "key") return keyItems(document, range);
    const users = await this.symbols.users(document.uri);
    if (!ofCampaign && users.length === 0) return undefined;
    switch (cursor.kind) {
      case "value":
        return await this.valueItems(document, cursor.key, range, users[0]?.symbols);
      case "name":
        return columnItems(document, cursor, range, users[0]?.symbols);
      case "filter":
        return Object.entries(filterWords).map(([name, means]) =>
          item(name, vscode.CompletionItemKind.Function, range, means),
        );
      case "tag":
        return tagItems(document, cursor, range);
    }
  }

  private async valueItems(
    document: vscode.TextDocument,
    key: string,
    range: vscode.Range,
    symbols: SymbolsReply | undefined,
  ): Promise<vscode.CompletionItem[] | undefined> {
    const { Value, File } = vscode.CompletionItemKind;
    if (key === "account") {
      const { senders } = await this.campaigns.request(document.uri);
      return [...senders].map(([id, { from }]) =>
        item(id, Value, range, id === sandboxId ? "Nothing leaves this machine." : plainText(from ?? "", 100)),
      );
    }
    if (key === "key") {
      return symbols?.columns?.columns.map((column) =>
        item(column.name, vscode.CompletionItemKind.Field, range, aboutColumn(column, symbols)),
      );
    }
    if (key === "oneClick") return ["true", "false"].map((word) => item(word, Value, range, ""));
    const glob = fileKeys[key];
    if (glob === undefined) return undefined;
    const found = await vscode.workspace.findFiles(glob, "**/node_modules/**", fileLimit);
    const folder = path.dirname(document.uri.fsPath);
    return found
      .filter((uri) => uri.fsPath !== document.uri.fsPath && !(key === "body" && isCampaign(uri)))
      .map((uri) => {
        const written = path.relative(folder, uri.fsPath).split(path.sep).join("/");
        const made = item(written, File, range, "");
        // Nearer files first.
        made.sortText = `${String(written.split("/").length)} ${written}`;
        return made;
      });
  }
}

function keyItems(document: vscode.TextDocument, range: vscode.Range): vscode.CompletionItem[] {
  const written = new Set([...document.getText().matchAll(/^([A-Za-z]+):/gm)].map(([, key]) => key));
  // A key that stands already with a colon behind it is replaced alone.
  const hasColon = /^[A-Za-z]*:/.test(document.lineAt(range.start.line).text);
  return Object.entries(keyWords)
    .filter(([key]) => !written.has(key))
    .map(([key, means]) => {
      const made = item(key, vscode.CompletionItemKind.Property, range, means);
      if (!hasColon) made.insertText = `${key}: `;
      // Its values come at once.
      made.command = { title: "", command: "editor.action.triggerSuggest" };
      return made;
    });
}

function columnItems(
  document: vscode.TextDocument,
  cursor: Extract<Cursor, { kind: "name" }>,
  range: vscode.Range,
  symbols: SymbolsReply | undefined,
): vscode.CompletionItem[] | undefined {
  return symbols?.columns?.columns.map((column, index) => {
    const made = item(column.expression, vscode.CompletionItemKind.Field, range, aboutColumn(column, symbols));
    made.insertText = padded(document, cursor.bare, range, column.expression);
    made.filterText = `${column.expression} ${column.name}`;
    // As in the list.
    made.sortText = String(index).padStart(4, "0");
    return made;
  });
}

function tagItems(
  document: vscode.TextDocument,
  cursor: Extract<Cursor, { kind: "tag" }>,
  range: vscode.Range,
): vscode.CompletionItem[] {
  return Object.entries(tagWords).map(([name, { means, snippet }]) => {
    const made = item(name, vscode.CompletionItemKind.Keyword, range, means);
    made.insertText = new vscode.SnippetString(padded(document, cursor.bare, range, snippet));
    return made;
  });
}

/** With blanks towards braces that stand directly beside. */
function padded(document: vscode.TextDocument, bare: boolean, { end }: vscode.Range, text: string): string {
  const behind = document.lineAt(end.line).text.slice(end.character);
  return `${bare ? " " : ""}${text}${/^(?:\}\}|%\})/.test(behind) ? " " : ""}`;
}

function item(
  label: string,
  kind: vscode.CompletionItemKind,
  range: vscode.Range,
  means: string,
): vscode.CompletionItem {
  const made = new vscode.CompletionItem(label, kind);
  made.range = range;
  // Words of cells are text and never markup.
  if (means !== "") made.documentation = means;
  return made;
}

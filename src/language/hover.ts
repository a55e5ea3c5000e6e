/** What stands under the mouse: a column with what it holds, a key, a filter or a tag. */
import * as vscode from "vscode";
import { isCampaign } from "../campaignFiles";
import { cursorAt, wordAt } from "./cursor";
import { plainMarkdown } from "./markdown";
import { aboutColumn, ourFiles } from "./symbols";
import type { Symbols } from "./symbols";
import { filterWords, keyWords, tagWords } from "./words";

/** Explains campaigns, and the header of their lists. */
export class CampaignHover implements vscode.HoverProvider {
  constructor(private readonly symbols: Symbols) {}

  /** Registers it; dispose the answer to take it back. */
  register(): vscode.Disposable {
    return vscode.languages.registerHoverProvider(ourFiles, this);
  }

  async provideHover(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.Hover | undefined> {
    const named = await this.symbols.columnAt(document, position);
    if (named !== undefined) {
      const { column, symbols, range } = named;
      const text = aboutColumn(column, symbols);
      const isHeader = symbols.list === document.uri.fsPath;
      return hover(isHeader ? `${text} In a letter: {{ ${column.expression} }}` : text, range);
    }
    return isCampaign(document.uri) ? wordHover(document, position) : undefined;
  }
}

function wordHover(document: vscode.TextDocument, position: vscode.Position): vscode.Hover | undefined {
  const text = document.getText();
  const word = wordAt(text, document.offsetAt(position));
  // What a person was about to write when the word's first letter was due.
  const cursor = word === undefined ? undefined : cursorAt(text, word.from, false);
  if (word === undefined || cursor === undefined) return undefined;
  const name = text.slice(word.from, word.to);
  const tables: Readonly<Record<string, (name: string) => string | undefined>> = {
    key: (key) => own(keyWords, key),
    filter: (filter) => own(filterWords, filter),
    tag: (tag) => own(tagWords, tag)?.means,
  };
  const means = tables[cursor.kind]?.(name);
  const range = new vscode.Range(document.positionAt(word.from), document.positionAt(word.to));
  return means === undefined ? undefined : hover(means, range);
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function hover(text: string, range: vscode.Range): vscode.Hover {
  return new vscode.Hover(plainMarkdown(text), range);
}

/** Renaming a column: its header in the list, and every placeholder of every campaign that uses the list, together. */
import * as vscode from "vscode";
import { columnsAfterRename, plainText } from "../mail/index";
import type { SymbolsReply } from "../workerProtocol";
import { toRange } from "./diagnostics";
import { ourFiles } from "./symbols";
import type { NamedColumn, Symbols } from "./symbols";

/** Renames columns. */
export class ColumnRename implements vscode.RenameProvider {
  constructor(private readonly symbols: Symbols) {}

  /** Registers it; dispose the answer to take it back. */
  register(): vscode.Disposable {
    return vscode.languages.registerRenameProvider(ourFiles, this);
  }

  async prepareRename(
    document: vscode.TextDocument,
    position: vscode.Position,
  ): Promise<{ range: vscode.Range; placeholder: string }> {
    const { range, column } = await this.named(document, position);
    return { range, placeholder: column.name };
  }

  async provideRenameEdits(
    document: vscode.TextDocument,
    position: vscode.Position,
    newName: string,
  ): Promise<vscode.WorkspaceEdit> {
    const { column, index, symbols } = await this.named(document, position);
    const { list } = symbols;
    const name = newName.trim();
    if (list === undefined) throw new Error("The campaign names no list of recipients.");
    if (!/\.(?:csv|tsv|txt)$/i.test(list))
      throw new Error("Only columns of a CSV can be renamed from here. Rename it in the list itself.");
    const renamed = columnsAfterRename(symbols.columns?.columns ?? [], index, name);
    if (!renamed.ok) throw new Error(renamed.text);
    const listUri = vscode.Uri.file(list);
    const edit = new vscode.WorkspaceEdit();
    const header = toRange(column.range);
    edit.replace(listUri, header, await headerCell(listUri, header, name));
    for (const user of await this.symbols.users(listUri)) {
      if (user.symbols.list === list) await renameIn(edit, user.symbols, index, [column.name, column.alias], renamed);
    }
    return edit;
  }

  private async named(document: vscode.TextDocument, position: vscode.Position): Promise<NamedColumn> {
    const named = await this.symbols.columnAt(document, position);
    if (named === undefined) throw new Error("Only a column of a list of recipients can be renamed here.");
    return named;
  }
}

async function renameIn(
  edit: vscode.WorkspaceEdit,
  { mentions }: SymbolsReply,
  index: number,
  names: readonly (string | undefined)[],
  renamed: { readonly header: string; readonly expression: string },
): Promise<void> {
  const spellings = names.filter((name) => name !== undefined);
  for (const { column, file, range, as } of mentions) {
    if (column !== index) continue;
    const uri = vscode.Uri.file(file);
    const document = await vscode.workspace.openTextDocument(uri);
    const place = toRange(range);
    const written = document.getText(place);
    const bare = written.replace(/^\[\s*(["'])(.*)\1\s*\]$/s, "$2").replace(/^(["'])(.*)\1$/s, "$2");
    // In a YAML block text places are not exact: nothing is changed rather than something else.
    if (!spellings.includes(bare.trim()))
      throw new Error(
        `Line ${String(range.start.line + 1)} of ${plainText(vscode.workspace.asRelativePath(uri), 100)} names the column in a text that cannot be changed exactly. Write that text on one line first.`,
      );
    const text =
      as === "expression"
        ? renamed.expression
        : /^["']/.test(written)
          ? `${written.charAt(0)}${renamed.header}${written.charAt(0)}`
          : renamed.header;
    if (!edit.get(uri).some((other) => other.range.isEqual(place))) edit.replace(uri, place, text);
  }
}

/** The header's cell with its new name, in quotes where it had some or needs them (RFC 4180 §2). */
async function headerCell(list: vscode.Uri, range: vscode.Range, name: string): Promise<string> {
  const written = (await vscode.workspace.openTextDocument(list)).getText(range);
  // Whatever separates the cells here: more quotes than needed change nothing.
  const needsQuotes = written.trim().startsWith('"') || !/^[\p{L}\p{N} _-]*$/u.test(name);
  return needsQuotes ? `"${name.replace(/"/g, '""')}"` : name;
}

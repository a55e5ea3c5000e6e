/** From a placeholder to its column in the list, from a key to the file that it names, and from a column to all its placeholders. */
import * as path from "node:path";
import * as vscode from "vscode";
import { isCampaign } from "../campaignFiles";
import { toRange } from "./diagnostics";
import { ourFiles } from "./symbols";
import type { Symbols } from "./symbols";

/** Keys whose values are files. */
const fileLine = /^(?:(?:recipients|suppress|body|attachments):|[ \t]*-)[ \t]+["']?([^"'\r\n]+?)["']?[ \t]*$/;

/** Leads to where things are defined and used. */
export class CampaignDefinitions implements vscode.DefinitionProvider, vscode.ReferenceProvider {
  constructor(private readonly symbols: Symbols) {}

  /** Registers it; dispose the answer to take it back. */
  register(): vscode.Disposable {
    return vscode.Disposable.from(
      vscode.languages.registerDefinitionProvider(ourFiles, this),
      vscode.languages.registerReferenceProvider(ourFiles, this),
    );
  }

  async provideDefinition(
    document: vscode.TextDocument,
    position: vscode.Position,
  ): Promise<vscode.LocationLink[] | undefined> {
    const named = await this.symbols.columnAt(document, position);
    const list = named?.symbols.list;
    if (named !== undefined && list !== undefined) {
      const targetRange = toRange(named.column.range);
      return [{ originSelectionRange: named.range, targetUri: vscode.Uri.file(list), targetRange }];
    }
    return isCampaign(document.uri) ? await this.fileAt(document, position) : undefined;
  }

  async provideReferences(
    document: vscode.TextDocument,
    position: vscode.Position,
    { includeDeclaration }: vscode.ReferenceContext,
  ): Promise<vscode.Location[] | undefined> {
    const named = await this.symbols.columnAt(document, position);
    const list = named?.symbols.list;
    if (named === undefined || list === undefined) return undefined;
    const listUri = vscode.Uri.file(list);
    const places = includeDeclaration ? [new vscode.Location(listUri, toRange(named.column.range))] : [];
    for (const { symbols } of await this.symbols.users(listUri)) {
      if (symbols.list !== list) continue;
      for (const { column, file, range } of symbols.mentions)
        if (column === named.index) places.push(new vscode.Location(vscode.Uri.file(file), toRange(range)));
    }
    return places;
  }

  /** The file that the line under the cursor names, when the campaign really consists of it or it is there. */
  private async fileAt(
    document: vscode.TextDocument,
    position: vscode.Position,
  ): Promise<vscode.LocationLink[] | undefined> {
    const { text } = document.lineAt(position.line);
    const written = fileLine.exec(text)?.[1];
    if (written === undefined || written.includes("{{")) return undefined;
    const start = text.indexOf(written);
    const range = new vscode.Range(position.line, start, position.line, start + written.length);
    if (!range.contains(position)) return undefined;
    const target = vscode.Uri.file(path.resolve(path.dirname(document.uri.fsPath), written));
    const exists = await vscode.workspace.fs.stat(target).then(
      ({ type }) => (type & vscode.FileType.File) !== 0,
      () => false,
    );
    const targetRange = new vscode.Range(0, 0, 0, 0);
    return exists ? [{ originSelectionRange: range, targetUri: target, targetRange }] : undefined;
  }
}

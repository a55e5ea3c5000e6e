/** What the names in campaigns stand for: asked of the worker once a change, shared by completion, hover, definition and rename. */
import * as vscode from "vscode";
import { isCampaign } from "../campaignFiles";
import type { CampaignFiles } from "../campaignFiles";
import { DisposableStore } from "../dispose";
import type { Disposable } from "../dispose";
import type { LanguageWork } from "../languageWork";
import type { ListColumn, SymbolsReply } from "../workerProtocol";
import { toRange } from "./diagnostics";

/** Campaigns, bodies in files of their own, and lists. */
export const ourFiles: vscode.DocumentSelector = [
  { scheme: "file", pattern: "**/*.mail.{md,html}" },
  { scheme: "file", pattern: "**/*.{md,html,htm,csv,tsv,txt}" },
];

/** A place that names a column, and whose list it is. */
export interface NamedColumn {
  readonly campaign: vscode.Uri;
  readonly symbols: SymbolsReply;
  readonly column: ListColumn;
  readonly index: number;
  /** The name under the cursor. */
  readonly range: vscode.Range;
}

/** The symbols of the workspace's campaigns. */
export class Symbols implements Disposable {
  private readonly owned = new DisposableStore();
  private readonly known = new Map<string, Known>();

  constructor(
    private readonly campaigns: CampaignFiles,
    private readonly work: LanguageWork,
  ) {
    this.owned.add(campaigns.onDidChange(({ fsPath }) => this.known.delete(fsPath)));
    this.owned.add(campaigns.onDidChangeList(() => this.known.clear()));
    // Not only the event above, which waits for a pause in typing: whoever asks now means what stands there now.
    this.owned.add(vscode.workspace.onDidChangeTextDocument(({ document }) => this.typed(document.uri)));
  }

  /** Of one campaign, without names where that takes too long; undefined when something newer was asked. */
  of(campaign: vscode.Uri): Promise<SymbolsReply | undefined> {
    const known = this.known.get(campaign.fsPath);
    if (known !== undefined) return known.asked;
    const fresh: Known = { asked: this.ask(campaign), files: undefined };
    this.known.set(campaign.fsPath, fresh);
    const keep = (found: SymbolsReply | undefined): void => {
      fresh.files = found?.files;
      if (found === undefined && this.known.get(campaign.fsPath) === fresh) this.known.delete(campaign.fsPath);
    };
    fresh.asked.then(keep, () => keep(undefined));
    return fresh.asked;
  }

  /** Every campaign that consists of `file`, with its symbols; a campaign itself is alone. */
  async users(file: vscode.Uri): Promise<readonly { campaign: vscode.Uri; symbols: SymbolsReply }[]> {
    const candidates = isCampaign(file) ? [file] : await this.campaigns.list();
    const found = [];
    for (const campaign of candidates) {
      const symbols = await this.of(campaign);
      if (symbols?.files.includes(file.fsPath) === true) found.push({ campaign, symbols });
    }
    return found;
  }

  /** The column that is named at `position`: in a template, or as a header of the list. */
  async columnAt(document: vscode.TextDocument, position: vscode.Position): Promise<NamedColumn | undefined> {
    for (const { campaign, symbols } of await this.users(document.uri)) {
      const all = symbols.columns?.columns ?? [];
      const { fsPath } = document.uri;
      const mention = symbols.mentions.find(({ file, range }) => file === fsPath && toRange(range).contains(position));
      const index =
        mention?.column ??
        (symbols.list === fsPath ? all.findIndex(({ range }) => toRange(range).contains(position)) : -1);
      const column = all[index];
      if (column !== undefined)
        return { campaign, symbols, column, index, range: toRange(mention?.range ?? column.range) };
    }
    return undefined;
  }

  dispose(): void {
    this.owned.dispose();
  }

  private async ask(campaign: vscode.Uri): Promise<SymbolsReply | undefined> {
    const found = await this.work.symbols(await this.campaigns.request(campaign));
    // What took too long takes too long again: it is asked once a change, like all else.
    if (found.kind === "tooSlow")
      return { list: undefined, columns: undefined, mentions: [], files: [campaign.fsPath] };
    return found.kind === "done" ? found.value : undefined;
  }

  private typed({ fsPath }: vscode.Uri): void {
    for (const [campaign, { files }] of this.known)
      if (campaign === fsPath || files === undefined || files.includes(fsPath)) this.known.delete(campaign);
  }
}

interface Known {
  readonly asked: Promise<SymbolsReply | undefined>;
  /** Undefined until it is known. */
  files: readonly string[] | undefined;
}

/** What is known of a column, as text for people. */
export function aboutColumn({ name, samples, empty }: ListColumn, { columns, list }: SymbolsReply): string {
  const rows = columns?.rows ?? 0;
  const among =
    columns?.complete === true ? `${rows.toLocaleString("en")} rows` : `the first ${rows.toLocaleString("en")} rows`;
  const file = list?.split(/[\\/]/).at(-1) ?? "the list";
  const gaps = empty === 0 ? `filled in all of ${among}` : `empty in ${empty.toLocaleString("en")} of ${among}`;
  const values = samples.length === 0 ? "no values" : `such as ${samples.join(", ")}`;
  return `Column ${name} of ${file}: ${values}; ${gaps}.`;
}

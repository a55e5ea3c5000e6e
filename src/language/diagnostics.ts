/** Problems of open campaigns and their lists as squiggles, kept up to date, with their quick fixes. */
import * as vscode from "vscode";
import { isCampaign } from "../campaignFiles";
import type { CampaignFiles } from "../campaignFiles";
import { DisposableStore } from "../dispose";
import type { Disposable } from "../dispose";
import type { LanguageWork } from "../languageWork";
import type { Logger, Problem, Range, Severity } from "../mail/index";
import type { CheckReply } from "../workerProtocol";

/** What is known of a campaign. */
export type CheckState =
  | { readonly kind: "checked"; readonly reply: CheckReply }
  /** The list is too long to be checked while typing. */
  | { readonly kind: "tooSlow" }
  /** The campaign cannot be read at all; the log says why. */
  | { readonly kind: "failed" };

const severities: Readonly<Record<Severity, vscode.DiagnosticSeverity>> = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  information: vscode.DiagnosticSeverity.Information,
};

/** Where quick fixes can stand: campaigns and their lists. */
const fixable: vscode.DocumentSelector = [
  { scheme: "file", pattern: "**/*.mail.{md,html}" },
  { scheme: "file", pattern: "**/*.{csv,tsv,txt,html,md}" },
];

/** Checks campaigns as they are opened and changed. */
export class Diagnostics implements vscode.CodeActionProvider, Disposable {
  private readonly owned = new DisposableStore();
  private readonly collection = this.owned.add(vscode.languages.createDiagnosticCollection("bulk-mail"));
  private readonly checked = this.owned.add(new vscode.EventEmitter<vscode.Uri>());
  private readonly states = new Map<string, CheckState>();
  private disposed = false;

  /** A campaign's state changed. */
  readonly onDidCheck = this.checked.event;

  constructor(
    private readonly campaigns: CampaignFiles,
    private readonly work: LanguageWork,
    private readonly logger: Logger,
  ) {
    this.owned.add(
      vscode.languages.registerCodeActionsProvider(fixable, this, {
        providedCodeActionKinds: [vscode.CodeActionKind.QuickFix, fixAllKind],
      }),
    );
    this.owned.add(vscode.workspace.onDidOpenTextDocument(({ uri }) => this.opened(uri)));
    this.owned.add(vscode.workspace.onDidCloseTextDocument(({ uri }) => this.forget(uri)));
    this.owned.add(campaigns.onDidChange((uri) => void this.checkLive(uri)));
    this.owned.add(vscode.workspace.onDidDeleteFiles(({ files }) => files.forEach((uri) => this.forget(uri))));
    for (const { uri } of vscode.workspace.textDocuments) this.opened(uri);
  }

  /** What the last check of `campaign` found, if there was one. */
  stateOf(campaign: vscode.Uri): CheckState | undefined {
    return this.states.get(campaign.fsPath);
  }

  /** Shows what a check that somebody asked for has found. */
  publish(campaign: vscode.Uri, reply: CheckReply): void {
    this.campaigns.consistsOf(campaign, reply.files);
    this.set(campaign, { kind: "checked", reply });
  }

  /** Checks every campaign that is open again: something that concerns all changed. */
  checkAgain(): void {
    for (const { uri } of vscode.workspace.textDocuments) this.opened(uri);
  }

  provideCodeActions(
    document: vscode.TextDocument,
    _range: vscode.Range,
    context: vscode.CodeActionContext,
  ): vscode.CodeAction[] {
    const ours = context.diagnostics.filter(({ source }) => source === diagnosticSource);
    if (context.only !== undefined && !context.only.contains(vscode.CodeActionKind.QuickFix))
      return this.fixAll(document.uri, context.only);
    return [...this.quickFixes(document.uri, ours), ...this.fixAll(document.uri, undefined)];
  }

  private quickFixes(uri: vscode.Uri, ours: readonly vscode.Diagnostic[]): vscode.CodeAction[] {
    return ours.flatMap((diagnostic) => {
      const problem = this.problems(uri.fsPath).find((candidate) => isSame(candidate, diagnostic));
      return (problem?.fixes ?? []).map((fix, index) => {
        const action = new vscode.CodeAction(fix.title, vscode.CodeActionKind.QuickFix);
        action.edit = new vscode.WorkspaceEdit();
        action.edit.replace(vscode.Uri.file(fix.file), toRange(fix.range), fix.text);
        action.diagnostics = [diagnostic];
        action.isPreferred = index === 0;
        return action;
      });
    });
  }

  /** The first fix of every problem of the file at once. Offered in the menu where there are several, or where it is `asked` for, as on saving. */
  private fixAll({ fsPath }: vscode.Uri, asked: vscode.CodeActionKind | undefined): vscode.CodeAction[] {
    if (asked?.contains(fixAllKind) === false && !fixAllKind.contains(asked)) return [];
    const action = new vscode.CodeAction("Fix all that Bulk Mail can mend here", fixAllKind);
    action.edit = new vscode.WorkspaceEdit();
    const taken: Range[] = [];
    for (const { fixes, code, severity } of unique(this.problems(fsPath))) {
      // A new id forgets who was mailed, and where there are several ways, or nothing is wrong, a person decides.
      const isDecision =
        code === "id.copied" || code === "id.invalid" || severity === "information" || fixes?.length !== 1;
      const [fix] = isDecision ? [] : fixes;
      if (fix?.file !== fsPath || taken.some((other) => toRange(other).intersection(toRange(fix.range)) !== undefined))
        continue;
      taken.push(fix.range);
      action.edit.replace(vscode.Uri.file(fix.file), toRange(fix.range), fix.text);
    }
    return taken.length > (asked === undefined ? 1 : 0) ? [action] : [];
  }

  dispose(): void {
    this.disposed = true;
    this.owned.dispose();
  }

  private opened(uri: vscode.Uri): void {
    if (isCampaign(uri)) void this.checkLive(uri);
  }

  private async checkLive(campaign: vscode.Uri): Promise<void> {
    try {
      const live = await this.work.check(await this.campaigns.request(campaign));
      // Closed meanwhile: its problems went with it.
      if (!isOpen(campaign) && !this.states.has(campaign.fsPath)) return;
      if (live.kind === "done") this.publish(campaign, live.value);
      if (live.kind === "tooSlow") {
        this.logger.warn(
          `${campaign.fsPath}: the check took over two seconds and was ended. Check Campaign takes its time.`,
        );
        this.campaigns.consistsOf(campaign, []);
        this.set(campaign, { kind: "tooSlow" });
      }
    } catch (error) {
      this.logger.warn(
        `${campaign.fsPath} cannot be checked: ${error instanceof Error ? error.message : String(error)}`,
      );
      if (isOpen(campaign)) this.set(campaign, { kind: "failed" });
      else this.forget(campaign);
    }
  }

  private forget(uri: vscode.Uri): void {
    if (!isCampaign(uri)) return;
    this.campaigns.forget(uri);
    this.set(uri, undefined);
  }

  private set(campaign: vscode.Uri, state: CheckState | undefined): void {
    // A check may end after the extension did.
    if (this.disposed) return;
    const before = filesOf(this.states.get(campaign.fsPath));
    if (state === undefined) this.states.delete(campaign.fsPath);
    else this.states.set(campaign.fsPath, state);
    for (const file of new Set([...before, ...filesOf(state)])) {
      this.collection.set(vscode.Uri.file(file), unique(this.problems(file)).map(toDiagnostic));
    }
    this.checked.fire(campaign);
  }

  /** The problems in a file, of every campaign that uses it. */
  private problems(file: string): readonly Problem[] {
    return [...this.states.values()].flatMap((state) =>
      state.kind === "checked" ? state.reply.problems.filter((problem) => problem.file === file) : [],
    );
  }
}

const diagnosticSource = "Bulk Mail";

const fixAllKind = vscode.CodeActionKind.SourceFixAll.append("bulkMail");

function toDiagnostic(problem: Problem): vscode.Diagnostic {
  const diagnostic = new vscode.Diagnostic(toRange(problem.range), problem.message, severities[problem.severity]);
  diagnostic.source = diagnosticSource;
  diagnostic.code = problem.code;
  diagnostic.relatedInformation = (problem.related ?? []).map(
    ({ file, range, message }) =>
      new vscode.DiagnosticRelatedInformation(new vscode.Location(vscode.Uri.file(file), toRange(range)), message),
  );
  return diagnostic;
}

function isSame(problem: Problem, diagnostic: vscode.Diagnostic): boolean {
  return (
    problem.code === diagnostic.code &&
    problem.message === diagnostic.message &&
    toRange(problem.range).isEqual(diagnostic.range)
  );
}

/** Two campaigns on one list find the same there; it is shown once. */
function unique(problems: readonly Problem[]): readonly Problem[] {
  return [
    ...new Map(
      problems.map((problem) => [JSON.stringify([problem.code, problem.range, problem.message]), problem]),
    ).values(),
  ];
}

function filesOf(state: CheckState | undefined): readonly string[] {
  return state?.kind === "checked" ? state.reply.problems.map(({ file }) => file) : [];
}

function isOpen(uri: vscode.Uri): boolean {
  return vscode.workspace.textDocuments.some((document) => document.uri.toString() === uri.toString());
}

/** A core range in VS Code's form. */
export function toRange({ start, end }: Range): vscode.Range {
  return new vscode.Range(start.line, start.character, end.line, end.character);
}

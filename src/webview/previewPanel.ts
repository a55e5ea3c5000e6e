/** The host half of the preview: one panel beside the editor that follows one campaign, row by row and while it is written. */
import * as path from "node:path";
import * as v from "valibot";
import * as vscode from "vscode";
import { campaignName, isCampaign } from "../campaignFiles";
import type { CampaignFiles } from "../campaignFiles";
import { viewTypes } from "../contributions";
import { DisposableStore } from "../dispose";
import type { Disposable } from "../dispose";
import { toRange } from "../language/diagnostics";
import type { LanguageWork } from "../languageWork";
import type { Logger, Problem } from "../mail/index";
import { plainText } from "../mail/index";
import type { PreviewMessage, PreviewReply, RowWanted } from "../workerProtocol";
import { Panel } from "./panel";
import type { Page, PageHost } from "./panel";
import type { PreviewedMessage, PreviewHost, PreviewPage, PreviewState } from "./protocol";

/** At most so many problems are listed: the Problems view has them all. */
const mostProblems = 50;

const nothingFound = { text: "No row holds this.", hardest: "No row stands out." } as const;

const tooSlow = "Making this message took over two seconds and was ended. Is the list very long?";

/** What the panel needs. */
export interface PreviewPorts {
  readonly extensionUri: vscode.Uri;
  readonly campaigns: CampaignFiles;
  readonly work: LanguageWork;
  readonly logger: Logger;
}

/** The preview of this window: at most one panel. */
export class PreviewPanels implements Disposable {
  private readonly owned = new DisposableStore();
  private readonly shown = this.owned.add(new vscode.EventEmitter<void>());
  private current: Preview | undefined;

  /** Another row is on show, or none any more. */
  readonly onDidShow = this.shown.event;

  constructor(private readonly ports: PreviewPorts) {
    this.owned.add(ports.campaigns.onDidChange((uri) => this.current?.changed(uri)));
  }

  /** Lets VS Code bring the panel back after a reload of the window. */
  restoreAfterReload(): vscode.Disposable {
    return vscode.window.registerWebviewPanelSerializer(viewTypes.preview, {
      deserializeWebviewPanel: (panel, state) => {
        const restored = v.safeParse(v.object({ file: v.string(), index: v.number() }), state);
        if (restored.success && isCampaign(vscode.Uri.file(restored.output.file))) {
          this.adopt(panel, vscode.Uri.file(restored.output.file), restored.output.index);
        } else panel.dispose();
        return Promise.resolve();
      },
    });
  }

  /** The campaign whose preview has the focus. */
  get campaign(): vscode.Uri | undefined {
    return this.current?.panel.active === true ? this.current.campaign : undefined;
  }

  /** The row that the preview of `campaign` shows, when there is one. */
  rowOf(campaign: vscode.Uri): number | undefined {
    return this.current?.campaign.fsPath === campaign.fsPath ? this.current.index : undefined;
  }

  /** Which of how many rows of `campaign` is on show, when there is a preview of it. */
  placeIn(campaign: vscode.Uri): { readonly index: number; readonly count: number } | undefined {
    const state = this.state;
    return state?.file === campaign.fsPath && state.count > 0 ? state : undefined;
  }

  /** What the preview shows now. */
  get state(): PreviewState | undefined {
    return this.current?.state;
  }

  /** Shows a row of the campaign beside the editor, the one shown before when none is named. */
  async open(campaign: vscode.Uri, row?: number): Promise<void> {
    if (this.current === undefined) {
      const panel = vscode.window.createWebviewPanel(viewTypes.preview, "Preview", {
        viewColumn: vscode.ViewColumn.Beside,
        preserveFocus: true,
      });
      this.adopt(panel, campaign, row ?? 0);
    } else this.current.panel.reveal(undefined, true);
    await this.current?.turnTo(campaign, row);
  }

  dispose(): void {
    this.current?.dispose();
    this.owned.dispose();
  }

  private adopt(panel: vscode.WebviewPanel, campaign: vscode.Uri, index: number): void {
    this.current?.dispose();
    const preview = new Preview(this.ports, panel, campaign, index, () => this.shown.fire());
    this.current = preview;
    panel.onDidDispose(() => {
      if (this.current === preview) this.current = undefined;
      preview.dispose();
      this.shown.fire();
    });
  }
}

class Preview implements PageHost<PreviewHost> {
  private readonly owned = new DisposableStore();
  private readonly page: Panel<PreviewPage, PreviewHost>;
  private problems: readonly Problem[] = [];
  private latest: Promise<void> | undefined;
  private disposed = false;
  state: PreviewState | undefined;

  readonly accepts = {
    load: v.tuple([]),
    turnTo: v.tuple([v.pipe(v.number(), v.integer(), v.minValue(0))]),
    find: v.tuple([v.pipe(v.string(), v.maxLength(200))]),
    findHard: v.tuple([v.picklist(["longest", "emptiest", "foreign"])]),
    openProblem: v.tuple([v.pipe(v.number(), v.integer(), v.minValue(0))]),
  };

  readonly handlers: PageHost<PreviewHost>["handlers"] = {
    load: () => {
      if (this.state !== undefined) this.show(this.state);
      // One that is under way tells the page itself.
      else if (this.latest === undefined) void this.refresh();
    },
    turnTo: (index) => void this.turnTo(this.campaign, index),
    find: (text) => void this.find({ kind: "text", text: text.trim() }),
    findHard: (by) => void this.find({ kind: "hardest", by }),
    openProblem: (index) => void this.openProblem(index),
  };

  constructor(
    private readonly ports: PreviewPorts,
    readonly panel: vscode.WebviewPanel,
    public campaign: vscode.Uri,
    public index: number,
    private readonly onShow: () => void,
  ) {
    ports.campaigns.watch(campaign);
    this.page = new Panel(panel, ports.extensionUri, pageIn(panel.webview), this, ports.logger);
    this.owned.add(this.page);
    // A hidden page misses what it is told: it hears everything again when it comes back.
    this.owned.add(
      panel.onDidChangeViewState(() => panel.visible && this.state !== undefined && this.show(this.state)),
    );
  }

  changed(uri: vscode.Uri): void {
    if (uri.fsPath === this.campaign.fsPath) void this.refresh();
  }

  async turnTo(campaign: vscode.Uri, row: number | undefined): Promise<void> {
    if (campaign.fsPath !== this.campaign.fsPath) {
      this.campaign = campaign;
      this.index = 0;
      this.state = undefined;
      this.ports.campaigns.watch(campaign);
    }
    this.index = row ?? this.index;
    await this.refresh();
  }

  dispose(): void {
    this.disposed = true;
    this.owned.dispose();
  }

  /** Makes the message anew. Whoever is overtaken by a newer one waits for that one. */
  private async refresh(): Promise<void> {
    let awaited: Promise<void> | undefined;
    this.latest = this.make();
    while (awaited !== this.latest) {
      awaited = this.latest;
      await awaited;
    }
  }

  private async make(): Promise<void> {
    const { campaign } = this;
    try {
      const live = await this.ports.work.preview(await this.ports.campaigns.request(campaign), this.index);
      if (campaign.fsPath !== this.campaign.fsPath || live.kind === "superseded") return;
      if (live.kind === "done") this.show(this.stateFor(live.value));
      else this.show({ ...this.blank(), notice: tooSlow });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.ports.logger.warn(`${campaign.fsPath} cannot be previewed: ${reason}`);
      this.show({ ...this.blank(), notice: "This campaign cannot be read. The log says why." });
    }
  }

  private async find(wanted: RowWanted): Promise<void> {
    if (wanted.kind === "text" && wanted.text === "") return;
    const { campaign, state } = this;
    try {
      const request = await this.ports.campaigns.request(campaign);
      const found = await this.ports.work.findRow(request, wanted, this.index);
      if (campaign.fsPath !== this.campaign.fsPath || found.kind === "superseded") return;
      if (found.kind === "done" && found.value !== undefined) {
        await this.turnTo(campaign, found.value);
        return;
      }
      const notice =
        found.kind === "tooSlow" ? "Looking for it took over two seconds and was ended." : nothingFound[wanted.kind];
      this.show({ ...(state ?? this.blank()), notice });
    } catch (error) {
      this.ports.logger.warn(`${campaign.fsPath} cannot be searched: ${String(error)}`);
    }
  }

  private show(state: PreviewState): void {
    if (this.disposed) return;
    this.state = state;
    this.panel.title = `Preview ${state.name}`;
    this.page.page.event("show", state);
    this.onShow();
  }

  private stateFor({ index, count, row, problems, files }: PreviewReply): PreviewState {
    this.ports.campaigns.consistsOf(this.campaign, files);
    this.index = index;
    this.problems = problems.slice(0, mostProblems);
    const made = row?.message === undefined ? undefined : shown(row.message);
    return {
      ...this.blank(),
      index,
      count,
      row: row === undefined ? undefined : { line: row.line, address: plainText(row.address), fate: row.fate },
      problems: this.problems.map(({ severity, message, file, range }) => ({
        severity,
        message: plainText(message, 500),
        place: `${path.basename(file)}:${String(range.start.line + 1)}`,
      })),
      message: made ?? this.state?.message,
      stale: made === undefined && this.state?.message !== undefined,
      notice: count === 0 && problems.length === 0 ? "No row is left after where." : "",
    };
  }

  private blank(): PreviewState {
    const { fsPath } = this.campaign;
    return {
      file: fsPath,
      name: campaignName(fsPath),
      index: this.index,
      count: this.state?.count ?? 0,
      row: undefined,
      problems: [],
      message: this.state?.message,
      stale: this.state?.message !== undefined,
      notice: "",
      mayFetch: vscode.workspace.isTrusted,
    };
  }

  private async openProblem(index: number): Promise<void> {
    const problem = this.problems[index];
    if (problem === undefined) return;
    await vscode.window.showTextDocument(vscode.Uri.file(problem.file), {
      viewColumn: vscode.ViewColumn.One,
      selection: toRange(problem.range),
    });
  }
}

function shown({ envelope, ...message }: PreviewMessage): PreviewedMessage {
  return { ...message, copies: envelope.slice(1) };
}

/**
 * The message is foreign HTML in a frame of its own, which takes over this page's policy: styles of the message count, its
 * images only when they came along: the frame's own policy fetches nothing until a person asks for pictures from the web.
 */
function pageIn(webview: vscode.Webview): Page {
  return {
    viewType: viewTypes.preview,
    title: "Preview",
    script: "preview",
    styles: ["preview.css"],
    policy: { "style-src": `${webview.cspSource} 'unsafe-inline'`, "img-src": "data: https:", "font-src": "'none'" },
  };
}

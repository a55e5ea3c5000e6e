/** The campaigns of the workspace: which there are, what they consist of, and when any of that changes. */
import { stat } from "node:fs/promises";
import * as path from "node:path";
import * as vscode from "vscode";
import { DisposableStore } from "./dispose";
import type { Disposable } from "./dispose";
import { isBelow } from "./mail/index";
import type { CsvOptions, SenderDefaults } from "./mail/index";
import type { CampaignRequest } from "./workerProtocol";

/** Every campaign's name, as a glob. */
export const campaignGlob = "**/*.mail.{md,html}";

/** Quiet time after the last change before anybody hears of it, milliseconds. */
const debounceMs = 300;

/** What settings add to a campaign. */
export interface CampaignSettings {
  readonly csv: CsvOptions;
  readonly senders: ReadonlyMap<string, SenderDefaults>;
  readonly defaultAccount: string;
}

/** Finds, loads and watches campaigns and the files that they name. */
export class CampaignFiles implements Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.add(new vscode.EventEmitter<vscode.Uri>());
  private readonly listChanged = this.owned.add(new vscode.EventEmitter<void>());
  private readonly timers = new Map<string, NodeJS.Timeout>();
  /** Campaign path → paths of the files it consists of, as the last check found them. */
  private readonly parts = new Map<string, ReadonlySet<string>>();
  private found: Promise<readonly vscode.Uri[]> | undefined;

  /** A campaign, or something that it consists of, changed in the editor or on disk; a moment after the last change. */
  readonly onDidChange = this.changed.event;
  /** A campaign came or went. */
  readonly onDidChangeList = this.listChanged.event;

  constructor(private readonly settingsOf: (campaign: vscode.Uri) => Promise<CampaignSettings>) {
    const campaigns = this.owned.add(vscode.workspace.createFileSystemWatcher(campaignGlob));
    this.owned.add(campaigns.onDidCreate(() => this.forgetList()));
    this.owned.add(campaigns.onDidDelete(() => this.forgetList()));
    // A file is often made empty and written after: only then does it have the id that another one may have too.
    this.owned.add(campaigns.onDidChange(() => this.announceAll()));
    this.owned.add(vscode.workspace.onDidChangeWorkspaceFolders(() => this.forgetList()));
    // VS Code watches the folder anyway; a pattern of our own for each file would cost more than looking at its events.
    const files = this.owned.add(vscode.workspace.createFileSystemWatcher("**/*"));
    this.owned.add(files.onDidChange((uri) => this.touched(uri)));
    this.owned.add(files.onDidCreate((uri) => this.cameOrWent(uri)));
    this.owned.add(files.onDidCreate((uri) => void this.folderCame(uri)));
    this.owned.add(files.onDidDelete((uri) => this.cameOrWent(uri)));
    this.owned.add(vscode.workspace.onDidChangeTextDocument(({ document }) => this.touched(document.uri)));
  }

  /** All campaigns of the workspace. */
  list(): Promise<readonly vscode.Uri[]> {
    this.found ??= Promise.resolve(vscode.workspace.findFiles(campaignGlob, "**/node_modules/**"));
    return this.found;
  }

  /** What the worker needs to know of `campaign`, unsaved texts included. */
  async request(campaign: vscode.Uri): Promise<CampaignRequest> {
    const [others, settings] = await Promise.all([this.list(), this.settingsOf(campaign)]);
    const unsaved = vscode.workspace.textDocuments.filter(({ isDirty, uri }) => isDirty && uri.scheme === "file");
    return {
      file: campaign.fsPath,
      root: rootOf(campaign),
      overlay: new Map(unsaved.map((document) => [document.uri.fsPath, document.getText()])),
      ...settings,
      others: others.map(({ fsPath }) => fsPath).filter((file) => file !== campaign.fsPath),
    };
  }

  /** Tells what `campaign` consists of, so that changes of these files count as its own. */
  consistsOf(campaign: vscode.Uri, files: readonly string[]): void {
    this.parts.set(campaign.fsPath, new Set([campaign.fsPath, ...files]));
  }

  /** Listens for changes of `campaign` even when it has not been checked. */
  watch(campaign: vscode.Uri): void {
    if (!this.parts.has(campaign.fsPath)) this.consistsOf(campaign, []);
  }

  /** Stops watching the files of `campaign`. */
  forget(campaign: vscode.Uri): void {
    this.parts.delete(campaign.fsPath);
  }

  dispose(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.owned.dispose();
  }

  private touched({ fsPath }: vscode.Uri): void {
    for (const [campaign, parts] of this.parts) if (parts.has(fsPath)) this.announce(campaign);
  }

  /** A file that came may be the missing attachment or image of any campaign above it, one that went any of its parts. */
  private cameOrWent({ fsPath }: vscode.Uri): void {
    for (const [campaign, parts] of this.parts) {
      if (parts.has(fsPath) || isBelow(path.dirname(campaign), fsPath)) this.announce(campaign);
    }
  }

  /** Of a folder that is moved in, or filled as soon as it is made, VS Code tells; of the campaigns in it it may not. */
  private async folderCame({ fsPath }: vscode.Uri): Promise<void> {
    const found = await stat(fsPath).catch(() => undefined);
    if (found?.isDirectory() === true) this.forgetList();
  }

  private announce(campaign: string): void {
    clearTimeout(this.timers.get(campaign));
    const timer = setTimeout(() => {
      this.timers.delete(campaign);
      this.changed.fire(vscode.Uri.file(campaign));
    }, debounceMs);
    this.timers.set(campaign, timer);
  }

  private forgetList(): void {
    this.found = undefined;
    this.listChanged.fire();
    this.announceAll();
  }

  /** A copied id appears, and goes, with another campaign. */
  private announceAll(): void {
    for (const campaign of this.parts.keys()) this.announce(campaign);
  }
}

/** Whether `uri` is a campaign by its name. */
export function isCampaign(uri: vscode.Uri): boolean {
  return uri.scheme === "file" && /\.mail\.(?:md|html)$/i.test(uri.path);
}

/** `spring` for `spring.mail.md`. */
export function campaignName(file: string): string {
  return path.basename(file).replace(/\.mail\.(?:md|html)$/i, "");
}

/** The folder that everything a campaign names must lie in: its workspace folder, else its own. */
export function rootOf(campaign: vscode.Uri): string {
  return vscode.workspace.getWorkspaceFolder(campaign)?.uri.fsPath ?? path.dirname(campaign.fsPath);
}

/** Open documents among `files` with unsaved changes. */
export function unsavedAmong(files: readonly string[]): readonly vscode.TextDocument[] {
  return vscode.workspace.textDocuments.filter(
    ({ isDirty, uri }) => isDirty && uri.scheme === "file" && files.includes(uri.fsPath),
  );
}

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Browser, Frame, Locator, Page } from "playwright-core";
import { launchBrowser } from "./browser";
import * as editors from "./editors";
import { installServer } from "./install";
import * as messages from "./messages";
import * as panels from "./panels";
import * as quick from "./quickInput";
import { repositoryRoot } from "./repo";
import {
  changedSettings,
  installExtension,
  startServer,
  userDataFolder,
  type RunningServer,
  type Settings,
} from "./server";
import { browserPast, openContext, saveBrowser } from "./browserData";
import { eventually, matches } from "./wait";
import { collectWebviewErrors, webview } from "./webviews";

const startMs = 120_000;

/** A part of the window, CSS pixels. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** What to open. */
export interface WorkbenchOptions {
  /** The packaged extension: UI tests test what is shipped. */
  readonly vsix: string;
  /** The folder to open. Tests may write to it, so give it a copy. */
  readonly workspace: string;
  readonly userSettings?: Settings;
  /** Whether VS Code asks for workspace trust, and so opens the folder in restricted mode. Default: false, all is trusted. */
  readonly trust?: boolean;
  /** As in the setting `workbench.colorTheme`. */
  readonly theme?: string;
  /** The data of an earlier workbench that was closed with `keepData`: settings, state and secrets live on. */
  readonly dataDir?: string;
  readonly extraEnv?: NodeJS.ProcessEnv;
}

/**
 * Opens a real VS Code with the packaged extension in a headless browser, and resolves when its commands can be used.
 *
 * Close it, also when the test fails.
 * @throws when the install, the server, the browser or VS Code itself does not start.
 */
export async function openWorkbench(options: WorkbenchOptions): Promise<Workbench> {
  const host = await installServer();
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "bulk-mail-ui-")));
  const theme = options.theme === undefined ? {} : { "workbench.colorTheme": options.theme };
  let server: RunningServer | undefined;
  let browser: Browser | undefined;
  try {
    await installExtension(host, dataDir, resolve(options.vsix));
    const past = await browserPast(dataDir);
    [server, browser] = await Promise.all([
      startServer(host, {
        dataDir,
        smokeTestDriver: false,
        trust: options.trust ?? false,
        settings: { ...options.userSettings, ...theme },
        ...(past && { port: past.port }),
        ...(options.extraEnv && { extraEnv: options.extraEnv }),
      }),
      launchBrowser(),
    ]);
    const context = await openContext(browser, past);
    await context.addInitScript({ content: messages.recordNotifications });
    const page = await context.newPage();
    const workbench = new Workbench(page, server, browser, dataDir);
    await page.goto(`${server.url}?folder=${encodeURIComponent(resolve(options.workspace))}`, {
      timeout: startMs,
      waitUntil: "commit",
    });
    await workbench.ready();
    return workbench;
  } catch (error) {
    await browser?.close();
    await server?.close();
    throw error;
  }
}

/** A VS Code in a browser, and what a person can do with it. Each method waits for what it needs, at most three quarters of a minute. */
export class Workbench {
  /** Errors and policy violations inside our webviews since the start. */
  readonly consoleErrors: readonly string[];
  readonly userDataDir: string;

  constructor(
    readonly page: Page,
    private readonly server: RunningServer,
    private readonly browser: Browser,
    readonly dataDir: string,
  ) {
    this.consoleErrors = collectWebviewErrors(page);
    this.userDataDir = userDataFolder(dataDir);
  }

  /** Resolves when VS Code knows the commands of its extensions; needed only after a reload by hand. */
  async ready(): Promise<void> {
    await this.page.locator(".monaco-workbench .part.statusbar").waitFor({ timeout: startMs });
    const loaded = `performance.getEntriesByName("code/didLoadExtensions").length > 0`;
    await eventually(
      "the extensions to load",
      async () => ((await this.page.evaluate<boolean>(loaded)) ? true : undefined),
      startMs,
    );
  }

  /** Reloads the window as a person does, which gives VS Code the time to keep what it knows. */
  async reload(): Promise<void> {
    const navigated = this.page.waitForEvent("domcontentloaded", { timeout: startMs });
    await quick.runCommand(this.page, "Developer: Reload Window");
    await navigated;
    await this.ready();
  }

  /** Runs a command by its full title, such as "Bulk Mail: New Campaign…". */
  runCommand(title: string): Promise<void> {
    return quick.runCommand(this.page, title);
  }

  /** Chooses an entry of the quick pick by its label. */
  quickPick(label: string): Promise<void> {
    return quick.quickPick(this.page, label);
  }

  /** The labels of the quick pick, once there are any. */
  quickPickLabels(): Promise<readonly string[]> {
    return quick.settledLabels(this.page);
  }

  /** Types into the input box and accepts. Throws with the box's message when it refuses the text. */
  quickInput(text: string): Promise<void> {
    return quick.quickInput(this.page, text);
  }

  /** The modal question that is open or about to open. */
  modal(): Promise<messages.Modal> {
    return messages.modal(this.page);
  }

  /** The notifications in sight. */
  notifications(): Promise<readonly string[]> {
    return messages.notifications(this.page);
  }

  /** Every notification since the page was loaded, also those that have faded. */
  notificationHistory(): Promise<readonly string[]> {
    return messages.notificationHistory(this.page);
  }

  /** The first notification since the page was loaded that matches, once there is one. */
  waitForNotification(text: string | RegExp, limitMs?: number): Promise<string> {
    return eventually(
      async () =>
        `a notification "${String(text)}"; there were: ${(await this.notificationHistory()).join(" | ") || "none"}`,
      async () => (await this.notificationHistory()).find((seen) => matches(seen, text)),
      limitMs,
    );
  }

  /** Presses a button of a notification; of the centre, if its toast has faded. */
  notificationButton(notificationText: string | RegExp, button: string): Promise<void> {
    return messages.notificationButton(this.page, notificationText, button);
  }

  /** The inner page of a webview, by a part of its title. Ask again after the extension has set new HTML. */
  webview(titlePart: string): Promise<Frame> {
    return webview(this.page, titlePart);
  }

  /** An item of the status bar. */
  async statusBarItem(text: string | RegExp): Promise<Locator> {
    const item = this.page.locator(".part.statusbar .statusbar-item").filter({ hasText: text }).first();
    await item.waitFor();
    return item;
  }

  /** Opens a file by its path in the workspace, with "/". */
  openFile(relativePath: string): Promise<void> {
    return editors.openFile(this.page, relativePath);
  }

  /** The whole text of the active editor. It goes through the clipboard. */
  editorText(): Promise<string> {
    return editors.editorText(this.page);
  }

  /** Replaces the whole text of the active editor, without saving. */
  replaceEditorText(text: string): Promise<void> {
    return editors.replaceEditorText(this.page, text);
  }

  /** Types at the cursor, key by key. */
  typeInEditor(text: string): Promise<void> {
    return editors.typeInEditor(this.page, text);
  }

  /** Puts the cursor of the active editor at a line and column, both from 1. */
  goTo(line: number, column: number): Promise<void> {
    return quick.goTo(this.page, line, column);
  }

  /** Saves the active editor. */
  save(): Promise<void> {
    return editors.save(this.page);
  }

  /** The code lenses in sight, once there are any. */
  codeLenses(): Promise<readonly string[]> {
    return eventually("code lenses", async () => {
      const found = await editors.codeLenses(this.page);
      return found.length > 0 ? found : undefined;
    });
  }

  /** Clicks a code lens. */
  clickCodeLens(text: string | RegExp): Promise<void> {
    return editors.clickCodeLens(this.page, text);
  }

  /** The labels that the editor suggests at the cursor. */
  suggestions(): Promise<readonly string[]> {
    return editors.suggestions(this.page);
  }

  /** Shows an output channel. */
  openOutputChannel(name: string): Promise<void> {
    return panels.openOutputChannel(this.page, name);
  }

  /** The whole text of the output channel that is shown. It goes through the clipboard. */
  outputText(): Promise<string> {
    return panels.outputText(this.page);
  }

  /** The path of a log output channel's file, once it exists. */
  logFile(name: string): Promise<string> {
    return panels.logFile(this.userDataDir, name);
  }

  /** Every row of the Problems view. */
  problems(): Promise<readonly panels.Problem[]> {
    return panels.problems(this.page);
  }

  /** The problem whose message matches, once there is one. */
  waitForProblem(text: string | RegExp): Promise<panels.Problem> {
    return eventually(`a problem "${String(text)}"`, async () =>
      (await this.problems()).find((row) => matches(row.message, text)),
    );
  }

  /** Changes user settings, as a person who edits the file; undefined removes one. */
  async changeSettings(changes: Settings): Promise<void> {
    await editors.editSettings(this.page, await changedSettings(this.dataDir, changes));
  }

  /** Switches the colour theme and resolves when it is drawn. */
  async setTheme(name: string): Promise<void> {
    await this.changeSettings({ "workbench.colorTheme": name });
    await this.page.locator(`.monaco-workbench.${themeKind(name)}`).waitFor();
  }

  /** A picture of the window, or of a part of it, as `out/screenshots/NAME.png`; its path. */
  async screenshot(name: string, clip?: Box): Promise<string> {
    const folder = join(repositoryRoot(), "out/screenshots");
    await mkdir(folder, { recursive: true });
    await this.page.evaluate("document.fonts.ready.then(() => undefined)");
    const path = join(folder, `${name}.png`);
    await this.page.screenshot({ path, animations: "disabled", caret: "hide", ...(clip && { clip }) });
    return path;
  }

  /** Ends the page, the browser and the server; with `keepData` another workbench can go on from `dataDir`. */
  async close({ keepData = false }: { readonly keepData?: boolean } = {}): Promise<void> {
    if (keepData) await saveBrowser(this.page, this.dataDir);
    await this.browser.close();
    await this.server.close();
    if (!keepData) await rm(this.dataDir, { recursive: true, force: true, maxRetries: 5 });
  }
}

function themeKind(name: string): "hc-light" | "hc-black" | "vs" | "vs-dark" {
  if (/high contrast/i.test(name)) return /light/i.test(name) ? "hc-light" : "hc-black";
  return /light/i.test(name) ? "vs" : "vs-dark";
}

/** The extension's services as a test needs them: every one real, but for the questions, the toasts and the places of storage. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import * as vscode from "vscode";
import { run } from "../../src/commands/index";
import type { Services } from "../../src/commands/services";
import type { CommandName } from "../../src/contributions";
import type { Choice, Dialogs } from "../../src/dialogs";
import type { Disposable } from "../../src/dispose";
import type { Action, Notifications } from "../../src/notify";
import { createServices } from "../../src/wiring";
import type { Outside } from "../../src/wiring";
import { PlayedBrowser, PlayedMicrosoft } from "./signInBrowser";

/** A question as it was asked. */
export interface Asked {
  readonly message: string;
  readonly detail: string;
  readonly buttons: readonly string[];
}

/** A toast as it was shown. */
export interface Toast {
  readonly kind: "info" | "warn" | "error";
  readonly message: string;
  readonly actions: readonly Action[];
}

/** Answers questions with what was put down before, in order; a question that nobody foresaw fails the test. */
export class ScriptedDialogs implements Dialogs {
  readonly asked: Asked[] = [];
  /** The lines of every list that several could be chosen from. */
  readonly shown: Choice[] = [];
  private readonly answers: (string | undefined)[] = [];

  /** The next answers: a button, an item's label, a text, or undefined to turn away. */
  answer(...answers: readonly (string | undefined)[]): void {
    this.answers.push(...answers);
  }

  confirm = async (message: string, detail: string, button: string): Promise<boolean> =>
    (await this.choose(message, detail, [button])) === button;

  choose = (message: string, detail: string, buttons: readonly string[]): Promise<string | undefined> => {
    this.asked.push({ message, detail, buttons });
    return Promise.resolve(this.next(message, buttons));
  };

  pick = <T extends Choice>(title: string, placeholder: string, items: readonly T[]): Promise<T | undefined> => {
    const labels = items.map(({ label }) => label);
    this.asked.push({ message: title, detail: placeholder, buttons: labels });
    const answer = this.next(title, labels);
    return Promise.resolve(items.find(({ label }) => label === answer));
  };

  /** The answer is the labels, one a line. */
  pickMany = <T extends Choice>(title: string, placeholder: string, items: readonly T[]): Promise<readonly T[]> => {
    this.asked.push({ message: title, detail: placeholder, buttons: items.map(({ label }) => label) });
    this.shown.push(...items);
    const answer = this.next(title, undefined);
    const labels = answer?.split("\n");
    const chosen = labels === undefined ? undefined : items.filter(({ label }) => labels.includes(label));
    if (chosen?.length !== labels?.length) throw new Error(`“${title}” has no such items: ${answer ?? ""}`);
    return Promise.resolve(chosen as readonly T[]);
  };

  saveFile: Dialogs["saveFile"] = (title, proposal) => {
    this.asked.push({ message: title, detail: proposal.fsPath, buttons: [] });
    return Promise.resolve(this.next(title, undefined));
  };

  openFile: Dialogs["openFile"] = (title) => {
    this.asked.push({ message: title, detail: "", buttons: [] });
    return Promise.resolve(this.next(title, undefined));
  };

  askText: Dialogs["askText"] = ({ title, prompt, validate }) => {
    this.asked.push({ message: title, detail: prompt, buttons: [] });
    const answer = this.next(title, undefined);
    const wrong = answer === undefined ? undefined : validate?.(answer);
    if (wrong !== undefined) throw new Error(`The answer to “${title}” is refused: ${wrong}`);
    return Promise.resolve(answer);
  };

  askSecret: Dialogs["askSecret"] = (title, prompt) => {
    this.asked.push({ message: title, detail: prompt, buttons: [] });
    const secret = this.next(title, undefined);
    return Promise.resolve(secret === undefined ? undefined : { secret, store: true });
  };

  private next(message: string, allowed: readonly string[] | undefined): string | undefined {
    if (this.answers.length === 0) throw new Error(`Nobody foresaw the question “${message}”.`);
    const answer = this.answers.shift();
    if (answer !== undefined && allowed !== undefined && !allowed.includes(answer)) {
      throw new Error(`“${message}” cannot be answered with “${answer}”, only with ${allowed.join(", ")}.`);
    }
    return answer;
  }
}

/** Services in a folder of their own inside the workspace. */
export class Editor {
  private constructor(
    readonly services: Services & Disposable,
    readonly dialogs: ScriptedDialogs,
    readonly toasts: readonly Toast[],
    /** Every line of the log. */
    readonly log: readonly string[],
    /** Absolute path of this test's folder. */
    readonly folder: string,
    readonly stateDirectory: string,
    /** Where the person signs in. */
    readonly browser: PlayedBrowser,
    readonly microsoft: PlayedMicrosoft,
    /** What Secret Storage holds. */
    readonly secrets: ReadonlyMap<string, string>,
    /** What VS Code keeps of the extension beside that. */
    readonly memory: vscode.Memento,
  ) {}

  /** Builds the services. `files` are written below the test's folder first. */
  static async open(files: Readonly<Record<string, string | Buffer>> = {}): Promise<Editor> {
    const folder = await makeFolder(files);
    const stateDirectory = await mkdtemp(path.join(tmpdir(), "bulk-mail-state-"));
    const toasts: Toast[] = [];
    const log: string[] = [];
    const dialogs = new ScriptedDialogs();
    const browser = new PlayedBrowser();
    const microsoft = new PlayedMicrosoft();
    const secrets = new Map<string, string>();
    const memory = memoryMemento();
    const services = createServices({
      extensionUri: vscode.Uri.file(extensionRoot()),
      secrets: memorySecrets(secrets),
      memory,
      channel: recordingChannel(log),
      dialogs,
      speak: recordingToasts(toasts),
      stateDirectory,
      browser,
      microsoft,
      openAccounts: () => undefined,
    });
    return new Editor(services, dialogs, toasts, log, folder, stateDirectory, browser, microsoft, secrets, memory);
  }

  /** A file of this test. */
  uri(name: string): vscode.Uri {
    return vscode.Uri.file(path.join(this.folder, name));
  }

  /** Runs a command as the palette does. */
  async run(name: CommandName, uri?: vscode.Uri, row?: number): Promise<void> {
    await run(this.services, name, uri, row);
  }

  /** Closes every editor, ends the services and removes what they left. */
  async close(): Promise<void> {
    await closeEditors();
    await this.services.task.close();
    this.services.dispose();
    await rm(this.folder, { recursive: true, force: true });
    await rm(this.stateDirectory, { recursive: true, force: true });
  }
}

/** A new folder in the workspace with these files. */
export async function makeFolder(files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const folder = await mkdtemp(path.join(vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? "", "test-"));
  await writeFiles(folder, files);
  return folder;
}

/** Closes every editor and forgets what was not saved. */
export async function closeEditors(): Promise<void> {
  // A file with changes would make VS Code ask before it closes it, which it may not under test.
  for (const document of vscode.workspace.textDocuments.filter(({ isDirty }) => isDirty)) {
    await vscode.window.showTextDocument(document);
    await vscode.commands.executeCommand("workbench.action.files.revert");
  }
  await vscode.commands.executeCommand("workbench.action.closeAllEditors");
}

/** Writes files below `folder`. */
export async function writeFiles(folder: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
}

/** The folder of the extension under test. */
export function extensionRoot(): string {
  return vscode.extensions.getExtension("bulk-mail.bulk-mail")?.extensionUri.fsPath ?? "";
}

/** Resolves as soon as `read` gives something, looking again at every `event`; rejects after 20 s with what it looked for. */
export async function until<T, E>(what: string, event: vscode.Event<E>, read: () => T | undefined | false): Promise<T> {
  const now = read();
  if (now !== undefined && now !== false) return now;
  return await new Promise<T>((resolve, reject) => {
    const done = (): void => {
      clearTimeout(timer);
      listener.dispose();
    };
    const timer = setTimeout(() => {
      done();
      reject(new Error(`Waited in vain for ${what}.`));
    }, 20_000);
    const listener = event(() => {
      const value = read();
      if (value === undefined || value === false) return;
      done();
      resolve(value);
    });
  });
}

function memorySecrets(kept: Map<string, string>): vscode.SecretStorage {
  return {
    get: (key) => Promise.resolve(kept.get(key)),
    store: (key, value) => Promise.resolve(void kept.set(key, value)),
    delete: (key) => Promise.resolve(void kept.delete(key)),
    keys: () => Promise.resolve([...kept.keys()]),
    onDidChange: () => new vscode.Disposable(() => undefined),
  };
}

function memoryMemento(): vscode.Memento {
  const kept = new Map<string, unknown>();
  return {
    keys: () => [...kept.keys()],
    get: <T>(key: string, fallback?: T) => (kept.has(key) ? kept.get(key) : fallback) as T,
    update: (key, value) => Promise.resolve(void kept.set(key, value)),
  };
}

function recordingToasts(toasts: Toast[]): Notifications {
  const show =
    (kind: Toast["kind"]) =>
    (message: string, ...actions: readonly Action[]): void =>
      void toasts.push({ kind, message, actions });
  return { info: show("info"), warn: show("warn"), error: show("error") };
}

function recordingChannel(lines: string[]): Outside["channel"] {
  const write = (text: string | Error): void => void lines.push(String(text));
  return { debug: write, info: write, warn: write, error: write, show: () => undefined };
}

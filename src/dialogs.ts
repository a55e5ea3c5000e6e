/** Questions to the person: a port, because VS Code's test mode refuses every modal, and the real implementation. */
import * as vscode from "vscode";
import { HumanError } from "./notify";

/** One line of a list to choose from. */
export interface Choice {
  readonly label: string;
  readonly description?: string;
  readonly detail?: string;
}

/** Extensions without their dot, by what they are called. */
export type FileTypes = Readonly<Record<string, readonly string[]>>;

/** How the extension asks. Every answer is undefined or false when the person turned away. Texts are shown as plain text. */
export interface Dialogs {
  /** A modal question with one way forward; true when it was taken. */
  confirm(message: string, detail: string, button: string): Promise<boolean>;
  /** A modal question with several ways forward; the button that was taken. */
  choose(message: string, detail: string, buttons: readonly string[]): Promise<string | undefined>;
  /** A list to choose one from. */
  pick<T extends Choice>(title: string, placeholder: string, items: readonly T[]): Promise<T | undefined>;
  /** A list to choose any number from; undefined when the person turned away. */
  pickMany<T extends Choice>(
    title: string,
    placeholder: string,
    items: readonly T[],
  ): Promise<readonly T[] | undefined>;
  /** A place to write a file to, asked about when something is there; its absolute path. `types` are extensions by their name. */
  saveFile(title: string, proposal: vscode.Uri, types: FileTypes): Promise<string | undefined>;
  /** A file to read; its absolute path. */
  openFile(title: string, types: FileTypes): Promise<string | undefined>;
  /** One line of text. `validate` says what is wrong, or undefined. */
  askText(request: {
    readonly title: string;
    readonly prompt: string;
    readonly value?: string;
    readonly placeholder?: string;
    readonly validate?: (text: string) => string | undefined;
  }): Promise<string | undefined>;
  /** A secret, shown as dots, and whether it may be stored for the next time. */
  askSecret(title: string, prompt: string): Promise<{ readonly secret: string; readonly store: boolean } | undefined>;
}

/** The questions of VS Code itself. */
export const dialogs: Dialogs = {
  confirm: async (message, detail, button) =>
    (await vscode.window.showWarningMessage(plain(message), { modal: true, detail: plain(detail) }, button)) === button,
  choose: async (message, detail, buttons) =>
    vscode.window.showWarningMessage(plain(message), { modal: true, detail: plain(detail) }, ...buttons),
  pick: async (title, placeholder, items) =>
    vscode.window.showQuickPick(items, { title: plain(title), placeHolder: plain(placeholder), ignoreFocusOut: true }),
  pickMany: async (title, placeholder, items) =>
    vscode.window.showQuickPick(items, {
      title: plain(title),
      placeHolder: plain(placeholder),
      ignoreFocusOut: true,
      canPickMany: true,
      matchOnDetail: true,
    }),
  saveFile: async (title, proposal, types) =>
    pathOf(await vscode.window.showSaveDialog({ title, defaultUri: proposal, filters: filtersOf(types) })),
  openFile: async (title, types) =>
    pathOf((await vscode.window.showOpenDialog({ title, filters: filtersOf(types) }))?.[0]),
  askText: async ({ title, prompt, value, placeholder, validate }) =>
    vscode.window.showInputBox({
      title: plain(title),
      prompt: plain(prompt),
      ignoreFocusOut: true,
      ...(value === undefined ? {} : { value }),
      ...(placeholder === undefined ? {} : { placeHolder: placeholder }),
      ...(validate === undefined ? {} : { validateInput: validate }),
    }),
  askSecret: async (title, prompt) => {
    const secret = await vscode.window.showInputBox({
      title: plain(title),
      prompt: plain(prompt),
      password: true,
      ignoreFocusOut: true,
    });
    if (secret === undefined || secret === "") return undefined;
    const store = { label: "Store it", description: "in the Secret Storage of VS Code, never in a file" };
    const once = { label: "Use it once", description: "it is asked for again next time" };
    const choice = await vscode.window.showQuickPick([store, once], {
      title: plain(title),
      placeHolder: "Keep this password for next time?",
      ignoreFocusOut: true,
    });
    return choice === undefined ? undefined : { secret, store: choice === store };
  },
};

/** The worker reads and writes on the disk of the machine that sends. */
function pathOf(uri: vscode.Uri | undefined): string | undefined {
  if (uri !== undefined && uri.scheme !== "file")
    throw new HumanError("That place is not on a disk of the machine that sends. Choose a folder there.");
  return uri?.fsPath;
}

function filtersOf(types: FileTypes): Record<string, string[]> {
  return Object.fromEntries(Object.entries(types).map(([name, extensions]) => [name, [...extensions]]));
}

/** VS Code turns `[text](command:…)` into a link in most of these places: a space between the two keeps it text. */
function plain(text: string): string {
  return text.replaceAll("](", "] (");
}

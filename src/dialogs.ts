/** Questions to the person: a port, because VS Code's test mode refuses every modal, and the real implementation. */
import * as vscode from "vscode";

/** One line of a list to choose from. */
export interface Choice {
  readonly label: string;
  readonly description?: string;
  readonly detail?: string;
}

/** How the extension asks. Every answer is undefined or false when the person turned away. Texts are shown as plain text. */
export interface Dialogs {
  /** A modal question with one way forward; true when it was taken. */
  confirm(message: string, detail: string, button: string): Promise<boolean>;
  /** A modal question with several ways forward; the button that was taken. */
  choose(message: string, detail: string, buttons: readonly string[]): Promise<string | undefined>;
  /** A list to choose one from. */
  pick<T extends Choice>(title: string, placeholder: string, items: readonly T[]): Promise<T | undefined>;
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

/** VS Code turns `[text](command:…)` into a link in most of these places: a space between the two keeps it text. */
function plain(text: string): string {
  return text.replaceAll("](", "] (");
}

/** The browser, the box and the notification of a sign-in, as VS Code has them. */
import * as vscode from "vscode";
import type { AddressQuestion, BrowserPorts } from "./browserSignIn";

/** How long a person may take in the browser, milliseconds. */
const timeoutMs = 5 * 60_000;

/** Those of this VS Code. */
export const browserPorts: BrowserPorts = {
  // As text: VS Code would write a Uri's query anew, and what the provider compares to the letter would be another.
  openExternal: (url) => vscode.env.openExternal(url as unknown as vscode.Uri),
  openAddressBox,
  waiting: async (title, work) =>
    await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title, cancellable: true },
      async (_progress, token) => {
        const cancelled = new AbortController();
        token.onCancellationRequested(() => cancelled.abort());
        return await work(cancelled.signal);
      },
    ),
  timeoutMs,
};

/** Escape takes the box away and nothing else: the notification beside it cancels. */
function openAddressBox({ title, prompt, placeholder, url, ...question }: AddressQuestion): { dispose(): void } {
  const copy: vscode.QuickInputButton = {
    iconPath: new vscode.ThemeIcon("copy"),
    tooltip: "Copy the address of the page to sign in on",
  };
  const otherClient: vscode.QuickInputButton = {
    iconPath: new vscode.ThemeIcon("key"),
    tooltip: "Use another OAuth client",
  };
  const box = vscode.window.createInputBox();
  box.title = title;
  box.prompt = prompt;
  box.placeholder = placeholder;
  box.ignoreFocusOut = true;
  box.buttons = [copy, otherClient];
  const problemOf = (text: string): string | undefined => (text === "" ? undefined : question.validate(text));
  box.onDidChangeValue((text) => (box.validationMessage = problemOf(text)));
  box.onDidAccept(() => {
    if (box.value !== "" && problemOf(box.value) === undefined) question.accept(box.value);
  });
  box.onDidTriggerButton((button) => {
    if (button === copy) void vscode.env.clipboard.writeText(url);
    else question.otherClient();
  });
  box.show();
  return box;
}

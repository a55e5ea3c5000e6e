/** Entry point of the extension: a table of contents. */
import * as vscode from "vscode";
import { registerAuthentication } from "./authenticationProvider";
import { browserPorts } from "./browserPorts";
import { registerCommands } from "./commands/index";
import { accountSettings, onDidChangeSettings } from "./config";
import { dialogs } from "./dialogs";
import { microsoftSignIn } from "./microsoftSignIn";
import { notifications } from "./notify";
import { settingsPanel } from "./webview/settingsPanel";
import { createServices } from "./wiring";

/** Awaits the replies of what is in flight; VS Code gives it few seconds. */
let end: (() => Promise<void>) | undefined;

/** Called by VS Code when the workspace holds a campaign, a command is used or a panel is restored. */
export function activate(context: vscode.ExtensionContext): void {
  const { extensionUri, secrets, globalState: memory, subscriptions } = context;
  const channel = vscode.window.createOutputChannel("Bulk Mail", { log: true });
  const openAccounts = (accountId?: string): void => panel.open(accountId);
  const services = createServices({
    extensionUri,
    secrets,
    memory,
    channel,
    dialogs,
    speak: notifications,
    browser: browserPorts,
    microsoft: microsoftSignIn,
    openAccounts,
  });
  const { accounts, signIns, log: logger, task, previews } = services;
  const panel = settingsPanel({
    extensionUri,
    accounts,
    settings: accountSettings,
    dialogs,
    doctor: task,
    signIns,
    speak: notifications,
    logger,
  });
  const isTrusted = (): boolean => vscode.workspace.isTrusted;
  subscriptions.push(registerAuthentication({ accounts, signIns, dialogs, onDidChangeSettings, isTrusted }));
  // Commands come last, so that they are the first to go.
  subscriptions.push(channel, services, panel, previews.restoreAfterReload(), registerCommands(services));
  end = () => services.task.close();
}

/** Closes the gate: nothing new is sent, and replies are awaited for four seconds. */
export async function deactivate(): Promise<void> {
  await end?.();
}

/** What reaches a person outside a dialog: one sentence, and the button that leads on. */
import * as vscode from "vscode";
import { plainText } from "./mail/index";
import type { Logger } from "./mail/index";

/** A button of a toast. */
export interface Action {
  readonly title: string;
  run(): unknown;
}

/** How the extension speaks up unasked: a port, so that tests can listen. Returns at once; nobody waits for a toast. */
export interface Notifications {
  info(message: string, ...actions: readonly Action[]): void;
  warn(message: string, ...actions: readonly Action[]): void;
  error(message: string, ...actions: readonly Action[]): void;
}

/** An error whose message is fit to show: a cause and a next step, in our words. */
export class HumanError extends Error {
  readonly actions: readonly Action[];

  constructor(message: string, ...actions: readonly Action[]) {
    super(message);
    this.name = "HumanError";
    this.actions = actions;
  }
}

/**
 * `text` where VS Code looks for links (toasts, progress) or icons (status bar): on one line, with no link and no icon, so
 * that a file's name cannot become a button.
 */
export function unlinked(text: string, limit = 200): string {
  return plainText(text, limit).replaceAll("](", "] (").replaceAll("$(", "$ (");
}

/** How VS Code shows a toast: resolves to the button that was chosen. */
type Toast = (message: string, ...items: string[]) => Thenable<string | undefined>;

/** The toasts of a window, whose buttons tell of their own failures in another one. */
export function toastsOf(window: {
  readonly showInformationMessage: Toast;
  readonly showWarningMessage: Toast;
  readonly showErrorMessage: Toast;
}): Notifications {
  const show = (toast: Toast, message: string, actions: readonly Action[]): void => {
    void toast(unlinked(message, 400), ...actions.map(({ title }) => title))
      .then(async (title) => await actions.find((action) => action.title === title)?.run())
      .then(undefined, (error: unknown) => {
        // What a button starts tells of its own failures; this one has nobody else who would.
        if (error instanceof HumanError) show(window.showErrorMessage, error.message, error.actions);
        else show(window.showErrorMessage, "Something in Bulk Mail went wrong. Try the command itself.", []);
      });
  };
  return {
    info: (message, ...actions) => show(window.showInformationMessage, message, actions),
    warn: (message, ...actions) => show(window.showWarningMessage, message, actions),
    error: (message, ...actions) => show(window.showErrorMessage, message, actions),
  };
}

/** The toasts of VS Code itself. */
export const notifications: Notifications = toastsOf(vscode.window);

/** Tells of `error`: a human one in its own words, any other as "went wrong" with the log one click away. */
export function reportError(error: unknown, speak: Notifications, logger: Logger, showLog: () => void): void {
  if (error instanceof HumanError) {
    speak.error(error.message, ...error.actions);
    return;
  }
  // The core's own sentences lose their class on the way out of the worker, not their name.
  if (error instanceof Error && ["JournalError", "PlanError"].includes(error.name)) {
    speak.error(error.message, { title: "Show Log", run: showLog });
    logger.error(error.message);
    return;
  }
  logger.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  speak.error("Something in Bulk Mail went wrong. The log says what.", { title: "Show Log", run: showLog });
}

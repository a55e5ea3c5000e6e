/** Test Connection and Forget All Secrets: accounts without the panel. */
import * as vscode from "vscode";
import { plainText } from "../mail/index";
import { HumanError } from "../notify";
import { accountChoice, cancellable, refusal, requireTrust, secretOf } from "./services";
import type { Services } from "./services";

/** Connects and signs in with an account, the very way that sending does. */
export async function testConnection(services: Services): Promise<void> {
  requireTrust();
  const scope = vscode.window.activeTextEditor?.document.uri;
  const accounts = await services.accounts.list(scope);
  if (accounts.length === 0) {
    throw new HumanError("There is no account yet. Add one, then test it.", {
      title: "Accounts",
      run: () => services.openAccounts(),
    });
  }
  const choices = accounts.map(accountChoice);
  const choice =
    choices.length === 1 ? choices[0] : await services.dialogs.pick("Test Connection", "Which account?", choices);
  if (choice === undefined) return;
  const resolution = await services.accounts.resolve(scope, choice.id);
  if (resolution.kind === "refused") throw refusal(services, resolution);
  if (resolution.kind !== "account") return;
  const credentials = await secretOf(services, scope, resolution)();
  const tried = await cancellable("Connecting", (signal) => services.task.verify(resolution, credentials, signal));
  if (tried === undefined) return;
  if (tried.ok) {
    services.speak.info("The connection works: the server let us in. Nothing was sent.");
    return;
  }
  const { text, reply } = tried.failure;
  services.log.error(
    `connection of ${plainText(choice.id, 60)} failed: ${text}${reply === undefined ? "" : ` Server: ${reply}`}`,
  );
  throw new HumanError(
    text,
    { title: "Show Log", run: () => services.log.show() },
    { title: "Accounts", run: () => services.openAccounts() },
  );
}

/** Forgets every password, after asking. */
export async function forgetSecrets(services: Services): Promise<void> {
  const sure = await services.dialogs.confirm(
    "Forget all passwords of Bulk Mail?",
    "They are asked for again when they are needed. Accounts and campaigns stay as they are.",
    "Forget",
  );
  if (!sure) return;
  const count = await services.accounts.forgetAll();
  services.speak.info(`${String(count)} ${count === 1 ? "password was" : "passwords were"} forgotten.`);
}

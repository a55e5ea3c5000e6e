/** Test Connection and Forget All Secrets: accounts without the panel. */
import * as vscode from "vscode";
import { HumanError } from "../notify";
import { signInAgain } from "./signIn";
import { accountChoice, cancellable, refusal, requireTrust, secretsOf } from "./services";
import type { Services } from "./services";

/** Walks the way to an account's server, on the very path that sends; every step goes to the log. */
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
  if (choice !== undefined) await testAccount(services, scope, choice.id);
}

/** The same for one account, for which nobody is asked which. Only our own code names one: a command takes no account. */
export async function testAccount(services: Services, scope: vscode.Uri | undefined, accountId: string): Promise<void> {
  requireTrust();
  const resolution = await services.accounts.resolve(scope, accountId);
  if (resolution.kind === "refused") throw refusal(services, resolution);
  if (resolution.kind !== "account") return;
  const secrets = secretsOf(services, scope, resolution);
  const diagnosis = await cancellable("Testing the connection", (signal) =>
    services.task.diagnose(resolution, secrets, { signal }),
  );
  if (diagnosis === undefined) return;
  const showLog = { title: "Show Log", run: () => services.log.show() };
  // What the server said stands in the log: a toast holds our own sentences only.
  const failed = diagnosis.steps.find(({ state }) => state === "failed");
  if (failed !== undefined)
    throw new HumanError(
      failed.text,
      ...(diagnosis.failure?.signIn === true ? [signInAgain(services, scope, accountId)] : []),
      { title: "Open Accounts", run: () => services.openAccounts(resolution.account.id) },
      showLog,
    );
  const warned = diagnosis.steps.filter(({ state }) => state === "warning").length;
  if (warned === 0) services.speak.info("The connection works: the server let us in. Nothing was sent.");
  else services.speak.info("The connection works, with something to look at. Nothing was sent.", showLog);
}

/** Forgets every password, sign-in and OAuth client, after asking. */
export async function forgetSecrets(services: Services): Promise<void> {
  const sure = await services.dialogs.confirm(
    "Forget all passwords and sign-ins of Bulk Mail?",
    "They are asked for again when they are needed. Accounts and campaigns stay as they are. Google is not told: sign out first where it should be.",
    "Forget",
  );
  if (!sure) return;
  const count = await services.accounts.forgetAll();
  services.speak.info(`${String(count)} ${count === 1 ? "secret was" : "secrets were"} forgotten.`);
}

/** Sign In and Sign Out: accounts that let people in by the browser. */
import * as vscode from "vscode";
import type { AccountEntry } from "../accounts";
import { oauthProviderOf, plainText } from "../mail/index";
import { HumanError } from "../notify";
import type { Action } from "../notify";
import { requireTrust } from "./services";
import type { Services } from "./services";

/** What signing in to an account takes. */
type SignInServices = Pick<Services, "signIns" | "speak">;

/** Signs in to an account, whoever is signed in. Only our own code names one: a command takes no account. */
export async function signIn(services: Services): Promise<void> {
  requireTrust();
  const { scope, entries } = await signInAccounts(services);
  const id = await pickOne(services, "Sign In", entries);
  if (id === undefined) return;
  await signInTo(services, scope, id);
}

/** The button behind whatever came to nothing for want of a sign-in. */
export function signInAgain(services: SignInServices, scope: vscode.Uri | undefined, id: string): Action {
  return { title: "Sign In Again", run: () => signInTo(services, scope, id) };
}

/** Signs in to this account, then does what was meant, `next`, or tells of it. What fails offers to try again, for the same end. */
export async function signInTo(
  services: SignInServices,
  scope: vscode.Uri | undefined,
  id: string,
  { askClient = false, next }: { readonly askClient?: boolean; readonly next?: () => unknown } = {},
): Promise<void> {
  const told = (): void => services.speak.info("You are signed in: campaigns can be sent through this account.");
  const goOn: () => unknown = next ?? told;
  const end = await services.signIns.signIn(scope, id, { askClient });
  if (end.kind === "failed") {
    throw new HumanError(
      end.text,
      { title: "Sign In Again", run: () => signInTo(services, scope, id, { next: goOn }) },
      {
        title: "Use Another Client…",
        run: () => signInTo(services, scope, id, { askClient: true, next: goOn }),
      },
    );
  }
  if (end.kind === "signedIn") await goOn();
}

/** Signs out of an account that somebody is signed in to. */
export async function signOut(services: Services): Promise<void> {
  requireTrust();
  const { scope, entries } = await signInAccounts(services);
  const signedIn = entries.filter((entry) => entry.signIn?.kind !== "signedOut");
  if (signedIn.length === 0) throw new HumanError("Nobody is signed in to an account.");
  const id = await pickOne(services, "Sign Out", signedIn);
  if (id !== undefined) await services.signIns.signOut(scope, id);
}

async function signInAccounts(
  services: Services,
): Promise<{ readonly scope: vscode.Uri | undefined; readonly entries: readonly AccountEntry[] }> {
  const scope = vscode.window.activeTextEditor?.document.uri;
  const entries = (await services.accounts.list(scope)).filter(({ signIn }) => signIn !== undefined);
  if (entries.length > 0) return { scope, entries };
  throw new HumanError(
    "No account signs in in the browser yet. Add one for Gmail, Outlook.com or Microsoft 365, and choose to sign in with Google or Microsoft.",
    { title: "Add Account…", run: () => vscode.commands.executeCommand("bulkMail.addAccount") },
    { title: "Accounts", run: () => services.openAccounts() },
  );
}

async function pickOne(
  services: Services,
  title: string,
  entries: readonly AccountEntry[],
): Promise<string | undefined> {
  const choices = entries.map(choiceOf);
  const choice = choices.length === 1 ? choices[0] : await services.dialogs.pick(title, "Which account?", choices);
  return choice?.id;
}

function choiceOf({ id, account, signIn }: AccountEntry): { label: string; description: string; id: string } {
  const provider = account === undefined ? undefined : oauthProviderOf(account);
  const state = { signedIn: "signed in", signedOut: "not signed in", elsewhere: "signed in for another setup" }[
    signIn?.kind ?? "signedOut"
  ];
  const user = plainText(account?.user ?? "", 100);
  return { label: id, description: `${provider?.label ?? ""}, ${user}: ${state}`, id };
}

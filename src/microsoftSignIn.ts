/** VS Code's own sign-in with Microsoft, with the person's own application: VS Code keeps and renews the tokens. */
import * as vscode from "vscode";
import type { MicrosoftAccount, MicrosoftToken, SignInTokens } from "./heldSignIns";
import { isSameMailbox } from "./mail/index";
import type { MicrosoftAnswer, MicrosoftSignIn } from "./signIn";

const providerId = "microsoft";

/**
 * VS Code knows a session by its scopes: these are the same every time. Those in capitals are VS Code's own, and go to nobody: which
 * application asks, and that personal accounts may sign in as well as those of a company.
 */
function scopesOf(clientId: string): readonly string[] {
  return [
    `VSCODE_CLIENT_ID:${clientId}`,
    "VSCODE_TENANT:common",
    "https://outlook.office.com/SMTP.Send",
    "offline_access",
  ];
}

/** Asks the person; whoever is signed in already as `user` is asked as that one. */
async function signIn(clientId: string, user: string): Promise<MicrosoftAnswer> {
  try {
    const known = await vscode.authentication.getAccounts(providerId);
    const account = known.find(({ label }) => isSameMailbox(label, user));
    const session = await vscode.authentication.getSession(providerId, scopesOf(clientId), {
      forceNewSession: { detail: "Campaigns are then sent from your mailbox." },
      ...(account === undefined ? {} : { account }),
    });
    const { id, label } = session.account;
    return { kind: "signedIn", account: { id, label } };
  } catch (error) {
    return answerTo(error);
  }
}

/**
 * Why there is no session. A person who turns away is told apart by words: VS Code's own question, its provider and Microsoft's
 * library each say it in another way, and errors lose their class on the way here.
 */
export function answerTo(error: unknown): Exclude<MicrosoftAnswer, { kind: "signedIn" }> {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (name === "Canceled" || /\bcancel|did not consent/i.test(message)) return { kind: "cancelled" };
  return { kind: "unavailable", detail: `${name}: ${message}` };
}

async function token(clientId: string, account: MicrosoftAccount): Promise<MicrosoftToken> {
  return await tokenOf(vscode.authentication, clientId, account);
}

/** An access token, or what the silence means: a session that cannot be renewed now is not told from one that is over. */
export async function tokenOf(
  { getSession, getAccounts }: Pick<typeof vscode.authentication, "getSession" | "getAccounts">,
  clientId: string,
  account: MicrosoftAccount,
): Promise<MicrosoftToken> {
  const session = await getSession(providerId, scopesOf(clientId), { silent: true, account });
  if (session?.account.id === account.id) return { kind: "token", token: session.accessToken };
  const isKnown = (await getAccounts(providerId)).some(({ id }) => id === account.id);
  return { kind: isKnown ? "unreachable" : "signedOut" };
}

/** The sign-in of this VS Code. */
export const microsoftSignIn: MicrosoftSignIn & { readonly token: SignInTokens["microsoftToken"] } = { signIn, token };

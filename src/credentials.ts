/** The secrets of an account that is about to connect: typed just now, stored for its endpoint, or asked for; and the question to sign in. */
import type { Dialogs } from "./dialogs";
import type { SignInState } from "./heldSignIns";
import type { Account, Credentials, Endpoint } from "./mail/index";
import { oauthProviderOf, plainText } from "./mail/index";
import type { Secrets, SecretKind } from "./secrets";

/** What is typed in: a grant is got in the browser. */
type TypedKind = Exclude<SecretKind, "grant">;

/** Whose secrets are wanted. */
export interface Wanted {
  /** The id under which they are stored. */
  readonly id: string;
  readonly account: Account;
  readonly endpoint: Endpoint;
  /** What the person has just typed, or their own settings hold: used as it is, and not stored. */
  readonly given: Credentials;
}

/**
 * Everything that the account needs, each asked for at most once; undefined when the person turned away. `onStored` hears of
 * every secret that was stored.
 */
export async function credentialsFor(
  secrets: Secrets,
  dialogs: Pick<Dialogs, "askSecret">,
  wanted: Wanted,
  onStored: () => void,
): Promise<Credentials | undefined> {
  let credentials: Credentials = {};
  for (const kind of neededBy(wanted.account)) {
    const { [kind]: given = "" } = wanted.given;
    const secret = given === "" ? await storedOrAsked(secrets, dialogs, kind, wanted, onStored) : given;
    if (secret === undefined) return undefined;
    credentials = { ...credentials, [kind]: secret };
  }
  return credentials;
}

/** The question that stands for a password where an account signs in in the browser. */
export function signInQuestion(
  account: Account,
  { kind, changes, user }: SignInState,
): { readonly message: string; readonly detail: string } {
  const provider = oauthProviderOf(account)?.label ?? "";
  const before =
    kind === "elsewhere"
      ? `The sign-in that is stored was for another account (${changes.join("; ")}).`
      : user === ""
        ? "Nobody is signed in yet."
        : `${provider} wants a new sign-in.`;
  return {
    message: `Sign in with ${provider} to send through ${plainText(account.user, 100)}?`,
    detail: `${before} The page of ${provider} opens in your browser.`,
  };
}

/** The kinds of secrets that the way to this account takes, in the order of use. */
function neededBy({ auth, proxy, proxyUser }: Account): readonly TypedKind[] {
  return [
    ...(proxy !== "" && proxyUser !== "" ? (["proxyPassword"] as const) : []),
    ...(auth === "password" ? (["password"] as const) : []),
  ];
}

async function storedOrAsked(
  secrets: Secrets,
  dialogs: Pick<Dialogs, "askSecret">,
  kind: TypedKind,
  { id, account, endpoint }: Wanted,
  onStored: () => void,
): Promise<string | undefined> {
  const stored = await secrets.get(kind, id, endpoint);
  if (stored !== undefined) return stored;
  const { title, purpose } = question(kind, account);
  const answer = await dialogs.askSecret(title, `${purpose}${await reason(secrets, kind, id, endpoint)}`);
  if (answer?.store === true) {
    // What cannot be stored is used all the same: the next question says that VS Code could not keep it.
    await secrets.store(kind, id, endpoint, answer.secret).then(onStored, () => {});
  }
  return answer?.secret;
}

function question(kind: TypedKind, account: Account): { readonly title: string; readonly purpose: string } {
  const id = plainText(account.id, 64);
  switch (kind) {
    case "password":
      return {
        title: `Password for ${id}`,
        purpose: `For ${plainText(account.user, 100)} at ${account.host}, port ${String(account.port)}.`,
      };
    case "proxyPassword":
      return {
        title: `Password for the proxy of ${id}`,
        purpose: `For ${plainText(account.proxyUser, 100)} at the proxy ${plainText(account.proxy, 100)}, not at the mail server.`,
      };
  }
}

/** Why it is asked for although one was entered before. */
async function reason(secrets: Secrets, kind: TypedKind, id: string, endpoint: Endpoint): Promise<string> {
  const state = await secrets.state(kind, id, endpoint);
  switch (state.kind) {
    case "elsewhere":
      return ` The stored password was entered for another one (${state.changes.join("; ")}).`;
    case "lost":
      return " The one that you stored is gone: VS Code could not keep it, most likely because it found no keyring on this system. Then it is asked for after every start.";
    case "none":
    case "stored":
      return "";
  }
}

/** Signing in to accounts with the browser, and out again. */
import type { Accounts, SignInEnd } from "./accounts";
import { signInByBrowser } from "./browserSignIn";
import type { BrowserPorts } from "./browserSignIn";
import type { SettingsScope } from "./config";
import type { Disposable } from "./dispose";
import { oauthWay } from "./heldSignIns";
import type { MicrosoftAccount, SignedIn, SignInWay } from "./heldSignIns";
import { isSameMailbox, oauthProviderOf, quote } from "./mail/index";
import type { AuthorizationRequest, Grant, Granted, OAuthClient, OAuthProvider, OAuthProviderId } from "./mail/index";
import type { Notifications } from "./notify";
import { OAuthClients } from "./oauthClients";
import type { OAuthClientPorts } from "./oauthClients";
import { takeBack } from "./signOut";
import type { SignOutWay } from "./signOut";
import type { OAuthWay } from "./workerProtocol";

/** Talks to the providers, in the thread that sends. */
export interface OAuthWork {
  redeem(
    way: OAuthWay,
    client: OAuthClient,
    request: AuthorizationRequest,
    code: string,
    signal: AbortSignal,
  ): Promise<Granted>;
  /** False when the provider could not be told. */
  revoke(way: OAuthWay, grant: Grant, signal: AbortSignal): Promise<boolean>;
}

/** VS Code's own sign-in with Microsoft. */
export interface MicrosoftSignIn {
  /** Asks the person to sign in as `user`, anew where somebody is signed in already. */
  signIn(clientId: string, user: string): Promise<MicrosoftAnswer>;
}

/** What VS Code's own sign-in came to. */
export type MicrosoftAnswer =
  | { readonly kind: "signedIn"; readonly account: MicrosoftAccount }
  | { readonly kind: "cancelled" }
  /** It is not to be had here; `detail` is for the log. */
  | { readonly kind: "unavailable"; readonly detail: string };

/** What sign-ins ask of the outside. */
export interface SignInPorts extends OAuthClientPorts {
  readonly accounts: Accounts;
  readonly speak: Notifications;
  readonly browser: BrowserPorts;
  readonly microsoft: MicrosoftSignIn;
  readonly oauth: OAuthWork;
}

/** Signs people in and out; one sign-in at a time, and the newest counts. */
export class SignIns implements Disposable {
  private current = new AbortController();
  private readonly clients: OAuthClients;

  constructor(private readonly ports: SignInPorts) {
    this.clients = new OAuthClients(ports);
  }

  /** Calls `listener` after somebody signed in or out. */
  onDidChange(listener: () => void): Disposable {
    return this.ports.accounts.onDidChangeSecrets(listener);
  }

  /** Ends the sign-in that is under way. */
  cancel(): void {
    this.current.abort();
  }

  dispose(): void {
    this.cancel();
  }

  /** Whether the person has given an OAuth client for a provider. */
  async hasClient(provider: OAuthProviderId): Promise<boolean> {
    return (await this.clients.stored(provider)) !== undefined;
  }

  /** Stores an OAuth client that was pasted or dropped, in place of the one before. */
  async takeClient(
    provider: OAuthProviderId,
    text: string,
  ): Promise<{ readonly kind: "stored" } | { readonly kind: "failed"; readonly text: string }> {
    const taken = await this.clients.take(provider, text);
    return taken.kind === "client" ? { kind: "stored" } : taken;
  }

  /**
   * Signs in to a saved account, whoever is signed in. Approvals are asked for as for sending; with `askClient` the OAuth client
   * too, whether or not one is stored.
   */
  async signIn(scope: SettingsScope, id: string, { askClient = false } = {}): Promise<SignInEnd> {
    const signal = this.begin();
    const resolved = await unlessEnded(signal, () => this.ports.accounts.resolveSignIn(scope, id));
    switch (resolved.kind) {
      case "way":
        return await this.run(scope, resolved.way, askClient, signal);
      case "cancelled":
        return { kind: "cancelled" };
      case "refused":
        if (resolved.detail !== "") this.ports.logger.warn(`${resolved.text} ${resolved.detail}`);
        return { kind: "failed", text: resolved.text };
    }
  }

  /** Signs in to an account that is resolved. */
  async signInTo(scope: SettingsScope, way: SignInWay): Promise<SignInEnd> {
    return await this.run(scope, way, false, this.begin());
  }

  /** Ends the sign-in before; the signal aborts when this one is ended. */
  private begin(): AbortSignal {
    this.current.abort();
    this.current = new AbortController();
    return this.current.signal;
  }

  private async run(scope: SettingsScope, way: SignInWay, askClient: boolean, signal: AbortSignal): Promise<SignInEnd> {
    const provider = oauthProviderOf(way.account);
    if (provider === undefined) return { kind: "failed", text: noProvider };
    let stored = askClient ? undefined : await this.clients.stored(provider.id);
    for (;;) {
      const client = stored;
      const taken = await unlessEnded(signal, async () =>
        client === undefined ? await this.clients.ask(provider) : { kind: "client" as const, client },
      );
      if (taken.kind === "cancelled") return { kind: "cancelled" };
      if (taken.kind === "failed") return taken;
      const end = await this.withClient(scope, { way, client: taken.client, provider }, signal);
      if (end.kind !== "otherClient") return end;
      stored = undefined;
    }
  }

  /** Forgets every sign-in of an account, for whatever setup it was, and tells Google as far as it can be reached. Says what came of it. */
  async signOut(scope: SettingsScope, id: string): Promise<void> {
    const { accounts, speak } = this.ports;
    const found = await accounts.signInWay(scope, id);
    // First here: whatever the network does, nothing is sent any more.
    const forgotten = await accounts.signIns.forget(id, "grant");
    if (forgotten.length === 0) speak.info("Nobody is signed in to this account.");
    else await this.takeBack(found, forgotten);
  }

  /** Tells the providers of sign-ins that were forgotten. */
  async takeBack(found: SignOutWay | undefined, forgotten: readonly SignedIn[]): Promise<void> {
    const { accounts, oauth, speak, logger } = this.ports;
    await takeBack(
      {
        signIns: accounts.signIns,
        revoke: (way, grant, signal) => oauth.revoke(way, grant, signal),
        speak,
        logger,
      },
      found,
      forgotten,
    );
  }

  private async withClient(
    scope: SettingsScope,
    { way, client, provider }: { way: SignInWay; client: OAuthClient; provider: OAuthProvider },
    signal: AbortSignal,
  ): Promise<SignInEnd | { readonly kind: "otherClient" }> {
    if (provider.id === "microsoft") {
      const end = await this.byVsCode(scope, way, client, signal);
      if (end.kind !== "browser") return end;
    }
    const landed = await signInByBrowser(
      { account: way.account, client, provider },
      this.ports.browser,
      signal,
      async (request, code, over) => {
        const result = await this.redeem(scope, way, client, request, code, over);
        return { result, isSignedIn: result.kind === "signedIn" };
      },
    );
    switch (landed.kind) {
      case "redeemed":
        return landed.result;
      case "refused":
        return { kind: "failed", text: landed.text };
      case "timeOut":
        return { kind: "failed", text: timeOut };
      case "cancelled":
      case "otherClient":
        return { kind: landed.kind };
    }
  }

  /** VS Code's own sign-in; `browser`: in the browser instead. */
  private async byVsCode(
    scope: SettingsScope,
    way: SignInWay,
    { clientId }: OAuthClient,
    signal: AbortSignal,
  ): Promise<SignInEnd | { readonly kind: "otherClient" } | { readonly kind: "browser" }> {
    const { microsoft, dialogs, logger } = this.ports;
    const { user } = way.account;
    const answer = await unlessEnded(signal, () => microsoft.signIn(clientId, user));
    if (signal.aborted) return { kind: "cancelled" };
    switch (answer.kind) {
      case "unavailable":
        logger.info(`VS Code's own sign-in with Microsoft is not to be had: ${answer.detail}`);
        return { kind: "browser" };
      case "signedIn": {
        const { account } = answer;
        if (isSameMailbox(account.label, user)) {
          const since = new Date().toISOString();
          return await this.keep(scope, way, { kind: "vscode", clientId, account, since });
        }
        logger.warn(`VS Code's own sign-in with Microsoft was not kept: ${namesOf(account.label, user)}.`);
        break;
      }
      // The person, or a page of Microsoft that VS Code's way leads to and that does not know the application.
      case "cancelled":
    }
    const isOther = answer.kind === "signedIn";
    const other = await unlessEnded(signal, async () => ({
      kind: "picked" as const,
      way: await dialogs.pick(
        "Sign in with Microsoft",
        isOther
          ? "VS Code names another user than the account. If that is you all the same, is there another way?"
          : "You did not sign in by way of VS Code. Is there another way?",
        [inBrowser, otherApplication],
      ),
    }));
    if (other.kind === "cancelled") return other;
    if (other.way === undefined)
      return isOther
        ? { kind: "failed", text: somebodyElse, detail: namesOf(answer.account.label, user) }
        : { kind: "cancelled" };
    return other.way === inBrowser ? { kind: "browser" } : { kind: "otherClient" };
  }

  private async redeem(
    scope: SettingsScope,
    way: SignInWay,
    client: OAuthClient,
    request: AuthorizationRequest,
    code: string,
    signal: AbortSignal,
  ): Promise<SignInEnd> {
    const { accounts, oauth } = this.ports;
    // The browser takes its time, in which a pull may have changed the settings: the code goes only where it was asked for.
    if (!(await accounts.signInHolds(scope, way))) return { kind: "failed", text: changed };
    const granted = await oauth.redeem(oauthWay(way), client, request, code, signal);
    if (!granted.ok) {
      const { text, reply: detail } = granted.failure;
      if (detail === undefined) return { kind: "failed", text };
      this.ports.logger.warn(`${text} The provider said: ${detail}`);
      return { kind: "failed", text, detail };
    }
    // Whoever cancelled meanwhile wants no sign-in. It is not taken back at the provider, where that would end others of the same person.
    if (signal.aborted) return { kind: "cancelled" };
    return await this.keep(scope, way, { kind: "grant", grant: granted.grant }, granted);
  }

  private async keep(
    scope: SettingsScope,
    way: SignInWay,
    signedIn: SignedIn,
    first?: Extract<Granted, { ok: true }>,
  ): Promise<SignInEnd> {
    const { accounts } = this.ports;
    if (!(await accounts.signInHolds(scope, way))) return { kind: "failed", text: changed };
    try {
      await accounts.signIns.store(way, signedIn, first);
    } catch {
      return { kind: "failed", text: notStored };
    }
    return { kind: "signedIn", user: way.account.user };
  }
}

const inBrowser = {
  label: "Sign in in the browser",
  detail: "http://localhost must be among the application's addresses for mobile and desktop applications",
};
const otherApplication = { label: "Use another application…", detail: "with another application (client) ID" };

const noProvider = "This account's provider has no sign-in in the browser. Choose another sign-in in Accounts.";
const somebodyElse =
  "Somebody else signed in than this account is for, so that sign-in was not kept. Sign in as the account's user, or change its user in Accounts.";
const timeOut =
  "Nobody came back from the browser in time. Sign in again; if the browser shows a page that cannot be reached, paste its address.";
const changed =
  "The account was changed in the meantime, so nobody was signed in. Look at it in Accounts, then sign in.";
const notStored =
  "VS Code could not store the sign-in, most likely because it found no keyring on this system. Set one up, then sign in again.";

function namesOf(signedIn: string, user: string): string {
  return `signed in as ${quote(signedIn)}, the account is for ${quote(user)}`;
}

/** What comes of a question, or that the sign-in was ended meanwhile: VS Code leaves the question open, and its answer counts no more. */
async function unlessEnded<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T | { readonly kind: "cancelled" }> {
  if (signal.aborted) return { kind: "cancelled" };
  let end = (): void => undefined;
  const ended = new Promise<{ readonly kind: "cancelled" }>((resolve) => {
    end = () => resolve({ kind: "cancelled" });
    signal.addEventListener("abort", end, { once: true });
  });
  try {
    const asked = ask();
    return await Promise.race([ended, asked]);
  } finally {
    signal.removeEventListener("abort", end);
  }
}

/** Signing in to accounts with the browser, and out again. */
import { readFile, stat } from "node:fs/promises";
import type { Accounts, SignInEnd } from "./accounts";
import { signInByBrowser } from "./browserSignIn";
import type { BrowserPorts } from "./browserSignIn";
import type { SettingsScope } from "./config";
import type { Dialogs } from "./dialogs";
import type { Disposable } from "./dispose";
import { oauthWay } from "./heldSignIns";
import type { MicrosoftAccount, SignInWay } from "./heldSignIns";
import { oauthProviderOf, parseOAuthClient } from "./mail/index";
import type { AuthorizationRequest, Grant, Granted, Logger, OAuthClient, OAuthProvider } from "./mail/index";
import type { OAuthProviderId } from "./mail/index";
import type { Notifications } from "./notify";
import type { Secrets } from "./secrets";
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
export interface SignInPorts {
  readonly accounts: Accounts;
  readonly secrets: Pick<Secrets, "client" | "storeClient">;
  readonly dialogs: Pick<Dialogs, "pick" | "openFile" | "askText">;
  readonly speak: Notifications;
  readonly logger: Logger;
  readonly browser: BrowserPorts;
  readonly microsoft: MicrosoftSignIn;
  readonly oauth: OAuthWork;
}

/** What came of giving an OAuth client. */
export type ClientEnd = { readonly kind: "stored" } | { readonly kind: "failed"; readonly text: string };

/** How long a provider may take to hear of a sign-out, milliseconds. */
const revokeMs = 10_000;
/** No provider's file of a client is larger; bytes. */
const mostClientBytes = 64 * 1024;

/** Signs people in and out; one sign-in at a time, and the newest counts. */
export class SignIns implements Disposable {
  private current = new AbortController();

  constructor(private readonly ports: SignInPorts) {}

  /** Calls `listener` after somebody signed in or out. */
  onDidChange(listener: () => void): Disposable {
    return this.ports.accounts.onDidChangeSecrets(listener);
  }

  /** Ends the sign-in that is under way. */
  dispose(): void {
    this.current.abort();
  }

  /** Signs in to a saved account, whoever is signed in. Approvals are asked for as for sending. */
  async signIn(scope: SettingsScope, id: string): Promise<SignInEnd> {
    const resolved = await this.ports.accounts.resolveSignIn(scope, id);
    switch (resolved.kind) {
      case "way":
        return await this.signInTo(scope, resolved.way);
      case "cancelled":
        return resolved;
      case "refused":
        if (resolved.detail !== "") this.ports.logger.warn(`${resolved.text} ${resolved.detail}`);
        return { kind: "failed", text: resolved.text };
    }
  }

  /** Signs in to an account that is resolved. */
  async signInTo(scope: SettingsScope, way: SignInWay): Promise<SignInEnd> {
    this.current.abort();
    const { signal } = (this.current = new AbortController());
    const provider = oauthProviderOf(way.account);
    if (provider === undefined) return { kind: "failed", text: noProvider };
    let client = await this.storedClient(provider.id);
    for (;;) {
      client ??= await this.askClient(provider);
      if (client === undefined || signal.aborted) return { kind: "cancelled" };
      if ("text" in client) return { kind: "failed", text: client.text };
      const end = await this.withClient(scope, { way, client, provider }, signal);
      if (end.kind !== "otherClient") return end;
      client = undefined;
    }
  }

  /** Tells Google, as far as it can be reached, and forgets grant and access token. Says what came of it. */
  async signOut(scope: SettingsScope, id: string): Promise<void> {
    const { accounts, oauth, speak, logger } = this.ports;
    const found = await accounts.signInWay(scope, id);
    const signedIn = found && (await accounts.signIns.get(id, found.way.endpoint));
    if (found === undefined || signedIn === undefined) {
      speak.info("Nobody is signed in to this account.");
      return;
    }
    // First here: whatever the network does, nothing is sent any more.
    await accounts.signIns.forget(id, found.way.endpoint);
    const provider = oauthProviderOf(found.way.account);
    if (signedIn.kind === "vscode") {
      speak.info("Signed out. VS Code itself stays signed in with Microsoft: its Accounts menu ends that too.");
      return;
    }
    const told =
      provider?.revokeUrl !== undefined &&
      found.mayConnect &&
      (await oauth
        .revoke(oauthWay(found.way), signedIn.grant, AbortSignal.timeout(revokeMs))
        .catch((error: unknown) => {
          logger.warn(`The sign-out could not be told: ${error instanceof Error ? error.message : String(error)}`);
          return false;
        }));
    const label = provider?.label ?? "";
    if (told) speak.info(`Signed out, and ${label} was told.`);
    else if (provider?.revokeUrl === undefined)
      speak.info(`Signed out here. What you allowed stays listed at ${label}: ${provider?.permissionsUrl ?? ""}`);
    else
      speak.warn(
        `Signed out here, but ${label} could not be told. Take Bulk Mail's access away at ${provider.permissionsUrl}`,
      );
  }

  /** Whether the person has given an OAuth client for a provider. */
  async hasClient(provider: OAuthProviderId): Promise<boolean> {
    return (await this.storedClient(provider)) !== undefined;
  }

  /** Stores an OAuth client that was picked, pasted or dropped, in place of the one before. */
  async takeClient(provider: OAuthProviderId, text: string): Promise<ClientEnd> {
    const taken = await this.keepClient(provider, text);
    return "text" in taken ? { kind: "failed", text: taken.text } : { kind: "stored" };
  }

  /** Asks for an OAuth client by file or paste, and stores it. Undefined when the person turned away. */
  async askForClient(provider: OAuthProvider): Promise<ClientEnd | undefined> {
    const asked = await this.askClient(provider);
    if (asked === undefined) return undefined;
    return "text" in asked ? { kind: "failed", text: asked.text } : { kind: "stored" };
  }

  private async withClient(
    scope: SettingsScope,
    { way, client, provider }: { way: SignInWay; client: OAuthClient; provider: OAuthProvider },
    signal: AbortSignal,
  ): Promise<SignInEnd | { readonly kind: "otherClient" }> {
    if (provider.id === "microsoft") {
      const answer = await this.ports.microsoft.signIn(client.clientId, way.account.user);
      if (answer.kind === "cancelled" || signal.aborted) return { kind: "cancelled" };
      if (answer.kind === "signedIn") {
        const { clientId } = client;
        const since = new Date().toISOString();
        if (!isUser(way, answer.account.label)) return { kind: "failed", text: somebodyElse };
        return await this.keep(scope, way, { kind: "vscode", clientId, account: answer.account, since });
      }
      this.ports.logger.info(`VS Code's own sign-in with Microsoft is not to be had: ${answer.detail}`);
    }
    const landed = await signInByBrowser({ account: way.account, client, provider }, this.ports.browser, signal, async (
      request,
      code,
      over,
    ) => {
      const result = await this.redeem(scope, way, client, request, code, over);
      return { result, isSignedIn: result.kind === "signedIn" };
    });
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
    if (!granted.ok) return { kind: "failed", text: granted.failure.text };
    const { grant } = granted;
    const isWanted = grant.user === "" ? way.account.transport === "smtp" : isUser(way, grant.user);
    if (isWanted && !signal.aborted) return await this.keep(scope, way, { kind: "grant", grant });
    // Nobody asked for this grant: it is given back.
    void oauth.revoke(oauthWay(way), grant, AbortSignal.timeout(revokeMs)).catch(() => false);
    return signal.aborted ? { kind: "cancelled" } : { kind: "failed", text: somebodyElse };
  }

  private async keep(
    scope: SettingsScope,
    way: SignInWay,
    signedIn: Parameters<Accounts["signIns"]["store"]>[2],
  ): Promise<SignInEnd> {
    const { accounts } = this.ports;
    if (!(await accounts.signInHolds(scope, way))) return { kind: "failed", text: changed };
    try {
      await accounts.signIns.store(way.id, way.endpoint, signedIn);
    } catch {
      return { kind: "failed", text: notStored };
    }
    return { kind: "signedIn", user: way.account.user };
  }

  private async storedClient(provider: OAuthProviderId): Promise<OAuthClient | undefined> {
    const stored = await this.ports.secrets.client(provider);
    try {
      return stored === undefined ? undefined : (JSON.parse(stored) as OAuthClient);
    } catch {
      return undefined;
    }
  }

  private async keepClient(
    provider: OAuthProviderId,
    text: string,
  ): Promise<OAuthClient | { readonly text: string }> {
    const parsed = parseOAuthClient(provider, text);
    if (!parsed.ok) return { text: parsed.text };
    try {
      await this.ports.secrets.storeClient(provider, JSON.stringify(parsed.client));
    } catch {
      // It is used all the same; the next sign-in asks for it again.
      this.ports.logger.warn("VS Code could not store the OAuth client.");
    }
    return parsed.client;
  }

  private async askClient(provider: OAuthProvider): Promise<OAuthClient | { readonly text: string } | undefined> {
    const { dialogs } = this.ports;
    const title = `Sign in with ${provider.label}`;
    if (provider.id === "google") {
      const picked = await dialogs.pick(title, "The OAuth client that you made with Google: its JSON file", [
        chooseFile,
        pasteJson,
      ]);
      if (picked === undefined) return undefined;
      if (picked === chooseFile) {
        const file = await dialogs.openFile("OAuth Client of Google", { JSON: ["json"] });
        return file === undefined ? undefined : await this.readClient(provider.id, file);
      }
    }
    const text = await dialogs.askText({
      title,
      prompt:
        provider.id === "google"
          ? "Paste the whole JSON of the OAuth client that you made with Google."
          : "The application (client) ID that you registered with Microsoft.",
      validate: (typed) => {
        const parsed = parseOAuthClient(provider.id, typed);
        return parsed.ok ? undefined : parsed.text;
      },
    });
    return text === undefined ? undefined : await this.keepClient(provider.id, text);
  }

  private async readClient(
    provider: OAuthProviderId,
    file: string,
  ): Promise<OAuthClient | { readonly text: string }> {
    try {
      if ((await stat(file)).size > mostClientBytes) return { text: tooLarge };
      return await this.keepClient(provider, await readFile(file, "utf8"));
    } catch (error) {
      this.ports.logger.warn(`The file of the OAuth client: ${error instanceof Error ? error.message : String(error)}`);
      return { text: unreadable };
    }
  }
}

const chooseFile = { label: "Choose the JSON file…", detail: "client_secret_….json, as Google let you download it" };
const pasteJson = { label: "Paste its content…", detail: "the same JSON as text" };

const noProvider = "This account's provider has no sign-in in the browser. Choose another sign-in in Accounts.";
const somebodyElse =
  "Somebody else signed in than this account is for, so that sign-in was not kept. Sign in as the account's user, or change its user in Accounts.";
const timeOut =
  "Nobody came back from the browser in time. Sign in again; if the browser shows a page that cannot be reached, paste its address.";
const changed = "The account was changed in the meantime, so nobody was signed in. Look at it in Accounts, then sign in.";
const notStored =
  "VS Code could not store the sign-in, most likely because it found no keyring on this system. Set one up, then sign in again.";
const tooLarge = "This file is too large for an OAuth client. Choose the JSON file that Google let you download.";
const unreadable = "This file cannot be read. Choose the JSON file that Google let you download.";

function isUser({ account }: SignInWay, user: string): boolean {
  return account.user.trim().toLowerCase() === user.trim().toLowerCase();
}

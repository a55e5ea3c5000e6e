/** Who is signed in, in VS Code's Accounts menu. Other extensions see a name and a handle there, never a token. */
import { createHash } from "node:crypto";
import * as vscode from "vscode";
import type { AccountEntry, Accounts } from "./accounts";
import { authentication } from "./contributions";
import type { Dialogs } from "./dialogs";
import { DisposableStore } from "./dispose";
import type { Disposable } from "./dispose";
import { endpointHash, endpointOf, oauthProviderOf, plainText } from "./mail/index";
import type { OAuthProviderId } from "./mail/index";
import { HumanError } from "./notify";
import type { SignIns } from "./signIn";

/** What the providers need. */
export interface AuthenticationPorts {
  readonly accounts: Pick<Accounts, "list" | "onDidChangeSecrets">;
  readonly signIns: Pick<SignIns, "signIn" | "signOut">;
  readonly dialogs: Pick<Dialogs, "pick">;
  /** Accounts come and go with the settings. */
  onDidChangeSettings(listener: () => void): Disposable;
  isTrusted(): boolean;
}

/** Registers one provider for each of ours. Nothing is read before VS Code asks. */
export function registerAuthentication(ports: AuthenticationPorts): Disposable {
  const owned = new DisposableStore();
  for (const [provider, { id, label }] of Object.entries(authentication)) {
    const sessions = owned.add(new SignInSessions(provider as OAuthProviderId, ports));
    owned.add(
      vscode.authentication.registerAuthenticationProvider(id, label, sessions, { supportsMultipleAccounts: true }),
    );
  }
  return owned;
}

/** A session is an account of the settings that somebody is signed in to. */
export class SignInSessions implements vscode.AuthenticationProvider, Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.add(
    new vscode.EventEmitter<vscode.AuthenticationProviderAuthenticationSessionsChangeEvent>(),
  );
  /** As VS Code was told them last; undefined before it asked. */
  private known: readonly vscode.AuthenticationSession[] | undefined;
  /** One look after the other, so that every change is told once. */
  private looking: Promise<unknown> = Promise.resolve();

  readonly onDidChangeSessions = this.changed.event;

  constructor(
    private readonly provider: OAuthProviderId,
    private readonly ports: AuthenticationPorts,
  ) {
    const lookAgain = (): void => {
      if (this.known !== undefined) void this.look().catch(() => undefined);
    };
    this.owned.add(ports.accounts.onDidChangeSecrets(lookAgain));
    this.owned.add(ports.onDidChangeSettings(lookAgain));
  }

  /** Sessions of ours have no scopes: who wants some gets none. */
  async getSessions(scopes: readonly string[] | undefined): Promise<vscode.AuthenticationSession[]> {
    return (scopes ?? []).length > 0 ? [] : [...(await this.look())];
  }

  /** Asks which account, and lets the person sign in to it. */
  async createSession(): Promise<vscode.AuthenticationSession> {
    if (!this.ports.isTrusted()) throw new HumanError("Trust this workspace first: its files say what is sent.");
    const entries = (await this.ports.accounts.list(undefined)).filter((entry) => this.isOurs(entry));
    if (entries.length === 0)
      throw new HumanError("No account signs in here yet. Add one with Bulk Mail: Add Account…, then sign in.");
    const choices = entries.map((entry) => ({
      label: entry.id,
      description: plainText(entry.account?.user ?? "", 100),
    }));
    const choice =
      choices.length === 1 ? choices[0] : await this.ports.dialogs.pick("Sign In", "Which account?", choices);
    if (choice === undefined) throw new vscode.CancellationError();
    const end = await this.ports.signIns.signIn(undefined, choice.label);
    if (end.kind === "failed") throw new HumanError(end.text);
    if (end.kind === "cancelled") throw new vscode.CancellationError();
    const entry = entries.find(({ id }) => id === choice.label);
    const id = entry === undefined ? undefined : handleOf(entry);
    const session = (await this.look()).find((one) => one.id === id);
    // VS Code's own sign-in with Microsoft stands in the menu already, under its own name.
    if (session === undefined) throw new HumanError("You are signed in, by VS Code's own sign-in with Microsoft.");
    return session;
  }

  async removeSession(sessionId: string): Promise<void> {
    const entries = await this.ports.accounts.list(undefined);
    const entry = entries.find((one) => this.isOurs(one) && handleOf(one) === sessionId);
    if (entry !== undefined) await this.ports.signIns.signOut(undefined, entry.id);
  }

  dispose(): void {
    this.owned.dispose();
  }

  /** Who is signed in now; VS Code is told what is new. */
  private async look(): Promise<readonly vscode.AuthenticationSession[]> {
    const look = this.looking.then(async () => {
      const before = this.known;
      const sessions = await this.sessions();
      this.known = sessions;
      if (before === undefined) return sessions;
      const added = sessions.filter(({ id }) => !before.some((one) => one.id === id));
      const removed = before.filter(({ id }) => !sessions.some((one) => one.id === id));
      if (added.length + removed.length > 0) this.changed.fire({ added, removed, changed: [] });
      return sessions;
    });
    this.looking = look.catch(() => undefined);
    return await look;
  }

  private async sessions(): Promise<readonly vscode.AuthenticationSession[]> {
    const entries = await this.ports.accounts.list(undefined);
    return entries
      .filter((entry) => this.isOurs(entry) && entry.signIn?.kind === "signedIn" && entry.signIn.by !== "vscode")
      .map((entry) => {
        const id = handleOf(entry);
        return { id, accessToken: id, account: { id, label: labelOf(entry) }, scopes: [] };
      });
  }

  private isOurs({ account, signIn }: AccountEntry): boolean {
    return account !== undefined && signIn !== undefined && oauthProviderOf(account)?.id === this.provider;
  }
}

/** Two accounts of the settings may be one mailbox: the menu names both. */
function labelOf({ id, account, signIn }: AccountEntry): string {
  const user = signIn?.user === undefined || signIn.user === "" ? (account?.user ?? "") : signIn.user;
  return `${plainText(user, 100)} (${plainText(id, 64)})`;
}

/** Names a session, opens nothing. */
function handleOf({ id, account }: AccountEntry): string {
  const endpoint = account === undefined ? "" : endpointHash(endpointOf(account, undefined));
  return createHash("sha256")
    .update(JSON.stringify([id, endpoint]))
    .digest("hex");
}

/** Accounts and their secrets: list, save, remove, and `resolve`, the one line that a secret crosses. */
import { AccountLevels } from "./accountLevels";
import { readAccount } from "./accountReading";
import type { ReadAccount } from "./accountReading";
import type { Candidate } from "./approvals";
import { Approvals } from "./approvals";
import type { AccountSettings, Level, SettingsScope } from "./config";
import { credentialsFor, signInQuestion } from "./credentials";
import type { Dialogs } from "./dialogs";
import { HeldSignIns } from "./heldSignIns";
import type { SignedIn, SignInState, SignInTokens, SignInWay } from "./heldSignIns";
import type { AccessTokens, Account, AccountProblem, Credentials, Endpoint } from "./mail/index";
import { accountHash, endpointHash, endpointOf, plainText, sandboxId, sentence, signedOut } from "./mail/index";
import type { SecretState, SecretStore } from "./secrets";
import { Secrets } from "./secrets";
import type { SignOutWay } from "./signOut";

/** An account as it stands in the settings. */
export interface AccountEntry {
  readonly id: string;
  /** The nearest level that defines it; only that one counts. */
  readonly level: Level;
  /** What stands there, unchecked. */
  readonly settings: unknown;
  /** Its proxy resolved; undefined when an error is among the problems. */
  readonly account: Account | undefined;
  readonly problems: readonly AccountProblem[];
  readonly secret: SecretState;
  /** Who is signed in, where the account signs in in the browser. */
  readonly signIn?: SignInState;
  /** Farther levels that define the same id, without effect. */
  readonly overrides: readonly Level[];
}

/** What `resolve` came to. */
export type Resolution =
  | { readonly kind: "sandbox" }
  | ResolvedAccount
  /** It cannot be used. `text` is ours and safe anywhere; `detail` may hold words from settings, as plain text. */
  | { readonly kind: "refused"; readonly text: string; readonly detail: string }
  /** The person turned away from a question. */
  | { readonly kind: "cancelled" };

/** An account ready to connect, approved, with its secret. Keep it no longer than the run. */
export interface ResolvedAccount {
  readonly kind: "account";
  /** With an address for a proxy, or none: VS Code's own stands in it resolved. */
  readonly account: Account;
  readonly credentials: Credentials;
  /** Access tokens, where the account signs in with OAuth. */
  readonly accessToken: AccessTokens;
  readonly level: Level;
  /** The folder below which the account's CA file lies. */
  readonly root: string | undefined;
  /** Of the CA file that was approved, hex; undefined without one. */
  readonly caSha256: string | undefined;
}

/** What came of signing in. */
export type SignInEnd =
  | { readonly kind: "signedIn"; readonly user: string }
  | { readonly kind: "cancelled" }
  /** The text is ours, with the next step; `detail` may hold words of the provider, for the log and the panel. */
  | { readonly kind: "failed"; readonly text: string; readonly detail?: string };

/** An account that somebody may sign in to. */
export interface ResolvedSignIn {
  readonly kind: "way";
  readonly way: SignInWay;
}

/** An account that is being edited. */
export interface Draft {
  readonly id: string;
  readonly level: Level;
  /** The object for the settings. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** A password just typed. */
  readonly password?: string;
  /** A password for the proxy, just typed. */
  readonly proxyPassword?: string;
  /** The entry that is edited; undefined for a new account. */
  readonly previous?: { readonly id: string; readonly level: Level };
}

/** What came of saving. */
export type Saved =
  | { readonly kind: "saved" }
  | { readonly kind: "problems"; readonly problems: readonly AccountProblem[] }
  | { readonly kind: "cancelled" }
  /** The settings could not be written; `text` is the reason as plain text. */
  | { readonly kind: "failed"; readonly text: string };

/** What accounts ask of the outside. */
export interface AccountsPorts {
  readonly settings: AccountSettings<SettingsScope>;
  readonly secrets: SecretStore;
  readonly memento: ConstructorParameters<typeof Approvals>[0];
  readonly dialogs: Pick<Dialogs, "confirm" | "askSecret">;
  readonly tokens: SignInTokens;
  /** Signs somebody in who has agreed to it, and stores that. */
  signIn(scope: SettingsScope, way: SignInWay): Promise<SignInEnd>;
  /** Tells the providers of sign-ins that were forgotten, over the way that was the account's. */
  takeBack(found: SignOutWay | undefined, forgotten: readonly SignedIn[]): Promise<void>;
  /** Whether the workspace is trusted; without trust nothing is resolved. */
  isTrusted(): boolean;
}

/** Everything about accounts. Every method takes the scope whose folder's settings count; undefined is the first folder. */
export class Accounts {
  private readonly secrets: Secrets;
  private readonly approvals: Approvals;
  private readonly levels: AccountLevels;
  private readonly listeners = new Set<() => void>();
  /** Who is signed in. */
  readonly signIns: HeldSignIns;

  constructor(private readonly ports: AccountsPorts) {
    this.levels = new AccountLevels(ports.settings);
    this.secrets = new Secrets(ports.secrets, ports.memento);
    this.signIns = new HeldSignIns(this.secrets, ports.tokens, () => this.changed());
    this.approvals = new Approvals(ports.memento, ports.dialogs);
  }

  /** Calls `listener` after a secret was stored or forgotten; settings have their own event. */
  onDidChangeSecrets(listener: () => void): { dispose(): void } {
    this.listeners.add(listener);
    return { dispose: () => this.listeners.delete(listener) };
  }

  /** Tells whoever listens: Secret Storage was changed, perhaps by another window. */
  secretsChanged(): void {
    this.changed();
  }

  /** Every account of the settings, without the sandbox: the user's first, in the order of the files. */
  async list(scope: SettingsScope): Promise<readonly AccountEntry[]> {
    const entries: AccountEntry[] = [];
    for (const found of this.levels.nearest(scope)) {
      const { account, problems, endpoint } = await this.read(scope, found.level, found.id, found.settings);
      const secret: SecretState =
        endpoint === undefined ? { kind: "none" } : await this.secrets.state("password", found.id, endpoint);
      const signIn =
        endpoint !== undefined && account?.auth === "oauth2"
          ? { signIn: await this.signIns.state(found.id, endpoint) }
          : {};
      entries.push({ ...found, account, problems, secret, ...signIn });
    }
    return entries;
  }

  /** The account of a campaign that names none: the setting, else the first real account, else the sandbox. */
  defaultId(scope: SettingsScope): string {
    const named = this.ports.settings.defaultAccount(scope);
    return named === "" ? (this.levels.nearest(scope)[0]?.id ?? sandboxId) : named;
  }

  /** Makes an account the default, at the level that defines it or nearer where another default stands in the way. */
  async setDefault(scope: SettingsScope, id: string): Promise<void> {
    const level = this.levels.nearest(scope).find((entry) => entry.id === id)?.level ?? "user";
    await this.ports.settings.writeDefaultAccount(scope, level, id);
  }

  /** Everything that is wrong with a draft, the CA file included. */
  async check(scope: SettingsScope, draft: Draft): Promise<readonly AccountProblem[]> {
    return (await this.examine(scope, draft)).problems;
  }

  /**
   * Writes a draft into the settings of its level, and its password into Secret Storage. A password that was stored for an
   * endpoint that this replaces is forgotten. An account moved to a farther level leaves the nearer one, which would hide it.
   */
  async save(scope: SettingsScope, draft: Draft): Promise<Saved> {
    if (!this.ports.settings.levels(scope).includes(draft.level))
      return { kind: "failed", text: "These settings cannot be written here: trust the workspace first." };
    const { account, problems, caSha256, endpoint } = await this.examine(scope, draft);
    if (account === undefined || endpoint === undefined) return { kind: "problems", problems };
    const candidate = this.candidate(scope, draft.level, account, caSha256);
    if (!(await this.approvals.askUnsafe(candidate))) return { kind: "cancelled" };

    const before = await this.previous(scope, draft);
    // Saving what one has typed is an approval; saving on top of what a workspace brought along is not.
    const typed = before === undefined || before.approved;
    const usual = this.defaultId(scope);
    try {
      await this.levels.write(scope, draft);
      // One more account does not change through which one campaigns are sent that name none.
      if (usual !== this.defaultId(scope) && this.levels.nearest(scope).some(({ id }) => id === usual))
        await this.setDefault(scope, usual);
    } catch (error) {
      return { kind: "failed", text: plainText(messageOf(error)) };
    }
    if (typed && candidate.owner !== "") await this.approvals.grant("workspace", candidate);
    try {
      await this.moveSecrets(draft, endpoint, before?.endpoint);
    } catch (error) {
      const text = `The account is saved, but VS Code could not store its password, which is asked for when it is needed: ${messageOf(error)}`;
      return { kind: "failed", text: plainText(text) };
    } finally {
      this.changed();
    }
    return { kind: "saved" };
  }

  /** Takes an account out of one level. Its passwords go too, unless another level still defines the id. */
  async remove(scope: SettingsScope, id: string, level: Level): Promise<void> {
    const found = await this.signInWay(scope, id);
    await this.levels.remove(scope, level, id);
    if (!this.levels.nearest(scope).some((entry) => entry.id === id)) {
      if (this.ports.settings.defaultAccount(scope) === id)
        await this.ports.settings.writeDefaultAccount(scope, level, "");
      await this.ports.takeBack(found, await this.signIns.forget(id));
    }
    this.changed();
  }

  /**
   * Makes an account ready to connect: nearest level only, checked, approved, its secret fetched or asked for. Whoever
   * connects uses exactly the `account` in the answer, and calls `stillHolds` right before handing over the secret.
   */
  async resolve(scope: SettingsScope, id: string): Promise<Resolution> {
    if (!this.ports.isTrusted()) return refusedUntrusted;
    if (id === sandboxId) return { kind: "sandbox" };
    const draft = this.savedDraft(scope, id);
    if (draft === undefined) return refusedMissing(id);
    const answer = await this.prepare(scope, draft);
    // Questions take time, in which a pull may have changed the settings under them.
    if (answer.kind === "account" && !(await this.stillHolds(scope, answer))) return refusedChanged;
    return answer;
  }

  /** Makes a saved account ready to sign in to, as `resolve` does for sending, whoever is signed in. */
  async resolveSignIn(
    scope: SettingsScope,
    id: string,
  ): Promise<ResolvedSignIn | Extract<Resolution, { kind: "refused" | "cancelled" }>> {
    if (!this.ports.isTrusted()) return refusedUntrusted;
    const draft = this.savedDraft(scope, id);
    if (draft === undefined) return refusedMissing(id);
    const approved = await this.approve(scope, draft);
    if (approved.kind !== "way") return approved;
    if (approved.way.account.auth !== "oauth2") return refusedPassword;
    return (await this.signInHolds(scope, approved.way)) ? approved : refusedChanged;
  }

  /** What is signed in to a saved account, without a question: to sign out. Undefined where its settings cannot be used. */
  async signInWay(scope: SettingsScope, id: string): Promise<SignOutWay | undefined> {
    const draft = this.savedDraft(scope, id);
    if (draft === undefined) return undefined;
    const { account, caSha256, endpoint, proxyPassword } = await this.examine(scope, draft);
    if (account?.auth !== "oauth2" || endpoint === undefined) return undefined;
    const stored = proxyPassword ?? (await this.secrets.get("proxyPassword", id, endpoint));
    const { root } = this.ports.settings.place(scope, draft.level);
    const credentials = stored === undefined ? {} : { proxyPassword: stored };
    const mayConnect = this.ports.isTrusted() && (await this.previous(scope, draft))?.approved === true;
    return { way: { id, account, endpoint, root, caSha256, credentials }, mayConnect };
  }

  /** Whether an account that somebody signs in to is still what it was when they began. */
  async signInHolds(scope: SettingsScope, { account, caSha256, id }: SignInWay): Promise<boolean> {
    const draft = this.savedDraft(scope, id);
    return draft !== undefined && (await this.draftStillHolds(scope, draft, { account, caSha256 }));
  }

  /**
   * The same for a draft that is not saved, to try it. A typed password is used and not stored. The stored one is used
   * only when the draft leaves its endpoint alone.
   */
  async resolveDraft(scope: SettingsScope, draft: Draft): Promise<Resolution> {
    return this.ports.isTrusted() ? this.prepare(scope, draft) : refusedUntrusted;
  }

  /** Whether a draft still means what was resolved: VS Code's proxy, the CA file and the trust may have changed meanwhile. */
  async draftStillHolds(
    scope: SettingsScope,
    draft: Draft,
    resolved: Pick<ResolvedAccount, "account" | "caSha256">,
  ): Promise<boolean> {
    if (!this.ports.isTrusted()) return false;
    const { account, caSha256 } = await this.examine(scope, draft);
    return account !== undefined && accountHash(account, caSha256) === accountHash(resolved.account, resolved.caSha256);
  }

  /** Whether the settings, VS Code's proxy, the CA file and the trust are still what was resolved. */
  async stillHolds(scope: SettingsScope, resolved: ResolvedAccount): Promise<boolean> {
    if (!this.ports.isTrusted()) return false;
    const found = this.levels.nearest(scope).find((entry) => entry.id === resolved.account.id);
    if (found?.level !== resolved.level) return false;
    const { account, caSha256 } = await this.read(scope, found.level, found.id, found.settings);
    return account !== undefined && accountHash(account, caSha256) === accountHash(resolved.account, resolved.caSha256);
  }

  /**
   * Whether what a secret is bound to still stands in the settings, in the middle of a run: its pace may change meanwhile, where it
   * leads may not.
   */
  async endpointHolds(scope: SettingsScope, resolved: ResolvedAccount): Promise<boolean> {
    if (!this.ports.isTrusted()) return false;
    const found = this.levels.nearest(scope).find((entry) => entry.id === resolved.account.id);
    if (found?.level !== resolved.level) return false;
    const { endpoint } = await this.read(scope, found.level, found.id, found.settings);
    const { account, caSha256 } = resolved;
    return endpoint !== undefined && endpointHash(endpoint) === endpointHash(endpointOf(account, caSha256));
  }

  /** Forgets every secret that an account ever had. */
  async forget(id: string): Promise<void> {
    const found = await this.signInWay(undefined, id);
    await this.ports.takeBack(found, await this.signIns.forget(id));
  }

  /** Forgets every secret of this extension; how many there were. */
  async forgetAll(): Promise<number> {
    const count = await this.signIns.inTurn(() => this.secrets.forgetAll());
    this.changed();
    return count;
  }

  private savedDraft(scope: SettingsScope, id: string): Draft | undefined {
    const found = this.levels.nearest(scope).find((entry) => entry.id === id);
    return found && { ...found, settings: found.settings as Draft["settings"], previous: found };
  }

  /** Checks, approvals and the secret of a draft. */
  private async prepare(scope: SettingsScope, draft: Draft): Promise<Resolution> {
    const approved = await this.approve(scope, draft);
    if (approved.kind !== "way") return approved;
    const { way } = approved;
    const { account, credentials, root, caSha256 } = way;
    const resolved = { kind: "account", account, credentials, level: draft.level, root, caSha256 } as const;
    if (account.auth !== "oauth2") return { ...resolved, accessToken: () => Promise.resolve(signedOut) };
    const state = await this.signIns.state(way.id, way.endpoint);
    if (!(await this.signIns.isSignedIn(way, state))) {
      if (!(await this.signInHolds(scope, way))) return refusedUnsaved;
      const question = signInQuestion(account, state);
      if (!(await this.ports.dialogs.confirm(question.message, question.detail, "Sign In"))) return cancelled;
      const end = await this.ports.signIn(scope, way);
      if (end.kind === "cancelled") return cancelled;
      if (end.kind === "failed") return refused(end.text, "");
    }
    return { ...resolved, accessToken: this.signIns.tokensOf(way) };
  }

  /** Checks and approvals of a draft, with every password that it takes. */
  private async approve(
    scope: SettingsScope,
    draft: Draft,
  ): Promise<ResolvedSignIn | Extract<Resolution, { kind: "refused" | "cancelled" }>> {
    const { account, problems, caSha256, endpoint, proxyPassword } = await this.examine(scope, draft);
    if (account === undefined || endpoint === undefined) {
      const first = problems.find((problem) => problem.severity === "error");
      return refused(
        "This account cannot be used as it is. Open Accounts to mend it.",
        first === undefined ? "" : `${first.field}: ${first.message}`,
      );
    }
    const before = await this.previous(scope, draft);
    if (before !== undefined && !before.approved) {
      if (!(await this.approvals.askWorkspace({ owner: before.owner, account, caSha256 }))) return cancelled;
    }
    if (!(await this.approvals.askUnsafe(this.candidate(scope, draft.level, account, caSha256)))) return cancelled;
    const given: Credentials = {
      ...(proxyPassword === undefined ? {} : { proxyPassword }),
      ...typedIn(draft),
    };
    const wanted = { id: draft.previous?.id ?? draft.id, account, endpoint, given };
    const credentials = await credentialsFor(this.secrets, this.ports.dialogs, wanted, () => this.changed());
    if (credentials === undefined) return cancelled;
    const { root } = this.ports.settings.place(scope, draft.level);
    return { kind: "way", way: { id: wanted.id, account, endpoint, root, caSha256, credentials } };
  }

  /** Everything about a draft, and what is wrong with it. */
  private async examine(scope: SettingsScope, draft: Draft): Promise<ReadAccount> {
    const read = await this.read(scope, draft.level, draft.id, draft.settings);
    const here = this.levels.at(scope, draft.level);
    const own = draft.previous?.id === draft.id && draft.previous.level === draft.level;
    if (own || !Object.hasOwn(here, draft.id)) return read;
    const message = sentence("account.id.taken", { id: draft.id });
    const taken: AccountProblem = { code: "account.id.taken", severity: "error", field: "id", message };
    return { ...read, account: undefined, endpoint: undefined, problems: [...read.problems, taken] };
  }

  /** An account of the settings as it would be used from `scope`. */
  private read(scope: SettingsScope, level: Level, id: string, settings: unknown): Promise<ReadAccount> {
    const { root } = this.ports.settings.place(scope, level);
    return readAccount(id, settings, { root, httpProxy: this.ports.settings.httpProxy() });
  }

  /** What the edited entry was before: whose it is, whether a person agreed to it, and where its secret belongs. */
  private async previous(
    scope: SettingsScope,
    draft: Draft,
  ): Promise<{ owner: string; approved: boolean; endpoint: Endpoint | undefined } | undefined> {
    const from = draft.previous;
    const accounts = from === undefined ? {} : this.levels.at(scope, from.level);
    if (from === undefined || !Object.hasOwn(accounts, from.id)) return undefined;
    const { owner } = this.ports.settings.place(scope, from.level);
    const { account, caSha256, endpoint } = await this.read(scope, from.level, from.id, accounts[from.id]);
    const approved =
      owner === "" || (account !== undefined && this.approvals.has("workspace", { owner, account, caSha256 }));
    return { owner, approved, endpoint };
  }

  /** Stores what was typed, takes along what a rename leaves behind, and forgets what it replaces. */
  private async moveSecrets(draft: Draft, endpoint: Endpoint, before: Endpoint | undefined): Promise<void> {
    const { previous } = draft;
    const typed = typedIn(draft);
    for (const kind of ["password", "proxyPassword"] as const) {
      const { [kind]: entered } = typed;
      if (entered !== undefined) {
        if (kind === "proxyPassword" || endpoint.auth === "password")
          await this.secrets.store(kind, draft.id, endpoint, entered);
      } else if (previous !== undefined && previous.id !== draft.id) {
        const kept = await this.secrets.get(kind, previous.id, endpoint);
        if (kept !== undefined) await this.secrets.store(kind, draft.id, endpoint, kept);
      }
    }
    if (previous !== undefined && previous.id !== draft.id) await this.signIns.move(previous.id, draft.id, endpoint);
    if (previous === undefined || before === undefined) return;
    const isReplaced = typed.password !== undefined && endpointHash(before) !== endpointHash(endpoint);
    if (previous.id !== draft.id || isReplaced)
      await this.signIns.inTurn(() => this.secrets.forget(previous.id, before));
  }

  private candidate(scope: SettingsScope, level: Level, account: Account, caSha256: string | undefined): Candidate {
    return { owner: level === "user" ? "" : this.ports.settings.place(scope, level).owner, account, caSha256 };
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

const cancelled = { kind: "cancelled" } as const;
const refused = (text: string, detail: string): Extract<Resolution, { kind: "refused" }> => ({
  kind: "refused",
  text,
  detail: plainText(detail),
});
const refusedMissing = (id: string): Extract<Resolution, { kind: "refused" }> =>
  refused("This account does not exist. Open Accounts to add it, or name another one.", id);
const refusedUntrusted = refused("This workspace is not trusted, so nothing is sent from it. Trust it first.", "");
const refusedUnsaved = refused("Save the account first: only a saved one can be signed in to.", "");
const refusedPassword = refused(
  "This account does not sign in in the browser. Choose that as its sign-in in Accounts, then sign in.",
  "",
);
const refusedChanged = refused("The account was changed in the meantime. Look at it in Accounts, then try again.", "");

function typedIn({ password = "", proxyPassword = "" }: Draft): Credentials {
  return { ...(password === "" ? {} : { password }), ...(proxyPassword === "" ? {} : { proxyPassword }) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

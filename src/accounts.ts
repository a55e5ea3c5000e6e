/** Accounts and their secrets: list, save, remove, and `resolve`, the one line that a secret crosses. */
import { AccountLevels } from "./accountLevels";
import type { Candidate } from "./approvals";
import { Approvals } from "./approvals";
import type { AccountSettings, Level, SettingsScope } from "./config";
import type { Dialogs } from "./dialogs";
import type { Account, AccountProblem, Credentials, Endpoint } from "./mail/index";
import {
  accountHash,
  endpointHash,
  endpointOf,
  FileError,
  parseAccount,
  plainText,
  readAuthorities,
  sandboxId,
  sentence,
} from "./mail/index";
import type { SecretState, SecretStore } from "./secrets";
import { Secrets } from "./secrets";

/** An account as it stands in the settings. */
export interface AccountEntry {
  readonly id: string;
  /** The nearest level that defines it; only that one counts. */
  readonly level: Level;
  /** What stands there, unchecked. */
  readonly settings: unknown;
  /** Undefined when an error is among the problems. */
  readonly account: Account | undefined;
  readonly problems: readonly AccountProblem[];
  readonly secret: SecretState;
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
  readonly account: Account;
  readonly credentials: Credentials;
  readonly level: Level;
  /** The folder below which the account's CA file lies. */
  readonly root: string | undefined;
  /** Of the CA file that was approved, hex; undefined without one. */
  readonly caSha256: string | undefined;
}

/** An account that is being edited. */
export interface Draft {
  readonly id: string;
  readonly level: Level;
  /** The object for the settings. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** A password just typed. */
  readonly password?: string;
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
  /** Whether the workspace is trusted; without trust nothing is resolved. */
  isTrusted(): boolean;
}

/** Everything about accounts. Every method takes the scope whose folder's settings count; undefined is the first folder. */
export class Accounts {
  private readonly secrets: Secrets;
  private readonly approvals: Approvals;
  private readonly levels: AccountLevels;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly ports: AccountsPorts) {
    this.levels = new AccountLevels(ports.settings);
    this.secrets = new Secrets(ports.secrets);
    this.approvals = new Approvals(ports.memento, ports.dialogs);
  }

  /** Calls `listener` after a secret was stored or forgotten; settings have their own event. */
  onDidChangeSecrets(listener: () => void): { dispose(): void } {
    this.listeners.add(listener);
    return { dispose: () => this.listeners.delete(listener) };
  }

  /** Every account of the settings, without the sandbox: the user's first, in the order of the files. */
  async list(scope: SettingsScope): Promise<readonly AccountEntry[]> {
    const entries: AccountEntry[] = [];
    for (const found of this.levels.nearest(scope)) {
      const parsed = parseAccount(found.id, found.settings);
      let { problems } = parsed;
      let secret: SecretState = { kind: "none" };
      if (parsed.value !== undefined) {
        const ca = await readCa(parsed.value, this.ports.settings.place(scope, found.level).root);
        if (ca.problem === undefined) secret = await this.secrets.state(found.id, endpointOf(parsed.value, ca.sha256));
        else problems = [...problems, ca.problem];
      }
      const account = problems.some((problem) => problem.severity === "error") ? undefined : parsed.value;
      entries.push({ ...found, account, problems, secret });
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
    const { account, problems, caSha256 } = await this.examine(scope, draft);
    if (account === undefined) return { kind: "problems", problems };
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
    await this.moveSecret(draft, endpointOf(account, caSha256), before?.endpoint);
    this.changed();
    return { kind: "saved" };
  }

  /** Takes an account out of one level. Its passwords go too, unless another level still defines the id. */
  async remove(scope: SettingsScope, id: string, level: Level): Promise<void> {
    await this.levels.remove(scope, level, id);
    if (!this.levels.nearest(scope).some((entry) => entry.id === id)) {
      await this.secrets.forget(id);
      if (this.ports.settings.defaultAccount(scope) === id)
        await this.ports.settings.writeDefaultAccount(scope, level, "");
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
    const found = this.levels.nearest(scope).find((entry) => entry.id === id);
    if (found === undefined)
      return refused("This account does not exist. Open Accounts to add it, or name another one.", id);
    const draft = { ...found, settings: found.settings as Draft["settings"], previous: found };
    const answer = await this.prepare(scope, draft);
    // Questions take time, in which a pull may have changed the settings under them.
    if (answer.kind === "account" && !(await this.stillHolds(scope, answer))) return refusedChanged;
    return answer;
  }

  /**
   * The same for a draft that is not saved, to try it. A typed password is used and not stored. The stored one is used
   * only when the draft leaves its endpoint alone.
   */
  async resolveDraft(scope: SettingsScope, draft: Draft): Promise<Resolution> {
    return this.ports.isTrusted() ? this.prepare(scope, draft) : refusedUntrusted;
  }

  /** Whether the settings and the CA file still say what was resolved. */
  async stillHolds(scope: SettingsScope, resolved: ResolvedAccount): Promise<boolean> {
    const found = this.levels.nearest(scope).find((entry) => entry.id === resolved.account.id);
    if (found?.level !== resolved.level) return false;
    const now = parseAccount(found.id, found.settings).value;
    if (now === undefined) return false;
    const ca = await readCa(now, this.ports.settings.place(scope, found.level).root);
    return ca.problem === undefined && accountHash(now, ca.sha256) === accountHash(resolved.account, resolved.caSha256);
  }

  /** Forgets every password that an account ever had. */
  async forget(id: string): Promise<void> {
    await this.secrets.forget(id);
    this.changed();
  }

  /** Forgets every secret of this extension; how many there were. */
  async forgetAll(): Promise<number> {
    const count = await this.secrets.forgetAll();
    this.changed();
    return count;
  }

  /** Checks, approvals and the secret of a draft. */
  private async prepare(scope: SettingsScope, draft: Draft): Promise<Resolution> {
    const { account, problems, caSha256 } = await this.examine(scope, draft);
    if (account === undefined) {
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
    const credentials = await this.credentials(draft, account, endpointOf(account, caSha256));
    if (credentials === undefined) return cancelled;
    const { root } = this.ports.settings.place(scope, draft.level);
    return { kind: "account", account, credentials, level: draft.level, root, caSha256 };
  }

  /** The typed password, else the stored one, else the one that is entered now. */
  private async credentials(draft: Draft, account: Account, endpoint: Endpoint): Promise<Credentials | undefined> {
    if (account.auth === "none") return {};
    if (draft.password !== undefined && draft.password !== "") return { password: draft.password };
    const id = draft.previous?.id ?? draft.id;
    const stored = await this.secrets.get(id, endpoint);
    if (stored !== undefined) return { password: stored };
    const state = await this.secrets.state(id, endpoint);
    const reason =
      state.kind === "elsewhere"
        ? ` The stored password was entered for another one (${state.changes.join("; ")}).`
        : "";
    const answer = await this.ports.dialogs.askSecret(
      `Password for ${plainText(draft.id, 64)}`,
      `For ${plainText(account.user, 100)} at ${account.host}, port ${String(account.port)}.${reason}`,
    );
    if (answer === undefined) return undefined;
    if (answer.store) {
      await this.secrets.store(id, endpoint, answer.secret);
      this.changed();
    }
    return { password: answer.secret };
  }

  /** Parses a draft and reads its CA file. */
  private async examine(
    scope: SettingsScope,
    draft: Draft,
  ): Promise<{ account: Account | undefined; problems: readonly AccountProblem[]; caSha256: string | undefined }> {
    const parsed = parseAccount(draft.id, draft.settings);
    const problems = [...parsed.problems];
    const here = this.levels.at(scope, draft.level);
    const own = draft.previous?.id === draft.id && draft.previous.level === draft.level;
    if (!own && Object.hasOwn(here, draft.id)) {
      const message = sentence("account.id.taken", { id: draft.id });
      problems.push({ code: "account.id.taken", severity: "error", field: "id", message });
    }
    let caSha256: string | undefined;
    if (parsed.value !== undefined) {
      const ca = await readCa(parsed.value, this.ports.settings.place(scope, draft.level).root);
      caSha256 = ca.sha256;
      if (ca.problem !== undefined) problems.push(ca.problem);
    }
    const failed = problems.some((problem) => problem.severity === "error");
    return { account: failed ? undefined : parsed.value, problems, caSha256 };
  }

  /** What the edited entry was before: whose it is, whether a person agreed to it, and where its secret belongs. */
  private async previous(
    scope: SettingsScope,
    draft: Draft,
  ): Promise<{ owner: string; approved: boolean; endpoint: Endpoint | undefined } | undefined> {
    const from = draft.previous;
    const accounts = from === undefined ? {} : this.levels.at(scope, from.level);
    if (from === undefined || !Object.hasOwn(accounts, from.id)) return undefined;
    const { owner, root } = this.ports.settings.place(scope, from.level);
    const account = parseAccount(from.id, accounts[from.id]).value;
    if (account === undefined) return { owner, approved: owner === "", endpoint: undefined };
    const ca = await readCa(account, root);
    const candidate = { owner, account, caSha256: ca.sha256 };
    return {
      owner,
      approved: owner === "" || this.approvals.has("workspace", candidate),
      endpoint: endpointOf(account, ca.sha256),
    };
  }

  private async moveSecret(draft: Draft, endpoint: Endpoint, before: Endpoint | undefined): Promise<void> {
    const { previous, password } = draft;
    const typed = password !== undefined && password !== "";
    if (typed && draft.settings.auth !== "none") await this.secrets.store(draft.id, endpoint, password);
    else if (previous !== undefined && previous.id !== draft.id) {
      const kept = await this.secrets.get(previous.id, endpoint);
      if (kept !== undefined) await this.secrets.store(draft.id, endpoint, kept);
    }
    if (previous === undefined || before === undefined) return;
    if (previous.id !== draft.id) await this.secrets.forget(previous.id, before);
    else if (typed && endpointHash(before) !== endpointHash(endpoint)) await this.secrets.forget(draft.id, before);
  }

  private candidate(scope: SettingsScope, level: Level, account: Account, caSha256: string | undefined): Candidate {
    return { owner: level === "user" ? "" : this.ports.settings.place(scope, level).owner, account, caSha256 };
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

const cancelled: Resolution = { kind: "cancelled" };
const refused = (text: string, detail: string): Resolution => ({
  kind: "refused",
  text,
  detail: plainText(detail),
});
const refusedUntrusted = refused("This workspace is not trusted, so nothing is sent from it. Trust it first.", "");
const refusedChanged = refused("The account was changed in the meantime. Look at it in Accounts, then try again.", "");

async function readCa(
  account: Account,
  root: string | undefined,
): Promise<{ readonly sha256: string | undefined; readonly problem?: AccountProblem }> {
  try {
    return { sha256: (await readAuthorities(account, root))?.sha256 };
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const path = account.tls.caFile;
    const code = `account.ca.${error.reason}` as const;
    const message = sentence(code, { path, detail: error.detail });
    return { sha256: undefined, problem: { code, severity: "error", field: "tls.caFile", message } };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

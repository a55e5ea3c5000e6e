/** The host half of the accounts panel: what the page shows, and what it may ask. */
import * as v from "valibot";
import * as vscode from "vscode";
import type { AccountEntry, Accounts, Draft, ResolvedAccount } from "../accounts";
import type { AccountSettings, Level, SettingsScope } from "../config";
import { onDidChangeSettings, readSettings } from "../config";
import { viewTypes } from "../contributions";
import type { Dialogs } from "../dialogs";
import type { Disposable } from "../dispose";
import { DisposableStore } from "../dispose";
import type { Logger } from "../mail/index";
import { plainText, providers } from "../mail/index";
import { formOf, formProblem, settingsOf } from "./accountForm";
import type { Page, PageHost } from "./panel";
import { Panel, singlePanel } from "./panel";
import type { AccountEdit, SettingsHost, SettingsPage, SettingsState, TestReply } from "./protocol";

/** Connects and signs in with a resolved account, in the very thread that sends. Rejects only when `signal` aborts. */
export type Verify = (
  resolved: ResolvedAccount,
  signal: AbortSignal,
) => Promise<
  { readonly ok: true } | { readonly ok: false; readonly text: string; readonly reply?: string | undefined }
>;

/** What the panel needs. */
export interface SettingsPanelPorts {
  readonly extensionUri: vscode.Uri;
  readonly accounts: Accounts;
  readonly settings: AccountSettings<SettingsScope>;
  readonly dialogs: Pick<Dialogs, "confirm">;
  readonly verify: Verify;
  readonly logger: Logger;
}

const page: Page = {
  viewType: viewTypes.settings,
  title: "Bulk Mail: Accounts",
  script: "settings",
  styles: ["panel.css", "settings.css"],
};

/** The accounts panel: `open` shows it, turned to an account when one is named; a window reload restores it. */
export function settingsPanel(ports: SettingsPanelPorts): Disposable & { open(accountId?: string): void } {
  const wanted: Wanted = { id: "", tell: () => {} };
  const panel = singlePanel(ports.extensionUri, page, (webviewPanel) => attach(ports, webviewPanel, wanted));
  return {
    open: (accountId = "") => {
      wanted.id = accountId;
      panel.open();
      if (accountId !== "") wanted.tell();
    },
    dispose: () => panel.dispose(),
  };
}

/** The account that the page should turn to with its next state, and how to make it look. */
interface Wanted {
  id: string;
  tell: () => void;
}

function attach(ports: SettingsPanelPorts, webviewPanel: vscode.WebviewPanel, wanted: Wanted): Disposable {
  const store = new DisposableStore();
  // Before its page asks for the first time, an event would take the wish away and be lost.
  let loaded = false;
  const host = new Host(ports, wanted, () => (loaded = true));
  const panel = store.add(
    new Panel<SettingsPage, SettingsHost>(webviewPanel, ports.extensionUri, page, host, ports.logger),
  );
  const refresh = (): void => {
    host.state().then(
      (state) => panel.page.event("show", state),
      (error: unknown) => ports.logger.error(`Accounts panel: ${String(error)}`),
    );
  };
  wanted.tell = () => {
    if (loaded) refresh();
  };
  // A hidden page misses events: it is told everything again when it comes back.
  store.add(webviewPanel.onDidChangeViewState(() => webviewPanel.visible && refresh()));
  store.add(onDidChangeSettings(refresh));
  store.add(ports.accounts.onDidChangeSecrets(refresh));
  store.add(vscode.workspace.onDidGrantWorkspaceTrust(refresh));
  store.add(vscode.workspace.onDidChangeWorkspaceFolders(refresh));
  store.add({ dispose: () => host.cancelTest() });
  return store;
}

const text = (length: number): v.GenericSchema<string> => v.pipe(v.string(), v.maxLength(length));
const field = text(1000);
const level = v.picklist(["user", "workspace", "workspaceFolder"]);
const edit = v.strictObject({
  form: v.strictObject({
    name: field,
    provider: field,
    host: field,
    port: field,
    security: field,
    auth: field,
    user: field,
    from: field,
    replyTo: field,
    verify: v.boolean(),
    caFile: field,
    servername: field,
    delay: field,
    connections: field,
    connectionTimeout: field,
    greetingTimeout: field,
    socketTimeout: field,
  }),
  level,
  previous: v.optional(v.strictObject({ id: field, level })),
});
const password = text(4000);

class Host implements PageHost<SettingsHost> {
  private testing: AbortController | undefined;

  constructor(
    private readonly ports: SettingsPanelPorts,
    private readonly wanted: Wanted,
    private readonly onLoad: () => void,
  ) {}

  readonly accepts = {
    load: v.tuple([]),
    check: v.tuple([edit]),
    save: v.tuple([edit, password]),
    remove: v.tuple([field, level]),
    forgetPassword: v.tuple([field]),
    setDefault: v.tuple([field]),
    test: v.tuple([edit, password]),
    cancelTest: v.tuple([]),
    openSettings: v.tuple([level]),
  };

  readonly handlers: PageHost<SettingsHost>["handlers"] = {
    load: () => {
      this.onLoad();
      return this.state();
    },
    check: async (edit) => (await this.ports.accounts.check(undefined, draftOf(edit))).map(formProblem),
    save: async (edit, password) => {
      const saved = await this.ports.accounts.save(undefined, draftOf(edit, password));
      return saved.kind === "problems" ? { ...saved, problems: saved.problems.map(formProblem) } : saved;
    },
    remove: async (id, level) => {
      const agreed = await this.ports.dialogs.confirm(
        `Remove the account ${plainText(id, 64)}?`,
        `It is taken out of the ${levelName(level)} settings, and its stored password is forgotten. Campaigns that name it can no longer be sent.`,
        "Remove",
      );
      if (agreed) await this.ports.accounts.remove(undefined, id, level);
      return agreed;
    },
    forgetPassword: async (id) => {
      const agreed = await this.ports.dialogs.confirm(
        `Forget the password of ${plainText(id, 64)}?`,
        "It is asked for again when it is needed.",
        "Forget Password",
      );
      if (agreed) await this.ports.accounts.forget(id);
      return agreed;
    },
    setDefault: (id) => this.ports.accounts.setDefault(undefined, id),
    test: (edit, password) => this.test(edit, password),
    cancelTest: () => this.cancelTest(),
    openSettings: (level) =>
      void vscode.commands.executeCommand(settingsCommands[level], { revealSetting: { key: "bulkMail.accounts" } }),
  };

  async state(): Promise<SettingsState> {
    const { accounts, settings } = this.ports;
    const entries = await accounts.list(undefined);
    const select = this.wanted.id;
    this.wanted.id = "";
    return {
      accounts: entries.map(cardOf),
      defaultId: accounts.defaultId(undefined),
      levels: settings.levels(undefined).map((level) => ({ level, label: levelName(level) })),
      providers,
      trusted: vscode.workspace.isTrusted,
      pace: readSettings().sending,
      select,
    };
  }

  cancelTest(): void {
    this.testing?.abort();
    this.testing = undefined;
  }

  private async test(edit: AccountEdit, password: string): Promise<TestReply> {
    this.cancelTest();
    const testing = (this.testing = new AbortController());
    const { accounts, verify } = this.ports;
    const draft = draftOf(edit, password);
    const problems = await accounts.check(undefined, draft);
    if (problems.some((problem) => problem.severity === "error"))
      return { kind: "problems", problems: problems.map(formProblem) };
    const resolved = await accounts.resolveDraft(undefined, draft);
    if (resolved.kind === "refused") return { kind: "failed", text: `${resolved.text} ${resolved.detail}`.trim() };
    if (resolved.kind !== "account" || testing.signal.aborted) return { kind: "cancelled" };
    const tried = await Promise.race([verify(resolved, testing.signal), aborted(testing.signal)]).catch(
      (error: unknown) => {
        if (testing.signal.aborted) return undefined;
        throw error;
      },
    );
    if (tried === undefined) return { kind: "cancelled" };
    const { host, port, user, auth } = resolved.account;
    if (tried.ok) {
      const who = auth === "none" ? "Connected" : `Signed in as ${plainText(user, 100)}`;
      return { kind: "ok", text: `${who} at ${host}, port ${String(port)}. Nothing was sent.` };
    }
    return {
      kind: "failed",
      text: plainText(tried.text, 500),
      ...(tried.reply === undefined || tried.reply === "" ? {} : { reply: plainText(tried.reply) }),
    };
  }
}

const settingsCommands = {
  user: "workbench.action.openSettingsJson",
  workspace: "workbench.action.openWorkspaceSettingsFile",
  workspaceFolder: "workbench.action.openFolderSettingsFile",
} as const satisfies Record<Level, string>;

function levelName(level: Level): string {
  switch (level) {
    case "user":
      return "User";
    case "workspace":
      return "Workspace";
    case "workspaceFolder":
      return "Folder";
  }
}

function draftOf({ form, level, previous }: AccountEdit, password = ""): Draft {
  return {
    id: form.name.trim(),
    level,
    settings: settingsOf(form),
    ...(password === "" ? {} : { password }),
    ...(previous === undefined ? {} : { previous }),
  };
}

function cardOf(entry: AccountEntry): SettingsState["accounts"][number] {
  const { id, level, settings, problems, secret, overrides } = entry;
  return {
    id,
    level,
    form: formOf(id, settings),
    problems: problems.map(formProblem),
    secret: { kind: secret.kind, changes: secret.kind === "elsewhere" ? secret.changes : [] },
    overrides: overrides.map(levelName),
  };
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(undefined), { once: true }));
}

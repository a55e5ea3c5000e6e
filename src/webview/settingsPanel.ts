/** The host half of the accounts panel: what the page shows, and what it may ask. */
import * as v from "valibot";
import * as vscode from "vscode";
import type { AccountEntry, Accounts, Draft } from "../accounts";
import type { AccountSettings, Level, SettingsScope } from "../config";
import { onDidChangeSettings, readDefaultLimits } from "../config";
import { viewTypes } from "../contributions";
import type { Dialogs } from "../dialogs";
import type { Disposable } from "../dispose";
import { DisposableStore } from "../dispose";
import type { Logger } from "../mail/index";
import { plainText, providers } from "../mail/index";
import type { Notifications } from "../notify";
import { formOf, formProblem, settingsOf } from "./accountForm";
import type { Doctor } from "./connectionTest";
import { ConnectionTest } from "./connectionTest";
import type { SignInDoor } from "./pageSignIn";
import { PageSignIn } from "./pageSignIn";
import type { Page, PageHost } from "./panel";
import { Panel, singlePanel } from "./panel";
import type {
  AccountEdit,
  KeptDrafts,
  SettingsHost,
  SettingsPage,
  SettingsState,
  TestStep,
  TypedSecrets,
} from "./protocol";

/** What the panel needs. */
export interface SettingsPanelPorts {
  readonly extensionUri: vscode.Uri;
  readonly accounts: Accounts;
  readonly settings: AccountSettings<SettingsScope>;
  readonly dialogs: Pick<Dialogs, "confirm">;
  /** Tests connections in the very thread that sends. */
  readonly doctor: Doctor;
  readonly signIns: SignInDoor;
  readonly speak: Pick<Notifications, "warn">;
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
  const session: Session = { wanted: "", tell: () => {}, unsaved: [] };
  let ending = false;
  const open = (accountId = ""): void => {
    session.wanted = accountId;
    panel.open();
    if (accountId !== "") session.tell();
  };
  const closed = (): void => {
    // A tab of this kind cannot ask before it closes: so nothing is lost, and the way back is one click.
    if (ending || session.unsaved.length === 0) return;
    const text =
      "What you changed in Accounts is not saved. It is kept, without passwords, until this window is closed.";
    ports.speak.warn(text, { title: "Reopen", run: () => open() });
  };
  const panel = singlePanel(ports.extensionUri, page, (webviewPanel) => {
    const store = attach(ports, webviewPanel, session);
    return {
      dispose: () => {
        store.dispose();
        closed();
      },
    };
  });
  return {
    open,
    dispose: () => {
      ending = true;
      panel.dispose();
    },
  };
}

/** What outlives a page. */
interface Session {
  /** The account that the page should turn to with its next state; empty for none. */
  wanted: string;
  /** Makes the page look. */
  tell: () => void;
  /** What the page has not saved. */
  unsaved: KeptDrafts;
}

function attach(ports: SettingsPanelPorts, webviewPanel: vscode.WebviewPanel, session: Session): Disposable {
  const store = new DisposableStore();
  // Before its page asks for the first time, an event would take the wish away and be lost.
  let loaded = false;
  const host = new Host(ports, session, {
    loaded: () => (loaded = true),
    testSteps: (run, steps) => panel.page.event("testSteps", run, steps),
  });
  const panel = store.add(
    new Panel<SettingsPage, SettingsHost>(webviewPanel, ports.extensionUri, page, host, ports.logger),
  );
  const refresh = (): void => {
    host.state().then(
      (state) => panel.page.event("show", state),
      (error: unknown) => ports.logger.error(`Accounts panel: ${String(error)}`),
    );
  };
  session.tell = () => {
    if (loaded) refresh();
  };
  // A hidden page misses events: it is told everything again when it comes back.
  store.add(webviewPanel.onDidChangeViewState(() => webviewPanel.visible && refresh()));
  store.add(onDidChangeSettings(refresh));
  store.add(ports.accounts.onDidChangeSecrets(refresh));
  store.add(vscode.workspace.onDidGrantWorkspaceTrust(refresh));
  store.add(vscode.workspace.onDidChangeWorkspaceFolders(refresh));
  store.add({ dispose: () => host.connectionTest.cancel() });
  store.add({ dispose: () => host.signInPage.cancel() });
  return store;
}

const text = (length: number): v.GenericSchema<string> => v.pipe(v.string(), v.maxLength(length));
const field = text(1000);
const level = v.picklist(["user", "workspace", "workspaceFolder"]);
const edit = v.strictObject({
  form: v.strictObject({
    name: field,
    provider: field,
    transport: field,
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
    minVersion: field,
    proxy: field,
    proxyUser: field,
    delay: field,
    connections: field,
    perMinute: field,
    perHour: field,
    perDay: field,
    dnsTimeout: field,
    connectionTimeout: field,
    greetingTimeout: field,
    socketTimeout: field,
  }),
  level,
  previous: v.optional(v.strictObject({ id: field, level })),
});
const typed = v.strictObject({ password: text(4000), proxyPassword: text(4000) });
const signInProvider = v.picklist(["google", "microsoft"]);
const run = v.pipe(v.number(), v.safeInteger());

class Host implements PageHost<SettingsHost> {
  readonly connectionTest: ConnectionTest;
  readonly signInPage: PageSignIn;

  constructor(
    private readonly ports: SettingsPanelPorts,
    private readonly session: Session,
    private readonly events: { loaded(): void; testSteps(run: number, steps: readonly TestStep[]): void },
  ) {
    this.connectionTest = new ConnectionTest(ports, (run, steps) => events.testSteps(run, steps));
    this.signInPage = new PageSignIn(ports);
  }

  readonly accepts = {
    load: v.tuple([]),
    drafts: v.tuple([]),
    keepDrafts: v.tuple([v.pipe(v.array(v.tuple([field, edit])), v.maxLength(1000))]),
    check: v.tuple([edit]),
    save: v.tuple([edit, typed]),
    remove: v.tuple([field, level]),
    forgetPassword: v.tuple([field]),
    setDefault: v.tuple([field]),
    test: v.tuple([run, edit, typed, v.boolean()]),
    cancelTest: v.tuple([]),
    copyTranscript: v.tuple([run]),
    openSettings: v.tuple([level]),
    signIn: v.tuple([field, level]),
    signOut: v.tuple([field, level]),
    cancelSignIn: v.tuple([]),
    takeClient: v.tuple([signInProvider, text(20_000)]),
    openGuide: v.tuple([signInProvider]),
  };

  readonly handlers: PageHost<SettingsHost>["handlers"] = {
    load: () => {
      this.events.loaded();
      return this.state();
    },
    drafts: () => Promise.resolve(this.session.unsaved),
    keepDrafts: (unsaved) => {
      this.session.unsaved = unsaved;
    },
    check: async (edit) => (await this.ports.accounts.check(undefined, draftOf(edit))).map(formProblem),
    save: async (edit, typed) => {
      const saved = await this.ports.accounts.save(undefined, draftOf(edit, typed));
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
    test: (run, edit, typed, mail) => this.connectionTest.run(run, draftOf(edit, typed), mail),
    cancelTest: () => this.connectionTest.cancel(),
    copyTranscript: (run) => this.connectionTest.copyTranscript(run),
    openSettings: (level) =>
      void vscode.commands.executeCommand(settingsCommands[level], { revealSetting: { key: "bulkMail.accounts" } }),
    signIn: (id, level) => this.signInPage.signIn(id, level),
    signOut: (id, level) => this.signInPage.signOut(id, level),
    cancelSignIn: () => this.signInPage.cancel(),
    takeClient: async (provider, text) => {
      const reply = await this.signInPage.takeClient(provider, text);
      this.session.tell();
      return reply;
    },
    openGuide: (provider) => {
      const guide = vscode.Uri.joinPath(this.ports.extensionUri, "docs", `sign-in-with-${provider}.md`);
      void vscode.commands.executeCommand("markdown.showPreview", guide);
    },
  };

  async state(): Promise<SettingsState> {
    const { accounts, settings } = this.ports;
    const entries = await accounts.list(undefined);
    const select = this.session.wanted;
    this.session.wanted = "";
    return {
      accounts: entries.map(cardOf),
      defaultId: accounts.defaultId(undefined),
      levels: settings.levels(undefined).map((level) => ({ level, label: levelName(level) })),
      providers,
      trusted: vscode.workspace.isTrusted,
      limits: readDefaultLimits(),
      clients: await this.signInPage.clients(),
      select,
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

const nothingTyped: TypedSecrets = { password: "", proxyPassword: "" };

function draftOf({ form, level, previous }: AccountEdit, typed = nothingTyped): Draft {
  const { password, proxyPassword } = typed;
  return {
    id: form.name.trim(),
    level,
    settings: settingsOf(form),
    ...(password === "" ? {} : { password }),
    ...(proxyPassword === "" ? {} : { proxyPassword }),
    ...(previous === undefined ? {} : { previous }),
  };
}

function cardOf(entry: AccountEntry): SettingsState["accounts"][number] {
  const { id, level, settings, problems, secret, signIn, overrides } = entry;
  return {
    id,
    level,
    form: formOf(id, settings),
    problems: problems.map(formProblem),
    secret: { kind: secret.kind, changes: secret.kind === "elsewhere" ? secret.changes : [] },
    signIn,
    overrides: overrides.map(levelName),
  };
}

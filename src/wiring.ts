/** Every service of the extension, built by hand in order of need. What differs between VS Code and a test comes in. */
import * as path from "node:path";
import * as vscode from "vscode";
import { Accounts } from "./accounts";
import type { BrowserPorts } from "./browserSignIn";
import { CampaignFiles } from "./campaignFiles";
import type { CampaignSettings } from "./campaignFiles";
import type { Services } from "./commands/services";
import { signInTo } from "./commands/signIn";
import { accountSettings, onDidChangeSettings, readSettings } from "./config";
import { commands, contextKeys, section } from "./contributions";
import type { Dialogs } from "./dialogs";
import { DisposableStore } from "./dispose";
import type { Disposable } from "./dispose";
import { lookForInterrupted } from "./interruptedRuns";
import { CampaignLens } from "./language/codeLens";
import { CampaignCompletion } from "./language/completion";
import { CampaignDefinitions } from "./language/definition";
import { Diagnostics } from "./language/diagnostics";
import { CampaignHover } from "./language/hover";
import { ColumnRename } from "./language/rename";
import { ListOutcomes } from "./language/outcomes";
import { Symbols } from "./language/symbols";
import { LanguageWork } from "./languageWork";
import { Log } from "./log";
import { defaultStateDirectory, sandboxId, senderOf } from "./mail/index";
import type { SenderDefaults } from "./mail/index";
import type { microsoftSignIn } from "./microsoftSignIn";
import { HumanError } from "./notify";
import type { Notifications } from "./notify";
import { RunProgress } from "./progress";
import { Reports } from "./reports";
import type { Handlers } from "./rpc";
import { announceEnd } from "./runEnd";
import { Secrets } from "./secrets";
import { SendTask } from "./sendTask";
import { SignIns } from "./signIn";
import { StatusBar } from "./statusBar";
import { PreviewPanels } from "./webview/previewPanel";
import type { HostApi } from "./workerProtocol";
import { WorkerThread } from "./workerThread";

/** What comes from outside. */
export interface Outside {
  readonly extensionUri: vscode.Uri;
  readonly secrets: vscode.SecretStorage;
  readonly memory: vscode.Memento;
  readonly channel: ConstructorParameters<typeof Log>[0];
  readonly dialogs: Dialogs;
  readonly speak: Notifications;
  /** Where runs are kept unless the settings name another place. */
  readonly stateDirectory?: string;
  /** The browser in which people sign in, and VS Code's own sign-in with Microsoft. */
  readonly browser: BrowserPorts;
  readonly microsoft: typeof microsoftSignIn;
  openAccounts(accountId?: string): void;
}

/** Builds everything; `dispose` ends it in reverse order. */
export function createServices(outside: Outside): Services & Disposable {
  const { extensionUri, secrets, memory, dialogs, speak } = outside;
  const owned = new DisposableStore();
  const log = new Log(outside.channel);
  const script = path.join(extensionUri.fsPath, "dist", "worker.js");
  const stateDirectory = (): string => {
    const set = readSettings().stateDirectory;
    if (set === "") return outside.stateDirectory ?? defaultStateDirectory();
    // A relative one would be another folder, and so another journal, wherever VS Code happens to be started.
    if (!path.isAbsolute(set)) throw new HumanError(`The setting ${section}.stateDirectory must be an absolute path.`);
    return set;
  };
  const isTrusted = (): boolean => vscode.workspace.isTrusted;
  const accounts: Accounts = new Accounts({
    settings: accountSettings,
    secrets,
    memento: memory,
    dialogs,
    isTrusted,
    tokens: {
      refresh: (way, grant) => task.ask.request("refreshToken", way, grant),
      microsoftToken: outside.microsoft.token,
    },
    signIn: (scope, way) => signIns.signInTo(scope, way),
    takeBack: (found, forgotten) => signIns.takeBack(found, forgotten),
  });
  const campaigns = owned.add(new CampaignFiles((campaign) => campaignSettings(accounts, campaign)));
  const work = owned.add(new LanguageWork(languageThread(script, log), languageThread(script, log)));
  const diagnostics = owned.add(new Diagnostics(campaigns, work, log));
  const symbols = owned.add(new Symbols(campaigns, work));
  owned.add(new CampaignCompletion(symbols, campaigns).register());
  owned.add(new CampaignHover(symbols).register());
  owned.add(new CampaignDefinitions(symbols).register());
  owned.add(new ColumnRename(symbols).register());
  const task = owned.add(new SendTask(script, log));
  const signIns = owned.add(
    new SignIns({
      accounts,
      secrets: new Secrets(secrets, memory),
      dialogs,
      speak,
      logger: log,
      browser: outside.browser,
      microsoft: outside.microsoft,
      oauth: task,
    }),
  );
  const statusBar = owned.add(new StatusBar());
  owned.add(new RunProgress(task, statusBar, () => readSettings().progress));
  owned.add(new ListOutcomes({ extensionUri, campaigns, symbols, work, task, logger: log, stateDirectory }));
  const reports = owned.add(new Reports(task, stateDirectory, log));
  const previews = owned.add(new PreviewPanels({ extensionUri, campaigns, work, logger: log }));
  const lens = owned.add(new CampaignLens(diagnostics, previews, (campaign) => readSettings(campaign).codeLens));

  // Also what another window stored or forgot.
  owned.add(secrets.onDidChange(() => accounts.secretsChanged()));
  owned.add(
    task.onDidEnd((end) =>
      announceEnd(end, speak, {
        openReport: ({ view, outcome }) =>
          outcome.kind === "ran" && reports.open(view.file, outcome.campaignId, view.sandbox ? "sandbox" : "real"),
        resume: ({ view }) => vscode.commands.executeCommand(commands.resume.id, vscode.Uri.file(view.file)),
        takeOver: ({ view }) => vscode.commands.executeCommand(commands.takeOver.id, vscode.Uri.file(view.file)),
        signIn: async ({ view, account = "" }) => {
          const campaign = vscode.Uri.file(view.file);
          const next = (): unknown => vscode.commands.executeCommand(commands.resume.id, campaign);
          await signInTo({ signIns, speak }, campaign, account, { next });
        },
        openAccounts: () => outside.openAccounts(),
        showLog: () => log.show(),
      }),
    ),
  );
  owned.add(task.onDidChange(() => showRunState(task)));
  owned.add(task.onDidEnd(() => setContext(contextKeys.hasHistory, true)));
  owned.add(
    onDidChangeSettings(() => {
      lens.refresh();
      diagnostics.checkAgain();
      showAccounts(accounts, log);
      void task.readPaces();
    }),
  );
  owned.add(
    lookForInterrupted(campaigns, task, stateDirectory, log, () => {
      setContext(contextKeys.hasHistory, true);
      forgetOldRuns(task, stateDirectory(), log);
    }),
  );
  showAccounts(accounts, log);
  return {
    accounts,
    signIns,
    campaigns,
    diagnostics,
    work,
    task,
    previews,
    reports,
    dialogs,
    speak,
    log,
    memory,
    stateDirectory,
    openAccounts: (accountId) => outside.openAccounts(accountId),
    dispose: () => owned.dispose(),
  };
}

/** What the settings add to a campaign: how its list is read, and what each account fills in. */
async function campaignSettings(accounts: Accounts, campaign: vscode.Uri): Promise<CampaignSettings> {
  const entries = await accounts.list(campaign);
  const none: SenderDefaults = { from: undefined, replyTo: undefined };
  const senders = new Map(entries.map(({ id, account }) => [id, account === undefined ? none : senderOf(account)]));
  // So that a first campaign can be tried before there is any account.
  senders.set(sandboxId, { from: "Sandbox <sandbox@example.com>", replyTo: undefined });
  return { csv: readSettings(campaign).csv, senders, defaultAccount: accounts.defaultId(campaign) };
}

/** A thread that checks and previews: it never sends and is never given a secret. */
function languageThread(script: string, log: Log): WorkerThread {
  const refused: Handlers<HostApi> = {
    credentials: () => Promise.reject(new Error("Language work needs no secret.")),
    accessToken: () => Promise.reject(new Error("Language work needs no secret.")),
    progress: () => undefined,
    attempts: () => undefined,
    doctorStep: () => undefined,
    log: (level, text) => {
      log[level](text);
    },
  };
  return new WorkerThread(script, refused);
}

/** Records hold addresses: old ones of finished runs go by themselves, as the setting says. */
function forgetOldRuns(task: SendTask, stateDirectory: string, log: Log): void {
  const days = readSettings().historyRetention;
  if (days === 0) return;
  task.ask.request("forgetOld", stateDirectory, days).then(
    (count) => {
      if (count > 0) log.info(`${String(count)} finished runs older than ${String(days)} days were deleted.`);
    },
    (error: unknown) => log.warn(`Old runs cannot be deleted: ${String(error)}`),
  );
}

function showRunState(task: SendTask): void {
  const { views } = task;
  setContext(
    contextKeys.running,
    views.some(({ phase }) => phase !== "paused"),
  );
  setContext(
    contextKeys.resumable,
    views.some(({ phase }) => phase === "paused"),
  );
  setContext(
    contextKeys.silent,
    views.some(({ silent }) => silent === true),
  );
}

function showAccounts(accounts: Accounts, log: Log): void {
  accounts.list(undefined).then(
    (entries) => setContext(contextKeys.hasAccount, entries.length > 0),
    (error: unknown) => log.warn(`Accounts cannot be listed: ${String(error)}`),
  );
}

function setContext(key: string, value: boolean): void {
  void vscode.commands.executeCommand("setContext", key, value);
}

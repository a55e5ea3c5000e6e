/** Every command, and the one place where their errors end. */
import * as vscode from "vscode";
import { accountSettings } from "../config";
import { commands } from "../contributions";
import type { CommandName } from "../contributions";
import { DisposableStore } from "../dispose";
import type { Disposable } from "../dispose";
import { reportError } from "../notify";
import { forgetSecrets, testAccount, testConnection } from "./accounts";
import { addAccount } from "./addAccount";
import { checkCampaign } from "./checkCampaign";
import { pause, pausedRun, stop } from "./controlRun";
import { resolveUnknown, retryFailed } from "./decide";
import { newCampaign } from "./newCampaign";
import { openReport } from "./openReport";
import { preview } from "./preview";
import { deleteHistory, exportFailedRows, exportJournal, exportReport, importJournal } from "./records";
import { rehearse } from "./rehearse";
import { resumeCampaign, sendAt, sendCampaign, takeOverCampaign } from "./sendCampaign";
import { sendTest } from "./sendTest";
import { signIn, signInTo, signOut } from "./signIn";
import { campaignOf } from "./services";
import type { Services } from "./services";

/** What a command does with its arguments: a URI and a row at most, whoever gives them. */
type Verb = (services: Services, uri: unknown, row: number | undefined) => unknown;

/** A verb about a campaign. */
const about =
  (verb: (services: Services, campaign: vscode.Uri, row: number | undefined) => unknown): Verb =>
  async (services, uri, row) => {
    const campaign = await campaignOf(services, uri);
    if (campaign !== undefined) await verb(services, campaign, row);
  };

const verbs: Readonly<Record<CommandName, Verb>> = {
  newCampaign,
  checkCampaign: about(checkCampaign),
  preview: about(preview),
  sendTest: about(sendTest),
  rehearse: about(rehearse),
  send: about(sendCampaign),
  sendAt: about(sendAt),
  pause,
  resume: async (services, uri, row) =>
    await about(resumeCampaign)(services, (await pausedRun(services, uri)) ?? uri, row),
  stop,
  takeOver: async (services, uri, row) =>
    await about(takeOverCampaign)(services, (await pausedRun(services, uri)) ?? uri, row),
  retryFailed: about(retryFailed),
  resolveUnknown: about(resolveUnknown),
  openReport: about(openReport),
  exportReport: about(exportReport),
  exportFailedRows: about(exportFailedRows),
  exportJournal: about(exportJournal),
  importJournal,
  deleteHistory: about(deleteHistory),
  accounts: (services) => services.openAccounts(),
  addAccount: (services) =>
    addAccount({
      ...services,
      levels: accountSettings.levels(undefined),
      open: (url) => vscode.env.openExternal(vscode.Uri.parse(url)),
      test: (id) => told(services, () => testAccount(services, undefined, id)),
      signIn: (id) => told(services, () => signInTo(services, undefined, id)),
    }),
  testConnection,
  signIn,
  signOut,
  forgetSecrets,
  showLog: (services) => services.log.show(),
};

/** Registers every command. */
export function registerCommands(services: Services): Disposable {
  const store = new DisposableStore();
  for (const [name, { id }] of Object.entries(commands)) {
    store.add(
      vscode.commands.registerCommand(id, (uri: unknown, row: unknown) => run(services, name as CommandName, uri, row)),
    );
  }
  return store;
}

/** Runs one command. Never rejects: what goes wrong is told. */
export async function run(services: Services, name: CommandName, uri?: unknown, row?: unknown): Promise<void> {
  await told(services, () =>
    verbs[name](services, uri, typeof row === "number" && Number.isInteger(row) && row >= 0 ? row : undefined),
  );
}

/** Does something and tells of what goes wrong. */
async function told(services: Services, work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    reportError(error, services.speak, services.log, () => services.log.show());
  }
}

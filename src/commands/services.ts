/** What the commands work with, and what several of them ask first. */
import * as vscode from "vscode";
import type { AccountEntry, Accounts, ResolvedAccount } from "../accounts";
import { campaignName, isCampaign, unsavedAmong } from "../campaignFiles";
import type { CampaignFiles } from "../campaignFiles";
import type { Dialogs } from "../dialogs";
import type { Diagnostics } from "../language/diagnostics";
import type { LanguageWork } from "../languageWork";
import type { Log } from "../log";
import { ownFailures } from "../mail/index";
import type { Credentials } from "../mail/index";
import { HumanError, unlinked } from "../notify";
import type { Notifications } from "../notify";
import type { Reports } from "../reports";
import type { SecretSource, SendTask } from "../sendTask";
import type { SignIns } from "../signIn";
import type { PreviewPanels } from "../webview/previewPanel";
import type { CheckReply } from "../workerProtocol";
import { WorkerEnded } from "../workerThread";

/** Everything that commands need, built by hand in one place. */
export interface Services {
  readonly accounts: Accounts;
  readonly signIns: SignIns;
  readonly campaigns: CampaignFiles;
  readonly diagnostics: Diagnostics;
  readonly work: LanguageWork;
  readonly task: SendTask;
  readonly previews: PreviewPanels;
  readonly reports: Reports;
  readonly dialogs: Dialogs;
  readonly speak: Notifications;
  readonly log: Log;
  /** Remembers small answers, such as the address that tests go to. */
  readonly memory: Pick<vscode.Memento, "get" | "update">;
  /** Absolute path of the state directory. */
  stateDirectory(): string;
  /** Shows the accounts panel, turned to an account when one is named. */
  openAccounts(accountId?: string): void;
}

/** The campaign that a command is about: its argument, the active editor's, the only one, or the one picked. */
export async function campaignOf(services: Services, argument: unknown): Promise<vscode.Uri | undefined> {
  if (argument instanceof vscode.Uri && isCampaign(argument)) return argument;
  const active = vscode.window.activeTextEditor?.document.uri;
  if (active !== undefined && isCampaign(active)) return active;
  const shown = services.previews.campaign;
  if (shown !== undefined) return shown;
  const all = await services.campaigns.list();
  const [first] = all;
  if (first === undefined) {
    throw new HumanError("There is no campaign in this workspace yet.", {
      title: "New Campaign…",
      run: () => vscode.commands.executeCommand("bulkMail.newCampaign"),
    });
  }
  if (all.length === 1) return first;
  const items = all.map((uri) => ({
    label: campaignName(uri.fsPath),
    description: vscode.workspace.asRelativePath(uri),
    uri,
  }));
  return (await services.dialogs.pick("Campaign", "Which campaign?", items))?.uri;
}

/** Sending and testing need a workspace that the person trusts: its files say who is mailed and through what. */
export function requireTrust(): void {
  if (vscode.workspace.isTrusted) return;
  throw new HumanError(
    "This workspace is not trusted, so nothing is sent from it. You can still edit, check and preview.",
    {
      title: "Manage Workspace Trust",
      run: () => vscode.commands.executeCommand("workbench.trust.manage"),
    },
  );
}

/** Checks the campaign as it stands in the editor, however long that takes. Undefined when the person cancelled. */
export async function check(services: Services, campaign: vscode.Uri): Promise<CheckReply | undefined> {
  const request = await services.campaigns.request(campaign);
  const title = `Checking ${unlinked(campaignName(campaign.fsPath), 60)}`;
  try {
    const reply = await cancellable(title, (signal) => services.work.checkPatiently(request, signal));
    if (reply !== undefined) services.diagnostics.publish(campaign, reply);
    return reply;
  } catch (error) {
    // Checks share a thread, and the newest of a campaign wins: the one before it gives up.
    if (error instanceof WorkerEnded || (error instanceof Error && error.name === "AbortError"))
      throw new HumanError("The check was ended by another one. Try again.");
    throw error;
  }
}

/** Shows `title` with a Cancel button while `work` goes on. Undefined as soon as the person cancels; `signal` tells the work. */
export async function cancellable<T>(title: string, work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
  return await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    async (_progress, token) => {
      const cancelled = new AbortController();
      const end = new Promise<undefined>((resolve) => {
        token.onCancellationRequested(() => {
          resolve(undefined);
          cancelled.abort();
        });
      });
      return await Promise.race([work(cancelled.signal), end]);
    },
  );
}

/**
 * Checks what is saved, after asking to save what is not: a run sends what stands on disk. `reply` is a check of the
 * editor's texts. Undefined when the person turned away.
 */
export async function checkSaved(
  services: Services,
  campaign: vscode.Uri,
  reply: CheckReply,
): Promise<CheckReply | undefined> {
  const unsaved = unsavedAmong(reply.files);
  if (unsaved.length === 0) return reply;
  const names = unsaved.map(({ uri }) => vscode.workspace.asRelativePath(uri)).join("\n");
  if (
    !(await services.dialogs.confirm("Save before sending?", `What is saved is sent. Not saved yet:\n${names}`, "Save"))
  ) {
    return undefined;
  }
  for (const document of unsaved) {
    if (!(await document.save()))
      throw new HumanError("A file of the campaign could not be saved. Save it, then send.");
  }
  return await check(services, campaign);
}

/** Stops here, with the Problems view open, when something keeps every message from being made. */
export async function hasBlockingProblems(
  services: Services,
  reply: CheckReply,
  tolerated: readonly string[] = [],
): Promise<boolean> {
  const blocking = reply.problems.filter(
    ({ severity, rowOnly, code }) => severity === "error" && rowOnly !== true && !tolerated.includes(code),
  );
  if (blocking.length === 0 && reply.counts !== undefined && reply.counts.mail > 0) return false;
  await vscode.commands.executeCommand("workbench.actions.view.problems");
  services.speak.warn(
    blocking.length === 0
      ? "Nothing was sent: nobody is left to mail. The Problems view says why."
      : `Nothing was sent: the campaign has ${String(blocking.length)} ${blocking.length === 1 ? "problem" : "problems"}. The Problems view lists them.`,
  );
  return true;
}

/** The account's secrets, as long as the settings still say what was resolved: compared right before they are used. */
export function secretsOf(
  services: Services,
  campaign: vscode.Uri | undefined,
  resolved: ResolvedAccount,
): SecretSource {
  const credentials = async (): Promise<Credentials> => {
    if (!(await services.accounts.stillHolds(campaign, resolved))) {
      throw new HumanError(
        "The account was changed in the meantime, so nothing was sent through it. Look at it, then send again.",
        {
          title: "Accounts",
          run: () => services.openAccounts(),
        },
      );
    }
    return resolved.credentials;
  };
  // An access token is handed out all through a run, and compared every time. Whoever asks for one must not be thrown at.
  const accessToken: SecretSource["accessToken"] = async (refused) =>
    (await services.accounts.endpointHolds(campaign, resolved).catch(() => false))
      ? await resolved.accessToken(refused)
      : { ok: false, failure: { ...ownFailures.accountChanged, stage: "auth" } };
  return { credentials, accessToken };
}

/** Says why an account cannot be used. */
export function refusal(
  services: Services,
  resolution: { readonly text: string; readonly detail: string },
): HumanError {
  if (resolution.detail !== "") services.log.warn(`${resolution.text} ${resolution.detail}`);
  return new HumanError(resolution.text, { title: "Accounts", run: () => services.openAccounts() });
}

/** Names an account's server in a question: plain text. */
export function serverOf({ account }: Pick<ResolvedAccount, "account">): string {
  const security = { starttls: "STARTTLS", tls: "TLS", none: "not encrypted" }[account.security];
  const unverified = account.security !== "none" && !account.tls.verify ? ", certificate not verified" : "";
  const user = account.auth === "none" ? "without signing in" : `as ${account.user}`;
  if (account.transport === "gmailApi") return `${account.id}: Gmail API, ${user}`;
  return `${account.id}: ${account.host}:${String(account.port)} (${security}${unverified}), ${user}`;
}

/** An account as a line to pick. */
export function accountChoice({ id, account }: AccountEntry): { label: string; description: string; id: string } {
  const place = account?.transport === "gmailApi" ? "Gmail API" : `${account?.host ?? ""}:${String(account?.port)}`;
  return { label: id, description: account === undefined ? "has problems" : place, id };
}

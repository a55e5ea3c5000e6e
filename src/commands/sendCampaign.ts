/** Send: check, ask once with every number, start. What the last run left behind decides what is asked. */
import * as path from "node:path";
import * as vscode from "vscode";
import type { ResolvedAccount } from "../accounts";
import { campaignName } from "../campaignFiles";
import { readPace } from "../config";
import { plainText, sandboxId } from "../mail/index";
import type { Account, Credentials, RunState, Target, Totals, World } from "../mail/index";
import { HumanError } from "../notify";
import type { CheckReply } from "../workerProtocol";
import { confirmation, machine } from "./confirmation";
import { check, checkSaved, hasBlockingProblems, refusal, requireTrust, secretOf, serverOf } from "./services";
import type { Services } from "./services";

/** Sends the campaign, resumes its interrupted run, or offers to send it again. */
export async function sendCampaign(services: Services, campaign: vscode.Uri): Promise<void> {
  requireTrust();
  refuseWhileActive(services, campaign);
  const reply = await check(services, campaign);
  if (reply === undefined) return;
  const last = await lastRun(services, reply, reply.campaign.account === sandboxId ? "sandbox" : "real");
  if (last?.state === "running") {
    throw new HumanError(
      "This campaign is being sent from another window or by the command line. Wait until it is done.",
    );
  }
  if (last?.state === "interrupted") {
    await resume(services, campaign, last);
    return;
  }
  // Without a run of its own, the file may have been sent under an id that it has lost since.
  const known = last ?? (await underAnotherId(services, campaign, reply));
  if (known !== undefined && !(await wantsAgain(services, campaign, known, reply.campaign.id))) return;
  await sendNew(services, campaign, reply, last, known);
}

/** Goes on with what was interrupted, or says that there is nothing to go on with. */
export async function resumeCampaign(services: Services, campaign: vscode.Uri): Promise<void> {
  requireTrust();
  refuseWhileActive(services, campaign);
  const reply = await check(services, campaign);
  if (reply === undefined) return;
  for (const world of ["real", "sandbox"] as const) {
    const last = await lastRun(services, reply, world);
    if (last?.state === "interrupted") {
      await resume(services, campaign, last);
      return;
    }
    if (last?.state === "running")
      throw new HumanError(
        "This campaign is still held by the process that was sending it. If that one has ended, try again in half a minute.",
      );
  }
  // Whoever finished it, the command line perhaps: the status bar need not offer it any more.
  services.task.stop(campaign.fsPath);
  throw new HumanError("There is no interrupted run of this campaign to resume.");
}

async function sendNew(
  services: Services,
  campaign: vscode.Uri,
  unsaved: CheckReply,
  last: RunState | undefined,
  known = last,
): Promise<void> {
  const reply = await checkSaved(services, campaign, unsaved);
  if (reply === undefined || (await hasBlockingProblems(services, reply))) return;
  const way = await wayOf(services, campaign, reply.campaign.account);
  if (way === undefined) return;
  const stateDirectory = services.stateDirectory();
  const question = confirmation({
    name: campaignName(campaign.fsPath),
    reply,
    server: way.server,
    pace: way.pace,
    stateDirectory,
    remoteName: vscode.env.remoteName,
    mailedBefore: known === undefined ? 0 : known.totals.accepted + known.totals.unknown,
  });
  if (!(await services.dialogs.confirm(question.message, question.detail, question.button))) return;
  await services.task.start({
    campaign,
    target: way.target,
    stateDirectory,
    pace: way.pace,
    total: reply.counts?.mail ?? 0,
    what: {
      kind: "new",
      request: await services.campaigns.request(campaign),
      fingerprint: reply.fingerprint,
      previousRunId: last?.plan.runId,
    },
    credentials: way.credentials,
  });
}

async function resume(services: Services, campaign: vscode.Uri, run: RunState): Promise<void> {
  const { plan, totals, changed } = run;
  const confirmed = plan.target.kind === "smtp" ? plan.target.account : undefined;
  const way = await wayOf(services, campaign, confirmed?.id ?? sandboxId);
  if (way === undefined) return;
  const name = plainText(campaignName(campaign.fsPath), 60);
  const lines = [
    way.server === undefined ? "Sandbox: nothing leaves this machine." : undefined,
    standing(totals),
    totals.unknown > 0 ? "Those in doubt may have got the message: they are not mailed again." : undefined,
    way.server === undefined ? undefined : `Through: ${plainText(way.server)}`,
    way.account !== undefined && confirmed !== undefined && differ(way.account, confirmed)
      ? `The account was changed since; it was ${plainText(serverOf({ account: confirmed }))}.`
      : undefined,
    `From this machine: ${machine(vscode.env.remoteName)}`,
    changed.length > 0
      ? `Changed since the run was confirmed: ${changed.map((file) => plainText(path.basename(file), 60)).join(", ")}. Resume goes on with the copy that was confirmed.`
      : undefined,
  ];
  const startNew = "Start a New Run…";
  const answer = await services.dialogs.choose(
    `Resume sending “${name}” to ${totals.pending.toLocaleString("en")} more?`,
    lines.filter((line) => line !== undefined).join("\n"),
    changed.length > 0 ? ["Resume", startNew] : ["Resume"],
  );
  if (answer === startNew) {
    await startOver(services, campaign, run);
    return;
  }
  if (answer !== "Resume") return;
  await services.task.start({
    campaign,
    target: way.target,
    stateDirectory: services.stateDirectory(),
    pace: way.pace,
    total: totals.accepted + totals.failed + totals.unknown + totals.skipped + totals.pending,
    what: { kind: "resume", campaignId: plan.campaignId, runId: plan.runId },
    credentials: way.credentials,
  });
}

/** A new run forgets who was mailed by the interrupted one: that is said twice. */
async function startOver(services: Services, campaign: vscode.Uri, run: RunState): Promise<void> {
  const reached = run.totals.accepted + run.totals.unknown;
  if (reached > 0) {
    const sure = await services.dialogs.confirm(
      `Mail ${reached.toLocaleString("en")} ${reached === 1 ? "person" : "people"} a second time?`,
      `${standing(run.totals)}\nA new run starts from the beginning with what the files say now. It does not leave out those who have the message already.`,
      "Start From the Beginning",
    );
    if (!sure) return;
  }
  const reply = await check(services, campaign);
  if (reply !== undefined) await sendNew(services, campaign, reply, run);
}

async function wantsAgain(
  services: Services,
  campaign: vscode.Uri,
  run: RunState,
  id: string | undefined,
): Promise<boolean> {
  const sandbox = run.plan.target.kind === "sandbox";
  const name = plainText(campaignName(campaign.fsPath), 60);
  const sendAgain = "Send Again to Everyone…";
  const openReport = "Open Report";
  const answer = await services.dialogs.choose(
    sandbox ? `“${name}” was sent into the sandbox already.` : `“${name}” was sent already.`,
    `${sandbox ? "Sandbox: nothing left this machine.\n" : ""}${standing(run.totals)}\n${lostId(run, id)}${addedSince(run)}Started ${run.plan.createdAt.slice(0, 16).replace("T", " ")} UTC.`,
    [openReport, sendAgain],
  );
  if (answer === openReport) {
    await services.reports.open(campaign.fsPath, run.plan.campaignId, sandbox ? "sandbox" : "real");
  }
  return answer === sendAgain;
}

/** Through what a campaign goes: target, pace and secret. */
interface Way {
  readonly target: Target;
  readonly pace: ReturnType<typeof readPace>;
  readonly account: Account | undefined;
  /** Undefined is the sandbox. */
  readonly server: string | undefined;
  readonly credentials: () => Promise<Credentials>;
}

/** Resolves an account; undefined when the person turned away from a question. Throws `HumanError`. */
export async function wayOf(services: Services, campaign: vscode.Uri, account: string): Promise<Way | undefined> {
  const resolution = await services.accounts.resolve(campaign, account);
  switch (resolution.kind) {
    case "sandbox":
      return sandboxWay(campaign);
    case "account":
      return accountWay(services, campaign, resolution);
    case "refused":
      throw refusal(services, resolution);
    case "cancelled":
      return undefined;
  }
}

/** The way into the sandbox. */
export function sandboxWay(campaign: vscode.Uri): Way {
  return {
    target: { kind: "sandbox" },
    pace: readPace(undefined, "user", campaign),
    account: undefined,
    server: undefined,
    credentials: () => Promise.resolve({}),
  };
}

function accountWay(services: Services, campaign: vscode.Uri, resolved: ResolvedAccount): Way {
  const { account, level, caSha256 } = resolved;
  return {
    target: { kind: "smtp", account, caSha256 },
    pace: readPace(account, level, campaign),
    account,
    server: serverOf(resolved),
    credentials: secretOf(services, campaign, resolved),
  };
}

async function underAnotherId(
  services: Services,
  campaign: vscode.Uri,
  { campaign: { id, account } }: CheckReply,
): Promise<RunState | undefined> {
  if (id === undefined || account === sandboxId) return undefined;
  const request = await services.campaigns.request(campaign);
  return await services.task.ask.request("underAnotherId", request, id, services.stateDirectory());
}

async function lastRun(services: Services, { campaign }: CheckReply, world: World): Promise<RunState | undefined> {
  if (campaign.id === undefined) return undefined;
  const stateDirectory = services.stateDirectory();
  return await services.task.ask.request("lastRun", { stateDirectory, campaignId: campaign.id, world });
}

function refuseWhileActive(services: Services, campaign: vscode.Uri): void {
  if (services.task.isActive(campaign.fsPath)) {
    throw new HumanError("This campaign is being sent already.", {
      title: "Pause",
      run: () => services.task.pause(campaign.fsPath),
    });
  }
}

/** What stands in the way of going on with a record: the file has another id than it was sent under. */
function lostId({ plan }: RunState, id: string | undefined): string {
  if (plan.campaignId === id) return "";
  return `That was under another id, ${plan.campaignId}: put it back into the file to go on with its record.\n`;
}

/** A list that grew after its run ended: who was added is not mailed by that run. */
function addedSince({ listChanged }: RunState): string {
  return listChanged ? "The list has changed since. Who was added to it has not been mailed.\n" : "";
}

/** `312 accepted, 1 failed, 2 in doubt, 185 left`. */
function standing({ accepted, failed, unknown, skipped, pending }: Totals): string {
  const parts: readonly (readonly [number, string])[] = [
    [failed, "failed"],
    [unknown, "in doubt"],
    [skipped, "skipped"],
    [pending, "left"],
  ];
  const others = parts.filter(([count]) => count > 0).map(([count, word]) => `${count.toLocaleString("en")} ${word}`);
  return [`${accepted.toLocaleString("en")} accepted`, ...others].join(", ");
}

function differ(now: Account, then: Account): boolean {
  return serverOf({ account: now }) !== serverOf({ account: then });
}

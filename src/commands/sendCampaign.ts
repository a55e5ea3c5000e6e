/** Send, Send At, Resume and Take Over: what the last run left behind decides what is asked. */
import type * as vscode from "vscode";
import { campaignName } from "../campaignFiles";
import { movedText, parseStart, plainText, sandboxId, worldOf } from "../mail/index";
import type { RunState, World } from "../mail/index";
import { HumanError } from "../notify";
import type { CheckReply } from "../workerProtocol";
import { mailedElsewhere } from "./receipt";
import { resume, takeOver } from "./resumeRun";
import { addedSince, lostId, standing } from "./runWords";
import { sendNew } from "./sendNew";
import { check, requireTrust } from "./services";
import type { Services } from "./services";

/** Sends the campaign, resumes its interrupted run, or offers to send it again. */
export async function sendCampaign(services: Services, campaign: vscode.Uri): Promise<void> {
  await sendWhen(services, campaign, () => Promise.resolve("now"));
}

/** Send, with a start that is asked for. */
export async function sendAt(services: Services, campaign: vscode.Uri): Promise<void> {
  await sendWhen(services, campaign, async () => {
    const text = await services.dialogs.askText({
      title: `Send ${plainText(campaignName(campaign.fsPath), 60)} At`,
      prompt: "When it is to start, on this machine's clock. VS Code must stay open until then.",
      placeholder: "10:40, or 2026-03-05 10:40",
      validate: (typed) => {
        const start = parseStart(typed, Date.now());
        return "problem" in start ? start.problem : undefined;
      },
    });
    if (text === undefined) return undefined;
    const start = parseStart(text, Date.now());
    if ("problem" in start) throw new HumanError(start.problem);
    return start.at;
  });
}

/** Goes on with what was interrupted, or says that there is nothing to go on with. */
export async function resumeCampaign(services: Services, campaign: vscode.Uri): Promise<void> {
  requireTrust();
  refuseWhileActive(services, campaign);
  const reply = await check(services, campaign);
  if (reply === undefined) return;
  const runs = await lastRuns(services, reply);
  for (const last of runs) {
    if (last.state === "moved") throw new HumanError(movedText(last.movedAt ?? ""));
    if (last.state === "interrupted") {
      if (
        worldOf(last.plan.target) === "real" &&
        (await knownElsewhere(services, campaign, last.plan.campaignId, last)) === undefined
      )
        return;
      await resume(services, campaign, last);
      return;
    }
    if (last.silent) {
      await takeOver(services, campaign, last);
      return;
    }
    if (last.state === "running")
      throw new HumanError(
        "This campaign is still held by the process that was sending it. If that one has ended, try again in half a minute.",
      );
  }
  // Whoever finished it, the command line perhaps: the status bar need not offer it any more.
  services.task.stop(campaign.fsPath);
  throw new HumanError("There is no interrupted run of this campaign to resume.");
}

/** Goes on with a run that a silent process holds; says why where there is none. */
export async function takeOverCampaign(services: Services, campaign: vscode.Uri): Promise<void> {
  requireTrust();
  refuseWhileActive(services, campaign);
  const reply = await check(services, campaign);
  if (reply === undefined) return;
  const runs = await lastRuns(services, reply);
  const silent = runs.find((run) => run.silent);
  if (silent !== undefined) {
    await takeOver(services, campaign, silent);
    return;
  }
  if (runs.some(({ state }) => state === "running"))
    throw new HumanError(
      "The process that sends this campaign is alive and at work. It can be taken over once it has not stirred for 30 seconds.",
    );
  throw new HumanError("Nobody holds this campaign, so there is nothing to take over. Send or resume it.");
}

async function sendWhen(
  services: Services,
  campaign: vscode.Uri,
  when: () => Promise<number | "now" | undefined>,
): Promise<void> {
  requireTrust();
  refuseWhileActive(services, campaign);
  const reply = await check(services, campaign);
  if (reply === undefined) return;
  const last = await lastRun(services, reply, reply.campaign.account === sandboxId ? "sandbox" : "real");
  if (last?.silent === true) {
    await takeOver(services, campaign, last);
    return;
  }
  if (last?.state === "running") {
    throw new HumanError(
      "This campaign is being sent from another window or by the command line. Wait until it is done.",
    );
  }
  if (last?.state === "moved") throw new HumanError(movedText(last.movedAt ?? ""));
  const elsewhere =
    reply.campaign.account === sandboxId ? 0 : await knownElsewhere(services, campaign, reply.campaign.id, last);
  if (elsewhere === undefined) return;
  const chosen = await when();
  if (chosen === undefined) return;
  const startAt = chosen === "now" ? undefined : chosen;
  if (last?.state === "interrupted") {
    await resume(services, campaign, last, { startAt });
    return;
  }
  // Without a run of its own, the file may have been sent under an id that it has lost since.
  const known = last ?? (await underAnotherId(services, campaign, reply));
  if (known !== undefined && !(await wantsAgain(services, campaign, known, reply.campaign.id))) return;
  const before = known === undefined ? 0 : known.totals.accepted + known.totals.unknown;
  await sendNew(services, campaign, { reply, last, mailedBefore: Math.max(before, elsewhere), startAt });
}

/** A real run of another machine, as its receipt tells of it: how many it mailed, undefined when the person turned away. */
async function knownElsewhere(
  services: Services,
  campaign: vscode.Uri,
  id: string | undefined,
  last: RunState | undefined,
): Promise<number | undefined> {
  const wayOn = last?.state === "interrupted" ? "Go On All the Same…" : "Start a New Run…";
  return await mailedElsewhere(services, campaign, id, wayOn);
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

async function underAnotherId(
  services: Services,
  campaign: vscode.Uri,
  { campaign: { id, account } }: CheckReply,
): Promise<RunState | undefined> {
  if (id === undefined || account === sandboxId) return undefined;
  const request = await services.campaigns.request(campaign);
  return await services.task.ask.request("underAnotherId", request, id, services.stateDirectory());
}

/** The last run in each world that has one, the real one first. */
async function lastRuns(services: Services, reply: CheckReply): Promise<readonly RunState[]> {
  const runs = [await lastRun(services, reply, "real"), await lastRun(services, reply, "sandbox")];
  return runs.filter((run) => run !== undefined);
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

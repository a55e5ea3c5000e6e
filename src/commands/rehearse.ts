/** Rehearse: the whole campaign into the sandbox, as fast as it goes. */
import type * as vscode from "vscode";
import type { RunEnd } from "../runView";
import { HumanError } from "../notify";
import { check, checkSaved, hasBlockingProblems, requireTrust } from "./services";
import type { Services } from "./services";
import { sandboxWay } from "./way";

/** Runs the campaign into the sandbox: from the beginning, or on from where an unchanged rehearsal was interrupted. */
export async function rehearse(services: Services, campaign: vscode.Uri): Promise<RunEnd | undefined> {
  requireTrust();
  if (services.task.isActive(campaign.fsPath)) {
    throw new HumanError("This campaign is running already. Pause it first, or wait for its end.");
  }
  const unsaved = await check(services, campaign);
  if (unsaved === undefined) return undefined;
  const reply = await checkSaved(services, campaign, unsaved);
  // A rehearsal needs no account: that one is missing does not stand in its way.
  if (reply === undefined || (await hasBlockingProblems(services, reply, ["account.unknown"]))) return undefined;
  const campaignId = reply.campaign.id ?? "";
  const stateDirectory = services.stateDirectory();
  const last = await services.task.ask.request("lastRun", { stateDirectory, campaignId, world: "sandbox" });
  if (last?.state === "running") throw new HumanError("This campaign is being rehearsed in another window.");
  const { target, pace, currentPace, secrets } = sandboxWay(campaign);
  return await services.task.start({
    campaign,
    target,
    stateDirectory,
    pace,
    currentPace,
    startAt: undefined,
    total: reply.counts?.mail ?? 0,
    what:
      last?.state === "interrupted" && last.changed.length === 0
        ? { kind: "resume", campaignId, runId: last.plan.runId, takeOver: false }
        : {
            kind: "new",
            request: await services.campaigns.request(campaign),
            fingerprint: reply.fingerprint,
            previousRunId: last?.plan.runId,
          },
    secrets,
  });
}

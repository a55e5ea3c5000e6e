/** The last runs of a campaign, for commands that decide about what is on record. */
import type * as vscode from "vscode";
import { movedText } from "../mail/index";
import type { RunState, World } from "../mail/index";
import { HumanError } from "../notify";
import type { RunName } from "../workerProtocol";
import type { Services } from "./services";

const neverSent = "This campaign has not been sent yet, so there is nothing on record. Rehearse it, or send it.";

/** The id of a campaign on disk. Throws `HumanError` where it has none, and so was never sent. */
export async function idOf(services: Services, campaign: vscode.Uri): Promise<string> {
  const id = await services.task.ask.request("idOf", campaign.fsPath);
  if (id === undefined) throw new HumanError(neverSent);
  return id;
}

/** The last run in each world that has one, the real one first. Throws `HumanError` where there is none. */
export async function lastRunsOf(services: Services, campaign: vscode.Uri): Promise<readonly RunState[]> {
  const campaignId = await idOf(services, campaign);
  const runs: RunState[] = [];
  for (const world of ["real", "sandbox"] satisfies World[]) {
    const run = await services.task.ask.request("lastRun", {
      stateDirectory: services.stateDirectory(),
      campaignId,
      world,
    });
    if (run !== undefined) runs.push(run);
  }
  if (runs.length === 0) throw new HumanError(neverSent);
  return runs;
}

/** Throws `HumanError` while somebody sends, or where another machine goes on with it. */
export function requireAtRest(services: Services, campaign: vscode.Uri, run: RunState): void {
  if (services.task.isActive(campaign.fsPath) || run.state === "running")
    throw new HumanError("This campaign is being sent. Pause it or wait for its end, then decide.");
  if (run.state === "moved") throw new HumanError(movedText(run.movedAt ?? ""));
}

/** What the worker calls a run. */
export function nameOf(services: Services, { plan }: RunState): RunName {
  return {
    stateDirectory: services.stateDirectory(),
    campaignId: plan.campaignId,
    world: plan.target.kind === "account" ? "real" : plan.target.kind,
    runId: plan.runId,
  };
}

/** Pause and Stop: of the run that is meant, or the only one. */
import * as vscode from "vscode";
import { isCampaign } from "../campaignFiles";
import { HumanError } from "../notify";
import type { RunView } from "../runView";
import type { Services } from "./services";

/** Takes nothing new; Resume goes on. */
export async function pause(services: Services, argument: unknown): Promise<void> {
  const run = await runOf(services, argument, (view) => view.phase !== "paused", "There is nothing to pause.");
  if (run !== undefined) services.task.pause(run.file);
}

/** Takes nothing new and puts the run out of the way; sending the campaign again goes on. */
export async function stop(services: Services, argument: unknown): Promise<void> {
  const run = await runOf(services, argument, () => true, "There is nothing to stop.");
  if (run !== undefined) services.task.stop(run.file);
}

/** The paused run that is meant, undefined when there is none or the person turned away. */
export async function pausedRun(services: Services, argument: unknown): Promise<vscode.Uri | undefined> {
  const run = await runOf(services, argument, (view) => view.phase === "paused", undefined);
  return run === undefined ? undefined : vscode.Uri.file(run.file);
}

async function runOf(
  services: Services,
  argument: unknown,
  wanted: (view: RunView) => boolean,
  none: string | undefined,
): Promise<RunView | undefined> {
  const runs = services.task.views.filter(wanted);
  if (argument instanceof vscode.Uri && isCampaign(argument)) {
    const meant = runs.find(({ file }) => file === argument.fsPath);
    if (meant !== undefined) return meant;
  } else if (runs.length > 1) {
    const picked = await services.dialogs.pick(
      "Run",
      "Which campaign?",
      runs.map((run) => ({ label: run.name, run })),
    );
    return picked?.run;
  } else if (runs[0] !== undefined) return runs[0];
  if (none !== undefined) throw new HumanError(none);
  return undefined;
}

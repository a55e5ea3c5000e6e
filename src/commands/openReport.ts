/** Open Report: who got the campaign's last run, from the journal. */
import type * as vscode from "vscode";
import { HumanError } from "../notify";
import type { Services } from "./services";

/** Opens the report of the campaign's newest run, rehearsals included. */
export async function openReport(services: Services, campaign: vscode.Uri): Promise<void> {
  const id = await services.task.ask.request("idOf", campaign.fsPath);
  const newest = id === undefined ? undefined : await services.reports.newest(id);
  if (id === undefined || newest === undefined) {
    throw new HumanError("This campaign has not been sent yet, so there is no report. Rehearse it, or send it.");
  }
  await services.reports.open(campaign.fsPath, id, newest.world);
}

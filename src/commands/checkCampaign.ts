/** Check: everything about the campaign, every row, however long the list. */
import * as vscode from "vscode";
import { campaignName } from "../campaignFiles";
import { unlinked } from "../notify";
import { check } from "./services";
import type { Services } from "./services";

/** Checks and shows what was found: problems in their view, else one line in the status bar for a moment. */
export async function checkCampaign(services: Services, campaign: vscode.Uri): Promise<void> {
  const reply = await check(services, campaign);
  if (reply === undefined) return;
  if (reply.problems.some(({ severity }) => severity !== "information")) {
    await vscode.commands.executeCommand("workbench.actions.view.problems");
    return;
  }
  const name = unlinked(campaignName(campaign.fsPath), 40);
  const count = (reply.counts?.mail ?? 0).toLocaleString("en");
  vscode.window.setStatusBarMessage(`$(check) ${name}: ${count} to mail, no problems`, 8_000);
}

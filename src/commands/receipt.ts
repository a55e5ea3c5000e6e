/** A receipt beside a campaign tells of a run that nobody here knows: whom it mailed, only its own machine can say. */
import type * as vscode from "vscode";
import { campaignName } from "../campaignFiles";
import { plainText } from "../mail/index";
import { importJournal } from "./records";
import type { Services } from "./services";

const importIt = "Import Journal…";

/**
 * How many people a run of another machine mailed: 0 without such a run, undefined when the person turned away. `allTheSame` names
 * the way on without its journal.
 */
export async function mailedElsewhere(
  services: Services,
  campaign: vscode.Uri,
  campaignId: string | undefined,
  allTheSame: "Start a New Run…" | "Go On All the Same…",
): Promise<number | undefined> {
  if (campaignId === undefined) return 0;
  const receipt = await services.task.ask.request("receipt", services.stateDirectory(), campaign.fsPath, campaignId);
  if (receipt === undefined) return 0;
  const answer = await services.dialogs.choose(
    `“${plainText(campaignName(campaign.fsPath), 60)}” was sent from another machine.`,
    `${receipt.text}\nWithout that journal, whoever has the message already is mailed a second time.`,
    [importIt, allTheSame],
  );
  if (answer === importIt) await importJournal(services, campaign);
  return answer === allTheSame ? receipt.mailed : undefined;
}

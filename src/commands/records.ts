/** What is on record of a campaign: exported, imported, deleted. Nothing here sends. */
import * as path from "node:path";
import * as vscode from "vscode";
import { campaignName } from "../campaignFiles";
import { deletionWarning, plainText } from "../mail/index";
import type { Place } from "../mail/index";
import { HumanError, unlinked } from "../notify";
import { showAnew } from "./decide";
import { idOf, lastRunsOf, nameOf } from "./lastRuns";
import { standing } from "./runWords";
import type { Services } from "./services";

const journalTypes = { "Bulk Mail journal": ["bulkmail"] };

/** Writes the report of the newest run as a table for spreadsheets or programs. */
export async function exportReport(services: Services, campaign: vscode.Uri): Promise<void> {
  const runs = await lastRunsOf(services, campaign);
  const [newest] = runs.toSorted((a, b) => (a.plan.createdAt < b.plan.createdAt ? 1 : -1));
  if (newest === undefined) return;
  const file = await services.dialogs.saveFile("Export Report", beside(campaign, "report.csv"), {
    CSV: ["csv"],
    JSON: ["json"],
    Text: ["txt"],
  });
  if (file === undefined) return;
  await services.task.ask.request("exportReport", nameOf(services, newest), formatOf(file), file);
  tell(`Report exported to ${path.basename(file)}. It holds addresses`);
}

/** Writes the rows of the last run's list that failed into a list of their own, to be mended and sent again. */
export async function exportFailedRows(services: Services, campaign: vscode.Uri): Promise<void> {
  const run = (await lastRunsOf(services, campaign)).find(({ totals }) => totals.failed > 0);
  if (run === undefined) throw new HumanError("Nobody failed in the last run: there are no rows to export.");
  const file = await services.dialogs.saveFile("Export Failed Rows", beside(campaign, "failed.csv"), { CSV: ["csv"] });
  if (file === undefined) return;
  await services.task.ask.request("exportFailedRows", nameOf(services, run), file);
  tell(`Failed rows exported to ${path.basename(file)}. It holds addresses`);
}

/** Writes everything on record into a file for another machine; an unfinished run moves there, after a question. */
export async function exportJournal(services: Services, campaign: vscode.Uri): Promise<void> {
  const run = (await lastRunsOf(services, campaign)).find(({ plan }) => plan.target.kind === "account");
  if (run === undefined)
    throw new HumanError("This campaign was rehearsed only: there is no journal to carry anywhere.");
  if (services.task.isActive(campaign.fsPath) || run.state === "running")
    throw new HumanError("This campaign is being sent. Pause it or wait for its end, then export.");
  const handOver = run.state !== "finished";
  if (handOver) {
    const agreed = await services.dialogs.confirm(
      `Hand “${plainText(campaignName(campaign.fsPath), 60)}” over to another machine?`,
      `Its last run is not finished: ${standing(run.totals)}.\nFrom then on only the machine that imports it goes on with it. This one does not, until it is imported here again: so nobody is mailed by both.`,
      "Hand Over…",
    );
    if (!agreed) return;
  }
  const file = await services.dialogs.saveFile("Export Journal", beside(campaign, "journal.bulkmail"), journalTypes);
  if (file === undefined) return;
  await services.task.ask.request("exportJournal", nameOf(services, run), handOver, file);
  if (handOver) await showAnew(services, campaign);
  tell(`Journal exported to ${path.basename(file)}. It holds addresses: keep it private`);
}

/** Takes over what another machine exported; for a campaign that is given, else for the one whose journal it is. */
export async function importJournal(services: Services, argument: unknown): Promise<void> {
  const archive = await services.dialogs.openFile("Import Journal", journalTypes);
  if (archive === undefined) return;
  const campaigns = await services.campaigns.list();
  const files = campaigns.map(({ fsPath }) => fsPath);
  const { campaignFile } = await services.task.ask.request("describeArchive", archive, files);
  const campaign =
    campaigns.find(({ fsPath }) => fsPath === campaignFile) ??
    (argument instanceof vscode.Uri && files.includes(argument.fsPath) ? argument : undefined);
  const place: Place | undefined =
    campaign === undefined
      ? undefined
      : { campaignFile: campaign.fsPath, root: (await services.campaigns.request(campaign)).root };
  const { runs } = await services.task.ask.request("importJournal", services.stateDirectory(), archive, place);
  // What goes on here now is offered where interrupted runs are, and nowhere else.
  if (campaign !== undefined) await showAnew(services, campaign);
  tell(runs === 0 ? "Everything in this journal was on record already" : `${count(runs, "run")} imported`);
}

/** Deletes everything on record of a campaign, after a question that says what is lost. */
export async function deleteHistory(services: Services, campaign: vscode.Uri): Promise<void> {
  const campaignId = await idOf(services, campaign);
  const runs = await lastRunsOf(services, campaign);
  if (services.task.isActive(campaign.fsPath) || runs.some(({ state }) => state === "running"))
    throw new HumanError("This campaign is being sent. Stop it, then delete its history.");
  const lines = runs.map(
    ({ plan, totals }) => `${plan.target.kind === "account" ? "Last run" : "Last rehearsal"}: ${standing(totals)}.`,
  );
  const agreed = await services.dialogs.confirm(
    `Delete the history of “${plainText(campaignName(campaign.fsPath), 60)}”?`,
    `${lines.join("\n")}\nAll of its runs, reports and rehearsals are deleted. ${deletionWarning}`,
    "Delete History",
  );
  if (!agreed) return;
  const deleted = await services.task.ask.request("forget", services.stateDirectory(), campaignId);
  await showAnew(services, campaign);
  tell(`${count(deleted.length, "run")} deleted`);
}

function beside(campaign: vscode.Uri, end: string): vscode.Uri {
  return vscode.Uri.joinPath(campaign, "..", `${campaignName(campaign.fsPath)}.${end}`);
}

function formatOf(file: string): "table" | "csv" | "json" {
  switch (path.extname(file).toLowerCase()) {
    case ".json":
      return "json";
    case ".txt":
      return "table";
    default:
      return "csv";
  }
}

/** For a moment in the status bar: who asked for it need not be told by a toast. */
function tell(text: string): void {
  vscode.window.setStatusBarMessage(`$(check) ${unlinked(text)}`, 8_000);
}

function count(amount: number, noun: string): string {
  return `${amount.toLocaleString("en")} ${noun}${amount === 1 ? "" : "s"}`;
}

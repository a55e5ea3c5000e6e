/** The worker's records: decisions about recipients, exports, imports, deletion. Pure adapters around the core. */
import { open, readFile, rename, rm, writeFile } from "node:fs/promises";
import {
  applyRetention,
  archivedCampaign,
  deleteHistory,
  exportHistory,
  exportRows,
  formatReport,
  importHistory,
  lastRun,
  openReport,
  PlanError,
  receiptText,
  receiptWithoutJournal,
  resolveRecipients,
  systemClock,
  unknownRecipients,
} from "./mail/index";
import type { CampaignIds, Imported, PastRun, Place, Plan, Resolution, UnknownRecipient } from "./mail/index";
import type { ArchiveReply, ReceiptReply, RunAddress, RunName } from "./workerProtocol";

/** Writes a person's decision into the run's journal. */
export async function resolve(
  run: RunName,
  which: readonly string[] | "failed",
  as: "sent" | "retry",
): Promise<Resolution> {
  return await resolveRecipients(await planOf(run), which, as, systemClock);
}

/** Everybody of a run who may have the message. */
export async function unknown(run: RunName): Promise<readonly UnknownRecipient[]> {
  return await unknownRecipients(await planOf(run));
}

/** Writes the report of the last run into a file. */
export async function exportReport(address: RunAddress, format: "table" | "csv" | "json", file: string): Promise<void> {
  const plan = await lastPlanOf(address);
  await write(file, async () => formatReport(await openReport(plan), format));
}

/** Writes the rows that failed, or could not be mailed, into a list of their own. */
export async function exportFailedRows(run: RunName, file: string): Promise<void> {
  const plan = await planOf(run);
  await write(file, () => Promise.resolve(exportRows(plan, ["failed"])));
}

/** Writes everything on record of a campaign's real runs into a file. */
export async function exportJournal(address: RunAddress, handOver: boolean, file: string): Promise<void> {
  const plan = await lastPlanOf(address);
  await write(file, () => exportHistory(plan, { handOver }, systemClock));
}

/** Whose journal an archive is, and which of `files` is that campaign. */
export async function describeArchive(
  archive: string,
  files: readonly string[],
  ids: CampaignIds,
): Promise<ArchiveReply> {
  const campaignId = archivedCampaign(await readFile(archive));
  return { campaignId, campaignFile: (await ids.among(files)).get(campaignId) };
}

/** Takes over what another machine exported. */
export async function importJournal(
  stateDirectory: string,
  archive: string,
  place: Place | undefined,
): Promise<Imported> {
  return await importHistory(stateDirectory, await readFile(archive), systemClock, place);
}

/** Deletes all records of a campaign. */
export async function forget(stateDirectory: string, campaignId: string): Promise<readonly PastRun[]> {
  return await deleteHistory(stateDirectory, campaignId, systemClock);
}

/** Deletes the finished runs that are older than so many days; how many. */
export async function forgetOld(stateDirectory: string, days: number): Promise<number> {
  return (await applyRetention(stateDirectory, days, systemClock)).length;
}

/** The receipt of a run that is not on record here. */
export async function receiptOf(
  stateDirectory: string,
  campaignFile: string,
  campaignId: string,
): Promise<ReceiptReply | undefined> {
  const receipt = await receiptWithoutJournal(stateDirectory, campaignFile, campaignId);
  if (receipt === undefined) return undefined;
  const { accepted, unknown: doubt } = receipt.counts;
  return { machine: receipt.machine, text: receiptText(receipt), mailed: accepted + doubt };
}

async function lastPlanOf({ stateDirectory, campaignId, world }: RunAddress): Promise<Plan> {
  const last = await lastRun(stateDirectory, campaignId, world);
  if (last === undefined) throw new PlanError("This campaign has not been sent yet.");
  return last.plan;
}

/** The run that the person looked at: a decision about another one would hit the wrong people. */
async function planOf(run: RunName): Promise<Plan> {
  const plan = await lastPlanOf(run);
  if (plan.runId !== run.runId)
    throw new PlanError("Another run of this campaign was started meanwhile. Look at its report, then decide again.");
  return plan;
}

/**
 * Writes a file in one step, readable for this user alone. The place is tried before the content is made: a run must not be handed
 * over into a file that cannot be written.
 */
async function write(file: string, content: () => Promise<Buffer | AsyncIterable<string | Buffer>>): Promise<void> {
  const draft = `${file}.new`;
  try {
    const handle = await open(draft, "w", 0o600);
    try {
      await writeFile(handle, await content());
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    const { code } = error as NodeJS.ErrnoException;
    // Named like the core's own sentences, so that it is told as it stands.
    if (typeof code === "string") throw new PlanError(`The file cannot be written (${code}). Choose another place.`);
    throw error;
  }
}

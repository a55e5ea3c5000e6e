/**
 * The receipt of a real run, `.bulk-mail/ID.json` beside its campaign: it travels with the campaign where the journal does not, so
 * that whoever sends from another machine hears of the run. It holds no address and no content, and may be committed.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import * as path from "node:path";
import * as v from "valibot";
import { isBelow, syncDirectory } from "./files";
import { PlanError, runNames, worldOf, type Plan, type Totals } from "./plan";
import type { Clock, Ports } from "./ports";
import { plainText } from "./problems";
import type { Ending } from "./sender";
import { campaignDirectory, isCampaignId } from "./stateDirectory";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const receiptSchema = v.object({
  version: v.pipe(v.number(), v.integer()),
  campaignId: v.string(),
  runId: v.pipe(v.string(), v.uuid()),
  /** Name of the machine that sent. */
  machine: v.string(),
  /** ISO 8601: when the run was confirmed, and when this was written. */
  startedAt: v.pipe(v.string(), v.isoTimestamp()),
  updatedAt: v.pipe(v.string(), v.isoTimestamp()),
  /** `sending` stands in it, too, when the machine died. */
  state: v.picklist(["sending", "stopped", "finished"]),
  counts: v.object({ accepted: count, failed: count, unknown: count, pending: count, skipped: count }),
});

/** A run as its receipt tells it. */
export type Receipt = Readonly<v.InferOutput<typeof receiptSchema>>;

/** A receipt is a few hundred bytes; more than this is something else. */
const longest = 64 * 1024;

/**
 * Failures to write that do not keep a run from starting: the folder is read-only, not ours, or gone since the run was confirmed.
 * Nobody can commit from there, and the journal protects this machine all the same; whoever could not go on with a run because of
 * it would begin a new one, which mails people twice. Everything else (a full or broken disk, a link that leads out) can be mended, and the
 * run waits for that: without its receipt, another machine would not hear of it.
 */
const tolerated: ReadonlySet<string> = new Set(["EROFS", "EACCES", "EPERM", "ENOENT"]);

/** Keeps the receipt of one stretch of a run; does nothing for rehearsals and dry runs. */
export interface OpenReceipt {
  /** Before the first message. Throws `PlanError` when it must be written and cannot be. */
  begin(totals: Totals): Promise<void>;
  /** When the run has come to rest. Never throws. */
  end(ending: Ending, totals: Totals): Promise<void>;
}

/** The receipt of a run that is about to be sent. */
export function openReceipt(plan: Plan, { clock, logger }: Pick<Ports, "clock" | "logger">): OpenReceipt {
  if (worldOf(plan.target) !== "real") return { begin: () => Promise.resolve(), end: () => Promise.resolve() };
  const warn = (error: unknown): void =>
    logger.warn(
      `The receipt beside the campaign cannot be written: ${reasonOf(error)}. Another machine will not hear of this run.`,
    );
  let begun = false;
  return {
    begin: async (totals) => {
      begun = true;
      try {
        await writeReceipt(plan, "sending", totals, clock);
      } catch (error) {
        if (error instanceof PlanError) throw error;
        if (!tolerated.has((error as NodeJS.ErrnoException).code ?? ""))
          throw new PlanError(
            `The receipt ${receiptFile(plan.campaignFile, plan.campaignId)} cannot be written (${reasonOf(error)}), so nothing was sent. Mend that, then send again.`,
          );
        warn(error);
      }
    },
    end: async ({ kind }, totals) => {
      if (begun) await writeReceipt(plan, kind === "finished" ? "finished" : "stopped", totals, clock).catch(warn);
    },
  };
}

/** Writes the receipt in one step; on disk when it resolves. Throws `PlanError` when it would lie outside the root, else what the disk says. */
export async function writeReceipt(plan: Plan, state: Receipt["state"], totals: Totals, clock: Clock): Promise<void> {
  const { campaignId, campaignFile, runId } = plan;
  const file = receiptFile(campaignFile, campaignId);
  const directory = path.dirname(file);
  await mkdir(directory).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  });
  const [root, real] = await Promise.all([realpath(plan.root), realpath(directory)]);
  if (!isBelow(root, real))
    throw new PlanError(
      `The folder ${directory} leads out of ${root}, so no receipt is written into it and nothing was sent. Remove the link, then send again.`,
    );
  const { accepted, failed, unknown, pending, skipped } = totals;
  const receipt: Receipt = {
    version: 1,
    campaignId,
    runId,
    machine: hostname(),
    startedAt: plan.createdAt,
    updatedAt: new Date(clock.now()).toISOString(),
    state,
    counts: { accepted, failed, unknown, pending, skipped },
  };
  const temporary = path.join(real, `.${campaignId}.${randomUUID()}`);
  try {
    const handle = await open(temporary, "wx", 0o644);
    try {
      await handle.writeFile(`${JSON.stringify(receipt, undefined, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    // A link in its place is replaced, never followed.
    await rename(temporary, path.join(real, path.basename(file)));
    await syncDirectory(real);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

/** The receipt beside a campaign, or undefined when there is none. Throws `PlanError` for one that cannot be understood. */
export async function readReceipt(campaignFile: string, campaignId: string): Promise<Receipt | undefined> {
  if (!isCampaignId(campaignId)) return undefined;
  const file = receiptFile(campaignFile, campaignId);
  try {
    const about = await stat(file);
    if (!about.isFile() || about.size > longest) throw new Error("no receipt");
    const receipt = v.parse(receiptSchema, JSON.parse(await readFile(file, "utf8")));
    if (receipt.campaignId !== campaignId) throw new Error("another campaign's");
    return { ...receipt, machine: plainText(receipt.machine, 100) };
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    // It stands for people who were mailed: to take it for none would mail them again.
    throw new PlanError(
      `The receipt ${file} cannot be read, so who sent this campaign before is not certain. Restore it, or delete it if nobody did.`,
    );
  }
}

/** The receipt of a run that this state directory knows nothing of: then nobody here knows who was mailed. Throws as `readReceipt`. */
export async function receiptWithoutJournal(
  stateDirectory: string,
  campaignFile: string,
  campaignId: string,
): Promise<Receipt | undefined> {
  const receipt = await readReceipt(campaignFile, campaignId);
  if (receipt === undefined) return undefined;
  const runs = await runNames(campaignDirectory(stateDirectory, campaignId, "real"));
  return runs.some((name) => name.slice(5) === receipt.runId) ? undefined : receipt;
}

/** What a receipt without its journal means, and what to do: `Sent from HOST on DATE: 478 accepted. …`. */
export function receiptText({ machine, startedAt, counts }: Receipt): string {
  const { accepted, unknown, pending } = counts;
  const parts = [
    `${String(accepted)} accepted`,
    ...(unknown > 0 ? [`${String(unknown)} unknown`] : []),
    ...(pending > 0 ? [`${String(pending)} still to go`] : []),
  ];
  return `Sent from ${machine} on ${startedAt.slice(0, 10)}: ${parts.join(", ")}. Import its journal, or start a new run.`;
}

/** Beside the campaign. The id is a UUID: no name is made from other text. */
function receiptFile(campaignFile: string, campaignId: string): string {
  return path.join(path.dirname(campaignFile), ".bulk-mail", `${campaignId}.json`);
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error instanceof Error ? error.message : String(error));
}

/** `report`: what is on record of the last run. */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  exportRows,
  formatReport,
  lastRun,
  openReport,
  plainText,
  readCampaign,
  type RunState,
  type World,
} from "../mail/index";
import type { Context } from "./context";
import { exit, Refusal, type Flags } from "./usage";

/** Prints the report of the last run: of the real one if there was any, else of the sandbox, else of the dry run. */
export async function report(context: Context, flags: Flags): Promise<number> {
  const format = flags.format ?? "table";
  if (format !== "table" && format !== "csv" && format !== "json")
    throw new Refusal("--format takes table, csv or json.");
  const { plan, totals } = await findRun(
    context,
    flags.account === "sandbox" ? ["sandbox"] : ["real", "sandbox", "outbox"],
    true,
  );
  if (flags.rows !== undefined) {
    await print(exportRows(plan, wantedRows(flags.rows)));
    return exit.ok;
  }
  const opened = await openReport(plan);
  // A table says it itself; a program that reads the rest gets the rows alone.
  if (opened.note !== undefined && format !== "table") process.stderr.write(`${plainText(opened.note, 500)}\n`);
  await print(formatReport(opened, format));
  return totals.failed + totals.unknown > 0 ? exit.problems : exit.ok;
}

/** The outcomes after `--rows`. */
function wantedRows(text: string): readonly ("failed" | "unknown" | "pending")[] {
  const words = text.split(",").map((word) => word.trim());
  const known = (["failed", "unknown", "pending"] as const).filter((word) => words.includes(word));
  if (known.length !== new Set(words).size) throw new Refusal("--rows takes failed, unknown and pending, with commas.");
  return known;
}

/** Writes to stdout as fast as it is read; whoever has read enough (`| head`) may close it. */
async function print(chunks: AsyncIterable<string | Buffer>): Promise<void> {
  await pipeline(Readable.from(chunks), process.stdout, { end: false }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
  });
}

/** The last run of the campaign in the first world that has one. Throws `Refusal` when there is none. */
export async function findRun(context: Context, worlds: readonly World[], tolerant = false): Promise<RunState> {
  const { id } = await readCampaign(context.files, context.file);
  if (id === undefined) throw new Refusal("The campaign has no id, so it was never sent.", exit.problems);
  for (const world of worlds) {
    const run = await lastRun(context.stateDirectory, id, world, { tolerant });
    if (run !== undefined) return run;
  }
  throw new Refusal("This campaign was never sent.", exit.problems);
}

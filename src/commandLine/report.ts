/** `report`: what is on record of the last run. */
import { formatReport, lastRun, readCampaign, readReport, type RunState, type World } from "../mail/index";
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
  );
  process.stdout.write(formatReport(await readReport(plan), format));
  return totals.failed + totals.unknown > 0 ? exit.problems : exit.ok;
}

/** The last run of the campaign in the first world that has one. Throws `Refusal` when there is none. */
export async function findRun(context: Context, worlds: readonly World[]): Promise<RunState> {
  const { id } = await readCampaign(context.files, context.file);
  if (id === undefined) throw new Refusal("The campaign has no id, so it was never sent.", exit.problems);
  for (const world of worlds) {
    const run = await lastRun(context.stateDirectory, id, world);
    if (run !== undefined) return run;
  }
  throw new Refusal("This campaign was never sent.", exit.problems);
}

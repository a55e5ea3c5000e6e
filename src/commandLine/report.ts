/** `report` and `journal`: what is on record, and carrying it to another machine. */
import { readFile, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  exportHistory,
  formatReport,
  importHistory,
  lastRun,
  openReport,
  plainText,
  readCampaign,
  systemClock,
  type RunState,
  type World,
} from "../mail/index";
import { stateDirectoryOf, type Context } from "./context";
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
  const opened = await openReport(plan);
  // A table says it itself; a program that reads the rest gets the rows alone.
  if (opened.note !== undefined && format !== "table") process.stderr.write(`${plainText(opened.note, 500)}\n`);
  await print(formatReport(opened, format));
  return totals.failed + totals.unknown > 0 ? exit.problems : exit.ok;
}

/** Writes everything that is known of the campaign's real runs into one file. */
export async function exportJournal(context: Context, flags: Flags): Promise<number> {
  if (flags.out === undefined) throw new Refusal("Name the file to write: --out ARCHIVE.");
  const { plan, state } = await findRun(context, ["real"]);
  // Two machines that go on with the same run would both mail the rest.
  if (state !== "finished")
    throw new Refusal("The last run is not finished. Finish it here, then export.", exit.paused);
  await writeFile(flags.out, await exportHistory(plan), { mode: 0o600, flag: "wx" }).catch((error: unknown) => {
    throw new Refusal(
      `${path.resolve(String(flags.out))} cannot be written: ${String((error as NodeJS.ErrnoException).code)}.`,
    );
  });
  process.stdout.write(`Exported to ${path.resolve(flags.out)}. It holds addresses: keep it private.\n`);
  return exit.ok;
}

/** Takes over what another machine exported. */
export async function importJournal(archive: string | undefined, flags: Flags): Promise<number> {
  if (archive === undefined) throw new Refusal("Name the archive, such as bulk-mail journal import spring.journal.");
  const bytes = await readFile(archive).catch(() => {
    throw new Refusal(`${path.resolve(archive)} cannot be read.`);
  });
  const { runs } = await importHistory(stateDirectoryOf(flags), bytes, systemClock);
  process.stdout.write(`Imported ${String(runs)} ${runs === 1 ? "run" : "runs"}.\n`);
  return exit.ok;
}

/** Writes to stdout as fast as it is read; whoever has read enough (`| head`) may close it. */
async function print(chunks: AsyncIterable<string>): Promise<void> {
  await pipeline(Readable.from(chunks), process.stdout, { end: false }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
  });
}

async function findRun(context: Context, worlds: readonly World[], tolerant = false): Promise<RunState> {
  const { id } = await readCampaign(context.files, context.file);
  if (id === undefined) throw new Refusal("The campaign has no id, so it was never sent.", exit.problems);
  for (const world of worlds) {
    const run = await lastRun(context.stateDirectory, id, world, { tolerant });
    if (run !== undefined) return run;
  }
  throw new Refusal("This campaign was never sent.", exit.problems);
}

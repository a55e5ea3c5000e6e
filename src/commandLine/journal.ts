/** `journal`: carries the record of a campaign to another machine, or deletes it. */
import { readFile, rm, writeFile } from "node:fs/promises";
import * as path from "node:path";
import {
  archivedCampaign,
  deleteHistory,
  deletionWarning,
  exportHistory,
  importHistory,
  plainText,
  readCampaign,
  systemClock,
  type Place,
} from "../mail/index";
import { isConfirmed } from "./confirm";
import { openAccountContext, openContext, type Context } from "./context";
import { otherCampaigns } from "./otherCampaigns";
import { findRun } from "./report";
import { exit, Refusal, type Flags } from "./usage";

/** Writes everything that is known of the campaign's real runs into one file. */
export async function exportJournal(context: Context, flags: Flags): Promise<number> {
  if (flags.out === undefined) throw new Refusal("Name the file to write: --out ARCHIVE.");
  const { plan, state } = await findRun(context, ["real"]);
  const handOver = flags["hand-over"] === true && state !== "finished";
  // Two machines that go on with the same run would both mail the rest.
  if (state !== "finished" && !handOver)
    throw new Refusal(
      "The last run is not finished. Finish it here, then export; or add --hand-over, and go on with it on the other machine only.",
      exit.paused,
    );
  const file = path.resolve(flags.out);
  // The file is made before the run is given away: one that cannot be written must not leave the run with nobody.
  await write(file, "");
  try {
    await write(file, await exportHistory(plan, { handOver }, systemClock), "r+");
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
  process.stdout.write(
    `Exported to ${file}. It holds addresses: keep it private.\n${
      handOver
        ? "The run is handed over: this machine does not go on with it. Import it on one other machine, or here again.\n"
        : ""
    }`,
  );
  return exit.ok;
}

/** Takes over what another machine exported. */
export async function importJournal(
  archive: string | undefined,
  campaign: string | undefined,
  flags: Flags,
): Promise<number> {
  if (archive === undefined) throw new Refusal("Name the archive, such as bulk-mail journal import spring.journal.");
  const bytes = await readFile(archive).catch(() => {
    throw new Refusal(`${path.resolve(archive)} cannot be read.`);
  });
  const context =
    campaign === undefined ? openAccountContext(flags, process.cwd()) : await openContext(campaign, flags);
  const place =
    campaign === undefined
      ? await findPlace(bytes, context.root)
      : { campaignFile: path.resolve(campaign), root: context.root };
  const { runs, goesOn } = await importHistory(context.stateDirectory, bytes, systemClock, place);
  process.stdout.write(
    `Imported ${String(runs)} ${runs === 1 ? "run" : "runs"}.\n${
      goesOn
        ? "The last run is not finished: send the campaign to go on with it, on this machine and on no other.\n"
        : ""
    }`,
  );
  return exit.ok;
}

/** Deletes everything on record of the campaign, after a yes. */
export async function deleteJournal(context: Context, flags: Flags): Promise<number> {
  const { id } = await readCampaign(context.files, context.file);
  if (id === undefined) throw new Refusal("The campaign has no id, so there is no record of it.", exit.problems);
  if (flags.yes !== true) {
    process.stderr.write(`Delete the history of ${plainText(path.basename(context.file))}? ${deletionWarning}\n`);
    if (!process.stdin.isTTY) throw new Refusal("Nothing was deleted. Confirm with --yes.");
    if (!(await isConfirmed("Type yes to delete: "))) throw new Refusal("Nothing was deleted.", exit.cancelled);
  }
  const removed = await deleteHistory(context.stateDirectory, id, systemClock);
  const accepted = removed
    .filter(({ world }) => world === "real")
    .reduce((sum, { totals }) => sum + totals.accepted, 0);
  process.stdout.write(
    `Deleted ${String(removed.length)} ${removed.length === 1 ? "run" : "runs"}.\n${
      accepted === 0 ? "" : `${String(accepted)} had got a message. ${deletionWarning}\n`
    }`,
  );
  return exit.ok;
}

/** The campaign of an archive below the root, by its id. */
async function findPlace(archive: Buffer, root: string): Promise<Place | undefined> {
  const campaignFile = (await otherCampaigns(root, "")).get(archivedCampaign(archive));
  return campaignFile === undefined ? undefined : { campaignFile, root };
}

async function write(file: string, content: Buffer | string, flag: "wx" | "r+" = "wx"): Promise<void> {
  await writeFile(file, content, { mode: 0o600, flag, flush: true }).catch((error: unknown) => {
    throw new Refusal(`${file} cannot be written: ${String((error as NodeJS.ErrnoException).code)}.`);
  });
}

/** A campaign's runs as one file, to be carried to another machine: without them, that machine would mail everybody again. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import * as v from "valibot";
import { syncDirectory } from "./files";
import { readHistory } from "./journal";
import { acquireLock } from "./lock";
import { PlanError, readPlan, type Plan } from "./plan";
import type { Clock } from "./ports";
import { campaignDirectory, makePrivateDirectory } from "./stateDirectory";

const runName = v.pipe(v.string(), v.regex(/^\d{4}-[0-9a-f-]{36}$/));
const fileName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,80}$/));

const archiveSchema = v.strictObject({
  format: v.literal("bulk-mail-history"),
  version: v.literal(1),
  campaignId: v.pipe(v.string(), v.uuid()),
  sha256: v.string(),
  /** Run → file → content in base64. */
  runs: v.record(runName, v.record(fileName, v.string())),
});

/** Everything on record of the campaign of `plan`, compressed. It holds addresses and contents, no secret. */
export async function exportHistory(plan: Plan): Promise<Buffer> {
  const home = path.dirname(plan.directory);
  const runs: Record<string, Record<string, string>> = {};
  for (const run of (await readdir(home)).filter((name) => v.is(runName, name))) {
    const files: Record<string, string> = {};
    for (const file of (await readdir(path.join(home, run))).filter((name) => v.is(fileName, name)))
      files[file] = (await readFile(path.join(home, run, file))).toString("base64");
    runs[run] = files;
  }
  const { campaignId } = plan;
  const archive = { format: "bulk-mail-history", version: 1, campaignId, sha256: digest(runs), runs };
  return gzipSync(JSON.stringify(archive));
}

/**
 * Adds the runs of an archive to the state directory. A run that is here already stays as it is: two machines' records of
 * one run are never mixed. Throws `PlanError` when the archive is damaged.
 */
export async function importHistory(
  stateDirectory: string,
  archive: Buffer,
  clock: Clock,
): Promise<{ readonly runs: number }> {
  let parsed: v.InferOutput<typeof archiveSchema>;
  try {
    parsed = v.parse(archiveSchema, JSON.parse(gunzipSync(archive).toString("utf8")));
  } catch {
    throw new PlanError("This is no exported journal, or it is damaged. Export it again.");
  }
  if (digest(parsed.runs) !== parsed.sha256) throw new PlanError("The exported journal is damaged. Export it again.");
  const home = campaignDirectory(stateDirectory, parsed.campaignId.toLowerCase(), "real");
  await makePrivateDirectory(home);
  const lock = await acquireLock(home, clock, { takeOver: false, atLeast: 1 });
  if (lock.kind === "busy") throw new PlanError("This campaign is being sent right now. Import when it is done.");
  try {
    return { runs: await addRuns(home, parsed) };
  } finally {
    await lock.release();
  }
}

/** Adds the runs that are not there yet; how many. The newest one must be finished: an archive only says who was mailed. */
async function addRuns(home: string, parsed: v.InferOutput<typeof archiveSchema>): Promise<number> {
  const newest = Object.keys(parsed.runs).sort().at(-1);
  const present = new Set(await readdir(home));
  let count = 0;
  for (const [run, files] of Object.entries(parsed.runs)) {
    if (present.has(run)) continue;
    const draft = path.join(home, `new-${run}`);
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { mode: 0o700 });
    for (const [file, content] of Object.entries(files))
      await writeFile(path.join(draft, file), Buffer.from(content, "base64"), { mode: 0o600, flush: true });
    // Damage is found here, not in the middle of a later run.
    const { finished } = await readHistory(draft);
    const plan = await readPlan(draft).catch(() => undefined);
    if (plan?.campaignId !== parsed.campaignId || plan.runId !== run.slice(5)) {
      await rm(draft, { recursive: true, force: true });
      throw new PlanError("A run in the exported journal is incomplete. Export it again.");
    }
    if (run === newest && !finished) {
      await rm(draft, { recursive: true, force: true });
      throw new PlanError(
        "The last run in the exported journal is not finished. Finish it where it was begun, then export.",
      );
    }
    await rename(draft, path.join(home, run));
    count++;
  }
  await syncDirectory(home);
  return count;
}

function digest(runs: Readonly<Record<string, Readonly<Record<string, string>>>>): string {
  return createHash("sha256").update(JSON.stringify(runs)).digest("hex");
}

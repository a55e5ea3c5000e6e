/**
 * A campaign's runs as one file, to be carried to another machine: without them, that machine would mail everybody again. An
 * unfinished run goes on in one place only: handing it over marks it here.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import * as path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import * as v from "valibot";
import { readCampaign } from "./campaignIds";
import { diskFiles, syncDirectory } from "./files";
import { clearHandOver, handOverSchema, readHandOver, staysHere, writeHandOver, type HandOver } from "./handOver";
import { readHistory } from "./journal";
import { acquireLock } from "./lock";
import { PlanError, readPlan, type Plan } from "./plan";
import { systemClock, type Clock } from "./ports";
import { campaignDirectory, makePrivateDirectory } from "./stateDirectory";

const runName = v.pipe(v.string(), v.regex(/^\d{4}-[0-9a-f-]{36}$/));
const fileName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,80}$/));

const archiveSchema = v.strictObject({
  format: v.literal("bulk-mail-history"),
  version: v.literal(1),
  campaignId: v.pipe(v.string(), v.uuid()),
  sha256: v.string(),
  /** Set when the last run is not finished and goes on where the archive is imported. */
  handOver: v.optional(handOverSchema),
  /** Run → file → content in base64. */
  runs: v.record(runName, v.record(fileName, v.string())),
});

type Archive = v.InferOutput<typeof archiveSchema>;

/** Where the campaign of an archive lies on this machine; absolute paths. */
export interface Place {
  readonly campaignFile: string;
  readonly root: string;
}

/** What an import brought. */
export interface Imported {
  /** Runs that were not here before, and a run that came back. */
  readonly runs: number;
  /** Whether an unfinished run goes on here from now on. */
  readonly goesOn: boolean;
}

/**
 * Everything on record of the campaign of `plan`, compressed. It holds addresses and contents, no secret. With `handOver` an
 * unfinished last run is marked as moved, on disk before this resolves: this machine does not go on with it until it is imported
 * again. Asked for once more, the same hand-over is written again. Throws `PlanError` when the last run is unfinished and not to
 * be handed over, or is being sent.
 */
export async function exportHistory(
  plan: Plan,
  { handOver = false }: { readonly handOver?: boolean } = {},
  clock: Clock = systemClock,
): Promise<Buffer> {
  const home = path.dirname(plan.directory);
  if (!handOver) return await pack(plan, undefined);
  const lock = await acquireLock(home, clock, { takeOver: false, atLeast: 1 });
  if (lock.kind === "busy")
    throw new PlanError("This campaign is being sent right now. Stop it, then hand it over to the other machine.");
  try {
    return await pack(plan, async (last) => {
      const before = await readHandOver(last, "moved");
      if (before !== undefined) return before;
      const hops = ((await readHandOver(last, "arrived"))?.hops ?? 0) + 1;
      const now = { hops, at: new Date(clock.now()).toISOString(), from: hostname() };
      await writeHandOver(last, "moved", now);
      return now;
    });
  } finally {
    await lock.release();
  }
}

/** @param give marks the unfinished run in a folder as moved; undefined when it is to stay here */
async function pack(plan: Plan, give: ((directory: string) => Promise<HandOver>) | undefined): Promise<Buffer> {
  const home = path.dirname(plan.directory);
  const names = (await readdir(home)).filter((name) => v.is(runName, name)).sort();
  const last = path.join(home, names.at(-1) ?? "");
  let handOver: HandOver | undefined;
  if (!(await readHistory(last)).finished) {
    if (give === undefined)
      throw new PlanError(
        "The last run is not finished. Finish it here, or hand it over, so that only one machine goes on with it.",
      );
    handOver = await give(last);
  }
  const runs: Record<string, Record<string, string>> = {};
  for (const run of names) {
    const files: Record<string, string> = {};
    for (const file of (await readdir(path.join(home, run))).filter((name) => v.is(fileName, name) && !staysHere(name)))
      files[file] = (await readFile(path.join(home, run, file))).toString("base64");
    runs[run] = files;
  }
  const { campaignId } = plan;
  const about = { format: "bulk-mail-history", version: 1, campaignId, sha256: digest(runs) };
  return gzipSync(JSON.stringify({ ...about, ...(handOver !== undefined && { handOver }), runs }));
}

/** The id of the campaign that an archive belongs to. Throws `PlanError` when the archive is damaged. */
export function archivedCampaign(archive: Buffer): string {
  return unpack(archive).campaignId.toLowerCase();
}

/**
 * Adds the runs of an archive to the state directory. A run that is here already stays as it is: two machines' records of one run
 * are never mixed. Only one that was handed over from here comes back, with what was sent meanwhile. Throws `PlanError` when the
 * archive is damaged or must not be taken, and `JournalError`.
 *
 * @param place where the campaign lies here; an unfinished run can only go on where its campaign is
 */
export async function importHistory(
  stateDirectory: string,
  archive: Buffer,
  clock: Clock,
  place?: Place,
): Promise<Imported> {
  const parsed = unpack(archive);
  const campaignId = parsed.campaignId.toLowerCase();
  if (place !== undefined && (await idAt(place)) !== campaignId)
    throw new PlanError(
      `The exported journal belongs to another campaign than ${place.campaignFile}. Name the one with the id ${campaignId}.`,
    );
  const home = campaignDirectory(stateDirectory, campaignId, "real");
  await makePrivateDirectory(home);
  const lock = await acquireLock(home, clock, { takeOver: false, atLeast: 1 });
  if (lock.kind === "busy") throw new PlanError("This campaign is being sent right now. Import when it is done.");
  try {
    return await new Import(home, parsed, place).run();
  } finally {
    await lock.release();
  }
}

function unpack(archive: Buffer): Archive {
  let parsed: Archive;
  try {
    parsed = v.parse(archiveSchema, JSON.parse(gunzipSync(archive).toString("utf8")));
  } catch {
    throw new PlanError("This is no exported journal, or it is damaged. Export it again.");
  }
  if (digest(parsed.runs) !== parsed.sha256) throw new PlanError("The exported journal is damaged. Export it again.");
  return parsed;
}

async function idAt({ campaignFile, root }: Place): Promise<string | undefined> {
  return (await readCampaign(await diskFiles(root), campaignFile)).id;
}

/** One import, under the campaign's lock. */
class Import {
  private readonly newest: string | undefined;
  private readonly handOver: HandOver | undefined;
  private goesOn = false;

  constructor(
    private readonly home: string,
    private readonly archive: Archive,
    private readonly place: Place | undefined,
  ) {
    this.newest = Object.keys(archive.runs).sort().at(-1);
    this.handOver = archive.handOver;
  }

  async run(): Promise<Imported> {
    const present = (await readdir(this.home)).filter((name) => v.is(runName, name));
    let runs = 0;
    for (const run of Object.keys(this.archive.runs).sort()) {
      const isHere = present.includes(run);
      const moved = isHere ? await readHandOver(path.join(this.home, run), "moved") : undefined;
      if (isHere && moved === undefined) continue;
      const draft = path.join(this.home, `new-${run}`);
      try {
        const finished = await this.unpackRun(run, draft);
        // An archive only says who was mailed, unless its last run was handed over.
        const isGiven = run === this.newest && !finished;
        if (moved === undefined) await this.add(run, draft, isGiven, present);
        else await this.takeBack(run, draft, isGiven, moved);
        runs++;
      } finally {
        await rm(draft, { recursive: true, force: true });
      }
    }
    await syncDirectory(this.home);
    return { runs, goesOn: this.goesOn };
  }

  /** Writes a run into a folder of its own and looks for damage there, not in the middle of a later run; whether it is finished. */
  private async unpackRun(run: string, draft: string): Promise<boolean> {
    const files = this.archive.runs[run] ?? {};
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { mode: 0o700 });
    for (const [file, content] of Object.entries(files))
      if (!staysHere(file))
        await writeFile(path.join(draft, file), Buffer.from(content, "base64"), { mode: 0o600, flush: true });
    const { finished } = await readHistory(draft);
    if (!(await isSound(draft, run, this.archive.campaignId)))
      throw new PlanError("A run in the exported journal is incomplete. Export it again.");
    return finished;
  }

  private async add(run: string, draft: string, isGiven: boolean, present: readonly string[]): Promise<void> {
    if (isGiven) {
      const handOver = this.given();
      if (this.place === undefined)
        throw new PlanError(
          `The exported journal holds an unfinished run, and its campaign was not found here. Name the campaign file with the id ${this.archive.campaignId}.`,
        );
      if (present.some((other) => other > run))
        throw new PlanError(
          "This machine has a later run of the campaign, so the unfinished one cannot go on here. Go on with the later run.",
        );
      await writeHandOver(draft, "arrived", handOver);
      this.goesOn = true;
    }
    if (this.place !== undefined) {
      const plan = relocate(await readPlan(draft), this.place);
      await writeFile(path.join(draft, "plan.json"), JSON.stringify(plan, undefined, 1), { mode: 0o600, flush: true });
    }
    await syncDirectory(draft);
    await rename(draft, path.join(this.home, run));
  }

  /** What was sent elsewhere is added to the run that was handed over from here; its plan and copies are here already. */
  private async takeBack(run: string, draft: string, isGiven: boolean, moved: HandOver): Promise<void> {
    const directory = path.join(this.home, run);
    const handOver = isGiven ? this.given() : undefined;
    const segments = (await readdir(draft)).filter((name) => /^journal-\d{6}\.jsonl$/.test(name)).sort();
    const known = (await readdir(directory)).filter((name) => /^journal-\d{6}\.jsonl$/.test(name));
    for (const name of known) {
      const [here, there] = await Promise.all(
        [directory, draft].map((one) => readFile(path.join(one, name)).catch(() => undefined)),
      );
      if (here === undefined || there?.equals(here) !== true) throw new PlanError(olderText);
    }
    if (handOver !== undefined && handOver.hops < moved.hops) throw new PlanError(olderText);
    for (const name of segments) await rename(path.join(draft, name), path.join(directory, name));
    await syncDirectory(directory);
    // Only now, with all that was sent on disk, may this machine go on.
    if (handOver === undefined) await clearHandOver(directory);
    else await writeHandOver(directory, "arrived", handOver);
    this.goesOn ||= handOver !== undefined;
  }

  private given(): HandOver {
    if (this.handOver === undefined)
      throw new PlanError(
        "The last run in the exported journal is not finished. Finish it where it was begun, or hand it over there, then export.",
      );
    return this.handOver;
  }
}

const olderText =
  "The exported journal is older than what is known here of the run that was handed over. Export it again where the run was last.";

/** Whether a run's folder is what its name says, with the copies that its plan names and no other file behind their names. */
async function isSound(directory: string, run: string, campaignId: string): Promise<boolean> {
  try {
    const plan = await readPlan(directory);
    if (plan.campaignId !== campaignId || plan.runId !== run.slice(5)) return false;
    for (const { copy, sha256 } of plan.copies) {
      if (!v.is(fileName, copy)) return false;
      const bytes = await readFile(path.join(directory, copy));
      if (createHash("sha256").update(bytes).digest("hex") !== sha256) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/** The plan as if it had been made here: everything keeps its place beside the campaign. */
function relocate(plan: Plan, place: Place): object {
  // The other machine's paths may be of another system.
  const there = plan.campaignFile.startsWith("/") ? path.posix : path.win32;
  const [from, to] = [there.dirname(plan.campaignFile), path.dirname(place.campaignFile)];
  const moved = (file: string): string => path.resolve(to, ...there.relative(from, file).split(there.sep));
  return {
    ...plan,
    // Not stored: it follows from where the plan lies.
    directory: undefined,
    campaignFile: place.campaignFile,
    root: place.root,
    copies: plan.copies.map((one) => ({ ...one, original: moved(one.original) })),
    attachments: plan.attachments.map((one) => ({ ...one, file: moved(one.file) })),
  };
}

function digest(runs: Readonly<Record<string, Readonly<Record<string, string>>>>): string {
  return createHash("sha256").update(JSON.stringify(runs)).digest("hex");
}

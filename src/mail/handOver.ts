/** The mark of a run that moved between machines: one of them may go on with it, and it is known which. */
import { open, readFile, rename, rm } from "node:fs/promises";
import * as path from "node:path";
import * as v from "valibot";
import { syncDirectory } from "./files";

export const handOverSchema = v.strictObject({
  /** How often the run has moved: an archive of an earlier move must not bring it back. */
  hops: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** ISO 8601; empty when nobody knows. */
  at: v.string(),
  /** Name of the machine that gave it away. */
  from: v.string(),
});

/** A move of a run. */
export type HandOver = Readonly<v.InferOutput<typeof handOverSchema>>;

/** `moved` lies where the run was given away, `arrived` where it goes on. */
export type Side = "moved" | "arrived";

/** The mark of a run's folder, or undefined when it has none of this side. One that is damaged still counts. */
export async function readHandOver(directory: string, side: Side): Promise<HandOver | undefined> {
  try {
    return v.parse(handOverSchema, JSON.parse(await readFile(fileOf(directory, side), "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    return { hops: 1, at: "", from: "" };
  }
}

/** Sets one side's mark and takes the other's away; on disk when it resolves. */
export async function writeHandOver(directory: string, side: Side, handOver: HandOver): Promise<void> {
  const temporary = path.join(directory, `${side}.new`);
  const handle = await open(temporary, "w", 0o600);
  try {
    await handle.writeFile(JSON.stringify(handOver));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, fileOf(directory, side));
  await rm(fileOf(directory, side === "moved" ? "arrived" : "moved"), { force: true });
  await syncDirectory(directory);
}

/** Takes all marks away: nobody else goes on with the run. */
export async function clearHandOver(directory: string): Promise<void> {
  for (const side of ["moved", "arrived"] as const) await rm(fileOf(directory, side), { force: true });
  await syncDirectory(directory);
}

/** Whether a file of a run's folder belongs to this machine alone and does not travel. */
export function staysHere(name: string): boolean {
  return /^(?:moved|arrived)\.(?:json|new)$/.test(name);
}

/** Why this machine does not go on with a run. */
export function movedText(at: string): string {
  const when = at === "" ? "" : ` on ${at.slice(0, 10)}`;
  return `This run was handed over to another machine${when}. Go on there, or import it back to go on here.`;
}

function fileOf(directory: string, side: Side): string {
  return path.join(directory, `${side}.json`);
}

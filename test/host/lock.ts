import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const pollMs = 250;
/** No install takes this long: an older lock belongs to a reused process id. */
const staleMs = 20 * 60_000;

/**
 * Runs `work` while no other process holds this lock file.
 *
 * The file names its process; one whose process is dead is taken over, so a killed install blocks nobody.
 */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const mine = `${String(process.pid)} ${String(process.hrtime.bigint())}`;
  while (!(await create(file, mine))) {
    if (!(await breakStale(file))) await delay(pollMs);
  }
  try {
    return await work();
  } finally {
    if ((await contentOf(file)) === mine) await rm(file, { force: true });
  }
}

async function create(file: string, owner: string): Promise<boolean> {
  try {
    await writeFile(file, owner, { flag: "wx" });
    return true;
  } catch (error) {
    if (isCode(error, "EEXIST")) return false;
    throw error;
  }
}

/** Moves a dead owner's lock away. Moving first and reading again keeps two waiting processes from both breaking it. */
async function breakStale(file: string): Promise<boolean> {
  const owner = await contentOf(file);
  if (owner === undefined) return true;
  const age =
    Date.now() -
    (await stat(file).then(
      (found) => found.mtimeMs,
      () => Date.now(),
    ));
  // An empty file is a lock between its creation and its first byte.
  if (owner === "" ? age < 5000 : isAlive(Number.parseInt(owner, 10)) && age < staleMs) return false;
  const aside = `${file}.${String(process.pid)}`;
  try {
    await rename(file, aside);
  } catch {
    return true;
  }
  if ((await contentOf(aside)) === owner) {
    await rm(aside, { force: true });
    return true;
  }
  await rename(aside, file);
  return false;
}

function contentOf(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch(() => undefined);
}

/** Whether there is a process with this id. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, "EPERM");
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

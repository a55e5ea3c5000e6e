/**
 * One writer a campaign, over windows, processes and machines. The lock is a file with a generation in its name; the highest
 * generation owns. Taking over is creating the next one (`O_EXCL`: one wins), so an owner that slept finds out by one look.
 */
import { randomUUID } from "node:crypto";
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { readFile, readdir, rename, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import * as path from "node:path";
import { setTimeout } from "node:timers/promises";
import { bootId, isComputed, sameBoot } from "./boot";
import { systemClock, type Clock } from "./ports";

/** How often an owner shows that it lives, and how long it may be silent, milliseconds. */
export const heartbeatMs = 5_000;
const silenceMs = 30_000;

/** How often a file without its words is looked at, and how long between, milliseconds. */
const looks = 10;
const lookAgainMs = 20;

/** Who holds a lock, as its file says. */
export interface Owner {
  readonly pid: number;
  /** Start of the process, so that a reused pid is not taken for it. Empty where the system does not say. */
  readonly processStart: string;
  readonly host: string;
  readonly bootId: string;
  readonly pidNamespace: string;
  readonly session: string;
  readonly released: boolean;
  /** What it is held for, plain text, where others are to be told. */
  readonly purpose?: string;
}

/** Why a lock is not to be had. `silent`: its owner lives but has not stirred for 30 s, so a person may take over. */
export interface Busy {
  readonly kind: "busy";
  readonly owner: Owner | undefined;
  readonly silent: boolean;
}

/** A held lock. */
export interface Lock {
  readonly kind: "held";
  readonly generation: number;
  /** Whether the lock is still ours, asked of the disk now. */
  stillOurs(): boolean;
  /** Gives it up. Never throws. */
  release(): Promise<void>;
}

/**
 * Takes the lock in `directory`. A dead owner, or one that cannot be judged from here and is silent for 30 s, is taken over;
 * a live silent one only with `takeOver`. Throws for broken I/O.
 *
 * @param atLeast generations below this one are never given out (the journal's segments count too)
 */
export async function acquireLock(
  directory: string,
  clock: Clock,
  options: { readonly takeOver: boolean; readonly atLeast: number; readonly purpose?: string },
): Promise<Lock | Busy> {
  const newest = await newestGeneration(directory);
  if (newest > 0) {
    const file = lockFile(directory, newest);
    const owner = await ownerSoon(file);
    const silent = (await silenceOf(file, clock)) >= silenceMs;
    const verdict = judge(owner, silent);
    if (verdict === "alive" && !(silent && options.takeOver)) return { kind: "busy", owner, silent };
  }
  const generation = Math.max(newest, options.atLeast - 1) + 1;
  const file = lockFile(directory, generation);
  const owner: Owner = {
    ...thisProcess(),
    ...(options.purpose !== undefined && { purpose: options.purpose }),
  };
  try {
    await writeFile(file, JSON.stringify(owner), { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return { kind: "busy", owner: await ownerSoon(file), silent: false };
  }
  const present = await generations(directory);
  // Somebody who looked at another moment, or counts from another number, was here between our look and our file.
  const rival = present.find((other) => other > newest && other !== generation);
  if (rival !== undefined) {
    await unlink(file).catch(() => {});
    return { kind: "busy", owner: await ownerSoon(lockFile(directory, rival)), silent: false };
  }
  // The one before ours stays: while generations come and go, nobody's look at the folder finds it empty.
  for (const older of present) if (older < newest) await unlink(lockFile(directory, older)).catch(() => {});
  return hold(directory, generation, owner);
}

/** Whether a live owner holds the lock in `directory`, and whether it stirs; a missing directory holds none. */
export async function holder(directory: string): Promise<"nobody" | "stirring" | "silent"> {
  const newest = await newestGeneration(directory).catch(() => 0);
  if (newest === 0) return "nobody";
  const file = lockFile(directory, newest);
  const silent = (await silenceOf(file, systemClock)) >= silenceMs;
  if (judge(await readOwner(file), silent) !== "alive") return "nobody";
  return silent ? "silent" : "stirring";
}

/** The owner that the newest lock in `directory` names, whether it lives or not; undefined where none can be read. */
export async function ownerIn(directory: string): Promise<Owner | undefined> {
  const newest = await newestGeneration(directory).catch(() => 0);
  return newest === 0 ? undefined : await readOwner(lockFile(directory, newest));
}

function hold(directory: string, generation: number, owner: Owner): Lock {
  const file = lockFile(directory, generation);
  const stillOurs = (): boolean => {
    try {
      if (readdirSync(directory).some((name) => (generationOf(name) ?? 0) > generation)) return false;
      return (JSON.parse(readFileSync(file, "utf8")) as Owner).session === owner.session;
    } catch {
      return false;
    }
  };
  // A timer of the system, not of the clock port: it proves life to other processes, whatever time a test pretends.
  const heartbeat = setInterval(() => {
    const now = new Date();
    void utimes(file, now, now).catch(() => {});
  }, heartbeatMs);
  heartbeat.unref();
  return {
    kind: "held",
    generation,
    stillOurs,
    release: async () => {
      clearInterval(heartbeat);
      if (!stillOurs()) return;
      const temporary = `${file}.${owner.session}`;
      try {
        await writeFile(temporary, JSON.stringify({ ...owner, released: true }), { mode: 0o600 });
        await rename(temporary, file);
      } catch {
        // The owner is dead soon, which frees the lock just as well.
      }
    },
  };
}

/** What is to be thought of an owner. Exported for its tests. */
export function judge(owner: Owner | undefined, silent: boolean): "alive" | "gone" {
  if (owner === undefined) return silent ? "gone" : "alive";
  if (owner.released) return "gone";
  const here = thisProcess();
  if (owner.host !== here.host || owner.pidNamespace !== here.pidNamespace) return silent ? "gone" : "alive";
  // A boot time that was computed moves when the clock is set: it proves nothing while the owner's heart beats.
  if (!sameBoot(owner.bootId, here.bootId)) return silent || !isComputed(owner.bootId) ? "gone" : "alive";
  // A worker of this very process that died leaves its lock behind; its heart has stopped.
  if (owner.pid === here.pid) return silent ? "gone" : "alive";
  if (!processLives(owner.pid)) return "gone";
  const start = processStart(owner.pid);
  return start !== "" && owner.processStart !== "" && start !== owner.processStart ? "gone" : "alive";
}

/** Describes this process as an owner with a new session. */
export function thisProcess(): Owner {
  return {
    pid: process.pid,
    processStart: processStart(process.pid),
    host: hostname(),
    bootId: bootId(),
    pidNamespace: pidNamespace(),
    session: randomUUID(),
    released: false,
  };
}

/** The highest generation that `directory` holds, 0 when none. */
async function newestGeneration(directory: string): Promise<number> {
  return Math.max(0, ...(await generations(directory)));
}

async function generations(directory: string): Promise<readonly number[]> {
  return (await readdir(directory)).flatMap((name) => generationOf(name) ?? []);
}

/** The generation in the name of a lock file; undefined for any other file. */
function generationOf(name: string): number | undefined {
  const digits = /^lock-(\d{6})\.json$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function lockFile(directory: string, generation: number): string {
  return path.join(directory, `lock-${String(generation).padStart(6, "0")}.json`);
}

/** An owner's file is there a moment before its words: whoever looks just then looks again, so that the owner can be named. */
async function ownerSoon(file: string): Promise<Owner | undefined> {
  for (let look = 1; ; look++) {
    const owner = await readOwner(file);
    if (owner !== undefined || look === looks) return owner;
    await setTimeout(lookAgainMs);
  }
}

async function readOwner(file: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Owner;
  } catch {
    return undefined;
  }
}

async function silenceOf(file: string, clock: Clock): Promise<number> {
  try {
    return clock.now() - (await stat(file)).mtimeMs;
  } catch {
    return 0;
  }
}

function processLives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Field 22 of /proc/PID/stat, the start in clock ticks since boot (proc(5)); empty elsewhere. */
function processStart(pid: number): string {
  try {
    const text = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

function pidNamespace(): string {
  try {
    // A link such as pid:[4026531836].
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

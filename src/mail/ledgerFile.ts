/**
 * The ledger of a mailbox as it lies on disk: lines `crc32hex SP json LF`, one a message that left or may have left. Here it
 * is read, and ages are made of its stamps.
 */
import { crc32 } from "node:zlib";
import { sameBoot } from "./boot";
import type { Clock } from "./ports";
import { grainMs } from "./steadyTime";

/** One line. */
export interface Stamp {
  /** Wall clock, milliseconds since the epoch. */
  readonly at: number;
  /** The boot, and milliseconds since. */
  readonly boot: string;
  readonly ms: number;
  /** Recipients; 0 is no message, only a look at the clocks. */
  readonly n: number;
}

/** The moment, as a line keeps it. */
export function stampOf(clock: Clock, n: number): Stamp {
  const { id, ms } = clock.boot();
  return { at: clock.now(), boot: id, ms: Math.floor(ms), n };
}

/** A stamp as the bytes of its line. */
export function formatStamp(stamp: Stamp): Buffer {
  const json = JSON.stringify(stamp);
  return Buffer.from(`${crc32(json).toString(16).padStart(8, "0")} ${json}\n`, "utf8");
}

/** Lines differ by the digits of their numbers, by so many bytes at most. */
const digits = 12;

/**
 * The stamps of a file, oldest first. A piece of a line at the end was torn off before anything was sent on its strength: it
 * does not count. Other damage counts for as many messages as its bytes could hold, each to the most recipients that the file
 * knows of, as young as they can be: as the line behind them, or `now`. `clean` is false when the file holds anything but
 * whole lines.
 */
export function readStamps(bytes: Buffer, now: Stamp): { readonly stamps: readonly Stamp[]; readonly clean: boolean } {
  /** Stamps, and sizes of what is none. */
  const found: (Stamp | number)[] = [];
  let clean = true;
  let shortest = formatStamp(now).length;
  let most = 1;
  let boot = "";
  for (let start = 0; start < bytes.length;) {
    const lineEnd = bytes.indexOf(0x0a, start);
    const end = lineEnd < 0 ? bytes.length : lineEnd;
    const stamp = lineEnd < 0 ? undefined : parseStamp(bytes.subarray(start, end));
    if (stamp === undefined) {
      clean = false;
      found.push(end - start);
      // What can still be read of it says more than nothing; a number out of all reason is part of the damage.
      const n = Number(/"n":(\d{1,4})\}/.exec(bytes.toString("latin1", start, end))?.[1] ?? 0);
      most = Math.max(most, n);
    } else {
      // One string for all lines of a boot.
      if (stamp.boot !== boot) boot = stamp.boot;
      shortest = Math.min(shortest, end - start);
      most = Math.max(most, stamp.n);
      found.push({ ...stamp, boot });
    }
    start = end + 1;
  }
  const stamps: Stamp[] = [];
  let next = now;
  for (let i = found.length - 1; i >= 0; i--) {
    const one = found[i] ?? 0;
    if (typeof one !== "number") stamps.push((next = one));
    else {
      const isTorn = i === found.length - 1 && bytes.at(-1) !== 0x0a;
      const lines = Math.max(isTorn ? 0 : 1, Math.floor(one / (shortest - digits)));
      for (let line = 0; line < lines; line++) stamps.push({ ...next, n: most });
    }
  }
  return { stamps: stamps.reverse(), clean };
}

/**
 * How long ago each stamp is, milliseconds, never more than it is certain to be: within a boot by the time since the boot,
 * from one boot to the next by the wall clock. Where that ran back, no time has passed, so a stamp from the future is as
 * young as what was written next.
 */
export function agesOf(stamps: readonly Stamp[], now: Stamp): Float64Array {
  const ages = new Float64Array(stamps.length);
  let age = 0;
  let next = now;
  for (let i = stamps.length - 1; i >= 0; i--) {
    const stamp = stamps[i] ?? next;
    const awake = stamp.boot === next.boot || sameBoot(stamp.boot, next.boot) ? next.ms - stamp.ms : -1;
    age += awake >= 0 ? awake : Math.max(0, next.at - stamp.at);
    // Both ends of an age within a boot may be cut to whole seconds.
    ages[i] = Math.max(0, age - grainMs);
    next = stamp;
  }
  return ages;
}

function parseStamp(line: Buffer): Stamp | undefined {
  if (line.length < 10 || line[8] !== 0x20) return undefined;
  const json = line.subarray(9);
  if (crc32(json) !== Number.parseInt(line.toString("latin1", 0, 8), 16)) return undefined;
  try {
    const { at, boot, ms, n } = JSON.parse(json.toString("utf8")) as Stamp;
    return [at, ms, n].every(Number.isFinite) && typeof boot === "string" ? { at, boot, ms, n } : undefined;
  } catch {
    return undefined;
  }
}

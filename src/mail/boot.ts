/** Which boot of the machine this is, and how long ago: what the wall clock says can be set, this cannot. */
import { readFileSync } from "node:fs";
import { uptime } from "node:os";

let known: string | undefined;

/** An id that changes with every boot. Where the system keeps none, it is the minute of the boot: `isComputed`. */
export function bootId(): string {
  try {
    // No process outlives a boot, and this is asked before every message.
    return (known ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
  } catch {
    return `minute-${String(Math.round((Date.now() / 1000 - uptime()) / 60))}`;
  }
}

/** Whether an id was computed from the wall clock, which moves when that is set. */
export function isComputed(id: string): boolean {
  return id.startsWith("minute-");
}

/** Whether two ids are of one boot; computed ones wander by a little. */
export function sameBoot(a: string, b: string): boolean {
  if (a === b) return true;
  const minutes = [a, b].map((id) => Number(/^minute-(\d+)$/.exec(id)?.[1]));
  return Math.abs((minutes[0] ?? NaN) - (minutes[1] ?? NaN)) <= 2;
}

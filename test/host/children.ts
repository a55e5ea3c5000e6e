import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";

const living = new Set<ChildProcess>();
const endings = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
let watching = false;

/**
 * Starts a program whose whole process tree dies with us, however we end (except by SIGKILL).
 *
 * On POSIX it leads a process group of its own, so that killing it reaches what it started too.
 */
export function startChild(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  watchOurEnd();
  const child = spawn(command, args, { ...options, detached: process.platform !== "win32", windowsHide: true });
  living.add(child);
  child.once("exit", () => living.delete(child));
  child.once("error", () => living.delete(child));
  return child;
}

/**
 * Ends a child and everything it started: politely first, by force after `graceMs` milliseconds.
 *
 * Resolves when the child itself is gone; a child that has ended before is no error.
 */
export async function stopChild(child: ChildProcess, graceMs = 3000): Promise<void> {
  if (child.pid === undefined) return;
  if (child.exitCode === null && child.signalCode === null) {
    const gone = once(child, "exit");
    signalTree(child.pid, "SIGTERM");
    const force = setTimeout(() => {
      if (child.pid !== undefined) signalTree(child.pid, "SIGKILL");
    }, graceMs);
    await gone;
    clearTimeout(force);
  }
  // The leader is gone, but a grandchild may have ignored the first signal.
  signalTree(child.pid, "SIGKILL");
}

function signalTree(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  if (process.platform === "win32") {
    spawnSync("taskkill", ["/pid", String(pid), "/T", "/F"], { windowsHide: true });
    return;
  }
  try {
    process.kill(-pid, signal);
  } catch {
    // ESRCH: nobody is left in the group, which is what we want.
  }
}

function watchOurEnd(): void {
  if (watching) return;
  watching = true;
  process.once("exit", killAll);
  for (const signal of endings) {
    process.once(signal, () => {
      killAll();
      // A listener of ours must not keep the process alive; others may still want to tidy up.
      if (process.listenerCount(signal) === 0) process.exit(128 + constants.signals[signal]);
    });
  }
}

function killAll(): void {
  for (const child of living) {
    if (child.pid !== undefined) signalTree(child.pid, "SIGKILL");
  }
}

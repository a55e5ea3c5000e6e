/** Programs that run in the foreground and write one log: started, waited for by their log, ended. */
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync, watch, type FSWatcher } from "node:fs";
import { rm } from "node:fs/promises";
import { createConnection, createServer, type AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { startChild, stopChild } from "../host/children";

/** How long a line in a log is waited for, in milliseconds. */
const patienceMs = 30_000;

/** What belongs to one running server; its folder is gone after `close`. */
export class ServerProcess {
  private readonly children: ChildProcess[] = [];
  private readonly listeners = new Set<() => void>();
  private readonly logHandle: number;
  private readonly watcher: FSWatcher;
  private closing: Promise<void> | undefined;

  /** @param logFile where everything started here writes; a server may write there by itself too */
  constructor(
    readonly folder: string,
    private readonly logFile: string,
  ) {
    this.logHandle = openSync(logFile, "a");
    this.watcher = watch(logFile, () => this.changed());
  }

  /** What was logged so far. */
  get log(): string {
    return readFileSync(this.logFile, "utf8");
  }

  /** Starts a program that is ended by `close`. Its output goes into the log: a file, because some open /dev/stdout by name. */
  start(command: string, words: readonly string[], env: NodeJS.ProcessEnv): void {
    const child = startChild(command, words, { env, stdio: ["ignore", this.logHandle, this.logHandle] });
    this.children.push(child);
    child.once("exit", () => this.changed());
    child.once("error", () => this.changed());
  }

  /**
   * Waits until the log has this many matches.
   * @throws with the log when a program ends first, or after half a minute.
   */
  until(pattern: RegExp, count = 1): Promise<void> {
    const all = new RegExp(pattern, "gm");
    return new Promise((resolve, reject) => {
      const finish = (failure?: string): void => {
        clearTimeout(timer);
        this.listeners.delete(look);
        if (failure === undefined) resolve();
        else reject(new Error(`${failure} before ${String(count)} × ${String(pattern)} was logged:\n${this.log}`));
      };
      const look = (): void => {
        if ((this.log.match(all)?.length ?? 0) >= count) finish();
        else if (this.children.some(hasEnded)) finish("A server ended");
      };
      const timer = setTimeout(() => finish(`${String(patienceMs / 1000)} s passed`), patienceMs);
      this.listeners.add(look);
      look();
    });
  }

  /**
   * Waits until a port of 127.0.0.1 takes a connection, for programs that do not say when theirs does.
   * @throws with the log when a program ends first, or after half a minute.
   */
  async untilListening(port: number): Promise<void> {
    const end = Date.now() + patienceMs;
    while (!(await takesConnection(port))) {
      if (this.children.some(hasEnded) || Date.now() > end) throw new Error(`Nobody listens:\n${this.log}`);
      await delay(20);
    }
  }

  /** Ends the programs and removes the folder; once, however often it is asked. */
  close(): Promise<void> {
    return (this.closing ??= this.end());
  }

  private async end(): Promise<void> {
    for (const child of this.children) await stopChild(child);
    this.watcher.close();
    closeSync(this.logHandle);
    // What was killed with its master may still be closing its files.
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  private changed(): void {
    for (const look of [...this.listeners]) look();
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function takesConnection(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** A port that was free a moment ago: these servers read theirs from a file or their command line. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

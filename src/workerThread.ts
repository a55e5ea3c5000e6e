/** One worker thread behind plain calls: started on first use, ended when it has been idle, gone without a trace when it dies. */
import { Worker } from "node:worker_threads";
import type { Disposable } from "./dispose";
import { toDisposable } from "./dispose";
import { createRpc, nodePort } from "./rpc";
import type { Handlers, Rpc } from "./rpc";
import type { HostApi, WorkerApi } from "./workerProtocol";

/** The thread ended before it answered. */
export class WorkerEnded extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "WorkerEnded";
  }
}

/** The work took longer than it may; its thread was ended. */
export class TooSlow extends WorkerEnded {
  constructor() {
    super("The work took too long and was ended.");
    this.name = "TooSlow";
  }
}

/** How a thread is asked: `WorkerApi` by names. */
type Method = keyof WorkerApi;
type Result<K extends Method> = Awaited<ReturnType<WorkerApi[K]>>;

/** What is told to the worker while it works. */
type Steer = "stop" | "abort" | "pace";

interface Running {
  readonly worker: Worker;
  readonly rpc: Rpc<WorkerApi>;
  readonly ready: Promise<unknown>;
  /** Set once limited work was asked for: its time does not count loading. */
  warm: Promise<unknown> | undefined;
  ended: WorkerEnded | undefined;
}

/** One thread at most; a new one is started when it is needed. */
export class WorkerThread implements Disposable {
  private running: Running | undefined;
  private pending = 0;
  private idleTimer: NodeJS.Timeout | undefined;

  /**
   * @param script absolute path of the worker's bundle
   * @param host answers what the worker asks
   * @param idleMs ends the thread after so many milliseconds without work
   */
  constructor(
    private readonly script: string,
    private readonly host: Handlers<HostApi>,
    private readonly idleMs = 60_000,
  ) {}

  /** Asks the worker. Rejects with its error, or with `WorkerEnded` when it died or was ended. */
  async request<K extends Method>(method: K, ...args: Parameters<WorkerApi[K]>): Promise<Result<K>> {
    return await this.ask(undefined, method, args);
  }

  /**
   * Asks the worker, and ends the thread with everything in it when the answer takes over `limitMs` of work. A busy machine,
   * which lets little work be done in that time, is no reason: then it may take eight times as long by the clock.
   */
  async requestWithin<K extends Method>(
    limitMs: number,
    method: K,
    ...args: Parameters<WorkerApi[K]>
  ): Promise<Result<K>> {
    return await this.ask(limitMs, method, args);
  }

  /**
   * Tells the worker how to go on; nothing happens when it does not run. A thread that still loads hears it right behind
   * the requests that wait for it, never before: it would not know yet what is meant.
   */
  steer<K extends Steer>(method: K, ...args: Parameters<WorkerApi[K]>): void {
    const { running } = this;
    if (running === undefined) return;
    running.ready.then(
      () => {
        // As in `ask`: the compiler cannot see that the arguments are those of the method.
        const tell = running.rpc.event.bind(running.rpc) as (method: K, ...args: Parameters<WorkerApi[K]>) => void;
        if (running.ended === undefined) tell(method, ...args);
      },
      // Who asked for the work hears that the thread died.
      () => {},
    );
  }

  /** Ends the thread at once. What is pending rejects with `reason`. */
  end(reason = new WorkerEnded("The worker was ended.")): void {
    const running = this.running;
    if (running === undefined) return;
    this.running = undefined;
    running.ended = reason;
    running.rpc.dispose(reason.message);
    void running.worker.terminate();
  }

  dispose(): void {
    clearTimeout(this.idleTimer);
    this.end();
  }

  private async ask<K extends Method>(
    limitMs: number | undefined,
    method: K,
    args: Parameters<WorkerApi[K]>,
  ): Promise<Result<K>> {
    clearTimeout(this.idleTimer);
    this.pending++;
    const running = (this.running ??= this.start());
    let limit: Disposable | undefined;
    try {
      await running.ready;
      if (limitMs !== undefined) {
        await (running.warm ??= running.rpc.request("warmUp"));
        limit = afterWork(limitMs, () => {
          if (this.running === running) this.end(new TooSlow());
        });
      }
      // The two ways to name a result are the same, which the compiler cannot see for a method that it does not know.
      const ask = running.rpc.request.bind(running.rpc) as (
        method: K,
        ...args: Parameters<WorkerApi[K]>
      ) => Promise<Result<K>>;
      return await ask(method, ...args);
    } catch (error) {
      throw running.ended ?? error;
    } finally {
      limit?.dispose();
      if (--this.pending === 0) this.idleTimer = setTimeout(() => this.end(), this.idleMs);
    }
  }

  private start(): Running {
    const worker = new Worker(this.script, { name: "bulk-mail" });
    const rpc = createRpc<WorkerApi, HostApi>(nodePort(worker), this.host);
    const running: Running = { worker, rpc, ready: rpc.request("ready"), warm: undefined, ended: undefined };
    const died = (reason: string): void => {
      if (this.running === running) this.end(new WorkerEnded(reason));
    };
    worker.on("error", (error: Error) => died(`The worker failed: ${error.message}`));
    worker.on("exit", (code) => died(`The worker ended with code ${String(code)}.`));
    // A thread that dies while it loads rejects `ready`, which every request of it awaits: nobody else needs to hear it.
    running.ready.catch(() => undefined);
    return running;
  }
}

/**
 * Calls `end` once `limitMs` have passed and the process has worked for most of that time; at the latest after eight times as
 * long. The process's own processor time stands for the thread's, which node cannot tell everywhere: never less than it.
 */
function afterWork(limitMs: number, end: () => void): Disposable {
  const started = performance.now();
  const before = process.cpuUsage();
  let timer: NodeJS.Timeout;
  const look = (): void => {
    const { user, system } = process.cpuUsage(before);
    const workedMs = (user + system) / 1000;
    if (workedMs >= 0.8 * limitMs || performance.now() - started >= 8 * limitMs) end();
    else timer = setTimeout(look, limitMs / 4);
  };
  timer = setTimeout(look, limitMs);
  return toDisposable(() => clearTimeout(timer));
}

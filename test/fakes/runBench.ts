/** Real runs of the core in a temporary folder, through a scripted server: what they did is in `events` and `snapshots`. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { diskFiles } from "../../src/mail/files";
import type { Pace } from "../../src/mail/pace";
import { createPlan, type Plan, type PlanRequest } from "../../src/mail/plan";
import { silentLogger, systemClock, type Clock, type Ports } from "../../src/mail/ports";
import { checkRows, prepareCampaign } from "../../src/mail/preflight";
import {
  runCampaign,
  type AttemptEvent,
  type PaceSource,
  type Progress,
  type RunOptions,
  type RunSummary,
} from "../../src/mail/sender";
import { loopbackAccount, quickPace } from "./accounts";
import { ScriptedSmtp, type Script } from "./scriptedSmtp";

/** The CSV options and sender of every campaign here. */
export const bareOptions = {
  csv: { delimiter: "auto", encoding: "auto" },
  sender: { from: undefined, replyTo: undefined },
} as const;

/** How a run of the bench differs from the usual one. */
export interface BenchRun extends RunOptions {
  readonly clock?: Clock;
  readonly ports?: Partial<Ports>;
  readonly pace?: PaceSource;
  readonly stop?: AbortSignal;
  readonly abort?: AbortSignal;
}

/** One test's folder, server and record. */
export class RunBench {
  readonly events: AttemptEvent[] = [];
  readonly snapshots: Progress[] = [];
  /** Stops every run that is given no signal of its own. */
  readonly stop = new AbortController();
  /** Called with every snapshot. */
  onSnapshot: (progress: Progress) => void = () => {};
  private started: ScriptedSmtp | undefined;

  private constructor(readonly folder: string) {}

  static async open(): Promise<RunBench> {
    return new RunBench(await mkdtemp(path.join(tmpdir(), "bulk-mail-run-")));
  }

  async close(): Promise<void> {
    await this.started?.close();
    await rm(this.folder, { recursive: true });
  }

  get stateDirectory(): string {
    return path.join(this.folder, "state");
  }

  get server(): ScriptedSmtp {
    assert.ok(this.started, "no server was started");
    return this.started;
  }

  async serve(script: Script | undefined, extensions?: string[]): Promise<ScriptedSmtp> {
    this.started = await ScriptedSmtp.start(script, extensions);
    return this.started;
  }

  /** Writes the files, and plans `hello.mail.md` (or `file`) through the server, which is started with `script` if there is none. */
  async plan(
    script: Script | undefined,
    files: Readonly<Record<string, string>>,
    pace: Partial<Pace> = {},
    more: Partial<PlanRequest> & { readonly file?: string; readonly account?: Readonly<Record<string, unknown>> } = {},
  ): Promise<Plan> {
    if (this.started === undefined) await this.serve(script);
    for (const [name, text] of Object.entries(files)) await writeFile(path.join(this.folder, name), text);
    const { file = "hello.mail.md", account = {}, ...rest } = more;
    const request = {
      file: path.join(this.folder, file),
      files: await diskFiles(this.folder),
      ...bareOptions,
    };
    const { value: prepared, problems } = await prepareCampaign(request);
    assert.ok(prepared !== undefined, JSON.stringify(problems));
    return createPlan(
      {
        ...request,
        stateDirectory: this.stateDirectory,
        prepared,
        check: await checkRows(prepared),
        target: { kind: "account", account: loopbackAccount(this.server.port, account), caSha256: undefined },
        root: this.folder,
        pace: { ...quickPace, ...pace },
        previousRunId: undefined,
        ...rest,
      },
      systemClock,
    );
  }

  run(plan: Plan, options: BenchRun = {}): Promise<RunSummary> {
    const { clock = systemClock, ports, pace, stop = this.stop.signal, abort, ...rest } = options;
    return runCampaign(
      plan,
      { clock, logger: silentLogger, random: () => 0.5, credentials: () => Promise.resolve({}), ...ports },
      {
        stop,
        abort: abort ?? new AbortController().signal,
        onAttempt: (event) => void this.events.push(event),
        onProgress: (progress) => {
          this.snapshots.push(progress);
          this.onSnapshot(progress);
        },
        ...(pace !== undefined && { pace }),
      },
      rest,
    );
  }

  /** Fails unless person0… to person`count - 1` got exactly one message each, and nobody else any. */
  everyoneOnce(count: number): void {
    const byName = ([a]: readonly [string, number], [b]: readonly [string, number]): number => (a < b ? -1 : 1);
    const expected = Array.from({ length: count }, (_, i): [string, number] => [`person${String(i)}@example.com`, 1]);
    assert.deepEqual([...this.server.perRecipient].sort(byName), expected.sort(byName));
  }
}

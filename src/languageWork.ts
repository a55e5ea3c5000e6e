/** Checks and previews for the editor: in a thread of their own, one at a time, the newest wins, and none for long. */
import type { Disposable } from "./dispose";
import { TooSlow, WorkerEnded } from "./workerThread";
import type { WorkerThread } from "./workerThread";
import type { CampaignRequest, CheckReply, ListReply, PreviewReply, RowWanted, SymbolsReply } from "./workerProtocol";
import type { CsvOptions, RowOutcome } from "./mail/index";

/** Live work that has not ended by then is given up, milliseconds. */
export const liveLimitMs = 2_000;

/** The result, or why there is none: a newer one was asked for, or it took too long. */
export type Live<T> = { readonly kind: "done"; readonly value: T } | { readonly kind: "superseded" | "tooSlow" };

/** The language half of the worker. */
export class LanguageWork implements Disposable {
  private readonly newest = new Map<string, symbol>();
  private busy: { readonly subject: string; readonly ended: Promise<unknown> } | undefined;

  /**
   * @param live the thread for work that follows typing
   * @param patient the thread for what a person asked for and waits for, however long the list
   */
  constructor(
    private readonly live: WorkerThread,
    private readonly patient: WorkerThread,
    private readonly limitMs = liveLimitMs,
  ) {}

  /** Checks while a person types. */
  async check(request: CampaignRequest): Promise<Live<CheckReply>> {
    return await this.run(`check ${request.file}`, () => this.live.requestWithin(this.limitMs, "check", request));
  }

  /** Makes one row's message while a person steps through them. */
  async preview(request: CampaignRequest, index: number): Promise<Live<PreviewReply>> {
    return await this.run(`preview ${request.file}`, () =>
      this.live.requestWithin(this.limitMs, "preview", request, index),
    );
  }

  /** Looks for a row while a person steps through them. */
  async findRow(request: CampaignRequest, wanted: RowWanted, from: number): Promise<Live<number | undefined>> {
    return await this.run(`find ${request.file}`, () =>
      this.live.requestWithin(this.limitMs, "findRow", request, wanted, from),
    );
  }

  /** What a campaign's names stand for. */
  async symbols(request: CampaignRequest): Promise<Live<SymbolsReply>> {
    return await this.run(`symbols ${request.file}`, () => this.live.requestWithin(this.limitMs, "symbols", request));
  }

  /** Checks everything, without a limit. Aborting `signal` ends it; it then rejects with `WorkerEnded`. */
  async checkPatiently(request: CampaignRequest, signal: AbortSignal): Promise<CheckReply> {
    const end = (): void => this.patient.end(new WorkerEnded("The check was cancelled."));
    signal.addEventListener("abort", end, { once: true });
    try {
      return await this.patient.request("check", request);
    } finally {
      signal.removeEventListener("abort", end);
    }
  }

  /** What became of the rows between two lines of a campaign's list. */
  async outcomes(
    request: CampaignRequest,
    stateDirectory: string,
    lines: readonly [first: number, last: number],
  ): Promise<readonly RowOutcome[]> {
    return await this.patient.request("outcomes", request, stateDirectory, lines);
  }

  /** The columns of a list. */
  async describeList(file: string, root: string, csv: CsvOptions): Promise<ListReply> {
    return await this.patient.request("describeList", file, root, csv);
  }

  dispose(): void {
    this.live.dispose();
    this.patient.dispose();
  }

  private async run<T>(subject: string, work: () => Promise<T>): Promise<Live<T>> {
    const turn = Symbol(subject);
    this.newest.set(subject, turn);
    // Work on the same subject need not be awaited: the worker gives it up for this one.
    while (this.busy !== undefined && this.busy.subject !== subject) await this.busy.ended;
    if (this.newest.get(subject) !== turn) return { kind: "superseded" };
    const working = work();
    const busy = { subject, ended: working.catch(() => undefined) };
    this.busy = busy;
    try {
      const value = await working;
      return this.newest.get(subject) === turn ? { kind: "done", value } : { kind: "superseded" };
    } catch (error) {
      if (this.newest.get(subject) !== turn) return { kind: "superseded" };
      if (error instanceof TooSlow) return { kind: "tooSlow" };
      throw error;
    } finally {
      if (this.busy === busy) this.busy = undefined;
      if (this.newest.get(subject) === turn) this.newest.delete(subject);
    }
  }
}

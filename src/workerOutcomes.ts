/** The worker's look at lists: what became of their rows. A pure adapter around the core. */
import { lastRun, RowOutcomes, type CampaignIds, type RowOutcome } from "./mail/index";
import { openCampaign, stampOfRequest } from "./workerCampaign";
import type { CampaignRequest } from "./workerProtocol";

/** Keeps the list that was looked at last. */
export class ListOutcomes {
  private kept:
    { readonly stamp: string; readonly files: readonly string[]; readonly outcomes: RowOutcomes } | undefined;

  constructor(private readonly ids: CampaignIds) {}

  /** What the campaign's last real run made of the rows between two lines; empty without one. Rejects when `signal` aborts. */
  async between(
    request: CampaignRequest,
    stateDirectory: string,
    [first, last]: readonly [number, number],
    signal: AbortSignal,
  ): Promise<readonly RowOutcome[]> {
    const outcomes = await this.open(request, stateDirectory, signal);
    return outcomes === undefined ? [] : await outcomes.between(first, last, Date.now());
  }

  private async open(
    request: CampaignRequest,
    stateDirectory: string,
    signal: AbortSignal,
  ): Promise<RowOutcomes | undefined> {
    const id = await this.ids.idOf(request.file);
    const run = id === undefined ? undefined : await lastRun(stateDirectory, id, "real", { tolerant: true });
    if (run === undefined) return undefined;
    const { plan } = run;
    const { kept } = this;
    if (kept?.stamp === `${plan.runId} ${await stampOfRequest(request, kept?.files ?? [])}`) return kept.outcomes;
    this.kept = undefined;
    const { prepared, files } = await openCampaign(request, this.ids);
    if (prepared === undefined) return undefined;
    const outcomes = await RowOutcomes.open(plan, prepared, signal);
    this.kept = { stamp: `${plan.runId} ${await stampOfRequest(request, files)}`, files, outcomes };
    return outcomes;
  }
}

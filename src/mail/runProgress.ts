/** Where a stretch of a run stands, as whole pictures: at most four a second, and one whenever it begins to wait. */
import type { Journal } from "./journal";
import { totalsOf, type Plan } from "./plan";
import type { Clock } from "./ports";
import type { Progress } from "./sender";
import type { Waiting } from "./waiting";

/** Pictures are at least this far apart, milliseconds. */
const apartMs = 250;

/** Takes the pictures of one stretch. */
export class RunProgress {
  private readonly startedAt: string;
  private readonly begun: number;
  private settled = 0;
  private last = -Infinity;
  private state: Progress["state"] = "starting";
  private waiting: Waiting | undefined;

  constructor(
    private readonly plan: Plan,
    private readonly journal: Journal,
    private readonly clock: Clock,
    private readonly show: (progress: Progress) => void,
  ) {
    this.startedAt = new Date(clock.now()).toISOString();
    this.begun = clock.monotonic();
  }

  /** A recipient was settled. */
  onward(): void {
    this.settled++;
    this.now("sending");
  }

  /** Nothing leaves for a while. */
  waits(waiting: Waiting): void {
    const { why, until } = this.waiting ?? {};
    if (this.state === "waiting" && why === waiting.why && until === waiting.until) return;
    this.now("waiting", waiting);
  }

  /** The wait is over, if there was one. */
  goesOn(): void {
    if (this.state === "waiting") this.now("sending");
  }

  /** Shows the picture of this moment; of more of the same only now and then, unless `always`. */
  now(state: Progress["state"], waiting?: Waiting, always = false): void {
    const time = this.clock.monotonic();
    if (!always && state === this.state && waiting === undefined && time - this.last < apartMs) return;
    this.state = state;
    this.waiting = waiting;
    this.last = time;
    const totals = totalsOf(this.plan, this.journal.history);
    const { mail, invalid, skipped } = this.plan.counts;
    const each = (time - this.begun) / this.settled;
    this.show({
      ...totals,
      runId: this.plan.runId,
      state,
      waiting,
      total: mail + invalid + skipped,
      startedAt: this.startedAt,
      remainingMs: this.settled === 0 ? undefined : Math.round(each * totals.pending),
    });
  }
}

/** How a run stands and how it came to rest, as every place that shows it sees it. */
import type { RunSummary, Totals, Waiting } from "./mail/index";

/** How a run stands. */
export interface RunView {
  /** Absolute path of the campaign. */
  readonly file: string;
  readonly name: string;
  readonly sandbox: boolean;
  readonly phase: "queued" | "preparing" | "sending" | "waiting" | "stopping" | "paused";
  readonly total: number;
  /** Undefined before the first snapshot. */
  readonly totals: Totals | undefined;
  /** What it waits for, when `phase` is `waiting`. */
  readonly waiting?: Waiting | undefined;
}

/** How a run came to rest. */
export interface RunEnd {
  readonly view: RunView;
  readonly outcome:
    | { readonly kind: "ran"; readonly campaignId: string; readonly summary: RunSummary }
    | { readonly kind: "changed" | "cancelled" }
    | { readonly kind: "refused"; readonly text: string }
    /** The worker died, which is like a pause. */
    | { readonly kind: "died" };
}

/** How many of a run's recipients are settled. */
export function settled({ total, totals }: RunView): number {
  return totals === undefined ? 0 : total - totals.pending;
}

/** `7 % · 37 of 500 · 1 failed`, with what stands in doubt. */
export function progressText(view: RunView): string {
  const { totals } = view;
  const parts = [`${String(settled(view))} of ${String(view.total)}`];
  if (view.total > 0) parts.unshift(`${String(Math.floor((settled(view) / view.total) * 100))} %`);
  if (totals !== undefined && totals.failed > 0) parts.push(`${String(totals.failed)} failed`);
  if (totals !== undefined && totals.unknown > 0) parts.push(`${String(totals.unknown)} unknown`);
  return parts.join(" · ");
}

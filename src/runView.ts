/** How a run stands and how it came to rest, as every place that shows it sees it. */
import { momentText, waitingText } from "./mail/index";
import type { RunSummary, Totals, Waiting } from "./mail/index";
import { unlinked } from "./notify";

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
  /** What it waits for, when `phase` is `waiting` or `queued`. */
  readonly waiting?: Waiting | undefined;
  /** When it was or is to start, milliseconds since the epoch; undefined was at once. */
  readonly startAt?: number | undefined;
  /** Paused because its owner lives and has not stirred for 30 s: a person may take over. */
  readonly silent?: boolean;
  /** Paused because somebody must sign in to its account first. */
  readonly signIn?: boolean;
}

/** How a run came to rest. */
export interface RunEnd {
  readonly view: RunView;
  /** The id of the account that it was sent through; undefined in the sandbox. */
  readonly account?: string | undefined;
  readonly outcome:
    | { readonly kind: "ran"; readonly campaignId: string; readonly summary: RunSummary }
    | { readonly kind: "changed" | "cancelled" }
    | { readonly kind: "refused"; readonly text: string }
    /** The worker died, which is like a pause. */
    | { readonly kind: "died" };
}

/** What a run waits for, in a few words without links and icons. */
export function waitingFor({ waiting }: RunView, now: number): string {
  return waiting === undefined ? "waiting" : unlinked(waitingText(waiting, now));
}

/** `was to start at 10:40`, for a run that nobody was mailed by yet; undefined for any other. */
export function startText(view: RunView, now: number): string | undefined {
  if (view.startAt === undefined || settled(view) > 0) return undefined;
  return `${view.startAt > now ? "is" : "was"} to start ${momentText(view.startAt, now)}`;
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

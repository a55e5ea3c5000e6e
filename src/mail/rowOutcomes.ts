/** What became of the rows of a list as it stands now: by the last run's journal, for whoever looks at the list. */
import { readdir, stat } from "node:fs/promises";
import * as path from "node:path";
import { readHistory, type History } from "./history";
import { JournalDetails } from "./journalDetails";
import type { Plan } from "./plan";
import type { Entry, Prepared } from "./preflight";
import { outcomeOf, type ReportRow } from "./report";
import { momentText } from "./waiting";

/** A row's outcome. */
export interface RowOutcome {
  /** Zero-based line in the list. */
  readonly line: number;
  readonly outcome: ReportRow["outcome"];
  /** One sentence: when, and the server's words or the reason; plain text. */
  readonly text: string;
}

/** Rows that are looked at, at most: beyond them nobody reads a list line by line. */
const rowLimit = 100_000;

/** The rows of one list against one run; read the list once, the journal as often as it grows. */
export class RowOutcomes {
  private history: { readonly stamp: string; readonly value: History } | undefined;

  private constructor(
    private readonly plan: Plan,
    private readonly rows: readonly Entry[],
  ) {}

  /** Throws `FileError`, and the signal's reason when it is aborted. */
  static async open(plan: Plan, prepared: Prepared, signal: AbortSignal): Promise<RowOutcomes> {
    const rows: Entry[] = [];
    for await (const entry of prepared.entries(signal)) {
      // The values of the cells are of no use here.
      rows.push({ ...entry, row: { ...linesOf(entry), values: [] } });
      if (rows.length === rowLimit) break;
    }
    return new RowOutcomes(plan, rows);
  }

  /** From line `first` to line `last`, those that the run knows of. `now` in milliseconds since the epoch. Throws for broken I/O. */
  async between(first: number, last: number, now: number): Promise<readonly RowOutcome[]> {
    const history = await this.read();
    const details = new JournalDetails(this.plan.directory, history.fates);
    try {
      return this.rows.slice(this.from(first), this.from(last + 1)).flatMap((entry) => {
        const isKnown = entry.kind !== "mail" || history.fates.has(entry.identity);
        // Who came to the list after the run is nobody's failure.
        if (!isKnown && history.finished) return [];
        const outcome = outcomeOf(entry, history);
        return [{ line: entry.row.line, outcome, text: textOf(entry, outcome, details, now) }];
      });
    } finally {
      details.close();
    }
  }

  /** Index of the first row at `line` or behind it. */
  private from(line: number): number {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.rows[middle]?.row.line ?? 0) < line) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private async read(): Promise<History> {
    const { directory } = this.plan;
    const segments = (await readdir(directory)).filter((name) => name.startsWith("journal-"));
    const sizes = await Promise.all(segments.map(async (name) => (await stat(path.join(directory, name))).size));
    const stamp = sizes.join(" ");
    if (this.history?.stamp !== stamp)
      this.history = { stamp, value: await readHistory(directory, { tolerant: true }) };
    return this.history.value;
  }
}

function linesOf({ row: { line, endLine } }: Entry): { line: number; endLine: number } {
  return { line, endLine };
}

function textOf(entry: Entry, outcome: ReportRow["outcome"], details: JournalDetails, now: number): string {
  if (entry.kind === "skipped")
    return entry.reason === "suppressed"
      ? "Left out: on the suppression list."
      : "Left out: the same row stands above already.";
  if (entry.kind === "invalid") return `Cannot be mailed: ${entry.problems[0]?.message ?? "the row has a mistake"}`;
  const known = details.of(entry.identity);
  const at = known?.settledAt === undefined ? "" : ` ${momentText(known.settledAt, now)}`;
  const why = known?.reply === undefined ? "" : `: ${known.reply}`;
  const words: Readonly<Record<ReportRow["outcome"], string>> = {
    accepted: `Sent${at}${why}`,
    failed: `Failed${at}${why}`,
    unknown: `Unknown${at}: it may have arrived${why === "" ? "." : ` (${why.slice(2)})`}`,
    pending: why === "" ? "Not sent yet." : `Not sent yet${why}`,
    skipped: `Left out${at}${why}`,
  };
  return words[outcome];
}

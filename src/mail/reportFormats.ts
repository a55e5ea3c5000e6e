/** A report as text, piece by piece: CSV, JSON, or a table for people. */
import { plainText } from "./problems";
import type { OpenReport, ReportHead, ReportRow } from "./report";

/** How a table is cut when nobody could read all of it. */
export interface TableLimit {
  /** Rows at most. Whoever failed or is unknown comes first. */
  readonly most: number;
  /** Where everybody stands then, as the end of “Everybody is in …”; asked for when the table is cut. */
  readonly everybody: () => Promise<string>;
}

/**
 * The report as pieces of text, flat in memory. `table` is aligned plain text with a summary; `csv` is formula-safe (cells that
 * begin like a formula get a leading quote); `json` has one recipient a line.
 */
export function formatReport(report: OpenReport, format: "table" | "csv" | "json"): AsyncIterable<string> {
  switch (format) {
    case "json":
      return jsonOf(report);
    case "csv":
      return csvOf(report);
    case "table":
      return tableOf(report);
  }
}

const csvColumns = [
  "address",
  "key",
  "line",
  "outcome",
  "class",
  "attempts",
  "reply",
  "messageId",
  "acceptedAt",
  "durationMs",
] as const;

async function* csvOf(report: OpenReport): AsyncGenerator<string> {
  yield `${csvColumns.join(",")}\r\n`;
  for await (const batch of report.rows())
    yield batch.map((row) => `${csvColumns.map((column) => csvCell(row[column])).join(",")}\r\n`).join("");
}

/** RFC 4180 quoting; a spreadsheet would run a cell that begins like a formula (OWASP ASVS 1.2.10), full-width signs too. */
function csvCell(value: string | number | undefined): string {
  if (value === undefined) return "";
  const text = typeof value === "string" && /^[=+\-@\t\r\n\0＝＋－＠]/.test(value) ? `'${value}` : String(value);
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function* jsonOf(report: OpenReport): AsyncGenerator<string> {
  const { note, campaign, runs, totals } = report;
  // The head as one object, still open: the list is its last member.
  yield `${JSON.stringify({ note, campaign, runs, totals }, undefined, 2).slice(0, -2)},\n  "recipients": [`;
  let separator = "\n    ";
  for await (const batch of report.rows()) {
    let text = "";
    for (const row of batch) {
      text += separator + JSON.stringify(row);
      separator = ",\n    ";
    }
    yield text;
  }
  yield separator.startsWith(",") ? "\n  ]\n}\n" : "]\n}\n";
}

const columns = ["Line", "Address", "Outcome", "Time", "Detail"] as const;

/** Rows that decide how wide the columns are: a longer list is not read twice for its looks. */
const sample = 1000;

async function* tableOf(report: OpenReport): AsyncGenerator<string> {
  yield summaryOf(report);
  let first: string[][] | undefined = [];
  let widths: readonly number[] = [];
  for await (const batch of report.rows()) {
    const cells = batch.map(cellsOf);
    if (first === undefined) {
      yield linesOf(cells, widths);
      continue;
    }
    first.push(...cells);
    if (first.length < sample) continue;
    widths = widthsOf(first);
    yield headOf(widths) + linesOf(first, widths);
    first = undefined;
  }
  if (first === undefined) return;
  widths = widthsOf(first);
  yield headOf(widths) + linesOf(first, widths);
}

/**
 * The table as one text for people to read in an editor: whole when it has at most `most` rows, else those who failed or are
 * unknown first, as many as fit.
 */
export async function formatTable(report: OpenReport, { most, everybody }: TableLimit): Promise<string> {
  const troubled: ReportRow[] = [];
  const others: ReportRow[] = [];
  let count = 0;
  let troubles = 0;
  for await (const batch of report.rows()) {
    for (const row of batch) {
      count++;
      const isTroubled = row.outcome === "failed" || row.outcome === "unknown";
      if (isTroubled) troubles++;
      const kept = isTroubled ? troubled : others;
      if (kept.length < most) kept.push(row);
    }
  }
  const isCut = count > most;
  const rows = isCut
    ? [...troubled, ...others.slice(0, most - troubled.length)]
    : [...troubled, ...others].sort((a, b) => a.line - b.line);
  const cells = rows.map(cellsOf);
  const widths = widthsOf(cells);
  const words = isCut
    ? `${cutText(count, troubles, troubled.length, rows.length)} Everybody is in ${await everybody()}.`
    : "";
  return `${summaryOf(report)}${words === "" ? "" : `${words}\n\n`}${headOf(widths)}${linesOf(cells, widths)}`;
}

function cutText(count: number, troubles: number, troubled: number, shown: number): string {
  const all = `The list has ${count.toLocaleString("en")} recipients`;
  if (troubled < troubles)
    return `${all}; these are the first ${String(shown)} of the ${troubles.toLocaleString("en")} that failed or are unknown.`;
  if (troubles === 0) return `${all}, none failed or unknown; these are the first ${String(shown)}.`;
  return `${all}; these are the ${String(troubles)} that failed or are unknown, then the first ${String(shown - troubled)} of the others.`;
}

function summaryOf(report: ReportHead): string {
  const run = report.runs.at(-1);
  const { accepted, failed, unknown, pending, skipped } = report.totals;
  const summary = [
    ...(report.note === undefined ? [] : [["Note", report.note]]),
    ["Campaign", report.campaign.file],
    ["Subject", report.campaign.subject],
    ["Sent through", run?.target ?? ""],
    ["Started", run?.createdAt ?? ""],
    ["State", run?.finished === true ? "finished" : "not finished"],
    [
      "Totals",
      `${String(accepted)} accepted, ${String(failed)} failed, ${String(unknown)} unknown, ${String(pending)} pending, ${String(skipped)} skipped`,
    ],
  ];
  return `${summary.map(([name = "", value = ""]) => `${name.padEnd(13)} ${plainText(value, 500)}`).join("\n")}\n\n`;
}

function cellsOf(row: ReportRow): string[] {
  return [
    String(row.line),
    row.key === undefined ? row.address : `${row.address} (${row.key})`,
    row.class === undefined || row.class === row.outcome ? row.outcome : `${row.outcome}: ${row.class}`,
    row.acceptedAt ?? "",
    row.reply ?? "",
  ].map((cell) => plainText(cell, 500));
}

function widthsOf(rows: readonly (readonly string[])[]): readonly number[] {
  return columns.map((name, column) =>
    rows.reduce((width, row) => Math.max(width, Math.min(60, row[column]?.length ?? 0)), name.length),
  );
}

function headOf(widths: readonly number[]): string {
  return linesOf([columns, widths.map((width) => "─".repeat(width))], widths);
}

function linesOf(rows: readonly (readonly string[])[], widths: readonly number[]): string {
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return rows.map((row) => `${line(row)}\n`).join("");
}

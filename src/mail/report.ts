/** What the journal says, for people and programs. Read from disk, never from memory. */
import type { OutcomeClass } from "./classify";
import { readHistory } from "./journal";
import { plannedFiles, PlanError, runsOf, totalsOf, type Plan, type Target, type Totals } from "./plan";
import { prepareCampaign, type Entry } from "./preflight";
import { plainText } from "./problems";

/** One recipient's line in a report. */
export interface ReportRow {
  readonly address: string;
  readonly key: string | undefined;
  /** One-based line in the recipients file. */
  readonly line: number;
  readonly outcome: "accepted" | "failed" | "unknown" | "pending" | "skipped";
  readonly class: OutcomeClass | undefined;
  readonly attempts: number;
  /** The server's words or our reason; plain text. */
  readonly reply: string | undefined;
  readonly messageId: string | undefined;
  /** ISO 8601. */
  readonly acceptedAt: string | undefined;
  readonly durationMs: number | undefined;
}

/** A run's report; `totals` add up to the list. */
export interface Report {
  readonly campaign: { readonly id: string; readonly file: string; readonly subject: string };
  readonly runs: readonly {
    readonly runId: string;
    readonly createdAt: string;
    readonly finished: boolean;
    readonly target: string;
    readonly totals: Totals;
  }[];
  readonly totals: Totals;
  readonly recipients: readonly ReportRow[];
}

/** Reads the report of a run. Throws `JournalError` and `PlanError`. */
export async function readReport(plan: Plan): Promise<Report> {
  const { fates } = await readHistory(plan.directory);
  const { value: prepared, problems } = await prepareCampaign({
    file: plan.campaignFile,
    files: await plannedFiles(plan),
    csv: plan.csv,
    sender: plan.sender,
  });
  if (prepared === undefined)
    throw new PlanError(problems[0]?.message ?? "The run's copy of the campaign cannot be read.");
  const recipients: ReportRow[] = [];
  const rowOf = (entry: Entry): ReportRow => {
    const about = {
      key: undefined,
      line: entry.row.line + 1,
      attempts: 0,
      messageId: undefined,
      acceptedAt: undefined,
      durationMs: undefined,
    };
    if (entry.kind === "invalid")
      return {
        ...about,
        address: entry.address,
        outcome: "failed",
        class: "recipient",
        reply: entry.problems[0]?.message,
      };
    if (entry.kind === "skipped")
      return {
        ...about,
        address: entry.address,
        outcome: "skipped",
        class: undefined,
        reply: skipReasons[entry.reason],
      };
    const row = { ...about, address: entry.to.address, key: entry.key };
    const fate = fates.get(entry.identity);
    if (fate === undefined) return { ...row, outcome: "pending", class: undefined, reply: undefined };
    const { settledAt } = fate;
    return {
      ...row,
      outcome: fate.outcome === "doubt" ? "unknown" : fate.outcome,
      class: fate.outcome === "doubt" ? "unknown" : fate.class,
      attempts: fate.attempts,
      reply: fate.reply,
      messageId: fate.messageId,
      acceptedAt:
        fate.outcome === "accepted" && settledAt !== undefined ? new Date(settledAt).toISOString() : undefined,
      durationMs: fate.durationMs,
    };
  };
  for await (const entry of prepared.entries()) recipients.push(rowOf(entry));
  const runs: Report["runs"][number][] = [];
  for (const one of await runsOf(plan)) {
    const history = await readHistory(one.directory);
    runs.push({
      runId: one.runId,
      createdAt: one.createdAt,
      finished: history.finished,
      target: nameTarget(one.target),
      totals: totalsOf(one, history),
    });
  }
  return {
    campaign: { id: plan.campaignId, file: plan.campaignFile, subject: prepared.campaign.subject?.text ?? "" },
    runs,
    totals: runs.find(({ runId }) => runId === plan.runId)?.totals ?? totalsOf(plan, await readHistory(plan.directory)),
    recipients,
  };
}

/** Where a run goes, in words. */
export function nameTarget(target: Target): string {
  switch (target.kind) {
    case "smtp":
      return `${target.account.id} (${target.account.host}:${String(target.account.port)})`;
    case "sandbox":
      return "Sandbox: nothing left this machine";
    case "outbox":
      return `Dry run: files in ${target.directory}`;
  }
}

const skipReasons = { repeated: "the same row again", suppressed: "on the suppression list" } as const;

/** `table` is aligned plain text with a summary; `csv` is formula-safe (cells that begin like a formula get a leading quote). */
export function formatReport(report: Report, format: "table" | "csv" | "json"): string {
  switch (format) {
    case "json":
      return `${JSON.stringify(report, undefined, 2)}\n`;
    case "csv":
      return formatCsv(report);
    case "table":
      return formatTable(report);
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

function formatCsv({ recipients }: Report): string {
  const lines = recipients.map((row) => csvColumns.map((column) => csvCell(row[column])).join(","));
  return [csvColumns.join(","), ...lines, ""].join("\r\n");
}

/** RFC 4180 quoting; a spreadsheet would run a cell that begins like a formula (OWASP ASVS 1.2.10). */
function csvCell(value: string | number | undefined): string {
  if (value === undefined) return "";
  const text = typeof value === "string" && /^[=+\-@\t\r\0]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function formatTable(report: Report): string {
  const run = report.runs.at(-1);
  const { accepted, failed, unknown, pending, skipped } = report.totals;
  const summary = [
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
  const head = ["Line", "Address", "Outcome", "Time", "Detail"];
  const rows = report.recipients.map((row) => [
    String(row.line),
    row.key === undefined ? row.address : `${row.address} (${row.key})`,
    row.class === undefined || row.class === row.outcome ? row.outcome : `${row.outcome}: ${row.class}`,
    row.acceptedAt ?? "",
    row.reply ?? "",
  ]);
  const cells = [head, ...rows].map((row) => row.map((cell) => plainText(cell, 500)));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => Math.min(60, row[column]?.length ?? 0))));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  const [header = [], ...body] = cells;
  return [
    ...summary.map(([name = "", value = ""]) => `${name.padEnd(13)} ${plainText(value, 500)}`),
    "",
    line(header),
    line(widths.map((width) => "─".repeat(width))),
    ...body.map(line),
    "",
  ].join("\n");
}

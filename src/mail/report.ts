/** What the journal says, for people and programs. Read from disk, never from memory; rows are streamed, never kept. */
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import * as path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { OutcomeClass } from "./classify";
import { readHistory, type History } from "./history";
import { JournalDetails } from "./journalDetails";
import { plannedFiles, PlanError, runsOf, totalsOf, type Plan, type Target, type Totals } from "./plan";
import { plainText } from "./problems";
import { prepareCampaign, type Entry, type Prepared } from "./preflight";
import { formatReport } from "./reportFormats";

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

/** A run's report without its recipients; `totals` add up to the list. */
export interface ReportHead {
  /** Said first: the journal is damaged, so that whoever is not accepted counts as unknown. Fit to show. */
  readonly note?: string;
  readonly campaign: { readonly id: string; readonly file: string; readonly subject: string };
  readonly runs: readonly {
    readonly runId: string;
    readonly createdAt: string;
    readonly finished: boolean;
    readonly target: string;
    readonly totals: Totals;
  }[];
  readonly totals: Totals;
}

/** A report whose recipients are read as they are asked for. */
export interface OpenReport extends ReportHead {
  /** The rows that `where` keeps, in the order of the list, in batches; each call reads list and journal again. */
  rows(): AsyncIterable<readonly ReportRow[]>;
}

/** A whole report in memory: for lists that are known to be short. */
export interface Report extends ReportHead {
  readonly recipients: readonly ReportRow[];
}

/**
 * Opens the report of a run, also of one whose journal is damaged: then with a `note`. Throws `PlanError`. Reading its rows
 * throws `JournalError` when the journal is exchanged meanwhile.
 */
export async function openReport(plan: Plan): Promise<OpenReport> {
  const history = await readHistory(plan.directory, { tolerant: true });
  const prepared = await preparedRun(plan);
  const runs: ReportHead["runs"][number][] = [];
  for (const one of await runsOf(plan)) {
    const its = one.runId === plan.runId ? history : await readHistory(one.directory, { tolerant: true });
    runs.push({
      runId: one.runId,
      createdAt: one.createdAt,
      finished: its.finished,
      target: nameTarget(one.target),
      totals: totalsOf(one, its),
    });
  }
  const { damage } = history;
  return {
    ...(damage !== undefined && { note: `${damage} Until then, whoever is not accepted counts as unknown.` }),
    campaign: { id: plan.campaignId, file: plan.campaignFile, subject: prepared.campaign.subject?.text ?? "" },
    runs,
    totals: totalsOf(plan, history),
    rows: () => rowsOf(plan, prepared, history),
  };
}

/** Reads the whole report of a run. Throws like `openReport` and its rows. */
export async function readReport(plan: Plan): Promise<Report> {
  const report = await openReport(plan);
  const recipients: ReportRow[] = [];
  for await (const batch of report.rows()) recipients.push(...batch);
  const { note, campaign, runs, totals } = report;
  return { ...(note !== undefined && { note }), campaign, runs, totals, recipients };
}

/** Writes a run's report as CSV into its folder, readable for this user alone; returns the file. Throws like `openReport`. */
export async function writeReportCsv(plan: Plan): Promise<string> {
  const file = path.join(plan.directory, "report.csv");
  const draft = `${file}.new`;
  try {
    const chunks = formatReport(await openReport(plan), "csv");
    await pipeline(Readable.from(chunks), createWriteStream(draft, { mode: 0o600 }));
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  return file;
}

/** The campaign as a run's copies hold it. Throws `PlanError`. */
export async function preparedRun(plan: Plan): Promise<Prepared> {
  const { value, problems } = await prepareCampaign({
    file: plan.campaignFile,
    files: await plannedFiles(plan),
    csv: plan.csv,
    sender: plan.sender,
  });
  if (value === undefined)
    throw new PlanError(problems[0]?.message ?? "The run's copy of the campaign cannot be read.");
  return value;
}

/** What became of an entry, as a report counts it. */
export function outcomeOf(entry: Entry, history: History): ReportRow["outcome"] {
  if (entry.kind === "invalid") return "failed";
  if (entry.kind === "skipped") return "skipped";
  const outcome = history.fates.get(entry.identity)?.outcome ?? "pending";
  if (history.damage !== undefined) return outcome === "accepted" ? "accepted" : "unknown";
  return outcome === "doubt" ? "unknown" : outcome;
}

async function* rowsOf(plan: Plan, prepared: Prepared, history: History): AsyncGenerator<readonly ReportRow[]> {
  const details = new JournalDetails(plan.directory, history.fates);
  try {
    for await (const batch of prepared.judgements()) {
      const rows: ReportRow[] = [];
      for (const { entry } of batch) if (entry !== undefined) rows.push(rowOf(entry, history, details));
      yield rows;
    }
  } finally {
    details.close();
  }
}

/** Longer than any address (RFC 5321 §4.5.3.1.3), characters. */
const cellLimit = 330;

function rowOf(entry: Entry, history: History, details: JournalDetails): ReportRow {
  const outcome = outcomeOf(entry, history);
  const line = entry.row.line + 1;
  if (entry.kind !== "mail")
    return {
      address: plainText(entry.address, cellLimit),
      key: undefined,
      line,
      outcome,
      class: entry.kind === "invalid" ? "recipient" : undefined,
      attempts: 0,
      reply: entry.kind === "invalid" ? entry.problems[0]?.message : skipReasons[entry.reason],
      messageId: undefined,
      acceptedAt: undefined,
      durationMs: undefined,
    };
  const known = details.of(entry.identity);
  const settledAt = outcome === "accepted" ? known?.settledAt : undefined;
  return {
    address: plainText(entry.to.address, cellLimit),
    key: entry.key === undefined ? undefined : plainText(entry.key, cellLimit),
    line,
    outcome,
    class: outcome === "unknown" ? "unknown" : known?.class,
    attempts: history.fates.get(entry.identity)?.attempts ?? 0,
    reply: known?.reply,
    messageId: known?.messageId,
    acceptedAt: settledAt === undefined ? undefined : new Date(settledAt).toISOString(),
    durationMs: known?.durationMs,
  };
}

/** Where a run goes, in words. */
export function nameTarget(target: Target): string {
  switch (target.kind) {
    case "account":
      return `${target.account.id} (${target.account.host}:${String(target.account.port)})`;
    case "sandbox":
      return "Sandbox: nothing left this machine";
    case "outbox":
      return `Dry run: files in ${target.directory}`;
  }
}

const skipReasons = { repeated: "the same row again", suppressed: "on the suppression list" } as const;

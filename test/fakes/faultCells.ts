/** What the fault matrices have in common: whether summary, journal and server tell one story, and its letter. */
import * as path from "node:path";
import { readHistory } from "../../src/mail/journal";
import { lastRun, totalsOf, type Plan } from "../../src/mail/plan";
import { readReport, type Report } from "../../src/mail/report";
import type { RunSummary } from "../../src/mail/sender";

/** A server that counts. */
export interface Witness {
  /** How often a message was taken for each address, whether that was said or not. */
  readonly taken: ReadonlyMap<string, number>;
  /** Addresses whose message was seen up to its end at least once. */
  readonly dotted: ReadonlySet<string>;
  /** To whom the message went with which it went wrong. */
  readonly victims: ReadonlySet<string>;
}

/** Everybody's outcome, by address. */
export function outcomes(report: Report): ReadonlyMap<string, string> {
  return new Map(report.recipients.map(({ address, outcome }) => [address, outcome]));
}

/** All that is wrong with a stretch, whatever became of it: summary, journal and server must tell one story. */
export async function judge(
  plan: Plan,
  summary: RunSummary,
  report: Report,
  server: Witness,
  recipients: number,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  const { accepted, failed, unknown, pending, skipped } = summary;
  const told = JSON.stringify({ accepted, failed, unknown, skipped, pending });
  const history = await readHistory(plan.directory);
  const read = JSON.stringify(totalsOf(plan, history));
  if (told !== read) wrong.push(`the run tells ${told}, its journal ${read}`);
  const last = await lastRun(path.resolve(plan.directory, "../../../.."), plan.campaignId, "real");
  if (JSON.stringify(last?.totals) !== read)
    wrong.push(`lastRun tells ${JSON.stringify(last?.totals)}, its journal ${read}`);
  if ((last?.state === "finished") !== (summary.ending.kind === "finished"))
    wrong.push(`it ended as ${summary.ending.kind} and is ${String(last?.state)}`);
  for (const { outcome } of history.fates.values()) if (outcome === "doubt") wrong.push("a doubt was not settled");

  if (report.recipients.length !== recipients)
    wrong.push(`${String(report.recipients.length)} recipients in the report`);
  for (const { address, outcome } of report.recipients) {
    const copies = server.taken.get(address) ?? 0;
    const right = outcome === "accepted" ? copies === 1 : outcome === "unknown" ? copies <= 1 : copies === 0;
    if (!right) wrong.push(`${address} is ${outcome} and has ${String(copies)} copies`);
    if (outcome === "unknown" && !server.dotted.has(address)) wrong.push(`${address} is unknown without a dot`);
    const copy = address.replace("person", "copy");
    if (plan.campaignFile.endsWith("copies.mail.md") && (server.taken.get(copy) ?? 0) !== copies)
      wrong.push(`${copy} does not share the fate of ${address}`);
  }
  return wrong;
}

/** What is wrong with a run that was gone on with once the server was mended, after `before`. */
export async function judgeResumed(
  plan: Plan,
  before: Report,
  resumed: RunSummary,
  server: Witness,
  recipients: number,
): Promise<readonly string[]> {
  const after = await readReport(plan);
  const wrong = [...(await judge(plan, resumed, after, server, recipients))];
  if (resumed.ending.kind !== "finished" || resumed.pending > 0)
    wrong.push(`gone on with, it ended as ${resumed.ending.kind} with ${String(resumed.pending)} pending`);
  const became = outcomes(after);
  for (const [address, outcome] of outcomes(before))
    if ((outcome === "pending" ? "accepted" : outcome) !== became.get(address))
      wrong.push(`${address} was ${outcome} and became ${String(became.get(address))}`);
  return wrong;
}

/** The letter of a stretch: of whom it happened to, or of everybody. `p` for a stop for the account, `l` for an allowance that is waited for. */
export function letterOf(summary: RunSummary, report: Report, server: Witness, everybody: boolean): string {
  const { kind } = summary.ending;
  const letters = new Map<string, string>();
  for (const { address, outcome } of report.recipients) letters.set(address, outcome[0] ?? "?");
  if (kind === "account" || kind === "later") {
    const rest = new Set(letters.values());
    // Who was in flight on another connection may have come through.
    return [...rest].every((letter) => letter === "p" || letter === "a") && rest.has("p")
      ? kind === "account"
        ? "p"
        : "l"
      : `${kind} ${[...rest].join("")}`;
  }
  if (kind !== "finished") return kind;
  const mine = everybody ? [...letters.values()] : [...server.victims].map((address) => letters.get(address) ?? "?");
  const others = everybody ? [] : [...letters].filter(([address]) => !server.victims.has(address));
  if (others.some(([, letter]) => letter !== "a")) return `others ${others.map(([, letter]) => letter).join("")}`;
  return [...new Set(mine.length === 0 ? ["a"] : mine)].sort().join("");
}

/** Prints a matrix: a line a fault, a column a variant. */
export function printTable(
  heads: readonly string[],
  table: ReadonlyMap<string, readonly string[]>,
  legend: string,
): void {
  const line = (first: string, columns: readonly string[]): string =>
    `    ${first.padEnd(46)}${columns.map((text) => text.padEnd(14)).join("")}`;
  process.stdout.write(`\n${line("connections", heads)}\n`);
  for (const [name, letters] of table) process.stdout.write(`${line(name, letters)}\n`);
  process.stdout.write(`    ${legend}\n`);
}

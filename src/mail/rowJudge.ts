/** What becomes of each row: left out, mailed, repeated, suppressed, or why it cannot be mailed. */
import * as path from "node:path";
import type { Mailbox, ParsedMailbox } from "./address";
import { addressKey, parseMailbox } from "./address";
import { isRoleAddress } from "./advice";
import type { FileLooks } from "./attachments";
import { attachmentProblem, tooLarge } from "./attachments";
import type { CampaignTemplates, CheckedTemplate } from "./campaignTemplates";
import {
  checkedValues,
  dateless,
  isNeverBlank,
  plainTemplates,
  unsubscribeFault,
  usedColumns,
} from "./campaignTemplates";
import type { Entry } from "./preflight";
import type { Problem, Range } from "./problems";
import { problemAt } from "./problems";
import type { ListedRow, RecipientList, Row } from "./recipients";
import type { SeenRow } from "./seenRows";
import { SeenRows } from "./seenRows";
import type { LineTemplate, RowIssue, RowValues } from "./template";
import { rowProblem } from "./template";

/** A row with what becomes of it and all that was found, warnings too. */
export interface Judgement {
  readonly row: Row;
  /** Undefined when `where` leaves the row out. */
  readonly entry: Entry | undefined;
  readonly problems: readonly Problem[];
  /** Absolute paths of files of this row alone, with their sizes in bytes. */
  readonly files: readonly { readonly file: string; readonly size: number }[];
}

/** What rows are judged by. */
export interface JudgeContext {
  readonly list: RecipientList;
  readonly templates: CampaignTemplates;
  /** The column whose cell is to blame for a bad address, and the address itself where the campaign has no `to`. */
  readonly addressColumn: number;
  readonly keyColumn: number | undefined;
  /** Keys of addresses that are never mailed. */
  readonly suppressed: ReadonlySet<string>;
  readonly oneClick: boolean;
  /** Octets that a row's own files may have beside those that all share. */
  readonly roomForFiles: number;
  readonly looks: FileLooks;
  readonly root: string;
  /** Absolute folder of the campaign file and of the body's file. */
  readonly folder: string;
  readonly bodyFolder: string;
  /** True when the body names images by placeholders, so that it must be rendered to know them. */
  readonly rowImages: boolean;
}

const nothing: readonly never[] = [];
/** Outcomes of `where` that are remembered: lists repeat a few values. */
const memoLimit = 10_000;

/** What `where` says about some cells; the same for every row with these cells. */
interface WhereOutcome {
  readonly keeps: boolean;
  readonly issues: readonly RowIssue[];
  /** Errors that no cell is to blame for. */
  readonly errors: readonly Problem[];
}

/** Judges the rows of one pass through a list, in their order: it remembers who was there. */
export class RowJudge {
  private readonly seen = new SeenRows();
  private readonly used: readonly number[];
  private readonly checked: readonly CheckedTemplate[];
  private readonly copies: readonly LineTemplate[];
  private readonly subject: LineTemplate | undefined;
  private readonly unsubscribe: LineTemplate | undefined;
  private readonly hasRowFiles: boolean;
  private readonly whereColumns: readonly number[];
  private readonly whereMemo = new Map<string, WhereOutcome>();

  constructor(private readonly context: JudgeContext) {
    const { templates, rowImages } = context;
    const varies = ({ uses }: CheckedTemplate): boolean => uses.size > 0;
    this.used = usedColumns(templates);
    // What is the same for every row has been checked once.
    this.checked = plainTemplates(templates).filter(varies);
    const replyTo = templates.replyTo === undefined ? [] : [templates.replyTo];
    this.copies = [...templates.cc, ...templates.bcc, ...replyTo].filter(varies);
    const { subject, unsubscribe } = templates;
    this.subject = subject === undefined || !varies(subject) || isNeverBlank(subject.field.text) ? undefined : subject;
    const hasScheme = /^(?:mailto|https):/i.test(unsubscribe?.field.text.trimStart() ?? "");
    this.unsubscribe = unsubscribe !== undefined && varies(unsubscribe) && !hasScheme ? unsubscribe : undefined;
    this.hasRowFiles = rowImages || templates.attachments.some(varies);
    this.whereColumns = [...(templates.where?.uses ?? [])];
  }

  /** Judges a batch of rows. */
  async judge(batch: readonly ListedRow[]): Promise<readonly Judgement[]> {
    const judgements = batch.map((listed) => this.judgeCells(listed));
    if (!this.hasRowFiles) return judgements;
    return await Promise.all(judgements.map((judgement) => this.judgeFiles(judgement)));
  }

  private judgeCells({ row, problems: written }: ListedRow): Judgement {
    const { list, keyColumn, suppressed } = this.context;
    const values = checkedValues(list.columns, row);
    if (hasError(written)) return this.invalid(row, this.cell(row), written);
    const where = this.where(values);
    if (where.issues.length + where.errors.length > 0) {
      const problems = [...written, ...this.toProblems(where.issues, row), ...where.errors];
      if (hasError(problems)) return this.invalid(row, this.cell(row), problems);
      written = problems;
    }
    if (!where.keeps) return { row, entry: undefined, problems: written, files: nothing };

    const to = this.address(values);
    if (!to.ok) return this.invalid(row, this.cell(row), [...written, ...to.problems]);
    const { mailbox } = to;
    const { address } = mailbox;
    const person = addressKey(address);
    const key = keyColumn === undefined ? undefined : (row.values[keyColumn] ?? "").trim();
    if (suppressed.has(person)) {
      const identity = key === undefined ? person : `${person}\t${key}`;
      const entry: Entry = { kind: "skipped", row, address, identity, reason: "suppressed" };
      return { row, entry, problems: written, files: nothing };
    }
    if (key === "" && keyColumn !== undefined) {
      const details = { name: list.columns[keyColumn]?.name ?? "" };
      const problem = problemAt("key.empty", details, this.place(row, keyColumn), { rowOnly: true });
      return this.invalid(row, address, [...written, problem]);
    }
    const identity = key === undefined ? person : `${person}\t${key}`;
    const before = this.seen.meet(identity, row.line, row.values, this.used);
    if (before !== undefined) return this.again(row, address, identity, before, written);

    if (isRoleAddress(address)) {
      const more = { severity: "information", rowOnly: true } as const;
      written = [...written, problemAt("address.role", { address }, this.place(row, this.context.addressColumn), more)];
    }
    const problems = this.contentProblems(values);
    const all = problems.length === 0 ? written : written.length === 0 ? problems : [...written, ...problems];
    if (hasError(problems)) return this.invalid(row, address, all, identity);
    return { row, entry: { kind: "mail", row, to: mailbox, identity, key }, problems: all, files: nothing };
  }

  private where(values: RowValues): WhereOutcome {
    const { where } = this.context.templates;
    if (where === undefined) return { keeps: true, issues: nothing, errors: nothing };
    const [only = 0] = this.whereColumns;
    const cells = values.row.values;
    const memo =
      this.whereColumns.length === 1
        ? (cells[only] ?? "")
        : this.whereColumns.map((column) => cells[column] ?? "").join("\0");
    const known = this.whereMemo.get(memo);
    if (known !== undefined) return known;
    const cellsOnly = dateless(values);
    const { value: keeps, problems } = where.test(cellsOnly);
    const issues = problems.length === 0 ? nothing : where.check(cellsOnly);
    const isExplained = issues.some(({ severity }) => severity === "error");
    const outcome = { keeps, issues, errors: isExplained ? nothing : problems.filter(isError) };
    if (this.whereMemo.size >= memoLimit) this.whereMemo.clear();
    this.whereMemo.set(memo, outcome);
    return outcome;
  }

  private address(
    values: RowValues,
  ): { readonly ok: true; readonly mailbox: Mailbox } | { readonly ok: false; readonly problems: readonly Problem[] } {
    const { row } = values;
    const { addressColumn, templates } = this.context;
    const { to } = templates;
    let text = row.values[addressColumn] ?? "";
    // An empty cell that should hold the address is named as such, not as one more cell that is empty.
    if (to !== undefined && (text.trim() !== "" || !to.uses.has(addressColumn))) {
      const rendered = this.render(to, dateless(values));
      if (rendered.errors.length > 0) return { ok: false, problems: rendered.errors };
      text = rendered.text;
    }
    const parsed = parseMailbox(text);
    if (parsed.ok) return parsed;
    return { ok: false, problems: [addressProblem(text, parsed, this.place(row, addressColumn), { rowOnly: true })] };
  }

  /** A text for a row, and its errors, at the cells where cells are to blame. */
  private render(
    template: LineTemplate,
    values: RowValues,
    encode?: "url",
  ): { readonly text: string; readonly errors: readonly Problem[] } {
    const { value: text, problems } = template.render(values, encode);
    if (!hasError(problems)) return { text, errors: nothing };
    const placed = this.toProblems(template.check(values, encode), values.row).filter(isError);
    return { text, errors: placed.length > 0 ? placed : problems.filter(isError) };
  }

  private again(row: Row, address: string, identity: string, before: SeenRow, written: readonly Problem[]): Judgement {
    const { list, addressColumn } = this.context;
    const first: Range = { start: { line: before.line, character: 0 }, end: { line: before.line, character: 0 } };
    const related = [{ file: list.file, range: first, message: "It stands here first." }];
    const details = { address, line: before.line + 1 };
    const place = this.place(row, addressColumn);
    if (!before.same) {
      const problem = problemAt("address.duplicate", details, place, { related, rowOnly: true });
      return this.invalid(row, address, [...written, problem], identity);
    }
    const more = { severity: "warning", related, rowOnly: true } as const;
    const problem = problemAt("address.repeated", details, place, more);
    const entry: Entry = { kind: "skipped", row, address, identity, reason: "repeated" };
    return { row, entry, problems: [...written, problem], files: nothing };
  }

  /** What is wrong with the row's message, as far as its cells tell. */
  private contentProblems(values: RowValues): readonly Problem[] {
    let issues: RowIssue[] | undefined;
    for (const template of this.checked) {
      for (const issue of template.check(values)) {
        // The same cell may be used in subject and body: one problem is enough.
        const isKnown = issues?.some(
          ({ code, column, text }) => code === issue.code && column === issue.column && text === issue.text,
        );
        if (isKnown !== true) (issues ??= []).push(issue);
      }
    }
    const { row } = values;
    const problems = issues === undefined ? nothing : this.toProblems(issues, row);
    return hasError(problems) ? problems : this.renderedProblems(values, problems);
  }

  /** What only the rendered texts tell; rendered for those campaigns alone that need it. */
  private renderedProblems(values: RowValues, found: readonly Problem[]): readonly Problem[] {
    const problems: Problem[] = [];
    const { row } = values;
    const render = (template: LineTemplate, given: RowValues, encode?: "url"): string | undefined => {
      const { text, errors } = this.render(template, given, encode);
      problems.push(...errors);
      return errors.length === 0 ? text : undefined;
    };
    for (const template of this.copies) {
      const text = render(template, dateless(values));
      const parsed = parseMailbox(text ?? "");
      // A copy is optional: an empty one is left out.
      if (text === undefined || parsed.ok || parsed.reason === "empty") continue;
      problems.push(addressProblem(text, parsed, this.placeOf(template, row), this.about(template)));
    }
    const { subject, unsubscribe } = this;
    if (subject !== undefined && render(subject, values) === "")
      problems.push(problemAt("subject.empty", {}, this.placeOf(subject, row), this.about(subject)));
    if (unsubscribe !== undefined) {
      const fault = unsubscribeFault(render(unsubscribe, values, "url") ?? "", this.context.oneClick);
      const place = this.placeOf(unsubscribe, row);
      if (fault !== undefined) problems.push(problemAt(fault, {}, place, this.about(unsubscribe)));
    }
    return problems.length === 0 ? found : [...found, ...problems];
  }

  /** Looks at the files that this row alone sends. */
  private async judgeFiles(judgement: Judgement): Promise<Judgement> {
    const { row, entry } = judgement;
    if (entry?.kind !== "mail") return judgement;
    const { looks, root } = this.context;
    const files: { readonly file: string; readonly size: number }[] = [];
    const problems: Problem[] = [];
    for (const { template, written, file } of this.rowFiles(row, problems)) {
      const look = await looks.at(file);
      if (look.ok) {
        files.push({ file, size: look.size });
        continue;
      }
      const place = template === undefined ? this.place(row, undefined) : this.placeOf(template, row);
      const more = template === undefined ? { rowOnly: true } : this.about(template);
      problems.push(attachmentProblem(look.error, written, root, place, more));
    }
    const total = files.reduce((sum, { size }) => sum + size, 0);
    if (total > this.context.roomForFiles)
      problems.push(tooLarge(total, this.context.roomForFiles, this.place(row, undefined), { rowOnly: true }));
    if (problems.length === 0) return { ...judgement, files };
    return this.invalid(row, entry.to.address, [...judgement.problems, ...problems], entry.identity);
  }

  /** The files that a row names, as written and as absolute paths. What cannot be rendered is added to `problems`. */
  private *rowFiles(
    row: Row,
    problems: Problem[],
  ): Iterable<{ readonly template: LineTemplate | undefined; readonly written: string; readonly file: string }> {
    const { list, templates, folder, bodyFolder, rowImages } = this.context;
    const cellsOnly = { columns: list.columns, row };
    for (const template of templates.attachments) {
      if (template.uses.size === 0) continue;
      const { text: written, errors } = this.render(template, cellsOnly);
      problems.push(...errors);
      if (errors.length === 0 && written !== "") yield { template, written, file: path.resolve(folder, written) };
    }
    if (!rowImages || templates.body === undefined) return;
    const known = new Set(templates.body.images);
    for (const { path: written } of templates.body.render(checkedValues(list.columns, row)).value.images) {
      if (!known.has(written)) yield { template: undefined, written, file: path.resolve(bodyFolder, written) };
    }
  }

  private invalid(row: Row, address: string, problems: readonly Problem[], identity = addressKey(address)): Judgement {
    const entry: Entry = { kind: "invalid", row, address, identity, problems: problems.filter(isError) };
    return { row, entry, problems, files: nothing };
  }

  /** The cell that should hold the address, as text for a report. */
  private cell(row: Row): string {
    return (row.values[this.context.addressColumn] ?? "").trim().slice(0, 320);
  }

  private place(row: Row, column: number | undefined): { readonly file: string; readonly range: Range } {
    const { list } = this.context;
    if (column !== undefined) return { file: list.file, range: list.cellRange(row, column) };
    const start = list.cellRange(row, 0).start;
    return { file: list.file, range: { start, end: list.cellRange(row, list.columns.length - 1).end } };
  }

  private placeOf({ uses }: LineTemplate, row: Row): { readonly file: string; readonly range: Range } {
    const [column] = uses;
    return this.place(row, column);
  }

  private about({ field }: LineTemplate): Pick<Problem, "rowOnly" | "related"> {
    return { rowOnly: true, related: [{ file: field.file, range: field.range, message: "It is used here." }] };
  }

  private toProblems(issues: readonly RowIssue[], row: Row): readonly Problem[] {
    return issues.map((issue) => {
      const { column, field, range } = issue;
      const place = column === undefined ? { file: field.file, range } : this.place(row, column);
      return rowProblem(issue, row.line, place);
    });
  }
}

/** What is wrong with a text that should be one address. */
export function addressProblem(
  text: string,
  parsed: Extract<ParsedMailbox, { ok: false }>,
  place: { readonly file: string; readonly range: Range },
  more: Pick<Problem, "rowOnly" | "related"> = {},
): Problem {
  if (parsed.reason === "empty") return problemAt("address.empty", {}, place, more);
  if (parsed.reason === "several") return problemAt("address.several", { text }, place, more);
  return problemAt("address.invalid", { text, detail: parsed.detail }, place, more);
}

function isError({ severity }: Problem): boolean {
  return severity === "error";
}

function hasError(problems: readonly Problem[]): boolean {
  return problems.some(isError);
}

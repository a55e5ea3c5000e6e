/** A compiled template at work: what it puts out for a row, and what is wrong with the row. */
import { Output, TypeGuards } from "liquidjs";
import type { Template } from "liquidjs";
import type { Field } from "./campaign";
import type { ColumnNames } from "./columnNames";
import { cellNumber, Evaluation, Slot, yesNoWord } from "./liquid";
import type { Run } from "./liquid";
import { describeError } from "./parseTemplate";
import { problemAt } from "./problems";
import type { Problem, Range, Severity } from "./problems";
import type { RowValues } from "./template";
import type { CellUse, OutputUse, Stretch, Usage } from "./usage";

/** Something wrong with one row as a template uses it. */
export interface RowIssue {
  readonly code:
    "liquid.emptyCell" | "liquid.notNumber" | "liquid.yesNo" | "url.scheme" | "css.value" | "render.failed";
  readonly severity: Severity;
  /** The cell to correct, when it is one cell. */
  readonly column: number | undefined;
  /** The column's header, and what to write for it in a template. */
  readonly name: string;
  readonly expression: string;
  /** The cell's or the value's text; for `render.failed` what went wrong. */
  readonly text: string;
  /** Where the template uses it. */
  readonly field: Field;
  readonly range: Range;
}

/** The problem that an issue is: at `place`, normally the cell, with the template's place beside it. `line` is zero-based. */
export function rowProblem(
  issue: RowIssue,
  line: number,
  place: { readonly file: string; readonly range: Range },
): Problem {
  const { code, severity, name, expression, text } = issue;
  const isElsewhere = place.file !== issue.field.file || place.range !== issue.range;
  const related = isElsewhere ? [{ file: issue.field.file, range: issue.range, message: "It is used here." }] : [];
  const more = { severity, rowOnly: true, ...(related.length > 0 ? { related } : {}) };
  switch (code) {
    case "liquid.emptyCell":
      return problemAt(code, { name, line: line + 1, expression }, place, more);
    case "liquid.notNumber":
      return problemAt(code, { name, text }, place, more);
    case "liquid.yesNo":
      return problemAt(code, { name, text, expression }, place, more);
    case "url.scheme":
    case "css.value":
      return problemAt(code, { text }, place, more);
    case "render.failed":
      return problemAt(code, { detail: text }, place, more);
  }
}

/** What a template put out for a row. */
export interface Outcome {
  /** One more than there are values. */
  readonly literals: readonly string[];
  readonly values: readonly string[];
  /** Which output each value comes from: where its `{{` stands. */
  readonly outputs: readonly number[];
  readonly issues: readonly RowIssue[];
}

type Step =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "cell"; readonly column: number; readonly output: number }
  | { readonly kind: "liquid"; readonly templates: Template[] };

/** Whether a cell counts as empty. */
export function isEmptyCell(text: string | undefined): boolean {
  return text === undefined || text === "" || (text.charCodeAt(0) <= 0x20 && text.trim() === "");
}

/** Checks rows against what a template asks of them, and keeps what it learns in a list. */
export class RowInspector {
  private readonly alwaysFilled: readonly CellUse[];
  private readonly sometimesFilled: readonly CellUse[];

  constructor(
    readonly usage: Usage,
    readonly field: Field,
    readonly names: ColumnNames,
  ) {
    this.alwaysFilled = oncePerColumn(usage.filled.filter((use) => use.always));
    const always = new Set(this.alwaysFilled.map((use) => use.column));
    this.sometimesFilled = oncePerColumn(usage.filled.filter((use) => !always.has(use.column)));
  }

  /** What the cells alone tell. Cheap: called for every row. */
  inspect({ row }: RowValues): RowIssue[] {
    const issues: RowIssue[] = [];
    for (const use of this.alwaysFilled)
      if (isEmptyCell(row.values[use.column])) issues.push(this.issue("liquid.emptyCell", use.column, "", use));
    for (const use of this.usage.numbers) {
      const cell = row.values[use.column];
      if (use.always && !isEmptyCell(cell) && cellNumber(cell ?? "") === undefined)
        issues.push(this.issue("liquid.notNumber", use.column, cell ?? "", use));
    }
    for (const use of this.usage.bare) {
      const cell = row.values[use.column] ?? "";
      const word = cell.length > 5 ? undefined : yesNoWord(cell);
      // “yes” does what it says, but its neighbour will be “no”.
      if (word !== undefined)
        issues.push(this.issue("liquid.yesNo", use.column, cell, use, word === "no" ? "error" : "warning"));
    }
    return issues;
  }

  /** Whether only an evaluation tells if this row is right. */
  isDoubtful({ row }: RowValues): boolean {
    if (this.usage.fallible) return true;
    for (const use of this.sometimesFilled) if (isEmptyCell(row.values[use.column])) return true;
    for (const use of this.usage.numbers) {
      if (use.always) continue;
      const cell = row.values[use.column];
      if (!isEmptyCell(cell) && cellNumber(cell ?? "") === undefined) return true;
    }
    return false;
  }

  /** A run for a row; what it meets is added to `issues`. */
  run({ row, now }: RowValues, issues: RowIssue[]): Run {
    const cells = Object.create(null) as Record<string, string>;
    for (const [name, column] of this.usage.names) {
      const cell = row.values[column] ?? "";
      cells[name] = isEmptyCell(cell) ? "" : cell;
    }
    const empty = (column: number): boolean => isEmptyCell(row.values[column]);
    return {
      cells,
      now,
      notNumber: (text) => {
        const columns = [...this.usage.uses].filter((column) => row.values[column] === text);
        const use = this.usage.numbers.find((one) => columns.includes(one.column));
        const column = use?.column ?? columns[0];
        if (column === undefined) throw new Error(`“${text}” is used as a number and is none`);
        add(issues, this.issue("liquid.notNumber", column, text, use ?? this.whole()));
      },
      reached: (output, text, assigns) => {
        const use = this.usage.outputs.get(output);
        if (use === undefined) return;
        for (const column of use.columns)
          if (empty(column)) add(issues, this.issue("liquid.emptyCell", column, "", use));
        for (const local of use.locals)
          for (const column of this.usage.assigns.get(assigns.get(local) ?? -1) ?? [])
            if (!use.guarded.has(column) && empty(column)) add(issues, this.issue("liquid.emptyCell", column, "", use));
        if (isEmptyCell(text))
          for (const column of use.fallbacks)
            if (empty(column)) add(issues, this.issue("liquid.emptyCell", column, "", use));
      },
    };
  }

  /** An error that LiquidJS threw, as an issue. */
  failure(error: unknown): RowIssue {
    const { range, detail } = describeError(error, this.field);
    const text = detail.replace(/^undefined variable: (.*)$/, "$1 has no value in this row");
    return { ...this.issue("render.failed", undefined, text, this.whole()), range };
  }

  /** An issue at an output. */
  atOutput(code: RowIssue["code"], output: number, text: string): RowIssue {
    const use: OutputUse | undefined = this.usage.outputs.get(output);
    return this.issue(code, use?.source ?? use?.columns[0], text, use ?? this.whole());
  }

  private issue(
    code: RowIssue["code"],
    column: number | undefined,
    text: string,
    { begin, end }: Stretch,
    severity: Severity = "error",
  ): RowIssue {
    const name = column === undefined ? "" : this.names.nameOf(column);
    const expression = column === undefined ? "" : this.names.expression(column);
    const { field } = this;
    return { code, severity, column, name, expression, text, field, range: field.locate(begin, end - begin) };
  }

  private whole(): Stretch {
    return { begin: 0, end: this.field.text.length };
  }
}

/** Adds an issue unless the same is known. */
export function add(issues: RowIssue[], issue: RowIssue): void {
  const isKnown = issues.some(
    (one) => one.code === issue.code && one.column === issue.column && one.text === issue.text,
  );
  if (!isKnown) issues.push(issue);
}

/** A template ready to be evaluated. Literals and outputs of one cell need no Liquid. */
export class Program {
  /** True when all rows give the same literals. */
  readonly isConstant: boolean;
  private readonly steps: readonly Step[];
  private readonly literals: readonly string[];
  private readonly columns: readonly number[];
  private readonly outputs: readonly number[];

  constructor(
    templates: readonly Template[],
    readonly inspector: RowInspector,
  ) {
    this.steps = toSteps(templates, inspector.usage);
    this.isConstant = this.steps.every(
      (step) => step.kind !== "liquid" || step.templates.every((one) => one instanceof Output),
    );
    const cells = this.steps.flatMap((step) => (step.kind === "cell" ? [step] : []));
    this.columns = cells.map((step) => step.column);
    this.outputs = cells.map((step) => step.output);
    const literals = [""];
    for (const step of this.steps) {
      if (step.kind === "literal") literals.push((literals.pop() ?? "") + step.text);
      else if (step.kind === "cell") literals.push("");
    }
    this.literals = literals;
  }

  /** Evaluates a row; the issues of `inspect` are among its issues. */
  evaluate(values: RowValues): Outcome {
    const issues = this.inspector.inspect(values);
    const { row } = values;
    if (this.columns.length + 1 === this.literals.length && this.steps.every((step) => step.kind !== "liquid")) {
      const texts = this.columns.map((column) => row.values[column] ?? "");
      return { literals: this.literals, values: texts, outputs: this.outputs, issues };
    }
    const evaluation = new Evaluation(this.inspector.run(values, issues));
    try {
      for (const step of this.steps) {
        if (step.kind === "literal") evaluation.write(step.text);
        else if (step.kind === "cell") evaluation.write(new Slot(row.values[step.column] ?? "", step.output));
        else evaluation.render(step.templates);
      }
    } catch (error) {
      issues.push(this.inspector.failure(error));
    }
    const { literals, slots } = evaluation;
    return { literals, values: slots.map((slot) => slot.text), outputs: slots.map((slot) => slot.output), issues };
  }

  /** What is wrong with a row; evaluated only when that is needed to know. */
  check(values: RowValues): readonly RowIssue[] {
    return this.inspector.isDoubtful(values) ? this.evaluate(values).issues : this.inspector.inspect(values);
  }
}

function toSteps(templates: readonly Template[], usage: Usage): readonly Step[] {
  const steps: Step[] = [];
  for (const template of templates) {
    const last = steps.at(-1);
    const { token } = template;
    const column = template instanceof Output ? usage.outputs.get(token.begin)?.plain : undefined;
    if (TypeGuards.isHTMLToken(token)) steps.push({ kind: "literal", text: token.getContent() });
    else if (column !== undefined) steps.push({ kind: "cell", column, output: token.begin });
    else if (last?.kind === "liquid") last.templates.push(template);
    else steps.push({ kind: "liquid", templates: [template] });
  }
  return steps;
}

function oncePerColumn(uses: readonly CellUse[]): readonly CellUse[] {
  return uses.filter((use, index) => uses.findIndex((one) => one.column === use.column) === index);
}

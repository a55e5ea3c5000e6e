/** Templates: Liquid per row, with values as opaque tokens, so that a cell is data and never markup. */
import { CaseTag, ForTag, IfTag, isTruthy, Output, RawTag, toValueSync, TypeGuards, UnlessTag } from "liquidjs";
import type { Template } from "liquidjs";
import type { Field } from "./campaign";
import { ColumnNames } from "./columnNames";
import { contextOf } from "./liquid";
import { parseCondition, parseTemplate } from "./parseTemplate";
import { problemAt } from "./problems";
import type { Checked, Problem, Range } from "./problems";
import { add, isEmptyCell, Program, RowInspector, rowProblem } from "./program";
import type { Outcome, RowIssue } from "./program";
import type { Column, Row } from "./recipients";
import { NestedTooDeeply } from "./htmlDocument";
import { fillShape, makeShape } from "./shape";
import type { Shape } from "./shape";
import { cleanLine, encodeUrlPart, landPlain, wholeUrl } from "./slots";
import type { Landing } from "./slots";
import { findConditionUsage, findUsage } from "./usage";
import type { Usage } from "./usage";

export { rowProblem } from "./program";
export type { RowIssue } from "./program";

/** A row's values as a template sees them. */
export interface RowValues {
  readonly columns: readonly Column[];
  readonly row: Row;
  /** What `{{ "now" | date: … }}` means: the date of the message. Without it such a template fails. */
  readonly now?: Date | undefined;
}

/** A place in a file that names a column. */
export interface Mention {
  /** Its index. */
  readonly column: number;
  readonly file: string;
  /** The name alone; brackets and quotes are part of it. */
  readonly range: Range;
  /** In Liquid, or as the header is written. */
  readonly as: "expression" | "header";
}

/** A rendered body: both parts hold the row's values, escaped for where they landed. */
export interface RenderedBody {
  readonly html: string;
  readonly text: string;
  /** Local images of the body, by the path that the HTML names, and the content id it now names instead. */
  readonly images: readonly { readonly path: string; readonly cid: string }[];
}

/** A compiled one-line text: subject, address, header, file name, URL. */
export interface LineTemplate {
  readonly field: Field;
  /** Columns that the text uses, by index. */
  readonly uses: ReadonlySet<number>;
  readonly mentions: readonly Mention[];
  /** What is wrong with this row for this text; cheap. `encode` as it will be rendered. */
  check(values: RowValues, encode?: "url"): readonly RowIssue[];
  /**
   * The text for a row, on one line. `encode` "url" percent-encodes the values, but for a whole URL at the start. Problems are about this
   * row, at the template's place; the value is there all the same, for a preview.
   */
  render(values: RowValues, encode?: "url"): Checked<string>;
}

/** A compiled `where`. */
export interface Condition {
  readonly field: Field;
  readonly uses: ReadonlySet<number>;
  readonly mentions: readonly Mention[];
  /** What is wrong with this row for this condition; cheap. */
  check(values: RowValues): readonly RowIssue[];
  /** False for a row that has problems. */
  test(values: RowValues): Checked<boolean>;
}

/** A compiled body. */
export interface BodyTemplate {
  readonly uses: ReadonlySet<number>;
  readonly mentions: readonly Mention[];
  /** Local images whose path is the same for every row, as the body names them. */
  readonly images: readonly string[];
  /** True when rows have images of their own: local ones, if they are, are known after rendering only. */
  readonly hasRowImages: boolean;
  /** False when the text part is blank whatever the rows hold. */
  readonly hasText: boolean;
  /** What is wrong with this row for this body; cheap. */
  check(values: RowValues): readonly RowIssue[];
  /** Both parts for a row. Problems are about this row, at the template's place. */
  render(values: RowValues): Checked<RenderedBody>;
}

/** Shapes that a body keeps: each is a few times the body's size, and takes some 10 ms to make. */
const shapeLimit = 200;

/** Compiles a one-line text. Unknown columns, filters and syntax are problems with their place. */
export function compileLine(field: Field, columns: readonly Column[]): Checked<LineTemplate | undefined> {
  const { value: parsed, problems } = parse(field, columns);
  if (parsed === undefined) return { value: undefined, problems };
  const { program, inspector } = parsed;
  const finish = (
    outcome: Outcome,
    encode: "url" | undefined,
  ): { readonly text: string; readonly issues: readonly RowIssue[] } => {
    const { literals, values } = outcome;
    const issues = [...outcome.issues];
    let text = literals[0] ?? "";
    values.forEach((value, index) => {
      if (encode === undefined) text += value;
      else if (text.trim() === "") {
        const url = wholeUrl(value);
        if (url === undefined && !isEmptyCell(value))
          add(issues, inspector.atOutput("url.scheme", outcome.outputs[index] ?? 0, value));
        text += url ?? "";
      } else text += /^\s*mailto:[^?]*$/i.test(text) ? encodeUrlPart(value).replace(/%40/g, "@") : encodeUrlPart(value);
      text += literals[index + 1] ?? "";
    });
    return { text: cleanLine(text).trim(), issues };
  };
  return {
    problems,
    value: {
      field,
      uses: inspector.usage.uses,
      mentions: mentionsOf(inspector.usage, field),
      check: (values, encode) =>
        encode === undefined ? program.check(values) : finish(program.evaluate(values), encode).issues,
      render: (values, encode) => {
        const { text, issues } = finish(program.evaluate(values), encode);
        return { value: text, problems: toProblems(issues, values) };
      },
    },
  };
}

/** Compiles a condition, written without braces. */
export function compileCondition(field: Field, columns: readonly Column[]): Checked<Condition | undefined> {
  const { value, problems } = parseCondition(field);
  if (value === undefined) return { value: undefined, problems };
  const names = new ColumnNames(columns);
  const [usage, found] = findConditionUsage(value, field, names);
  if (found.length > 0) return { value: undefined, problems: found };
  const inspector = new RowInspector(usage, field, names);
  const test = (values: RowValues): { readonly holds: boolean; readonly issues: readonly RowIssue[] } => {
    const issues = inspector.inspect(values);
    try {
      const context = contextOf(inspector.run(values, issues));
      return { holds: isTruthy(toValueSync(value.value(context, true)), context), issues };
    } catch (error) {
      return { holds: false, issues: [...issues, inspector.failure(error)] };
    }
  };
  return {
    problems: [],
    value: {
      field,
      uses: usage.uses,
      mentions: mentionsOf(usage, field),
      check: (values) => (inspector.isDoubtful(values) ? test(values).issues : inspector.inspect(values)),
      test: (values) => {
        const { holds, issues } = test(values);
        const isWrong = issues.some((issue) => issue.severity === "error");
        return { value: holds && !isWrong, problems: toProblems(issues, values) };
      },
    },
  };
}

/** Compiles a body of either kind. */
export function compileBody(
  body: { readonly kind: "markdown" | "html"; readonly field: Field },
  columns: readonly Column[],
): Checked<BodyTemplate | undefined> {
  const { kind, field } = body;
  const { value: parsed, problems } = parse(field, columns);
  if (parsed === undefined) return { value: undefined, problems };
  try {
    const compiled = new CompiledBody(kind, field, parsed);
    const wrong = compiled.problems();
    return { value: wrong.length > 0 ? undefined : compiled, problems: [...problems, ...wrong] };
  } catch (error) {
    if (!(error instanceof NestedTooDeeply)) throw error;
    return { value: undefined, problems: [problemAt("render.failed", { detail: error.message }, field)] };
  }
}

interface Parsed {
  readonly templates: readonly Template[];
  readonly inspector: RowInspector;
  readonly program: Program;
}

function parse(field: Field, columns: readonly Column[]): Checked<Parsed | undefined> {
  const names = new ColumnNames(columns);
  const { value: templates, problems } = parseTemplate(field, names);
  if (templates === undefined) return { value: undefined, problems };
  const [usage, found] = findUsage(templates, field, names);
  if (found.length > 0) return { value: undefined, problems: found };
  const inspector = new RowInspector(usage, field, names);
  return { value: { templates, inspector, program: new Program(templates, inspector) }, problems: [] };
}

function mentionsOf({ mentions }: Usage, field: Field): readonly Mention[] {
  return mentions.map(({ column, begin, end }) => ({
    column,
    file: field.file,
    range: field.locate(begin, end - begin),
    as: "expression",
  }));
}

function toProblems(issues: readonly RowIssue[], { row }: RowValues): readonly Problem[] {
  return issues.map((issue) => rowProblem(issue, row.line, { file: issue.field.file, range: issue.range }));
}

class CompiledBody implements BodyTemplate {
  readonly uses: ReadonlySet<number>;
  readonly mentions: readonly Mention[];
  readonly images: readonly string[];
  readonly hasRowImages: boolean;
  readonly hasText: boolean;
  /** All that the template can put out, every branch after the other: for what can be known before any row. */
  private readonly sample: Shape;
  private readonly sampleOutputs: readonly number[];
  /** Outputs that must give a URL or a style. `source` is the cell that they show, when it is one. */
  private readonly delicate: readonly { readonly source: number | undefined; readonly landings: readonly Landing[] }[];
  private readonly shapes = new Map<string, Shape>();
  private readonly program: Program;
  private readonly inspector: RowInspector;

  constructor(
    private readonly kind: "markdown" | "html",
    private readonly field: Field,
    { templates, inspector, program }: Parsed,
  ) {
    this.program = program;
    this.inspector = inspector;
    this.uses = inspector.usage.uses;
    this.mentions = mentionsOf(inspector.usage, field);
    const all: { literals: string[]; outputs: number[] } = { literals: [""], outputs: [] };
    flatten(templates, all);
    this.sampleOutputs = all.outputs;
    this.sample = makeShape(kind, all.literals, this.identities(all.outputs));
    this.images = this.sample.images.map((image) => image.path);
    const landings = all.outputs.map((_, slot) => [...(this.sample.landings[slot] ?? [])]);
    this.hasRowImages = landings.some((of) => of.includes("image"));
    const { literals: texts, places } = this.sample.text;
    this.hasText = places.length > 0 || texts.some((text) => text.trim() !== "");
    this.delicate = all.outputs.flatMap((output, slot) => {
      const critical = (landings[slot] ?? []).filter((landing) => landing === "urlStart" || landing === "css");
      const source = inspector.usage.outputs.get(output)?.source;
      return critical.length > 0 ? [{ source, landings: critical }] : [];
    });
  }

  /** What is wrong with the document itself. */
  problems(): readonly Problem[] {
    return this.sample.problems.map((problem) => {
      if (problem.code === "html.script") {
        const at = this.field.text.search(/<script/i);
        return problemAt(problem.code, {}, { file: this.field.file, range: this.field.locate(Math.max(at, 0), 7) });
      }
      return this.misplaced(this.sampleOutputs[problem.slot] ?? 0);
    });
  }

  check(values: RowValues): readonly RowIssue[] {
    return this.hasRowImages || this.isSuspicious(values) ? this.fill(values).issues : this.program.check(values);
  }

  render(values: RowValues): Checked<RenderedBody> {
    const { body, issues, problems } = this.fill(values);
    return { value: body, problems: [...toProblems(issues, values), ...problems] };
  }

  private fill(values: RowValues): {
    readonly body: RenderedBody;
    readonly issues: readonly RowIssue[];
    readonly problems: readonly Problem[];
  } {
    const outcome = this.program.evaluate(values);
    const issues = [...outcome.issues];
    const { shape, problems } = this.shapeOf(outcome, issues);
    if (shape === undefined) return { body: { html: "", text: "", images: [] }, issues, problems };
    const { html, text, images, refusals } = fillShape(shape, outcome.values);
    for (const { code, slot, text: value } of refusals) {
      // An empty cell is an issue of its own.
      if (isEmptyCell(value) && issues.length > 0) continue;
      add(issues, this.inspector.atOutput(code, outcome.outputs[slot] ?? 0, value));
    }
    return { body: { html, text, images }, issues, problems };
  }

  /** Whether a cell that lands as a URL or in a style looks wrong there, or nobody can tell without trying. */
  private isSuspicious({ row }: RowValues): boolean {
    for (const { source, landings } of this.delicate) {
      const cell = source === undefined ? undefined : row.values[source];
      if (cell === undefined || isEmptyCell(cell)) return true;
      for (const landing of landings) if (!landPlain(cell, landing).ok) return true;
    }
    return false;
  }

  private shapeOf(
    { literals, outputs }: Outcome,
    issues: RowIssue[],
  ): { readonly shape: Shape | undefined; readonly problems: readonly Problem[] } {
    if (this.program.isConstant) return { shape: this.sample, problems: [] };
    const key = literals.join("\u0000");
    let shape = this.shapes.get(key);
    if (shape === undefined) {
      try {
        shape = makeShape(this.kind, literals, this.identities(outputs));
      } catch (error) {
        issues.push(this.inspector.failure(error));
        return { shape: undefined, problems: [] };
      }
    } else this.shapes.delete(key);
    // The last used comes last, so the first is the one to forget.
    this.shapes.set(key, shape);
    if (this.shapes.size > shapeLimit) this.shapes.delete(this.shapes.keys().next().value ?? "");
    const problems = shape.problems.flatMap((problem) =>
      problem.code === "html.script" ? [] : [this.misplaced(outputs[problem.slot] ?? 0)],
    );
    return { shape, problems };
  }

  /** Outputs of one column give the same; any other is only like itself. */
  private identities(outputs: readonly number[]): readonly number[] {
    return outputs.map((output) => this.inspector.usage.outputs.get(output)?.plain ?? -1 - output);
  }

  private misplaced(output: number): Problem {
    const use = this.inspector.usage.outputs.get(output);
    const name = this.field.text.slice(use?.begin, use?.end);
    const range = this.field.locate(output, (use?.end ?? output) - output);
    return problemAt("html.placeholderPosition", { name }, { file: this.field.file, range });
  }
}

/** The literals and outputs of all branches in the order of the text. */
function flatten(templates: readonly Template[], all: { literals: string[]; outputs: number[] }): void {
  for (const template of templates) {
    const { token } = template;
    if (TypeGuards.isHTMLToken(token)) all.literals.push((all.literals.pop() ?? "") + token.getContent());
    else if (template instanceof Output) {
      all.outputs.push(token.begin);
      all.literals.push("");
    } else if (template instanceof RawTag) all.literals.push((all.literals.pop() ?? "") + template.render());
    else if (template instanceof ForTag) flatten([...template.templates, ...template.elseTemplates], all);
    else if (template instanceof IfTag || template instanceof UnlessTag || template instanceof CaseTag) {
      for (const branch of template.branches) flatten(branch.templates, all);
      flatten(template.elseTemplates ?? [], all);
    }
  }
}

/** What a template asks of a row, found before any row: which columns, as what, and whether a row must be tried to know. */
import { AssignTag, CaseTag, ForTag, IfTag, Output, TypeGuards, UnlessTag, Value } from "liquidjs";
import type { Template, Token } from "liquidjs";
import type { Field } from "./campaign";
import type { ColumnNames } from "./columnNames";
import { engine, mathFilters, nameOutput } from "./liquid";
import { nearest, problemAt } from "./problems";
import type { Fix, Problem, ProblemCode, ProblemDetails } from "./problems";

/** A stretch of the template's text. */
export interface Stretch {
  readonly begin: number;
  readonly end: number;
}

/** A column that must hold something, or something of a kind. */
export interface CellUse extends Stretch {
  readonly column: number;
  /** False when it depends on the row whether this use is reached. */
  readonly always: boolean;
}

/** One `{{ … }}`. */
export interface OutputUse extends Stretch {
  /** Columns that must not be empty when it is reached. */
  readonly columns: readonly number[];
  /** Columns that must not be empty when the output is. */
  readonly fallbacks: readonly number[];
  /** Assigned variables whose columns must not be empty either, but for those in `guarded`. */
  readonly locals: readonly string[];
  readonly guarded: ReadonlySet<number>;
  /** Set when the output is this column and nothing else. */
  readonly plain: number | undefined;
  /** Set when the output is this column whenever that is not empty. */
  readonly source: number | undefined;
  readonly always: boolean;
}

/** All uses of a template. */
export interface Usage {
  readonly uses: ReadonlySet<number>;
  /** The names to give to Liquid, with the columns behind them. */
  readonly names: ReadonlyMap<string, number>;
  readonly filled: readonly CellUse[];
  readonly numbers: readonly CellUse[];
  /** Columns that stand as a condition by themselves. */
  readonly bare: readonly CellUse[];
  /** By the offset of their `{{`. */
  readonly outputs: ReadonlyMap<number, OutputUse>;
  /** The columns that an assign takes its value from and that must not be empty, by the offset of its `{%`. */
  readonly assigns: ReadonlyMap<number, readonly number[]>;
  /** True when only trying tells whether a row can be rendered. */
  readonly fallible: boolean;
  /** Every place that names a column, in no order: the name alone, brackets and quotes included. */
  readonly mentions: readonly (Stretch & { readonly column: number })[];
}

/** Finds the uses of parsed templates. Unknown names and filters are problems with their place in `field`. */
export function findUsage(
  templates: readonly Template[],
  field: Field,
  names: ColumnNames,
): [Usage, readonly Problem[]] {
  const finder = new UsageFinder(field, names);
  finder.templates(templates, outermost);
  return [finder, finder.problems];
}

/** The same for one condition. */
export function findConditionUsage(value: Value, field: Field, names: ColumnNames): [Usage, readonly Problem[]] {
  const finder = new UsageFinder(field, names);
  finder.condition(value, outermost);
  return [finder, finder.problems];
}

/** Where in the template something stands. */
interface Surroundings {
  /** False inside of a tag whose inside may be left out. */
  readonly always: boolean;
  /** Columns and variables that a surrounding condition asks about. */
  readonly guardedColumns: ReadonlySet<number>;
  readonly guardedLocals: ReadonlySet<string>;
  readonly loopVariables: ReadonlySet<string>;
}

const outermost: Surroundings = {
  always: true,
  guardedColumns: new Set(),
  guardedLocals: new Set(),
  loopVariables: new Set(),
};

type Resolved =
  | { readonly kind: "column"; readonly column: number; readonly whole: boolean; readonly token: Token }
  | { readonly kind: "local"; readonly name: string; readonly token: Token };

/** What the parts of an expression lead to. */
interface Parts {
  readonly initial: readonly Resolved[];
  readonly arguments: readonly Resolved[];
  /** Arguments of `default`. */
  readonly fallbacks: readonly Resolved[];
  readonly hasDefault: boolean;
}

class UsageFinder implements Usage {
  readonly uses = new Set<number>();
  readonly names = new Map<string, number>();
  readonly filled: CellUse[] = [];
  readonly numbers: CellUse[] = [];
  readonly bare: CellUse[] = [];
  readonly outputs = new Map<number, OutputUse>();
  readonly assigns = new Map<number, readonly number[]>();
  readonly mentions: (Stretch & { readonly column: number })[] = [];
  readonly problems: Problem[] = [];
  fallible = false;
  /** Assigned so far: the columns behind, and whether it has one value only. */
  private readonly locals = new Map<string, { readonly columns: readonly number[]; readonly sure: boolean }>();

  constructor(
    private readonly field: Field,
    private readonly columnNames: ColumnNames,
  ) {}

  templates(templates: readonly Template[], around: Surroundings): void {
    for (const template of templates) this.template(template, around);
  }

  private template(template: Template, around: Surroundings): void {
    if (template instanceof Output) this.output(template, around);
    else if (template instanceof AssignTag) this.assign(template, around);
    else if (template instanceof ForTag) this.loop(template, around);
    else if (template instanceof IfTag || template instanceof UnlessTag) {
      const conditions = template.branches.map(({ value }) => this.condition(value, around));
      const inside = guard(around, conditions.flat());
      for (const branch of template.branches) this.templates(branch.templates, inside);
      this.templates(template.elseTemplates ?? [], inside);
    } else if (template instanceof CaseTag) {
      const values = template.branches.flatMap((branch) => branch.values);
      const target = this.parts(template.value, around);
      const compared = values.flatMap((value) => this.token(value, around));
      const numeric = values.some((value) => TypeGuards.isNumberToken(value));
      for (const part of target.initial) if (numeric) this.number(part, around);
      const inside = guard(around, [...target.initial, ...compared]);
      for (const branch of template.branches) this.templates(branch.templates, inside);
      this.templates(template.elseTemplates, inside);
    }
  }

  private output(output: Output, around: Surroundings): void {
    nameOutput(output);
    const { begin, end } = output.token;
    const parts = this.parts(output.value, around);
    const needed = [...(parts.hasDefault ? [] : parts.initial), ...parts.arguments];
    const columns = columnsOf(needed, around);
    const fallbacks = columnsOf(parts.fallbacks, around);
    const locals = needed.flatMap((part) =>
      part.kind === "local" && !around.guardedLocals.has(part.name) && !around.loopVariables.has(part.name)
        ? [part.name]
        : [],
    );
    for (const part of needed)
      if (part.kind === "column" && columns.includes(part.column))
        this.filled.push({ column: part.column, begin: part.token.begin, end: part.token.end, always: around.always });
    for (const column of fallbacks) this.filled.push({ column, begin, end, always: false });
    for (const name of locals)
      for (const column of this.locals.get(name)?.columns ?? [])
        if (!around.guardedColumns.has(column)) this.filled.push({ column, begin, end, always: false });
    const only = output.value.initial.postfix.length === 1 ? parts.initial[0] : undefined;
    const column = only?.kind === "column" && only.whole ? only.column : undefined;
    // The last filter is the hook.
    const filters = output.value.filters.slice(0, -1);
    const plain = filters.length === 0 ? column : undefined;
    const source = filters.every(({ name }) => name === "default") ? column : undefined;
    const guarded = around.guardedColumns;
    this.outputs.set(begin, { begin, end, columns, fallbacks, locals, guarded, plain, source, always: around.always });
  }

  private assign(tag: AssignTag, around: Surroundings): void {
    const columns = new Set<number>();
    for (const value of tag.arguments()) {
      if (!(value instanceof Value)) continue;
      const parts = this.parts(value, around);
      const needed = [...(parts.hasDefault ? [] : parts.initial), ...parts.arguments];
      for (const column of columnsOf(needed, around)) columns.add(column);
      for (const part of needed)
        if (part.kind === "local") for (const column of this.locals.get(part.name)?.columns ?? []) columns.add(column);
    }
    this.assigns.set(tag.token.begin, [...columns]);
    for (const identifier of tag.localScope()) {
      const name = identifier.getText();
      const before = this.locals.get(name);
      const sure = around.always || before?.sure === true;
      this.locals.set(name, { columns: [...new Set([...(before?.columns ?? []), ...columns])], sure });
    }
  }

  private loop(tag: ForTag, around: Surroundings): void {
    const over = this.token(tag.collection, around);
    for (const value of Object.values<Token | undefined>(tag.hash.hash))
      if (value !== undefined) for (const part of this.token(value, around)) this.number(part, around);
    if (tag.elseTemplates.length === 0)
      for (const part of over)
        if (part.kind === "column" && !around.guardedColumns.has(part.column))
          this.filled.push({
            column: part.column,
            begin: part.token.begin,
            end: part.token.end,
            always: around.always,
          });
    const loopVariables = new Set([...around.loopVariables, tag.variable, "forloop"]);
    this.templates(tag.templates, { ...guard(around, over), loopVariables });
    this.templates(tag.elseTemplates, guard(around, over));
  }

  /** Looks through a condition; returns what it asks about. */
  condition(value: Value, around: Surroundings): readonly Resolved[] {
    const parts = this.parts(value, around);
    const stack: (Token | undefined)[] = [];
    for (const token of value.initial.postfix) {
      if (!TypeGuards.isOperatorToken(token)) {
        stack.push(token);
        continue;
      }
      const right = stack.pop();
      const left = token.operator === "not" ? undefined : stack.pop();
      if (token.operator === "and" || token.operator === "or" || token.operator === "not")
        for (const operand of [left, right]) this.bareCondition(operand, parts, around);
      else if (token.operator !== "contains") {
        this.comparison(left, right, parts, around);
        this.comparison(right, left, parts, around);
      }
      stack.push(undefined);
    }
    if (value.filters.length === 0) this.bareCondition(stack.pop(), parts, around);
    return [...parts.initial, ...parts.arguments, ...parts.fallbacks];
  }

  private bareCondition(token: Token | undefined, parts: Parts, around: Surroundings): void {
    const part = parts.initial.find((one) => one.token === token);
    if (part?.kind === "column" && part.whole)
      this.bare.push({ column: part.column, begin: part.token.begin, end: part.token.end, always: around.always });
  }

  private comparison(side: Token | undefined, other: Token | undefined, parts: Parts, around: Surroundings): void {
    const part = parts.initial.find((one) => one.token === side);
    if (part === undefined || other === undefined) return;
    if (TypeGuards.isNumberToken(other)) this.number(part, around);
    // A variable may hold a number.
    else if (parts.initial.some((one) => one.token === other && one.kind === "local")) this.fallible = true;
  }

  private number(part: Resolved, around: Surroundings): void {
    if (part.kind === "local") this.fallible = true;
    else if (part.whole)
      this.numbers.push({ column: part.column, begin: part.token.begin, end: part.token.end, always: around.always });
  }

  private parts(value: Value, around: Surroundings): Parts {
    const tokens = value.initial.postfix;
    const operands = tokens.filter((token) => !TypeGuards.isOperatorToken(token));
    const binary = tokens.filter((token) => TypeGuards.isOperatorToken(token) && token.operator !== "not");
    if (operands.length !== binary.length + 1) {
      this.misread(value);
      return { initial: [], arguments: [], fallbacks: [], hasDefault: false };
    }
    const initial = operands.flatMap((token) => this.token(token, around));
    const others: Resolved[] = [];
    const fallbacks: Resolved[] = [];
    let hasDefault = false;
    // What a math filter gets: the column itself, a number, or a text made of a column, which nobody knows before the row.
    let subject: Resolved | "number" | "text" | undefined = initial.length === 1 ? initial[0] : undefined;
    for (const filter of value.filters) {
      // The output hook is a filter without name in the text.
      if (!(filter.name in engine.filters)) {
        if (filter.name === "[object Function]") continue;
        this.unknownFilter(filter.name, (filter as unknown as { readonly token: Token }).token);
        continue;
      }
      const args = filter.args.flatMap((arg) => (Array.isArray(arg) ? arg.slice(1) : [arg]));
      const resolved = args.flatMap((arg) => (typeof arg === "object" ? this.token(arg, around) : []));
      if (mathFilters.has(filter.name)) {
        for (const part of resolved) this.number(part, around);
        if (subject === "text") this.fallible = true;
        else if (subject !== undefined && subject !== "number") this.number(subject, around);
      }
      if (filter.name === "default") {
        hasDefault = true;
        fallbacks.push(...resolved);
      } else {
        others.push(...resolved);
        subject = mathFilters.has(filter.name) ? "number" : "text";
      }
    }
    return { initial, arguments: others, fallbacks, hasDefault };
  }

  /** What a token leads to; nothing for texts and numbers. */
  private token(token: Token, around: Surroundings): readonly Resolved[] {
    if (TypeGuards.isRangeToken(token)) {
      const ends = [...this.token(token.lhs, around), ...this.token(token.rhs, around)];
      for (const end of ends) this.number(end, around);
      return ends;
    }
    if (!TypeGuards.isPropertyAccessToken(token)) return [];
    const [root, ...rest] = token.props;
    const inner = rest.flatMap((prop) => this.token(prop, around));
    if (token.variable !== undefined || root === undefined) return inner;
    if (!TypeGuards.isQuotedToken(root) && !TypeGuards.isWordToken(root)) {
      this.add("liquid.syntax", token, { detail: 'a name in brackets stands in quotes, such as ["First Name"]' });
      return inner;
    }
    const name = root.content;
    if (around.loopVariables.has(name) || this.locals.has(name)) {
      const local = this.locals.get(name);
      if (rest.length > 0 || (local?.sure === false && !around.guardedLocals.has(name))) this.fallible = true;
      return [{ kind: "local", name, token }, ...inner];
    }
    const column = this.columnNames.find(name);
    if (column === undefined) {
      this.unknown(name, token, root);
      return inner;
    }
    const property = rest[0];
    if (
      property !== undefined &&
      !(TypeGuards.isWordToken(property) && property.content === "size" && rest.length === 1)
    ) {
      this.unknown(token.getText(), token, token);
      return inner;
    }
    this.uses.add(column);
    this.names.set(name, column);
    // A quoted name stands in brackets, which are no part of its token.
    const { end } = root;
    const closing = TypeGuards.isQuotedToken(root) ? this.field.text.indexOf("]", end) + 1 : end;
    this.mentions.push({ column, begin: token.begin, end: closing });
    return [{ kind: "column", column, whole: rest.length === 0, token }, ...inner];
  }

  /** `{{ First Name }}` is two values side by side for Liquid, of which it would quietly take the first. */
  private misread(value: Value): void {
    const tokens = [...value.initial.postfix].sort((a, b) => a.begin - b.begin);
    const isOperand = (token: Token | undefined): boolean => token !== undefined && !TypeGuards.isOperatorToken(token);
    const first = tokens.findIndex((token, index) => isOperand(token) && isOperand(tokens[index + 1]));
    const rest = tokens.slice(Math.max(first, 0));
    const after = rest.findIndex((token) => !isOperand(token));
    const run = after < 0 ? rest : rest.slice(0, after);
    const begin = run[0]?.begin ?? 0;
    const end = run.at(-1)?.end ?? begin;
    this.reportUnknown(run[0]?.input.slice(begin, end) ?? "", { begin, end });
  }

  private unknown(name: string, token: Token, place: Token): void {
    const quoted = TypeGuards.isQuotedToken(place);
    // With its brackets: a fix must replace them too.
    this.reportUnknown(name, quoted ? token : place === token ? token : { begin: token.begin, end: place.end });
  }

  private reportUnknown(name: string, stretch: Stretch): void {
    const suggestion = this.columnNames.suggestion(name, this.locals.keys());
    const details = suggestion === undefined ? { name } : { name, suggestion };
    this.add("liquid.unknown", stretch, details, suggestion);
  }

  private unknownFilter(name: string, token: Token): void {
    const suggestion = nearest(name, Object.keys(engine.filters));
    const place = { begin: token.begin, end: token.begin + name.length };
    this.add("liquid.unknownFilter", place, suggestion === undefined ? { name } : { name, suggestion }, suggestion);
  }

  private add<C extends ProblemCode>(
    code: C,
    { begin, end }: Stretch,
    details: ProblemDetails<C>,
    replacement?: string,
  ): void {
    const range = this.field.locate(begin, end - begin);
    const { file } = this.field;
    // Quotes could end the quotes of the YAML around.
    const fixes: readonly Fix[] =
      replacement === undefined || /["']/.test(replacement)
        ? []
        : [{ title: `Change to ${replacement}`, file, range, text: replacement }];
    this.problems.push(problemAt(code, details, { file, range }, fixes.length > 0 ? { fixes } : {}));
  }
}

function columnsOf(parts: readonly Resolved[], around: Surroundings): readonly number[] {
  const columns = parts.flatMap((part) => (part.kind === "column" ? [part.column] : []));
  return [...new Set(columns)].filter((column) => !around.guardedColumns.has(column));
}

function guard(around: Surroundings, parts: readonly Resolved[]): Surroundings {
  const columns = parts.flatMap((part) => (part.kind === "column" ? [part.column] : []));
  const locals = parts.flatMap((part) => (part.kind === "local" ? [part.name] : []));
  return {
    ...around,
    always: false,
    guardedColumns: new Set([...around.guardedColumns, ...columns]),
    guardedLocals: new Set([...around.guardedLocals, ...locals]),
  };
}

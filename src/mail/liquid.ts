/** The Liquid of campaigns: LiquidJS with our tags, filters and comparisons. What it puts out are values, never markup. */
import { AssignTag, CaseTag, Context, Liquid, defaultOperators, evalToken, toValue, toValueSync } from "liquidjs";
import type { Emitter, Operators, Output, Template } from "liquidjs";

/** Tags that stand alone or open a block. */
export const tagNames: readonly string[] = [
  ...["if", "unless", "case", "for", "break", "continue", "assign", "comment", "raw", "#"],
];
/** Tags that only stand inside a block. */
export const innerTagNames: readonly string[] = [
  ...["elsif", "else", "when", "endif", "endunless", "endcase", "endfor", "endcomment", "endraw"],
];

/** Filters that use their input, and every argument, as a number. */
export const mathFilters: ReadonlySet<string> = new Set([
  ...["abs", "at_least", "at_most", "ceil", "divided_by", "floor", "minus", "modulo", "plus", "round", "times"],
]);

/** Escaping is automatic, by the place where a value lands, so these leave their input alone. `raw` must not switch that off. */
const passThroughFilters = [
  ...["raw", "escape", "escape_once", "xml_escape", "url_encode", "cgi_escape", "uri_escape", "newline_to_br"],
];
const dateFilters = ["date", "date_to_xmlschema", "date_to_rfc822", "date_to_string", "date_to_long_string"];
/** Expressions in texts cannot be checked before the rows are; a sample differs from attempt to attempt. */
const removedFilters = [
  ...["where_exp", "reject_exp", "group_by_exp", "has_exp", "find_exp", "find_index_exp", "sample"],
];

/** What an output of the template put out for a row. */
export class Slot {
  constructor(
    readonly text: string,
    /** Where its `{{` stands in the template: the name of this output. */
    readonly output: number,
  ) {}
}

/** One evaluation for one row: what it may read, and what it meets. */
export interface Run {
  /** Cells by the names that the template uses; has no prototype. */
  readonly cells: Readonly<Record<string, string>>;
  /** Stands for `now` in dates; undefined where time must not matter. */
  readonly now: Date | undefined;
  /** A text that is used as a number and is none. */
  notNumber(text: string): void;
  /** An output was reached, with the assigns that gave its variables their values, by name: where each stands. */
  reached(output: number, text: string, assigns: ReadonlyMap<string, number>): void;
}

/** A number as cells hold it: digits, a point, a sign, an exponent. Undefined for anything else. */
export function cellNumber(text: string): number | undefined {
  return /^\s*[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?\s*$/.test(text) ? Number(text) : undefined;
}

const yesWords = new Set(["yes", "y", "true", "on", "1", "ja", "oui", "si", "sí"]);
const noWords = new Set(["no", "n", "false", "off", "0", "nein", "non", "none"]);

/** Whether a cell is a word for yes or no, which a bare condition would take for true either way. */
export function yesNoWord(text: string): "yes" | "no" | undefined {
  const word = text.trim().toLowerCase();
  return yesWords.has(word) ? "yes" : noWords.has(word) ? "no" : undefined;
}

/** Collects what a template puts out for one row: `literals` has one entry more than `slots` and stands around them. */
export class Evaluation implements Emitter {
  readonly literals = [""];
  readonly slots: Slot[] = [];
  // LiquidJS returns it from renders; the pieces are what counts.
  readonly buffer = "";
  private readonly context: Context;

  constructor(run: Run) {
    this.context = contextOf(run);
  }

  /** Adds what is put out: a slot, or literal text. */
  write(html: unknown): void {
    if (html instanceof Slot) {
      this.slots.push(html);
      this.literals.push("");
    } else {
      const last = this.literals.length - 1;
      this.literals[last] = (this.literals[last] ?? "") + toText(html);
    }
  }

  /** Renders a part; variables live on to the next. Throws what LiquidJS throws; its errors carry the token. */
  render(templates: Template[]): void {
    toValueSync(engine.renderer.renderTemplates(templates, this.context, this));
  }
}

/** A context for one evaluation. */
export function contextOf(run: Run): Context {
  const context = new Context(run.cells, engine.options, { sync: true }, { liquid: engine });
  context.setRegister("run", run);
  context.setRegister("assigns", new Map<string, number>());
  return context;
}

function runOf(context: Context): Run {
  return context.getRegister<Run>("run");
}

function createEngine(): Liquid {
  const liquid = new Liquid({
    // Names are checked before any row; what fails here is a part that a text does not have, such as words[7].
    strictVariables: true,
    lenientIf: true,
    // Unknown filters are found with their place, after parsing.
    strictFilters: false,
    ownPropertyOnly: true,
    // An empty cell is the empty text, and that is false.
    jsTruthy: true,
    greedy: false,
    // Nothing is ever read from disk: no tag that would do so is left.
    templates: {},
    operators: createOperators(),
    outputEscape: toSlot as unknown as (value: unknown) => string,
    locale: "en-US",
    preserveTimezones: true,
    parseLimit: 5_000_000,
    renderLimit: 1_000,
    memoryLimit: 20_000_000,
  });
  for (const name of Object.keys(liquid.tags)) if (!tagNames.includes(name)) Reflect.deleteProperty(liquid.tags, name);
  liquid.registerTag("assign", TrackedAssign);
  liquid.registerTag("case", ComparingCase);
  for (const name of removedFilters) liquid.unregisterFilter(name);
  for (const name of passThroughFilters) liquid.registerFilter(name, (value: unknown) => value);
  for (const name of mathFilters) wrapFilter(liquid, name, toNumberArgument, assertFinite);
  for (const name of dateFilters) wrapFilter(liquid, name, toDateArgument, (value) => value);
  return liquid;
}

type FilterHandler = (this: { context: Context }, value: unknown, ...more: unknown[]) => unknown;

/** Changes what a filter of LiquidJS gets and gives. */
function wrapFilter(
  liquid: Liquid,
  name: string,
  argument: (value: unknown, run: Run, index: number) => unknown,
  result: (value: unknown, name: string) => unknown,
): void {
  const original = liquid.filters[name] as FilterHandler;
  const handler: FilterHandler = function (...values) {
    const run = runOf(this.context);
    const args = values.map((value, index) => argument(value, run, index)) as Parameters<FilterHandler>;
    return result(original.apply(this, args), name);
  };
  liquid.registerFilter(name, handler);
}

/** LiquidJS would count “1.234,50 €” as 0 and mail that. */
function toNumberArgument(value: unknown, run: Run): unknown {
  const plain: unknown = toValue(value);
  if (typeof plain !== "string" || plain === "") return plain;
  const number = cellNumber(plain);
  if (number === undefined) run.notNumber(plain);
  return number;
}

function assertFinite(value: unknown, name: string): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) throw new Error(`${name} gives no number`);
  return value;
}

function toDateArgument(value: unknown, run: Run, index: number): unknown {
  const plain: unknown = toValue(value);
  if (index > 0 || typeof plain !== "string") return plain;
  if (plain === "now" || plain === "today") {
    if (run.now === undefined) throw new Error("the current date is not known here");
    return run.now;
  }
  // JavaScript reads a bare date as midnight in UTC, which is the day before in America.
  return /^\s*\d{4}-\d{2}-\d{2}\s*$/.test(plain) ? `${plain.trim()}T00:00:00` : plain;
}

/** The output hook: LiquidJS calls it after all filters with what the output gives. */
function toSlot(this: { context: Context; token: { begin: number } }, value: unknown): Slot {
  const text = toText(value);
  runOf(this.context).reached(this.token.begin, text, this.context.getRegister("assigns"));
  return new Slot(text, this.token.begin);
}

/** A value as text. */
export function toText(value: unknown): string {
  const plain: unknown = toValue(value);
  if (typeof plain === "string") return plain;
  if (plain === null || plain === undefined) return "";
  if (Array.isArray(plain)) return plain.map(toText).join("");
  return typeof plain === "number" || typeof plain === "boolean" ? String(plain) : JSON.stringify(plain);
}

/** Makes LiquidJS tell the hook which output it works for: it hands on the token of its filter, made up for the hook. */
export function nameOutput(output: Output): void {
  const hook = output.value.filters.at(-1) as unknown as { token: unknown };
  hook.token = output.token;
}

/** Remembers which assign gave a variable its value. */
class TrackedAssign extends AssignTag {
  override *render(context: Context): Generator<unknown, void, unknown> {
    yield* super.render(context);
    const assigns = context.getRegister<Map<string, number>>("assigns");
    for (const name of this.localScope()) assigns.set(name.getText(), this.token.begin);
  }
}

/** Compares as `==` does, so that {% when 1 %} finds the cell “1”. */
class ComparingCase extends CaseTag {
  override *render(context: Context, emitter: Emitter): Generator<unknown, void, unknown> {
    const target = yield this.value.value(context, true);
    let hit = false;
    for (const branch of this.branches)
      for (const token of branch.values)
        if (equals(target, yield evalToken(token, context, true), context)) {
          yield engine.renderer.renderTemplates(branch.templates, context, emitter);
          hit = true;
          break;
        }
    if (!hit) yield engine.renderer.renderTemplates(this.elseTemplates, context, emitter);
  }
}

type Operator = (left: unknown, right: unknown, context: Context) => boolean;

function createOperators(): Operators {
  const relation =
    (holds: (left: number | string, right: number | string) => boolean): Operator =>
    (left, right, context) => {
      const [a, b] = comparable(left, right, context);
      return typeof a === typeof b && a !== undefined && b !== undefined && holds(a, b);
    };
  return {
    ...defaultOperators,
    "==": equals,
    "!=": (left: unknown, right: unknown, context: Context) => !equals(left, right, context),
    ">": relation((a, b) => a > b),
    "<": relation((a, b) => a < b),
    ">=": relation((a, b) => a >= b),
    "<=": relation((a, b) => a <= b),
  };
}

function equals(left: unknown, right: unknown, context: Context): boolean {
  const a: unknown = toValue(left);
  const b: unknown = toValue(right);
  // nil, empty, blank, false and the empty cell are one.
  if (isNothing(a) && isNothing(b)) return true;
  if (typeof a === "boolean" && typeof b === "string") return yesNoWord(b) === (a ? "yes" : "no");
  if (typeof b === "boolean" && typeof a === "string") return yesNoWord(a) === (b ? "yes" : "no");
  if (typeof a === "number" || typeof b === "number") {
    const [x, y] = comparable(a, b, context);
    return x !== undefined && x === y;
  }
  return toValueSync(defaultOperators["=="]?.(left, right, context)) === true;
}

function isNothing(value: unknown): boolean {
  return value === "" || value === null || value === undefined || value === false;
}

/** Both as numbers when one is a number or both look like numbers; else both as texts. Undefined where nothing can be compared. */
function comparable(left: unknown, right: unknown, context: Context): readonly (number | string | undefined)[] {
  const a: unknown = toValue(left);
  const b: unknown = toValue(right);
  if (isNothing(a) || isNothing(b)) return [undefined, undefined];
  if (typeof a === "string" && typeof b === "string") {
    const [x, y] = [cellNumber(a), cellNumber(b)];
    return x !== undefined && y !== undefined ? [x, y] : [a, b];
  }
  return [a, b].map((value) => {
    if (typeof value === "number") return value;
    if (typeof value !== "string") return undefined;
    const number = cellNumber(value);
    if (number === undefined) runOf(context).notNumber(value);
    return number;
  });
}

/** The engine: it holds no state of a template or row. Last, because it is made of the classes above. */
export const engine: Liquid = createEngine();

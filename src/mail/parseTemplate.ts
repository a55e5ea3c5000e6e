/** From the text of a template to LiquidJS's tree, with every fault as a problem at its place. */
import { LiquidError, Tokenizer, TypeGuards, Value } from "liquidjs";
import type { Template } from "liquidjs";
import type { Field } from "./campaign";
import { isIdentifier } from "./columnNames";
import type { ColumnNames } from "./columnNames";
import { engine, innerTagNames, tagNames } from "./liquid";
import { problemAt } from "./problems";
import type { Checked, Problem, Range } from "./problems";

/** Parses a text with placeholders. */
export function parseTemplate(field: Field, names: ColumnNames): Checked<readonly Template[] | undefined> {
  const problems: Problem[] = [];
  try {
    scan(field, names, problems);
    if (problems.length > 0) return { value: undefined, problems };
    return { value: engine.parse(field.text), problems };
  } catch (error) {
    return { value: undefined, problems: [...problems, syntaxProblem(error, field)] };
  }
}

/** Parses a condition, written without braces. */
export function parseCondition(field: Field): Checked<Value | undefined> {
  const braces = /\{[{%]/.exec(field.text);
  if (braces !== null) {
    const place = { file: field.file, range: field.locate(braces.index, 2) };
    const detail = "a condition is written without braces";
    return { value: undefined, problems: [problemAt("liquid.syntax", { detail }, place)] };
  }
  try {
    return { value: new Value(field.text, engine), problems: [] };
  } catch (error) {
    return { value: undefined, problems: [syntaxProblem(error, field)] };
  }
}

/** Where a LiquidJS error happened in a field, and what it says, without its own place. */
export function describeError(error: unknown, field: Field): { readonly range: Range; readonly detail: string } {
  if (!LiquidError.is(error))
    return { range: field.range, detail: error instanceof Error ? error.message : String(error) };
  const { begin, end } = error.token;
  // The token of a tokenizer's error reaches to the end of the text.
  const length = /^[^\r\n]{0,60}/.exec(field.text.slice(begin, Math.max(end, begin + 1)))?.[0].length ?? 1;
  const message = error.message.replace(/(?:, file:[^\r\n]*)?, line:\d+, col:\d+$/, "");
  return { range: field.locate(begin, Math.max(1, length)), detail: message };
}

const blockTags: ReadonlySet<string> = new Set(["if", "unless", "case", "for"]);
/** Blocks in blocks, or brackets in one tag, at most. */
const depthLimit = 100;

/** What can be told from the tags and outputs alone, and better than LiquidJS tells it. */
function scan(field: Field, names: ColumnNames, problems: Problem[]): void {
  const { file, text } = field;
  let inComment = false;
  let depth = 0;
  for (const token of new Tokenizer(text, engine.options.operators).readTopLevelTokens(engine.options)) {
    const range = field.locate(token.begin, token.end - token.begin);
    if (TypeGuards.isTagToken(token)) depth += blockTags.has(token.name) ? 1 : token.name.startsWith("end") ? -1 : 0;
    const brackets = TypeGuards.isDelimitedToken(token) ? token.content.match(/[([]/g)?.length : 0;
    if (depth > depthLimit || (brackets ?? 0) > depthLimit) {
      // LiquidJS parses by recursion.
      problems.push(problemAt("liquid.syntax", { detail: "it is nested too deeply" }, { file, range }));
      return;
    }
    if (TypeGuards.isTagToken(token)) {
      if (token.name === "comment" || token.name === "endcomment") inComment = token.name === "comment";
      else if (!inComment && !tagNames.includes(token.name) && !innerTagNames.includes(token.name))
        problems.push(problemAt("liquid.unsupportedTag", { name: token.name }, { file, range }));
    } else if (TypeGuards.isOutputToken(token) && !inComment) {
      // {{ First Name }}, as word processors write it. Liquid would take the first word.
      const name = (/^[^|"'[]*/.exec(token.content)?.[0] ?? "").trim();
      const column = isIdentifier(name) ? undefined : names.find(name.replace(/\s+/g, " "));
      if (column === undefined) continue;
      const suggestion = names.expression(column);
      const start = token.contentRange[0] + token.content.indexOf(name);
      const place = { file, range: field.locate(start, name.length) };
      const fixes = /["']/.test(suggestion) ? [] : [{ title: `Change to ${suggestion}`, ...place, text: suggestion }];
      problems.push(problemAt("liquid.unknown", { name, suggestion }, place, { fixes }));
    }
  }
}

function syntaxProblem(error: unknown, field: Field): Problem {
  const { range, detail } = describeError(error, field);
  if (!LiquidError.is(error)) return problemAt("liquid.syntax", { detail }, { file: field.file, range });
  // LiquidJS has read one character when it finds that a filter's | is missing.
  const begin = error.token.begin - (detail.startsWith('expected "|"') ? 1 : 0);
  const foreign = /^(?:=|&&|\|\||\?|!)/.exec(field.text.slice(begin).trimStart())?.[0] ?? "";
  const place = { file: field.file, range: detail.startsWith('expected "|"') ? field.locate(begin, 1) : range };
  return problemAt("liquid.syntax", { detail: friendly(detail, foreign) }, place);
}

const foreignOperators: Readonly<Record<string, string>> = {
  "=": "= compares nothing, write ==",
  "&&": "write and instead of &&",
  "||": "write or instead of ||",
  "!": "write not instead of !",
};

/** LiquidJS's messages in our words, where they are for programmers. `foreign` is an operator of another language at the place. */
function friendly(detail: string, foreign: string): string {
  const unknownTag = /^tag "(.*)" not found$/.exec(detail)?.[1];
  if (unknownTag !== undefined) return `{% ${unknownTag} %} does not belong here`;
  const open = /^tag \{%-?\s*(\w+)[^]* not closed$/.exec(detail)?.[1];
  if (open !== undefined) return `{% ${open} %} needs an {% end${open} %}`;
  if (/^output .* not closed$/.test(detail)) return "{{ is not closed, write }}";
  if (/^tag .* not closed$/.test(detail)) return "{% is not closed, write %}";
  if (detail.startsWith('expected "|" before filter'))
    return foreignOperators[foreign] ?? "this is not understood here";
  if (detail.startsWith("expected filter name")) return "a filter's name is missing after |";
  if (detail.startsWith("invalid value expression")) return foreignOperators[foreign] ?? "something is missing here";
  return detail;
}

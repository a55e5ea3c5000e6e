/** The YAML of a campaign, read into texts, lists and maps with exact places. No tags, no aliases, no objects made of keys. */
import { isAlias, isMap, isScalar, isSeq, parseDocument, Scalar } from "yaml";
import type { Field } from "./campaign";
import { problemAt } from "./problems";
import type { Checked, Fix, Problem, ProblemCode, ProblemDetails, Range } from "./problems";
import { scalarOffsets } from "./scalarOffsets";
import type { TextPlaces } from "./textPlaces";

/** A text with its place; `places` belongs to `text`. */
export interface Source {
  readonly text: string;
  /** Absolute path. */
  readonly file: string;
  readonly places: TextPlaces;
}

/** One `key: value`. */
export interface YamlEntry {
  readonly key: string;
  readonly keyRange: Range;
  /** Key and value. */
  readonly range: Range;
  readonly value: YamlValue;
}

/** A value. Numbers, booleans and dates are texts as written; `quoted` tells `"true"` from `true`. */
export type YamlValue =
  | { readonly kind: "empty"; readonly range: Range }
  | { readonly kind: "text"; readonly range: Range; readonly field: Field; readonly quoted: boolean }
  | { readonly kind: "list"; readonly range: Range; readonly items: readonly YamlValue[] }
  | { readonly kind: "map"; readonly range: Range; readonly entries: readonly YamlEntry[] };

/** What the front matter holds. `broken` means that its syntax is wrong, so that entries may be missing. */
export interface FrontMatter {
  readonly entries: readonly YamlEntry[];
  readonly broken: boolean;
}

/** YAML problems shown at once: the first is nearly always the cause of the others. */
const syntaxProblemLimit = 3;

/** Texts without the quotes they need that are found at once: each takes one more reading of the whole. */
const unquotedLimit = 5;

/** Where YAML stumbles more often, quotes around single values mend nothing, and every reading takes its time. */
const stumbleLimit = 50;

/** Reads the YAML between two offsets of `source`. Never throws. */
export function readFrontMatter(source: Source, start: number, end: number): Checked<FrontMatter> {
  const problems: Problem[] = [];
  const written = source.text.slice(start, end);
  const covered = new Map<number, Unquoted>();
  const walker = new Walker(source, start, written, covered, problems);
  if (isTooDeep(written)) {
    walker.add("frontMatter.yaml", walker.range(0, 1), { detail: "it is too large or nested too deeply" });
    return { value: { entries: [], broken: true }, problems };
  }
  // An unquoted {{ … }} is a flow map to YAML, "Re: hello" a map, *hello* an alias, and each breaks the lines after it. Such
  // values are covered with as many letters, so that the rest is read as if they were quoted.
  let yaml = written;
  let document = parse(yaml);
  let unquoted = 0;
  for (let round = 0; round < 20; round++) {
    const braces = findBareBraces(yaml, document);
    for (const value of braces) {
      covered.set(value.offset, value);
      yaml = cover(yaml, value);
    }
    if (braces.length > 0) {
      document = parse(yaml);
      continue;
    }
    const mended = unquoted < unquotedLimit ? findUnquoted(yaml, document) : undefined;
    if (mended === undefined) break;
    unquoted++;
    covered.set(mended.value.offset, mended.value);
    yaml = cover(yaml, mended.value);
    document = mended.document;
  }
  for (const value of covered.values()) walker.reportUnquoted(value);
  const syntax = [...document.errors, ...document.warnings];
  for (const { pos, message } of syntax.slice(0, syntaxProblemLimit)) {
    // A quote that never closes is mended where it opens, not where the text ends.
    const opening = /closing ["']quote/.test(message) ? lastQuoted(document.contents, 0) : undefined;
    if (opening !== undefined) {
      walker.add("frontMatter.yaml", walker.range(opening, opening + 1), { detail: "this quote is never closed" });
      continue;
    }
    const detail = message.replace(/\.$/, "").replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
    walker.add("frontMatter.yaml", walker.range(pos[0], pos[1]), { detail });
  }
  const contents = document.contents;
  const broken = syntax.length > 0;
  if (isMap(contents)) return { value: { entries: walker.entries(contents.items), broken }, problems };
  const isOther = contents !== null && !broken && !(isScalar(contents) && contents.value === "");
  if (isOther)
    walker.add("frontMatter.yaml", walker.range(0, written.trimEnd().length), {
      detail: "it is no list of key: value lines",
    });
  return { value: { entries: [], broken: broken || isOther }, problems };
}

/** Thousands of levels keep the parser busy for seconds, or end its stack and with it the process. */
function isTooDeep(yaml: string): boolean {
  if (yaml.length > 64 * 1024) return true;
  // Levels of one line: lists in lists, "- - -", and questions.
  if (/(?:[-?:][ \t]+){50}/.test(yaml)) return true;
  let depth = 0;
  for (const [bracket] of yaml.matchAll(/[[\]{}]/g)) {
    depth = bracket === "[" || bracket === "{" ? depth + 1 : Math.max(0, depth - 1);
    if (depth > 100) return true;
  }
  return false;
}

/** Where the last text in quotes starts. */
function lastQuoted(node: unknown, depth: number): number | undefined {
  if (depth > 8) return undefined;
  if (isScalar(node))
    return node.type === Scalar.QUOTE_DOUBLE || node.type === Scalar.QUOTE_SINGLE ? node.range?.[0] : undefined;
  const inside = isMap(node) ? node.items.flatMap((pair) => [pair.key, pair.value]) : isSeq(node) ? node.items : [];
  return inside.reduceRight<number | undefined>((found, child) => found ?? lastQuoted(child, depth + 1), undefined);
}

/** A value in double or single quotes, whichever needs no escapes. */
export function quoteYaml(text: string): string {
  if (text.includes('"') && !text.includes("'")) return `'${text}'`;
  return `"${text.replace(/[\\"]/g, "\\$&")}"`;
}

type YamlDocument = ReturnType<typeof parseDocument>;

function parse(yaml: string): YamlDocument {
  // The failsafe schema knows texts, lists and maps only.
  // Keys that stand twice are found by ourselves: the library compares each with all before it.
  return parseDocument(yaml, {
    schema: "failsafe",
    merge: false,
    prettyErrors: false,
    logLevel: "silent",
    uniqueKeys: false,
  });
}

/** A value that needs quotes and has none; `offset` counts from the start of the YAML. */
interface Unquoted {
  readonly code: "frontMatter.braces" | "frontMatter.quotes";
  readonly key: string;
  readonly offset: number;
  readonly text: string;
}

/** Values that start with {{ or {% and that YAML did not take as text; those inside block texts are texts. */
function findBareBraces(yaml: string, document: YamlDocument): readonly Unquoted[] {
  const mapStarts = new Set<number>();
  collectMapStarts(document.contents, mapStarts, 0);
  const line = /^([ \t]*)((?:-[ \t]+)?)(?:([A-Za-z][\w-]*)[ \t]*:[ \t]+)?(\{[{%][^\r\n]*)/gm;
  const found: Unquoted[] = [];
  let topKey = "";
  let previousEnd = 0;
  for (const match of yaml.matchAll(line)) {
    const [whole, , dash, key, rest = ""] = match;
    const keysBefore = [...yaml.slice(previousEnd, match.index).matchAll(/^([A-Za-z][\w-]*)[ \t]*:/gm)];
    topKey = keysBefore.at(-1)?.[1] ?? topKey;
    previousEnd = match.index;
    if (dash === "" && key === undefined) continue;
    const offset = match.index + whole.length - rest.length;
    if (!mapStarts.has(offset)) continue;
    found.push({ code: "frontMatter.braces", key: key ?? topKey, offset, text: withoutComment(rest) });
  }
  return found;
}

/** The value of the line where YAML stumbles, when quotes around it would mend that, and the whole as it reads then. */
function findUnquoted(
  yaml: string,
  document: YamlDocument,
): { readonly value: Unquoted; readonly document: YamlDocument } | undefined {
  const stumbles = findStumbles(document);
  const [first] = stumbles;
  if (first === undefined || stumbles.length > stumbleLimit) return undefined;
  const lineStart = Math.max(yaml.lastIndexOf("\n", first - 1), yaml.lastIndexOf("\r", first - 1)) + 1;
  const line = /^[^\r\n]*/.exec(yaml.slice(lineStart))?.[0] ?? "";
  const [, before = "", key = "", value = ""] = /^(([A-Za-z][\w-]*):[ \t]+)(\S.*)$/.exec(line) ?? [];
  const text = withoutComment(value);
  // A quote that never closes is another mistake, as is a bracket.
  const isOpen = /^"[^"]*$|^'[^']*$|^\[[^\]]*$|^\{[^}]*$|^[|>]/.test(text);
  if (text === "" || isOpen) return undefined;
  const unquoted: Unquoted = { code: "frontMatter.quotes", key, offset: lineStart + before.length, text };
  const mended = parse(cover(yaml, unquoted));
  return findStumbles(mended).length < stumbles.length ? { value: unquoted, document: mended } : undefined;
}

/** Offsets of syntax errors, and of tags, anchors and aliases: nobody means one in `account: *Hello*` or `subject: &more`. */
function findStumbles(document: YamlDocument): readonly number[] {
  const special: number[] = [];
  const visit = (node: unknown, depth: number): void => {
    if (depth > 8) return;
    const isAnchored = (isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined;
    if (isAlias(node) || isAnchored) special.push(nodeRange(node)?.[0] ?? 0);
    if (isMap(node)) for (const pair of node.items) visit(pair.value, depth + 1);
    else if (isSeq(node)) for (const item of node.items) visit(item, depth + 1);
  };
  visit(document.contents, 0);
  return [...[...document.errors, ...document.warnings].map(({ pos }) => pos[0]), ...special];
}

function cover(yaml: string, { offset, text }: Unquoted): string {
  return yaml.slice(0, offset) + "x".repeat(text.length) + yaml.slice(offset + text.length);
}

function withoutComment(value: string): string {
  return value.replace(/[ \t]+#[ \t].*$/, "").trimEnd();
}

function collectMapStarts(node: unknown, starts: Set<number>, depth: number): void {
  if (depth > 8) return;
  if (isSeq(node)) for (const item of node.items) collectMapStarts(item, starts, depth + 1);
  if (!isMap(node)) return;
  if (node.range) starts.add(node.range[0]);
  for (const pair of node.items) collectMapStarts(pair.value, starts, depth + 1);
}

/** Turns nodes into values. Offsets of nodes count from `start` in the source. */
class Walker {
  /** Keys that stood before in the same map. */
  private doubles = 0;

  constructor(
    private readonly source: Source,
    private readonly start: number,
    private readonly written: string,
    private readonly covered: ReadonlyMap<number, Unquoted>,
    private readonly problems: Problem[],
  ) {}

  range(from: number, to: number): Range {
    return this.source.places.range(this.start + from, this.start + Math.max(from, to));
  }

  /** Reports at a range. */
  add<C extends ProblemCode>(code: C, range: Range, details: ProblemDetails<C>, fixes: readonly Fix[] = []): void {
    this.problems.push(problemAt(code, details, { file: this.source.file, range }, fixes.length > 0 ? { fixes } : {}));
  }

  reportUnquoted({ code, key, offset, text }: Unquoted): void {
    const range = this.range(offset, offset + text.length);
    const fix = { title: "Put the value in quotes", file: this.source.file, range, text: quoteYaml(text) };
    this.add(code, range, { key }, [fix]);
  }

  entries(pairs: readonly { readonly key: unknown; readonly value: unknown }[]): readonly YamlEntry[] {
    const entries: YamlEntry[] = [];
    const seen = new Set<string>();
    for (const { key, value } of pairs) {
      if (!isScalar(key) || typeof key.value !== "string") {
        this.add("frontMatter.yaml", rangeOf(this, key, 0), { detail: "a key must be a plain word" });
        continue;
      }
      const [keyStart, keyEnd] = key.range ?? [0, 0];
      if (seen.has(key.value) && this.doubles++ < syntaxProblemLimit)
        this.add("frontMatter.yaml", this.range(keyStart, keyEnd), { detail: "this key stands twice" });
      seen.add(key.value);
      const [, valueEnd] = nodeRange(value) ?? [keyEnd, keyEnd];
      entries.push({
        key: key.value,
        keyRange: this.range(keyStart, keyEnd),
        range: this.range(keyStart, Math.max(keyEnd, valueEnd)),
        value: this.value(value, key.value, keyEnd),
      });
    }
    return entries;
  }

  private value(node: unknown, key: string, after: number): YamlValue {
    const range = rangeOf(this, node, after);
    if ((isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined) {
      this.add("frontMatter.yaml", range, { detail: "anchors are not used here" });
      return { kind: "empty", range };
    }
    if (isSeq(node)) return { kind: "list", range, items: node.items.map((item) => this.value(item, key, after)) };
    if (isMap(node)) {
      const [from, to] = node.range ?? [0, 0];
      const text = this.written.slice(from, to);
      // Inside a flow list or map, where lines tell nothing.
      if (text.startsWith("{{")) {
        this.reportUnquoted({ code: "frontMatter.braces", key, offset: from, text });
        return { kind: "empty", range };
      }
      return { kind: "map", range, entries: this.entries(node.items) };
    }
    if (isAlias(node)) {
      this.add("frontMatter.yaml", range, { detail: "aliases are not used here" });
      return { kind: "empty", range };
    }
    if (!isScalar(node) || typeof node.value !== "string") return { kind: "empty", range };
    const quoted = node.type !== Scalar.PLAIN;
    if (!quoted && /^(?:|~|null)$/.test(node.value)) return { kind: "empty", range };
    return { kind: "text", range, quoted, field: this.field(node as Scalar<string>) };
  }

  private field(node: Scalar<string>): Field {
    const [from, to] = node.range ?? [0, 0];
    const braces = this.covered.get(from);
    const text = braces?.text ?? node.value;
    const range = this.range(from, to);
    let offsets: readonly number[] | undefined;
    return {
      text,
      file: this.source.file,
      range,
      locate: (offset, length) => {
        const type = braces === undefined ? node.type : undefined;
        offsets ??= scalarOffsets(this.written.slice(from, to), type, text);
        const first = offsets[offset];
        // The place after the last character that is meant, so that an escape is covered whole.
        const last = offsets[offset + length];
        if (first === undefined) return range;
        return this.range(from + first, from + (last ?? first + length));
      },
    };
  }
}

function nodeRange(node: unknown): readonly [number, number] | undefined {
  const range = (node as { readonly range?: readonly number[] | null } | null)?.range;
  return range ? [range[0] ?? 0, range[1] ?? 0] : undefined;
}

function rangeOf(walker: Walker, node: unknown, otherwise: number): Range {
  const [from, to] = nodeRange(node) ?? [otherwise, otherwise];
  return walker.range(from, to);
}

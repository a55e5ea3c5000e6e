/** The campaign file: front matter between dashes, then the body. */
import { randomUUID } from "node:crypto";
import { quoteYaml, readFrontMatter } from "./frontMatter";
import type { Source, YamlEntry, YamlValue } from "./frontMatter";
import { judgeHeaderName } from "./headerNames";
import { nearest, problemAt } from "./problems";
import type { Checked, Fix, Problem, ProblemCode, ProblemDetails, Range, Severity } from "./problems";
import { TextPlaces } from "./textPlaces";

/** A text of the campaign that may hold placeholders, and where it stands. */
export interface Field {
  readonly text: string;
  /** Absolute path of the file it stands in. */
  readonly file: string;
  /** The value, quotes included. */
  readonly range: Range;
  /** Where `length` characters from `offset` of `text` stand in the file. */
  locate(offset: number, length: number): Range;
}

/** A campaign as written; nothing it names has been opened yet. Paths are as written, relative to `file`. */
export interface Campaign {
  /** Absolute path. */
  readonly file: string;
  /** Lower-case UUID. Undefined when missing or invalid, which is a problem. */
  readonly id: string | undefined;
  readonly subject: Field | undefined;
  readonly from: Field | undefined;
  readonly to: Field | undefined;
  readonly cc: readonly Field[];
  readonly bcc: readonly Field[];
  readonly replyTo: Field | undefined;
  readonly recipients: Field | undefined;
  readonly suppress: Field | undefined;
  readonly where: Field | undefined;
  readonly key: Field | undefined;
  readonly account: Field | undefined;
  readonly attachments: readonly Field[];
  readonly headers: readonly { readonly name: string; readonly value: Field }[];
  readonly unsubscribe: Field | undefined;
  readonly oneClick: boolean;
  /** Set when the body lives in another file, as `body:` names it. */
  readonly bodyFile: Field | undefined;
  /** The text below the front matter; its kind follows the file's name, or that of `bodyFile`. */
  readonly body: { readonly kind: "markdown" | "html"; readonly field: Field };
}

/** Keys whose value is one text. */
const textKeys = [
  "id",
  "subject",
  "from",
  "recipients",
  "to",
  "where",
  "key",
  "replyTo",
  "account",
  "unsubscribe",
  "suppress",
  "body",
] as const;
/** Keys whose value is a text or a list of texts. */
const listKeys = ["cc", "bcc", "attachments"] as const;

type TextKey = (typeof textKeys)[number];
type ListKey = (typeof listKeys)[number];

const isTextKey = (key: string): key is TextKey => (textKeys as readonly string[]).includes(key);
const isListKey = (key: string): key is ListKey => (listKeys as readonly string[]).includes(key);

/** RFC 9562 §4, any version; the nil UUID is none. */
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** Every key of the front matter, in the order of the documentation. */
export const campaignKeys: readonly string[] = [...textKeys, ...listKeys, "headers", "oneClick"];

/** Reads the campaign in `text`. Never throws: what is wrong is in `problems`. */
export function parseCampaign(text: string, file: string): Checked<Campaign> {
  const source = sourceOf(text, file);
  const problems: Problem[] = [];
  const split = splitFrontMatter(source.text);
  const reader = new CampaignReader(source, problems);
  if (split.kind === "frontMatter") {
    reader.read(split.start, split.end);
  } else {
    const range = source.places.range(0, /^[^\r\n]*/.exec(source.text)?.[0].length ?? 0);
    const code = split.kind === "missing" ? "frontMatter.missing" : "frontMatter.unclosed";
    problems.push(problemAt(code, {}, { file, range }));
  }
  const bodyStart = split.kind === "frontMatter" ? split.bodyStart : split.kind === "missing" ? 0 : source.text.length;
  const { texts, lists } = reader;
  const bodyFile = texts.get("body");
  const field = sliceField(source, bodyStart, source.text.length);
  if (bodyFile !== undefined && field.text.trim() !== "")
    problems.push(problemAt("body.ignored", {}, { file, range: field.range }, { severity: "warning" }));
  return {
    value: {
      file,
      id: reader.id,
      subject: texts.get("subject"),
      from: texts.get("from"),
      to: texts.get("to"),
      cc: lists.get("cc") ?? [],
      bcc: lists.get("bcc") ?? [],
      replyTo: texts.get("replyTo"),
      recipients: texts.get("recipients"),
      suppress: texts.get("suppress"),
      where: texts.get("where"),
      key: texts.get("key"),
      account: texts.get("account"),
      attachments: lists.get("attachments") ?? [],
      headers: reader.headers,
      unsubscribe: texts.get("unsubscribe"),
      oneClick: reader.oneClick,
      bodyFile,
      body: {
        kind: /\.html?$/i.test(bodyFile?.text ?? file) ? "html" : "markdown",
        field,
      },
    },
    problems,
  };
}

/** A whole file as a field: for a body that lives in a file of its own. A leading byte order mark is not part of it. */
export function wholeFileField(text: string, file: string): Field {
  const source = sourceOf(text, file);
  return sliceField(source, 0, source.text.length);
}

function sourceOf(content: string, file: string): Source {
  const text = content.startsWith("\ufeff") ? content.slice(1) : content;
  return { text, file, places: new TextPlaces(text) };
}

function sliceField({ text, file, places }: Source, start: number, end: number): Field {
  return {
    text: text.slice(start, end),
    file,
    range: places.range(start, end),
    locate: (offset, length) => places.range(Math.min(start + offset, end), Math.min(start + offset + length, end)),
  };
}

type Split =
  | { readonly kind: "missing" }
  | { readonly kind: "unclosed" }
  /** All are offsets; the front matter is what stands between the dashes, without them. */
  | { readonly kind: "frontMatter"; readonly start: number; readonly end: number; readonly bodyStart: number };

function splitFrontMatter(source: string): Split {
  const opening = /^---[ \t]*(?:\r\n|\n|\r|$)/.exec(source);
  if (opening === null) return { kind: "missing" };
  const start = opening[0].length;
  const closing = /^---[ \t]*(?:\r\n|\n|\r|$)/gm;
  closing.lastIndex = start;
  // `m` lets ^ match after U+2028 too, which is no line end in a file.
  for (let match = closing.exec(source); match !== null; match = closing.exec(source)) {
    if (match.index > 0 && !/[\r\n]/.test(source[match.index - 1] ?? "")) continue;
    return { kind: "frontMatter", start, end: match.index, bodyStart: match.index + match[0].length };
  }
  return { kind: "unclosed" };
}

/** Makes a campaign's keys out of the front matter's entries. */
class CampaignReader {
  readonly texts = new Map<TextKey, Field>();
  readonly lists = new Map<ListKey, readonly Field[]>();
  readonly headers: { readonly name: string; readonly value: Field }[] = [];
  id: string | undefined;
  oneClick = false;

  constructor(
    private readonly source: Source,
    private readonly problems: Problem[],
  ) {}

  /** Reads the YAML between the offsets `start` and `end` of the source. */
  read(start: number, end: number): void {
    const { value: frontMatter, problems } = readFrontMatter(this.source, start, end);
    this.problems.push(...problems);
    const entries = new Map<string, YamlEntry>();
    for (const entry of frontMatter.entries) {
      if (campaignKeys.includes(entry.key)) entries.set(entry.key, entry);
      else this.unknownKey(entry);
    }
    for (const entry of entries.values()) this.readEntry(entry);
    this.readId(entries.get("id"), start, frontMatter.broken);
    // With broken syntax, what seems missing may only have been swallowed.
    if (!frontMatter.broken) this.checkRequired(entries);
    this.checkUnsubscribe(entries.get("oneClick"));
  }

  private readEntry(entry: YamlEntry): void {
    const { key, value } = entry;
    if (value.kind === "empty") return;
    if (isTextKey(key)) {
      if (value.kind !== "text") this.add("frontMatter.type", value.range, { key, expected: "one text" });
      else if (value.field.text.trim() !== "") this.texts.set(key, value.field);
      if (value.kind === "text") this.checkComment(value);
    } else if (isListKey(key)) {
      const items = value.kind === "list" ? value.items : [value];
      const fields: Field[] = [];
      for (const item of items) {
        if (item.kind === "text" && item.field.text.trim() !== "") fields.push(item.field);
        else if (item.kind !== "empty" && item.kind !== "text")
          this.add("frontMatter.type", item.range, { key, expected: "a text or a list of texts" });
      }
      this.lists.set(key, fields);
    } else if (key === "headers") {
      this.readHeaders(value);
    } else if (value.kind === "text" && !value.quoted && /^(?:true|false)$/i.test(value.field.text)) {
      this.oneClick = value.field.text.toLowerCase() === "true";
    } else {
      this.add("frontMatter.type", value.range, { key, expected: "true or false" });
    }
  }

  private readHeaders(value: YamlValue): void {
    if (value.kind !== "map") {
      this.add("frontMatter.type", value.range, { key: "headers", expected: "a map, such as { X-Campaign: spring }" });
      return;
    }
    const seen = new Set<string>();
    for (const { key: name, keyRange, value: header } of value.entries) {
      const judgement = judgeHeaderName(name);
      if (judgement === "name") this.add("header.name", keyRange, { name });
      else if (judgement === "refused") this.add("header.notAllowed", keyRange, { name });
      else if (seen.has(name.toLowerCase()))
        this.add("frontMatter.yaml", keyRange, { detail: "this header stands twice" });
      else if (header.kind === "list" || header.kind === "map")
        this.add("frontMatter.type", header.range, { key: name, expected: "one text" });
      else if (header.kind === "text") this.headers.push({ name, value: header.field });
      seen.add(name.toLowerCase());
    }
  }

  private readId(entry: YamlEntry | undefined, start: number, broken: boolean): void {
    const value = entry?.value;
    if (value?.kind === "list" || value?.kind === "map") return;
    const text = this.texts.get("id")?.text.trim();
    if (text !== undefined && entry !== undefined && value !== undefined) {
      if (uuid.test(text)) this.id = text.toLowerCase();
      else this.add("id.invalid", value.range, {}, [this.fix("Take a new id", value.range, randomUUID())]);
      return;
    }
    if (broken) return;
    if (entry !== undefined) {
      this.add("id.missing", entry.keyRange, {}, [this.fix("Add an id", entry.range, `id: ${randomUUID()}`)]);
      return;
    }
    const lineEnd = /(?:\r\n|\n|\r)$/.exec(this.source.text.slice(0, start))?.[0] ?? "\n";
    const range = this.source.places.range(start, start);
    const fix = this.fix("Add an id", range, `id: ${randomUUID()}${lineEnd}`);
    this.add("id.missing", this.source.places.range(0, 3), {}, [fix]);
  }

  private checkRequired(entries: ReadonlyMap<string, YamlEntry>): void {
    for (const key of ["subject", "recipients"] as const) {
      const entry = entries.get(key);
      const hasOtherProblem = entry !== undefined && entry.value.kind !== "empty" && entry.value.kind !== "text";
      if (this.texts.has(key) || hasOtherProblem) continue;
      this.add("frontMatter.required", entry?.keyRange ?? this.source.places.range(0, 3), { key });
    }
  }

  private checkUnsubscribe(oneClick: YamlEntry | undefined): void {
    const field = this.texts.get("unsubscribe");
    const start = field?.text.trimStart() ?? "";
    // What a placeholder gives is known per row only.
    const open = /^\{[{%]/.test(start);
    if (field !== undefined && !open && !/^(?:mailto|https):/i.test(start))
      this.add("unsubscribe.scheme", field.range, {});
    if (this.oneClick && !open && !/^https:/i.test(start) && oneClick !== undefined)
      this.add("unsubscribe.oneClick", oneClick.range, {});
  }

  /** `subject: Invoice #12` ends before the # for YAML, and nobody means that. */
  private checkComment(value: Extract<YamlValue, { kind: "text" }>): void {
    if (value.quoted) return;
    const end = this.source.places.offset(value.range.end);
    const comment = /^[ \t]+#[^\s#][^\r\n]*/.exec(this.source.text.slice(end, end + 300))?.[0];
    if (comment === undefined) return;
    const range = { start: value.range.start, end: this.source.places.position(end + comment.trimEnd().length) };
    const text = quoteYaml(value.field.text + comment.trimEnd());
    const fix = this.fix("Put the value in quotes", range, text);
    this.add("frontMatter.comment", range, { comment: comment.trim() }, [fix], "warning");
  }

  private unknownKey({ key, keyRange }: YamlEntry): void {
    const suggestion = nearest(key, campaignKeys);
    const details = suggestion === undefined ? { key } : { key, suggestion };
    const fixes = suggestion === undefined ? [] : [this.fix(`Change to ${suggestion}`, keyRange, suggestion)];
    this.add("frontMatter.unknownKey", keyRange, details, fixes);
  }

  private fix(title: string, range: Range, text: string): Fix {
    return { title, file: this.source.file, range, text };
  }

  private add<C extends ProblemCode>(
    code: C,
    range: Range,
    details: ProblemDetails<C>,
    fixes: readonly Fix[] = [],
    severity: Severity = "error",
  ): void {
    const more = fixes.length > 0 ? { severity, fixes } : { severity };
    this.problems.push(problemAt(code, details, { file: this.source.file, range }, more));
  }
}

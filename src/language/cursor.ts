/** What a person is about to write at a place of a campaign: plain text in, no editor. */

/** What may stand at the cursor. `from` is the offset where the word under it starts. */
export type Cursor =
  /** A key of the front matter. */
  | { readonly kind: "key"; readonly from: number }
  /** The value of a key of the front matter, or one item of its list. */
  | { readonly kind: "value"; readonly key: string; readonly from: number }
  /** A name in an expression; `bare` stands directly behind the braces. */
  | { readonly kind: "name"; readonly from: number; readonly bare: boolean }
  /** A filter, behind a `|`. */
  | { readonly kind: "filter"; readonly from: number }
  /** The name of a tag, behind `{%`. */
  | { readonly kind: "tag"; readonly from: number; readonly bare: boolean };

/** Outputs and tags are looked for so many characters back. */
const reach = 2_000;

/** What stands at `offset` of a campaign, or of a body of its own when `isBody`; undefined where nothing of ours can. */
export function cursorAt(text: string, offset: number, isBody: boolean): Cursor | undefined {
  const inBraces = insideBraces(text, offset);
  if (inBraces !== undefined) return inBraces;
  const end = isBody ? 0 : frontMatterEnd(text);
  if (offset >= end || offset < text.indexOf("\n")) return undefined;
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  const before = text.slice(lineStart, offset);
  if (/^[A-Za-z]*$/.test(before)) return { kind: "key", from: lineStart };
  const item = /^[ \t]*-[ \t]+(["']?)([^"']*)$/.exec(before);
  const key = item === null ? /^([A-Za-z]+):[ \t]+(["']?)(.*)$/.exec(before) : undefined;
  const name = key?.[1] ?? (item === null ? undefined : keyAbove(text, lineStart));
  if (name === undefined) return undefined;
  const written = key?.[3] ?? item?.[2] ?? "";
  // A condition is an expression without braces.
  if (name === "where") return expression(written, offset, false);
  return { kind: "value", key: name, from: offset - written.length };
}

/** The whole word at `offset`: a name, a filter or a key; undefined where there is none. */
export function wordAt(text: string, offset: number): { readonly from: number; readonly to: number } | undefined {
  const part = /[\p{L}\p{N}_-]/u;
  let [from, to] = [offset, offset];
  while (from > 0 && part.test(text.charAt(from - 1))) from--;
  while (to < text.length && part.test(text.charAt(to))) to++;
  return from === to ? undefined : { from, to };
}

/** The offset behind the front matter; beyond the text while it is not closed. */
function frontMatterEnd(text: string): number {
  if (!/^\ufeff?---[ \t]*\r?\n/.test(text)) return 0;
  const closing = /\n---[ \t]*(?:\r?\n|$)/.exec(text);
  return closing === null ? text.length + 1 : closing.index + 1;
}

/** The key that a list's item in the lines below it belongs to. */
function keyAbove(text: string, lineStart: number): string | undefined {
  const lines = text.slice(0, lineStart).split("\n").reverse().slice(1);
  const first = lines.find((line) => !/^[ \t]*(?:-.*)?\r?$/.test(line));
  return /^([A-Za-z]+):[ \t]*\r?$/.exec(first ?? "")?.[1];
}

function insideBraces(text: string, offset: number): Cursor | undefined {
  const before = text.slice(Math.max(0, offset - reach), offset);
  const open = Math.max(before.lastIndexOf("{{"), before.lastIndexOf("{%"));
  if (open < 0) return undefined;
  const inside = before.slice(open + 2);
  if (/\}\}|%\}/.test(inside)) return undefined;
  const isTag = before.charAt(open + 1) === "%";
  const written = inside.replace(/^-/, "");
  if (!isTag) return expression(written, offset, inside === "");
  const name = /^\s*([a-z]*)$/.exec(written)?.[1];
  if (name !== undefined) return { kind: "tag", from: offset - name.length, bare: inside === "" };
  const rest = /^\s*[a-z]+\s(.*)$/s.exec(written)?.[1];
  return rest === undefined ? undefined : expression(rest, offset, false);
}

function expression(written: string, offset: number, bare: boolean): Cursor | undefined {
  const quotes = written.replace(/"[^"]*"|'[^']*'/g, "");
  if (/["']/.test(quotes)) return undefined;
  const filter = /\|\s*([a-z_]*)$/.exec(written)?.[1];
  if (filter !== undefined) return { kind: "filter", from: offset - filter.length };
  const name = /[\p{L}_][\p{L}\p{N}_-]*$/u.exec(written)?.[0] ?? "";
  const previous = written.slice(0, written.length - name.length);
  // What follows a point is a part of what stands before it, and no column.
  if (/[.\p{L}\p{N}]$/u.test(previous)) return undefined;
  return { kind: "name", from: offset - name.length, bare };
}

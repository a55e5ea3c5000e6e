/** From a YAML scalar's value back to the characters it was written with (YAML 1.2 §7.3). */
import { Scalar } from "yaml";

const simpleEscapes: Readonly<Record<string, string>> = {
  "0": "\0",
  a: "\u0007",
  b: "\b",
  t: "\t",
  "\t": "\t",
  n: "\n",
  v: "\v",
  f: "\f",
  r: "\r",
  e: "\u001b",
  " ": " ",
  '"': '"',
  "/": "/",
  "\\": "\\",
  N: "\u0085",
  _: "\u00a0",
  L: "\u2028",
  P: "\u2029",
};

/**
 * Where each UTF-16 unit of a scalar's value stands in `raw`, with one more entry for the end. Empty when that cannot be told, as for
 * block texts: reading `raw` this way must give exactly `value`.
 */
export function scalarOffsets(raw: string, type: Scalar.Type | undefined, value: string): readonly number[] {
  const isQuoted = type === Scalar.QUOTE_DOUBLE || type === Scalar.QUOTE_SINGLE;
  const end = isQuoted ? raw.length - 1 : raw.length;
  const offsets: number[] = [];
  let decoded = "";
  const put = (text: string, at: number): void => {
    offsets.push(...new Array<number>(text.length).fill(at));
    decoded += text;
  };
  for (let at = isQuoted ? 1 : 0; at < end;) {
    const character = raw[at] ?? "";
    const fold = /[ \t]*(?:\r\n|\n|\r)(?:[ \t]*(?:\r\n|\n|\r))*[ \t]*/y;
    fold.lastIndex = at;
    const folded = fold.exec(raw)?.[0];
    if (folded !== undefined) {
      const breaks = folded.match(/\r\n|\n|\r/g)?.length ?? 1;
      put(breaks === 1 ? " " : "\n".repeat(breaks - 1), at);
      at += folded.length;
    } else if (type === Scalar.QUOTE_SINGLE && character === "'") {
      put("'", at);
      at += 2;
    } else if (type === Scalar.QUOTE_DOUBLE && character === "\\") {
      const hex = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;
      hex.lastIndex = at;
      const code = hex.exec(raw);
      const continued = /\\(?:\r\n|\n|\r)[ \t]*/y;
      continued.lastIndex = at;
      const joined = continued.exec(raw)?.[0];
      const point = code === null ? Number.NaN : Number.parseInt(code[1] ?? code[2] ?? code[3] ?? "", 16);
      if (joined === undefined)
        put(point <= 0x10ffff ? String.fromCodePoint(point) : (simpleEscapes[raw[at + 1] ?? ""] ?? ""), at);
      at += joined?.length ?? code?.[0].length ?? 2;
    } else {
      put(character, at);
      at += 1;
    }
  }
  offsets.push(end);
  return decoded === value ? offsets : [];
}

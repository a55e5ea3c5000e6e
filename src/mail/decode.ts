/** Bytes of a file to text, the same for editor, worker and command line: BOM, then UTF-16 by its NULs, then UTF-8, then a named encoding. */
import { isUtf8 } from "node:buffer";
import type { Checked, Position, Problem, Range } from "./problems";
import { fileStart, problemAt } from "./problems";

/** How the bytes of a file are to be read. */
export interface TextEncoding {
  /** The name in the WHATWG Encoding Standard, lower-case, such as `utf-8` or `windows-1252`. */
  readonly name: string;
  /** Bytes of the byte order mark at the start; they are no part of the text. */
  readonly bomLength: number;
}

/** What a look at all bytes of a file found. */
export interface DetectedEncoding extends TextEncoding {
  /** Where the text holds its first NUL, which no text has. */
  readonly nul: Range | undefined;
}

/** The encoding for files that are neither marked nor UTF-8 when nobody names one. */
const defaultEncoding = "windows-1252";

/**
 * Decides how a file is encoded, in one pass over its bytes (a second one when it is not UTF-8); flat in memory.
 * @param open gives the bytes from the start, each time it is called
 * @param file absolute path, for problems
 * @param named a WHATWG label for files that are neither marked by a BOM nor UTF-8; `auto` is windows-1252, with a warning
 */
export async function detectEncoding(
  open: () => AsyncIterable<Buffer>,
  file: string,
  named: string,
): Promise<Checked<DetectedEncoding | undefined>> {
  const probe = new Probe();
  for await (const chunk of open()) probe.write(chunk);
  const decision = decide(probe.end(), named);
  if (decision.kind === "unknown") return unknownEncoding(file, named);
  const damage = async (encoding: TextEncoding): Promise<Damage> => {
    const search = new DamageSearch();
    for await (const text of decodeChunks(open(), encoding)) if (search.write(text)) break;
    return search.result();
  };
  return conclude(
    decision,
    file,
    decision.fellBack ? await damage(utf8) : {},
    decision.suspect ? await damage(decision.encoding) : {},
  );
}

/** The text of a whole file, without its BOM. Undefined, with a problem, when it cannot be read as text. */
export function decodeText(bytes: Buffer, file: string, named: string): Checked<string | undefined> {
  const probe = new Probe();
  probe.write(bytes);
  const decision = decide(probe.end(), named);
  if (decision.kind === "unknown") return unknownEncoding(file, named);
  const decode = (encoding: TextEncoding): string => {
    const decoder = textDecoder(encoding.name);
    return decoder.write(bytes.subarray(encoding.bomLength)) + decoder.end();
  };
  const damage = (text: string): Damage => {
    const search = new DamageSearch();
    search.write(text);
    return search.result();
  };
  const text = decode(decision.encoding);
  const { value, problems } = conclude(
    decision,
    file,
    decision.fellBack ? damage(decode(utf8)) : {},
    decision.suspect ? damage(text) : {},
  );
  if (value?.nul === undefined) return { value: value && text, problems };
  const place = { file, range: value.nul };
  return {
    value: undefined,
    problems: [...problems, problemAt("encoding.malformed", { encoding: value.name }, place)],
  };
}

/** The text piece by piece, without its BOM. What cannot be decoded becomes U+FFFD. */
export async function* decodeChunks(chunks: AsyncIterable<Buffer>, encoding: TextEncoding): AsyncIterable<string> {
  const decoder = textDecoder(encoding.name);
  for await (const chunk of withoutBom(chunks, encoding)) yield decoder.write(chunk);
  yield decoder.end();
}

/** The text piece by piece as UTF-8 bytes, without its BOM; bytes that are UTF-8 already pass as they are. */
export async function* utf8Chunks(chunks: AsyncIterable<Buffer>, encoding: TextEncoding): AsyncIterable<Buffer> {
  if (encoding.name === "utf-8") yield* withoutBom(chunks, encoding);
  else for await (const text of decodeChunks(chunks, encoding)) yield Buffer.from(text, "utf8");
}

async function* withoutBom(chunks: AsyncIterable<Buffer>, { bomLength }: TextEncoding): AsyncIterable<Buffer> {
  let skip = bomLength;
  for await (const chunk of chunks) {
    const rest = chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
    if (rest.length > 0) yield rest;
  }
}

const utf8: TextEncoding = { name: "utf-8", bomLength: 0 };

type Decision =
  | { readonly kind: "unknown" }
  | {
      readonly kind: "known";
      readonly encoding: TextEncoding;
      /** Neither BOM nor NULs nor UTF-8 told the encoding, and nobody named one. */
      readonly fellBack: boolean;
      /** The text may hold NULs or bytes that are none of this encoding's characters. */
      readonly suspect: boolean;
    };

function decide(found: Findings, named: string): Decision {
  const known = (name: string, bomLength: number, suspect: boolean): Decision => {
    return { kind: "known", encoding: { name, bomLength }, fellBack: false, suspect };
  };
  if (found.mark !== undefined) {
    const { name, bomLength } = found.mark;
    return known(name, bomLength, name !== "utf-8" || !found.isUtf8 || found.hasNul);
  }
  if (found.isUtf8) return known("utf-8", 0, found.hasNul);
  const name = canonicalName(named === "auto" ? defaultEncoding : named);
  if (name === undefined) return { kind: "unknown" };
  return { kind: "known", encoding: { name, bomLength: 0 }, fellBack: named === "auto", suspect: true };
}

function unknownEncoding(file: string, named: string): Checked<undefined> {
  const problem = problemAt("encoding.unknown", { encoding: named }, { file, range: fileStart });
  return { value: undefined, problems: [problem] };
}

/** Places of the first character that is none, and of the first NUL. */
interface Damage {
  readonly malformed?: Range;
  readonly nul?: Range;
}

function conclude(
  { encoding, fellBack }: Extract<Decision, { kind: "known" }>,
  file: string,
  asUtf8: Damage,
  asDecided: Damage,
): Checked<DetectedEncoding | undefined> {
  const problems: Problem[] = [];
  const details = { encoding: encoding.name };
  if (fellBack) {
    const place = { file, range: asUtf8.malformed ?? fileStart };
    problems.push(problemAt("encoding.fallback", details, place, { severity: "warning" }));
  }
  if (asDecided.malformed !== undefined) {
    const place = { file, range: asDecided.malformed };
    return { value: undefined, problems: [...problems, problemAt("encoding.malformed", details, place)] };
  }
  return { value: { ...encoding, nul: asDecided.nul }, problems };
}

/** The WHATWG name of a label, or undefined when this runtime cannot decode it. */
function canonicalName(label: string): string | undefined {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return undefined;
  }
}

interface Findings {
  readonly mark: TextEncoding | undefined;
  readonly isUtf8: boolean;
  readonly hasNul: boolean;
}

/** Enough to see that every second byte of a text without BOM is NUL. */
const headLength = 4096;

/** Looks at all bytes of a file once, piece by piece. */
class Probe {
  private head: Buffer = Buffer.alloc(0);
  private tail: Buffer = Buffer.alloc(0);
  private valid = true;
  private hasNul = false;

  write(chunk: Buffer): void {
    if (this.head.length < headLength) {
      this.head = Buffer.concat([this.head, chunk.subarray(0, headLength - this.head.length)]);
    }
    this.hasNul ||= chunk.includes(0);
    if (!this.valid) return;
    const bytes = this.tail.length > 0 ? Buffer.concat([this.tail, chunk]) : chunk;
    const end = completeLength(bytes);
    this.valid = isUtf8(bytes.subarray(0, end));
    this.tail = Buffer.from(bytes.subarray(end));
  }

  end(): Findings {
    const { head, hasNul } = this;
    const mark = byteOrderMark(head) ?? (hasNul ? utf16WithoutMark(head) : undefined);
    return { mark, isUtf8: this.valid && this.tail.length === 0, hasNul };
  }
}

/** Length of `bytes` without a UTF-8 character that is cut off at the end (RFC 3629 §3). */
function completeLength(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const needed = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return needed > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function byteOrderMark(head: Buffer): TextEncoding | undefined {
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return { name: "utf-8", bomLength: 3 };
  if (head[0] === 0xff && head[1] === 0xfe) return { name: "utf-16le", bomLength: 2 };
  if (head[0] === 0xfe && head[1] === 0xff) return { name: "utf-16be", bomLength: 2 };
  return undefined;
}

/** Addresses and separators are ASCII, so in UTF-16 many bytes on one side are NUL and next to none on the other. */
function utf16WithoutMark(head: Buffer): TextEncoding | undefined {
  const nuls = [0, 0];
  for (let index = 0; index < head.length; index++) if (head[index] === 0) nuls[index % 2] = (nuls[index % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = nuls;
  const many = head.length * 0.15;
  if (odd > many && even * 20 < odd) return { name: "utf-16le", bomLength: 0 };
  if (even > many && odd * 20 < even) return { name: "utf-16be", bomLength: 0 };
  return undefined;
}

/** Finds the first U+FFFD and the first NUL of a text that comes in pieces. */
class DamageSearch {
  private line = 0;
  private character = 0;
  private afterReturn = false;
  private malformed: Range | undefined;
  private nul: Range | undefined;

  /** True once nothing more can be learnt. */
  write(text: string): boolean {
    this.malformed ??= this.find(text, "\ufffd");
    this.nul ??= this.find(text, "\0");
    const end = this.position(text, text.length);
    this.afterReturn = text === "" ? this.afterReturn : text.endsWith("\r");
    [this.line, this.character] = [end.line, end.character];
    return this.malformed !== undefined;
  }

  result(): Damage {
    return {
      ...(this.malformed !== undefined && { malformed: this.malformed }),
      ...(this.nul !== undefined && { nul: this.nul }),
    };
  }

  private find(text: string, character: string): Range | undefined {
    const offset = text.indexOf(character);
    if (offset < 0) return undefined;
    const start = this.position(text, offset);
    return { start, end: { line: start.line, character: start.character + 1 } };
  }

  private position(text: string, offset: number): Position {
    let { line, character } = this;
    // A line end that was cut between its CR and its LF has been counted already.
    let index = this.afterReturn && text.startsWith("\n") ? 1 : 0;
    for (; index < offset; index++) {
      const code = text.charCodeAt(index);
      if (code === 10 || (code === 13 && text.charCodeAt(index + 1) !== 10)) [line, character] = [line + 1, 0];
      else if (code !== 13) character++;
    }
    return { line, character };
  }
}

interface Decoder {
  write(bytes: Buffer): string;
  end(): string;
}

/**
 * Windows-1252 is decoded here because `TextDecoder` reads 0x80 to 0x9F as Latin-1 controls in Node 20.18.3 and later and in
 * many of 22 to 24: a euro sign would become an invisible character.
 */
function textDecoder(name: string): Decoder {
  if (name === "windows-1252") return { write: decodeWindows1252, end: () => "" };
  const decoder = new TextDecoder(name, { ignoreBOM: true });
  return { write: (bytes) => decoder.decode(bytes, { stream: true }), end: () => decoder.decode() };
}

/** 0x80 to 0x9F as the WHATWG Encoding Standard maps them; the rest of windows-1252 is Latin-1. */
const windows1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ";

function decodeWindows1252(bytes: Buffer): string {
  return bytes
    .toString("latin1")
    .replace(/[\x80-\x9f]/g, (control) => windows1252.charAt(control.charCodeAt(0) - 0x80));
}

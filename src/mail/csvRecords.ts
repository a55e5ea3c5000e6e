/** CSV bytes to records with exact places: csv-parse splits, this counts lines and remembers where each record stands. */
import { setImmediate } from "node:timers/promises";
import { CsvError, Parser } from "csv-parse";
import type { Position, Range } from "./problems";

/** What a record with a stretch that cannot be read is worth: nothing after it can be trusted. */
export interface RecordFault {
  /** `unclosedQuote`: a quoted cell runs to the end of the file or beyond `recordLimit`; `tooLarge`: the same without quotes. */
  readonly kind: "unclosedQuote" | "tooLarge";
  readonly range: Range;
}

/** Largest record, in bytes: beyond it the file is no list, or a quote was forgotten. */
export const recordLimit = 1024 * 1024;

/** One record. Its bytes are kept (as a part of the piece they came in) until the record is dropped. */
export class CsvRecord {
  readonly #source: Buffer;
  readonly #start: number;
  readonly #end: number;

  constructor(
    readonly cells: readonly string[],
    /** Zero-based lines where it starts and ends. */
    readonly line: number,
    readonly endLine: number,
    /** Whether quotes stand where CSV (RFC 4180 §2) has none; the cells then hold them as written. */
    readonly strayQuotes: boolean,
    source: Buffer,
    start: number,
    end: number,
  ) {
    this.#source = source;
    this.#start = start;
    this.#end = end;
  }

  /** Where the whole record stands, without its line end. */
  range(): Range {
    const text = this.text();
    const lastLine = Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r")) + 1;
    const end = { line: this.endLine, character: text.length - lastLine };
    return { start: { line: this.line, character: 0 }, end };
  }

  /** Where each cell stands, quotes included. */
  cellRanges(delimiter: string): readonly Range[] {
    return cellRanges(this.text(), this.line, delimiter);
  }

  /** The first quote that stands where CSV has none, and what is wrong with it as the end of a sentence. */
  strayQuote(delimiter: string): { readonly range: Range; readonly detail: string } | undefined {
    let found: { readonly range: Range; readonly detail: string } | undefined;
    walk(this.text(), this.line, delimiter, (kind, position) => {
      if (found !== undefined || (kind !== "inside" && kind !== "behind")) return;
      const inside = kind === "inside";
      const start = inside ? position : { line: position.line, character: position.character - 1 };
      const range = { start, end: { line: start.line, character: start.character + 1 } };
      found = {
        range,
        detail: inside ? "a quote stands in a cell without quotes around it" : "text follows this quote",
      };
    });
    return found;
  }

  /** The record as written, without its line end. */
  text(): string {
    return this.#source.toString("utf8", this.#start, this.#end).replace(/(?:\r\n|\n|\r)$/, "");
  }
}

/** What one piece of the file gave. */
export interface RecordBatch {
  readonly records: readonly CsvRecord[];
  readonly fault?: RecordFault;
}

/**
 * Splits UTF-8 text without BOM into records, a batch for every piece that comes in. Lines that are empty are skipped. After a
 * fault, which is the last thing given, nothing follows.
 * @param firstLine zero-based line number of the first byte
 */
export async function* readRecords(
  chunks: AsyncIterable<Buffer>,
  delimiter: string,
  firstLine: number,
): AsyncGenerator<RecordBatch> {
  const reader = new RecordReader(delimiter, firstLine);
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += pieceSize) {
      // A text that comes in one chunk must not keep the thread from hearing that nobody wants it any more.
      if (start % breathing === 0) await setImmediate();
      const batch = await reader.write(chunk.subarray(start, start + pieceSize));
      yield batch;
      if (batch.fault !== undefined) return;
    }
  }
  yield await reader.end();
}

/** Bytes that are parsed at once: what comes of them should be gone again before the garbage collector thinks it will stay. */
const pieceSize = 32 * 1024;

/** Bytes of one chunk between two turns of the event loop. */
const breathing = 16 * pieceSize;

const lineFeed = 10;
const carriageReturn = 13;
const doubleQuote = 34;

class RecordReader {
  private readonly parser: Parser;
  private readonly delimiterByte: number;
  private records: CsvRecord[] = [];
  /** The bytes from `windowStart` (counted from the first byte) on; holds all that no record has taken yet. */
  private window: Buffer = Buffer.alloc(0);
  private windowStart = 0;
  /** Where the last record ended, and on which line. */
  private taken = 0;
  private line: number;

  constructor(
    private readonly delimiter: string,
    firstLine: number,
  ) {
    this.line = firstLine;
    this.delimiterByte = delimiter.charCodeAt(0);
    this.parser = new Parser({
      delimiter,
      record_delimiter: ["\r\n", "\n", "\r"],
      // Rows with too few, too many or stray quotes are read all the same and reported one by one.
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
      max_record_size: recordLimit,
    });
    // Records are taken as they come instead of through the readable side: an object stream, or the context that csv-parse
    // makes for `on_record`, costs as much as the parsing.
    const info: { bytes: number; records: number } = this.parser.info;
    this.parser.push = (cells: readonly string[] | null) => {
      if (cells !== null) this.take(cells, info.bytes);
      // Even when relaxed, csv-parse makes an error object (30 µs) for every record that is not as long as the first: so each is.
      info.records = 0;
      return true;
    };
    // Errors come through the callbacks of write and end.
    this.parser.on("error", () => {});
  }

  async write(chunk: Buffer): Promise<RecordBatch> {
    const rest = this.window.subarray(this.taken - this.windowStart);
    this.window = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    this.windowStart = this.taken;
    return await this.batch((done) => this.parser.write(chunk, done));
  }

  async end(): Promise<RecordBatch> {
    return await this.batch((done) => this.parser.end(done));
  }

  private async batch(step: (done: (error?: Error | null) => void) => void): Promise<RecordBatch> {
    this.records = [];
    const error = await new Promise<Error | null | undefined>((resolve) => step(resolve));
    const { records } = this;
    if (error === null || error === undefined) return { records };
    if (!(error instanceof CsvError)) throw error;
    return { records, fault: this.fault() };
  }

  private take(cells: readonly string[], absoluteEnd: number): void {
    const { window, delimiterByte } = this;
    const end = absoluteEnd - this.windowStart;
    const start = this.skipEmptyLines(end);
    const firstLine = this.line;
    let line = firstLine;
    let place: CellPlace = "start";
    let strayQuotes = false;
    for (let index = start; index < end; index++) {
      const byte = window[index];
      if (byte === lineFeed || (byte === carriageReturn && window[index + 1] !== lineFeed)) line++;
      if (byte === doubleQuote) {
        if (place === "start") place = "quoted";
        else if (place === "quoted") place = "closing";
        else if (place === "closing") place = "quoted";
        else strayQuotes = true;
      } else if (place === "closing" || place === "start" || place === "plain") {
        const ends = byte === delimiterByte || byte === lineFeed || byte === carriageReturn;
        if (place === "closing" && !ends) strayQuotes = true;
        place = ends ? "start" : "plain";
      }
    }
    this.line = line;
    this.taken = absoluteEnd;
    const last = window[end - 1];
    const endLine = last === lineFeed || last === carriageReturn ? line - 1 : line;
    this.records.push(new CsvRecord(cells, firstLine, endLine, strayQuotes, window, start, end));
  }

  /** The first byte, at most `end`, that does not stand on an empty line; counts the lines before it. */
  private skipEmptyLines(end: number): number {
    let index = this.taken - this.windowStart;
    for (; index < end; index++) {
      const byte = this.window[index];
      if (byte !== lineFeed && byte !== carriageReturn) break;
      if (byte === lineFeed || this.window[index + 1] !== lineFeed) this.line++;
    }
    return index;
  }

  private fault(): RecordFault {
    const start = this.skipEmptyLines(this.window.length);
    const text = this.window.toString("utf8", start);
    const open = unclosedQuote(text, this.line, this.delimiter);
    if (open !== undefined) {
      return { kind: "unclosedQuote", range: { start: open, end: { line: open.line, character: open.character + 1 } } };
    }
    const place = { line: this.line, character: 0 };
    return { kind: "tooLarge", range: { start: place, end: { line: this.line, character: 1 } } };
  }
}

/** Where in a cell a character stands; `closing` is a quote inside quotes, which the next one may turn into a text. */
type CellPlace = "start" | "plain" | "quoted" | "closing";

/** Where each cell of one record stands, quotes included. `text` has no line end behind it. */
function cellRanges(text: string, firstLine: number, delimiter: string): readonly Range[] {
  const ranges: Range[] = [];
  let start: Position = { line: firstLine, character: 0 };
  walk(text, firstLine, delimiter, (kind, position) => {
    if (kind !== "cellEnd") return;
    ranges.push({ start, end: position });
    start = { line: position.line, character: position.character + 1 };
  });
  return ranges;
}

/** Where the quote stands that opens a cell and has no other side, if the text ends inside one. */
function unclosedQuote(text: string, firstLine: number, delimiter: string): Position | undefined {
  let open: Position | undefined;
  walk(text, firstLine, delimiter, (kind, position) => {
    if (kind === "open") open = position;
    else if (kind === "close") open = undefined;
  });
  return open;
}

/** What `walk` reports; `inside` is a quote in a cell without quotes, `behind` the first character after a closing quote. */
type Event = "open" | "close" | "cellEnd" | "inside" | "behind";

/**
 * Walks through one record as csv-parse does with relaxed quotes; the end of the text ends the last cell. `open` comes with
 * the place of the quote that opens the cell, again after each quote inside it.
 */
function walk(text: string, firstLine: number, delimiter: string, report: (event: Event, at: Position) => void): void {
  let line = firstLine;
  let lineStart = 0;
  let place: CellPlace = "start";
  let opened: Position = { line, character: 0 };
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    const position = { line, character: index - lineStart };
    if (place === "quoted") {
      if (character === '"') {
        place = "closing";
        report("close", position);
      }
    } else if (character === '"' && place !== "plain") {
      if (place === "start") opened = position;
      place = "quoted";
      report("open", opened);
    } else if (character === delimiter) {
      place = "start";
      report("cellEnd", position);
    } else {
      if (character === '"') report("inside", position);
      if (place === "closing") report("behind", position);
      place = "plain";
    }
    if (character === "\n" || (character === "\r" && text.charAt(index + 1) !== "\n")) {
      line++;
      lineStart = index + 1;
    }
  }
  if (place !== "quoted") report("cellEnd", { line, character: text.length - lineStart });
}

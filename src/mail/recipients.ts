/** Recipients from a list: the header, then row after row. A CSV is streamed, never the whole list in memory. */
import { parseMailbox } from "./address";
import { columnsOf } from "./columns";
import type { ConvertedList } from "./convertedLists";
import { conversionOf } from "./convertedLists";
import type { CsvRecord, RecordFault } from "./csvRecords";
import { readRecords, recordLimit } from "./csvRecords";
import { detectEncoding, utf8Chunks } from "./decode";
import type { Files } from "./files";
import { FileError, fileProblem } from "./files";
import type { Checked, Problem, Range } from "./problems";
import { fileStart, problemAt } from "./problems";

/** How the list is to be read. */
export interface CsvOptions {
  /** A separator, or `auto` to decide from the header line. */
  readonly delimiter: "auto" | "," | ";" | "\t" | "|";
  /** The encoding for files that are neither marked by a BOM nor UTF-8; `auto` is windows-1252. A WHATWG label. */
  readonly encoding: string;
}

/** One column: its header as written (trimmed, made unique), and the snake_case name that also works when it is nobody else's. */
export interface Column {
  readonly name: string;
  readonly alias: string | undefined;
  /** Where the header cell stands. */
  readonly range: Range;
}

/** One row. `values` has exactly one entry a column. */
export interface Row {
  readonly values: readonly string[];
  /** Zero-based line in the file where the row starts. */
  readonly line: number;
  /** Zero-based line where it ends (a quoted cell may hold line breaks). */
  readonly endLine: number;
}

/** A row with what is wrong with how it is written. With an error its values cannot be trusted. */
export interface ListedRow {
  readonly row: Row;
  readonly problems: readonly Problem[];
}

/** A list whose header has been read. */
export interface RecipientList {
  /** Absolute path. */
  readonly file: string;
  readonly columns: readonly Column[];
  readonly delimiter: string;
  /** The name of the encoding in the WHATWG Encoding Standard. */
  readonly encoding: string;
  /**
   * The rows in order; each call reads the file again. Rows without any text are skipped. Throws `FileError`, and the reason of
   * `signal` when it is aborted.
   */
  rows(signal?: AbortSignal): AsyncIterable<ListedRow>;
  /** The same in batches, for whoever goes through all of a long list: a step of an iterator a row costs more than parsing it. */
  batches(signal?: AbortSignal): AsyncIterable<readonly ListedRow[]>;
  /** The header as it stands in the file, without its line end. */
  readonly headerText: string;
  /** A row of this list as it stands in the file, without its line end; empty for one that came from elsewhere. */
  rowText(row: Row): string;
  /** Where the cell of `column` (index) stands in `row`. For a row that came from elsewhere or has no such cell: its first line. */
  cellRange(row: Row, column: number): Range;
}

/**
 * Opens a list: decides encoding and separator and reads the header. A file that cannot be read is a problem and no value; one
 * without rows is a problem and has a value when it has a header.
 */
export async function openRecipients(
  files: Files,
  file: string,
  options: CsvOptions,
): Promise<Checked<RecipientList | undefined>> {
  try {
    return await open(files, file, options);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const problem = fileProblem(error, "recipients file", file, files.root, { file, range: fileStart });
    return { value: undefined, problems: [problem] };
  }
}

/** Names of columns that hold addresses, where the values do not tell: compared in lower case, without blanks and signs. */
const addressHeaders: ReadonlySet<string> = new Set(
  "email mail emailaddress mailaddress address adresse emailadresse mailadresse adressemail courriel adresseemail correo correoelectronico indirizzoemail posta eposta epost sahkoposti emailadres".split(
    " ",
  ),
);

/** Rows that are looked at to find the addresses, and which part of their filled cells must be some. */
const sampleSize = 50;
const sampleShare = 0.8;

/** The column that holds the addresses: by its values in the first rows, then by its name. Undefined when none does. */
export async function detectAddressColumn(list: RecipientList): Promise<number | undefined> {
  const filled = list.columns.map(() => 0);
  const addresses = list.columns.map(() => 0);
  let rows = 0;
  for await (const { row } of list.rows()) {
    for (const [column, value] of row.values.entries()) {
      if (value.trim() === "") continue;
      filled[column] = (filled[column] ?? 0) + 1;
      if (parseMailbox(value).ok) addresses[column] = (addresses[column] ?? 0) + 1;
    }
    if (++rows === sampleSize) break;
  }
  const indexes = [...list.columns.keys()];
  const byValue = indexes.filter((column) => {
    const total = filled[column] ?? 0;
    return total > 0 && (addresses[column] ?? 0) >= total * sampleShare;
  });
  const byName = indexes.filter((column) => {
    const name = list.columns[column]?.name.normalize("NFKD").replace(/[^\p{L}]/gu, "");
    return name !== undefined && addressHeaders.has(name.toLowerCase());
  });
  return byValue.find((column) => byName.includes(column)) ?? byValue[0] ?? byName[0];
}

async function open(files: Files, file: string, options: CsvOptions): Promise<Checked<RecipientList | undefined>> {
  const convert = conversionOf(file);
  return convert === undefined
    ? await openCsv(files, file, options)
    : await openConverted(await convert(files, file), file);
}

async function openCsv(files: Files, file: string, options: CsvOptions): Promise<Checked<RecipientList | undefined>> {
  const detected = await detectEncoding(() => files.stream(file), file, options.encoding);
  const problems = [...detected.problems];
  const encoding = detected.value;
  if (encoding === undefined) return { value: undefined, problems };
  if (encoding.nul !== undefined) {
    return { value: undefined, problems: [...problems, problemAt("list.nul", {}, { file, range: encoding.nul })] };
  }
  const bytes = (): AsyncIterable<Buffer> => utf8Chunks(files.stream(file), encoding);
  const layout = decideLayout(await readHead(bytes()), options.delimiter);
  return await withHeader(new CsvList(file, layout, encoding.name, bytes), problems);
}

/** A list in another format, read as the CSV that it is told as; its places are those of the file. */
async function openConverted(
  { csv, places, problems }: ConvertedList,
  file: string,
): Promise<Checked<RecipientList | undefined>> {
  if (problems.some(({ severity }) => severity === "error")) return { value: undefined, problems };
  const bytes = async function* (): AsyncIterable<Buffer> {
    yield await Promise.resolve(csv);
  };
  const layout = { delimiter: ",", skip: 0 };
  const list = new CsvList(file, layout, "utf-8", bytes, ({ start }) => places.get(start.line));
  return await withHeader(list, [...problems]);
}

async function withHeader(list: CsvList, problems: Problem[]): Promise<Checked<RecipientList | undefined>> {
  const { file, delimiter } = list;
  const empty = problemAt("list.empty", {}, { file, range: fileStart });
  const header = await list.readHeader();
  if (header.kind === "none") return { value: undefined, problems: [...problems, empty] };
  if (header.kind === "fault") return { value: undefined, problems: [...problems, faultProblem(header.fault, file)] };
  const { value: columns, problems: columnProblems } = columnsOf(header.record, delimiter, file);
  list.columns = columns.map((column) => ({ ...column, range: list.place(column.range) }));
  list.headerText = header.record.text();
  problems.push(...columnProblems.map((problem) => ({ ...problem, range: list.place(problem.range) })));
  if (header.record.strayQuotes) problems.push(quoteProblem(file, header.record, delimiter));
  if (!header.rows) problems.push(empty);
  return { value: list, problems };
}

/** Enough of a file to hold its header line. */
const headLimit = 64 * 1024;

async function readHead(bytes: AsyncIterable<Buffer>): Promise<string> {
  let head: Buffer = Buffer.alloc(0);
  for await (const chunk of bytes) {
    head = Buffer.concat([head, chunk.subarray(0, headLimit - head.length)]);
    if (head.length >= headLimit) break;
  }
  return head.toString("utf8");
}

/** What the top of a file says about the rest. */
interface Layout {
  readonly delimiter: string;
  /** Bytes of a first line `sep=;`, which Excel writes and reads, with its line end; 0 when there is none. */
  readonly skip: number;
}

const delimiters = [",", ";", "\t", "|"] as const;

function decideLayout(head: string, wanted: CsvOptions["delimiter"]): Layout {
  const separator = /^sep=([^\r\n"A-Za-z0-9])(?:\r\n|\n|\r|$)/i.exec(head);
  const named = separator?.[1];
  const skip = Buffer.byteLength(separator?.[0] ?? "");
  if (wanted !== "auto") return { delimiter: wanted, skip };
  // csv-parse compares bytes, and a separator beyond ASCII would have several.
  if (named !== undefined && named < "\u0080") return { delimiter: named, skip };
  const counts = new Map<string, number>(delimiters.map((delimiter) => [delimiter, 0]));
  let quoted = false;
  for (const character of head.slice(separator?.[0].length ?? 0).trimStart()) {
    if (character === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (character === "\n" || character === "\r") break;
    const count = counts.get(character);
    if (count !== undefined) counts.set(character, count + 1);
  }
  const most = Math.max(...counts.values());
  return { delimiter: delimiters.find((delimiter) => counts.get(delimiter) === most) ?? ",", skip };
}

type Header =
  | { readonly kind: "none" }
  | { readonly kind: "fault"; readonly fault: RecordFault }
  | {
      readonly kind: "header";
      readonly record: CsvRecord;
      /** Whether a row with text follows. */ readonly rows: boolean;
    };

const noProblems: readonly Problem[] = [];

class CsvList implements RecipientList {
  columns: readonly Column[] = [];
  headerText = "";
  readonly delimiter: string;

  /** @param placeOf where a record really stands, by its range in the CSV; for a list that was converted */
  constructor(
    readonly file: string,
    private readonly layout: Layout,
    readonly encoding: string,
    private readonly bytes: () => AsyncIterable<Buffer>,
    private readonly placeOf?: (range: Range) => Range | undefined,
  ) {
    this.delimiter = layout.delimiter;
  }

  /** Where something stands in the file. */
  place(range: Range): Range {
    return this.placeOf?.(range) ?? range;
  }

  async readHeader(): Promise<Header> {
    let record: CsvRecord | undefined;
    for await (const { records, fault } of this.records()) {
      for (const next of records) {
        if (isBlank(next)) continue;
        if (record !== undefined) return { kind: "header", record, rows: true };
        record = next;
      }
      if (fault === undefined) continue;
      return record === undefined ? { kind: "fault", fault } : { kind: "header", record, rows: true };
    }
    return record === undefined ? { kind: "none" } : { kind: "header", record, rows: false };
  }

  async *rows(signal?: AbortSignal): AsyncIterable<ListedRow> {
    for await (const batch of this.batches(signal)) yield* batch;
  }

  async *batches(signal?: AbortSignal): AsyncIterable<readonly ListedRow[]> {
    let headerSeen = false;
    for await (const { records, fault } of this.records()) {
      signal?.throwIfAborted();
      const batch: ListedRow[] = [];
      for (const record of records) {
        if (isBlank(record)) continue;
        if (headerSeen) batch.push(this.listed(record));
        headerSeen = true;
      }
      if (fault !== undefined) batch.push(this.faulty(fault));
      yield batch;
    }
  }

  rowText(row: Row): string {
    return row instanceof ListRow ? row.record.text() : "";
  }

  cellRange(row: Row, column: number): Range {
    const start = { line: row.line, character: 0 };
    const record = row instanceof ListRow ? row.record : undefined;
    if (record !== undefined && this.placeOf !== undefined) return this.place(record.range());
    const ranges = record?.cellRanges(this.delimiter) ?? [];
    return ranges[column] ?? { start, end: row.endLine > row.line ? { line: row.line + 1, character: 0 } : start };
  }

  private records(): ReturnType<typeof readRecords> {
    const { skip } = this.layout;
    return readRecords(withoutFirst(this.bytes(), skip), this.delimiter, skip > 0 ? 1 : 0);
  }

  private listed(record: CsvRecord): ListedRow {
    const expected = this.columns.length;
    const found = record.cells.length;
    const values = found === expected ? record.cells : record.cells.slice(0, expected);
    const lines = this.placeOf === undefined ? record : linesOf(this.place(record.range()));
    const row = new ListRow(found < expected ? pad(values, expected) : values, record, lines);
    if (found === expected && !record.strayQuotes) return { row, problems: noProblems };
    const problems: Problem[] = [];
    const place = { file: this.file, range: record.range() };
    if (record.strayQuotes) problems.push(quoteProblem(this.file, record, this.delimiter, { rowOnly: true }));
    if (found < expected) {
      problems.push(problemAt("list.shortRow", { expected, found }, place, { severity: "warning", rowOnly: true }));
    } else if (record.cells.slice(expected).some((cell) => cell.trim() !== "")) {
      problems.push(problemAt("list.longRow", { expected, found }, place, { rowOnly: true }));
    }
    return { row, problems };
  }

  private faulty(fault: RecordFault): ListedRow {
    const { line } = fault.range.start;
    const row: Row = { values: pad([], this.columns.length), line, endLine: line };
    return { row, problems: [faultProblem(fault, this.file)] };
  }
}

/** A row that knows where it was written. */
class ListRow implements Row {
  readonly line: number;
  readonly endLine: number;
  // Private to the language, so that rows can be compared and copied between threads without the file's bytes.
  readonly #record: CsvRecord;

  constructor(
    readonly values: readonly string[],
    record: CsvRecord,
    { line, endLine }: Pick<Row, "line" | "endLine">,
  ) {
    this.line = line;
    this.endLine = endLine;
    this.#record = record;
  }

  get record(): CsvRecord {
    return this.#record;
  }
}

function linesOf({ start, end }: Range): Pick<Row, "line" | "endLine"> {
  return { line: start.line, endLine: end.line };
}

function isBlank({ cells }: CsvRecord): boolean {
  return cells.every((cell) => cell.trim() === "");
}

function pad(values: readonly string[], length: number): readonly string[] {
  const padded = [...values];
  while (padded.length < length) padded.push("");
  return padded;
}

function quoteProblem(
  file: string,
  record: CsvRecord,
  delimiter: string,
  more: { readonly rowOnly?: boolean } = {},
): Problem {
  const stray = record.strayQuote(delimiter) ?? { range: record.range(), detail: "one is missing" };
  return problemAt("list.quote", { detail: stray.detail }, { file, range: stray.range }, more);
}

function faultProblem({ kind, range }: RecordFault, file: string): Problem {
  if (kind === "unclosedQuote") return problemAt("list.unclosedQuote", {}, { file, range });
  return problemAt("list.hugeRow", { limit: `${recordLimit / 1024 / 1024} MB` }, { file, range });
}

async function* withoutFirst(chunks: AsyncIterable<Buffer>, count: number): AsyncIterable<Buffer> {
  let skip = count;
  for await (const chunk of chunks) {
    if (chunk.length > skip) yield chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
  }
}

/** Lists that are no CSV: JSON, JSON Lines and Excel workbooks, each told as the CSV that it would be saved as. */
import { StringDecoder } from "node:string_decoder";
import { getNodeValue, parseTree, type Node } from "jsonc-parser";
import { FileError, type Files } from "./files";
import { plainText, problemAt, type Position, type Problem, type Range } from "./problems";
import { TextPlaces } from "./textPlaces";

/** A list as CSV in UTF-8 with commas. */
export interface ConvertedList {
  readonly csv: Buffer;
  /** Where each record stands in the file, the header first, by the line of the CSV where it starts. */
  readonly places: ReadonlyMap<number, Range>;
  readonly problems: readonly Problem[];
}

/** A list in another format; undefined for a file that is read as CSV. */
export type Conversion = (files: Files, file: string) => Promise<ConvertedList>;

/** Such files are read whole. Bytes. */
const linesLimit = 64 * 1024 * 1024;
/** Its tree takes some forty times the space. */
const jsonLimit = 8 * 1024 * 1024;
const workbookLimit = 20 * 1024 * 1024;
/** What a workbook may unpack to, bytes. */
const unpackedLimit = 200 * 1024 * 1024;
/** Cells from the first to the last one of a sheet, empty ones included: a sheet is a full table in memory. */
const cellLimit = 10_000_000;
/** Objects in objects: a list has none, and reading them goes by recursion. */
const depthLimit = 100;

/** How a file of this name is converted. */
export function conversionOf(file: string): Conversion | undefined {
  if (/\.xlsx$/i.test(file)) return fromWorkbook;
  if (/\.json$/i.test(file)) return fromJson;
  return /\.(?:jsonl|ndjson)$/i.test(file) ? fromJsonLines : undefined;
}

/** An array of objects; their keys are the columns. */
async function fromJson(files: Files, file: string): Promise<ConvertedList> {
  const text = await readText(files, file, jsonLimit);
  const { tree, wrong } = parsed(text);
  const places = new TextPlaces(text);
  const at = (offset: number, length: number): Range => places.range(offset, offset + Math.max(1, length));
  if (wrong !== undefined || tree?.type !== "array") {
    const range = wrong === undefined ? at(0, 1) : at(wrong.offset, wrong.length);
    return new Table(file).refused(problemAt("list.json", {}, { file, range }));
  }
  const table = new Table(file);
  for (const node of tree.children ?? []) table.object(node, at(node.offset, node.length));
  return table.list();
}

/** An object a line; empty lines do not count. */
async function fromJsonLines(files: Files, file: string): Promise<ConvertedList> {
  const table = new Table(file);
  const text = await readText(files, file, linesLimit);
  let line = 0;
  for (const written of text.split("\n")) {
    const range = { start: { line, character: 0 }, end: { line, character: written.length } };
    line++;
    if (written.trim() === "") continue;
    const { tree, wrong } = parsed(written);
    if (wrong !== undefined || tree === undefined)
      return table.refused(problemAt("list.jsonLine", {}, { file, range }));
    table.object(tree, range);
  }
  return table.list();
}

/** The first sheet of a workbook. Cells with formulas count with the values that were saved. */
async function fromWorkbook(files: Files, file: string): Promise<ConvertedList> {
  const table = new Table(file);
  const bytes = await readWhole(files, file, workbookLimit);
  const broken = (detail: string): ConvertedList =>
    table.refused(problemAt("list.workbook", { detail }, { file, range: rowRange(0) }));
  try {
    const [{ readSheet }, { unzipSync }] = await Promise.all([import("read-excel-file/universal"), import("fflate")]);
    let unpacked = 0;
    unzipSync(bytes, {
      filter: ({ originalSize }) => {
        unpacked += originalSize;
        return false;
      },
    });
    if (unpacked > unpackedLimit) return broken("it unpacks to more than 200 MB");
    const sheets = unzipSync(bytes, { filter: ({ name }) => /^xl\/worksheets\/[^/]+\.xml$/i.test(name) });
    if (Object.values(sheets).some((sheet) => cellsOf(sheet) > cellLimit))
      return broken("a cell stands so far from the others that the sheet would fill the memory");
    const { buffer, byteOffset, byteLength } = bytes;
    const copy = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
    // Numbers as they were saved: a long one would lose its last digits.
    const rows = await readSheet(copy, undefined, { parseNumber: (text) => text, trim: false });
    rows.forEach((row, index) => table.cells(row.map(cellText), rowRange(index)));
  } catch (error) {
    return broken(error instanceof Error ? plainText(error.message, 120) : "it is damaged");
  }
  return table.list();
}

/** How many cells a sheet has as a full table, by the places that it names. */
function cellsOf(sheet: Uint8Array): number {
  let [rows, columns] = [0, 0];
  for (const [, letters = "", digits] of Buffer.from(sheet.buffer, sheet.byteOffset, sheet.byteLength)
    .toString("latin1")
    .matchAll(/\b(?:r|ref)\s*=\s*["'](?:[A-Za-z]+\d+:)?([A-Za-z]{0,9})(\d{1,9})["']/g)) {
    const column = Buffer.from(letters.toUpperCase()).reduce((sum, letter) => sum * 26 + letter - 64, 0);
    rows = Math.max(rows, Number(digits));
    columns = Math.max(columns, column);
  }
  return rows * columns;
}

/** JSON as a tree, and the first place where it is none; what is nested without end is none either. */
function parsed(text: string): {
  readonly tree: Node | undefined;
  readonly wrong: { readonly offset: number; readonly length: number } | undefined;
} {
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (token === "[" || token === "{") depth++;
    else if (token === "]" || token === "}") depth--;
    if (depth > depthLimit) return { tree: undefined, wrong: { offset: index, length: 1 } };
  }
  const errors: { error: number; offset: number; length: number }[] = [];
  const tree = parseTree(text, errors, { disallowComments: true, allowEmptyContent: true });
  return { tree, wrong: errors[0] };
}

/** A cell as text; dates as ISO 8601, without a time at midnight. */
function cellText(cell: unknown): string {
  if (cell === null || cell === undefined) return "";
  if (cell instanceof Date)
    return cell
      .toISOString()
      .replace(/T00:00:00\.000Z$/, "")
      .replace(/\.000Z$/, "Z");
  return typeof cell === "string" ? cell : JSON.stringify(cell);
}

function rowRange(line: number): Range {
  const start: Position = { line, character: 0 };
  return { start, end: start };
}

async function readText(files: Files, file: string, limit: number): Promise<string> {
  const bytes = await readWhole(files, file, limit);
  return new StringDecoder("utf8").end(bytes).replace(/^\ufeff/, "");
}

async function readWhole(files: Files, file: string, limit: number): Promise<Buffer> {
  const { size } = await files.stat(file);
  if (size > limit)
    throw new FileError(
      "unreadable",
      file,
      `is larger than ${String(limit / 1024 / 1024)} MB, which only CSV may be; save it as CSV`,
    );
  return await files.read(file);
}

/** Gathers rows. */
class Table {
  private readonly columns = new Map<string, number>();
  private readonly rows: { readonly cells: readonly string[]; readonly place: Range }[] = [];
  private readonly problems: Problem[] = [];
  private header: Range = rowRange(0);
  /** The header as it was written, where it was. */
  private written: readonly string[] | undefined;
  private readonly nestedColumns = new Set<string>();

  constructor(private readonly file: string) {}

  /** A row by its keys; a key that was not there before is a column more. */
  object(node: Node, place: Range): void {
    if (node.type !== "object") {
      this.problems.push(problemAt("list.jsonRow", {}, { file: this.file, range: place }));
      return;
    }
    const cells: string[] = [];
    for (const { children = [] } of node.children ?? []) {
      const [key, value] = children;
      if (key === undefined || value === undefined) continue;
      const name = String(key.value);
      let column = this.columns.get(name);
      if (column === undefined) this.columns.set(name, (column = this.columns.size));
      if (value.type === "object" || value.type === "array") this.nested(name, place);
      const plain: unknown = getNodeValue(value);
      cells[column] = plain === null ? "" : typeof plain === "string" ? plain : JSON.stringify(plain);
    }
    this.rows.push({ cells, place });
  }

  /** A row by its cells; the first one is the header. */
  cells(cells: readonly string[], place: Range): void {
    if (this.columns.size > 0) {
      this.rows.push({ cells, place });
      return;
    }
    if (cells.every((cell) => cell.trim() === "")) return;
    this.header = place;
    // Two columns may have one name in a workbook: that is told of as in a CSV.
    cells.forEach((cell, index) => this.columns.set(`${String(index)} ${cell}`, index));
    this.written = cells;
  }

  private nested(name: string, place: Range): void {
    if (this.nestedColumns.has(name)) return;
    this.nestedColumns.add(name);
    this.problems.push(
      problemAt("list.jsonNested", { name }, { file: this.file, range: place }, { severity: "warning" }),
    );
  }

  list(): ConvertedList {
    const names = this.written ?? [...this.columns.keys()];
    const places = new Map<number, Range>();
    const lines: string[] = [];
    let line = 0;
    const add = (cells: readonly string[], place: Range): void => {
      const record = names.map((_, index) => quoted(cells[index] ?? "")).join(",");
      places.set(line, place);
      lines.push(record);
      line += 1 + (record.match(/\r\n|\n|\r/g)?.length ?? 0);
    };
    if (names.length > 0) add(names, this.header);
    for (const { cells, place } of this.rows) add(cells, place);
    return { csv: Buffer.from(lines.map((text) => `${text}\r\n`).join("")), places, problems: this.problems };
  }

  refused(problem: Problem): ConvertedList {
    return { csv: Buffer.alloc(0), places: new Map(), problems: [problem] };
  }
}

/** RFC 4180 §2; in quotes wherever a quote, a separator, a line end or a blank at an end stands. */
function quoted(cell: string): string {
  return /[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replace(/"/g, '""')}"` : cell;
}

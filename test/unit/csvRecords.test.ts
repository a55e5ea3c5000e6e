import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "csv-parse/sync";
import { readRecords } from "../../src/mail/csvRecords";
import type { CsvRecord, RecordFault } from "../../src/mail/csvRecords";

async function read(
  text: string,
  size: number,
): Promise<{ records: readonly CsvRecord[]; fault: RecordFault | undefined }> {
  const bytes = Buffer.from(text);
  async function* pieces(): AsyncIterable<Buffer> {
    for (let start = 0; start < bytes.length; start += size) {
      yield await Promise.resolve(bytes.subarray(start, start + size));
    }
  }
  const records: CsvRecord[] = [];
  let fault: RecordFault | undefined;
  for await (const batch of readRecords(pieces(), ",", 0)) {
    records.push(...batch.records);
    fault = batch.fault;
  }
  return { records, fault };
}

/** What is known of a record, places included. */
function shape(record: CsvRecord) {
  const { cells, line, endLine, strayQuotes } = record;
  return { cells, line, endLine, strayQuotes, range: record.range(), ranges: record.cellRanges(",") };
}

const garbage = fc.string({
  unit: fc.constantFrom("a", "é", "😀", '"', '"', ",", "\n", "\r", "\r\n", " "),
  maxLength: 40,
});

describe("csvRecords: R50 records and their places", () => {
  it("are the same wherever the pieces of a file are cut", async () => {
    await fc.assert(
      fc.asyncProperty(garbage, fc.integer({ min: 1, max: 7 }), async (text, size) => {
        const [whole, cut] = [await read(text, 1000), await read(text, size)];
        assert.deepEqual(cut.records.map(shape), whole.records.map(shape));
        assert.deepEqual(cut.fault, whole.fault);
      }),
      { numRuns: 300 },
    );
  }).timeout(30_000);

  it("have the cells that csv-parse finds, each in its place, and lines that fit the text", async () => {
    await fc.assert(
      fc.asyncProperty(garbage, async (text) => {
        const { records, fault } = await read(text, 1000);
        const starts = [0];
        for (const match of text.matchAll(/\r\n|\n|\r/g)) starts.push(match.index + match[0].length);
        if (fault !== undefined) {
          const { line, character } = fault.range.start;
          assert.equal(text.charAt((starts[line] ?? NaN) + character), '"');
          return;
        }
        const options = { relax_quotes: true, relax_column_count: true, skip_empty_lines: true };
        const expected = parse(text, { ...options, record_delimiter: ["\r\n", "\n", "\r"] });
        assert.deepEqual(
          records.map(({ cells }) => cells),
          expected,
        );
        for (const record of records) {
          const ranges = record.cellRanges(",");
          assert.equal(ranges.length, record.cells.length);
          const written = ranges.map(({ start, end }) => {
            return text.slice((starts[start.line] ?? NaN) + start.character, (starts[end.line] ?? NaN) + end.character);
          });
          if (!record.strayQuotes) {
            const unquoted = written.map((cell) =>
              cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell,
            );
            assert.deepEqual(unquoted, record.cells);
          }
          assert.equal(record.strayQuote(",") !== undefined, record.strayQuotes);
        }
      }),
      { numRuns: 500 },
    );
  }).timeout(30_000);

  it("let the event loop turn in the middle of one long chunk", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await read("ada@example.com,Ada\n".repeat(200_000), Number.MAX_SAFE_INTEGER);
    clearInterval(timer);
    assert.ok(turns >= 2, String(turns));
  }).timeout(30_000);
});

/** Lists that are no CSV: the same rows, columns and problems, at their own places. */
import assert from "node:assert/strict";
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { checkRows, diskFiles, openRecipients, prepareCampaign } from "../../src/mail/index";
import { distantCell, workbook } from "../fakes/workbook";

const csv = { delimiter: "auto", encoding: "auto" } as const;

describe("lists that are no CSV (R50)", function () {
  this.timeout(30_000);

  let root: string;

  beforeEach(async () => {
    root = await realpath(await mkdtemp(path.join(tmpdir(), "lists-")));
  });
  afterEach(() => rm(root, { recursive: true }));

  /** Columns, then `line: values` of each row, then `code:line` of each problem. */
  async function read(name: string, content: string | Buffer): Promise<readonly string[]> {
    const file = path.join(root, name);
    await writeFile(file, content);
    const { value, problems } = await openRecipients(await diskFiles(root), file, csv);
    const rows: string[] = [];
    for await (const { row } of value?.rows() ?? []) rows.push(`${String(row.line)}: ${row.values.join("|")}`);
    const columns = value === undefined ? [] : [value.columns.map((column) => column.name).join("|")];
    return [...columns, ...rows, ...problems.map(({ code, range }) => `${code}:${String(range.start.line)}`)];
  }

  it("JSON: an array of objects, whose keys are the columns", async () => {
    const text = `[
  { "email": "ada@example.com", "name": "Ada \\"A\\", L.", "seats": 2, "vip": true },
  { "email": "grace@example.org", "note": "two\\nlines", "name": null }
]`;
    assert.deepEqual(await read("people.json", text), [
      "email|name|seats|vip|note",
      '1: ada@example.com|Ada "A", L.|2|true|',
      "2: grace@example.org||||two\nlines",
    ]);
  });

  it("JSON: keys of objects' prototypes are keys like others", async () => {
    assert.deepEqual(await read("people.json", '[{"email":"a@example.com","__proto__":"x","constructor":"y"}]'), [
      "email|__proto__|constructor",
      "0: a@example.com|x|y",
    ]);
  });

  it("JSON Lines: an object a line, empty lines and CRLF aside", async () => {
    const text = '\ufeff{"email":"ada@example.com"}\r\n\r\n{"email":"grace@example.org","name":"Grace"}\r\n';
    assert.deepEqual(await read("people.jsonl", text), [
      "email|name",
      "0: ada@example.com|",
      "2: grace@example.org|Grace",
    ]);
  });

  it("Excel: the first sheet, numbers as saved, dates without a time", async () => {
    const bytes = workbook([
      ["email", "First Name", "due", "amount", "code"],
      ["ada@example.com", "Ada", { date: 46022 }, { number: "1234567890123456789" }, { number: "0.1" }],
      [undefined],
      ["grace@example.org", " Grace", undefined, { number: "3" }, "007"],
    ]);
    assert.deepEqual(await read("people.xlsx", bytes), [
      "email|First Name|due|amount|code",
      "1: ada@example.com|Ada|2025-12-31|1234567890123456789|0.1",
      "3: grace@example.org| Grace||3|007",
    ]);
  });

  const broken: readonly (readonly [string, string, string | Buffer, string])[] = [
    ["an object instead of a list", "people.json", '{"email":"ada@example.com"}', "list.json:0"],
    ["JSON that breaks off", "people.json", '[{"email":"ada@example.com"},\n{"email":', "list.json:1"],
    [
      "a text among the objects",
      "people.json",
      '[{"email":"ada@example.com"},\n"grace@example.org"]',
      "list.jsonRow:1",
    ],
    ["a line that is none", "people.jsonl", '{"email":"ada@example.com"}\nada@example.com\n', "list.jsonLine:1"],
    ["objects in objects without end", "people.json", `[\n${'{"a":'.repeat(100_000)}`, "list.json:1"],
    ["a line nested without end", "people.jsonl", "[".repeat(100_000), "list.jsonLine:0"],
    ["an empty list", "people.json", "[]", "list.empty:0"],
    ["a workbook that is none", "people.xlsx", "email,name\nada@example.com,Ada\n", "list.workbook:0"],
    [
      "a workbook that breaks off",
      "people.xlsx",
      workbook([["email"], ["ada@example.com"]]).subarray(0, 300),
      "list.workbook:0",
    ],
    ["a cell at the far end of a sheet", "people.xlsx", distantCell("XFD1048576"), "list.workbook:0"],
    ["a size without cells", "people.xlsx", distantCell(undefined, "A1:XFD1048576"), "list.workbook:0"],
    ["an empty workbook", "people.xlsx", workbook([]), "list.empty:0"],
  ];
  for (const [what, name, content, problem] of broken)
    it(`${name.slice(7)}: names ${what}`, async () =>
      assert.deepEqual((await read(name, content)).slice(-1), [problem]));

  it("Excel: a workbook that unpacks without end is refused before it is unpacked", async () => {
    const bytes = workbook([["email"], ["ada@example.com"]], { "xl/bomb.xml": new Uint8Array(201 * 1024 * 1024) });
    assert.ok(bytes.length < 1024 * 1024);
    assert.deepEqual(await read("people.xlsx", bytes), ["list.workbook:0"]);
  });

  it("JSON: a list in a cell is told of once and shown as JSON", async () => {
    assert.deepEqual(
      await read("people.json", '[{"email":"a@example.com","tags":["x"]},{"email":"b@example.com","tags":[]}]'),
      ["email|tags", '0: a@example.com|["x"]', "0: b@example.com|[]", "list.jsonNested:0"],
    );
  });

  it("a campaign on each finds the same people and the same mistakes, at the list's own lines", async () => {
    const lists: Readonly<Record<string, string | Buffer>> = {
      "people.json":
        '[\n{"email":"ada@example.com","name":"Ada"},\n{"email":"nobody@@","name":"No"},\n{"email":"grace@example.org","name":""}\n]',
      "people.jsonl":
        '\n{"email":"ada@example.com","name":"Ada"}\n{"email":"nobody@@","name":"No"}\n{"email":"grace@example.org","name":""}\n',
      "people.xlsx": workbook([
        ["email", "name"],
        ["ada@example.com", "Ada"],
        ["nobody@@", "No"],
        ["grace@example.org", ""],
      ]),
    };
    for (const [name, content] of Object.entries(lists)) {
      await writeFile(path.join(root, name), content);
      const file = path.join(root, "hello.mail.md");
      await writeFile(
        file,
        `---\nid: 5e3b7c1e-52a4-4b0e-9f0e-0f6f9a1d2c01\nsubject: Hi\nfrom: a@example.com\nrecipients: ${name}\n---\nHello {{ name }}\n`,
      );
      const { value } = await prepareCampaign({
        file,
        files: await diskFiles(root),
        csv,
        sender: { from: undefined, replyTo: undefined },
      });
      assert.ok(value !== undefined, name);
      const { counts, problems } = await checkRows(value);
      assert.deepEqual([counts.mail, counts.invalid], [1, 2], name);
      assert.deepEqual(
        problems.map(({ code, range, file: where }) => `${code}:${String(range.start.line)} ${path.basename(where)}`),
        [`address.invalid:2 ${name}`, `liquid.emptyCell:3 ${name}`],
        name,
      );
    }
  });
});

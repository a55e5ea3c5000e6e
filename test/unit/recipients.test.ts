import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import fc from "fast-check";
import type { Files } from "../../src/mail/files";
import { diskFiles, FileError } from "../../src/mail/files";
import type { CsvOptions, ListedRow, RecipientList } from "../../src/mail/recipients";
import { detectAddressColumn, openRecipients } from "../../src/mail/recipients";

const auto: CsvOptions = { delimiter: "auto", encoding: "auto" };

describe("recipients: R50 lists from CSV", function () {
  this.timeout(30_000);

  let folder: string;
  let files: Files;
  let file: string;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "recipients-"));
    files = await diskFiles(folder);
    file = path.join(files.root, "customers.csv");
  });
  after(() => rm(folder, { recursive: true }));

  async function open(content: string | Buffer, options: CsvOptions = auto) {
    await writeFile(file, content);
    return await openRecipients(files, file, options);
  }

  async function list(content: string | Buffer, options: CsvOptions = auto): Promise<RecipientList> {
    const { value, problems } = await open(content, options);
    assert.ok(value, JSON.stringify(problems));
    return value;
  }

  async function rowsOf(recipients: RecipientList): Promise<readonly ListedRow[]> {
    const rows: ListedRow[] = [];
    for await (const row of recipients.rows()) rows.push(row);
    return rows;
  }

  async function values(content: string | Buffer, options: CsvOptions = auto): Promise<readonly (readonly string[])[]> {
    return (await rowsOf(await list(content, options))).map(({ row }) => row.values);
  }

  /** `code line:character-line:character`, one-based, as an editor shows places. */
  function places(problems: ListedRow["problems"]): readonly string[] {
    return problems.map(({ code, range: { start, end } }) => {
      return `${code} ${start.line + 1}:${start.character + 1}-${end.line + 1}:${end.character + 1}`;
    });
  }

  describe("separator and top of the file", () => {
    const tables: readonly (readonly [string, string, string])[] = [
      ["a comma", "email,name\nada@example.com,Ada\n", ","],
      ["a semicolon, with commas in the cells", "email;name\nada@example.com;Lovelace, Ada\n", ";"],
      ["a tab", "email\tname\nada@example.com\tAda, Lovelace; Countess\n", "\t"],
      ["a bar", "email|name\nada@example.com|Ada\n", "|"],
      ["what stands outside quotes", '"e;m;a;i;l",name\nada@example.com,Ada\n', ","],
      ["Excel's first line", "sep=;\r\nemail;name, first\r\nada@example.com;Ada\r\n", ";"],
      ["Excel's first line with an unusual sign", "SEP=#\nemail#name, first\nada@example.com#Ada\n", "#"],
    ];
    for (const [name, content, delimiter] of tables) {
      it(`decides for ${name}`, async () => {
        const recipients = await list(content);
        assert.equal(recipients.delimiter, delimiter);
        assert.equal(recipients.columns.length, 2);
        const [first] = await rowsOf(recipients);
        assert.equal(first?.row.values[0], "ada@example.com");
        assert.deepEqual(first.problems, []);
      });
    }

    it("takes the separator of the settings for more than the header", async () => {
      const recipients = await list("sep=,\nemail;a,b\nada@example.com;x,y\n", { ...auto, delimiter: ";" });
      assert.deepEqual(
        recipients.columns.map(({ name }) => name),
        ["email", "a,b"],
      );
    });

    it("counts Excel's first line as a line", async () => {
      const recipients = await list("sep=;\r\nemail;name\r\nada@example.com;Ada\r\n");
      const [first] = await rowsOf(recipients);
      assert.equal(first?.row.line, 2);
      assert.equal(recipients.columns[1]?.range.start.line, 1);
    });

    it("reads one column and a file whose last line is not ended", async () => {
      assert.deepEqual(await values("email\nada@example.com\nbob@example.com"), [
        ["ada@example.com"],
        ["bob@example.com"],
      ]);
    });
  });

  describe("encodings", () => {
    const content = "email,name\r\nada@example.com,Zoë\r\n";
    const encodings: readonly (readonly [string, Buffer, string])[] = [
      ["UTF-8 with BOM", Buffer.from(`\ufeff${content}`), "utf-8"],
      [
        "UTF-16LE with BOM (Excel's Unicode text)",
        Buffer.from(`\ufeff${content.replaceAll(",", "\t")}`, "utf16le"),
        "utf-16le",
      ],
      ["UTF-16LE without BOM", Buffer.from(content, "utf16le"), "utf-16le"],
      ["windows-1252 (Excel's CSV)", Buffer.from(content, "latin1"), "windows-1252"],
    ];
    for (const [name, bytes, encoding] of encodings) {
      it(`reads ${name}`, async () => {
        const { value, problems } = await open(bytes);
        assert.equal(value?.encoding, encoding);
        assert.equal(value.columns[0]?.name, "email");
        assert.deepEqual(value.columns[0].range.start, { line: 0, character: 0 });
        const [first] = await rowsOf(value);
        assert.deepEqual(first?.row.values, ["ada@example.com", "Zoë"]);
        assert.deepEqual(value.cellRange(first.row, 1), {
          start: { line: 1, character: 16 },
          end: { line: 1, character: 19 },
        });
        assert.deepEqual(places(problems), encoding === "windows-1252" ? ["encoding.fallback 2:19-2:20"] : []);
      });
    }

    it("refuses NUL bytes at their place", async () => {
      const { value, problems } = await open("email,name\nada@example.com,A\0da\n");
      assert.equal(value, undefined);
      assert.deepEqual(places(problems), ["list.nul 2:18-2:19"]);
    });
  });

  describe("columns", () => {
    async function columns(header: string): Promise<readonly string[]> {
      const { value } = await open(`${header}\nx\n`);
      return (value?.columns ?? []).map(({ name, alias }) => (alias === undefined ? name : `${name} = ${alias}`));
    }

    it("offers snake_case names where they are nobody else's", async () => {
      assert.deepEqual(await columns(" First Name ,lastName,E-Mail,2nd,Straße & Nr.,email"), [
        "First Name = first_name",
        "lastName = last_name",
        "E-Mail = e_mail",
        "2nd = _2nd",
        "Straße & Nr. = straße_nr",
        "email",
      ]);
    });

    it("offers none for two columns, for a column's own name and for Liquid's words", async () => {
      assert.deepEqual(await columns("Name,name,First Name,first-name,Empty,__proto__,!?"), [
        "Name",
        "name",
        "First Name",
        "first-name",
        "Empty",
        "__proto__ = proto",
        "!?",
      ]);
    });

    it("renames headers that stand twice or are empty, with a problem at each", async () => {
      const { value, problems } = await open("name,,name,name_2, name\na,b,c,d,e\n");
      assert.deepEqual(
        value?.columns.map(({ name }) => name),
        ["name", "column_2", "name_3", "name_2", "name_4"],
      );
      assert.deepEqual(places(problems), [
        "list.emptyHeader 1:6-1:6",
        "list.duplicateHeader 1:7-1:11",
        "list.duplicateHeader 1:19-1:24",
      ]);
      assert.deepEqual(
        problems.map(({ severity }) => severity),
        ["information", "warning", "warning"],
      );
      assert.match(problems[1]?.message ?? "", /“name” stands twice.*“name_3”/);
    });

    it("takes a first line with an address for a recipient in the wrong place, not for a header", async () => {
      const { value, problems } = await open("Ada,ada@example.com\nBob,bob@example.com\n");
      assert.ok(value);
      assert.deepEqual(places(problems), ["list.noHeader 1:5-1:20"]);
      assert.equal(problems[0]?.severity, "error");
      assert.notEqual(problems[0].rowOnly, true);
    });

    it("knows where header cells stand, over several lines too", async () => {
      const recipients = await list('\r\n"e\r\nmail";"na""me ";x\nada@example.com;Ada;1\n');
      assert.deepEqual(
        recipients.columns.map(({ name }) => name),
        ["e\r\nmail", 'na"me', "x"],
      );
      assert.deepEqual(
        recipients.columns.map(({ range: { start, end } }) => [start.line, start.character, end.line, end.character]),
        [
          [1, 0, 2, 5],
          [2, 6, 2, 15],
          [2, 16, 2, 17],
        ],
      );
    });
  });

  describe("rows", () => {
    it("keeps cells as written: blanks, quotes, separators and line breaks inside quotes", async () => {
      const content = 'email,name,note\r\nada@example.com, Ada ,"a ""b"", c\r\nd"\nbob@example.com,Bob,""\r\n';
      assert.deepEqual(await values(content), [
        ["ada@example.com", " Ada ", 'a "b", c\r\nd'],
        ["bob@example.com", "Bob", ""],
      ]);
    });

    it("counts lines through mixed line ends, empty lines and quoted line breaks", async () => {
      const content =
        'email,name\r\n\r\nada@example.com,Ada\nbob@example.com,"B\r\no\nb\r"\r \n,\t\n\n\rcy@example.com,Cy\r\rdi@example.com,Di';
      const rows = await rowsOf(await list(content));
      assert.deepEqual(
        rows.map(({ row }) => [row.values[0], row.line, row.endLine]),
        [
          ["ada@example.com", 2, 2],
          ["bob@example.com", 3, 6],
          ["cy@example.com", 11, 11],
          ["di@example.com", 13, 13],
        ],
      );
      assert.deepEqual(
        rows.flatMap(({ problems }) => problems),
        [],
      );
    });

    it("fills short rows with a warning, refuses long ones, and forgives empty cells too many", async () => {
      const content = "email,name,plan\nada@example.com\nbob@example.com,Bob,pro,x,\ncy@example.com,Cy,pro,,\n";
      const rows = await rowsOf(await list(content));
      assert.deepEqual(
        rows.map(({ row }) => row.values),
        [
          ["ada@example.com", "", ""],
          ["bob@example.com", "Bob", "pro"],
          ["cy@example.com", "Cy", "pro"],
        ],
      );
      assert.deepEqual(
        rows.map(({ problems }) => places(problems)),
        [["list.shortRow 2:1-2:16"], ["list.longRow 3:1-3:27"], []],
      );
      const [short, long] = rows.flatMap(({ problems }) => problems);
      assert.deepEqual([short?.severity, short?.rowOnly], ["warning", true]);
      assert.deepEqual([long?.severity, long?.rowOnly], ["error", true]);
      assert.match(short?.message ?? "", /has 1 cells, the header has 3/);
    });

    it("keeps stray quotes as written and reports them in their row only", async () => {
      const content =
        'email,name\nada@example.com,5" pipe\nbob@example.com,"Bob" B.\ncy@example.com, "C, y"\ndi@example.com,"Di"\n';
      const rows = await rowsOf(await list(content));
      assert.deepEqual(
        rows.map(({ row }) => row.values[1]),
        ['5" pipe', '"Bob" B.', ' "C', "Di"],
      );
      assert.deepEqual(
        rows.map(({ problems }) => places(problems)),
        [["list.quote 2:18-2:19"], ["list.quote 3:21-3:22"], ["list.quote 4:17-4:18", "list.longRow 4:1-4:23"], []],
      );
      const [problem] = rows[0]?.problems ?? [];
      assert.deepEqual([problem?.severity, problem?.rowOnly], ["error", true]);
      assert.match(problem?.message ?? "", /a quote stands in a cell without quotes around it\. Double a quote/);
    });

    it("reports a quote that never closes where it opens, and blocks the whole list", async () => {
      const content = 'email,name\nada@example.com,"Ada ""A"""\nbob@example.com,"Bob ""B"" and\ncy@example.com,Cy\n';
      const rows = await rowsOf(await list(content));
      assert.equal(rows.length, 2);
      assert.deepEqual(rows[0]?.row.values, ["ada@example.com", 'Ada "A"']);
      assert.deepEqual(places(rows[1]?.problems ?? []), ["list.unclosedQuote 3:17-3:18"]);
      assert.equal(rows[1]?.problems[0]?.severity, "error");
      assert.equal(rows[1].problems[0].rowOnly, undefined);
      assert.deepEqual(rows[1].row, { values: ["", ""], line: 2, endLine: 2 });
    });

    it("finds the open quote in a long file without reading all of it into one cell", async () => {
      const line = "person@example.com,Somebody\n";
      const content = `email,name\n${line.repeat(3)}"ada@example.com,Ada\n${line.repeat(60_000)}`;
      const rows = await rowsOf(await list(content));
      assert.equal(rows.length, 4);
      assert.deepEqual(places(rows[3]?.problems ?? []), ["list.unclosedQuote 5:1-5:2"]);
    });

    it("reports an open quote in the header, and has no list then", async () => {
      const { value, problems } = await open('email,"name\nada@example.com,Ada\n');
      assert.equal(value, undefined);
      assert.deepEqual(places(problems), ["list.unclosedQuote 1:7-1:8"]);
    });

    it("refuses a line of megabytes", async () => {
      const rows = await rowsOf(await list(`email,name\nada@example.com,${"x".repeat(1_200_000)}\n`));
      assert.deepEqual(
        rows.map(({ problems }) => places(problems)),
        [["list.hugeRow 2:1-2:2"]],
      );
      assert.match(rows[0]?.problems[0]?.message ?? "", /larger than 1 MB/);
    });

    it("gives the same rows again, each time anew from the file", async () => {
      const recipients = await list("email\nada@example.com\n");
      assert.equal((await rowsOf(recipients)).length, 1);
      await writeFile(file, "email\nada@example.com\nbob@example.com\n");
      assert.equal((await rowsOf(recipients)).length, 2);
      await rm(file);
      await assert.rejects(rowsOf(recipients), (error) => error instanceof FileError && error.reason === "missing");
    });

    it("stops with the signal's reason", async () => {
      const recipients = await list(`email\n${"ada@example.com\n".repeat(20_000)}`);
      const controller = new AbortController();
      const reason = new Error("enough");
      let seen = 0;
      const read = async (): Promise<void> => {
        for await (const batch of recipients.batches(controller.signal)) {
          seen += batch.length;
          controller.abort(reason);
        }
      };
      await assert.rejects(read, (error) => error === reason);
      assert.ok(seen > 0 && seen < 20_000);
    });
  });

  describe("lists without recipients", () => {
    const empty: readonly (readonly [string, string, boolean])[] = [
      ["no bytes", "", false],
      ["a BOM only", "\ufeff", false],
      ["empty lines", "\r\n\n \n,,\n", false],
      ["a header only", "email,name\n", true],
      ["a header and empty rows", "email,name\n,\n \n", true],
    ];
    for (const [name, content, hasColumns] of empty) {
      it(`reports ${name}`, async () => {
        const { value, problems } = await open(content);
        assert.deepEqual(places(problems), ["list.empty 1:1-1:1"]);
        assert.equal(problems[0]?.file, file);
        assert.equal(value !== undefined, hasColumns);
        if (value !== undefined) assert.deepEqual(await rowsOf(value), []);
      });
    }

    it("reports a file that is missing or lies outside the root", async () => {
      const { value, problems } = await openRecipients(files, path.join(files.root, "none.csv"), auto);
      assert.equal(value, undefined);
      assert.deepEqual(
        problems.map(({ code }) => code),
        ["file.missing"],
      );
      const outside = await openRecipients(files, path.join(files.root, "..", "none.csv"), auto);
      assert.deepEqual(
        outside.problems.map(({ code }) => code),
        ["file.outside"],
      );
    });
  });

  describe("places of cells", () => {
    it("are exact, quotes included, and the first line for rows from elsewhere", async () => {
      const recipients = await list('email,name,note\n"ada@example.com",Zoë 😀,"a\r\nb"\nbob@example.com,,\n');
      const [ada, bob] = (await rowsOf(recipients)).map(({ row }) => row);
      assert.ok(ada && bob);
      const shown = (row: typeof ada, column: number): string => {
        const { start, end } = recipients.cellRange(row, column);
        return `${start.line}:${start.character}-${end.line}:${end.character}`;
      };
      assert.deepEqual(
        [0, 1, 2].map((column) => shown(ada, column)),
        ["1:0-1:17", "1:18-1:24", "1:25-2:2"],
      );
      assert.deepEqual(
        [0, 1, 2].map((column) => shown(bob, column)),
        ["3:0-3:15", "3:16-3:16", "3:17-3:17"],
      );
      assert.equal(shown(structuredClone(ada), 1), "1:0-2:0");
      assert.deepEqual(structuredClone(bob), { values: bob.values, line: 3, endLine: 3 });
      assert.equal(shown(bob, 7), "3:0-3:0");
    });

    it("survive the borders of the pieces in which a file is read", async () => {
      const row = (index: number): string => `person${index}@example.com,"Lovelace, ""Ada"" ${index}"`;
      const count = 20_000;
      const rows = Array.from({ length: count }, (_, index) => row(index));
      const recipients = await list(`email,name\n${rows.join("\r\n")}`);
      let index = 0;
      for await (const { row: read, problems } of recipients.rows()) {
        assert.deepEqual(problems, []);
        assert.deepEqual(read.values, [`person${index}@example.com`, `Lovelace, "Ada" ${index}`]);
        const { start, end } = recipients.cellRange(read, 1);
        const [line, length] = [index + 1, row(index).length];
        assert.deepEqual([read.line, start.line, end.line, end.character], [line, line, line, length]);
        assert.equal(start.character, row(index).indexOf(",") + 1);
        index++;
      }
      assert.equal(index, count);
    });
  });

  describe("any table", () => {
    const cell = fc.string({
      unit: fc.constantFrom("a", "é", "😀", " ", '"', ",", ";", "\n", "\r", "\r\n", "."),
      maxLength: 8,
    });
    const table = fc
      .integer({ min: 1, max: 4 })
      .chain((width) =>
        fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 6 }),
      );
    const write = (text: string): string => `"${text.replaceAll('"', '""')}"`;

    /** A list in an editor: no file to write. */
    async function unsaved(text: string): Promise<RecipientList> {
      const { value } = await openRecipients(await diskFiles(folder, new Map([[file, text]])), file, auto);
      assert.ok(value);
      return value;
    }

    it("is read back cell by cell, with every cell's place", async () => {
      await fc.assert(
        fc.asyncProperty(table, fc.constantFrom("\n", "\r\n", "\r"), async (rows, lineEnd) => {
          const filled = rows.map((cells) => ["x", ...cells]);
          const header = filled[0]?.map((_, index) => `c${index}`) ?? [];
          const text = [header, ...filled.map((cells) => cells.map(write))]
            .map((cells) => cells.join(","))
            .join(lineEnd);
          const recipients = await unsaved(text);
          const read = await rowsOf(recipients);
          assert.deepEqual(
            read.map(({ row }) => row.values),
            filled,
          );
          const starts = [0];
          for (const match of text.matchAll(/\r\n|\n|\r/g)) starts.push(match.index + match[0].length);
          for (const { row, problems } of read) {
            assert.deepEqual(problems, []);
            for (const [column, value] of row.values.entries()) {
              const { start, end } = recipients.cellRange(row, column);
              const offsets = [start, end].map(({ line, character }) => (starts[line] ?? NaN) + character);
              assert.equal(text.slice(...offsets), write(value));
            }
          }
        }),
        { numRuns: 150 },
      );
    });

    it("and any garbage gives rows of full width with places that csv-parse's cells have", async () => {
      const garbage = fc.string({ unit: fc.constantFrom("a", '"', '"', ",", "\n", "\r", " "), maxLength: 40 });
      await fc.assert(
        fc.asyncProperty(garbage, async (text) => {
          const value = await unsaved(`a,b,c,d,e,f\n${text}`);
          let line = 1;
          for (const { row } of await rowsOf(value)) {
            assert.equal(row.values.length, 6);
            assert.ok(row.line >= line && row.endLine >= row.line);
            line = row.line;
            for (const [column, cell] of row.values.entries()) {
              // A cell that is there has its own place: a place before it would be the row's start.
              if (cell === "" || column === 0) continue;
              const previous = value.cellRange(row, column - 1).end;
              const { start } = value.cellRange(row, column);
              assert.deepEqual(start, { line: previous.line, character: previous.character + 1 });
            }
          }
        }),
        { numRuns: 400 },
      );
    });
  });

  describe("the address column", () => {
    const cases: readonly (readonly [string, string, number | undefined])[] = [
      ["by its values, whatever it is called", "x,y\n1,ada@example.com\n2,bob@example.com\n", 1],
      [
        "by values with a fitting name before others",
        "contact,E-Mail\nx@example.com,ada@example.com\ny@example.com,\n",
        1,
      ],
      ["leftmost of two with addresses", "from,to\nx@example.com,ada@example.com\n", 0],
      ["with a few bad cells", `mail\n${"ada@example.com\n".repeat(8)}bad\nworse\n`, 0],
      ["by its values before a fitting name", "email,y\nnone yet,ada@example.com\n", 1],
      ["by its name when the values do not tell", "name,Adresse e-mail\nAda,?\n", 1],
      ["by its name when the cells are empty", "name,EMAIL\nAda,\n", 1],
      ["with the name in the cell", 'who\n"Lovelace, Ada <ada@example.com>"\n', 0],
      ["not when nothing fits", "name,plan\nAda,pro\n", undefined],
      ["not by half of its values", `x\n${"ada@example.com\nbad\n".repeat(5)}`, undefined],
    ];
    for (const [name, content, expected] of cases) {
      it(`is found ${name}`, async () => {
        assert.equal(await detectAddressColumn(await list(content)), expected);
      });
    }

    it("is judged by the first fifty rows only", async () => {
      const content = `x\n${"ada@example.com\n".repeat(50)}${"bad\n".repeat(500)}`;
      assert.equal(await detectAddressColumn(await list(content)), 0);
    });
  });
});

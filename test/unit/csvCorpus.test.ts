/**
 * A corpus of awkward lists, as Excel and people make them: each file of `test/fixtures/csv` with what must come out of it
 * beside it. The values are what a person sees in a spreadsheet; problems are at the place where the file must be mended.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { checkRows, diskFiles, openRecipients, prepareCampaign } from "../../src/mail/index";
import type { Problem } from "../../src/mail/index";

const folder = path.resolve("test", "fixtures", "csv");
const csv = { delimiter: "auto", encoding: "auto" } as const;

/** What a file comes to. */
interface Result {
  /** Null where the file cannot be read as a list at all, as `delimiter`. */
  readonly encoding: string | null;
  readonly delimiter: string | null;
  readonly columns: readonly string[];
  /** Line (one-based as people count), what becomes of the row, and its cells. */
  readonly rows: readonly (readonly [number, string, ...string[]])[];
  /** `code line:column`, one-based. */
  readonly problems: readonly string[];
}

const shown = ({ code, range: { start } }: Problem): string =>
  `${code} ${String(start.line + 1)}:${String(start.character + 1)}`;

async function read(root: string, name: string): Promise<Result> {
  const campaign = path.join(root, "corpus.mail.md");
  const head = "---\nid: 5e3b7c1e-52a4-4b0e-9f0e-0f6f9a1d2c01\nsubject: Hello\nfrom: Ada <ada@example.com>\n";
  const files = await diskFiles(root, new Map([[campaign, `${head}recipients: ${name}\n---\nHello\n`]]));
  const { value: list } = await openRecipients(files, path.join(root, name), csv);
  const sender = { from: undefined, replyTo: undefined };
  const { value: prepared, problems } = await prepareCampaign({ file: campaign, files, csv, sender });
  const rows: [number, string, ...string[]][] = [];
  for await (const batch of prepared?.judgements() ?? [])
    for (const { row, entry } of batch) rows.push([row.line + 1, entry?.kind ?? "left out", ...row.values]);
  const checked = prepared === undefined ? [] : (await checkRows(prepared)).problems;
  return {
    encoding: list?.encoding ?? null,
    delimiter: list?.delimiter ?? null,
    columns: list?.columns.map((column) => column.name) ?? [],
    rows,
    problems: [...problems, ...checked].map(shown),
  };
}

describe("the corpus of awkward lists (R50)", function () {
  this.timeout(30_000);
  let root: string;

  before(async () => {
    root = await realpath(await mkdtemp(path.join(tmpdir(), "corpus-")));
  });
  after(() => rm(root, { recursive: true }));

  for (const name of readdirSync(folder).filter((file) => file.endsWith(".csv")))
    it(name, async () => {
      await writeFile(path.join(root, name), readFileSync(path.join(folder, name)));
      const expected = readFileSync(path.join(folder, name.replace(/\.csv$/, ".json")), "utf8");
      assert.deepEqual(await read(root, name), JSON.parse(expected));
    });

  it("a cell of nearly a megabyte comes through whole, and a row beyond the limit is named", async () => {
    const cell = "x".repeat(1_000_000);
    await writeFile(path.join(root, "big.csv"), `email,note\nada@example.com,"${cell}"\n`);
    const { rows, problems } = await read(root, "big.csv");
    assert.ok(rows[0]?.[3] === cell, problems.join());
    assert.deepEqual(problems, []);
    await writeFile(path.join(root, "huge.csv"), `email,note\nada@example.com,"${cell.repeat(20)}"\n`);
    assert.deepEqual((await read(root, "huge.csv")).problems, ["list.unclosedQuote 2:17"]);
  });
});

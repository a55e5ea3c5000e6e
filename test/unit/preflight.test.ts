import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { simpleParser } from "mailparser";
import type { ParsedMail } from "mailparser";
import type { Files } from "../../src/mail/files";
import { diskFiles, FileError } from "../../src/mail/files";
import type { CheckResult, Entry, Prepared, PrepareRequest } from "../../src/mail/preflight";
import { checkRows, prepareCampaign, problemLimit, RowError, suppression } from "../../src/mail/preflight";
import type { Problem } from "../../src/mail/problems";

const id = "7d0c1a52-3b7e-4c57-9f7c-0d8e1f2a3b4c";
const runId = "0f4c4b2e-8f0e-4f4e-9a4b-111111111111";
const date = new Date("2026-03-01T12:00:00Z");
const stamp = { runId, date };

type Content = string | Buffer;
type Mailable = Extract<Entry, { kind: "mail" }>;

describe("preflight", function () {
  this.timeout(30_000);

  let folder: string;
  let root: string;
  let files: Files;

  beforeEach(async () => {
    folder = await realpath(await mkdtemp(path.join(tmpdir(), "preflight-")));
    root = path.join(folder, "workspace");
    await mkdir(root);
    files = await diskFiles(root);
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function write(contents: Readonly<Record<string, Content>>): Promise<void> {
    for (const [name, content] of Object.entries(contents)) {
      const file = path.join(root, name);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, content);
    }
  }

  /** A campaign with these lines in its front matter, besides id, subject and recipients where they are not given. */
  function campaign(lines: string, body = "Hello {{ name }}\n"): string {
    const keys = new Set(Array.from(lines.matchAll(/^(\w+):/gm), ([, key]) => key));
    const defaults = { id, subject: "Hello {{ name }}", recipients: "customers.csv", from: "Ada <ada@example.com>" };
    const missing = Object.entries(defaults).filter(([key]) => !keys.has(key));
    return `---\n${missing.map(([key, value]) => `${key}: "${value}"\n`).join("")}${lines}\n---\n${body}`;
  }

  const people = "email,name,plan\nbob@example.org,Bob,pro\ncy@example.org,Cy,free\n";

  interface Checked {
    readonly prepared: Prepared | undefined;
    readonly result: CheckResult | undefined;
    /** Of opening and check together. */
    readonly problems: readonly Problem[];
  }

  async function check(
    contents: Readonly<Record<string, Content>>,
    more: Partial<PrepareRequest> = {},
  ): Promise<Checked> {
    await write(contents);
    const request: PrepareRequest = {
      file: path.join(root, "spring.mail.md"),
      files,
      csv: { delimiter: "auto", encoding: "auto" },
      sender: { from: undefined, replyTo: undefined },
      ...more,
    };
    const { value: prepared, problems } = await prepareCampaign(request);
    const result = prepared === undefined ? undefined : await checkRows(prepared);
    return { prepared, result, problems: [...problems, ...(result?.problems ?? [])] };
  }

  async function prepare(
    contents: Readonly<Record<string, Content>>,
    more: Partial<PrepareRequest> = {},
  ): Promise<Prepared> {
    const { prepared, problems } = await check(contents, more);
    assert.ok(prepared, JSON.stringify(problems));
    return prepared;
  }

  /** `code file:line:column`, one-based, as a compiler prints it. */
  function places(problems: readonly Problem[]): readonly string[] {
    return problems.map(({ code, file, range: { start } }) => {
      return `${code} ${path.relative(root, file)}:${start.line + 1}:${start.character + 1}`;
    });
  }

  async function entriesOf(prepared: Prepared): Promise<readonly Entry[]> {
    const entries: Entry[] = [];
    for await (const entry of prepared.entries()) entries.push(entry);
    return entries;
  }

  async function mailable(prepared: Prepared): Promise<readonly Mailable[]> {
    return (await entriesOf(prepared)).filter((entry) => entry.kind === "mail");
  }

  async function composed(prepared: Prepared, index = 0, more: Parameters<Prepared["compose"]>[1] = stamp) {
    const entry = (await mailable(prepared))[index];
    assert.ok(entry);
    const message = await prepared.compose(entry, more);
    const mail: ParsedMail = await simpleParser(message.bytes);
    return { message, mail };
  }

  async function rowErrors(prepared: Prepared): Promise<readonly string[]> {
    const [entry] = await mailable(prepared);
    assert.ok(entry);
    let found: readonly Problem[] = [];
    await assert.rejects(prepared.compose(entry, stamp), (error) => {
      assert.ok(error instanceof RowError, String(error));
      found = error.problems;
      return true;
    });
    return found.map(({ code }) => code);
  }

  it("R50–R53 a good campaign has no problem, and every row its own message", async () => {
    const { prepared, result, problems } = await check({
      "spring.mail.md": campaign("attachments: terms.pdf", "Hello **{{ name }}**,\n\n![logo](logo.png)\n"),
      "customers.csv": people,
      "terms.pdf": "%PDF-1.4",
      "logo.png": "PNG",
    });
    assert.deepEqual(problems, []);
    assert.ok(prepared && result);
    assert.deepEqual(result.counts, { rows: 2, mail: 2, invalid: 0, skipped: 0, excluded: 0 });
    assert.deepEqual(result.first, ["bob@example.org", "cy@example.org"]);
    assert.deepEqual([...result.attachments], [[path.join(root, "terms.pdf"), 8]]);
    assert.equal(result.more.size, 0);
    assert.deepEqual(
      prepared.opened.map(({ role, file }) => [role, path.relative(root, file)]),
      [
        ["campaign", "spring.mail.md"],
        ["recipients", "customers.csv"],
        ["image", "logo.png"],
      ],
    );
    const entries = await entriesOf(prepared);
    assert.deepEqual(
      entries.map((entry) => [entry.kind, entry.identity, entry.row.line]),
      [
        ["mail", "bob@example.org", 1],
        ["mail", "cy@example.org", 2],
      ],
    );
    const { message, mail } = await composed(prepared, 1);
    assert.deepEqual(message.envelope, { from: "ada@example.com", to: ["cy@example.org"] });
    assert.equal(mail.subject, "Hello Cy");
    assert.match(mail.text ?? "", /Hello Cy,/);
    assert.match(String(mail.html), /Hello <strong[^>]*>Cy<\/strong>/);
    assert.deepEqual(
      mail.attachments.map(({ filename, content, related }) => [filename, content.toString(), related === true]).sort(),
      [
        ["logo.png", "PNG", true],
        ["terms.pdf", "%PDF-1.4", false],
      ],
    );
    assert.match(message.messageId, /^<[^@<>]+@example\.com>$/);
  });

  describe("bad input: file, line, column and a next step", () => {
    interface Case {
      readonly name: string;
      readonly files: Readonly<Record<string, Content>>;
      /** The problems, in order. */
      readonly expected: readonly string[];
      /** The first sentence: cause and next step. */
      readonly message: RegExp;
      readonly others?: ReadonlyMap<string, string>;
    }
    const md = "spring.mail.md";
    const list = "customers.csv";
    const cases: readonly Case[] = [
      {
        name: "unknown placeholder",
        files: { [md]: campaign("", "Hello {{ nmae }}\n"), [list]: people },
        expected: ["liquid.unknown spring.mail.md:8:10"],
        message: /“nmae” is no column of the recipients file\. Did you mean “name”\?/,
      },
      {
        name: "unknown placeholder in where",
        files: { [md]: campaign('where: plna == "pro"'), [list]: people },
        expected: ["liquid.unknown spring.mail.md:6:8"],
        message: /“plna” is no column.*Did you mean “plan”\?/,
      },
      {
        name: "broken YAML",
        files: { [md]: campaign('cc: ["x@example.org"'), [list]: people },
        expected: ["frontMatter.yaml spring.mail.md:7:1"],
        message: /not valid YAML: .*Mend this line/,
      },
      {
        name: "missing recipients file",
        files: { [md]: campaign("") },
        expected: ["file.missing spring.mail.md:4:13"],
        message: /recipients file “customers\.csv” does not exist\. Create it, or correct the path/,
      },
      {
        name: "recipients file outside the workspace",
        files: { [md]: campaign("recipients: ../customers.csv") },
        expected: ["file.outside spring.mail.md:5:13"],
        message: /“\.\.\/customers\.csv” lies outside .*Move it inside/,
      },
      {
        name: "no address column",
        files: { [md]: campaign(""), [list]: "name,plan\nBob,pro\n" },
        expected: ["list.noAddressColumn spring.mail.md:4:13"],
        message: /No column holds e-mail addresses\. The columns are name, plan: name the right one/,
      },
      {
        name: "bad address in a cell",
        files: { [md]: campaign(""), [list]: "name,email\nBob,bob@example.org\nCy,cy@example\n" },
        expected: ["address.invalid customers.csv:3:4"],
        message: /“cy@example” is not an address that can be mailed: the domain has no ending.*Correct the cell/,
      },
      {
        name: "two addresses in a cell",
        files: { [md]: campaign(""), [list]: `${people}"di@example.org, ed@example.org",Di,pro\n` },
        expected: ["address.several customers.csv:4:1"],
        message: /holds more than one address\. Give each its own row/,
      },
      {
        name: "no address in a row",
        files: { [md]: campaign(""), [list]: `${people},Di,pro\n` },
        expected: ["address.empty customers.csv:4:1"],
        message: /This row has no address\. Fill the cell/,
      },
      {
        name: "duplicate address with different data",
        files: { [md]: campaign(""), [list]: `${people}BOB@example.org,Robert,pro\n` },
        expected: ["address.duplicate customers.csv:4:1"],
        message: /“BOB@example\.org” stands in line 2 already, with different data\. Add key:/,
      },
      {
        name: "missing id",
        files: { [md]: campaign("id:"), [list]: people },
        expected: ["id.missing spring.mail.md:5:1"],
        message: /has no id.*add the id that the quick fix offers/,
      },
      {
        name: "an id that is none",
        files: { [md]: campaign("id: spring"), [list]: people },
        expected: ["id.invalid spring.mail.md:5:5"],
        message: /not a UUID\. Restore the id/,
      },
      {
        name: "copied id",
        files: { [md]: campaign(""), [list]: people },
        others: new Map([[id, "autumn.mail.md"]]),
        expected: ["id.copied spring.mail.md:2:6"],
        message: /same as in “autumn\.mail\.md”.*give this one a new id/,
      },
      {
        name: "unclosed quote",
        files: { [md]: campaign(""), [list]: `${people}di@example.org,"Di,pro\ned@example.org,Ed,pro\n` },
        expected: ["list.unclosedQuote customers.csv:4:16"],
        message: /A quote opens here and never closes.*Close or remove it/,
      },
      {
        name: "missing attachment",
        files: { [md]: campaign("attachments:\n  - terms.pdf"), [list]: people },
        expected: ["attachment.missing spring.mail.md:7:5"],
        message: /attachment “terms\.pdf” does not exist\. Create it, or correct the path/,
      },
      {
        name: "attachment that is missing for one row",
        files: {
          [md]: campaign('attachments: "{{ name }}.pdf"'),
          [list]: people,
          "Bob.pdf": "b",
        },
        expected: ["attachment.missing customers.csv:3:16"],
        message: /attachment “Cy\.pdf” does not exist\. Create it/,
      },
      {
        name: "attachment outside the workspace",
        files: { [md]: campaign("attachments: ../secret.txt"), [list]: people },
        expected: ["attachment.outside spring.mail.md:6:14"],
        message: /“\.\.\/secret\.txt” lies outside .*Move it inside: files elsewhere are never attached/,
      },
      {
        name: "attachment that a cell leads outside the workspace",
        files: {
          [md]: campaign('attachments: "{{ name }}"'),
          [list]: `${people}di@example.org,../secret.txt,pro\n`,
          Bob: "b",
          Cy: "c",
        },
        expected: ["attachment.outside customers.csv:4:16"],
        message: /“\.\.\/secret\.txt” lies outside/,
      },
      {
        name: "attachment that is a folder",
        files: { [md]: campaign("attachments: docs"), [list]: people, "docs/a.txt": "a" },
        expected: ["attachment.unreadable spring.mail.md:6:14"],
        message: /“docs” cannot be read: is not a file/,
      },
      {
        name: "empty list",
        files: { [md]: campaign(""), [list]: "email,name,plan\n" },
        expected: ["list.empty customers.csv:1:1"],
        message: /has no rows\. Add a header line and at least one row/,
      },
      {
        name: "list of no bytes",
        files: { [md]: campaign(""), [list]: "" },
        expected: ["list.empty customers.csv:1:1"],
        message: /has no rows/,
      },
      {
        name: "list without header",
        files: {
          [md]: campaign("", "Hello\n").replace("Hello {{ name }}", "Hello"),
          [list]: "bob@example.org,Bob\ncy@example.org,Cy\n",
        },
        expected: ["list.noHeader customers.csv:1:1"],
        message: /“bob@example\.org” stands in the first line.*Put a header line above it/,
      },
      {
        name: "wrong encoding",
        files: { [md]: campaign(""), [list]: Buffer.from("email,name\nbob@example.org,Bj\u00f6rn\n", "latin1") },
        expected: ["encoding.fallback customers.csv:2:19"],
        message: /not UTF-8 and was read as windows-1252\..* save it as UTF-8/,
      },
      {
        name: "no text at all",
        files: { [md]: campaign(""), [list]: "email,name\nbob@example.org,B\0b\n" },
        expected: ["list.nul customers.csv:2:18"],
        message: /NUL bytes.*Export it again/,
      },
      {
        name: "empty cell of a used column",
        files: { [md]: campaign(""), [list]: `${people}di@example.org,,pro\n` },
        expected: ["liquid.emptyCell customers.csv:4:16"],
        message: /“name” is empty in line 4, but the campaign uses it\. Fill the cell/,
      },
      {
        name: "link that is none",
        files: {
          [md]: campaign("", "[Page]({{ plan }})\n"),
          [list]: "email,name,plan\nbob@example.org,Bob,javascript:alert(1)\n",
        },
        expected: ["url.scheme customers.csv:2:21"],
        message: /cannot be a link: only http, https, mailto and tel can\. Correct the cell/,
      },
      {
        name: "more cells than columns",
        files: { [md]: campaign(""), [list]: `${people}di@example.org,Doe, Di,pro\n` },
        expected: ["list.longRow customers.csv:4:1"],
        message: /has 4 cells, the header only 3\. Quote cells/,
      },
      {
        name: "no sender",
        files: { [md]: campaign("from:"), [list]: people },
        expected: ["from.missing spring.mail.md:1:1"],
        message: /No sender is known\. Set from/,
      },
      {
        name: "sender with a placeholder",
        files: { [md]: campaign('from: "{{plan}}@example.com"'), [list]: people },
        expected: ["from.invalid spring.mail.md:5:7"],
        message: /is not a sender address\. Write Name/,
      },
      {
        name: "bad address in cc",
        files: { [md]: campaign("cc: [boss@example.com, second]"), [list]: people },
        expected: ["address.invalid spring.mail.md:6:24"],
        message: /“second” is not an address/,
      },
      {
        name: "bad address in cc, by a row",
        files: { [md]: campaign('cc: "{{ plan }}@example"'), [list]: "email,name,plan\nbob@example.org,Bob,pro\n" },
        expected: ["address.invalid customers.csv:2:21"],
        message: /“pro@example” is not an address/,
      },
      {
        name: "key that is no column",
        files: { [md]: campaign("key: plann"), [list]: people },
        expected: ["key.unknown spring.mail.md:6:6"],
        message: /key names “plann”, which is no column\. Did you mean “plan”\?/,
      },
      {
        name: "empty key",
        files: { [md]: campaign("key: plan"), [list]: `${people}di@example.org,Di,\n` },
        expected: ["key.empty customers.csv:4:19"],
        message: /key column “plan” is empty/,
      },
      {
        name: "missing body",
        files: { [md]: campaign("body: letter.html", ""), [list]: people },
        expected: ["file.missing spring.mail.md:6:7"],
        message: /body file “letter\.html” does not exist/,
      },
      {
        name: "missing image",
        files: { [md]: campaign("", "Hello {{ name }}\n\n![logo](img/logo.png)\n"), [list]: people },
        expected: ["file.missing spring.mail.md:10:9"],
        message: /image “img\/logo\.png” does not exist/,
      },
      {
        name: "missing suppression file",
        files: { [md]: campaign("suppress: left.csv"), [list]: people },
        expected: ["file.missing spring.mail.md:6:11"],
        message: /suppression file “left\.csv” does not exist/,
      },
      {
        name: "suppression file without addresses",
        files: { [md]: campaign("suppress: left.csv"), [list]: people, "left.csv": "name\nBob\n" },
        expected: ["suppress.noAddresses left.csv:1:1"],
        message: /No column of the suppression file holds e-mail addresses/,
      },
      {
        name: "unsubscribe address of a row that is none",
        files: {
          [md]: campaign('unsubscribe: "{{ plan }}"'),
          [list]: "email,name,plan\nbob@example.org,Bob,http://example.com/\n",
        },
        expected: ["unsubscribe.scheme customers.csv:2:21"],
        message: /must be a mailto: or https: address/,
      },
      {
        name: "nobody left",
        files: { [md]: campaign('where: plan == "gold"'), [list]: people },
        expected: ["list.nobody spring.mail.md:6:8"],
        message: /No row is left to mail/,
      },
      {
        name: "empty subject of a row",
        files: {
          [md]: campaign("subject: '{{ plan | default: \"\" }}'"),
          [list]: "email,name,plan\nbob@example.org,Bob,\n",
        },
        expected: ["subject.empty customers.csv:2:21"],
        message: /subject is empty/,
      },
    ];
    for (const { name, files: contents, expected, message, others } of cases) {
      it(`R50 R51 R53: ${name}`, async () => {
        await writeFile(path.join(folder, "secret.txt"), "secret");
        await writeFile(path.join(folder, "customers.csv"), people);
        const otherCampaigns = new Map(Array.from(others ?? [], ([other, file]) => [other, path.join(root, file)]));
        const { problems } = await check(contents, { otherCampaigns });
        assert.deepEqual(places(problems), expected);
        assert.match(problems[0]?.message ?? "", message);
        for (const { file } of problems) assert.ok(path.isAbsolute(file));
      });
    }
  });

  it("blocks everything for what concerns everything, and one row for what concerns one", async () => {
    const severities = async (lines: string, list: string): Promise<readonly unknown[]> => {
      const { problems, result } = await check({ "spring.mail.md": campaign(lines), "customers.csv": list });
      return [
        ...problems.map(({ code, severity, rowOnly }) => [code, severity, rowOnly === true]),
        result?.counts.mail,
      ];
    };
    assert.deepEqual(await severities("", `${people}di@example,Di,x\n`), [["address.invalid", "error", true], 2]);
    assert.deepEqual(await severities("", `${people}bob@example.org,Bob,x\n`), [
      ["address.repeated", "warning", true],
      2,
    ]);
    assert.deepEqual(await severities("", `${people}"di@example.org,Di,x\n`), [
      ["list.unclosedQuote", "error", false],
      2,
    ]);
    assert.deepEqual(await severities("attachments: no.pdf", people), [["attachment.missing", "error", false], 2]);
  });

  it("goes on looking where it can: one check shows what is wrong in the campaign and in the list", async () => {
    const { problems, prepared } = await check({
      "spring.mail.md": campaign('id: x\nsubject: "{{ naem }}"\nsuppress: left.csv\nattachments: terms.pdf'),
      "customers.csv": `${people}di@example,Di,x\n`,
    });
    assert.deepEqual(places(problems), [
      "id.invalid spring.mail.md:4:5",
      "file.missing spring.mail.md:6:11",
      "liquid.unknown spring.mail.md:5:14",
      "attachment.missing spring.mail.md:7:14",
      "address.invalid customers.csv:4:1",
    ]);
    assert.ok(prepared);
    assert.deepEqual(await rowErrors(prepared), ["file.missing", "liquid.unknown"]);
  });

  it("lets a message be looked at that must not be sent yet, for want of an id", async () => {
    const prepared = await prepare({ "spring.mail.md": campaign("id:"), "customers.csv": people });
    assert.equal((await composed(prepared)).mail.subject, "Hello Bob");
  });

  it("has no value when there is no campaign, and says so", async () => {
    const { prepared, problems } = await check({});
    assert.equal(prepared, undefined);
    assert.deepEqual(places(problems), ["file.missing spring.mail.md:1:1"]);
  });

  it("offers a new id for a copied one", async () => {
    const otherCampaigns = new Map([[id, path.join(root, "autumn.mail.md")]]);
    const { problems } = await check({ "spring.mail.md": campaign(""), "customers.csv": people }, { otherCampaigns });
    const [fix] = problems[0]?.fixes ?? [];
    assert.match(fix?.text ?? "", /^[0-9a-f-]{36}$/);
    assert.notEqual(fix?.text, id);
    assert.deepEqual(fix?.range, { start: { line: 1, character: 5 }, end: { line: 1, character: 41 } });
    const itself = new Map([[id, path.join(root, "spring.mail.md")]]);
    assert.deepEqual((await check({}, { otherCampaigns: itself })).problems, []);
  });

  describe("rows", () => {
    it("R50: where leaves rows out, first of all, whatever else is wrong with them", async () => {
      const { result, prepared, problems } = await check({
        "spring.mail.md": campaign('where: plan == "pro"'),
        "customers.csv": `${people}bad,,free\nbad,Di,pro\n`,
      });
      assert.deepEqual(result?.counts, { rows: 4, mail: 1, invalid: 1, skipped: 0, excluded: 2 });
      assert.deepEqual(places(problems), ["address.invalid customers.csv:5:1"]);
      assert.ok(prepared);
      assert.deepEqual(
        (await entriesOf(prepared)).map(({ kind, row }) => [kind, row.line]),
        [
          ["mail", 1],
          ["invalid", 4],
        ],
      );
    });

    it("a comparison with what is no number is a problem of its rows", async () => {
      const { result, problems } = await check({
        "spring.mail.md": campaign("where: plan > 3"),
        "customers.csv": "email,name,plan\na@example.org,A,5\nb@example.org,B,many\nc@example.org,C,2\n",
      });
      assert.deepEqual(places(problems), ["liquid.notNumber customers.csv:3:17"]);
      assert.deepEqual(result?.counts, { rows: 3, mail: 1, invalid: 1, skipped: 0, excluded: 1 });
    });

    it("R50: mails a repeated address once: identical rows are skipped, different ones refused, each pointing at the first", async () => {
      const { prepared, result, problems } = await check({
        "spring.mail.md": campaign(""),
        // The plan is used nowhere, so it makes no difference.
        "customers.csv": `${people}Bob@Example.org,Bob,free\nbob@example.org,Robert,pro\ncy@example.org,Cy,pro\n`,
      });
      assert.deepEqual(places(problems), [
        "address.repeated customers.csv:4:1",
        "address.duplicate customers.csv:5:1",
        "address.repeated customers.csv:6:1",
      ]);
      const [first] = problems[1]?.related ?? [];
      assert.deepEqual([first?.file, first?.range.start.line], [path.join(root, "customers.csv"), 1]);
      assert.deepEqual(result?.counts, { rows: 5, mail: 2, invalid: 1, skipped: 2, excluded: 0 });
      assert.ok(prepared);
      const entries = await entriesOf(prepared);
      assert.deepEqual(
        entries.map(({ kind }) => kind),
        ["mail", "mail", "skipped", "invalid", "skipped"],
      );
      assert.deepEqual(entries[2]?.kind === "skipped" ? entries[2].reason : "", "repeated");
      // The same again: what was seen belongs to one pass.
      assert.deepEqual(
        (await entriesOf(prepared)).map(({ kind }) => kind),
        entries.map(({ kind }) => kind),
      );
    });

    it("R50: with key, address and key together are the identity", async () => {
      const prepared = await prepare({
        "spring.mail.md": campaign("key: Invoice No\nsubject: 'Invoice {{ invoice_no }}'", "Hello\n"),
        "customers.csv": "Invoice No,email\n17,bob@example.org\n 18 ,Bob@Example.org\n17,BOB@example.org\n",
      });
      const entries = await entriesOf(prepared);
      assert.deepEqual(
        entries.map(({ kind, identity }) => [kind, identity]),
        [
          ["mail", "bob@example.org\t17"],
          ["mail", "bob@example.org\t18"],
          ["skipped", "bob@example.org\t17"],
        ],
      );
      assert.deepEqual(
        (await mailable(prepared)).map(({ key, to }) => [key, to.address]),
        [
          ["17", "bob@example.org"],
          ["18", "Bob@example.org"],
        ],
      );
      const ids = [(await composed(prepared, 0)).message.messageId, (await composed(prepared, 1)).message.messageId];
      assert.notEqual(ids[0], ids[1]);
    });

    it("R60: to may put name and address together; commas and quotes in a name are part of it", async () => {
      const prepared = await prepare({
        "spring.mail.md": campaign('to: "{{ name }} <{{ email }}>"', "Hello\n"),
        "customers.csv": 'name,email\n"Lovelace, ""Ada"" (Countess)",ada@example.org\n',
      });
      const [entry] = await mailable(prepared);
      assert.deepEqual(entry?.to, { name: 'Lovelace, "Ada" (Countess)', address: "ada@example.org" });
      const { message, mail } = await composed(prepared);
      assert.deepEqual(message.envelope.to, ["ada@example.org"]);
      const [to] = mail.to === undefined || Array.isArray(mail.to) ? [] : mail.to.value;
      assert.deepEqual([to?.name, to?.address], ['Lovelace, "Ada" (Countess)', "ada@example.org"]);
    });

    it("R60: a cell cannot add a recipient", async () => {
      const { result, problems } = await check({
        "spring.mail.md": campaign('to: "{{ name }} <{{ email }}>"\ncc: "{{ name }} <boss@example.com>"', "Hello\n"),
        "customers.csv":
          'name,email\n"Eve <eve@example.net>, x",bob@example.org\n"eve@example.net, x",cy@example.org\n',
      });
      assert.deepEqual(places(problems), ["address.several customers.csv:2:28", "address.several customers.csv:3:22"]);
      assert.equal(result?.counts.mail, 0);
    });

    it("a row is invalid in entries for every reason that the check gives", async () => {
      const { prepared, result } = await check({
        "spring.mail.md": campaign(
          'attachments: "{{ plan }}.pdf"\ncc: "{{ cc | default: \'\' }}"',
          "[x]({{ link }})\n",
        ),
        "customers.csv": [
          "email,name,plan,cc,link",
          "good@example.org,Good,pro,,https://example.com",
          "empty@example.org,,pro,,https://example.com",
          "file@example.org,File,none,,https://example.com",
          "copy@example.org,Copy,pro,boss,https://example.com",
          "link@example.org,Link,pro,,file:///etc/passwd",
          "long@example.org,Long,pro,,https://example.com,more",
          "bad,Bad,pro,,https://example.com",
          "",
        ].join("\n"),
        "pro.pdf": "pdf",
      });
      assert.ok(prepared && result);
      const entries = await entriesOf(prepared);
      assert.deepEqual(
        entries.map((entry) => (entry.kind === "invalid" ? entry.problems.map(({ code }) => code).join() : entry.kind)),
        [
          "mail",
          "liquid.emptyCell",
          "attachment.missing",
          "address.invalid",
          "url.scheme",
          "list.longRow",
          "address.invalid",
        ],
      );
      assert.deepEqual(result.counts, { rows: 7, mail: 1, invalid: 6, skipped: 0, excluded: 0 });
      assert.deepEqual([...result.attachments], [[path.join(root, "pro.pdf"), 3]]);
      assert.deepEqual(
        entries.map((entry) => (entry.kind === "mail" ? entry.to.address : entry.address)),
        [
          "good@example.org",
          "empty@example.org",
          "file@example.org",
          "copy@example.org",
          "link@example.org",
          "long@example.org",
          "bad",
        ],
      );
    });

    it("R44: keeps fifty problems of a code and counts the rest", async () => {
      const rows = Array.from({ length: problemLimit + 7 }, (_, index) => `bad${index},Bad,x\n`);
      const { result } = await check({ "spring.mail.md": campaign(""), "customers.csv": people + rows.join("") });
      assert.equal(result?.problems.length, problemLimit);
      assert.deepEqual([...result.more], [["address.invalid", 7]]);
      assert.equal(result.counts.invalid, problemLimit + 7);
    });

    it("stops when asked, with the signal's reason", async () => {
      const list = people + Array.from({ length: 2_000 }, (_, index) => `p${index}@example.org,P,x\n`).join("");
      const prepared = await prepare({ "spring.mail.md": campaign(""), "customers.csv": list });
      const controller = new AbortController();
      const reason = new Error("enough");
      controller.abort(reason);
      await assert.rejects(checkRows(prepared, controller.signal), (error) => error === reason);
    });
  });

  describe("R59 suppression", () => {
    const lists: readonly (readonly [string, string])[] = [
      ["a CSV with a header", "when,email\n2026-01-01,Bob@Example.org\n"],
      ["one address a line", "BOB@example.org\nzed@example.org\n"],
      ["one address", "bob@example.org"],
      ["names and a second address in the cell", 'who\n"Bob <bob@example.org>; zed@example.org"\n'],
      ["a badly written row", 'email,note\nx@example.org,a\n5" pipe,bob@example.org\n'],
    ];
    for (const [name, content] of lists) {
      it(`skips whom ${name} names`, async () => {
        const { prepared, result } = await check({
          "spring.mail.md": campaign("suppress: left.csv"),
          "customers.csv": people,
          "left.csv": content,
        });
        assert.deepEqual(result?.counts, { rows: 2, mail: 1, invalid: 0, skipped: 1, excluded: 0 });
        assert.ok(prepared);
        const [bob] = await entriesOf(prepared);
        assert.deepEqual([bob?.kind, bob?.identity], ["skipped", "bob@example.org"]);
        assert.equal(bob?.kind === "skipped" && bob.reason, "suppressed");
        assert.equal(
          prepared.opened.some(({ role }) => role === "suppress"),
          true,
        );
      });
    }

    it("may be empty, or hold a header only", async () => {
      for (const content of ["", "email\n", "\n\n"]) {
        const contents = {
          "spring.mail.md": campaign("suppress: left.csv"),
          "customers.csv": people,
          "left.csv": content,
        };
        const { problems, result } = await check(contents);
        assert.deepEqual(problems, []);
        assert.equal(result?.counts.mail, 2);
      }
    });

    it("warns of cells that suppress nobody, and refuses a file whose rest is lost", async () => {
      const contents = { "spring.mail.md": campaign("suppress: left.csv"), "customers.csv": people };
      const warned = await check({ ...contents, "left.csv": `email\n${"zed@example.org\n".repeat(9)}bob\n` });
      assert.deepEqual(
        warned.problems.map(({ code, severity }) => [code, severity]),
        [["address.invalid", "warning"]],
      );
      const lost = await check({ ...contents, "left.csv": 'email\nzed@example.org\n"x\nbob@example.org\n' });
      assert.deepEqual(places(lost.problems), ["list.unclosedQuote left.csv:3:1"]);
    });

    it("is asked from the file as it is now, by address or identity, and read again only when it changed", async () => {
      const file = path.join(root, "left.csv");
      const opened = await prepare({
        "spring.mail.md": campaign("suppress: left.csv"),
        "customers.csv": people,
        "left.csv": "email\nbob@example.org\n",
      });
      let reads = 0;
      const counted: Files = {
        ...files,
        stream: (name) => {
          if (name === file) reads++;
          return files.stream(name);
        },
      };
      const isSuppressed = await suppression(counted, opened.campaign);
      assert.equal(await isSuppressed("BOB@example.org"), true);
      assert.equal(await isSuppressed("bob@example.org\t17"), true);
      assert.equal(await isSuppressed("cy@example.org"), false);
      const once = reads;
      await Promise.all(Array.from({ length: 20 }, () => isSuppressed("cy@example.org")));
      assert.equal(reads, once);
      await writeFile(file, "email\ncy@example.org\n");
      await utimes(file, new Date(), new Date(Date.now() + 10_000));
      assert.equal(await isSuppressed("cy@example.org"), true);
      assert.equal(await isSuppressed("bob@example.org"), false);
      assert.equal(await opened.isSuppressed("cy@example.org"), true);
      await rm(file);
      await assert.rejects(isSuppressed("cy@example.org"), FileError);
      await writeFile(file, 'email\n"x\n');
      await assert.rejects(isSuppressed("cy@example.org"), FileError);
    });

    it("suppresses nobody when the campaign names no file", async () => {
      const prepared = await prepare({ "spring.mail.md": campaign(""), "customers.csv": people });
      assert.equal(await prepared.isSuppressed("bob@example.org"), false);
      assert.equal(await (await suppression(files, prepared.campaign))("bob@example.org"), false);
    });

    it("wins over copies too", async () => {
      const prepared = await prepare({
        "spring.mail.md": campaign(
          "cc: [boss@example.com, aide@example.com]\nbcc: log@example.com\nsuppress: left.csv",
        ),
        "customers.csv": people,
        "left.csv": "boss@example.com\nlog@example.com\n",
      });
      const { message } = await composed(prepared);
      assert.deepEqual(message.envelope.to, ["bob@example.org", "aide@example.com"]);
      assert.doesNotMatch(message.bytes.toString(), /boss|log@/);
    });
  });

  describe("messages", () => {
    it("R59 R60: everything with its values: copies, replies, headers, unsubscribe, attachments", async () => {
      const lines = [
        "subject: '{{ name }}: {{ plan }}'",
        "cc: ['{{ plan }}@example.com', '{{ none | default: \"\" }}']",
        "bcc: log@example.com",
        "replyTo: Desk <desk@example.com>",
        "headers: { X-Plan: '{{ plan }}' }",
        "unsubscribe: 'https://example.com/leave?who={{ email }}'",
        "oneClick: true",
        "attachments: ['docs/{{ plan }}.pdf', docs/terms.pdf]",
      ];
      const prepared = await prepare({
        "spring.mail.md": campaign(lines.join("\n")),
        "customers.csv": "email,name,plan,none\nbob+x@example.org,Bob,pro,\n",
        "docs/pro.pdf": "PRO",
        "docs/terms.pdf": "TERMS",
      });
      const { message, mail } = await composed(prepared);
      assert.deepEqual(message.envelope.to, ["bob+x@example.org", "pro@example.com", "log@example.com"]);
      assert.equal(mail.subject, "Bob: pro");
      assert.equal(mail.replyTo?.text, '"Desk" <desk@example.com>');
      assert.equal(mail.headers.get("x-plan"), "pro");
      assert.equal(mail.bcc, undefined);
      assert.match(
        message.bytes.toString(),
        /List-Unsubscribe: <https:\/\/example\.com\/leave\?who=bob%2Bx%40example\.org>/,
      );
      assert.match(message.bytes.toString(), /List-Unsubscribe-Post: List-Unsubscribe=One-Click/);
      assert.deepEqual(
        mail.attachments.map(({ filename, content }) => [filename, content.toString()]),
        [
          ["pro.pdf", "PRO"],
          ["terms.pdf", "TERMS"],
        ],
      );
      assert.equal(mail.date?.toISOString(), date.toISOString());
    });

    it("takes from and replyTo of the account where the campaign has none", async () => {
      const sender = { from: "Work <work@example.net>", replyTo: "desk@example.net" };
      const contents = { "spring.mail.md": campaign("from:"), "customers.csv": people };
      const { message, mail } = await composed(await prepare(contents, { sender }));
      assert.equal(message.envelope.from, "work@example.net");
      assert.match(message.messageId, /@example\.net>$/);
      assert.equal(mail.replyTo?.value[0]?.address, "desk@example.net");
      const bad = await check(contents, { sender: { ...sender, replyTo: "desk" } });
      assert.deepEqual(places(bad.problems), ["replyTo.invalid spring.mail.md:1:1"]);
    });

    it("the same row and run give the same bytes; another run another Message-ID", async () => {
      const prepared = await prepare({ "spring.mail.md": campaign(""), "customers.csv": people });
      const [first, again] = [await composed(prepared), await composed(prepared)];
      assert.ok(first.message.bytes.equals(again.message.bytes));
      const other = await composed(prepared, 0, { date, runId: "0f4c4b2e-8f0e-4f4e-9a4b-222222222222" });
      assert.notEqual(other.message.messageId, first.message.messageId);
    });

    it("R55: a test goes to one mailbox only, marked, whatever cc and bcc say", async () => {
      const prepared = await prepare({
        "spring.mail.md": campaign("cc: boss@example.com\nbcc: log@example.com"),
        "customers.csv": people,
      });
      const testTo = { name: "Me", address: "me@example.com" };
      const { message, mail } = await composed(prepared, 0, { ...stamp, testTo });
      assert.deepEqual(message.envelope.to, ["me@example.com"]);
      assert.equal(mail.subject, "[Test] Hello Bob");
      assert.doesNotMatch(message.bytes.toString(), /boss|log@|bob@/);
    });

    it("a body in a file of its own, with images beside it, by row too", async () => {
      const { prepared, result, problems } = await check({
        "spring.mail.md": campaign("body: letters/letter.html", ""),
        "letters/letter.html": '<p>Hello {{ name }}</p><img src="logo.png"><img src="plans/{{ plan }}.png">',
        "letters/logo.png": "LOGO",
        "letters/plans/pro.png": "PRO",
        "customers.csv": people,
      });
      assert.deepEqual(places(problems), ["attachment.missing customers.csv:3:1"]);
      assert.ok(prepared && result);
      assert.deepEqual(
        prepared.opened.map(({ role, file }) => [role, path.relative(root, file)]),
        [
          ["campaign", "spring.mail.md"],
          ["body", "letters/letter.html"],
          ["recipients", "customers.csv"],
          ["image", "letters/logo.png"],
        ],
      );
      assert.deepEqual([...result.attachments], [[path.join(root, "letters/plans/pro.png"), 3]]);
      const { mail } = await composed(prepared);
      assert.deepEqual(mail.attachments.map(({ filename }) => filename).sort(), ["logo.png", "pro.png"]);
    });

    it("reads a shared attachment once for all messages", async () => {
      await write({
        "spring.mail.md": campaign("attachments: terms.pdf"),
        "customers.csv": people,
        "terms.pdf": "TERMS",
      });
      let reads = 0;
      const counted: Files = {
        ...files,
        read: (name) => {
          if (name.endsWith("terms.pdf")) reads++;
          return files.read(name);
        },
      };
      const prepared = await prepare({}, { files: counted });
      const entries = await mailable(prepared);
      await Promise.all(entries.map((entry) => prepared.compose(entry, stamp)));
      assert.equal(reads, 1);
    });

    it("refuses a file that is gone or leads outside by the time the message is made", async () => {
      const contents = { "spring.mail.md": campaign("attachments: terms.pdf"), "customers.csv": people };
      const prepared = await prepare({ ...contents, "terms.pdf": "TERMS" });
      await rm(path.join(root, "terms.pdf"));
      assert.deepEqual(await rowErrors(prepared), ["attachment.missing"]);
      await writeFile(path.join(folder, "secret.txt"), "secret");
      await symlink(path.join(folder, "secret.txt"), path.join(root, "terms.pdf"));
      assert.deepEqual(await rowErrors(prepared), ["attachment.outside"]);
      await rm(path.join(root, "terms.pdf"));
      await mkdir(path.join(root, "terms.pdf"));
      const [entry] = await mailable(prepared);
      assert.ok(entry);
      // Nothing about the row: the file is there and cannot be read, so whoever sends has to stop.
      await assert.rejects(prepared.compose(entry, stamp), FileError);
    });

    it("the date of the message is what now means in its text, and nothing in who gets it", async () => {
      const prepared = await prepare({
        "spring.mail.md": campaign('subject: \'{{ "now" | date: "%Y-%m-%d" }}\''),
        "customers.csv": people,
      });
      assert.equal((await composed(prepared)).mail.subject, "2026-03-01");
      const { problems } = await check({ "spring.mail.md": campaign('attachments: \'{{ "now" | date: "%Y" }}.pdf\'') });
      assert.deepEqual(places(problems), ["render.failed spring.mail.md:6:15"]);
      const byRow = await check({
        "spring.mail.md": campaign('attachments: \'{{ plan }}-{{ "now" | date: "%Y" }}.pdf\''),
      });
      assert.deepEqual(
        byRow.problems.map(({ code, rowOnly }) => [code, rowOnly]),
        [
          ["render.failed", true],
          ["render.failed", true],
        ],
      );
      assert.equal(byRow.result?.counts.invalid, 2);
    });
  });
});

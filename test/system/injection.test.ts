/** What cells, file names, front matter and servers' replies can put on the wire, into reports and onto a terminal: nothing of their own. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import * as path from "node:path";
import { parse as parseCsv } from "csv-parse/sync";
import { simpleParser } from "mailparser";
import { loopbackSettings, smallCampaign } from "../fakes/campaigns";
import { Sandbox } from "../fakes/cli";
import { ScriptedSmtp, type Script } from "../fakes/scriptedSmtp";
import { readWire, type WireMessage } from "../fakes/wire";

const words = ["send", "hello.mail.md", "--account", "local", "--settings", "settings.json", "--yes"];

/** Signs that end lines, hide text or turn it around; without NUL, which no list may hold at all. */
const signs: Readonly<Record<string, string>> = {
  CR: "\r",
  LF: "\n",
  CRLF: "\r\n",
  "blank line": "\r\n\r\n",
  VT: "\u000b",
  FF: "\u000c",
  ESC: "\u001b",
  DEL: "\u007f",
  NEL: "\u0085",
  CSI: "\u009b",
  LS: "\u2028",
  PS: "\u2029",
  ...Object.fromEntries(
    ["\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069", "\u200e", "\u200f"].map(
      (sign) => [`bidi ${codePoint(sign)}`, sign],
    ),
  ),
  ...Object.fromEntries(["\u200b", "\u2060", "\ufeff", "\u00ad"].map((sign) => [`invisible ${codePoint(sign)}`, sign])),
};

/** What an attacker writes into a cell: after a sign a header, a command or the end of the message; or more addresses than one. */
const payloads: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(signs).map(([name, sign]) => [name, `x${sign}Bcc: evil@evil.example${sign}y`])),
  "a header that goes on": "x\r\n Bcc: evil@evil.example",
  "a command": "\r\nRCPT TO:<evil@evil.example>\r\n",
  "the end and a message": "x\r\n.\r\nMAIL FROM:<evil@evil.example>\r\nRCPT TO:<evil@evil.example>\r\nDATA\r\n",
  "LF dot LF": "\n.\n",
  "CR dot CR": "\r.\r",
  "dot CRLF": ".\r\n",
  "dots at the start": "..x",
  "two addresses": "a@evil.example, c@evil.example",
  "two addresses, semicolon": "a@evil.example;c@evil.example",
  "an address that ends": "a@evil.example>\r\nRCPT TO:<evil@evil.example",
  "two in brackets": "Name <a@evil.example> <c@evil.example>",
  "a quote that ends": 'x" <a@evil.example>, "y',
  "an encoded word": "=?utf-8?Q?x=0D=0ABcc:_evil@evil.example?=",
  "a group": "undisclosed: a@evil.example, c@evil.example;",
  "a source route": "@evil.example:a@evil.example",
  "a comment": "(a@evil.example) x",
  "a boundary": "--_NmP-\r\nContent-Type: text/html\r\n\r\n<b>evil</b>",
};

type Column = "name" | "subject" | "cc" | "bcc" | "reply" | "header" | "link" | "url" | "file" | "key" | "body";

const campaign = `---
id: 0b0e7d3a-8f4e-4d52-9f0a-6f2f1f9e5a11
subject: "Hello {{ subject }}"
from: Ada <ada@example.com>
recipients: people.csv
to: "{{ name }} <{{ email }}>"
cc: "{{ cc }}"
bcc: "{{ bcc }}"
replyTo: "{{ reply }}"
key: key
unsubscribe: "{{ url }}?who={{ link }}"
headers:
  X-Campaign: "{{ header }}"
attachments: ["files/{{ file }}"]
---
Hello {{ name }}: {{ body }} [link](https://example.com/?x={{ link }}) {{ header }}
`;

/** A row without harm, by its number. */
function harmless(n: number): Record<Column | "email", string> {
  const at = `${String(n)}@example.com`;
  return {
    email: `to${at}`,
    name: `Person ${String(n)}`,
    subject: "you",
    cc: `cc${at}`,
    bcc: `bcc${at}`,
    reply: `reply${at}`,
    header: "spring",
    link: "1",
    url: "https://example.com/u",
    file: "plain.txt",
    key: "k",
    body: "text",
  };
}

const ownHeaders = [
  "cc",
  "content-type",
  "date",
  "from",
  "list-unsubscribe",
  "message-id",
  "mime-version",
  "reply-to",
  "subject",
  "to",
  "x-campaign",
];

/** Nothing that ends a line, steers a terminal, hides or turns text. */
const unseen = /[\p{Cc}\p{Cf}\u2028\u2029]/u;
/** The same in a text of several lines, where line ends and tabs are its own, and a soft hyphen does no harm. */
const unseenInLines = /[^\P{Cc}\t\n\r]|(?!\u00ad)\p{Cf}|[\u2028\u2029]/u;

/** Rows that must be refused, by the column with the payload; all others are sent. */
const refused: Readonly<Record<Column | "email", (name: string, payload: string) => boolean>> = {
  // One cell, one mailbox. Brackets or commas with addresses beside them in the name make it several.
  name: (_, payload) => payload.includes("@") && /[<,;]/.test(payload),
  email: () => true,
  // A name with one address in brackets is a mailbox, whatever the name says.
  cc: (name) => name !== "a command",
  bcc: (name) => name !== "a command",
  reply: (name) => name !== "a command",
  url: () => true,
  // No such file: names are read as a line, and there is no folder.
  file: (_, payload) => unseen.test(payload) || payload.includes("/"),
  ...{ subject: () => false, header: () => false, link: () => false, key: () => false, body: () => false },
};

describe("injection (R50, R51, R60)", () => {
  let sandbox: Sandbox;
  let server: ScriptedSmtp;

  async function open(script?: Script): Promise<void> {
    sandbox = await Sandbox.create();
    server = await ScriptedSmtp.start(script);
    await sandbox.write({ "settings.json": loopbackSettings(server.port, { limits: { delay: 0 } }) });
  }
  async function close(): Promise<void> {
    await server.close();
    await sandbox.remove();
  }

  /** Every transaction of all connections; each connection is EHLO, messages, QUIT and nothing else. */
  function messages(): readonly WireMessage[] {
    return server.wire.flatMap((bytes) => {
      const wire = readWire(bytes);
      assert.deepEqual(wire.session, ["EHLO", "QUIT"]);
      return wire.messages;
    });
  }

  async function report(): Promise<readonly ReportedRow[]> {
    const { stdout } = await sandbox.run(["report", "hello.mail.md", "--format", "json"]);
    return (JSON.parse(stdout) as { readonly recipients: readonly ReportedRow[] }).recipients;
  }

  describe("by cells, every payload in every column", () => {
    const columns = Object.keys(refused) as (Column | "email")[];
    const attacks = Object.entries(payloads);
    const rowOf = (column: Column | "email", attack: number): number =>
      columns.indexOf(column) * attacks.length + attack;
    const sent = new Map<number, WireMessage>();
    let rows: readonly ReportedRow[];

    before(async () => {
      await open();
      const list = columns.flatMap((column) =>
        attacks.map(([, payload], attack) => ({ ...harmless(rowOf(column, attack)), [column]: payload })),
      );
      await sandbox.write({ "hello.mail.md": campaign, "people.csv": csv(list), "files/plain.txt": "text" });
      for (const payload of Object.values(payloads))
        if (!payload.includes("/")) await sandbox.write({ [`files/${payload}`]: "text" });
      const { code, stderr, stdout } = await sandbox.run([...words, "--skip-invalid"]);
      assert.equal(code, 1, stderr);
      assert.deepEqual(unseenInLines.exec(stderr + stdout), null, "what the terminal shows");
      for (const message of messages()) {
        const row = Number(/^to(\d+)@example\.com$/.exec(message.to[0] ?? "")?.[1]);
        assert.ok(!sent.has(row), `row ${String(row)} got two messages, or nobody of the list got one`);
        sent.set(row, message);
      }
      rows = await report();
    });
    after(close);

    for (const column of columns)
      it(`R51 ${column}: one transaction a row with its own recipients and headers, or a refusal`, async () => {
        for (const [attack, [name, payload]] of attacks.entries()) {
          const row = rowOf(column, attack);
          const message = sent.get(row);
          const about = `${column}: ${name}`;
          assert.equal(message === undefined, refused[column](name, payload), about);
          assert.equal(rows[row]?.outcome, message === undefined ? "failed" : "accepted", about);
          if (message === undefined) continue;
          const own = harmless(row);
          const expected = (field: "cc" | "bcc" | "reply"): string =>
            column === field ? "evil@evil.example" : own[field];
          assert.deepEqual(message.to, [own.email, expected("cc"), expected("bcc")], about);
          assert.equal(message.commands.length, 5, about);
          assert.deepEqual([...message.headers].sort(), ownHeaders, about);
          assert.ok(!message.source.includes(own.bcc), `${about}: Bcc stays in the envelope`);
          const mail = await simpleParser(message.source);
          for (const [field, address] of [
            [mail.to, own.email],
            [mail.cc, expected("cc")],
            [mail.from, "ada@example.com"],
            [mail.replyTo, expected("reply")],
          ] as const) {
            const [only, ...more] = (Array.isArray(field) ? field : [field]).flatMap((one) => one?.value ?? []);
            assert.deepEqual([only?.address, more], [address, []], about);
            assert.ok(!unseen.test(only?.name ?? ""), about);
          }
          assert.ok(!unseen.test(mail.subject ?? ""), about);
          const header = mail.headers.get("x-campaign");
          assert.ok(typeof header === "string" && !unseen.test(header), about);
          assert.match(
            message.header("list-unsubscribe") ?? "",
            /^<https:\/\/example\.com\/u\?who=[\w.%~ -]*>$/,
            about,
          );
          assert.equal(mail.attachments.length, 1, about);
          for (const { filename, contentType } of mail.attachments) {
            assert.ok(!unseen.test(filename ?? "") && !/[/\\]/.test(filename ?? ""), about);
            assert.ok(["text/plain", "application/octet-stream"].includes(contentType), `${about}: ${contentType}`);
          }
        }
      });

    it("R58 the table of the report has no sign that a terminal follows", async () => {
      const { stdout } = await sandbox.run(["report", "hello.mail.md"]);
      assert.deepEqual(unseenInLines.exec(stdout), null);
    });
  });

  describe("by other ways", () => {
    beforeEach(() => open());
    afterEach(close);

    const simple = (frontMatter: string, body: string, to = "{{ email }}"): string =>
      `---\nid: 0b0e7d3a-8f4e-4d52-9f0a-6f2f1f9e5a11\nsubject: Hello\nfrom: ada@example.com\nrecipients: people.csv\nto: "${to}"\n${frontMatter}---\n${body}`;

    it("R50 a NUL in the list or an address that is two: nothing is sent at all", async () => {
      for (const cell of [
        "a\0@example.com",
        "a@b.example, c@d.example",
        "a@b.example>\r\nRCPT TO:<evil@evil.example>",
        "Name <a@b.example> <c@d.example>",
      ]) {
        await sandbox.write({ "hello.mail.md": simple("", "Hello\n"), "people.csv": `email\r\n"${cell}"\r\n` });
        const { code, stderr, stdout } = await sandbox.run(words);
        assert.equal(code, 1, cell);
        assert.ok(!unseenInLines.test(stderr + stdout), JSON.stringify(stderr));
      }
      assert.equal(server.connections, 0);
    });

    it("R60 headers that steer mail cannot be set, nor names that are none", async () => {
      const names = [
        ...["Bcc", "bcc", "Cc", "To", "From", "Sender", "Reply-To", "Return-Path", "Subject", "Date", "Message-ID"],
        ...["Content-Type", "Content-Transfer-Encoding", "MIME-Version", "Received", "DKIM-Signature", "Resent-To"],
        ...["List-Unsubscribe", "List-Unsubscribe-Post", "Disposition-Notification-To", "Return-Receipt-To"],
        ...[
          "__proto__",
          "constructor",
          "toString",
          "X-Y: z",
          "X Y",
          "Bcc ",
          "X-Y\\r\\nBcc",
          "X-Y\\u2028Bcc",
          "X\\0",
          "X-Ü",
        ],
      ];
      const headers = names.map((name) => `  "${name}": "evil@evil.example"\n`).join("");
      await sandbox.write({
        "hello.mail.md": simple(`headers:\n${headers}`, "Hello\n"),
        "people.csv": "email\na@example.com\n",
      });
      const { code, stderr } = await sandbox.run(words);
      assert.equal(code, 1, stderr);
      const first = simple("headers:\n", "").split("\n").length - 1;
      for (const [n, name] of names.entries())
        assert.match(stderr, new RegExp(`^hello\\.mail\\.md:${String(first + n)}:\\d+: error: .*header`, "m"), name);
      assert.ok(!unseenInLines.test(stderr), stderr);
      assert.equal(server.connections, 0);
    });

    it("R51 columns named like headers or like a language's inside are columns", async () => {
      const names = ["Bcc", "Cc", "To", "Content-Type", "__proto__", "constructor", "toString", "hasOwnProperty"];
      const cells = names.map((_, n) => `value${String(n)}@evil.example`);
      await sandbox.write({
        "hello.mail.md": simple("", names.map((name) => `{{ ["${name}"] }}`).join("\n"), "{{ email }}"),
        "people.csv": csv([
          { email: "a@example.com", ...Object.fromEntries(names.slice(0, 4).map((name, n) => [name, cells[n] ?? ""])) },
        ]),
      });
      const plain = names.filter((name) => /^\w+$/.test(name));
      const list = [["email", ...names].join(","), ["a@example.com", ...cells].join(",")].join("\n");
      await sandbox.write({
        "hello.mail.md": simple("", plain.map((name) => `{{ ${name} }}`).join(" ")),
        "people.csv": `${list}\n`,
      });
      const { code, stderr } = await sandbox.run(words);
      assert.equal(code, 0, stderr);
      const [message, ...more] = messages();
      assert.deepEqual([message?.to, more], [["a@example.com"], []]);
      assert.deepEqual(
        [...(message?.headers ?? [])].sort(),
        ownHeaders.filter((name) => !["cc", "list-unsubscribe", "reply-to", "x-campaign"].includes(name)),
      );
      const { text = "" } = await simpleParser(message?.source ?? "");
      assert.equal(text.trim(), plain.map((name) => cells[names.indexOf(name)]).join(" "));
    });

    it("R51 a template reaches nothing but columns", async () => {
      await sandbox.write({ "people.csv": "email,name\na@example.com,Ann\n" });
      const insides = [
        "constructor",
        "__proto__",
        "name.constructor",
        "name.__proto__.x",
        'name["constructor"]',
        "this",
      ];
      const lines = [...insides, "process.env", "name | constructor", "name | __proto__"].map(
        (inside) => `{{ ${inside} }}\n`,
      );
      await sandbox.write({ "hello.mail.md": simple("", lines.join("")) });
      const { code, stderr } = await sandbox.run(words);
      assert.equal(code, 1, stderr);
      const first = simple("", "").split("\n").length;
      for (const [n, line] of lines.entries())
        assert.match(stderr, new RegExp(`^hello\\.mail\\.md:${String(first + n)}:\\d+: error: `, "m"), line);
      assert.equal(server.connections, 0);
    });

    it("R60 line ends and turned text in front matter stay in the texts where they stand, or are refused", async () => {
      const sign = "\\r\\nBcc: evil at evil.example\\u2028\\u202e\\r\\n";
      const hostile = simple(
        `replyTo: "R${sign} <reply@example.com>"\nheaders: { X-Campaign: "x${sign}y" }\n`,
        "Hello\n",
      )
        .replace("subject: Hello", `subject: "Hello${sign}"`)
        .replace("from: ada@example.com", `from: "Ada${sign} <ada@example.com>"`);
      const list = "email\na@example.com\n";
      await sandbox.write({ "hello.mail.md": hostile, "people.csv": list, "files/a\u202etxt.exe": "text" });
      const { code, stderr } = await sandbox.run(words);
      assert.equal(code, 0, stderr);
      const [message, ...more] = messages();
      assert.deepEqual([message?.to, more], [["a@example.com"], []]);
      const expected = ownHeaders.filter((name) => !["cc", "list-unsubscribe"].includes(name));
      assert.deepEqual([...(message?.headers ?? [])].sort(), expected);
      const mail = await simpleParser(message?.source ?? "");
      assert.equal(mail.subject, "Hello Bcc: evil at evil.example");
      assert.deepEqual(
        [mail.from, mail.replyTo].map((field) => field?.value),
        [
          [{ name: "Ada Bcc: evil at evil.example", address: "ada@example.com" }],
          [{ name: "R Bcc: evil at evil.example", address: "reply@example.com" }],
        ],
      );
      const { connections } = server;
      for (const [written, replaced] of [
        ["replyTo:", 'attachments: ["files/a\\u202etxt.exe"]\nreplyTo:'],
        ['to: "{{ email }}"', 'to: "N\\r\\nBcc: <evil@evil.example>\\r\\n <{{ email }}>"'],
        ['to: "{{ email }}"', 'to: "{{ email }}"\nbcc: "x\\r\\nRCPT TO:<evil@evil.example>, a@evil.example"'],
      ] as const) {
        await sandbox.write({ "hello.mail.md": hostile.replace(written, replaced) });
        const refusal = await sandbox.run([...words, "--again"]);
        assert.equal(refusal.code, 1, refusal.stderr + refusal.stdout);
        assert.deepEqual(unseenInLines.exec(refusal.stderr), null);
      }
      assert.equal(server.connections, connections);
    });

    it("R50 a hostile campaign file is judged in the end, with few words", async () => {
      const front = (lines: string): string => simple(lines, "Hello\n");
      const files: Readonly<Record<string, readonly [text: string, code: number]>> = {
        "a megabyte of front matter": [front(`x: ${"a".repeat(1_000_000)}\n`), 1],
        "300 broken lines": [front("x: a: b: c\n".repeat(300)), 1],
        "thousands of brackets": [front(`x: ${"[".repeat(50_000)}\n`), 1],
        "thousands of aliases": [front(`x: ${"*a ".repeat(20_000)}\n`), 1],
        "deep tags": [simple("", `${"{% if email %}".repeat(10_000)}x${"{% endif %}".repeat(10_000)}`), 1],
        "deep tags that never end": [simple("", "{% if email %}".repeat(10_000)), 1],
        "10,000 placeholders": [simple("", "{{ email }} ".repeat(10_000)), 0],
        "a megabyte of braces": [simple("", "{{".repeat(500_000)), 1],
      };
      await sandbox.write({ "people.csv": "email\na@example.com\n" });
      for (const [name, [text, expected]] of Object.entries(files)) {
        await sandbox.write({ "hello.mail.md": text });
        const { code, stdout, stderr } = await sandbox.run(["check", "hello.mail.md"]);
        assert.equal(code, expected, `${name}: ${stderr}${stdout.slice(0, 500)}`);
        assert.ok(stdout.length < 5_000 && stderr === "", `${name}: ${stderr}${stdout.slice(0, 500)}`);
      }
    });

    it("R44, R51 cells of a megabyte in body, subject, name and address: sent in lines that SMTP allows, or refused", async () => {
      const size = 1_000_000;
      const kinds: Readonly<Record<string, string>> = {
        letters: "x".repeat(size),
        words: "word ".repeat(size / 5),
        umlauts: "ü".repeat(size / 4),
        dots: ".\n".repeat(size / 2),
        spaces: `x${" ".repeat(size - 2)}y`,
      };
      await sandbox.write({
        "hello.mail.md": simple("", "Hello {{ body }}\n", "{{ name }} <{{ email }}>").replace(
          "subject: Hello",
          'subject: "Hello {{ subject }}"',
        ),
      });
      for (const column of ["body", "subject", "name", "email"] as const) {
        const rows = Object.values(kinds).map((text, n) => ({
          ...{ email: `to${String(n)}@example.com`, name: "N", subject: "s", body: "b" },
          [column]: text,
        }));
        await sandbox.write({ "people.csv": csv(rows) });
        const before = server.wire.length;
        const { code, stderr } = await sandbox.run([...words, "--skip-invalid", "--again"]);
        const isAddress = column === "name" || column === "email";
        assert.equal(code, isAddress ? 1 : 0, `${column}: ${stderr.slice(0, 1000)}`);
        const got = server.wire.slice(before).flatMap((bytes) => readWire(bytes).messages);
        const to = isAddress ? [] : rows.map(({ email }) => [email]);
        assert.deepEqual(
          got.map((message) => message.to),
          to,
          column,
        );
        assert.ok(stderr.length < 20_000, `${column}: ${String(stderr.length)} characters on the terminal`);
      }
    });

    it("R52 a body of lone dots, strange line ends and endless lines arrives as one message", async () => {
      const bodies = [
        "\n.\n",
        "\r\n.\r\n",
        "\r.\r",
        ".\r\nMAIL FROM:<evil@evil.example>\r\n",
        "x".repeat(5000),
        ".".repeat(5000),
        "..\n.\n..\n",
      ];
      for (const [n, file] of ["hello.mail.md", "hello.mail.html"].entries()) {
        const text = simple("", ["before", ...bodies, "after"].join("\n\nbetween\n\n")).replace(
          "0b0e7d3a",
          `0b0e7d3${String(n)}`,
        );
        await sandbox.write({ [file]: text, "people.csv": "email\na@example.com\n" });
        const call = words.map((word) => (word === "hello.mail.md" ? file : word));
        // The same subject to the same person: without a word for it, the second letter is taken for the first.
        const { code, stderr } = await sandbox.run([...call, "--again"]);
        assert.equal(code, 0, `${file}: ${stderr}`);
        const [message, ...more] = readWire(server.wire.at(-1) ?? "").messages;
        assert.deepEqual([message?.to, more], [["a@example.com"], []]);
        const { text: arrived = "" } = await simpleParser(message?.source ?? "");
        assert.match(arrived, /before[^]*MAIL FROM:[^]*after/);
      }
    });

    it("R58 the report as CSV starts no formula, and holds what the list held", async () => {
      const cells = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        '=HYPERLINK("http://evil.example")',
        '"=1"',
        "a,=1",
      ];
      const rows = cells.map((cell, n) => ({ email: n % 2 === 0 ? `p${String(n)}@example.com` : cell, key: cell }));
      await sandbox.write({ "hello.mail.md": simple("key: key\n", "Hello\n"), "people.csv": csv(rows) });
      const { code, stderr } = await sandbox.run([...words, "--skip-invalid"]);
      assert.equal(code, 1, stderr);
      const { stdout } = await sandbox.run(["report", "hello.mail.md", "--format", "csv"]);
      const records = parseCsv(stdout);
      assert.equal(records.length, rows.length + 1);
      for (const record of records) for (const cell of record) assert.doesNotMatch(cell, /^[=+\-@\t\r]/);
    });
  });

  describe("by a server's replies", () => {
    afterEach(close);
    const evil =
      "[x](command:evil) \u001b[31mred\u001b[0m \u001b]8;;http://evil.example\u0007link \u009b2J <script>alert(1)</script> \u202eturned\u2066 \u0007\u0000 ";
    const steps = ["connect", "EHLO", "MAIL", "RCPT", "DATA", "dot"] as const;

    // The engine keeps a megabyte of a reply.
    const replies = [
      ...steps.flatMap((step) => [["550", step, 900_000] as const, ["450", step, 1_500_000] as const]),
      ["250", "dot", 900_000] as const,
    ];
    for (const [code, step, size] of replies)
      it(`R35, R58 ${code} at ${step} with ${String(size)} characters is plain and short wherever it is kept`, async () => {
        const line = Buffer.from(evil.repeat(Math.ceil(size / evil.length)).slice(0, size)).toString("utf8");
        await open(({ command }) =>
          command === step ? { reply: `${code} ${code.charAt(0)}.0.0 ${line}` } : undefined,
        );
        await sandbox.write({ ...smallCampaign(2) });
        const { stderr, stdout, code: exit } = await sandbox.run(words);
        assert.equal(exit === 0, code === "250", stdout);
        assert.ok(stdout.length + stderr.length < 10_000, String(stdout.length + stderr.length));
        const kept = [stderr, stdout];
        for (const format of ["table", "json"])
          kept.push((await sandbox.run(["report", "hello.mail.md", "--format", format])).stdout);
        // The journal, the report as CSV that every run leaves, and whatever else lies there.
        for (const file of await readdir(sandbox.state, { recursive: true, withFileTypes: true }))
          if (file.isFile()) kept.push(await readFile(path.join(file.parentPath, file.name), "utf8"));
        assert.ok(kept.length > 5, "report and journal are there");
        for (const text of kept) {
          assert.ok(!unseenInLines.test(text));
          assert.ok(!/\\u00(?:[01]|7f|[89])/i.test(text), "nor escaped");
          assert.ok(text.split("\n").every((one) => one.length < 2_000));
        }
      });
  });
});

interface ReportedRow {
  readonly address: string;
  readonly outcome: string;
}

function codePoint(sign: string): string {
  return `U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

function csv(rows: readonly Readonly<Record<string, string>>[]): string {
  const names = Object.keys(rows[0] ?? {});
  const cell = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  return [names.map(cell), ...rows.map((row) => names.map((name) => cell(row[name] ?? "")))]
    .map((cells) => `${cells.join(",")}\r\n`)
    .join("");
}

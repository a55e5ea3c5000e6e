/** What cells, file names, front matter and servers' replies can put on the wire, into reports and onto a terminal: nothing of their own. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile } from "node:fs/promises";
import * as path from "node:path";
import { parse as parseCsv } from "csv-parse/sync";
import { simpleParser } from "mailparser";
import { loopbackSettings } from "../fakes/campaigns";
import { Sandbox, type Finished } from "../fakes/cli";
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

const columns = ["name", "subject", "cc", "bcc", "reply", "header", "link", "url", "file", "key", "body"] as const;
type Column = (typeof columns)[number];

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

describe("injection (R50, R51, R60)", () => {
  let sandbox: Sandbox;
  let server: ScriptedSmtp;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
  });
  afterEach(async () => {
    await server.close();
    await sandbox.remove();
  });

  async function start(script?: Script, extensions?: string[]): Promise<void> {
    server = await ScriptedSmtp.start(script, extensions);
    await sandbox.write({ "settings.json": loopbackSettings(server.port, { limits: { delay: 0 } }) });
  }

  /** Every transaction of all connections; each connection is EHLO, messages, QUIT and nothing else. */
  function messages(): readonly WireMessage[] {
    return server.wire.flatMap((bytes) => {
      const wire = readWire(bytes);
      assert.deepEqual(wire.session, ["EHLO", "QUIT"]);
      return wire.messages;
    });
  }

  for (const column of columns) {
    it(`column ${column}`, async () => {
      await start();
      await mkdir(path.join(sandbox.workspace, "files"), { recursive: true });
      const all = Object.entries(payloads);
      const rows = all.map(([, payload], n) => ({ ...harmless(n), [column]: payload }));
      await sandbox.write({ "hello.mail.md": campaign, "people.csv": csv(rows), "files/plain.txt": "text" });
      for (const payload of Object.values(payloads))
        if (!payload.includes("/")) await sandbox.write({ [`files/${payload}`]: "text" });
      const { code, stderr, stdout } = await sandbox.run([...words, "--skip-invalid"]);
      const got = messages();
      const sent = new Set(got.map(({ to }) => /^to(\d+)@/.exec(to[0] ?? "")?.[1]));
      console.log(
        column,
        code,
        stdout.split("\n")[0],
        "REFUSED",
        all
          .filter((_, n) => !sent.has(String(n)))
          .map(([name]) => name)
          .join(" | "),
      );
      for (const m of got) {
        const n = Number(/^to(\d+)@/.exec(m.to[0] ?? "")?.[1]);
        const h = [...m.headers].sort();
        if (JSON.stringify(h) !== JSON.stringify(ownHeaders))
          console.log(
            all[n]?.[0],
            h.filter((x) => !ownHeaders.includes(x)),
            ownHeaders.filter((x) => !h.includes(x)),
          );
        if (m.to.length !== 3) console.log(all[n]?.[0], m.to);
      }
      if (code === 2) console.log(stderr.slice(0, 2000));
    });
  }
});

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

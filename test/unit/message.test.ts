import assert from "node:assert/strict";
import { simpleParser } from "mailparser";
import type { AddressObject, ParsedMail } from "mailparser";
import { composeMessage, messageIdFor } from "../../src/mail/message";
import type { Message, MessageParts } from "../../src/mail/message";

const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

function parts(more: Partial<MessageParts> = {}): MessageParts {
  return {
    from: { name: "Ada", address: "ada@example.com" },
    to: { name: "Bob", address: "bob@example.org" },
    cc: [],
    bcc: [],
    replyTo: undefined,
    subject: "Hello",
    html: "<p>Hello</p>",
    text: "Hello",
    attachments: [],
    headers: [],
    unsubscribe: undefined,
    oneClick: false,
    messageId: "<abc@example.com>",
    date: new Date(Date.UTC(2026, 2, 1, 12, 30, 15)),
    ...more,
  };
}

async function parse(message: Message): Promise<ParsedMail> {
  return simpleParser(message.bytes, { skipImageLinks: true });
}

function addresses(field: AddressObject | AddressObject[] | undefined): (readonly [string, string | undefined])[] {
  return [field ?? []].flat().flatMap((one) => one.value.map(({ name, address }) => [name, address] as const));
}

/** The header lines as they stand, unfolded. */
function headerLines(message: Message): readonly string[] {
  const [head = ""] = message.bytes.toString("latin1").split("\r\n\r\n");
  return head.replace(/\r\n[ \t]/g, " ").split("\r\n");
}

function assertWire({ bytes }: Message): void {
  const text = bytes.toString("latin1");
  assert.doesNotMatch(text, /[^\r]\n|\r[^\n]/, "every line ends with CRLF");
  assert.ok(text.endsWith("\r\n"));
  for (const line of text.split("\r\n")) assert.ok(line.length <= 998, `${String(line.length)} characters`);
  assert.doesNotMatch(text, /[^\x00-\x7f]/, "only ASCII travels");
}

describe("composeMessage", () => {
  it("makes one message of text and HTML with the headers of the campaign (R52, R60)", async () => {
    const message = await composeMessage(
      parts({
        from: { name: "Ada Lovelace, Countess", address: "ada@example.com" },
        to: { name: "Zoë 😀", address: "zoe@xn--bcher-kva.example" },
        cc: [{ name: "", address: "cc@example.org" }],
        replyTo: { name: "Reply", address: "reply@example.com" },
        subject: "Grüße „aus“ 東京 😀",
        html: "<p>Grüße 😀</p>",
        text: "Grüße 😀\n",
        headers: [{ name: "X-Campaign", value: "spring" }],
      }),
    );
    assertWire(message);
    const mail = await parse(message);
    assert.deepEqual(addresses(mail.from), [["Ada Lovelace, Countess", "ada@example.com"]]);
    assert.deepEqual(addresses(mail.to), [["Zoë 😀", "zoe@bücher.example"]]);
    // The parser decodes the domain; the wire has the A-label.
    assert.match(message.bytes.toString(), /<zoe@xn--bcher-kva\.example>/);
    assert.deepEqual(addresses(mail.cc), [["", "cc@example.org"]]);
    assert.deepEqual(addresses(mail.replyTo), [["Reply", "reply@example.com"]]);
    assert.equal(mail.subject, "Grüße „aus“ 東京 😀");
    assert.equal(message.subject, mail.subject);
    assert.equal(mail.html, "<p>Grüße 😀</p>");
    assert.equal(mail.text?.trim(), "Grüße 😀");
    assert.equal(mail.messageId, "<abc@example.com>");
    assert.equal(mail.date?.toISOString(), "2026-03-01T12:30:15.000Z");
    assert.equal(mail.headers.get("x-campaign"), "spring");
    const names = headerLines(message).map((line) => line.slice(0, line.indexOf(":")));
    assert.deepEqual(names.sort(), [
      "Cc",
      "Content-Type",
      "Date",
      "From",
      "MIME-Version",
      "Message-ID",
      "Reply-To",
      "Subject",
      "To",
      "X-Campaign",
    ]);
  });

  it("gives the same bytes for the same parts", async () => {
    const make = (): Promise<Message> =>
      composeMessage(
        parts({
          html: '<p>é <img src="cid:x@bulk-mail"></p>',
          attachments: [
            { filename: "x.png", content: png, cid: "x@bulk-mail" },
            { filename: "terms.pdf", content: Buffer.from("%PDF") },
          ],
        }),
      );
    const [first, second] = [await make(), await make()];
    assert.ok(first.bytes.equals(second.bytes));
    const other = await composeMessage(parts({ messageId: "<def@example.com>" }));
    assert.notEqual(
      /boundary="([^"]+)"/.exec(other.bytes.toString())?.[1],
      /boundary="([^"]+)"/.exec(first.bytes.toString())?.[1],
    );
  });

  it("nests mixed, alternative and related, and carries files byte by byte (R53)", async () => {
    const binary = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7) % 256));
    const message = await composeMessage(
      parts({
        html: '<p><img src="cid:x@bulk-mail"></p>',
        attachments: [
          { filename: "logo.png", content: png, cid: "x@bulk-mail" },
          { filename: "Rechnung „März“ 1/2.pdf", content: binary },
          { filename: "nothing.txt", content: Buffer.alloc(0) },
          { filename: "mail.eml", content: Buffer.from(`Subject: é\n\n${"x".repeat(2000)}\n`) },
        ],
      }),
    );
    assertWire(message);
    const types = [...message.bytes.toString().matchAll(/^Content-Type: ([^;\r\n]+)/gm)].map((match) => match[1]);
    assert.deepEqual(types, [
      "multipart/mixed",
      "multipart/alternative",
      "text/plain",
      "multipart/related",
      "text/html",
      "image/png",
      "application/pdf",
      "text/plain",
      "application/octet-stream",
    ]);
    const mail = await parse(message);
    const byName = new Map(mail.attachments.map((one) => [one.filename, one]));
    assert.ok(byName.get("logo.png")?.content.equals(png));
    assert.equal(byName.get("logo.png")?.cid, "x@bulk-mail");
    assert.equal(byName.get("logo.png")?.contentDisposition, "inline");
    assert.ok(byName.get("Rechnung „März“ 1_2.pdf")?.content.equals(binary));
    assert.equal(byName.get("nothing.txt")?.content.length, 0);
    assert.match(byName.get("mail.eml")?.content.toString() ?? "", /^Subject: é\n\nx{2000}\n$/);
  });

  it("keeps long lines, dots, trailing blanks and other scripts", async () => {
    const text = `${"word ".repeat(600)}\n.\n..two\nFrom here\ntrailing  \n${"x".repeat(3000)}\n=3D =\n`;
    const message = await composeMessage(parts({ text, html: `<p>${"y".repeat(3000)}</p>` }));
    assertWire(message);
    for (const line of message.bytes.toString().split("\r\n"))
      assert.ok(line.length <= 76 || line.startsWith("Content-Type"));
    const mail = await parse(message);
    assert.equal(mail.text?.trimEnd(), text.trimEnd());
    assert.equal(mail.html, `<p>${"y".repeat(3000)}</p>`);
    const foreign = await composeMessage(parts({ text: "Привет, мир! ".repeat(50), html: "<p>你好</p>".repeat(50) }));
    assertWire(foreign);
    const parsed = await parse(foreign);
    assert.equal(parsed.text?.trim(), "Привет, мир! ".repeat(50).trim());
    assert.equal(parsed.html, "<p>你好</p>".repeat(50));
  });

  it("always has both parts", async () => {
    const message = await composeMessage(parts({ text: "", html: "" }));
    assert.match(message.bytes.toString(), /text\/plain[\s\S]*text\/html/);
  });

  it("never lets a value start a header, a part or a recipient", async () => {
    const evil =
      'x\r\nBcc: evil@example.net\r\n\r\n--abc\nTo: evil@example.net\u2028\u0085\u0000\u001b[31m\u202e, "evil" <evil@example.net>';
    const message = await composeMessage(
      parts({
        from: { name: evil, address: "ada@example.com" },
        to: { name: evil, address: "bob@example.org" },
        cc: [{ name: evil, address: "cc@example.org" }],
        replyTo: { name: evil, address: "reply@example.com" },
        subject: evil,
        headers: [{ name: "X-Evil", value: evil }],
        unsubscribe: `mailto:a@example.com?subject=${evil}`,
        attachments: [{ filename: evil, content: Buffer.from("x") }],
        messageId: messageIdFor("id", "run", evil, "example.com"),
      }),
    );
    assertWire(message);
    const names = headerLines(message).map((line) => line.slice(0, line.indexOf(":")));
    assert.deepEqual(names.sort(), [
      "Cc",
      "Content-Type",
      "Date",
      "From",
      "List-Unsubscribe",
      "MIME-Version",
      "Message-ID",
      "Reply-To",
      "Subject",
      "To",
      "X-Evil",
    ]);
    assert.deepEqual(message.envelope, { from: "ada@example.com", to: ["bob@example.org", "cc@example.org"] });
    const mail = await parse(message);
    for (const field of [mail.from, mail.to, mail.cc, mail.replyTo]) {
      assert.equal(addresses(field).length, 1);
      assert.doesNotMatch(addresses(field)[0]?.[0] ?? "", /[\p{Cc}\u2028\u202e]/u);
    }
    assert.doesNotMatch(message.subject, /[\p{Cc}\u2028\u202e]/u);
    assert.equal(mail.subject, message.subject);
    assert.equal(mail.attachments.length, 1);
  });

  it("shows what is written, not what it decodes to", async () => {
    const trick = "=?utf-8?Q?Evil=0D=0ABcc=3A?= x";
    const mail = await parse(
      await composeMessage(
        parts({
          subject: trick,
          to: { name: trick, address: "bob@example.org" },
        }),
      ),
    );
    assert.equal(mail.subject, trick);
    assert.match(addresses(mail.to)[0]?.[0] ?? "", /^= \?utf-8/);
  });

  it("folds long subjects of any kind", async () => {
    for (const subject of [
      "word ".repeat(60).trim(),
      "é".repeat(300),
      "x".repeat(3000),
      `"quoted" \\ 'and' ${"long ".repeat(50)}end`,
      "😀".repeat(150),
      "",
    ]) {
      const message = await composeMessage(parts({ subject, headers: [{ name: "X-Long", value: subject }] }));
      assertWire(message);
      const mail = await parse(message);
      assert.equal(mail.subject ?? "", subject);
    }
  });

  it("names each recipient once in the envelope and shows no bcc", async () => {
    const message = await composeMessage(
      parts({
        cc: [
          { name: "", address: "Bob@Example.org" },
          { name: "", address: "cc@example.org" },
        ],
        bcc: [
          { name: "Secret", address: "bcc@example.org" },
          { name: "", address: "cc@example.org" },
        ],
      }),
    );
    assert.deepEqual(message.envelope.to, ["bob@example.org", "cc@example.org", "bcc@example.org"]);
    assert.doesNotMatch(message.bytes.toString(), /bcc|Secret/i);
  });

  it("knows when SMTPUTF8 is needed", async () => {
    assert.equal((await composeMessage(parts())).smtpUtf8, false);
    const message = await composeMessage(parts({ to: { name: "", address: "zoë@example.org" } }));
    assert.equal(message.smtpUtf8, true);
    assert.deepEqual(message.envelope.to, ["zoë@example.org"]);
    assert.equal((await composeMessage(parts({ bcc: [{ name: "", address: "zoë@example.org" }] }))).smtpUtf8, true);
  });

  it("writes the unsubscribe headers as they must be (R59)", async () => {
    const lines = async (more: Partial<MessageParts>): Promise<string[]> =>
      headerLines(await composeMessage(parts(more))).filter((line) => line.startsWith("List-"));
    assert.deepEqual(await lines({ unsubscribe: "https://example.com/u?m=a%40b", oneClick: true }), [
      "List-Unsubscribe: <https://example.com/u?m=a%40b>",
      "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    ]);
    assert.deepEqual(await lines({ unsubscribe: "mailto:leave@example.com?subject=x y>é", oneClick: true }), [
      "List-Unsubscribe: <mailto:leave@example.com?subject=x%20y%3E%C3%A9>",
    ]);
    const long = await composeMessage(parts({ unsubscribe: `https://example.com/${"a".repeat(2000)}` }));
    assertWire(long);
    assert.equal(
      headerLines(long)
        .find((line) => line.startsWith("List-"))
        ?.replace(/ /g, "").length,
      "List-Unsubscribe:<https://example.com/>".length + 2000,
    );
  });

  it("refuses headers that are not a campaign's to set", async () => {
    for (const name of [
      "Bcc",
      "To",
      "bcc",
      "Content-Type",
      "Message-ID",
      "Sender",
      "Received",
      "X-A\r\nBcc",
      "X A",
      "",
    ])
      await assert.rejects(composeMessage(parts({ headers: [{ name, value: "x" }] })), /may not be set/, name);
  });
});

describe("messageIdFor", () => {
  it("is the same for the same recipient and run, and different for any other", () => {
    const id = messageIdFor("campaign", "run", "ada@example.com", "example.com");
    assert.match(id, /^<[a-z2-7]{32}@example\.com>$/);
    assert.equal(messageIdFor("campaign", "run", "ada@example.com", "example.com"), id);
    for (const other of [
      messageIdFor("campaign2", "run", "ada@example.com", "example.com"),
      messageIdFor("campaign", "run2", "ada@example.com", "example.com"),
      messageIdFor("campaign", "run", "ada@example.com\tkey", "example.com"),
    ])
      assert.notEqual(other, id);
  });

  it("is the base32 of the hash that the design names", () => {
    // sha256("a|b|c"), first 20 bytes, computed elsewhere.
    assert.equal(messageIdFor("a", "b", "c", "example.com"), "<uuw5qg75lzhgnwllt5myhaxwzp4mlq4j@example.com>");
  });
});

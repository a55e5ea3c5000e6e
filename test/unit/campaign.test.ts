import assert from "node:assert/strict";
import { parseCampaign, wholeFileField } from "../../src/mail/campaign";
import type { Field } from "../../src/mail/campaign";
import { fileStart } from "../../src/mail/problems";
import type { Fix, Problem, Range } from "../../src/mail/problems";

const file = "/mail/spring.mail.md";
const id = "7d0c1a52-1c8e-4b5e-9d0a-3a1f0c2b4d5e";
const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;

/** A campaign with what every campaign needs, and `more` lines of front matter. */
function campaign(more = "", body = "Hello\n"): string {
  return `---\nid: ${id}\nsubject: Hi\nrecipients: list.csv\n${more}---\n${body}`;
}

function parse(text: string, name = file): ReturnType<typeof parseCampaign> {
  return parseCampaign(text, name);
}

/** The text of a file in a range. */
function at(text: string, { start, end }: Range): string {
  const lines = text.split(/\r\n|\n|\r/);
  if (start.line === end.line) return (lines[start.line] ?? "").slice(start.character, end.character);
  const between = lines.slice(start.line + 1, end.line);
  return [
    (lines[start.line] ?? "").slice(start.character),
    ...between,
    (lines[end.line] ?? "").slice(0, end.character),
  ].join("\n");
}

/** Where a piece of a field's text stands in the file, as text. */
function located(text: string, field: Field | undefined, piece: string): string {
  assert.ok(field);
  const offset = field.text.indexOf(piece);
  assert.ok(offset >= 0, `${JSON.stringify(piece)} in ${JSON.stringify(field.text)}`);
  return at(text, field.locate(offset, piece.length));
}

function applyFix(text: string, fix: Fix | undefined): string {
  assert.ok(fix);
  const lines = text.split("\n");
  const offset = (line: number, character: number): number =>
    lines.slice(0, line).reduce((sum, one) => sum + one.length + 1, 0) + character;
  const { start, end } = fix.range;
  return text.slice(0, offset(start.line, start.character)) + fix.text + text.slice(offset(end.line, end.character));
}

function codes(problems: readonly Problem[]): string[] {
  return problems.map((problem) => problem.code);
}

describe("parseCampaign", () => {
  it("reads every key of the front matter (R50, R53, R59, R60)", () => {
    const { value, problems } = parse(
      `---
id: ${id.toUpperCase()}
subject: "Your invoice {{ invoice }}"
from: Ada <ada@example.com>    # the sender
recipients: customers.csv
to: "{{ name }} <{{ email }}>"
where: plan == "pro"
key: invoice
cc: one@example.com
bcc:
  - two@example.com
  - "{{ boss }}"
replyTo: reply@example.com
account: work
attachments:
  - terms.pdf
  - invoices/{{ invoice }}.pdf
headers: { X-Campaign: spring }
unsubscribe: "https://example.com/leave?m={{ email }}"
oneClick: true
suppress: unsubscribed.csv
body: newsletter.html
---
`,
    );
    assert.deepEqual(problems, []);
    assert.equal(value.id, id);
    assert.equal(value.subject?.text, "Your invoice {{ invoice }}");
    assert.equal(value.from?.text, "Ada <ada@example.com>");
    assert.equal(value.recipients?.text, "customers.csv");
    assert.equal(value.to?.text, "{{ name }} <{{ email }}>");
    assert.equal(value.where?.text, 'plan == "pro"');
    assert.equal(value.key?.text, "invoice");
    assert.deepEqual(
      value.cc.map((field) => field.text),
      ["one@example.com"],
    );
    assert.deepEqual(
      value.bcc.map((field) => field.text),
      ["two@example.com", "{{ boss }}"],
    );
    assert.equal(value.replyTo?.text, "reply@example.com");
    assert.equal(value.account?.text, "work");
    assert.deepEqual(
      value.attachments.map((field) => field.text),
      ["terms.pdf", "invoices/{{ invoice }}.pdf"],
    );
    assert.deepEqual(
      value.headers.map(({ name, value: field }) => [name, field.text]),
      [["X-Campaign", "spring"]],
    );
    assert.equal(value.unsubscribe?.text, "https://example.com/leave?m={{ email }}");
    assert.equal(value.oneClick, true);
    assert.equal(value.suppress?.text, "unsubscribed.csv");
    assert.equal(value.bodyFile?.text, "newsletter.html");
    assert.equal(value.body.kind, "html");
  });

  it("takes numbers, dates and booleans as the texts they are", () => {
    const { value, problems } = parse(campaign("key: 2024\nwhere: true\naccount: 0x1F\n"));
    assert.deepEqual(problems, []);
    assert.deepEqual([value.key?.text, value.where?.text, value.account?.text], ["2024", "true", "0x1F"]);
  });

  it("tells the kind of body from the file's name", () => {
    assert.equal(parse(campaign(), "/a/x.mail.md").value.body.kind, "markdown");
    assert.equal(parse(campaign(), "/a/x.mail.html").value.body.kind, "html");
    assert.equal(parse(campaign("body: other.md\n", ""), "/a/x.mail.html").value.body.kind, "markdown");
    assert.equal(parse(campaign("body: Other.HTML\n"), "/a/x.mail.md").value.body.kind, "html");
  });

  it("knows exactly where the body stands", () => {
    const text = campaign("", "Hello {{ name }},\n\nbye {{ boss }}\n");
    const { body } = parse(text).value;
    assert.equal(body.field.text, "Hello {{ name }},\n\nbye {{ boss }}\n");
    assert.deepEqual(body.field.locate(body.field.text.indexOf("boss"), 4), {
      start: { line: 7, character: 7 },
      end: { line: 7, character: 11 },
    });
  });

  it("reads CRLF and a byte order mark", () => {
    const text = `\ufeff${campaign("to: {{ email }}\n").replace(/\n/g, "\r\n")}`;
    const { value, problems } = parse(text);
    assert.equal(value.subject?.text, "Hi");
    assert.equal(value.body.field.text, "Hello\r\n");
    assert.deepEqual(problems[0]?.range, { start: { line: 4, character: 4 }, end: { line: 4, character: 15 } });
  });

  it("lets a body hold dashes", () => {
    assert.equal(parse(campaign("", "a\n---\nb\n")).value.body.field.text, "a\n---\nb\n");
  });

  describe("Field.locate", () => {
    it("finds places in plain, quoted and folded texts", () => {
      const text = campaign(
        [
          'to: "A \\"x\\" \\u00e9 {{ email }}"',
          "replyTo: 'it''s {{ reply }}'",
          "account: one {{ account }}",
          'unsubscribe: "https://example.com/',
          '  {{ link }}"',
          "where: a == 1",
          "  and plan == 2",
          "cc: [ {a: b}, '{{ c1 }}', \"\\t{{ c2 }}\" ]",
          "",
        ].join("\n"),
      );
      const { value } = parse(text);
      assert.equal(located(text, value.to, "{{ email }}"), "{{ email }}");
      assert.equal(located(text, value.to, '"x"'), '\\"x\\"');
      assert.equal(located(text, value.to, "é"), "\\u00e9");
      assert.equal(located(text, value.replyTo, "'s {{ reply }}"), "''s {{ reply }}");
      assert.equal(located(text, value.account, "{{ account }}"), "{{ account }}");
      assert.equal(located(text, value.unsubscribe, "{{ link }}"), "{{ link }}");
      assert.equal(located(text, value.where, "plan"), "plan");
      assert.equal(located(text, value.cc[0], "{{ c1 }}"), "{{ c1 }}");
      assert.equal(located(text, value.cc[1], "{{ c2 }}"), "{{ c2 }}");
    });

    it("gives the whole value for block texts", () => {
      const text = campaign("to: >-\n  {{ name }}\n  <{{ email }}>\n");
      const { value } = parse(text);
      assert.equal(value.to?.text, "{{ name }} <{{ email }}>");
      assert.deepEqual(value.to.locate(3, 4), value.to.range);
    });

    it("covers a whole file of its own", () => {
      const field = wholeFileField("\ufeffone\ntwo {{ x }}", "/a/b.html");
      assert.equal(field.text, "one\ntwo {{ x }}");
      assert.deepEqual(field.locate(field.text.indexOf("x"), 1).start, { line: 1, character: 7 });
    });
  });

  describe("problems", () => {
    it("names keys that stand twice, at their second place and three at most (R50)", () => {
      const text = campaign("from: a@example.com\nfrom: b@example.com\n");
      const [problem, ...more] = parse(text).problems;
      assert.match(problem?.message ?? "", /this key stands twice/);
      assert.deepEqual([problem?.range.start.line, at(text, problem?.range ?? fileStart), more], [5, "from", []]);
      const many = parse(campaign("from: a@example.com\n".repeat(3000))).problems;
      assert.deepEqual(codes(many), ["frontMatter.yaml", "frontMatter.yaml", "frontMatter.yaml"]);
    });

    it("tries quotes around single values only where a few lines are wrong, and says the first three else (R50)", () => {
      const lines = (count: number): string =>
        Array.from({ length: count }, (_, i) => `x${String(i)}: a: b: c\n`).join("");
      const quotes = (count: number): number =>
        codes(parse(campaign(lines(count))).problems).filter((code) => code === "frontMatter.quotes").length;
      assert.equal(quotes(3), 3);
      const hopeless = codes(parse(campaign(lines(80))).problems);
      assert.equal(hopeless.filter((code) => code === "frontMatter.quotes").length, 0);
      assert.equal(hopeless.filter((code) => code === "frontMatter.yaml").length, 3);
    });

    it("names a file without front matter, and one whose front matter never ends", () => {
      assert.deepEqual(codes(parse("Hello").problems), ["frontMatter.missing"]);
      assert.deepEqual(codes(parse("").problems), ["frontMatter.missing"]);
      assert.deepEqual(codes(parse("---\nsubject: x\n").problems), ["frontMatter.unclosed"]);
    });

    it("asks for id, subject and recipients, and offers an id", () => {
      const text = "---\nto: a@example.com\n---\nHi\n";
      const { problems } = parse(text);
      assert.deepEqual(codes(problems), ["id.missing", "frontMatter.required", "frontMatter.required"]);
      const fixed = applyFix(text, problems[0]?.fixes?.[0]);
      assert.match(fixed, new RegExp(`^---\nid: ${uuid.source}\nto: `));
      assert.match(parse(fixed).value.id ?? "", uuid);
    });

    it("mends an empty and an invalid id in place", () => {
      const empty = campaign().replace(id, "");
      assert.deepEqual(codes(parse(empty).problems), ["id.missing"]);
      assert.deepEqual(parse(applyFix(empty, parse(empty).problems[0]?.fixes?.[0])).problems, []);
      const invalid = campaign().replace(id, "spring-2026");
      assert.deepEqual(codes(parse(invalid).problems), ["id.invalid"]);
      assert.equal(parse(invalid).value.id, undefined);
      assert.deepEqual(parse(applyFix(invalid, parse(invalid).problems[0]?.fixes?.[0])).problems, []);
      const nil = campaign().replace(id, "00000000-0000-0000-0000-000000000000");
      assert.deepEqual(codes(parse(nil).problems), ["id.invalid"]);
    });

    it("keeps the line ends of the file in a fix", () => {
      const { problems } = parse("---\r\nsubject: a\r\nrecipients: b\r\n---\r\n");
      assert.match(problems[0]?.fixes?.[0]?.text ?? "", /\r\n$/);
    });

    it("finds unquoted braces, goes on reading, and offers quotes", () => {
      const text = campaign(
        'to: {{ name }} <{{ email }}>\nreplyTo: {{ reply | default: "x" }} # why\nattachments:\n  - {{ a }}.pdf\n  - b.pdf\nheaders: { X-A: {{ a }} }\n',
      );
      const { value, problems } = parse(text);
      assert.deepEqual(
        codes(problems),
        Array.from({ length: 4 }, () => "frontMatter.braces"),
      );
      assert.deepEqual(
        problems.map((problem) => at(text, problem.range)),
        ["{{ name }} <{{ email }}>", '{{ reply | default: "x" }}', "{{ a }}.pdf", "{{ a }}"],
      );
      assert.equal(value.to?.text, "{{ name }} <{{ email }}>");
      assert.equal(located(text, value.to, "email"), "email");
      assert.deepEqual(
        value.attachments.map((field) => field.text),
        ["{{ a }}.pdf", "b.pdf"],
      );
      let fixed = text;
      for (let round = 0; round < 4; round++) fixed = applyFix(fixed, parse(fixed).problems[0]?.fixes?.[0]);
      assert.deepEqual(parse(fixed).problems, []);
      assert.equal(parse(fixed).value.replyTo?.text, '{{ reply | default: "x" }}');
    });

    it("finds texts that need quotes, goes on reading, and offers them", () => {
      for (const value of [
        "Re: your invoice",
        "[News] Spring",
        "*Hello*",
        "@home",
        "%50 off",
        '"Hi" there',
        "a: b # c",
        "{x} y",
        "!hello",
        "&more to come",
        "`x`",
      ]) {
        const text = campaign(`account: ${value}\nwhere: plan == "pro"\n`);
        const { value: read, problems } = parse(text);
        assert.deepEqual(codes(problems), ["frontMatter.quotes"], value);
        assert.equal(read.where?.text, 'plan == "pro"');
        const fixed = parse(applyFix(text, problems[0]?.fixes?.[0]));
        assert.deepEqual(fixed.problems, [], value);
        assert.equal(fixed.value.account?.text, value.replace(" # c", ""));
        assert.equal(read.account?.text, fixed.value.account.text);
      }
    });

    it("warns of a body that nobody gets", () => {
      const { problems } = parse(campaign("body: other.md\n", "Hello\n"));
      assert.deepEqual([codes(problems), problems[0]?.severity], [["body.ignored"], "warning"]);
      assert.deepEqual(parse(campaign("body: other.md\n", "\n")).problems, []);
    });

    it("leaves braces in quotes and block texts alone", () => {
      assert.deepEqual(parse(campaign('to: "{{ a }}"\ncc: |\n  to: {{ b }}\nwhere: a {{ b }}\n')).problems, []);
    });

    it("names unknown keys with what was meant", () => {
      const text = campaign("Subject: x\nattachment: y\nzzzzzz: z\n");
      const { problems } = parse(text);
      assert.deepEqual(
        codes(problems),
        Array.from({ length: 3 }, () => "frontMatter.unknownKey"),
      );
      assert.match(problems[0]?.message ?? "", /Did you mean “subject”/);
      assert.match(problems[1]?.message ?? "", /Did you mean “attachments”/);
      assert.equal(problems[2]?.fixes, undefined);
      assert.equal(at(text, problems[1]!.range), "attachment");
    });

    it("refuses values of the wrong kind", () => {
      const { value, problems } = parse(
        campaign("from: [a]\ncc: [a, [b]]\nheaders: x\noneClick: yes\naccount: {a: b}\nbody:\n"),
      );
      assert.deepEqual(
        codes(problems),
        Array.from({ length: 5 }, () => "frontMatter.type"),
      );
      assert.equal(value.from, undefined);
      assert.equal(value.oneClick, false);
      assert.equal(value.bodyFile, undefined);
    });

    it("points at broken YAML with line and column, and asks for nothing that it may have swallowed", () => {
      const text = '---\nsubject: "Hello\nrecipients: a.csv\n---\n';
      const { problems } = parse(text);
      assert.deepEqual(codes(problems), ["frontMatter.yaml"]);
      assert.deepEqual(problems[0]?.range.start, { line: 1, character: 9 });
      assert.deepEqual(parse(campaign("account: @x\n")).problems[0]?.range.start, { line: 4, character: 9 });
      assert.deepEqual(
        parse("---\n- a\n---\n").problems.map((problem) => problem.code),
        ["frontMatter.yaml"],
      );
    });

    it("refuses duplicate keys and headers", () => {
      assert.deepEqual(codes(parse(campaign("subject: again\n")).problems), ["frontMatter.yaml"]);
      assert.deepEqual(codes(parse(campaign("headers: { X-A: 1, x-a: 2 }\n")).problems), ["frontMatter.yaml"]);
    });

    it("warns of a # that cuts a text short", () => {
      const text = campaign("account: Work #{{ n }}\n");
      const { problems } = parse(text);
      assert.deepEqual(codes(problems), ["frontMatter.comment"]);
      assert.equal(problems[0]?.severity, "warning");
      assert.equal(parse(applyFix(text, problems[0].fixes?.[0])).value.account?.text, "Work #{{ n }}");
      assert.deepEqual(parse(campaign("account: work # a comment\n")).problems, []);
    });

    it("lets only harmless headers through", () => {
      const { value, problems } = parse(
        campaign(
          [
            "headers:",
            ...[
              "X-Ok: 1",
              "Precedence: bulk",
              "Bcc: x@example.com",
              "To: x",
              "Content-Type: x",
              "Received: x",
              "Resent-To: x",
            ],
            ...[
              "Sender: x",
              "Return-Path: x",
              "DKIM-Signature: x",
              "Message-ID: x",
              "MIME-Version: x",
              "List-Unsubscribe: x",
            ],
            ...["'X Y': 1", '"X-A\\r\\nBcc": 1', "X-: 1"],
          ].join("\n  ") + "\n",
        ),
      );
      assert.deepEqual(
        value.headers.map(({ name }) => name),
        ["X-Ok", "Precedence"],
      );
      assert.deepEqual(codes(problems).filter((code) => code === "header.notAllowed").length, 12);
      assert.deepEqual(codes(problems).filter((code) => code === "header.name").length, 2);
    });

    it("checks unsubscribe and oneClick (R59)", () => {
      assert.deepEqual(parse(campaign('unsubscribe: "mailto:a@example.com"\n')).problems, []);
      assert.deepEqual(parse(campaign('unsubscribe: "{{ link }}"\noneClick: true\n')).problems, []);
      assert.deepEqual(codes(parse(campaign("unsubscribe: http://example.com\n")).problems), ["unsubscribe.scheme"]);
      assert.deepEqual(codes(parse(campaign("unsubscribe: mailto:a@example.com\noneClick: true\n")).problems), [
        "unsubscribe.oneClick",
      ]);
      assert.deepEqual(codes(parse(campaign("oneClick: true\n")).problems), ["unsubscribe.oneClick"]);
    });

    it("is not moved by hostile YAML", () => {
      const polluted = parse(campaign('__proto__: { subject: evil }\nconstructor: x\n"<<": { to: evil }\n'));
      assert.deepEqual(
        codes(polluted.problems),
        Array.from({ length: 3 }, () => "frontMatter.unknownKey"),
      );
      assert.equal(polluted.value.to, undefined);
      assert.equal(({} as Record<string, unknown>).subject, undefined);
      const tagged = parse(campaign("to: !!js/function 'x'\n"));
      assert.deepEqual([codes(tagged.problems), tagged.value.to?.text], [["frontMatter.quotes"], "!!js/function 'x'"]);
      const anchored = parse(campaign("to: &a x\nfrom: *a\n"));
      assert.deepEqual(
        [codes(anchored.problems), anchored.value.from?.text],
        [["frontMatter.quotes", "frontMatter.quotes"], "*a"],
      );
      assert.deepEqual(codes(parse(campaign("cc: [&a x, *a]\n")).problems), ["frontMatter.quotes"]);
      assert.deepEqual(codes(parse(campaign("attachments:\n  - &a x\n  - *a\n")).problems), [
        "frontMatter.yaml",
        "frontMatter.yaml",
      ]);
      assert.ok(parse(`---\n${"[".repeat(50_000)}\n---\n`).problems.length > 0);
      const bomb = `a: &a [x,x,x,x]\n${Array.from("bcdefghij")
        .map((c, i) => `${c}: &${c} [${Array.from({ length: 9 }, () => `*${"abcdefghij"[i]}`).join()}]`)
        .join("\n")}\n`;
      assert.ok(parse(campaign(bomb)).problems.length > 0);
    });

    it("never throws and keeps every place inside the file, whatever the text", function () {
      this.timeout(20_000);
      const bits = [
        "---",
        "\n",
        "\r\n",
        "subject",
        ": ",
        "{{ a }}",
        '"',
        "'",
        "[",
        "}",
        "- ",
        "|",
        ">",
        "&a",
        "*a",
        "#",
        "\t",
        "é",
        "😀",
        "!!x",
      ];
      let state = 1;
      const next = (limit: number): number => {
        state = (state * 1103515245 + 12345) % 2147483648;
        return Math.floor((state / 2147483648) * limit);
      };
      for (let round = 0; round < 800; round++) {
        const text = `---\n${Array.from({ length: next(14) }, () => bits[next(bits.length)]).join("")}\n---\n`;
        const lines = text.split(/\r\n|\n|\r/);
        for (const { range } of parse(text).problems)
          for (const { line, character } of [range.start, range.end])
            assert.ok(
              character <= (lines[line]?.length ?? -1),
              `${JSON.stringify(text)} ${String(line)}:${String(character)}`,
            );
      }
    });
  });
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { parseDocument } from "htmlparser2";
import type { ChildNode } from "domhandler";
import { wholeFileField } from "../../src/mail/campaign";
import type { Field } from "../../src/mail/campaign";
import type { Checked, Problem } from "../../src/mail/problems";
import type { Column } from "../../src/mail/recipients";
import { compileBody, compileCondition, compileLine, rowProblem } from "../../src/mail/template";
import type { BodyTemplate, RenderedBody, RowIssue, RowValues } from "../../src/mail/template";

const nowhere = { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } };

/** Columns as the list offers them: a header, and an alias where it is not a name by itself. */
function columnsOf(names: readonly string[]): readonly Column[] {
  return names.map((name) => {
    const alias = name.toLowerCase().replace(/[^a-z0-9]+/g, "_");
    return { name, alias: alias === name || names.includes(alias) ? undefined : alias, range: nowhere };
  });
}

const columns = columnsOf([
  "email",
  "name",
  "First Name",
  "plan",
  "amount",
  "link",
  "vip",
  "nick",
  "__proto__",
  "Preis (€)",
]);

function rowOf(cells: Readonly<Record<string, string>>, more: Partial<RowValues> = {}): RowValues {
  const values = columns.map(({ name }) => (Object.hasOwn(cells, name) ? (cells[name] ?? "") : ""));
  return { columns, row: { values, line: 6, endLine: 6 }, ...more };
}

function field(text: string): Field {
  return wholeFileField(text, "/mail/spring.mail.md");
}

function bodyOf(text: string, kind: "markdown" | "html" = "markdown"): BodyTemplate {
  const { value, problems } = compileBody({ kind, field: field(text) }, columns);
  assert.deepEqual(problems, []);
  assert.ok(value);
  return value;
}

function render(
  text: string,
  cells: Readonly<Record<string, string>>,
  kind: "markdown" | "html" = "markdown",
): RenderedBody {
  const { value, problems } = bodyOf(text, kind).render(rowOf(cells));
  assert.deepEqual(problems, []);
  return value;
}

/** What stands inside of the Markdown document's frame, without inlined styles. */
function inner(html: string): string {
  return (/<div class="mail"[^>]*>([\s\S]*)<\/div>/.exec(html)?.[1] ?? html).replace(/ style="[^"]*"/g, "").trim();
}

function compileProblems(text: string, kind: "markdown" | "html" = "markdown"): readonly Problem[] {
  return compileBody({ kind, field: field(text) }, columns).problems;
}

/** Code, place (1-based line:column) and the start of the message. */
function brief(problems: readonly Problem[]): string[] {
  return problems.map(
    ({ code, range: { start } }) => `${code} ${String(start.line + 1)}:${String(start.character + 1)}`,
  );
}

function issues(found: readonly RowIssue[]): string[] {
  return found.map(({ code, name, text }) => `${code} ${name}${text === "" ? "" : ` “${text}”`}`);
}

function line(text: string, cells: Readonly<Record<string, string>>, encode?: "url"): Checked<string> {
  const { value, problems } = compileLine(field(text), columns);
  assert.deepEqual(problems, []);
  assert.ok(value);
  return value.render(rowOf(cells), encode);
}

function holds(text: string, cells: Readonly<Record<string, string>>): Checked<boolean> {
  const { value, problems } = compileCondition(field(text), columns);
  assert.deepEqual(problems, []);
  assert.ok(value);
  return value.test(rowOf(cells));
}

describe("compileBody", () => {
  it("makes HTML and text of Markdown (R52)", () => {
    const { html, text } = render(
      "# Hi {{ name }}\n\nSee [the *shop*](https://example.com/?a=1&b=2).\n\n- one\n- two\n",
      {
        name: "Ada",
      },
    );
    assert.match(html, /^<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">/);
    assert.equal(
      inner(html),
      '<h1>Hi Ada</h1>\n<p>See <a href="https://example.com/?a=1&amp;b=2">the <em>shop</em></a>.</p>\n<ul>\n<li>one</li>\n<li>two</li>\n</ul>',
    );
    assert.equal(text, "Hi Ada\n\nSee the shop <https://example.com/?a=1&b=2>.\n\n- one\n- two");
    assert.match(html, /<h1 style="[^"]*font-size: 26px/);
  });

  it("keeps an author's HTML document and adds what is missing", () => {
    const whole = '<!doctype html><html lang="de"><head><title>T</title></head><body><p>{{ name }}</p></body></html>';
    assert.equal(
      render(whole, { name: "Ada" }, "html").html,
      '<!doctype html><html lang="de"><head><meta charset="utf-8"><title>T</title></head><body><p>Ada</p></body></html>',
    );
    assert.equal(
      render("<p>{{ name }}</p>", { name: "Ada" }, "html").html,
      '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body><p>Ada</p></body></html>',
    );
    assert.match(
      render('<head><meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1"></head>é', {}, "html").html,
      /content="text\/html; charset=utf-8"/,
    );
  });

  it("inlines CSS, keeps media queries and moves them to the head", () => {
    const css = "<style>p { color: red } @media (max-width: 100px) { p { color: blue !important } }</style>";
    const { html, text } = render(`${css}\n\nHello\n`, {});
    assert.match(html, /<p style="[^"]*color: red/);
    assert.match(html, /<style>[^<]*@media \(max-width: 100px\)[^<]*<\/style>\s*<\/head>/);
    assert.equal(text, "Hello");
  });

  it("keeps conditional comments, with values in them, and no others", () => {
    const button = '<!--[if mso]><a href="{{ link }}">{{ name }}</a><![endif]-->';
    const { html } = render(
      `<p>a</p>${button}<!-- note to self --><!--[if !mso]><!--><b>b</b><!--<![endif]-->`,
      {
        link: "https://example.com/?a&b",
        name: "<i>",
      },
      "html",
    );
    assert.match(html, /<!--\[if mso\]><a href="https:\/\/example.com\/\?a&amp;b">&lt;i&gt;<\/a><!\[endif\]-->/);
    assert.match(html, /<!--\[if !mso\]><!--><b>b<\/b><!--<!\[endif\]-->/);
    assert.doesNotMatch(html, /note to self/);
  });

  it("shows tables of Markdown row by row in the text part", () => {
    assert.equal(render("| a | b |\n|---|---|\n| {{ name }} | 2 |\n", { name: "Ada" }).text, "a | b\nAda | 2");
  });

  it("leaves hidden lines and pictures out of the text part", () => {
    const text = '<div style="display:none">preview</div><p>Hi <img src="https://example.com/x.png" alt="sun"></p>';
    assert.equal(render(text, {}, "html").text, "Hi sun");
  });

  describe("values are data, never markup", () => {
    it("escapes for text, attribute and URL", () => {
      const value = `<b>"&'</b> *x* _y_ [z](javascript:1) \`q\` {{ name }} https://evil.example`;
      const { html, text } = render(
        '{{ name }}\n\n[a](https://example.com/{{ name }}?q={{ name }}#f) <span title="{{ name }}">t</span>\n',
        { name: value },
      );
      const escaped = value
        .replace(/&/g, "&amp;")
        .replace(/</g, "&lt;")
        .replace(/>/g, "&gt;")
        .replace(/"/g, "&quot;")
        .replace(/'/g, "&#39;");
      const encoded = encodeURIComponent(value).replace(
        /[!'()*]/g,
        (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
      );
      assert.equal(
        inner(html),
        `<p>${escaped}</p>\n<p><a href="https://example.com/${encoded}?q=${encoded}#f">a</a> <span title="${escaped}">t</span></p>`,
      );
      assert.equal(text, `${value}\n\na <https://example.com/${encoded}?q=${encoded}#f> t`);
    });

    it("holds for whatever stands in a cell", () => {
      const template = bodyOf(
        "{{ name }}\n\n# {{ name }} *{{ name }}*{{ nick }}\n\n> `{{ name }}` [l](https://example.com/?q={{ name }})\n\n<p title=\"{{ name }}\" data-x='{{ name }}'>{{ name }}</p>\n\n| {{ name }} |\n|---|\n| {{ name }} |\n",
      );
      const outline = (nodes: readonly ChildNode[]): string =>
        nodes
          .map((node) =>
            "attribs" in node && node.name !== "br"
              ? `<${node.name} ${Object.keys(node.attribs).join()}>${outline(node.children)}</>`
              : "",
          )
          .join("");
      const expected = outline(parseDocument(template.render(rowOf({ name: "x", nick: "y" })).value.html).children);
      const find = (nodes: readonly ChildNode[], name: string): ChildNode[] =>
        nodes.flatMap((node) =>
          "attribs" in node ? [...(node.name === name ? [node] : []), ...find(node.children, name)] : [],
        );
      const words = fc.constantFrom(
        "<",
        ">",
        "&",
        '"',
        "'",
        "`",
        "*",
        "_",
        "#",
        "[",
        "](",
        ")",
        "|",
        "\n",
        "\n\n",
        "\r\n",
        " ",
        "-->",
        "<!--",
        "{{",
        "}}",
        "{%",
        "\\",
        "&lt;",
        "<script>",
        "javascript:",
        "zqo0x00000z",
        "zqp0x00001z",
        "😀",
        "\ud800",
        "\0",
        "1.",
        "- ",
        "~~~",
        "ü",
        "https://example.com",
        "</p>",
      );
      fc.assert(
        fc.property(
          fc.oneof(
            fc.array(words, { minLength: 1, maxLength: 8 }).map((list) => list.join("")),
            fc.string(),
          ),
          (name) => {
            fc.pre(name.trim() !== "");
            const { value, problems } = template.render(rowOf({ name, nick: name }));
            assert.deepEqual(problems, []);
            const document = parseDocument(value.html);
            assert.equal(outline(document.children), expected);
            const plain = name
              .replace(/\r\n?/g, "\n")
              .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "")
              .replace(/\p{Surrogate}/gu, "\ufffd");
            const [paragraph] = find(document.children, "p") as { attribs: Record<string, string> }[];
            const titled = find(document.children, "p").find(
              (node) => "attribs" in node && node.attribs.title !== undefined,
            );
            assert.ok(paragraph && titled && "attribs" in titled);
            assert.equal(titled.attribs.title, plain.replace(/[\n\t]+/g, " "));
            const [link] = find(document.children, "a");
            assert.ok(link && "attribs" in link);
            // A URL keeps the control characters, encoded.
            assert.equal(
              new URL(link.attribs.href ?? "").searchParams.get("q"),
              name.replace(/\p{Surrogate}/gu, "\ufffd"),
            );
            assert.ok(value.text.includes(plain));
          },
        ),
        { numRuns: 300 },
      );
    });

    it("takes text that looks like its own marks for text", () => {
      const text = "zqo0x00000z ZQP0X00000Z zqo1x00000z {{ name }} zqo";
      assert.equal(render(text, { name: "zqo0x00000z" }).text, text.replace("{{ name }}", "zqo0x00000z"));
    });

    it("turns line breaks of a cell into <br>, and into blanks in attributes", () => {
      const { html, text } = render('{{ name }} <i title="{{ name }}">x</i>', { name: "a\r\nb" });
      assert.equal(inner(html), '<p>a<br>b <i title="a b">x</i></p>');
      assert.equal(text, "a\nb x");
    });

    it("has no filter that lets markup through", () => {
      for (const filter of ["raw", "escape", "escape_once", "xml_escape", "url_encode", "uri_escape", "newline_to_br"])
        assert.equal(inner(render(`{{ name | ${filter} }}`, { name: "<b>&" }).html), "<p>&lt;b&gt;&amp;</p>");
      assert.equal(
        inner(render("{% assign x = '<b>' | append: name %}{{ x }}", { name: "<i>" }).html),
        "<p>&lt;b&gt;&lt;i&gt;</p>",
      );
    });

    it("never evaluates what a cell says", () => {
      assert.equal(inner(render("{{ name }}", { name: "{{ email }}{% if %}" }).html), "<p>{{ email }}{% if %}</p>");
    });

    it("lets a whole URL be http, https, mailto and tel only", () => {
      const template = bodyOf('[x]({{ link }}) <a href="{{ link }}/more">y</a>');
      for (const link of [
        "https://example.com/a?b=1&c=2#d",
        "HTTP://example.com",
        "mailto:a@example.com",
        "tel:+49123",
      ])
        assert.deepEqual(template.render(rowOf({ link })).problems, []);
      const { html } = template.render(rowOf({ link: 'https://example.com/"a b"<c>ü%20' })).value;
      assert.match(html, /href="https:\/\/example.com\/%22a%20b%22%3Cc%3E%C3%BC%20"/);
      for (const link of [
        "javascript:alert(1)",
        " java\nscript:alert(1)",
        "data:text/html,x",
        "example.com",
        "//example.com",
        "&#106;avascript:x",
        "https:",
        "vbscript:x",
        "file:///etc/passwd",
      ]) {
        const { value, problems } = template.render(rowOf({ link }));
        assert.deepEqual([...new Set(problems.map((problem) => problem.code))], ["url.scheme"], link);
        assert.match(value.html, /<a href=""[^>]*>x/);
        assert.deepEqual(issues(template.check(rowOf({ link }))), [`url.scheme link “${link}”`]);
      }
    });

    it("judges links with a default by what they become", () => {
      const template = bodyOf(
        "[x]({{ link | default: 'https://example.com' }}) {% if plan %}[y]({{ nick | downcase }}){% endif %}",
      );
      assert.deepEqual(template.check(rowOf({})), []);
      assert.deepEqual(
        template.check(rowOf({ link: "https://example.org", plan: "x", nick: "HTTPS://EXAMPLE.COM" })),
        [],
      );
      assert.deepEqual(issues(template.check(rowOf({ link: "x.org", nick: "y" }))), ["url.scheme link “x.org”"]);
      assert.deepEqual(issues(template.check(rowOf({ plan: "x", nick: "y" }))), ["url.scheme nick “y”"]);
      assert.deepEqual(issues(bodyOf("[x]({{ link }})").check(rowOf({}))), ["liquid.emptyCell link"]);
      assert.deepEqual(issues(bodyOf("[x]({{ link | default: '' }})").check(rowOf({}))), ["url.scheme link"]);
    });

    it("keeps an address in a mailto: link readable and the rest encoded", () => {
      const { html } = render("[x](mailto:{{ email }}?subject={{ name }})", {
        email: "a+b@example.com?bcc=c",
        name: "a b@c",
      });
      assert.match(html, /href="mailto:a%2Bb@example.com%3Fbcc%3Dc\?subject=a%20b%40c"/);
    });

    it("lets only harmless text into styles", () => {
      const template = bodyOf('<p style="color: {{ name }}">x</p>', "html");
      assert.match(template.render(rowOf({ name: "#ff00aa" })).value.html, /style="color: #ff00aa;?"/);
      const { value, problems } = template.render(rowOf({ name: "red; background: url(x)" }));
      assert.deepEqual(
        problems.map((problem) => problem.code),
        ["css.value"],
      );
      assert.doesNotMatch(value.html, /url/);
      assert.deepEqual(issues(template.check(rowOf({ name: "a}b" }))), ["css.value name “a}b”"]);
    });

    it("shows an address that is its own link once in the text part", () => {
      const { html, text } = render("https://example.com/{{ name }} [{{ link }}]({{ link }})", {
        name: "a b",
        link: "https://example.org/x",
      });
      assert.match(html, /<a href="https:\/\/example.com\/a%20b"[^>]*>https:\/\/example.com\/a b<\/a>/);
      assert.equal(text, "https://example.com/a%20b https://example.org/x");
    });

    it("refuses placeholders where HTML takes no text", () => {
      assert.deepEqual(
        brief(
          compileProblems(
            [
              "<p {{ name }}='x'>",
              "<{{ name }}>",
              "<!-- {{ name }} -->",
              "<p onclick='{{ name }}'>",
              "<a href='javascript:{{ name }}'>",
              "<a href='java&#115;cript:{{ name }}'>",
              "<iframe srcdoc='{{ name }}'></iframe>",
              "<noscript>{{ name }}</noscript>",
              "<meta http-equiv='refresh' content='0;url={{ name }}'>",
            ].join("\n"),
            "html",
          ),
        ),
        [
          "html.placeholderPosition 1:4",
          "html.placeholderPosition 2:2",
          "html.placeholderPosition 3:6",
          "html.placeholderPosition 4:13",
          "html.placeholderPosition 5:21",
          "html.placeholderPosition 6:26",
          "html.placeholderPosition 7:17",
          "html.placeholderPosition 8:11",
          "html.placeholderPosition 9:43",
        ],
      );
      assert.deepEqual(brief(compileProblems("Hi\n\n<script>x</script>")), ["html.script 3:1"]);
      assert.deepEqual(brief(compileProblems("{% if plan %}<script>x</script>{% endif %}", "html")), [
        "html.script 1:14",
      ]);
    });
  });

  describe("images (R53)", () => {
    it("turns local images into cid: parts, the same for the same path", () => {
      const template = bodyOf(
        '![logo](img/my%20logo.png) <img src="img/my logo.png"> ![r](https://example.com/x.png) <img src="//example.com/y.png"> <img src="data:image/png;base64,AA==">',
      );
      assert.deepEqual([template.images, template.hasRowImages], [["img/my logo.png"], false]);
      const { html, images } = template.render(rowOf({})).value;
      assert.equal(images.length, 1);
      assert.equal(images[0]?.path, "img/my logo.png");
      assert.equal(html.split(`src="cid:${images[0].cid}"`).length, 3);
      assert.match(html, /src="https:\/\/example.com\/x.png"/);
      assert.match(html, /src="\/\/example.com\/y.png"/);
      assert.match(html, /src="data:image\/png;base64,AA=="/);
      assert.deepEqual(bodyOf("![x](img/my%20logo.png)").render(rowOf({})).value.images, images);
    });

    it("takes paths with values from the row", () => {
      const { html, images } = render('![p](photos/{{ nick }}.jpg) <img src="{{ link }}">', {
        nick: "a b&c%20",
        link: "own/x.png",
      });
      assert.deepEqual(
        images.map((image) => image.path),
        ["photos/a b&c%20.jpg", "own/x.png"],
      );
      for (const { cid } of images) assert.ok(html.includes(`src="cid:${cid}"`));
    });

    it("takes a whole source from the row: a link or a path, nothing else", () => {
      const template = bodyOf('<img src="{{ link }}">', "html");
      const linked = template.render(rowOf({ link: "https://example.com/a.png?x=1&y=2" }));
      assert.deepEqual([linked.problems, linked.value.images], [[], []]);
      assert.match(linked.value.html, /src="https:\/\/example.com\/a.png\?x=1&amp;y=2"/);
      for (const link of ["javascript:x", "data:x", "//example.com/a", "file:///etc/passwd"])
        assert.deepEqual(issues(template.check(rowOf({ link }))), [`url.scheme link “${link}”`]);
    });
  });

  describe("unknown names and syntax (R51)", () => {
    it("finds unknown columns before any row, with place and what was meant", () => {
      const problems = compileProblems(
        "Hi {{ nmae }}\n\n{% if plna == 'x' %}{{ email.first }}{% endif %}{% for x in emial %}{{ x }}{{ y }}{% endfor %}\n{{ name | default: nikc }}",
      );
      assert.deepEqual(brief(problems), [
        "liquid.unknown 1:7",
        "liquid.unknown 3:7",
        "liquid.unknown 3:24",
        "liquid.unknown 3:61",
        "liquid.unknown 3:79",
        "liquid.unknown 4:20",
      ]);
      assert.match(problems[0]?.message ?? "", /Did you mean “name”/);
      assert.deepEqual(problems[0]?.fixes?.[0], {
        title: "Change to name",
        file: "/mail/spring.mail.md",
        range: { start: { line: 0, character: 6 }, end: { line: 0, character: 10 } },
        text: "name",
      });
      assert.match(problems[1]?.message ?? "", /Did you mean “plan”/);
    });

    it("knows loop variables and assigned names", () => {
      assert.equal(
        render(
          "{% assign list = name | split: ',' %}{% for x in list %}{{ forloop.index }}{{ x }}{% unless forloop.last %}-{% endunless %}{% endfor %}",
          { name: "a,b,c" },
        ).text,
        "1a-2b-3c",
      );
    });

    it("takes columns by exact header and by alias, whatever the header", () => {
      const cells = { "First Name": "Ada", __proto__: "p", "Preis (€)": "5" };
      const row = rowOf({ ...cells, ["__proto__"]: "p" });
      const { value, problems } = bodyOf(
        '{{ ["First Name"] }} {{ first_name }} {{ ["__proto__"] }} {{ ["Preis (€)"] }} {{ preis_ }}',
      ).render(row);
      assert.deepEqual(problems, []);
      assert.equal(value.text, "Ada Ada p 5 5");
    });

    it("helps with names as word processors write them", () => {
      for (const text of [
        "{{ First Name }}",
        "{{ first  name }}",
        "{{ First Name | upcase }}",
        "{% if First Name == 'x' %}{% endif %}",
      ]) {
        const [problem] = compileProblems(text);
        assert.equal(problem?.code, "liquid.unknown", text);
        assert.match(problem.message, /Did you mean “first_name”/);
        assert.equal(problem.fixes?.[0]?.text, "first_name");
      }
      const [price] = compileProblems("{{ Preis (€) }}");
      assert.match(price?.message ?? "", /Did you mean “preis_”/);
    });

    it("finds unknown filters and tags that are not for campaigns", () => {
      const [filter] = compileProblems("Hi {{ name | upcsae }}");
      assert.deepEqual(brief([filter!]), ["liquid.unknownFilter 1:14"]);
      assert.match(filter!.message, /Did you mean “upcase”/);
      for (const tag of [
        "include 'x'",
        "render 'x'",
        "layout 'x'",
        "cycle 'a', 'b'",
        "capture x",
        "increment x",
        "tablerow x in y",
        "echo name",
        "liquid x",
        "block x",
      ])
        assert.deepEqual(brief(compileProblems(`a\n{% ${tag} %}`)), ["liquid.unsupportedTag 2:1"], tag);
    });

    it("names syntax errors in words, at their place", () => {
      const cases: readonly (readonly [string, string, RegExp])[] = [
        ["a\n{{ name", "2:1", /\{\{ is not closed/],
        ["a\n{% if name", "2:1", /\{% is not closed/],
        ["a\n {% if name %}", "2:2", /\{% if %\} needs an \{% endif %\}/],
        ["{% endif %}", "1:1", /\{% endif %\} does not belong here/],
        ["{% if name = 'x' %}{% endif %}", "1:12", /write ==/],
        ["{% if name && plan %}{% endif %}", "1:12", /write and/],
        ["{{ }}", "1:4", /something is missing/],
        ["{{ [name] }}", "1:4", /in quotes/],
      ];
      for (const [text, place, message] of cases) {
        const [problem] = compileProblems(text);
        assert.deepEqual(brief([problem!]), [`liquid.syntax ${place}`], text);
        assert.match(problem!.message, message);
      }
    });

    it("allows comments, raw text, case and unless", () => {
      assert.equal(
        render(
          "{% comment %}{{ nope }}{% include 'x' %}{% endcomment %}{% # note %}{% raw %}{{ x }}{% endraw %} {% case plan %}{% when 'a', 'b' %}AB{% else %}?{% endcase %}{% unless plan == 'x' %}!{% endunless %}",
          { plan: "b" },
        ).text,
        "{{ x }} AB!",
      );
    });
  });

  describe("empty cells", () => {
    it("are an error for the row where a plain output uses them", () => {
      const template = bodyOf("Hi {{ name }}, {{ first_name | upcase }}");
      assert.deepEqual(issues(template.check(rowOf({ name: " " }))), [
        "liquid.emptyCell name",
        "liquid.emptyCell First Name",
      ]);
      assert.deepEqual(template.check(rowOf({ name: "a", "First Name": "b" })), []);
      const [problem] = template.render(rowOf({ "First Name": "b" })).problems;
      assert.match(problem?.message ?? "", /“name” is empty in line 7.*\{\{ name \| default/);
      assert.equal(problem?.rowOnly, true);
      assert.deepEqual(problem.range.start, { line: 0, character: 6 });
    });

    it("are none where default or a condition on the column provides for them", () => {
      for (const text of [
        "{{ name | default: 'you' }}",
        "{{ name | upcase | default: 'you' }}",
        "{% if name %}{{ name }}{% endif %}",
        "{% if name != blank and plan %}{{ name }}{% endif %}",
        "{% unless name == '' %}{{ name }}{% endunless %}",
        "{% case name %}{% when 'x' %}{{ name }}{% endcase %}",
        "{% assign x = name | default: 'you' %}{{ x }}",
        "{% if name %}{% assign x = name %}{% else %}{% assign x = 'you' %}{% endif %}{{ x }}",
        "{% assign x = name %}{% if x %}{{ x }}{% endif %}",
      ])
        assert.deepEqual(bodyOf(text).check(rowOf({})), [], text);
    });

    it("count only where the row reaches the use", () => {
      const template = bodyOf("{% if plan == 'pro' %}{{ amount }}{% endif %}");
      assert.deepEqual(template.check(rowOf({ plan: "free" })), []);
      assert.deepEqual(issues(template.check(rowOf({ plan: "pro" }))), ["liquid.emptyCell amount"]);
      const gift = bodyOf(
        "{% if plan == 'pro' %}{% assign gift = name %}{% else %}{% assign gift = nick %}{% endif %}{{ gift }}",
      );
      assert.deepEqual(gift.check(rowOf({ plan: "pro", name: "x" })), []);
      assert.deepEqual(issues(gift.check(rowOf({ plan: "free", name: "x" }))), ["liquid.emptyCell nick"]);
    });

    it("count in a default's own column, in arguments and through assign", () => {
      const nick = bodyOf("{{ nick | default: name }}");
      assert.deepEqual(nick.check(rowOf({ nick: "x" })), []);
      assert.deepEqual(nick.check(rowOf({ name: "x" })), []);
      assert.deepEqual(issues(nick.check(rowOf({}))), ["liquid.emptyCell name"]);
      assert.deepEqual(issues(bodyOf("{{ 'Dear ' | append: name }}").check(rowOf({}))), ["liquid.emptyCell name"]);
      assert.deepEqual(issues(bodyOf("{% assign x = name | upcase %}{{ x }}").check(rowOf({}))), [
        "liquid.emptyCell name",
      ]);
      assert.deepEqual(
        issues(
          bodyOf("{% assign l = name | split: ',' %}{% for x in l %}{{ x }}{% endfor %}{{ l | join }}").check(
            rowOf({}),
          ),
        ),
        ["liquid.emptyCell name"],
      );
    });
  });

  describe("numbers and yes/no words", () => {
    it("compares columns with numbers as numbers", () => {
      const template = bodyOf("{% if amount > 100 %}big{% elsif amount == 7 %}seven{% else %}small{% endif %}");
      const text = (amount: string): string => template.render(rowOf({ amount })).value.text;
      assert.deepEqual(["99", "100.5", "1e3", "7.0", ""].map(text), ["small", "big", "big", "seven", "small"]);
      assert.equal(
        render("{% case amount %}{% when 1 %}one{% else %}more{% endcase %}", { amount: "1.0" }).text,
        "one",
      );
    });

    it("finds cells that are no numbers", () => {
      const template = bodyOf("{% if amount > 100 %}big{% endif %} {{ plan }}");
      assert.deepEqual(issues(template.check(rowOf({ amount: "1.234,50", plan: "x" }))), [
        "liquid.notNumber amount “1.234,50”",
      ]);
      for (const text of [
        "{{ amount | times: 2 }}",
        "{{ amount | strip | plus: 1 }}",
        "{% assign x = amount %}{% if x > 3 %}{% endif %}",
        "{% if plan %}{% if amount > 3 %}{% endif %}{% endif %}",
      ])
        assert.deepEqual(
          issues(bodyOf(text).check(rowOf({ amount: "12 €", plan: "x" }))),
          ["liquid.notNumber amount “12 €”"],
          text,
        );
      assert.equal(render("{{ amount | times: 2 | plus: 1 }}", { amount: "12.5" }).text, "26");
    });

    it("finds yes and no words that stand as conditions", () => {
      for (const text of [
        "{% if vip %}x{% endif %}",
        "{% unless vip %}x{% endunless %}",
        "{% if plan and vip %}x{% endif %}",
        "{% if not vip %}x{% endif %}",
      ]) {
        const [issue] = bodyOf(text).check(rowOf({ vip: "No", plan: "x" }));
        assert.deepEqual([issue?.code, issue?.severity], ["liquid.yesNo", "error"], text);
        assert.deepEqual(
          bodyOf(text)
            .check(rowOf({ vip: "yes" }))
            .map((one) => one.severity),
          ["warning"],
        );
        assert.deepEqual(bodyOf(text).check(rowOf({ vip: "gold" })), []);
      }
      assert.equal(
        render("{% if vip == true %}a{% endif %}{% if vip == false %}b{% endif %}", { vip: "no" }).text,
        "b",
      );
      assert.equal(render("{% if vip == true %}a{% endif %}", { vip: "Yes" }).text, "a");
    });
  });

  it("says which columns it uses, conditions and assigns included", () => {
    const { uses } = bodyOf("{% assign x = nick %}{% if plan %}{{ name | append: email }}{% endif %}");
    assert.deepEqual([...uses].map((index) => columns[index]?.name).sort(), ["email", "name", "nick", "plan"]);
  });

  it("knows the date of the message, and no other", () => {
    const template = bodyOf('{{ "now" | date: "%Y" }} {{ name | date: "%d.%m.%Y" }}');
    const row = { name: "2026-03-01" };
    assert.equal(template.render(rowOf(row, { now: new Date(Date.UTC(2031, 5, 1)) })).value.text, "2031 01.03.2026");
    assert.deepEqual(
      template.render(rowOf(row)).problems.map((problem) => problem.code),
      ["render.failed"],
    );
  });

  it("reports what only the row shows, at its place in the template", () => {
    const template = bodyOf("{% assign words = name | split: ' ' %}\n\n{{ words[1] }}");
    assert.equal(template.render(rowOf({ name: "Ada Lovelace" })).value.text, "Lovelace");
    const [issue] = template.check(rowOf({ name: "Ada" }));
    assert.deepEqual([issue?.code, issue?.range.start.line], ["render.failed", 2]);
  });

  it("stops templates that would never end", () => {
    const endless = "{% for i in (1..100000000) %}x{% endfor %}";
    assert.deepEqual(
      bodyOf(endless)
        .render(rowOf({}))
        .problems.map((problem) => problem.code),
      ["render.failed"],
    );
  });

  it("refuses what is nested so deeply that it would end the stack, and with it the process", () => {
    for (const text of [
      `${"{% if name %}".repeat(5000)}x${"{% endif %}".repeat(5000)}`,
      `{{ ${"(".repeat(50_000)} }}`,
      `{{ ${"name[".repeat(50_000)} }}`,
      "<div>".repeat(50_000),
      `<!--[if mso]>${"<div>".repeat(50_000)}{{ name }}<![endif]-->`,
    ]) {
      const [problem] = compileProblems(text, "html");
      assert.match(problem?.message ?? "", /nested too deeply/, text.slice(0, 20));
    }
  });

  it("puts an issue on the cell with the template beside it", () => {
    const [issue] = bodyOf("Hi {{ name }}").check(rowOf({}));
    const cell = { start: { line: 6, character: 3 }, end: { line: 6, character: 3 } };
    const problem = rowProblem(issue!, 6, { file: "/mail/list.csv", range: cell });
    assert.deepEqual([problem.file, problem.range, problem.rowOnly], ["/mail/list.csv", cell, true]);
    assert.deepEqual(problem.related?.[0]?.range.start, { line: 0, character: 6 });
  });

  it("keeps apart what conditions make of it, also beyond the shapes that it remembers", function () {
    this.timeout(20_000);
    const letters = Array.from("abcdefgh");
    const template = bodyOf(
      letters.map((c) => `{% if name contains "${c}" %}${c}{% endif %}`).join("") + " {{ plan }}",
      "html",
    );
    for (let number = 1; number < 256; number++) {
      const name = letters.filter((_, bit) => (number >> bit) % 2 === 1).join("");
      assert.equal(template.render(rowOf({ name, plan: "x" })).value.text, `${name} x`);
    }
    assert.equal(template.render(rowOf({ name: "a", plan: "y" })).value.text, "a y");
  });

  it("has a list for each turn of a loop", () => {
    const template = bodyOf("{% assign l = name | split: ',' %}{% for x in l %}\n- {{ x }}{% endfor %}");
    assert.equal(template.render(rowOf({ name: "a" })).value.text, "- a");
    assert.equal(template.render(rowOf({ name: "a,*b*" })).value.text, "- a\n- *b*");
  });
});

describe("compileLine", () => {
  it("puts values in as they are, on one line, without control or bidirectional characters", () => {
    assert.equal(line("Hi {{ name }} & <co>", { name: '<Ada> & "Bob"' }).value, 'Hi <Ada> & "Bob" & <co>');
    assert.equal(
      line("Hi {{ name }}", { name: "a\r\nBcc: x@example.com\u202e\u0000\u2028z" }).value,
      "Hi a Bcc: x@example.com z",
    );
    assert.equal(
      line("{{ name | upcase }} {% if plan == 'pro' %}P{% endif %}", { name: "ada", plan: "pro" }).value,
      "ADA P",
    );
  });

  it("percent-encodes values in URLs, but for a URL that a cell holds whole (R59)", () => {
    assert.equal(
      line("mailto:leave@example.com?subject={{ email }}", { email: "a b+c@example.com" }, "url").value,
      "mailto:leave@example.com?subject=a%20b%2Bc%40example.com",
    );
    assert.equal(
      line("https://example.com/{{ name }}", { name: "../é?" }, "url").value,
      "https://example.com/..%2F%C3%A9%3F",
    );
    assert.equal(line("{{ link }}", { link: "https://example.com/u?x=1" }, "url").value, "https://example.com/u?x=1");
    const { value, problems } = line("{{ link }}", { link: "example.com" }, "url");
    assert.equal(value, "");
    assert.deepEqual(
      problems.map((problem) => problem.code),
      ["url.scheme"],
    );
  });

  it("checks rows as bodies do", () => {
    const { value } = compileLine(field("{{ name }} {{ link }}"), columns);
    assert.deepEqual(issues(value!.check(rowOf({ link: "x" }))), ["liquid.emptyCell name"]);
    assert.deepEqual(
      line("{{ name }}", {}).problems.map((problem) => problem.code),
      ["liquid.emptyCell"],
    );
    const url = compileLine(field("{{ link }}"), columns).value!;
    assert.deepEqual(issues(url.check(rowOf({ link: "x" }), "url")), ["url.scheme link “x”"]);
  });

  it("finds unknown names at their place in the file", () => {
    assert.deepEqual(brief(compileLine(field("Hi {{ nmae }}"), columns).problems), ["liquid.unknown 1:7"]);
  });
});

describe("compileCondition", () => {
  it("compares texts, numbers and empties", () => {
    assert.equal(holds('plan == "pro"', { plan: "pro" }).value, true);
    assert.equal(holds('plan == "pro" and amount >= 10', { plan: "pro", amount: "10.0" }).value, true);
    assert.equal(holds("amount > 9", { amount: "10" }).value, true);
    assert.equal(holds("amount > 9", {}).value, false);
    assert.equal(holds("amount < 9", {}).value, false);
    assert.equal(holds("amount != 9", {}).value, true);
    assert.equal(holds("name", {}).value, false);
    assert.equal(holds("name", { name: "x" }).value, true);
    for (const nothing of ["blank", "empty", "nil", '""', "false"]) {
      assert.equal(holds(`name == ${nothing}`, { name: "  " }).value, true, nothing);
      assert.equal(holds(`name != ${nothing}`, { name: "x" }).value, true, nothing);
    }
    assert.equal(holds('plan contains "ro"', { plan: "pro" }).value, true);
    assert.equal(holds('["First Name"] == "Ada" or first_name == "Bob"', { "First Name": "Bob" }).value, true);
    assert.equal(holds("amount > nick", { amount: "10", nick: "9" }).value, true);
    assert.equal(holds("amount > nick", { amount: "b", nick: "a" }).value, true);
    assert.equal(holds("amount.size > 2", { amount: "abc" }).value, true);
  });

  it("is false and a problem for cells that it cannot judge", () => {
    const number = holds("amount > 9", { amount: "ten" });
    assert.deepEqual([number.value, number.problems.map((problem) => problem.code)], [false, ["liquid.notNumber"]]);
    const word = holds("vip", { vip: "no" });
    assert.deepEqual([word.value, word.problems.map((problem) => problem.code)], [false, ["liquid.yesNo"]]);
  });

  it("finds unknown names and syntax errors at their place", () => {
    const found = (text: string): string[] => brief(compileCondition(field(text), columns).problems);
    assert.deepEqual(found('email and plna == "x"'), ["liquid.unknown 1:11"]);
    assert.deepEqual(found('plan = "x"'), ["liquid.syntax 1:6"]);
    assert.deepEqual(found("{{ plan }}"), ["liquid.syntax 1:1"]);
    assert.deepEqual(found('First Name == "x"'), ["liquid.unknown 1:1"]);
    assert.deepEqual(found("plan | upcsae"), ["liquid.unknownFilter 1:8"]);
  });

  it("says which columns it uses", () => {
    const { value } = compileCondition(field('plan == "x" and first_name'), columns);
    assert.deepEqual([...value!.uses], [3, 2]);
  });
});

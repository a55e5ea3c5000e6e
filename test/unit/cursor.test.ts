/** What may stand at a place of a campaign, and the words that explain it. */
import assert from "node:assert/strict";
import { cursorAt, wordAt } from "../../src/language/cursor";
import { filterWords, keyWords, tagWords } from "../../src/language/words";
import { campaignKeys } from "../../src/mail/campaign";
import { engine, innerTagNames, tagNames } from "../../src/mail/liquid";

/** The cursor where `¦` stands, and the word before it. */
function at(text: string, isBody = false): string {
  const offset = text.indexOf("¦");
  const whole = text.replace("¦", "");
  const cursor = cursorAt(whole, offset, isBody);
  if (cursor === undefined) return "nothing";
  const key = cursor.kind === "value" ? ` of ${cursor.key}` : "";
  return `${cursor.kind}${key} «${whole.slice(cursor.from, offset)}»`;
}

const campaign = (line: string, body = ""): string => `---\nid: x\n${line}\n---\n${body}`;

describe("the cursor in a campaign (R51)", () => {
  const table: readonly (readonly [string, string, string])[] = [
    ["a new line of the front matter", campaign("¦"), "key «»"],
    ["the beginning of a key", campaign("sub¦"), "key «sub»"],
    ["a key before its colon", campaign("sub¦: Hello"), "key «sub»"],
    ["a value", campaign("recipients: peo¦"), "value of recipients «peo»"],
    ["a value in quotes", campaign('account: "wo¦"'), "value of account «wo»"],
    ["an item of a list", campaign("attachments:\n  - fil¦"), "value of attachments «fil»"],
    ["a later item", campaign("cc:\n  - a@example.com\n  - b¦"), "value of cc «b»"],
    ["a condition", campaign("where: pl¦"), "name «pl»"],
    ["a condition's filter", campaign("where: plan | up¦"), "filter «up»"],
    ["a text in a condition", campaign('where: plan == "pr¦'), "nothing"],
    ["a placeholder in the front matter", campaign('subject: "For {{ na¦ }}"'), "name «na»"],
    ["the opening dashes", "-¦--\nid: x\n---\n", "nothing"],
    ["the body", campaign("subject: x", "Hello ¦"), "nothing"],
    ["braces that just opened", campaign("subject: x", "Hello {{¦}}"), "name «»"],
    ["a name", campaign("subject: x", "Hello {{ na¦ }}"), "name «na»"],
    ["a name of other letters", campaign("subject: x", "{{ straße¦ }}"), "name «straße»"],
    ["a part of a name", campaign("subject: x", "{{ name.si¦ }}"), "nothing"],
    ["a filter", campaign("subject: x", "{{ name | def¦ }}"), "filter «def»"],
    ["the first blank behind the pipe", campaign("subject: x", "{{ name | ¦ }}"), "filter «»"],
    ["a filter's text", campaign("subject: x", '{{ name | default: "fri¦'), "nothing"],
    ["a filter's argument", campaign("subject: x", '{{ name | append: "x" | default: na¦'), "name «na»"],
    ["a tag", campaign("subject: x", "{% i¦ %}"), "tag «i»"],
    ["a tag that just opened", campaign("subject: x", "{%¦"), "tag «»"],
    ["a tag's condition", campaign("subject: x", "{% if pla¦"), "name «pla»"],
    ["behind closed braces", campaign("subject: x", "{{ name }} na¦"), "nothing"],
    ["trimming braces", campaign("subject: x", "{{- na¦ -}}"), "name «na»"],
    ["front matter that is not closed", "---\nsubject: x\nreci¦", "key «reci»"],
    ["no front matter", "sub¦ject: x", "nothing"],
  ];
  for (const [name, text, expected] of table) it(`knows ${name}`, () => assert.equal(at(text), expected));

  it("a body of its own has no front matter", () => {
    assert.equal(at("sub¦", true), "nothing");
    assert.equal(at("<p>{{ na¦", true), "name «na»");
  });

  it("takes no longer for a long text", () => {
    const text = `${campaign("subject: x")}${"{{ name }} and more. ".repeat(50_000)}{{ na¦`;
    assert.equal(at(text), "name «na»");
  });

  it("finds the word around an offset", () => {
    assert.deepEqual(wordAt("{{ first-name }}", 8), { from: 3, to: 13 });
    assert.equal(wordAt("{{  }}", 3), undefined);
  });
});

describe("the words of the editor (R51)", () => {
  it("explain every key, and only filters and tags that there are", () => {
    assert.deepEqual(Object.keys(keyWords).sort(), [...campaignKeys].sort());
    const filters = Object.keys(filterWords).filter((name) => !(name in engine.filters));
    assert.deepEqual(filters, []);
    const known = [...tagNames, ...innerTagNames];
    const tags = Object.keys(tagWords).filter((name) => !known.includes(name));
    assert.deepEqual(tags, []);
  });

  it("insert tags that close what they open", () => {
    for (const [name, { snippet }] of Object.entries(tagWords)) {
      const inserted = `{% ${snippet.replace(/\$\{\d+:([^}]*)\}|\$0/g, (_, word: string | undefined) => word ?? "")} %}`;
      if (["elsif", "else", "when"].includes(name)) continue;
      assert.doesNotThrow(() => engine.parse(inserted), inserted);
    }
  });
});

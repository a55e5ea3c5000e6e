import assert from "node:assert/strict";
import fc from "fast-check";
import { nearest, plainText, quote, sentences } from "../../src/mail/problems";

/** Control characters, bidirectional controls and invisible ones: none of them may reach a screen. */
const unsafe = /[\p{Cc}\u200b-\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff]/u;

/** Arguments for any sentence: whatever they are called. */
function anyArguments(value: string): object {
  return new Proxy({}, { get: () => value, has: () => true });
}

describe("problems: text that is safe to show (R35)", () => {
  const cases: readonly [string, string, string][] = [
    ["colours", "a\u001b[31mred\u001b[0m b", "ared b"],
    ["a terminal title", "a\u001b]0;owned\u0007b", "ab"],
    ["a terminal link", "\u001b]8;;http://evil.example\u001b\\click\u001b]8;;\u001b\\", "click"],
    ["an unfinished sequence", "a\u001b]0;never ends", "a"],
    ["an 8-bit control", "a\u009b31mb", "a 31mb"],
    ["line breaks", "a\r\nb\u2028c", "a b c"],
    ["NUL and bell", "a\u0000\u0007b", "a b"],
    ["bidi override", "a\u202egnp.exe\u2069", "agnp.exe"],
    ["invisible characters", "a\u200b\u2060\ufeffb", "ab"],
    ["soft hyphens, tags and other invisible characters", "a\u00ad\u061c\u180e\ufff9\ufffb\u{e0041}b", "ab"],
    ["spaces around", "  a b \n", "a b"],
    ["markup", "[x](command:evil) <b>", "[x](command:evil) <b>"],
  ];
  for (const [name, text, expected] of cases) it(name, () => assert.equal(plainText(text), expected));

  it("never lets an unsafe character through, nor more than the limit (property)", () => {
    const hostile = fc.array(
      fc.oneof(
        fc.string({ unit: "binary", maxLength: 3 }),
        fc.constantFrom("\u001b[", "\u001b]", "\u001b", "\u0007", "\u202e", "\r\n", "m", "\u{1f600}", "\u009b"),
      ),
    );
    fc.assert(
      fc.property(hostile, fc.integer({ min: 1, max: 20 }), (parts, limit) => {
        const shown = plainText(parts.join(""), limit);
        assert.ok(!unsafe.test(shown), JSON.stringify(shown));
        assert.ok(Array.from(shown).length <= limit);
      }),
    );
  });

  it("shortens by whole characters and says that it did", () => {
    assert.equal(plainText("\u{1f600}".repeat(5), 4), `${"\u{1f600}".repeat(3)}…`);
    assert.equal(plainText("\u{1f600}".repeat(4), 4), "\u{1f600}".repeat(4));
    assert.equal(Array.from(plainText("x".repeat(1000))).length, 300);
  });

  it("quotes at most 80 characters", () => {
    assert.equal(quote("a\nb"), "“a b”");
    assert.equal(Array.from(quote("x".repeat(500))).length, 82);
    assert.ok(quote("x".repeat(500)).endsWith("…”"));
    assert.equal(Array.from(quote("x".repeat(80))).length, 82);
    assert.ok(!quote("x".repeat(80)).includes("…"));
  });
});

describe("problems: the nearest name", () => {
  const cases: readonly [string, readonly string[], string | undefined][] = [
    ["emial", ["email", "name"], "email"],
    ["Subject", ["subject"], "subject"],
    ["recipient", ["recipients", "replyTo"], "recipients"],
    ["nmae", ["name", "game"], "name"],
    ["zzzzzz", ["email", "name"], undefined],
    ["ab", ["xy"], undefined],
    ["a", ["b"], "b"],
    ["", ["email"], undefined],
    ["email", [], undefined],
  ];
  for (const [name, candidates, expected] of cases)
    it(`${JSON.stringify(name)} of ${candidates.join(", ")}: ${expected ?? "none"}`, () =>
      assert.equal(nearest(name, candidates), expected));

  it("finds a name with one letter wrong (property)", () => {
    const names = ["subject", "recipients", "attachments", "unsubscribe"];
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.nat(), fc.constantFrom("x", "q"), (name, place, letter) => {
        const at = place % name.length;
        assert.equal(nearest(name.slice(0, at) + letter + name.slice(at + 1), names), name);
      }),
    );
  });
});

describe("problems: the sentences", () => {
  for (const [code, make] of Object.entries(sentences))
    it(code, () => {
      for (const value of ["thing", "7"]) {
        const text = (make as (details: object) => string)(anyArguments(value));
        assert.match(text, /[.?]$/, text);
        assert.ok(!/undefined|\[object|NaN|null/.test(text), text);
        assert.ok(!text.includes(".."), text);
        assert.ok(!text.includes("  "), text);
        assert.match(text, /^(?:\p{Lu}|“|\d|key |oneClick|unsubscribe|thing|7)/u, text);
      }
    });

  it("offers what may have been meant, or the plain next step", () => {
    assert.match(sentences["liquid.unknown"]({ name: "emial", suggestion: "email" }), /Did you mean “email”\?$/);
    assert.match(sentences["liquid.unknown"]({ name: "emial" }), /Correct the name\.$/);
  });
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { addressKey, parseMailbox } from "../../src/mail/address";

/** The address, or the reason and detail of the refusal. */
function read(text: string): string {
  const parsed = parseMailbox(text);
  if (!parsed.ok) return `${parsed.reason}: ${parsed.detail}`;
  const { name, address } = parsed.mailbox;
  return name === "" ? address : `${name} | ${address}`;
}

describe("address: R50 what can be mailed", function () {
  this.timeout(30_000);

  const good: readonly (readonly [string, string])[] = [
    ["ada@example.com", "ada@example.com"],
    ["  ada@example.com\t", "ada@example.com"],
    ["Ada.Lovelace+news@Mail.EXAMPLE.com", "Ada.Lovelace+news@mail.example.com"],
    ["o'brien@example.com", "o'brien@example.com"],
    ["!#$%&'*+/=?^_`{|}~-@example.com", "!#$%&'*+/=?^_`{|}~-@example.com"],
    ["ada@example.com.", "ada@example.com"],
    ["<ada@example.com>", "ada@example.com"],
    ["Ada <ada@example.com>", "Ada | ada@example.com"],
    ["Ada<ada@example.com>", "Ada | ada@example.com"],
    ["Ada < ada@example.com >", "Ada | ada@example.com"],
    ['"Lovelace, Ada" <ada@example.com>', "Lovelace, Ada | ada@example.com"],
    ['"Ada \\"the \\\\ countess\\"" <ada@example.com>', 'Ada "the \\ countess" | ada@example.com'],
    ['"one@example.com, two@example.com" <ada@example.com>', "one@example.com, two@example.com | ada@example.com"],
    ['Ada "the countess" Lovelace <ada@example.com>', 'Ada "the countess" Lovelace | ada@example.com'],
    ["Lovelace, Ada <ada@example.com>", "Lovelace, Ada | ada@example.com"],
    ["ada@example.com <ada@example.com>", "ada@example.com | ada@example.com"],
    ["A < B <ada@example.com>", "A < B | ada@example.com"],
    ["Ada\r\nBcc: eve@example.org <ada@example.com>", "Ada Bcc: eve@example.org | ada@example.com"],
    ["\u202eadA\u202c <ada@example.com>", "adA | ada@example.com"],
    ["ada@müller.example", "ada@xn--mller-kva.example"],
    ["ada@MÜLLER.example", "ada@xn--mller-kva.example"],
    ["ada@mu\u0308ller.example", "ada@xn--mller-kva.example"],
    ["ada@xn--mller-kva.example", "ada@xn--mller-kva.example"],
    ["ada@例え。example", "ada@xn--r8jz45g.example"],
    ["zo\u0065\u0308@example.com", "zoë@example.com"],
    [`${"a".repeat(64)}@example.com`, `${"a".repeat(64)}@example.com`],
    [`ada@${"b".repeat(63)}.example`, `ada@${"b".repeat(63)}.example`],
  ];
  for (const [text, expected] of good) {
    it(`reads ${JSON.stringify(text).slice(0, 70)}`, () => {
      assert.equal(read(text), expected);
    });
  }

  const bad: readonly (readonly [string, string])[] = [
    ["", "empty: it is empty"],
    [" \u00a0\t", "empty: it is empty"],
    ["ada", "invalid: the @ is missing"],
    ["ada@", "invalid: nothing stands after the @"],
    ["@example.com", "invalid: nothing stands before the @"],
    ["ada@localhost", "invalid: the domain has no ending such as .com"],
    ["ada@example..com", "invalid: a part of the domain is empty"],
    ["ada@.example.com", "invalid: a part of the domain is empty"],
    ["ada@example.com..", "invalid: a part of the domain is empty"],
    [".ada@example.com", "invalid: the part before the @ starts or ends with a dot"],
    ["ada.@example.com", "invalid: the part before the @ starts or ends with a dot"],
    ["a..da@example.com", "invalid: two dots follow each other"],
    ["ada lovelace@example.com", "invalid: it holds a blank"],
    ["ada@exam ple.com", "invalid: it holds a blank"],
    ['"ada"@example.com', "invalid: quoted names before the @ are not supported"],
    ['"evil@example.org victim"@example.com', "several: it holds more than one address"],
    ["mailto:ada@example.com", "invalid: it starts with mailto:"],
    ["ada@ada@example.com", "invalid: it holds more than one @"],
    ["ada(home)@example.com", "invalid: the part before the @ holds a character that no address has"],
    ["ada@example.com (Ada)", "invalid: it holds a blank"],
    ["ada@[192.0.2.1]", "invalid: a number in brackets is no domain"],
    ["ada@192.0.2.1", "invalid: the domain ends with a number"],
    ["ada@example.0x1f", "invalid: the domain ends with a number"],
    ["ada@-example.com", "invalid: a part of the domain starts or ends with a dash"],
    ["ada@example-.com", "invalid: a part of the domain starts or ends with a dash"],
    ["ada@ex_ample.com", "invalid: the domain holds _"],
    ["ada@ex%61mple.com", "invalid: the domain holds %"],
    ["ada@example.com:25", "invalid: the domain holds :"],
    ["ada@example.com;", "invalid: the domain holds ;"],
    ["ada@exa\u200bmple.com", "invalid: it holds an invisible character"],
    ["ada\u202e@example.com", "invalid: it holds an invisible character"],
    ["ada\u0000@example.com", "invalid: it holds an invisible character"],
    ["ad\ufffd@example.com", "invalid: it holds a broken character (\ufffd)"],
    ["ada@xn--a.example", "invalid: the domain is none"],
    ["Ada <ada@example.com", "invalid: the bracket < is not closed"],
    ["Ada ada@example.com>", "invalid: the bracket > was never opened"],
    ["Ada <>", "invalid: the @ is missing"],
    [`${"a".repeat(65)}@example.com`, "invalid: the part before the @ is longer than 64 octets"],
    [`${"é".repeat(33)}@example.com`, "invalid: the part before the @ is longer than 64 octets"],
    [`ada@${"b".repeat(64)}.example`, "invalid: a part of the domain is longer than 63 characters"],
    [
      `${"a".repeat(64)}@${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.example`,
      "invalid: the address is longer than 254 octets",
    ],
    [`${"a".repeat(400)}@example.com`, "invalid: the address is longer than 320 characters"],
    ["ada@example.com, bob@example.com", "several: it holds more than one address"],
    ["ada@example.com;bob@example.com", "several: it holds more than one address"],
    ["ada@example.com bob@example.com", "several: it holds more than one address"],
    ["ada@example.com\nbob@example.com", "several: it holds more than one address"],
    ["Ada <ada@example.com>, Bob <bob@example.com>", "several: it holds more than one address"],
    ["ada@example.com, Bob <bob@example.com>", "several: it holds more than one address"],
    ["Eve <eve@example.org>, x <ada@example.com>", "several: it holds more than one address"],
    ["Ada <ada@example.com, bob@example.com>", "several: it holds more than one address"],
    ["group: ada@example.com;", "invalid: it holds a blank"],
  ];
  for (const [text, expected] of bad) {
    it(`refuses ${JSON.stringify(text).slice(0, 70)}`, () => {
      assert.equal(read(text), expected);
    });
  }

  it("tells which local parts need SMTPUTF8", () => {
    const utf8 = (text: string): boolean | undefined => {
      const parsed = parseMailbox(text);
      return parsed.ok ? parsed.utf8 : undefined;
    };
    assert.equal(utf8("zoë@example.com"), true);
    assert.equal(utf8("ada@müller.example"), false);
    assert.equal(utf8("Zoë <ada@example.com>"), false);
  });

  it("gives up on megabytes at once, whatever stands in them", () => {
    const million = 1_000_000;
    const cells = ["a", "a.", "@", "<", '"', "\\", " ", "a@", ",a@b.example", "é", "-", "a@b.example "].map((part) =>
      part.repeat(Math.ceil(million / part.length)),
    );
    const before = process.cpuUsage();
    for (const cell of cells) {
      for (const text of [cell, `${cell}@example.com`, `ada@${cell}`, `"${cell}" <ada@example.com>`]) {
        assert.equal(parseMailbox(text).ok, false, cell.slice(0, 20));
      }
    }
    // A pattern that backtracks would need minutes for one of them.
    assert.ok(process.cpuUsage(before).user < 3_000_000);
  });
});

describe("address: R50 the key of a person", () => {
  it("is the same for every way to write one address", () => {
    const ways = [
      "Zoë@Müller.Example",
      "ZOË@MÜLLER.EXAMPLE",
      "zoe\u0308@mu\u0308ller.example",
      " zoë@xn--mller-kva.example. ",
    ];
    assert.deepEqual(new Set(ways.map(addressKey)), new Set(["zoë@xn--mller-kva.example"]));
  });

  it("keeps dots and tags, which only some providers ignore", () => {
    assert.notEqual(addressKey("a.da@example.com"), addressKey("ada@example.com"));
    assert.notEqual(addressKey("ada+x@example.com"), addressKey("ada@example.com"));
  });

  const local = fc.string({ unit: fc.constantFrom(...Array.from("aZ9.!+-_é李İß")), minLength: 1, maxLength: 20 });
  const label = fc.string({ unit: fc.constantFrom(...Array.from("aZ09-éß李")), minLength: 1, maxLength: 10 });
  const address = fc
    .tuple(local, fc.array(label, { minLength: 1, maxLength: 3 }))
    .map(([before, labels]) => `${before}@${labels.join(".")}.example`)
    .filter((text) => parseMailbox(text).ok);

  it("is stable: of the parsed form, of itself and of other cases", () => {
    fc.assert(
      fc.property(address, (text) => {
        const parsed = parseMailbox(text);
        assert.ok(parsed.ok);
        const key = addressKey(parsed.mailbox.address);
        assert.equal(addressKey(key), key);
        assert.equal(addressKey(text), key);
        assert.equal(addressKey(text.toLowerCase()), key);
        assert.ok(parseMailbox(key).ok);
      }),
    );
  });

  it("reading what was read changes nothing, with any name in front", () => {
    const name = fc.string({ unit: "grapheme", maxLength: 40 });
    fc.assert(
      fc.property(address, name, (text, written) => {
        const quoted = `"${written.replace(/[\\"]/g, "\\$&")}" <${text}>`;
        const parsed = parseMailbox(quoted);
        const bare = parseMailbox(text);
        assert.ok(parsed.ok && bare.ok);
        assert.equal(parsed.mailbox.address, bare.mailbox.address);
        assert.deepEqual(parseMailbox(parsed.mailbox.address), bare);
        assert.doesNotMatch(parsed.mailbox.name, /[\p{Cc}\u2028\u2029]/u);
      }),
    );
  });

  it("never gives an address with a blank, a bracket, a comma or a control character", () => {
    const text = fc.string({ unit: fc.constantFrom(...Array.from('ab.@<>",; \\()\r\n\u200b\0é')), maxLength: 40 });
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (anything) => {
        const parsed = parseMailbox(anything);
        if (parsed.ok) assert.match(parsed.mailbox.address, /^[^\s<>",;:\\()@\p{C}]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+$/u);
      }),
      { numRuns: 3000 },
    );
  });
});

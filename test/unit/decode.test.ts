import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeChunks, decodeText, detectEncoding, utf8Chunks } from "../../src/mail/decode";

const file = "/lists/customers.csv";

async function* pieces(bytes: Buffer, size: number): AsyncIterable<Buffer> {
  for (let start = 0; start < bytes.length; start += size)
    yield await Promise.resolve(bytes.subarray(start, start + size));
}

async function detect(bytes: Buffer, named = "auto", size = 7) {
  return await detectEncoding(() => pieces(bytes, size), file, named);
}

async function collect<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

function utf16be(text: string): Buffer {
  return Buffer.from(text, "utf16le").swap16();
}

const at = (line: number, character: number) => ({
  start: { line, character },
  end: { line, character: character + 1 },
});

describe("decode: R50 the encoding of a file", function () {
  this.timeout(30_000);

  const text = "email,name\r\nada@example.com,Zoë “Ada” 😀\n";

  const files: readonly (readonly [string, Buffer, string, number])[] = [
    ["UTF-8", Buffer.from(text), "utf-8", 0],
    ["UTF-8 with BOM", Buffer.from(`\ufeff${text}`), "utf-8", 3],
    ["UTF-16LE with BOM", Buffer.from(`\ufeff${text}`, "utf16le"), "utf-16le", 2],
    ["UTF-16BE with BOM", utf16be(`\ufeff${text}`), "utf-16be", 2],
    ["UTF-16LE without BOM", Buffer.from(text, "utf16le"), "utf-16le", 0],
    ["UTF-16BE without BOM", utf16be(text), "utf-16be", 0],
  ];
  for (const [name, bytes, encoding, bomLength] of files) {
    it(`reads ${name} without a problem, whole and in pieces of every size`, async () => {
      assert.deepEqual(decodeText(bytes, file, "auto"), { value: text, problems: [] });
      for (const size of [1, 2, 3, 5, 4096]) {
        const { value, problems } = await detect(bytes, "auto", size);
        assert.deepEqual(value, { name: encoding, bomLength, nul: undefined });
        assert.deepEqual(problems, []);
        assert.equal((await collect(decodeChunks(pieces(bytes, size), value))).join(""), text);
        assert.equal(Buffer.concat(await collect(utf8Chunks(pieces(bytes, size), value))).toString(), text);
      }
    });
  }

  it("takes the BOM for more than the named encoding", async () => {
    const { value } = await detect(Buffer.from(`\ufeff${text}`), "shift_jis");
    assert.equal(value?.name, "utf-8");
  });

  it("falls back to windows-1252 with a warning at the first byte that is not UTF-8", async () => {
    const bytes = Buffer.concat([
      Buffer.from("email,name\r\nada@example.com,Zo"),
      Buffer.from([0xeb, 0x20, 0x80, 0x0a]),
    ]);
    for (const size of [1, 26, 4096]) {
      const { value, problems } = await detect(bytes, "auto", size);
      assert.deepEqual(value, { name: "windows-1252", bomLength: 0, nul: undefined });
      const [problem, ...others] = problems;
      assert.deepEqual(others, []);
      assert.equal(problem?.code, "encoding.fallback");
      assert.equal(problem.severity, "warning");
      assert.equal(problem.file, file);
      assert.deepEqual(problem.range, at(1, 18));
      assert.match(problem.message, /read as windows-1252\. .* save it as UTF-8/);
      assert.equal(
        (await collect(decodeChunks(pieces(bytes, size), value))).join(""),
        "email,name\r\nada@example.com,Zoë €\n",
      );
    }
    assert.equal(decodeText(bytes, file, "auto").value, "email,name\r\nada@example.com,Zoë €\n");
    assert.equal(decodeText(bytes, file, "auto").problems[0]?.code, "encoding.fallback");
  });

  it("decodes all of windows-1252 as the Encoding Standard has it, whatever this Node does", async () => {
    const bytes = Buffer.from(Array.from({ length: 0x60 }, (_, index) => 0x80 + index).concat([0x0a]));
    const { value } = await detect(bytes);
    const decoded = decodeText(bytes, file, "auto").value ?? "";
    assert.equal(value?.name, "windows-1252");
    const known = { 0x80: 0x20ac, 0x82: 0x201a, 0x8e: 0x17d, 0x92: 0x2019, 0x96: 0x2013, 0x99: 0x2122, 0x9f: 0x178 };
    for (const [byte, code] of Object.entries(known)) assert.equal(decoded.charCodeAt(Number(byte) - 0x80), code, byte);
    for (const byte of [0x81, 0x8d, 0x8f, 0x90, 0x9d]) assert.equal(decoded.charCodeAt(byte - 0x80), byte);
    assert.equal(decoded.slice(0x20), bytes.subarray(0x20).toString("latin1"));
  });

  it("uses the named encoding without a warning", async () => {
    const bytes = Buffer.from([0x8e, 0x52, 0x93, 0x63, 0x0a]); // 山田 in Shift_JIS
    const { value, problems } = await detect(bytes, "Shift_JIS", 1);
    assert.equal(value?.name, "shift_jis");
    assert.deepEqual(problems, []);
    assert.equal((await collect(decodeChunks(pieces(bytes, 1), value))).join(""), "山田\n");
    assert.deepEqual(decodeText(bytes, file, "Shift_JIS"), { value: "山田\n", problems: [] });
    assert.equal(decodeText(Buffer.from([0xdf]), file, "latin1").value, "ß");
  });

  it("reports an encoding that nobody knows, when it is needed", async () => {
    const bytes = Buffer.from([0xeb]);
    for (const { value, problems } of [await detect(bytes, "klingon"), decodeText(bytes, file, "klingon")]) {
      assert.equal(value, undefined);
      assert.deepEqual(
        problems.map(({ code, severity }) => [code, severity]),
        [["encoding.unknown", "error"]],
      );
    }
    assert.deepEqual((await detect(Buffer.from("plain"), "klingon")).problems, []);
  });

  it("refuses bytes that are no text in the encoding that the BOM or a person names, at their place", async () => {
    const marked = Buffer.concat([Buffer.from("\ufeffa\nbc"), Buffer.from([0xff, 0x0a])]);
    const named = Buffer.concat([Buffer.from("a\nbc"), Buffer.from([0xff, 0xff, 0x0a])]);
    for (const [bytes, label] of [
      [marked, "auto"],
      [named, "euc-jp"],
    ] as const) {
      for (const { value, problems } of [await detect(bytes, label, 2), decodeText(bytes, file, label)]) {
        assert.equal(value, undefined);
        assert.deepEqual(
          problems.map(({ code }) => code),
          ["encoding.malformed"],
        );
        assert.deepEqual(problems[0]?.range, at(1, 2));
      }
    }
  });

  it("finds the first NUL of a text", async () => {
    const bytes = Buffer.from("email\rab\r\n\0ada\0");
    for (const size of [1, 6, 4096]) assert.deepEqual((await detect(bytes, "auto", size)).value?.nul, at(2, 0));
    const whole = decodeText(bytes, file, "auto");
    assert.equal(whole.value, undefined);
    assert.deepEqual(
      whole.problems.map(({ code, range }) => [code, range]),
      [["encoding.malformed", at(2, 0)]],
    );
  });

  it("reads an empty file as UTF-8", async () => {
    assert.deepEqual((await detect(Buffer.alloc(0))).value, { name: "utf-8", bomLength: 0, nul: undefined });
    assert.deepEqual(decodeText(Buffer.alloc(0), file, "auto"), { value: "", problems: [] });
  });

  it("gives back every text, in pieces of every size, in every encoding", async () => {
    const encode = {
      "utf-8": (t: string) => Buffer.from(t),
      "utf-16le": (t: string) => Buffer.from(t, "utf16le"),
      "utf-16be": utf16be,
    };
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "grapheme", maxLength: 200 }).filter((t) => !/[\0\ufffd\ufeff]/.test(t)),
        fc.constantFrom(...(Object.keys(encode) as (keyof typeof encode)[])),
        fc.integer({ min: 1, max: 9 }),
        async (content, name, size) => {
          const bytes = encode[name](`\ufeff${content}`);
          const { value } = await detect(bytes, "auto", size);
          assert.equal(value?.name, name);
          assert.equal(Buffer.concat(await collect(utf8Chunks(pieces(bytes, size), value))).toString(), content);
          assert.deepEqual(decodeText(bytes, file, "auto"), { value: content, problems: [] });
        },
      ),
      { numRuns: 200 },
    );
  });

  it("tells UTF-8 from the rest exactly as the strict decoder does, wherever the pieces are cut", async () => {
    const byte = fc.oneof(
      fc.constantFrom(0x41, 0x80, 0xbf, 0xc3, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0xed, 0xa0),
      fc.integer({ min: 1, max: 255 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(byte, { maxLength: 12 }), fc.integer({ min: 1, max: 4 }), async (list, size) => {
        const bytes = Buffer.from(list);
        fc.pre(
          !(bytes[0] === 0xef && bytes[1] === 0xbb) &&
            !(bytes[0] === 0xff && bytes[1] === 0xfe) &&
            !(bytes[0] === 0xfe && bytes[1] === 0xff),
        );
        let strict = "utf-8";
        try {
          new TextDecoder("utf-8", { fatal: true }).decode(bytes);
        } catch {
          strict = "windows-1252";
        }
        assert.equal((await detect(bytes, "auto", size)).value?.name, strict);
      }),
      { numRuns: 500 },
    );
  });
});

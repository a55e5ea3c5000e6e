import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { crc32Of } from "../../src/mail/checksum";

describe("checksum of a journal's lines (R57)", () => {
  it("is zlib's, for any stretch of any bytes (property)", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), fc.nat({ max: 20 }), fc.nat({ max: 20 }), (bytes, from, less) => {
        const start = Math.min(from, bytes.length);
        const end = Math.max(start, bytes.length - less);
        assert.equal(crc32Of(bytes, start, end), crc32(bytes.subarray(start, end)));
      }),
    );
  });

  it("is the standard's check value", () => assert.equal(crc32Of(Buffer.from("123456789"), 0, 9), 0xcbf43926));
});

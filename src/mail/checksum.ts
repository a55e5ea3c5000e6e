/** CRC-32 of a stretch of bytes (ISO 3309, as zlib has it), for very many short ones: there a call of zlib costs more than the sum. */

/** Slicing by eight: the sum of a byte that stands that many bytes before the end. */
const tables = Array.from({ length: 8 }, () => new Int32Array(256));
const [last, t1, t2, t3, t4, t5, t6, first] = tables as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];
for (let byte = 0; byte < 256; byte++) {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 0 ? sum >>> 1 : (sum >>> 1) ^ 0xedb88320;
  last[byte] = sum;
}
for (let byte = 0; byte < 256; byte++) {
  let sum = last[byte] ?? 0;
  for (const table of tables.slice(1)) {
    sum = (sum >>> 8) ^ (last[sum & 0xff] ?? 0);
    table[byte] = sum;
  }
}

/** The sum of `bytes` from `start` to `end`, unsigned. */
export function crc32Of(bytes: Uint8Array, start: number, end: number): number {
  let sum = -1;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    sum ^= (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
    sum =
      (first[sum & 0xff] ?? 0) ^
      (t6[(sum >>> 8) & 0xff] ?? 0) ^
      (t5[(sum >>> 16) & 0xff] ?? 0) ^
      (t4[sum >>> 24] ?? 0) ^
      (t3[bytes[at + 4] ?? 0] ?? 0) ^
      (t2[bytes[at + 5] ?? 0] ?? 0) ^
      (t1[bytes[at + 6] ?? 0] ?? 0) ^
      (last[bytes[at + 7] ?? 0] ?? 0);
  }
  for (; at < end; at++) sum = (last[(sum ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (sum >>> 8);
  return ~sum >>> 0;
}

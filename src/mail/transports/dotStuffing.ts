/** What goes over the wire for a body (RFC 5321 §4.5.2): lines that end with CRLF, dots doubled, and an end that nothing inside can fake. */

const [cr, lf, dot] = [13, 10, 46];
const [lfPiece, crPiece, dotPiece] = [Buffer.from("\n"), Buffer.from("\r"), Buffer.from(".")];
const crlf = Buffer.from("\r\n");
const endOfBody = Buffer.from(".\r\n");

/** Buffers of at least so many bytes are remembered: a big one is probably a file that goes into many messages. */
const memorable = 16 * 1024;

/** Buffers in which nothing needs a change. */
const unchanged = new WeakSet<Buffer>();

/**
 * The pieces of a body, its end among them. Bare CR and LF become CRLF: what one server takes for a line end must not hide a dot
 * from another (SMTP smuggling). Bytes that need no change are not copied.
 */
export function wireForm(body: readonly Buffer[]): readonly Buffer[] {
  const pieces: Buffer[] = [];
  // As if a line had just ended.
  let last = lf;
  for (const chunk of body) {
    const first = chunk[0];
    if (first === undefined) continue;
    const between = insertion(last, first);
    if (between !== undefined) pieces.push(...between);
    stuff(chunk, pieces);
    last = chunk[chunk.length - 1] ?? lf;
  }
  if (last === cr) pieces.push(lfPiece);
  else if (last !== lf) pieces.push(crlf);
  pieces.push(endOfBody);
  return pieces;
}

/** What must stand between two bytes. */
function insertion(last: number, next: number): readonly Buffer[] | undefined {
  if (last === cr && next !== lf) return next === dot ? [lfPiece, dotPiece] : [lfPiece];
  if (next === lf && last !== cr) return [crPiece];
  if (next === dot && last === lf) return [dotPiece];
  return undefined;
}

function stuff(chunk: Buffer, pieces: Buffer[]): void {
  if (unchanged.has(chunk)) {
    pieces.push(chunk);
    return;
  }
  let kept = 0;
  let last = chunk[0] ?? lf;
  for (let i = 1; i < chunk.length; i++) {
    const byte = chunk[i] ?? lf;
    // Nearly every byte is none of these, and after none of these.
    if (last === cr || last === lf || byte === lf) {
      const between = insertion(last, byte);
      if (between !== undefined) {
        pieces.push(chunk.subarray(kept, i), ...between);
        kept = i;
      }
    }
    last = byte;
  }
  if (kept > 0) pieces.push(chunk.subarray(kept));
  else {
    pieces.push(chunk);
    if (chunk.length >= memorable) unchanged.add(chunk);
  }
}

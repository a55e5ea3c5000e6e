/** Places in a text: offsets to lines and columns as VS Code counts them. */
import type { Position, Range } from "./problems";

/** Turns offsets (UTF-16 units) of one text into positions. Lines end at CRLF, LF or CR. */
export class TextPlaces {
  private readonly lineStarts: readonly number[];

  constructor(private readonly text: string) {
    const starts = [0];
    for (const match of text.matchAll(/\r\n|\n|\r/g)) starts.push(match.index + match[0].length);
    this.lineStarts = starts;
  }

  /** The position of `offset`; beyond either end it is that end. */
  position(offset: number): Position {
    const inside = Math.max(0, Math.min(offset, this.text.length));
    let low = 0;
    let high = this.lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.lineStarts[middle] ?? 0) <= inside) low = middle;
      else high = middle - 1;
    }
    return { line: low, character: inside - (this.lineStarts[low] ?? 0) };
  }

  /** From `start` to `end`, exclusive; both offsets. */
  range(start: number, end: number): Range {
    return { start: this.position(start), end: this.position(end) };
  }

  /** The offset of a position; the line's or the text's end when it lies beyond. */
  offset(position: Position): number {
    const start = this.lineStarts[position.line] ?? this.text.length;
    const next = this.lineStarts[position.line + 1] ?? this.text.length;
    return Math.min(start + position.character, next);
  }
}

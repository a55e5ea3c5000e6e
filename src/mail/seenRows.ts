/** Who was on the list already: some 40 bytes an address outside of the heap, so that a million of them cost nothing. */

/** What stood on the list before. */
export interface SeenRow {
  /** Zero-based line of the first row with this identity. */
  readonly line: number;
  /** Whether that row gives the same message. */
  readonly same: boolean;
}

/** Numbers that are kept of each row: three of its identity, two of its values, its line. */
const width = 6;

/**
 * Remembers rows by 96 bits of their identity and 64 bits of their values, not by the texts: among ten million different
 * addresses the odds that any two are taken for one are below 1 in 10^14.
 */
export class SeenRows {
  private size = 0;
  /** `width` numbers a row, in the order of the rows. */
  private rows = new Int32Array(1024 * width);
  /**
   * Open addressing, at most half full. A slot is the first number of an identity and the number of its row plus one, or 0: the
   * rows themselves, far away in memory, are looked at for those that are probably equal only.
   */
  private slots = new Int32Array(2 * 2048);
  private readonly hash = new Int32Array(4);

  /**
   * Undefined for the first row of an identity, which is kept.
   * @param columns indexes of the columns that make a difference
   */
  meet(identity: string, line: number, values: readonly string[], columns: readonly number[]): SeenRow | undefined {
    const { hash } = this;
    hash.fill(0);
    mix(hash, identity);
    // By index: taking a typed array apart runs its iterator, which costs as much as the hash.
    const first = hash[0] ?? 0;
    const second = hash[1] ?? 0;
    const third = hash[2] ?? 0;
    hash.fill(0);
    for (const column of columns) mix(hash, values[column] ?? "");
    const fourth = hash[0] ?? 0;
    const fifth = hash[1] ?? 0;
    const { slots } = this;
    const mask = slots.length - 2;
    let slot = (first << 1) & mask;
    for (; slots[slot + 1] !== 0; slot = (slot + 2) & mask) {
      if (slots[slot] !== first) continue;
      const { rows } = this;
      const at = ((slots[slot + 1] ?? 0) - 1) * width;
      if (rows[at] !== first || rows[at + 1] !== second || rows[at + 2] !== third) continue;
      return { line: rows[at + 5] ?? 0, same: rows[at + 3] === fourth && rows[at + 4] === fifth };
    }
    const { rows } = this;
    const at = this.size * width;
    rows[at] = first;
    rows[at + 1] = second;
    rows[at + 2] = third;
    rows[at + 3] = fourth;
    rows[at + 4] = fifth;
    rows[at + 5] = line;
    this.size++;
    slots[slot] = first;
    slots[slot + 1] = this.size;
    if (this.size * 4 === slots.length) this.grow();
    return undefined;
  }

  private grow(): void {
    const rows = new Int32Array(this.rows.length * 2);
    rows.set(this.rows);
    this.rows = rows;
    const slots = new Int32Array(this.slots.length * 2);
    const mask = slots.length - 2;
    for (let old = 0; old < this.slots.length; old += 2) {
      const first = this.slots[old] ?? 0;
      const row = this.slots[old + 1] ?? 0;
      if (row === 0) continue;
      let slot = (first << 1) & mask;
      while (slots[slot + 1] !== 0) slot = (slot + 2) & mask;
      slots[slot] = first;
      slots[slot + 1] = row;
    }
    this.slots = slots;
  }
}

/** Mixes a text and its end into four numbers of 32 bits that depend on each other, as MurmurHash3 does with its blocks. */
function mix(hash: Int32Array, text: string): void {
  let a = hash[0] ?? 0;
  let b = hash[1] ?? 0;
  let c = hash[2] ?? 0;
  let d = hash[3] ?? 0;
  for (let index = 0; index <= text.length; index++) {
    // The end of a text is a number that no character has.
    const code = index < text.length ? text.charCodeAt(index) : 0x10000;
    a = Math.imul(a ^ code, 0x239b961b);
    a = ((a << 15) | (a >>> 17)) + b;
    b = Math.imul(b ^ code, 0x38b34ae5);
    b = ((b << 13) | (b >>> 19)) + c;
    c = Math.imul(c ^ code, 0x561ccd1b);
    c = ((c << 17) | (c >>> 15)) + d;
    d = Math.imul(d ^ code ^ a, 0x0bcaa747);
    d ^= d >>> 16;
  }
  a = finish(a + d);
  b = finish(b ^ a);
  c = finish(c + b);
  hash[0] = a;
  hash[1] = b;
  hash[2] = c;
  hash[3] = finish(d ^ c);
}

/** The finalizer of MurmurHash3: every bit in changes half of the bits out. */
function finish(hash: number): number {
  let mixed = hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** Numbers for identities, some 45 bytes each outside of the heap. */
import { randomInt } from "node:crypto";

/** Identities lie in pages of this many bytes (2^20), so that growing copies none of them. */
const pageBits = 20;
const pageSize = 1 << pageBits;
const firstPage = 4096;

/**
 * Numbers identities in the order in which they came, from 0. Each is kept as JSON writes it, so that the bytes of a line are
 * compared as they stand, and exactly: a hash only says where to look.
 */
export class Identities {
  size = 0;
  private hashes = new Int32Array(1024);
  /** Where an identity lies: its page and its place there, behind its length in four bytes. */
  private places = new Uint32Array(1024);
  /** Open addressing, at most half full: a number plus one, or 0. */
  private slots = new Int32Array(2048);
  private readonly pages: Buffer[] = [];
  /** Where the last page is free. */
  private free = 0;
  /** Whom the last line was about. */
  private recent = 0;
  /** Of this object alone: nobody can write a list whose addresses all fall into one slot. */
  private readonly seed = randomInt(2 ** 31);

  /** The number of an identity, -1 when it has none. */
  find(identity: string): number {
    const hash = this.hashOfText(identity);
    if (hash === undefined) {
      const bytes = asWritten(identity);
      return this.lookUp(bytes, 0, bytes.length, this.hashOfBytes(bytes, 0, bytes.length));
    }
    const { slots, hashes, places } = this;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const index = (slots[slot] ?? 0) - 1;
      if (index < 0) return -1;
      if (hashes[index] === hash && this.isText(places[index] ?? 0, identity)) return index;
    }
  }

  /** The number of an identity, a new one when it had none. */
  take(identity: string): number {
    const bytes = asWritten(identity);
    return this.takeBytes(bytes, 0, bytes.length);
  }

  /** The same for an identity as JSON writes it, without its quotes: `bytes` from `start` to `end`. */
  takeBytes(bytes: Buffer, start: number, end: number): number {
    // Most lines are about whom the line before was.
    const { recent } = this;
    if (recent < this.size && this.isBytes(this.places[recent] ?? 0, bytes, start, end)) return recent;
    this.recent = this.takeOther(bytes, start, end);
    return this.recent;
  }

  private takeOther(bytes: Buffer, start: number, end: number): number {
    const hash = this.hashOfBytes(bytes, start, end);
    const known = this.lookUp(bytes, start, end, hash);
    if (known >= 0) return known;
    const index = this.size++;
    if (index === this.hashes.length) this.grow();
    this.hashes[index] = hash;
    this.places[index] = this.keep(bytes, start, end);
    const { slots } = this;
    const mask = slots.length - 1;
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = index + 1;
    return index;
  }

  /** The identity with a number. */
  text(index: number): string {
    const place = this.places[index] ?? 0;
    const page = this.pages[place >>> pageBits] ?? Buffer.alloc(4);
    const at = place & (pageSize - 1);
    return JSON.parse(`"${page.toString("utf8", at + 4, at + 4 + page.readUInt32LE(at))}"`) as string;
  }

  private lookUp(bytes: Buffer, start: number, end: number, hash: number): number {
    const { slots, hashes, places } = this;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const index = (slots[slot] ?? 0) - 1;
      if (index < 0) return -1;
      if (hashes[index] === hash && this.isBytes(places[index] ?? 0, bytes, start, end)) return index;
    }
  }

  private isBytes(place: number, bytes: Buffer, start: number, end: number): boolean {
    const page = this.pages[place >>> pageBits];
    const at = place & (pageSize - 1);
    if (page?.readUInt32LE(at) !== end - start) return false;
    for (let index = 0; index < end - start; index++) if (page[at + 4 + index] !== bytes[start + index]) return false;
    return true;
  }

  /** For a text that `hashOfText` could take as it is. */
  private isText(place: number, text: string): boolean {
    const page = this.pages[place >>> pageBits];
    const at = place & (pageSize - 1);
    if (page?.readUInt32LE(at) !== text.length) return false;
    for (let index = 0; index < text.length; index++) if (page[at + 4 + index] !== text.charCodeAt(index)) return false;
    return true;
  }

  private keep(bytes: Buffer, start: number, end: number): number {
    const needed = end - start + 4;
    let page = this.pages.at(-1);
    if (page === undefined || this.free + needed > page.length) {
      // Most lists are short.
      page = Buffer.allocUnsafe(Math.max(needed, page === undefined ? firstPage : pageSize));
      this.pages.push(page);
      this.free = 0;
    }
    const at = this.free;
    page.writeUInt32LE(end - start, at);
    // Short ones, so that a call into the runtime would cost more than the bytes.
    for (let index = 0; index < end - start; index++) page[at + 4 + index] = bytes[start + index] ?? 0;
    this.free += needed;
    // Shifting would make a sign of the highest bit.
    return (this.pages.length - 1) * pageSize + at;
  }

  private grow(): void {
    const hashes = new Int32Array(this.hashes.length * 2);
    hashes.set(this.hashes);
    const places = new Uint32Array(this.places.length * 2);
    places.set(this.places);
    const slots = new Int32Array(this.slots.length * 2);
    const mask = slots.length - 1;
    for (let index = 0; index < this.hashes.length; index++) {
      let slot = (hashes[index] ?? 0) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = index + 1;
    }
    this.hashes = hashes;
    this.places = places;
    this.slots = slots;
  }

  private hashOfBytes(bytes: Buffer, start: number, end: number): number {
    let hash = this.seed;
    for (let at = start; at < end; at++) hash = step(hash, bytes[at] ?? 0);
    return finish(hash);
  }

  /** The hash of a text that JSON writes as it is and UTF-8 as one byte a character; undefined for any other. */
  private hashOfText(text: string): number | undefined {
    let hash = this.seed;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code > 0x7f || code < 0x20 || code === 0x22 || code === 0x5c) return undefined;
      hash = step(hash, code);
    }
    return finish(hash);
  }
}

function asWritten(identity: string): Buffer {
  return Buffer.from(JSON.stringify(identity).slice(1, -1));
}

function step(hash: number, byte: number): number {
  const mixed = Math.imul(hash ^ byte, 0x01000193);
  return mixed ^ (mixed >>> 15);
}

/** The finalizer of MurmurHash3: every bit in changes half of the bits out. */
function finish(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

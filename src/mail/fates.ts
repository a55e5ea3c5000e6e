/** What became of whom: some 30 bytes a recipient outside of the heap. The details stay on disk and are read when asked for. */
import { Identities } from "./identities";

/** Where a recipient stands. `doubt`: handed over, and no outcome on record. */
export type Outcome = (typeof outcomes)[number];

const outcomes = ["pending", "doubt", "accepted", "failed", "unknown", "skipped"] as const;

/** What a resume needs to know of one recipient. */
export interface Fate {
  readonly outcome: Outcome;
  /** Attempts that count against the recipient. */
  readonly attempts: number;
  /** Not before this moment, milliseconds since the epoch. */
  readonly next: number;
}

/** Where records of a recipient stand: a place in the journal each, 0 for none. */
export interface FatePlaces {
  /** The last one that is no attempt. */
  readonly record: number;
  readonly attempt: number;
}

/** A place in a journal as one number: the segment's generation, and the byte where the line begins. */
export function placeOf(generation: number, byte: number): number {
  return generation * segmentLimit + byte;
}

/** The segment's generation. */
export function generationAt(place: number): number {
  return Math.floor(place / segmentLimit);
}

/** The byte in the segment. */
export function byteAt(place: number): number {
  return place % segmentLimit;
}

/** Bytes of a segment, 8 GB: a million generations of them still count exactly. */
const segmentLimit = 2 ** 33;

const [pending, doubt, accepted, failed, unknown, skipped] = [0, 1, 2, 3, 4, 5];

/**
 * The recipients that a journal speaks of, by identity, and what each record makes of one. Accepted is for ever; unknown ends by
 * an acceptance or a person's word alone; what was handed over is answered by its own writer, in the segment of its `data`.
 */
export class Fates implements ReadonlyMap<string, Fate> {
  /** How many stand where. */
  readonly counts: Record<Outcome, number> = { pending: 0, doubt: 0, accepted: 0, failed: 0, unknown: 0, skipped: 0 };
  private readonly identities = new Identities();
  private outcomes = new Uint8Array(1024);
  private attempts = new Uint32Array(1024);
  private next = new Float64Array(1024);
  private records = new Float64Array(1024);
  private tries = new Float64Array(1024);

  get size(): number {
    return this.identities.size;
  }

  get(identity: string): Fate | undefined {
    const index = this.identities.find(identity);
    return index < 0 ? undefined : this.fate(index);
  }

  has(identity: string): boolean {
    return this.identities.find(identity) >= 0;
  }

  /** Where the details stand. */
  places(identity: string): FatePlaces | undefined {
    const index = this.identities.find(identity);
    return index < 0 ? undefined : { record: this.records[index] ?? 0, attempt: this.tries[index] ?? 0 };
  }

  *[Symbol.iterator](): MapIterator<[string, Fate]> {
    for (let index = 0; index < this.size; index++) yield [this.identities.text(index), this.fate(index)];
    return undefined;
  }

  /** The identities of those in doubt, without a look at the names of all others. Records may be taken in meanwhile. */
  *inDoubt(): Generator<string> {
    for (let index = 0; index < this.size; index++)
      if (this.outcomes[index] === doubt) yield this.identities.text(index);
  }

  entries(): MapIterator<[string, Fate]> {
    return this[Symbol.iterator]();
  }

  *keys(): MapIterator<string> {
    for (let index = 0; index < this.size; index++) yield this.identities.text(index);
    return undefined;
  }

  *values(): MapIterator<Fate> {
    for (let index = 0; index < this.size; index++) yield this.fate(index);
    return undefined;
  }

  forEach(callback: (fate: Fate, identity: string, fates: ReadonlyMap<string, Fate>) => void): void {
    for (const [identity, fate] of this) callback(fate, identity, this);
  }

  /** The recipient's number for the methods below. */
  take(identity: string): number {
    const before = this.size;
    const index = this.identities.take(identity);
    if (index === before) this.added();
    return index;
  }

  /** The same for an identity as JSON writes it, in a line's bytes. */
  takeBytes(bytes: Buffer, start: number, end: number): number {
    const before = this.size;
    const index = this.identities.takeBytes(bytes, start, end);
    if (index === before) this.added();
    return index;
  }

  attempt(index: number, n: number, place: number): void {
    if (this.outcomes[index] === accepted) return;
    this.attempts[index] = n;
    this.tries[index] = place;
  }

  data(index: number, place: number): void {
    const before = this.outcomes[index];
    if (before === accepted || before === unknown || before === doubt) return;
    this.become(index, doubt, place);
  }

  ok(index: number, place: number): void {
    if (this.outcomes[index] !== accepted) this.become(index, accepted, place);
  }

  fail(index: number, place: number): void {
    if (this.isAnswered(index, place)) this.become(index, failed, place);
  }

  defer(index: number, next: number, counts: boolean, place: number): void {
    if (!this.isAnswered(index, place)) return;
    this.become(index, pending, place);
    this.next[index] = next;
    const attempts = this.attempts[index] ?? 0;
    if (!counts && attempts > 0) this.attempts[index] = attempts - 1;
  }

  skip(index: number, place: number): void {
    if (this.isAnswered(index, place)) this.become(index, skipped, place);
  }

  unknown(index: number, place: number): void {
    if (this.outcomes[index] !== accepted) this.become(index, unknown, place);
  }

  /** A person's word: counts as sent, or is sent again with a clean slate. */
  resolve(index: number, as: "sent" | "retry", place: number): void {
    if (this.outcomes[index] === accepted) return;
    this.become(index, as === "sent" ? accepted : pending, place);
    this.next[index] = 0;
    if (as === "retry") this.attempts[index] = 0;
  }

  /**
   * Puts everybody in doubt who was being tried at the end of a segment whose last record is gone: that may have been the one
   * which says that the message was handed over.
   */
  doubtOpen(generation: number): void {
    for (let index = 0; index < this.size; index++) {
      const attempt = this.tries[index] ?? 0;
      if (generationAt(attempt) !== generation || attempt <= (this.records[index] ?? 0)) continue;
      this.data(index, attempt);
    }
  }

  private added(): void {
    if (this.size > this.outcomes.length) this.grow();
    this.counts.pending++;
  }

  private fate(index: number): Fate {
    return {
      outcome: outcomes[this.outcomes[index] ?? pending] ?? "pending",
      attempts: this.attempts[index] ?? 0,
      next: this.next[index] ?? 0,
    };
  }

  /** Whether a refusal speaks of all that was handed over: not of what another writer did, and not of what nobody knows. */
  private isAnswered(index: number, place: number): boolean {
    const before = this.outcomes[index];
    if (before === accepted || before === unknown) return false;
    return before !== doubt || generationAt(this.records[index] ?? 0) === generationAt(place);
  }

  private become(index: number, outcome: number, place: number): void {
    this.counts[outcomes[this.outcomes[index] ?? pending] ?? "pending"]--;
    this.counts[outcomes[outcome] ?? "pending"]++;
    this.outcomes[index] = outcome;
    this.records[index] = place;
  }

  private grow(): void {
    const length = this.outcomes.length * 2;
    this.outcomes = grown(this.outcomes, new Uint8Array(length));
    this.attempts = grown(this.attempts, new Uint32Array(length));
    this.next = grown(this.next, new Float64Array(length));
    this.records = grown(this.records, new Float64Array(length));
    this.tries = grown(this.tries, new Float64Array(length));
  }
}

function grown<T extends Uint8Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

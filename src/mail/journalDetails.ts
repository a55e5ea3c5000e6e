/** What a journal holds of a recipient beyond the fate: read from its place on disk when asked for, a few blocks in memory. */
import { closeSync, openSync, readSync } from "node:fs";
import * as path from "node:path";
import type { OutcomeClass } from "./classify";
import { byteAt, generationAt, placeOf, type Fates } from "./fates";
import { segmentOf } from "./history";
import { isWhole, JournalError, parseRecord, type JournalRecord } from "./journalRecords";

/** The last words on a recipient. */
export interface FateDetails {
  readonly messageId: string | undefined;
  readonly class: OutcomeClass | undefined;
  /** The server's words or our reason. */
  readonly reply: string | undefined;
  /** Milliseconds since the epoch. */
  readonly settledAt: number | undefined;
  readonly durationMs: number | undefined;
}

const blockSize = 256 * 1024;
/** Blocks that are kept: a list and its journal mostly run in the same order, a journal of several connections nearly so. */
const blockLimit = 16;

/** Reads details of one run's journal; `close` it. */
export class JournalDetails {
  private readonly descriptors = new Map<number, number>();
  private readonly blocks = new Map<number, Buffer>();

  constructor(
    private readonly directory: string,
    private readonly fates: Fates,
  ) {}

  /** The details of a recipient on record. Throws `JournalError` when the journal is no longer what it was. */
  of(identity: string): FateDetails | undefined {
    const places = this.fates.places(identity);
    if (places === undefined) return undefined;
    const attempt = places.attempt === 0 ? undefined : this.record(places.attempt);
    const messageId = attempt?.t === "attempt" ? attempt.id : undefined;
    return whatItSays(places.record === 0 ? undefined : this.record(places.record), messageId);
  }

  close(): void {
    for (const descriptor of this.descriptors.values()) closeSync(descriptor);
    this.descriptors.clear();
  }

  private record(place: number): JournalRecord {
    const generation = generationAt(place);
    const byte = byteAt(place);
    let block = Math.floor(byte / blockSize);
    let start = byte % blockSize;
    let bytes = this.block(generation, block);
    let end = bytes.indexOf(0x0a, start);
    // A line that goes on in the next block.
    while (end < 0) {
      const more = this.block(generation, ++block);
      if (more.length === 0) break;
      const had = bytes.length - start;
      bytes = Buffer.concat([bytes.subarray(start), more]);
      start = 0;
      end = bytes.indexOf(0x0a, had);
    }
    // The last line of a segment may be whole without its end.
    for (const at of end < 0 ? [bytes.length - 1, bytes.length] : [end])
      if (isWhole(bytes, start, at)) return parseRecord(bytes, start, at);
    throw new JournalError("The journal changed while it was read. Open the report again.");
  }

  private block(generation: number, block: number): Buffer {
    const key = placeOf(generation, block);
    const known = this.blocks.get(key);
    if (known !== undefined) return known;
    const bytes = Buffer.allocUnsafe(blockSize);
    const size = readSync(this.descriptor(generation), bytes, 0, blockSize, block * blockSize);
    const read = bytes.subarray(0, size);
    const [oldest] = this.blocks.keys();
    if (this.blocks.size === blockLimit && oldest !== undefined) this.blocks.delete(oldest);
    this.blocks.set(key, read);
    return read;
  }

  private descriptor(generation: number): number {
    let descriptor = this.descriptors.get(generation);
    if (descriptor === undefined) {
      descriptor = openSync(path.join(this.directory, segmentOf(generation)), "r");
      this.descriptors.set(generation, descriptor);
    }
    return descriptor;
  }
}

function whatItSays(record: JournalRecord | undefined, messageId: string | undefined): FateDetails {
  const nothing = { messageId, class: undefined, reply: undefined, settledAt: undefined, durationMs: undefined };
  switch (record?.t) {
    case "ok":
      return { messageId, class: undefined, reply: record.reply, settledAt: record.at, durationMs: record.ms };
    case "fail":
      return { messageId, class: record.class, reply: record.reply, settledAt: record.at, durationMs: record.ms };
    case "defer":
      return { ...nothing, class: record.class, reply: record.reply };
    case "unknown":
      return { ...nothing, class: "unknown", reply: record.why, settledAt: record.at };
    case "skip":
      return { ...nothing, reply: record.why, settledAt: record.at };
    case "resolve":
      if (record.as === "retry") return { ...nothing, reply: "to be sent again: a person said so" };
      return { ...nothing, reply: "counted as sent: a person said so", settledAt: record.at };
    default:
      return nothing;
  }
}

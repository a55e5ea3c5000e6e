/** A run's journal, replayed: what its records say, and nothing else. Flat in memory; the files are only read. */
import { open, readdir, stat } from "node:fs/promises";
import * as path from "node:path";
import { Fates, placeOf } from "./fates";
import {
  isWhole,
  JournalError,
  NewerJournalError,
  parseRecord,
  readHot,
  type HotRecord,
  type JournalRecord,
} from "./journalRecords";

/** All that a run's journal says. */
export class History {
  readonly fates = new Fates();
  finished = false;
  /** When it was finished, milliseconds since the epoch. */
  finishedAt: number | undefined;
  /** The highest generation of its segments, 0 when there is none. */
  generation = 0;
  /** What is wrong with the journal when it was read in spite of that; then only `accepted` can be relied on. */
  damage: string | undefined;
  /** The segments as they were read: name → bytes. */
  readonly segments = new Map<string, number>();
  /** The run that its segments are of; undefined before the first header. */
  runId: string | undefined;

  /** Takes a record in. `place` is where it stands. */
  apply(record: JournalRecord, place: number): void {
    const { fates } = this;
    switch (record.t) {
      case "hdr":
        this.runId ??= record.runId;
        this.generation = Math.max(this.generation, record.generation);
        return;
      case "ctl":
        this.finished = record.what === "finish";
        this.finishedAt = this.finished ? record.at : undefined;
        return;
      case "attempt":
        return fates.attempt(fates.take(record.k), record.n, place);
      case "data":
        return fates.data(fates.take(record.k), place);
      case "ok":
        return fates.ok(fates.take(record.k), place);
      case "defer":
        return fates.defer(fates.take(record.k), record.next, record.counts, place);
      case "fail":
        return fates.fail(fates.take(record.k), place);
      case "unknown":
        return fates.unknown(fates.take(record.k), place);
      case "skip":
        return fates.skip(fates.take(record.k), place);
      case "resolve":
        if (record.as === "retry") this.finished = false;
        return fates.resolve(fates.take(record.k), record.as, place);
    }
  }

  /** The same for one of the frequent records, straight from the bytes of its line. */
  applyHot(record: HotRecord, bytes: Buffer, place: number): void {
    const { fates } = this;
    const index = fates.takeBytes(bytes, record.keyStart, record.keyEnd);
    switch (record.t) {
      case "attempt":
        return fates.attempt(index, record.n, place);
      case "data":
        return fates.data(index, place);
      case "ok":
        return fates.ok(index, place);
      case "fail":
        return fates.fail(index, place);
    }
  }
}

/** How a journal is read. */
export interface ReadOptions {
  /** Read on behind damage and say in `damage` what it is, instead of throwing: for reports, never for sending. */
  readonly tolerant?: boolean;
  /** An earlier reading of the same folder: taken as it is when no segment came or grew. */
  readonly since?: History;
}

/**
 * Reads a run's journal without touching it. Throws `JournalError` when a record in its middle is damaged, a segment is not
 * where it was written, or a newer version wrote it. A torn last record of a segment is cut; whoever was being tried then is in
 * doubt.
 */
export async function readHistory(directory: string, options: ReadOptions = {}): Promise<History> {
  const names = (await readdir(directory)).filter((name) => segmentName.test(name)).sort();
  if (options.since !== undefined && (await isUnchanged(directory, names, options.since))) return options.since;
  const history = new History();
  for (const name of names) await new SegmentReader(history, directory, name, options.tolerant ?? false).read();
  return history;
}

const segmentName = /^journal-\d{6}\.jsonl$/;

/** The name of the segment of a generation. */
export function segmentOf(generation: number): string {
  return `journal-${String(generation).padStart(6, "0")}.jsonl`;
}

async function isUnchanged(directory: string, names: readonly string[], { segments }: History): Promise<boolean> {
  if (names.length !== segments.size) return false;
  for (const name of names) {
    if ((await stat(path.join(directory, name))).size !== segments.get(name)) return false;
  }
  return true;
}

/** Bytes that are read at once. */
const chunkSize = 1024 * 1024;

/** Reads one segment, record after record. */
class SegmentReader {
  private readonly generation: number;
  private readonly hot: HotRecord = { t: "data", keyStart: 0, keyEnd: 0, n: 0 };
  private bytes: Buffer = Buffer.alloc(0);
  /** Where `bytes` begins in the file, and how many of them are filled. */
  private offset = 0;
  private filled = 0;
  private headed = false;
  /** Of another run: it says nothing about anybody here. */
  private foreign = false;

  constructor(
    private readonly history: History,
    private readonly directory: string,
    private readonly name: string,
    private readonly tolerant: boolean,
  ) {
    this.generation = Number(name.slice(8, 14));
  }

  async read(): Promise<void> {
    const { history, generation, name } = this;
    // A segment whose header was torn off counts too: its name is taken.
    history.generation = Math.max(history.generation, generation);
    const handle = await open(path.join(this.directory, name), "r");
    try {
      // Most journals are short; one byte more, to see their end.
      this.bytes = Buffer.allocUnsafe(Math.min(chunkSize, (await handle.stat()).size + 1));
      for (;;) {
        // A line longer than that, or a file that grows.
        if (this.filled === this.bytes.length) this.bytes = Buffer.concat([this.bytes], this.bytes.length * 2);
        const { bytesRead } = await handle.read(this.bytes, this.filled, this.bytes.length - this.filled);
        if (bytesRead === 0) break;
        this.filled += bytesRead;
        this.take();
      }
    } finally {
      await handle.close();
    }
    history.segments.set(name, this.offset + this.filled);
    if (this.filled > 0) this.end();
  }

  /** Takes the whole lines in, all but the last: whether that one may be torn is known at the end of the file alone. */
  private take(): void {
    const { bytes, filled } = this;
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(0x0a, start);
      // The very end of what is there may be the end of the file.
      if (end < 0 || end >= filled - 1) break;
      if (isWhole(bytes, start, end)) this.line(start, end);
      else this.damaged(start);
      start = end + 1;
    }
    bytes.copy(bytes, 0, start, filled);
    this.offset += start;
    this.filled -= start;
  }

  /** The last line, with its end or without. */
  private end(): void {
    const { bytes, filled } = this;
    // Without its end, or with a byte there that is none, its checksum still tells that it is whole.
    for (const end of [filled - 1, filled]) if (isWhole(bytes, 0, end)) return this.line(0, end);
    // A torn tail was never synced, so nothing was sent on its strength; but a damaged one may have been. One that holds a
    // second record is no tail: the line end before that record was damaged, and the first of the two did count.
    if (bytes.subarray(0, filled).indexOf(' {"t":"', 9) >= 0) return this.damaged(0);
    this.history.fates.doubtOpen(this.generation);
  }

  private line(start: number, end: number): void {
    const { bytes, history, hot } = this;
    if (this.foreign) return;
    const place = placeOf(this.generation, this.offset + start);
    if (this.headed && readHot(bytes, start, hot)) return history.applyHot(hot, bytes, place);
    let record: JournalRecord;
    try {
      record = parseRecord(bytes, start, end);
    } catch (error) {
      if (!(error instanceof NewerJournalError)) throw error;
      return this.refuse(error);
    }
    if (this.belongs(record)) history.apply(record, place);
  }

  /** A segment begins with its own header: one that does not was moved, copied, or lost its beginning. False in another run's. */
  private belongs(record: JournalRecord): boolean {
    const { name, history } = this;
    const isHead = record.t === "hdr";
    const restore = "Restore the run's folder from a backup; nothing is sent until then.";
    if (isHead && history.runId !== undefined && record.runId !== history.runId) {
      this.refuse(new JournalError(`The journal ${name} belongs to another run. ${restore}`));
      this.foreign = true;
    } else if (isHead ? this.headed || record.generation !== this.generation : !this.headed) {
      this.refuse(new JournalError(`The journal ${name} is a copy, or its beginning is gone. ${restore}`));
    }
    this.headed = true;
    return !this.foreign;
  }

  private damaged(start: number): void {
    const at = `${this.name} is damaged at byte ${String(this.offset + start)}`;
    this.refuse(
      new JournalError(
        `The journal ${at}, so who was mailed is not certain. Restore it from a backup; nothing is sent until then.`,
      ),
    );
  }

  private refuse(error: JournalError): void {
    if (!this.tolerant) throw error;
    this.history.damage ??= error.message;
  }
}

/**
 * The record of a run on disk: append-only lines `crc32hex SP json LF`, one segment a stretch of sending. A recipient's fate is
 * what its records say, and nothing else; `data` without an outcome is doubt.
 */
import { closeSync, fdatasync, fsyncSync, openSync, writeSync } from "node:fs";
import * as path from "node:path";
import { placeOf } from "./fates";
import { syncDirectory } from "./files";
import { readHistory, segmentOf, type History } from "./history";
import { formatLine, JournalError, type JournalRecord } from "./journalRecords";

export type { Fate } from "./fates";
export { History, readHistory } from "./history";
export { JournalError, type JournalRecord } from "./journalRecords";

/** A journal open for writing: one new segment in `directory`. */
export class Journal {
  /** The flush that runs, or the last one. Never rejects. */
  private running: Promise<void> = Promise.resolve();
  /** The flush that has not begun yet. */
  private queued: Promise<void> | undefined;
  private broken: JournalError | undefined;

  /** Where the next record will stand. */
  private place: number;

  private constructor(
    private readonly descriptor: number,
    generation: number,
    readonly history: History,
  ) {
    this.place = placeOf(generation, 0);
  }

  /**
   * Replays the run's journal and opens a new segment, whose header is on disk when this resolves. `since`, an earlier
   * reading that was not sent on, is taken instead when nothing was written meanwhile: a long journal is read once.
   */
  static async open(
    directory: string,
    header: Omit<Extract<JournalRecord, { t: "hdr" }>, "t" | "v">,
    since?: History,
  ): Promise<Journal> {
    const history = await readHistory(directory, since === undefined ? {} : { since });
    if (history.damage !== undefined) throw new JournalError(history.damage);
    const descriptor = openSync(path.join(directory, segmentOf(header.generation)), "ax", 0o600);
    const journal = new Journal(descriptor, header.generation, history);
    try {
      journal.append({ t: "hdr", v: 1, ...header });
      fsyncSync(descriptor);
      await syncDirectory(directory);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    return journal;
  }

  /**
   * Appends records with one write, in this order, and takes them into the history. Throws `JournalError` when the disk does
   * not take all of them; none is in the history then.
   */
  append(...records: readonly JournalRecord[]): void {
    if (this.broken !== undefined) throw this.broken;
    const lines = records.map(formatLine);
    const sizes = lines.map((line) => Buffer.byteLength(line));
    try {
      const size = sizes.reduce((sum, one) => sum + one, 0);
      const written = writeSync(this.descriptor, lines.join(""));
      if (written !== size) throw new Error(`only ${String(written)} of ${String(size)} bytes written`);
    } catch (error) {
      throw this.break(error);
    }
    for (const [index, record] of records.entries()) {
      this.history.apply(record, this.place);
      this.place += sizes[index] ?? 0;
    }
  }

  /**
   * Resolves when everything appended so far is on disk. Calls that come while the disk is busy share the next flush. A
   * flush that failed is never repeated: the system may then report success for pages that it has dropped.
   */
  sync(): Promise<void> {
    if (this.broken !== undefined) return Promise.reject(this.broken);
    if (this.queued === undefined) {
      // One flush at a time: of two at once, one may report success for what the other has just lost.
      this.queued = this.running.then(() => this.flush());
      this.running = this.queued.catch(() => {});
    }
    return this.queued;
  }

  /** Flushes and closes. Never throws: what was not flushed reads as doubt, never as not sent. */
  async close(): Promise<void> {
    await this.sync().catch(() => {});
    closeSync(this.descriptor);
  }

  private flush(): Promise<void> {
    this.queued = undefined;
    if (this.broken !== undefined) return Promise.reject(this.broken);
    return new Promise<void>((resolve, reject) => {
      fdatasync(this.descriptor, (error) => {
        if (error === null) resolve();
        else reject(this.break(error));
      });
    });
  }

  private break(error: unknown): JournalError {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    this.broken = new JournalError(
      `The journal cannot be written (${code}), so sending stopped. Free space or mend the disk, then resume.`,
    );
    return this.broken;
  }
}

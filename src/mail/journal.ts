/**
 * The record of a run on disk: append-only lines `crc32hex SP json LF`, one segment a stretch of sending. A recipient's fate is
 * what its records say, and nothing else; `data` without an outcome is doubt.
 */
import { closeSync, fdatasync, fsyncSync, openSync, writeSync } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import * as path from "node:path";
import { crc32 } from "node:zlib";
import type { OutcomeClass } from "./classify";
import { syncDirectory } from "./files";

/** A line of the journal. `k` is the recipient's identity, `at` milliseconds since the epoch. */
export type JournalRecord =
  | {
      readonly t: "hdr";
      readonly v: 1;
      readonly campaignId: string;
      readonly runId: string;
      readonly generation: number;
      readonly at: number;
      readonly host: string;
    }
  /** About to be tried for the `n`th time. */
  | { readonly t: "attempt"; readonly k: string; readonly n: number; readonly id: string; readonly at: number }
  /** On disk before the first byte of the body leaves. */
  | { readonly t: "data"; readonly k: string; readonly n: number; readonly at: number }
  | {
      readonly t: "ok";
      readonly k: string;
      readonly reply: string;
      readonly serverId?: string;
      readonly ms: number;
      readonly at: number;
    }
  /** Not accepted; to be tried again not before `next`. */
  | {
      readonly t: "defer";
      readonly k: string;
      readonly class: OutcomeClass;
      readonly reply: string;
      readonly next: number;
      /** False when the account was asked to wait: then the recipient is not charged with the attempt. */
      readonly counts: boolean;
      readonly at: number;
    }
  | {
      readonly t: "fail";
      readonly k: string;
      readonly class: OutcomeClass;
      readonly reply: string;
      readonly ms: number;
      readonly at: number;
    }
  | { readonly t: "unknown"; readonly k: string; readonly why: string; readonly at: number }
  /** Left out of this run after all: suppressed since it was planned. */
  | { readonly t: "skip"; readonly k: string; readonly why: string; readonly at: number }
  /** A person decided what a doubt or failure counts as. */
  | { readonly t: "resolve"; readonly k: string; readonly as: "sent" | "retry"; readonly at: number }
  | { readonly t: "ctl"; readonly what: "start" | "stop" | "finish"; readonly why?: string; readonly at: number };

/** What the records say of one recipient. */
export interface Fate {
  outcome: "pending" | "doubt" | "accepted" | "failed" | "unknown" | "skipped";
  /** Attempts that count against the recipient. */
  attempts: number;
  messageId: string | undefined;
  class: OutcomeClass | undefined;
  reply: string | undefined;
  /** Not before this moment, milliseconds since the epoch. */
  next: number;
  settledAt: number | undefined;
  durationMs: number | undefined;
}

/** All that a run's journal says. */
export interface History {
  readonly fates: Map<string, Fate>;
  finished: boolean;
  /** The highest generation of its segments, 0 when there is none. */
  generation: number;
}

/** The journal cannot be trusted or written: nothing may be sent. The message is fit to show. */
export class JournalError extends Error {
  override readonly name = "JournalError";
}

/** Reads a run's journal without touching it. Throws `JournalError` when a record in its middle is damaged. */
export async function readHistory(directory: string): Promise<History> {
  const history: History = { fates: new Map(), finished: false, generation: 0 };
  const segments = (await readdir(directory)).filter((name) => /^journal-\d{6}\.jsonl$/.test(name)).sort();
  for (const name of segments) {
    // A segment whose header was torn off counts too: its name is taken.
    history.generation = Math.max(history.generation, Number(name.slice(8, 14)));
    const bytes = await readFile(path.join(directory, name));
    let start = 0;
    while (start < bytes.length) {
      const end = bytes.indexOf(0x0a, start);
      const line = bytes.subarray(start, end < 0 ? bytes.length : end);
      const record = end < 0 ? undefined : parseLine(line);
      if (record === undefined) {
        // A torn tail was never synced, so nothing was sent on its strength. One that holds a second record is none: the line
        // end before that record was damaged, and the first of the two did count.
        if ((end < 0 || end === bytes.length - 1) && line.indexOf(' {"t":"', 9) < 0) break;
        throw new JournalError(
          `The journal ${name} is damaged at byte ${String(start)}, so who was mailed is not certain. Restore it from a backup; nothing is sent until then.`,
        );
      }
      apply(history, record);
      start = end + 1;
    }
  }
  return history;
}

/** A journal open for writing: one new segment in `directory`. */
export class Journal {
  /** The flush that runs, or the last one. Never rejects. */
  private running: Promise<void> = Promise.resolve();
  /** The flush that has not begun yet. */
  private queued: Promise<void> | undefined;
  private broken: JournalError | undefined;

  private constructor(
    private readonly descriptor: number,
    readonly history: History,
  ) {}

  /** Replays the run's journal and opens a new segment, whose header is on disk when this resolves. */
  static async open(
    directory: string,
    header: Omit<Extract<JournalRecord, { t: "hdr" }>, "t" | "v">,
  ): Promise<Journal> {
    const history = await readHistory(directory);
    const file = path.join(directory, `journal-${String(header.generation).padStart(6, "0")}.jsonl`);
    const descriptor = openSync(file, "ax", 0o600);
    const journal = new Journal(descriptor, history);
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

  /** Appends a record and takes it into the history. Throws `JournalError` when the disk does not take it. */
  append(record: JournalRecord): void {
    if (this.broken !== undefined) throw this.broken;
    const line = formatLine(record);
    try {
      const written = writeSync(this.descriptor, line);
      if (written !== line.length) throw new Error(`only ${String(written)} of ${String(line.length)} bytes written`);
    } catch (error) {
      throw this.break(error);
    }
    apply(this.history, record);
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

/** A record as the bytes of its line. */
function formatLine(record: JournalRecord): Buffer {
  const json = Buffer.from(JSON.stringify(record), "utf8");
  return Buffer.concat([
    Buffer.from(`${crc32(json).toString(16).padStart(8, "0")} `, "latin1"),
    json,
    Buffer.from("\n"),
  ]);
}

/** The record of a line without its line end; undefined when it is damaged. */
function parseLine(line: Buffer): JournalRecord | undefined {
  if (line.length < 10 || line[8] !== 0x20) return undefined;
  const json = line.subarray(9);
  if (crc32(json).toString(16).padStart(8, "0") !== line.toString("latin1", 0, 8)) return undefined;
  const record = JSON.parse(json.toString("utf8")) as JournalRecord;
  if (record.t === "hdr" && (record.v as number) !== 1)
    throw new JournalError(
      "The journal was written by a newer Bulk Mail. Update, then resume: nothing is sent until then.",
    );
  return record;
}

function apply(history: History, record: JournalRecord): void {
  if (record.t === "hdr") {
    history.generation = Math.max(history.generation, record.generation);
    return;
  }
  if (record.t === "ctl") {
    history.finished = record.what === "finish";
    return;
  }
  let fate = history.fates.get(record.k);
  if (fate === undefined) {
    fate = {
      outcome: "pending",
      attempts: 0,
      messageId: undefined,
      class: undefined,
      reply: undefined,
      next: 0,
      settledAt: undefined,
      durationMs: undefined,
    };
    history.fates.set(record.k, fate);
  }
  // A late line of a writer that was taken over must never turn "sent" into "not sent".
  if (fate.outcome === "accepted") return;
  switch (record.t) {
    case "attempt":
      fate.attempts = record.n;
      fate.messageId = record.id;
      return;
    case "data":
      fate.outcome = "doubt";
      return;
    case "ok":
      fate.outcome = "accepted";
      fate.class = undefined;
      fate.reply = record.reply;
      fate.settledAt = record.at;
      fate.durationMs = record.ms;
      return;
    case "defer":
      fate.outcome = "pending";
      fate.class = record.class;
      fate.reply = record.reply;
      fate.next = record.next;
      if (!record.counts) fate.attempts = Math.max(0, fate.attempts - 1);
      return;
    case "fail":
      fate.outcome = "failed";
      fate.class = record.class;
      fate.reply = record.reply;
      fate.settledAt = record.at;
      fate.durationMs = record.ms;
      return;
    case "unknown":
      fate.outcome = "unknown";
      fate.class = "unknown";
      fate.reply = record.why;
      fate.settledAt = record.at;
      return;
    case "skip":
      fate.outcome = "skipped";
      fate.reply = record.why;
      fate.settledAt = record.at;
      return;
    case "resolve":
      fate.outcome = record.as === "sent" ? "accepted" : "pending";
      fate.next = 0;
      if (record.as === "retry") {
        fate.attempts = 0;
        history.finished = false;
      }
      fate.settledAt = record.at;
      return;
  }
}

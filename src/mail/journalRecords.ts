/** The lines of a journal: `crc32hex SP json LF`. What they hold, how they are written, and how one is read again. */
import { crc32 } from "node:zlib";
import { crc32Of } from "./checksum";
import type { OutcomeClass } from "./classify";

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

/** A record about one recipient. */
export type RecipientRecord = Extract<JournalRecord, { readonly k: string }>;

/** The journal cannot be trusted or written: nothing may be sent. The message is fit to show. */
export class JournalError extends Error {
  override readonly name = "JournalError";
}

/** Written by a version that knows more than this one, so that its silence about somebody proves nothing. */
export class NewerJournalError extends JournalError {
  constructor() {
    super("The journal was written by a newer Bulk Mail. Update, then resume: nothing is sent until then.");
  }
}

/** A record as its line. JSON has no line end in it, and no lone surrogate: the line is whole as UTF-8. */
export function formatLine(record: JournalRecord): string {
  const json = JSON.stringify(record);
  return `${crc32(json).toString(16).padStart(8, "0")} ${json}\n`;
}

/** Where the JSON of a line begins. */
export const jsonAt = 9;

/** Whether the line from `start` to `end` (without its line end) carries the checksum of its content. */
export function isWhole(bytes: Buffer, start: number, end: number): boolean {
  if (end - start <= jsonAt || bytes[start + 8] !== 0x20) return false;
  let sum = 0;
  for (let at = start; at < start + 8; at++) {
    const code = bytes[at] ?? 0;
    // Lower case alone: a flipped bit must not give another way to write the same sum.
    if (code >= 0x30 && code <= 0x39) sum = sum * 16 + code - 0x30;
    else if (code >= 0x61 && code <= 0x66) sum = sum * 16 + code - 0x57;
    else return false;
  }
  return crc32Of(bytes, start + jsonAt, end) === sum;
}

/** The record of a whole line. Throws `NewerJournalError` for one that this version cannot have written. */
export function parseRecord(bytes: Buffer, start: number, end: number): JournalRecord {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8", start + jsonAt, end));
  } catch {
    throw new NewerJournalError();
  }
  if (!isRecord(value)) throw new NewerJournalError();
  return value;
}

/** What replaying relies on; the rest is for the report. */
function isRecord(value: unknown): value is JournalRecord {
  if (typeof value !== "object" || value === null) return false;
  const record = value as Readonly<Record<string, unknown>>;
  switch (record.t) {
    case "hdr":
      return record.v === 1 && typeof record.runId === "string" && Number.isSafeInteger(record.generation);
    case "ctl":
      return record.what === "start" || record.what === "stop" || record.what === "finish";
    case "attempt":
      return typeof record.k === "string" && typeof record.n === "number";
    case "defer":
      return typeof record.k === "string" && typeof record.next === "number" && typeof record.counts === "boolean";
    case "resolve":
      return typeof record.k === "string" && (record.as === "sent" || record.as === "retry");
    case "data":
    case "ok":
    case "fail":
    case "unknown":
    case "skip":
      return typeof record.k === "string";
    default:
      return false;
  }
}

/** A record whose recipient stands in the line as bytes: most of a journal, read without making an object of it. */
export interface HotRecord {
  t: "attempt" | "data" | "ok" | "fail";
  /** Where the identity stands, as JSON writes it, without its quotes. */
  keyStart: number;
  keyEnd: number;
  /** Of an attempt. */
  n: number;
}

const [attemptHead, dataHead, okHead, failHead] = ["attempt", "data", "ok", "fail"].map((t) =>
  Buffer.from(`{"t":"${t}","k":"`),
) as [Buffer, Buffer, Buffer, Buffer];
const attemptNumber = Buffer.from('","n":');
const attemptId = Buffer.from(',"id":"');

/**
 * Reads the whole line at `start` into `record` when it is one of the frequent ones, written exactly as `formatLine` writes
 * them; false leaves it to `parseRecord`.
 */
export function readHot(bytes: Buffer, start: number, record: HotRecord): boolean {
  const json = start + jsonAt;
  let head: Buffer;
  switch (bytes[json + 6]) {
    case 0x61:
      head = attemptHead;
      record.t = "attempt";
      break;
    case 0x64:
      head = dataHead;
      record.t = "data";
      break;
    case 0x6f:
      head = okHead;
      record.t = "ok";
      break;
    case 0x66:
      head = failHead;
      record.t = "fail";
      break;
    default:
      return false;
  }
  if (!holds(bytes, json, head)) return false;
  const keyStart = json + head.length;
  let at = keyStart;
  // The line is whole JSON, so the string ends; an escaped character never ends it.
  for (; bytes[at] !== 0x22; at++) {
    if (bytes[at] === 0x5c) at++;
    if (at >= bytes.length) return false;
  }
  record.keyStart = keyStart;
  record.keyEnd = at;
  if (record.t !== "attempt") return true;
  if (!holds(bytes, at, attemptNumber)) return false;
  let n = 0;
  for (at += attemptNumber.length; ; at++) {
    const digit = (bytes[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) break;
    n = n * 10 + digit;
  }
  record.n = n;
  return holds(bytes, at, attemptId);
}

function holds(bytes: Buffer, at: number, expected: Buffer): boolean {
  for (let index = 0; index < expected.length; index++) if (bytes[at + index] !== expected[index]) return false;
  return true;
}

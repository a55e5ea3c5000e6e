/** Files that go with messages: whether they are there, and their bytes, read once for all who share them. */
import type { Files } from "./files";
import { FileError } from "./files";
import type { Problem, Range } from "./problems";
import { problemAt } from "./problems";

/** What a look at a file found: its size in bytes, or why it cannot be had. */
export type FileLook = { readonly ok: true; readonly size: number } | { readonly ok: false; readonly error: FileError };

/** Looks at files, once each. */
export class FileLooks {
  private readonly looks = new Map<string, Promise<FileLook>>();

  constructor(private readonly files: Files) {}

  /** @param file absolute path */
  at(file: string): Promise<FileLook> {
    let look = this.looks.get(file);
    if (look === undefined) {
      look = this.look(file);
      this.looks.set(file, look);
    }
    return look;
  }

  private async look(file: string): Promise<FileLook> {
    try {
      return { ok: true, size: (await this.files.stat(file)).size };
    } catch (error) {
      if (error instanceof FileError) return { ok: false, error };
      throw error;
    }
  }
}

/** Bytes of files that are kept at most. */
const cacheLimit = 32 * 1024 * 1024;

/** The bytes of files, kept while there is room; the one that was used longest ago goes first. */
export class FileCache {
  private readonly kept = new Map<string, Buffer>();
  private readonly reading = new Map<string, Promise<Buffer>>();
  private size = 0;

  constructor(private readonly files: Files) {}

  /** Throws `FileError`. */
  async read(file: string): Promise<Buffer> {
    const known = this.kept.get(file);
    if (known !== undefined) {
      this.kept.delete(file);
      this.kept.set(file, known);
      return known;
    }
    const pending = this.reading.get(file) ?? this.files.read(file);
    this.reading.set(file, pending);
    try {
      const bytes = await pending;
      if (!this.kept.has(file)) this.keep(file, bytes);
      return bytes;
    } finally {
      this.reading.delete(file);
    }
  }

  private keep(file: string, bytes: Buffer): void {
    if (bytes.length > cacheLimit / 2) return;
    this.kept.set(file, bytes);
    this.size += bytes.length;
    for (const [oldest, { length }] of this.kept) {
      if (this.size <= cacheLimit) break;
      this.kept.delete(oldest);
      this.size -= length;
    }
  }
}

/** Why an attachment cannot be sent. `written` is its path as the campaign and the row make it. */
export function attachmentProblem(
  error: FileError,
  written: string,
  root: string,
  place: { readonly file: string; readonly range: Range },
  more: Pick<Problem, "rowOnly" | "related"> = {},
): Problem {
  if (error.reason === "missing") return problemAt("attachment.missing", { path: written }, place, more);
  if (error.reason === "outside") return problemAt("attachment.outside", { path: written, root }, place, more);
  return problemAt("attachment.unreadable", { path: written, detail: error.detail }, place, more);
}

/** Octets that a letter has besides its files, at most; more would be unusual. */
const letterSize = 64 * 1024;

/** Octets of files that a message of at most `maxSize` octets can hold: 57 become a line of 78 (RFC 2045 §6.8). */
export function filesWithin(maxSize: number): number {
  return Math.max(0, Math.floor(((maxSize - letterSize) * 57) / 78));
}

/** Files of `total` octets where there is room for `limit`. */
export function tooLarge(
  total: number,
  limit: number,
  place: { readonly file: string; readonly range: Range },
  more: Pick<Problem, "rowOnly"> = {},
): Problem {
  const megabytes = (octets: number): string => `${(Math.max(0, octets) / 1024 / 1024).toFixed(1)} MB`;
  return problemAt("message.tooLarge", { size: megabytes(total), limit: megabytes(limit) }, place, more);
}

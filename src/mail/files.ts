/** The only way to the files that a campaign names: all lie under the root by real path, checked again whenever one is read. */
import { createReadStream } from "node:fs";
import { open, readFile, realpath, stat } from "node:fs/promises";
import * as path from "node:path";
import type { Problem, Range } from "./problems";
import { problemAt } from "./problems";

/** Why a file could not be had. */
export class FileError extends Error {
  /**
   * @param reason `missing`: no such file; `outside`: its real path leaves the root; `unreadable`: anything else, in `detail`
   * @param file absolute path as asked for
   */
  constructor(
    readonly reason: "missing" | "outside" | "unreadable",
    readonly file: string,
    readonly detail: string,
  ) {
    super(`${file}: ${detail}`);
    this.name = "FileError";
  }
}

/** Files below one root. Paths are absolute. Everything throws `FileError` and nothing else. */
export interface Files {
  /** Absolute path of the root, with links resolved. */
  readonly root: string;
  /** The whole content. */
  read(file: string): Promise<Buffer>;
  /** The content piece by piece, flat in memory. */
  stream(file: string): AsyncIterable<Buffer>;
  /** Size in bytes and time of the last change, milliseconds since the epoch. */
  stat(file: string): Promise<{ readonly size: number; readonly mtimeMs: number }>;
}

/**
 * The files on disk below `root`. `overlay` holds texts of an editor that are not saved yet, by absolute path; they win.
 */
export async function diskFiles(root: string, overlay?: ReadonlyMap<string, string>): Promise<Files> {
  const realRoot = await realpath(root).catch((error: unknown) => {
    throw toFileError(error, root);
  });
  const inside = async (file: string): Promise<string> => {
    let real: string;
    try {
      real = await realpath(file);
    } catch (error) {
      throw isBelow(realRoot, path.resolve(file)) || isBelow(path.resolve(root), path.resolve(file))
        ? toFileError(error, file)
        : new FileError("outside", file, "lies outside the root");
    }
    if (!isBelow(realRoot, real)) throw new FileError("outside", file, "lies outside the root");
    if (!(await stat(real)).isFile()) throw new FileError("unreadable", file, "is not a file");
    return real;
  };
  const unsaved = async (file: string): Promise<Buffer | undefined> => {
    const text = overlay?.get(file);
    if (text === undefined) return undefined;
    try {
      await inside(file);
    } catch (error) {
      // A text that was never saved has no file yet; its path still has to lie below the root.
      if (!(error instanceof FileError) || error.reason !== "missing") throw error;
    }
    return Buffer.from(text, "utf8");
  };
  return {
    root: realRoot,
    read: async (file) => {
      const text = await unsaved(file);
      if (text !== undefined) return text;
      try {
        return await readFile(await inside(file));
      } catch (error) {
        throw toFileError(error, file);
      }
    },
    stream: async function* (file) {
      const text = await unsaved(file);
      if (text !== undefined) {
        yield text;
        return;
      }
      try {
        yield* createReadStream(await inside(file), { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>;
      } catch (error) {
        throw toFileError(error, file);
      }
    },
    stat: async (file) => {
      const text = await unsaved(file);
      if (text !== undefined) return { size: text.length, mtimeMs: 0 };
      try {
        const { size, mtimeMs } = await stat(await inside(file));
        return { size, mtimeMs };
      } catch (error) {
        throw toFileError(error, file);
      }
    },
  };
}

/** Whether `file` is `root` or lies below it; both absolute. */
export function isBelow(root: string, file: string): boolean {
  const relative = path.relative(root, file);
  return relative === "" || (!path.isAbsolute(relative) && relative.split(path.sep)[0] !== "..");
}

/**
 * Why a file that a campaign names cannot be used, for the person who wrote the name.
 * @param role what the file is for, such as `recipients file`
 * @param written the path as written
 * @param root the root of the files
 */
export function fileProblem(
  error: FileError,
  role: string,
  written: string,
  root: string,
  place: { readonly file: string; readonly range: Range },
): Problem {
  const details = { role, path: written };
  if (error.reason === "missing") return problemAt("file.missing", details, place);
  if (error.reason === "outside") return problemAt("file.outside", { ...details, root }, place);
  return problemAt("file.unreadable", { ...details, detail: error.detail }, place);
}

/** Changes whenever the file's size or time does; "missing" for one that cannot be had. */
export async function stampOf(files: Files, file: string): Promise<string> {
  return files.stat(file).then(
    ({ size, mtimeMs }) => `${String(size)} ${String(mtimeMs)}`,
    () => "missing",
  );
}

/** Flushes a directory's entries to disk, where the platform can (Windows cannot, and needs not). */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function toFileError(error: unknown, file: string): FileError {
  if (error instanceof FileError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT" || code === "ENOTDIR") return new FileError("missing", file, "does not exist");
  return new FileError("unreadable", file, code ?? String(error));
}

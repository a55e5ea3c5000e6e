/** Mail servers from Debian's packages: unpacked into the cache, run from there, never installed. */
import { execFile } from "node:child_process";
import * as path from "node:path";
import { promisify } from "node:util";
import { debianPackages } from "../host/debianPackages";

/** Where the programs lie. */
export interface ServerPrograms {
  readonly kind: "programs";
  readonly root: string;
  /** What the loader needs, as LD_LIBRARY_PATH. */
  readonly libraryPath: string;
}

/** Why this machine cannot run them, to be the reason of a skip. */
export interface Unavailable {
  readonly kind: "unavailable";
  readonly reason: string;
}

/**
 * Fetches packages on first use, or says why this machine cannot run what is in them. `ownLibraries` are folders below
 * `usr/lib` from which the packages load their own. Servers change to other users, so they start as root only.
 */
export async function serverPrograms(
  packages: readonly string[],
  ownLibraries: readonly string[] = [],
): Promise<ServerPrograms | Unavailable> {
  const name = packages.join(" and ");
  if (process.platform !== "linux") return { kind: "unavailable", reason: `Debian's ${name} runs on Linux only` };
  if (process.getuid?.() !== 0) return { kind: "unavailable", reason: `${name} starts as root only` };
  const found = await debianPackages(packages);
  if (found.kind === "unavailable") return found;
  const { root, libraries } = found;
  const own = ownLibraries.map((folder) => path.join(root, "usr/lib", folder));
  return { kind: "programs", root, libraryPath: [...own, ...libraries].join(":") };
}

/** Runs one of the programs to its end and returns its stdout; when it fails, why it does not run here. */
export async function tryProgram(
  { root, libraryPath }: ServerPrograms,
  command: string,
  words: readonly string[],
): Promise<{ readonly kind: "runs"; readonly stdout: string } | Unavailable> {
  const file = path.isAbsolute(command) ? command : path.join(root, command);
  try {
    const env = { ...process.env, LD_LIBRARY_PATH: libraryPath };
    return { kind: "runs", stdout: (await promisify(execFile)(file, words, { env, timeout: 20_000 })).stdout };
  } catch (error) {
    const words = error instanceof Error ? error.message.trim() : String(error);
    return { kind: "unavailable", reason: `${path.basename(command)} does not run here: ${words}` };
  }
}

/** For `before`: the programs, or the whole suite is skipped with the reason in its title, where the sum at the end shows it. */
export function orSkip<T extends { readonly kind: string }>(test: Mocha.Context, found: T | Unavailable): T {
  if (!isUnavailable(found)) return found;
  const suite = test.test?.parent;
  if (suite !== undefined) suite.title += ` (${found.reason})`;
  return test.skip();
}

function isUnavailable(found: { readonly kind: string }): found is Unavailable {
  return found.kind === "unavailable";
}

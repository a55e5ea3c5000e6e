import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { withLock } from "./lock";
import { cacheFolder } from "./repo";

const execute = promisify(execFile);
/** No step of the download may take longer, in milliseconds. */
const limitMs = 90_000;

/** Debian packages as a tree of files from which they can be run, or why there is none. */
export type DebianPackages =
  | { readonly kind: "unpacked"; readonly root: string; readonly libraries: readonly string[] }
  | { readonly kind: "unavailable"; readonly reason: string };

/**
 * Packages of this machine's Debian (or a relative of it) with all that they need and the machine lacks, unpacked into
 * the cache.
 *
 * Nothing is installed and apt's own lists are left alone, so packages that exclude each other lie side by side.
 * The tree is unpacked under another name and renamed when complete.
 */
export async function debianPackages(names: readonly string[]): Promise<DebianPackages> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const [, id] = /^ID="?([a-z]+)/m.exec(release) ?? [];
  const [, version] = /^VERSION_ID="?([\w.]+)/m.exec(release) ?? [];
  if (id === undefined || version === undefined || !existsSync("/usr/bin/apt-get"))
    return { kind: "unavailable", reason: "this system has no apt-get" };
  const name = `${id}-${version}-${process.arch}-${names.join("-")}`;
  const root = join(cacheFolder(), name);
  try {
    await withLock(join(cacheFolder(), `${name}.lock`), async () => {
      if (!existsSync(root)) await download(names, root);
    });
  } catch (error) {
    return { kind: "unavailable", reason: `${names.join(" and ")} cannot be fetched: ${lastWords(error)}` };
  }
  return { kind: "unpacked", root, libraries: await systemLibraries(root) };
}

async function download(names: readonly string[], root: string): Promise<void> {
  console.log(`Unpacking ${names.join(", ")} into .vscode-test (once)…`);
  // Leftovers of this name are removed by the next npm install into the cache.
  const temporary = await mkdtemp(`${root}.partial-${process.pid}-`);
  try {
    const [lists, cache, archives, tree] = ["lists", "cache", "archives", "tree"].map((part) => join(temporary, part));
    if (lists === undefined || cache === undefined || archives === undefined || tree === undefined) return;
    for (const folder of [join(lists, "partial"), join(cache, "archives", "partial"), archives, tree])
      await mkdir(folder, { recursive: true });
    const apt = async (...words: string[]): Promise<string> => {
      const options = [
        `Dir::State::lists=${lists}`,
        `Dir::Cache=${cache}`,
        // The folder may lie where only we may read.
        "APT::Sandbox::User=root",
        "Acquire::Languages=none",
        "Acquire::http::Timeout=15",
        "Acquire::https::Timeout=15",
      ].flatMap((option) => ["-o", option]);
      const how = { cwd: archives, timeout: limitMs, maxBuffer: 1 << 26, env: { ...process.env, LC_ALL: "C" } };
      return (await execute("apt-get", ["--quiet=2", ...options, ...words], how)).stdout;
    };
    // A third party's source that does not answer is no reason to stop: what is missing shows in the next step.
    await apt("update").catch(() => undefined);
    const steps = await apt("--simulate", "install", "--reinstall", "--no-install-recommends", ...names);
    const wanted = [...steps.matchAll(/^Inst (\S+)/gm)].map(([, found]) => String(found));
    await apt("download", ...wanted);
    for (const archive of await readdir(archives))
      await execute("dpkg-deb", ["--extract", join(archives, archive), tree], { timeout: limitMs });
    await rename(tree, root);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Where the libraries lie that Debian puts on every program's path: `lib/x86_64-linux-gnu` and its like. */
async function systemLibraries(root: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const parent of [join(root, "usr", "lib"), join(root, "lib")])
    for (const entry of await readdir(parent).catch(() => []))
      if (entry.includes("-linux-gnu")) found.push(join(parent, entry));
  return found;
}

/** What a program said last, or why it could not be started. */
function lastWords(error: unknown): string {
  const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
  const text = said !== "" ? said : error instanceof Error ? error.message : String(error);
  return text.split("\n").at(-1) ?? text;
}

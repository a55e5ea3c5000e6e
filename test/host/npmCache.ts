import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startChild } from "./children";
import { isAlive, withLock } from "./lock";
import { cacheFolder } from "./repo";

/** One folder of the cache: its name, what npm puts into it, and what is left to do before it counts as complete. */
export interface CachedInstall {
  /** Carries the versions, so that a new version is another folder. */
  readonly name: string;
  readonly packages: readonly string[];
  readonly finish?: (folder: string) => Promise<void>;
}

/**
 * The folder with these npm packages: from the cache, or installed now.
 *
 * It is installed under another name and renamed when complete: a folder that is there is whole, whatever was killed.
 * @throws with npm's last words when npm fails twice.
 */
export async function cached(install: CachedInstall): Promise<string> {
  const folder = join(cacheFolder(), install.name);
  await removeLeftovers();
  if (existsSync(folder)) return folder;
  return withLock(join(cacheFolder(), `${install.name}.lock`), async () => {
    if (existsSync(folder)) return folder;
    console.log(`Installing ${install.packages.join(", ")} into .vscode-test (once)…`);
    const temporary = await mkdtemp(join(cacheFolder(), `${install.name}.partial-${process.pid}-`));
    try {
      // Its own manifest makes it npm's root, so that neither ours nor a project .npmrc above it has a say.
      await writeFile(join(temporary, "package.json"), '{ "private": true }\n');
      await npmInstall(temporary, install.packages);
      await install.finish?.(temporary);
      await rename(temporary, folder);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    return folder;
  });
}

/**
 * `npm install` of these packages (or of the folder's own manifest) in a folder, without running any install script.
 *
 * Tried twice, because a slow download is common.
 * @throws with npm's last words.
 */
export async function npmInstall(folder: string, packages: readonly string[]): Promise<void> {
  try {
    await runNpm(folder, packages);
  } catch (first) {
    console.error(`${String(first)}\nTrying once more…`);
    await runNpm(folder, packages);
  }
}

async function runNpm(folder: string, packages: readonly string[]): Promise<void> {
  const args = [
    "install",
    ...packages,
    "--prefix",
    folder,
    "--ignore-scripts",
    "--omit=dev",
    "--engine-strict=false",
    "--workspaces=false",
    "--global=false",
    "--package-lock=false",
    "--audit=false",
    "--fund=false",
    "--loglevel=error",
    "--fetch-retries=3",
    "--update-notifier=false",
  ];
  // Under `npm test` npm names its own script; running it by our Node avoids npm.cmd and its shell on Windows.
  const npm = process.env.npm_execpath;
  const command = npm?.endsWith("npm-cli.js") === true ? process.execPath : "npm";
  const child = startChild(command, command === "npm" ? args : [npm ?? "", ...args], {
    cwd: folder,
    env: npmEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
    shell: command === "npm" && process.platform === "win32",
  });
  let said = "";
  const listen = (chunk: Buffer): void => {
    said = (said + chunk.toString()).slice(-4000);
  };
  child.stdout?.on("data", listen);
  child.stderr?.on("data", listen);
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", (error) => {
      reject(new Error(`npm cannot be started (is it on the PATH?): ${error.message}`));
    });
    child.once("close", (exitCode) => {
      resolve(exitCode ?? 1);
    });
  });
  if (code === 0) return;
  const what = packages.length > 0 ? packages.join(" ") : `the dependencies in ${folder}`;
  throw new Error(`npm install of ${what} failed (exit code ${String(code)}):\n${said.trim()}`);
}

/** What an outer `npm run` set for its own project would steer the inner one; the user's registry, proxy and cache stay. */
function npmEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^npm_(package|lifecycle|command|config_(local_prefix|prefix|global_prefix|workspaces?|include|omit|dry_run|offline))/i.test(
        name,
      ),
  );
  return { ...Object.fromEntries(kept), NODE_ENV: "" };
}

/** What killed installs left behind; the npm of one may still have been writing when the next began. */
async function removeLeftovers(): Promise<void> {
  const cache = cacheFolder();
  await mkdir(cache, { recursive: true });
  for (const entry of await readdir(cache)) {
    const owner = /\.partial-(\d+)-/.exec(entry)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    await rm(join(cache, entry), { recursive: true, force: true }).catch(() => undefined);
  }
}

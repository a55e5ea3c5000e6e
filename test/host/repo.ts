import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * The folder of the repository's package.json.
 *
 * Found by walking up, because the compiled file lies at another depth than its source.
 * @throws when no package.json is above this file.
 */
export function repositoryRoot(): string {
  for (let folder = __dirname; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (folder === dirname(folder)) throw new Error(`No package.json above ${__dirname}`);
  }
}

/** Where VS Code, its runtime and the browser are kept between runs; git ignores it. */
export function cacheFolder(): string {
  return join(repositoryRoot(), ".vscode-test");
}

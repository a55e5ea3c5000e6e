import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileLogger, watchdog } from "./standIns";
import { cached, npmInstall } from "./npmCache";
import { cacheFolder } from "./repo";

/** code-server 4.N ships VS Code 1.N. */
const serverVersion = "4.139.1";
/** What that VS Code runs on. */
const runtimeMajor = "24";

/** A VS Code as a desktop program. */
export interface DesktopHost {
  readonly kind: "desktop";
  readonly executable: string;
}

/** A VS Code as a server for a browser, with the Node that runs it. */
export interface ServerHost {
  readonly kind: "server";
  readonly node: string;
  /** The folder of VS Code itself: `out/server-main.js` lies in it. */
  readonly root: string;
}

export type Host = DesktopHost | ServerHost;

/**
 * A real VS Code to test in, installed on first use into `.vscode-test/`.
 *
 * `VSCODE_PATH` names a desktop program; `VSCODE_TEST_DESKTOP=1` downloads one (`VSCODE_TEST_VERSION`, default stable);
 * otherwise it is the server that npm ships, which needs nothing but npm.
 * @throws when the named program does not exist or an install fails.
 */
export async function installHost(): Promise<Host> {
  const executable = process.env.VSCODE_PATH;
  if (executable !== undefined && executable !== "") {
    if (!existsSync(executable)) throw new Error(`VSCODE_PATH names ${executable}, which does not exist`);
    return { kind: "desktop", executable };
  }
  if (process.env.VSCODE_TEST_DESKTOP === "1") return installDesktop();
  return installServer();
}

async function installDesktop(): Promise<DesktopHost> {
  // Only public CI comes here, and the import costs time.
  const { downloadAndUnzipVSCode } = await import("@vscode/test-electron");
  const version = process.env.VSCODE_TEST_VERSION ?? "stable";
  return { kind: "desktop", executable: await downloadAndUnzipVSCode({ version, cachePath: cacheFolder() }) };
}

/**
 * The VS Code server from npm, whatever the environment says: panels are tested in a browser.
 * @throws when npm fails twice.
 */
export async function installServer(): Promise<ServerHost> {
  const [server, node] = await Promise.all([
    cached({
      name: `code-server-${serverVersion}`,
      packages: [`code-server@${serverVersion}`],
      finish: async (folder) => {
        const root = vscodeIn(folder);
        // Its own install script would do the same, but also compile native modules.
        await npmInstall(root, []);
        await writeFile(join(root, "node_modules/@vscode/spdlog/index.js"), fileLogger);
        await writeFile(join(root, "node_modules/@vscode/native-watchdog/index.js"), watchdog);
        // Every start would wait for its sign-in.
        await rm(join(root, "extensions/copilot"), { recursive: true, force: true });
      },
    }),
    installRuntime(),
  ]);
  return { kind: "server", node, root: vscodeIn(server) };
}

function vscodeIn(folder: string): string {
  return join(folder, "node_modules/code-server/lib/vscode");
}

/** Our own Node if it is the right one, else the one that npm carries as a package. */
async function installRuntime(): Promise<string> {
  if (process.versions.node.startsWith(`${runtimeMajor}.`)) return process.execPath;
  const platform = process.platform === "win32" ? "win" : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const folder = await cached({ name: `${name}-${runtimeMajor}`, packages: [`${name}@${runtimeMajor}`] });
  return join(folder, "node_modules", name, process.platform === "win32" ? "bin/node.exe" : "bin/node");
}

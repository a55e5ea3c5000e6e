import { spawn } from "node:child_process";
import { createWriteStream, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { startChild, stopChild } from "./children";
import { installServer } from "./install";
import { cacheFolder, repositoryRoot } from "./repo";
import { freePort, installExtension, serverEnvironment, untilListening, userDataFolder, writeSettings } from "./server";

/** Kept from start to start if it is free: a browser remembers secrets and layout by address. */
const usualPort = 4180;

/** `npm start`: the example campaigns in a VS Code with this extension; the one on this machine, else the one from npm. */
async function start(): Promise<void> {
  const root = repositoryRoot();
  const examples = join(root, "examples");
  const desktop = desktopExecutable();
  if (desktop !== undefined) {
    spawn(desktop, ["--new-window", `--extensionDevelopmentPath=${root}`, examples], {
      stdio: "inherit",
      shell: process.platform === "win32",
    }).once("error", fail);
    return;
  }
  const host = await installServer();
  // Extensions under development need the test driver here, and that hides every notification: so the package it is.
  await npmRun(root, "package");
  const dataDir = join(cacheFolder(), "start-data");
  await installExtension(host, dataDir, join(root, "bulk-mail.vsix"));
  await writeSettings(dataDir, {});
  const server = startChild(
    host.node,
    [
      // The product's own front door: unlike the bare server it helps a browser to keep secrets.
      join(host.root, "../../out/node/entry.js"),
      ...["--bind-addr", `127.0.0.1:${await freePort(usualPort)}`, "--auth", "none", "--disable-workspace-trust"],
      ...[
        "--disable-telemetry",
        "--disable-update-check",
        "--ignore-last-opened",
        "--config",
        join(dataDir, "config.yaml"),
      ],
      ...["--user-data-dir", userDataFolder(dataDir), "--extensions-dir", join(dataDir, "extensions")],
    ],
    { env: serverEnvironment(dataDir), stdio: ["ignore", "pipe", "pipe"] },
  );
  const logFile = join(dataDir, "server.log");
  const log = createWriteStream(logFile);
  server.stdout?.pipe(log);
  server.stderr?.pipe(log);
  const address = await untilListening(server, logFile, /HTTP server listening on (http:\S+)/);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void stopChild(server).then(() => process.exit(0)));
  }
  const page = new URL(address);
  page.searchParams.set("folder", examples);
  console.log(
    `\nBulk Mail in VS Code:\n\n  ${page.href}\n\nCtrl+C ends it. Its settings stay in .vscode-test/start-data.`,
  );
}

function desktopExecutable(): string | undefined {
  const named = process.env.VSCODE_PATH;
  if (named !== undefined && named !== "") return named;
  const file = process.platform === "win32" ? "code.cmd" : "code";
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  return folders.map((folder) => join(folder, file)).find((path) => existsSync(path));
}

async function npmRun(folder: string, script: string): Promise<void> {
  const child = startChild("npm", ["run", "--silent", script], {
    cwd: folder,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`npm run ${script} failed (exit code ${String(code)})`);
}

function fail(error: unknown): void {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

start().catch(fail);

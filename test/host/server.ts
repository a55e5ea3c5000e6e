import type { ChildProcess } from "node:child_process";
import { createWriteStream, existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { startChild, stopChild } from "./children";
import type { ServerHost } from "./install";

const startMs = 60_000;
/** Seconds that an extension host outlives its page: were we killed, nothing may stay behind for VS Code's three hours. */
const graceSeconds = "60";

export type Settings = Readonly<Record<string, unknown>>;

/** How to start a server; `dataDir` holds everything it writes. */
export interface ServerOptions {
  readonly dataDir: string;
  /** Lets a page run extension tests by its address. It also swallows every toast and refuses every modal. */
  readonly smokeTestDriver: boolean;
  /** Whether workspace trust is asked for; without it every folder is trusted. */
  readonly trust: boolean;
  /** Added to those that the data folder has; a new one begins with quiet defaults. */
  readonly settings?: Settings;
  readonly extraEnv?: NodeJS.ProcessEnv;
  /** The port to listen on, if it is free; default: any. */
  readonly port?: number;
}

export interface RunningServer {
  /** With `localhost`, because only a secure context has SecretStorage. */
  readonly url: string;
  readonly port: number;
  /** Ends the server and everything that it started. */
  close(): Promise<void>;
}

/** Where a server with this data folder keeps settings, state and logs. */
export function userDataFolder(dataDir: string): string {
  return join(dataDir, "user-data");
}

/**
 * Adds to the user's settings before VS Code starts (a running server does not watch the file).
 *
 * The first time over quiet defaults: no welcome page, no update, no AI features.
 */
export async function writeSettings(dataDir: string, settings: Settings): Promise<void> {
  const file = settingsFile(dataDir);
  if (existsSync(file)) {
    // What a person wrote there may have comments; without need it is not read.
    if (Object.keys(settings).length > 0) await writeFile(file, await changedSettings(dataDir, settings));
    return;
  }
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify({ ...quietSettings, ...settings }, undefined, 2));
}

/** The text of the user's settings with some changed: undefined removes one. */
export async function changedSettings(dataDir: string, changes: Settings): Promise<string> {
  const now: unknown = JSON.parse(await readFile(settingsFile(dataDir), "utf8"));
  // JSON.stringify leaves out what is undefined.
  return JSON.stringify({ ...(now as Settings), ...changes }, undefined, 2);
}

function settingsFile(dataDir: string): string {
  return join(userDataFolder(dataDir), "User/settings.json");
}

const quietSettings: Settings = {
  "chat.disableAIFeatures": true,
  "extensions.autoCheckUpdates": false,
  "extensions.autoUpdate": "off",
  "extensions.ignoreRecommendations": true,
  // The web's default is to save by itself; the desktop's is not.
  "files.autoSave": "off",
  "security.workspace.trust.startupPrompt": "never",
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "update.showReleaseNotes": false,
  "window.confirmBeforeClose": "never",
  "workbench.editor.useModal": "off",
  "workbench.enableExperiments": false,
  "workbench.reduceMotion": "on",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
};

/**
 * Starts a VS Code server on a free port of 127.0.0.1 and resolves when it listens.
 *
 * Its log is `server.log` in the data folder.
 * @throws with the end of that log when it does not come up.
 */
export async function startServer(host: ServerHost, options: ServerOptions): Promise<RunningServer> {
  await writeSettings(options.dataDir, options.settings ?? {});
  const child = startChild(
    host.node,
    [
      ...baseArgs(host, options.dataDir),
      "--host",
      "127.0.0.1",
      "--port",
      String(await freePort(options.port)),
      "--without-connection-token",
      "--telemetry-level",
      "off",
      ...(options.smokeTestDriver ? ["--enable-smoke-test-driver"] : []),
      ...(options.trust ? [] : ["--disable-workspace-trust"]),
      "--enable-remote-auto-shutdown",
      "--reconnection-grace-time",
      graceSeconds,
    ],
    { env: serverEnvironment(options.dataDir, options.extraEnv), stdio: ["ignore", "pipe", "pipe"] },
  );
  const logFile = join(options.dataDir, "server.log");
  const log = createWriteStream(logFile, { flags: "a" });
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  const port = Number(await untilListening(child, logFile, /^Extension host agent listening on (\d+)/));
  return {
    url: `http://localhost:${String(port)}/`,
    port,
    close: async () => {
      await stopChild(child);
      log.end();
    },
  };
}

/**
 * What the first group of `pattern` finds in the line by which a server says that it listens.
 * @throws with the end of its log when it ends before, or says nothing for a minute; it is ended then.
 */
export function untilListening(child: ChildProcess, logFile: string, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      void stopChild(child).then(async () => {
        const said = await readFile(logFile, "utf8").catch(() => "");
        reject(new Error(`The VS Code server ${reason}. The end of ${logFile}:\n${said.slice(-2000)}`));
      });
    };
    const limit = setTimeout(() => fail(`did not listen within ${startMs / 1000} s`), startMs);
    const early = (code: number | null): void => fail(`ended with code ${String(code)} before it listened`);
    child.once("error", (error) => fail(`cannot be started: ${error.message}`));
    child.once("exit", early);
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on("line", (line) => {
      const found = pattern.exec(line)?.[1];
      if (found === undefined) return;
      clearTimeout(limit);
      child.off("exit", early);
      resolve(found);
    });
  });
}

/**
 * Installs a packaged extension for the servers of this data folder; do it before one starts.
 * @throws with VS Code's words when it refuses.
 */
export async function installExtension(host: ServerHost, dataDir: string, vsix: string): Promise<void> {
  const child = startChild(host.node, [...baseArgs(host, dataDir), "--install-extension", vsix, "--force"], {
    env: serverEnvironment(dataDir),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  const listen = (chunk: Buffer): void => {
    said += chunk.toString();
  };
  child.stdout?.on("data", listen);
  child.stderr?.on("data", listen);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0 || !said.includes("successfully installed"))
    throw new Error(`VS Code did not install ${vsix}:\n${said}`);
}

function baseArgs(host: ServerHost, dataDir: string): readonly string[] {
  return [
    join(host.root, "out/server-main.js"),
    "--accept-server-license-terms",
    "--server-data-dir",
    dataDir,
    "--user-data-dir",
    userDataFolder(dataDir),
    "--extensions-dir",
    join(dataDir, "extensions"),
  ];
}

/** The environment of a server: variables of an outer VS Code or of a debugger would change how this one behaves. */
export function serverEnvironment(dataDir: string, extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(VSCODE_|ELECTRON_|NODE_OPTIONS$|npm_)/.test(name));
  // Its sockets, which a killed server leaves behind, go where the data goes; but a socket's path may not be long.
  const sockets = process.platform === "linux" && dataDir.length < 50 ? { XDG_RUNTIME_DIR: dataDir } : {};
  // Without a gallery nobody looks for updates.
  return { ...Object.fromEntries(kept), ...sockets, EXTENSIONS_GALLERY: '{"serviceUrl":""}', ...extra };
}

/** The wanted port if it is free, else 0, by which the system chooses. */
export function freePort(wanted = 0): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(0));
    probe.listen(wanted, "127.0.0.1", () => probe.close(() => resolve(wanted)));
  });
}

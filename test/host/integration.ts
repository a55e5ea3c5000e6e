import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { launchBrowser } from "./browser";
import { startChild, stopChild } from "./children";
import { installHost, type DesktopHost, type ServerHost } from "./install";
import { startServer, writeSettings, type Settings } from "./server";

const defaultLimitMs = 10 * 60_000;

/** What to run in a real extension host. Paths may be relative to the working directory. */
export interface IntegrationOptions {
  /** The folder of the extension's package.json. */
  readonly extensionDevelopmentPath: string;
  /** A CommonJS file that exports `run(): Promise<void>`; a rejection is a failed run. */
  readonly extensionTestsPath: string;
  /** The folder that VS Code opens. Tests may write to it, so give it a copy. */
  readonly workspace: string;
  readonly userSettings?: Settings;
  /** Milliseconds for the whole run, the install left out. Default: ten minutes. */
  readonly limitMs?: number;
}

/**
 * Runs tests inside the extension host of a real VS Code; what they print goes to stdout.
 *
 * @returns exit code 0 when they passed, another when they failed.
 * @throws when VS Code does not start, or when the time is up (everything is ended then).
 */
export async function runIntegration(options: IntegrationOptions): Promise<{ readonly exitCode: number }> {
  const host = await installHost();
  const dataDir = await mkdtemp(join(tmpdir(), "bulk-mail-host-"));
  const paths = {
    ...options,
    extensionDevelopmentPath: resolve(options.extensionDevelopmentPath),
    extensionTestsPath: resolve(options.extensionTestsPath),
    workspace: resolve(options.workspace),
  };
  try {
    return {
      exitCode: await (host.kind === "desktop"
        ? runOnDesktop(host, dataDir, paths)
        : runOnServer(host, dataDir, paths)),
    };
  } finally {
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function runOnServer(host: ServerHost, dataDir: string, options: IntegrationOptions): Promise<number> {
  const server = await startServer(host, {
    dataDir,
    smokeTestDriver: true,
    trust: false,
    ...(options.userSettings && { settings: options.userSettings }),
  });
  try {
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      const ended = new Promise<number>((done, fail) => {
        page.once("crash", () => {
          fail(new Error("The page of VS Code crashed"));
        });
        page.once("close", () => {
          fail(new Error("The page of VS Code was closed before the tests ended"));
        });
        void page.exposeFunction("codeAutomationExit", (code: number) => {
          done(code);
        });
      });
      // Observed from the start, so that a failure before the race below is not an unhandled one.
      ended.catch(() => undefined);
      await page.exposeFunction("codeAutomationLog", (_kind: string, words: readonly unknown[]) => {
        print(words);
      });
      await page.goto(testAddress(server.url, options), { timeout: 0, waitUntil: "commit" });
      return await within(options.limitMs ?? defaultLimitMs, ended);
    } finally {
      await browser.close();
    }
  } finally {
    await server.close();
  }
}

/** VS Code for the web takes what a desktop one takes as arguments from its address. */
function testAddress(url: string, options: IntegrationOptions): string {
  const address = new URL(url);
  const remote = (path: string): string => `vscode-remote://${address.host}${path}`;
  address.searchParams.set("folder", options.workspace);
  address.searchParams.set(
    "payload",
    JSON.stringify([
      ["extensionDevelopmentPath", remote(options.extensionDevelopmentPath)],
      ["extensionTestsPath", remote(options.extensionTestsPath)],
      ["skipWelcome", "true"],
    ]),
  );
  return address.href;
}

/** Prints what a test said, not what VS Code says about itself on the same channel. */
function print(words: readonly unknown[]): void {
  if (typeof words[0] !== "string" || !ownWords.test(words[0])) console.log(...words);
}

const ownWords =
  /^(Resolv(ing|ed) connection token|Creating a socket|Creation of workbench|Updating additional builtin|Ignoring fetching|No search provider registered|Canceled: Canceled|Timed out waiting for authentication|\[(reconnection-grace-time|Service Worker|AccountPolicyGate|AgentHost))/;

async function runOnDesktop(host: DesktopHost, dataDir: string, options: IntegrationOptions): Promise<number> {
  await writeSettings(dataDir, options.userSettings ?? {});
  const child = startChild(
    host.executable,
    [
      options.workspace,
      `--extensionDevelopmentPath=${options.extensionDevelopmentPath}`,
      `--extensionTestsPath=${options.extensionTestsPath}`,
      `--user-data-dir=${join(dataDir, "user-data")}`,
      `--extensions-dir=${join(dataDir, "extensions")}`,
      "--disable-workspace-trust",
      "--skip-welcome",
      "--skip-release-notes",
      "--disable-updates",
      "--no-sandbox",
      "--disable-gpu-sandbox",
      "--disable-telemetry",
    ],
    { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, ELECTRON_RUN_AS_NODE: undefined } },
  );
  try {
    const ended = once(child, "exit").then(([code]) => (typeof code === "number" ? code : 1));
    return await within(options.limitMs ?? defaultLimitMs, ended);
  } finally {
    await stopChild(child);
  }
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`The tests did not end within ${String(limitMs / 1000)} s; VS Code was ended`));
    }, limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

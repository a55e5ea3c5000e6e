import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { patienceMs } from "./wait";

/** What a browser remembered of an earlier workbench. */
export interface BrowserPast {
  readonly file: string;
  /** The server must have it again: a browser remembers by address. */
  readonly port: number;
}

/** A browser window that remembers what it remembered then, and that can keep secrets. */
export async function openContext(browser: Browser, past: BrowserPast | undefined): Promise<BrowserContext> {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: "reduce",
    locale: "en-US",
    ...(past && { storageState: past.file }),
  });
  context.setDefaultTimeout(patienceMs);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  // VS Code for the web encrypts secrets with a key whose half a product's own server gives out; this server has none.
  // Without it SecretStorage would forget everything at a reload. Nothing secret is in a test.
  await context.route("**/mint-key", (route) => route.fulfill({ body: Buffer.alloc(32, 7) }));
  return context;
}

/** Keeps in the data folder what the browser remembers: secrets and the state of extensions lie there, not at the server. */
export async function saveBrowser(page: Page, dataDir: string): Promise<void> {
  // Leaving the page is what makes VS Code write what it still holds.
  await page.goto("about:blank");
  await page.context().storageState({ path: fileIn(dataDir), indexedDB: true });
}

/** What {@link saveBrowser} has kept, if it has. */
export async function browserPast(dataDir: string): Promise<BrowserPast | undefined> {
  const file = fileIn(dataDir);
  if (!existsSync(file)) return undefined;
  const port = /"origin":\s*"http:\/\/localhost:(\d+)"/.exec(await readFile(file, "utf8"))?.[1];
  return port === undefined ? undefined : { file, port: Number(port) };
}

function fileIn(dataDir: string): string {
  return join(dataDir, "browser.json");
}

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { textOf } from "./editors";
import { quickPick, runCommand } from "./quickInput";
import { eventually } from "./wait";

/** One row of the Problems view. */
export interface Problem {
  /** The name of the file, without its folder. */
  readonly file: string;
  readonly severity: "error" | "warning" | "info";
  readonly message: string;
  readonly source: string;
  readonly code: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

/** Shows an output channel. */
export async function openOutputChannel(page: Page, name: string): Promise<void> {
  await runCommand(page, "Output: Show Output Channels...");
  await quickPick(page, name);
  await page.locator(`.output-view[aria-label^="${name}"]`).waitFor();
}

/** The whole text of the output channel that is shown. */
export function outputText(page: Page): Promise<string> {
  return textOf(page, page.locator(".output-view .monaco-editor").first());
}

/** The file behind a log output channel, once the extension has made it. A restart makes a new one; this is the newest. */
export async function logFile(userDataDir: string, name: string): Promise<string> {
  const logs = join(userDataDir, "logs");
  return eventually(`the log file of "${name}" in ${logs}`, async () => {
    const files = await readdir(logs, { recursive: true });
    // Each start has a folder named by its time.
    const found = files
      .filter((file) => file.replaceAll("\\", "/").endsWith(`/${name}.log`))
      .sort()
      .at(-1);
    return found === undefined ? undefined : join(logs, found);
  });
}

/** Every row of the Problems view, which it opens. */
export async function problems(page: Page): Promise<readonly Problem[]> {
  await runCommand(page, "Problems: Focus on Problems View");
  const panel = page.locator(".markers-panel");
  await panel.waitFor();
  return eventually("the rows of the Problems view", async () => {
    const heading = await panel.locator("#markers-panel-arialabel").getAttribute("aria-label");
    const total = Number(/\d+/.exec(heading ?? "")?.[0] ?? 0);
    if (total === 0) return [];
    // Only the rows in sight are in the page. The wheel, because a key would select a row and so open its file.
    await panel.locator(".tree-container .monaco-list").first().hover();
    const rows = new Map<number, Row>();
    let found: readonly Problem[] = [];
    for (const step of [100, -100]) {
      let idle = 0;
      while (idle < 5 && found.length < total) {
        const before = rows.size;
        for (const row of await page.evaluate<readonly Row[]>(readRows)) rows.set(row.index, row);
        found = toProblems([...rows.values()].sort((a, b) => a.index - b.index));
        idle = rows.size === before ? idle + 1 : 0;
        await page.mouse.wheel(0, step);
      }
    }
    await page.mouse.move(0, 0);
    return found.length === total ? found : undefined;
  });
}

interface Row {
  readonly index: number;
  /** Only on a file's own row. */
  readonly file: string;
  readonly severity: string;
  readonly message: string;
  readonly source: string;
  readonly code: string;
  readonly position: string;
}

const readRows = `Array.from(document.querySelectorAll(".markers-panel .monaco-list-row"), (row) => {
  const text = (part) => Array.from(row.querySelectorAll(part), (found) => found.textContent).join("\\n");
  return {
    index: Number(row.dataset.index),
    file: text(".resource-label-container .label-name"),
    severity: row.querySelector(".marker-icon")?.className.replace("marker-icon", "").trim() ?? "",
    message: text(".marker-message"),
    source: text(".marker-source"),
    code: text(".marker-code"),
    position: text(".marker-line"),
  };
})`;

function toProblems(rows: readonly Row[]): readonly Problem[] {
  const found: Problem[] = [];
  let file = "";
  for (const row of rows) {
    if (row.file !== "") file = row.file;
    const place = /Ln (\d+), Col (\d+)/.exec(row.position);
    if (place === null) continue;
    const severity = row.severity === "error" || row.severity === "warning" ? row.severity : "info";
    const { message, source, code } = row;
    found.push({ file, severity, message, source, code, line: Number(place[1]), column: Number(place[2]) });
  }
  return found;
}

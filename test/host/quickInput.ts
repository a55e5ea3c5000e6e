import type { Locator, Page } from "playwright-core";
import { eventually, exactly } from "./wait";

const widget = ".quick-input-widget";
const input = `${widget} .quick-input-box input`;
const row = `${widget} .quick-input-list .monaco-list-row`;

/** Runs a command by its full title, as in "View: Toggle Output": it opens the palette and picks that very entry. */
export async function runCommand(page: Page, title: string): Promise<void> {
  await pickFrom(page, "F1", `>${title}`, entry(page, title), `the command "${title}" in the palette`);
}

/** Opens a file of the workspace by its path, with Go to File. */
export async function openByPath(page: Page, path: string): Promise<void> {
  const parts = path.split("/");
  const name = parts.pop() ?? "";
  const folder = parts.join("/");
  const found = folder === "" ? entry(page, name) : entry(page, name).filter({ hasText: folder });
  await pickFrom(page, "ControlOrMeta+P", path, found, `${path} in Go to File`);
}

/** Puts the cursor of the active editor at a line and column, both from 1. */
export async function goTo(page: Page, line: number, column: number): Promise<void> {
  await open(page, "ControlOrMeta+P", `:${line}:${column}`);
  await page.locator(row).first().waitFor();
  await page.keyboard.press("Enter");
  await page.locator(widget).waitFor({ state: "hidden" });
}

/** Chooses an entry of the quick pick that is open or about to open; only its label counts. */
export async function quickPick(page: Page, label: string): Promise<void> {
  const wanted = entry(page, label.replace(/\$\([^)]*\)/g, "").trim());
  const started = performance.now();
  await eventually(listed(page, `the entry "${label}"`), async () => {
    if (await wanted.first().isVisible()) {
      await wanted.first().click({ timeout: 2000 });
      return true;
    }
    // A long list draws only what is in sight; typing also tells the extension, so only if need be.
    if (performance.now() - started > 2000 && (await page.locator(input).isVisible()))
      await page.locator(input).fill(label);
    return undefined;
  });
}

/**
 * Types into the input box that is open or about to open, and accepts.
 * @throws when the box refuses the text, with its message.
 */
export async function quickInput(page: Page, text: string): Promise<void> {
  const box = page.locator(input);
  await box.waitFor();
  const before = await question(page);
  await box.fill(text);
  await box.press("Enter");
  let refusedSince: number | undefined;
  const refusal = await eventually(`the input box to take "${text}"`, async () => {
    if (!(await box.isVisible()) || (await question(page)) !== before || (await box.inputValue()) !== text) return "";
    if ((await page.locator(`${widget} .monaco-inputbox.error`).count()) === 0) refusedSince = undefined;
    else refusedSince ??= performance.now();
    // An asynchronous check may refuse first and agree at once.
    return refusedSince !== undefined && performance.now() - refusedSince > 1000 ? quickInputMessage(page) : undefined;
  });
  if (refusal !== "") throw new Error(`The input box refused "${text}": ${refusal}`);
}

/** What the open input box says below its field: the prompt, or why it refuses the text. */
async function quickInputMessage(page: Page): Promise<string> {
  return (await page.locator(`${widget} .quick-input-message`).innerText()).trim();
}

/** The labels of the quick pick that is open or about to open. */
export function settledLabels(page: Page): Promise<readonly string[]> {
  // The widget of the list before is used again, and shows its old rows until the new ones are drawn.
  let same = 0;
  let last = "";
  return eventually("a quick pick", async () => {
    const labels = await quickPickLabels(page);
    same = labels.join("\n") === last ? same + 1 : 0;
    last = labels.join("\n");
    return labels.length > 0 && same >= 5 ? labels : undefined;
  });
}

async function quickPickLabels(page: Page): Promise<readonly string[]> {
  return (await page.locator(`${row} .quick-input-list-row:first-child .label-name`).allInnerTexts()).map((label) =>
    label.trim(),
  );
}

/** What tells one step of a series of inputs from the next. */
async function question(page: Page): Promise<string> {
  const title = await page.locator(`${widget} .quick-input-title`).innerText();
  return `${title}\n${(await page.locator(input).getAttribute("placeholder")) ?? ""}`;
}

function entry(page: Page, label: string): Locator {
  return page.locator(row).filter({ has: page.locator(".label-name", { hasText: exactly(label) }) });
}

async function pickFrom(page: Page, key: string, text: string, wanted: Locator, what: string): Promise<void> {
  await eventually(listed(page, what), async () => {
    await open(page, key, text);
    // The list does not grow by itself when an extension is still coming: then ask again.
    await wanted.first().click({ timeout: 3000 });
    return true;
  });
  // What the command asks next comes in the same widget: whoever looks there must not see this list any more.
  await eventually(`the list with ${what} to go`, async () => ((await wanted.first().isVisible()) ? undefined : true));
}

async function open(page: Page, key: string, text: string): Promise<void> {
  await eventually("the quick input", async () => {
    // A page in a frame would keep the key for itself.
    await page.evaluate("document.activeElement instanceof HTMLIFrameElement && document.activeElement.blur()");
    if (await page.locator(widget).isVisible()) await page.keyboard.press("Escape");
    await page.keyboard.press(key);
    await page.locator(input).fill(text, { timeout: 2000 });
    return true;
  });
}

function listed(page: Page, what: string): () => Promise<string> {
  return async () => `${what}; listed: ${(await quickPickLabels(page)).join(" | ") || "nothing"}`;
}

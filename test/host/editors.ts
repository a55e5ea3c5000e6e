import type { Locator, Page } from "playwright-core";
import { openByPath, runCommand } from "./quickInput";
import { eventually } from "./wait";

const activeGroup = ".part.editor .editor-group-container.active";
const activeEditor = `${activeGroup} .editor-instance .monaco-editor[data-uri]`;

/** Opens a file of the workspace and resolves when its editor is shown. */
export async function openFile(page: Page, relativePath: string): Promise<void> {
  const editor = page.locator(`${activeGroup} .monaco-editor[data-uri$="/${encodeURI(relativePath)}"]`).first();
  // A webview that takes the focus just then closes Go to File without an answer: a person would ask again.
  await eventually(`${relativePath} in the active editor`, async () => {
    await openByPath(page, relativePath);
    return await editor.waitFor({ timeout: 10_000 }).then(
      () => true,
      () => undefined,
    );
  });
}

/** The whole text of the active editor, saved or not. */
export function editorText(page: Page): Promise<string> {
  return textOf(page, active(page));
}

/**
 * The whole text of an editor, however long: only the lines in sight are in the page, so it goes through the clipboard.
 *
 * The selection is put back; the clipboard is not.
 */
export async function textOf(page: Page, editor: Locator): Promise<string> {
  const lines = editor.locator(".view-lines .view-line");
  const nothing = "\u0000nothing copied";
  await lines.first().waitFor();
  return eventually("the text of the editor", async () => {
    // Copying from an empty document would copy its one, empty line.
    if ((await lines.count()) === 1 && (await lines.innerText()).trim() === "") return "";
    await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(nothing)})`);
    await focus(editor);
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.press("ControlOrMeta+C");
    const text = await page.evaluate<string>("navigator.clipboard.readText()");
    await page.keyboard.press("ControlOrMeta+U");
    return text === nothing ? undefined : text.replaceAll("\r\n", "\n");
  });
}

/** Replaces the whole text of the active editor at once, without the editor's help at typing. */
export async function replaceEditorText(page: Page, text: string): Promise<void> {
  await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(text)})`);
  await focus(active(page));
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.press(text === "" ? "Delete" : "ControlOrMeta+V");
  await eventually("the editor to hold the new text", async () =>
    (await editorText(page)) === text ? true : undefined,
  );
}

/** Types at the cursor, key by key, as a person does: brackets close and suggestions come up. */
export async function typeInEditor(page: Page, text: string): Promise<void> {
  await focus(active(page));
  await page.keyboard.type(text);
}

/** Saves the active editor and resolves when its tab no longer shows unsaved changes. */
export async function save(page: Page): Promise<void> {
  await focus(active(page));
  await page.keyboard.press("ControlOrMeta+S");
  await page.locator(`${activeGroup} .tab.active:not(.dirty)`).waitFor();
}

/** Replaces the user's settings, in their editor: VS Code for the web does not notice when the file changes by itself. */
export async function editSettings(page: Page, text: string): Promise<void> {
  await runCommand(page, "Preferences: Open User Settings (JSON)");
  await page.locator(`${activeGroup} .monaco-editor[data-uri$="/User/settings.json"]`).first().waitFor();
  await replaceEditorText(page, text);
  await save(page);
  await runCommand(page, "View: Close Editor");
}

/** The code lenses in sight, in order. */
export async function codeLenses(page: Page): Promise<readonly string[]> {
  const parts = await page.locator(`${activeGroup} .codelens-decoration`).locator("> a, > span").allTextContents();
  return parts.map((part) => part.replaceAll("\u00a0", " ").trim()).filter((part) => part !== "" && part !== "|");
}

/** Clicks the code lens that contains this text. */
export async function clickCodeLens(page: Page, text: string | RegExp): Promise<void> {
  await page.locator(`${activeGroup} .codelens-decoration > a`, { hasText: text }).first().click();
}

/** Asks for suggestions at the cursor; their labels, in order, as far as the list shows them. */
export async function suggestions(page: Page): Promise<readonly string[]> {
  const widget = page.locator(".suggest-widget.visible");
  return eventually("suggestions", async () => {
    if (!(await widget.isVisible())) {
      await focus(active(page));
      await page.keyboard.press("Control+Space");
      await widget.waitFor({ timeout: 3000 });
    }
    const labels = await widget.locator(".monaco-list-row .label-name").allInnerTexts();
    return labels.length > 0 ? labels : undefined;
  });
}

function active(page: Page): Locator {
  return page.locator(activeEditor).filter({ visible: true }).first();
}

/** Focus without a click, which would move the cursor. Newer editors take keys in an element, older ones in a text area. */
async function focus(editor: Locator): Promise<void> {
  await editor.locator(".native-edit-context, textarea.inputarea").first().focus();
}

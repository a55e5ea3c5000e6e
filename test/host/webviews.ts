import type { ConsoleMessage, Frame, Page } from "playwright-core";
import { eventually } from "./wait";

const outerPage = "/webview/browser/pre/index.html";
const innerPage = "/webview/browser/pre/fake.html";

/**
 * The inner page of the webview whose title contains `titlePart`, once it has content; its tab is brought to the front.
 *
 * Ask again after the extension has set new HTML: that is another frame.
 */
export async function webview(page: Page, titlePart: string): Promise<Frame> {
  const tab = page.locator(".part.editor .tab").filter({ hasText: titlePart }).first();
  return eventually(
    async () => `a webview titled "${titlePart}"; there are: ${(await titles(page)).join(" | ") || "none"}`,
    async () => {
      if ((await tab.isVisible()) && (await tab.getAttribute("aria-selected")) !== "true")
        await tab.click({ timeout: 2000 });
      for (const frame of innerFrames(page)) {
        const element = await frame.frameElement();
        if ((await element.getAttribute("id")) !== "active-frame") continue;
        if (!((await element.getAttribute("title")) ?? "").includes(titlePart)) continue;
        const outer = await frame.parentFrame()?.frameElement();
        if ((await outer?.isVisible()) !== true) continue;
        if (await frame.evaluate<boolean>("document.readyState !== 'loading' && document.body.childElementCount > 0"))
          return frame;
      }
      return undefined;
    },
  );
}

/** Collects what goes wrong inside webviews: errors, and what their content security policy refused. */
export function collectWebviewErrors(page: Page): readonly string[] {
  const errors: string[] = [];
  page.on("console", (message: ConsoleMessage) => {
    if (message.type() !== "error") return;
    const where = message.location().url;
    if (isWebview(where)) errors.push(`${message.text()} (${where})`);
  });
  page.on("pageerror", (error) => {
    if (isWebview(error.stack ?? "")) errors.push(error.stack ?? error.message);
  });
  return errors;
}

function innerFrames(page: Page): readonly Frame[] {
  return page
    .frames()
    .filter((frame) => frame.url().includes(innerPage) && frame.parentFrame()?.url().includes(outerPage) === true);
}

async function titles(page: Page): Promise<readonly string[]> {
  return Promise.all(
    innerFrames(page).map(async (frame) => (await (await frame.frameElement()).getAttribute("title")) ?? ""),
  );
}

/** Its document, or a file that it loads from the extension. */
function isWebview(text: string): boolean {
  return text.includes("/webview/browser/pre/") || text.includes("vscode-resource");
}

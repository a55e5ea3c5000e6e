import type { Locator, Page } from "playwright-core";
import { runCommand } from "./quickInput";
import { eventually, exactly, matches } from "./wait";

/** A modal question of VS Code. */
export interface Modal {
  readonly message: string;
  readonly detail: string;
  /** As drawn, from left to right. */
  readonly buttons: readonly string[];
  /** Answers, and resolves when the question is gone. */
  press(button: string): Promise<void>;
}

/** The modal that is open or about to open. */
export async function modal(page: Page): Promise<Modal> {
  const box = page.locator(".monaco-dialog-box");
  await box.waitFor();
  const textOf = async (part: string): Promise<string> => (await box.locator(part).allInnerTexts()).join("\n").trim();
  const message = await textOf(".dialog-message-text");
  return {
    message,
    detail: await textOf(".dialog-message-detail"),
    buttons: await box.locator(".dialog-buttons .monaco-button").allInnerTexts(),
    press: async (button) => {
      await box.locator(".dialog-buttons .monaco-button", { hasText: exactly(button) }).click();
      // Another question may follow at once.
      await eventually(`the question "${message}" to close`, async () =>
        !(await box.isVisible()) || (await textOf(".dialog-message-text")) !== message ? true : undefined,
      );
    },
  };
}

/**
 * Every notification that was ever drawn, also those that have faded since, in order.
 *
 * Run in each new page before its scripts: toasts go away by themselves, so a look at the page alone would miss some.
 */
export const recordNotifications = `if (window === window.top) {
  const seen = (window.seenNotifications = []);
  const last = new WeakMap();
  new MutationObserver(() => {
    for (const item of document.querySelectorAll(".notifications-toasts .notification-list-item")) {
      const text = item.querySelector(".notification-list-item-message")?.innerText.trim() ?? "";
      if (text === "" || last.get(item) === text) continue;
      last.set(item, text);
      seen.push(text);
    }
  }).observe(document, { subtree: true, childList: true, characterData: true });
}`;

/** The texts of {@link recordNotifications}; a progress counts once for each of its texts. */
export function notificationHistory(page: Page): Promise<readonly string[]> {
  return page.evaluate<readonly string[]>("window.seenNotifications");
}

/** The texts of the notifications in sight, the newest first. */
export async function notifications(page: Page): Promise<readonly string[]> {
  return (await visibleItems(page).locator(".notification-list-item-message").allInnerTexts()).map((text) =>
    text.trim(),
  );
}

/** Presses a button of a notification; if its toast has faded, in the notification centre. */
export async function notificationButton(page: Page, text: string | RegExp, button: string): Promise<void> {
  const item = visibleItems(page)
    .filter({ has: page.locator(".notification-list-item-message", { hasText: text }) })
    .first();
  const wanted = item.locator(".notification-list-item-buttons-container .monaco-button", { hasText: exactly(button) });
  await eventually(
    async () =>
      `the button "${button}" of the notification "${String(text)}"; in sight: ${(await notifications(page)).join(" | ")}`,
    async () => {
      if (!(await item.isVisible())) {
        if (!(await notificationHistory(page)).some((seen) => matches(seen, text))) return undefined;
        await runCommand(page, "Notifications: Show Notifications");
      }
      if (!(await wanted.isVisible())) {
        // Collapsed: its buttons are drawn when it is expanded.
        await item.getByRole("button", { name: /^Expand Notification/ }).click({ timeout: 1000 });
      }
      await wanted.click({ timeout: 2000 });
      return true;
    },
  );
}

function visibleItems(page: Page): Locator {
  return page
    .locator(".notifications-toasts.visible, .notifications-center.visible")
    .locator(".notification-list-item");
}

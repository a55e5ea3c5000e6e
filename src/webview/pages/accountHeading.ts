/** The top of the right side: which account is shown and what can be done with it as a whole; for the sandbox, all there is. */
import type { AccountCard, SettingsState } from "../protocol";
import { button, messageBox } from "./controls";
import { element } from "./dom";

/** What the heading is about. */
export type HeadingSubject =
  { readonly kind: "saved"; readonly card: AccountCard } | { readonly kind: "new" } | { readonly kind: "sandbox" };

/** The heading. */
export interface AccountHeading {
  readonly element: HTMLElement;
  show(subject: HeadingSubject, state: SettingsState): void;
}

/** Makes the heading. */
export function accountHeading(actions: {
  add(): void;
  setDefault(card: AccountCard): void;
  openSettings(card: AccountCard): void;
  remove(card: AccountCard): void;
}): AccountHeading {
  const title = element("h1", {});
  const detail = element("p", { class: "heading-detail" });
  const buttons = element("div", { class: "heading-actions" });
  const text =
    "This workspace is not trusted: its own accounts are not shown, and nothing connects or is sent until you trust it.";
  const banner = element("div", { class: "banner" }, messageBox({ severity: "warning", text }));
  const note = element("div", { class: "empty" });
  let shown = "";

  const buttonsFor = (card: AccountCard, isDefault: boolean): readonly HTMLElement[] => [
    ...(isDefault ? [] : [button("Set as Default", "secondary", () => actions.setDefault(card))]),
    button("Edit in settings.json", "secondary", () => actions.openSettings(card)),
    button("Remove", "secondary", () => actions.remove(card)),
  ];

  return {
    element: element(
      "header",
      {},
      element("div", { class: "heading" }, element("div", { class: "heading-line" }, title, buttons), detail),
      banner,
      note,
    ),
    show: (subject, state) => {
      const texts = textsOf(subject, state);
      banner.hidden = state.trusted;
      // Rebuilt only when it changes, so that a focused button stays.
      const now = JSON.stringify([subject.kind, texts, state.accounts.length === 0]);
      if (now === shown) return;
      shown = now;
      title.textContent = texts.title;
      detail.textContent = texts.detail;
      buttons.replaceChildren(
        ...(subject.kind === "saved" ? buttonsFor(subject.card, subject.card.id === state.defaultId) : []),
      );
      note.replaceChildren(...(subject.kind === "sandbox" ? sandboxNote(state, actions) : []));
    },
  };
}

function textsOf(subject: HeadingSubject, state: SettingsState): { readonly title: string; readonly detail: string } {
  switch (subject.kind) {
    case "sandbox":
      return { title: "Sandbox", detail: "Sandbox: nothing leaves this machine." };
    case "new":
      return { title: "New Account", detail: "Where and as whom your campaigns are sent." };
    case "saved": {
      const { id, level, overrides } = subject.card;
      const label = state.levels.find((one) => one.level === level)?.label ?? "";
      const sentences = [
        `Kept in the ${label} settings.`,
        id === state.defaultId ? "Campaigns that name no account are sent through this one." : "",
        overrides.length === 0 ? "" : `Takes the place of the same name in the ${overrides.join(" and ")} settings.`,
      ];
      return { title: id, detail: sentences.filter((sentence) => sentence !== "").join(" ") };
    }
  }
}

function sandboxNote(state: SettingsState, actions: { add(): void }): readonly HTMLElement[] {
  const text =
    "The sandbox is a mail server inside the extension. Rehearsals go there, and so does every campaign until you add an account: the mails are kept as files that you can open.";
  if (state.accounts.length > 0) return [element("p", { text }), element("p", { text: "It needs no settings." })];
  return [
    element("p", { text }),
    element("p", { text: "To send real mail, add the account that you send it from." }),
    button("Add Account", "primary", () => actions.add()),
  ];
}

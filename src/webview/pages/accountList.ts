/** The list of accounts on the left. */
import type { AccountCard, AccountForm, SettingsState } from "../protocol";
import { button } from "./controls";
import { element } from "./dom";
import type { Draft } from "./drafts";
import { keyOf, newKey, sandboxKey } from "./drafts";

/** One line of the list. */
interface ListItem {
  readonly key: string;
  readonly title: string;
  readonly detail: string;
  /** Who is signed in with the browser, where that is how the account signs in. */
  readonly signIn: string;
  readonly isDefault: boolean;
  /** Something is not saved. */
  readonly modified: boolean;
  /** Something keeps it from being used. */
  readonly broken: boolean;
}

/** The list; arrow keys move through it, Enter and a click turn to an account. */
export interface AccountList {
  readonly element: HTMLElement;
  show(items: readonly ListItem[], selected: string): void;
}

/** Makes the list. */
export function accountList(actions: { select(key: string): void; add(): void }): AccountList {
  const items = element("ul", { class: "account-items", attributes: { role: "list" } });
  const nav = element(
    "nav",
    { class: "account-list", attributes: { "aria-label": "Accounts" } },
    items,
    element(
      "div",
      { class: "account-add" },
      button("Add Account", "secondary", () => actions.add()),
    ),
  );
  items.addEventListener("keydown", (event) => {
    const buttons = [...items.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    buttons[Math.max(0, Math.min(to, buttons.length - 1))]?.focus();
  });
  return {
    element: nav,
    show: (list, selected) => {
      // Rows are reused by key, so that the focus stays where it is.
      const rows = new Map([...items.querySelectorAll("li")].map((row) => [row.dataset.key, row]));
      items.replaceChildren(
        ...list.map((item) => {
          const row = rows.get(item.key) ?? newRow(item.key, actions);
          fillRow(row, item, item.key === selected);
          return row;
        }),
      );
    },
  };
}

function newRow(key: string, actions: { select(key: string): void }): HTMLLIElement {
  return element(
    "li",
    { attributes: { "data-key": key } },
    element("button", {
      class: "account-item",
      attributes: { type: "button" },
      onClick: () => actions.select(key),
    }),
  );
}

function fillRow(row: HTMLLIElement, item: ListItem, selected: boolean): void {
  const target = row.querySelector("button");
  if (target === null) return;
  const title = element(
    "span",
    { class: "account-title" },
    element("span", { class: "account-name", text: item.title }),
  );
  if (item.isDefault) title.append(element("span", { class: "badge", text: "default" }));
  if (item.broken) title.append(element("span", { class: "badge badge-error", text: "needs attention" }));
  if (item.modified)
    title.append(element("span", { class: "dirty", attributes: { role: "img", "aria-label": "unsaved changes" } }));
  target.replaceChildren(
    title,
    ...[item.detail, item.signIn]
      .filter((line) => line !== "")
      .map((text) => element("span", { class: "account-detail", text })),
  );
  target.classList.toggle("selected", selected);
  if (selected) target.setAttribute("aria-current", "true");
  else target.removeAttribute("aria-current");
}

/** The lines for every account, the one that is not saved yet, and the sandbox. */
export function listItems(
  { accounts, defaultId, levels }: SettingsState,
  drafts: ReadonlyMap<string, Draft>,
): readonly ListItem[] {
  const labels = new Map(levels.map(({ level, label }) => [level, label]));
  const saved = accounts.map((card): ListItem => {
    const key = keyOf(card.id, card.level);
    return {
      key,
      title: card.id,
      detail: [serverOf(card.form), labels.get(card.level)]
        .filter((part) => part !== "" && part !== undefined)
        .join(" · "),
      signIn: signInLine(card),
      isDefault: card.id === defaultId,
      modified: drafts.has(key),
      broken: card.problems.some((problem) => problem.severity === "error"),
    };
  });
  const fresh = drafts.get(newKey);
  return [
    ...saved,
    ...(fresh === undefined ? [] : [itemOfNew(fresh)]),
    {
      key: sandboxKey,
      title: "Sandbox",
      detail: "Built in · nothing leaves this machine",
      signIn: "",
      isDefault: defaultId === sandboxKey,
      modified: false,
      broken: false,
    },
  ];
}

function serverOf({ transport, host }: AccountForm): string {
  return transport === "gmailApi" ? "Gmail API" : host;
}

function signInLine({ signIn }: AccountCard): string {
  switch (signIn?.kind) {
    case undefined:
      return "";
    case "signedIn":
      return signIn.user === "" ? "Signed in" : `Signed in as ${signIn.user}`;
    case "signedOut":
      return "Not signed in";
    case "elsewhere":
      return "Signed in for another setup";
  }
}

function itemOfNew({ form }: Draft): ListItem {
  return {
    key: newKey,
    title: form.name.trim() === "" ? "New account" : form.name,
    detail: serverOf(form) === "" ? "Not saved yet" : `${serverOf(form)} · not saved yet`,
    signIn: "",
    isDefault: false,
    modified: true,
    broken: false,
  };
}

/** The browser half of the preview: header lines, the message as HTML, text and source, and the way through the rows. */
import { createRpc } from "../../rpc";
import type { HardRow, PreviewedMessage, PreviewHost, PreviewPage, PreviewState } from "../protocol";
import { connect, element } from "./dom";

const tabs = ["HTML", "Text", "Headers", "Source"] as const;
type Tab = (typeof tabs)[number];

/** The state is what VS Code gives back to the host when it restores the panel. */
const page = connect<Pick<PreviewState, "file" | "index">>();
const host = createRpc<PreviewHost, PreviewPage>(page.port, { show: (state) => show(state) });

let current: PreviewState | undefined;
let tab: Tab = "HTML";
/** What the frame shows, so that an unchanged message keeps its place while problems come and go. */
let framed: string | undefined;

const previous = turnButton("Previous row", "‹", -1);
const next = turnButton("Next row", "›", 1);
const rowInput = element("input", { attributes: { type: "text", inputmode: "numeric", "aria-label": "Row" } });
const rowCount = element("span", { class: "count" });
const rowFacts = element("span", { class: "facts" });
const findInput = element("input", {
  class: "find",
  attributes: { type: "search", placeholder: "Find a row", "aria-label": "Find a row by any of its cells" },
});
const hardRows: readonly (readonly [HardRow | "", string])[] = [
  ["", "Hard rows"],
  ["longest", "Longest cell"],
  ["emptiest", "Most empty cells"],
  ["foreign", "Most letters beyond ASCII"],
];
const hardSelect = element(
  "select",
  { attributes: { "aria-label": "Turn to a hard row" } },
  ...hardRows.map(([value, text]) => element("option", { text, attributes: { value } })),
);
const notice = element("p", { class: "notice", hidden: true, attributes: { role: "status" } });
const problems = element("ul", { class: "problems", hidden: true, attributes: { "aria-label": "Problems" } });
const headers = element("dl", { class: "headers" });
const tabButtons = tabs.map((name) => tabButton(name));
const tabList = element(
  "div",
  { class: "tabs", attributes: { role: "tablist", "aria-label": "Parts of the message" } },
  ...tabButtons,
);
// A sandbox without any token: no script, no form, no window, no way to move this page, no origin.
/** How the message is looked at; the message itself does not change. */
const phone = toggle("Phone width", () => panel.classList.toggle("phone", isOn(phone)));
const dark = toggle("Dark", () => frameAgain());
const pictures = toggle("Pictures from the web", () => frameAgain());
const looks = element(
  "div",
  { class: "looks", attributes: { role: "group", "aria-label": "View" } },
  pictures,
  phone,
  dark,
);
const frame = element("iframe", { class: "message", attributes: { sandbox: "", title: "The message as HTML" } });
const plain = element("pre", { class: "plain", attributes: { tabindex: "0" } });
const panel = element("section", { id: "part", attributes: { role: "tabpanel" } }, frame, plain);

document
  .getElementById("page")
  ?.append(
    element(
      "nav",
      { class: "rows", attributes: { "aria-label": "Rows" } },
      previous,
      rowInput,
      rowCount,
      next,
      rowFacts,
      element("div", { class: "search" }, findInput, hardSelect),
    ),
    notice,
    problems,
    headers,
    element("div", { class: "bar" }, tabList, looks),
    panel,
  );

rowInput.addEventListener("change", () => {
  const row = Number.parseInt(rowInput.value, 10);
  if (Number.isFinite(row)) host.event("turnTo", Math.max(0, row - 1));
  else if (current !== undefined) showRow(current);
});
findInput.addEventListener("keydown", (event) => {
  if (event.key === "Enter") host.event("find", findInput.value);
});
hardSelect.addEventListener("change", () => {
  const [what] = hardRows.find(([value]) => value === hardSelect.value) ?? [""];
  hardSelect.value = "";
  if (what !== "") host.event("findHard", what);
});
document.addEventListener("keydown", (event) => {
  if (event.target === rowInput || event.target === findInput || event.ctrlKey || event.metaKey) return;
  if (event.altKey && event.key === "ArrowLeft") turn(-1);
  else if (event.altKey && event.key === "ArrowRight") turn(1);
});
select(tab);
host.event("load");

function turn(by: number): void {
  if (current === undefined || current.count === 0) return;
  host.event("turnTo", Math.min(Math.max(0, current.index + by), current.count - 1));
}

function show(state: PreviewState): void {
  // Pictures were asked for in one letter: another one may tell its sender of every row that is looked at.
  if (state.file !== current?.file) pictures.setAttribute("aria-pressed", "false");
  current = state;
  page.keep({ file: state.file, index: state.index });
  document.body.classList.toggle("stale", state.stale);
  notice.textContent = state.notice !== "" ? state.notice : missingText(state);
  notice.hidden = notice.textContent === "";
  showRow(state);
  showProblems(state);
  showHeaders(state.message);
  showPart();
}

/** Why the row's own message is not on show; empty when it is. */
function missingText({ row, stale, message }: PreviewState): string {
  if (message !== undefined && !stale) return "";
  const below = stale ? " Below is the last one that could be shown." : "";
  switch (row?.fate) {
    case "repeated":
      return `This row repeats an earlier one and is not mailed.${below}`;
    case "suppressed":
      return `This address is suppressed and not mailed.${below}`;
    case "mail":
    case "invalid":
    case undefined:
      return `This message cannot be made yet.${below}`;
  }
}

function showRow({ index, count, row }: PreviewState): void {
  rowInput.value = count === 0 ? "0" : String(index + 1);
  rowInput.disabled = count === 0;
  rowCount.textContent = `of ${count.toLocaleString("en")}`;
  rowFacts.textContent = row === undefined ? "" : `line ${String(row.line)} · ${row.address}`;
  previous.disabled = index <= 0;
  next.disabled = index >= count - 1;
}

function showProblems(state: PreviewState): void {
  problems.hidden = state.problems.length === 0;
  problems.replaceChildren(
    ...state.problems.map(({ severity, message, place }, index) =>
      element(
        "li",
        { class: severity },
        `${label(severity)}: ${message} `,
        element("button", {
          class: "link",
          text: place,
          attributes: { type: "button" },
          onClick: () => host.event("openProblem", index),
        }),
      ),
    ),
  );
}

function label(severity: PreviewState["problems"][number]["severity"]): string {
  return { error: "Error", warning: "Warning", information: "Note" }[severity];
}

function showHeaders(message: PreviewedMessage | undefined): void {
  const lines: readonly (readonly [string, string])[] =
    message === undefined
      ? []
      : [
          ["Subject", message.subject],
          ["From", message.from],
          ["To", message.to],
          ["Copies to", message.copies.join(", ")],
          ["Attached", message.attachments.map(({ name, size }) => `${name} (${bytes(size)})`).join(", ")],
          ["Size", bytes(message.size)],
        ];
  headers.replaceChildren(
    ...lines
      .filter(([, value]) => value !== "")
      .flatMap(([name, value]) => [
        element("dt", { text: name }),
        element("dd", { text: value, attributes: { dir: "auto" } }),
      ]),
  );
}

function showPart(): void {
  const message = current?.message;
  panel.hidden = message === undefined;
  tabList.hidden = message === undefined;
  looks.hidden = message === undefined || tab !== "HTML";
  pictures.hidden = current?.mayFetch !== true || message === undefined || !isFetching(message.html);
  frame.hidden = tab !== "HTML";
  plain.hidden = tab === "HTML";
  if (message === undefined) return;
  if (tab === "HTML") {
    if (framed === message.html) return;
    framed = message.html;
    frame.srcdoc = harmless(message.html, isOn(pictures) && current?.mayFetch === true, isOn(dark));
  } else {
    plain.textContent = tab === "Text" ? message.text : tab === "Headers" ? headOf(message.source) : message.source;
  }
}

/** The header of a message (RFC 5322 §2.1): up to its first empty line. Date and Message-ID are set anew when it is sent. */
function headOf(source: string): string {
  return (source.split(/\r?\n\r?\n/, 1)[0] ?? "").replace(/^(?:Date|Message-ID):.*$/gim, "$& (set when it is sent)");
}

/** Whether a letter shows pictures that did not come along. */
function isFetching(html: string): boolean {
  return /<img\b[^>]*\ssrc\s*=\s*["']?https:|url\(\s*["']?https:/i.test(html);
}

function frameAgain(): void {
  framed = undefined;
  frame.classList.toggle("dark", isOn(dark));
  showPart();
}

function toggle(text: string, changed: () => unknown): HTMLButtonElement {
  const made = element("button", {
    class: "look",
    text,
    attributes: { type: "button", "aria-pressed": "false" },
    onClick: () => {
      made.setAttribute("aria-pressed", String(!isOn(made)));
      changed();
    },
  });
  return made;
}

function isOn(button: HTMLButtonElement): boolean {
  return button.getAttribute("aria-pressed") === "true";
}

/**
 * The HTML with every link turned into one that needs a new window, which the frame may not open; with nothing in it that
 * moves on by itself; and with a policy of its own, so that nothing is fetched whatever the page around it allows: pictures only, and
 * only when a person asked for them, without a word of where they are shown.
 */
function harmless(html: string, withPictures: boolean, isDark: boolean): string {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  for (const one of parsed.querySelectorAll("script, base, meta, link, iframe, frame, object, embed")) one.remove();
  for (const link of parsed.querySelectorAll("a, area, form")) {
    link.setAttribute("target", "_blank");
    const href = link.getAttribute("href");
    if (href !== null) link.setAttribute("title", href);
  }
  const policy = parsed.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = `default-src 'none'; img-src data:${withPictures ? " https:" : ""}; style-src 'unsafe-inline'; form-action 'none'`;
  const referrer = parsed.createElement("meta");
  referrer.name = "referrer";
  referrer.content = "no-referrer";
  // What the letter leaves open is dark or light, as in mail programs; what it colours stays.
  const scheme = parsed.createElement("meta");
  scheme.name = "color-scheme";
  scheme.content = isDark ? "dark" : "light";
  parsed.head.prepend(policy, referrer, scheme);
  return `<!DOCTYPE html>${parsed.documentElement.outerHTML}`;
}

function tabButton(name: Tab): HTMLButtonElement {
  const made = element("button", {
    class: "tab",
    text: name,
    attributes: { type: "button", role: "tab", "aria-controls": "part" },
    onClick: () => select(name),
  });
  made.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0 || event.altKey) return;
    const index = (tabs.indexOf(name) + step + tabs.length) % tabs.length;
    select(tabs[index] ?? name);
    tabButtons[index]?.focus();
  });
  return made;
}

/** Roving focus, as the pattern for tabs asks: only the selected tab is a stop of the Tab key. */
function select(name: Tab): void {
  tab = name;
  for (const [index, made] of tabButtons.entries()) {
    const selected = tabs[index] === name;
    made.setAttribute("aria-selected", String(selected));
    made.tabIndex = selected ? 0 : -1;
    if (selected) panel.setAttribute("aria-label", name);
  }
  showPart();
}

function turnButton(name: string, sign: string, by: number): HTMLButtonElement {
  const attributes = { type: "button", "aria-label": name, title: name };
  return element("button", { class: "turn", text: sign, attributes, onClick: () => turn(by) });
}

function bytes(size: number): string {
  if (size < 1000) return `${String(size)} bytes`;
  return size < 1_000_000 ? `${String(Math.round(size / 1000))} KB` : `${(size / 1_000_000).toFixed(1)} MB`;
}

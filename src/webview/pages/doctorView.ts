/** The steps of a connection test: they come one by one; what is wrong stands below its step, with what mends it. */
import type { TestFix, TestStep } from "../protocol";
import { button, linkTo } from "./controls";
import { element, icon } from "./dom";

/** The list of steps. */
export interface DoctorView {
  readonly element: HTMLElement;
  /** Shows every step so far; a step that says the same as before keeps its elements, and so the focus. */
  show(steps: readonly TestStep[]): void;
  clear(): void;
}

const states = {
  ok: { picture: "pass", word: "worked" },
  warning: { picture: "warning", word: "needs a look" },
  failed: { picture: "error", word: "failed" },
} as const;

/** Makes the list; `mend` is called with the fix that the person chose. */
export function doctorView(mend: (fix: TestFix) => void): DoctorView {
  const list = element("ol", { class: "steps", attributes: { role: "list" } });
  // It scrolls, so the keyboard must be able to stop at it.
  const region = element(
    "div",
    {
      class: "steps-region",
      hidden: true,
      attributes: { role: "region", "aria-label": "Steps of the test", tabindex: "0" },
    },
    list,
  );
  let shown = new Map<string, HTMLElement>();
  return {
    element: region,
    show: (steps) => {
      const next = new Map<string, HTMLElement>();
      for (const step of steps) {
        const key = JSON.stringify(step);
        next.set(key, shown.get(key) ?? row(step, mend));
      }
      region.hidden = next.size === 0;
      for (const [key, old] of shown) if (!next.has(key)) old.remove();
      [...next.values()].forEach((item, index) => {
        if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
      });
      shown = next;
      list.lastElementChild?.scrollIntoView({ block: "nearest" });
    },
    clear: () => {
      shown = new Map();
      list.replaceChildren();
      region.hidden = true;
    },
  };
}

function row(step: TestStep, mend: (fix: TestFix) => void): HTMLElement {
  const { picture, word } = states[step.state];
  const made = element(
    "li",
    { class: `step step-${step.state}`, attributes: { "data-step": step.name } },
    icon(picture),
    element("span", { class: "step-title", text: step.title }, element("span", { class: "unseen", text: ` ${word}` })),
    element(
      "span",
      { class: "step-seen" },
      ...(step.seen === "" ? [] : [element(step.quoted ? "q" : "span", { text: step.seen })]),
    ),
    element("span", { class: "step-time", text: duration(step.ms) }),
  );
  // Of a failure the sentence is the headline of the whole.
  const text = step.state === "failed" ? "" : step.text;
  if (text !== "" || step.fixes.length > 0)
    made.append(
      element(
        "div",
        { class: "step-more" },
        ...(text === "" ? [] : [element("p", { text })]),
        ...(step.fixes.length === 0 ? [] : [element("div", { class: "step-fixes" }, ...step.fixes.map(mender))]),
      ),
    );
  return made;

  function mender(fix: TestFix): HTMLElement {
    return fix.kind === "open" ? linkTo(fix.title, fix.url) : button(fix.title, "secondary", () => mend(fix));
  }
}

function duration(ms: number): string {
  return ms < 1000 ? `${String(Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`;
}

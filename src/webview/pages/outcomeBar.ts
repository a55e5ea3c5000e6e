/** The bar below the form: what can be done with it, and what came of it. */
import { button, linkButton, progressRing } from "./controls";
import type { IconName } from "./dom";
import { element, icon } from "./dom";

/** The bar. What it says is read out by screen readers. */
export interface OutcomeBar {
  readonly element: HTMLElement;
  setModified(modified: boolean): void;
  /** Shows a sentence of ours and, apart from it, words that are not ours. */
  say(kind: IconName, text: string, quoted?: { readonly who: string; readonly words: string | undefined }): void;
  busy(text: string): void;
  /** The same with a way to stop it. */
  testing(text: string): void;
  clear(): void;
}

/** Makes the bar. */
export function outcomeBar(actions: { save(): void; test(): void; cancelTest(): void; discard(): void }): OutcomeBar {
  const outcome = element("div", { class: "outcome", attributes: { role: "status" } });
  const discard = linkButton("Discard Changes", () => actions.discard());
  const hint = element("span", { class: "unsaved", text: "Unsaved changes" });
  const bar = element(
    "div",
    { class: "bar" },
    outcome,
    element(
      "div",
      { class: "bar-buttons" },
      button("Save", "primary", () => actions.save()),
      button("Test Connection", "secondary", () => actions.test()),
      element("span", { class: "bar-space" }),
      hint,
      discard,
    ),
  );
  const fill = (kind: string, ...children: readonly Node[]): void => {
    outcome.className = `outcome outcome-${kind}`;
    outcome.replaceChildren(...children);
  };
  return {
    element: bar,
    setModified: (modified) => {
      discard.hidden = hint.hidden = !modified;
    },
    say: (kind, text, quoted) => {
      const words = element("div", { class: "outcome-text" }, element("span", { text }));
      if (quoted?.words !== undefined && quoted.words !== "")
        words.append(
          element(
            "div",
            { class: "quoted" },
            element("span", { text: `${quoted.who}: ` }),
            element("q", { text: quoted.words }),
          ),
        );
      fill(kind, icon(kind), words);
    },
    busy: (text) => fill("busy", progressRing(), element("span", { class: "outcome-text", text })),
    testing: (text) =>
      fill(
        "busy",
        progressRing(),
        element("span", { class: "outcome-text", text }),
        linkButton("Cancel", () => actions.cancelTest()),
      ),
    clear: () => fill("none"),
  };
}

/** The bar below the form: what can be done with it, and what came of it. */
import type { TestFix, TestStep } from "../protocol";
import { button, linkButton, progressRing } from "./controls";
import { doctorView } from "./doctorView";
import type { IconName } from "./dom";
import { element, icon } from "./dom";

/** The bar. What it says is read out by screen readers. */
export interface OutcomeBar {
  readonly element: HTMLElement;
  setModified(modified: boolean): void;
  /** Shows a sentence of ours and, apart from it, words that are not ours. */
  say(kind: IconName, text: string, quoted?: { readonly who: string; readonly words: string | undefined }): void;
  busy(text: string): void;
  /** The same with a way to stop it; `steps` then shows how far it is. */
  testing(text: string): void;
  steps(steps: readonly TestStep[]): void;
  /** The end of a test. */
  tested(kind: IconName, text: string, steps: readonly TestStep[], canMail: boolean): void;
  clear(): void;
  /** For the one who has to test again. */
  focusTest(): void;
}

/** What the bar tells its owner. */
export interface BarActions {
  save(): void;
  test(): void;
  cancelTest(): void;
  /** The same test again, with a mail to the account's own address at its end. */
  sendTestMail(): void;
  /** True when there was something to copy. */
  copyTranscript(): Promise<boolean>;
  mend(fix: TestFix): void;
  discard(): void;
}

/** Makes the bar. */
export function outcomeBar(actions: BarActions): OutcomeBar {
  const line = element("div", { class: "outcome-line", attributes: { role: "status" } });
  const cancel = linkButton("Cancel", () => actions.cancelTest());
  const steps = doctorView((fix) => actions.mend(fix));
  const copied = element("span", { class: "outcome-note", attributes: { role: "status" } });
  const mail = linkButton("Send a Test Mail to Me…", () => actions.sendTestMail());
  const copy = linkButton("Copy Transcript", () => {
    void actions.copyTranscript().then((done) => (copied.textContent = done ? "Copied." : "It is gone. Test again."));
  });
  const after = element("div", { class: "outcome-actions", hidden: true }, mail, copy, copied);
  const outcome = element(
    "div",
    { class: "outcome" },
    element("div", { class: "outcome-head" }, line, cancel),
    steps.element,
    after,
  );
  const test = button("Test Connection", "secondary", () => actions.test());
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
      test,
      element("span", { class: "bar-space" }),
      hint,
      discard,
    ),
  );
  const fill = (kind: string, ...children: readonly Node[]): void => {
    outcome.hidden = children.length === 0;
    outcome.className = `outcome outcome-${kind}`;
    line.replaceChildren(...children);
    cancel.hidden = after.hidden = true;
    steps.clear();
  };
  const sentence = (text: string): HTMLElement => element("span", { class: "outcome-text", text });
  fill("none");
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
    busy: (text) => fill("busy", progressRing(), sentence(text)),
    testing: (text) => {
      fill("busy", progressRing(), sentence(text));
      cancel.hidden = false;
    },
    steps: (found) => steps.show(found),
    tested: (kind, text, found, canMail) => {
      fill(kind, icon(kind), sentence(text));
      copied.textContent = "";
      mail.hidden = !canMail;
      after.hidden = false;
      steps.show(found);
    },
    clear: () => fill("none"),
    focusTest: () => test.focus(),
  };
}

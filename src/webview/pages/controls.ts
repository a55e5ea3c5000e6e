/** Every control of our pages. The only file that knows the toolkit: another one, or none, means editing this file. */
import {
  provideVSCodeDesignSystem,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDropdown,
  vsCodeLink,
  vsCodeOption,
  vsCodeProgressRing,
  vsCodeTextField,
} from "@vscode/webview-ui-toolkit";
import { element } from "./dom";

provideVSCodeDesignSystem().register(
  vsCodeButton(),
  vsCodeCheckbox(),
  vsCodeDropdown(),
  vsCodeLink(),
  vsCodeOption(),
  vsCodeProgressRing(),
  vsCodeTextField(),
);

/** What we use of the toolkit's elements. */
interface TextFieldElement extends HTMLElement {
  value: string;
  placeholder: string;
}
interface DropdownElement extends HTMLElement {
  value: string;
}
interface CheckboxElement extends HTMLElement {
  checked: boolean;
}

/** Something to say about a field, with the one click that mends it. */
export interface Message {
  readonly severity: "error" | "danger" | "warning" | "information";
  readonly text: string;
  readonly action?: { readonly title: string; readonly run: () => void };
}

/** What every field is made of. `name` is unique on the page. */
export interface FieldOptions {
  readonly name: string;
  readonly label: string;
  readonly description?: string;
  /** After every change by the person. */
  readonly onChange: () => void;
  /** When the person leaves the field. */
  readonly onLeave?: () => void;
}

/** A row of a form: label, description, control, and below them what is wrong. */
export abstract class Field<V extends string | boolean> {
  readonly element: HTMLElement;
  protected readonly label: HTMLElement;
  private readonly description: HTMLElement;
  private readonly messages: HTMLElement;
  private shown = "";

  abstract value: V;

  protected constructor(
    options: FieldOptions,
    protected readonly control: HTMLElement,
  ) {
    const { name } = options;
    this.label = element("div", { class: "field-label", id: `${name}-label`, text: options.label });
    this.description = element("div", { class: "field-description", id: `${name}-description` });
    this.messages = element("div", { class: "field-messages", id: `${name}-messages` });
    this.element = element(
      "div",
      { class: "field", attributes: { "data-field": name } },
      this.label,
      this.description,
      element("div", { class: "field-control" }, control),
      this.messages,
    );
    this.describe(options.description ?? "");
    this.label.addEventListener("click", () => this.focus());
    control.addEventListener("focusout", () => options.onLeave?.());
  }

  /** Says what the field is for; an empty text takes the line away. `link` leads to more. */
  describe(text: string, link?: { readonly title: string; readonly url: string }): void {
    this.description.replaceChildren(text);
    if (link !== undefined) this.description.append(" ", linkTo(link.title, link.url));
    this.description.hidden = text === "";
  }

  /** Shows what is wrong and tells screen readers; an empty list clears it. */
  show(messages: readonly Message[]): void {
    // The same messages keep their elements, so that a focused button stays.
    const key = JSON.stringify(messages);
    if (key === this.shown) return;
    this.shown = key;
    this.messages.replaceChildren(...messages.map(messageBox));
    const invalid = messages.some((message) => message.severity === "error");
    this.element.classList.toggle("invalid", invalid);
    this.announced().setAttribute("aria-invalid", String(invalid));
  }

  /** Marks a value that is not saved yet, as the Settings editor marks what was changed. */
  mark(modified: boolean): void {
    this.element.classList.toggle("modified", modified);
  }

  focus(): void {
    this.control.focus();
  }

  /** Shows or hides the whole row. */
  set visible(visible: boolean) {
    this.element.hidden = !visible;
  }

  /** Puts something behind the control, on its line. */
  append(...nodes: readonly Node[]): void {
    this.control.after(...nodes);
  }

  /** The element that screen readers stop at. */
  protected announced(): HTMLElement {
    return this.control;
  }

  /** Names the control after its label and describes it by the other texts. */
  protected connectTexts(): void {
    const target = this.announced();
    if (target === this.control) {
      target.setAttribute("aria-labelledby", this.label.id);
      target.setAttribute("aria-describedby", `${this.description.id} ${this.messages.id}`);
    } else if ("ariaDescribedByElements" in target) {
      // The input lies in a shadow tree, where ids of the page mean nothing: references to elements do.
      target.ariaLabelledByElements = [this.label];
      target.ariaDescribedByElements = [this.description, this.messages];
    }
  }
}

/** A line of text, or a secret shown as dots. `small` is for numbers. */
export class TextLine extends Field<string> {
  declare protected readonly control: TextFieldElement;

  constructor(options: FieldOptions & { readonly secret?: boolean; readonly small?: boolean }) {
    const control = document.createElement("vscode-text-field") as TextFieldElement;
    if (options.secret === true) control.setAttribute("type", "password");
    control.setAttribute("spellcheck", "false");
    control.setAttribute("aria-label", options.label);
    control.className = options.small === true ? "control control-small" : "control";
    super(options, control);
    control.addEventListener("input", options.onChange);
    // The inner input exists once the control is on the page, which happens in the same turn.
    queueMicrotask(() => {
      this.connectTexts();
      this.announced().setAttribute("autocomplete", options.secret === true ? "new-password" : "off");
    });
  }

  get value(): string {
    return this.control.value;
  }

  set value(text: string) {
    this.control.value = text;
  }

  set placeholder(text: string) {
    this.control.placeholder = text;
  }

  protected override announced(): HTMLElement {
    return this.control.shadowRoot?.querySelector("input") ?? this.control;
  }
}

/** One of several values. */
export class Choice extends Field<string> {
  declare protected readonly control: DropdownElement;
  private options: readonly (readonly [value: string, label: string])[] = [];

  constructor(options: FieldOptions) {
    const control = document.createElement("vscode-dropdown") as DropdownElement;
    control.className = "control";
    super(options, control);
    control.addEventListener("change", options.onChange);
    this.connectTexts();
  }

  /** Sets what can be chosen; the value stays when it is still among them. */
  offer(options: readonly (readonly [value: string, label: string])[]): void {
    if (JSON.stringify(options) === JSON.stringify(this.options)) return;
    this.options = options;
    const { value } = this;
    this.control.replaceChildren(
      ...options.map(([optionValue, label]) => {
        const option = document.createElement("vscode-option");
        option.setAttribute("value", optionValue);
        option.textContent = label;
        return option;
      }),
    );
    this.value = value;
  }

  get value(): string {
    return this.control.value;
  }

  set value(value: string) {
    // A value that is not offered (a hand-written one) is offered as it is: hiding it would change it on saving.
    if (value !== "" && !this.options.some(([offered]) => offered === value))
      this.offer([...this.options, [value, value]]);
    this.control.value = value;
  }
}

/** Yes or no; the description stands beside the box. */
export class Check extends Field<boolean> {
  declare protected readonly control: CheckboxElement;

  constructor(options: FieldOptions) {
    const control = document.createElement("vscode-checkbox") as CheckboxElement;
    super({ ...options, description: "" }, control);
    control.id = options.name;
    control.textContent = options.description ?? options.label;
    control.addEventListener("change", options.onChange);
    this.connectTexts();
    // The words beside the box belong to its name too.
    control.setAttribute("aria-labelledby", `${this.label.id} ${control.id}`);
  }

  get value(): boolean {
    return this.control.checked;
  }

  set value(checked: boolean) {
    this.control.checked = checked;
  }
}

/** A button. `primary` is for the one thing that a person came for. */
export function button(title: string, kind: "primary" | "secondary", run: () => void): HTMLElement {
  const made = document.createElement("vscode-button");
  made.setAttribute("appearance", kind);
  made.textContent = title;
  made.addEventListener("click", run);
  return made;
}

/** A button that looks like a link: for small things beside a text. */
export function linkButton(title: string, run: () => void): HTMLButtonElement {
  return element("button", { class: "link-button", text: title, attributes: { type: "button" }, onClick: run });
}

/** A link that VS Code opens in the browser. */
export function linkTo(title: string, url: string): HTMLElement {
  const made = document.createElement("vscode-link");
  made.setAttribute("href", url);
  made.textContent = title;
  return made;
}

/** A ring that turns while something goes on; the text beside it says what. */
export function progressRing(): HTMLElement {
  const made = document.createElement("vscode-progress-ring");
  made.setAttribute("aria-hidden", "true");
  return made;
}

/** A sentence in a box, in the colours of the severity. */
export function messageBox({ severity, text, action }: Message): HTMLElement {
  const box = element("div", { class: `message message-${severity}` }, element("span", { text }));
  if (action !== undefined) box.append(" ", linkButton(action.title, action.run));
  return box;
}

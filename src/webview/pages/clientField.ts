/** The OAuth client of one's own: given once, taken by the host at once, and never kept here. */
import type { SignInProvider } from "../protocol";
import { linkButton, TextLine } from "./controls";
import { element } from "./dom";
import { FileTarget } from "./fileTarget";
import { signInGuide } from "./signInGuide";

/** No provider's file is longer; characters. */
const maxLength = 20_000;

/** The field. */
export class ClientField {
  private readonly line = new TextLine({
    name: "client",
    label: "OAuth Client",
    secret: true,
    onChange: () => this.pasted(),
  });
  private readonly note = element("span", { class: "outcome-note", attributes: { role: "status" } });
  private readonly files = new FileTarget("Choose File…", ".json,application/json", (text) => void this.give(text));
  private readonly guides: Readonly<Record<SignInProvider, HTMLDetailsElement>>;
  private provider: SignInProvider = "google";
  private hasClient = false;
  /** One was taken just now, even if it could not be stored: then the host asks once more. */
  private given = false;

  constructor(
    private readonly actions: {
      /** What is wrong with the client; empty when it is stored. */
      takeClient(provider: SignInProvider, text: string): Promise<string>;
      openGuide(provider: SignInProvider): void;
    },
  ) {
    const guide = (provider: SignInProvider, more: string): HTMLDetailsElement =>
      signInGuide(
        provider,
        linkButton(more, () => actions.openGuide(provider)),
      );
    this.guides = {
      google: guide("google", "Each click, and what Google is asked for"),
      microsoft: guide("microsoft", "Each click, and what Microsoft is asked for"),
    };
    this.line.append(this.files.button, this.note);
    this.line.element.append(...Object.values(this.guides));
    this.files.acceptDrops(this.line.element);
  }

  get element(): HTMLElement {
    return this.line.element;
  }

  set visible(visible: boolean) {
    this.line.visible = visible;
  }

  /** Shows whether one is stored. */
  show(provider: SignInProvider, hasClient: boolean): void {
    this.provider = provider;
    this.hasClient = hasClient;
    for (const who of ["google", "microsoft"] as const) this.guides[who].hidden = who !== provider;
    this.files.button.hidden = provider !== "google";
    this.line.placeholder = hasClient ? "Stored: leave empty to keep it" : "";
    this.line.describe(
      provider === "google"
        ? "The JSON file of a client of your own, needed once: choose it, paste its text, or drag it here while you hold Shift. It lies in the Secret Storage of VS Code."
        : "The application (client) ID of an app registration of your own, needed once. It lies in the Secret Storage of VS Code.",
    );
  }

  /** Forgets what was typed: it belongs to another account. */
  clear(): void {
    this.line.value = "";
    this.note.textContent = "";
    this.line.show([]);
    this.given = false;
  }

  /** Whether there is a client to sign in with; where there is none, says so and turns to the field. */
  async isReady(): Promise<boolean> {
    if (this.line.value.trim() !== "") return await this.give(this.line.value);
    if (this.hasClient || this.given) return true;
    const text =
      this.provider === "google"
        ? "The JSON file of an OAuth client is needed first. Choose it, or open the list below to see how to get one."
        : "The application (client) ID is needed first. Paste it, or open the list below to see how to get one.";
    this.complain(text);
    return false;
  }

  /** A whole file that was pasted needs no button. */
  private pasted(): void {
    this.note.textContent = "";
    this.line.show([]);
    const text = this.line.value.trim();
    const whole = this.provider === "google" ? /^\{.*\}$/s : /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
    if (whole.test(text)) void this.give(text);
  }

  private async give(text: string): Promise<boolean> {
    this.line.value = "";
    if (text.length > maxLength) {
      this.complain("This is too long for an OAuth client. Choose the JSON file that Google let you download.");
      return false;
    }
    const wrong = await this.actions.takeClient(this.provider, text);
    if (wrong !== "") {
      this.complain(wrong);
      return false;
    }
    this.line.show([]);
    this.note.textContent = "Stored.";
    this.given = true;
    return true;
  }

  private complain(text: string): void {
    this.note.textContent = "";
    this.line.show([{ severity: "error", text }]);
    this.line.focus();
  }
}

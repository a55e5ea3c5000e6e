/** A place for a small text file: chosen with a button, or dropped. */
import { button } from "./controls";
import { element } from "./dom";

/** Reads the file and hands it on; nothing of it is kept. */
export class FileTarget {
  /** Opens the system's own question for a file: of the machine where the person sits. */
  readonly button: HTMLElement;

  /** @param types as in the attribute `accept` of an input */
  constructor(
    title: string,
    types: string,
    private readonly take: (text: string) => void,
  ) {
    const input = element("input", { hidden: true, attributes: { type: "file", accept: types } });
    input.addEventListener("change", () => {
      this.read(input.files);
      // The same file can be chosen again.
      input.value = "";
    });
    this.button = element(
      "span",
      {},
      button(title, "secondary", () => input.click()),
      input,
    );
  }

  /** Takes a file that is dropped on `target`. */
  acceptDrops(target: HTMLElement): void {
    const over = (is: boolean) => (event: DragEvent) => {
      event.preventDefault();
      target.classList.toggle("drop", is);
    };
    target.addEventListener("dragenter", over(true));
    target.addEventListener("dragover", over(true));
    target.addEventListener("dragleave", over(false));
    target.addEventListener("drop", (event) => {
      over(false)(event);
      this.read(event.dataTransfer?.files);
    });
  }

  private read(files: FileList | null | undefined): void {
    const file = files?.[0];
    if (file !== undefined) void file.text().then((text) => this.take(text));
  }
}

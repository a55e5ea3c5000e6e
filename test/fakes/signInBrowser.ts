/** The person's browser, the box for its last address, and VS Code's own sign-in with Microsoft, all played. */
import type { AddressQuestion, BrowserPorts } from "../../src/browserSignIn";
import type { MicrosoftToken } from "../../src/heldSignIns";
import type { MicrosoftAnswer } from "../../src/signIn";

/** A browser that does with each page what the test says, and a person who may cancel. */
export class PlayedBrowser implements BrowserPorts {
  timeoutMs = 60_000;
  /** Every page that was opened. */
  readonly pages: string[] = [];
  /** The boxes that are on the screen. */
  readonly boxes = new Set<AddressQuestion>();
  /** What the person does once a page is open. */
  onPage: (url: string) => unknown = () => undefined;
  /** What went wrong in `onPage`. */
  failure: unknown;
  private readonly cancels = new Set<AbortController>();

  openExternal = (url: string): Promise<boolean> => {
    this.pages.push(url);
    void Promise.resolve()
      .then(() => this.onPage(url))
      .catch((error: unknown) => (this.failure = error));
    return Promise.resolve(true);
  };

  openAddressBox = (question: AddressQuestion): { dispose(): void } => {
    this.boxes.add(question);
    return { dispose: () => this.boxes.delete(question) };
  };

  waiting = async <T>(_title: string, work: (cancelled: AbortSignal) => Promise<T>): Promise<T> => {
    const cancelled = new AbortController();
    this.cancels.add(cancelled);
    try {
      return await work(cancelled.signal);
    } finally {
      this.cancels.delete(cancelled);
    }
  };

  /** The only box. */
  get box(): AddressQuestion {
    const [box] = this.boxes;
    if (box === undefined) throw new Error("There is no box for the address.");
    return box;
  }

  /** The person cancels in the notification. */
  cancel(): void {
    for (const cancelled of this.cancels) cancelled.abort();
  }
}

/** VS Code's own sign-in with Microsoft. */
export class PlayedMicrosoft {
  answer: MicrosoftAnswer | Promise<MicrosoftAnswer> = {
    kind: "unavailable",
    detail: "No authentication provider 'microsoft' is registered.",
  };
  /** Handed out without a question. */
  accessToken: string | undefined;
  /** Called when a person is asked. */
  onAsk: () => unknown = () => undefined;
  /** Whoever was asked to sign in, and with which application. */
  readonly asked: { readonly clientId: string; readonly user: string }[] = [];

  signIn = (clientId: string, user: string): Promise<MicrosoftAnswer> => {
    this.asked.push({ clientId, user });
    const { answer } = this;
    this.onAsk();
    return Promise.resolve(answer);
  };

  token = (): Promise<MicrosoftToken> =>
    Promise.resolve(
      this.accessToken === undefined ? { kind: "signedOut" } : { kind: "token", token: this.accessToken },
    );
}

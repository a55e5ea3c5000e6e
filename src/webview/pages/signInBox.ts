/** Signing in with the browser: the client that it takes, who is signed in, and the buttons. */
import type { SignInProvider, SignInState } from "../protocol";
import { ClientField } from "./clientField";
import { button, linkButton, messageBox, progressRing } from "./controls";
import type { IconName } from "./dom";
import { element, icon } from "./dom";

/** How far a sign-in is. */
export type SignInPhase =
  | { readonly kind: "rest" }
  /** The browser is open. */
  | { readonly kind: "waiting" }
  | { readonly kind: "failed"; readonly text: string };

/** What the box shows. */
export interface SignInView {
  /** Of the account. */
  readonly key: string;
  readonly provider: SignInProvider;
  /** As it is saved; undefined where no sign-in of this kind is saved. */
  readonly state: SignInState | undefined;
  /** Something is not saved: it is, before the browser opens. */
  readonly modified: boolean;
  /** What is not saved makes it another endpoint, where the sign-in does not count. */
  readonly moved: boolean;
  /** An OAuth client is stored. */
  readonly hasClient: boolean;
  readonly phase: SignInPhase;
}

/** The box. */
export interface SignInBox {
  readonly element: HTMLElement;
  show(view: SignInView): void;
  /** The same as its button. */
  start(): void;
}

const labels: Readonly<Record<SignInProvider, string>> = { google: "Google", microsoft: "Microsoft" };

/** Makes the box. */
export function signInBox(
  actions: ConstructorParameters<typeof ClientField>[0] & { signIn(): void; cancel(): void; signOut(): void },
): SignInBox {
  let shown: SignInView | undefined;
  const client = new ClientField(actions);
  const start = (): void => {
    // Who is signed in has a client, if only that of another sign-in: the host asks where that is gone.
    if (client.element.hidden) actions.signIn();
    else void client.isReady().then((ready) => ready && actions.signIn());
  };
  const label = element("div", { class: "field-label", id: "signIn-label" });
  const status = element("div", { class: "sign-in-status", attributes: { role: "status" } });
  const first = button("Sign In", "primary", start);
  const again = button("Sign In Again", "secondary", start);
  const out = button("Sign Out", "secondary", () => actions.signOut());
  const cancel = linkButton("Cancel", () => actions.cancel());
  const failure = element("div", { class: "field-messages" });
  const buttons = element("div", { class: "sign-in-buttons" }, first, again, out);
  const box = element(
    "div",
    { class: "field sign-in", attributes: { role: "group", "aria-labelledby": label.id, "data-field": "signIn" } },
    label,
    status,
    buttons,
    failure,
  );

  return {
    element: element("div", {}, client.element, box),
    show: (view) => {
      const before = shown;
      shown = view;
      if (before?.key !== view.key || before.provider !== view.provider) client.clear();
      if (JSON.stringify(before) === JSON.stringify(view)) return;
      const who = labels[view.provider];
      const waiting = view.phase.kind === "waiting";
      const signedIn = view.state?.kind === "signedIn" && !view.moved;
      const hadFocus = box.contains(document.activeElement);

      client.show(view.provider, view.hasClient);
      client.visible = !signedIn && !waiting;
      label.textContent = `${who} Sign-In`;
      const { picture, text } = statusOf(view);
      status.replaceChildren(
        waiting ? progressRing() : icon(picture),
        element("span", { text }),
        ...(waiting ? [cancel] : []),
      );
      first.textContent = view.modified ? `Save and Sign in with ${who}` : `Sign in with ${who}`;
      again.textContent = view.modified ? "Save and Sign In Again" : "Sign In Again";
      buttons.hidden = waiting;
      first.hidden = signedIn;
      again.hidden = !signedIn;
      out.hidden = view.state === undefined || view.state.kind === "signedOut";
      failure.replaceChildren(
        ...(view.phase.kind === "failed" ? [messageBox({ severity: "error", text: view.phase.text })] : []),
      );
      // A button that goes away must not take the focus with it.
      if (hadFocus && before?.key === view.key) {
        if (waiting) cancel.focus();
        else if (before.phase.kind === "waiting" || document.activeElement?.closest("[hidden]") !== null)
          (signedIn ? again : first).focus();
      }
    },
    start,
  };
}

/** Microsoft's way leads through VS Code first, which shows no box. */
const waitingTexts: Readonly<Record<SignInProvider, string>> = {
  google:
    "Waiting for your browser… If it ends on a page that does not load, paste that page's address into the box at the top of this window.",
  microsoft:
    "Waiting for your browser… VS Code may ask you something first. If a box at the top of this window asks for an address and the browser ends on a page that does not load, paste that page's address there.",
};

function statusOf({ state, moved, phase, provider }: SignInView): {
  readonly picture: IconName;
  readonly text: string;
} {
  if (phase.kind === "waiting") return { picture: "information", text: waitingTexts[provider] };
  if (state === undefined || state.kind === "signedOut") return { picture: "information", text: "Not signed in." };
  if (state.kind === "elsewhere") {
    const changes = state.changes.length === 0 ? "" : ` (${state.changes.join("; ")})`;
    return { picture: "warning", text: `Signed in for another setup${changes}. Sign in again for this one.` };
  }
  if (moved)
    return { picture: "warning", text: "Signed in for the account as it was saved. Sign in again for this one." };
  const who = state.user === "" ? "Signed in" : `Signed in as ${state.user}`;
  const since = state.since === "" ? "" : ` since ${day(state.since)}`;
  return { picture: "pass", text: `${who}${since}.` };
}

/** Such as `24 Nov`, with the year when it is another one. */
function day(iso: string): string {
  const date = new Date(iso);
  const year = date.getFullYear() === new Date().getFullYear() ? {} : ({ year: "numeric" } as const);
  return Number.isNaN(date.getTime())
    ? iso
    : date.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...year });
}

/** Signing in in the browser: it comes back to a listener of ours, or its last address is pasted; whichever is first. */
import { Loopback } from "./loopback";
import type { Verdict } from "./loopback";
import { authorizationRequest, readLanding } from "./mail/index";
import type { Account, AuthorizationRequest, OAuthClient, OAuthProvider } from "./mail/index";

/** What is asked for beside the browser, for whoever's browser cannot come back here. */
export interface AddressQuestion {
  readonly title: string;
  readonly prompt: string;
  readonly placeholder: string;
  /** The page to sign in on: to be copied where it does not open. */
  readonly url: string;
  /** What is wrong with a text, or undefined. */
  readonly validate: (text: string) => string | undefined;
  /** Told a text that is right. */
  readonly accept: (text: string) => void;
  /** The person wants to give another OAuth client. */
  readonly otherClient: () => void;
}

/** What the flow asks of VS Code. */
export interface BrowserPorts {
  /** Opens a page in the person's own browser, wherever that is. `url` is kept to the letter. */
  openExternal(url: string): PromiseLike<unknown>;
  /** Shows a box for the address beside everything else; closing it does not end the flow. The answer takes it away. */
  openAddressBox(question: AddressQuestion): { dispose(): void };
  /** Shows that it is waited for the browser, with a way to cancel, which aborts the signal. */
  waiting<T>(title: string, work: (cancelled: AbortSignal) => Promise<T>): Promise<T>;
  /** How long the person may take in the browser, milliseconds. */
  readonly timeoutMs: number;
}

/** How the browser's part ended. */
export type Landed<T> =
  | { readonly kind: "redeemed"; readonly result: T }
  | { readonly kind: "refused"; readonly text: string }
  | { readonly kind: "cancelled" | "timeOut" | "otherClient" };

type Landing = { readonly kind: "code"; readonly code: string } | Exclude<Landed<never>, { kind: "redeemed" }>;

/** Turns a code into what is wanted; whether that came to a sign-in is told to the browser. */
export type Redeem<T> = (
  request: AuthorizationRequest,
  code: string,
  signal: AbortSignal,
) => Promise<{ readonly result: T; readonly isSignedIn: boolean }>;

/** Lets the person sign in; `ended` aborts when another sign-in takes the place of this one. */
export async function signInByBrowser<T>(
  {
    account,
    client,
    provider,
  }: { readonly account: Account; readonly client: OAuthClient; readonly provider: OAuthProvider },
  ports: BrowserPorts,
  ended: AbortSignal,
  redeem: Redeem<T>,
): Promise<Landed<T>> {
  const loopback = await Loopback.open(provider.redirectHost);
  const request = authorizationRequest(account, client, loopback.redirectUri);
  const landing = deferred<Landing>();
  const verdict = deferred<Verdict>();
  const land = (address: string): boolean => {
    const landed = readLanding(request, address);
    if (landed.kind === "foreign") return false;
    landing.resolve(landed);
    return true;
  };
  loopback.listenFor((address) => (land(address) ? verdict.promise : Promise.resolve("foreign")));
  const box = ports.openAddressBox({
    title: `Sign in with ${provider.label}`,
    prompt: loopback.isListening
      ? "If your browser ends on a page that cannot be shown, paste the address of that page here."
      : "Your browser will end on a page that cannot be shown, as this machine lets nobody listen: paste the address of that page here.",
    placeholder: `${loopback.redirectUri}/?…`,
    url: request.url,
    validate: (text) => (readLanding(request, text.trim()).kind === "foreign" ? foreignAddress(loopback) : undefined),
    accept: (text) => land(text.trim()),
    otherClient: () => landing.resolve({ kind: "otherClient" }),
  });
  const timer = setTimeout(() => landing.resolve({ kind: "timeOut" }), ports.timeoutMs);
  try {
    return await ports.waiting(`Signing in with ${provider.label} in your browser`, async (cancelled) => {
      const over = AbortSignal.any([cancelled, ended]);
      const cancel = (): void => landing.resolve({ kind: "cancelled" });
      over.addEventListener("abort", cancel, { once: true });
      if (over.aborted) cancel();
      else {
        // A browser that does not open leaves the address to be copied, and the page's own to be pasted.
        Promise.resolve(ports.openExternal(request.url)).catch(() => undefined);
      }
      const landed = await landing.promise;
      box.dispose();
      clearTimeout(timer);
      if (landed.kind !== "code") return landed;
      const { result, isSignedIn } = await redeem(request, landed.code, over);
      verdict.resolve(isSignedIn ? "signedIn" : "failed");
      // Whoever cancels too late is signed in, and told so.
      return over.aborted && !isSignedIn ? { kind: "cancelled" } : { kind: "redeemed", result };
    });
  } finally {
    verdict.resolve("failed");
    clearTimeout(timer);
    box.dispose();
    loopback.close();
  }
}

function foreignAddress({ redirectUri }: Loopback): string {
  return `This is not the address that this sign-in ends on. Copy all of it from the browser: it begins with ${redirectUri} and holds a code.`;
}

/** A promise that is resolved from elsewhere; the first time counts. */
function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}

/** Taking sign-ins back at their providers, once they are forgotten here. */
import { oauthWay } from "./heldSignIns";
import type { HeldSignIns, SignedIn, SignInWay } from "./heldSignIns";
import { isSameMailbox, oauthProviderOf, oauthProviders, permissionsUrlOf, plainText } from "./mail/index";
import type { Grant, Logger } from "./mail/index";
import type { Notifications } from "./notify";
import type { OAuthWay } from "./workerProtocol";

/** What it asks of the outside. */
export interface SignOutPorts {
  /** What is still stored. */
  readonly signIns: Pick<HeldSignIns, "all">;
  /** False when the provider could not be told. */
  readonly revoke: (way: OAuthWay, grant: Grant, signal: AbortSignal) => Promise<boolean>;
  readonly speak: Pick<Notifications, "info" | "warn">;
  readonly logger: Logger;
}

/** The account's present way, and whether it may be gone without a question. */
export interface SignOutWay {
  readonly way: SignInWay;
  readonly mayConnect: boolean;
}

/** What came of taking one back, the worst last. */
const ends = ["vscode", "told", "listed", "shared", "untold"] as const;

interface End {
  readonly kind: (typeof ends)[number];
  readonly text: string;
}

/** How long a provider may take to hear of a sign-out, milliseconds. */
const revokeMs = 10_000;

/** Tells the providers of sign-ins that were forgotten, as far as they can be reached over the account's `found` way. Says what came of it. */
export async function takeBack(
  ports: SignOutPorts,
  found: SignOutWay | undefined,
  forgotten: readonly SignedIn[],
): Promise<void> {
  if (forgotten.length === 0) return;
  const left = await ports.signIns.all();
  const all = await Promise.all(forgotten.map((signedIn) => takeOneBack(ports, found, signedIn, left)));
  const worst = all.reduce((a, b) => (ends.indexOf(a.kind) < ends.indexOf(b.kind) ? b : a));
  ports.speak[worst.kind === "untold" ? "warn" : "info"](worst.text);
}

async function takeOneBack(
  { revoke, logger }: SignOutPorts,
  found: SignOutWay | undefined,
  signedIn: SignedIn,
  left: Awaited<ReturnType<HeldSignIns["all"]>>,
): Promise<End> {
  if (signedIn.kind === "vscode") {
    const text = "Signed out. VS Code itself stays signed in with Microsoft: its Accounts menu ends that too.";
    return { kind: "vscode", text };
  }
  const { grant } = signedIn;
  const { label, ...provider } = oauthProviders[grant.provider];
  const isItsOwn = found !== undefined && oauthProviderOf(found.way.account)?.id === grant.provider;
  const page = isItsOwn ? permissionsUrlOf(found.way.account) : provider.permissionsUrl;
  if (provider.revokeUrl === undefined)
    return { kind: "listed", text: `Signed out here. What you allowed stays listed at ${label}: ${page}` };
  const sharers = left.filter((other) => other.signedIn.kind === "grant" && isOneWith(grant, other.signedIn.grant));
  if (sharers.length > 0) {
    const names = [...new Set(sharers.map(({ id }) => plainText(id, 64)))].slice(0, 3).join(", ");
    const text = `Signed out here. ${label} was not told, because that would end the sign-in of ${names} too: it is the same user, with the same OAuth client. Sign out there as well to end both.`;
    return { kind: "shared", text };
  }
  const told =
    found?.mayConnect === true &&
    (await revoke(oauthWay(found.way), grant, AbortSignal.timeout(revokeMs)).catch((error: unknown) => {
      // The thread that talks to the provider died.
      logger.warn(`The sign-out could not be told: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }));
  if (told) return { kind: "told", text: `Signed out, and ${label} was told.` };
  const text = `Signed out here, but ${label} could not be told. Take Bulk Mail's access away at ${page}`;
  return { kind: "untold", text };
}

/** Providers know one permission for a user and a client: taking back one of its tokens ends them all. */
function isOneWith(a: Grant, b: Grant): boolean {
  const isSameUser = a.user === "" || b.user === "" || isSameMailbox(a.user, b.user);
  return a.provider === b.provider && a.clientId === b.clientId && isSameUser;
}

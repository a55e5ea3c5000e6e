/** The host half of signing in from the accounts panel: one sign-in at a time, of an account as it is saved. */
import type { Accounts } from "../accounts";
import type { Level, SettingsScope } from "../config";
import type { Dialogs } from "../dialogs";
import { plainText } from "../mail/index";
import type { SignIns } from "../signIn";
import type { ClientReply, SignInProvider, SignInReply } from "./protocol";

/** Who signs people in and out. */
export type SignInDoor = Pick<SignIns, "signIn" | "signOut" | "cancel" | "hasClient" | "takeClient">;

/** Signs in to saved accounts. */
export class PageSignIn {
  /** The page waits for a sign-in. */
  private running = 0;

  constructor(
    private readonly ports: {
      readonly accounts: Pick<Accounts, "list">;
      readonly dialogs: Pick<Dialogs, "confirm">;
      readonly signIns: SignInDoor;
    },
  ) {}

  /** Ends the sign-in that the page waits for, if there is one. */
  cancel(): void {
    if (this.running > 0) this.ports.signIns.cancel();
  }

  /** Signs in to the account of this name, which is the one that the page shows. */
  async signIn(id: string, level: Level): Promise<SignInReply> {
    if (!(await this.isSaved(id, level))) return { kind: "failed", text: changed };
    this.running++;
    try {
      const end = await this.ports.signIns.signIn(scope, id);
      if (end.kind !== "failed") return { kind: end.kind };
      const detail = end.detail === undefined ? "" : ` (${end.detail})`;
      return { kind: "failed", text: plainText(`${end.text}${detail}`, 500) };
    } finally {
      this.running--;
    }
  }

  /** Asks, then signs out; false when the person turned away. */
  async signOut(id: string, level: Level): Promise<boolean> {
    if (!(await this.isSaved(id, level))) return false;
    const agreed = await this.ports.dialogs.confirm(
      `Sign out of ${plainText(id, 64)}?`,
      "The sign-in is forgotten here, and its provider is told where it can be. Nothing can be sent through this account until you sign in again.",
      "Sign Out",
    );
    if (agreed) await this.ports.signIns.signOut(scope, id);
    return agreed;
  }

  /** Stores an OAuth client in place of the one before. */
  async takeClient(provider: SignInProvider, text: string): Promise<ClientReply> {
    return await this.ports.signIns.takeClient(provider, text);
  }

  /** Whose OAuth client is stored. */
  async clients(): Promise<Readonly<Record<SignInProvider, boolean>>> {
    const { signIns } = this.ports;
    return { google: await signIns.hasClient("google"), microsoft: await signIns.hasClient("microsoft") };
  }

  private async isSaved(id: string, level: Level): Promise<boolean> {
    const entries = await this.ports.accounts.list(scope);
    return entries.some((entry) => entry.id === id && entry.level === level);
  }
}

/** The panel is about the first folder. */
const scope: SettingsScope = undefined;
const changed = "The account was changed in the meantime, so nobody was signed in. Look at it, then try again.";

/** One sign-in at a time: saved first, then the browser, then what came of it. */
import type { Rpc } from "../../rpc";
import type { AccountLevel, SettingsHost } from "../protocol";
import { keyOf } from "./drafts";
import type { SignInPhase } from "./signInBox";

/** A saved account. */
export interface SavedAccount {
  readonly id: string;
  readonly level: AccountLevel;
}

const rest: SignInPhase = { kind: "rest" };

/** Which account is signing in, and what is said about it. */
export class SignInFlow {
  private current: { readonly key: string; readonly phase: SignInPhase } | undefined;
  private run = 0;

  /** `changed` is called whenever there is something else to show. */
  constructor(
    private readonly host: Rpc<SettingsHost>,
    private readonly changed: () => void,
  ) {}

  /** How far the account of this key is. */
  phaseOf(key: string): SignInPhase {
    return this.current?.key === key ? this.current.phase : rest;
  }

  /** Signs in to what `save` has saved; undefined where that did not work, which is said elsewhere. True when somebody is signed in. */
  async signIn(save: () => Promise<SavedAccount | undefined>): Promise<boolean> {
    const run = ++this.run;
    const account = await save();
    if (account === undefined || run !== this.run) return false;
    const { id, level } = account;
    const key = keyOf(id, level);
    const show = (phase: SignInPhase): void => {
      if (run !== this.run) return;
      this.current = { key, phase };
      this.changed();
    };
    show({ kind: "waiting" });
    try {
      const reply = await this.host.request("signIn", id, level);
      show(reply.kind === "failed" ? { kind: "failed", text: reply.text } : rest);
      return reply.kind === "signedIn";
    } catch (error) {
      show(rest);
      throw error;
    }
  }

  /** Ends what is going on; its end is told by the host. */
  cancel(): void {
    if (this.current?.phase.kind === "waiting") this.host.event("cancelSignIn");
  }

  /** What was said of an account that has changed since is of no use. */
  forget(key: string): void {
    if (this.phaseOf(key).kind === "failed") this.current = undefined;
  }
}

/** Access tokens of a provider that exists in a test only, and how its mail server takes them. */
import type { AccessTokens, TokenReply } from "../../src/mail/ports";
import { xoauth2Response } from "../../src/mail/xoauth2";
import type { Action, Script, Step } from "./scriptedSmtp";

/** The provider's word about a grant that somebody took back, as `oauth.ts` says it. */
export const revoked: TokenReply = {
  ok: false,
  failure: { class: "account", stage: "auth", text: "The sign-in was taken back. Sign in again.", signIn: true },
};

/** Hands out `first`, and another token in place of one that was refused: one for all who ask at the same time. */
export class FakeTokens {
  /** Every question: which token was refused, undefined where none was. */
  readonly asked: (string | undefined)[] = [];
  /** How often another token was got. */
  renewals = 0;
  /** Answers instead of tokens, once it is set. */
  failure: TokenReply | undefined;
  private renewal: Promise<void> | undefined;

  constructor(
    public current: string,
    private readonly next: () => string = () => `${this.current}-new`,
  ) {}

  readonly get: AccessTokens = async (refused) => {
    this.asked.push(refused);
    if (this.failure === undefined && refused === this.current)
      this.renewal ??= Promise.resolve().then(() => {
        this.renewals++;
        this.current = this.next();
        this.renewal = undefined;
      });
    await this.renewal;
    return this.failure ?? { ok: true, token: this.current };
  };
}

/** The challenge of a server that refuses a token, as Google sends it. */
export const challenge = Buffer.from('{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}').toString(
  "base64",
);

/** How a server refuses: after a challenge, at once, or by hanging up behind the refusal. */
export type Refusal = "challenge" | "at once" | "closing";

/** A server that takes XOAUTH2 with the tokens that `isGood` says are good at that moment. */
export function tokenServer(user: string, isGood: (token: string) => boolean, refusal: Refusal = "challenge"): Script {
  return ({ command, line }: Step): Action | undefined => {
    if (command !== "AUTH") return undefined;
    const token = tokenIn(line);
    if (line === `AUTH XOAUTH2 ${xoauth2Response(user, token)}` && isGood(token)) return undefined;
    if (refusal === "challenge") return { reply: `334 ${challenge}` };
    return { reply: "535 5.7.3 Authentication unsuccessful", close: refusal === "closing" };
  };
}

/** The access token of an `AUTH XOAUTH2` line; empty where there is none. */
export function tokenIn(line: string): string {
  const response = Buffer.from(/^AUTH XOAUTH2 (.*)$/.exec(line)?.[1] ?? "", "base64").toString("utf8");
  return /\u0001auth=Bearer ([^\u0001]*)\u0001\u0001$/.exec(response)?.[1] ?? "";
}

/** What is made of a server's words: judged by all of them, kept without secrets. */
import type { Account } from "../account";
import { classify, type Failure, type RawFailure } from "../classify";
import type { Credentials } from "../ports";
import { plainText } from "../problems";
import { secretRemover, tokenRemover } from "../secretText";
import { SendError } from "./transport";

/** So many access tokens are remembered: a server repeats what it heard just now, not what it heard hours ago. */
const rememberedTokens = 4;

/** The words of one account's server. */
export class ServerWords {
  private readonly withoutPasswords: (text: string) => string;
  /** By token, the latest last. */
  private readonly tokenRemovers = new Map<string, (text: string) => string>();

  constructor(
    private readonly account: Account,
    credentials: Credentials,
  ) {
    this.withoutPasswords = secretRemover(account, credentials);
  }

  /** From now on no form of this access token is kept. */
  keepOut(token: string): void {
    if (!this.tokenRemovers.delete(token) && this.tokenRemovers.size >= rememberedTokens)
      for (const oldest of [...this.tokenRemovers.keys()].slice(0, 1)) this.tokenRemovers.delete(oldest);
    this.tokenRemovers.set(token, tokenRemover(this.account.user, token));
  }

  /** Takes every form of the account's secrets out of a text. */
  withoutSecrets(text: string): string {
    return [...this.tokenRemovers.values()].reduce((rest, remove) => remove(rest), this.withoutPasswords(text));
  }

  /** What is kept of a reply. */
  kept(reply: string): string {
    return plainText(this.withoutSecrets(reply));
  }

  /** Judges by every word that came; keeps none that is a secret. */
  judge(raw: RawFailure): Failure {
    const failure = classify(this.account.auth === "oauth2" ? { ...raw, token: true } : raw);
    return raw.reply === undefined ? failure : { ...failure, reply: this.kept(raw.reply) };
  }

  error(raw: RawFailure): SendError {
    return new SendError(this.judge(raw));
  }
}

/** What is made of a server's words: judged by all of them, kept without secrets. */
import type { Account } from "../account";
import { classify, type Failure, type RawFailure } from "../classify";
import type { Credentials } from "../ports";
import { plainText } from "../problems";
import { secretRemover } from "../secretText";
import { SendError } from "./transport";

/** The words of one account's server. */
export class ServerWords {
  /** Takes every form of the account's secrets out of a text. */
  readonly withoutSecrets: (text: string) => string;

  constructor(account: Account, credentials: Credentials) {
    this.withoutSecrets = secretRemover(account, credentials);
  }

  /** What is kept of a reply. */
  kept(reply: string): string {
    return plainText(this.withoutSecrets(reply));
  }

  /** Judges by every word that came; keeps none that is a secret. */
  judge(raw: RawFailure): Failure {
    const failure = classify(raw);
    return raw.reply === undefined ? failure : { ...failure, reply: this.kept(raw.reply) };
  }

  error(raw: RawFailure): SendError {
    return new SendError(this.judge(raw));
  }
}

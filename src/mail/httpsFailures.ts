/** What it means that a server of the provider's is not reached over HTTPS: there is no port and no encryption to choose. */
import { classify, ownFailures, type Failure, type Stage } from "./classify";
import type { HttpsError } from "./https";

/** A sentence in place of one that speaks of mail servers. */
interface Sentence {
  readonly codes: RegExp;
  readonly text: (host: string) => string;
}

/** May also come over an open connection, in the middle of a request. */
const noAnswer: Sentence = {
  codes: /^(?:ECONNREFUSED|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENETDOWN|EADDRNOTAVAIL|EACCES|EPERM)$/,
  text: (host) => `${host} does not answer. Check this machine's connection, and whether a firewall blocks it.`,
};

/** First match wins. */
const sentences: readonly Sentence[] = [
  {
    codes: /^(?:ENOTFOUND|ENODATA|EAI_AGAIN|EDNS)$/,
    text: (host) => `The name ${host} could not be looked up. Check this machine's connection.`,
  },
  {
    codes: /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|CERT_UNTRUSTED)$/,
    text: (host) =>
      `The certificate of ${host} is not signed by an authority that this machine trusts. If your company looks into encrypted connections, name its CA file in Bulk Mail: Accounts.`,
  },
  {
    codes: /^(?:ERR_TLS_CERT_ALTNAME_INVALID|CERT_\w+|INVALID_(?:CA|PURPOSE)|PATH_LENGTH_EXCEEDED)$/,
    text: (host) =>
      `Who answers for ${host} cannot prove to be it. Check this machine's date, and whether something on the way answers in its place; nothing was sent.`,
  },
  {
    codes: /^(?:ERR_(?:SSL|TLS)_\w+|EPROTO)$/,
    text: (host) =>
      `No encrypted connection to ${host} could be made. Check whether a firewall or a proxy breaks it up; nothing was sent.`,
  },
  {
    codes: /^EPROXYTARGET$/,
    text: (host) => `The proxy answers but does not connect us to ${host}. Ask its owner to allow that.`,
  },
  noAnswer,
];

/** Why a request got no reply. `stage` stands for `connect`, where something else was under way by then. */
export function httpsFailure(
  { stage: reached, systemCode }: HttpsError,
  host: string,
  stage: Stage = "connect",
): Failure {
  const at = reached === "connect" ? stage : reached;
  // What was not complete cannot be acted on.
  if (systemCode === "ABORT_ERR" && at !== "reply") return { ...ownFailures.stopped, stage: at };
  const failure = classify({ stage: at, systemCode });
  if (at === "reply") return failure;
  const text = (at === "body" ? [noAnswer] : sentences).find(({ codes }) => codes.test(systemCode))?.text(host);
  return text === undefined ? failure : { ...failure, text };
}

/** Failures without a server's word: what the system or the TLS layer says, and what we find ourselves. */
import type { OutcomeClass } from "./classify";
import { say } from "./failureSentences";

/** Causes below SMTP, by the system's, the TLS layer's or the protocol engine's code; first match wins. */
export const systemRules: readonly {
  readonly codes: RegExp;
  readonly class: OutcomeClass;
  readonly text: string;
  /** Found on this machine, so it holds at every stage: nothing has been said to the server. */
  readonly local?: true;
}[] = [
  {
    codes:
      /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(?:_LOCALLY)?|CERT_UNTRUSTED)$/,
    class: "account",
    text: "The server's certificate is not signed by an authority that this machine trusts. If it is your company's own, name its CA file in Bulk Mail: Accounts.",
  },
  {
    codes: /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    class: "account",
    text: "The server's certificate is for another name. Check the host name, or set the server name in Bulk Mail: Accounts.",
  },
  {
    codes: /^CERT_(?:HAS_EXPIRED|NOT_YET_VALID)$/,
    class: "account",
    text: "The server's certificate is not valid today. Check this machine's date; if it is right, the server's owner must renew the certificate.",
  },
  {
    codes: /^CERT_|^INVALID_(?:CA|PURPOSE)$|^PATH_LENGTH_EXCEEDED$/,
    class: "account",
    text: "The server's certificate cannot be accepted: it may be revoked or broken. Ask the server's owner; nothing was sent.",
  },
  {
    codes: /^ERR_SSL_WRONG_VERSION_NUMBER$|^EPROTO$/,
    class: "account",
    text: "The server does not speak TLS at once on this port. Use port 465 with TLS, or port 587 with STARTTLS.",
  },
  {
    codes: /^ERR_SSL_(?:UNSUPPORTED_PROTOCOL|TLSV1_ALERT_PROTOCOL_VERSION|NO_PROTOCOLS_AVAILABLE)$/,
    class: "account",
    text: "The server offers no TLS version that the account allows. Ask its owner for a newer one, or look at the account's minimum; nothing was sent.",
  },
  {
    codes: /^ERR_(?:SSL|TLS)_/,
    class: "account",
    text: "The encrypted connection could not be set up. Check security and port in Bulk Mail: Accounts.",
  },
  { codes: /^ETLS$/, class: "account", text: say.starttls },
  { codes: /^ENOAUTH$/, class: "account", text: say.signIn },
  { codes: /^EENVELOPE$/, class: "recipient", text: say.refused, local: true },
  {
    codes: /^ENOTFOUND$|^ENODATA$/,
    class: "offline",
    text: "The server's name is not known. Check its spelling in Bulk Mail: Accounts, and this machine's connection.",
  },
  {
    codes: /^EAI_AGAIN$|^EDNS$/,
    class: "offline",
    text: "The server's name could not be looked up. Check this machine's connection.",
  },
  {
    codes: /^EPROXYDOWN$/,
    class: "offline",
    text: "The proxy does not answer. Check its address in Bulk Mail: Accounts, and whether you are in the network where it stands.",
  },
  {
    codes: /^EPROXYAUTH$/,
    class: "account",
    text: "The proxy refused its user name or password. Check both in Bulk Mail: Accounts; the server was not reached.",
  },
  {
    codes: /^EPROXYTARGET$/,
    class: "offline",
    text: "The proxy answers but does not connect us to the server. Check host and port, and whether the proxy allows mail ports.",
  },
  {
    codes: /^ECONNREFUSED$/,
    class: "offline",
    text: "Nothing answers at this host and port. Check both in Bulk Mail: Accounts, and whether a firewall blocks the port.",
  },
  {
    codes: /^(?:ENETUNREACH|EHOSTUNREACH|ENETDOWN|EADDRNOTAVAIL|EACCES|EPERM)$/,
    class: "offline",
    text: "The server cannot be reached from this network. Check the connection.",
  },
  {
    codes: /^ETIMEDOUT$/,
    class: "offline",
    text: "The server did not answer in time. Check port and security in Bulk Mail: Accounts; some networks block mail ports.",
  },
];

/** Sentences for failures that we find ourselves, without a reply. */
export const ownFailures = {
  noAuth: {
    class: "account",
    text: "The server offers no sign-in here. Check port and security, or set the account to no sign-in.",
  },
  noPasswordAuth: {
    class: "account",
    text: "The server takes no passwords, only a sign-in in the browser. The password was not sent; choose that sign-in in Bulk Mail: Accounts.",
  },
  noPassword: { class: "account", text: "No password is known for this account. Enter it in Bulk Mail: Accounts." },
  noTokenAuth: {
    class: "account",
    text: "The server takes no sign-in of the browser's kind (XOAUTH2). The access token was not sent. Check host and port in Bulk Mail: Accounts.",
  },
  signedOut: {
    class: "account",
    text: "Nobody is signed in to this account. Sign in, then resume: whoever has the message stays out.",
    signIn: true,
  },
  accountChanged: {
    class: "account",
    text: "The account was changed in the meantime, so nothing more was sent through it. Look at it in Bulk Mail: Accounts, then resume.",
  },
  signInLost: {
    class: "account",
    text: "The sign-in of this account could not be read or renewed on this machine. Sign in again, then resume.",
    signIn: true,
  },
  unusableToken: {
    class: "account",
    text: "What was given as access token cannot be one: it is empty, or holds spaces or other signs. Sign in again, then resume.",
    signIn: true,
  },
  noStarttls: { class: "account", text: say.starttls },
  smtpUtf8: {
    class: "recipient",
    text: say.international,
  },
  partlyRefused: {
    class: "recipient",
    text: "The server refused one of the row's addresses, so nothing was sent to any of them. Check to, cc and bcc.",
  },
  tooLarge: { class: "message", text: say.tooLarge },
  stopped: { class: "offline", text: "The attempt was ended before anything was handed over." },
} as const satisfies Record<string, { readonly class: OutcomeClass; readonly text: string; readonly signIn?: true }>;

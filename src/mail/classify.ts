/** What a failure means for the run: one table, one place. Decided by stage, reply code, enhanced code and the provider's words. */
import { plainText } from "./problems";

/** What the sender does about it (CONTRIBUTING: outcome classes). */
export type OutcomeClass =
  /** This address is refused for good. */
  | "recipient"
  /** This address may work later. */
  | "deferred"
  /** The account is asked to slow down. */
  | "throttled"
  /** The account's allowance is used up. */
  | "quota"
  /** Credentials, sender, TLS or relay: every message would fail. */
  | "account"
  /** This content is refused. */
  | "message"
  /** Nothing was handed over: connect again. */
  | "offline"
  /** The whole message may have been handed over, but no reply came. */
  | "unknown";

/** How far the dialogue had come. `body`: the gate is open; `reply`: the whole body was read, its reply is awaited. */
export type Stage = "connect" | "greeting" | "ehlo" | "starttls" | "auth" | "mail" | "rcpt" | "data" | "body" | "reply";

/** A failed attempt, classified. */
export interface Failure {
  readonly class: OutcomeClass;
  readonly stage: Stage;
  /** One sentence with the cause and one with the next step; ours, safe to show. */
  readonly text: string;
  /** Reply code (RFC 5321 §4.2) and enhanced code (RFC 3463), when the server spoke. */
  readonly code?: number;
  readonly enhanced?: string;
  /** The server's words, plain text, at most 300 characters. */
  readonly reply?: string;
  /** The address that was refused, when the envelope had several. */
  readonly refused?: string;
  /** When the server said how long to wait: so many milliseconds. */
  readonly retryAfterMs?: number;
  /** As in `RawFailure`, where there was no reply. */
  readonly systemCode?: string;
}

/** What a transport knows of a failure before it is classified. */
export interface RawFailure {
  readonly stage: Stage;
  /** The server's reply with its codes, if it gave one. */
  readonly reply?: string;
  /** The system's or TLS layer's error code, such as ECONNREFUSED or CERT_HAS_EXPIRED. */
  readonly systemCode?: string;
  readonly refused?: string;
}

interface Rule {
  readonly class: OutcomeClass;
  readonly text: string;
  readonly stages?: readonly Stage[];
  /** Tested against the reply code. */
  readonly code?: RegExp;
  readonly enhanced?: RegExp;
  /** Tested against the whole reply, without the addresses in it: an address may read like anything. */
  readonly words?: RegExp;
}

const say = {
  appPassword:
    "The server wants an app password instead of the account's own. Create one in the provider's security settings and enter it in Bulk Mail: Accounts.",
  basicOff:
    "The server no longer lets this account sign in with a password. Ask the administrator to allow SMTP sign-in, or use another account.",
  credentials: "The server refused the user name or the password. Check both in Bulk Mail: Accounts.",
  signIn: "The server wants a sign-in first. Set user and password in Bulk Mail: Accounts.",
  sender: "The server does not let this account send from this address. Use the account's own address in from.",
  relay:
    "The server does not pass on mail to other domains for this account. Sign in, or use the server of your own provider.",
  tooLarge: "The message is larger than the server takes. Use smaller attachments.",
  quota: "The account's allowance is used up for now. Resume later: nothing that was sent is sent again.",
  slow: "The server asks to slow down. The run goes on by itself after a pause.",
  busy: "The server cannot take this message now. It is tried again later.",
  full: "The recipient's mailbox cannot take this message now. It is tried again later.",
  fullForGood: "The recipient's mailbox is full. Ask the recipient, or try again another day.",
  refused: "The server refuses this recipient. Check the address.",
  content: "The server refuses this message for its content. Check links, attachments and the sender's domain.",
  domainPolicy:
    "The server refuses mail whose sender domain is not authenticated. Set up SPF, DKIM and DMARC for the domain in from.",
  blocked: "The server refuses this connection. Check with the provider whether this network or account is blocked.",
  dialogue: "The server lost the thread of the dialogue. It is tried again on a new connection.",
  configuration: "The server does not accept how we speak to it. Check port and security in Bulk Mail: Accounts.",
  starttls:
    "The server offers no encryption on this port. Nothing was sent; check port and security in Bulk Mail: Accounts.",
  unverified:
    "The provider sends to and from confirmed addresses only. Confirm both with the provider, or ask it for full access.",
  noBody: "The server refuses the message before its body. Check the campaign.",
} as const;

const beforeMail: readonly Stage[] = ["connect", "greeting", "ehlo", "starttls", "auth"];
const afterBody: readonly Stage[] = ["body", "reply"];
const aboutRecipient: readonly Stage[] = ["rcpt", "body", "reply"];

const mailboxFull =
  /(?:mailbox|inbox)[^.]{0,40}(?:full|quota|out of (?:storage )?space)|(?:over|exceed\w*)[^.]{0,20}(?:mailbox|storage) (?:quota|limit|size)|quota exceeded[^.]{0,20}mailbox|\buser is over (?:the )?quota|\bover quota\b/i;

/** First match wins. Provider words stand before the tables of codes (research: providers' own documentation). */
const rules: readonly Rule[] = [
  // Sign-in. Exactly one attempt: providers lock accounts.
  { class: "account", stages: ["auth"], code: /^5/, enhanced: /^5\.7\.9$/, text: say.appPassword },
  {
    class: "account",
    stages: ["auth"],
    code: /^5/,
    words: /application-specific password|app(?:lication)? password/i,
    text: say.appPassword,
  },
  { class: "account", stages: ["auth", "mail"], code: /^5/, enhanced: /^5\.7\.(?:30|139)$/, text: say.basicOff },
  {
    class: "account",
    code: /^5/,
    words: /basic authentication is (?:disabled|not supported)|SmtpClientAuthentication is disabled/i,
    text: say.basicOff,
  },
  { class: "throttled", stages: ["auth"], code: /^4/, text: say.slow },
  { class: "account", stages: ["auth"], code: /^[235]/, text: say.credentials },
  // The recipient's mailbox is full: its allowance, not ours (RFC 3463 §3.3).
  { class: "deferred", stages: aboutRecipient, code: /^4/, enhanced: /^4\.2\.2$/, text: say.full },
  { class: "recipient", stages: aboutRecipient, code: /^5/, enhanced: /^5\.2\.2$/, text: say.fullForGood },
  { class: "deferred", stages: aboutRecipient, code: /^4/, words: mailboxFull, text: say.full },
  { class: "recipient", stages: aboutRecipient, code: /^5/, words: mailboxFull, text: say.fullForGood },
  // Allowances.
  { class: "throttled", code: /^4/, words: /Peak SMTP relay/i, text: say.slow },
  { class: "quota", code: /^5/, enhanced: /^5\.(?:4\.5|7\.233|1\.90)$/, text: say.quota },
  {
    class: "quota",
    code: /^[45]/,
    words:
      /SubmissionQuotaExceeded|sending (?:limit|quota)|(?:daily|hourly|24[ -]hour)[^.]{0,60}(?:limit|quota|exceed)|(?:limit|quota)[^.]{0,40}(?:daily|hourly|24[ -]hour|per day|per hour)|(?:message|user|relay) limit (?:has been )?exceeded|(?:message|relay) quota (?:has been )?exceeded/i,
    text: say.quota,
  },
  { class: "deferred", stages: ["rcpt"], code: /^4/, words: /\bquota exceeded/i, text: say.full },
  { class: "recipient", stages: ["rcpt"], code: /^5/, words: /\bquota exceeded/i, text: say.fullForGood },
  { class: "quota", code: /^[45]/, words: /\bquota exceeded/i, text: say.quota },
  // Unauthenticated mail of the sender's domain: waiting does not mend it. (4.7.28 is a rate.)
  { class: "account", code: /^4/, enhanced: /^4\.7\.(?:26|27|29|30|31|32)$/, text: say.domainPolicy },
  { class: "account", code: /^5/, enhanced: /^5\.7\.26$/, text: say.domainPolicy },
  {
    class: "throttled",
    code: /^4/,
    words:
      /throttl|rate limit|too (?:many|much|fast)|unusual rate|slow down|TSS04|concurrent connections|sender thread limit/i,
    text: say.slow,
  },
  { class: "throttled", code: /^421$/, text: say.slow },
  // Before any transaction.
  { class: "offline", code: /^503$/, text: say.dialogue },
  { class: "throttled", stages: ["connect", "greeting", "ehlo"], code: /^4/, text: say.slow },
  { class: "account", stages: ["connect", "greeting"], code: /^5/, text: say.blocked },
  { class: "account", stages: ["ehlo"], code: /^5/, text: say.configuration },
  { class: "offline", stages: ["starttls"], code: /^4/, text: say.dialogue },
  { class: "account", stages: ["starttls"], code: /^5/, text: say.starttls },
  // MAIL FROM.
  { class: "account", stages: ["mail"], code: /^530$/, text: say.signIn },
  { class: "account", stages: ["mail"], code: /^5/, enhanced: /^5\.3\.4$/, text: say.tooLarge },
  { class: "account", stages: ["mail"], code: /^552$/, text: say.tooLarge },
  { class: "throttled", stages: ["mail"], code: /^4/, text: say.slow },
  { class: "account", stages: ["mail"], code: /^5/, text: say.sender },
  // RCPT TO.
  {
    class: "account",
    stages: ["rcpt", "data"],
    code: /^5/,
    words:
      /relay(?:ing)? (?:access )?(?:denied|prohibited)|relay(?:ing)? not (?:permitted|allowed)|not (?:permitted|allowed) to relay|unable to relay/i,
    text: say.relay,
  },
  {
    class: "account",
    stages: ["rcpt", "data"],
    code: /^5/,
    enhanced: /^5\.7\.1$/,
    words: /\brelay/i,
    text: say.relay,
  },
  { class: "account", stages: ["rcpt", "data"], code: /^530$/, text: say.signIn },
  { class: "account", stages: ["rcpt"], code: /^5/, enhanced: /^5\.1\.[789]$/, text: say.sender },
  { class: "account", stages: ["rcpt"], code: /^5/, enhanced: /^5\.7\.60$/, text: say.sender },
  { class: "message", stages: ["rcpt"], code: /^5/, enhanced: /^5\.3\.4$/, text: say.tooLarge },
  {
    class: "recipient",
    stages: aboutRecipient,
    code: /^5/,
    words: /email address is not verified/i,
    text: say.unverified,
  },
  // The server's own trouble, not the mailbox's (RFC 3463 §3.4).
  { class: "throttled", stages: ["rcpt"], code: /^4/, enhanced: /^4\.(?:5\.3|3\.[125])$/, text: say.slow },
  { class: "deferred", stages: ["rcpt"], code: /^4/, text: say.full },
  { class: "recipient", stages: ["rcpt"], code: /^5/, text: say.refused },
  // DATA, answered before the body.
  { class: "throttled", stages: ["data"], code: /^4/, text: say.slow },
  { class: "recipient", stages: ["data"], code: /^5/, words: /no valid recipients/i, text: say.refused },
  { class: "message", stages: ["data"], code: /^5/, text: say.noBody },
  // The reply to the body: a definite word, the message was not accepted.
  { class: "account", stages: afterBody, code: /^5/, enhanced: /^5\.7\.60$/, text: say.sender },
  {
    class: "account",
    stages: aboutRecipient,
    code: /^5/,
    words: /SendAsDenied|not have permissions? to send as/i,
    text: say.sender,
  },
  { class: "throttled", stages: afterBody, code: /^4/, enhanced: /^4\.7\./, text: say.slow },
  { class: "deferred", stages: afterBody, code: /^4/, text: say.busy },
  { class: "message", stages: afterBody, code: /^5/, enhanced: /^5\.7\.(?:515|2\d|3[0-2])$/, text: say.domainPolicy },
  { class: "message", stages: afterBody, code: /^5/, words: /\b(?:DMARC|SPF|DKIM)\b/i, text: say.domainPolicy },
  { class: "message", stages: afterBody, code: /^5/, enhanced: /^5\.(?:3\.4|2\.3)$/, text: say.tooLarge },
  { class: "message", stages: afterBody, code: /^552$/, text: say.tooLarge },
  {
    class: "recipient",
    stages: afterBody,
    code: /^5/,
    enhanced: /^5\.1\.(?:[0-6]|10)$|^5\.2\.1$/,
    text: say.refused,
  },
  { class: "message", stages: afterBody, code: /^5/, text: say.content },
];

/** Causes below SMTP, by the system's or TLS layer's code. */
const systemRules: readonly { readonly codes: RegExp; readonly class: OutcomeClass; readonly text: string }[] = [
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
    text: "The server takes no passwords, only a sign-in in the browser. The password was not sent.",
  },
  noPassword: { class: "account", text: "No password is known for this account. Enter it in Bulk Mail: Accounts." },
  noStarttls: { class: "account", text: say.starttls },
  smtpUtf8: {
    class: "recipient",
    text: "The address needs a server that knows international addresses (SMTPUTF8), and this one does not.",
  },
  partlyRefused: {
    class: "recipient",
    text: "The server refused one of the row's addresses, so nothing was sent to any of them. Check to, cc and bcc.",
  },
  tooLarge: { class: "message", text: say.tooLarge },
  stopped: { class: "offline", text: "The attempt was ended before anything was handed over." },
} as const satisfies Record<string, { readonly class: OutcomeClass; readonly text: string }>;

/** Classifies what a transport saw (RFC 5321 §4.2.1: the first digit decides; RFC 3463 refines). */
export function classify(raw: RawFailure): Failure {
  const { stage, refused } = raw;
  const reply = raw.reply === undefined ? undefined : plainText(raw.reply);
  const about = { stage, ...(reply !== undefined && { reply }), ...(refused !== undefined && { refused }) };
  const codes = raw.reply === undefined ? undefined : replyCodes(raw.reply);
  const { systemCode } = raw;
  if (codes === undefined) return { ...about, ...withoutReply(raw), ...(systemCode !== undefined && { systemCode }) };
  const { code, enhanced } = codes;
  // A failure with a success reply is a dialogue out of step: behind the body nobody knows what the reply was for.
  if (code < 400 && stage !== "auth")
    return { ...about, ...withoutReply({ stage: stage === "body" ? "reply" : stage }), code };
  const words = (raw.reply ?? "").replace(/<[^<>]*>|[^\s@]+@[^\s@]+/g, " ");
  const rule = rules.find(
    (candidate) =>
      (candidate.stages === undefined || candidate.stages.includes(stage)) &&
      (candidate.code === undefined || candidate.code.test(String(code))) &&
      (candidate.enhanced === undefined || (enhanced !== undefined && candidate.enhanced.test(enhanced))) &&
      (candidate.words === undefined || candidate.words.test(words)),
  );
  const verdict =
    rule ??
    (code < 500
      ? ({ class: "deferred", text: say.busy } as const)
      : ({ class: "account", text: say.configuration } as const));
  return { ...about, class: verdict.class, text: verdict.text, code, ...(enhanced !== undefined && { enhanced }) };
}

/** The reply code of a reply, of its last line when they differ, and the enhanced code that came with it. */
export function replyCodes(
  reply: string,
): { readonly code: number; readonly enhanced: string | undefined } | undefined {
  const lines = reply.split(/\r?\n/).filter((line) => /^[2-5]\d\d(?:[ -]|$)/.test(line));
  const code = lines.at(-1)?.slice(0, 3);
  if (code === undefined) return undefined;
  const enhanced = lines
    .filter((line) => line.startsWith(code))
    .map((line) => /^\d{3}[ -]#?([245]\.\d{1,3}\.\d{1,3})(?![\d.])/.exec(line)?.[1])
    .findLast((found) => found !== undefined);
  return { code: Number(code), enhanced };
}

function withoutReply(raw: RawFailure): Pick<Failure, "class" | "text"> {
  if (raw.stage === "reply")
    return {
      class: "unknown",
      text: "The connection ended after the whole message was handed over, and no reply came. Look into the account's Sent folder before sending again.",
    };
  const known = systemRules.find(({ codes }) => codes.test(raw.systemCode ?? ""));
  if (known !== undefined && (beforeMail.includes(raw.stage) || known.class === "offline"))
    return { class: known.class, text: known.text };
  return { class: "offline", text: "The connection ended before the message was handed over. It is tried again." };
}

/**
 * What a server's reply means, as data: RFC 5321 §4.2 and 4.3.2, RFC 3463, RFC 4954, RFC 7504, and the providers' own documentation.
 * First match wins. A rule with an enhanced code asks for the same first digit in the reply code, so a reply that contradicts itself is
 * judged by its reply code.
 */
import type { OutcomeClass, Stage } from "./classify";
import { say } from "./failureSentences";

/** One row of the table; every condition that stands must hold. */
export interface ReplyRule {
  readonly class: OutcomeClass;
  readonly text: string;
  readonly stages?: readonly Stage[];
  /** Tested against the reply code. */
  readonly code?: RegExp;
  readonly enhanced?: RegExp;
  /** Tested against the whole reply on one line, without codes and addresses: an address may read like anything. */
  readonly words?: RegExp;
  /** The reply names the address of the sender. */
  readonly namesSender?: true;
  /** How many connections the account is allowed, as far as the reply tells. */
  readonly connections?: 1;
}

/** What is said instead of a sentence about passwords to whom an access token signs in. */
export const tokenVerdicts: ReadonlyMap<
  string,
  { readonly text: string; readonly class?: OutcomeClass; readonly signIn?: true }
> = new Map([
  [say.credentials, { text: say.token, signIn: true }],
  [say.signIn, { text: say.token, signIn: true }],
  [say.appPassword, { text: say.tokenBrowser, signIn: true }],
  [say.browser, { text: say.tokenBrowser, signIn: true }],
  [say.basicOff, { text: say.tokenRules }],
  [say.renewal, { text: say.slow, class: "throttled" }],
]);

const afterBody: readonly Stage[] = ["body", "reply"];
const aboutRecipient: readonly Stage[] = ["rcpt", "body", "reply"];
const afterSender: readonly Stage[] = ["rcpt", "data", "body", "reply"];

const mailboxFull =
  /(?:mailbox|inbox)[^.]{0,40}(?:full|quota|out of (?:storage )?space)|(?:over|exceed\w{0,5})[^.]{0,20}(?:mailbox|storage) (?:quota|limit|size)|quota exceeded[^.]{0,20}mailbox|\buser is over (?:the )?quota|\bover quota\b/i;

/** Providers' words stand before the codes in general. */
export const replyRules: readonly ReplyRule[] = [
  // Limits of connections come at any stage (Exchange Online: 432 4.3.2).
  {
    class: "throttled",
    code: /^4/,
    words: /concurrent (?:smtp )?connections?|sender thread limit|too many (?:\w{1,20} )?connections/i,
    text: say.connections,
    connections: 1,
  },
  // Sign-in. Exactly one attempt: providers lock accounts.
  { class: "account", stages: ["auth"], code: /^5/, enhanced: /^5\.7\.9$/, text: say.appPassword },
  {
    class: "account",
    stages: ["auth"],
    code: /^5/,
    words: /application-specific password|app(?:lication)? password/i,
    text: say.appPassword,
  },
  { class: "account", code: /^5/, words: /SmtpClientAuthentication is disabled/i, text: say.smtpOff },
  { class: "account", stages: ["auth", "mail"], code: /^5/, enhanced: /^5\.7\.(?:30|139)$/, text: say.basicOff },
  {
    class: "account",
    code: /^5/,
    words: /basic authentication is (?:disabled|not supported)/i,
    text: say.basicOff,
  },
  { class: "account", stages: ["auth"], code: /^5/, enhanced: /^5\.7\.14$/, text: say.browser },
  { class: "account", stages: ["auth"], code: /^5/, words: /via your web browser/i, text: say.browser },
  // RFC 4954 §4.7.12 and §5.7.11; a 530 that names STARTTLS is RFC 3207 §4.
  { class: "account", stages: ["auth"], code: /^4/, enhanced: /^4\.7\.12$/, text: say.renewal },
  { class: "account", code: /^538$/, text: say.encryption },
  { class: "account", code: /^5/, enhanced: /^5\.7\.11$/, text: say.encryption },
  { class: "account", code: /^530$/, words: /STARTTLS|encryption/i, text: say.encryption },
  { class: "throttled", stages: ["auth"], code: /^4/, text: say.slow },
  { class: "account", stages: ["auth"], code: /^[235]/, text: say.credentials },
  // The recipient's mailbox is full: its allowance, not ours (RFC 3463 §3.3).
  { class: "deferred", stages: aboutRecipient, code: /^4/, enhanced: /^4\.2\.2$/, text: say.full },
  { class: "recipient", stages: aboutRecipient, code: /^5/, enhanced: /^5\.2\.2$/, text: say.fullForGood },
  { class: "deferred", stages: aboutRecipient, code: /^4/, words: mailboxFull, text: say.full },
  { class: "recipient", stages: aboutRecipient, code: /^5/, words: mailboxFull, text: say.fullForGood },
  // Allowances.
  { class: "throttled", code: /^4/, words: /Peak SMTP relay/i, text: say.slow },
  { class: "quota", code: /^5/, enhanced: /^5\.7\.233$/, text: say.tenantQuota },
  { class: "quota", code: /^5/, enhanced: /^5\.(?:4\.5|1\.90)$/, text: say.quota },
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
  { class: "account", code: /^5/, enhanced: /^5\.7\.(?:26|30)$/, text: say.domainPolicy },
  { class: "account", code: /^5/, enhanced: /^5\.7\.28$/, text: say.blocked },
  // Yahoo: "retrying will NOT succeed", and counts against the sender.
  { class: "account", code: /^4/, words: /\[TS03\]|will be permanently deferred/i, text: say.turnedAway },
  // Postfix asks about the sender at RCPT (smtpd_delay_reject). A name server may be down, so it is not final at once.
  {
    class: "throttled",
    stages: ["mail", ...afterSender],
    code: /^4/,
    enhanced: /^4\.1\.[789]$/,
    text: say.senderLater,
  },
  {
    class: "throttled",
    code: /^4/,
    words: /throttl|rate limit|too (?:many|much|fast)|unusual rate|slow down|TSS04/i,
    text: say.slow,
  },
  { class: "throttled", code: /^421$/, text: say.slow },
  // Before any transaction.
  {
    class: "offline",
    stages: ["connect", "greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data"],
    code: /^503$/,
    text: say.dialogue,
  },
  { class: "throttled", stages: ["connect", "greeting", "ehlo"], code: /^4/, text: say.slow },
  { class: "account", stages: ["connect", "greeting"], code: /^5/, text: say.blocked },
  { class: "account", stages: ["ehlo"], code: /^5/, text: say.configuration },
  { class: "offline", stages: ["starttls"], code: /^4/, text: say.starttlsLater },
  { class: "account", stages: ["starttls"], code: /^5/, text: say.starttls },
  // MAIL FROM.
  { class: "account", stages: ["mail"], code: /^530$/, text: say.signIn },
  // The SIZE that we announced (RFC 1870 §6.1): this message's own, as when we find it too large ourselves.
  { class: "message", stages: ["mail"], code: /^5/, enhanced: /^5\.3\.4$/, text: say.tooLarge },
  { class: "message", stages: ["mail"], code: /^552$/, text: say.tooLarge },
  { class: "account", stages: ["mail"], code: /^5/, enhanced: /^5\.7\.(?:515|2\d|3[12])$/, text: say.domainPolicy },
  { class: "account", stages: ["mail"], code: /^5/, enhanced: /^5\.5\./, text: say.configuration },
  { class: "account", stages: ["mail"], code: /^(?:500|502|504|555)$/, text: say.configuration },
  { class: "throttled", stages: ["mail"], code: /^4/, text: say.slow },
  { class: "account", stages: ["mail"], code: /^5/, text: say.sender },
  // What is no recipient's affair, wherever behind MAIL it is said.
  { class: "account", stages: ["rcpt", "data"], code: /^5/, enhanced: /^5\.7\.[89]$/, text: say.credentials },
  { class: "account", stages: afterBody, code: /^5/, enhanced: /^5\.7\.8$/, text: say.credentials },
  { class: "account", stages: afterSender, code: /^5/, enhanced: /^5\.3\.[12]$/, text: say.closed },
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
  { class: "account", stages: afterSender, code: /^5/, enhanced: /^5\.1\.[789]$/, text: say.sender },
  { class: "account", stages: ["rcpt"], code: /^5/, enhanced: /^5\.7\.60$/, text: say.sender },
  { class: "message", stages: ["rcpt"], code: /^5/, enhanced: /^5\.(?:3\.4|2\.3)$/, text: say.tooLarge },
  { class: "message", stages: ["rcpt"], code: /^5/, enhanced: /^5\.7\.(?:515|2\d|3[12])$/, text: say.domainPolicy },
  { class: "recipient", stages: aboutRecipient, code: /^5/, enhanced: /^5\.6\.7$/, text: say.international },
  { class: "message", stages: ["rcpt"], code: /^5/, enhanced: /^5\.6\./, text: say.content },
  { class: "recipient", stages: afterSender, code: /^5/, enhanced: /^5\.5\.3$/, text: say.tooMany },
  {
    class: "account",
    stages: aboutRecipient,
    code: /^5/,
    words: /email address is not verified/i,
    namesSender: true,
    text: say.unverifiedSender,
  },
  {
    class: "recipient",
    stages: aboutRecipient,
    code: /^5/,
    words: /email address is not verified/i,
    text: say.unverified,
  },
  // The server's own trouble, not the mailbox's (RFC 3463 §3.4).
  { class: "throttled", stages: ["rcpt"], code: /^4/, enhanced: /^4\.(?:5\.3|3\.[125])$/, text: say.slow },
  { class: "deferred", stages: afterSender, code: /^4/, words: /\bgr[ae]y-?list/i, text: say.greylisted },
  { class: "deferred", stages: ["rcpt"], code: /^4/, text: say.full },
  { class: "recipient", stages: ["rcpt"], code: /^5/, text: say.refused },
  // DATA, answered before the body.
  { class: "throttled", stages: ["data"], code: /^4/, text: say.slow },
  { class: "recipient", stages: ["data"], code: /^5/, words: /no valid recipients/i, text: say.refused },
  { class: "recipient", stages: ["data"], code: /^5/, enhanced: /^5\.(?:1\.(?:[0-6]|10)|2\.1)$/, text: say.refused },
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
  { class: "message", stages: afterBody, code: /^5/, enhanced: /^5\.7\.(?:515|2\d|3[12])$/, text: say.domainPolicy },
  { class: "message", stages: afterBody, code: /^5/, words: /\b(?:DMARC|SPF|DKIM)\b/i, text: say.domainPolicy },
  { class: "message", stages: afterBody, code: /^5/, enhanced: /^5\.(?:3\.4|2\.3)$/, text: say.tooLarge },
  { class: "message", stages: afterBody, code: /^552$/, text: say.tooLarge },
  {
    class: "recipient",
    stages: afterBody,
    code: /^5/,
    enhanced: /^5\.1\.(?:[0-6]|10)$|^5\.2\.[14]$|^5\.4\.[0-467]$/,
    text: say.refused,
  },
  { class: "message", stages: afterBody, code: /^5/, text: say.content },
];

/** What a failure means for the run: one table, one place. Decided by stage, reply code, enhanced code and the provider's words. */
import { replyRules, tokenVerdicts } from "./classifyRules";
import { say } from "./failureSentences";
import { plainText } from "./problems";
import { retryAfter } from "./retryAfter";
import { systemRules } from "./systemFailures";

export { ownFailures } from "./systemFailures";

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
  /** As in `RawFailure`, where there was no reply. */
  readonly systemCode?: string;
  /** How long the server asks to wait, milliseconds, between a second and 24 hours; absent when it names no time. */
  readonly retryAfterMs?: number;
  /** A person has to sign in, or to sign in again, in the browser. */
  readonly signIn?: true;
  /** How many connections the server takes of this account at once, where it says that there are too many. */
  readonly connections?: number;
}

/** What a transport knows of a failure before it is classified. */
export interface RawFailure {
  readonly stage: Stage;
  /** The server's reply with its codes, if it gave one. */
  readonly reply?: string;
  /** The system's or TLS layer's error code, such as ECONNREFUSED or CERT_HAS_EXPIRED. */
  readonly systemCode?: string;
  readonly refused?: string;
  /** The account signs in with an access token, so that no sentence speaks of passwords. */
  readonly token?: true;
  /** The address in MAIL FROM, for servers that refuse a message and name whose fault it is. */
  readonly sender?: string;
  /** The time of the reply, milliseconds since 1970, for servers that name the moment of the next try. */
  readonly now?: number;
}

const beforeMail: readonly Stage[] = ["connect", "greeting", "ehlo", "starttls", "auth"];

/** Where a wait makes a difference. */
const waitable: ReadonlySet<OutcomeClass> = new Set<OutcomeClass>(["deferred", "throttled", "quota", "offline"]);

/** So much of a reply's beginning and of its last line is read, characters; RFC 5321 §4.5.3.1.5 allows 512 octets a line. */
const readCharacters = 2048;

/**
 * Classifies what a transport saw (RFC 5321 §4.2.1: the first digit decides; RFC 3463 refines). Takes no longer for a reply of any
 * length.
 */
export function classify(raw: RawFailure): Failure {
  const { stage, refused, systemCode } = raw;
  const written = raw.reply === undefined ? undefined : shortened(raw.reply);
  const reply = written === undefined ? undefined : plainText(written);
  const about = { stage, ...(reply !== undefined && { reply }), ...(refused !== undefined && { refused }) };
  const codes = written === undefined ? undefined : replyCodes(written);
  if (written === undefined || codes === undefined)
    return { ...about, ...withoutReply(raw), ...(systemCode !== undefined && { systemCode }) };
  const { code, enhanced } = codes;
  // A failure with a success reply is a dialogue out of step: behind the body nobody knows what the reply was for.
  if (code < 400 && stage !== "auth")
    return { ...about, ...withoutReply({ stage: stage === "body" ? "reply" : stage }), code };
  const words = wordsOf(written);
  const blamesSender = raw.sender !== undefined && addressesIn(written).includes(raw.sender.toLowerCase());
  const rule = replyRules.find(
    (candidate) =>
      (candidate.stages === undefined || candidate.stages.includes(stage)) &&
      (candidate.code === undefined || candidate.code.test(String(code))) &&
      (candidate.enhanced === undefined || (enhanced !== undefined && candidate.enhanced.test(enhanced))) &&
      (candidate.words === undefined || candidate.words.test(words)) &&
      (candidate.namesSender === undefined || blamesSender),
  );
  const { class: kind, text } = rule ?? otherwise(code);
  const verdict = { class: kind, text, ...(raw.token === true && tokenVerdicts.get(text)) };
  const retryAfterMs = waitable.has(verdict.class) ? retryAfter(words, raw.now) : undefined;
  return {
    ...about,
    ...verdict,
    code,
    ...(enhanced !== undefined && { enhanced }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(rule?.connections !== undefined && { connections: rule.connections }),
  };
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

/** The beginning of a reply and its last line, which decides. */
function shortened(reply: string): string {
  if (reply.length <= 2 * readCharacters) return reply;
  const lastLine = reply.lastIndexOf("\n", reply.trimEnd().length - 1) + 1;
  const beginning = reply.slice(0, readCharacters);
  return lastLine < readCharacters ? beginning : `${beginning}\n${reply.slice(lastLine, lastLine + readCharacters)}`;
}

/** What a reply says, on one line: without the codes that stand before every line, and without addresses. */
function wordsOf(reply: string): string {
  return reply
    .replace(/(^|[\r\n]+)\d{3}(?:[ -](?:#?[245]\.\d{1,3}\.\d{1,3}(?![\d.]))?|$)/g, " ")
    .replace(/<[^<>]*>|(?<![^\s@])[^\s@]+@[^\s@]+/g, " ")
    .replace(/\s+/g, " ");
}

function addressesIn(reply: string): readonly string[] {
  const found = reply.match(/(?<![^\s@<>,;:"'()])[^\s@<>,;:"'()]+@[^\s@<>,;:"'()]+/g) ?? [];
  return found.map((address) => address.replace(/\.+$/, "").toLowerCase());
}

/** What no rule knows: RFC 5321 §4.2.1. */
function otherwise(code: number): { readonly class: OutcomeClass; readonly text: string } {
  return code < 500 ? { class: "deferred", text: say.busy } : { class: "account", text: say.configuration };
}

function withoutReply(raw: RawFailure): Pick<Failure, "class" | "text"> {
  if (raw.stage === "reply")
    return {
      class: "unknown",
      text: "The connection ended after the whole message was handed over, and no reply came. Look into the account's Sent folder before sending again.",
    };
  const known = systemRules.find(({ codes }) => codes.test(raw.systemCode ?? ""));
  if (known !== undefined && (beforeMail.includes(raw.stage) || known.class === "offline" || known.local === true))
    return { class: known.class, text: known.text };
  return { class: "offline", text: "The connection ended before the message was handed over. It is tried again." };
}

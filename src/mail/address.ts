/** Addresses, stricter than RFC 5321 and 5322 where those allow what nobody means. */
import { domainToASCII } from "node:url";

/** A name and an address (RFC 5322 §3.4 mailbox). */
export interface Mailbox {
  /** Empty when there is none. */
  readonly name: string;
  /** `local@domain`; the domain lower-case and in its ASCII form (A-label), the local part as written (NFC). */
  readonly address: string;
}

/** What `parseMailbox` says. */
export type ParsedMailbox =
  | {
      readonly ok: true;
      readonly mailbox: Mailbox;
      /** True when the local part needs SMTPUTF8 (RFC 6531). */
      readonly utf8: boolean;
    }
  | {
      readonly ok: false;
      readonly reason: "empty" | "several" | "invalid";
      /** What is wrong, as the end of a sentence. */
      readonly detail: string;
    };

/** Longest address read at all, in characters: 64 + @ + 255 (RFC 5321 §4.5.3.1), before it is judged. */
const addressLimit = 320;
/** Longest text read at all: a line of a header (RFC 5322 §2.1.1). */
const textLimit = 998;

/** Reads `ada@example.com` or `Ada <ada@example.com>`, exactly one, at most 320 characters of address. */
export function parseMailbox(text: string): ParsedMailbox {
  if (text.length > textLimit) {
    const trimmed = text.trim();
    if (trimmed.length > textLimit) return invalid(`it is longer than ${textLimit} characters`);
    return parseMailbox(trimmed);
  }
  // Nearly every cell is a plain address: no copies are made of it.
  if (plainAddress.test(text) && text.length <= addressLimit) return parseAddress(text, "");
  const trimmed = text.trim();
  if (trimmed === "") return { ok: false, reason: "empty", detail: "it is empty" };
  if (!trimmed.endsWith(">")) {
    if (countAddresses(trimmed) > 1) return several;
    if (trimmed.includes("<")) return invalid("the bracket < is not closed");
    return parseAddress(trimmed, "");
  }
  const open = trimmed.lastIndexOf("<");
  if (open < 0) return invalid("the bracket > was never opened");
  const before = trimmed.slice(0, open).trim();
  const inside = trimmed.slice(open + 1, -1).trim();
  if (inside.indexOf("@") !== inside.lastIndexOf("@") && countAddresses(inside) > 1) return several;
  const quoted = unquote(before);
  if (quoted === undefined) {
    // Outside quotes a second address is a second recipient, however the text came about.
    if (before.includes("@") && /[<>]/.test(before)) return several;
    if (/[,;]/.test(before) && countAddresses(before) > 0) return several;
  }
  return parseAddress(inside, cleanName(quoted ?? before));
}

/** The form under which an address is the same person: lower-case throughout, domain as A-label. */
export function addressKey(address: string): string {
  if (plainAddress.test(address) && !address.endsWith(".")) return address.toLowerCase();
  const trimmed = address.trim().normalize("NFC");
  const at = trimmed.lastIndexOf("@");
  const domain = trimmed.slice(at + 1);
  // Lower-case can take an accent apart, so the composed form comes last.
  const local = trimmed
    .slice(0, at + 1)
    .toLowerCase()
    .normalize("NFC");
  const plain = domain.length > addressLimit || isAscii(domain) ? domain : domainToASCII(domain) || domain;
  return local + plain.toLowerCase().replace(/\.$/, "");
}

/** Whether two addresses are one mailbox. Gmail's own may be written with and without dots, and by the older name of its domain. */
export function isSameMailbox(a: string, b: string): boolean {
  return mailboxKey(a) === mailboxKey(b);
}

function mailboxKey(address: string): string {
  const lower = address.trim().toLowerCase();
  const [, local] = /^([^@]+)@(?:gmail|googlemail)\.com$/.exec(lower) ?? [];
  return local === undefined ? lower : `${local.replaceAll(".", "")}@gmail.com`;
}

/** One run of letters, digits and signs without blanks, brackets or quotes around one @; linear, as the two parts exclude the @. */
const plainAddress = /^[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+$/;

/** RFC 5322 §3.2.3 atext and the dot; beyond ASCII whatever is visible (RFC 6531 §3.3). */
const localCharacters = /^(?:[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]|[^\p{ASCII}\p{C}\p{Z}])+$/u;
/** Control, zero-width, bidirectional and other invisible characters, and what a wrong encoding leaves behind. */
const invisible = /[\p{C}\u2028\u2029\ufffd]/u;

const several: ParsedMailbox = { ok: false, reason: "several", detail: "it holds more than one address" };

function invalid(detail: string): ParsedMailbox {
  return { ok: false, reason: "invalid", detail };
}

function parseAddress(written: string, name: string): ParsedMailbox {
  if (written.length > addressLimit) return invalid(`the address is longer than ${addressLimit} characters`);
  const text = isAscii(written) ? written : written.normalize("NFC");
  if (invisible.test(text)) {
    return invalid(
      text.includes("\ufffd") ? "it holds a broken character (\ufffd)" : "it holds an invisible character",
    );
  }
  const at = text.lastIndexOf("@");
  if (at < 0) return invalid("the @ is missing");
  const local = text.slice(0, at);
  const localFault = judgeLocalPart(local);
  if (localFault !== undefined) return invalid(localFault);
  const domain = text.slice(at + 1).replace(/\.$/, "");
  const converted = convertDomain(domain);
  if ("fault" in converted) return invalid(converted.fault);
  const address = `${local}@${converted.domain}`;
  // RFC 5321 §4.5.3.1.3: a path has 256 octets with its two brackets.
  if (Buffer.byteLength(address) > 254) return invalid("the address is longer than 254 octets");
  return { ok: true, mailbox: { name, address }, utf8: !isAscii(local) };
}

function judgeLocalPart(local: string): string | undefined {
  if (local === "") return "nothing stands before the @";
  if (local.startsWith('"')) return "quoted names before the @ are not supported";
  if (/\s/.test(local)) return "it holds a blank";
  if (/^mailto:/i.test(local)) return "it starts with mailto:";
  if (local.includes("@")) return "it holds more than one @";
  if (!localCharacters.test(local)) return "the part before the @ holds a character that no address has";
  if (local.startsWith(".") || local.endsWith(".")) return "the part before the @ starts or ends with a dot";
  if (local.includes("..")) return "two dots follow each other";
  if (Buffer.byteLength(local) > 64) return "the part before the @ is longer than 64 octets";
  return undefined;
}

/** Domains that were judged good a moment ago: lists repeat a few of them thousands of times. */
const goodDomains = new Map<string, string>();
const goodDomainLimit = 1000;

function convertDomain(domain: string): { readonly domain: string } | { readonly fault: string } {
  const known = goodDomains.get(domain);
  if (known !== undefined) return { domain: known };
  const converted = judgeDomain(domain);
  if ("domain" in converted) {
    if (goodDomains.size >= goodDomainLimit) goodDomains.clear();
    goodDomains.set(domain, converted.domain);
  }
  return converted;
}

function judgeDomain(domain: string): { readonly domain: string } | { readonly fault: string } {
  if (domain === "") return { fault: "nothing stands after the @" };
  if (domain.startsWith("[")) return { fault: "a number in brackets is no domain" };
  if (/\s/.test(domain)) return { fault: "it holds a blank" };
  // `domainToASCII` reads its argument as the host of a URL: escapes, ports and paths must not reach it.
  const sign = /(?![A-Za-z0-9.-])\p{ASCII}/u.exec(domain)?.[0];
  if (sign !== undefined) return { fault: `the domain holds ${sign}` };
  const ascii = /^[a-z0-9.-]*$/.test(domain) && !domain.includes("xn--") ? domain : domainToASCII(domain);
  if (ascii === "") return { fault: "the domain is none" };
  const labels = ascii.split(".");
  if (labels.includes("")) return { fault: "a part of the domain is empty" };
  if (labels.length < 2) return { fault: "the domain has no ending such as .com" };
  // RFC 1123 §2.1: letters, digits, and dashes inside.
  for (const label of labels) {
    if (label.length > 63) return { fault: "a part of the domain is longer than 63 characters" };
    if (label.startsWith("-") || label.endsWith("-"))
      return { fault: "a part of the domain starts or ends with a dash" };
    if (!/^[a-z0-9-]+$/.test(label)) return { fault: "the domain holds a character that no domain has" };
  }
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "")) return { fault: "the domain ends with a number" };
  return { domain: ascii };
}

/** How many parts of a text look like an address, when it is cut at commas, semicolons and blanks. */
function countAddresses(text: string): number {
  if (!text.includes("@")) return 0;
  return text.split(/[,;|\s<>]/).filter((part) => /^[^@]+@[^@]+$/.test(part)).length;
}

/** The content of a text that is one quoted string (RFC 5322 §3.2.4), else undefined. */
function unquote(text: string): string | undefined {
  if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) return undefined;
  let content = "";
  for (let index = 1; index < text.length - 1; index++) {
    const character = text.charAt(index);
    if (character === '"') return undefined;
    if (character === "\\") {
      index++;
      // The last quote is escaped: the string never closes.
      if (index === text.length - 1) return undefined;
    }
    content += text.charAt(index);
  }
  return content;
}

/** A name on one line without what could turn it into something else; joiners stay, as Persian and emoji need them. */
function cleanName(name: string): string {
  if (/^[\x20-\x7e]*$/.test(name)) return name.trim();
  return name
    .normalize("NFC")
    .replace(/[\p{Cc}\u2028\u2029]+/gu, " ")
    .replace(/[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu, "")
    .trim();
}

function isAscii(text: string): boolean {
  return /^\p{ASCII}*$/u.test(text);
}

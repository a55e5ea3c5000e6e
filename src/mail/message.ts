/** From rendered parts to the exact bytes of one message (RFC 5322, MIME), its envelope and its identity. */
import { createHash } from "node:crypto";
import MailComposer from "nodemailer/lib/mail-composer";
import type { MailComposerAttachment } from "nodemailer/lib/mail-composer";
import { encodeWord } from "nodemailer/lib/mime-funcs";
import type MimeNode from "nodemailer/lib/mime-node";
import { encode as encodeQuotedPrintable, wrap as wrapQuotedPrintable } from "nodemailer/lib/qp";
import { addressKey } from "./address";
import type { Mailbox } from "./address";
import { judgeHeaderName } from "./headerNames";
import { cleanLine } from "./slots";

/** What goes over the wire for one recipient. */
export interface Message {
  readonly envelope: {
    /** Reverse-path, an address without name. */
    readonly from: string;
    /** `to` first, then cc and bcc; without doubles. */
    readonly to: readonly string[];
  };
  /** With angle brackets. */
  readonly messageId: string;
  readonly subject: string;
  /** The whole message with CRLF line ends, before dot-stuffing. */
  readonly bytes: Buffer;
  /** True when an envelope address needs SMTPUTF8. */
  readonly smtpUtf8: boolean;
}

/** A file that goes with a message. */
export interface Part {
  readonly filename: string;
  readonly content: Buffer;
  /** Set for inline images. */
  readonly cid?: string;
}

/** Everything a message consists of, all values in place. */
export interface MessageParts {
  readonly from: Mailbox;
  readonly to: Mailbox;
  readonly cc: readonly Mailbox[];
  readonly bcc: readonly Mailbox[];
  readonly replyTo: Mailbox | undefined;
  readonly subject: string;
  readonly html: string;
  readonly text: string;
  readonly attachments: readonly Part[];
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly unsubscribe: string | undefined;
  readonly oneClick: boolean;
  readonly messageId: string;
  readonly date: Date;
}

/** A header line of RFC 5322 §2.1.1 holds at most 998 octets. What has no blank for so long cannot be folded. */
const longestWord = 400;
/** Characters of a display name. */
const longestName = 250;

/**
 * Composes the bytes. The same parts give the same bytes: boundaries derive from the Message-ID. Throws on a header that campaigns may
 * not set, which `parseCampaign` never lets through.
 */
export function composeMessage(parts: MessageParts): Promise<Message> {
  // A promise all the same: encoding in another place must not change the callers.
  return new Promise((resolve) => {
    resolve(compose(parts));
  });
}

function compose(parts: MessageParts): Message {
  const subject = cleanLine(parts.subject).trim();
  const headers = [
    ...parts.headers.map(({ name, value }) => customHeader(name, value)),
    ...unsubscribeHeaders(parts.unsubscribe, parts.oneClick),
    textHeader("Subject", subject),
  ];
  const composer = new MailComposer({
    from: header(parts.from),
    to: [header(parts.to)],
    cc: parts.cc.map(header),
    ...(parts.replyTo === undefined ? {} : { replyTo: header(parts.replyTo) }),
    messageId: parts.messageId,
    date: parts.date,
    headers,
    text: textPart(parts.text),
    html: textPart(parts.html),
    attachments: parts.attachments.map(attachment),
    // Only what stands here goes out: no path or URL is ever followed.
    disableFileAccess: true,
    disableUrlAccess: true,
    baseBoundary: createHash("sha256").update(parts.messageId).digest("hex").slice(0, 24),
  });
  const pieces: (string | Buffer)[] = [];
  serialize(composer.compile(), pieces);
  const bytes = Buffer.concat(pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece) : piece)));
  // Bcc stands in the envelope and nowhere else.
  const mailboxes = [parts.to, ...parts.cc, ...parts.bcc];
  const to = new Map<string, string>();
  for (const { address } of mailboxes) if (!to.has(addressKey(address))) to.set(addressKey(address), address);
  const all = [parts.from, ...mailboxes, ...(parts.replyTo === undefined ? [] : [parts.replyTo])];
  const smtpUtf8 = all.some(({ address }) => /[^\u0000-\u007f]/.test(address));
  const envelope = { from: parts.from.address, to: [...to.values()] };
  return { envelope, messageId: parts.messageId, subject, bytes, smtpUtf8 };
}

/** The Message-ID of a recipient in a run: the same on every attempt, so that receivers can tell a double. `domain` is the sender's. */
export function messageIdFor(campaignId: string, runId: string, identity: string, domain: string): string {
  const digest = createHash("sha256").update(`${campaignId}|${runId}|${identity}`).digest();
  return `<${base32(digest.subarray(0, 20))}@${domain}>`;
}

interface Header {
  readonly key: string;
  readonly value: string | { readonly prepared: true; readonly foldLines: boolean; readonly value: string };
}

function header({ name, address }: Mailbox): { name: string; address: string } {
  // Many programs decode encoded words (RFC 2047) even where they are quoted; a name is what it says.
  const clean = Array.from(cleanLine(name).replace(/=\?/g, "= ?").trim());
  return { name: clean.slice(0, longestName).join(""), address };
}

function attachment({ filename, content, cid }: Part): MailComposerAttachment {
  const name = cleanLine(filename).replace(/[/\\]/g, "_").trim() || "attachment";
  return {
    filename: name,
    content,
    ...(cid === undefined ? {} : { cid, contentDisposition: "inline" }),
    // A message inside a message must not be encoded (RFC 2046 §5.2.1), and might break lines; as a file it arrives as it is.
    ...(/\.(?:eml|mht|mhtml|mime)$/i.test(name) ? { contentType: "application/octet-stream" } : {}),
  };
}

/** A text part: lines end with CRLF; quoted-printable (RFC 2045 §6.7) unless base64 is shorter, as for most scripts but Latin. */
function textPart(text: string): { content: string; contentTransferEncoding: string } {
  // An empty part would be left out.
  const content = text === "" ? "\r\n" : text.replace(/\r\n|\r|\n/g, "\r\n");
  const isMostlyForeign = Buffer.byteLength(content) > content.length * 1.3;
  return { content, contentTransferEncoding: isMostlyForeign ? "base64" : "quoted-printable" };
}

/** Encoded files by their content: the same buffer goes into many messages. */
const encodedFiles = new WeakMap<Buffer, Buffer>();

/**
 * Writes a tree at once; nodemailer's own way through streams takes several turns of the event loop a message. Headers, boundaries and
 * encodings are nodemailer's.
 */
function serialize(node: MimeNode, pieces: (string | Buffer)[]): void {
  pieces.push(node.buildHeaders(), "\r\n\r\n");
  const { content } = node;
  if (typeof content === "string") {
    const isBase64 = node.getTransferEncoding() === "base64";
    pieces.push(isBase64 ? base64(Buffer.from(content)) : wrapQuotedPrintable(encodeQuotedPrintable(content), 76));
  } else if (Buffer.isBuffer(content)) {
    const encoded = encodedFiles.get(content) ?? Buffer.from(base64(content), "latin1");
    encodedFiles.set(content, encoded);
    pieces.push(encoded);
  }
  node.childNodes.forEach((child, index) => {
    pieces.push(`${index > 0 ? "\r\n" : ""}--${String(node.boundary)}\r\n`);
    serialize(child, pieces);
  });
  if (node.childNodes.length > 0) pieces.push(`\r\n--${String(node.boundary)}--\r\n`);
}

/** RFC 2045 §6.8: lines of at most 76 characters. */
function base64(bytes: Buffer): string {
  return bytes.toString("base64").replace(/.{76}(?=.)/g, "$&\r\n");
}

function customHeader(name: string, value: string): Header {
  if (judgeHeaderName(name) !== "allowed") throw new Error(`The header ${JSON.stringify(name)} may not be set.`);
  return textHeader(name, cleanLine(value).trim());
}

/** An unstructured header (RFC 5322 §2.2.1). What reads as an encoded word, or cannot be folded, is encoded as one (RFC 2047). */
function textHeader(key: string, value: string): Header {
  const mustEncode = value.includes("=?") || value.split(" ").some((word) => word.length > longestWord);
  if (!mustEncode) return { key, value };
  const isMostlyLatin = value.replace(/[^A-Za-z]/g, "").length * 2 > value.length;
  return { key, value: { prepared: true, foldLines: true, value: encodeWord(value, isMostlyLatin ? "Q" : "B", 52) } };
}

/** RFC 2369 §3.2 and RFC 8058 §3.1. */
function unsubscribeHeaders(unsubscribe: string | undefined, oneClick: boolean): readonly Header[] {
  if (unsubscribe === undefined) return [];
  const url = cleanLine(unsubscribe)
    .trim()
    .replace(/[^\u0021-\u007e]+|[<>"\\^`{|}]+/g, encodeURIComponent);
  // Blanks in the brackets do not count, so even a very long URL can be folded (RFC 2369 §2).
  const folded = url.match(new RegExp(`.{1,${String(longestWord)}}`, "g"))?.join("\r\n ") ?? "";
  const headers: Header[] = [prepared("List-Unsubscribe", `<${folded}>`)];
  if (oneClick && /^https:/i.test(url)) headers.push(prepared("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"));
  return headers;
}

function prepared(key: string, value: string): Header {
  return { key, value: { prepared: true, foldLines: false, value } };
}

/** RFC 4648 §6, in small letters and without padding. */
function base32(bytes: Buffer): string {
  let bits = "";
  for (const byte of bytes) bits += byte.toString(2).padStart(8, "0");
  return (bits.match(/.{1,5}/g) ?? [])
    .map((five) => "abcdefghijklmnopqrstuvwxyz234567"[Number.parseInt(five.padEnd(5, "0"), 2)])
    .join("");
}

/** From rendered parts to the exact bytes of one message (RFC 5322, MIME), its envelope and its identity. */
import { createHash } from "node:crypto";
import { encodeWord } from "nodemailer/lib/mime-funcs";
import { addressKey } from "./address";
import type { Mailbox } from "./address";
import { judgeHeaderName } from "./headerNames";
import { addressField, base64, field, fieldName, fileHeader, textPart, unstructured } from "./mime";
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
  /** The message in pieces, with CRLF line ends, before dot-stuffing. A big file that many messages share is the same buffer in all. */
  readonly pieces: readonly Buffer[];
  /** Octets of all pieces. */
  readonly size: number;
  /** The whole message as one copy. */
  readonly bytes: Buffer;
  /** True when an envelope address needs SMTPUTF8. */
  readonly smtpUtf8: boolean;
  /** The Bcc header with its line end, for a server that takes recipients from the headers and takes this one out; empty without bcc. */
  readonly bccHeader: string;
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
  const head = [
    ...parts.headers.map(({ name, value }) => customHeader(name, value)),
    ...unsubscribeHeaders(parts.unsubscribe, parts.oneClick),
    textHeader("Subject", subject),
    addressField("From", [header(parts.from)]),
    addressField("To", [header(parts.to)]),
    addressField("Cc", parts.cc.map(header)),
    addressField("Reply-To", parts.replyTo === undefined ? [] : [header(parts.replyTo)]),
    field("Message-ID", parts.messageId),
    field("Date", parts.date.toUTCString().replace("GMT", "+0000")),
    "MIME-Version: 1.0\r\n",
  ];
  const made = new Pieces();
  made.text(head.join(""));
  writeTree(parts, made);
  const pieces = made.done();
  // Bcc stands in the envelope and in none of the bytes.
  const mailboxes = [parts.to, ...parts.cc, ...parts.bcc];
  const to = new Map<string, string>();
  for (const { address } of mailboxes) if (!to.has(addressKey(address))) to.set(addressKey(address), address);
  const all = [parts.from, ...mailboxes, ...(parts.replyTo === undefined ? [] : [parts.replyTo])];
  const smtpUtf8 = all.some(({ address }) => /[^\u0000-\u007f]/.test(address));
  const envelope = { from: parts.from.address, to: [...to.values()] };
  return {
    envelope,
    messageId: parts.messageId,
    subject,
    pieces,
    size: pieces.reduce((sum, { length }) => sum + length, 0),
    get bytes() {
      return Buffer.concat(pieces);
    },
    smtpUtf8,
    bccHeader: addressField("Bcc", parts.bcc.map(header)),
  };
}

/**
 * Files around the two texts, images around the HTML that shows them (RFC 2046 §5.1, RFC 2387). No boundary can occur in a part: neither of
 * the encodings makes `=_` (RFC 2045 §6.7).
 */
function writeTree({ html, text, attachments, messageId }: MessageParts, made: Pieces): void {
  const base = createHash("sha256").update(messageId).digest("hex").slice(0, 24);
  let boundaries = 0;
  const multipart = (type: string, children: readonly (() => void)[]): void => {
    const boundary = `=_${base}_${String(++boundaries)}`;
    made.text(`Content-Type: multipart/${type};\r\n boundary="${boundary}"\r\n\r\n`);
    children.forEach((child, i) => {
      made.text(`${i > 0 ? "\r\n" : ""}--${boundary}\r\n`);
      child();
    });
    made.text(`\r\n--${boundary}--\r\n`);
  };
  const file = (one: Part) => (): void => {
    const name = cleanLine(one.filename).replace(/[/\\]/g, "_").trim() || "attachment";
    made.text(fileHeader(name, one.cid));
    made.bytes(encoded(one.content));
  };
  const images = attachments.filter(({ cid }) => cid !== undefined).map(file);
  const files = attachments.filter(({ cid }) => cid === undefined).map(file);
  // An empty part would look broken.
  const plain = (): void => made.text(textPart("text/plain", text === "" ? "\n" : text));
  const htmlAlone = (): void => made.text(textPart("text/html", html === "" ? "\n" : html));
  const shown =
    images.length > 0 ? (): void => multipart('related; type="text/html"', [htmlAlone, ...images]) : htmlAlone;
  const alternatives = (): void => multipart("alternative", [plain, shown]);
  if (files.length > 0) multipart("mixed", [alternatives, ...files]);
  else alternatives();
}

/** Buffers of at least so many bytes are pieces of their own: copying them costs more than handing over one more. */
const ownPiece = 16 * 1024;

/** Gathers a message: texts and small files together, big files as they are. */
class Pieces {
  private readonly pieces: Buffer[] = [];
  private pending: (string | Buffer)[] = [];

  text(text: string): void {
    this.pending.push(text);
  }

  bytes(bytes: Buffer): void {
    this.pending.push(bytes);
    if (bytes.length < ownPiece) return;
    this.pending.pop();
    this.flush();
    this.pieces.push(bytes);
  }

  done(): readonly Buffer[] {
    this.flush();
    return this.pieces;
  }

  private flush(): void {
    if (this.pending.length === 0) return;
    const isText = this.pending.every((one) => typeof one === "string");
    this.pieces.push(
      isText
        ? Buffer.from(this.pending.join(""))
        : Buffer.concat(this.pending.map((one) => (typeof one === "string" ? Buffer.from(one) : one))),
    );
    this.pending = [];
  }
}

/** The Message-ID of a recipient in a run: the same on every attempt, so that receivers can tell a double. `domain` is the sender's. */
export function messageIdFor(campaignId: string, runId: string, identity: string, domain: string): string {
  const digest = createHash("sha256").update(`${campaignId}|${runId}|${identity}`).digest();
  return `<${base32(digest.subarray(0, 20))}@${domain}>`;
}

function header({ name, address }: Mailbox): { name: string; address: string } {
  // Many programs decode encoded words (RFC 2047) even where they are quoted; a name is what it says.
  const clean = Array.from(cleanLine(name).replace(/=\?/g, "= ?").trim());
  return { name: clean.slice(0, longestName).join(""), address };
}

/** Encoded files by their content: the same buffer goes into many messages. */
const encodedFiles = new WeakMap<Buffer, Buffer>();

function encoded(content: Buffer): Buffer {
  let bytes = encodedFiles.get(content);
  if (bytes === undefined) {
    bytes = Buffer.from(base64(content), "latin1");
    encodedFiles.set(content, bytes);
  }
  return bytes;
}

function customHeader(name: string, value: string): string {
  if (judgeHeaderName(name) !== "allowed") throw new Error(`The header ${JSON.stringify(name)} may not be set.`);
  return textHeader(name, cleanLine(value).trim());
}

/** An unstructured header (RFC 5322 §2.2.1). What reads as an encoded word, or cannot be folded, is encoded as one (RFC 2047). */
function textHeader(key: string, value: string): string {
  const mustEncode = value.includes("=?") || value.split(" ").some((word) => word.length > longestWord);
  if (!mustEncode) return unstructured(key, value);
  const isMostlyLatin = value.replace(/[^A-Za-z]/g, "").length * 2 > value.length;
  return field(fieldName(key), encodeWord(value, isMostlyLatin ? "Q" : "B", 52));
}

/** RFC 2369 §3.2 and RFC 8058 §3.1. */
function unsubscribeHeaders(unsubscribe: string | undefined, oneClick: boolean): readonly string[] {
  if (unsubscribe === undefined) return [];
  const url = cleanLine(unsubscribe)
    .trim()
    .replace(/[^\u0021-\u007e]+|[<>"\\^`{|}]+/g, encodeURIComponent);
  // Blanks in the brackets do not count, so even a very long URL can be folded (RFC 2369 §2).
  const folded = url.match(new RegExp(`.{1,${String(longestWord)}}`, "g"))?.join("\r\n ") ?? "";
  const headers = [`List-Unsubscribe: <${folded}>\r\n`];
  if (oneClick && /^https:/i.test(url)) headers.push("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
  return headers;
}

/** RFC 4648 §6, in small letters and without padding. */
function base32(bytes: Buffer): string {
  let bits = "";
  for (const byte of bytes) bits += byte.toString(2).padStart(8, "0");
  return (bits.match(/.{1,5}/g) ?? [])
    .map((five) => "abcdefghijklmnopqrstuvwxyz234567"[Number.parseInt(five.padEnd(5, "0"), 2)])
    .join("");
}

/** Header fields and parts as they stand in a message (RFC 5322, RFC 2045). How a value is encoded and folded is nodemailer's. */
import { detectMimeType, foldLines } from "nodemailer/lib/mime-funcs";
import MimeNode from "nodemailer/lib/mime-node";
import { encode as encodeQuotedPrintable, wrap as wrapQuotedPrintable } from "nodemailer/lib/qp";
import type { Mailbox } from "./address";

/** Encodes values; nothing is ever put into it. */
const encoder = new MimeNode(false);

/** Entries of each memo: campaigns have a few constant fields, and rows come and go. */
const memoSize = 200;

/** Remembers what a pure function made of the last few texts. */
function memo(make: (key: string) => string): (key: string) => string {
  const known = new Map<string, string>();
  return (key) => {
    let value = known.get(key);
    if (value === undefined) {
      value = make(key);
      if (known.size >= memoSize) known.clear();
      known.set(key, value);
    }
    return value;
  };
}

/** A field in one line or several; empty when there is no value. */
export function field(name: string, value: string): string {
  return value.trim() === "" ? "" : `${fold(`${name}: ${value}`)}\r\n`;
}

/** A field that is the same in most messages, or at least in many: `name` in any case, `value` as people read it. */
export function unstructured(name: string, value: string): string {
  return encodedField(`${name}\n${value}`);
}

const encodedField = memo((key) => {
  const end = key.indexOf("\n");
  const name = fieldName(key.slice(0, end));
  return field(name, encoder.encodeHeaderValue(name, key.slice(end + 1)));
});

/** The usual spelling, such as `X-Campaign-ID`. */
export const fieldName = memo((name) => {
  const [written = ""] = part("", (node) => node.setHeader(name, "x")).split(": ");
  return written;
});

/** What needs no encoding and no quotes in a list of addresses. */
const plainName = /^[\w ]*$/;
const plainAddress = /^[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)+$/;

/** A field of addresses; empty when there is none. */
export function addressField(name: "From" | "To" | "Cc" | "Bcc" | "Reply-To", mailboxes: readonly Mailbox[]): string {
  const [first] = mailboxes;
  if (first === undefined) return "";
  // Nearly every recipient.
  if (mailboxes.length === 1 && plainName.test(first.name) && plainAddress.test(first.address))
    return field(name, first.name === "" ? first.address : `${first.name} <${first.address}>`);
  return field(
    name,
    encoder.encodeHeaderValue(
      name,
      mailboxes.map((mailbox) => ({ ...mailbox })),
    ),
  );
}

/** Folds at 76 characters (RFC 5322 §2.1.1). */
function fold(line: string): string {
  return line.length < 76 ? line : foldLines(line, 76);
}

/** The header of a file's part, its empty line included; with `cid` it is shown inside the HTML. */
export function fileHeader(filename: string, cid: string | undefined): string {
  return fileHeaders(cid === undefined ? filename : `${filename}\n${cid}`);
}

const fileHeaders = memo((key) => {
  const [filename = "", cid] = key.split("\n");
  // A message inside a message must not be encoded (RFC 2046 §5.2.1), and might break lines; as a file it arrives as it is.
  const isMessage = /\.(?:eml|mht|mhtml|mime)$/i.test(filename);
  const type = isMessage ? "application/octet-stream" : detectMimeType(filename);
  return `${part(
    type,
    (node) => {
      if (cid !== undefined) node.setHeader("Content-Id", `<${cid.replace(/[<>]/g, "")}>`);
      node.setHeader("Content-Transfer-Encoding", "base64");
      node.setHeader("Content-Disposition", cid === undefined ? "attachment" : "inline");
    },
    filename,
  )}\r\n\r\n`;
});

/** The header of one part of a message, as nodemailer writes it. */
function part(type: string, set: (node: MimeNode) => void, filename?: string): string {
  const node = new MimeNode("multipart/mixed").createChild(type, filename === undefined ? {} : { filename });
  set(node);
  return node.buildHeaders();
}

/** A text's part with its header: quoted-printable (RFC 2045 §6.7) unless base64 is shorter, as for most scripts but Latin. */
export function textPart(type: "text/plain" | "text/html", text: string): string {
  const content = text.replace(/\r\n|\r|\n/g, "\r\n");
  const isMostlyForeign = Buffer.byteLength(content) > content.length * 1.3;
  const header = `Content-Type: ${type}; charset=utf-8\r\nContent-Transfer-Encoding: `;
  if (isMostlyForeign) return `${header}base64\r\n\r\n${base64(Buffer.from(content))}`;
  return `${header}quoted-printable\r\n\r\n${wrapQuotedPrintable(encodeQuotedPrintable(content), 76)}`;
}

/** RFC 2045 §6.8: lines of at most 76 characters. */
export function base64(bytes: Buffer): string {
  return bytes.toString("base64").replace(/.{76}(?=.)/g, "$&\r\n");
}

/** Reads an SMTP server's replies (RFC 5321 §4.2) out of its bytes, however these are cut, and however long they are. */

/** A whole reply. */
export interface Reply {
  /** The code of its last line, which wins when lines differ; 0 when that line is no reply. */
  readonly code: number;
  /** All lines, without the last line's end; what is too long for anybody to read is cut out. */
  readonly text: string;
}

/** Characters that are kept of a line, and of a reply before its last line. RFC 5321 §4.5.3.1.5 allows lines of 512 octets. */
const keptLine = 2_000;
const keptReply = 8_000;

/** A server that goes on and on in one reply is not listened to any further, octets. */
const longestReply = 1024 * 1024;

/** The state between two pieces of what a server says. */
export class ReplyReader {
  /** The line being received, as latin1: UTF-8 is decoded when all of it is there. */
  private line = "";
  /** The lines of an unfinished reply. */
  private lines = "";
  private size = 0;

  /** The replies that `chunk` completes, in order; undefined when the server does not come to an end. */
  read(chunk: Buffer): readonly Reply[] | undefined {
    const replies: Reply[] = [];
    const text = chunk.toString("latin1");
    let start = 0;
    // Only what is new is searched: a server may send its megabyte byte by byte.
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      this.extend(text.slice(start, end), end + 1 - start);
      start = end + 1;
      const reply = this.endLine();
      if (reply !== undefined) replies.push(reply);
      if (this.size > longestReply) return undefined;
    }
    if (start < text.length) this.extend(text.slice(start), text.length - start);
    return this.size > longestReply ? undefined : replies;
  }

  /** What a connection that ended left behind of a reply, if that says already that something failed. */
  brokenOff(): string | undefined {
    return /^[45]\d\d[ -]/.test(this.line) ? decode(this.line.trimEnd()) : undefined;
  }

  private extend(text: string, octets: number): void {
    this.size += octets;
    if (this.line.length < keptLine) this.line += text.slice(0, keptLine - this.line.length);
  }

  private endLine(): Reply | undefined {
    const line = this.line.endsWith("\r") ? this.line.slice(0, -1) : this.line;
    this.line = "";
    if (line.trim() === "") return undefined;
    if (/^\d{3}-/.test(line)) {
      if (this.lines.length + line.length < keptReply) this.lines += `${line}\n`;
      return undefined;
    }
    const text = decode(this.lines + line);
    this.lines = "";
    this.size = 0;
    return { code: /^[2-5]\d\d(?: |$)/.test(line) ? Number(line.slice(0, 3)) : 0, text };
  }
}

/** Replies have no declared charset; UTF-8 is usual (RFC 6531 §3.7.4.2), and what is none keeps its bytes. */
function decode(latin1: string): string {
  if (!/[\u0080-\u00ff]/.test(latin1)) return latin1;
  const text = Buffer.from(latin1, "latin1").toString("utf8");
  return text.includes("\ufffd") ? latin1 : text;
}

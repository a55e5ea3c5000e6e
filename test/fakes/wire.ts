/** What a client really sent, read byte by byte and by nothing of ours or nodemailer's: RFC 5321 and 5322 at their strictest. */
import assert from "node:assert/strict";

/** One transaction. */
export interface WireMessage {
  /** The commands from MAIL to DATA, as sent. */
  readonly commands: readonly string[];
  /** The addresses in RCPT TO. */
  readonly to: readonly string[];
  /** Names of the message's own header lines, in lower case, in order. */
  readonly headers: readonly string[];
  /** A header's whole value, unfolded, still encoded; undefined when the message has none. */
  header(name: string): string | undefined;
  /** Header and body, without dot-stuffing. */
  readonly source: string;
}

/** Everything one connection was used for. */
export interface Wire {
  /** First words of the commands outside of messages: EHLO, QUIT, … */
  readonly session: readonly string[];
  readonly messages: readonly WireMessage[];
}

/** Reads one connection. Fails on a lone CR or LF, a NUL, a line that is too long, and a command that nobody expects. */
export function readWire(bytes: string): Wire {
  assert.ok(!/\r(?!\n)|(?<!\r)\n/.test(bytes), "a CR or LF alone");
  assert.ok(!bytes.includes("\0"), "a NUL");
  const lines = bytes.split("\r\n");
  assert.equal(lines.pop(), "", "the last line has its end");
  const session: string[] = [];
  const messages: WireMessage[] = [];
  let commands: string[] = [];
  while (lines.length > 0) {
    const line = lines.shift() ?? "";
    // RFC 5321 §4.5.3.1.4, without the line end.
    assert.ok(line.length <= 510, `a command of ${String(line.length)} octets`);
    const command = /^(EHLO|MAIL|RCPT|DATA|QUIT|RSET|NOOP)\b/.exec(line)?.[1];
    assert.ok(command !== undefined, `an unexpected command: ${JSON.stringify(line.slice(0, 200))}`);
    if (command === "EHLO" || command === "QUIT" || command === "RSET" || command === "NOOP") {
      session.push(command);
      continue;
    }
    commands.push(line);
    if (command !== "DATA") continue;
    const end = lines.indexOf(".");
    assert.ok(end >= 0, "the message has its end");
    messages.push(readMessage(commands, lines.splice(0, end + 1).slice(0, -1)));
    commands = [];
  }
  assert.deepEqual(commands, [], "a transaction without a message");
  return { session, messages };
}

function readMessage(commands: readonly string[], sent: readonly string[]): WireMessage {
  // RFC 5321 §4.5.3.1.6, without the line end.
  for (const line of sent)
    assert.ok(line.length <= 998, `a line of ${String(line.length)} octets: ${line.slice(0, 100)}`);
  for (const line of sent) assert.ok(!/^\.(?!\.)/.test(line), `a dot that is not stuffed: ${line.slice(0, 100)}`);
  const lines = sent.map((line) => (line.startsWith(".") ? line.slice(1) : line));
  assert.match(commands[0] ?? "", /^MAIL FROM:<[^<>\s]*>(?: [A-Z0-9]+(?:=\w+)?)*$/);
  assert.equal(commands.at(-1), "DATA");
  const to = commands.slice(1, -1).map((line) => {
    const [, address] = /^RCPT TO:<([^<>\s,;]+@[^<>\s,;@]+)>$/.exec(line) ?? [];
    assert.ok(address !== undefined, line);
    return address;
  });
  const blank = lines.indexOf("");
  const fields: { readonly name: string; value: string }[] = [];
  for (const line of lines.slice(0, blank)) {
    const last = fields.at(-1);
    if (/^[ \t]/.test(line) && last !== undefined) {
      last.value += line;
      continue;
    }
    const [, name, value] = /^([A-Za-z0-9-]+):(?: (.*))?$/.exec(line) ?? [];
    assert.ok(name !== undefined, `no header line: ${JSON.stringify(line.slice(0, 200))}`);
    fields.push({ name: name.toLowerCase(), value: value ?? "" });
  }
  return {
    commands,
    to,
    headers: fields.map(({ name }) => name),
    header: (name) => fields.find((field) => field.name === name)?.value,
    source: lines.join("\r\n"),
  };
}

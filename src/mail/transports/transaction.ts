/** One mail transaction (RFC 5321 §3.3) on an open session: the envelope, the gate, the body. */
import type { RawFailure, Stage } from "../classify";
import type { Message } from "../message";
import type { SmtpDialogue } from "./dialogue";
import { wireForm } from "./dotStuffing";
import type { Reply } from "./replies";
import type { Gate } from "./transport";

/** The body goes out in pieces of so many bytes at most, so that its end is handed over as late as can be. */
const pieceBytes = 64 * 1024;

/** A transaction that came to nothing, as it was seen. */
export class TransactionError extends Error {
  /**
   * @param inStep the transaction can be taken back (RSET): every reply came, and no body is awaited
   */
  constructor(
    readonly raw: RawFailure,
    readonly inStep: boolean,
  ) {
    super(raw.reply ?? raw.systemCode ?? raw.stage);
    this.name = "TransactionError";
  }
}

/** Not for a second message. */
export class Transaction {
  /** How far it has come. From `reply` on the message may count as accepted, from `body` on bytes of it may have left. */
  stage: Stage = "mail";
  private readonly commands: readonly string[];

  constructor(
    private readonly dialogue: SmtpDialogue,
    private readonly message: Message,
    private readonly server: { readonly pipelining: boolean; readonly size: boolean },
  ) {
    const { from, to } = message.envelope;
    const size = server.size ? ` SIZE=${String(message.size)}` : "";
    this.commands = [
      `${mailFrom(from, message.smtpUtf8)}${size}`,
      ...to.map((address) => `RCPT TO:<${safe(address)}>`),
      "DATA",
    ];
  }

  /** The reply that took the message. Throws `TransactionError`, and what the gate throws: then the server still waits for the body. */
  async run(gate: Gate): Promise<Reply> {
    await this.envelope();
    this.stage = "data";
    if (!(await this.dialogue.during(gate()))) throw this.ended();
    this.stage = "body";
    return await this.body();
  }

  /** Every recipient is taken and the server waits for the body, or it throws. All at once where the server reads ahead (RFC 2920). */
  private async envelope(): Promise<void> {
    const { commands, dialogue } = this;
    const replies: Reply[] = [];
    const groups = this.server.pipelining ? [commands] : commands.map((command) => [command]);
    for (const group of groups) {
      replies.push(...(await dialogue.ask(group)));
      // All or nobody: what is handed over for some cannot be called back for the others.
      const refused = replies.findIndex(
        ({ code }, i) => Math.floor(code / 100) !== (i === commands.length - 1 ? 3 : 2),
      );
      if (refused >= 0) throw this.refusal(replies, refused);
      this.stage = this.stageOf(replies.length);
      if (dialogue.end() !== undefined) throw this.ended();
    }
  }

  private refusal(replies: readonly Reply[], at: number): TransactionError {
    const { text, code } = replies[at] ?? { text: "", code: 0 };
    const address = this.stageOf(at) === "rcpt" && code !== 421 ? this.message.envelope.to[at - 1] : undefined;
    // A server that asks for a body all the same would take whatever comes next for it.
    const awaitsBody = replies.length === this.commands.length && replies.at(-1)?.code === 354;
    return new TransactionError(
      { stage: this.stageOf(at), reply: text, ...(address !== undefined && { refused: address }) },
      code >= 400 && !awaitsBody,
    );
  }

  private async body(): Promise<Reply> {
    const { dialogue } = this;
    if (dialogue.end() !== undefined) throw this.ended();
    dialogue.expect(1);
    const writes = grouped(wireForm(this.message.pieces));
    const last = writes.pop() ?? [];
    for (const pieces of writes) {
      await dialogue.write(pieces);
      if (dialogue.answered()) break;
      if (dialogue.end() !== undefined) throw this.ended();
    }
    if (!dialogue.answered()) {
      this.stage = "reply";
      dialogue.writeLast(last);
    }
    const [reply] = await dialogue.answers();
    if (reply === undefined) throw this.ended();
    // A yes to half a message is no yes.
    if (this.stage === "reply" && Math.floor(reply.code / 100) === 2) return reply;
    throw new TransactionError({ stage: this.stage, reply: reply.text }, false);
  }

  private ended(): TransactionError {
    return new TransactionError({ stage: this.stage, ...this.dialogue.end() }, false);
  }

  /** Of the command at `index`. */
  private stageOf(index: number): Stage {
    if (index === 0) return "mail";
    return index < this.commands.length - 1 ? "rcpt" : "data";
  }
}

/** The command that begins a transaction; `utf8` where the message holds international addresses (RFC 6531 §3.4). */
export function mailFrom(address: string, utf8: boolean): string {
  return `MAIL FROM:<${safe(address)}>${utf8 ? " SMTPUTF8" : ""}`;
}

/** An address is one word of a command, whoever made it. */
function safe(address: string): string {
  if (/[\r\n<>]/.test(address)) throw new TransactionError({ stage: "mail", systemCode: "EENVELOPE" }, true);
  return address;
}

/** Pieces that go together, not many more bytes than `pieceBytes` in a group. The last piece, the end, is never cut. */
function grouped(pieces: readonly Buffer[]): Buffer[][] {
  const groups: Buffer[][] = [];
  let room = 0;
  for (const piece of pieces.slice(0, -1))
    for (let start = 0; start < piece.length;) {
      if (room === 0) {
        groups.push([]);
        room = pieceBytes;
      }
      const part = piece.subarray(start, start + room);
      groups.at(-1)?.push(part);
      start += part.length;
      room -= part.length;
    }
  const last = pieces.slice(-1);
  if (groups.length === 0) groups.push([]);
  groups.at(-1)?.push(...last);
  return groups;
}

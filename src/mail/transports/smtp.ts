/** SMTP (RFC 5321) over one connection, held back by our gate. */
import { secureContext } from "../certificates";
import { classify, ownFailures, type Stage } from "../classify";
import type { Message } from "../message";
import { providerById } from "../providers";
import { ServerWords } from "./serverWords";
import { parseServerMessageId } from "nodemailer/lib/smtp-connection/server-message-id";
import { openSession, type Session, type SmtpOptions, type TlsOptions } from "./session";
import { mailFrom, Transaction, TransactionError } from "./transaction";
import { SendError, type Gate, type Receipt, type Transport } from "./transport";

export type { SmtpWatch } from "./session";

/** How long a server may take to end a transaction, milliseconds; then a new connection is quicker. */
const resetMs = 5_000;

/** How long a goodbye is waited for, milliseconds. */
const quitMs = 500;

/** Messages over one connection, where the provider names no number: many servers end a session after some hundred. */
const messagesPerConnection = 100;

/** Makes transports for one account; they share the parsed certificates. */
export function smtpTransports(options: SmtpOptions): () => SmtpTransport {
  const { account } = options;
  const context = account.security === "none" ? undefined : secureContext(options.ca, account.tls.minVersion);
  const tls = {
    ...(context !== undefined && { secureContext: context }),
    rejectUnauthorized: account.tls.verify,
    ...(account.tls.servername !== "" && { servername: account.tls.servername }),
  };
  return () => new SmtpTransport(options, tls);
}

/** One connection to an account's server; a new one follows it after some messages. */
export class SmtpTransport implements Transport {
  private session: Session | undefined;
  /** Messages that were begun on this connection. */
  private begun = 0;
  private readonly words: ServerWords;
  private readonly limit: number;

  constructor(
    private readonly options: SmtpOptions,
    private readonly tls: TlsOptions,
  ) {
    const { account, credentials } = options;
    this.words = new ServerWords(account, credentials);
    this.limit = providerById(account.provider)?.published?.messagesPerConnection ?? messagesPerConnection;
  }

  get heardAt(): number {
    return this.session?.dialogue.heardAt ?? -Infinity;
  }

  get isOpen(): boolean {
    return this.living() !== undefined && this.begun < this.limit;
  }

  async open(signal: AbortSignal): Promise<void> {
    // Ended in good order before the server ends it in the middle of something.
    if (this.begun >= this.limit) await this.close();
    if (this.living() !== undefined) return;
    this.begun = 0;
    this.session = await openSession(this.options, this.tls, this.words, signal);
  }

  /**
   * Asks an open connection whether it takes mail from `address` (RFC 5321 §4.1.1.2), and takes the question back. Returns the
   * reply. Throws `SendError`.
   */
  async checkSender(address: string, signal: AbortSignal): Promise<string> {
    const session = this.ready();
    const isAscii = /^[\u0000-\u007f]*$/.test(address);
    const [reply] = await this.untilAborted(session, signal, () =>
      session.dialogue.ask([mailFrom(address.replaceAll(/[\r\n<>]/g, ""), !isAscii)]),
    );
    if (reply === undefined) {
      if (signal.aborted) throw own("stopped", "mail");
      throw this.words.error({ stage: "mail", ...session.dialogue.end() });
    }
    if (Math.floor(reply.code / 100) !== 2) throw this.words.error({ stage: "mail", reply: reply.text });
    await this.untilAborted(session, signal, () => this.reset(session));
    return this.words.kept(reply.text);
  }

  async send(message: Message, gate: Gate, signal: AbortSignal): Promise<Receipt> {
    const session = this.ready();
    if (signal.aborted) throw own("stopped", "mail");
    const { extensions, maxSize, dialogue } = session;
    if (message.smtpUtf8 && !extensions.has("SMTPUTF8")) throw own("smtpUtf8", "mail");
    if (maxSize > 0 && message.size > maxSize) throw own("tooLarge", "mail");
    const server = { pipelining: extensions.has("PIPELINING"), size: extensions.has("SIZE") };
    this.begun++;
    try {
      const { text } = await this.untilAborted(session, signal, () =>
        new Transaction(dialogue, message, server).run(gate),
      );
      const serverMessageId = parseServerMessageId(text, this.options.account.host);
      return { reply: this.words.kept(text), ...(serverMessageId !== undefined && { serverMessageId }) };
    } catch (error) {
      const inStep = error instanceof TransactionError && error.inStep;
      const failure = error instanceof TransactionError ? this.judge(error, message, signal.aborted) : error;
      // A refused recipient leaves the transaction open, and a second MAIL in it is an error (RFC 5321 §4.1.4). After the server's go-ahead
      // the session is of no use for anything but the body that we will not send.
      if (inStep) await this.untilAborted(session, signal, () => this.reset(session));
      else dialogue.finish({});
      throw failure;
    }
  }

  async close(): Promise<void> {
    const session = this.living();
    this.session = undefined;
    if (session === undefined) return;
    // QUIT is a courtesy; a server that does not answer it is not waited for.
    await within(quitMs, session, () => session.dialogue.ask(["QUIT"]));
    session.dialogue.finish({});
  }

  drop(): void {
    void this.close();
  }

  private living(): Session | undefined {
    if (this.session?.dialogue.end() !== undefined) this.session = undefined;
    return this.session;
  }

  private ready(): Session {
    const session = this.living();
    // The server hung up while we were idle: nothing of this message was handed over.
    if (session === undefined) throw new SendError(classify({ stage: "mail" }));
    return session;
  }

  private judge({ raw }: TransactionError, { envelope }: Message, aborted: boolean): SendError {
    // A body that has begun may reach its end in the system's buffers, whatever is closed here.
    if (aborted && raw.reply === undefined)
      return raw.stage === "body" || raw.stage === "reply"
        ? new SendError(classify({ stage: "reply" }))
        : own("stopped", raw.stage);
    // The wall clock: a server may name the moment when it takes mail again.
    const failure = this.words.judge({ ...raw, sender: envelope.from, now: Date.now() });
    const isOneOfSeveral = raw.refused !== undefined && envelope.to.length > 1;
    return new SendError(
      isOneOfSeveral && failure.class === "recipient" ? { ...failure, text: ownFailures.partlyRefused.text } : failure,
    );
  }

  /** Ends an open transaction, or the connection with it. */
  private async reset(session: Session): Promise<void> {
    const { dialogue } = session;
    const [reply] = await within(resetMs, session, () => dialogue.ask(["RSET"]));
    if (reply === undefined || Math.floor(reply.code / 100) !== 2) dialogue.finish({});
  }

  /** Ends the dialogue when the signal comes, and whatever waits for it. */
  private async untilAborted<T>({ dialogue }: Session, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const onAbort = (): void => dialogue.finish({});
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await work();
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}

async function within<T>(ms: number, { dialogue }: Session, work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => dialogue.finish({ systemCode: "ETIMEDOUT" }), ms);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}

function own(what: keyof typeof ownFailures, stage: Stage): SendError {
  return new SendError({ ...ownFailures[what], stage });
}

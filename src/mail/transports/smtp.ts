/** SMTP (RFC 5321) over one connection, driven by nodemailer's protocol engine and held back by our gate. */
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { TLSSocket } from "node:tls";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import type { Account } from "../account";
import { secureContext } from "../certificates";
import { classify, ownFailures, type Failure, type RawFailure, type Stage } from "../classify";
import { ConnectError, openSocket, type ConnectEvent, type Lookup } from "../connect";
import type { Message } from "../message";
import type { Credentials } from "../ports";
import { plainText } from "../problems";
import { secretRemover } from "../secretText";
import { SendError, type Gate, type Receipt, type Transport } from "./transport";

/** The body goes to the socket in pieces, so that "read to its end" comes as late as it can. */
const pieceBytes = 64 * 1024;

/** How long a server may take to end a transaction, milliseconds; then a new connection is quicker. */
const resetMs = 5_000;

/** No limit, as the engine's timers can hold it: to the engine 0 is its default. */
const endlessMs = 2_147_483_647;

/** nodemailer's error, as far as we look at it: its `code` alone cannot tell a safe failure from a lost reply. */
interface EngineError extends Error {
  readonly code?: string;
  readonly originalCode?: string;
  readonly command?: string;
  readonly response?: string;
  readonly timeoutType?: string;
  readonly rejectedErrors?: readonly { readonly recipient?: string; readonly response?: string }[];
}

/** Sees a connection being opened, step by step. */
export interface SmtpWatch {
  connect(event: ConnectEvent): void;
  /** A command or a reply, without its end and without secrets. */
  said(who: "client" | "server", text: string): void;
  secured(socket: TLSSocket): void;
}

/** What a connection to an account needs. */
export interface SmtpOptions {
  readonly account: Account;
  /** PEM text of the account's own authorities. */
  readonly ca: string | undefined;
  readonly credentials: Credentials;
  readonly watch?: SmtpWatch;
  /** Asked instead of the system for the server's addresses. */
  readonly lookup?: Lookup;
}

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

/** One connection to an account's server. */
export class SmtpTransport implements Transport {
  private connection: SMTPConnection | undefined;
  private stage: Stage = "connect";
  /** Takes what the connection reports while nobody waits for a callback. */
  private waiter: { readonly connection: SMTPConnection; fail(error: EngineError): void } | undefined;
  private readonly withoutSecrets: (text: string) => string;

  constructor(
    private readonly options: SmtpOptions,
    private readonly tls: SMTPConnection["options"]["tls"],
  ) {
    this.withoutSecrets = secretRemover(options.account, options.credentials);
  }

  async open(signal: AbortSignal): Promise<void> {
    if (this.connection !== undefined) return;
    const { account, credentials } = this.options;
    this.stage = "connect";
    const socket = await this.connect(signal);
    const connection: SMTPConnection = new SMTPConnection({
      connection: socket,
      host: account.host,
      port: account.port,
      secure: account.security === "tls",
      requireTLS: account.security === "starttls",
      ignoreTLS: account.security === "none",
      // A neutral name: the machine's own is nobody's business (RFC 5321 §4.1.3 allows an address literal).
      name: "[127.0.0.1]",
      connectionTimeout: account.timeouts.connection || endlessMs,
      greetingTimeout: account.timeouts.greeting || endlessMs,
      socketTimeout: account.timeouts.socket || endlessMs,
      tls: this.tls,
      ...this.watching(() => connection),
    });
    // A connection that was dropped may still speak up: that is not for whoever waits on the next one.
    const waiterOf = (): SmtpTransport["waiter"] => (this.waiter?.connection === connection ? this.waiter : undefined);
    connection.on("error", (error: EngineError) => waiterOf()?.fail(error));
    connection.on("end", () => {
      if (this.connection === connection) this.connection = undefined;
      // The engine tells its callback why only after this event: let that word come first.
      const waiting = waiterOf();
      queueMicrotask(() => {
        if (waiting !== undefined && this.waiter === waiting) waiting.fail(new Error("The connection was closed."));
      });
    });
    try {
      await this.step(signal, connection, (done) => connection.connect((error) => done(error)));
      if (account.auth === "password") {
        this.stage = "auth";
        const auth = { user: account.user, pass: credentials.password ?? "", method: this.method(connection) };
        if (auth.pass === "") throw this.own("noPassword");
        await this.step(signal, connection, (done) => connection.login({ ...auth }, (error) => done(error)));
      }
    } catch (error) {
      connection.close();
      socket.destroy();
      throw error;
    }
    this.connection = connection;
  }

  /**
   * Asks an open connection whether it takes mail from `address` (RFC 5321 §4.1.1.2), and takes the question back. Returns the
   * reply. Throws `SendError`.
   */
  async checkSender(address: string, signal: AbortSignal): Promise<string> {
    const connection = this.connection;
    this.stage = "mail";
    if (connection === undefined) throw new SendError(classify({ stage: "mail" }));
    const { _responseActions: actions } = connection as unknown as {
      readonly _responseActions: ((reply: string) => void)[];
    };
    const reply = await this.step<string>(signal, connection, (done) => {
      actions.push((text) => done(undefined, text));
      const parameter = /^[\u0000-\u007f]*$/.test(address) ? "" : " SMTPUTF8";
      (connection as unknown as { _sendCommand(line: string): void })._sendCommand(
        `MAIL FROM:<${address.replaceAll(/[\r\n<>]/g, "")}>${parameter}`,
      );
    });
    if (!reply.startsWith("2")) throw new SendError(this.judge({ stage: "mail", reply }));
    await this.reset(connection, signal);
    return this.words(reply);
  }

  async send(message: Message, gate: Gate, signal: AbortSignal): Promise<Receipt> {
    const connection = this.connection;
    this.stage = "mail";
    // The server hung up while we were idle: nothing of this message was handed over.
    if (connection === undefined) throw new SendError(classify({ stage: "mail" }));
    if (message.smtpUtf8 && !extensionsOf(connection).includes("SMTPUTF8")) throw this.own("smtpUtf8");
    const body = new GatedBody(message.bytes, async () => {
      const refused = this.refusalOf(connection);
      // All or nobody: what is handed over for some cannot be called back for the others.
      if (refused !== undefined) throw refused;
      await gate();
      // A gate that opens after its message failed must not speak for the next one.
      if (!body.destroyed) this.stage = "body";
    });
    body.once("end", () => (this.stage = "reply"));
    try {
      const info = await this.step<{ response: string; serverMessageId?: string | undefined }>(
        signal,
        connection,
        (done) => {
          const envelope = { from: message.envelope.from, to: [...message.envelope.to], size: message.bytes.length };
          connection.send(envelope, body, (error, result) => done(error, result));
        },
        body,
      );
      const { response, serverMessageId } = info;
      return { reply: this.words(response), ...(serverMessageId !== undefined && { serverMessageId }) };
    } catch (error) {
      body.destroy();
      // After DATA was answered the session cannot be used for anything else than the body we will not send.
      if (body.opened) this.drop(connection);
      // A refused recipient leaves the transaction open, and a second MAIL in it is an error (RFC 5321 §4.1.4).
      else if (this.connection === connection && !(await this.reset(connection, signal))) this.drop(connection);
      throw error;
    }
  }

  close(): Promise<void> {
    const connection = this.connection;
    if (connection === undefined) return Promise.resolve();
    this.connection = undefined;
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        connection.close();
        resolve();
      };
      // QUIT is a courtesy; a server that does not answer it is not waited for.
      const timer = setTimeout(finish, 500);
      connection.once("end", finish);
      connection.quit();
    });
  }

  /** The socket, through the account's proxy where it has one. */
  private async connect(signal: AbortSignal): Promise<Socket> {
    const { account, credentials, watch, lookup } = this.options;
    try {
      return await openSocket(account, credentials, signal, (event) => watch?.connect(event), lookup);
    } catch (error) {
      if (signal.aborted) throw this.own("stopped");
      if (!(error instanceof ConnectError)) throw error;
      const { step, code, reply } = error;
      // A name server that keeps silent is no port that does.
      const systemCode = step === "dns" && !/^(?:ENOTFOUND|ENODATA|EAI_AGAIN)$/.test(code) ? "EDNS" : code;
      const failure = classify({ stage: "connect", systemCode });
      throw new SendError(reply === "" ? failure : { ...failure, reply: this.words(reply) });
    }
  }

  /** The engine's options for whoever watches. */
  private watching(connection: () => SMTPConnection): Partial<SMTPConnection["options"]> {
    const { watch } = this.options;
    if (watch === undefined) return {};
    let secured = false;
    const hear = (entry: { readonly tnx?: string }, text: string): void => {
      if (entry.tnx !== "client" && entry.tnx !== "server") return;
      const { _socket: socket } = connection() as unknown as { readonly _socket: unknown };
      if (!secured && socket instanceof TLSSocket) {
        secured = true;
        watch.secured(socket);
      }
      watch.said(entry.tnx, this.withoutSecrets(text));
    };
    const quiet = (): void => {};
    const logger = { level: quiet, trace: quiet, debug: hear, info: quiet, warn: quiet, error: quiet, fatal: quiet };
    return { logger, transactionLog: true };
  }

  /** Ends an open transaction; false when the connection is of no more use. */
  private reset(connection: SMTPConnection, signal: AbortSignal): Promise<boolean> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(resetMs)]);
    return this.step<unknown>(limited, connection, (done) => connection.reset((error) => done(error))).then(
      () => true,
      () => false,
    );
  }

  /** Runs one exchange with the engine: settles by its callback, by a connection error, or by the signal. */
  private step<T>(
    signal: AbortSignal,
    connection: SMTPConnection,
    start: (done: (error: Error | null | undefined, result?: T) => void) => void,
    body?: GatedBody,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let settled = false;
      const settle = (settlement: () => void): void => {
        if (settled) return;
        settled = true;
        if (this.waiter === waiter) this.waiter = undefined;
        signal.removeEventListener("abort", onAbort);
        settlement();
      };
      const fail = (error: EngineError): void =>
        settle(() => reject(body?.refusal ?? this.toSendError(error, connection)));
      const onAbort = (): void => {
        // A body that has begun may reach its end in the system's buffers, whatever is closed here.
        const handedOver = this.stage === "reply" || this.stage === "body";
        settle(() => reject(handedOver ? new SendError(classify({ stage: "reply" })) : this.own("stopped")));
        this.drop(connection);
      };
      const waiter = { connection, fail };
      if (signal.aborted) return reject(this.own("stopped"));
      signal.addEventListener("abort", onAbort, { once: true });
      this.waiter = waiter;
      start((error, result) => {
        if (error !== null && error !== undefined) fail(error);
        else settle(() => resolve(result as T));
      });
    });
  }

  /** The sign-in method: one that takes a password, or none of the password leaves. */
  private method(connection: SMTPConnection): string {
    const offered = connection as unknown as {
      readonly allowsAuth: boolean;
      readonly _supportedAuth: readonly string[];
    };
    if (!offered.allowsAuth) throw this.own("noAuth");
    const method = ["PLAIN", "LOGIN", "CRAM-MD5"].find((name) => offered._supportedAuth.includes(name));
    if (method === undefined) throw this.own("noPasswordAuth");
    return method;
  }

  private toSendError(error: EngineError, connection: SMTPConnection): SendError {
    if (isDestroyed(connection) && this.connection === connection) this.connection = undefined;
    const first = error.rejectedErrors?.[0];
    const refused = first?.recipient;
    const systemCode = error.timeoutType !== undefined ? "ETIMEDOUT" : (error.originalCode ?? error.code);
    const stage = stageOf(error, this.stage);
    const failure = this.judge({
      stage,
      ...(error.response !== undefined && { reply: first?.response ?? error.response }),
      ...(systemCode !== undefined && { systemCode }),
      ...(refused !== undefined && { refused }),
    });
    if (error.code === "ETLS" && failure.class === "offline" && failure.code === undefined)
      return new SendError({ ...ownFailures.noStarttls, stage: "starttls" });
    if (error.code === "EMESSAGE" && error.response === undefined) return this.own("tooLarge");
    return new SendError(failure);
  }

  /** The engine's bookkeeping of the envelope; asked for right before the body, when every RCPT has its reply. */
  private refusalOf(connection: SMTPConnection): SendError | undefined {
    const envelope = (
      connection as unknown as { readonly _envelope: { readonly rejectedErrors?: EngineError["rejectedErrors"] } }
    )._envelope;
    const first = envelope.rejectedErrors?.[0];
    if (first === undefined) return undefined;
    const failure = this.judge({
      stage: "rcpt",
      ...(first.response !== undefined && { reply: first.response }),
      ...(first.recipient !== undefined && { refused: first.recipient }),
    });
    return new SendError(
      failure.class === "recipient" ? { ...failure, text: ownFailures.partlyRefused.text } : failure,
    );
  }

  /** Judges by every word that came; keeps none that is a secret. */
  private judge(raw: RawFailure): Failure {
    const failure = classify(raw);
    return raw.reply === undefined ? failure : { ...failure, reply: this.words(raw.reply) };
  }

  /** What is kept of a reply. */
  private words(reply: string): string {
    return plainText(this.withoutSecrets(reply));
  }

  private own(what: keyof typeof ownFailures): SendError {
    return new SendError({ ...ownFailures[what], stage: this.stage });
  }

  private drop(connection = this.connection): void {
    if (this.connection === connection) this.connection = undefined;
    connection?.close();
  }
}

/** The body, released by the gate. `read` is first called when DATA got its 354. */
class GatedBody extends Readable {
  /** True once the gate was asked. */
  opened = false;
  /** What the gate said when it refused. */
  refusal: Error | undefined;
  private offset = 0;

  constructor(
    private readonly bytes: Buffer,
    private readonly gate: Gate,
  ) {
    super({ highWaterMark: pieceBytes });
  }

  override _read(): void {
    if (this.opened) return this.piece();
    this.opened = true;
    this.gate().then(
      () => this.piece(),
      (error: unknown) => {
        this.refusal = error instanceof Error ? error : new Error(String(error));
        this.destroy(this.refusal);
      },
    );
  }

  private piece(): void {
    if (this.offset >= this.bytes.length) {
      this.push(null);
      return;
    }
    const end = Math.min(this.offset + pieceBytes, this.bytes.length);
    const piece = this.bytes.subarray(this.offset, end);
    this.offset = end;
    this.push(piece);
  }
}

function extensionsOf(connection: SMTPConnection): readonly string[] {
  return (connection as unknown as { readonly _supportedExtensions: readonly string[] })._supportedExtensions;
}

function isDestroyed(connection: SMTPConnection): boolean {
  return (connection as unknown as { readonly _destroyed: boolean })._destroyed;
}

/** Where the dialogue was, from the command that failed; the gate's word wins, because after it the command lies. */
function stageOf(error: EngineError, reached: Stage): Stage {
  if (reached === "body" || reached === "reply") return reached;
  if (error.timeoutType === "GREETING_TIMEOUT") return "greeting";
  if (error.timeoutType === "UPGRADE_TIMEOUT") return "starttls";
  const command = error.command ?? "";
  if (command.startsWith("AUTH")) return "auth";
  if (command.startsWith("STARTTLS") || error.code === "ETLS") return "starttls";
  if (/^(?:EHLO|HELO)/.test(command)) return "ehlo";
  if (command === "MAIL FROM") return "mail";
  if (command === "RCPT TO") return "rcpt";
  if (command === "DATA") return "data";
  if (error.code === "EPROTOCOL" && reached === "connect") return "greeting";
  return reached;
}

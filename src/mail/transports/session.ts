/** From an account to a session in which mail can be sent: nodemailer's protocol engine greets, encrypts and signs in, then hands over. */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import type { Account } from "../account";
import { classify, ownFailures, type Stage } from "../classify";
import { ConnectError, openSocket, type ConnectEvent, type Lookup } from "../connect";
import type { AccessTokens, Credentials } from "../ports";
import { plainText } from "../problems";
import { readChallenge, xoauth2Response } from "../xoauth2";
import { accessToken } from "./accessToken";
import { SmtpDialogue } from "./dialogue";
import { partsOf, stageOf, type EngineError } from "./engine";
import type { ServerWords } from "./serverWords";
import { SendError } from "./transport";

/** No limit, as the engine's timers can hold it: to the engine 0 is its default. */
const endlessMs = 2_147_483_647;

/**
 * The engine's name for our XOAUTH2. Its own takes every word after a challenge for a refusal, also one that asks for patience, and
 * forgets the challenge.
 */
const tokenMethod = "ACCESS TOKEN";

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
  /** For an account that signs in with OAuth. */
  readonly accessTokens?: AccessTokens | undefined;
  readonly watch?: SmtpWatch;
  /** Asked instead of the system for the server's addresses. */
  readonly lookup?: Lookup;
}

/** How a connection is encrypted. */
export type TlsOptions = SMTPConnection["options"]["tls"];

/** A server that waits for mail. */
export interface Session {
  readonly dialogue: SmtpDialogue;
  readonly extensions: ReadonlySet<string>;
  /** Octets of a message (RFC 1870); 0 when the server names no limit. */
  readonly maxSize: number;
}

/** Connects and signs in. Throws `SendError`. */
export async function openSession(
  options: SmtpOptions,
  tls: TlsOptions,
  words: ServerWords,
  signal: AbortSignal,
): Promise<Session> {
  return await new SignIn(options, tls, words, signal).run();
}

/** What a server says to an access token: its last reply, and its challenge before that. */
interface TokenAnswer {
  readonly reply: string;
  readonly challenge: string;
}

/** Says an access token when the engine signs in; answered by a reply. */
type TokenSpeaker = (context: SMTPConnection.CustomAuthenticationContext) => void;

class SignIn {
  private stage: Stage = "connect";
  /** Takes what the engine reports while it does not call back. */
  private fail: ((error: EngineError) => void) | undefined;
  private speakToken: TokenSpeaker | undefined;
  /** Ends the present connection. */
  private hangUp: () => void = () => {};

  constructor(
    private readonly options: SmtpOptions,
    private readonly tls: TlsOptions,
    private readonly words: ServerWords,
    private readonly signal: AbortSignal,
  ) {}

  async run(): Promise<Session> {
    const { account } = this.options;
    try {
      const engine = await this.reach();
      if (account.auth === "none") return this.takeOver(engine);
      this.stage = "auth";
      if (account.auth === "oauth2") return this.takeOver(await this.giveToken(engine));
      await this.givePassword(engine);
      return this.takeOver(engine);
    } catch (error) {
      this.hangUp();
      throw error;
    }
  }

  /** A connection to a server that has greeted, and is encrypted as the account wants it. */
  private async reach(): Promise<SMTPConnection> {
    const { account } = this.options;
    const socket = await this.connect();
    const engine: SMTPConnection = new SMTPConnection({
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
      customAuth: { [tokenMethod]: (context) => this.speakToken?.(context) },
      ...this.watching(() => engine),
    });
    this.hangUp = () => {
      engine.close();
      socket.destroy();
    };
    engine.on("error", (error: EngineError) => this.fail?.(error));
    engine.on("end", () => {
      // The engine tells its callback why only after this event: let that word come first.
      const { fail } = this;
      queueMicrotask(() => {
        if (fail !== undefined && this.fail === fail) fail(new Error("The connection was closed."));
      });
    });
    await this.step(engine, (done) => engine.connect((error) => done(error)));
    return engine;
  }

  private async givePassword(engine: SMTPConnection): Promise<void> {
    const { account, credentials } = this.options;
    const auth = { user: account.user, pass: credentials.password ?? "", method: this.method(engine) };
    if (auth.pass === "") throw this.own("noPassword");
    await this.step(engine, (done) => engine.login({ ...auth }, (error) => done(error)));
  }

  /**
   * Signs in with an access token. One that the server does not take is replaced once. The other one goes over a connection of its own:
   * some servers hang up on who was refused, or answer nothing else any more. Returns the connection that is signed in.
   */
  private async giveToken(engine: SMTPConnection): Promise<SMTPConnection> {
    this.needsTokenAuth(engine);
    const token = await this.token();
    const refusal = await this.showToken(engine, token);
    if (refusal === undefined) return engine;
    this.hangUp();
    const another = await this.token(token);
    if (another === token) throw refusal;
    this.stage = "connect";
    const next = await this.reach();
    this.stage = "auth";
    this.needsTokenAuth(next);
    const secondRefusal = await this.showToken(next, another);
    if (secondRefusal !== undefined) throw secondRefusal;
    return next;
  }

  /** An access token for now, in place of one that was refused if there is one. */
  private async token(refused?: string): Promise<string> {
    const token = await accessToken(this.options.accessTokens, refused, this.signal);
    this.words.keepOut(token);
    return token;
  }

  /** Returns the failure when the server does not take the token; throws every other one, so that no token is replaced for it. */
  private async showToken(engine: SMTPConnection, token: string): Promise<SendError | undefined> {
    const { user } = this.options.account;
    let answer: TokenAnswer = { reply: "", challenge: "" };
    this.speakToken = (context) =>
      context.sendCommand(`AUTH XOAUTH2 ${xoauth2Response(user, token)}`, (_error, { response }) => {
        answer = { reply: response, challenge: "" };
        if (!response.startsWith("334")) return context.resolve();
        // Whoever refuses a token says why in a challenge, and waits for an empty answer.
        context.sendCommand("", (_none, last) => {
          answer = { reply: last.response, challenge: readChallenge(response) };
          context.resolve();
        });
      });
    await this.step(engine, (done) => engine.login({ user, method: tokenMethod }, (error) => done(error)));
    if (answer.reply.startsWith("2")) return undefined;
    const error = this.refusedToken(answer);
    if (error.failure.signIn !== true) throw error;
    return error;
  }

  private refusedToken({ reply, challenge }: TokenAnswer): SendError {
    const failure = this.words.judge({ stage: "auth", reply });
    const words = plainText(this.words.withoutSecrets(challenge), 120);
    return new SendError(
      words === "" ? failure : { ...failure, reply: plainText(`${plainText(failure.reply ?? "", 170)} (${words})`) },
    );
  }

  /** The socket, through the account's proxy where it has one. */
  private async connect(): Promise<Socket> {
    const { account, credentials, watch, lookup } = this.options;
    try {
      return await openSocket(account, credentials, this.signal, (event) => watch?.connect(event), lookup);
    } catch (error) {
      if (this.signal.aborted) throw this.own("stopped");
      if (!(error instanceof ConnectError)) throw error;
      const { systemCode, reply } = error;
      const failure = classify({ stage: "connect", systemCode });
      throw new SendError(reply === "" ? failure : { ...failure, reply: this.words.kept(reply) });
    }
  }

  /**
   * From here on the socket is ours: the engine is taken off it, listener by listener, and never hears of it again. What it had read
   * already is the dialogue's first word, so that nothing that came early can pass for an answer.
   */
  private takeOver(engine: SMTPConnection): Session {
    const parts = partsOf(engine);
    const { _socket: socket, _responseQueue: queue, _remainder: rest } = parts;
    socket.off("data", parts._onSocketData);
    socket.off("error", parts._onSocketError);
    socket.off("close", parts._onSocketClose);
    socket.off("end", parts._onSocketEnd);
    socket.off("timeout", parts._onSocketTimeout);
    const heard = Buffer.from([...queue, rest].join("\r\n"), "latin1");
    const { watch, account } = this.options;
    const said: SmtpWatch["said"] | undefined =
      watch === undefined ? undefined : (who, text) => watch.said(who, this.words.withoutSecrets(text));
    return {
      dialogue: new SmtpDialogue(socket, account.timeouts.socket, heard, said),
      extensions: new Set(parts._supportedExtensions),
      maxSize: parts._maxAllowedSize,
    };
  }

  /** The engine's options for whoever watches. */
  private watching(engine: () => SMTPConnection): Partial<SMTPConnection["options"]> {
    const { watch } = this.options;
    if (watch === undefined) return {};
    let secured = false;
    const hear = (entry: { readonly tnx?: string }, text: string): void => {
      if (entry.tnx !== "client" && entry.tnx !== "server") return;
      const { _socket: socket } = partsOf(engine());
      if (!secured && socket instanceof TLSSocket) {
        secured = true;
        watch.secured(socket);
      }
      const challenge = entry.tnx === "server" ? readChallenge(text) : "";
      watch.said(entry.tnx, this.words.withoutSecrets(challenge === "" ? text : `334 (${challenge})`));
    };
    const quiet = (): void => {};
    const logger = { level: quiet, trace: quiet, debug: hear, info: quiet, warn: quiet, error: quiet, fatal: quiet };
    return { logger, transactionLog: true };
  }

  /** Runs one exchange of the engine: settles by its callback, by a connection error, or by the signal. */
  private step(
    engine: SMTPConnection,
    start: (done: (error: Error | null | undefined) => void) => void,
  ): Promise<void> {
    const { signal } = this;
    return new Promise<void>((resolve, reject) => {
      if (signal.aborted) return reject(this.own("stopped"));
      const settle = (settlement: () => void): void => {
        this.fail = undefined;
        signal.removeEventListener("abort", onAbort);
        settlement();
      };
      const fail = (error: EngineError): void => settle(() => reject(this.toSendError(error)));
      const onAbort = (): void => {
        settle(() => reject(this.own("stopped")));
        engine.close();
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.fail = fail;
      start((error) => {
        if (error !== null && error !== undefined) fail(error);
        else settle(resolve);
      });
    });
  }

  /** The sign-in method: one that takes a password, or none of the password leaves. */
  private method(engine: SMTPConnection): string {
    const { allowsAuth, _supportedAuth: offered } = partsOf(engine);
    if (!allowsAuth) throw this.own("noAuth");
    const method = ["PLAIN", "LOGIN", "CRAM-MD5"].find((name) => offered.includes(name));
    if (method === undefined) throw this.own("noPasswordAuth");
    return method;
  }

  /** Without the offer no token leaves. */
  private needsTokenAuth(engine: SMTPConnection): void {
    if (!partsOf(engine)._supportedAuth.includes("XOAUTH2")) throw this.own("noTokenAuth");
  }

  private toSendError(error: EngineError): SendError {
    const systemCode = error.timeoutType !== undefined ? "ETIMEDOUT" : (error.originalCode ?? error.code);
    const failure = this.words.judge({
      stage: stageOf(error, this.stage),
      ...(error.response !== undefined && { reply: error.response }),
      ...(systemCode !== undefined && { systemCode }),
    });
    if (error.code === "ETLS" && failure.class === "offline" && failure.code === undefined)
      return new SendError({ ...ownFailures.noStarttls, stage: "starttls" });
    return new SendError(failure);
  }

  private own(what: keyof typeof ownFailures): SendError {
    return new SendError({ ...ownFailures[what], stage: this.stage });
  }
}

/** HTTPS over a connection of our own (RFC 9112): the account's proxy, authorities and time limits, and the knowledge of how far a request came. */
import * as http from "node:http";
import type { Socket } from "node:net";
import * as tls from "node:tls";
import type { Account } from "./account";
import { secureContext } from "./certificates";
import type { Stage } from "./classify";
import { ConnectError, openSocket, type ConnectEvent, type Lookup } from "./connect";
import type { Credentials } from "./ports";
import type { Gate } from "./transports/transport";

/** Sees what happens on the way; no header and no body. */
export interface HttpsWatch {
  connect(event: ConnectEvent): void;
  secured(socket: tls.TLSSocket): void;
  /** A request was answered. */
  replied(method: HttpsRequest["method"], url: string, status: number): void;
}

/** How an account's servers are reached. Connections of one way share the parsed certificates. */
export interface HttpsWay {
  readonly account: Account;
  /** PEM text of the account's own authorities. */
  readonly ca: string | undefined;
  readonly credentials: Credentials;
  /** Asked instead of the system for the server's addresses. */
  readonly lookup?: Lookup;
  readonly watch?: HttpsWatch;
}

/** What is asked. `Host`, `Connection` and `Content-Length` are made here. */
export interface HttpsRequest {
  readonly method: "GET" | "POST";
  /** On the connection's host; no redirection is followed. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: readonly Buffer[];
}

/** What was answered. */
export interface HttpsReply {
  readonly status: number;
  /** By lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** 1 MB at most. */
  readonly body: Buffer;
  /** False when the body was too large, or broke off. */
  readonly isWhole: boolean;
  /** It came before the request's last byte was handed over: nobody can have acted on that. */
  readonly isEarly: boolean;
}

/**
 * No reply. `connect`: nothing of the request was handed over. `body`: its last byte was not handed to the system, so that nobody can act on it.
 * `reply`: all of it was, and what became of it is unknown.
 */
export class HttpsError extends Error {
  /**
   * @param systemCode the system's, the TLS layer's or `ConnectError`'s code; ABORT_ERR for an aborted signal, ECONNECTION for a
   *   connection that was simply closed, ETIMEDOUT for a silent one, EPROTOCOL for one that does not speak HTTP
   * @param reply a proxy's words, plain text
   */
  constructor(
    readonly stage: Extract<Stage, "connect" | "body" | "reply">,
    readonly systemCode: string,
    readonly reply = "",
  ) {
    super(`${stage}: ${systemCode}`);
    this.name = "HttpsError";
  }
}

/** A reply's body is read so far, bytes. */
const longestBody = 1024 * 1024;

/** A body goes out in pieces of so many bytes at most, so that its end is handed over as late as can be. */
const pieceBytes = 64 * 1024;

/** A connection that was idle for longer is not used: the server may be about to end it. Milliseconds. */
const idleMs = 20_000;

const contexts = new WeakMap<HttpsWay, tls.SecureContext>();

/** A connection to one host, port 443. Not for two requests at once. */
export class HttpsConnection {
  private line: Line | undefined;

  constructor(
    private readonly way: HttpsWay,
    private readonly host: string,
  ) {}

  /** When the server last said something, by `performance.now()`; -Infinity when it has not. */
  get heardAt(): number {
    return this.line?.heardAt ?? -Infinity;
  }

  /** Whether a connection is there that nobody has ended, as far as is known here. */
  get isOpen(): boolean {
    return this.living() !== undefined;
  }

  /** Connects, if that is not done already. Throws `HttpsError` of the stage `connect`. */
  async open(signal: AbortSignal): Promise<void> {
    if (this.living() !== undefined) return;
    this.drop();
    const socket = await this.connect(signal);
    const secured = await this.encrypt(socket, signal);
    this.way.watch?.secured(secured);
    this.line = new Line(secured);
  }

  /**
   * Asks on an open connection. The gate is awaited before the first byte leaves. Aborting `signal` ends it, and the connection with it.
   * Throws `HttpsError`, and what the gate throws.
   */
  async request(request: HttpsRequest, gate: Gate, signal: AbortSignal): Promise<HttpsReply> {
    const line = this.living();
    if (signal.aborted) throw new HttpsError("connect", "ABORT_ERR");
    if (line === undefined) throw new HttpsError("connect", "ECONNECTION");
    const onAbort = (): void => line.end("ABORT_ERR");
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await line.during(gate());
      const reply = await line.exchange(request, this.host, this.way.account.timeouts.socket);
      this.way.watch?.replied(request.method, request.url, reply.status);
      return reply;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Ends the connection. Never throws. */
  close(): Promise<void> {
    this.drop();
    return Promise.resolve();
  }

  /** Forgets the connection. */
  drop(): void {
    this.line?.end("ECONNECTION");
    this.line = undefined;
  }

  private living(): Line | undefined {
    return this.line?.isUsable === true ? this.line : undefined;
  }

  private async connect(signal: AbortSignal): Promise<Socket> {
    const { account, credentials, lookup, watch } = this.way;
    const server = { ...account, host: this.host, port: 443 };
    try {
      return await openSocket(server, credentials, signal, (event) => watch?.connect(event), lookup);
    } catch (error) {
      if (signal.aborted) throw new HttpsError("connect", "ABORT_ERR");
      if (!(error instanceof ConnectError)) throw error;
      throw new HttpsError("connect", error.systemCode, error.reply);
    }
  }

  /** Always verified, under the host's own name: what goes over it is worth more than one mail. */
  private async encrypt(socket: Socket, signal: AbortSignal): Promise<tls.TLSSocket> {
    const { account, ca } = this.way;
    let context = contexts.get(this.way);
    if (context === undefined) contexts.set(this.way, (context = secureContext(ca, account.tls.minVersion)));
    const secured = tls.connect({
      socket,
      servername: this.host,
      secureContext: context,
      ALPNProtocols: ["http/1.1"],
      rejectUnauthorized: true,
    });
    const limit = account.timeouts.greeting;
    let timer: NodeJS.Timeout | undefined;
    let onAbort = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        const fail = (systemCode: string): void => reject(new HttpsError("connect", systemCode));
        onAbort = () => fail("ABORT_ERR");
        if (signal.aborted) onAbort();
        signal.addEventListener("abort", onAbort, { once: true });
        if (limit > 0) timer = setTimeout(() => fail("ETIMEDOUT"), limit);
        secured.once("secureConnect", resolve);
        secured.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? "ESOCKET"));
        secured.once("close", () => fail("ECONNECTION"));
      });
    } catch (error) {
      secured.destroy();
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
    return secured;
  }
}

/** One request over a connection of its own. Throws `HttpsError`. */
export async function httpsRequest(way: HttpsWay, request: HttpsRequest, signal: AbortSignal): Promise<HttpsReply> {
  const connection = new HttpsConnection(way, new URL(request.url).hostname);
  try {
    await connection.open(signal);
    return await connection.request(request, () => Promise.resolve(), signal);
  } finally {
    await connection.close();
  }
}

/** An encrypted socket, and what is known of it. */
class Line {
  heardAt = performance.now();
  private readonly agent: OneSocket;
  private ended: string | undefined;
  private isAsking = false;
  private idleSince = performance.now();

  constructor(private readonly socket: tls.TLSSocket) {
    this.agent = new OneSocket(socket);
    socket.setNoDelay(true);
    socket.on("data", () => {
      this.heardAt = performance.now();
      // Who speaks without being asked must not pass for the answer to what comes next.
      if (!this.isAsking) this.end("EPROTOCOL");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => this.end(error.code ?? "ESOCKET"));
    socket.on("end", () => this.isAsking || this.end("ECONNECTION"));
    socket.on("close", () => this.end("ECONNECTION"));
  }

  get isUsable(): boolean {
    const { socket } = this;
    return this.ended === undefined && socket.writable && !socket.readableEnded && this.idleMs <= idleMs;
  }

  private get idleMs(): number {
    return this.isAsking ? 0 : performance.now() - this.idleSince;
  }

  /** Ends it at once. What the system was not handed yet never leaves. */
  end(systemCode: string): void {
    this.ended ??= systemCode;
    this.socket.destroy();
  }

  /** Waits for what goes on elsewhere, as long as the connection stands. Rejects as `work` does. */
  async during(work: Promise<void>): Promise<void> {
    let onClose = (): void => {};
    const closed = new Promise<void>((resolve) => (onClose = resolve));
    this.socket.once("close", onClose);
    try {
      await Promise.race([work, closed]);
    } finally {
      this.socket.off("close", onClose);
    }
    if (this.ended !== undefined) throw new HttpsError("connect", this.ended);
  }

  async exchange(request: HttpsRequest, host: string, timeoutMs: number): Promise<HttpsReply> {
    this.isAsking = true;
    const { pathname, search } = new URL(request.url);
    const length = request.body.reduce((sum, piece) => sum + piece.length, 0);
    const asked = http.request({
      agent: this.agent,
      method: request.method,
      path: `${pathname}${search}`,
      setHost: false,
      headers: { ...request.headers, Host: host, ...(request.method === "POST" && { "Content-Length": length }) },
      ...(timeoutMs > 0 && { timeout: timeoutMs }),
    });
    const exchange = new Exchange(asked, () => this.ended);
    try {
      const reply = await exchange.run(grouped(request.body));
      // The rest of a request that was answered too early, or of a reply that was too long, is in nobody's way on another connection.
      if (reply.isEarly || !reply.isWhole) this.end("ECONNECTION");
      return reply;
    } catch (error) {
      this.end("ECONNECTION");
      throw error;
    } finally {
      this.isAsking = false;
      this.idleSince = performance.now();
    }
  }
}

/** node's own keep-alive over a socket that stands already. */
class OneSocket extends http.Agent {
  constructor(private readonly socket: Socket) {
    super({ keepAlive: true, maxSockets: 1 });
  }

  /** Called once: whoever asks looks first whether the socket is alive. */
  override createConnection(): Socket {
    return this.socket;
  }
}

/** One request and its reply. */
class Exchange {
  private stage: "body" | "reply" = "body";
  private response: http.IncomingMessage | undefined;
  private failure: string | undefined;
  /** Continues whoever waits, to look at what has changed. */
  private wake: (() => void) | undefined;

  /** @param ended why the connection was ended from here, if it was */
  constructor(
    private readonly asked: http.ClientRequest,
    private readonly ended: () => string | undefined,
  ) {
    asked.on("response", (response) => {
      this.response = response;
      this.wake?.();
    });
    asked.on("error", (error: NodeJS.ErrnoException) => this.fail(codeOf(error)));
    asked.on("close", () => this.fail("ECONNECTION"));
    asked.on("timeout", () => {
      this.fail("ETIMEDOUT");
      asked.destroy();
    });
  }

  async run(writes: Buffer[]): Promise<HttpsReply> {
    const last = writes.pop();
    for (const piece of writes) {
      const state = { taken: false };
      this.asked.write(piece, () => {
        state.taken = true;
        this.wake?.();
      });
      while (!state.taken && this.response === undefined && this.failure === undefined) await this.change();
      if (this.response !== undefined || this.failure !== undefined) break;
    }
    if (this.response === undefined && this.failure === undefined) {
      this.stage = "reply";
      this.asked.end(last);
    }
    while (this.response === undefined && this.failure === undefined) await this.change();
    if (this.response === undefined) throw this.error();
    const status = this.response.statusCode ?? 0;
    // A yes to half a request is no yes.
    if (this.stage === "body" && status < 400) throw new HttpsError("body", "EPROTOCOL");
    const { body, isWhole } = await this.read(this.response);
    return { status, headers: headersOf(this.response), body, isWhole, isEarly: this.stage === "body" };
  }

  /** A reply counts from its status on; what breaks off behind that is cut. */
  private async read(response: http.IncomingMessage): Promise<Pick<HttpsReply, "body" | "isWhole">> {
    const chunks: Buffer[] = [];
    let room = longestBody;
    let isOver = response.closed;
    response.on("data", (chunk: Buffer) => {
      if (room > 0) chunks.push(chunk.subarray(0, room));
      room -= chunk.length;
      if (room < 0) response.destroy();
    });
    for (const event of ["end", "error", "close"])
      response.on(event, () => {
        isOver = true;
        this.wake?.();
      });
    while (!isOver) await this.change();
    return { body: Buffer.concat(chunks), isWhole: response.complete && room >= 0 };
  }

  private fail(systemCode: string): void {
    this.failure ??= systemCode;
    this.wake?.();
  }

  private error(): HttpsError {
    return new HttpsError(this.stage, this.ended() ?? this.failure ?? "ECONNECTION");
  }

  private change(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = () => {
        this.wake = undefined;
        resolve();
      };
    });
  }
}

/** The parser's own codes (HPE_…) are all one to us. */
function codeOf({ code, message }: NodeJS.ErrnoException): string {
  if (message === "socket hang up") return "ECONNECTION";
  return code === undefined || code.startsWith("HPE_") ? "EPROTOCOL" : code;
}

function headersOf({ headers }: http.IncomingMessage): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

/** The pieces of a body as they are written; never none. */
function grouped(body: readonly Buffer[]): Buffer[] {
  const writes: Buffer[] = [];
  for (const piece of body)
    for (let start = 0; start < piece.length; start += pieceBytes)
      writes.push(piece.subarray(start, start + pieceBytes));
  return writes.length === 0 ? [Buffer.alloc(0)] : writes;
}

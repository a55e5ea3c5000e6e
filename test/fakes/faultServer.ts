/** An SMTP server that goes wrong once, or from then on, at one chosen moment, and counts what it has taken for whom. */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createSecureContext, TLSSocket, type SecureContext } from "node:tls";

/** What goes wrong. `close` is a FIN, `reset` a RST; `hang` reads and says nothing more on this connection. */
export const faults = ["close", "reset", "hang", "4xx", "5xx", "421"] as const;
export type Fault = (typeof faults)[number];

/** Where it goes wrong. `dot` is between the end of the body and its reply: the message is taken (`kept`) or not (`lost`). */
export const moments = [
  "greeting",
  "EHLO",
  "STARTTLS",
  "AUTH",
  "AUTH token",
  "MAIL",
  "RCPT to",
  "RCPT cc",
  "DATA",
  "body",
  "dot, lost",
  "dot, kept",
  "after 250",
] as const;
export type Moment = (typeof moments)[number];

/** How the server behaves. */
export interface Behaviour {
  readonly moment: Moment;
  readonly fault: Fault;
  /** The moment's first, second … time over all connections, from 0. */
  readonly nth: number;
  /** Whether every later time goes wrong too. */
  readonly always: boolean;
  /** Of the body, goes wrong only with this recipient. */
  readonly only?: string;
  readonly pipelining: boolean;
  /** Offers STARTTLS, and AUTH behind it. */
  readonly certificate?: { readonly key: Buffer; readonly cert: Buffer };
  /** Ends every connection politely after so many messages. */
  readonly messagesPerConnection?: number;
}

/** The words of a refusal, as servers say them at that moment. */
const words: Readonly<Record<"4xx" | "5xx", Readonly<Record<Moment, string>>>> = {
  "4xx": {
    greeting: "451 4.3.2 Not now",
    EHLO: "451 4.3.0 Not now",
    STARTTLS: "454 4.7.0 TLS not available",
    AUTH: "454 4.7.0 Temporary authentication failure",
    "AUTH token": "454 4.7.0 Temporary authentication failure",
    MAIL: "451 4.3.0 Try again later",
    "RCPT to": "450 4.2.0 Greylisted",
    "RCPT cc": "450 4.2.0 Greylisted",
    DATA: "451 4.3.0 Try again later",
    body: "451 4.3.0 Try again later",
    "dot, lost": "451 4.3.0 Try again later",
    "dot, kept": "451 4.3.0 Try again later",
    "after 250": "451 4.4.2 Too long idle",
  },
  "5xx": {
    greeting: "554 5.7.1 Go away",
    EHLO: "550 5.5.1 Not known",
    STARTTLS: "554 5.7.3 No TLS",
    AUTH: "535 5.7.8 Wrong password",
    "AUTH token": "535 5.7.3 Authentication unsuccessful",
    MAIL: "550 5.1.8 Sender refused",
    "RCPT to": "550 5.1.1 No such user",
    "RCPT cc": "550 5.1.1 No such user",
    DATA: "554 5.5.0 Refused",
    body: "554 5.6.0 Refused",
    "dot, lost": "554 5.6.0 Refused",
    "dot, kept": "554 5.6.0 Refused",
    "after 250": "554 5.5.0 Confused",
  },
};

/** So many bytes of the body are taken before it goes wrong in the middle. */
const bodyBytes = 8 * 1024;

/** The server. It answers what it was told to until `mend` is called. */
export class FaultServer {
  /** How often a message was taken for each address, whether that was said or not. */
  readonly taken = new Map<string, number>();
  /** Addresses whose message was seen up to its final dot at least once. */
  readonly dotted = new Set<string>();
  /** To whom the message went in whose transaction it went wrong. */
  readonly victims = new Set<string>();
  /** Commands of sign-in that came. */
  signIns = 0;
  /** How often it went wrong. */
  faults = 0;
  private came = 0;
  private mended = false;
  private readonly sockets = new Set<Socket>();
  private readonly secure: SecureContext | undefined;

  private constructor(
    private readonly server: Server,
    readonly behaviour: Behaviour,
  ) {
    this.secure = behaviour.certificate === undefined ? undefined : createSecureContext(behaviour.certificate);
  }

  /** Starts one on a free port of 127.0.0.1. */
  static async start(behaviour: Behaviour): Promise<FaultServer> {
    const server = createServer();
    const faulty = new FaultServer(server, behaviour);
    server.on("connection", (socket) => {
      faulty.sockets.add(socket);
      socket.once("close", () => faulty.sockets.delete(socket));
      new Session(faulty, socket).begin();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return faulty;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** From now on nothing goes wrong. */
  mend(): void {
    this.mended = true;
  }

  /** Whether it goes wrong now. */
  strikes(moment: Moment, to: readonly string[]): boolean {
    const { behaviour } = this;
    if (moment !== behaviour.moment || this.mended) return false;
    if (behaviour.only !== undefined && to[0] !== behaviour.only) return false;
    const count = this.came++;
    if (behaviour.always ? count < behaviour.nth : count !== behaviour.nth) return false;
    this.faults++;
    if (to[0] !== undefined) this.victims.add(to[0]);
    return true;
  }

  /** Puts TLS on a socket. */
  encrypt(socket: Socket): TLSSocket | undefined {
    return this.secure && new TLSSocket(socket, { isServer: true, secureContext: this.secure });
  }

  take(to: readonly string[]): void {
    for (const address of to) this.taken.set(address, (this.taken.get(address) ?? 0) + 1);
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

/** One connection. */
class Session {
  private socket: Socket;
  private pending = "";
  private to: string[] = [];
  private body: { bytes: number; tail: string } | undefined;
  private messages = 0;
  /** True once nothing more is answered. */
  private dead = false;

  constructor(
    private readonly server: FaultServer,
    /** Below any TLS. */
    private readonly raw: Socket,
  ) {
    this.socket = raw;
    raw.setNoDelay(true);
  }

  begin(): void {
    this.hear(this.raw);
    if (!this.struck("greeting")) this.say("220 fault ESMTP");
  }

  private hear(socket: Socket): void {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      if (this.dead || this.socket !== socket) return;
      this.pending += chunk.toString("latin1");
      this.readOn();
    });
  }

  /** Answers what has come, as far as anything is answered. */
  private readOn(): void {
    const more = this.body === undefined ? this.line() : this.content();
    if (more && !this.dead) this.readOn();
  }

  private say(text: string): void {
    this.socket.write(`${text}\r\n`);
  }

  /** True when it goes wrong here: then the usual answer must not follow. */
  private struck(moment: Moment, to: readonly string[] = this.to): boolean {
    const strikes = this.server.strikes(moment, to);
    if (strikes) this.wrong(moment);
    return strikes;
  }

  private wrong(moment: Moment): void {
    const { fault } = this.server.behaviour;
    // What is not answered any more is still read: `close` must be a FIN, not the RST of a socket with unread bytes.
    this.dead = !(fault === "4xx" || fault === "5xx") || moment === "greeting" || moment === "body";
    if (fault === "close") this.socket.end();
    else if (fault === "reset") this.raw.resetAndDestroy();
    else if (fault === "hang") this.socket.pause();
    else if (fault === "421") this.socket.end("421 4.3.2 Shutting down\r\n");
    else this.say(words[fault][moment]);
  }

  /** Answers the next line; false when there is none. */
  private line(): boolean {
    const end = this.pending.indexOf("\r\n");
    if (end < 0) return false;
    const line = this.pending.slice(0, end);
    this.pending = this.pending.slice(end + 2);
    switch (line.slice(0, 4).toUpperCase()) {
      case "EHLO":
        if (!this.struck("EHLO")) this.say(this.extensions());
        return true;
      case "HELO":
        this.say("250 fault");
        return true;
      case "STAR":
        if (this.struck("STARTTLS")) return true;
        this.say("220 2.0.0 Go ahead");
        this.raw.removeAllListeners("data");
        this.hear(this.server.encrypt(this.raw) ?? this.raw);
        return true;
      case "AUTH":
        this.server.signIns++;
        if (!this.struck(line.startsWith("AUTH XOAUTH2 ") ? "AUTH token" : "AUTH")) this.say("235 2.7.0 Welcome");
        return true;
      case "MAIL":
        this.to = [];
        if (!this.struck("MAIL")) this.say("250 2.1.0 Ok");
        return true;
      case "RCPT": {
        const address = /<(.*?)>/.exec(line)?.[1] ?? "";
        const copy = address.startsWith("copy");
        if (!this.struck(copy ? "RCPT cc" : "RCPT to", [this.to[0] ?? address])) {
          this.to.push(address);
          this.say("250 2.1.5 Ok");
        }
        return true;
      }
      case "DATA":
        if (this.to.length === 0) this.say("554 5.5.1 No valid recipients");
        else if (!this.struck("DATA")) {
          this.body = { bytes: 0, tail: "\r\n" };
          this.say("354 Go ahead");
        }
        return true;
      case "RSET":
        this.to = [];
        this.say("250 2.0.0 Ok");
        return true;
      case "QUIT":
        this.dead = true;
        this.socket.end("221 2.0.0 Bye\r\n");
        return true;
      default:
        this.say("500 5.5.2 Unknown");
        return true;
    }
  }

  /** Reads on in the body; false when more must come first. */
  private content(): boolean {
    const { body } = this;
    if (body === undefined) return false;
    const text = body.tail + this.pending;
    const end = text.indexOf("\r\n.\r\n");
    if (end < 0) {
      body.bytes += this.pending.length;
      body.tail = text.slice(-4);
      this.pending = "";
      if (body.bytes >= bodyBytes) this.struck("body");
      return false;
    }
    this.pending = text.slice(end + 5);
    this.body = undefined;
    for (const address of this.to) this.server.dotted.add(address);
    if (!this.struck("dot, lost")) this.ended();
    this.to = [];
    return true;
  }

  private ended(): void {
    this.server.take(this.to);
    this.messages++;
    if (this.struck("dot, kept")) return;
    // The fault comes in the same breath, before a next command can.
    this.socket.cork();
    this.say("250 2.0.0 Ok: queued");
    const struck = this.server.strikes("after 250", this.to);
    const { fault, messagesPerConnection } = this.server.behaviour;
    const spoken = fault === "4xx" || fault === "5xx" || fault === "421";
    if (struck && spoken) this.wrong("after 250");
    this.socket.uncork();
    if (struck && !spoken) this.wrong("after 250");
    else if (!struck && this.messages === messagesPerConnection) this.socket.end();
  }

  private extensions(): string {
    const { pipelining, certificate } = this.server.behaviour;
    const encrypted = this.socket instanceof TLSSocket;
    const names = [
      ...(pipelining ? ["PIPELINING"] : []),
      ...(certificate !== undefined ? [encrypted ? "AUTH PLAIN LOGIN XOAUTH2" : "STARTTLS"] : []),
      "ENHANCEDSTATUSCODES",
      "8BITMIME",
    ];
    return ["250-fault", ...names.map((name) => `250-${name}`), "250 HELP"].join("\r\n");
  }
}

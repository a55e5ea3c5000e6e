/** The Gmail API behind an `Interceptor`: checks what it is asked, counts what it has taken for whom, and goes wrong where it is told to. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import * as path from "node:path";
import { createSecureContext, TLSSocket, type SecureContext } from "node:tls";
import { repositoryRoot } from "../host/repo";
import { answerJson, Interceptor, providerCertificate } from "./interceptor";

/** The host that it plays. */
export const gmailHost = "gmail.googleapis.com";

/**
 * Where it goes wrong. `connect` is before TLS; `head` and `body` are about an upload that is on its way; `end` is between the last byte of a
 * request and its reply: the message is taken (`kept`) or not (`lost`); `reply` is in the middle of the yes; `idle` is right behind it.
 */
export const gmailMoments = ["connect", "head", "body", "end, lost", "end, kept", "reply", "idle"] as const;
export type GmailMoment = (typeof gmailMoments)[number];

/** What goes wrong there. `close` is a FIN, `reset` a RST; `hang` says nothing more; `refuse` is the proxy's no, `stranger` another's certificate. */
export const gmailBreaks = ["close", "reset", "hang", "refuse", "stranger"] as const;
export type GmailBreak = (typeof gmailBreaks)[number];

/** A reply that is no yes. */
export interface Refusal {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Google's error model with a reason, as the API writes it. */
export function googleError(status: number, message: string, reason: string, detail?: string): Refusal {
  const details = detail === undefined ? {} : { details: [{ reason: detail, domain: "googleapis.com" }] };
  const errors = [{ message, domain: "global", reason }];
  return { status, body: { error: { code: status, message, errors, ...details } } };
}

/** How the endpoint behaves. */
export interface GmailBehaviour {
  readonly moment: GmailMoment;
  readonly fault: GmailBreak | Refusal;
  /** The moment's first, second … time over all connections, from 0. */
  readonly nth: number;
  /** Whether every later time goes wrong too. */
  readonly always: boolean;
  /** To whom uploads go. */
  readonly uploadsTo?: string;
  /** Says `Connection: close` with every so many-th yes. */
  readonly messagesPerConnection?: number;
}

/** A message as it came. */
export interface TakenMessage {
  readonly bytes: Buffer;
  readonly asUpload: boolean;
  readonly to: readonly string[];
}

/** So many bytes of an upload are read before it goes wrong in the middle. */
const bodyBytes = 64 * 1024;

/** The endpoint, with its interceptor. */
export class GmailEndpoint {
  /** How often a message was taken for each address, whether that was said or not. */
  readonly taken = new Map<string, number>();
  /** Addresses whose message came to its end at least once. */
  readonly dotted = new Set<string>();
  /** To whom the message went with which it went wrong. */
  readonly victims = new Set<string>();
  readonly messages: TakenMessage[] = [];
  /** What was wrong with requests; there should be nothing. */
  readonly wrong: string[] = [];
  /** The access tokens that it takes; everything when there are none. */
  readonly tokens = new Set<string>();
  /** Tokens of all requests, in order. */
  readonly seenTokens: string[] = [];
  connections = 0;
  /** How often it went wrong. */
  faults = 0;
  /** Called when a message was taken, before that is said; without an answer the sender waits for ever. */
  onTaken: (to: readonly string[]) => "answer" | "silence" = () => "answer";
  /** Uploads that went wrong in their middle. */
  private readonly struck = new WeakSet<IncomingMessage>();
  private came = 0;
  private mended = false;
  private readonly raws = new WeakMap<Socket, Socket>();
  private readonly counts = new WeakMap<Socket, number>();
  private readonly http: Server;
  private readonly own = createSecureContext({ key: providerCertificate.key, cert: providerCertificate.cert });
  private readonly strangers: SecureContext;

  private constructor(
    readonly interceptor: Interceptor,
    readonly behaviour: GmailBehaviour | undefined,
  ) {
    const file = (name: string): Buffer => readFileSync(path.join(repositoryRoot(), "test", "fixtures", "tls", name));
    this.strangers = createSecureContext({ key: file("selfsigned.key"), cert: file("selfsigned.pem") });
    this.http = createServer((request, response) => void this.serve(request, response));
    this.http.on("clientError", () => {});
    interceptor.playSocket(`${gmailHost}:443`, (raw) => this.connected(raw));
    interceptor.refuses = () => behaviour?.fault === "refuse" && this.strikes("connect");
  }

  static async start(behaviour?: GmailBehaviour): Promise<GmailEndpoint> {
    return new GmailEndpoint(await Interceptor.start(), behaviour);
  }

  /** From now on nothing goes wrong. */
  mend(): void {
    this.mended = true;
  }

  close(): Promise<void> {
    return this.interceptor.close();
  }

  private connected(raw: Socket): void {
    this.connections++;
    const { fault } = this.behaviour ?? {};
    let secureContext = this.own;
    if (fault !== "refuse" && this.strikes("connect")) {
      if (fault !== "stranger") return this.break(raw, raw);
      secureContext = this.strangers;
    }
    const socket = new TLSSocket(raw, { isServer: true, secureContext });
    socket.on("error", () => {});
    // The proxy's sockets may be half open: whoever hangs up is hung up on.
    socket.on("end", () => socket.destroy());
    this.raws.set(socket, raw);
    this.http.emit("connection", socket);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    const asUpload = request.url?.startsWith("/upload/") === true;
    const { uploadsTo } = this.behaviour ?? {};
    const uploader = uploadsTo === undefined ? [] : [uploadsTo];
    if (asUpload && this.broken("head", socket, response, uploader)) return;
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (!asUpload || this.struck.has(request) || length < bodyBytes) return;
      if (!this.broken("body", socket, response, uploader)) return;
      this.struck.add(request);
      if (this.behaviour?.fault === "hang") request.pause();
    });
    request.on("error", () => {});
    await new Promise((resolve) => request.once("end", resolve));
    if (this.struck.has(request)) return;
    const bytes = this.read(request, asUpload, Buffer.concat(chunks));
    const to = addressesOf(bytes);
    for (const address of to) this.dotted.add(address);
    const [, token = ""] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "") ?? [];
    this.seenTokens.push(token);
    if (this.tokens.size > 0 && !this.tokens.has(token)) {
      answer(response, googleError(401, `Invalid Credentials: ${token}`, "authError"));
      return;
    }
    if (this.broken("end, lost", socket, response, to)) return;
    this.messages.push({ bytes, asUpload, to });
    for (const address of to) this.taken.set(address, (this.taken.get(address) ?? 0) + 1);
    if (this.onTaken(to) === "silence") return;
    if (this.broken("end, kept", socket, response, to)) return;
    this.yes(socket, response, to);
  }

  private yes(socket: Socket, response: ServerResponse, to: readonly string[]): void {
    const id = `msg${String(this.messages.length)}`;
    if (this.strikes("reply", to)) {
      response.writeHead(200, { "Content-Type": "application/json; charset=UTF-8", "Content-Length": 500 });
      response.write(`{"id":"${id}`, () => this.break(socket, this.raws.get(socket) ?? socket));
      return;
    }
    const count = (this.counts.get(socket) ?? 0) + 1;
    this.counts.set(socket, count);
    const last = count === this.behaviour?.messagesPerConnection;
    const idle = this.strikes("idle", to);
    response.once("finish", () => {
      if (idle) this.break(socket, this.raws.get(socket) ?? socket);
    });
    answerJson(response, 200, { id, threadId: id, labelIds: ["SENT"] }, last ? { Connection: "close" } : {});
  }

  /** The message in a request. */
  private read({ method, url, headers }: IncomingMessage, asUpload: boolean, body: Buffer): Buffer {
    const expect = (what: string, holds: boolean): void => {
      if (!holds) this.wrong.push(`${what}: ${String(method)} ${String(url)} ${JSON.stringify(headers)}`);
    };
    expect("method", method === "POST");
    expect("host", headers.host === gmailHost);
    expect("length", headers["content-length"] === String(body.length));
    expect("authorization", /^Bearer \S+$/.test(headers.authorization ?? ""));
    expect("encoding", headers["accept-encoding"] === undefined);
    if (asUpload) {
      expect("url", url === "/upload/gmail/v1/users/me/messages/send?uploadType=media");
      expect("type", headers["content-type"] === "message/rfc822");
      return body;
    }
    expect("url", url === "/gmail/v1/users/me/messages/send");
    expect("type", headers["content-type"] === "application/json");
    const { raw, ...rest } = JSON.parse(body.toString("utf8")) as { readonly raw?: string };
    expect("body", Object.keys(rest).length === 0 && /^[A-Za-z0-9_-]+$/.test(raw ?? ""));
    return Buffer.from(raw ?? "", "base64url");
  }

  /** True when it goes wrong here: then the usual answer must not follow. */
  private broken(moment: GmailMoment, socket: Socket, response: ServerResponse, to: readonly string[] = []): boolean {
    const { fault } = this.behaviour ?? {};
    if (fault === undefined || !this.strikes(moment, to)) return false;
    if (typeof fault === "string") this.break(socket, this.raws.get(socket) ?? socket);
    else answer(response, fault);
    return true;
  }

  private break(socket: Socket, raw: Socket): void {
    const fault = this.behaviour?.fault;
    if (fault === "close") socket.end();
    else if (fault === "reset") raw.resetAndDestroy();
    else socket.pause();
  }

  private strikes(moment: GmailMoment, to: readonly string[] = []): boolean {
    const { behaviour } = this;
    if (behaviour?.moment !== moment || this.mended) return false;
    const count = this.came++;
    if (behaviour.always ? count < behaviour.nth : count !== behaviour.nth) return false;
    this.faults++;
    if (to[0] !== undefined) this.victims.add(to[0]);
    return true;
  }
}

function answer(response: ServerResponse, { status, body, headers = {} }: Refusal): void {
  if (body !== undefined && typeof body !== "string") return answerJson(response, status, body, headers);
  response.writeHead(status, { "Content-Type": "text/html", ...headers }).end(body ?? "");
}

/** The addresses in To, Cc and Bcc, in this order. */
function addressesOf(message: Buffer): readonly string[] {
  const text = message.toString("utf8");
  const head = text.slice(0, text.indexOf("\r\n\r\n")).replace(/\r\n[ \t]+/g, " ");
  return ["To", "Cc", "Bcc"].flatMap((name) => {
    const value = new RegExp(`^${name}: (.*)$`, "m").exec(head)?.[1] ?? "";
    return value.match(/[^\s<>,;"]+@[^\s<>,;"]+/g) ?? [];
  });
}

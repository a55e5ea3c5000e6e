/** Google and Microsoft on loopback: an HTTP proxy (CONNECT) that is itself the hosts which a test plays, and lets nobody through. */
import { readFileSync } from "node:fs";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import * as path from "node:path";
import { repositoryRoot } from "../host/repo";

/** Answers one request as the host would; express apps and `OAuth2Service.requestHandler` fit. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Speaks with a client on the socket that its CONNECT opened; whatever protocol it is, TLS included. */
export type SocketHandler = (socket: Socket) => unknown;

/** The head of a request that a played host got. */
export interface SeenRequest {
  readonly host: string;
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/** The certificate of every played host (`Interceptor`), for socket handlers that speak TLS themselves; PEM. */
export const providerCertificate = {
  get key(): Buffer {
    return readFileSync(tlsFile("providers.key"));
  },
  get cert(): Buffer {
    return readFileSync(tlsFile("providers.pem"));
  },
  /** The authority, for an account's `tls.caFile`: absolute path. */
  get caFile(): string {
    return tlsFile("providers-ca.pem");
  },
};

/**
 * The proxy. Name it in an account's `proxy`, and a copy of `caFile` that lies in the workspace in its `tls.caFile`: then the account
 * meets the played hosts behind the providers' real names. Everything else is refused with 403, so that no test ever leaves the machine.
 */
export class Interceptor {
  /** What clients asked to be connected with, as `host:port`, refused ones included. */
  readonly connections: string[] = [];
  /** Requests to the played hosts, as soon as their heads were read. */
  readonly requests: SeenRequest[] = [];
  readonly caFile = providerCertificate.caFile;
  /** The same as text. */
  readonly ca = readFileSync(this.caFile, "utf8");
  /** Asked at every CONNECT whether it is refused, though the host is played. */
  refuses: (authority: string) => boolean = () => false;
  private readonly hosts = new Map<string, HttpsServer>();
  private readonly rawHosts = new Map<string, SocketHandler>();
  private readonly sockets = new Set<Duplex>();
  private readonly waiters: (() => void)[] = [];

  private constructor(private readonly server: Server) {}

  /** Starts one on a free port of 127.0.0.1. */
  static async start(): Promise<Interceptor> {
    const server = createServer((_request, response) => response.writeHead(403).end());
    const interceptor = new Interceptor(server);
    server.on("connect", (request: IncomingMessage, socket: Socket, head: Buffer) =>
      interceptor.connect(request.url ?? "", socket, head),
    );
    server.on("connection", (socket: Socket) => interceptor.watch(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return interceptor;
  }

  /** For an account's `proxy`. */
  get proxy(): string {
    return `http://127.0.0.1:${String((this.server.address() as AddressInfo).port)}`;
  }

  /** Plays `https://host/`, over TLS with `providerCertificate`; a second call replaces the first. */
  play(host: string, handler: RequestHandler): void {
    const server = createHttpsServer(
      { key: providerCertificate.key, cert: providerCertificate.cert },
      (request, response) => {
        const { method = "", url = "", headers } = request;
        this.requests.push({ host, method, path: url, headers });
        this.wake();
        handler(request, response);
      },
    );
    server.on("tlsClientError", () => {});
    server.on("secureConnection", (socket: Duplex) => this.watch(socket));
    this.hosts.set(host, server);
  }

  /** Hands the sockets to `host:port`, such as `smtp.gmail.com:587`, to a handler. */
  playSocket(authority: string, handler: SocketHandler): void {
    this.rawHosts.set(authority, handler);
  }

  /** Resolves once `condition` holds; it is asked again at every connection, request and end of a connection. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  /** Cuts every connection that is open now; new ones are taken. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private connect(authority: string, socket: Socket, head: Buffer): void {
    this.connections.push(authority);
    this.wake();
    const [, host = "", port] = /^(.*):(\d+)$/.exec(authority) ?? [];
    const raw = this.rawHosts.get(authority);
    const played = port === "443" ? this.hosts.get(host) : undefined;
    if ((raw === undefined && played === undefined) || this.refuses(authority))
      return void socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    if (head.length > 0) socket.unshift(head);
    if (raw !== undefined) raw(socket);
    else played?.emit("connection", socket);
  }

  private watch(socket: Duplex): void {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      this.sockets.delete(socket);
      this.wake();
    });
  }

  private wake(): void {
    for (const waiter of this.waiters.splice(0)) waiter();
  }
}

/** The body of a request. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Answers with JSON. */
export function answerJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response
    .writeHead(status, { "Content-Type": "application/json; charset=UTF-8", ...headers })
    .end(JSON.stringify(body));
}

function tlsFile(name: string): string {
  return path.join(repositoryRoot(), "test", "fixtures", "tls", name);
}

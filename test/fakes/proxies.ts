/** Real proxies on loopback: HTTP CONNECT (RFC 9110 §9.3.6) and SOCKS5 (RFC 1928, RFC 1929). */
import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";

/** What both kinds are told. Without `user` nobody has to sign in. */
interface ProxyOptions {
  readonly user?: string;
  readonly password?: string;
  /** Names that only the proxy knows, and the addresses behind them. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** Tells of the connection only once the target has spoken, in one packet with its first bytes. */
  readonly early?: boolean;
}

/** What both kinds can be asked. */
abstract class LoopbackProxy {
  /** The targets that were asked for, as `host:port`, an IPv6 address in brackets. */
  readonly connections: string[] = [];
  /** What clients said until they were let through or refused: heads of requests, or handshakes. */
  readonly requests: string[] = [];
  /** The listening port; still known after `close`. */
  port = 0;
  private readonly sockets = new Set<Socket>();
  private readonly clients = new Set<Socket>();
  private readonly waiters: (() => void)[] = [];
  private readonly server: Server;

  protected constructor(private readonly common: ProxyOptions) {
    this.server = createServer((client) => {
      client.setNoDelay(true);
      this.clients.add(client);
      client.on("close", () => {
        this.clients.delete(client);
        this.wake();
      });
      this.watch(client);
      // Whoever hangs up in the middle of a handshake ends it; the close event tells.
      this.serve(client, new Reader(client)).catch(() => client.destroy());
    });
  }

  /** How many clients are connected now. */
  get open(): number {
    return this.clients.size;
  }

  /** Resolves once `condition` holds; it is asked again after every request and every end of a client's connection. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (this.server.listening) await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  /** Talks to one client until it is let through or refused. */
  protected abstract serve(client: Socket, reader: Reader): Promise<void>;

  protected async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  /** Notes what a client said, and the target it named. */
  protected note(request: string, target?: string): void {
    this.requests.push(request);
    if (target !== undefined) this.connections.push(target);
    this.wake();
  }

  /** Connects to the target; `granted` or `refused` is what the client is told. */
  protected async pipe(client: Socket, reader: Reader, to: Target, granted: Buffer, refused: Buffer): Promise<void> {
    const target = connect({ host: this.common.hosts?.[to.host] ?? to.host, port: to.port, noDelay: true });
    this.watch(target);
    client.on("close", () => target.destroy());
    try {
      await new Promise<void>((resolve, reject) => target.once("connect", resolve).once("error", reject));
    } catch {
      client.end(refused);
      return;
    }
    const first =
      this.common.early === true
        ? await new Promise<Buffer>((resolve) =>
            target.once("data", resolve).once("close", () => resolve(Buffer.alloc(0))),
          )
        : Buffer.alloc(0);
    target.pause();
    client.write(Buffer.concat([granted, first]));
    reader.pipe(target);
    target.pipe(client);
  }

  private watch(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
  }

  private wake(): void {
    for (const waiter of this.waiters.splice(0)) waiter();
  }
}

interface Target {
  readonly host: string;
  readonly port: number;
}

/** An HTTP proxy that knows CONNECT only. */
export class HttpProxy extends LoopbackProxy {
  private constructor(private readonly options: HttpProxyOptions) {
    super(options);
  }

  /** Starts one on a free port of 127.0.0.1. */
  static start(options: HttpProxyOptions = {}): Promise<HttpProxy> {
    return new HttpProxy(options).listen();
  }

  protected async serve(client: Socket, reader: Reader): Promise<void> {
    const head = (await reader.until("\r\n\r\n")).toString("latin1");
    const [, host, port] = /^CONNECT (\S+):(\d+) HTTP\/1\.1\r\n/.exec(head) ?? [];
    if (host === undefined) return void client.end("HTTP/1.1 405 Method Not Allowed\r\n\r\n");
    this.note(head, `${host}:${port ?? ""}`);
    const { answer, user, password = "" } = this.options;
    if (answer === "hang") return;
    if (answer === "close") return void client.end();
    if (answer !== undefined) return void client.end(Buffer.from(answer, "latin1"));
    const [, given = ""] = /^proxy-authorization: Basic (\S+)\r$/im.exec(head) ?? [];
    if (user !== undefined && Buffer.from(given, "base64").toString("utf8") !== `${user}:${password}`)
      return void client.end(
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="loopback"\r\nContent-Length: 0\r\n\r\n',
      );
    await this.pipe(
      client,
      reader,
      { host: host.replace(/^\[|\]$/g, ""), port: Number(port) },
      Buffer.from("HTTP/1.1 200 Connection established\r\n\r\n"),
      Buffer.from("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
    );
  }
}

/** What an `HttpProxy` is told. */
export interface HttpProxyOptions extends ProxyOptions {
  /** Said instead of connecting, as bytes such as `HTTP/1.1 403 Forbidden\r\n\r\n`; or says nothing, or hangs up. */
  readonly answer?: string;
}

/** A SOCKS5 proxy that knows CONNECT only. */
export class SocksProxy extends LoopbackProxy {
  private constructor(private readonly options: SocksProxyOptions) {
    super(options);
  }

  /** Starts one on a free port of 127.0.0.1. */
  static start(options: SocksProxyOptions = {}): Promise<SocksProxy> {
    return new SocksProxy(options).listen();
  }

  protected async serve(client: Socket, reader: Reader): Promise<void> {
    const { user, password = "", refuse, hang } = this.options;
    const [, count = 0] = await reader.take(2);
    const methods = await reader.take(count);
    const method = user === undefined ? 0 : 2;
    if (hang === "greeting") {
      this.note("greeting");
      return;
    }
    if (!methods.includes(method)) {
      this.note("no method");
      return void client.end(Buffer.from([5, 0xff]));
    }
    client.write(Buffer.from([5, method]));
    let signedIn = "";
    if (method === 2) {
      const text = async (): Promise<string> => (await reader.take((await reader.take(1))[0] ?? 0)).toString("utf8");
      await reader.take(1);
      signedIn = `${await text()}:${await text()}`;
      const right = signedIn === `${user ?? ""}:${password}`;
      if (!right) {
        this.note(signedIn);
        return void client.end(Buffer.from([1, 1]));
      }
      client.write(Buffer.from([1, 0]));
    }
    const [, , , kind] = await reader.take(4);
    const host = await this.address(reader, kind);
    const port = (await reader.take(2)).readUInt16BE();
    this.note(signedIn, `${host.includes(":") ? `[${host}]` : host}:${String(port)}`);
    if (hang === "connect") return;
    const reply = (code: number): Buffer => Buffer.from([5, code, 0, 1, 127, 0, 0, 1, 0, 0]);
    if (refuse !== undefined) return void client.end(reply(refuse));
    await this.pipe(client, reader, { host, port }, reply(0), reply(5));
  }

  /** RFC 1928 §5. */
  private async address(reader: Reader, kind: number | undefined): Promise<string> {
    if (kind === 1) return (await reader.take(4)).join(".");
    if (kind === 3) return (await reader.take((await reader.take(1))[0] ?? 0)).toString("latin1");
    const bytes = await reader.take(16);
    const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
    return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
  }
}

/** What a `SocksProxy` is told. */
export interface SocksProxyOptions extends ProxyOptions {
  /** The reply code (RFC 1928 §6) instead of a connection: 2 is not allowed, 4 host unreachable, 5 connection refused. */
  readonly refuse?: number;
  /** Says nothing more from here on: from the start, or once it knows the target. */
  readonly hang?: "greeting" | "connect";
}

/** Reads as much as is wanted and keeps the rest. */
class Reader {
  private bytes = Buffer.alloc(0);
  private more: (() => void) | undefined;
  private ended = false;
  private readonly onData = (chunk: Buffer): void => {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    this.more?.();
  };

  constructor(private readonly socket: Socket) {
    socket.on("data", this.onData);
    socket.on("close", () => {
      this.ended = true;
      this.more?.();
    });
  }

  async take(count: number): Promise<Buffer> {
    await this.wait(() => this.bytes.length >= count);
    return this.cut(count);
  }

  async until(end: string): Promise<Buffer> {
    await this.wait(() => this.bytes.includes(end));
    return this.cut(this.bytes.indexOf(end) + end.length);
  }

  /** Hands what is left, and all that follows, to `target`. */
  pipe(target: Socket): void {
    this.socket.off("data", this.onData);
    target.write(this.bytes);
    this.socket.pipe(target);
  }

  private async wait(enough: () => boolean): Promise<void> {
    while (!enough()) {
      if (this.ended) throw new Error("The client hung up.");
      await new Promise<void>((resolve) => (this.more = resolve));
    }
  }

  private cut(count: number): Buffer {
    const taken = this.bytes.subarray(0, count);
    this.bytes = this.bytes.subarray(count);
    return taken;
  }
}

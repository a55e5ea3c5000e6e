/** A listener on this machine's own address, to which the browser comes back from signing in (RFC 8252 §7.3). */
import { createHash, randomInt } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What came of an address that the browser brought. */
export type Verdict = "signedIn" | "failed" | "foreign";

/** Who judges it: resolves when it is known what became of the sign-in. */
export type Judge = (address: string) => Promise<Verdict>;

/** Long enough for an address with a long code, short enough for nobody to fill the memory; bytes. */
const mostHeaders = 16 * 1024;
/** A browser says what it wants at once, milliseconds. */
const requestMs = 10_000;
/** How long a last answer may take to leave, milliseconds. */
const closeMs = 2_000;
/** How often another port is tried when the second address has lost it to somebody else. */
const mostPorts = 5;
/** Of the ports that belong to no service (RFC 6335 §6). */
const firstPrivatePort = 49_152;

/** Listens on a free port until it is closed; nothing but `GET /` on loopback is answered. */
export class Loopback {
  private judge: Judge = () => Promise.resolve("foreign");

  private constructor(
    private readonly servers: readonly Server[],
    /** Where the provider sends the browser: without a path, as Microsoft compares it. */
    readonly redirectUri: string,
  ) {}

  /**
   * Where nobody may listen, the address is one to be pasted only.
   * @param host how the provider wants this machine to be called; `localhost` may be either of two addresses
   */
  static async open(host: "127.0.0.1" | "localhost"): Promise<Loopback> {
    for (let attempt = 1; attempt <= mostPorts; attempt++) {
      const opened: { loopback?: Loopback } = {};
      const server = (): Server => makeServer((request, response) => opened.loopback?.answer(request, response));
      const first = await listen(server(), "127.0.0.1", 0).catch(() => undefined);
      if (first === undefined) break;
      const { port } = first.address() as AddressInfo;
      try {
        const second = host === "localhost" ? await onIpv6(server(), port) : undefined;
        const servers = second === undefined ? [first] : [first, second];
        return (opened.loopback = new Loopback(servers, `http://${host}:${String(port)}`));
      } catch {
        first.close();
      }
    }
    // Whoever else answers there cannot redeem the code without the verifier.
    return new Loopback([], `http://${host}:${String(randomInt(firstPrivatePort, 65_536))}`);
  }

  /** Whether the browser can come back. */
  get isListening(): boolean {
    return this.servers.length > 0;
  }

  /** From now on `judge` decides. */
  listenFor(judge: Judge): void {
    this.judge = judge;
  }

  /** Takes no more connections; an answer on its way may leave. */
  close(): void {
    for (const server of this.servers) {
      server.close();
      server.closeIdleConnections();
      setTimeout(() => server.closeAllConnections(), closeMs).unref();
    }
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const { method, url = "", headers } = request;
    const { host, port } = new URL(this.redirectUri);
    if (method !== "GET") return reply(response, 405, "Only a browser that signs in is answered here.");
    // A page on the net whose name points here would say another name.
    if (![host, `127.0.0.1:${port}`, `[::1]:${port}`].includes(headers.host ?? ""))
      return reply(response, 400, "Only a browser that signs in is answered here.");
    if (url !== "/" && !url.startsWith("/?")) return reply(response, 404, "There is nothing here.");
    this.judge(new URL(url, this.redirectUri).toString()).then(
      (verdict) => reply(response, verdict === "foreign" ? 400 : 200, words[verdict]),
      () => reply(response, 500, words.failed),
    );
  }
}

const words: Readonly<Record<Verdict, string>> = {
  signedIn: "Signed in. You can close this tab.",
  failed: "Nobody was signed in. VS Code says why; you can close this tab.",
  foreign:
    "This is not the sign-in that Bulk Mail waits for. Close this tab, and sign in on the page that was opened last.",
};

const style =
  ":root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem}";
const styleHash = createHash("sha256").update(style).digest("base64");

/** A page of our own words: no scripts, nothing from elsewhere, kept and told on by no browser. */
function reply(response: ServerResponse, status: number, text: string): void {
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Bulk Mail</title><style>${style}</style><h1>Bulk Mail</h1><p>${text}</p></html>\n`;
  response.writeHead(status, {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Length": Buffer.byteLength(page),
    "Content-Security-Policy": `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'`,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    ...(status === 405 ? { Allow: "GET" } : {}),
    Connection: "close",
  });
  response.end(page);
}

function makeServer(answer: (request: IncomingMessage, response: ServerResponse) => void): Server {
  const limits = { maxHeaderSize: mostHeaders, headersTimeout: requestMs, requestTimeout: requestMs };
  const server = createServer(limits, answer);
  server.maxConnections = 16;
  return server;
}

function listen(server: Server, host: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve(server);
    });
  });
}

/** The same port at the other address of `localhost`; undefined on a machine without it. Rejects when somebody else has the port. */
async function onIpv6(server: Server, port: number): Promise<Server | undefined> {
  try {
    return await listen(server, "::1", port);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") throw error;
    return undefined;
  }
}

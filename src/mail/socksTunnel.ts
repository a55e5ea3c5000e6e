/** A tunnel through a SOCKS5 proxy (RFC 1928), signed in with user and password (RFC 1929) where it asks for them. */
import { SocksClient } from "socks";
import { ConnectError } from "./connectError";
import { hostForProxy, type Tunnel } from "./tunnel";

/** The most bytes of a user or password (RFC 1929 §2). */
const maxField = 255;

/** What the proxy means, by the package's names for the codes (RFC 1928 §6). */
const replies: Readonly<Record<string, string>> = {
  Failure: "general SOCKS server failure",
  NotAllowed: "connection not allowed by ruleset",
  NetworkUnreachable: "network unreachable",
  HostUnreachable: "host unreachable",
  ConnectionRefused: "connection refused",
  TTLExpired: "TTL expired",
  CommandNotSupported: "command not supported",
  AddressNotSupported: "address type not supported",
};

/** The tunnel of a SOCKS5 proxy. */
export const tunnelSocks: Tunnel = (socket, { server, login, signal, limitMs }) =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const host = hostForProxy(server.host);
    if (host === undefined || socket.destroyed) return reject(new ConnectError("proxy", "EPROXYTARGET"));
    if (login !== undefined && [login.user, login.password].some((text) => Buffer.byteLength(text) > maxField))
      return reject(new ConnectError("proxy", "EPROXYAUTH"));
    const client = new SocksClient({
      command: "connect",
      proxy: {
        type: 5,
        // Not connected to: `socket` is there. The package wants a host, and one of these.
        host: "proxy",
        port: 1080,
        ...(login !== undefined && { userId: login.user, password: login.password }),
      },
      destination: { host, port: server.port },
      existing_socket: socket,
      // Ours comes first; without it, the package would set one of 30 seconds. Its timer holds nobody up.
      timeout: limitMs === 0 ? 3600 * 1000 : limitMs + 1000,
    });
    const settle = (settlement: () => void): void => {
      signal.removeEventListener("abort", onAbort);
      client.removeAllListeners();
      // It may still complain of a socket that is destroyed.
      client.on("error", () => {});
      settlement();
    };
    const onAbort = (): void => settle(() => reject(signal.reason as Error));
    signal.addEventListener("abort", onAbort, { once: true });
    client.connect(socket);
    // The package would hand early bytes on as an event and resume the socket, whether anybody listens or not.
    client.removeAllListeners("established");
    client.once("established", () =>
      settle(() => {
        const early = earlyBytes(client);
        if (early.length > 0) socket.unshift(early);
        resolve();
      }),
    );
    client.once("error", (error) => settle(() => reject(explain(error.message))));
    socket.resume();
  });

/** What came after the proxy's last reply. */
function earlyBytes(client: SocksClient): Buffer {
  const { receiveBuffer } = client as unknown as {
    readonly receiveBuffer: { readonly length: number; get(length: number): Buffer };
  };
  return receiveBuffer.get(receiveBuffer.length);
}

/** The package has sentences only. */
function explain(message: string): ConnectError {
  if (/Authentication failed|no accepted authentication type|unknown authentication type/.test(message))
    return new ConnectError("proxy", "EPROXYAUTH");
  const [, name = ""] = /rejected connection - (\w+)/.exec(message) ?? [];
  return new ConnectError("proxy", "EPROXYTARGET", replies[name] ?? "");
}

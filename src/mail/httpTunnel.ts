/** A tunnel through an HTTP proxy: the CONNECT method (RFC 9110 §9.3.6). */
import { isIPv6 } from "node:net";
import { ConnectError } from "./connectError";
import { plainText } from "./problems";
import { hostForProxy, type Tunnel, type TunnelOptions } from "./tunnel";

/** How long the head of an answer may be, bytes; proxies send a few hundred. */
const maxHead = 8 * 1024;

/** The tunnel of an HTTP proxy; with a login, Basic authentication (RFC 7617) is sent at once. */
export const tunnelHttp: Tunnel = (socket, options) => {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const settle = (settlement: () => void): void => {
      signal.removeEventListener("abort", onAbort);
      socket.pause();
      socket.off("data", onData).off("close", onClose);
      settlement();
    };
    const fail = (code: "EPROXYAUTH" | "EPROXYTARGET", reply: string): void =>
      settle(() => reject(new ConnectError("proxy", code, plainText(reply))));
    const onAbort = (): void => settle(() => reject(signal.reason as Error));
    const onClose = (): void => fail("EPROXYTARGET", firstLine(received));
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      // Interim answers (RFC 9110 §15.2) come before the one that counts.
      while (received.length > 0) {
        const end = endOfHead(received);
        const line = firstLine(received);
        if (end === undefined) {
          if (received.length >= maxHead || !line.startsWith("H")) fail("EPROXYTARGET", line);
          return;
        }
        const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(line)?.[1] ?? "";
        const rest = received.subarray(end);
        if (status === "407") return fail("EPROXYAUTH", line);
        if (status.startsWith("2"))
          return settle(() => {
            if (rest.length > 0) socket.unshift(rest);
            resolve();
          });
        if (!status.startsWith("1") || status === "101") return fail("EPROXYTARGET", line);
        received = rest;
      }
    };
    const request = connectRequest(options);
    if (signal.aborted) return onAbort();
    if (request === undefined) return fail("EPROXYTARGET", "");
    if (socket.destroyed) return onClose();
    signal.addEventListener("abort", onAbort, { once: true });
    socket.on("data", onData).once("close", onClose);
    socket.write(request);
    socket.resume();
  });
};

/** The request, or undefined when the host does not fit into it. */
function connectRequest({ server, login }: TunnelOptions): string | undefined {
  const host = hostForProxy(server.host);
  if (host === undefined) return undefined;
  const authority = `${isIPv6(host) ? `[${host}]` : host}:${String(server.port)}`;
  const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`];
  if (login !== undefined) {
    const pair = Buffer.from(`${login.user}:${login.password}`, "utf8").toString("base64");
    lines.push(`Proxy-Authorization: Basic ${pair}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** Where the empty line ends; a bare line feed ends a line too (RFC 9112 §2.2). */
function endOfHead(bytes: Buffer): number | undefined {
  const found = /\r?\n\r?\n/.exec(bytes.toString("latin1", 0, maxHead));
  return found === null ? undefined : found.index + found[0].length;
}

function firstLine(bytes: Buffer): string {
  return /^[^\r\n]*/.exec(bytes.toString("latin1", 0, maxHead))?.[0] ?? "";
}

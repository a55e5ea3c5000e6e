/** Happy Eyeballs (RFC 8305): a dead address, or a whole dead family, costs a moment and not a time-out. */
import { connect, isIP, type Socket } from "node:net";

/** How long an address has before the next one is tried beside it, milliseconds (RFC 8305 §5). */
const staggerMs = 250;

/** Both families in turn, IPv6 first, each in the order in which it came (RFC 8305 §4); each address once. */
export function inTurn(addresses: readonly string[]): readonly string[] {
  const known = [...new Set(addresses)];
  const six = known.filter((address) => isIP(address) === 6);
  const four = known.filter((address) => isIP(address) === 4);
  return Array.from({ length: Math.max(six.length, four.length) }, (_, index) => [six[index], four[index]])
    .flat()
    .filter((address) => address !== undefined);
}

/**
 * The first of the addresses that takes a connection; the others are let go. The socket is paused, without delays, kept alive,
 * and swallows its errors: whoever takes it over listens for its own. Rejects with the most telling of the system's errors, or
 * with the signal's reason; there is no time-out here.
 */
export function firstToConnect(
  addresses: readonly string[],
  port: number,
  signal: AbortSignal,
): Promise<{ readonly socket: Socket; readonly address: string }> {
  return new Promise((resolve, reject) => {
    const trying = new Set<Socket>();
    const errors: NodeJS.ErrnoException[] = [];
    const waiting = [...addresses];
    let timer: NodeJS.Timeout | undefined;
    const settle = (settlement: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      for (const socket of trying) socket.destroy();
      trying.clear();
      settlement();
    };
    const onAbort = (): void => settle(() => reject(signal.reason as Error));
    const tryNext = (): void => {
      clearTimeout(timer);
      const address = waiting.shift();
      if (address === undefined) {
        if (trying.size === 0) settle(() => reject(mostTelling(errors)));
        return;
      }
      const socket = connect({ host: address, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
      trying.add(socket);
      socket.pause();
      socket.once("connect", () => {
        // One that connects while another wins was let go already.
        if (!trying.delete(socket)) return;
        settle(() => resolve({ socket, address }));
      });
      socket.on("error", (error) => {
        if (!trying.delete(socket)) return;
        errors.push(error);
        tryNext();
      });
      if (waiting.length > 0) timer = setTimeout(tryNext, staggerMs);
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    tryNext();
  });
}

/** That this machine has no way there says nothing about the server. */
const noWay = /^(?:EADDRNOTAVAIL|EAFNOSUPPORT|ENETDOWN|ENETUNREACH|EHOSTUNREACH)$/;

/** An answer beats silence, silence beats having no way there. */
function mostTelling(errors: readonly NodeJS.ErrnoException[]): Error {
  const having = (test: (code: string) => boolean): Error | undefined => errors.find(({ code = "" }) => test(code));
  return (
    having((code) => code === "ECONNREFUSED") ??
    having((code) => code === "ETIMEDOUT") ??
    having((code) => !noWay.test(code)) ??
    errors[0] ??
    new Error("There is no address to connect to.")
  );
}

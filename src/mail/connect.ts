/** The way to a server's socket: names, addresses of both families, proxies. Every step can be watched. */
import * as dns from "node:dns/promises";
import { isIP, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { Account } from "./account";
import { ConnectError } from "./connectError";
import { firstToConnect, inTurn } from "./happyEyeballs";
import { tunnelHttp } from "./httpTunnel";
import type { Credentials } from "./ports";
import { tunnelSocks } from "./socksTunnel";
import type { Target, Tunnel } from "./tunnel";

export { ConnectError, type ConnectStep } from "./connectError";

/**
 * What happens on the way, in order; times are milliseconds. Addresses are plain text. With a proxy, `resolved` and `connected`
 * are about the proxy, which looks up the server's name itself. Nothing is resolved where an address stands in place of a name.
 */
export type ConnectEvent =
  /** `addresses` in the order in which they are tried. */
  | { readonly kind: "resolved"; readonly name: string; readonly addresses: readonly string[]; readonly ms: number }
  | { readonly kind: "connected"; readonly address: string; readonly port: number; readonly ms: number }
  /** The proxy let us through to the server. */
  | { readonly kind: "proxied"; readonly proxy: string; readonly ms: number };

/** What is asked of DNS: an address of every family that a name has. Rejects with the system's error. */
export type Lookup = (name: string) => Promise<readonly { readonly address: string; readonly family: 4 | 6 }[]>;

/**
 * A connected socket to the account's server, through its proxy where it names one. It is paused: what the server says waits
 * until somebody resumes it. `timeouts.dns` is for the name, `timeouts.connection` for all that follows; 0 is no limit.
 * Throws `ConnectError`, or the signal's reason once that is aborted; then nothing stays open.
 */
export async function openSocket(
  account: Account,
  credentials: Credentials,
  signal: AbortSignal,
  watch: (event: ConnectEvent) => void = () => {},
  lookup: Lookup = systemLookup,
): Promise<Socket> {
  signal.throwIfAborted();
  const socket =
    account.proxy === ""
      ? await directly(account, signal, watch, lookup)
      : await throughProxy(account, credentials, signal, watch, lookup);
  if (!signal.aborted) return socket;
  socket.destroy();
  throw signal.reason;
}

async function directly(
  { host, port, timeouts }: Account,
  signal: AbortSignal,
  watch: (event: ConnectEvent) => void,
  lookup: Lookup,
): Promise<Socket> {
  const addresses = await resolve(host, timeouts.dns, signal, watch, lookup);
  const late = (): ConnectError => new ConnectError("tcp", "ETIMEDOUT");
  return await within(timeouts.connection, signal, late, (limit) => reach(addresses, port, limit, watch));
}

async function throughProxy(
  account: Account,
  { proxyPassword = "" }: Credentials,
  signal: AbortSignal,
  watch: (event: ConnectEvent) => void,
  lookup: Lookup,
): Promise<Socket> {
  const { proxyUser, timeouts } = account;
  const proxy = proxyOf(account.proxy);
  const addresses = await resolve(proxy.host, timeouts.dns, signal, watch, lookup).catch(proxyDown);
  let socket: Socket | undefined;
  // A proxy that is reached and then keeps silent mostly waits for the server itself.
  const late = (): ConnectError => {
    const silent = socket === undefined || (proxy.answersTwice && socket.bytesRead === 0);
    return new ConnectError("proxy", silent ? "EPROXYDOWN" : "EPROXYTARGET");
  };
  try {
    return await within(timeouts.connection, signal, late, async (limit) => {
      socket = await reach(addresses, proxy.port, limit, watch).catch(proxyDown);
      const start = performance.now();
      await proxy.tunnel(socket, {
        server: { host: account.host, port: account.port },
        login: proxyUser === "" ? undefined : { user: proxyUser, password: proxyPassword },
        signal: limit,
        limitMs: timeouts.connection,
      });
      watch({ kind: "proxied", proxy: account.proxy, ms: performance.now() - start });
      return socket;
    });
  } catch (error) {
    socket?.destroy();
    throw error;
  }
}

/** The addresses of a host in the order in which to try them. */
async function resolve(
  host: string,
  limitMs: number,
  signal: AbortSignal,
  watch: (event: ConnectEvent) => void,
  lookup: Lookup,
): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  const start = performance.now();
  const late = (): ConnectError => new ConnectError("dns", "ETIMEDOUT");
  // The system's own lookup cannot be called off; whatever it says later is for nobody.
  const found = await within(limitMs, signal, late, (limit) => Promise.race([lookup(host), aborted(limit)])).catch(
    (error: unknown) => {
      signal.throwIfAborted();
      throw error instanceof ConnectError ? error : new ConnectError("dns", codeOf(error) ?? "EDNS");
    },
  );
  const addresses = inTurn(found.map(({ address }) => address));
  if (addresses.length === 0) throw new ConnectError("dns", "ENOTFOUND");
  watch({ kind: "resolved", name: host, addresses, ms: performance.now() - start });
  return addresses;
}

/** A connected socket to one of the addresses. */
async function reach(
  addresses: readonly string[],
  port: number,
  signal: AbortSignal,
  watch: (event: ConnectEvent) => void,
): Promise<Socket> {
  const start = performance.now();
  const { socket, address } = await firstToConnect(addresses, port, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new ConnectError("tcp", codeOf(error) ?? "ECONNREFUSED");
  });
  try {
    watch({ kind: "connected", address, port, ms: performance.now() - start });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** The system's way: the hosts file, then DNS, both families. */
async function systemLookup(name: string): ReturnType<Lookup> {
  const found = await dns.lookup(name, { all: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}

interface Proxy extends Target {
  readonly tunnel: Tunnel;
  /** It says something before it tries to reach the server. */
  readonly answersTwice: boolean;
}

/** A proxy by its address. One that nobody can speak to is never gone around. */
function proxyOf(text: string): Proxy {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const host = url?.hostname.replace(/^\[|\]$/g, "") ?? "";
  if (url?.protocol === "http:") return { host, port: Number(url.port || 80), tunnel: tunnelHttp, answersTwice: false };
  if (url?.protocol === "socks5:")
    return { host, port: Number(url.port || 1080), tunnel: tunnelSocks, answersTwice: true };
  throw new ConnectError("proxy", "EPROXYDOWN");
}

function proxyDown(error: unknown): never {
  if (!(error instanceof ConnectError) || error.step === "proxy") throw error;
  throw new ConnectError("proxy", "EPROXYDOWN", "", error);
}

/** Does `work` under a signal that is aborted with the outer signal's reason, or with `late` when the time is over. */
async function within<T>(
  limitMs: number,
  signal: AbortSignal,
  late: () => ConnectError,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const limit = new AbortController();
  const onAbort = (): void => limit.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = limitMs === 0 ? undefined : setTimeout(() => limit.abort(late()), limitMs);
  try {
    return await work(limit.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** Rejects with the signal's reason; never resolves. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { readonly code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

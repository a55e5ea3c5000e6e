/** What the two kinds of tunnel through a proxy have in common. */
import { isIPv6, type Socket } from "node:net";

/** A server, or a proxy, by its name or its address without brackets. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** What a tunnel needs besides a socket to the proxy. */
export interface TunnelOptions {
  readonly server: Target;
  /** Whom the proxy lets through; undefined where nobody has to sign in. */
  readonly login: { readonly user: string; readonly password: string } | undefined;
  readonly signal: AbortSignal;
  /** What `signal` allows for the whole way, milliseconds; 0 is no limit. */
  readonly limitMs: number;
}

/**
 * Asks the proxy at the other end of a paused socket for a tunnel to the server, whose name the proxy looks up. What follows its
 * answer stays in the socket, which is paused again. Rejects with `ConnectError` or the signal's reason; the socket is the
 * caller's to destroy.
 */
export type Tunnel = (socket: Socket, options: TunnelOptions) => Promise<void>;

/**
 * A host as a proxy is told it, or undefined when it would break out of its place in a request. A zone is cut off: it means
 * something on this machine only (RFC 4007 §6).
 */
export function hostForProxy(host: string): string | undefined {
  const bare = isIPv6(host) ? host.replace(/%.*$/s, "") : host;
  return /^[A-Za-z0-9_.:-]{1,255}$/.test(bare) ? bare : undefined;
}

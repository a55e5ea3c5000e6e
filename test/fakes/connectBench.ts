/** What a test of `openSocket` needs around it: servers, attempts, and an eye on what this process holds. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import * as path from "node:path";
import { ConnectError, openSocket, type ConnectEvent, type ConnectStep, type Lookup } from "../../src/mail/connect";
import type { Credentials } from "../../src/mail/ports";
import { loopbackAccount } from "./accounts";
import { silentPort } from "./silentPort";

/** A signal that is never aborted. */
export const never = new AbortController().signal;

/** Closes after a test what was opened in it. */
export class ConnectBench {
  private readonly closers: (() => unknown)[] = [];

  /** In the reverse order; for `afterEach`. */
  readonly close = async (): Promise<void> => {
    for (const close of this.closers.splice(0).reverse()) await close();
  };

  owned<T extends { close(): Promise<void> }>(thing: T): T {
    this.closers.push(() => thing.close());
    return thing;
  }

  /** A socket that is destroyed in the end. */
  ownedSocket<T extends Socket>(socket: T): T {
    this.closers.push(() => socket.destroy());
    return socket;
  }

  /** Greets whoever comes. */
  async greeter(
    host = "127.0.0.1",
    port = 0,
  ): Promise<{ readonly port: number; readonly clients: ReadonlySet<Socket> }> {
    const clients = new Set<Socket>();
    const server = createServer((client) => {
      clients.add(client);
      client.on("error", () => {}).on("close", () => clients.delete(client));
      client.write("220 hello\r\n");
    });
    server.listen(port, host);
    await once(server, "listening");
    this.closers.push(() => {
      for (const client of clients) client.destroy();
      server.close();
    });
    return { port: (server.address() as AddressInfo).port, clients };
  }

  /** A port of 127.0.0.1 where nothing listens. */
  async refused(): Promise<number> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }

  /** A port of 127.0.0.1 that swallows everything. */
  async silent(): Promise<number> {
    const folder = mkdtempSync(path.join(tmpdir(), "bulk-mail-test-"));
    this.closers.push(() => rmSync(folder, { recursive: true }));
    return this.owned(await silentPort(folder)).port;
  }

  /** Opens a socket to 127.0.0.1; `more` are fields of the account, `host` goes past its schema. */
  async open(
    port: number,
    more: Readonly<Record<string, unknown>> = {},
    options: {
      readonly signal?: AbortSignal;
      readonly credentials?: Credentials;
      readonly lookup?: Lookup;
      readonly host?: string;
    } = {},
  ): Promise<{ readonly socket: Socket; readonly events: readonly ConnectEvent[] }> {
    const { signal = never, credentials = {}, lookup, host } = options;
    const account = { ...loopbackAccount(port, more), ...(host !== undefined && { host }) };
    const events: ConnectEvent[] = [];
    const socket = await openSocket(account, credentials, signal, (event) => events.push(event), lookup);
    return { socket: this.ownedSocket(socket), events };
  }
}

/** The error of an attempt that fails at `step` with `code`. */
export async function failure(attempt: Promise<unknown>, step: ConnectStep, code: string): Promise<ConnectError> {
  const error = await attempt.then(
    () => assert.fail("It connected."),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConnectError, String(error));
  assert.deepEqual([error.step, error.code], [step, code]);
  return error;
}

/** What comes first from a socket that is paused until now. */
export async function firstBytes(socket: Socket): Promise<string> {
  const data = once(socket, "data") as Promise<[Buffer]>;
  socket.resume();
  return (await data)[0].toString("latin1");
}

/** A lookup that finds these. */
export function found(...addresses: readonly string[]): Lookup {
  return () => Promise.resolve(addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })));
}

/** A lookup that fails as the system's does. */
export function notFound(code: string): Lookup {
  return () => Promise.reject(Object.assign(new Error(code), { code }));
}

/** A lookup that nobody may use. */
export const notAsked: Lookup = () => assert.fail("The system was asked for an address.");

/** How many sockets this process has, being connected or connected, and timers that hold it up. */
export function held(): number {
  const kinds = process.getActiveResourcesInfo();
  return kinds.filter((kind) => /^(?:TCPSocketWrap|TCPConnectWrap|Timeout)$/.test(kind)).length;
}

/** Resolves once this process holds no more than `before`: the system ends sockets a turn later. */
export async function letGo(before: number): Promise<void> {
  while (held() > before) await turn();
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Whether this machine has ::1. */
export const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((one) => one?.address === "::1");

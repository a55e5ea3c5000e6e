/** Requests, replies and events over anything that can post a message: worker threads and webviews alike. */

/** One end of a channel. What is posted must survive a structured clone. */
export interface Port {
  postMessage(message: unknown): void;
  /** Calls `listener` for every message of the other end until the returned function is called. */
  onMessage(listener: (message: unknown) => void): () => void;
}

/** What one end can be asked: an interface of plain methods. A method without a result may be sent as an event. */
export type Methods<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => unknown ? (...args: A) => unknown : never;
};
type Arguments<F> = F extends (...args: infer A) => unknown ? A : never;
type Result<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;
type EventNames<T> = { [K in keyof T]: undefined extends Result<T[K]> ? K : never }[keyof T];

/** How an end implements its interface: each method may also answer later. */
export type Handlers<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => R | Promise<Awaited<R>> : never;
};

/** The local end: asks the other one by the names of its interface `Remote`. */
export interface Rpc<Remote> {
  /** Resolves to what the other end's method returns; rejects with its error's message, or when the channel is disposed. */
  request<K extends keyof Remote & string>(method: K, ...args: Arguments<Remote[K]>): Promise<Result<Remote[K]>>;
  /** Sends without waiting; what the other end's method throws goes to its own `onError`. Nothing happens once disposed. */
  event<K extends EventNames<Remote> & string>(method: K, ...args: Arguments<Remote[K]>): void;
  /** Ends the channel: rejects what is pending with `reason`, and answers nothing more. */
  dispose(reason?: string): void;
}

/** Choices for one end. */
export interface RpcOptions {
  /**
   * Looks at the arguments of every incoming call, for ends that do not trust the other one. False drops the call: its
   * handler is not run, and a request is rejected.
   */
  readonly accept?: (method: string, args: readonly unknown[]) => boolean;
  /** Hears of dropped calls and of events whose handler threw. */
  readonly onError?: (message: string) => void;
}

type Wire =
  | { readonly rpc: "request"; readonly id: number; readonly method: string; readonly args: readonly unknown[] }
  | { readonly rpc: "event"; readonly method: string; readonly args: readonly unknown[] }
  | { readonly rpc: "reply"; readonly id: number; readonly value: unknown }
  | { readonly rpc: "error"; readonly id: number; readonly name: string; readonly message: string };

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/**
 * Starts one end: answers the other end's calls with `handlers` (an object literal: only its own properties can be called)
 * and returns the way to call it.
 */
export function createRpc<Remote extends Methods<Remote>, Local extends Methods<Local>>(
  port: Port,
  handlers: Handlers<Local>,
  options: RpcOptions = {},
): Rpc<Remote> {
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let disposed: string | undefined;

  const call = async (method: string, args: readonly unknown[]): Promise<unknown> => {
    const handler: unknown = Object.hasOwn(handlers, method) ? handlers[method as keyof Local] : undefined;
    if (typeof handler !== "function") throw new Error(`There is no “${method.slice(0, 60)}” here.`);
    if (options.accept?.(method, args) === false)
      throw new Error(`“${method.slice(0, 60)}” was called with wrong arguments.`);
    return await (handler as (...values: readonly unknown[]) => unknown)(...args);
  };

  const stop = port.onMessage((message) => {
    if (disposed !== undefined || !isWire(message)) return;
    switch (message.rpc) {
      case "request":
        call(message.method, message.args).then(
          (value) => post({ rpc: "reply", id: message.id, value }),
          (error: unknown) => {
            options.onError?.(messageOf(error));
            post({
              rpc: "error",
              id: message.id,
              name: error instanceof Error ? error.name : "Error",
              message: messageOf(error),
            });
          },
        );
        break;
      case "event":
        call(message.method, message.args).catch((error: unknown) => options.onError?.(messageOf(error)));
        break;
      case "reply":
        settle(message.id)?.resolve(message.value);
        break;
      case "error":
        settle(message.id)?.reject(Object.assign(new Error(message.message), { name: message.name }));
        break;
    }
  });

  const settle = (id: number): Pending | undefined => {
    const found = pending.get(id);
    pending.delete(id);
    return found;
  };

  const post = (message: Wire): void => {
    if (disposed === undefined) port.postMessage(message);
  };

  return {
    request: (method, ...args) =>
      new Promise((resolve, reject) => {
        if (disposed !== undefined) {
          reject(new Error(disposed));
          return;
        }
        const id = nextId++;
        pending.set(id, { resolve: resolve, reject });
        try {
          post({ rpc: "request", id, method, args });
        } catch (error) {
          pending.delete(id);
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      }),
    event: (method, ...args) => post({ rpc: "event", method, args }),
    dispose: (reason = "The channel was closed.") => {
      if (disposed !== undefined) return;
      disposed = reason;
      stop();
      for (const waiting of pending.values()) waiting.reject(new Error(reason));
      pending.clear();
    },
  };
}

/** The end of a node `Worker`, `parentPort` or `MessagePort`. */
export function nodePort(port: {
  postMessage(message: unknown): void;
  on(event: "message", listener: (message: unknown) => void): unknown;
  off(event: "message", listener: (message: unknown) => void): unknown;
}): Port {
  return {
    postMessage: (message) => port.postMessage(message),
    onMessage: (listener) => {
      port.on("message", listener);
      return () => void port.off("message", listener);
    },
  };
}

function isWire(message: unknown): message is Wire {
  if (typeof message !== "object" || message === null) return false;
  const { rpc, id, method, args, message: text } = message as Record<string, unknown>;
  switch (rpc) {
    case "request":
      return typeof id === "number" && typeof method === "string" && Array.isArray(args);
    case "event":
      return typeof method === "string" && Array.isArray(args);
    case "reply":
      return typeof id === "number";
    case "error":
      return typeof id === "number" && typeof text === "string";
    default:
      return false;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

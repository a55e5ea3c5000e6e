/** Why there is no socket. */

/** Where it went wrong. */
export type ConnectStep = "dns" | "tcp" | "proxy";

/**
 * No socket. `code` is the system's own (ENOTFOUND, ECONNREFUSED, ETIMEDOUT, …) or one of ours: EPROXYDOWN (the proxy itself is
 * not reached), EPROXYAUTH (it wants other credentials), EPROXYTARGET (it cannot or may not reach the server).
 */
export class ConnectError extends Error {
  constructor(
    readonly step: ConnectStep,
    readonly code: string,
    /** The proxy's words, plain text; empty when there are none. */
    readonly reply = "",
    /** Why the proxy is not reached. */
    cause?: ConnectError,
  ) {
    super(`${step}: ${code}`, cause === undefined ? {} : { cause });
    this.name = "ConnectError";
  }

  /** `code` for who does not know the step: EDNS where a name server kept silent, which is no port that does. */
  get systemCode(): string {
    const { step, code } = this;
    return step === "dns" && !/^(?:ENOTFOUND|ENODATA|EAI_AGAIN)$/.test(code) ? "EDNS" : code;
  }
}

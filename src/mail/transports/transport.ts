/** What every way of handing over a message looks like to the sender. */
import type { Failure } from "../classify";
import type { Message } from "../message";

/** The proof that a message was accepted. */
export interface Receipt {
  /** The server's last reply, plain text. */
  readonly reply: string;
  /** The id under which the server filed it, when it gave another than ours. */
  readonly serverMessageId?: string;
}

/**
 * Called for every body, between the server's go-ahead (SMTP 354) and the first byte of the body. The body leaves only
 * when it resolves; when it rejects, nothing is handed over and `send` throws that very error.
 */
export type Gate = () => Promise<void>;

/** Thrown by transports, besides what a gate throws. */
export class SendError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.text);
    this.name = "SendError";
  }
}

/** One connection's worth of a way to send. Not for two messages at once. */
export interface Transport {
  /** When the other side last said something, by `performance.now()`; -Infinity when it has not. */
  readonly heardAt: number;
  /** Whether a connection is there that nobody has ended, as far as is known here, and that takes another message. */
  readonly isOpen: boolean;
  /** Connects and signs in, if that is not done already. Aborting `signal` ends the attempt. Throws `SendError`. */
  open(signal: AbortSignal): Promise<void>;
  /**
   * Hands over one message on an open transport. Aborting `signal` ends it at once: while the gate is closed nothing was
   * handed over, afterwards the outcome is unknown. Throws `SendError`, or what the gate threw.
   *
   * @param onRefused called when the server has refused a message unseen, which is to be handed over once more: until the gate is asked
   *   again nothing of it is on its way. When it throws, `send` throws that very error.
   */
  send(message: Message, gate: Gate, signal: AbortSignal, onRefused?: () => void): Promise<Receipt>;
  /** Ends the connection politely. Never throws. */
  close(): Promise<void>;
  /**
   * Forgets the connection at once, so that the next `open` makes a new one: after the machine slept, or before nothing is sent for
   * long. Only while no message is on its way.
   */
  drop(): void;
}

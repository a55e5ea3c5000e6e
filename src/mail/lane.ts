/** A connection of a run, with what it is at just now: what may end it depends on that. */
import type { Transport } from "./transports/transport";

/**
 * `idle`: between two messages. `opening`: connecting and signing in. `asking`: the message is announced, its gate is closed.
 * `handedOver`: its body may have left, so that only its reply, or a person, may end it.
 */
export type LanePhase = "idle" | "opening" | "asking" | "handedOver";

/** One lane. Not for two messages at once. */
export class Lane {
  private current: LanePhase = "idle";
  private ender = new AbortController();
  /** When the phase began, monotonic milliseconds. */
  since = 0;
  /** Whether it was given up on because the server kept silent. */
  stalled = false;

  /** @param index from 0: lanes beyond the pace's number of connections end after their message */
  constructor(
    readonly index: number,
    readonly transport: Transport,
  ) {}

  get phase(): LanePhase {
    return this.current;
  }

  /** Ends the attempt that is under way when it aborts. */
  get signal(): AbortSignal {
    return this.ender.signal;
  }

  enter(phase: LanePhase, now: number): void {
    if (phase === "opening") {
      this.stalled = false;
      if (this.ender.signal.aborted) this.ender = new AbortController();
    }
    this.current = phase;
    this.since = now;
  }

  /** Ends the attempt, if there is one; when its body has left, what became of it is unknown. */
  abort(): void {
    if (this.current !== "idle") this.ender.abort();
  }
}

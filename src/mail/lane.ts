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
  private since = 0;
  /** Whether it was given up on because the server kept silent. */
  stalled = false;
  /** Whether its present silence was spoken of. */
  told = false;

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

  /** How long the server has said nothing in this phase, milliseconds of the system's clock: whatever time a test pretends. */
  get silentMs(): number {
    return performance.now() - Math.max(this.since, this.transport.heardAt);
  }

  enter(phase: LanePhase): void {
    if (phase === "opening") {
      this.stalled = false;
      if (this.ender.signal.aborted) this.ender = new AbortController();
    }
    this.current = phase;
    this.since = performance.now();
    this.told = false;
  }

  /** Ends the attempt, if there is one; when its body has left, what became of it is unknown. */
  abort(): void {
    if (this.current !== "idle") this.ender.abort();
  }
}

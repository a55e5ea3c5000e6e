/** Pace: when the next message may leave, over all connections of a run. */
import type { Clock } from "./ports";

/** Hands out turns. All times are milliseconds on the monotonic clock. */
export class Throttle {
  /** The earliest moment of the next turn. */
  private next: number;

  /** @param delay between two turns; 0 is no limit */
  constructor(
    private readonly clock: Clock,
    private readonly delay: number,
  ) {
    this.next = clock.monotonic();
  }

  /** Waits for a turn and takes it. Resolves false, without taking one, when `signal` aborts first. */
  async turn(signal: AbortSignal): Promise<boolean> {
    for (;;) {
      if (signal.aborted) return false;
      const wait = this.next - this.clock.monotonic();
      if (wait <= 0) break;
      await this.clock.sleep(wait, signal);
    }
    // From now, not from when the turn was due: what was not used is not caught up.
    this.next = this.clock.monotonic() + this.delay;
    return true;
  }

  /** Nobody gets a turn for `ms` from now. */
  hold(ms: number): void {
    this.next = Math.max(this.next, this.clock.monotonic() + ms);
  }

  /** How long until the next turn. */
  get waitMs(): number {
    return Math.max(0, this.next - this.clock.monotonic());
  }
}

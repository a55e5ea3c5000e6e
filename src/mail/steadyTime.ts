/** Time for waits of hours and allowances of days. */
import type { Clock } from "./ports";

/** The clock since the boot may count whole seconds only. */
export const grainMs = 1_000;

/**
 * Milliseconds that only go forward: as fine as the monotonic clock, but on while the machine sleeps too, where that clock
 * may stand still. Setting the wall clock changes nothing. Sleep is never counted longer than it was, at most 2 s shorter.
 */
export class SteadyTime {
  /** What was slept through, as far as it is certain. */
  private slept = 0;
  /** Both clocks at the last moment that counts as awake since. */
  private awake: { readonly boot: number; readonly monotonic: number };
  /** The clocks at the last look at the boot's. */
  private lastLook: { readonly wall: number; readonly monotonic: number };

  constructor(private readonly clock: Clock) {
    this.awake = { boot: clock.boot().ms, monotonic: clock.monotonic() };
    this.lastLook = { wall: clock.now(), monotonic: this.awake.monotonic };
  }

  now(): number {
    const monotonic = this.clock.monotonic();
    const wall = this.clock.now();
    const since = monotonic - this.lastLook.monotonic;
    // Not at every call: asking the system for its uptime takes longer than all else here. Whoever slept, or set the wall
    // clock, has the two others apart at once.
    if (since >= 1_000 || Math.abs(wall - this.lastLook.wall - since) >= 200) {
      this.lastLook = { wall, monotonic };
      const boot = this.clock.boot().ms;
      const slept = boot - this.awake.boot - (monotonic - this.awake.monotonic) - grainMs;
      if (slept > 0) {
        this.slept += slept;
        this.awake = { boot, monotonic };
      }
    }
    return monotonic + this.slept;
  }
}

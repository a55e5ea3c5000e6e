/** A clock whose hands a test turns. Sleepers wake in the order of their time. */
import type { Clock } from "../../src/mail/ports";

export class FakeClock implements Clock {
  private time = 0;
  private readonly sleepers: { readonly until: number; readonly wake: () => void }[] = [];

  /** @param start wall clock at the beginning, milliseconds since the epoch */
  constructor(private readonly start = Date.UTC(2026, 0, 5, 9)) {}

  now(): number {
    return this.start + this.time;
  }

  monotonic(): number {
    return this.time;
  }

  boot(): { readonly id: string; readonly ms: number } {
    return { id: "boot-1", ms: this.time };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true || ms <= 0) return resolve();
      const sleeper = { until: this.time + ms, wake: resolve };
      this.sleepers.push(sleeper);
      signal?.addEventListener("abort", () => {
        this.sleepers.splice(this.sleepers.indexOf(sleeper), 1);
        resolve();
      });
    });
  }

  /** How long the next sleeper still sleeps; undefined when nobody does. */
  get nextWakeMs(): number | undefined {
    return this.sleepers.length === 0 ? undefined : Math.min(...this.sleepers.map(({ until }) => until)) - this.time;
  }

  /** Turns the hands by `ms` and wakes whoever is due. */
  advance(ms: number): void {
    this.time += ms;
    const due = this.sleepers.filter(({ until }) => until <= this.time).sort((a, b) => a.until - b.until);
    for (const sleeper of due) {
      this.sleepers.splice(this.sleepers.indexOf(sleeper), 1);
      sleeper.wake();
    }
  }
}

/** A clock on which every sleep ends at once and time goes on by as much: hours in milliseconds. */
export class LeapingClock extends FakeClock {
  readonly slept: number[] = [];

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    if (ms === Infinity) return super.sleep(2 ** 31, signal);
    this.slept.push(ms);
    this.advance(ms);
    return Promise.resolve();
  }
}

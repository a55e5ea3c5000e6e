/** A clock whose hands a test turns. Sleepers wake in the order of their time. */
import type { Clock } from "../../src/mail/ports";

export class FakeClock implements Clock {
  /** Milliseconds awake. */
  private time = 0;
  private asleep = 0;
  /** How far the wall clock was set from where it began. */
  private set = 0;
  private boots = 1;
  /** When the machine booted, of all milliseconds that went by. */
  private bootedAt = 0;
  private readonly sleepers: { readonly until: number; readonly wake: () => void }[] = [];

  /** @param start wall clock at the beginning, milliseconds since the epoch */
  constructor(private readonly start = Date.UTC(2026, 0, 5, 9)) {}

  now(): number {
    return this.start + this.passed + this.set;
  }

  monotonic(): number {
    return this.time;
  }

  boot(): { readonly id: string; readonly ms: number } {
    return { id: `boot-${String(this.boots)}`, ms: this.passed - this.bootedAt };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true || ms <= 0) return resolve();
      const wake = (): void => {
        const index = this.sleepers.indexOf(sleeper);
        if (index >= 0) this.sleepers.splice(index, 1);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      const sleeper = { until: this.time + ms, wake };
      this.sleepers.push(sleeper);
      signal?.addEventListener("abort", wake);
    });
  }

  /** All the time that really went by, whatever the clocks say, milliseconds. */
  get passed(): number {
    return this.time + this.asleep;
  }

  /** How long the next sleeper still sleeps; undefined when nobody does. */
  get nextWakeMs(): number | undefined {
    return this.sleepers.length === 0 ? undefined : Math.min(...this.sleepers.map(({ until }) => until)) - this.time;
  }

  /** Turns the hands by `ms` and wakes whoever is due. */
  advance(ms: number): void {
    this.time += ms;
    const due = this.sleepers.filter(({ until }) => until <= this.time).sort((a, b) => a.until - b.until);
    for (const sleeper of due) sleeper.wake();
  }

  /** Sets the wall clock, forward or back; no time goes by. */
  setWall(byMs: number): void {
    this.set += byMs;
  }

  /** The machine sleeps: time goes by, the monotonic clock and its timers stand still. */
  suspend(ms: number): void {
    this.asleep += ms;
  }

  /** The machine was off for `ms` and booted again. */
  reboot(ms: number): void {
    this.asleep += ms;
    this.boots++;
    this.bootedAt = this.passed;
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

/** A pace that changes while a run goes. */
import type { Pace, PaceSource } from "./mail/index";

/** The pace that the settings have now. */
export class LivePace implements PaceSource {
  private readonly listeners = new Set<() => void>();

  constructor(public current: Pace) {}

  /** Changes it, and tells everybody who listens. */
  set(pace: Pace): void {
    this.current = pace;
    for (const listener of this.listeners) listener();
  }

  onChange(listener: () => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.listeners.add(listener);
    signal.addEventListener("abort", () => this.listeners.delete(listener), { once: true });
  }
}

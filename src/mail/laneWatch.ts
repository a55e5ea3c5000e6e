/** Looks after the connections of a run: one on which a server keeps silent, and all of them after the machine slept. */
import type { Lane } from "./lane";
import type { Clock } from "./ports";

/** How long a server may keep silent before the run says so, milliseconds. */
const silenceMs = 60_000;

/** After so many times that it is given up on: a server has five minutes for a reply (RFC 5321 §4.5.3.2). */
const giveUpFactor = 5;

/** How often it looks, and how much later a look may come without the machine having slept, milliseconds. */
const lookMs = 1_000;
const lateMs = 10_000;

/** What is told. */
export interface LaneWatchOptions {
  readonly clock: Clock;
  /** Milliseconds that connecting may take by the account's own limits, on top of `silenceMs`. */
  readonly connectingMs: number;
  readonly silenceMs?: number | undefined;
  /** Nothing came for `ms` on a lane; told once a message and phase, and again when it is time to give up. */
  readonly onSilence: (lane: Lane, ms: number, tooLong: boolean) => void;
  readonly onWake: () => void;
}

/** Watches `lanes`, which come and go, until `signal` aborts. */
export function watchLanes(lanes: () => Iterable<Lane>, options: LaneWatchOptions, signal: AbortSignal): void {
  const { clock, connectingMs, onSilence, onWake } = options;
  const patience = options.silenceMs ?? silenceMs;
  const every = Math.min(lookMs, patience);
  let last = clock.boot().ms;
  // A timer of the system: it stands still with the machine, while the time since its boot goes on.
  const timer = setInterval(() => {
    const booted = clock.boot().ms;
    if (booted - last > every + lateMs) onWake();
    last = booted;
    for (const lane of lanes()) {
      const { silentMs, phase } = lane;
      const connecting = phase === "opening" ? connectingMs : 0;
      if (phase === "idle" || silentMs < patience + connecting) continue;
      const tooLong = silentMs >= giveUpFactor * patience + connecting;
      if (!lane.told || tooLong) onSilence(lane, silentMs, tooLong);
      lane.told = true;
    }
  }, every);
  timer.unref();
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}

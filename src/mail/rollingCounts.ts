/** What left in the last 24 hours, so that a limit in any window is asked without a walk over the entries. */

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** The longest window. */
export const dayMs = 24 * hourMs;

/** Messages that are about to leave: they count as if they left now, for as long as they do. */
export interface Pending {
  readonly messages: number;
  readonly recipients: number;
}

/** Times and running sums of recipients, oldest first, in arrays of numbers: 16 bytes an entry. */
export class RollingCounts {
  private times = new Float64Array(64);
  /** Recipients up to an entry, itself included, since the first one ever. */
  private sums = new Float64Array(64);
  private head = 0;
  private tail = 0;

  /** Times must not run back. */
  add(time: number, recipients: number): void {
    if (this.tail === this.times.length) this.makeRoom();
    this.times[this.tail] = time;
    this.sums[this.tail] = this.sumBefore(this.tail) + recipients;
    this.tail++;
  }

  /** Forgets what no window holds any more. */
  dropOld(now: number): void {
    while (this.head < this.tail && this.time(this.head) <= now - dayMs) this.head++;
  }

  /** Recipients of all entries that are kept. */
  get recipients(): number {
    return this.sumBefore(this.tail) - this.sumBefore(this.head);
  }

  /** When the oldest entry leaves the window of 24 hours; undefined without entries. */
  get oldestLeavesAt(): number | undefined {
    return this.head === this.tail ? undefined : this.time(this.head) + dayMs;
  }

  /** The moment from which one more message keeps the limits of messages a minute and an hour (0: none). O(1). */
  messageFitsAt(perMinute: number, perHour: number, now: number, pending: Pending): number {
    const fits = (limit: number, window: number): number => {
      if (limit <= 0) return now;
      const room = limit - 1 - pending.messages;
      if (room < 0) return now + window;
      // All but the last `room` entries must have left the window.
      const last = this.tail - 1 - room;
      return last < this.head ? now : this.time(last) + window;
    };
    return Math.max(now, fits(perMinute, minuteMs), fits(perHour, hourMs));
  }

  /** The moment from which so many recipients more keep the limit of recipients in 24 hours (0: none); Infinity when none does. O(log n). */
  recipientsFitAt(perDay: number, recipients: number, now: number, pending: Pending): number {
    if (perDay <= 0) return now;
    if (recipients > perDay) return Infinity;
    const room = perDay - recipients - pending.recipients;
    if (room < 0) return now + dayMs;
    const leave = this.sumBefore(this.tail) - room;
    let [low, high] = [this.head, this.tail];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.sumBefore(middle) >= leave) high = middle;
      else low = middle + 1;
    }
    return low === this.head ? now : Math.max(now, this.time(low - 1) + dayMs);
  }

  /** Every entry, oldest first. */
  *entries(): Generator<{ readonly time: number; readonly recipients: number }> {
    for (let i = this.head; i < this.tail; i++)
      yield { time: this.time(i), recipients: this.sumBefore(i + 1) - this.sumBefore(i) };
  }

  private time(index: number): number {
    return this.times[index] ?? 0;
  }

  private sumBefore(index: number): number {
    return index === 0 ? 0 : (this.sums[index - 1] ?? 0);
  }

  /** Moves the entries to the front, into arrays twice as long where less than half is free. One entry before the head stays: its sum counts. */
  private makeRoom(): void {
    const first = Math.max(0, this.head - 1);
    const size = this.tail - first;
    const length = size > this.times.length / 2 ? this.times.length * 2 : this.times.length;
    const move = (from: Float64Array): Float64Array<ArrayBuffer> => {
      const to = new Float64Array(length);
      to.set(from.subarray(first, this.tail));
      return to;
    };
    this.times = move(this.times);
    this.sums = move(this.sums);
    this.head -= first;
    this.tail = size;
  }
}

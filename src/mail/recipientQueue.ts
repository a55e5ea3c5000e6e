/** Who is next: the list in its order, and those whose turn comes again. */
import type { Fate } from "./journal";
import type { Clock } from "./ports";
import type { Entry } from "./preflight";

/** A recipient that can be mailed. */
export type Mailable = Extract<Entry, { kind: "mail" }>;

/** Clocks are looked at again after so many milliseconds. */
const lookAgainMs = 60_000;

/** One queue for all connections of a run. */
export class RecipientQueue {
  private readonly source: AsyncIterator<Entry>;
  /** The list is read by one taker at a time. */
  private reading: Promise<unknown> = Promise.resolve();
  private ended = false;
  private readonly waiting = new Waiting();
  /** Identities on their way: one that stands in the list twice is never on its way twice. */
  private readonly underway = new Set<string>();
  private taken = 0;
  private wake = new AbortController();
  private sleepers = 0;

  /**
   * @param entries the list; only those are handed out that `fates` does not call settled
   * @param rest aborts: nobody is handed out any more
   * @param onIdle called when everybody left has to wait, with the moment (milliseconds since the epoch) when the first one's time comes
   * @param full whether this stretch takes nobody more; asked again whenever a recipient comes back
   */
  constructor(
    entries: AsyncIterable<Entry>,
    private readonly fates: ReadonlyMap<string, Fate>,
    private readonly clock: Clock,
    private readonly rest: AbortSignal,
    private readonly onIdle: (until: number) => void,
    private readonly full: () => boolean = () => false,
  ) {
    this.source = entries[Symbol.asyncIterator]();
    rest.addEventListener("abort", () => this.stir(), { once: true });
  }

  /** The next recipient whose time has come; undefined when nobody is left or the run rests. Every one taken is given `back` or `done`. */
  async take(): Promise<Mailable | undefined> {
    for (;;) {
      if (this.rests() || (this.taken === 0 && this.full())) return undefined;
      const entry = this.waiting.take(this.clock.now()) ?? (this.ended ? undefined : await this.read());
      if (entry !== undefined) {
        this.taken++;
        return entry;
      }
      // The run may have come to rest while the list was read.
      if (!this.ended || this.rests()) continue;
      const earliest = this.waiting.earliest;
      if (earliest === Infinity && this.taken === 0) return undefined;
      if (this.taken === 0) this.onIdle(earliest);
      // Somebody's time comes, or another connection hands its recipient back.
      const left = Math.max(0, earliest - this.clock.now());
      // In pieces: the wall clock may be set, and timers stand still while the machine sleeps.
      const wait = left === Infinity ? left : Math.min(left, lookAgainMs);
      this.sleepers++;
      await this.clock.sleep(wait, this.wake.signal);
      this.sleepers--;
    }
  }

  /** The recipient is settled. */
  done(entry?: Mailable): void {
    if (entry !== undefined) this.underway.delete(entry.identity);
    this.release();
  }

  /** The recipient's turn comes again, not before `due` (milliseconds since the epoch). */
  back(entry: Mailable, due = 0): void {
    this.waiting.add(entry, due);
    this.release();
  }

  /** Stops reading the list. */
  async close(): Promise<void> {
    await this.reading;
    await this.source.return?.();
  }

  /** Reads on up to the next recipient that is not settled; undefined at the end of the list or of the run. */
  private read(): Promise<Mailable | undefined> {
    const mine = this.reading.then(async () => {
      while (!this.ended && !this.rest.aborted) {
        let next: IteratorResult<Entry>;
        try {
          next = await this.source.next();
        } catch (error) {
          // A list that is told to stop says so by throwing.
          if (this.rests()) return undefined;
          throw error;
        }
        if (next.done === true) {
          this.ended = true;
          this.stir();
          return undefined;
        }
        const entry = next.value;
        if (entry.kind !== "mail" || this.underway.has(entry.identity)) continue;
        const fate = this.fates.get(entry.identity);
        if (fate !== undefined && fate.outcome !== "pending") continue;
        this.underway.add(entry.identity);
        if (fate === undefined || fate.next <= this.clock.now()) return entry;
        this.waiting.add(entry, fate.next);
      }
      return undefined;
    });
    this.reading = mine.catch(() => {});
    return mine;
  }

  private rests(): boolean {
    return this.rest.aborted;
  }

  private release(): void {
    this.taken--;
    this.stir();
  }

  private stir(): void {
    // Most messages settle while nobody sleeps, and waking nobody is not free.
    if (this.sleepers === 0) return;
    const previous = this.wake;
    this.wake = new AbortController();
    previous.abort();
  }
}

/** Those whose turn comes again: a binary heap, because after an outage they may be most of a long list. */
class Waiting {
  private readonly heap: { readonly entry: Mailable; readonly due: number; readonly order: number }[] = [];
  private added = 0;

  /** When the first one's time comes; Infinity when nobody waits. */
  get earliest(): number {
    return this.heap[0]?.due ?? Infinity;
  }

  add(entry: Mailable, due: number): void {
    const { heap } = this;
    heap.push({ entry, due, order: this.added++ });
    for (let child = heap.length - 1; child > 0;) {
      const parent = (child - 1) >> 1;
      if (!this.before(child, parent)) return;
      this.swap(child, parent);
      child = parent;
    }
  }

  /** Takes out the first one whose time has come; of one moment, the one that was added first. */
  take(now: number): Mailable | undefined {
    const { heap } = this;
    if (this.earliest > now) return undefined;
    this.swap(0, heap.length - 1);
    const first = heap.pop();
    for (let parent = 0; ;) {
      const [left, right] = [2 * parent + 1, 2 * parent + 2];
      let least = left < heap.length && this.before(left, parent) ? left : parent;
      if (right < heap.length && this.before(right, least)) least = right;
      if (least === parent) return first?.entry;
      this.swap(parent, least);
      parent = least;
    }
  }

  private before(a: number, b: number): boolean {
    const [one, other] = [this.heap[a], this.heap[b]];
    if (one === undefined || other === undefined) return false;
    return one.due < other.due || (one.due === other.due && one.order < other.order);
  }

  private swap(a: number, b: number): void {
    const [one, other] = [this.heap[a], this.heap[b]];
    if (one === undefined || other === undefined) return;
    this.heap[a] = other;
    this.heap[b] = one;
  }
}

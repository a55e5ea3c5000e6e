/** The loop of a run: lanes, one connection each, that take recipients until nobody is left or something ends the run. */
import { classify, type Failure } from "./classify";
import type { Delivery } from "./delivery";
import { FileError } from "./files";
import type { Journal } from "./journal";
import { Lane } from "./lane";
import { watchLanes } from "./laneWatch";
import type { Lock } from "./lock";
import type { Message } from "./message";
import { Outcomes, type Attempt } from "./outcomes";
import type { Pace } from "./pace";
import { totalsOf, type Plan } from "./plan";
import type { Ports } from "./ports";
import type { Prepared } from "./preflight";
import { plainText } from "./problems";
import type { QuotaLedger, Reservation } from "./quota";
import { RecipientQueue, type Mailable } from "./recipientQueue";
import type { RunProgress } from "./runProgress";
import type { Ending, RunHooks } from "./sender";
import { Throttle } from "./throttle";
import { SendError, type Receipt } from "./transports/transport";

/** What the lanes work with. */
export interface LanesContext {
  readonly plan: Plan;
  readonly prepared: Prepared;
  /** Asked right before every message. */
  readonly isSuppressed: (address: string) => Promise<boolean>;
  readonly journal: Journal;
  /** The campaign's, and the mailbox's where there is one: the gate asks both. */
  readonly locks: readonly Lock[];
  /** What left through the mailbox in the last day; undefined where nothing leaves this machine. */
  readonly ledger: QuotaLedger | undefined;
  readonly delivery: Delivery;
  readonly ports: Ports;
  readonly hooks: RunHooks;
  readonly progress: RunProgress;
  /** Messages at most. */
  readonly limit: number | undefined;
  /** Milliseconds that it may wait at a stretch for hours and allowances. */
  readonly patience: number;
}

/** The gate stays closed: nothing of this message leaves. */
class GateClosed extends Error {
  constructor(readonly reason: "resting" | "lostLock" | "lostMailbox") {
    super(reason);
  }
}

/** A recipient with its message, made while the one before was on its way. */
interface Ready {
  readonly entry: Mailable;
  readonly message: Message;
  /** Monotonic, milliseconds. */
  readonly madeAt: number;
}

/** The gate of an attempt, told how to see whether the hand-over that asked is over meanwhile. */
type Pass = (isOver: () => boolean) => Promise<void>;

/** A message that waited longer than this for its turn is made again: its date, and who has left since. Milliseconds. */
const freshMs = 2_000;

/** Between two looks at a lock that seems lost, milliseconds. */
const secondLookMs = 100;

/** Before a longer pause the connections are ended: servers hang up on who is idle. Milliseconds. */
const idleMs = 30_000;

/** One stretch of a run. */
export class Lanes {
  private readonly throttle: Throttle;
  private readonly queue: RecipientQueue;
  private readonly outcomes: Outcomes;
  private readonly halt = new AbortController();
  /** Aborts as soon as nothing new may be taken, whoever said so. */
  private readonly resting: AbortSignal;
  private readonly lanes = new Map<Lane, Promise<void>>();
  private ending: Ending | undefined;
  /** What broke, of code or disk. */
  private failure: { readonly error: unknown } | undefined;
  /** The sign-in that goes first, while it goes on. */
  private signingIn: Promise<void> | undefined;
  private begunMessages = 0;
  /** What the server said that it takes at once. */
  private atMost = Infinity;

  constructor(private readonly context: LanesContext) {
    const { plan, prepared, journal, ports, hooks, ledger } = context;
    this.resting = AbortSignal.any([hooks.stop, hooks.abort, this.halt.signal]);
    // Per run, not per message: signals that are joined for every message pile up.
    this.resting.addEventListener("abort", () => this.abortLanes(({ phase }) => phase === "opening"), { once: true });
    hooks.abort.addEventListener("abort", () => this.abortLanes(() => true), { once: true });
    this.throttle = new Throttle(ports.clock, this.pace, ledger);
    this.queue = new RecipientQueue(
      prepared.entries(this.resting),
      journal.history.fates,
      ports.clock,
      this.resting,
      (until) => this.idle(until),
      () => this.limitReached(),
    );
    this.outcomes = new Outcomes({ plan, journal, ports, hooks, resting: this.resting }, () => this.pace, {
      settle: (entry) => {
        this.queue.done(entry);
        this.context.progress.onward();
      },
      again: (entry, due) => {
        this.begunMessages--;
        this.queue.back(entry, due);
      },
      hold: (ms, why) => this.throttle.hold(ms, why),
      atMost: (connections) => (this.atMost = Math.min(this.atMost, connections)),
      slowDown: () => this.throttle.slowDown(),
      accepted: () => this.throttle.accepted(),
      end: (ending) => this.end(ending),
    });
  }

  /** Sends until nobody is left or something ends the run. Throws `JournalError` and for broken code. */
  async toTheirEnd(): Promise<Ending> {
    const { journal, ports, hooks } = this.context;
    journal.append({ t: "ctl", what: "start", at: ports.clock.now() });
    this.context.progress.now("starting", undefined, true);
    const over = new AbortController();
    hooks.pace?.onChange(() => this.paceChanged(), over.signal);
    this.watch(over.signal);
    this.spawn();
    // Every lane is awaited, also when one fails: what is in flight must come to its record.
    while (this.lanes.size > 0) await Promise.race(this.lanes.values());
    over.abort();
    await this.queue.close();
    if (this.failure !== undefined) throw this.failure.error;
    const ending = this.ending ?? this.quietEnding();
    const what = ending.kind === "finished" ? "finish" : "stop";
    // Who lost the lock writes nothing more.
    if (ending.kind !== "locked") journal.append({ t: "ctl", what, why: ending.kind, at: ports.clock.now() });
    await journal.sync();
    this.context.progress.now("sending", undefined, true);
    return ending;
  }

  private get pace(): Pace {
    return this.context.hooks.pace?.current ?? this.context.plan.pace;
  }

  /** Opens as many lanes as the pace allows. */
  private spawn(): void {
    const taken = new Set([...this.lanes.keys()].map(({ index }) => index));
    for (let index = 0; index < this.connections && !this.resting.aborted; index++) {
      if (taken.has(index)) continue;
      const lane = new Lane(index, this.context.delivery.transport());
      this.lanes.set(
        lane,
        this.drive(lane).finally(() => this.lanes.delete(lane)),
      );
    }
  }

  private get connections(): number {
    return Math.max(1, Math.min(this.pace.connections, this.atMost));
  }

  /** Never throws: what broke is in `failure`, and brings the others to rest. */
  private async drive(lane: Lane): Promise<void> {
    let ahead: Promise<Ready | undefined> | undefined;
    const prepare = (): void => {
      ahead ??= this.next();
      // Whoever takes it hears of its failure, maybe much later.
      ahead.catch(() => {});
    };
    try {
      for (;;) {
        const taken = ahead;
        ahead = undefined;
        // What was prepared found nobody: others may have been handed back since.
        const ready = (await taken) ?? (await this.next());
        if (ready === undefined) return;
        // The pace was lowered meanwhile.
        if (lane.index >= this.connections) {
          this.again(ready.entry);
          return;
        }
        await this.deliver(lane, ready, prepare);
      }
    } catch (error) {
      this.failure ??= { error };
      this.halt.abort();
    } finally {
      const left = await ahead?.catch(() => undefined);
      if (left !== undefined) this.again(left.entry);
      await lane.transport.close();
    }
  }

  /** The next recipient with its message; undefined when nobody is left to take. */
  private async next(): Promise<Ready | undefined> {
    while (!this.limitReached()) {
      const entry = await this.queue.take();
      if (entry === undefined) return undefined;
      // Another lane may have begun the last one meanwhile.
      if (this.limitReached()) {
        this.queue.back(entry);
        return undefined;
      }
      // Counted before anything is awaited, so that two lanes do not both take the last place.
      this.begunMessages++;
      const ready = await this.make(entry);
      if (ready !== undefined) return ready;
    }
    return undefined;
  }

  /** The recipient's message as of now; undefined when the recipient needs none any more. */
  private async make(entry: Mailable): Promise<Ready | undefined> {
    const { plan, prepared, ports, isSuppressed } = this.context;
    const left = await this.suppressed([entry.to.address]);
    if (left === undefined) {
      this.again(entry);
      return undefined;
    }
    if (left) {
      this.begunMessages--;
      this.outcomes.suppressed(entry);
      return undefined;
    }
    try {
      const madeAt = ports.clock.monotonic();
      const stamp = { runId: plan.runId, date: new Date(ports.clock.now()), isSuppressed };
      return { entry, message: await prepared.compose(entry, stamp), madeAt };
    } catch (error) {
      this.outcomes.notComposed(entry, error);
      return undefined;
    }
  }

  /** Whether any of `addresses` wants no mail any more; undefined when nobody can say, which ends the run. */
  private async suppressed(addresses: readonly string[]): Promise<boolean | undefined> {
    try {
      for (const address of addresses) if (await this.context.isSuppressed(address)) return true;
      return false;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.end({ kind: "broken", text: `${plainText(error.message)}. Restore the suppression file, then resume.` });
      return undefined;
    }
  }

  private async deliver(lane: Lane, made: Ready, onward: () => void): Promise<void> {
    const { clock } = this.context.ports;
    const { entry } = made;
    const turn = await this.throttle.turn(
      made.message.envelope.to.length,
      this.resting,
      this.context.patience,
      (waiting) => {
        this.context.progress.waits(waiting);
        if (waiting.until === undefined || waiting.until - clock.now() > idleMs) void lane.transport.close();
      },
    );
    this.context.progress.goesOn();
    if (turn.kind !== "go") {
      if (turn.kind === "impatient") this.end({ kind: "later", waiting: turn.waiting });
      if (turn.kind === "never") this.end({ kind: "broken", text: turn.text });
      this.again(entry);
      return;
    }
    const { reservation } = turn;
    // Somebody may have left since it was made.
    const isOld =
      clock.monotonic() - made.madeAt > freshMs || (await this.suppressed(made.message.envelope.to)) !== false;
    const ready = isOld ? await this.make(entry) : made;
    if (ready === undefined) {
      reservation?.giveBack();
      return;
    }
    // It may go to more people now than its place in the allowance is for.
    if (ready.message.envelope.to.length > made.message.envelope.to.length) {
      reservation?.giveBack();
      this.again(entry);
      return;
    }
    await this.attempt(lane, ready, reservation, onward);
  }

  private async attempt(
    lane: Lane,
    { entry, message }: Ready,
    reservation: Reservation | undefined,
    onward: () => void,
  ): Promise<void> {
    const { journal, ports } = this.context;
    const { clock } = ports;
    const k = entry.identity;
    const n = (journal.history.fates.get(k)?.attempts ?? 0) + 1;
    const attempt: Attempt = {
      entry,
      n,
      messageId: message.messageId,
      begun: clock.monotonic(),
      record: { t: "attempt", k, n, id: message.messageId, at: clock.now() },
    };
    const pass = async (isOver: () => boolean): Promise<void> => {
      await this.gate(attempt, reservation);
      // Ended while the disk took its time: the lane may be at another message, or at this one over another connection.
      if (isOver()) throw new GateClosed("resting");
      lane.enter("handedOver");
      onward();
    };
    try {
      const receipt = await this.handOver(lane, message, pass);
      this.outcomes.accepted(attempt, receipt);
    } catch (error) {
      if (error instanceof GateClosed) this.gateClosed(attempt, error.reason);
      else if (error instanceof SendError) this.outcomes.failed(attempt, whyFailed(lane, error));
      else throw error;
    } finally {
      if (lane.phase !== "handedOver") reservation?.giveBack();
      lane.enter("idle");
    }
  }

  /** Hands over on a connection that was used before, or on a new one where that had died without a word: the server may end who is idle. */
  private async handOver(lane: Lane, message: Message, pass: Pass): Promise<Receipt> {
    const isReused = lane.transport.isOpen;
    try {
      return await this.send(lane, message, pass);
    } catch (error) {
      if (!isReused || !isUnheard(error) || lane.phase !== "asking" || lane.signal.aborted) throw error;
      return await this.send(lane, message, pass);
    }
  }

  /** One hand-over over one connection; a gate of it that opens after its end lets nothing through. */
  private async send(lane: Lane, message: Message, pass: Pass): Promise<Receipt> {
    await this.open(lane);
    let over = false;
    try {
      const gate = (): Promise<void> => pass(() => over);
      return await lane.transport.send(message, gate, lane.signal, () => this.takenBack(lane));
    } finally {
      over = true;
    }
  }

  /** The server refused a message unseen. Until it is handed over again, whatever ends a sign-in may end that, too. */
  private takenBack(lane: Lane): void {
    if (this.resting.aborted) throw new GateClosed("resting");
    lane.enter("opening");
  }

  /** The order matters: doubt is on disk before the locks are read, and both before the first byte of the body. */
  private async gate(attempt: Attempt, reservation: Reservation | undefined): Promise<void> {
    const { journal, locks, ports } = this.context;
    if (this.resting.aborted) throw new GateClosed("resting");
    reservation?.commit();
    const { record, n } = attempt;
    const data = { t: "data", k: attempt.entry.identity, n, at: ports.clock.now() } as const;
    attempt.record = undefined;
    journal.append(...(record === undefined ? [data] : [record, data]));
    await journal.sync();
    const [mine, mailbox] = locks;
    const hasMailbox = await this.stillHeld(mailbox);
    // Whoever took the run over took the mailbox with it.
    if (!(await this.stillHeld(mine))) throw new GateClosed("lostLock");
    if (!hasMailbox) throw new GateClosed("lostMailbox");
  }

  /** A rival that came too late takes its file away again at once: a second look tells it from a new owner. */
  private async stillHeld(lock: Lock | undefined): Promise<boolean> {
    if (lock === undefined || lock.stillOurs()) return true;
    await this.context.ports.clock.sleep(secondLookMs);
    return lock.stillOurs();
  }

  /**
   * One connection signs in before the others try, at the beginning and whenever several were lost: a wrong password or an access token
   * that has ended is tried once, not once a connection.
   */
  private async open(lane: Lane): Promise<void> {
    const isNew = !lane.transport.isOpen;
    const first = isNew ? this.signingIn : undefined;
    // Whoever signs in first reports its failure; this recipient simply comes again.
    if (first !== undefined)
      await first.catch(() => {
        throw new GateClosed("resting");
      });
    lane.enter("opening");
    if (this.resting.aborted) throw new GateClosed("resting");
    const opening = lane.transport.open(lane.signal);
    if (isNew && first === undefined) this.signingIn ??= opening;
    try {
      await opening;
    } finally {
      if (this.signingIn === opening) this.signingIn = undefined;
    }
    lane.enter("asking");
  }

  /** A silent server is spoken of, and given up on while that is safe; after a sleep connections are made again. */
  private watch(over: AbortSignal): void {
    const { ports, plan } = this.context;
    const smtp = plan.target.kind === "account" ? plan.target.account : undefined;
    const where = smtp?.host ?? "the server";
    const limits = smtp === undefined ? [0] : [smtp.timeouts.dns, smtp.timeouts.connection, smtp.timeouts.greeting];
    watchLanes(
      () => this.lanes.keys(),
      {
        clock: ports.clock,
        // 0 is no limit.
        connectingMs: smtp !== undefined && limits.includes(0) ? Infinity : limits.reduce((sum, ms) => sum + ms, 0),
        silenceMs: ports.silenceMs,
        onSilence: (lane, ms, tooLong) => {
          const over = lane.phase === "handedOver";
          if (over && lane.told) return;
          const next = over
            ? "the reply to a message is awaited"
            : tooLong
              ? "the message is tried again on a new connection"
              : "its go-ahead is awaited";
          ports.logger.warn(`No word from ${where} for ${String(Math.round(ms / 1000))} s: ${next}.`);
          this.context.progress.waits({ why: "server", until: undefined });
          if (over || !tooLong) return;
          lane.stalled = true;
          lane.abort();
        },
        onWake: () => {
          ports.logger.info("The machine slept: connections are made again.");
          this.abortLanes(({ phase }) => phase === "opening" || phase === "asking");
          for (const { phase, transport } of this.lanes.keys()) if (phase === "idle") transport.drop();
        },
      },
      over,
    );
  }

  private abortLanes(which: (lane: Lane) => boolean): void {
    for (const lane of this.lanes.keys()) if (which(lane)) lane.abort();
  }

  private gateClosed(attempt: Attempt, reason: GateClosed["reason"]): void {
    if (reason === "lostMailbox") this.end({ kind: "later", waiting: { why: "mailbox", until: undefined } });
    if (reason !== "lostLock") {
      this.outcomes.untried(attempt);
      return;
    }
    // The journal is another's now, who reads our last record as doubt.
    this.end({ kind: "locked", text: "Another window or process has taken over this run.", silent: false });
    this.queue.done(attempt.entry);
  }

  /** Nobody can be taken just now. */
  private idle(until: number): void {
    if (until === Infinity) return;
    this.context.progress.waits({ why: "retry", until });
    if (until - this.context.ports.clock.now() < idleMs) return;
    for (const { phase, transport } of this.lanes.keys()) if (phase === "idle") void transport.close();
  }

  private paceChanged(): void {
    this.throttle.setPace(this.pace);
    this.spawn();
  }

  private again(entry: Mailable): void {
    this.begunMessages--;
    this.queue.back(entry);
  }

  /** Brings the run to rest; the first reason stays. */
  private end(ending: Ending): void {
    this.ending ??= ending;
    this.halt.abort();
  }

  private limitReached(): boolean {
    return this.begunMessages >= (this.context.limit ?? Infinity);
  }

  /** How a stretch ended that nothing went wrong in. */
  private quietEnding(): Ending {
    const { plan, journal, hooks } = this.context;
    if (totalsOf(plan, journal.history).pending === 0) return { kind: "finished" };
    if (hooks.stop.aborted || hooks.abort.aborted) return { kind: "stopped" };
    if (this.context.limit !== undefined) return { kind: "limit" };
    return {
      kind: "broken",
      text: "The run's copy of the list does not hold everybody who was confirmed. Look at the report before sending again.",
    };
  }
}

function whyFailed({ stalled }: Lane, { failure }: SendError): Failure {
  return stalled && failure.class === "offline" ? classify({ stage: failure.stage, systemCode: "ETIMEDOUT" }) : failure;
}

/** Whether a message ended before the server said anything about it. */
function isUnheard(error: unknown): boolean {
  if (!(error instanceof SendError)) return false;
  const { class: kind, stage, code } = error.failure;
  return kind === "offline" && stage === "mail" && code === undefined;
}

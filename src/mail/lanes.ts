/** The loop of a run: lanes, one connection each, that take recipients until nobody is left or something ends the run. */
import { Breaker } from "./breaker";
import type { Failure } from "./classify";
import type { Delivery } from "./delivery";
import { FileError } from "./files";
import type { Journal } from "./journal";
import type { Lock } from "./lock";
import type { Message } from "./message";
import { changedDetail, totalsOf, type Plan } from "./plan";
import type { Ports } from "./ports";
import { plainText } from "./problems";
import { RowError, type Prepared } from "./preflight";
import { RecipientQueue, type Mailable } from "./recipientQueue";
import { decide } from "./retry";
import type { AttemptEvent, Ending, Progress, RunHooks } from "./sender";
import { Throttle } from "./throttle";
import { SendError, type Transport } from "./transports/transport";

/** What the lanes work with. */
export interface LanesContext {
  readonly plan: Plan;
  readonly prepared: Prepared;
  /** Asked right before every message. */
  readonly isSuppressed: (address: string) => Promise<boolean>;
  readonly journal: Journal;
  readonly lock: Lock;
  readonly delivery: Delivery;
  readonly ports: Ports;
  readonly hooks: RunHooks;
  /** Messages at most. */
  readonly limit: number | undefined;
}

/** The gate stays closed: nothing of this message leaves. */
class GateClosed extends Error {
  constructor(readonly reason: "resting" | "lostLock") {
    super(reason);
  }
}

/** Progress snapshots are at least this far apart, milliseconds. */
const snapshotMs = 250;

/** One stretch of a run. */
export class Lanes {
  private readonly throttle: Throttle;
  private readonly queue: RecipientQueue;
  private readonly breaker: Breaker;
  private readonly halt = new AbortController();
  /** Aborts as soon as nothing new may be taken, whoever said so. */
  private readonly resting: AbortSignal;
  private ending: Ending | undefined;
  private signedIn: Promise<void> | undefined;
  private begunMessages = 0;
  private settledMessages = 0;
  /** Failures in a row by kind, and when the last began: those of one moment, on several connections, count once. */
  private readonly trouble = { offline: { inARow: 0, at: -Infinity }, throttled: { inARow: 0, at: -Infinity } };
  private readonly startedAt: string;
  private readonly begun: number;
  private lastSnapshot = -Infinity;

  constructor(private readonly context: LanesContext) {
    const { plan, prepared, journal, ports, hooks } = context;
    this.resting = AbortSignal.any([hooks.stop, hooks.abort, this.halt.signal]);
    this.throttle = new Throttle(ports.clock, plan.pace, undefined);
    this.breaker = new Breaker(plan.pace.pauseAfterFailures);
    this.queue = new RecipientQueue(
      prepared.entries(this.resting),
      journal.history.fates,
      ports.clock,
      this.resting,
      () => this.snapshot("waiting"),
      () => this.limitReached(),
    );
    this.startedAt = new Date(ports.clock.now()).toISOString();
    this.begun = ports.clock.monotonic();
  }

  /** Sends until nobody is left or something ends the run. Throws `JournalError` and for broken code. */
  async toTheirEnd(): Promise<Ending> {
    const { journal, ports, plan } = this.context;
    journal.append({ t: "ctl", what: "start", at: ports.clock.now() });
    this.snapshot("starting");
    // Every lane is awaited, also when one fails: what is in flight must come to its record.
    const lanes = await Promise.allSettled(
      Array.from({ length: Math.max(1, plan.pace.connections) }, () => this.lane()),
    );
    await this.queue.close();
    const broken = lanes.find((lane) => lane.status === "rejected");
    if (broken !== undefined) throw broken.reason;
    const ending = this.ending ?? this.quietEnding();
    const what = ending.kind === "finished" ? "finish" : "stop";
    // Who lost the lock writes nothing more.
    if (ending.kind !== "locked") journal.append({ t: "ctl", what, why: ending.kind, at: ports.clock.now() });
    await journal.sync();
    this.snapshot("sending", true);
    return ending;
  }

  private async lane(): Promise<void> {
    const transport = this.context.delivery.transport();
    try {
      while (!this.limitReached()) {
        const entry = await this.queue.take();
        if (entry === undefined) break;
        // Another lane may have begun the last one meanwhile.
        if (this.limitReached()) this.queue.back(entry);
        else await this.deliver(transport, entry);
      }
    } catch (error) {
      this.halt.abort();
      throw error;
    } finally {
      await transport.close();
    }
  }

  private async deliver(transport: Transport, entry: Mailable): Promise<void> {
    const { plan, prepared, journal, ports, hooks, isSuppressed } = this.context;
    const { clock } = ports;
    const k = entry.identity;
    // Counted before anything is awaited, so that two lanes do not both take the last place.
    this.begunMessages++;
    if ((await this.throttle.turn(1, this.resting)).kind !== "go") {
      this.untried(entry, false);
      return;
    }
    let left: boolean;
    try {
      left = await isSuppressed(entry.to.address);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.end({ kind: "broken", text: `${plainText(error.message)}. Restore the suppression file, then resume.` });
      this.untried(entry, false);
      return;
    }
    if (left) {
      this.begunMessages--;
      journal.append({ t: "skip", k, why: "suppressed since the run was planned", at: clock.now() });
      this.settle(entry);
      return;
    }
    const begun = clock.monotonic();
    let message: Message;
    try {
      message = await prepared.compose(entry, { runId: plan.runId, date: new Date(clock.now()), isSuppressed });
    } catch (error) {
      this.notComposed(entry, error);
      return;
    }
    const attempt = (journal.history.fates.get(k)?.attempts ?? 0) + 1;
    journal.append({ t: "attempt", k, n: attempt, id: message.messageId, at: clock.now() });
    const about = { address: entry.to.address, line: entry.row.line, attempt, messageId: message.messageId };
    const elapsed = (): number => Math.round(clock.monotonic() - begun);
    try {
      await this.open(transport);
      const { reply, serverMessageId } = await transport.send(message, () => this.gate(k, attempt), hooks.abort);
      const serverId = serverMessageId === undefined ? {} : { serverId: serverMessageId };
      journal.append({ t: "ok", k, reply, ...serverId, ms: elapsed(), at: clock.now() });
      this.trouble.offline.inARow = this.trouble.throttled.inARow = 0;
      this.breaker.accepted();
      this.settle(entry);
      hooks.onAttempt({ ...about, result: "accepted", durationMs: elapsed(), reply });
    } catch (error) {
      if (error instanceof GateClosed) this.gateClosed(entry, error.reason);
      else if (error instanceof SendError)
        this.failed(entry, error.failure, { ...about, durationMs: elapsed() }, begun);
      else throw error;
    }
  }

  /** The order matters: doubt is on disk before the lock is read, and both before the first byte of the body. */
  private async gate(k: string, n: number): Promise<void> {
    const { journal, lock, ports } = this.context;
    if (this.resting.aborted) throw new GateClosed("resting");
    journal.append({ t: "data", k, n, at: ports.clock.now() });
    await journal.sync();
    if (!lock.stillOurs()) throw new GateClosed("lostLock");
  }

  /** One connection signs in before the others try: a wrong password is tried once, not once a connection. */
  private async open(transport: Transport): Promise<void> {
    if (this.signedIn === undefined) {
      this.signedIn = transport.open(this.resting);
      try {
        await this.signedIn;
      } catch (error) {
        this.signedIn = undefined;
        throw error;
      }
      return;
    }
    // Whoever signs in first reports its failure; this recipient simply comes again.
    await this.signedIn.catch(() => {
      throw new GateClosed("resting");
    });
    await transport.open(this.resting);
  }

  private gateClosed(entry: Mailable, reason: GateClosed["reason"]): void {
    if (reason === "resting") return this.untried(entry, true);
    // The journal is another's now, who reads our last record as doubt.
    this.end({ kind: "locked", text: "Another window or process has taken over this run.", silent: false });
    this.queue.done(entry);
  }

  private failed(
    entry: Mailable,
    failure: Failure,
    about: Pick<AttemptEvent, "address" | "line" | "attempt" | "messageId" | "durationMs">,
    begun: number,
  ): void {
    const { journal, ports, hooks, plan } = this.context;
    const k = entry.identity;
    const kind = failure.class;
    // Ended by whoever stopped the run, with nothing handed over: nobody's failure.
    if (kind === "offline" && this.resting.aborted) return this.untried(entry, true);
    // A refusal proves that the connection works.
    if (failure.code !== undefined && kind !== "throttled" && kind !== "offline") this.trouble.offline.inARow = 0;
    const inARow = kind === "offline" || kind === "throttled" ? this.troubles(kind, begun) : 0;
    const decision = decide(failure, { recipient: about.attempt, inARow }, plan.pace, () => ports.random());
    const reply = describe(failure);
    const words = failure.reply === undefined ? {} : { reply: failure.reply };
    const report = (result: AttemptEvent["result"], retryInMs?: number): void =>
      hooks.onAttempt({
        ...about,
        result,
        class: kind,
        text: failure.text,
        ...words,
        ...(retryInMs !== undefined && { retryInMs }),
      });
    const at = ports.clock.now();
    switch (decision.kind) {
      case "unknown":
        journal.append({ t: "unknown", k, why: failure.text, at });
        report("unknown");
        this.pauseFor(this.breaker.unanswered(), failure);
        return this.settle(entry);
      case "fail":
        journal.append({ t: "fail", k, class: kind, reply, ms: about.durationMs, at });
        report("failed");
        this.pauseFor(this.breaker.refusedForGood(), failure);
        return this.settle(entry);
      case "later":
        journal.append({ t: "defer", k, class: kind, reply, next: at + decision.delayMs, counts: true, at });
        report("retry", Math.round(decision.delayMs));
        this.begunMessages--;
        return this.queue.back(entry, at + decision.delayMs);
      case "hold":
        // The account waits; the recipient is free to go as soon as that ends.
        journal.append({
          t: "defer",
          k,
          class: kind,
          reply,
          next: 0,
          counts: kind !== "throttled" && kind !== "quota",
          at,
        });
        this.throttle.hold(decision.delayMs, decision.why);
        report("retry", Math.round(decision.delayMs));
        this.begunMessages--;
        return this.queue.back(entry);
      case "stop":
        journal.append({ t: "defer", k, class: kind, reply, next: 0, counts: false, at });
        report("retry");
        this.end({ kind: "account", failure });
        return this.queue.back(entry);
    }
  }

  private notComposed(entry: Mailable, error: unknown): void {
    const { journal, ports, hooks } = this.context;
    // A file that cannot be had now is nothing about this recipient, who would be settled for good.
    if (error instanceof FileError) {
      const text =
        error.detail === changedDetail
          ? "An attachment has changed since the run was confirmed. Restore it, or start a new run."
          : `A file of the campaign cannot be used: ${plainText(error.message)}. Restore it, then resume.`;
      this.end({ kind: "broken", text });
      return this.queue.back(entry);
    }
    if (!(error instanceof RowError)) throw error;
    const about = { class: "message", text: error.message } as const;
    journal.append({
      t: "fail",
      k: entry.identity,
      class: about.class,
      reply: about.text,
      ms: 0,
      at: ports.clock.now(),
    });
    const { address } = entry.to;
    hooks.onAttempt({
      ...about,
      address,
      line: entry.row.line,
      result: "failed",
      attempt: 0,
      durationMs: 0,
      messageId: "",
    });
    this.settle(entry);
  }

  /** Back to pending as if it had not been tried; `recorded`: its attempt stands in the journal. */
  private untried(entry: Mailable, recorded: boolean): void {
    const { journal, ports } = this.context;
    const about = { k: entry.identity, class: "offline", reply: "stopped", next: 0, counts: false } as const;
    if (recorded) journal.append({ t: "defer", ...about, at: ports.clock.now() });
    this.begunMessages--;
    this.queue.back(entry);
  }

  private troubles(kind: "offline" | "throttled", begun: number): number {
    const trouble = this.trouble[kind];
    if (begun >= trouble.at) {
      trouble.inARow++;
      trouble.at = this.context.ports.clock.monotonic();
    }
    return trouble.inARow;
  }

  private settle(entry: Mailable): void {
    this.settledMessages++;
    this.queue.done(entry);
    this.snapshot("sending");
  }

  private pauseFor(text: string | undefined, failure: Failure): void {
    if (text !== undefined) this.end({ kind: "failures", text, failure });
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
    if (this.limitReached()) return { kind: "limit" };
    return {
      kind: "broken",
      text: "The run's copy of the list does not hold everybody who was confirmed. Look at the report before sending again.",
    };
  }

  /** Tells where everybody stands; while it goes on, only now and then unless `always`. */
  private snapshot(state: Progress["state"], always = state !== "sending"): void {
    const { plan, journal, ports, hooks } = this.context;
    const now = ports.clock.monotonic();
    if (!always && now - this.lastSnapshot < snapshotMs) return;
    this.lastSnapshot = now;
    const totals = totalsOf(plan, journal.history);
    const { mail, invalid, skipped } = plan.counts;
    const each = (now - this.begun) / this.settledMessages;
    hooks.onProgress({
      ...totals,
      runId: plan.runId,
      state: state === "sending" && this.resting.aborted ? "stopping" : state,
      total: mail + invalid + skipped,
      startedAt: this.startedAt,
      waiting: undefined,
      remainingMs: this.settledMessages === 0 ? undefined : Math.round(each * totals.pending),
    });
  }
}

/** The failure as the report keeps it: our sentence, then the server's words. */
function describe({ text, refused, reply }: Failure): string {
  return `${text}${refused === undefined ? "" : ` (${refused})`}${reply === undefined ? "" : ` Server: ${reply}`}`;
}

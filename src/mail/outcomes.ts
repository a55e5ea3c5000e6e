/** What follows an attempt: its record, the next try, and whether the run may go on at all. */
import { Breaker } from "./breaker";
import type { Failure } from "./classify";
import { FileError } from "./files";
import type { Journal, JournalRecord } from "./journal";
import { changedDetail, type Plan } from "./plan";
import type { Pace } from "./pace";
import type { Ports } from "./ports";
import { RowError } from "./preflight";
import { plainText } from "./problems";
import type { Mailable } from "./recipientQueue";
import { decide } from "./retry";
import type { AttemptEvent, Ending, RunHooks } from "./sender";
import type { Receipt } from "./transports/transport";

/** One try to hand over a message. */
export interface Attempt {
  readonly entry: Mailable;
  readonly messageId: string;
  /** Counted from 1. */
  readonly n: number;
  /** Its record, until it stands in the journal: it goes there in one write with whatever follows. */
  record: Extract<JournalRecord, { t: "attempt" }> | undefined;
  /** Monotonic, milliseconds. */
  readonly begun: number;
}

/** What the run does about an outcome. */
export interface Consequences {
  /** The recipient's affair is settled. */
  settle(entry: Mailable): void;
  /** The recipient's turn comes again, not before `due` (milliseconds since the epoch). */
  again(entry: Mailable, due?: number): void;
  /** Nobody's turn comes for so long. */
  hold(ms: number, why: "server" | "quota"): void;
  /** The server takes no more connections than that at once. */
  atMost(connections: number): void;
  /** The server finds us too fast. */
  slowDown(): void;
  /** A message went through. */
  accepted(): void;
  /** The run comes to rest. */
  end(ending: Ending): void;
}

/** Failures in a row of the kinds that concern the whole account. */
type Trouble = "offline" | "throttled" | "quota";

/** Where nothing of a message was named yet: such a failure is not the recipient's. */
const beforeMail: readonly Failure["stage"][] = ["connect", "greeting", "ehlo", "starttls", "auth"];

/** Writes outcomes and decides what comes of them, for all connections of a stretch. */
export class Outcomes {
  private readonly breaker: Breaker;
  /** Failures in a row by kind, and when the last began: those of one moment, on several connections, count once. */
  private readonly troubles: Readonly<Record<Trouble, { inARow: number; at: number }>> = {
    offline: { inARow: 0, at: -Infinity },
    throttled: { inARow: 0, at: -Infinity },
    quota: { inARow: 0, at: -Infinity },
  };

  constructor(
    private readonly about: {
      readonly plan: Plan;
      readonly journal: Journal;
      readonly ports: Ports;
      readonly hooks: RunHooks;
      readonly resting: AbortSignal;
    },
    private readonly pace: () => Pace,
    private readonly run: Consequences,
  ) {
    this.breaker = new Breaker(about.plan.pace.pauseAfterFailures);
  }

  /** The server took the message. */
  accepted(attempt: Attempt, { reply, serverMessageId }: Receipt): void {
    const { journal, ports, hooks } = this.about;
    const ms = this.elapsed(attempt);
    const serverId = serverMessageId === undefined ? {} : { serverId: serverMessageId };
    journal.append({ t: "ok", k: attempt.entry.identity, reply, ...serverId, ms, at: ports.clock.now() });
    for (const trouble of Object.values(this.troubles)) trouble.inARow = 0;
    this.breaker.accepted();
    this.run.accepted();
    this.run.settle(attempt.entry);
    hooks.onAttempt({ ...this.event(attempt), result: "accepted", durationMs: ms, reply });
  }

  /** It was not accepted, or nobody knows. */
  failed(attempt: Attempt, failure: Failure): void {
    const { ports, hooks, resting } = this.about;
    const { entry } = attempt;
    const k = entry.identity;
    const kind = failure.class;
    if (failure.connections !== undefined) this.run.atMost(failure.connections);
    // Ended by whoever stopped the run, with nothing handed over: nobody's failure.
    if (kind === "offline" && resting.aborted) return this.untried(attempt);
    // A refusal proves that the connection works.
    if (failure.code !== undefined && kind !== "throttled" && kind !== "offline") this.troubles.offline.inARow = 0;
    const inARow = kind === "offline" || kind === "throttled" || kind === "quota" ? this.count(kind, attempt.begun) : 0;
    const decision = decide(failure, { recipient: attempt.n, inARow }, this.pace(), () => ports.random());
    const reply = describe(failure);
    const ms = this.elapsed(attempt);
    const words = failure.reply === undefined ? {} : { reply: failure.reply };
    const report = (result: AttemptEvent["result"], retryInMs?: number): void =>
      hooks.onAttempt({
        ...this.event(attempt),
        result,
        durationMs: ms,
        class: kind,
        text: failure.text,
        ...words,
        ...(retryInMs !== undefined && { retryInMs }),
      });
    const at = ports.clock.now();
    switch (decision.kind) {
      case "unknown":
        this.write(attempt, { t: "unknown", k, why: failure.text, at });
        report("unknown");
        this.pauseFor(this.breaker.unanswered(), failure);
        return this.run.settle(entry);
      case "fail":
        this.write(attempt, { t: "fail", k, class: kind, reply, ms, at });
        report("failed");
        this.pauseFor(this.breaker.refusedForGood(kind === "message"), failure);
        return this.run.settle(entry);
      case "later":
        this.write(attempt, { t: "defer", k, class: kind, reply, next: at + decision.delayMs, counts: true, at });
        report("retry", Math.round(decision.delayMs));
        return this.run.again(entry, at + decision.delayMs);
      case "hold": {
        // The account waits; the recipient is free to go as soon as that ends.
        const counts = kind === "offline" && !beforeMail.includes(failure.stage);
        this.write(attempt, { t: "defer", k, class: kind, reply, next: 0, counts, at });
        if (kind === "throttled") this.run.slowDown();
        this.run.hold(decision.delayMs, decision.why);
        report("retry", Math.round(decision.delayMs));
        return this.run.again(entry);
      }
      case "stop":
        this.write(attempt, { t: "defer", k, class: kind, reply, next: 0, counts: false, at });
        report("retry");
        this.run.end({ kind: "account", failure });
        return this.run.again(entry);
    }
  }

  /** Back to pending as if it had not been tried. */
  untried(attempt: Attempt): void {
    // An attempt that never came to the journal needs no word there.
    if (attempt.record === undefined) {
      const { identity: k } = attempt.entry;
      const at = this.about.ports.clock.now();
      this.about.journal.append({ t: "defer", k, class: "offline", reply: "stopped", next: 0, counts: false, at });
    }
    this.run.again(attempt.entry);
  }

  /** No message could be made of the row. */
  notComposed(entry: Mailable, error: unknown): void {
    const { journal, ports, hooks } = this.about;
    // A file that cannot be had now is nothing about this recipient, who would be settled for good.
    if (error instanceof FileError) {
      const text =
        error.detail === changedDetail
          ? "An attachment has changed since the run was confirmed. Restore it, or start a new run."
          : `A file of the campaign cannot be used: ${plainText(error.message)}. Restore it, then resume.`;
      this.run.end({ kind: "broken", text });
      return this.run.again(entry);
    }
    if (!(error instanceof RowError)) throw error;
    const about = { class: "message", text: error.message } as const;
    const at = ports.clock.now();
    journal.append({ t: "fail", k: entry.identity, class: about.class, reply: about.text, ms: 0, at });
    const { to, row } = entry;
    const event = { address: to.address, line: row.line, attempt: 0, durationMs: 0, messageId: "" };
    hooks.onAttempt({ ...about, ...event, result: "failed" });
    this.run.settle(entry);
  }

  /** Left out after all: suppressed since the run was planned. */
  suppressed(entry: Mailable): void {
    const { journal, ports } = this.about;
    const why = "suppressed since the run was planned";
    journal.append({ t: "skip", k: entry.identity, why, at: ports.clock.now() });
    this.run.settle(entry);
  }

  private write(attempt: Attempt, record: JournalRecord): void {
    const { record: first } = attempt;
    attempt.record = undefined;
    this.about.journal.append(...(first === undefined ? [record] : [first, record]));
  }

  private event({ entry, n, messageId }: Attempt): Pick<AttemptEvent, "address" | "line" | "attempt" | "messageId"> {
    return { address: entry.to.address, line: entry.row.line, attempt: n, messageId };
  }

  private elapsed({ begun }: Attempt): number {
    return Math.round(this.about.ports.clock.monotonic() - begun);
  }

  private count(kind: Trouble, begun: number): number {
    const trouble = this.troubles[kind];
    if (begun >= trouble.at) {
      trouble.inARow++;
      trouble.at = this.about.ports.clock.monotonic();
    }
    return trouble.inARow;
  }

  private pauseFor(text: string | undefined, failure: Failure): void {
    if (text !== undefined) this.run.end({ kind: "failures", text, failure });
  }
}

/** The failure as the report keeps it: our sentence, then the server's words. */
function describe({ text, refused, reply }: Failure): string {
  return `${text}${refused === undefined ? "" : ` (${refused})`}${reply === undefined ? "" : ` Server: ${reply}`}`;
}

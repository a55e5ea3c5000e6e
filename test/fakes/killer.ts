/** Kills a sending process from the server's side, at moments of the dialogue or of the clock that chance chooses. */
import type { ChildProcess } from "node:child_process";
import type { Action, Step } from "./scriptedSmtp";

/** Where it strikes; `kept` is after the message was taken and before its reply. What stands twice comes twice as often. */
const moments = [
  "connect",
  "EHLO",
  "MAIL",
  "RCPT",
  "DATA",
  "body",
  "dot",
  "kept",
  "replied",
  "replied",
  "replied",
  "time",
  "time",
  "start",
] as const;

/** One killer for all lives of a campaign's sender. Its `script` is the server's. */
export class Killer {
  kills = 0;
  /** Kills while some message had its 354 and no reply. */
  between = 0;
  /** Who was told 250. */
  readonly replied = new Set<string>();
  private child: ChildProcess | undefined;
  private moment: (typeof moments)[number] = "time";
  /** So often the moment is let pass. */
  private pass = 0;
  private timer: NodeJS.Timeout | undefined;
  /** Connections of this life whose message had its 354 and no reply. */
  private readonly handing = new Set<number>();
  private readonly recipient = new Map<number, string>();

  constructor(
    private readonly random: () => number,
    private readonly connections: number,
  ) {}

  /** Chooses a moment in this child's life. */
  arm(child: ChildProcess): void {
    this.child = child;
    this.handing.clear();
    this.moment = moments[Math.floor(this.random() * moments.length)] ?? "time";
    // Every life connects once for certain, and with many connections each doubt costs many recipients.
    const passes = this.moment === "connect" || this.moment === "EHLO" ? 1 : this.connections === 1 ? 3 : 2;
    this.pass = Math.floor(this.random() * passes);
    // Before it has connected, as a rule.
    if (this.moment === "start") this.later(this.random() * 400);
  }

  disarm(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.child = undefined;
  }

  /** What the server does at a step. */
  script(step: Step): Action | undefined {
    const { command, connection, line } = step;
    if (command === "RCPT") this.recipient.set(connection, /<(.*?)>/.exec(line)?.[1] ?? "");
    if (command === "replied") {
      this.handing.delete(connection);
      this.replied.add(this.recipient.get(connection) ?? "");
    }
    if (this.child === undefined) return undefined;
    if (this.moment === "time" && command === "MAIL" && this.timer === undefined) this.later(this.random() * 15);
    const mine = this.moment === "kept" ? command === "dot" : this.moment === command;
    if (mine && this.pass-- === 0) {
      this.kill();
      return this.moment === "kept" ? { acceptThen: "hang" } : { end: "hang" };
    }
    if (command === "DATA") this.handing.add(connection);
    return undefined;
  }

  private later(ms: number): void {
    this.timer = setTimeout(() => this.kill(), ms);
  }

  private kill(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.child?.kill("SIGKILL") !== true) return;
    this.child = undefined;
    this.kills++;
    if (this.handing.size > 0) this.between++;
  }
}

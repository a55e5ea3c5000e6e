/** Commands and replies over a socket whose session is set up: who may speak now, and how it ended. */
import type { Socket } from "node:net";
import { ReplyReader, type Reply } from "./replies";

/** Why no more can be said. */
export interface DialogueEnd {
  /** The server's last words, where it gave any. */
  readonly reply?: string;
  /** The system's code; ECONNECTION for a connection that was simply closed, ETIMEDOUT for a silent one. */
  readonly systemCode?: string;
}

/** One side of a conversation in which the other may speak only when it was asked. */
export class SmtpDialogue {
  private readonly reader = new ReplyReader();
  private received: Reply[] = [];
  private expected = 0;
  /** Continues whoever waits, to look at what has changed. There is one at most: a transport sends one message at a time. */
  private wake: (() => void) | undefined;
  private over: DialogueEnd | undefined;
  /** When the server last said something, by `performance.now()`. */
  heardAt = performance.now();

  /**
   * @param timeout milliseconds of silence that end the dialogue; 0 for none
   * @param heard bytes that came already
   * @param said told every command and reply, without the bodies of messages
   */
  constructor(
    private readonly socket: Socket,
    timeout: number,
    heard: Buffer,
    private readonly said?: (who: "client" | "server", text: string) => void,
  ) {
    socket.on("data", (chunk: Buffer) => this.hear(chunk));
    socket.on("error", (error: NodeJS.ErrnoException) => this.finish({ systemCode: error.code ?? "ESOCKET" }));
    socket.on("timeout", () => this.finish({ systemCode: "ETIMEDOUT" }));
    socket.on("end", () => this.closed());
    socket.on("close", () => this.closed());
    socket.setTimeout(timeout);
    if (socket.destroyed) this.closed();
    else this.hear(heard);
  }

  /** How it ended, if it did. */
  end(): DialogueEnd | undefined {
    return this.over;
  }

  /** True when the server answers before it was handed all that it should answer to. */
  answered(): boolean {
    return this.received.length > 0;
  }

  /**
   * Writes commands at once (RFC 2920 §3.1 says which may go together) and returns their replies, in order: fewer than commands when
   * the dialogue ended meanwhile. A 421 ends it whatever it answers (RFC 5321 §3.8).
   */
  async ask(commands: readonly string[]): Promise<readonly Reply[]> {
    if (this.over !== undefined) return [];
    this.expect(commands.length);
    if (this.said !== undefined) for (const command of commands) this.said("client", command);
    this.socket.write(`${commands.join("\r\n")}\r\n`);
    return await this.answers();
  }

  /** Lets the server speak so many times more. */
  expect(count: number): void {
    this.received = [];
    this.expected = count;
  }

  /** All that was expected, or what came of it until the dialogue ended. */
  async answers(): Promise<readonly Reply[]> {
    while (this.expected > 0 && this.over === undefined) await this.change();
    return this.received;
  }

  /** Hands bytes to the system; returns when it took them, when the server answers, or when the dialogue ended. */
  async write(pieces: readonly Buffer[]): Promise<void> {
    const state = { taken: false };
    this.handOver(pieces, () => {
      state.taken = true;
      this.wake?.();
    });
    while (!state.taken && !this.answered() && this.over === undefined) await this.change();
  }

  /** Hands over the last bytes and waits for nothing. */
  writeLast(pieces: readonly Buffer[]): void {
    this.handOver(pieces, () => {});
  }

  /** Waits for what goes on elsewhere; false when the dialogue ended first. Rejects as `work` does. */
  async during(work: Promise<void>): Promise<boolean> {
    const state: { is: "going on" | "done" | "failed"; error: unknown } = { is: "going on", error: undefined };
    const settle = (is: "done" | "failed", error?: unknown): void => {
      state.is = is;
      state.error = error;
      this.wake?.();
    };
    work.then(
      () => settle("done"),
      (error: unknown) => settle("failed", error),
    );
    while (state.is === "going on" && this.over === undefined) await this.change();
    if (state.is === "failed") throw state.error;
    return state.is === "done";
  }

  /** Ends it at once. What the system was not handed yet never leaves. */
  finish(end: DialogueEnd): void {
    this.over ??= end;
    this.expected = 0;
    this.socket.destroy();
    this.wake?.();
  }

  /** All in one write. */
  private handOver(pieces: readonly Buffer[], taken: () => void): void {
    this.socket.cork();
    pieces.forEach((piece, i) => this.socket.write(piece, i === pieces.length - 1 ? taken : undefined));
    this.socket.uncork();
  }

  private hear(chunk: Buffer): void {
    if (this.over !== undefined || chunk.length === 0) return;
    this.heardAt = performance.now();
    const replies = this.reader.read(chunk);
    // Words without end are the words of nobody: they mean nothing.
    if (replies === undefined) return this.finish({ systemCode: "EPROTOCOL" });
    for (const reply of replies) {
      this.said?.("server", reply.text);
      // Who speaks without being asked says goodbye, or has lost the thread.
      if (this.expected === 0) return this.finish({ reply: reply.text });
      this.received.push(reply);
      this.expected--;
      if (reply.code === 421) return this.finish({ reply: reply.text });
    }
    if (replies.length > 0) this.wake?.();
  }

  private closed(): void {
    const reply = this.reader.brokenOff();
    this.finish(reply === undefined ? { systemCode: "ECONNECTION" } : { reply });
  }

  private change(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = () => {
        this.wake = undefined;
        resolve();
      };
    });
  }
}

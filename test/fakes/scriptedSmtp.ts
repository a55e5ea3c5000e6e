/** A real SMTP server on loopback that does at every step what a script says: the other side of every fault. */
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** What the server does instead of its usual reply. */
export type Action =
  | { readonly reply: string; readonly close?: boolean }
  /** Ends the connection: by FIN, or by RST. */
  | { readonly end: "close" | "reset" }
  /** Says nothing more on this connection. */
  | { readonly end: "hang" }
  /** Only after the body: the message counts as accepted, then the connection ends without a reply. */
  | { readonly acceptThen: "close" | "reset" | "hang" };

/**
 * A step of the dialogue. `answer` is the line behind a challenge (334); `dot` is the end of the body; `body` is its first byte;
 * `replied` comes behind the 250 to a body.
 */
export interface Step {
  readonly command:
    "connect" | "EHLO" | "AUTH" | "answer" | "MAIL" | "RCPT" | "DATA" | "body" | "dot" | "replied" | "RSET" | "QUIT";
  /** The whole line, without its end. */
  readonly line: string;
  /** Counts from 0, over all connections. */
  readonly connection: number;
  /** How often this command came before, over all connections. */
  readonly before: number;
}

/** A message that the server took. */
export interface Taken {
  readonly from: string;
  readonly to: readonly string[];
  readonly source: string;
  /** The body as it came, dots still doubled, without the end that was taken for its own. */
  readonly wire: string;
}

/** Decides; undefined is the usual reply. A promise holds the reply back. */
export type Script = (step: Step) => Action | undefined | Promise<Action | undefined>;

/** The server. Everything it took is in `accepted`. */
export class ScriptedSmtp {
  readonly accepted: Taken[] = [];
  /** Every command line, in order. */
  readonly lines: string[] = [];
  /** Command lines that came together, in one piece of what the socket gave. */
  readonly batches: string[][] = [];
  /** Every byte that the client sent, as Latin-1, by connection. */
  readonly wire: string[] = [];
  connections = 0;
  private readonly counts = new Map<string, number>();
  private readonly sockets = new Set<Socket>();
  private readonly waiters: (() => void)[] = [];

  private constructor(
    private readonly server: Server,
    private readonly script: Script,
    private readonly extensions: readonly string[],
    private readonly byteByByte: boolean,
  ) {}

  /** Starts one on a free port of 127.0.0.1; `byteByByte` writes every reply in pieces of one byte. */
  static async start(
    script: Script = () => undefined,
    extensions = ["PIPELINING", "8BITMIME", "SMTPUTF8"],
    byteByByte = false,
  ): Promise<ScriptedSmtp> {
    const server = createServer();
    const smtp = new ScriptedSmtp(server, script, extensions, byteByByte);
    server.on("connection", (socket) => void smtp.serve(socket, smtp.connections++));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return smtp;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** How often each address was the recipient of an accepted message. */
  get perRecipient(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { to } of this.accepted) for (const address of to) counts.set(address, (counts.get(address) ?? 0) + 1);
    return counts;
  }

  /** Resolves once `condition` holds; it is asked again after every command and message. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  /** Says something that nobody asked for, on every open connection. */
  say(text: string): void {
    for (const socket of this.sockets) socket.write(`${text}\r\n`);
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private async serve(socket: Socket, connection: number): Promise<void> {
    // Small replies must not wait for the other side to acknowledge the last one.
    socket.setNoDelay(true);
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
    let from = "";
    let to: string[] = [];
    let buffer = "";
    const last = { challenged: false };
    /** The pieces of the body, and the last characters of these: an end may come in pieces. A body begins like a line. */
    let body: string[] | undefined;
    let seen = "\r\n";
    const say = (text: string): void => {
      const reply = `${text}\r\n`;
      for (const piece of this.byteByByte ? Array.from(reply) : [reply]) socket.write(piece);
    };
    /** True when the dialogue goes on as usual. */
    const step = async (command: Step["command"], line: string): Promise<Action | undefined> => {
      const before = this.counts.get(command) ?? 0;
      this.counts.set(command, before + 1);
      const deciding = this.script({ command, line, connection, before });
      // Whoever waits may be the one that lets the script decide.
      for (const wake of this.waiters.splice(0)) wake();
      const action = await deciding;
      if (action === undefined) return undefined;
      if ("reply" in action) {
        say(action.reply);
        last.challenged = action.reply.startsWith("334");
        if (action.close === true) socket.end();
      } else if ("end" in action) await this.finish(socket, action.end);
      return action;
    };
    if ((await step("connect", "")) === undefined) say("220 scripted ESMTP");
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      const heard = chunk.toString("latin1");
      this.wire[connection] = (this.wire[connection] ?? "") + heard;
      buffer += heard;
      const batch: string[] = [];
      this.batches.push(batch);
      for (;;) {
        if (body !== undefined) {
          if (body.length === 0 && buffer !== "") await step("body", "");
          const all: string = seen + buffer;
          const end = all.indexOf("\r\n.\r\n");
          if (end < 0) {
            if (buffer !== "") body.push(buffer);
            seen = all.slice(-4);
            buffer = "";
            break;
          }
          const whole = `\r\n${body.join("")}${buffer}`;
          const wire = whole.slice(2, whole.length - all.length + end);
          buffer = all.slice(end + 5);
          const taken = { from, to, source: wire.replace(/^\./gm, ""), wire };
          body = undefined;
          const action = await step("dot", "");
          if (action === undefined) {
            this.accepted.push(taken);
            say("250 2.0.0 Ok: queued");
            await step("replied", "");
          } else if ("acceptThen" in action) {
            this.accepted.push(taken);
            await this.finish(socket, action.acceptThen);
          }
          for (const wake of this.waiters.splice(0)) wake();
          [from, to] = ["", []];
          continue;
        }
        const end = buffer.indexOf("\r\n");
        if (end < 0) break;
        const line = buffer.slice(0, end);
        buffer = buffer.slice(end + 2);
        this.lines.push(line);
        batch.push(line);
        const command = (/^[A-Za-z]+/.exec(line)?.[0] ?? "").toUpperCase();
        if (last.challenged) {
          last.challenged = false;
          if ((await step("answer", line)) === undefined) say("535 5.7.8 refused");
        } else if (command === "EHLO") {
          if ((await step("EHLO", line)) === undefined)
            say(["250-scripted", ...this.extensions.map((name) => `250-${name}`), "250 HELP"].join("\r\n"));
        } else if (command === "AUTH") {
          if ((await step("AUTH", line)) === undefined) say("235 2.7.0 ok");
        } else if (command === "MAIL") {
          if ((await step("MAIL", line)) === undefined) {
            from = /<(.*?)>/.exec(line)?.[1] ?? "";
            say("250 2.1.0 Ok");
          }
        } else if (command === "RCPT") {
          if ((await step("RCPT", line)) === undefined) {
            to.push(/<(.*?)>/.exec(line)?.[1] ?? "");
            say("250 2.1.5 Ok");
          }
        } else if (command === "DATA") {
          if (to.length === 0) say("554 5.5.1 no valid recipients");
          else if ((await step("DATA", line)) === undefined) {
            [body, seen] = [[], "\r\n"];
            say("354 go ahead");
          }
        } else if (command === "RSET") {
          [from, to] = ["", []];
          if ((await step("RSET", line)) === undefined) say("250 2.0.0 Ok");
        } else if (command === "QUIT") {
          if ((await step("QUIT", line)) === undefined) say("221 2.0.0 Bye");
          socket.end();
        } else say("500 5.5.2 unknown");
      }
    }
  }

  /** Never resolves: nothing more is read or said on this connection. */
  private finish(socket: Socket, how: "close" | "reset" | "hang"): Promise<never> {
    for (const wake of this.waiters.splice(0)) wake();
    if (how === "close") socket.end();
    if (how === "reset") socket.resetAndDestroy();
    return new Promise<never>(() => {});
  }
}

/** The output channel: one line a message. Whatever servers and files said stands in it as plain text. */
import type * as vscode from "vscode";
import { doctorStepNames, plainText } from "./mail/index";
import type { AttemptEvent, DoctorStep, Logger } from "./mail/index";

/** What of an output channel is used. */
interface Channel extends Pick<vscode.LogOutputChannel, "debug" | "info" | "warn" | "error"> {
  show(preserveFocus: boolean): void;
}

/** The core's logger and the record of every attempt. */
export class Log implements Logger {
  constructor(private readonly channel: Channel) {}

  debug(message: string): void {
    this.channel.debug(clean(message));
  }

  info(message: string): void {
    this.channel.info(clean(message));
  }

  warn(message: string): void {
    this.channel.warn(clean(message));
  }

  error(message: string): void {
    this.channel.error(clean(message));
  }

  /** One line for what became of one attempt of the campaign `name`. */
  attempt(name: string, event: AttemptEvent): void {
    const line = `${plainText(name, 60)}: ${attemptLine(event)}`;
    switch (event.result) {
      case "accepted": {
        this.channel.info(line);
        return;
      }
      case "retry": {
        this.channel.warn(line);
        return;
      }
      case "failed":
      case "unknown": {
        this.channel.error(line);
        return;
      }
    }
  }

  /** One line for a step of the connection test of the account `id`. */
  step(id: string, step: DoctorStep): void {
    const line = `Test of ${plainText(id, 64)}: ${stepLine(step)}`;
    switch (step.state) {
      case "ok":
      case "skipped": {
        this.channel.info(line);
        return;
      }
      case "warning": {
        this.channel.warn(line);
        return;
      }
      case "failed": {
        this.channel.error(line);
        return;
      }
    }
  }

  show(): void {
    this.channel.show(true);
  }
}

/** `accepted ada@example.com (line 2, 312 ms) 250 2.0.0 Ok`; failures with their class, our sentence and the server's words. */
export function attemptLine(event: AttemptEvent): string {
  const facts = [
    `line ${String(event.line + 1)}`,
    `${String(Math.round(event.durationMs))} ms`,
    ...(event.attempt > 1 ? [`attempt ${String(event.attempt)}`] : []),
    ...(event.class === undefined ? [] : [event.class]),
    ...(event.retryInMs === undefined ? [] : [`again in ${String(Math.ceil(event.retryInMs / 1000))} s`]),
  ];
  const said = event.reply === undefined ? "" : plainText(event.reply);
  const reply = event.result === "accepted" || said === "" ? said : `Server: ${said}`;
  return [`${event.result} ${plainText(event.address, 320)} (${facts.join(", ")})`, event.text ?? "", reply]
    .filter((part) => part !== "")
    .join(" ");
}

/** `Connect ok (3 ms) 127.0.0.1, port 587`; failures with our sentence and the server's words. */
export function stepLine({ name, state, ms, seen, text }: DoctorStep): string {
  const what = `${doctorStepNames[name]} ${state} (${String(Math.round(ms))} ms)`;
  const words = plainText(seen, 500);
  const said = state === "failed" && words !== "" ? `Seen: ${words}` : words;
  return [what, text, said].filter((part) => part !== "").join(" ");
}

/** Line breaks stay, for stack traces; everything else that could steer a terminal goes. */
function clean(message: string): string {
  return message
    .split("\n")
    .map((line) => plainText(line, 2000))
    .join("\n");
}

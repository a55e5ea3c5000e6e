/** Progress on stderr: one line a message, and a bar below them on a terminal. */
import { plainText, type AttemptEvent, type Logger, type Progress as Snapshot } from "../mail/index";

const barWidth = 24;

/** Writes lines and keeps the bar under them. Text from servers and lists is made plain first. */
export class Progress implements Logger {
  private bar = "";
  private readonly terminal = process.stderr.isTTY;

  /** @param quiet only warnings and errors */
  constructor(private readonly quiet: boolean) {}

  /** One line for an attempt. */
  attempt({ result, address, line, durationMs, text, reply, retryInMs }: AttemptEvent): void {
    if (this.quiet && result === "accepted") return;
    const words =
      result === "accepted" ? (reply ?? "") : [text, reply === undefined ? "" : `Server: ${reply}`].join(" ");
    const again = retryInMs === undefined ? "" : ` Again in ${String(Math.ceil(retryInMs / 1000))} s.`;
    this.write(
      `${result.padEnd(8)}  ${plainText(address)} (line ${String(line + 1)}, ${String(durationMs)} ms)  ${plainText(words, 400)}${again}`,
    );
  }

  /** Redraws the bar. */
  show({ accepted, failed, unknown, skipped, total, state, remainingMs }: Snapshot): void {
    if (this.quiet || !this.terminal) return;
    const done = accepted + failed + unknown + skipped;
    const filled = total === 0 ? barWidth : Math.round((done / total) * barWidth);
    const left = remainingMs === undefined ? "" : `, ${duration(remainingMs)} left`;
    const trouble = failed + unknown === 0 ? "" : `, ${String(failed)} failed, ${String(unknown)} unknown`;
    this.clear();
    this.bar = `${"█".repeat(filled)}${"░".repeat(barWidth - filled)} ${String(done)} of ${String(total)}${trouble}${left}${state === "waiting" ? ", waiting" : ""}`;
    process.stderr.write(this.bar);
  }

  /** A remark of the program's own. */
  note(text: string): void {
    if (!this.quiet) this.write(text);
  }

  /** Takes the bar away. */
  end(): void {
    this.clear();
  }

  debug(): void {}
  info(): void {}
  warn(message: string): void {
    this.write(plainText(message, 500));
  }
  error(message: string): void {
    this.write(plainText(message, 500));
  }

  private write(line: string): void {
    const { bar } = this;
    this.clear();
    process.stderr.write(`${line.trimEnd()}\n${bar}`);
    this.bar = bar;
  }

  private clear(): void {
    if (this.bar !== "") process.stderr.write("\r\u001b[2K");
    this.bar = "";
  }
}

function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 90) return `${String(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${String(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
}

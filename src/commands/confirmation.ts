/** The question before a send: every number that somebody could regret not having seen. Plain text. */
import { hostname } from "node:os";
import * as path from "node:path";
import type { Pace } from "../mail/index";
import { plainText } from "../mail/index";
import type { CheckReply } from "../workerProtocol";
import { startLine } from "./runWords";

/** What the question is about. */
export interface Sending {
  readonly name: string;
  readonly reply: CheckReply;
  /** The server as `serverOf` names it; undefined is the sandbox. */
  readonly server: string | undefined;
  readonly pace: Pace;
  /** Not before this moment, milliseconds since the epoch; undefined is at once. */
  readonly startAt?: number | undefined;
  /** How the run fits into limits and hours, as the forecast says it; undefined when there is none. */
  readonly forecast?: string | undefined;
  readonly stateDirectory: string;
  /** `vscode.env.remoteName`. */
  readonly remoteName: string | undefined;
  /** How many people the last run mailed, or may have mailed; they are mailed again. */
  readonly mailedBefore: number;
}

/** The question, what stands below it, and its button. */
export function confirmation(sending: Sending): {
  readonly message: string;
  readonly detail: string;
  readonly button: string;
} {
  const { reply, server, pace, mailedBefore } = sending;
  const again = mailedBefore > 0;
  const { counts, campaign } = reply;
  const mail = counts?.mail ?? 0;
  const invalid = counts?.invalid ?? 0;
  const people = `${mail.toLocaleString("en")} ${mail === 1 ? "person" : "people"}`;
  const name = plainText(sending.name, 60);
  const without = invalid === 0 ? "" : `, without the ${amount(invalid, "row")} that cannot be mailed`;
  const lines: readonly (string | undefined)[] = [
    server === undefined ? "Sandbox: nothing leaves this machine." : undefined,
    sending.startAt === undefined ? undefined : startLine(sending.startAt, Date.now()),
    again
      ? `The last run mailed ${amount(mailedBefore, "message")}: whoever got one and is still on the list gets another.`
      : undefined,
    counts === undefined ? undefined : leftOut(counts),
    `From: ${plainText(campaign.from ?? "", 200)}`,
    campaign.replyTo === undefined ? undefined : `Reply-To: ${plainText(campaign.replyTo, 200)}`,
    campaign.cc.length === 0 ? undefined : `Cc: ${plainText(campaign.cc.join(", "), 200)}`,
    campaign.bcc.length === 0 ? undefined : `Bcc: ${plainText(campaign.bcc.join(", "), 200)}`,
    `Subject: ${plainText(campaign.subject ?? "", 200)}`,
    server === undefined ? undefined : `Through: ${plainText(server)}`,
    `From this machine: ${machine(sending.remoteName)}`,
    isContainer(sending.remoteName)
      ? `What was sent is remembered in ${sending.stateDirectory}, which a rebuild of the container deletes.`
      : undefined,
    attachments(reply.attachments),
    `First: ${reply.first.map((address) => plainText(address, 80)).join(", ")}`,
    sending.forecast === undefined ? duration(mail, pace) : `When: ${plainText(sending.forecast)}`,
  ];
  return {
    message: `${again ? "Send again" : "Send"} “${name}” to ${people}${without}${server === undefined ? ", into the sandbox" : ""}?`,
    detail: lines.filter((line) => line !== undefined).join("\n"),
    button: again ? "Send Again" : "Send",
  };
}

/** Who is on the list and is not mailed. */
function leftOut({ rows, invalid, skipped, excluded }: NonNullable<CheckReply["counts"]>): string {
  const parts = [
    ...(excluded > 0 ? [`${excluded.toLocaleString("en")} by where`] : []),
    ...(skipped > 0 ? [`${skipped.toLocaleString("en")} repeated or suppressed`] : []),
    ...(invalid > 0 ? [`${invalid.toLocaleString("en")} with errors`] : []),
  ];
  return `List: ${amount(rows, "row")}, ${parts.length === 0 ? "nobody left out" : `left out: ${parts.join(", ")}`}`;
}

/** Which machine the mail leaves from. */
export function machine(remoteName: string | undefined): string {
  if (remoteName === undefined) return `${hostname()} (local)`;
  if (remoteName === "ssh-remote") return `${hostname()} (SSH host)`;
  // A server's own address is no kind of remote.
  if (remoteName.includes(":")) return `${hostname()} (remote)`;
  if (isContainer(remoteName)) return `${hostname()} (container)`;
  return `${hostname()} (${plainText(remoteName, 40)})`;
}

function isContainer(remoteName: string | undefined): boolean {
  return remoteName === "codespaces" || remoteName?.endsWith("-container") === true;
}

function attachments(files: ReadonlyMap<string, number>): string {
  if (files.size === 0) return "Attachments: none";
  const shown = [...files].slice(0, 5).map(([file, size]) => `${plainText(path.basename(file), 60)} (${bytes(size)})`);
  const more = files.size - shown.length;
  return `Attachments: ${shown.join(", ")}${more > 0 ? ` and ${amount(more, "more file")}` : ""}`;
}

function duration(messages: number, { delay, connections }: Pace): string {
  if (delay === 0) {
    return `Takes: as long as the server does, over ${amount(connections, "connection")}`;
  }
  const pace = delay === 1000 ? "one message a second" : `one message every ${(delay / 1000).toLocaleString("en")} s`;
  return `Takes: about ${span(Math.max(0, messages - 1) * delay)}, at ${pace}`;
}

/** A span of time in the two largest units that fit: `2 h 5 min`. Milliseconds in. */
export function span(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  const units: readonly (readonly [number, string])[] = [
    [86_400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = units.findIndex(([size]) => seconds >= size);
  const [size, unit] = units[first] ?? [1, "s"];
  const next = units[first + 1];
  const rest = next === undefined ? 0 : Math.floor((seconds % size) / next[0]);
  const whole = `${String(Math.floor(seconds / size))} ${unit}`;
  return next === undefined || rest === 0 ? whole : `${whole} ${String(rest)} ${next[1]}`;
}

/** A size that people can read: `12 KB`. */
export function bytes(size: number): string {
  if (size < 1000) return `${String(size)} bytes`;
  if (size < 1_000_000) return `${String(Math.round(size / 1000))} KB`;
  return `${(size / 1_000_000).toFixed(1)} MB`;
}

function amount(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** Says who sends a campaign, to whoever wants to send it too. */
import type { Owner } from "./lock";

/** `This campaign is being sent by process 12 on HOST. Wait for its end.` */
export function sendingText(owner: Pick<Owner, "pid" | "host"> | undefined): string {
  const who = owner === undefined ? "another window or process" : `process ${String(owner.pid)} on ${owner.host}`;
  return `This campaign is being sent by ${who}. Wait for its end.`;
}

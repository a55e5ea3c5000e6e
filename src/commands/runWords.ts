/** What questions about a run say of it. Plain text. */
import type { Account, RunState, Totals } from "../mail/index";
import { momentText } from "../mail/index";
import { serverOf } from "./services";

/** `312 accepted, 1 failed, 2 in doubt, 185 left`. */
export function standing({ accepted, failed, unknown, skipped, pending }: Totals): string {
  const parts: readonly (readonly [number, string])[] = [
    [failed, "failed"],
    [unknown, "in doubt"],
    [skipped, "skipped"],
    [pending, "left"],
  ];
  const others = parts.filter(([count]) => count > 0).map(([count, word]) => `${count.toLocaleString("en")} ${word}`);
  return [`${accepted.toLocaleString("en")} accepted`, ...others].join(", ");
}

/** Everybody who is or was to be mailed. */
export function everybody({ accepted, failed, unknown, skipped, pending }: Totals): number {
  return accepted + failed + unknown + skipped + pending;
}

/** What stands in the way of going on with a record: the file has another id than it was sent under. */
export function lostId({ plan }: RunState, id: string | undefined): string {
  if (plan.campaignId === id) return "";
  return `That was under another id, ${plan.campaignId}: put it back into the file to go on with its record.\n`;
}

/** A list that grew after its run ended: who was added is not mailed by that run. */
export function addedSince({ listChanged }: RunState): string {
  return listChanged ? "The list has changed since. Who was added to it has not been mailed.\n" : "";
}

/** Whether an account goes another way than it did. */
export function differ(now: Account, then: Account): boolean {
  return serverOf({ account: now }) !== serverOf({ account: then });
}

/** What a chosen start asks of the person. */
export function startLine(at: number, now: number): string {
  return `Starts ${momentText(at, now)}. Until then VS Code must stay open, and this machine awake.`;
}

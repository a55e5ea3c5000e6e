/** `resolve`: a person decides about recipients whose fate nobody knows, or who failed. */
import {
  identitiesOf,
  invalidText,
  plainText,
  resolveRecipients,
  systemClock,
  unknownRecipients,
  type Plan,
} from "../mail/index";
import type { Context } from "./context";
import { findRun } from "./report";
import { exit, Refusal, type Flags } from "./usage";

/** Decides as told, or without `--as` says whom there is to decide about. Returns the exit code. */
export async function resolve(context: Context, flags: Flags, addresses: readonly string[]): Promise<number> {
  const { as, failed = false } = flags;
  if (as !== undefined && as !== "sent" && as !== "retry") throw new Refusal("--as takes sent or retry.");
  if (failed && addresses.length > 0)
    throw new Refusal("--failed is about everybody who failed. Name addresses without it.");
  if (failed && as !== "retry") throw new Refusal("Whoever failed has no message: --failed goes with --as retry.");
  const { plan } = await findRun(context, flags.account === "sandbox" ? ["sandbox"] : ["real"]);
  if (as === undefined) return await list(plan);
  const which = addresses.length > 0 ? await named(plan, addresses) : failed ? "failed" : "unknown";
  const { resolved, invalid, totals } = await resolveRecipients(plan, which, as, systemClock);
  const { accepted, pending, unknown } = totals;
  const asked = typeof which === "string" ? resolved : which.length;
  const left = asked - resolved - invalid;
  const lines = [
    as === "sent"
      ? `${recipients(resolved)} now ${resolved === 1 ? "counts" : "count"} as sent.`
      : `${recipients(resolved)} will be tried again.`,
    ...(left > 0 ? [`${recipients(left)} left as they are: neither unknown nor failed.`] : []),
    ...(invalid > 0 && as === "retry" ? [invalidText(invalid)] : []),
    `${String(accepted)} accepted, ${String(totals.failed)} failed, ${String(unknown)} unknown, ${String(pending)} pending, ${String(totals.skipped)} skipped.`,
    ...(pending > 0 ? ["Send the campaign to go on: nobody else is mailed twice."] : []),
  ];
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
  return left > 0 || resolved === 0 ? exit.problems : exit.ok;
}

/** Everybody unknown with what helps to find the message among the sent ones. */
async function list(plan: Plan): Promise<number> {
  const unknown = await unknownRecipients(plan);
  if (unknown.length === 0) {
    process.stdout.write("Nobody is unknown: there is nothing to decide.\n");
    return exit.ok;
  }
  const lines = unknown.flatMap(({ address, line, messageId, at, subject }) => [
    `${plainText(address)} (line ${String(line)})`,
    `  handed over ${at}`,
    ...(messageId === undefined ? [] : [`  Message-ID  ${plainText(messageId)}`]),
    ...(subject === undefined ? [] : [`  Subject     ${plainText(subject)}`]),
  ]);
  process.stdout.write(
    `${lines.join("\n")}\nLook for them in the account's Sent folder. Then add --as sent for those that are there, --as retry for the others, and their addresses.\n`,
  );
  return exit.problems;
}

/** The identities of addresses; one that is not on the list refuses all, so that a slip of the pen decides nothing. */
async function named(plan: Plan, addresses: readonly string[]): Promise<readonly string[]> {
  const found = await identitiesOf(plan, addresses);
  const missing = [...found].filter(([, identities]) => identities.length === 0).map(([address]) => address);
  if (missing.length > 0)
    throw new Refusal(
      `Nothing was decided. Not on the list of this run: ${missing.map((address) => plainText(address)).join(", ")}.`,
    );
  return [...new Set([...found.values()].flat())];
}

function recipients(count: number): string {
  return `${String(count)} ${count === 1 ? "recipient" : "recipients"}`;
}

/** Retry Failed and Resolve Unknown: what a person decides about recipients of the last run. */
import * as vscode from "vscode";
import { campaignName } from "../campaignFiles";
import { look } from "../interruptedRuns";
import { invalidText, momentText, plainText } from "../mail/index";
import type { RunState, UnknownRecipient } from "../mail/index";
import { HumanError, unlinked } from "../notify";
import { lastRunsOf, nameOf, requireAtRest } from "./lastRuns";
import { resume } from "./resumeRun";
import { requireTrust } from "./services";
import type { Services } from "./services";

/** Mails those of the last run who failed once more, after a question. Rows that never became a message stay as they are. */
export async function retryFailed(services: Services, campaign: vscode.Uri): Promise<void> {
  requireTrust();
  const runs = await lastRunsOf(services, campaign);
  const run = runs.find((one) => failedOf(one) > 0);
  if (run === undefined) {
    const invalid = runs[0]?.plan.counts.invalid ?? 0;
    throw new HumanError(
      invalid > 0 ? invalidText(invalid) : "Nobody failed in the last run: there is nobody to retry.",
    );
  }
  requireAtRest(services, campaign, run);
  const { invalid } = run.plan.counts;
  await resume(services, campaign, run, {
    again: {
      kind: "failed",
      count: failedOf(run),
      note: invalid > 0 ? invalidText(invalid) : undefined,
      decide: () => services.task.ask.request("resolve", nameOf(services, run), "failed", "retry"),
    },
  });
}

const haveIt = "They Have It";
const sendAgain = "Send Again…";

/** Shows who is in doubt, with what helps to find the message among the sent ones, and takes a decision about some of them. */
export async function resolveUnknown(services: Services, campaign: vscode.Uri): Promise<void> {
  requireTrust();
  const runs = await lastRunsOf(services, campaign);
  const run = runs.find(({ totals }) => totals.unknown > 0);
  if (run === undefined) throw new HumanError("Nobody is in doubt in the last run: there is nothing to resolve.");
  requireAtRest(services, campaign, run);
  const name = nameOf(services, run);
  const unknown = await services.task.ask.request("unknown", name);
  const chosen = await services.dialogs.pickMany(
    "Resolve Unknown",
    `${whereToLook(run)} Whom do you decide about?`,
    unknown.map((one) => ({ ...lineOf(one), one })),
  );
  if (chosen === undefined || chosen.length === 0) return;
  const answer = await services.dialogs.choose(
    chosen.length === 1
      ? "Does this 1 recipient have the message?"
      : `Do these ${chosen.length.toLocaleString("en")} recipients have the message?`,
    [
      ...chosen.slice(0, 5).map(({ one }) => plainText(one.address, 80)),
      ...(chosen.length > 5 ? [`and ${String(chosen.length - 5)} more`] : []),
      whereToLook(run),
      `“${haveIt}” counts them as sent. “Send Again…” asks once more, with every number.`,
    ].join("\n"),
    [haveIt, sendAgain],
  );
  const identities = chosen.map(({ one }) => one.identity);
  if (answer === sendAgain) {
    await resume(services, campaign, run, {
      again: {
        kind: "unknown",
        count: identities.length,
        note: undefined,
        decide: () => services.task.ask.request("resolve", name, identities, "retry"),
      },
    });
  }
  if (answer !== haveIt) return;
  const { resolved } = await services.task.ask.request("resolve", name, identities, "sent");
  await showAnew(services, campaign);
  const shown = unlinked(campaignName(campaign.fsPath), 40);
  vscode.window.setStatusBarMessage(`$(check) ${shown}: ${String(resolved)} more count as sent`, 8_000);
}

/** What the status bar offers follows what is on record now. */
export async function showAnew(services: Services, campaign: vscode.Uri): Promise<void> {
  if (services.task.isActive(campaign.fsPath)) return;
  services.task.stop(campaign.fsPath);
  await look(services.campaigns, services.task, services.stateDirectory());
}

/** Those who failed on the way; a row that never became a message is not among them. */
function failedOf({ plan, totals }: RunState): number {
  return totals.failed - plan.counts.invalid;
}

function whereToLook({ plan: { target } }: RunState): string {
  return target.kind === "account"
    ? `Look for the Message-ID in the Sent folder of ${plainText(target.account.user === "" ? target.account.id : target.account.user, 80)}, or in the log of ${plainText(target.account.host, 80)}.`
    : "Look for the Message-ID among the mails of the sandbox.";
}

function lineOf({ address, line, messageId, at, subject }: UnknownRecipient): {
  readonly label: string;
  readonly description: string;
  readonly detail: string;
} {
  const parts = [
    messageId === undefined ? undefined : `Message-ID ${plainText(messageId, 200)}`,
    `handed over ${momentText(Date.parse(at), Date.now())}`,
    subject === undefined ? undefined : plainText(subject, 100),
  ];
  return {
    label: unlinked(address, 100),
    description: `line ${String(line)}`,
    detail: unlinked(parts.filter((part) => part !== undefined).join(" · "), 400),
  };
}

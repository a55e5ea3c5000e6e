/** Going on with a run that came to rest, or that a silent process holds. */
import * as path from "node:path";
import * as vscode from "vscode";
import { campaignName } from "../campaignFiles";
import { momentText, plainText, sandboxId, worldOf } from "../mail/index";
import type { RunState } from "../mail/index";
import type { RunHolder } from "../workerProtocol";
import { machine } from "./confirmation";
import { differ, everybody, standing, startLine } from "./runWords";
import { refuseOver, sendNew } from "./sendNew";
import { check, serverOf } from "./services";
import type { Services } from "./services";
import { wayOf } from "./way";

const startNew = "Start a New Run…";
const startNow = "Start Now";

/** How a run is gone on with. */
interface Resuming {
  /** A start that was chosen just now, milliseconds since the epoch. */
  readonly startAt?: number | undefined;
  /** The silent process that it is taken over from. */
  readonly holder?: RunHolder | "unnamed" | undefined;
  /** Settled recipients who are to be mailed once more. */
  readonly again?: Again | undefined;
}

/** A decision to mail some of a run's settled recipients once more. */
interface Again {
  /** `unknown` may have the message already. */
  readonly kind: "failed" | "unknown";
  readonly count: number;
  /** Anything else that is to be known. */
  readonly note: string | undefined;
  /** Writes the decision down, once it is confirmed. */
  decide(): Promise<unknown>;
}

/** Asks, and goes on until the run comes to rest; or starts over where the files have changed. Throws `HumanError`. */
export async function resume(
  services: Services,
  campaign: vscode.Uri,
  run: RunState,
  { startAt: chosen, holder, again }: Resuming = {},
): Promise<void> {
  const { plan, totals, changed } = run;
  const confirmed = plan.target.kind === "account" ? plan.target.account : undefined;
  const way = await wayOf(services, campaign, confirmed?.id ?? sandboxId);
  if (way === undefined) return;
  const planned = chosen ?? (plan.startAt === undefined ? undefined : Date.parse(plan.startAt));
  const now = Date.now();
  const isToCome = planned !== undefined && planned > now;
  const name = plainText(campaignName(campaign.fsPath), 60);
  const lines = [
    way.server === undefined ? "Sandbox: nothing leaves this machine." : undefined,
    holder === undefined ? undefined : holderLines(holder),
    isToCome ? startLine(planned, now) : undefined,
    planned !== undefined && !isToCome && totals.accepted + totals.unknown === 0
      ? `It was to start ${momentText(planned, now)}, and did not. It starts at once.`
      : undefined,
    standing(totals),
    again?.note,
    again?.kind === "unknown"
      ? `${people(again.count)} may have the message already, and then ${again.count === 1 ? "gets" : "get"} it twice.`
      : totals.unknown > 0
        ? "Those in doubt may have got the message: they are not mailed again."
        : undefined,
    again !== undefined && totals.pending > 0
      ? `${people(totals.pending)} of this run ${totals.pending === 1 ? "was" : "were"} never tried, and ${totals.pending === 1 ? "is" : "are"} mailed too.`
      : undefined,
    way.server === undefined ? undefined : `Through: ${plainText(way.server)}`,
    way.account !== undefined && confirmed !== undefined && differ(way.account, confirmed)
      ? `The account was changed since; it was ${plainText(serverOf({ account: confirmed }))}.`
      : undefined,
    `From this machine: ${machine(vscode.env.remoteName)}`,
    changed.length > 0
      ? `Changed since the run was confirmed: ${changed.map((file) => plainText(path.basename(file), 60)).join(", ")}. What is sent is the copy that was confirmed.`
      : undefined,
  ];
  const left = `${totals.pending.toLocaleString("en")} more`;
  const goOn = again !== undefined ? "Send Again" : holder === undefined ? "Resume" : "Take Over";
  const answer = await services.dialogs.choose(
    again !== undefined
      ? `Send “${name}” again to ${people(again.count)} ${again.kind === "failed" ? "who failed" : "in doubt"}?`
      : holder === undefined
        ? `Resume sending “${name}” to ${left}?`
        : `Take over “${name}”, and go on sending to ${left}?`,
    lines.filter((line) => line !== undefined).join("\n"),
    [
      goOn,
      ...(isToCome && chosen === undefined ? [startNow] : []),
      ...(changed.length > 0 && holder === undefined && again === undefined ? [startNew] : []),
    ],
  );
  if (answer === startNew) {
    await startOver(services, campaign, run, chosen);
    return;
  }
  if (answer !== goOn && answer !== startNow) return;
  const startAt = isToCome && answer === goOn ? planned : undefined;
  refuseOver(startAt);
  await again?.decide();
  await services.task.start({
    campaign,
    target: way.target,
    stateDirectory: services.stateDirectory(),
    pace: way.pace,
    currentPace: way.currentPace,
    startAt,
    total: everybody(totals),
    what: { kind: "resume", campaignId: plan.campaignId, runId: plan.runId, takeOver: holder !== undefined },
    secrets: way.secrets,
  });
}

function people(count: number): string {
  return `${count.toLocaleString("en")} ${count === 1 ? "recipient" : "recipients"}`;
}

/** Asks whether to take a run over from a process that lives and has not stirred for 30 s. Throws `HumanError`. */
export async function takeOver(services: Services, campaign: vscode.Uri, run: RunState): Promise<void> {
  const { plan } = run;
  const holder = await services.task.ask.request("holder", {
    stateDirectory: services.stateDirectory(),
    campaignId: plan.campaignId,
    world: worldOf(plan.target),
  });
  await resume(services, campaign, run, { holder: holder ?? "unnamed" });
}

/** Who is taken over from, and what may happen. */
function holderLines(holder: RunHolder | "unnamed"): string {
  const who =
    holder === "unnamed"
      ? "another process"
      : `process ${String(holder.pid)} on ${plainText(holder.host, 60)}${holder.pid === process.pid ? " (this window)" : ""}`;
  return [
    `It is held by ${who}, which lives, and has not stirred for 30 seconds.`,
    "Should it wake, it hands over nothing more. A message that it was just handing over may arrive: that one is in doubt, and is not mailed again.",
  ].join("\n");
}

/** A new run forgets who was mailed by the interrupted one: that is said twice. */
async function startOver(
  services: Services,
  campaign: vscode.Uri,
  run: RunState,
  startAt: number | undefined,
): Promise<void> {
  const reached = run.totals.accepted + run.totals.unknown;
  if (reached > 0) {
    const sure = await services.dialogs.confirm(
      `Mail ${reached.toLocaleString("en")} ${reached === 1 ? "person" : "people"} a second time?`,
      `${standing(run.totals)}\nA new run starts from the beginning with what the files say now. It does not leave out those who have the message already.`,
      "Start From the Beginning",
    );
    if (!sure) return;
  }
  const reply = await check(services, campaign);
  if (reply !== undefined) await sendNew(services, campaign, { reply, last: run, mailedBefore: reached, startAt });
}

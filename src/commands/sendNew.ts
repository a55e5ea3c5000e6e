/** A new run: asks once, with every number, and starts. */
import * as vscode from "vscode";
import { campaignName } from "../campaignFiles";
import type { Pace, RunState } from "../mail/index";
import { HumanError } from "../notify";
import type { CheckReply } from "../workerProtocol";
import { confirmation } from "./confirmation";
import { checkSaved, hasBlockingProblems } from "./services";
import type { Services } from "./services";
import { wayOf } from "./way";
import type { Way } from "./way";

/** What is sent, and what is known of earlier runs. */
export interface NewRun {
  /** A check of the editor's texts. */
  readonly reply: CheckReply;
  /** The last run under the campaign's id. */
  readonly last: RunState | undefined;
  /** How many people an earlier run mailed, or may have mailed: they are mailed again. */
  readonly mailedBefore: number;
  /** Not before this moment, milliseconds since the epoch; undefined is at once. */
  readonly startAt: number | undefined;
}

/** Asks, and sends until the run comes to rest. Throws `HumanError`. */
export async function sendNew(services: Services, campaign: vscode.Uri, run: NewRun): Promise<void> {
  const { last, mailedBefore, startAt } = run;
  const reply = await checkSaved(services, campaign, run.reply);
  if (reply === undefined || (await hasBlockingProblems(services, reply))) return;
  const way = await wayOf(services, campaign, reply.campaign.account);
  if (way === undefined) return;
  const stateDirectory = services.stateDirectory();
  const question = confirmation({
    name: campaignName(campaign.fsPath),
    reply,
    server: way.server,
    pace: way.pace,
    startAt,
    forecast: startAt === undefined ? await forecastOf(services, reply, way) : undefined,
    stateDirectory,
    remoteName: vscode.env.remoteName,
    mailedBefore,
  });
  if (!(await services.dialogs.confirm(question.message, question.detail, question.button))) return;
  refuseOver(startAt);
  await services.task.start({
    campaign,
    target: way.target,
    stateDirectory,
    pace: way.pace,
    currentPace: way.currentPace,
    startAt,
    total: reply.counts?.mail ?? 0,
    what: {
      kind: "new",
      request: await services.campaigns.request(campaign),
      fingerprint: reply.fingerprint,
      previousRunId: last?.plan.runId,
    },
    secrets: way.secrets,
  });
}

/** When the messages leave, as far as somebody but the server decides that. */
async function forecastOf(services: Services, reply: CheckReply, way: Way): Promise<string | undefined> {
  const { account, pace } = way;
  if (account === undefined || !holdsBack(pace)) return undefined;
  const { cc, bcc } = reply.campaign;
  const about = { pace, messages: reply.counts?.mail ?? 0, recipientsEach: 1 + cc.length + bcc.length };
  return await services.task.ask.request("forecast", services.stateDirectory(), account, about);
}

function holdsBack({ delay, perMinute, perHour, perDay, batchSize, window }: Pace): boolean {
  return delay + perMinute + perHour + perDay + batchSize > 0 || window !== undefined;
}

/** A question may stay open for hours: what was to start meanwhile starts only when somebody says when. */
export function refuseOver(startAt: number | undefined): void {
  if (startAt === undefined || startAt > Date.now()) return;
  throw new HumanError("The start that you chose is over, so nothing was sent. Choose another one.");
}

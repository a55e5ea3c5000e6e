/** Where a send goes and as whom, approved before anything else happens. */
import * as path from "node:path";
import {
  lastRun,
  plainText,
  readCampaign,
  readCertificates,
  sandboxId,
  senderOf,
  type Account,
  type Campaign,
  type Plan,
  type RunState,
  type SenderDefaults,
  type Target,
} from "../mail/index";
import { accountOf, type Context } from "./context";
import { requireApproval } from "./endpoints";
import { Refusal, type Flags } from "./usage";

/** A chosen way, and the interrupted run that it goes on with, if there is one. */
export interface Chosen {
  readonly target: Target;
  readonly sender: SenderDefaults;
  /** PEM text of the account's own authorities, as it is now. */
  readonly ca: string | undefined;
}

/** For campaigns without `from` where nothing leaves the machine. */
const anySender: SenderDefaults = { from: "Sandbox <sandbox@example.com>", replyTo: undefined };

/** Chooses by the options, then by the run that is to go on, then by the campaign, then by the settings. Throws `Refusal`. */
export async function chooseTarget(context: Context, flags: Flags): Promise<Chosen> {
  const campaign = await readCampaign(context.files, context.file);
  const directory = flags["dry-run"];
  const unfinished = directory === undefined ? await interruptedRun(context, campaign) : undefined;
  const id = flags.account ?? unfinished?.account.id ?? campaign.account?.text.trim() ?? defaultId(context);
  const account = id === sandboxId ? undefined : accountOf(context.settings, id);
  const own = account === undefined ? anySender : senderOf(account);
  if (directory !== undefined)
    return { target: { kind: "outbox", directory: path.resolve(directory) }, sender: own, ca: undefined };
  if (account === undefined) return { target: { kind: "sandbox" }, sender: anySender, ca: undefined };
  if (unfinished !== undefined && unfinished.account.id !== account.id && flags.approve !== true)
    throw new Refusal(
      `The unfinished run was confirmed for account ${unfinished.account.id}. Go on with that one, or add --approve to go on through ${plainText(account.id)}.`,
    );
  // A run that goes on keeps the sender that it was confirmed with, whatever the account says by now.
  const sender = unfinished?.plan.sender ?? own;
  const written = { from: campaign.from?.text, replyTo: campaign.replyTo?.text };
  const words = { approve: flags.approve === true, named: flags.account };
  const { caSha256 } = await requireApproval(context, account, sender, written, words);
  const ca = await readCertificates(account, context.root, caSha256);
  return { target: { kind: "smtp", account, caSha256 }, sender, ca };
}

/** The account of a target; undefined where nothing leaves the machine. */
export function accountOfTarget(target: Target): Account | undefined {
  return target.kind === "smtp" ? target.account : undefined;
}

async function interruptedRun(
  context: Context,
  { id }: Campaign,
): Promise<{ readonly plan: Plan; readonly account: Account } | undefined> {
  if (id === undefined) return undefined;
  const run: RunState | undefined = await lastRun(context.stateDirectory, id, "real");
  const account = run === undefined ? undefined : accountOfTarget(run.plan.target);
  return run?.state === "interrupted" && account !== undefined ? { plan: run.plan, account } : undefined;
}

/** The settings' default account, else the first one, else the sandbox. */
function defaultId({ settings }: Context): string {
  const [first = sandboxId] = Object.keys(settings.get("accounts"));
  return settings.get("defaultAccount") || first;
}

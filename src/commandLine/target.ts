/** Where a send goes and as whom, approved before anything else happens. */
import * as path from "node:path";
import {
  lastRun,
  plainText,
  readCampaign,
  readCertificates,
  sandboxId,
  type Account,
  type Campaign,
  type Credentials,
  type Plan,
  type RunState,
  type SenderDefaults,
  type Target,
} from "../mail/index";
import { accountOf, ownProxyPassword, senderOfAccount, type Context, type SettingsFile } from "./context";
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
  const own = id === sandboxId ? anySender : senderOfAccount(context.settings, id);
  if (directory !== undefined)
    return { target: { kind: "outbox", directory: path.resolve(directory) }, sender: own, ca: undefined };
  if (id === sandboxId) return { target: { kind: "sandbox" }, sender: anySender, ca: undefined };
  const account = accountOf(context.settings, id);
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
  return { target: { kind: "account", account, caSha256 }, sender, ca };
}

/** The account of a target; undefined where nothing leaves the machine. */
export function accountOfTarget(target: Target): Account | undefined {
  return target.kind === "account" ? target.account : undefined;
}

/**
 * The account's secrets. They come from the environment, because arguments are seen by every user of the machine; that of VS Code's
 * own proxy may stand in `http.proxy`. Throws `Refusal` when one is missing.
 */
export function credentialsFromEnvironment(account: Account, settings: SettingsFile): Credentials {
  const { auth, proxy, proxyUser } = account;
  const { BULK_MAIL_PASSWORD: password = "", BULK_MAIL_PROXY_PASSWORD: given = "" } = process.env;
  const signsInAtProxy = proxy !== "" && proxyUser !== "";
  const proxyPassword = signsInAtProxy && given === "" ? (ownProxyPassword(settings, account) ?? "") : given;
  if (auth === "password" && password === "")
    throw new Refusal("The account needs a password. Give it in the environment variable BULK_MAIL_PASSWORD.");
  if (signsInAtProxy && proxyPassword === "")
    throw new Refusal(
      "The account's proxy needs a password. Give it in the environment variable BULK_MAIL_PROXY_PASSWORD.",
    );
  return { ...(auth === "password" && { password }), ...(signsInAtProxy && { proxyPassword }) };
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

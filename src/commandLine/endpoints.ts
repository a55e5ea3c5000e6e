/** What the command line has sent through before: a changed server, sender or reply address stops until a person approves it. */
import { readFile, rename, writeFile } from "node:fs/promises";
import * as path from "node:path";
import {
  accountHash,
  makePrivateDirectory,
  plainText,
  readCaHash,
  type Account,
  type SenderDefaults,
} from "../mail/index";
import type { Context } from "./context";
import { Refusal } from "./usage";

/** What is remembered of an account in a root; `summary` is for people. */
interface Remembered {
  readonly hash: string;
  readonly summary: string;
}

/**
 * Throws `Refusal` unless the account is approved here: by `--approve`, or, for a settings file that was named, by naming it
 * the first time. A difference to what was used before always needs `--approve`.
 */
export async function requireApproval(
  context: Context,
  account: Account,
  sender: SenderDefaults,
  campaign: { readonly from: string | undefined; readonly replyTo: string | undefined },
  approve: boolean,
): Promise<void> {
  const { stateDirectory, root, settings } = context;
  const file = path.join(stateDirectory, "endpoints.json");
  const text = await readFile(file, "utf8").catch(() => "{}");
  const known = JSON.parse(text) as Readonly<Record<string, Remembered>>;
  const caSha256 = await readCaHash(account, root);
  const from = campaign.from ?? sender.from ?? "";
  const replyTo = campaign.replyTo ?? sender.replyTo ?? "";
  const now: Remembered = {
    hash: accountHash({ ...account, from, replyTo }, caSha256),
    summary: `${account.host}:${String(account.port)} (${account.security}${account.tls.verify ? "" : ", certificate not checked"}), user ${plainText(account.user) || "none"}, from ${plainText(from)}, reply-to ${plainText(replyTo) || "none"}`,
  };
  const key = `${root}\n${account.id}`;
  const before = Object.hasOwn(known, key) ? known[key] : undefined;
  if (before?.hash === now.hash) return;
  if (!approve) {
    if (before !== undefined)
      throw new Refusal(
        `Account ${account.id} is not what it was when it was approved.\n  before: ${before.summary}\n  now:    ${now.summary}\nIf you changed it yourself, repeat the command with --approve.`,
      );
    if (!settings.named)
      throw new Refusal(
        `Account ${account.id} comes from the workspace's own settings (${settings.file}): ${now.summary}.\nIf you trust it with your password, repeat the command with --approve.`,
      );
  }
  await makePrivateDirectory(stateDirectory);
  const temporary = `${file}.${String(process.pid)}`;
  await writeFile(temporary, JSON.stringify({ ...known, [key]: now }, undefined, 1), { mode: 0o600 });
  await rename(temporary, file);
}

/** What the command line has sent through before: a changed server, sender or reply address stops until a person approves it. */
import { readFile, rename, writeFile } from "node:fs/promises";
import * as path from "node:path";
import {
  accountHash,
  makePrivateDirectory,
  plainText,
  readAuthorities,
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

/** How a connection to the account is protected, in words. */
export function encryption({ security, tls }: Account): string {
  if (security === "none") return "NOT ENCRYPTED";
  return `${security.toUpperCase()}${tls.verify ? "" : ", CERTIFICATE NOT CHECKED"}`;
}

/**
 * Throws `Refusal` unless the account is approved here: by `--approve`, or the first time by naming both the settings file
 * and the account. What a campaign or a settings file names alone approves nothing, nor does a connection that anybody can
 * read. A difference to what was used before always needs `--approve`. Returns the SHA-256 of the CA file that this is about.
 */
export async function requireApproval(
  context: Context,
  account: Account,
  sender: SenderDefaults,
  campaign: { readonly from: string | undefined; readonly replyTo: string | undefined },
  words: { readonly approve: boolean; readonly named: string | undefined },
): Promise<{ readonly caSha256: string | undefined }> {
  const { stateDirectory, root, settings } = context;
  const file = path.join(stateDirectory, "endpoints.json");
  const text = await readFile(file, "utf8").catch(() => "{}");
  const known = JSON.parse(text) as Readonly<Record<string, Remembered>>;
  const caSha256 = (await readAuthorities(account, root))?.sha256;
  const from = campaign.from ?? sender.from ?? "";
  const replyTo = campaign.replyTo ?? sender.replyTo ?? "";
  const now: Remembered = {
    hash: accountHash({ ...account, from, replyTo }, caSha256),
    summary: `${account.host}:${String(account.port)} (${encryption(account)}), user ${plainText(account.user) || "none"}, from ${plainText(from)}, reply-to ${plainText(replyTo) || "none"}`,
  };
  const key = `${root}\n${account.id}`;
  const before = Object.hasOwn(known, key) ? known[key] : undefined;
  if (before?.hash === now.hash) return { caSha256 };
  if (!words.approve) {
    if (before !== undefined)
      throw new Refusal(
        `Account ${account.id} is not what it was when it was approved.\n  before: ${before.summary}\n  now:    ${now.summary}\nIf you changed it yourself, repeat the command with --approve.`,
      );
    if (!settings.named || words.named !== account.id || isExposed(account))
      throw new Refusal(
        `Account ${account.id} of ${settings.file} was not used here before: ${now.summary}.\nIf you trust it with your password, repeat the command with --approve.`,
      );
  }
  await makePrivateDirectory(stateDirectory);
  const temporary = `${file}.${String(process.pid)}`;
  await writeFile(temporary, JSON.stringify({ ...known, [key]: now }, undefined, 1), { mode: 0o600 });
  await rename(temporary, file);
  return { caSha256 };
}

/** Whether others could read the password on its way; this machine alone does not count. */
function isExposed({ host, security, tls }: Account): boolean {
  const here = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/.test(host);
  return !here && (security === "none" || !tls.verify);
}

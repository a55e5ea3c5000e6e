/** What the command line has sent through before: a changed server, sender or reply address stops until a person approves it. */
import { readFile, rename, writeFile } from "node:fs/promises";
import * as path from "node:path";
import {
  accountHash,
  makePrivateDirectory,
  parseAccount,
  plainText,
  readAuthorities,
  type Account,
  type SenderDefaults,
} from "../mail/index";
import type { AccountContext } from "./context";
import { Refusal } from "./usage";

/** What is remembered of an account in a root. */
interface Remembered {
  /** Of the whole account with its sender. */
  readonly hash: string;
  /** Of the account without its sender. */
  readonly way: string;
  /** For people; names everything that can change. */
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
 * read. A difference to what was used before always needs `--approve`. Without a `sender` nothing is sent: a test of the
 * account approves no sender and minds none. Returns the SHA-256 of the CA file that this is about.
 */
export async function requireApproval(
  context: AccountContext,
  account: Account,
  sender: SenderDefaults | undefined,
  campaign: { readonly from: string | undefined; readonly replyTo: string | undefined },
  words: { readonly approve: boolean; readonly named: string | undefined },
): Promise<{ readonly caSha256: string | undefined }> {
  const { stateDirectory, root, settings } = context;
  const file = path.join(stateDirectory, "endpoints.json");
  const text = await readFile(file, "utf8").catch(() => "{}");
  const known = JSON.parse(text) as Readonly<Record<string, Remembered>>;
  const caSha256 = (await readAuthorities(account, root))?.sha256;
  const from = campaign.from ?? sender?.from ?? "";
  const replyTo = campaign.replyTo ?? sender?.replyTo ?? "";
  const now: Remembered = {
    hash: accountHash({ ...account, from, replyTo }, caSha256),
    way: accountHash({ ...account, from: "", replyTo: "" }, caSha256),
    summary: summaryOf(account, caSha256, sender === undefined ? undefined : { from, replyTo }),
  };
  const key = `${root}\n${account.id}`;
  const [sent, tested] = [key, `${key}\ntested`].map((key) => (Object.hasOwn(known, key) ? known[key] : undefined));
  if (sender === undefined ? [sent, tested].some((before) => before?.way === now.way) : sent?.hash === now.hash)
    return { caSha256 };
  if (!words.approve) {
    const before = sent ?? (tested?.way === now.way ? undefined : tested);
    if (before !== undefined)
      throw new Refusal(
        `Account ${account.id} is not what it was when it was approved.\n  before: ${before.summary}\n  now:    ${now.summary}\nIf you changed it yourself, repeat the command with --approve.`,
      );
    if (!settings.named || words.named !== account.id || isExposed(account))
      throw new Refusal(
        `Account ${account.id} of ${settings.file} was not used here before: ${now.summary}.\nIf you trust it with your ${entrusted[account.auth]}, repeat the command with --approve.`,
      );
  }
  const remembered = { ...known, [sender === undefined ? `${key}\ntested` : key]: now };
  await makePrivateDirectory(stateDirectory);
  const temporary = `${file}.${String(process.pid)}`;
  await writeFile(temporary, JSON.stringify(remembered, undefined, 1), { mode: 0o600 });
  await rename(temporary, file);
  return { caSha256 };
}

/** What a server is given. */
const entrusted = { password: "password", oauth2: "sign-in", none: "mail" } as const;

const signIns = { password: "", oauth2: " (signs in with OAuth)", none: " (no sign-in)" } as const;

/** One line; what is rarely set is named only where it is. */
function summaryOf(
  account: Account,
  caSha256: string | undefined,
  sender: { readonly from: string; readonly replyTo: string } | undefined,
): string {
  const { tls, limits, timeouts, provider } = account;
  const rare: readonly (readonly [string, string])[] = [
    ["transport", account.transport === "smtp" ? "" : account.transport],
    ["server name", tls.servername],
    ["minimum TLS", tls.minVersion === "TLSv1.2" ? "" : tls.minVersion],
    ["CA file", tls.caFile === "" ? "" : `${tls.caFile} (SHA-256 ${caSha256?.slice(0, 16) ?? "none"})`],
    ["proxy", account.proxy],
    ["user at the proxy", account.proxyUser],
    ["provider", provider === "custom" ? "" : provider],
    ["limits", numbers(limits)],
    ["timeouts", numbers(timeouts, usualTimeouts)],
  ];
  const parts = [
    `${account.host}:${String(account.port)} (${encryption(account)})`,
    `user ${plainText(account.user) || "none"}${signIns[account.auth]}`,
    ...(sender === undefined
      ? []
      : [`from ${plainText(sender.from)}`, `reply-to ${plainText(sender.replyTo) || "none"}`]),
    ...rare.filter(([, value]) => value !== "").map(([name, value]) => `${name} ${plainText(value, 120)}`),
  ];
  return parts.join(", ");
}

type Numbers = Readonly<Record<string, number | undefined>>;

const usualTimeouts: Numbers = parseAccount("usual", { host: "localhost", auth: "none" }).value?.timeouts ?? {};

function numbers(values: Numbers, usual: Numbers = {}): string {
  return Object.entries(values)
    .filter(([name, value]) => value !== undefined && value !== usual[name])
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(" ");
}

/** Whether others could read the password on its way; this machine alone does not count. */
function isExposed({ host, proxy, security, tls }: Account): boolean {
  // A proxy has another localhost.
  const here = proxy === "" && /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/.test(host);
  return !here && (security === "none" || !tls.verify);
}

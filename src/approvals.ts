/** What a person has agreed to once: accounts that a workspace brought along, and connections that are not safe. */
import { createHash } from "node:crypto";
import type { Memento } from "vscode";
import type { Dialogs } from "./dialogs";
import type { Account } from "./mail/index";
import { accountHash, plainText, senderOf } from "./mail/index";

const key = "approvals";
/** Old approvals are forgotten beyond this many; the question is then asked again. */
const most = 500;

/** What is agreed to: `workspace`, that this folder's account may be used; `unsafe`, that it is not encrypted or verified. */
export type ApprovalKind = "workspace" | "unsafe";

/** An account as it would be used. `owner` is the folder or workspace file that defines it, empty for the user's own. */
export interface Candidate {
  readonly owner: string;
  readonly account: Account;
  readonly caSha256: string | undefined;
}

/** Remembers approvals, each bound to the owner and to everything in the account: any change asks again. */
export class Approvals {
  constructor(
    private readonly memento: Pick<Memento, "get" | "update">,
    private readonly dialogs: Pick<Dialogs, "confirm">,
  ) {}

  has(kind: ApprovalKind, candidate: Candidate): boolean {
    return Object.hasOwn(this.all(), nameOf(kind, candidate));
  }

  async grant(kind: ApprovalKind, candidate: Candidate): Promise<void> {
    const all = { ...this.all(), [nameOf(kind, candidate)]: new Date().toISOString() };
    const kept = Object.entries(all)
      .sort(([, a], [, b]) => (a < b ? 1 : -1))
      .slice(0, most);
    await this.memento.update(key, Object.fromEntries(kept));
  }

  /** True when the account may be used: it is the user's own, was approved before, or is approved now. */
  async askWorkspace(candidate: Candidate): Promise<boolean> {
    if (candidate.owner === "" || this.has("workspace", candidate)) return true;
    const agreed = await this.dialogs.confirm(
      `This workspace defines the account ${plainText(candidate.account.id, 64)}. Use it?`,
      `${describe(candidate)}\n\n${whatGoes(candidate.account)} If the account changes, you are asked again.`,
      "Use This Account",
    );
    if (agreed) await this.grant("workspace", candidate);
    return agreed;
  }

  /** True when the connection is safe, or its danger was accepted before or is accepted now. */
  async askUnsafe(candidate: Candidate): Promise<boolean> {
    const danger = dangerOf(candidate.account);
    if (danger === undefined || this.has("unsafe", candidate)) return true;
    const agreed = await this.dialogs.confirm(
      danger.question,
      `${describe(candidate)}\n\n${danger.detail}`,
      danger.button,
    );
    if (agreed) await this.grant("unsafe", candidate);
    return agreed;
  }

  private all(): Readonly<Record<string, string>> {
    return this.memento.get<Record<string, string>>(key) ?? {};
  }
}

/** What somebody gets who made the account, or stands on its way. */
function whatGoes({ auth, proxy, tls }: Account): string {
  if (auth !== "oauth2") return "Your password and every mail go to this server. Agree only if you know it.";
  const open = proxy !== "" && tls.caFile !== "" ? " Whoever runs the proxy and made the CA file can read them." : "";
  return `Your sign-in and every mail go this way.${open} Agree only if you know it.`;
}

function nameOf(kind: ApprovalKind, { owner, account, caSha256 }: Candidate): string {
  return createHash("sha256")
    .update(JSON.stringify([kind, owner, accountHash(account, caSha256)]))
    .digest("hex");
}

function dangerOf(account: Account): { question: string; detail: string; button: string } | undefined {
  if (account.security === "none")
    return {
      question: "Connect without encryption?",
      detail: "Everybody on the way can read the password and every message.",
      button: "Connect Without Encryption",
    };
  if (!account.tls.verify)
    return {
      question: "Connect without checking the certificate?",
      detail: "The password may go to an impostor. To trust a server of your own, name its CA file instead.",
      button: "Connect Without Checking",
    };
  return undefined;
}

const securityNames = { starttls: "STARTTLS", tls: "TLS", none: "no encryption" } as const;

function describe({ account }: Candidate): string {
  const sender = senderOf(account);
  const lines: readonly (readonly [string, string | undefined])[] = [
    ["Server", `${account.host}:${String(account.port)}, ${securityNames[account.security]}`],
    ["Server name", account.tls.servername],
    ["TLS", account.security === "none" ? undefined : `${account.tls.minVersion.replace("TLSv", "")} or newer`],
    ["Certificate", account.security !== "none" && !account.tls.verify ? "not checked" : undefined],
    ["CA file", account.tls.caFile],
    ["Proxy", account.proxy],
    ["User at the proxy", account.proxy === "" ? undefined : account.proxyUser],
    ["User", account.auth === "none" ? "no sign-in" : account.user],
    ["From", sender.from],
    ["Reply-To", sender.replyTo],
  ];
  return lines
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([label, value]) => `${label}: ${plainText(value ?? "", 200)}`)
    .join("\n");
}

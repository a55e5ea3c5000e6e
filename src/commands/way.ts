/** The way of a campaign's messages: account, pace and secret. */
import type * as vscode from "vscode";
import type { ResolvedAccount } from "../accounts";
import { readPace } from "../config";
import { signedOut, slower } from "../mail/index";
import type { Account, Pace, Target } from "../mail/index";
import type { SecretSource } from "../sendTask";
import { refusal, secretsOf, serverOf } from "./services";
import type { Services } from "./services";

/** Through what a campaign goes. */
export interface Way {
  readonly target: Target;
  readonly pace: Pace;
  /** The pace as the settings have it now. Rejects with `HumanError` while they cannot be used. */
  readonly currentPace: () => Promise<Pace>;
  readonly account: Account | undefined;
  /** Undefined is the sandbox. */
  readonly server: string | undefined;
  readonly secrets: SecretSource;
}

/** Resolves an account; undefined when the person turned away from a question. Throws `HumanError`. */
export async function wayOf(services: Services, campaign: vscode.Uri, account: string): Promise<Way | undefined> {
  const resolution = await services.accounts.resolve(campaign, account);
  switch (resolution.kind) {
    case "sandbox":
      return sandboxWay(campaign);
    case "account":
      return accountWay(services, campaign, resolution);
    case "refused":
      throw refusal(services, resolution);
    case "cancelled":
      return undefined;
  }
}

/** The way into the sandbox. */
export function sandboxWay(campaign: vscode.Uri): Way {
  const pace = (): Pace => readPace(undefined, "user", campaign);
  return {
    target: { kind: "sandbox" },
    pace: pace(),
    currentPace: () => Promise.resolve().then(pace),
    account: undefined,
    server: undefined,
    secrets: { credentials: () => Promise.resolve({}), accessToken: () => Promise.resolve(signedOut) },
  };
}

function accountWay(services: Services, campaign: vscode.Uri, resolved: ResolvedAccount): Way {
  const { account, level, caSha256 } = resolved;
  const confirmed = readPace(account, level, campaign);
  const current = async (): Promise<Pace> => readPace(await limitsNow(services, campaign, resolved), level, campaign);
  return {
    target: { kind: "account", account, caSha256 },
    pace: confirmed,
    // What a workspace's files say in the middle of a run may slow it down, never speed it up.
    currentPace: async () => (level === "user" ? current() : slower(confirmed, await current())),
    account,
    server: serverOf(resolved),
    secrets: secretsOf(services, campaign, resolved),
  };
}

/**
 * The account with the limits that stand in the settings now. Those of a workspace's account stay as they were approved: a
 * file that changes in the middle of a run must not speed it up.
 */
async function limitsNow(services: Services, campaign: vscode.Uri, resolved: ResolvedAccount): Promise<Account> {
  const { account, level } = resolved;
  if (level !== "user") return account;
  const entries = await services.accounts.list(campaign);
  return entries.find((entry) => entry.id === account.id && entry.level === level)?.account ?? account;
}

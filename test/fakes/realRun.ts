/** A campaign through the built command line to a server that is not ours. */
import type { Report } from "../../src/mail/index";
import { smallCampaign } from "./campaigns";
import type { Finished, Sandbox } from "./cli";

const through = ["--settings", "settings.json", "--account", "local", "--yes"];

/** How a run goes; times in milliseconds. */
export interface RealPace {
  readonly connections?: number;
  readonly maxAttempts?: number;
  readonly initialDelay?: number;
  readonly maxDelay?: number;
  /** Of the account, such as `timeouts`. */
  readonly account?: Readonly<Record<string, unknown>>;
}

/** What a run left. */
export interface RealRun extends Finished {
  readonly report: Report;
  /** Addresses by outcome, in the list's order. */
  by(outcome: Report["recipients"][number]["outcome"]): readonly string[];
}

/** `count` addresses at example.com. */
export function people(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `person${String(i)}@example.com`);
}

/** Writes a campaign to these addresses, the row's number from 0 in subject and body, and the account on `port`. */
export async function writeCampaign(
  sandbox: Sandbox,
  port: number,
  addresses: readonly string[],
  { connections = 1, maxAttempts = 5, initialDelay = 10, maxDelay = 50, account = {} }: RealPace = {},
  frontMatter = "",
): Promise<void> {
  const rows = addresses.map((address, i) => `${address},Person ${String(i)},${String(i)}\n`);
  const limits = { delay: 0, connections };
  const local = { host: "127.0.0.1", port, security: "none", auth: "none", limits, ...account };
  await sandbox.write({
    ...smallCampaign(0, frontMatter),
    "people.csv": `email,name,number\n${rows.join("")}`,
    "settings.json": JSON.stringify({
      "bulkMail.accounts": { local },
      "bulkMail.retry.maxAttempts": maxAttempts,
      "bulkMail.retry.initialDelay": initialDelay,
      "bulkMail.retry.maxDelay": maxDelay,
      // What a server refuses is the point here, not a reason to look.
      "bulkMail.pauseAfterFailures": 0,
    }),
  });
}

/** Sends, or goes on with what is unfinished. */
export function sendOnly(sandbox: Sandbox): Promise<Finished> {
  return sandbox.run(["send", "hello.mail.md", ...through]);
}

/** Sends, or goes on with what is unfinished, and reads the report. */
export async function sendCampaign(sandbox: Sandbox): Promise<RealRun> {
  const finished = await sendOnly(sandbox);
  const told = await sandbox.run(["report", "hello.mail.md", "--format", "json"]);
  if (told.stdout === "") throw new Error(`${finished.stderr}${told.stderr}`);
  const report = JSON.parse(told.stdout) as Report;
  const by: RealRun["by"] = (outcome) =>
    report.recipients.filter((row) => row.outcome === outcome).map(({ address }) => address);
  return { ...finished, report, by };
}

/** The addresses that a run's log ends with this result for, in its order: one line each. */
export function settledAs({ stderr }: Finished, result: "accepted" | "failed" | "unknown"): readonly string[] {
  return [...stderr.matchAll(/^(\w+) +(\S+) \(line /gm)]
    .filter(([, word]) => word === result)
    .map(([, , who]) => String(who));
}

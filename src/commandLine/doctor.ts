/** `doctor`: walks the way to an account's server and says what it saw. */
import { diagnose, formatDiagnosis } from "../mail/index";
import { accountOf, type AccountContext } from "./context";
import { requireApproval } from "./endpoints";
import { credentialsFromEnvironment } from "./target";
import { exit, Refusal, type Flags } from "./usage";

/** Examines one account; the transcript goes to stderr, the steps to stdout. Returns the exit code. */
export async function doctor(context: AccountContext, flags: Flags): Promise<number> {
  const { format = "text" } = flags;
  if (format !== "text" && format !== "json") throw new Refusal("--format of doctor is text or json.");
  if (flags.account === undefined) throw new Refusal("Name the account, such as bulk-mail doctor --account work.");
  const account = accountOf(context.settings, flags.account);
  const words = { approve: flags.approve === true, named: flags.account };
  const { caSha256 } = await requireApproval(context, account, undefined, nothingWritten, words);
  const credentials = credentialsFromEnvironment(account, context.settings);
  const cancelled = new AbortController();
  const onSignal = (): void => cancelled.abort();
  process.once("SIGINT", onSignal);
  try {
    const diagnosis = await diagnose(account, {
      root: context.root,
      caSha256,
      credentials,
      signal: cancelled.signal,
      onStep: () => {},
    });
    if (flags.quiet !== true) process.stderr.write(`${diagnosis.transcript}\n\n`);
    process.stdout.write(
      format === "json" ? `${JSON.stringify(diagnosis, undefined, 2)}\n` : formatDiagnosis(diagnosis),
    );
    return diagnosis.ok ? exit.ok : exit.account;
  } catch (error) {
    if (cancelled.signal.aborted) return exit.cancelled;
    throw error;
  } finally {
    process.removeListener("SIGINT", onSignal);
  }
}

const nothingWritten = { from: undefined, replyTo: undefined };

/** `doctor`: walks the way to an account's server and says what it saw. */
import { diagnose, formatDiagnosis, readCertificates } from "../mail/index";
import { accessTokensFromEnvironment } from "./accessTokens";
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
  const ca = account.auth === "oauth2" ? await readCertificates(account, context.root, caSha256) : undefined;
  const warn = (text: string): void => void process.stderr.write(`${text}\n`);
  const accessTokens = await accessTokensFromEnvironment({ account, ca, credentials }, cancelled.signal, warn);
  const onSignal = (): void => cancelled.abort();
  process.once("SIGINT", onSignal);
  try {
    const diagnosis = await diagnose(account, {
      root: context.root,
      caSha256,
      credentials,
      accessTokens,
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
    cancelled.abort();
  }
}

const nothingWritten = { from: undefined, replyTo: undefined };

/** `send`: the same run as in the editor, without one. */
import * as path from "node:path";
import {
  checkRows,
  createPlan,
  forecastFor,
  lastRun,
  momentText,
  movedText,
  nameTarget,
  overlappingRun,
  ownerIn,
  parseStart,
  plainText,
  receiptText,
  receiptWithoutJournal,
  runCampaign,
  runUnderAnotherId,
  sandboxDirectory,
  sendingText,
  systemClock,
  writeReportCsv,
  waitingText,
  worldOf,
  type AccessTokens,
  type Account,
  type CheckResult,
  type Credentials,
  type Plan,
  type Prepared,
  type Problem,
  type RunState,
  type RunSummary,
  type SenderDefaults,
  type Target,
} from "../mail/index";
import { formatProblem, prepare, wholeNumber } from "./check";
import { isConfirmed } from "./confirm";
import { paceOf, type Context } from "./context";
import { encryption } from "./endpoints";
import { Progress } from "./progress";
import { accountOfTarget, chooseTarget, credentialsFromEnvironment } from "./target";
import { accessTokensFromEnvironment } from "./accessTokens";
import { exit, Refusal, type Flags } from "./usage";

/** Longer than an hour's allowance takes to come back: whoever is asked to wait for more is told when, and the program ends. */
const patience = 65 * 60 * 1000;

/** Sends, resumes, or says why there is nothing to do. Returns the exit code. */
export async function send(context: Context, flags: Flags): Promise<number> {
  // Whatever can be wrong with the call is said before a run exists: a half-made one would be gone on with next time.
  const limit = flags.limit === undefined ? undefined : wholeNumber(flags.limit, "--limit");
  const startAt = flags.at === undefined ? undefined : startOf(flags.at);
  const { target, sender, ca } = await chooseTarget(context, flags);
  const account = accountOfTarget(target);
  const secrets = account === undefined ? noSecrets : await secretsOf(context, account, ca);
  const { value: prepared, problems } = await prepare(context, sender);
  const campaignId = prepared?.campaign.id;
  const last =
    campaignId === undefined ? undefined : await lastRun(context.stateDirectory, campaignId, worldOf(target));

  if (last?.state === "moved") throw new Refusal(movedText(last.movedAt ?? ""), exit.paused);
  if (last?.state === "running" && !(last.silent && flags["take-over"] === true))
    throw new Refusal(
      last.silent
        ? "This campaign is held by a process that has not stirred for 30 seconds. If you are sure that it no longer sends, add --take-over."
        : sendingText(await ownerIn(path.dirname(last.plan.directory))),
      exit.paused,
    );
  if (target.kind === "account") await refuseUnknownRun(context, campaignId ?? last?.plan.campaignId, last, flags);
  // A dry run of a finished one is simply made again: it settles nobody.
  if (last?.state === "finished" && flags.again !== true && target.kind !== "outbox") return alreadySent(last);
  if (last?.state === "interrupted" || last?.state === "running") {
    if (flags.again === true)
      throw new Refusal(
        "The last run is not finished. Send without --again to go on with it; --again starts a new one only then.",
      );
    if (last.changed.length > 0 && flags.continue !== true)
      throw new Refusal(
        `Changed since the run was confirmed: ${last.changed.map((file) => path.relative(process.cwd(), file)).join(", ")}.\nThe run goes on with its own copy if you add --continue.`,
      );
    const pace = paceOf(context.settings, accountOfTarget(target));
    // A start that was missed is over: whoever sends again means now.
    const confirmed = Date.parse(last.plan.startAt ?? "") > Date.now() ? last.plan.startAt : undefined;
    const plan = { ...last.plan, pace, target, ca, startAt: startAt ?? confirmed };
    return run(context, plan, secrets, limit, flags, `Going on: ${describeTotals(last)}`);
  }
  if (prepared === undefined) throw new Refusal(problems.map(formatProblem).join("\n"), exit.problems);
  if (last === undefined && target.kind === "account" && flags.again !== true)
    await refuseChangedId(context, prepared, campaignId);
  const check = await checkRows(prepared);
  refuseProblems([...problems, ...check.problems], check, flags);
  await confirm(context, prepared, check, target, sender, flags);
  const plan = await createPlan(
    {
      ...context,
      prepared,
      check,
      target,
      sender,
      pace: paceOf(context.settings, accountOfTarget(target)),
      startAt,
      previousRunId: last?.plan.runId,
    },
    systemClock,
  );
  return run(
    context,
    plan,
    secrets,
    limit,
    flags,
    `Sending ${String(check.counts.mail)} messages through ${nameTarget(target)}.`,
  );
}

/** What lets a run into its account. */
interface Secrets {
  readonly credentials: Credentials;
  readonly accessTokens: AccessTokens | undefined;
  /** Aborted when nobody waits for a token any more. */
  readonly over: AbortController;
}

const noSecrets: Secrets = { credentials: {}, accessTokens: undefined, over: new AbortController() };

async function secretsOf({ settings }: Context, account: Account, ca: string | undefined): Promise<Secrets> {
  const credentials = credentialsFromEnvironment(account, settings);
  const over = new AbortController();
  const warn = (text: string): void => void process.stderr.write(`${text}\n`);
  const accessTokens = await accessTokensFromEnvironment({ account, ca, credentials }, over.signal, warn);
  return { credentials, accessTokens, over };
}

/** A receipt tells of a run that nobody here knows: whom it mailed, only its own machine can say. */
async function refuseUnknownRun(
  { stateDirectory, file }: Context,
  campaignId: string | undefined,
  last: RunState | undefined,
  flags: Flags,
): Promise<void> {
  // An unfinished run takes no --again, so going on with it in spite of the other one is what --continue says.
  const isOwnToGoOn = last?.state === "interrupted" || last?.state === "running";
  const word = isOwnToGoOn ? "--continue" : "--again";
  if (campaignId === undefined || (isOwnToGoOn ? flags.continue : flags.again) === true) return;
  const receipt = await receiptWithoutJournal(stateDirectory, file, campaignId);
  if (receipt === undefined) return;
  throw new Refusal(
    `${receiptText(receipt)}\nTo import: bulk-mail journal import ARCHIVE. To ${isOwnToGoOn ? "go on with this machine's own run" : "mail everybody in a new run"} all the same, add ${word}.`,
  );
}

/** The moment after `--at`, ISO 8601. */
function startOf(text: string): string {
  const start = parseStart(text, Date.now());
  if ("problem" in start) throw new Refusal(`--at: ${start.problem}`);
  return new Date(start.at).toISOString();
}

/** The record of who was mailed hangs on the id: another one in the same file, or in a copy, would mail everybody again. */
async function refuseChangedId(
  { stateDirectory, file }: Context,
  prepared: Prepared,
  campaignId: string | undefined,
): Promise<void> {
  if (campaignId === undefined) return;
  const same = await runUnderAnotherId(stateDirectory, file, campaignId);
  if (same !== undefined)
    throw new Refusal(
      `This file was sent under another id before: ${describeTotals(same)}\nPut that id back to go on with its record (id: ${same.plan.campaignId}), or add --again to mail everybody once more.`,
    );
  const other = await overlappingRun(stateDirectory, prepared);
  if (other !== undefined)
    throw new Refusal(
      `Many of these people got a letter with this subject from ${other.plan.campaignFile} on ${other.plan.createdAt.slice(0, 10)}: ${describeTotals(other)}\nTake its id to go on with its record (id: ${other.plan.campaignId}), or add --again if this is another letter.`,
    );
}

function refuseProblems(problems: readonly Problem[], check: CheckResult, flags: Flags): void {
  const errors = problems.filter(({ severity }) => severity === "error");
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`);
  if (errors.some(({ rowOnly }) => rowOnly !== true))
    throw new Refusal("Nothing was sent. Mend the errors, then send.", exit.problems);
  if (errors.length > 0 && flags["skip-invalid"] !== true)
    throw new Refusal(
      `Nothing was sent: ${String(check.counts.invalid)} rows cannot be mailed. Mend them, or send without them by --skip-invalid.`,
      exit.problems,
    );
  if (check.counts.mail === 0) throw new Refusal("Nothing was sent: no row is left to mail.", exit.problems);
}

async function confirm(
  { stateDirectory, settings }: Context,
  prepared: Prepared,
  check: CheckResult,
  target: Target,
  sender: SenderDefaults,
  flags: Flags,
): Promise<void> {
  // Nothing leaves the machine: there is nothing to confirm.
  if (target.kind !== "account" || flags.yes === true) return;
  const { campaign } = prepared;
  const { counts, first } = check;
  const cc = [...campaign.cc, ...campaign.bcc].map(({ text }) => text);
  const { account } = target;
  const pace = paceOf(settings, account);
  const fits = await forecastFor(
    stateDirectory,
    account,
    { pace, messages: counts.mail, recipientsEach: 1 + cc.length },
    systemClock,
  );
  const lines = [
    `Send ${String(counts.mail)} messages?`,
    `  from       ${campaign.from?.text ?? sender.from ?? ""}`,
    `  through    ${nameTarget(target)}, ${encryption(account)}, user ${account.user}`,
    `  when       ${fits}`,
    `  first      ${first.join(", ")}`,
    ...(cc.length > 0 ? [`  cc, bcc    ${cc.join(", ")}`] : []),
    ...(counts.invalid > 0 ? [`  left out   ${String(counts.invalid)} rows that cannot be mailed`] : []),
    ...(counts.skipped > 0 ? [`  left out   ${String(counts.skipped)} rows that repeat or are suppressed`] : []),
    ...[...check.attachments].map(([file, size]) => `  attached   ${path.basename(file)} (${String(size)} bytes)`),
  ];
  process.stderr.write(lines.map((line) => `${plainText(line, 400)}\n`).join(""));
  if (!process.stdin.isTTY) throw new Refusal("Nothing was sent. Confirm with --yes.");
  if (!(await isConfirmed("Type yes to send: "))) throw new Refusal("Nothing was sent.", exit.cancelled);
}

async function run(
  context: Context,
  plan: Plan,
  secrets: Secrets,
  limit: number | undefined,
  flags: Flags,
  title: string,
): Promise<number> {
  const stop = new AbortController();
  const abort = new AbortController();
  const progress = new Progress(flags.quiet === true);
  let bound: NodeJS.Timeout | undefined;
  const onSignal = (): void => {
    if (stop.signal.aborted) return abort.abort();
    stop.abort();
    progress.note("Stopping: waiting for the message in flight. Once more to stop hard.");
    // A server that never answers does not hold the program for ever: what is in doubt is then unknown.
    bound = setTimeout(() => abort.abort(), 30_000);
    bound.unref();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  progress.note(title);
  if (plan.startAt !== undefined && plan.startAt !== "")
    progress.note(
      `Starts ${momentText(Date.parse(plan.startAt), Date.now())}. This process must stay alive until then: nothing starts without it.`,
    );
  try {
    const summary = await runCampaign(
      plan,
      {
        clock: systemClock,
        logger: progress,
        random: Math.random,
        credentials: () => Promise.resolve(secrets.credentials),
        ...(secrets.accessTokens !== undefined && { accessTokens: secrets.accessTokens }),
      },
      {
        stop: stop.signal,
        abort: abort.signal,
        onProgress: (snapshot) => progress.show(snapshot),
        onAttempt: (event) => progress.attempt(event),
      },
      {
        takeOver: flags["take-over"] === true,
        patience,
        ...(limit !== undefined && { limit }),
      },
    );
    progress.end();
    await conclude(context, plan, summary);
    return exitCode(summary);
  } finally {
    clearTimeout(bound);
    secrets.over.abort();
    progress.end();
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

/** The totals, why it ended, and where everything lies: on stdout. */
async function conclude(context: Context, plan: Plan, summary: RunSummary): Promise<void> {
  const { accepted, failed, unknown, skipped, pending, ending } = summary;
  const lines = [
    `${String(accepted)} accepted, ${String(failed)} failed, ${String(unknown)} unknown, ${String(pending)} pending, ${String(skipped)} skipped.`,
  ];
  switch (ending.kind) {
    case "finished":
      break;
    case "stopped":
      lines.push("Stopped. Send again to go on: nobody is mailed twice.");
      break;
    case "limit":
      lines.push("The limit is reached. Send again to go on.");
      break;
    case "later":
      lines.push(`Paused: ${waitingText(ending.waiting, Date.now())}. Send again to go on: nobody is mailed twice.`);
      break;
    case "missed":
      lines.push(`It was to start at ${ending.startAt} and did not. Send again to start it now.`);
      break;
    case "account":
      lines.push(ending.failure.text);
      if (ending.failure.reply !== undefined) lines.push(`The server said: ${ending.failure.reply}`);
      if (ending.failure.signIn === true)
        lines.push("Here that means: give a new sign-in in BULK_MAIL_TOKEN_FILE or BULK_MAIL_TOKEN, then send again.");
      break;
    case "failures":
      lines.push(`Paused: ${ending.text} ${ending.failure.text}`);
      break;
    case "broken":
    case "locked":
      lines.push(plainText(ending.text));
      break;
  }
  if (unknown > 0)
    lines.push(
      "Unknown: the message may have arrived. Look into the Sent folder before you send to these people again.",
    );
  if (ending.kind !== "locked")
    lines.push(
      await writeReportCsv(plan).then(
        (file) => `Report: ${file}`,
        // A full disk must not take the words about it away.
        () => "The report could not be written to the disk: bulk-mail report shows it.",
      ),
    );
  if (plan.target.kind === "sandbox")
    lines.push(
      `Mails:  ${sandboxDirectory(context.stateDirectory, plan.campaignId)}`,
      "Sandbox: nothing left this machine.",
    );
  if (plan.target.kind === "outbox")
    lines.push(`Mails:  ${plan.target.directory}`, "Dry run: nothing left this machine.");
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

function exitCode({ ending, failed, unknown }: RunSummary): number {
  switch (ending.kind) {
    case "finished":
      return failed + unknown > 0 ? exit.problems : exit.ok;
    case "stopped":
      return exit.cancelled;
    case "account":
    case "broken":
      return ending.kind === "account" && ["quota", "throttled"].includes(ending.failure.class)
        ? exit.paused
        : exit.account;
    case "failures":
    case "later":
    case "limit":
    case "locked":
    case "missed":
      return exit.paused;
  }
}

function alreadySent({ plan, totals, listChanged }: RunState): number {
  const { accepted, failed, unknown } = totals;
  const everyone = failed + unknown === 0;
  process.stdout.write(
    `${everyone ? `All ${String(accepted)} were` : `${String(accepted)} were`} already sent (run of ${plan.createdAt}); nothing was sent now.\n` +
      (everyone ? "" : `${String(failed)} failed and ${String(unknown)} are unknown: see bulk-mail report.\n`) +
      (listChanged ? "The list has changed since. Who was added to it is not mailed by this.\n" : "") +
      "To send to everyone once more, add --again.\n",
  );
  return everyone && !listChanged ? exit.ok : exit.problems;
}

function describeTotals({ totals }: RunState): string {
  const { accepted, failed, unknown, pending } = totals;
  return `${String(accepted)} accepted, ${String(failed)} failed, ${String(unknown)} unknown so far; ${String(pending)} to go.`;
}

/** The worker's sending: runs, tests, diagnoses and reports. Pure adapters around the core. */
import { randomUUID } from "node:crypto";
import {
  createPlan,
  diagnose,
  doctorSteps,
  FileError,
  formatTable,
  JournalError,
  lastRun,
  overlappingRun,
  openReport,
  ownerOfRuns,
  parseMailbox,
  PlanError,
  quote,
  readCertificates,
  RowError,
  runCampaign,
  runUnderAnotherId,
  sendTest,
  systemClock,
  writeReportCsv,
} from "./mail/index";
import type {
  AccessTokens,
  Account,
  AttemptEvent,
  CampaignIds,
  Diagnosis,
  DoctorStep,
  Entry,
  Logger,
  Mailbox,
  Pace,
  Plan,
  RunState,
  World,
} from "./mail/index";
import { LivePace } from "./livePace";
import { checkCampaign, entryAt, openCampaign } from "./workerCampaign";
import type {
  CampaignRequest,
  HostApi,
  InterruptedRun,
  RunAddress,
  RunHolder,
  RunOrder,
  RunReply,
  TestOrder,
  TestReply,
} from "./workerProtocol";

/** Attempts are told to the host in batches of this many milliseconds, so that fast runs do not flood it. */
const gatherMs = 250;

/** Why there is no run. */
type NotRun = Exclude<RunReply, { kind: "ran" }>;

interface Steering {
  readonly stop: AbortController;
  readonly abort: AbortController;
}

/** Runs, tests and diagnoses in progress, by the host's key. */
export class Runs {
  private readonly running = new Map<string, Steering>();
  private readonly paces = new Map<string, LivePace>();

  constructor(
    private readonly host: HostApi,
    private readonly ids: CampaignIds,
    private readonly logger: Logger,
  ) {}

  /** Sends until the run comes to rest. */
  async run(order: RunOrder): Promise<RunReply> {
    return await this.steered(order.key, async (steering) => {
      const pace = new LivePace(order.pace);
      this.paces.set(order.key, pace);
      const attempts = gather<AttemptEvent>((events) => this.host.attempts(order.key, events));
      try {
        const plan = order.kind === "new" ? await this.plan(order, steering.stop.signal) : await planOf(order);
        if ("kind" in plan) return plan;
        const summary = await runCampaign(
          plan,
          {
            clock: systemClock,
            logger: this.logger,
            random: () => Math.random(),
            credentials: () => this.host.credentials(order.key),
            accessTokens: this.tokens(order.key),
          },
          {
            stop: steering.stop.signal,
            abort: steering.abort.signal,
            onProgress: (progress) => this.host.progress(order.key, progress),
            onAttempt: (event) => attempts.add(event),
            pace,
          },
          { takeOver: order.kind === "resume" && order.takeOver },
        );
        return { kind: "ran", campaignId: plan.campaignId, summary };
      } catch (error) {
        // What a plan cannot be made of is told in the core's own words; all else is broken code or a broken disk.
        if (error instanceof PlanError || error instanceof JournalError)
          return { kind: "refused", text: error.message };
        if (error instanceof FileError) {
          return { kind: "refused", text: `${quote(error.file)} ${error.detail}. Nothing was sent.` };
        }
        throw error;
      } finally {
        attempts.flush();
        this.paces.delete(order.key);
      }
    });
  }

  /** Walks the way to a server with the host's secret for `key`. */
  async diagnose(
    key: string,
    account: Account,
    root: string | undefined,
    caSha256: string | undefined,
    sendTo: string | undefined,
  ): Promise<Diagnosis> {
    return await this.steered(key, async ({ abort }) => {
      const onStep = (step: DoctorStep): void => {
        this.host.doctorStep(key, step);
      };
      try {
        return await diagnose(account, {
          root,
          caSha256,
          credentials: await this.host.credentials(key),
          accessTokens: this.tokens(key),
          signal: abort.signal,
          onStep,
          ...(sendTo === undefined ? {} : { sendTo: mailboxOf(sendTo) }),
        });
      } catch (error) {
        const diagnosis = withoutCertificates(error);
        for (const step of diagnosis.steps) if (step.state !== "skipped") onStep(step);
        return diagnosis;
      }
    });
  }

  /** Sends one row's message to another address. */
  async sendTest(order: TestOrder): Promise<TestReply> {
    return await this.steered(order.key, async ({ abort }) => {
      const opened = await openCampaign(order.campaign, this.ids);
      const { prepared } = opened;
      if (prepared === undefined) return { ok: false, problems: opened.problems };
      const { index, target, stateDirectory } = order;
      const isWanted = (one: Entry, at: number): boolean => (index === undefined ? one.kind === "mail" : at === index);
      const entry = await entryAt(prepared, isWanted, abort.signal);
      if (entry?.kind !== "mail") {
        return { ok: false, problems: entry?.kind === "invalid" ? entry.problems : opened.problems };
      }
      const to = mailboxOf(order.to);
      try {
        const { root } = order.campaign;
        const ca =
          target.kind === "account" ? await readCertificates(target.account, root, target.caSha256) : undefined;
        const credentials = await this.host.credentials(order.key);
        const accessTokens = this.tokens(order.key);
        const about = { stateDirectory, ca, credentials, accessTokens, testId: randomUUID(), date: new Date() };
        return await sendTest(prepared, entry, to, target, about, abort.signal);
      } catch (error) {
        if (error instanceof RowError) return { ok: false, problems: error.problems };
        return { ok: false, failure: { class: "account", stage: "connect", text: certificatesMissing(error) } };
      }
    });
  }

  /** Does something that `abort` of its key ends. */
  async abortable<T>(key: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return await this.steered(key, ({ abort }) => work(abort.signal));
  }

  stop(key: string): void {
    this.running.get(key)?.stop.abort();
  }

  abort(key: string): void {
    this.running.get(key)?.stop.abort();
    this.running.get(key)?.abort.abort();
  }

  setPace(key: string, pace: Pace): void {
    this.paces.get(key)?.set(pace);
  }

  private tokens(key: string): AccessTokens {
    return (refused) => this.host.accessToken(key, refused);
  }

  private async steered<T>(key: string, work: (steering: Steering) => Promise<T>): Promise<T> {
    if (this.running.has(key)) throw new Error(`Something called ${key} is active already.`);
    const steering = { stop: new AbortController(), abort: new AbortController() };
    this.running.set(key, steering);
    try {
      return await work(steering);
    } finally {
      this.running.delete(key);
    }
  }

  /** Checks again and copies, so that what is sent is what was confirmed. */
  private async plan(order: Extract<RunOrder, { kind: "new" }>, signal: AbortSignal): Promise<Plan | NotRun> {
    let found;
    try {
      found = await checkCampaign(order.campaign, this.ids, signal);
    } catch (error) {
      if (signal.aborted) return { kind: "cancelled" };
      throw error;
    }
    const { reply, opened, checked: check } = found;
    if (reply.fingerprint !== order.fingerprint || check === undefined || opened.prepared === undefined) {
      return { kind: "changed" };
    }
    return await createPlan(
      {
        stateDirectory: order.stateDirectory,
        prepared: opened.prepared,
        check,
        target: order.target,
        root: order.campaign.root,
        csv: order.campaign.csv,
        sender: opened.sender,
        pace: order.pace,
        startAt: order.startAt,
        previousRunId: order.previousRunId,
      },
      systemClock,
    );
  }
}

function mailboxOf(text: string): Mailbox {
  const found = parseMailbox(text);
  if (!found.ok) throw new Error("The host lets only one valid address through.");
  return found.mailbox;
}

/** The only file that a test or a sign-in opens is the account's certificate file; any other error is thrown again. */
export function certificatesMissing(error: unknown): string {
  if (!(error instanceof FileError)) throw error;
  return `The certificate file ${quote(error.file)} ${error.detail}. Correct it in Bulk Mail: Accounts.`;
}

/** A diagnosis that ended before it connected: the account's certificate file cannot be used. */
function withoutCertificates(error: unknown): Diagnosis {
  const text = certificatesMissing(error);
  const none = { ms: 0, seen: "", text: "", fixes: [] };
  const steps = doctorSteps.map((name): DoctorStep => {
    if (name !== "certificate") return { ...none, name, state: "skipped" };
    return {
      ...none,
      name,
      state: "failed",
      text,
      fixes: [{ kind: "field", title: "Correct the CA file", field: "tls.caFile" }],
    };
  });
  return { steps, ok: false, failure: { class: "account", stage: "connect", text }, transcript: `# failed: ${text}` };
}

/** How the last run stands. */
export async function lastRunOf(address: RunAddress): Promise<RunState | undefined> {
  const { stateDirectory, campaignId, world, tolerant = false } = address;
  return await lastRun(stateDirectory, campaignId, world, { tolerant });
}

/** Who holds the campaign's runs. */
export async function holderOf({ stateDirectory, campaignId, world }: RunAddress): Promise<RunHolder | undefined> {
  return await ownerOfRuns(stateDirectory, campaignId, world);
}

/** The run that mailed these people under another id: from the same file, or by the same subject. */
export async function underAnotherId(
  request: CampaignRequest,
  campaignId: string,
  stateDirectory: string,
  ids: CampaignIds,
): Promise<RunState | undefined> {
  const same = await runUnderAnotherId(stateDirectory, request.file, campaignId);
  if (same !== undefined) return same;
  const { prepared } = await openCampaign(request, ids);
  return prepared === undefined ? undefined : await overlappingRun(stateDirectory, prepared);
}
/** Rows of a report that a person looks through in an editor; more are in a file. */
const tableRows = 2000;

/** The last run's report as a table, or undefined when nothing was sent yet. */
export async function report({ stateDirectory, campaignId, world }: RunAddress): Promise<string | undefined> {
  const last = await lastRun(stateDirectory, campaignId, world, { tolerant: true });
  if (last === undefined) return undefined;
  const { plan } = last;
  return await formatTable(await openReport(plan), { most: tableRows, everybody: () => writeReportCsv(plan) });
}

/** What was left unfinished among `files`. */
export async function interrupted(
  files: readonly string[],
  stateDirectory: string,
  ids: CampaignIds,
): Promise<readonly InterruptedRun[]> {
  const found: InterruptedRun[] = [];
  for (const world of ["real", "sandbox"] satisfies World[]) {
    for (const [campaignId, file] of await ids.among(files)) {
      const last = await lastRun(stateDirectory, campaignId, world);
      if (last === undefined || (last.state !== "interrupted" && !last.silent)) continue;
      const { plan, totals, silent } = last;
      found.push({ file, campaignId, runId: plan.runId, world, totals, startAt: plan.startAt, silent });
    }
  }
  return found;
}

/** The plan that was interrupted, through the account as it is now: what stopped it may have been mended there. */
async function planOf(order: Extract<RunOrder, { kind: "resume" }>): Promise<Plan | NotRun> {
  const { target, stateDirectory, campaignId } = order;
  const last = await lastRun(stateDirectory, campaignId, target.kind === "account" ? "real" : target.kind);
  if (last?.plan.runId !== order.runId) return { kind: "changed" };
  const { root } = last.plan;
  const ca = target.kind === "account" ? await readCertificates(target.account, root, target.caSha256) : undefined;
  return { ...last.plan, target, ca, pace: order.pace, startAt: order.startAt };
}

/** Hands over what was added, together and in order, a moment after the first. */
function gather<T>(deliver: (items: readonly T[]) => void): { add(item: T): void; flush(): void } {
  let items: T[] = [];
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (items.length > 0) deliver(items);
    items = [];
  };
  return {
    add: (item) => {
      items.push(item);
      timer ??= setTimeout(flush, gatherMs);
    },
    flush,
  };
}

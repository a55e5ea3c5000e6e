/** The background send: owns the worker that sends, one run a campaign at a time, and tells how each of them stands. */
import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import * as vscode from "vscode";
import type { ResolvedAccount } from "./accounts";
import { campaignName } from "./campaignFiles";
import { DisposableStore } from "./dispose";
import type { Disposable } from "./dispose";
import type { Log } from "./log";
import type {
  AuthorizationRequest,
  Credentials,
  Diagnosis,
  DoctorStep,
  Grant,
  Granted,
  OAuthClient,
  Pace,
  Progress,
  Target,
  TokenReply,
  Totals,
} from "./mail/index";
import { mailboxOf, plainText } from "./mail/index";
import { HumanError } from "./notify";
import type { Handlers } from "./rpc";
import type { RunEnd, RunView } from "./runView";
import type {
  CampaignRequest,
  HostApi,
  InterruptedRun,
  OAuthWay,
  RunOrder,
  RunReply,
  TestOrder,
  TestReply,
} from "./workerProtocol";
import { WorkerEnded, WorkerThread } from "./workerThread";

/** How long Stop waits for replies before it ends the run all the same, milliseconds. */
const stopGraceMs = 30_000;
/** How long VS Code's own end waits for them, milliseconds. */
const closeGraceMs = 4_000;

/** What somebody confirmed. */
export interface SendRequest {
  readonly campaign: vscode.Uri;
  readonly target: Target;
  readonly stateDirectory: string;
  readonly pace: Pace;
  /** The pace as the settings have it now. Rejects with `HumanError` while they cannot be used. */
  readonly currentPace: () => Promise<Pace>;
  /** Not before this moment, milliseconds since the epoch; undefined is at once. */
  readonly startAt: number | undefined;
  /** How many messages there are at most, for the first picture. */
  readonly total: number;
  readonly what:
    | {
        readonly kind: "new";
        readonly request: CampaignRequest;
        readonly fingerprint: string;
        readonly previousRunId: string | undefined;
      }
    | {
        readonly kind: "resume";
        readonly campaignId: string;
        readonly runId: string;
        /** Also from a live owner that has been silent; a person said so. */
        readonly takeOver: boolean;
      };
  readonly secrets: SecretSource;
}

/** The secrets of a run, a test or a diagnosis, handed out while it goes on. */
export interface SecretSource {
  /** Called right before the secret is used; throws `HumanError` when it may not be used any more. */
  credentials(): Promise<Credentials>;
  /** As `AccessTokens`. Never throws. */
  accessToken(refused?: string): Promise<TokenReply>;
}

/** How a diagnosis is made. */
export interface DiagnosisRequest {
  /** `Name <address>` or an address that gets a test mail; a person has confirmed it. */
  readonly sendTo?: string | undefined;
  /** Told each step as soon as it is known. */
  readonly onStep?: (step: DoctorStep) => void;
  readonly signal: AbortSignal;
}

interface Active {
  readonly request: SendRequest;
  readonly key: string;
  readonly lane: string;
  readonly ended: Promise<unknown>;
  view: RunView;
  /** The pace that it goes at. */
  pace: Pace;
  /** Why it was asked to come to rest. */
  asked: "pause" | "stop" | undefined;
  /** Ends its wait for others: it was asked to come to rest. */
  readonly turnAway: () => void;
}

/** Starts, steers and watches runs. */
export class SendTask implements Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.add(new vscode.EventEmitter<RunView>());
  private readonly rested = this.owned.add(new vscode.EventEmitter<RunEnd>());
  private readonly thread: WorkerThread;
  private readonly runs = new Map<string, Active>();
  private readonly paused = new Map<string, RunView>();
  /** Secrets on demand, by the key under which the worker asks. */
  private readonly secrets = new Map<string, SecretSource>();
  /** Who is told the steps of a diagnosis, by its key. */
  private readonly watchers = new Map<string, (step: DoctorStep) => void>();
  private closing = false;
  /** Settings that changed are read one after the other: the last one wins. */
  private pacing: Promise<unknown> = Promise.resolve();

  /** A run moved on; a run that is over is not among `views` any more. */
  readonly onDidChange = this.changed.event;
  /** A run came to rest. */
  readonly onDidEnd = this.rested.event;

  /** @param script absolute path of the worker's bundle */
  constructor(
    script: string,
    private readonly log: Log,
  ) {
    const host: Handlers<HostApi> = {
      credentials: (key) => this.secretsOf(key).credentials(),
      accessToken: (key, refused) => this.secretsOf(key).accessToken(refused),
      progress: (key, progress) => {
        this.progressed(key, progress);
      },
      attempts: (key, events) => {
        const name = this.byKey(key)?.view.name ?? "";
        for (const event of events) log.attempt(name, event);
      },
      doctorStep: (key, step) => {
        this.watchers.get(key)?.(step);
      },
      log: (level, text) => {
        log[level](text);
      },
    };
    this.thread = this.owned.add(new WorkerThread(script, host));
  }

  /** Every run that is active, paused or known to be interrupted, active ones first. */
  get views(): readonly RunView[] {
    return [...[...this.runs.values()].map(({ view }) => view), ...this.paused.values()];
  }

  /** Whether the campaign is being sent now, or waits to be. */
  isActive(campaign: string): boolean {
    return this.runs.has(campaign);
  }

  /** Sends in the background until the run comes to rest; waits while the same mailbox is busy with another campaign. */
  async start(request: SendRequest): Promise<RunEnd> {
    const file = request.campaign.fsPath;
    if (this.closing) throw new HumanError("VS Code is closing. Send again when it is back.");
    if (this.runs.has(file)) throw new HumanError("This campaign is being sent already. Pause it first.");
    const key = randomUUID();
    const lane = laneOf(request.target);
    // Who waits for a chosen start, here or there, is in nobody's way: the mailbox is free until then.
    const before =
      request.startAt === undefined
        ? [...this.runs.values()].filter((other) => other.lane === lane && !isToStart(other))
        : [];
    let settle: (() => void) | undefined;
    let turnAway: () => void = () => undefined;
    const turnedAway = new Promise<void>((resolve) => (turnAway = resolve));
    const active: Active = {
      request,
      key,
      lane,
      ended: new Promise<void>((resolve) => (settle = resolve)),
      view: {
        file,
        name: campaignName(file),
        sandbox: request.target.kind !== "account",
        phase: before.length > 0 ? "queued" : "preparing",
        total: request.total,
        totals: undefined,
        ...(before[0] !== undefined && {
          waiting: { why: "mailbox", until: undefined, who: before[0].view.name },
        }),
        startAt: request.startAt,
      },
      pace: request.pace,
      asked: undefined,
      turnAway,
    };
    this.paused.delete(file);
    this.runs.set(file, active);
    this.changed.fire(active.view);
    try {
      await Promise.race([Promise.all(before.map(({ ended }) => ended)), turnedAway]);
      const outcome = active.asked === undefined ? await this.run(active) : ({ kind: "cancelled" } as const);
      return this.rest(active, outcome);
    } catch (error) {
      this.rest(active, undefined);
      throw error;
    } finally {
      settle?.();
    }
  }

  /** Takes nothing new and awaits what is in flight; the run can be resumed. */
  pause(campaign: string): void {
    this.bringToRest(campaign, "pause");
  }

  /** Like pause, but replies are awaited for 30 s only and the run is out of the way. */
  stop(campaign: string): void {
    const paused = this.paused.get(campaign);
    this.paused.delete(campaign);
    if (paused !== undefined) this.changed.fire(paused);
    const active = this.bringToRest(campaign, "stop");
    if (active === undefined) return;
    const abort = setTimeout(() => this.thread.steer("abort", active.key), stopGraceMs);
    void active.ended.then(() => clearTimeout(abort));
  }

  /** Lets every run go at the pace that the settings have now. */
  async readPaces(): Promise<void> {
    const reading = this.pacing.then(async () => {
      for (const active of this.runs.values()) await this.readPace(active);
    });
    this.pacing = reading;
    await reading;
  }

  /** Shows runs that an earlier window left unfinished. */
  showInterrupted(runs: readonly InterruptedRun[]): void {
    for (const { file, world, totals, startAt, silent } of runs) {
      if (this.runs.has(file) || this.paused.has(file)) continue;
      const view: RunView = {
        file,
        name: campaignName(file),
        sandbox: world !== "real",
        phase: "paused",
        total: sum(totals),
        totals,
        startAt: startAt === undefined ? undefined : Date.parse(startAt),
        silent,
      };
      this.paused.set(file, view);
      this.changed.fire(view);
    }
  }

  /**
   * Walks the way to the account's server, on the very path that sends, and says what it sees; every step goes to the log.
   * Nothing is sent, but for a test mail where one is wanted. Aborting the signal gives up.
   */
  async diagnose(
    { account, root, caSha256 }: Pick<ResolvedAccount, "account" | "root" | "caSha256">,
    secrets: SecretSource,
    { sendTo, onStep, signal }: DiagnosisRequest,
  ): Promise<Diagnosis> {
    return await this.abortable(signal, async (key) => {
      this.watchers.set(key, (step) => {
        this.log.step(account.id, step);
        onStep?.(step);
      });
      try {
        const walk = (): Promise<Diagnosis> => this.thread.request("diagnose", key, account, root, caSha256, sendTo);
        return await this.withSecrets(secrets, walk, key);
      } finally {
        this.watchers.delete(key);
      }
    });
  }

  /** Sends one message to somebody who is not on the list. Aborting `signal` gives up. */
  async sendTest(order: Omit<TestOrder, "key">, secrets: SecretSource, signal: AbortSignal): Promise<TestReply> {
    return await this.abortable(signal, async (key) => {
      return await this.withSecrets(secrets, () => this.thread.request("sendTest", { ...order, key }), key);
    });
  }

  /** Turns what the browser brought into a grant, on the account's own way to its provider. Aborting `signal` gives up. */
  async redeem(
    way: OAuthWay,
    client: OAuthClient,
    request: AuthorizationRequest,
    code: string,
    signal: AbortSignal,
  ): Promise<Granted> {
    return await this.abortable(signal, (key) => this.thread.request("redeemCode", key, way, client, request, code));
  }

  /** Takes a grant back; false when the provider could not be told. Aborting `signal` gives up. */
  async revoke(way: OAuthWay, grant: Grant, signal: AbortSignal): Promise<boolean> {
    return await this.abortable(signal, (key) => this.thread.request("revokeGrant", key, way, grant));
  }

  /** Asks the sending worker about runs on disk. */
  readonly ask: Pick<WorkerThread, "request"> = { request: (method, ...args) => this.thread.request(method, ...args) };

  /** Closes the gate and awaits replies for 4 s: VS Code is closing. */
  async close(): Promise<void> {
    this.closing = true;
    const all = [...this.runs.values()];
    for (const { view } of all) this.pause(view.file);
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise((resolve) => (timer = setTimeout(resolve, closeGraceMs)));
    await Promise.race([Promise.all(all.map(({ ended }) => ended)), grace]);
    clearTimeout(timer);
    this.thread.end();
  }

  dispose(): void {
    this.owned.dispose();
  }

  private async run(active: Active): Promise<RunEnd["outcome"]> {
    const { request, key } = active;
    this.update(active, { phase: "preparing", waiting: undefined });
    const base = {
      key,
      stateDirectory: request.stateDirectory,
      target: request.target,
      pace: active.pace,
      startAt: request.startAt === undefined ? undefined : new Date(request.startAt).toISOString(),
    };
    const { what } = request;
    const order: RunOrder =
      what.kind === "resume"
        ? { ...base, ...what }
        : {
            ...base,
            kind: "new",
            campaign: what.request,
            fingerprint: what.fingerprint,
            previousRunId: what.previousRunId,
          };
    let refusal: unknown;
    const credentials = async (): Promise<Credentials> => {
      try {
        return await request.secrets.credentials();
      } catch (error) {
        refusal = error;
        throw error;
      }
    };
    const secrets: SecretSource = { credentials, accessToken: (refused) => request.secrets.accessToken(refused) };
    try {
      return await this.withSecrets<RunReply>(secrets, () => this.thread.request("run", order), key);
    } catch (error) {
      // A thread carries no classes across: what the host refused, it tells in its own words.
      if (refusal instanceof Error) throw refusal;
      if (error instanceof WorkerEnded) {
        this.log.error(error.message);
        return { kind: "died" };
      }
      throw error;
    }
  }

  private async readPace(active: Active): Promise<void> {
    const { name } = active.view;
    try {
      const pace = await active.request.currentPace();
      if (isDeepStrictEqual(pace, active.pace)) return;
      active.pace = pace;
      this.thread.steer("pace", active.key, pace);
      this.log.info(`${plainText(name, 60)}: goes on at the pace that the settings have now.`);
    } catch (error) {
      // Somebody may be in the middle of typing: what held before holds until the settings can be read again.
      const text = error instanceof Error ? error.message : String(error);
      this.log.warn(`${plainText(name, 60)}: keeps its pace. ${plainText(text)}`);
    }
  }

  /** Runs `work` under a key of its own; aborting `signal` ends in the worker whatever goes by that key. */
  private async abortable<T>(signal: AbortSignal, work: (key: string) => Promise<T>): Promise<T> {
    const key = randomUUID();
    const abort = (): void => this.thread.steer("abort", key);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await work(key);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  private async withSecrets<T>(
    secrets: SecretSource,
    work: (key: string) => Promise<T>,
    key: string = randomUUID(),
  ): Promise<T> {
    this.secrets.set(key, secrets);
    try {
      return await work(key);
    } finally {
      this.secrets.delete(key);
    }
  }

  private secretsOf(key: string): SecretSource {
    const secrets = this.secrets.get(key);
    if (secrets === undefined) throw new Error("Nobody waits for this secret any more.");
    return secrets;
  }

  private bringToRest(campaign: string, how: "pause" | "stop"): Active | undefined {
    const active = this.runs.get(campaign);
    if (active === undefined) return undefined;
    active.asked = how;
    active.turnAway();
    this.thread.steer("stop", active.key);
    this.update(active, { phase: "stopping" });
    return active;
  }

  private progressed(key: string, progress: Progress): void {
    const active = this.byKey(key);
    if (active === undefined) return;
    const phase =
      active.asked !== undefined ? "stopping" : progress.state === "starting" ? "preparing" : progress.state;
    this.update(active, { phase, total: progress.total, totals: progress, waiting: progress.waiting });
  }

  private rest(active: Active, outcome: RunEnd["outcome"] | undefined): RunEnd {
    const { file } = active.view;
    this.runs.delete(file);
    const summary = outcome?.kind === "ran" ? outcome.summary : undefined;
    const ending = summary?.ending;
    const silent = ending?.kind === "locked" && ending.silent;
    const totals = summary ?? active.view.totals;
    const signIn = ending?.kind === "account" && ending.failure.signIn === true;
    const view: RunView = { ...active.view, phase: "paused", totals, waiting: undefined, silent, signIn };
    const unfinished =
      outcome?.kind === "died" || (outcome?.kind === "ran" && outcome.summary.ending.kind !== "finished");
    if (unfinished && active.asked !== "stop") this.paused.set(file, view);
    this.changed.fire(view);
    const { target } = active.request;
    const account = target.kind === "account" ? target.account.id : undefined;
    const end: RunEnd = { view, account, outcome: outcome ?? { kind: "cancelled" } };
    if (outcome !== undefined) this.rested.fire(end);
    return end;
  }

  private update(active: Active, change: Partial<RunView>): void {
    active.view = { ...active.view, ...change };
    this.changed.fire(active.view);
  }

  private byKey(key: string): Active | undefined {
    return [...this.runs.values()].find((active) => active.key === key);
  }
}

/** Whether a run still waits for the start that was chosen. */
function isToStart({ request: { startAt } }: Active): boolean {
  return startAt !== undefined && startAt > Date.now();
}

/** One process sends through a mailbox at a time; the sandbox is its own. */
function laneOf(target: Target): string {
  if (target.kind !== "account") return target.kind;
  return mailboxOf(target.account);
}

function sum({ accepted, failed, unknown, skipped, pending }: Totals): number {
  return accepted + failed + unknown + skipped + pending;
}

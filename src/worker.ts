/** Entry point of the worker threads: messages in, the core's work, snapshots out. One bundle serves language work and runs. */
import { parentPort } from "node:worker_threads";
import { CampaignIds, forecastFor, systemClock } from "./mail/index";
import type { Logger } from "./mail/index";
import { createRpc, nodePort } from "./rpc";
import type { Rpc } from "./rpc";
import { checkCampaign, describeList, Previews, symbolsOf, warmUp } from "./workerCampaign";
import * as oauth from "./workerOAuth";
import { ListOutcomes } from "./workerOutcomes";
import type { HostApi, WorkerApi } from "./workerProtocol";
import * as records from "./workerRecords";
import { holderOf, interrupted, lastRunOf, report, Runs, underAnotherId } from "./workerRuns";

/** Lets only the newest piece of work on a subject go on: starting one aborts the one before it. */
class Newest {
  private readonly current = new Map<string, AbortController>();

  async run<T>(subject: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.current.get(subject)?.abort();
    const controller = new AbortController();
    this.current.set(subject, controller);
    try {
      return await work(controller.signal);
    } finally {
      if (this.current.get(subject) === controller) this.current.delete(subject);
    }
  }
}

function serve(port: NonNullable<typeof parentPort>): void {
  const host: HostApi = {
    credentials: (key) => rpc.request("credentials", key),
    accessToken: (key, refused) => rpc.request("accessToken", key, refused),
    progress: (key, progress) => {
      rpc.event("progress", key, progress);
    },
    attempts: (key, events) => {
      rpc.event("attempts", key, events);
    },
    doctorStep: (key, step) => {
      rpc.event("doctorStep", key, step);
    },
    log: (level, text) => {
      rpc.event("log", level, text);
    },
  };
  const logger: Logger = {
    debug: (text) => host.log("debug", text),
    info: (text) => host.log("info", text),
    warn: (text) => host.log("warn", text),
    error: (text) => host.log("error", text),
  };
  const ids = new CampaignIds();
  const previews = new Previews(ids);
  const outcomes = new ListOutcomes(ids);
  const runs = new Runs(host, ids, logger);
  const newest = new Newest();
  const rpc: Rpc<HostApi> = createRpc<HostApi, WorkerApi>(nodePort(port), {
    ready: () => undefined,
    warmUp: () => warmUp(ids),
    check: (request) =>
      newest.run(`check ${request.file}`, async (signal) => (await checkCampaign(request, ids, signal)).reply),
    preview: (request, index) =>
      newest.run(`preview ${request.file}`, (signal) => previews.preview(request, index, signal)),
    findRow: (request, wanted, from) =>
      newest.run(`find ${request.file}`, (signal) => previews.find(request, wanted, from, signal)),
    describeList,
    symbols: (request) => newest.run(`symbols ${request.file}`, (signal) => symbolsOf(request, ids, signal)),
    outcomes: (request, stateDirectory, lines) =>
      newest.run(`outcomes ${request.file}`, (signal) => outcomes.between(request, stateDirectory, lines, signal)),
    run: (order) => runs.run(order),
    stop: (key) => {
      runs.stop(key);
    },
    abort: (key) => {
      runs.abort(key);
    },
    pace: (key, pace) => {
      runs.setPace(key, pace);
    },
    diagnose: (...order) => runs.diagnose(...order),
    sendTest: (order) => runs.sendTest(order),
    redeemCode: (key, ...order) => runs.abortable(key, (signal) => oauth.redeem(...order, signal)),
    refreshToken: oauth.refresh,
    revokeGrant: (key, ...order) => runs.abortable(key, (signal) => oauth.revoke(...order, signal)),
    forecast: (stateDirectory, account, about) => forecastFor(stateDirectory, account, about, systemClock),
    idOf: (file) => ids.idOf(file),
    lastRun: lastRunOf,
    holder: holderOf,
    underAnotherId: (request, campaignId, stateDirectory) => underAnotherId(request, campaignId, stateDirectory, ids),
    interrupted: (files, stateDirectory) => interrupted(files, stateDirectory, ids),
    report,
    resolve: records.resolve,
    unknown: records.unknown,
    exportReport: records.exportReport,
    exportFailedRows: records.exportFailedRows,
    exportJournal: records.exportJournal,
    describeArchive: (archive, files) => records.describeArchive(archive, files, ids),
    importJournal: records.importJournal,
    forget: records.forget,
    forgetOld: records.forgetOld,
    receipt: records.receiptOf,
  });
}

if (parentPort !== null) serve(parentPort);

/** Stands in for the extension host: starts a run in the real worker thread and watches its own event loop. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { monitorEventLoopDelay, type IntervalHistogram } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { parseAccount } from "../src/mail/index";
import type { CampaignRequest } from "../src/workerProtocol";
import { WorkerThread } from "../src/workerThread";
import { flatOut, writeCampaign } from "./campaign";
import type { HostDelays } from "./eventLoop";
import { told } from "./processes";

async function main(): Promise<void> {
  const { port, count } = await told<{ port: number; count: number }>();
  const folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-bench-"));
  let events = 0;
  const heard = (): undefined => {
    events++;
  };
  const thread = new WorkerThread(path.join(__dirname, "../../dist/worker.js"), {
    credentials: () => Promise.resolve({}),
    accessToken: () => Promise.reject(new Error("The sandbox needs none.")),
    progress: heard,
    attempts: heard,
    doctorStep: heard,
    log: heard,
  });
  try {
    const campaign: CampaignRequest = {
      file: await writeCampaign(folder, count),
      root: folder,
      overlay: new Map(),
      csv: { delimiter: "auto", encoding: "auto" },
      senders: new Map(),
      defaultAccount: "bench",
      others: [],
    };
    const { value: account } = parseAccount("bench", { host: "127.0.0.1", port, security: "none", auth: "none" });
    if (account === undefined) throw new Error("The account is wrong.");
    const { fingerprint } = await thread.request("check", campaign);
    const idle = await watched(() => delay(2000));
    const began = performance.now();
    const sending = await watched(async () => {
      const reply = await thread.request("run", {
        key: "bench",
        kind: "new",
        campaign,
        pace: flatOut(5),
        fingerprint,
        previousRunId: undefined,
        startAt: undefined,
        stateDirectory: path.join(folder, "state"),
        target: { kind: "account", account, caSha256: undefined },
      });
      if (reply.kind !== "ran" || reply.summary.accepted !== count) throw new Error(JSON.stringify(reply));
    });
    const delays: HostDelays = { ms: performance.now() - began, idle, sending, events };
    process.send?.(delays);
  } finally {
    thread.dispose();
    await rm(folder, { recursive: true });
  }
}

async function watched(work: () => Promise<void>): Promise<{ p99: number; max: number }> {
  const histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await work();
  histogram.disable();
  return { p99: histogram.percentile(99) / 1e6, max: histogram.max / 1e6 };
}

void main();

/** One measured run of our own engine: the whole way, from files on disk through the journal to the wire. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import {
  checkRows,
  createPlan,
  diskFiles,
  parseAccount,
  prepareCampaign,
  runCampaign,
  silentLogger,
  systemClock,
} from "../src/mail/index";
import { flatOut, writeCampaign } from "./campaign";
import { stopwatch, told, type Order } from "./processes";

async function main(): Promise<void> {
  const { port, count, connections, attachment } = await told<Order>();
  const folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-bench-"));
  try {
    const file = await writeCampaign(folder, count, attachment);
    const { value: account } = parseAccount("bench", { host: "127.0.0.1", port, security: "none", auth: "none" });
    if (account === undefined) throw new Error("The account is wrong.");
    const request = {
      file,
      files: await diskFiles(folder),
      csv: { delimiter: "auto", encoding: "auto" },
      sender: { from: undefined, replyTo: undefined },
    } as const;
    const { value: prepared, problems } = await prepareCampaign(request);
    if (prepared === undefined) throw new Error(problems[0]?.message);
    const plan = await createPlan(
      {
        ...request,
        stateDirectory: path.join(folder, "state"),
        prepared,
        check: await checkRows(prepared),
        target: { kind: "account", account, caSha256: undefined },
        root: folder,
        pace: flatOut(connections),
        previousRunId: undefined,
      },
      systemClock,
    );
    const never = new AbortController().signal;
    const samples: { readonly done: number; readonly rssKb: number }[] = [];
    const measure = stopwatch();
    const summary = await runCampaign(
      plan,
      { clock: systemClock, logger: silentLogger, random: Math.random, credentials: () => Promise.resolve({}) },
      {
        stop: never,
        abort: never,
        onProgress: ({ accepted }) => samples.push({ done: accepted / count, rssKb: process.memoryUsage.rss() / 1024 }),
        onAttempt: () => {},
      },
    );
    const measured = measure();
    if (summary.accepted !== count) throw new Error(JSON.stringify(summary));
    process.send?.({ ...measured, samples });
  } finally {
    await rm(folder, { recursive: true });
  }
}

void main();

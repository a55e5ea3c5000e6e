/** Throughput against nodemailer's own pool: the same messages to the same sink, interleaved. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { diskFiles, prepareCampaign, takeApart } from "../src/mail/index";
import { writeCampaign } from "./campaign";
import { median, ratios, setting } from "./numbers";
import { message, run, serve, type Measure, type Order } from "./processes";

interface Case {
  readonly name: string;
  readonly connections: number;
  /** Share of `BENCH_COUNT`: a run lasts some seconds, so that what happens once in it (start, sign-in, end) weighs little. */
  readonly share: number;
  readonly attachment?: number;
  /** Through a relay with this round trip. */
  readonly roundTripMs?: number;
}

const cases: readonly Case[] = [
  { name: "5 KB, 1 connection", connections: 1, share: 1 },
  { name: "5 KB, 5 connections", connections: 5, share: 1.5 },
  { name: "5 KB, 10 connections", connections: 10, share: 1.5 },
  { name: "100 KB file, 5 connections", connections: 5, share: 1.5, attachment: 100 * 1024 },
  { name: "50 ms away, 1 connection", connections: 1, share: 1 / 50, roundTripMs: 50 },
  { name: "50 ms away, 5 connections", connections: 5, share: 1 / 10, roundTripMs: 50 },
];

export async function throughput(): Promise<void> {
  const rounds = setting("BENCH_ROUNDS", 3);
  const parts = await renderedParts();
  const sink = await serve("sink.js");
  let sent = 0;
  console.log(`nodemailer's pool is 1; ${String(rounds)} interleaved rounds, medians (lowest–highest round)\n`);
  console.log(
    "case                        messages  ours msg/s  pool msg/s  throughput         CPU a message      MB ours/pool",
  );
  for (const { name, connections, share, attachment = 0, roundTripMs } of cases) {
    const count = Math.round(setting("BENCH_COUNT", 3000) * share);
    const relay =
      roundTripMs === undefined ? undefined : await serve("relay.js", { port: sink.port, delayMs: roundTripMs / 2 });
    const order: Order = { port: relay?.port ?? sink.port, count, connections, attachment, parts };
    const ours: Measure[] = [];
    const pool: Measure[] = [];
    for (let round = 0; round < rounds; round++) {
      // Whoever comes second finds a warmer machine: they take turns.
      const turns = [
        async (): Promise<unknown> => ours.push(await run<Measure>("ours.js", order)),
        async (): Promise<unknown> => pool.push(await run<Measure>("pool.js", order)),
      ];
      for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn();
    }
    relay?.child.disconnect();
    sent += count * rounds * 2;
    const speed = (all: readonly Measure[]): number[] => all.map(({ ms }) => (count / ms) * 1000);
    const cpu = (all: readonly Measure[]): number[] => all.map(({ cpuMs }) => cpuMs / count);
    const memory = (all: readonly Measure[]): string => (median(all.map(({ maxRssKb }) => maxRssKb)) / 1024).toFixed(0);
    console.log(
      [
        name.padEnd(26),
        String(count).padStart(8),
        median(speed(ours)).toFixed(0).padStart(10),
        median(speed(pool)).toFixed(0).padStart(10),
        ratios(speed(ours), speed(pool)).padEnd(17),
        ratios(cpu(ours), cpu(pool)).padEnd(17),
        `${memory(ours)}/${memory(pool)}`,
      ].join("  "),
    );
  }
  sink.child.send("taken");
  const { taken } = await message<{ taken: number }>(sink.child);
  sink.child.disconnect();
  if (taken !== sent) throw new Error(`The sink has ${String(taken)} messages, not ${String(sent)}.`);
}

/** The parts of one of our messages, for the peer to send. */
async function renderedParts(): Promise<Order["parts"]> {
  const folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-bench-"));
  try {
    const { value } = await prepareCampaign({
      file: await writeCampaign(folder, 1),
      files: await diskFiles(folder),
      csv: { delimiter: "auto", encoding: "auto" },
      sender: { from: undefined, replyTo: undefined },
    });
    for await (const entry of value?.entries() ?? []) {
      if (value === undefined || entry.kind !== "mail") continue;
      const { bytes } = await value.compose(entry, { runId: "bench", date: new Date() });
      console.log(`one message has ${String(bytes.length)} bytes`);
      const { html, text } = await takeApart(bytes);
      return { html, text };
    }
    throw new Error("The campaign makes no message.");
  } finally {
    await rm(folder, { recursive: true });
  }
}

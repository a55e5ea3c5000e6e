/** Throughput and memory against nodemailer's own pool: the same messages to the same sink, interleaved, in one run. Prints ratios. */
import { fork, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { diskFiles, prepareCampaign, takeApart } from "../src/mail/index";
import { writeCampaign } from "./campaign";

const count = Number(process.env.BENCH_COUNT ?? 3000);
const rounds = Number(process.env.BENCH_ROUNDS ?? 5);

interface Measure {
  readonly ms: number;
  readonly maxRssKb: number;
}

async function main(): Promise<void> {
  const parts = await renderedParts();
  const sink = fork(path.join(__dirname, "sink.js"));
  const { port } = await message<{ port: number }>(sink);
  console.log(`${String(count)} messages a run, ${String(rounds)} interleaved rounds, medians\n`);
  console.log("connections  ours msg/s  pool msg/s  ratio   ours MB  pool MB");
  for (const connections of [1, 5]) {
    const ours: Measure[] = [];
    const pool: Measure[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(await run("ours.js", [port, count, connections]));
      pool.push(await run("pool.js", [port, count, connections], parts));
    }
    const [a, b] = [ours, pool].map((all) => (count / median(all.map(({ ms }) => ms))) * 1000) as [number, number];
    const [memoryA, memoryB] = [ours, pool].map((all) => median(all.map(({ maxRssKb }) => maxRssKb)) / 1024) as [
      number,
      number,
    ];
    console.log(
      `${String(connections).padStart(11)}  ${a.toFixed(0).padStart(10)}  ${b.toFixed(0).padStart(10)}  ${(a / b).toFixed(2).padStart(5)}×  ${memoryA.toFixed(0).padStart(7)}  ${memoryB.toFixed(0).padStart(7)}`,
    );
  }
  sink.send("taken");
  const { taken } = await message<{ taken: number }>(sink);
  sink.disconnect();
  const expected = count * rounds * 4;
  if (taken !== expected) throw new Error(`The sink has ${String(taken)} messages, not ${String(expected)}.`);
}

/** The parts of one of our messages, for the peer to send. */
async function renderedParts(): Promise<{ html: string; text: string }> {
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
      return await takeApart(bytes);
    }
    throw new Error("The campaign makes no message.");
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function run(file: string, numbers: readonly number[], parts?: object): Promise<Measure> {
  const child = fork(path.join(__dirname, file), numbers.map(String));
  if (parts !== undefined) child.send(parts);
  const measure = await message<Measure>(child);
  child.disconnect();
  return measure;
}

function message<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once("message", (value) => resolve(value as T));
    child.once("exit", (code) => reject(new Error(`ended with ${String(code)}`)));
  });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

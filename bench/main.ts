/** Runs the benchmarks, a topic after the other, and prints ratios wherever time is involved. `BENCH_ONLY` is a pattern of topics. */
import { eventLoop } from "./eventLoop";
import { bigList } from "./bigList";
import { memory } from "./memory";
import { script } from "./processes";
import { throughput } from "./throughput";

const topics: Readonly<Record<string, () => Promise<void>>> = {
  throughput,
  eventLoop,
  bigList,
  memory,
  // Forks itself, so it must be a file of its own.
  resume: () => script("resume.js"),
};

async function main(): Promise<void> {
  const wanted = new RegExp(process.env.BENCH_ONLY ?? "", "i");
  for (const [name, run] of Object.entries(topics)) {
    if (!wanted.test(name)) continue;
    console.log(`\n# ${name}`);
    await run();
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

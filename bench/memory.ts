/** Memory over a long run: whether it grows with what was sent. */
import { median, setting } from "./numbers";
import { run, serve, type Measure, type Order } from "./processes";

interface LongRun extends Measure {
  /** How much of the run was done, 0 to 1, and the memory then. */
  readonly samples: readonly { readonly done: number; readonly rssKb: number }[];
}

export async function memory(): Promise<void> {
  const count = setting("BENCH_MEMORY_COUNT", 100_000);
  const sink = await serve("sink.js");
  const order: Order = { port: sink.port, count, connections: 5, attachment: 0, parts: { html: "", text: "" } };
  const { ms, maxRssKb, samples } = await run<LongRun>("ours.js", order);
  sink.child.disconnect();
  const between = (from: number, to: number): number =>
    median(samples.filter(({ done }) => done >= from && done <= to).map(({ rssKb }) => rssKb)) / 1024;
  const [early, late] = [between(0.05, 0.15), between(0.9, 1)];
  const growth = late / early;
  console.log(
    `${String(count)} messages in ${(ms / 1000).toFixed(0)} s: ${early.toFixed(0)} MB around 10 %, ${late.toFixed(0)} MB at the end, ${(maxRssKb / 1024).toFixed(0)} MB at most; ${growth < 1.15 ? "flat" : `grows ${growth.toFixed(2)}×`}`,
  );
}

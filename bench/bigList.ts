/** The check of a list that no editor opens any more: how fast, and with how much memory. */
import { setting } from "./numbers";
import { run } from "./processes";

export interface ListCheck {
  readonly ms: number;
  readonly mail: number;
  readonly excluded: number;
  readonly idleRssKb: number;
  readonly maxRssKb: number;
}

export async function bigList(): Promise<void> {
  const rows = setting("BENCH_ROWS", 1_000_000);
  const { ms, mail, excluded, idleRssKb, maxRssKb } = await run<ListCheck>("bigListRun.js", { rows });
  console.log(
    `${String(rows)} rows (to, where, duplicates, suppression, empty cells): ${((rows / ms) * 1000).toFixed(0)} rows/s, ${((maxRssKb - idleRssKb) / 1024).toFixed(0)} MB over idle; ${String(mail)} to mail, ${String(excluded)} left out by where`,
  );
}

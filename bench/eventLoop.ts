/** What the extension host's thread feels of a run that goes flat out in the worker thread. */
import { run, serve } from "./processes";
import { setting } from "./numbers";

export interface HostDelays {
  readonly ms: number;
  /** Milliseconds between two turns of the loop, a timer's own millisecond included: p99 and the longest. */
  readonly idle: { readonly p99: number; readonly max: number };
  readonly sending: { readonly p99: number; readonly max: number };
  readonly events: number;
}

export async function eventLoop(): Promise<void> {
  const count = setting("BENCH_COUNT", 3000) * 3;
  const sink = await serve("sink.js");
  const { ms, idle, sending, events } = await run<HostDelays>("hostThread.js", { port: sink.port, count });
  sink.child.disconnect();
  console.log(
    `${String(count)} messages in ${(ms / 1000).toFixed(1)} s, ${String(events)} events to the host: its loop's p99 ${sending.p99.toFixed(1)} ms, longest ${sending.max.toFixed(1)} ms (idle: ${idle.p99.toFixed(1)} and ${idle.max.toFixed(1)} ms)`,
  );
}

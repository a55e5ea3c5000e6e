/** Processes of their own for everything that is measured, and for the other side. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as path from "node:path";

/** What one run of a sender tells. */
export interface Measure {
  readonly ms: number;
  /** User and system time of the sender's process while it sent, milliseconds. */
  readonly cpuMs: number;
  readonly maxRssKb: number;
}

/** What a sender is told. */
export interface Order {
  readonly port: number;
  readonly count: number;
  readonly connections: number;
  /** Octets of a file that goes with every message. */
  readonly attachment: number;
  /** The texts of one message, for a sender that composes nothing itself. */
  readonly parts: { readonly html: string; readonly text: string };
}

/** Runs a child to its one answer. */
export async function run<T>(file: string, order: object): Promise<T> {
  const child = start(file);
  child.send(order);
  const answer = await message<T>(child);
  child.disconnect();
  return answer;
}

/** A child that listens on a port until it is disconnected. */
export async function serve(file: string, order: object = {}): Promise<{ child: ChildProcess; port: number }> {
  const child = start(file);
  child.send(order);
  const { port } = await message<{ port: number }>(child);
  return { child, port };
}

/** Runs a child that prints its own results. */
export async function script(file: string): Promise<void> {
  const [code] = (await once(start(file), "exit")) as [number | null];
  if (code !== 0) throw new Error(`${file} ended with ${String(code)}`);
}

/** The child's next message. */
export function message<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`ended with ${String(code)}`));
    child.once("exit", ended);
    child.once("message", (value) => {
      child.off("exit", ended);
      resolve(value as T);
    });
  });
}

/** In a child: what it was told. */
export function told<T>(): Promise<T> {
  return new Promise((resolve) => process.once("message", (value) => resolve(value as T)));
}

/** In a child: measures from now on. */
export function stopwatch(): () => Measure {
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return {
      ms: performance.now() - began,
      cpuMs: (user + system) / 1000,
      maxRssKb: process.resourceUsage().maxRSS,
    };
  };
}

function start(file: string): ChildProcess {
  return fork(path.join(__dirname, file));
}

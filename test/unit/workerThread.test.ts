/** Worker threads of the extension: real threads with a script that answers in our protocol. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LanguageWork } from "../../src/languageWork";
import type { CampaignRequest, HostApi } from "../../src/workerProtocol";
import type { Handlers } from "../../src/rpc";
import { TooSlow, WorkerEnded, WorkerThread } from "../../src/workerThread";

/**
 * Answers `check` by what the file's name says: `ok` at once, `deaf` never, `busy` by blocking its thread, `crash` by dying,
 * `steered` when an event comes behind it.
 * Every thread has a number, so that a test can tell a new one.
 */
const script = `
const { parentPort, threadId } = require("node:worker_threads");
const waiting = new Map();
parentPort.on("message", ({ rpc, id, method, args }) => {
  const answer = (value) => parentPort.postMessage({ rpc: "reply", id, value });
  const fail = (message) => parentPort.postMessage({ rpc: "error", id, message });
  if (rpc === "event") return waiting.get("steered")?.(args[0]);
  if (method === "ready" || method === "warmUp") return answer();
  const { file } = args[0];
  waiting.get(file)?.();
  if (file === "crash") process.exit(3);
  if (file === "busy") for (;;);
  if (file === "fails") return fail("no such file");
  if (file === "deaf" || file === "next") waiting.set(file, () => fail("aborted"));
  if (file === "deaf") return;
  if (file === "steered") return waiting.set(file, (key) => answer({ fingerprint: "stopped " + key }));
  setTimeout(() => answer({ fingerprint: threadId + " " + args[0].root }), file === "next" ? 50 : 0);
});
`;

describe("worker threads", () => {
  let folder: string;
  const threads: WorkerThread[] = [];
  const host: Handlers<HostApi> = {
    credentials: () => Promise.reject(new Error("none here")),
    accessToken: () => Promise.reject(new Error("none here")),
    progress: () => undefined,
    attempts: () => undefined,
    doctorStep: () => undefined,
    log: () => undefined,
  };

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-thread-"));
    await writeFile(path.join(folder, "worker.js"), script);
  });
  afterEach(() => {
    for (const thread of threads.splice(0)) thread.dispose();
  });
  after(async () => await rm(folder, { recursive: true, force: true }));

  function thread(idleMs?: number): WorkerThread {
    const made = new WorkerThread(path.join(folder, "worker.js"), host, idleMs);
    threads.push(made);
    return made;
  }

  const request = (file: string, root = ""): CampaignRequest => ({
    file,
    root,
    overlay: new Map(),
    csv: { delimiter: "auto", encoding: "auto" },
    senders: new Map(),
    defaultAccount: "sandbox",
    others: [],
  });
  const check = async (one: WorkerThread, file: string): Promise<string> =>
    (await one.request("check", request(file))).fingerprint;

  it("starts on first use and is kept for the next", async () => {
    const one = thread();
    assert.equal(await check(one, "ok"), await check(one, "ok"));
  });

  it("a stop right after the start is heard behind the work that it is about, also by a thread that still loads", async () => {
    const one = thread();
    const work = check(one, "steered");
    one.steer("stop", "this run");
    assert.equal(await work, "stopped this run");
  });

  it("ends when it has been idle, and starts again", async () => {
    const one = thread(0);
    const first = await check(one, "ok");
    // Looks again until the idle time of 0 ms had its chance; a thread that is kept would let this run into mocha's limit.
    do await delay(5);
    while ((await check(one, "ok")) === first);
  });

  it("carries an error back", async () => {
    await assert.rejects(check(thread(), "fails"), /no such file/);
  });

  it("rejects what is pending when it dies, and starts anew", async () => {
    const one = thread();
    await assert.rejects(check(one, "crash"), (error) => error instanceof WorkerEnded && !(error instanceof TooSlow));
    assert.match(await check(one, "ok"), /^\d+ $/);
  });

  it("ends a thread that blocks, after its limit", async () => {
    const one = thread();
    await assert.rejects(one.requestWithin(50, "check", request("busy")), TooSlow);
    assert.match(await check(one, "ok"), /^\d+ $/);
  });

  it("lets the newest check of a file win", async () => {
    const work = new LanguageWork(thread(), thread());
    const older = work.check(request("next", "older"));
    const newer = work.check(request("next", "newer"));
    assert.deepEqual(await older, { kind: "superseded" });
    const { kind, ...rest } = await newer;
    assert.equal(kind, "done");
    assert.match(JSON.stringify(rest), /newer/);
  });

  it("says that live work took too long, and goes on with other files", async () => {
    const work = new LanguageWork(thread(), thread(), 50);
    const slow = work.check(request("deaf"));
    const other = work.check(request("ok"));
    assert.deepEqual(await slow, { kind: "tooSlow" });
    assert.equal((await other).kind, "done");
  });

  it("gives up a patient check when the person cancels", async () => {
    const work = new LanguageWork(thread(), thread());
    const cancelled = new AbortController();
    const checking = work.checkPatiently(request("deaf"), cancelled.signal);
    cancelled.abort();
    await assert.rejects(checking, WorkerEnded);
  });
});

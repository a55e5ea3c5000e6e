/** A sender that sleeps between two steps of the gate while another takes over, and senders that cannot see each other. */
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readdir, utimes } from "node:fs/promises";
import * as path from "node:path";
import type { Report } from "../../src/mail/index";
import { loopbackSettings, smallCampaign } from "../fakes/campaigns";
import { cliFile, Sandbox } from "../fakes/cli";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";
import { repositoryRoot } from "../host/repo";
import { eventually } from "../host/wait";

const send = ["send", "hello.mail.md", "--settings", "settings.json", "--account", "local", "--yes"];
const recipients = 6;
const fake = (name: string): string => path.join(repositoryRoot(), "test", "fakes", name);

/** Between which steps the first one sleeps, what becomes of the recipient it was at, and how many copies of that message arrive. */
const points = [
  { point: "before the record", outcomes: ["accepted"], copies: 1 },
  { point: "before the flush", outcomes: ["unknown"], copies: 0 },
  { point: "before the look", outcomes: ["unknown"], copies: 0 },
  // It has every right to send the one whose doubt the other has read; its own late record may end that doubt.
  { point: "in the look", outcomes: ["accepted", "unknown"], copies: 1 },
  { point: "before the body", outcomes: ["accepted", "unknown"], copies: 1 },
] as const;

describe("taking over a run (R57)", function () {
  this.timeout(180_000);
  let sandbox: Sandbox;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
  });
  afterEach(async () => {
    await sandbox.remove();
  });

  for (const { point, outcomes, copies } of points)
    it(`a sender that sleeps ${point} wakes up to nobody who gets a second one`, async function () {
      if (process.platform === "win32") return this.skip();
      const bodies: number[] = [];
      const server = await ScriptedSmtp.start(({ command, connection }) => {
        if (command === "body") bodies.push(connection);
        return undefined;
      });
      try {
        await sandbox.write({ ...smallCampaign(recipients), "settings.json": loopbackSettings(server.port) });
        const nth = 3;
        const first = sandbox.start(send, {
          NODE_OPTIONS: `--require ${fake("stopPoints.cjs")}`,
          BULK_MAIL_STOP_POINT: point,
          BULK_MAIL_STOP_NTH: String(nth),
        });
        await stopped(first.child);
        assert.equal(server.accepted.length, nth - 1);

        const early = await sandbox.run(send);
        assert.equal(early.code, 4, early.stdout + early.stderr);
        await silence(sandbox.state);
        const withoutWord = await sandbox.run(send);
        assert.equal(withoutWord.code, 4, withoutWord.stdout + withoutWord.stderr);
        assert.match(withoutWord.stderr + withoutWord.stdout, /not stirred for 30 seconds.*--take-over/);
        const second = await sandbox.run([...send, "--take-over"]);
        const isDoubt = point !== "before the record";
        assert.equal(second.code, isDoubt ? 1 : 0, second.stdout + second.stderr);
        assert.equal(server.accepted.length, recipients - (isDoubt ? 1 : 0));

        const before = bodies.filter((connection) => connection === 0).length;
        first.child.kill("SIGCONT");
        const woken = await first.done;
        assert.equal(woken.code, 4, woken.stdout + woken.stderr);
        assert.match(woken.stdout, /taken over/);
        const sent = bodies.filter((connection) => connection === 0).length - before;
        assert.equal(sent, isDoubt ? copies : 0, "bodies sent after waking up");

        const asleep = `person${String(nth - 1)}@example.com`;
        const report = await reportOf(sandbox);
        for (const { address, outcome } of report.recipients)
          if (address === asleep) assert.ok((outcomes as readonly string[]).includes(outcome), outcome);
          else assert.equal(outcome, "accepted", address);
        for (const { address } of report.recipients)
          assert.equal(server.perRecipient.get(address) ?? 0, address === asleep ? copies : 1, address);
      } finally {
        await server.close();
      }
    });

  it("a run that is not finished is gone on with, never begun anew by --again", async () => {
    const server = await ScriptedSmtp.start();
    try {
      await sandbox.write({ ...smallCampaign(recipients), "settings.json": loopbackSettings(server.port) });
      assert.equal((await sandbox.run([...send, "--limit", "2"])).code, 4);
      const again = await sandbox.run([...send, "--again"]);
      assert.equal(again.code, 2, again.stdout);
      assert.match(again.stderr, /last run is not finished.*without --again/);
      assert.equal(server.accepted.length, 2);
      assert.equal((await sandbox.run(send)).code, 0);
      assert.deepEqual([...server.perRecipient.values()], Array<number>(recipients).fill(1));
    } finally {
      await server.close();
    }
  });

  it("a sender in another PID and network namespace is not taken for dead", async function () {
    if (spawnSync("unshare", [...namespaces, "ip", "link", "set", "lo", "up"]).status !== 0) {
      if (this.test !== undefined) this.test.title += " (skipped: namespaces need root and unshare)";
      return this.skip();
    }
    // Nothing outside reaches the first one's server: it has one of its own, which never answers a body.
    const port = 2525;
    await sandbox.write({ ...smallCampaign(recipients), "settings.json": loopbackSettings(port) });
    const words = [process.execPath, cliFile(), ...send, "--state-dir", sandbox.state];
    const first = inNamespaces(sandbox, [process.execPath, fake("hangingSender.cjs"), String(port), ...words]);
    try {
      // The server in there says so once the body has come.
      const [chunk] = (await once(first.stdout ?? first, "data")) as [Buffer];
      assert.match(chunk.toString(), /body/);
      for (const flags of [[], ["--take-over"]]) {
        const second = inNamespaces(sandbox, [...words, ...flags]);
        let told = "";
        second.stdout?.on("data", (text: Buffer) => (told += text.toString()));
        second.stderr?.on("data", (text: Buffer) => (told += text.toString()));
        const [code] = (await once(second, "close")) as [number];
        assert.equal(code, 4, told);
        assert.match(told, /being sent by process \d+ on /);
      }
    } finally {
      // unshare does not listen to SIGTERM while it waits; its child dies with it.
      first.kill("SIGKILL");
      await once(first, "close");
    }
    // One whose record nobody can know is unknown; nothing of it was sent a second time by the others.
    const report = await reportOf(sandbox);
    assert.deepEqual(
      report.recipients.map(({ outcome }) => outcome),
      ["unknown", ...Array<string>(recipients - 1).fill("pending")],
    );
  });
});

const namespaces = ["--pid", "--net", "--mount-proc", "--fork", "--kill-child"];

function inNamespaces(sandbox: Sandbox, words: readonly string[]): ChildProcess {
  const script = 'ip link set lo up && exec "$@"';
  return spawn("unshare", [...namespaces, "sh", "-c", script, "sh", ...words], {
    cwd: sandbox.workspace,
    env: { ...process.env, HOME: sandbox.home },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Resolves once the process stands still by SIGSTOP. */
async function stopped({ pid }: ChildProcess): Promise<void> {
  await eventually("the sender to stop", () => {
    // Field 3 of proc(5): T is stopped by a signal.
    const text = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
    return Promise.resolve(text.slice(text.lastIndexOf(")") + 2).startsWith("T") ? true : undefined);
  });
}

/** Makes every lock look as if its owner had not stirred for a minute. */
async function silence(state: string): Promise<void> {
  const past = new Date(Date.now() - 60_000);
  for (const entry of await readdir(state, { recursive: true, withFileTypes: true }))
    if (/^lock-\d{6}\.json$/.test(entry.name)) await utimes(path.join(entry.parentPath, entry.name), past, past);
}

async function reportOf(sandbox: Sandbox): Promise<Report> {
  const { stdout } = await sandbox.run(["report", "hello.mail.md", "--format", "json"]);
  return JSON.parse(stdout) as Report;
}

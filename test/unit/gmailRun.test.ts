/** Runs over the Gmail API where something comes at the worst moment: between a message's gate and its way out. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { thisProcess } from "../../src/mail/lock";
import type { Plan } from "../../src/mail/plan";
import { systemClock, type AccessTokens, type TokenReply } from "../../src/mail/ports";
import { mailboxDirectory, mailboxOf } from "../../src/mail/quota";
import { smallCampaign } from "../fakes/campaigns";
import { GmailEndpoint } from "../fakes/gmailEndpoint";
import { oauthAccount } from "../fakes/oauthAccounts";
import { RunBench } from "../fakes/runBench";

const nobodyAnswers = (): Promise<TokenReply> => new Promise(() => {});
const given = (token: string): Promise<TokenReply> => Promise.resolve({ ok: true, token });

describe("a run over the Gmail API (R1, R29, R32)", function () {
  this.timeout(20_000);
  let bench: RunBench;
  let server: GmailEndpoint;
  beforeEach(async () => {
    bench = await RunBench.open();
    server = await GmailEndpoint.start();
  });
  afterEach(async () => {
    await server.close();
    await bench.close();
  });

  function planned(count: number, timeouts: Readonly<Record<string, number>> = {}): Promise<Plan> {
    const { ca } = server.interceptor;
    const account = oauthAccount(server.interceptor, "gmailApi", { tls: { caFile: "ca.pem" }, timeouts });
    const caSha256 = createHash("sha256").update(ca).digest("hex");
    const files = { ...smallCampaign(count), "ca.pem": ca };
    return bench.plan(undefined, files, {}, { target: { kind: "account", account, caSha256 } });
  }

  /** Goes on with a run, and finds that everybody was mailed once. */
  async function finishes(plan: Plan, count: number, token: string): Promise<void> {
    const stop = new AbortController().signal;
    const { ending } = await bench.run(plan, { stop, ports: { accessTokens: () => given(token) } });
    assert.deepEqual(ending, { kind: "finished" });
    assert.deepEqual([...server.taken.values()], Array<number>(count).fill(1));
  }

  it("a stop ends the wait for another token behind a 401, and the message counts as not sent", async () => {
    server.tokens.add("new");
    const accessTokens: AccessTokens = (refused) => {
      if (refused === undefined) return given("old");
      bench.stop.abort();
      return nobodyAnswers();
    };
    const plan = await planned(2);
    const { ending, unknown, pending } = await bench.run(plan, { ports: { accessTokens } });
    assert.deepEqual([ending.kind, unknown, pending], ["stopped", 0, 2]);
    await finishes(plan, 2, "new");
  });

  it("a stop before the 401 asks for no other token", async () => {
    server.tokens.add("new");
    const asked: (string | undefined)[] = [];
    const accessTokens: AccessTokens = (refused) => {
      asked.push(refused);
      return given("old");
    };
    server.tokens.has = () => {
      bench.stop.abort();
      return false;
    };
    const { ending, unknown } = await bench.run(await planned(1), { ports: { accessTokens } });
    assert.deepEqual([ending.kind, unknown, asked], ["stopped", 0, [undefined]]);
  });

  it("a token that does not come behind a 401 is given up like a silent server", async () => {
    server.tokens.add("new");
    let isFirst = true;
    const accessTokens: AccessTokens = (refused) => {
      if (refused === undefined && isFirst) return given("old");
      const reply = isFirst ? nobodyAnswers() : given("new");
      isFirst = false;
      return reply;
    };
    const plan = await planned(2, { dns: 300, connection: 300, greeting: 300 });
    const { ending, unknown } = await bench.run(plan, { ports: { accessTokens, silenceMs: 100 } });
    assert.deepEqual([ending, unknown], [{ kind: "finished" }, 0]);
    await finishes(plan, 2, "new");
  });

  it("a gate that opens when its connection has ended does not speak for the next one", async () => {
    const plan = await planned(2);
    assert.ok(plan.target.kind === "account");
    const rival = path.join(mailboxDirectory(bench.stateDirectory, mailboxOf(plan.target.account)), "lock-000099.json");
    // Behind the first message somebody seems to have the mailbox, so that the gate of the second one takes a second look.
    let stolen: Promise<void> | undefined;
    server.onTaken = () => {
      stolen ??= writeFile(rival, JSON.stringify(thisProcess()));
      return "answer";
    };
    let lookAgain = (): void => {};
    const clock: typeof systemClock = {
      ...systemClock,
      sleep: (ms, signal) => {
        if (stolen === undefined || signal !== undefined) return systemClock.sleep(ms, signal);
        server.interceptor.cut();
        return new Promise((resolve) => (lookAgain = resolve));
      },
    };
    let asked = 0;
    const accessTokens: AccessTokens = async () => {
      if (++asked < 3) return await given("good");
      // The second message is on its way to another connection when its first gate opens.
      await rm(rival);
      lookAgain();
      await turn();
      bench.stop.abort();
      return await nobodyAnswers();
    };
    const { ending, unknown, pending } = await bench.run(plan, { clock, ports: { accessTokens } });
    assert.deepEqual([ending.kind, unknown, pending], ["stopped", 0, 1]);
    await finishes(plan, 2, "good");
  });
});

import assert from "node:assert/strict";
import { Sandbox, type Finished } from "../fakes/cli";
import { orSkip, type ServerPrograms } from "../fakes/debianPackages";
import { announced, assertDelivered } from "../fakes/deliveredMail";
import { postfixPrograms } from "../fakes/postfix";
import { people, sendOnly, settledAs, writeCampaign } from "../fakes/realRun";
import { SmtpSink } from "../fakes/smtpSink";

const list = people(4);

/** What a server that always does the one thing wrong leads to, for everybody on the list. */
interface Fault {
  /** smtp-sink's options. */
  readonly options: string;
  readonly everybody: "accepted" | "failed" | "unknown" | "pending";
  readonly exit: number;
  /** In the log or the result. */
  readonly says?: RegExp;
  /** Over five connections too. */
  readonly five?: true;
}

const accepted = { everybody: "accepted", exit: 0 } as const;
const failed = { everybody: "failed", exit: 1 } as const;
const unknown = { everybody: "unknown", exit: 1, says: /no reply came/ } as const;
const cutOff = { everybody: "pending", exit: 3, says: /The connection ended before/ } as const;
const throttled = { everybody: "pending", exit: 4, says: /asks to slow down/ } as const;
const account = { everybody: "pending", exit: 3 } as const;
const five = true;

const faults: readonly Fault[] = [
  { options: "", ...accepted, five },
  // Hangs up without a word: nothing was handed over before the dot, and nobody knows after it.
  { options: "-q CONNECT", ...cutOff, five },
  { options: "-q EHLO", ...cutOff },
  { options: "-q MAIL", ...cutOff, five },
  { options: "-q DATA", ...cutOff },
  { options: "-q .", ...unknown, five },
  { options: "-q QUIT", ...accepted },
  // Says 421 and hangs up (RFC 5321 §3.8); after the dot too that is a refusal.
  { options: "-Q CONNECT", ...throttled },
  { options: "-Q MAIL", ...throttled, five },
  { options: "-Q DATA", ...throttled },
  { options: "-Q .", ...throttled, five },
  // 450 4.3.0
  { options: "-r CONNECT", ...throttled },
  { options: "-r EHLO", ...accepted },
  { options: "-r MAIL", ...throttled },
  { options: "-r RCPT", ...failed, says: /failed .*mailbox cannot take this message now.*Server: 450 4\.3\.0/, five },
  { options: "-r DATA", ...throttled },
  { options: "-r .", ...failed, says: /failed .*cannot take this message now.*Server: 450 4\.3\.0/ },
  // 500 5.3.0
  { options: "-f CONNECT", ...account, says: /refuses this connection/ },
  { options: "-f EHLO", ...accepted },
  { options: "-f EHLO,HELO", ...account, says: /does not accept how we speak to it/ },
  { options: "-f MAIL", ...account, says: /does not accept how we speak to it/ },
  { options: "-f RCPT", ...failed, says: /refuses this recipient.*Server: 500 5\.3\.0/ },
  { options: "-f RCPT,RSET", ...failed, says: /refuses this recipient/ },
  { options: "-f DATA", ...failed, says: /refuses the message before its body.*Server: 500 5\.3\.0/ },
  { options: "-f .", ...failed, says: /refuses this message for its content.*Server: 500 5\.3\.0/, five },
  // Answers 550 in the middle of the body and reads no more.
  { options: "-A 1", ...failed, says: /Server: 550 This violates SMTP/ },
  // No extension at all; as an old firewall makes a server look.
  { options: "-p -8 -e", ...accepted, five },
  { options: "-P", ...accepted },
  { options: "-p", ...accepted },
  // Takes its time to say 354, and to read on.
  { options: "-w 1", ...accepted },
];

describe("Postfix's smtp-sink with faults", () => {
  let programs: ServerPrograms;
  let sandbox: Sandbox;
  const sinks: SmtpSink[] = [];

  before(async function () {
    programs = orSkip(this, await postfixPrograms());
  });
  beforeEach(async () => {
    sandbox = await Sandbox.create();
  });
  afterEach(async () => {
    for (const sink of sinks.splice(0)) await sink.close();
    await sandbox.remove();
  });

  const start = async (options: string, port?: number): Promise<SmtpSink> => {
    const sink = await SmtpSink.start(programs, options === "" ? [] : options.split(" "), port);
    sinks.push(sink);
    return sink;
  };
  const campaign = (port: number, connections: number, frontMatter = ""): Promise<void> =>
    writeCampaign(sandbox, port, list, { connections, maxAttempts: 3, initialDelay: 5, maxDelay: 20 }, frontMatter);

  /** The first run met `faulty`; the next one meets a server that does nothing wrong: nobody is mailed twice, nobody lost. */
  const assertOnceEach = async (first: Finished, faulty: SmtpSink): Promise<void> => {
    const [taken, doubted] = [settledAs(first, "accepted"), settledAs(first, "unknown")];
    const pending = list.filter((address) => ![...taken, ...doubted, ...settledAs(first, "failed")].includes(address));
    const before = await faulty.mails();
    for (const address of [...taken, ...doubted]) {
      const copies = before.filter(({ to }) => to === address).length;
      assert.ok(taken.includes(address) ? copies === 1 : copies <= 1, `${address}: ${String(copies)}\n${faulty.log}`);
    }
    if (pending.length + doubted.length === 0) return;
    await faulty.close();
    const healthy = await start("", faulty.port);
    const { code, stderr } = await sendOnly(sandbox);
    assert.equal(code, pending.length === list.length ? 0 : 1, stderr);
    assertDelivered(await healthy.mails(), list, pending);
  };

  for (const { options, everybody, exit, says, five } of faults)
    for (const connections of five === true ? [1, 5] : [1])
      it(`smtp-sink ${options === "" ? "without faults" : options}: everybody is ${everybody}, over ${String(connections)} connections (R32, R33, R35)`, async () => {
        const sink = await start(options);
        await campaign(sink.port, connections);
        const run = await sendOnly(sandbox);
        const words = `${run.stdout}${run.stderr}${sink.log}`;
        const totals = (["accepted", "failed", "unknown", "pending"] as const)
          .map((outcome) => `${outcome === everybody ? String(list.length) : "0"} ${outcome}, `)
          .join("");
        assert.ok(run.stdout.startsWith(totals), words);
        assert.equal(run.code, exit, words);
        if (says !== undefined) assert.match(`${run.stdout}${run.stderr}`, says);
        if (everybody === "accepted") assertDelivered(await sink.mails(), list);
        await assertOnceEach(run, sink);
      });

  // What each of them ends as depends on who is quicker; that nobody is lost or mailed twice does not.
  for (const options of ["-A 0", "-M 2"])
    for (const connections of [1, 5])
      it(`smtp-sink ${options}: whoever it met, nobody is mailed twice or lost, over ${String(connections)} connections (R33)`, async () => {
        const sink = await start(options);
        await campaign(sink.port, connections);
        const run = await sendOnly(sandbox);
        assert.notEqual(run.code, 0, run.stdout);
        assert.ok(settledAs(run, "accepted").length < list.length, run.stderr);
        await assertOnceEach(run, sink);
      });

  for (const options of ["-T 1024", "-H 1"])
    it(`smtp-sink ${options}: a large message gets through a narrow or slow reader (R44)`, async () => {
      await sandbox.write({ "large.bin": Buffer.alloc(400_000, "0123456789") });
      const sink = await start(options);
      await campaign(sink.port, 5, "attachments: [large.bin]\n");
      const run = await sendOnly(sandbox);
      assert.equal(run.code, 0, `${run.stdout}${run.stderr}`);
      const mails = await sink.mails();
      assertDelivered(mails, list);
      for (const { source } of mails) {
        const encoded = /base64\s[\s\S]*?\n\n([A-Za-z0-9+/=\n]+)\n--/.exec(source.replaceAll("\r", ""))?.[1] ?? "";
        assert.equal(Buffer.from(encoded, "base64").length, 400_000);
      }
    });

  it("announces what the table is about", async () => {
    assert.ok((await announced((await start("")).port)).includes("PIPELINING"));
    assert.ok(!(await announced((await start("-p")).port)).includes("PIPELINING"));
    assert.deepEqual(await announced((await start("-p -8 -e")).port), []);
  });
});

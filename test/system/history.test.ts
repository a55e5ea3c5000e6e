import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import * as path from "node:path";
import type { Plan } from "../../src/mail/index";
import { loopbackSettings, smallCampaign } from "../fakes/campaigns";
import { Sandbox, type Finished } from "../fakes/cli";
import { smallCampaignId } from "../fakes/runs";
import { ScriptedSmtp, type Script } from "../fakes/scriptedSmtp";

const send = ["send", "hello.mail.md", "--settings", "settings.json", "--account", "local", "--yes"];
const person = (number: number): string => `person${String(number)}@example.com`;

describe("command line: what people decide about a run (R57, R58)", () => {
  let sandbox: Sandbox;
  let server: ScriptedSmtp;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
    server = await ScriptedSmtp.start();
    await sandbox.write({ ...smallCampaign(5), "settings.json": loopbackSettings(server.port) });
  });
  afterEach(async () => {
    await server.close();
    await sandbox.remove();
  });

  /** The same workspace in another server's reach. */
  async function withScript(script: Script): Promise<void> {
    await server.close();
    server = await ScriptedSmtp.start(script);
    await sandbox.write({ "settings.json": loopbackSettings(server.port) });
  }

  const resolve = (...words: string[]): Promise<Finished> => sandbox.run(["resolve", "hello.mail.md", ...words]);
  const lostReply: Script = ({ command, before }) =>
    command === "dot" && before < 2 ? { acceptThen: "close" } : undefined;

  /** A second machine with the same campaign. */
  async function machine(files = smallCampaign(5)): Promise<Sandbox> {
    const other = await Sandbox.create();
    await other.write({ ...files, "settings.json": loopbackSettings(server.port) });
    return other;
  }

  describe("resolve", () => {
    it("lists who may have got the message with where to look, decides, and the next send mails those alone", async () => {
      await withScript(lostReply);
      assert.match((await sandbox.run(send)).stdout, /^3 accepted, 0 failed, 2 unknown/m);
      const list = await resolve();
      assert.equal(list.code, 1);
      assert.match(
        list.stdout,
        /^person0@example\.com \(line 2\)\n {2}handed over 20\d\d-.*Z\n {2}Message-ID {2}<\S+@\S+>\n {2}Subject {5}Number 0\nperson1@/,
      );
      assert.match(list.stdout, /Sent folder/);
      const sent = await resolve("--as", "sent", "PERSON0@example.com");
      assert.equal(sent.code, 0, sent.stderr);
      assert.match(sent.stdout, /^1 recipient now counts as sent\.\n4 accepted, 0 failed, 1 unknown, 0 pending/);
      const retry = await resolve("--as", "retry");
      assert.equal(retry.code, 0, retry.stderr);
      assert.match(retry.stdout, /^1 recipient will be tried again\.\n4 accepted, 0 failed, 0 unknown, 1 pending/);
      const again = await sandbox.run(send);
      assert.equal(again.code, 0, again.stderr);
      assert.deepEqual(
        [0, 1, 2, 3, 4].map((number) => server.perRecipient.get(person(number))),
        [1, 2, 1, 1, 1],
      );
      assert.match((await resolve()).stdout, /^Nobody is unknown/);
    });

    it("--failed tries all again who failed, and says that rows with problems cannot be", async () => {
      await withScript(({ command, line, before }) =>
        command === "RCPT" && line.includes("person1@") && before < 3 ? { reply: "550 5.1.1 no such user" } : undefined,
      );
      const list = smallCampaign(3)["people.csv"] ?? "";
      await sandbox.write({ "people.csv": `${list}not an address,Bob,9\n` });
      assert.match((await sandbox.run([...send, "--skip-invalid"])).stdout, /^2 accepted, 2 failed/m);
      const { code, stdout } = await resolve("--as", "retry", "--failed");
      assert.equal(code, 0);
      assert.match(stdout, /^1 recipient will be tried again\.\n1 row never became a message.*new run\.\n2 accepted/);
      assert.equal((await sandbox.run(send)).code, 1);
      assert.deepEqual(
        [0, 1, 2].map((number) => server.perRecipient.get(person(number))),
        [1, 1, 1],
      );
    });

    it("an address that is not on the list refuses the whole decision", async () => {
      await withScript(lostReply);
      await sandbox.run(send);
      const { code, stderr } = await resolve("--as", "retry", person(0), "nobody@example.com");
      assert.equal(code, 2);
      assert.equal(stderr, "Nothing was decided. Not on the list of this run: nobody@example.com.\n");
      assert.equal((await sandbox.run(send)).code, 1);
      assert.equal(server.perRecipient.get(person(0)), 1);
    });

    it("leaves who was accepted, and says so", async () => {
      await sandbox.run(send);
      const { code, stdout } = await resolve("--as", "retry", person(0));
      assert.equal(code, 1);
      assert.match(stdout, /1 recipient left as they are: neither unknown nor failed/);
      await sandbox.run(send);
      assert.equal(server.perRecipient.get(person(0)), 1);
    });

    it("wrong words end with exit 2 and a sentence", async () => {
      for (const words of [["--as", "maybe"], ["--failed"], ["--as", "sent", "--failed"]]) {
        const { code, stderr } = await resolve(...words);
        assert.equal(code, 2, words.join(" "));
        assert.match(stderr, /\.\n$/);
      }
      const { code, stderr } = await resolve("--as", "retry");
      assert.equal(code, 1);
      assert.match(stderr, /never sent/);
    });
  });

  describe("hand-over", () => {
    const handOver = (archive: string): Promise<Finished> =>
      sandbox.run(["journal", "export", "hello.mail.md", "--out", archive, "--hand-over"]);

    it("an unfinished run goes on where it is imported, and nobody gets two mails", async () => {
      await sandbox.run([...send, "--limit", "2"]);
      const given = await handOver("moved.journal");
      assert.equal(given.code, 0, given.stderr);
      assert.match(given.stdout, /this machine does not go on with it/);
      const refused = await sandbox.run(send);
      assert.equal(refused.code, 4);
      assert.match(refused.stderr, /handed over to another machine on .*import it back/);
      const other = await machine();
      try {
        const archive = path.join(sandbox.workspace, "moved.journal");
        const imported = await other.run(["journal", "import", archive]);
        assert.equal(imported.code, 0, imported.stderr);
        assert.match(imported.stdout, /^Imported 1 run\.\nThe last run is not finished: send the campaign/);
        const gone = await other.run(send);
        assert.equal(gone.code, 0, gone.stderr);
        assert.match(gone.stdout, /^5 accepted/m);
        const back = path.join(other.workspace, "back.journal");
        assert.equal((await other.run(["journal", "export", "hello.mail.md", "--out", back])).code, 0);
        assert.match((await sandbox.run(["journal", "import", back, "hello.mail.md"])).stdout, /Imported 1 run\.\n$/);
      } finally {
        await other.remove();
      }
      assert.match((await sandbox.run(send)).stdout, /All 5 were already sent/);
      assert.deepEqual([...server.perRecipient.values()], [1, 1, 1, 1, 1]);
    });

    it("a file that cannot be written gives nothing away", async () => {
      await sandbox.run([...send, "--limit", "2"]);
      for (const archive of ["missing/moved.journal", "people.csv"]) {
        const { code, stderr } = await handOver(archive);
        assert.equal(code, 2);
        assert.match(stderr, /cannot be written/);
      }
      assert.equal((await sandbox.run(send)).code, 0);
    });

    it("is not imported without its campaign", async () => {
      await sandbox.run([...send, "--limit", "2"]);
      await handOver("moved.journal");
      const other = await Sandbox.create();
      try {
        const { code, stderr } = await other.run(["journal", "import", path.join(sandbox.workspace, "moved.journal")]);
        assert.notEqual(code, 0);
        assert.match(stderr, new RegExp(`not found here\\. Name the campaign file with the id ${smallCampaignId}`));
      } finally {
        await other.remove();
      }
    });
  });

  describe("delete", () => {
    const remove = (...words: string[]): Promise<Finished> =>
      sandbox.run(["journal", "delete", "hello.mail.md", ...words]);

    it("asks, deletes everything, and says what that costs", async () => {
      await sandbox.run(send);
      const asked = await remove();
      assert.equal(asked.code, 2);
      assert.match(asked.stderr, /no longer prevent a second send.*\nNothing was deleted\. Confirm with --yes/);
      assert.match((await sandbox.run(send)).stdout, /already sent/);
      const { code, stdout } = await remove("--yes");
      assert.equal(code, 0);
      assert.match(stdout, /^Deleted 1 run\.\n5 had got a message\. Deleted history can no longer prevent/);
      assert.deepEqual(await readdir(path.join(sandbox.state, "campaigns")), []);
      assert.match((await sandbox.run(["report", "hello.mail.md"])).stderr, /never sent/);
      assert.match((await remove("--yes")).stdout, /^Deleted 0 runs\.\n$/);
    });
  });

  describe("receipts", () => {
    /** As the machine that sent would have left it beside the campaign. */
    async function receipt(to: Sandbox): Promise<void> {
      const about = {
        version: 1,
        campaignId: smallCampaignId,
        runId: "11111111-2222-4333-8444-555555555555",
        machine: "atlas",
        startedAt: "2026-03-01T09:30:00.000Z",
        updatedAt: "2026-03-01T09:50:00.000Z",
        state: "finished",
        counts: { accepted: 478, failed: 0, unknown: 0, pending: 0, skipped: 0 },
      };
      await to.write({ [`.bulk-mail/${smallCampaignId}.json`]: JSON.stringify(about) });
    }

    it("one whose journal is not here keeps anybody from being mailed, until a new run is asked for", async () => {
      await receipt(sandbox);
      const refused = await sandbox.run(send);
      assert.equal(refused.code, 2);
      assert.match(
        refused.stderr,
        /^Sent from atlas on 2026-03-01: 478 accepted\. Import its journal, or start a new run\.\n.*--again/,
      );
      assert.equal(server.connections, 0);
      assert.equal((await sandbox.run(["send", "hello.mail.md", "--account", "sandbox"])).code, 0);
      const again = await sandbox.run([...send, "--again"]);
      assert.equal(again.code, 0, again.stderr);
      assert.equal(server.accepted.length, 5);
    });

    it("one that came while an own run was unfinished keeps that from going on, until a person says so", async () => {
      await sandbox.run([...send, "--limit", "2"]);
      await receipt(sandbox);
      const refused = await sandbox.run(send);
      assert.equal(refused.code, 2);
      assert.match(refused.stderr, /Sent from atlas .*\n.*--continue/);
      assert.equal((await sandbox.run([...send, "--continue"])).code, 0);
      assert.equal(server.accepted.length, 5);
    });

    it("one that cannot be read stops, too", async () => {
      await sandbox.write({ [`.bulk-mail/${smallCampaignId}.json`]: "<<<<<<< ours\n" });
      const { stderr } = await sandbox.run(send);
      assert.match(stderr, /cannot be read, so who sent this campaign before is not certain/);
      assert.equal(server.connections, 0);
    });

    it("an imported journal is what it asks for", async () => {
      await sandbox.run(send);
      await sandbox.run(["journal", "export", "hello.mail.md", "--out", "sent.journal"]);
      const other = await machine();
      try {
        const [run = ""] = (await readdir(path.join(sandbox.state, "campaigns", smallCampaignId, "real"))).filter(
          (name) => /^\d{4}-/.test(name),
        );
        await receipt(other);
        const file = path.join(other.workspace, ".bulk-mail", `${smallCampaignId}.json`);
        const text = await readFile(file, "utf8");
        await writeFile(file, text.replace("11111111-2222-4333-8444-555555555555", run.slice(5)));
        assert.equal((await other.run(send)).code, 2);
        await other.run(["journal", "import", path.join(sandbox.workspace, "sent.journal")]);
        assert.match((await other.run(send)).stdout, /All 5 were already sent/);
      } finally {
        await other.remove();
      }
      assert.notEqual(hostname(), "atlas");
      assert.equal(server.accepted.length, 5);
    });
  });

  it("a copy of the letter with an id of its own does not mail a fifth of the people again by itself", async () => {
    await sandbox.run(send);
    const [text = "", list = ""] = ["hello.mail.md", "people.csv"].map((name) => smallCampaign(9)[name]);
    await rm(path.join(sandbox.workspace, "hello.mail.md"));
    await sandbox.write({ "copy.mail.md": text.replace("0b0e7d3a", "1c0e7d3a"), "people.csv": list });
    const words = send.map((word) => (word === "hello.mail.md" ? "copy.mail.md" : word));
    const refused = await sandbox.run(words);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /this subject from .*hello\.mail\.md on .*5 accepted.*\n.*id: 0b0e7d3a.*--again/);
    assert.equal(server.accepted.length, 5);
    assert.equal((await sandbox.run([...words, "--again"])).code, 0);
    assert.equal(server.accepted.length, 14);
  });

  describe("--at", () => {
    it("confirms a run for later and says that the process has to stay", async () => {
      const at = new Date(Date.now() + 3600_000).toISOString();
      const { child, done } = sandbox.start([...send, "--at", at]);
      let said = "";
      await new Promise<void>((resolve) =>
        child.stderr?.on("data", (chunk: Buffer) => {
          said += chunk.toString();
          if (said.includes("must stay alive")) resolve();
        }),
      );
      child.kill("SIGINT");
      await done;
      const home = path.join(sandbox.state, "campaigns", smallCampaignId, "real");
      const [run = ""] = (await readdir(home)).filter((name) => /^\d{4}-/.test(name));
      assert.equal((JSON.parse(await readFile(path.join(home, run, "plan.json"), "utf8")) as Plan).startAt, at);
    });

    it("a time that is no time sends nothing and leaves no run behind", async () => {
      for (const at of ["25:00", "2020-01-01T10:00"]) {
        const { code, stderr } = await sandbox.run([...send, "--at", at]);
        assert.equal(code, 2);
        assert.match(stderr, /--at/);
      }
      assert.match((await sandbox.run(["report", "hello.mail.md"])).stderr, /never sent/);
      assert.equal(server.connections, 0);
    });
  });
});

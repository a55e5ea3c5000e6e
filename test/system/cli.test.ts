import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { simpleParser } from "mailparser";
import type { Report } from "../../src/mail/index";
import { loopbackSettings, smallCampaign } from "../fakes/campaigns";
import { Sandbox } from "../fakes/cli";
import { repositoryRoot } from "../host/repo";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";

const through = ["--settings", "settings.json", "--account", "local", "--yes"];

describe("command line", () => {
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

  const report = async (...words: string[]): Promise<Report> =>
    JSON.parse((await sandbox.run(["report", "hello.mail.md", "--format", "json", ...words])).stdout) as Report;

  it("sends to everyone once, and on the second call to nobody (R33)", async () => {
    const first = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /^5 accepted, 0 failed, 0 unknown, 0 pending, 0 skipped\.$/m);
    assert.equal(first.stderr.match(/^accepted /gm)?.length, 5);
    const second = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal(second.code, 0);
    assert.match(second.stdout, /All 5 were already sent/);
    assert.equal(server.accepted.length, 5);
    const again = await sandbox.run(["send", "hello.mail.md", ...through, "--again"]);
    assert.equal(again.code, 0, again.stderr);
    assert.equal(server.accepted.length, 10);
  });

  it("composes what it says: subject, both parts, names (R51, R52, R60)", async () => {
    await sandbox.run(["send", "hello.mail.md", ...through]);
    const [taken] = server.accepted;
    const mail = await simpleParser(taken?.source ?? "");
    assert.equal(mail.subject, "Number 0");
    assert.equal(mail.from?.text, '"Ada" <ada@example.com>');
    assert.match(String(mail.html), /Hello <strong[^>]*>Person 0<\/strong>/);
    assert.match(mail.text ?? "", /Hello Person 0, this is number 0\./);
  });

  it("a limit pauses with exit 4 and the next call goes on where it was", async () => {
    const first = await sandbox.run(["send", "hello.mail.md", ...through, "--limit", "2"]);
    assert.equal(first.code, 4);
    assert.equal(server.accepted.length, 2);
    const second = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal(second.code, 0, second.stderr);
    assert.deepEqual([...server.perRecipient.values()], [1, 1, 1, 1, 1]);
  });

  it("goes on with the copy that was confirmed, never with a list that was changed meanwhile", async () => {
    await sandbox.run(["send", "hello.mail.md", ...through, "--limit", "2"]);
    const list = path.join(sandbox.workspace, "people.csv");
    const [head, ...rows] = (await readFile(list, "utf8")).trim().split("\n");
    // Sorted the other way, with the names moved to the wrong addresses.
    const mixed = rows.map((row, i) =>
      [
        row.split(",")[0],
        ...(rows
          .at(-1 - i)
          ?.split(",")
          .slice(1) ?? []),
      ].join(","),
    );
    await writeFile(list, [head, ...mixed.reverse()].join("\n"));
    const refused = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /people\.csv/);
    const { code, stderr } = await sandbox.run(["send", "hello.mail.md", ...through, "--continue"]);
    assert.equal(code, 0, stderr);
    for (const { to, source } of server.accepted) {
      const number = /person(\d+)@/.exec(to[0] ?? "")?.[1];
      assert.match(source, new RegExp(`Subject: Number ${String(number)}\\r\\n`));
    }
    assert.equal(server.accepted.length, 5);
  });

  it("a bad address fails alone, after a yes to send without it", async () => {
    await sandbox.write({
      "people.csv": "email,name,number\nada@example.com,Ada,1\nnot an address,Bob,2\ncy@example.com,Cy,3\n",
    });
    const refused = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /people\.csv:3:1: error: .*not an address/);
    assert.equal(server.accepted.length, 0);
    const sent = await sandbox.run(["send", "hello.mail.md", ...through, "--skip-invalid"]);
    assert.equal(sent.code, 1);
    const { recipients, totals } = await report();
    assert.deepEqual(totals, { accepted: 2, failed: 1, unknown: 0, pending: 0, skipped: 0 });
    assert.deepEqual(
      recipients.map(({ line, outcome }) => [line, outcome]),
      [
        [2, "accepted"],
        [3, "failed"],
        [4, "accepted"],
      ],
    );
  });

  it("rehearsal and dry run settle nobody: afterwards everyone is mailed (R56)", async () => {
    const rehearsal = await sandbox.run(["send", "hello.mail.md", "--account", "sandbox"]);
    assert.equal(rehearsal.code, 0, rehearsal.stderr);
    assert.match(rehearsal.stdout, /nothing left this machine/);
    const dry = await sandbox.run(["send", "hello.mail.md", "--dry-run", "out"]);
    assert.equal(dry.code, 0, dry.stderr);
    assert.equal(
      (await readdir(path.join(sandbox.workspace, "out"))).filter((name) => name.endsWith(".eml")).length,
      5,
    );
    assert.equal(server.accepted.length, 0);
    const real = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal(real.code, 0, real.stderr);
    assert.equal(server.accepted.length, 5);
  });

  it("needs an approval for an account that the workspace itself brings, and for every change of it", async () => {
    await sandbox.write({ ".vscode/settings.json": loopbackSettings(server.port) });
    const words = ["send", "hello.mail.md", "--account", "local", "--yes"];
    const refused = await sandbox.run(words);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /--approve/);
    assert.equal(server.accepted.length, 0);
    assert.equal((await sandbox.run([...words, "--approve"])).code, 0);
    await sandbox.write({ ".vscode/settings.json": loopbackSettings(server.port, { user: "eve", auth: "none" }) });
    const changed = await sandbox.run([...words, "--again"]);
    assert.equal(changed.code, 2);
    assert.match(changed.stderr, /before: .*user none/);
    assert.match(changed.stderr, /now: .*user eve/);
  });

  it("does not send without a confirmation", async () => {
    const { code, stderr } = await sandbox.run([
      "send",
      "hello.mail.md",
      ...through.filter((word) => word !== "--yes"),
    ]);
    assert.equal(code, 2);
    assert.match(stderr, /Send 5 messages\?/);
    assert.match(stderr, /person0@example\.com, person1@example\.com, person2@example\.com/);
    assert.equal(server.accepted.length, 0);
  });

  it("stops on Ctrl+C after the message in flight, and goes on later (R57)", async () => {
    await server.close();
    let release: (() => void) | undefined;
    server = await ScriptedSmtp.start(async ({ command, before }) => {
      if (command === "dot" && before === 1) await new Promise<void>((resolve) => (release = resolve));
      return undefined;
    });
    await sandbox.write({ "settings.json": loopbackSettings(server.port) });
    const { child, done } = sandbox.start(["send", "hello.mail.md", ...through]);
    await server.until(() => release !== undefined || server.accepted.length > 1);
    child.kill("SIGINT");
    // The sender says that it waits before the server lets go.
    await new Promise<void>((resolve) =>
      child.stderr?.on("data", (chunk: Buffer) => chunk.includes("Stopping") && resolve()),
    );
    release?.();
    const { code, stdout } = await done;
    assert.equal(code, 130);
    assert.match(stdout, /^2 accepted, 0 failed, 0 unknown, 3 pending/m);
    assert.equal((await sandbox.run(["send", "hello.mail.md", ...through])).code, 0);
    assert.deepEqual([...server.perRecipient.values()], [1, 1, 1, 1, 1]);
  });

  it("a wrong password stops the run with exit 3 and is tried once (R37)", async () => {
    await server.close();
    server = await ScriptedSmtp.start(
      ({ command }) => (command === "AUTH" ? { reply: "535 5.7.8 Username and Password not accepted" } : undefined),
      ["AUTH PLAIN", "PIPELINING"],
    );
    const more = { auth: "password", user: "ada", limits: { delay: 0, connections: 3 } };
    await sandbox.write({ "settings.json": loopbackSettings(server.port, more) });
    const { code, stdout } = await sandbox.run(["send", "hello.mail.md", ...through], { BULK_MAIL_PASSWORD: "wrong" });
    assert.equal(code, 3);
    assert.match(stdout, /refused the user name or the password/);
    assert.equal(server.lines.filter((line) => line.startsWith("AUTH")).length, 1);
    assert.match(stdout, /^0 accepted, 0 failed, 0 unknown, 5 pending/m);
  });

  it("a second process does not send the same campaign at the same time", async () => {
    await server.close();
    let release: (() => void) | undefined;
    server = await ScriptedSmtp.start(async ({ command, before }) => {
      if (command === "dot" && before === 0) await new Promise<void>((resolve) => (release = resolve));
      return undefined;
    });
    await sandbox.write({ "settings.json": loopbackSettings(server.port) });
    const first = sandbox.start(["send", "hello.mail.md", ...through]);
    await server.until(() => release !== undefined);
    const second = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal(second.code, 4);
    release?.();
    assert.equal((await first.done).code, 0);
    assert.deepEqual([...server.perRecipient.values()], [1, 1, 1, 1, 1]);
  });

  it("the journal goes to another machine and keeps it from sending again", async () => {
    await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal((await sandbox.run(["journal", "export", "hello.mail.md", "--out", "moved.journal"])).code, 0);
    const other = await Sandbox.create();
    try {
      await other.write({ ...smallCampaign(5), "settings.json": loopbackSettings(server.port) });
      const archive = path.join(sandbox.workspace, "moved.journal");
      assert.match((await other.run(["journal", "import", archive])).stdout, /Imported 1 run/);
      assert.match((await other.run(["send", "hello.mail.md", ...through])).stdout, /already sent/);
    } finally {
      await other.remove();
    }
    assert.equal(server.accepted.length, 5);
  });

  it("a campaign cannot choose the server that gets the password: only a named account is approved by naming it", async () => {
    const port = server.port;
    const account = { host: "127.0.0.1", port, security: "none", auth: "none", limits: { delay: 0 } };
    const accounts = { work: account, old: { ...account, user: "old" } };
    await sandbox.write({
      ...smallCampaign(2, "account: old\n"),
      "settings.json": JSON.stringify({ "bulkMail.accounts": accounts, "bulkMail.defaultAccount": "work" }),
    });
    const refused = await sandbox.run(["send", "hello.mail.md", "--settings", "settings.json", "--yes"]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /Account old .* was not used here before/);
    assert.equal(server.connections, 0);
  });

  it("a run goes on through the account that it was confirmed for, and through no other by itself", async () => {
    const account = { host: "127.0.0.1", port: server.port, security: "none", auth: "none", limits: { delay: 0 } };
    const accounts = { local: account, other: { ...account, from: "Eve <eve@example.net>" } };
    await sandbox.write({
      ...smallCampaign(3),
      "settings.json": JSON.stringify({ "bulkMail.accounts": accounts, "bulkMail.defaultAccount": "other" }),
    });
    await sandbox.run(["send", "hello.mail.md", ...through, "--limit", "1"]);
    const other = ["send", "hello.mail.md", "--settings", "settings.json", "--account", "other", "--yes"];
    const refused = await sandbox.run(other);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /confirmed for account local/);
    const { code, stderr } = await sandbox.run(["send", "hello.mail.md", "--settings", "settings.json", "--yes"]);
    assert.equal(code, 0, stderr);
    assert.deepEqual([...server.perRecipient.values()], [1, 1, 1]);
  });

  it("a wrong call or a missing password leaves no run behind", async () => {
    assert.equal((await sandbox.run(["send", "hello.mail.md", ...through, "--limit", "abc"])).code, 2);
    const more = { auth: "password", user: "ada" };
    await sandbox.write({ "settings.json": loopbackSettings(server.port, more) });
    const missing = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /BULK_MAIL_PASSWORD/);
    assert.match((await sandbox.run(["report", "hello.mail.md"])).stderr, /never sent/);
  });

  it("says that a list has grown since its run ended, and does not call that a success", async () => {
    await sandbox.run(["send", "hello.mail.md", ...through]);
    const list = path.join(sandbox.workspace, "people.csv");
    await writeFile(list, `${await readFile(list, "utf8")}new@example.com,New,99\n`);
    const { code, stdout } = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal(code, 1);
    assert.match(stdout, /list has changed since.*not mailed by this/);
    assert.equal(server.accepted.length, 5);
  });

  it("a letter that was only mended since its run ended is no change of the list", async () => {
    await sandbox.run(["send", "hello.mail.md", ...through]);
    await sandbox.write({ "hello.mail.md": smallCampaign(5)["hello.mail.md"]?.replace("Hello", "Dear") ?? "" });
    const { code, stdout } = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal(code, 0);
    assert.doesNotMatch(stdout, /changed/);
  });

  it("a file that lost its id does not mail everybody again by itself", async () => {
    await sandbox.run(["send", "hello.mail.md", ...through]);
    const text = smallCampaign(5)["hello.mail.md"] ?? "";
    await sandbox.write({ "hello.mail.md": text.replace("0b0e7d3a", "1c0e7d3a") });
    const refused = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /5 accepted.*\n.*id: 0b0e7d3a-8f4e-4d52-9f0a-6f2f1f9e5a11/);
    assert.equal(server.accepted.length, 5);
    assert.equal((await sandbox.run(["send", "hello.mail.md", ...through, "--again"])).code, 0);
    assert.equal(server.accepted.length, 10);
  });

  it("takes a state directory from a settings file that was named, an absolute one only", async () => {
    const account = { host: "127.0.0.1", port: server.port, security: "none", auth: "none" };
    await sandbox.write({
      "settings.json": JSON.stringify({ "bulkMail.accounts": { local: account }, "bulkMail.stateDirectory": "state" }),
    });
    const { code, stderr } = await sandbox.run(["check", "hello.mail.md", "--settings", "settings.json"], {}, false);
    assert.equal(code, 2);
    assert.match(stderr, /absolute path/);
  });

  it("an unfinished run is not exported: two machines would both send the rest", async () => {
    await sandbox.run(["send", "hello.mail.md", ...through, "--limit", "2"]);
    const { code, stderr } = await sandbox.run(["journal", "export", "hello.mail.md", "--out", "moved.journal"]);
    assert.equal(code, 4);
    assert.match(stderr, /not finished/);
  });

  it("previews the exact message of a row (R54)", async () => {
    const eml = await sandbox.run(["preview", "hello.mail.md", "--row", "3", "--format", "eml"]);
    assert.equal(eml.code, 0, eml.stderr);
    const mail = await simpleParser(eml.stdout);
    assert.equal(mail.subject, "Number 2");
    const text = await sandbox.run(["preview", "hello.mail.md", "--row", "3"]);
    assert.match(text.stdout, /Hello Person 2, this is number 2\./);
    assert.equal((await sandbox.run(["preview", "hello.mail.md", "--row", "6"])).code, 2);
  });

  it("keeps hostile words of a server plain in the terminal, the report and the journal's table", async () => {
    await server.close();
    const hostile = "550 5.1.1 \u001b[31mred\u001b[0m [click](command:evil) <script>x</script> \u202egnp";
    server = await ScriptedSmtp.start(({ command, before }) =>
      command === "RCPT" && before === 0 ? { reply: hostile } : undefined,
    );
    await sandbox.write({ "settings.json": loopbackSettings(server.port) });
    const { code, stdout, stderr } = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.equal(code, 1);
    const table = await sandbox.run(["report", "hello.mail.md"]);
    const csv = await sandbox.run(["report", "hello.mail.md", "--format", "csv"]);
    for (const text of [stdout, stderr, table.stdout, csv.stdout])
      assert.ok(!/[\u001b\u202e]/.test(text), JSON.stringify(text));
    assert.match(stderr, /\[click\]\(command:evil\)/);
  });

  it("wrong usage ends with exit 2 and a sentence", async () => {
    for (const words of [["sned"], ["send"], ["send", "missing.mail.md"], ["check", "hello.mail.md", "--no-such"]]) {
      const { code, stderr } = await sandbox.run(words);
      assert.equal(code, 2, words.join(" "));
      assert.match(stderr, /\.\n$/);
      assert.doesNotMatch(stderr, /\n\s+at /);
    }
  });

  it("the example campaign: 25 people, no problem, sent and not sent again", async () => {
    const campaign = path.join(repositoryRoot(), "examples", "spring", "spring.mail.md");
    const checked = await sandbox.run(["check", campaign]);
    assert.equal(checked.stdout, "No problems.\n");
    const first = await sandbox.run(["send", campaign, "--account", "sandbox"]);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /^25 accepted, 0 failed/m);
    assert.equal(first.stderr.match(/^accepted /gm)?.length, 25);
    for (const [, place] of first.stdout.matchAll(/^(?:Report|Mails): +(.+)$/gm)) await stat(String(place));
    assert.equal(first.stdout.match(/^(?:Report|Mails): /gm)?.length, 2);
    const second = await sandbox.run(["send", campaign, "--account", "sandbox"]);
    assert.equal(second.code, 0);
    assert.match(second.stdout, /All 25 were already sent/);
  });
});

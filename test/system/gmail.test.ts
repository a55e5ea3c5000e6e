/** The built command line and the Gmail API: the same bytes as everywhere, its client loaded for nobody else, and `kill -9`. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { cp, readdir, readFile, rm } from "node:fs/promises";
import * as path from "node:path";
import type { Report } from "../../src/mail/index";
import { smallCampaign, campaignIdOfSmall } from "../fakes/campaigns";
import { cliFile, Sandbox } from "../fakes/cli";
import { GmailEndpoint } from "../fakes/gmailEndpoint";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";
import { repositoryRoot } from "../host/repo";

const token = "ya29.a-token-of-the-test";
const env = { BULK_MAIL_TOKEN: token };
const named = ["hello.mail.md", "--settings", "settings.json", "--yes", "--quiet"];
const through = (account: string, ...more: readonly string[]): readonly string[] => [
  ...["send", ...named, "--account", account],
  ...more,
];

describe("bulk-mail through the Gmail API (R1, R57)", function () {
  this.timeout(240_000);
  let sandbox: Sandbox;
  let gmail: GmailEndpoint;
  let smtp: ScriptedSmtp;
  beforeEach(async () => {
    [sandbox, gmail, smtp] = await Promise.all([Sandbox.create(), GmailEndpoint.start(), ScriptedSmtp.start()]);
    gmail.tokens.add(token);
    const { interceptor } = gmail;
    const limits = { delay: 0, perMinute: 0, perDay: 0 };
    const api = {
      ...{ provider: "gmail", transport: "gmailApi", user: "ada@gmail.com", limits },
      ...{ proxy: interceptor.proxy, tls: { caFile: "ca.pem" } },
    };
    const local = { host: "127.0.0.1", port: smtp.port, security: "none", auth: "none", limits };
    await sandbox.write({
      ...smallCampaign(3),
      "ca.pem": interceptor.ca,
      "settings.json": JSON.stringify({
        "bulkMail.accounts": { gmail: api, local },
        "bulkMail.retry.initialDelay": 10,
        "bulkMail.retry.maxDelay": 50,
      }),
    });
  });
  afterEach(async () => {
    await Promise.all([gmail.close(), smtp.close()]);
    await sandbox.remove();
  });

  it("hands over the very bytes that SMTP and the outbox get; accents and emoji survive", async () => {
    const banner = await readFile(path.join(repositoryRoot(), "examples", "spring", "banner.png"));
    await sandbox.write({
      "hello.mail.md": `---
id: ${campaignIdOfSmall}
subject: "Grüße an {{ name }} – 日本語 🎉"
from: "Ada Łovelace <ada@gmail.com>"
recipients: people.csv
to: "{{ name }} <{{ email }}>"
cc: "Zoë <zoe@example.com>"
bcc:
  - Jörg Geheim <joerg@example.com>
  - carl@example.com
replyTo: answers@example.com
attachments:
  - "{{ file }}"
---
Liebe(r) **{{ name }}**, ça va? 👋

.

![Banner](banner.png)
`,
      "people.csv":
        "email,name,file\nbjoern@example.com,Bjørn Åse,klein.txt\ngrace@example.com,グレース,groß.bin\nida@example.com,“Ida” 🦊,klein.txt\n",
      "banner.png": banner,
      "klein.txt": "ein kleiner Anhang\n.\n",
      "groß.bin": Buffer.alloc(900_000, "groß "),
    });
    for (const words of [through("local"), through("gmail", "--again"), through("local", "--dry-run", "out")]) {
      const { code, stderr } = await sandbox.run(words, env);
      assert.equal(code, 0, stderr);
    }
    const outbox = path.join(sandbox.workspace, "out");
    const files = await Promise.all((await readdir(outbox)).map((name) => readFile(path.join(outbox, name))));
    const [bySmtp, byApi, written] = [
      // The server took the end of the last line for the end of the body.
      smtp.accepted.map(({ source }) => plain(Buffer.from(`${source}\r\n`, "latin1"))),
      gmail.messages.map(({ bytes }) => plain(bytes)),
      files.map(plain),
    ].map((texts) => texts.sort());
    assert.deepEqual([bySmtp?.length, byApi?.length, written?.length], [3, 3, 3]);
    for (const [i, text] of (bySmtp ?? []).entries()) {
      assert.ok(text === byApi?.[i], "The Gmail API gets other bytes than SMTP.");
      assert.ok(text === written?.[i], "The outbox gets other bytes than SMTP.");
    }
    assert.deepEqual(gmail.messages.map(({ asUpload }) => asUpload).sort(), [false, false, true]);
    for (const { bytes, to } of gmail.messages) {
      assert.equal(to.length, 4, to.join());
      assert.match(bytes.toString("latin1"), /^Bcc: [^\r]*joerg@example\.com/);
      assert.match(decoded(bytes), /^Subject: Grüße an .* – 日本語 🎉$/m);
    }
    const everyByte = [...files, ...smtp.accepted.map(({ source }) => Buffer.from(source, "latin1"))];
    assert.ok(!everyByte.some((bytes) => /joerg|carl@/i.test(bytes.toString("latin1"))), "Bcc is told to others.");
    assert.deepEqual(gmail.wrong, []);
    assert.deepEqual([...gmail.taken.keys()].sort(), [...smtp.perRecipient.keys()].sort());
  });

  it("loads Google's client for the first message through the Gmail API only", async () => {
    const dist = path.join(sandbox.folder, "dist");
    await cp(path.dirname(cliFile()), dist, { recursive: true });
    await rm(path.join(dist, "gmail.js"));
    const without = (account: string): ReturnType<Sandbox["run"]> =>
      sandbox.start(through(account, "--again"), env, true, path.join(dist, "cli.js")).done;
    const sent = await without("local");
    assert.equal(sent.code, 0, sent.stderr);
    assert.equal(smtp.accepted.length, 3);
    const failed = await without("gmail");
    assert.notEqual(failed.code, 0);
    assert.match(failed.stderr, /gmail\.js/);
    assert.equal(gmail.seenTokens.length, 0);
  });

  it("tells of every message in journal and report, with Gmail's id and without the token", async () => {
    const { code, stdout, stderr } = await sandbox.run(through("gmail"), env);
    assert.equal(code, 0, stderr);
    const report = await sandbox.run(["report", "hello.mail.md", "--format", "json"]);
    const { totals, recipients } = JSON.parse(report.stdout) as Report;
    assert.equal(totals.accepted, 3);
    assert.deepEqual(
      recipients.map(({ reply }) => reply),
      ["200 OK", "200 OK", "200 OK"],
    );
    const texts = [stdout, stderr, report.stdout];
    for (const entry of await readdir(sandbox.state, { recursive: true, withFileTypes: true }))
      if (entry.isFile()) texts.push(await readFile(path.join(entry.parentPath, entry.name), "latin1"));
    assert.ok(texts.some((text) => text.includes("msg3")));
    for (const secret of [token, Buffer.from(token).toString("base64")])
      assert.ok(!texts.some((text) => text.includes(secret)), "The token was written.");
  });

  it("kill -9 between upload and record: nobody twice, nobody lost, every doubt named", async () => {
    const recipients = 60;
    await sandbox.write(smallCampaign(recipients));
    let child: ChildProcess | undefined;
    let lives = 0;
    let kills = 0;
    gmail.onTaken = () => {
      // Every seventh message of a life kills it; every second time the yes is on its way already.
      if (gmail.messages.length % 7 !== 0 || child === undefined) return "answer";
      kills++;
      const isSilent = lives % 2 === 0;
      const victim = child;
      child = undefined;
      if (isSilent) victim.kill("SIGKILL");
      else setImmediate(() => victim.kill("SIGKILL"));
      return isSilent ? "silence" : "answer";
    };
    let code: number | null = null;
    while (code === null) {
      const life = sandbox.start(through("gmail"), env);
      child = life.child;
      lives++;
      assert.ok(lives < 40, "it never comes to its end");
      code = (await life.done).code;
    }
    assert.ok(kills >= 6, `${String(kills)} kills`);
    assert.ok(gmail.messages.length <= recipients);
    const report = await sandbox.run(["report", "hello.mail.md", "--format", "json"]);
    const { totals, recipients: told } = JSON.parse(report.stdout) as Report;
    assert.equal(totals.accepted + totals.unknown, recipients);
    assert.ok(totals.unknown <= kills, `${String(totals.unknown)} doubts`);
    assert.equal(code, totals.unknown > 0 ? 1 : 0);
    assert.deepEqual(gmail.wrong, []);
    for (const { address, outcome } of told) {
      const copies = gmail.taken.get(address) ?? 0;
      // The next one's turn may have come when the kill did.
      assert.ok(copies === 1 || (copies === 0 && outcome === "unknown"), `${address} is ${outcome}, ${String(copies)}`);
    }
    process.stdout.write(
      `      ${String(kills)} kills: ${String(totals.accepted)} accepted, ${String(totals.unknown)} unknown\n`,
    );
  });
});

/** A message without what differs from run to run: Date, Message-ID and the boundaries made of it, and Bcc. */
function plain(bytes: Buffer): string {
  return bytes
    .toString("latin1")
    .replace(/^Bcc: .*\r\n(?:[ \t].*\r\n)*/, "")
    .replace(/^Date: .*\r\n/m, "Date\r\n")
    .replace(/^Message-ID: .*\r\n(?:[ \t].*\r\n)*/m, "Message-ID\r\n")
    .replace(/=_[0-9a-f]{24}_/g, "=_boundary_");
}

/** The head with its encoded words (RFC 2047) decoded. */
function decoded(bytes: Buffer): string {
  const text = bytes.toString("latin1");
  return text
    .slice(0, text.indexOf("\r\n\r\n"))
    .replace(/\r\n[ \t]+/g, " ")
    .replace(/\r\n/g, "\n")
    .replace(/\?= +=\?/g, "?==?")
    .replace(/(?:=\?UTF-8\?[QB]\?[^?]*\?=)+/gi, (words) =>
      Buffer.concat(
        [...words.matchAll(/=\?UTF-8\?([QB])\?([^?]*)\?=/gi)].map(([, kind, word = ""]) =>
          kind?.toUpperCase() === "B"
            ? Buffer.from(word, "base64")
            : Buffer.from(
                word
                  .replace(/_/g, " ")
                  .replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
                "latin1",
              ),
        ),
      ).toString("utf8"),
    );
}

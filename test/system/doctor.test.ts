import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Diagnosis } from "../../src/mail/index";
import { loopbackSettings, smallCampaign } from "../fakes/campaigns";
import { Sandbox } from "../fakes/cli";
import { authorityFile, MailServer } from "../fakes/mailServer";

const named = ["--settings", "settings.json", "--account", "local"];

describe("bulk-mail doctor (R37-R41)", () => {
  let sandbox: Sandbox;
  let server: MailServer;
  beforeEach(async () => {
    sandbox = await Sandbox.create();
    server = await MailServer.start("ada@example.com", "right");
    const account = { host: "localhost", security: "starttls", auth: "password", user: "ada@example.com" };
    await sandbox.write({
      ...smallCampaign(2),
      "ca.pem": readFileSync(authorityFile()),
      "plain.json": loopbackSettings(server.port, account),
      "settings.json": loopbackSettings(server.port, { ...account, tls: { caFile: "ca.pem" } }),
    });
  });
  afterEach(async () => {
    await server.close();
    await sandbox.remove();
  });

  it("prints every step, and a send trusts exactly what it trusted (R13)", async () => {
    const env = { BULK_MAIL_PASSWORD: "right" };
    const untrusted = await sandbox.run(["doctor", "--settings", "plain.json", "--account", "local"], env);
    assert.equal(untrusted.code, 3, untrusted.stderr);
    assert.match(untrusted.stdout, /FAILED Certificate .*\n.*not signed by an authority/);
    assert.match(untrusted.stdout, /- Trust this CA file/);
    const refused = await sandbox.run(
      ["send", "hello.mail.md", "--settings", "plain.json", "--account", "local", "--yes"],
      env,
    );
    assert.equal(refused.code, 3, refused.stderr);
    assert.deepEqual(server.signIns, []);

    const good = await sandbox.run(["doctor", ...named, "--approve"], env);
    assert.equal(good.code, 0, good.stderr);
    assert.match(good.stdout, /ok +Sign in/);
    assert.deepEqual(server.received, []);
    // The account is another one than the one that was refused; the doctor approves no sender.
    const sent = await sandbox.run(["send", "hello.mail.md", ...named, "--yes", "--approve"], env);
    assert.equal(sent.code, 0, sent.stderr);
    assert.equal(server.received.length, 2);
  });

  it("names a wrong password with exit 3, as JSON too, and shows it nowhere", async () => {
    const { code, stdout, stderr } = await sandbox.run(["doctor", ...named, "--format", "json"], {
      BULK_MAIL_PASSWORD: "not-this-one",
    });
    assert.equal(code, 3, stderr);
    const diagnosis = JSON.parse(stdout) as Diagnosis;
    assert.equal(diagnosis.failure?.class, "account");
    assert.equal(diagnosis.steps.find(({ state }) => state === "failed")?.name, "auth");
    assert.match(stderr, /C: AUTH PLAIN/);
    const encoded = Buffer.from("\0ada@example.com\0not-this-one").toString("base64");
    for (const form of ["not-this-one", encoded]) assert.ok(!`${stdout}${stderr}`.includes(form));
    assert.equal(server.signIns.length, 1);
  });

  it("asks for what it needs with exit 2", async () => {
    assert.match((await sandbox.run(["doctor"])).stderr, /Name the account/);
    const { code, stderr } = await sandbox.run(["doctor", ...named]);
    assert.equal(code, 2);
    assert.match(stderr, /BULK_MAIL_PASSWORD/);
  });
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { simpleParser } from "mailparser";
import { loopbackSettings, smallCampaign } from "../fakes/campaigns";
import { Sandbox } from "../fakes/cli";
import { orSkip } from "../fakes/debianPackages";
import { authorityFile } from "../fakes/mailServer";
import { Postfix, postfixPrograms } from "../fakes/postfix";

const user = "ada@example.org";
const through = ["--settings", "settings.json", "--account", "local", "--approve"];
const send = ["send", "hello.mail.md", "--yes", ...through];

describe("Debian's Postfix with Dovecot's sign-in", () => {
  let sandbox: Sandbox;
  let postfix: Postfix | undefined;

  before(async function () {
    const programs = orSkip(this, await postfixPrograms());
    postfix = await Postfix.start(programs, { signIn: { user, password: "right" } });
  });
  after(() => postfix?.close());
  beforeEach(async () => {
    sandbox = await Sandbox.create();
    await sandbox.write({ ...smallCampaign(3), "ca.pem": readFileSync(authorityFile()) });
    await account({ auth: "password", user });
  });
  afterEach(() => sandbox.remove());

  const server = (): Postfix => postfix ?? assert.fail("not started");
  const account = (more: Readonly<Record<string, unknown>>): Promise<void> => {
    const settings = { host: "localhost", security: "starttls", tls: { caFile: "ca.pem" }, ...more };
    return sandbox.write({ "settings.json": loopbackSettings(server().port, settings) });
  };

  it("STARTTLS with its own authority, sign-in, and one mail for each recipient (R11, R13)", async () => {
    const { code, stdout, stderr } = await sandbox.run(send, { BULK_MAIL_PASSWORD: "right" });
    assert.equal(code, 0, `${stderr}${server().log}`);
    assert.match(stdout, /^3 accepted, 0 failed, 0 unknown, 0 pending, 0 skipped\.$/m);
    const mails = await server().mails(3);
    assert.deepEqual(
      mails.map(({ from, to }) => [from, to]),
      [0, 1, 2].map((number) => ["ada@example.com", `person${String(number)}@example.com`]),
    );
    for (const [number, { source }] of mails.entries()) {
      assert.match(source, /by localhost \(Postfix\) with ESMTPSA id/);
      assert.equal((await simpleParser(source)).subject, `Number ${String(number)}`);
    }
    assert.equal(server().log.match(/status=sent/g)?.length, 3);
    assert.ok(!server().log.includes("status=deferred"));
  });

  it("a wrong password is named, ends with exit 3 and is tried once (R37)", async () => {
    const earlier = signIns();
    const { code, stdout, stderr } = await sandbox.run(send, { BULK_MAIL_PASSWORD: "wrong" });
    assert.equal(code, 3, stderr);
    assert.match(stdout, /The server refused the user name or the password\./);
    assert.match(stdout, /^0 accepted, 0 failed, 0 unknown, 3 pending/m);
    await server().until(/disconnect from .* auth=0\/1/);
    assert.equal(signIns() - earlier, 1);
  });

  it("says that the server does not relay for who is not signed in", async () => {
    await account({ auth: "none" });
    const { code, stdout, stderr } = await sandbox.run(send);
    assert.equal(code, 3, stderr);
    assert.match(`${stdout}${stderr}`, /does not pass on mail to other domains for this account\. Sign in/);
    assert.match(`${stdout}${stderr}`, /554 5\.7\.1 .*Relay access denied/);
    assert.match(stdout, /^0 accepted, 0 failed, 0 unknown, 3 pending/m);
    await server().until(/NOQUEUE: reject: RCPT .*554 5\.7\.1 .*Relay access denied/);
  });

  it("the doctor signs in there, and sends nothing", async () => {
    const before = await server().mails();
    const { code, stdout, stderr } = await sandbox.run(["doctor", ...through], { BULK_MAIL_PASSWORD: "right" });
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.match(stdout, /ok +Sign in/);
    assert.equal((await server().mails()).length, before.length);
  });

  /** Refused sign-ins so far. */
  const signIns = (): number => server().log.match(/SASL \w+ authentication failed/g)?.length ?? 0;
});

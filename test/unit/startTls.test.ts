import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Failure } from "../../src/mail/classify";
import { composeMessage } from "../../src/mail/message";
import { smtpTransports } from "../../src/mail/transports/smtp";
import { SendError } from "../../src/mail/transports/transport";
import { loopbackAccount } from "../fakes/accounts";
import { authorityFile, MailServer } from "../fakes/mailServer";

const never = new AbortController().signal;
const ca = readFileSync(authorityFile(), "utf8");

describe("STARTTLS, certificates and sign-in against a real server (R11-R14, R37, R39)", () => {
  let server: MailServer;
  beforeEach(async () => {
    server = await MailServer.start("ada@example.com", "right");
  });
  afterEach(() => server.close());

  async function open(
    more: Readonly<Record<string, unknown>>,
    password: string,
    authority: string | undefined,
  ): Promise<Failure | undefined> {
    const account = loopbackAccount(server.port, {
      host: "localhost",
      security: "starttls",
      auth: "password",
      user: "ada@example.com",
      ...more,
    });
    const transport = smtpTransports({ account, ca: authority, credentials: { password } })();
    try {
      await transport.open(never);
      await transport.close();
      return undefined;
    } catch (error) {
      assert.ok(error instanceof SendError);
      return error.failure;
    }
  }

  it("signs in over STARTTLS with the account's own authority", async () => {
    assert.equal(await open({}, "right", ca), undefined);
    assert.deepEqual(server.signIns, [{ user: "ada@example.com", password: "right" }]);
  });

  it("sends small and big messages over the encrypted connection, one after the other (R44)", async () => {
    const account = loopbackAccount(server.port, {
      host: "localhost",
      security: "starttls",
      auth: "password",
      user: "ada@example.com",
    });
    const transport = smtpTransports({ account, ca, credentials: { password: "right" } })();
    const file = Buffer.alloc(300_000, "0123456789");
    for (const attachments of [[], [{ filename: "a.bin", content: file }], []]) {
      const message = await composeMessage({
        from: { name: "Ada", address: "ada@example.com" },
        to: { name: "", address: "bob@example.org" },
        cc: [],
        bcc: [],
        replyTo: undefined,
        subject: "Hello",
        html: "",
        text: "Hello\n.\n.dot\n",
        attachments,
        headers: [],
        unsubscribe: undefined,
        oneClick: false,
        messageId: "<1@example.com>",
        date: new Date(0),
      });
      await transport.open(never);
      await transport.send(message, () => Promise.resolve(), never);
    }
    await transport.close();
    await server.until(3);
    assert.deepEqual(
      server.received.map(({ parsed }) => parsed.attachments.map(({ content }) => content.equals(file))),
      [[], [true], []],
    );
    for (const { parsed } of server.received) assert.equal(parsed.text?.trim(), "Hello\n.\n.dot");
    assert.equal(server.signIns.length, 1);
  });

  it("hands no password to a server whose certificate nobody vouches for", async () => {
    const failure = await open({}, "right", undefined);
    assert.equal(failure?.class, "account");
    assert.match(failure.text, /not signed by an authority/);
    assert.deepEqual(server.signIns, []);
  });

  it("hands no password to a server with another name's certificate", async () => {
    const failure = await open({ tls: { servername: "mail.example.com" } }, "right", ca);
    assert.equal(failure?.class, "account");
    assert.match(failure.text, /for another name/);
    assert.deepEqual(server.signIns, []);
  });

  it("takes any certificate only when verification is off (R12)", async () => {
    assert.equal(await open({ tls: { verify: false } }, "right", undefined), undefined);
  });

  it("says that a STARTTLS port does not speak TLS at once (R38)", async () => {
    const failure = await open({ security: "tls" }, "right", ca);
    assert.equal(failure?.class, "account");
    assert.match(failure.text, /does not speak TLS at once/);
  });

  it("names a wrong password", async () => {
    const failure = await open({}, "wrong", ca);
    assert.equal(failure?.class, "account");
    assert.equal(failure.code, 535);
    assert.match(failure.text, /user name or the password/);
  });
});

import assert from "node:assert/strict";
import { smtpTransports } from "../../src/mail/transports/smtp";
import { SendError, type Transport } from "../../src/mail/transports/transport";
import type { Message } from "../../src/mail/message";
import type { Failure } from "../../src/mail/classify";
import { loopbackAccount } from "../fakes/accounts";
import { ScriptedSmtp, type Script } from "../fakes/scriptedSmtp";

const never = new AbortController().signal;

function message(to: readonly string[] = ["bob@example.org"], body = "Hello\r\n.dot\r\n"): Message {
  const bytes = Buffer.from(`Subject: Hi\r\n\r\n${body}`);
  return {
    envelope: { from: "ada@example.com", to },
    messageId: "<1@example.com>",
    subject: "Hi",
    pieces: [bytes],
    size: bytes.length,
    bytes,
    smtpUtf8: to.some((address) => /[^\u0000-\u007f]/.test(address)),
    bccHeader: "",
  };
}

describe("SMTP transport (R1, R3, R11, R32)", () => {
  let server: ScriptedSmtp;
  const open: Transport[] = [];

  async function connect(script?: Script, extensions?: string[], more = {}, password?: string): Promise<Transport> {
    server = await ScriptedSmtp.start(script, extensions);
    const credentials = password === undefined ? {} : { password };
    const transport = smtpTransports({
      account: loopbackAccount(server.port, more),
      ca: undefined,
      credentials,
    })();
    open.push(transport);
    return transport;
  }

  /** Opens and sends; the failure, and whether the gate was asked and passed. */
  async function attempt(
    transport: Transport,
    sent = message(),
  ): Promise<{ failure?: Failure; gates: number; reply?: string }> {
    let gates = 0;
    try {
      await transport.open(never);
      const gate = (): Promise<void> => {
        gates++;
        return Promise.resolve();
      };
      const { reply } = await transport.send(sent, gate, never);
      return { gates, reply };
    } catch (error) {
      assert.ok(error instanceof SendError, String(error));
      return { failure: error.failure, gates };
    }
  }

  afterEach(async () => {
    await Promise.all(open.splice(0).map((transport) => transport.close()));
    await server.close();
  });

  it("hands over the exact bytes, dot-stuffed on the way, and reuses the connection", async () => {
    const transport = await connect();
    assert.equal((await attempt(transport)).reply, "250 2.0.0 Ok: queued");
    await attempt(transport);
    assert.deepEqual(
      server.accepted.map(({ from, to, source }) => ({ from, to, source })),
      [1, 2].map(() => ({
        from: "ada@example.com",
        to: ["bob@example.org"],
        source: "Subject: Hi\r\n\r\nHello\r\n.dot",
      })),
    );
    assert.equal(server.connections, 1);
  });

  // The library's own error objects are the same for several of these: only the gate tells them apart.
  const stages: readonly [string, Script, Failure["class"], number, number][] = [
    [
      "greeting 421",
      ({ command }) => (command === "connect" ? { reply: "421 4.7.0 later", close: true } : undefined),
      "throttled",
      0,
      0,
    ],
    [
      "greeting 554",
      ({ command }) => (command === "connect" ? { reply: "554 5.7.1 no", close: true } : undefined),
      "account",
      0,
      0,
    ],
    [
      "closed at the greeting",
      ({ command }) => (command === "connect" ? { end: "close" } : undefined),
      "offline",
      0,
      0,
    ],
    ["closed at EHLO", ({ command }) => (command === "EHLO" ? { end: "close" } : undefined), "offline", 0, 0],
    ["MAIL 550", ({ command }) => (command === "MAIL" ? { reply: "550 5.7.1 not you" } : undefined), "account", 0, 0],
    [
      "MAIL 451",
      ({ command }) => (command === "MAIL" ? { reply: "450 4.7.1 too much mail" } : undefined),
      "throttled",
      0,
      0,
    ],
    ["closed at MAIL", ({ command }) => (command === "MAIL" ? { end: "close" } : undefined), "offline", 0, 0],
    [
      "RCPT 550",
      ({ command }) => (command === "RCPT" ? { reply: "550 5.1.1 no such user" } : undefined),
      "recipient",
      0,
      0,
    ],
    [
      "RCPT 450",
      ({ command }) => (command === "RCPT" ? { reply: "450 4.2.0 greylisted" } : undefined),
      "deferred",
      0,
      0,
    ],
    [
      "RCPT 421",
      ({ command }) => (command === "RCPT" ? { reply: "421 4.3.2 going down", close: true } : undefined),
      "throttled",
      0,
      0,
    ],
    ["reset at RCPT", ({ command }) => (command === "RCPT" ? { end: "reset" } : undefined), "offline", 0, 0],
    ["DATA 451", ({ command }) => (command === "DATA" ? { reply: "451 4.3.0 not now" } : undefined), "throttled", 0, 0],
    ["closed at DATA", ({ command }) => (command === "DATA" ? { end: "close" } : undefined), "offline", 0, 0],
    [
      "550 after the body",
      ({ command }) => (command === "dot" ? { reply: "550 5.7.1 spam" } : undefined),
      "message",
      1,
      0,
    ],
    [
      "452 after the body",
      ({ command }) => (command === "dot" ? { reply: "452 4.3.1 disk full" } : undefined),
      "deferred",
      1,
      0,
    ],
    [
      "421 after the body",
      ({ command }) => (command === "dot" ? { reply: "421 4.3.0 bye", close: true } : undefined),
      "throttled",
      1,
      0,
    ],
    [
      "quota after the body",
      ({ command }) => (command === "dot" ? { reply: "550 5.4.5 Daily user sending limit exceeded" } : undefined),
      "quota",
      1,
      0,
    ],
    [
      "closed after the body, not accepted",
      ({ command }) => (command === "dot" ? { end: "close" } : undefined),
      "unknown",
      1,
      0,
    ],
    [
      "closed after the body, accepted",
      ({ command }) => (command === "dot" ? { acceptThen: "close" } : undefined),
      "unknown",
      1,
      1,
    ],
    [
      "reset after the body, accepted",
      ({ command }) => (command === "dot" ? { acceptThen: "reset" } : undefined),
      "unknown",
      1,
      1,
    ],
  ];
  for (const pipelining of [true, false])
    for (const [name, script, expected, gates, accepted] of stages)
      it(`${name}, ${pipelining ? "with" : "without"} PIPELINING: ${expected}`, async () => {
        const transport = await connect(script, pipelining ? ["PIPELINING"] : []);
        const result = await attempt(transport);
        assert.equal(result.failure?.class, expected);
        assert.equal(result.gates, gates);
        assert.equal(server.accepted.length, accepted);
      });

  it("a body that breaks off before its end is not accepted: offline", async () => {
    const transport = await connect(({ command }) => (command === "body" ? { end: "reset" } : undefined));
    const result = await attempt(transport, message(undefined, "x".repeat(8_000_000)));
    assert.equal(result.failure?.class, "offline");
    assert.equal(result.gates, 1);
    assert.equal(server.accepted.length, 0);
  });

  it("after a refused recipient the next message goes over the same connection", async () => {
    const transport = await connect(({ command, before }) =>
      command === "RCPT" && before === 0 ? { reply: "550 5.1.1 no such user" } : undefined,
    );
    assert.equal((await attempt(transport)).failure?.class, "recipient");
    assert.equal((await attempt(transport)).failure, undefined);
    assert.equal(server.connections, 1);
  });

  for (const refusedAt of [0, 1])
    it(`hands over to nobody when recipient ${String(refusedAt + 1)} of two is refused`, async () => {
      const transport = await connect(({ command, before }) =>
        command === "RCPT" && before === refusedAt ? { reply: "550 5.1.1 no such user" } : undefined,
      );
      const { failure, gates } = await attempt(transport, message(["bob@example.org", "cc@example.org"]));
      assert.equal(failure?.class, "recipient");
      assert.equal(failure.refused, ["bob@example.org", "cc@example.org"][refusedAt]);
      assert.equal(gates, 0);
      assert.equal(server.accepted.length, 0);
    });

  it("a gate that refuses lets no byte of the body out and its error through", async () => {
    const transport = await connect();
    await transport.open(never);
    const refusal = new Error("disk full");
    await assert.rejects(
      transport.send(message(), () => Promise.reject(refusal), never),
      (error) => error === refusal,
    );
    assert.equal(server.accepted.length, 0);
    // The session was left inside DATA: it must not be used again.
    assert.equal((await attempt(transport)).failure, undefined);
    assert.equal(server.connections, 2);
  });

  it("ends at once when aborted while the gate is closed: nothing was handed over", async () => {
    const transport = await connect(({ command }) => (command === "MAIL" ? { end: "hang" } : undefined));
    await transport.open(never);
    const abort = new AbortController();
    const sending = transport.send(message(), () => Promise.resolve(), abort.signal);
    await server.until(() => server.lines.some((line) => line.startsWith("MAIL")));
    abort.abort();
    await assert.rejects(sending, (error) => error instanceof SendError && error.failure.class === "offline");
  });

  it("is unknown when aborted after the body", async () => {
    let reached = false;
    const transport = await connect(({ command }) => {
      if (command !== "dot") return undefined;
      reached = true;
      return { acceptThen: "hang" };
    });
    await transport.open(never);
    const abort = new AbortController();
    const sending = transport.send(message(), () => Promise.resolve(), abort.signal);
    await server.until(() => reached);
    abort.abort();
    await assert.rejects(sending, (error) => error instanceof SendError && error.failure.class === "unknown");
  });

  it("tries a refused password exactly once (R37)", async () => {
    const more = { auth: "password", user: "ada" };
    const script: Script = ({ command }) => (command === "AUTH" ? { reply: "535 5.7.8 bad credentials" } : undefined);
    const transport = await connect(script, ["AUTH PLAIN LOGIN"], more, "secret");
    const { failure } = await attempt(transport);
    assert.equal(failure?.class, "account");
    assert.equal(failure.stage, "auth");
    assert.equal(server.lines.filter((line) => line.startsWith("AUTH")).length, 1);
  });

  it("offers the password to no server that does not ask for one", async () => {
    for (const extensions of [[], ["AUTH XOAUTH2"]]) {
      const transport = await connect(undefined, extensions, { auth: "password", user: "ada" }, "secret");
      assert.equal((await attempt(transport)).failure?.class, "account");
      assert.ok(!server.lines.some((line) => line.startsWith("AUTH")));
      if (extensions.length === 0) await server.close();
    }
  });

  it("never goes on in clear text when STARTTLS is missing or refused", async () => {
    for (const extensions of [["AUTH PLAIN"], ["STARTTLS", "AUTH PLAIN"]]) {
      const more = { auth: "password", user: "ada", security: "starttls" };
      const transport = await connect(undefined, extensions, more, "secret");
      const { failure } = await attempt(transport);
      assert.equal(failure?.class, "account");
      assert.equal(failure.stage, "starttls");
      assert.ok(!server.lines.some((line) => /AUTH|MAIL/.test(line)));
      if (extensions.length === 1) await server.close();
    }
  });

  it("does not send an international address to a server without SMTPUTF8", async () => {
    const transport = await connect(undefined, ["PIPELINING"]);
    assert.equal((await attempt(transport, message(["bøb@example.org"]))).failure?.class, "recipient");
    assert.ok(!server.lines.some((line) => line.startsWith("MAIL")));
  });

  it("is offline when nothing listens (R38)", async () => {
    const transport = await connect();
    await server.close();
    const { failure } = await attempt(transport);
    assert.equal(failure?.class, "offline");
    assert.match(failure.text, /Nothing answers/);
  });

  it("says in its own words what a hostile reply says, and keeps the reply plain", async () => {
    const hostile = "550 5.1.1 \u001b[31m[click](command:evil) <b>x</b> \u202egnp";
    const transport = await connect(({ command }) => (command === "RCPT" ? { reply: hostile } : undefined));
    const { failure } = await attempt(transport);
    assert.ok(failure !== undefined);
    assert.ok(!failure.text.includes("command:"));
    assert.ok(!/[\u001b\u202e]/.test(failure.reply ?? ""));
  });
});

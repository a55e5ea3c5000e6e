import assert from "node:assert/strict";
import type { Failure } from "../../src/mail/classify";
import type { Message } from "../../src/mail/message";
import { ReplyReader } from "../../src/mail/transports/replies";
import { smtpTransports, type SmtpTransport } from "../../src/mail/transports/smtp";
import { SendError, type Gate } from "../../src/mail/transports/transport";
import { loopbackAccount } from "../fakes/accounts";
import { ScriptedSmtp, type Script } from "../fakes/scriptedSmtp";

const never = new AbortController().signal;
const free: Gate = () => Promise.resolve();

/** A message of these pieces to these people. */
function message(pieces: readonly (string | Buffer)[], to: readonly string[] = ["bob@example.org"]): Message {
  const buffers = pieces.map((piece) => Buffer.from(piece));
  const bytes = Buffer.concat(buffers);
  return {
    envelope: { from: "ada@example.com", to },
    messageId: "<1@example.com>",
    subject: "Hi",
    pieces: buffers,
    size: bytes.length,
    bytes,
    smtpUtf8: to.some((address) => /[^\u0000-\u007f]/.test(address)),
    bccHeader: "",
  };
}

const short = message(["Subject: Hi\r\n\r\nHello\r\n"]);

describe("one mail transaction (R3, R11, R32)", () => {
  let server: ScriptedSmtp;
  let transport: SmtpTransport;

  async function start(
    script?: Script,
    extensions?: string[],
    more: Readonly<Record<string, unknown>> = {},
    byteByByte = false,
  ): Promise<void> {
    server = await ScriptedSmtp.start(script, extensions, byteByByte);
    transport = smtpTransports({ account: loopbackAccount(server.port, more), ca: undefined, credentials: {} })();
  }

  async function failureOf(sending: Promise<unknown>): Promise<Failure> {
    try {
      await sending;
    } catch (error) {
      assert.ok(error instanceof SendError, String(error));
      return error.failure;
    }
    throw new Error("It was sent.");
  }

  async function send(sent = short, gate = free): Promise<string> {
    await transport.open(never);
    return (await transport.send(sent, gate, never)).reply;
  }

  afterEach(async () => {
    await transport.close();
    await server.close();
  });

  describe("on the wire", () => {
    const to = ["bob@example.org", "cc@example.org"];
    const commands = ["MAIL FROM:<ada@example.com>", "RCPT TO:<bob@example.org>", "RCPT TO:<cc@example.org>", "DATA"];

    it("says the whole envelope at once to a server that reads ahead (RFC 2920)", async () => {
      await start(undefined, ["PIPELINING"]);
      await send(message(["x\r\n"], to));
      assert.deepEqual(server.batches.filter((batch) => batch.length > 0).slice(1), [commands]);
    });

    it("says one command at a time to any other", async () => {
      await start(undefined, []);
      await send(message(["x\r\n"], to));
      const [, ...rest] = server.batches.filter((batch) => batch.length > 0);
      assert.deepEqual(
        rest,
        commands.map((command) => [command]),
      );
    });

    it("tells size and international addresses to servers that know these", async () => {
      await start(undefined, ["PIPELINING", "SIZE 1000", "SMTPUTF8"]);
      await send(message(["x\r\n"], ["bøb@example.org"]));
      const mail = server.lines.find((line) => line.startsWith("MAIL"));
      assert.equal(mail, "MAIL FROM:<ada@example.com> SMTPUTF8 SIZE=3");
      assert.equal((await failureOf(send(message(["x".repeat(1001)])))).class, "message");
      assert.equal(server.lines.filter((line) => line.startsWith("MAIL")).length, 1);
    });

    it("an address cannot bring a command with it", async () => {
      await start();
      await transport.open(never);
      const evil = message(["x"], ["a@example.org>\r\nRCPT TO:<evil@example.net"]);
      assert.equal((await failureOf(transport.send(evil, free, never))).class, "recipient");
      assert.deepEqual(
        server.lines.filter((line) => !/^(?:EHLO|RSET)/.test(line)),
        [],
      );
    });

    const bodies: readonly [string, readonly string[], string][] = [
      ["dots at the start of lines", [".a\r\n..b\r\n.\r\nc\r\n"], "..a\r\n...b\r\n..\r\nc"],
      ["no line end at the end", ["a"], "a"],
      ["a bare CR at the end", ["a\r"], "a"],
      ["bare line feeds", ["a\nb\n\nc\n"], "a\r\nb\r\n\r\nc"],
      ["bare carriage returns", ["a\rb\r\rc\r"], "a\r\nb\r\n\r\nc"],
      ["an end that only lenient servers see", ["a\n.\nb\r\n"], "a\r\n..\r\nb"],
      ["half an end after a bare line feed", ["a\n.\r\nb\r\n"], "a\r\n..\r\nb"],
      ["half an end before a bare line feed", ["a\r\n.\nb\r\n"], "a\r\n..\r\nb"],
      ["an end of bare carriage returns", ["a\r.\rb\r\n"], "a\r\n..\r\nb"],
      ["an end across pieces", ["a\r\n", ".", "\r\nb\r", "\n.", "\n", "c\r", ".\r\n"], "a\r\n..\r\nb\r\n..\r\nc\r\n.."],
      ["nothing", [""], ""],
      ["empty pieces", ["a\r\n", "", ".b\r\n"], "a\r\n..b"],
    ];
    for (const [name, pieces, wire] of bodies)
      it(`a body with ${name} is one message`, async () => {
        await start();
        await send(message(pieces));
        await send(short);
        assert.deepEqual(
          server.accepted.map((taken) => taken.wire),
          [wire, "Subject: Hi\r\n\r\nHello"],
        );
      });

    it("a big file that goes into several messages arrives whole, wherever it begins", async () => {
      await start();
      const file = Buffer.from(`${"AbC+".repeat(19)}\r\n`.repeat(4000));
      const dotted = Buffer.from(`.${"x".repeat(40_000)}`);
      for (const before of ["a\r\n", "a", "a\r", ""]) {
        const sent = message([]);
        await send({ ...sent, pieces: [Buffer.from(before), file, dotted] });
      }
      const expected = (before: string): string =>
        `${before}${file.toString()}.${dotted.toString()}`.replace(/\r(?!\n)/g, "\r\n");
      assert.deepEqual(
        server.accepted.map((taken) => taken.wire),
        ["a\r\n", "a", "a\r", ""].map(expected),
      );
    });
  });

  describe("replies", () => {
    it("are understood byte by byte and over many lines", async () => {
      const script: Script = ({ command }) => {
        if (command === "MAIL") return { reply: "250-one\r\n250-two\r\n250 three" };
        return command === "dot" ? { reply: "250-first\r\n250 2.0.0 grüße" } : undefined;
      };
      for (const byteByByte of [false, true]) {
        await start(script, ["PIPELINING"], {}, byteByByte);
        assert.match(await send(), /^250-first.*250 2\.0\.0 grüße$/);
        if (!byteByByte) await server.close();
      }
    });

    it("count by the code of their last line", async () => {
      await start(({ command }) => (command === "dot" ? { reply: "250-so far\r\n554 5.7.1 but no" } : undefined));
      assert.equal((await failureOf(send())).class, "message");
    });

    it("may be nearly as long as a megabyte; what is kept is short", async () => {
      const lines = "250-all is very well\r\n".repeat(40_000);
      await start(({ command, before }) =>
        command === "dot" && before === 0 ? { reply: `${lines}250 2.0.0 queued` } : undefined,
      );
      assert.ok((await send()).length < 1000);
      await send();
      assert.equal(server.connections, 1);
    });

    for (const command of ["MAIL", "dot"] as const)
      it(`without end are not listened to, at ${command}`, async () => {
        const line = `250-${"x".repeat(500)}\r\n`.repeat(3000);
        await start((step) => (step.command === command && step.before === 0 ? { reply: line } : undefined));
        assert.equal((await failureOf(send())).class, command === "MAIL" ? "offline" : "unknown");
        await send();
        assert.equal(server.connections, 2);
      });

    it("that make no sense are no yes", async () => {
      await start(({ command, before }) => (command === "dot" && before === 0 ? { reply: "fine!" } : undefined));
      assert.equal((await failureOf(send())).class, "unknown");
      await send();
      assert.equal(server.connections, 2);
    });

    it("to DATA open nothing but by 354", async () => {
      await start(({ command }) => (command === "DATA" ? { reply: "250 ok" } : undefined));
      let gates = 0;
      const gate: Gate = () => {
        gates++;
        return Promise.resolve();
      };
      assert.equal((await failureOf(send(short, gate))).class, "offline");
      assert.equal(gates, 0);
    });

    it("that nobody asked for end the connection, before the next message uses it", async () => {
      await start(({ command, before }) =>
        command === "dot" && before === 0
          ? { reply: "250 2.0.0 Ok\r\n421 4.4.2 idle for too long", close: true }
          : undefined,
      );
      assert.equal(await send(), "250 2.0.0 Ok");
      await send();
      assert.equal(server.connections, 2);
    });

    it("that answer twice do not count for the next command", async () => {
      await start(({ command }) => (command === "MAIL" ? { reply: "250 ok\r\n250 ok" } : undefined), []);
      let gates = 0;
      const gate: Gate = () => {
        gates++;
        return Promise.resolve();
      };
      assert.equal((await failureOf(send(short, gate))).class, "offline");
      assert.equal(gates, 0);
      assert.ok(!server.lines.includes("DATA"));
    });

    it("are read in any pieces", () => {
      const text = "250-a\r\n250 b\r\n\r\n354 go\n5x\r\n421 bye\r\n";
      for (const size of [1, 2, 3, 7, 100]) {
        const reader = new ReplyReader();
        const codes: number[] = [];
        for (let at = 0; at < text.length; at += size)
          codes.push(...(reader.read(Buffer.from(text.slice(at, at + size))) ?? []).map(({ code }) => code));
        assert.deepEqual(codes, [250, 354, 0, 421]);
      }
    });
  });

  describe("refusals and ends", () => {
    const to = ["bob@example.org", "cy@example.org", "di@example.org"];

    for (const extensions of [["PIPELINING"], []])
      it(`all or nobody: the second of three is refused, ${extensions.length > 0 ? "with" : "without"} PIPELINING`, async () => {
        await start(
          ({ command, before }) =>
            command === "RCPT" && before === 1 ? { reply: "550 5.1.1 no such user" } : undefined,
          extensions,
        );
        const failure = await failureOf(send(message(["secret\r\n"], to), () => Promise.reject(new Error("asked"))));
        assert.equal(failure.class, "recipient");
        assert.equal(failure.refused, "cy@example.org");
        assert.match(failure.text, /nothing was sent to any of them/);
        await send();
        assert.deepEqual(
          server.accepted.map((taken) => taken.to),
          [["bob@example.org"]],
        );
        // A server that waits for the body gets none, not even an empty one.
        assert.equal(server.connections, extensions.length > 0 ? 2 : 1);
      });

    it("a refusal counts though the server hangs up behind it", async () => {
      await start(({ command }) => (command === "MAIL" ? { reply: "550 5.7.1 not from you", close: true } : undefined));
      assert.equal((await failureOf(send())).class, "account");
    });

    it("a server that says 421 while the gate is asked gets nothing", async () => {
      await start();
      const gate: Gate = () => {
        server.say("421 4.3.2 going down");
        return new Promise(() => {});
      };
      const failure = await failureOf(send(short, gate));
      assert.equal(failure.class, "throttled");
      assert.equal(failure.code, 421);
      assert.deepEqual(server.accepted, []);
    });

    it("a gate that opens after the run was stopped opens nothing", async () => {
      await start();
      await transport.open(never);
      const abort = new AbortController();
      let open = (): void => {};
      const sending = transport.send(
        short,
        () => {
          abort.abort();
          return new Promise((resolve) => (open = resolve));
        },
        abort.signal,
      );
      assert.equal((await failureOf(sending)).class, "offline");
      open();
      await send();
      assert.equal(server.accepted.length, 1);
      assert.equal(server.connections, 2);
    });

    const big = message(["x".repeat(8_000_000)]);

    it("a connection that is lost inside a big body delivered nothing", async () => {
      await start(({ command }) => (command === "body" ? { end: "reset" } : undefined));
      const failure = await failureOf(send(big));
      assert.equal(failure.class, "offline");
      assert.equal(failure.stage, "body");
    });

    it("a connection that is lost after a big body is unknown", async () => {
      await start(({ command }) => (command === "dot" ? { acceptThen: "reset" } : undefined));
      const failure = await failureOf(send(big));
      assert.equal(failure.class, "unknown");
      assert.equal(server.accepted.length, 1);
    });

    it("a no in the middle of a big body is a no", async () => {
      await start(({ command, before }) =>
        command === "body" && before === 0 ? { reply: "552 5.3.4 too big", close: true } : undefined,
      );
      const failure = await failureOf(send(big));
      assert.equal(failure.class, "message");
      assert.equal(failure.stage, "body");
    });

    it("a yes in the middle of a big body is no yes", async () => {
      await start(({ command, before }) => (command === "body" && before === 0 ? { reply: "250 fine" } : undefined));
      const failure = await failureOf(send(big));
      assert.equal(failure.class, "unknown");
      await send();
      assert.equal(server.connections, 2);
    });

    it("silence ends it after the account's time (R28): safe before the body, unknown behind it", async () => {
      for (const [command, expected] of [
        ["MAIL", "offline"],
        ["dot", "unknown"],
      ] as const) {
        await start((step) => (step.command === command ? { end: "hang" } : undefined), undefined, {
          timeouts: { socket: 100 },
        });
        const failure = await failureOf(send());
        assert.equal(failure.class, expected);
        assert.equal(failure.systemCode, "ETIMEDOUT");
        if (command === "MAIL") await server.close();
      }
    });
  });

  describe("the connection", () => {
    const renewals: readonly [string, Readonly<Record<string, unknown>>, number][] = [
      ["after the provider's number of messages", { provider: "yahoo" }, 20],
      ["after a hundred messages otherwise", {}, 100],
    ];
    for (const [name, more, limit] of renewals)
      it(`is renewed ${name} (R10)`, async () => {
        await start(undefined, undefined, more);
        for (let i = 0; i < limit; i++) await send();
        assert.equal(server.connections, 1);
        assert.ok(!server.lines.includes("QUIT"));
        await send();
        assert.equal(server.connections, 2);
        assert.equal(server.lines.filter((line) => line === "QUIT").length, 1);
        assert.equal(server.accepted.length, limit + 1);
      });

    it("is forgotten when it is dropped, and the next message opens another", async () => {
      await start();
      await send();
      transport.drop();
      await assert.rejects(transport.send(short, free, never), SendError);
      await send();
      assert.equal(server.connections, 2);
      await server.until(() => server.lines.includes("QUIT"));
      assert.equal(server.accepted.length, 2);
    });
  });
});

import assert from "node:assert/strict";
import { once } from "node:events";
import * as tls from "node:tls";
import { openSocket } from "../../src/mail/connect";
import { inTurn } from "../../src/mail/happyEyeballs";
import { loopbackAccount } from "../fakes/accounts";
import {
  ConnectBench,
  failure,
  firstBytes,
  found,
  held,
  letGo,
  never,
  notAsked,
  notFound,
  turn,
} from "../fakes/connectBench";
import { MailServer } from "../fakes/mailServer";

describe("the way to a server", () => {
  const bench = new ConnectBench();
  afterEach(bench.close);

  describe("names (R18, R40)", () => {
    it("are looked up by the system, the hosts file included", async () => {
      const { port } = await bench.greeter();
      const { socket, events } = await bench.open(port, { host: "localhost" });
      const [resolved, connected] = events;
      assert.ok(resolved?.kind === "resolved" && connected?.kind === "connected" && events.length === 2);
      assert.equal(resolved.name, "localhost");
      assert.ok(resolved.addresses.includes("127.0.0.1"));
      assert.deepEqual([connected.address, connected.port], ["127.0.0.1", port]);
      assert.equal(await firstBytes(socket), "220 hello\r\n");
    });

    it("are not asked for where there is an address", async () => {
      const { port } = await bench.greeter();
      const { events } = await bench.open(port, {}, { lookup: notAsked });
      assert.deepEqual(
        events.map(({ kind }) => kind),
        ["connected"],
      );
    });

    for (const code of ["ENOTFOUND", "EAI_AGAIN"])
      it(`that end in ${code} fail at DNS`, async () => {
        await failure(bench.open(25, { host: "mail.example" }, { lookup: notFound(code) }), "dns", code);
      });

    it("without an address are not found", async () => {
      await failure(bench.open(25, { host: "mail.example" }, { lookup: found() }), "dns", "ENOTFOUND");
    });

    it("that nobody answers for end with their own time-out, which 0 takes away", async () => {
      const lookup = (): Promise<never> => new Promise(() => {});
      const named = (dns: number, signal = never): Promise<unknown> =>
        bench.open(25, { host: "mail.example", timeouts: { dns, connection: 1 } }, { lookup, signal });
      await failure(named(20), "dns", "ETIMEDOUT");
      const before = held();
      await failure(named(20), "dns", "ETIMEDOUT");
      const cancelled = new AbortController();
      const work = named(0, cancelled.signal);
      assert.equal(held(), before);
      cancelled.abort();
      await assert.rejects(work, { name: "AbortError" });
    });
  });

  describe("addresses (R17, R38)", () => {
    it("take turns, IPv6 first, each once", () => {
      assert.deepEqual(inTurn(["192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1", "not one"]), [
        "2001:db8::1",
        "192.0.2.1",
        "192.0.2.2",
      ]);
    });

    it("are tried one after the other at once where they refuse", async () => {
      const { port } = await bench.greeter();
      const lookup = found("127.0.0.1", "ff02::1", "::1");
      const { socket, events } = await bench.open(
        port,
        { host: "mail.example", timeouts: { connection: 5000 } },
        { lookup },
      );
      assert.ok(events[0]?.kind === "resolved" && events[1]?.kind === "connected");
      assert.deepEqual(events[0].addresses, ["ff02::1", "127.0.0.1", "::1"]);
      assert.equal(events[1].address, "127.0.0.1");
      assert.ok(events[1].ms < 250, String(events[1].ms));
      assert.equal(await firstBytes(socket), "220 hello\r\n");
    });

    it("that swallow everything cost a moment, and are let go", async function () {
      // Only there are all of 127.0.0.0/8 this machine's own.
      if (process.platform !== "linux") this.skip();
      const port = await bench.silent();
      const { clients } = await bench.greeter("127.0.0.2", port);
      const before = held();
      const lookup = found("::ffff:127.0.0.1", "127.0.0.2");
      const { socket, events } = await bench.open(port, { host: "mail.example" }, { lookup });
      assert.ok(events[1]?.kind === "connected");
      assert.equal(events[1].address, "127.0.0.2");
      assert.ok(events[1].ms > 200 && events[1].ms < 5000, String(events[1].ms));
      assert.equal(await firstBytes(socket), "220 hello\r\n");
      assert.equal(clients.size, 1);
      // Ours, and its other end.
      await letGo(before + 2);
    });

    it("that all fail leave the most telling reason", async () => {
      const port = await bench.refused();
      const before = held();
      const among = (...addresses: readonly string[]): Promise<unknown> =>
        bench.open(port, { host: "mail.example" }, { lookup: found(...addresses) });
      await failure(among("ff02::1", "127.0.0.1", "255.255.255.255"), "tcp", "ECONNREFUSED");
      if (process.platform === "linux") await failure(among("255.255.255.255"), "tcp", "ENETUNREACH");
      await letGo(before);
    });

    it("that do not answer end with one time-out for all", async () => {
      const port = await bench.silent();
      const before = held();
      const more = { host: "mail.example", timeouts: { connection: 300 } };
      const lookup = found("::ffff:127.0.0.1", "127.0.0.1");
      await failure(bench.open(port, more, { lookup }), "tcp", "ETIMEDOUT");
      await letGo(before);
    });
  });

  describe("a signal (R28)", () => {
    it("that is aborted already lets nothing begin; its reason is what is thrown", async () => {
      const reason = new Error("stopped by somebody");
      const signal = AbortSignal.abort(reason);
      await assert.rejects(
        bench.open(25, { host: "mail.example" }, { signal, lookup: notAsked }),
        (error) => error === reason,
      );
    });

    it("ends an attempt in the middle, and nothing stays open", async () => {
      const port = await bench.silent();
      const before = held();
      const reason = new Error("stopped by somebody");
      const cancelled = new AbortController();
      const work = bench.open(port, {}, { signal: cancelled.signal });
      setImmediate(() => cancelled.abort(reason));
      await assert.rejects(work, (error) => error === reason);
      await letGo(before);
    });

    it("that is aborted by whoever watches leaves no socket", async () => {
      const { port, clients } = await bench.greeter();
      const cancelled = new AbortController();
      const watch = (): void => cancelled.abort();
      await assert.rejects(openSocket(loopbackAccount(port), {}, cancelled.signal, watch), { name: "AbortError" });
      const thrown = new Error("of the watcher");
      const throws = (): never => {
        throw thrown;
      };
      await assert.rejects(openSocket(loopbackAccount(port), {}, never, throws), (error) => error === thrown);
      while (clients.size > 0) await turn();
    });
  });

  it("hands the socket over paused, whatever the server says before somebody listens", async () => {
    const { port, clients } = await bench.greeter();
    const { socket } = await bench.open(port);
    while (clients.size === 0) await turn();
    for (const client of clients) client.end("221 bye\r\n");
    // The server's last word has come in by the time that another connection was served.
    await firstBytes((await bench.open(port)).socket);
    assert.equal(socket.isPaused(), true);
    socket.resume();
    let said = "";
    for await (const chunk of socket as AsyncIterable<Buffer>) said += chunk.toString("latin1");
    assert.equal(said, "220 hello\r\n221 bye\r\n");
  });

  it("hands over a socket on which TLS begins at once", async () => {
    const mail = bench.owned(await MailServer.start("ada", "pw", undefined, undefined, { secure: true }));
    const { socket } = await bench.open(mail.port);
    const secure = tls.connect({ socket, rejectUnauthorized: false });
    bench.ownedSocket(secure);
    assert.match(((await once(secure, "data")) as [Buffer])[0].toString(), /^220 /);
  });
});

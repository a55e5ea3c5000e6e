import assert from "node:assert/strict";
import { once } from "node:events";
import * as tls from "node:tls";
import { ConnectError, openSocket, type Lookup } from "../../src/mail/connect";
import { smtpTransports } from "../../src/mail/transports/smtp";
import { loopbackAccount } from "../fakes/accounts";
import {
  ConnectBench,
  failure,
  firstBytes,
  found,
  hasIpv6,
  held,
  letGo,
  never,
  notAsked,
  notFound,
  turn,
} from "../fakes/connectBench";
import { MailServer } from "../fakes/mailServer";
import { HttpProxy, SocksProxy, type HttpProxyOptions, type SocksProxyOptions } from "../fakes/proxies";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";

describe("the way through a proxy", () => {
  const bench = new ConnectBench();
  afterEach(bench.close);

  const httpUrl = (port: number): string => `http://127.0.0.1:${String(port)}`;
  const socksUrl = (port: number): string => `socks5://127.0.0.1:${String(port)}`;
  const http = async (options?: HttpProxyOptions): Promise<HttpProxy> => bench.owned(await HttpProxy.start(options));
  const socks = async (options?: SocksProxyOptions): Promise<SocksProxy> =>
    bench.owned(await SocksProxy.start(options));

  for (const kind of ["HTTP", "SOCKS5"] as const) {
    const start = (options?: HttpProxyOptions & SocksProxyOptions): Promise<HttpProxy | SocksProxy> =>
      kind === "HTTP" ? http(options) : socks(options);
    const url = kind === "HTTP" ? httpUrl : socksUrl;

    describe(`a proxy, ${kind} (R20, R41)`, () => {
      it("gets the server's name as it is, and lets us through", async () => {
        const { port } = await bench.greeter();
        const proxy = await start({ hosts: { "mail.example": "127.0.0.1" } });
        const more = { host: "mail.example", proxy: url(proxy.port) };
        const { socket, events } = await bench.open(port, more, { lookup: notAsked });
        assert.equal(await firstBytes(socket), "220 hello\r\n");
        assert.deepEqual(proxy.connections, [`mail.example:${String(port)}`]);
        assert.deepEqual(
          events.map((event) => ({ ...event, ms: event.ms >= 0 })),
          [
            { kind: "connected", address: "127.0.0.1", port: proxy.port, ms: true },
            { kind: "proxied", proxy: url(proxy.port), ms: true },
          ],
        );
      });

      it("is found by its own name", async () => {
        const { port } = await bench.greeter();
        const proxy = await start();
        const address = url(proxy.port).replace("127.0.0.1", "proxy.example");
        const asked: string[] = [];
        const lookup: Lookup = (name) => {
          asked.push(name);
          return found("127.0.0.1")(name);
        };
        const { events } = await bench.open(port, { proxy: address }, { lookup });
        assert.deepEqual(asked, ["proxy.example"]);
        assert.ok(events[0]?.kind === "resolved" && events[0].name === "proxy.example");
      });

      it("reaches an IPv6 address", async function () {
        if (!hasIpv6) this.skip();
        const { port } = await bench.greeter("::1");
        const proxy = await start();
        const { socket } = await bench.open(port, { host: "::1", proxy: url(proxy.port) });
        assert.equal(await firstBytes(socket), "220 hello\r\n");
        assert.deepEqual(proxy.connections, [`[::1]:${String(port)}`]);
      });

      it("signs in with user and password, in UTF-8", async () => {
        const { port } = await bench.greeter();
        const proxy = await start({ user: "zoë", password: "p:ß\r\n" });
        const more = { proxy: url(proxy.port), proxyUser: "zoë" };
        const { socket } = await bench.open(port, more, { credentials: { proxyPassword: "p:ß\r\n" } });
        assert.equal(await firstBytes(socket), "220 hello\r\n");
      });

      it("that refuses the password, or misses it, wants other credentials", async () => {
        const proxy = await start({ user: "p", password: "right" });
        const more = { proxy: url(proxy.port), proxyUser: "p" };
        const before = held();
        const wrong = await failure(
          bench.open(25, more, { credentials: { proxyPassword: "wrong", password: "of the server" } }),
          "proxy",
          "EPROXYAUTH",
        );
        if (kind === "HTTP") assert.equal(wrong.reply, "HTTP/1.1 407 Proxy Authentication Required");
        await failure(bench.open(25, more), "proxy", "EPROXYAUTH");
        await failure(bench.open(25, { proxy: url(proxy.port) }), "proxy", "EPROXYAUTH");
        await proxy.until(() => proxy.open === 0);
        await letGo(before);
        assert.doesNotMatch(proxy.requests.join("\n"), /of the server/);
      });

      it("that cannot reach the server says so", async () => {
        const proxy = await start();
        const error = await failure(
          bench.open(await bench.refused(), { proxy: url(proxy.port) }),
          "proxy",
          "EPROXYTARGET",
        );
        assert.equal(error.reply, kind === "HTTP" ? "HTTP/1.1 502 Bad Gateway" : "connection refused");
        await proxy.until(() => proxy.open === 0);
      });

      it("that is not there, has no address, or swallows everything is down", async () => {
        const error = await failure(bench.open(25, { proxy: url(await bench.refused()) }), "proxy", "EPROXYDOWN");
        assert.ok(error.cause instanceof ConnectError && error.cause.code === "ECONNREFUSED");
        const unknown = { proxy: url(1080).replace("127.0.0.1", "proxy.example") };
        await failure(bench.open(25, unknown, { lookup: notFound("ENOTFOUND") }), "proxy", "EPROXYDOWN");
        const swallows = { proxy: url(await bench.silent()), timeouts: { connection: 50 } };
        await failure(bench.open(25, swallows), "proxy", "EPROXYDOWN");
      });

      it("loses nothing of a server that speaks in the same packet", async () => {
        const { port } = await bench.greeter();
        const proxy = await start({ early: true });
        const { socket } = await bench.open(port, { proxy: url(proxy.port) });
        // Whoever takes it over may take its time.
        for (let turns = 0; turns < 10; turns++) await turn();
        assert.equal(await firstBytes(socket), "220 hello\r\n");
      });

      it("carries a whole session of mail, early greeting included", async () => {
        const server = bench.owned(await ScriptedSmtp.start());
        const proxy = await start({ early: true, user: "p", password: "right" });
        const transport = smtpTransports({
          account: loopbackAccount(server.port, { proxy: url(proxy.port), proxyUser: "p" }),
          ca: undefined,
          credentials: { proxyPassword: "right" },
        })();
        bench.owned(transport);
        await transport.open(never);
        assert.match(await transport.checkSender("ada@example.com", never), /^250/);
      });

      it("carries TLS", async () => {
        const mail = bench.owned(await MailServer.start("ada", "pw", undefined, undefined, { secure: true }));
        const proxy = await start();
        const { socket } = await bench.open(mail.port, { proxy: url(proxy.port) });
        const secure = tls.connect({ socket, rejectUnauthorized: false });
        bench.ownedSocket(secure);
        assert.match(((await once(secure, "data")) as [Buffer])[0].toString(), /^220 /);
      });

      it("that keeps silent ends with the time-out, or with the signal", async () => {
        const proxy = await start(kind === "HTTP" ? { answer: "hang" } : { hang: "connect" });
        const before = held();
        const more = { proxy: url(proxy.port), timeouts: { connection: 100 } };
        await failure(bench.open(25, more), "proxy", "EPROXYTARGET");
        const reason = new Error("stopped by somebody");
        const cancelled = new AbortController();
        const work = bench.open(25, { proxy: url(proxy.port) }, { signal: cancelled.signal });
        await Promise.race([proxy.until(() => proxy.connections.length === 2), work]);
        cancelled.abort(reason);
        await assert.rejects(work, (error) => error === reason);
        await proxy.until(() => proxy.open === 0);
        await letGo(before);
      });

      it("gets no host that would break out of the request", async () => {
        const proxy = await start();
        for (const host of ["a\r\nX-Evil: 1", "a b", "a\nb", "mail.example\n", "a/b", "x".repeat(256), ""])
          await failure(bench.open(25, { proxy: url(proxy.port) }, { host }), "proxy", "EPROXYTARGET");
        assert.deepEqual(proxy.requests, []);
      });
    });
  }

  it("goes no way around a proxy of an unknown kind (R20)", async () => {
    const { port, clients } = await bench.greeter();
    for (const proxy of ["vscode", "https://127.0.0.1:1", "socks4://127.0.0.1:1"]) {
      const account = { ...loopbackAccount(port), proxy };
      await failure(openSocket(account, {}, never), "proxy", "EPROXYDOWN");
    }
    assert.equal(clients.size, 0);
  });

  describe("HTTP CONNECT (R20, R41)", () => {
    it("asks in the standard's words, without credentials where there is no user", async () => {
      const { port } = await bench.greeter();
      const proxy = await http();
      const credentials = { proxyPassword: "kept" };
      await bench.open(port, { proxy: httpUrl(proxy.port) }, { credentials });
      const authority = `127.0.0.1:${String(port)}`;
      assert.deepEqual(proxy.requests, [`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`]);
    });

    for (const [answer, reply] of [
      ["HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "HTTP/1.1 403 Forbidden"],
      ["HTTP/1.0 502 Bad \u001b[31mGateway\r\n\r\n", "HTTP/1.0 502 Bad Gateway"],
      ["HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 101 Switching Protocols"],
      ["HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 2000 OK"],
      ["HTTP/2 200\r\n\r\n", "HTTP/2 200"],
      ["SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2"],
      ["HTTP/1.1 200 OK\r\nNever: ended", "HTTP/1.1 200 OK"],
      [`HTTP/1.1 200 OK\r\nX: ${"x".repeat(9000)}\r\n\r\n`, "HTTP/1.1 200 OK"],
      ["close", ""],
    ] as const)
      it(`does not go on after ${JSON.stringify(answer.slice(0, 40))}`, async () => {
        const proxy = await http({ answer });
        const error = await failure(bench.open(25, { proxy: httpUrl(proxy.port) }), "proxy", "EPROXYTARGET");
        assert.equal(error.reply, reply);
        await proxy.until(() => proxy.open === 0);
      });

    it("passes over interim answers, and headers that mean nothing here", async () => {
      const proxy = await http({
        answer: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 299 Fine\r\nContent-Length: 3\r\n\r\n220 hi\r\n\r\n",
      });
      const { socket } = await bench.open(25, { proxy: httpUrl(proxy.port) });
      assert.equal(await firstBytes(socket), "220 hi\r\n\r\n");
    });
  });

  describe("SOCKS5 (R20, R41)", () => {
    for (const [code, words] of [
      [1, "general SOCKS server failure"],
      [2, "connection not allowed by ruleset"],
      [4, "host unreachable"],
      [99, ""],
    ] as const)
      it(`names the reply ${String(code)}`, async () => {
        const proxy = await socks({ refuse: code });
        const error = await failure(bench.open(25, { proxy: socksUrl(proxy.port) }), "proxy", "EPROXYTARGET");
        assert.equal(error.reply, words);
      });

    it("is down when it does not even say how to sign in", async () => {
      const proxy = await socks({ hang: "greeting" });
      const more = { proxy: socksUrl(proxy.port), timeouts: { connection: 100 } };
      await failure(bench.open(25, more), "proxy", "EPROXYDOWN");
    });

    it("sends no password that does not fit", async () => {
      const proxy = await socks({ user: "p", password: "right" });
      const more = { proxy: socksUrl(proxy.port), proxyUser: "p" };
      const credentials = { proxyPassword: "ß".repeat(128) };
      await failure(bench.open(25, more, { credentials }), "proxy", "EPROXYAUTH");
      assert.deepEqual(proxy.requests, []);
    });

    it("does not take an HTTP proxy for one", async () => {
      const { port } = await bench.greeter();
      await failure(bench.open(25, { proxy: socksUrl(port) }), "proxy", "EPROXYTARGET");
    });
  });
});

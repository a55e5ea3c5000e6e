import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { HttpsConnection, HttpsError, httpsRequest, type HttpsRequest, type HttpsWay } from "../../src/mail/https";
import { loopbackAccount } from "../fakes/accounts";
import { Interceptor, providerCertificate } from "../fakes/interceptor";

const host = "gmail.googleapis.com";
const url = `https://${host}/upload?a=b`;
const never = new AbortController().signal;
const open = (): Promise<void> => Promise.resolve();
const post = (...body: Buffer[]): HttpsRequest => ({ method: "POST", url, headers: { "X-Test": "yes" }, body });
const small = post(Buffer.from("hello"));
/** More than the buffers of two sockets hold. */
const large = post(Buffer.alloc(12 * 1024 * 1024, "large "));

describe("HTTPS over the account's own way (R13, R20)", function () {
  this.timeout(20_000);
  let interceptor: Interceptor;
  const sockets: TLSSocket[] = [];

  before(async () => (interceptor = await Interceptor.start()));
  after(() => interceptor.close());
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  function way(more: Readonly<Record<string, unknown>> = {}): HttpsWay {
    const account = loopbackAccount(1, { proxy: interceptor.proxy, security: "tls", ...more });
    return { account, ca: interceptor.ca, credentials: {} };
  }

  /** Plays the host: `talk` gets each connection with the raw socket below its TLS. */
  function serve(talk: (socket: TLSSocket, raw: Socket, nth: number) => unknown): void {
    let count = 0;
    const secureContext = createSecureContext({ key: providerCertificate.key, cert: providerCertificate.cert });
    interceptor.playSocket(`${host}:443`, (raw) => {
      const socket = new TLSSocket(raw, { isServer: true, secureContext });
      socket.on("error", () => {});
      // The proxy's sockets may be half open (CONNECT): whoever hangs up is hung up on.
      socket.on("end", () => socket.destroy());
      sockets.push(socket);
      talk(socket, raw, count++);
    });
  }

  /** Answers every request whose end came with what `answer` says; a request ends where its Content-Length does. */
  function answering(answer: (request: string) => string): (socket: TLSSocket) => void {
    return (socket) => {
      let text = "";
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
        const head = text.indexOf("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        if (head < 0 || text.length < head + 4 + length) return;
        const request = text;
        text = "";
        socket.write(answer(request));
      });
    };
  }

  const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${String(body.length)}\r\n\r\n${body}`;

  async function failure(work: Promise<unknown>): Promise<HttpsError> {
    const error: unknown = await work.then(
      () => assert.fail("it went through"),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof HttpsError, String(error));
    return error;
  }

  async function opened(more: Readonly<Record<string, unknown>> = {}): Promise<HttpsConnection> {
    const connection = new HttpsConnection(way(more), host);
    await connection.open(never);
    return connection;
  }

  it("asks with its own framing, and understands a length and chunks", async () => {
    let asked = "";
    serve(
      answering((request) => {
        asked = request;
        return "HTTP/1.1 201 Created\r\nX-Id: 7\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
      }),
    );
    const reply = await httpsRequest(way(), small, never);
    assert.deepEqual(
      { ...reply, body: reply.body.toString() },
      {
        status: 201,
        headers: { "x-id": "7", "transfer-encoding": "chunked" },
        body: "hello!",
        isWhole: true,
        isEarly: false,
      },
    );
    assert.match(asked, /^POST \/upload\?a=b HTTP\/1\.1\r\n/);
    assert.match(asked, /\r\nX-Test: yes\r\n/);
    assert.match(asked, /\r\nHost: gmail\.googleapis\.com\r\n/);
    assert.match(asked, /\r\nContent-Length: 5\r\n/);
    assert.match(asked, /\r\n\r\nhello$/);
  });

  it("waits for the gate before the first byte, and throws what it throws", async () => {
    let heard = 0;
    serve((socket) => socket.on("data", (chunk: Buffer) => (heard += chunk.length)));
    const connection = await opened();
    await assert.rejects(
      connection.request(small, () => Promise.reject(new Error("closed")), never),
      /closed/,
    );
    assert.equal(heard, 0);
    assert.equal(connection.isOpen, true);
    connection.drop();
  });

  it("uses one connection for many requests and asks the gate each time", async () => {
    let connections = 0;
    serve((socket) => {
      connections++;
      answering(() => ok("yes"))(socket);
    });
    const connection = await opened();
    let gates = 0;
    const gate = (): Promise<void> => {
      gates++;
      return Promise.resolve();
    };
    for (let i = 0; i < 30; i++) assert.equal((await connection.request(small, gate, never)).status, 200);
    assert.deepEqual([connections, gates], [1, 30]);
    assert.ok(performance.now() - connection.heardAt < 60_000);
    await connection.close();
    assert.equal(connection.isOpen, false);
  });

  it("does not use a connection that was ended, or spoke unasked, while it was idle", async () => {
    for (const farewell of ["", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"]) {
      const served: TLSSocket[] = [];
      serve((socket, raw) => {
        served.push(socket);
        raw.on("close", () => served.splice(served.indexOf(socket), 1));
        answering(() => ok("yes"))(socket);
      });
      const connection = await opened();
      assert.equal((await connection.request(small, open, never)).status, 200);
      const [first] = served;
      assert.ok(first !== undefined);
      if (farewell === "") first.end();
      else first.write(farewell);
      await once(first, "close");
      assert.equal(connection.isOpen, false);
      const error = await failure(connection.request(small, () => assert.fail("the gate opened"), never));
      assert.deepEqual([error.stage, error.systemCode], ["connect", "ECONNECTION"]);
      await connection.open(never);
      assert.equal((await connection.request(small, open, never)).status, 200);
      await connection.close();
    }
  });

  it("lets nothing leave over a connection that ends while the gate opens", async () => {
    let heard = 0;
    serve((socket) => socket.on("data", (chunk: Buffer) => (heard += chunk.length)));
    const connection = await opened();
    const error = await failure(
      connection.request(
        small,
        async () => {
          const [socket] = sockets;
          assert.ok(socket !== undefined);
          socket.end();
          await once(socket, "close");
        },
        never,
      ),
    );
    assert.deepEqual([error.stage, heard], ["connect", 0]);
  });

  it("tells a body that cannot be complete from one that is awaited an answer", async () => {
    serve((socket, raw) => socket.once("data", () => raw.resetAndDestroy()));
    const middle = await opened();
    assert.equal((await failure(middle.request(large, open, never))).stage, "body");
    assert.equal(middle.isOpen, false);

    const atItsEnd = answering(() => "");
    serve((socket, raw) => {
      atItsEnd(socket);
      socket.on("data", () => raw.resetAndDestroy());
    });
    const end = await opened();
    assert.equal((await failure(end.request(small, open, never))).stage, "reply");

    serve((socket) => socket.once("data", () => socket.end()));
    const closed = await opened();
    const error = await failure(closed.request(small, open, never));
    assert.deepEqual([error.stage, error.systemCode], ["reply", "ECONNECTION"]);
  });

  it("takes a no in the middle of a body, and no yes", async () => {
    for (const status of ["413 Content Too Large", "200 OK"]) {
      serve((socket) =>
        socket.once("data", () => {
          socket.pause();
          socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`);
        }),
      );
      const connection = await opened();
      const work = connection.request(large, open, never);
      if (status.startsWith("2")) assert.equal((await failure(work)).stage, "body");
      else {
        const reply = await work;
        assert.deepEqual([reply.status, reply.body.toString(), reply.isEarly], [413, "no", true]);
      }
      assert.equal(connection.isOpen, false, "half a request must not be followed by another");
    }
  });

  it("is ended by silence: offline before, unknown after all was handed over", async () => {
    const timeouts = { timeouts: { socket: 300, greeting: 300 } };
    serve((socket) => socket.pause());
    const middle = await failure((await opened(timeouts)).request(large, open, never));
    assert.deepEqual([middle.stage, middle.systemCode], ["body", "ETIMEDOUT"]);
    serve((socket) => socket.resume());
    const end = await failure((await opened(timeouts)).request(small, open, never));
    assert.deepEqual([end.stage, end.systemCode], ["reply", "ETIMEDOUT"]);
    interceptor.playSocket(`${host}:443`, (raw) => raw.on("error", () => {}).resume());
    const greeting = await failure(new HttpsConnection(way(timeouts), host).open(never));
    assert.deepEqual([greeting.stage, greeting.systemCode], ["connect", "ETIMEDOUT"]);
  });

  it("is ended by the signal, and says how far it had come", async () => {
    const before = new AbortController();
    before.abort();
    assert.equal((await failure(new HttpsConnection(way(), host).open(before.signal))).systemCode, "ABORT_ERR");

    serve((socket) => socket.resume());
    const gate = new AbortController();
    const atGate = (await opened()).request(
      small,
      () => {
        gate.abort();
        return new Promise(() => {});
      },
      gate.signal,
    );
    const closed = await failure(atGate);
    assert.deepEqual([closed.stage, closed.systemCode], ["connect", "ABORT_ERR"]);

    const later = new AbortController();
    serve((socket) => socket.once("data", () => later.abort()));
    const after = await failure((await opened()).request(small, open, later.signal));
    assert.deepEqual([after.stage, after.systemCode], ["reply", "ABORT_ERR"]);
  });

  it("keeps 1 MB of an answer, and the status of one that broke off", async () => {
    const mega = 1024 * 1024;
    serve(
      answering(() => `HTTP/1.1 502 Bad Gateway\r\nContent-Length: ${String(3 * mega)}\r\n\r\n${"x".repeat(3 * mega)}`),
    );
    const connection = await opened();
    const long = await connection.request(small, open, never);
    assert.deepEqual([long.status, long.body.length, long.isWhole], [502, mega, false]);
    assert.equal(connection.isOpen, false);
    serve((socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")));
    const cut = await httpsRequest(way(), small, never);
    assert.deepEqual([cut.status, cut.body.toString(), cut.isWhole], [200, "{", false]);
  });

  it("takes what is no HTTP for no answer", async () => {
    serve(answering(() => "220 smtp.example.com ESMTP\r\n"));
    const error = await failure(httpsRequest(way(), small, never));
    assert.deepEqual([error.stage, error.systemCode], ["reply", "EPROTOCOL"]);
  });

  it("trusts the account's own authorities, always asks for the host's name, and lets nothing switch that off", async () => {
    serve(answering(() => ok("yes")));
    const stranger = await failure(new HttpsConnection({ ...way(), ca: undefined }, host).open(never));
    assert.equal(stranger.stage, "connect");
    assert.match(stranger.systemCode, /^(?:UNABLE_TO|SELF_SIGNED)/);
    const loose = { ...way({ tls: { verify: false } }), ca: undefined };
    assert.equal((await failure(new HttpsConnection(loose, host).open(never))).stage, "connect");
    interceptor.playSocket("elsewhere.example.com:443", (raw) => {
      const { key, cert } = providerCertificate;
      new TLSSocket(raw, { isServer: true, secureContext: createSecureContext({ key, cert }) }).on("error", () => {});
    });
    const other = await failure(new HttpsConnection(way(), "elsewhere.example.com").open(never));
    assert.deepEqual([other.stage, other.systemCode], ["connect", "ERR_TLS_CERT_ALTNAME_INVALID"]);
  });

  it("names what stands in the way: no proxy, a proxy that refuses, no name", async () => {
    const refused = await failure(new HttpsConnection(way(), "mail.example.com").open(never));
    assert.deepEqual([refused.stage, refused.systemCode], ["connect", "EPROXYTARGET"]);
    const gone = await failure(new HttpsConnection(way({ proxy: "http://127.0.0.1:1" }), host).open(never));
    assert.deepEqual([gone.stage, gone.systemCode], ["connect", "EPROXYDOWN"]);
    const lookup = (): Promise<never> => Promise.reject(Object.assign(new Error(), { code: "ENOTFOUND" }));
    const nameless = await failure(new HttpsConnection({ ...way({ proxy: "" }), lookup }, host).open(never));
    assert.deepEqual([nameless.stage, nameless.systemCode], ["connect", "ENOTFOUND"]);
  });
});

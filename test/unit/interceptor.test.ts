import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import * as tls from "node:tls";
import { ConnectError, openSocket } from "../../src/mail/connect";
import type { Account } from "../../src/mail/account";
import { loopbackAccount } from "../fakes/accounts";
import { firstBytes, never, notAsked } from "../fakes/connectBench";
import { answerJson, bodyOf, Interceptor } from "../fakes/interceptor";

describe("the interceptor", () => {
  let interceptor: Interceptor;
  beforeEach(async () => (interceptor = await Interceptor.start()));
  afterEach(() => interceptor.close());

  const account = (host: string, port: number): Account =>
    loopbackAccount(port, { host, proxy: interceptor.proxy, security: "tls" });
  const open = (host: string, port: number): Promise<Socket> =>
    openSocket(account(host, port), {}, never, undefined, notAsked);

  it("is a provider's host behind its real name, with a certificate of its own authority", async () => {
    interceptor.play("oauth2.googleapis.com", async (request, response) => {
      answerJson(response, 200, { got: (await bodyOf(request)).toString() });
    });
    const socket = await open("oauth2.googleapis.com", 443);
    const secure = tls.connect({ socket, servername: "oauth2.googleapis.com", ca: interceptor.ca });
    await once(secure, "secureConnect");
    secure.write(
      "POST /token?a=1 HTTP/1.1\r\nHost: oauth2.googleapis.com\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
    );
    let text = "";
    for await (const chunk of secure) text += String(chunk);
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n[^]*\{"got":"hi"\}/);
    assert.deepEqual(
      interceptor.requests.map(({ host, method, path }) => [host, method, path]),
      [["oauth2.googleapis.com", "POST", "/token?a=1"]],
    );
  });

  it("hands raw sockets to whoever plays a mail server", async () => {
    interceptor.playSocket("smtp.gmail.com:587", (socket) => socket.write("220 hello\r\n"));
    const socket = await open("smtp.gmail.com", 587);
    assert.equal(await firstBytes(socket), "220 hello\r\n");
    socket.destroy();
    await interceptor.until(() => interceptor.connections.length === 1);
  });

  it("lets nobody out to any other host", async () => {
    interceptor.play("oauth2.googleapis.com", () => assert.fail("Nobody asked for it."));
    for (const [host, port] of [
      ["example.com", 443],
      ["oauth2.googleapis.com", 80],
    ] as const)
      await assert.rejects(open(host, port), (error) => error instanceof ConnectError && error.code === "EPROXYTARGET");
    assert.deepEqual(interceptor.connections, ["example.com:443", "oauth2.googleapis.com:80"]);
  });
});

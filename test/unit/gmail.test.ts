import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { composeMessage, type Message, type MessageParts } from "../../src/mail/message";
import type { AccessTokens } from "../../src/mail/ports";
import { gmailTransports } from "../../src/mail/transports/gmail";
import { SendError, type Transport } from "../../src/mail/transports/transport";
import { GmailEndpoint, googleError, type GmailBehaviour } from "../fakes/gmailEndpoint";
import { oauthAccount } from "../fakes/oauthAccounts";
import { FakeTokens, revoked } from "../fakes/tokens";

const never = new AbortController().signal;
const open = (): Promise<void> => Promise.resolve();
const environment = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "GOOGLE_CLOUD_UNIVERSE_DOMAIN"] as const;

async function message(more: Partial<MessageParts> = {}): Promise<Message> {
  return await composeMessage({
    from: { name: "Ada", address: "ada@gmail.com" },
    to: { name: "Bób", address: "bob@example.org" },
    cc: [],
    bcc: [],
    replyTo: undefined,
    subject: "Grüße 🎉",
    html: "<p>Hello</p>",
    text: "Hello",
    attachments: [],
    headers: [],
    unsubscribe: undefined,
    oneClick: false,
    messageId: "<1@gmail.com>",
    date: new Date(0),
    ...more,
  });
}

describe("the Gmail API transport (R1, R32, R37)", function () {
  this.timeout(20_000);
  let server: GmailEndpoint;
  let tokens: FakeTokens;
  let transport: Transport;

  async function start(behaviour?: GmailBehaviour, accessTokens?: AccessTokens): Promise<void> {
    server = await GmailEndpoint.start(behaviour);
    tokens = new FakeTokens("first");
    const account = oauthAccount(server.interceptor, "gmailApi", { timeouts: { socket: 30_000 } });
    transport = gmailTransports({
      ...{ account, ca: server.interceptor.ca, credentials: {} },
      accessTokens: accessTokens ?? tokens.get,
    })();
  }

  afterEach(async () => {
    await transport.close();
    await server.close();
  });

  async function failure(work: Promise<unknown>): Promise<SendError["failure"]> {
    const error: unknown = await work.then(
      () => assert.fail("it went through"),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof SendError, String(error));
    return error.failure;
  }

  it("sends the bytes as JSON or as an upload, with a Bcc header in front of them, over one connection", async () => {
    await start();
    const bcc = [
      { name: "", address: "carl@example.org" },
      { name: "Dörte", address: "doerte@example.org" },
    ];
    const small = await message({ bcc });
    const large = await message({ attachments: [{ filename: "a.bin", content: Buffer.alloc(700_000, 7) }] });
    await transport.open(never);
    assert.equal(transport.isOpen, true);
    assert.deepEqual(await transport.send(small, open, never), { reply: "200 OK", serverMessageId: "msg1" });
    await transport.open(never);
    assert.deepEqual(await transport.send(large, open, never), { reply: "200 OK", serverMessageId: "msg2" });
    assert.deepEqual([server.connections, server.wrong], [1, []]);
    const [first, second] = server.messages;
    assert.deepEqual([first?.asUpload, second?.asUpload], [false, true]);
    assert.equal(
      first?.bytes.toString(),
      `Bcc: carl@example.org, =?UTF-8?Q?D=C3=B6rte?= <doerte@example.org>\r\n${small.bytes.toString()}`,
    );
    assert.ok(second?.bytes.equals(large.bytes));
    assert.deepEqual(first.to, ["bob@example.org", "carl@example.org", "doerte@example.org"]);
    assert.ok(performance.now() - transport.heardAt < 60_000);
    transport.drop();
    assert.equal(transport.isOpen, false);
  });

  it("sends nothing while the gate is closed, and throws what the gate throws", async () => {
    await start();
    await transport.open(never);
    await assert.rejects(
      transport.send(await message(), () => Promise.reject(new Error("closed")), never),
      /^Error: closed$/,
    );
    assert.deepEqual([server.messages.length, server.seenTokens], [0, []]);
  });

  it("gets another token for a refused one, once, and asks the gate for each body (401)", async () => {
    await start();
    server.tokens.add("first-new");
    let gates = 0;
    const gate = (): Promise<void> => {
      gates++;
      return Promise.resolve();
    };
    await transport.open(never);
    assert.equal((await transport.send(await message(), gate, never)).reply, "200 OK");
    assert.deepEqual([gates, tokens.asked, server.seenTokens], [2, [undefined, "first"], ["first", "first-new"]]);
    assert.equal(server.messages.length, 1);
  });

  it("gives up on a second refusal, asks to sign in, and keeps no token in what the server said", async () => {
    await start();
    server.tokens.add("another");
    await transport.open(never);
    const told = await failure(transport.send(await message(), open, never));
    assert.deepEqual([told.class, told.signIn, told.code], ["account", true, 401]);
    assert.equal(server.seenTokens.length, 2);
    assert.doesNotMatch(JSON.stringify(told), /first/);
    assert.match(told.reply ?? "", /Invalid Credentials: •••/);
  });

  it("says what the sign-in says: before the message, and behind a refusal, when nothing was sent", async () => {
    await start();
    tokens.failure = revoked;
    assert.deepEqual(await failure(transport.open(never)), revoked.ok ? undefined : revoked.failure);
    tokens.failure = undefined;
    server.tokens.add("another");
    await transport.open(never);
    tokens.failure = revoked;
    assert.equal((await failure(transport.send(await message(), open, never))).signIn, true);
    assert.equal(server.messages.length, 0);
  });

  it("puts nothing into a request that cannot be a token (R15)", async () => {
    for (const token of ["", "two words", "line\r\nX-Evil: 1", "naïve"]) {
      await start(undefined, () => Promise.resolve({ ok: true, token }));
      const told = await failure(transport.open(never));
      assert.deepEqual([told.class, told.stage, told.signIn], ["account", "auth", true]);
      await transport.close();
      await server.close();
    }
  });

  it("without tokens nobody is signed in", async () => {
    server = await GmailEndpoint.start();
    const account = oauthAccount(server.interceptor, "gmailApi");
    transport = gmailTransports({ account, ca: server.interceptor.ca, credentials: {} })();
    const told = await failure(transport.open(never));
    assert.deepEqual([told.class, told.stage, told.signIn], ["account", "auth", true]);
  });

  it("is stopped before anything was handed over: at the token, at the gate, behind a 401", async () => {
    const silent: AccessTokens = () => new Promise(() => {});
    await start(undefined, silent);
    const atToken = new AbortController();
    const opening = transport.open(atToken.signal);
    await server.interceptor.until(() => server.connections > 0);
    atToken.abort();
    assert.equal((await failure(opening)).class, "offline");
    await transport.close();
    await server.close();

    await start();
    await transport.open(never);
    const atGate = new AbortController();
    const work = transport.send(
      await message(),
      () => {
        atGate.abort();
        return Promise.resolve();
      },
      atGate.signal,
    );
    assert.equal((await failure(work)).class, "offline");
    assert.equal(server.seenTokens.length, 0);
    await transport.close();
    await server.close();

    const behind = new AbortController();
    await start(undefined, (refused) => {
      if (refused === undefined) return Promise.resolve({ ok: true, token: "old" });
      behind.abort();
      return new Promise(() => {});
    });
    server.tokens.add("new");
    await transport.open(never);
    assert.equal((await failure(transport.send(await message(), open, behind.signal))).class, "offline");
    assert.equal(server.seenTokens.length, 1);
  });

  it("is unknown when it is stopped behind the last byte", async () => {
    await start();
    const stop = new AbortController();
    server.onTaken = () => {
      stop.abort();
      return "silence";
    };
    await transport.open(never);
    assert.equal((await failure(transport.send(await message(), open, stop.signal))).class, "unknown");
  });

  it("asks for a new connection when the server has ended an idle one: nothing was named yet", async () => {
    await start();
    await transport.open(never);
    server.interceptor.cut();
    while (transport.isOpen) await turn();
    const told = await failure(transport.send(await message(), () => assert.fail("the gate opened"), never));
    assert.deepEqual([told.class, told.stage, told.code], ["offline", "mail", undefined]);
    await transport.open(never);
    assert.equal((await transport.send(await message(), open, never)).reply, "200 OK");
  });

  it("refuses by itself what is larger than the API takes", async () => {
    await start();
    await transport.open(never);
    const large = { ...(await message()), size: 36_700_161 };
    assert.equal((await failure(transport.send(large, open, never))).class, "message");
    assert.equal(server.seenTokens.length, 0);
  });

  it("takes a yes that is not Gmail's for no yes, and one that breaks off for what it is", async () => {
    const behaviour = { moment: "end, kept", nth: 0, always: true } as const;
    await start({ ...behaviour, fault: { status: 200, body: "<html><title>Sign in to this network</title></html>" } });
    await transport.open(never);
    const told = await failure(transport.send(await message(), open, never));
    assert.deepEqual([told.class, told.reply], ["unknown", "200 Sign in to this network"]);
    await transport.close();
    await server.close();
    await start({ moment: "reply", fault: "reset", nth: 0, always: true });
    await transport.open(never);
    assert.deepEqual(await transport.send(await message(), open, never), { reply: "200 OK" });
  });

  it("speaks of its host, not of mail servers, when that is not reached", async () => {
    await start({ moment: "connect", fault: "refuse", nth: 0, always: true });
    const refused = await failure(transport.open(never));
    assert.match(refused.text, /gmail\.googleapis\.com/);
    assert.equal(refused.class, "offline");
    await transport.close();
    await server.close();
    await start({ moment: "connect", fault: "stranger", nth: 0, always: true });
    const stranger = await failure(transport.open(never));
    assert.match(stranger.text, /gmail\.googleapis\.com.*CA file/);
    assert.equal(stranger.class, "account");
  });

  it("reads nothing from the environment", async () => {
    const before = environment.map((name) => process.env[name]);
    for (const name of environment)
      process.env[name] = name.startsWith("GOOGLE") ? "evil.example" : "http://127.0.0.1:1";
    try {
      await start();
      await transport.open(never);
      assert.equal((await transport.send(await message(), open, never)).reply, "200 OK");
      assert.deepEqual(server.interceptor.connections, ["gmail.googleapis.com:443"]);
      assert.deepEqual(server.wrong, []);
    } finally {
      for (const [i, name] of environment.entries())
        if (before[i] === undefined) Reflect.deleteProperty(process.env, name);
        else process.env[name] = before[i];
    }
  });

  it("keeps the proxy's password out of what a server repeats", async () => {
    const fault = googleError(403, "Proxy said hush-hush", "forbidden");
    server = await GmailEndpoint.start({ moment: "end, lost", fault, nth: 0, always: true });
    const account = oauthAccount(server.interceptor, "gmailApi", { proxyUser: "me" });
    const credentials = { proxyPassword: "hush-hush" };
    transport = gmailTransports({
      ...{ account, ca: server.interceptor.ca, credentials },
      accessTokens: new FakeTokens("first").get,
    })();
    await transport.open(never);
    assert.equal((await failure(transport.send(await message(), open, never))).reply, "403 forbidden Proxy said •••");
  });
});

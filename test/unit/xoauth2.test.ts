import assert from "node:assert/strict";
import { parseAccount } from "../../src/mail/account";
import { classify, type Failure } from "../../src/mail/classify";
import { GrantTokens } from "../../src/mail/grantTokens";
import type { Grant } from "../../src/mail/oauth";
import { systemClock, type AccessTokens, type TokenReply } from "../../src/mail/ports";
import { tokenRemover } from "../../src/mail/secretText";
import type { RunSummary } from "../../src/mail/sender";
import { smtpTransports, type SmtpTransport, type SmtpWatch } from "../../src/mail/transports/smtp";
import { SendError, type Transport } from "../../src/mail/transports/transport";
import { xoauth2Response } from "../../src/mail/xoauth2";
import { loopbackAccount } from "../fakes/accounts";
import { smallCampaign } from "../fakes/campaigns";
import { MailServer } from "../fakes/mailServer";
import { RunBench } from "../fakes/runBench";
import { ScriptedSmtp, type Action, type Script } from "../fakes/scriptedSmtp";
import { challenge, FakeTokens, revoked, tokenIn, tokenServer, type Refusal } from "../fakes/tokens";

const user = "ada@example.com";
const never = new AbortController().signal;
const offer = ["AUTH XOAUTH2", "PIPELINING"];

describe("signing in with an access token (XOAUTH2, R6, R37)", () => {
  const closing: (() => Promise<unknown>)[] = [];
  let server: ScriptedSmtp;
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function connect(
    tokens: AccessTokens | undefined,
    script: Script | undefined,
    { extensions = offer, watch, more = {} }: { extensions?: string[]; watch?: SmtpWatch; more?: object } = {},
  ): Promise<SmtpTransport> {
    const started = await ScriptedSmtp.start(script, extensions);
    server = started;
    closing.push(() => started.close());
    const transport = smtpTransports({
      account: loopbackAccount(started.port, { auth: "oauth2", user, ...more }),
      ca: undefined,
      // Never offered, whatever happens.
      credentials: { password: "old password" },
      accessTokens: tokens,
      ...(watch !== undefined && { watch }),
    })();
    closing.push(() => transport.close());
    return transport;
  }

  async function failureOf(transport: Transport, signal = never): Promise<Failure> {
    try {
      await transport.open(signal);
    } catch (error) {
      assert.ok(error instanceof SendError, String(error));
      return error.failure;
    }
    return assert.fail("it signed in");
  }

  const auths = (): string[] => server.lines.filter((line) => line.startsWith("AUTH"));
  const shown = (): string[] => auths().map(tokenIn);

  it("shows the token that it asked for, once a connection, and no password", async () => {
    const tokens = new FakeTokens("ya29.first");
    const transport = await connect(
      tokens.get,
      tokenServer(user, (token) => token === "ya29.first"),
    );
    await transport.open(never);
    assert.deepEqual(auths(), [`AUTH XOAUTH2 ${xoauth2Response(user, "ya29.first")}`]);
    assert.equal(
      Buffer.from(auths()[0]?.slice("AUTH XOAUTH2 ".length) ?? "", "base64").toString(),
      `user=${user}\u0001auth=Bearer ya29.first\u0001\u0001`,
    );
    await transport.close();
    await transport.open(never);
    assert.deepEqual(tokens.asked, [undefined, undefined]);
    assert.deepEqual(shown(), ["ya29.first", "ya29.first"]);
  });

  it("signs in to a server that knows nothing else, behind STARTTLS", async () => {
    const tokens = new FakeTokens("expired", () => "good");
    const mails = await MailServer.start(user, "good", undefined, undefined, { token: true });
    closing.push(() => mails.close());
    const account = loopbackAccount(mails.port, {
      ...{ auth: "oauth2", user, security: "starttls", host: "localhost", tls: { verify: false } },
    });
    const transport = smtpTransports({ account, ca: undefined, credentials: {}, accessTokens: tokens.get })();
    closing.push(() => transport.close());
    await transport.open(never);
    assert.deepEqual(
      mails.signIns.map(({ password }) => password),
      ["expired", "good"],
    );
  });

  for (const extensions of [["AUTH=XOAUTH2"], ["AUTH PLAIN LOGIN XOAUTH2"], ["auth xoauth2"], ["AUTH=LOGIN xOAuth2"]])
    it(`takes the offer ${extensions.join()}`, async () => {
      const transport = await connect(
        new FakeTokens("good").get,
        tokenServer(user, () => true),
        { extensions },
      );
      await transport.open(never);
      assert.deepEqual(shown(), ["good"]);
    });

  for (const extensions of [[], ["AUTH PLAIN LOGIN"], ["AUTH OAUTHBEARER"], ["AUTH XOAUTH"]])
    it(`shows no token, and asks for none, where the offer is ${JSON.stringify(extensions)}`, async () => {
      const tokens = new FakeTokens("good");
      const failure = await failureOf(await connect(tokens.get, undefined, { extensions }));
      assert.deepEqual([failure.class, failure.stage, failure.signIn], ["account", "auth", undefined]);
      assert.match(failure.text, /access token was not sent/);
      assert.deepEqual([auths(), tokens.asked], [[], []]);
    });

  it("shows no token without the encryption that the account wants", async () => {
    const tokens = new FakeTokens("good");
    const more = { security: "starttls" };
    const failure = await failureOf(await connect(tokens.get, undefined, { more }));
    assert.deepEqual([failure.class, failure.stage], ["account", "starttls"]);
    assert.deepEqual([auths(), tokens.asked], [[], []]);
  });

  it("shows no password to a server that takes access tokens only", async () => {
    const failure = await failureOf(await connect(undefined, undefined, { more: { auth: "password" } }));
    assert.match(failure.text, /takes no passwords.*was not sent/);
    assert.deepEqual(auths(), []);
  });

  describe("a token that the server does not take", () => {
    for (const refusal of ["challenge", "at once", "closing"] as const satisfies readonly Refusal[]) {
      it(`is replaced once and then taken (refused by: ${refusal})`, async () => {
        const tokens = new FakeTokens("old", () => "new");
        const transport = await connect(
          tokens.get,
          tokenServer(user, (token) => token === "new", refusal),
        );
        await transport.open(never);
        assert.equal(transport.isOpen, true);
        assert.deepEqual(shown(), ["old", "new"]);
        assert.deepEqual(tokens.asked, [undefined, "old"]);
        // The challenge is answered with an empty line (Google: "the client must send an empty response").
        assert.equal(server.lines.filter((line) => line === "").length, refusal === "challenge" ? 1 : 0);
      });

      it(`is replaced once, not hammered, when the other one is refused too (by: ${refusal})`, async () => {
        const tokens = new FakeTokens("old");
        const failure = await failureOf(
          await connect(
            tokens.get,
            tokenServer(user, () => false, refusal),
          ),
        );
        assert.deepEqual(shown(), ["old", "old-new"]);
        assert.equal(tokens.renewals, 1);
        assert.deepEqual([failure.class, failure.stage, failure.code, failure.signIn], ["account", "auth", 535, true]);
        assert.match(failure.text, /Sign in again/);
        assert.doesNotMatch(failure.text, /password/i);
      });
    }

    it("is explained in the server's words, challenge included", async () => {
      const google =
        "535-5.7.8 Username and Password not accepted. For more information, go to\r\n535 5.7.8  https://support.google.com/mail/?p=BadCredentials a640c23a62f3a-ab6ffc - gsmtp";
      const { reply = "", text } = await failureOf(
        await connect(new FakeTokens("old").get, ({ command }) => {
          if (command === "AUTH") return { reply: `334 ${challenge}` };
          return command === "answer" ? { reply: google } : undefined;
        }),
      );
      assert.match(
        reply,
        /^535-5\.7\.8 Username.*\(status 400, schemes Bearer, scope https:\/\/mail\.google\.com\/\)$/,
      );
      assert.ok(reply.length <= 300);
      assert.doesNotMatch(text, /password/i);
    });

    it("is not shown again when there is no other one", async () => {
      const tokens = new FakeTokens("only", () => "only");
      const failure = await failureOf(
        await connect(
          tokens.get,
          tokenServer(user, () => false),
        ),
      );
      assert.deepEqual(shown(), ["only"]);
      assert.equal(failure.signIn, true);
    });

    it("ends in the provider's word when it gives no other one", async () => {
      const tokens = new FakeTokens("old");
      const get: AccessTokens = (refused) => (refused === undefined ? tokens.get() : Promise.resolve(revoked));
      const failure = await failureOf(
        await connect(
          get,
          tokenServer(user, () => false),
        ),
      );
      assert.match(failure.text, /taken back/);
      assert.equal(failure.signIn, true);
      assert.deepEqual([shown(), server.connections], [["old"], 1]);
    });

    it("is one when the challenge is no JSON, endless or huge, and when challenges do not end", async () => {
      for (const text of ["334", "334 ", "334 %%%", "334 bnVsbA==", `334 ${"QUFB".repeat(5000)}`]) {
        const failure = await failureOf(
          await connect(new FakeTokens("old").get, ({ command }) =>
            command === "AUTH" || command === "answer" ? { reply: text } : undefined,
          ),
        );
        assert.equal(failure.signIn, true, text);
        assert.ok((failure.reply ?? "").length <= 300);
        assert.equal(auths().length, 2);
      }
    });
  });

  describe("what is no word about the token leaves it alone", () => {
    for (const [name, action, after, kind] of [
      ["454", { reply: "454 4.7.0 Temporary authentication failure" }, undefined, "throttled"],
      ["454 behind a challenge", { reply: `334 ${challenge}` }, { reply: "454 4.7.0 try later" }, "throttled"],
      ["421", { reply: "421 4.7.0 Try again later, closing connection." }, undefined, "throttled"],
      ["421 that hangs up", { reply: "421 4.3.2 closing", close: true }, undefined, "throttled"],
      ["432", { reply: "432 4.3.2 Concurrent connections limit exceeded" }, undefined, "throttled"],
      ["432 4.7.12", { reply: "432 4.7.12 transition needed" }, undefined, "throttled"],
      ["a connection that is closed", { end: "close" }, undefined, "offline"],
      ["a connection that is reset", { end: "reset" }, undefined, "offline"],
      ["a connection that ends behind the challenge", { reply: `334 ${challenge}`, close: true }, undefined, "offline"],
      ["silence", { end: "hang" }, undefined, "offline"],
      ["silence behind the challenge", { reply: `334 ${challenge}` }, { end: "hang" }, "offline"],
    ] as const satisfies readonly (readonly [string, Action, Action | undefined, string])[])
      it(name, async () => {
        const tokens = new FakeTokens("good");
        const script: Script = ({ command }) => {
          if (command === "AUTH") return action;
          return command === "answer" ? after : undefined;
        };
        const failure = await failureOf(await connect(tokens.get, script, { more: { timeouts: { socket: 300 } } }));
        assert.deepEqual([failure.class, failure.stage, failure.signIn], [kind, "auth", undefined], failure.text);
        assert.doesNotMatch(failure.text, /password/i);
        assert.deepEqual(tokens.asked, [undefined]);
        assert.equal(auths().length, 1);
      });

    it("a tenant whose SMTP is switched off: another token would not help", async () => {
      const tokens = new FakeTokens("good");
      const reply =
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.";
      const failure = await failureOf(
        await connect(tokens.get, ({ command }) => (command === "AUTH" ? { reply } : undefined)),
      );
      assert.deepEqual([failure.class, failure.signIn, auths().length], ["account", undefined, 1]);
      assert.match(failure.text, /switched off.*administrator/);
    });
  });

  describe("when there is no token", () => {
    const offline: TokenReply = {
      ok: false,
      failure: { class: "offline", stage: "connect", text: "No answer.", systemCode: "ENOTFOUND" },
    };
    for (const [name, tokens, kind, signIn] of [
      ["nobody is signed in", undefined, "account", true],
      ["the provider is out of reach", () => Promise.resolve(offline), "offline", undefined],
      ["the sign-in was taken back", () => Promise.resolve(revoked), "account", true],
      ["it is empty", () => Promise.resolve({ ok: true, token: "" }), "account", true],
      ["it holds other signs", () => Promise.resolve({ ok: true, token: "a\u0001auth=Bearer b" }), "account", true],
    ] as const satisfies readonly (readonly [string, AccessTokens | undefined, string, true | undefined])[])
      it(`says so at the sign-in: ${name}`, async () => {
        const failure = await failureOf(await connect(tokens, undefined));
        assert.deepEqual([failure.class, failure.stage, failure.signIn], [kind, "auth", signIn]);
        assert.deepEqual(auths(), []);
      });

    it("nobody waits for one longer than anybody waits for the connection", async () => {
      const ender = new AbortController();
      const transport = await connect(() => {
        ender.abort();
        return new Promise<never>(() => {});
      }, undefined);
      const failure = await failureOf(transport, ender.signal);
      assert.equal(failure.class, "offline");
      assert.deepEqual(auths(), []);
    });

    it("no control character of the user's name comes to the server: no account has one", () => {
      const { problems } = parseAccount("work", {
        ...{ provider: "gmail", auth: "oauth2", user: "ada@gmail.com\u0001auth=Bearer x" },
      });
      assert.ok(problems.some(({ field }) => field === "user"));
    });
  });

  describe("its words about other stages", () => {
    for (const [stage, reply] of [
      ["auth", "535 5.7.8 no"],
      ["auth", "535 5.7.3 Authentication unsuccessful"],
      ["auth", "534 5.7.9 Application-specific password required"],
      ["auth", "534-5.7.14 Please log in via your web browser"],
      ["auth", "535 5.7.139 Authentication unsuccessful, basic authentication is disabled"],
      ["auth", "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria"],
      ["auth", "432 4.7.12 A password transition is needed"],
      ["mail", "530 5.7.57 Client not authenticated to send mail"],
      ["mail", "550 5.7.30 Basic authentication is not supported for Client Submission"],
      ["rcpt", "530 5.7.0 Authentication required"],
      ["data", "535 5.7.8 no"],
      ["reply", "550 5.7.8 no"],
    ] as const)
      it(`speak of no password: ${stage} ${reply}`, () => {
        const failure = classify({ stage, reply, token: true });
        assert.doesNotMatch(failure.text, /password/i);
        assert.notEqual(classify({ stage, reply }).text, failure.text);
      });
  });

  describe("no form of a token is kept (R15)", () => {
    const token = `ya29.${"aB3-_x/+".repeat(12)}end`;
    const encoded = (text: string): string => Buffer.from(text).toString("base64");
    for (const [name, form] of [
      ["itself", token],
      ["base64", encoded(token)],
      ["the whole answer", xoauth2Response(user, token)],
      ["the answer of another spelling", encoded(`user=ADA@example.com\u0001auth=Bearer ${token}\u0001\u0001`)],
      ["the answer, spelled for addresses", Buffer.from(`n,,\u0001auth=Bearer ${token}`).toString("base64url")],
      ["an address", encodeURIComponent(token)],
      ["a beginning", token.slice(0, 40)],
      ["the middle of the answer", xoauth2Response(user, token).slice(60, 140)],
    ] as const)
      it(name, () => {
        const left = tokenRemover(user, token)(`535 5.7.8 <${form}> is no good`);
        assert.match(left, /^535 5\.7\.8 <.*•••.*> is no good$/);
        for (const text of [left, Buffer.from(left, "base64").toString("latin1")]) assert.doesNotMatch(text, /aB3-_x/);
      });

    it("leaves other words alone", () => {
      const words = "535-5.7.8 https://support.google.com/mail/?p=BadCredentials a640c23a62f3a-ab6ffc - gsmtp";
      assert.equal(tokenRemover(user, token)(words), words);
    });

    it("whatever the server repeats, also the renewed one, at the sign-in and later on the same connection", async () => {
      const tokens = new FakeTokens(token, () => `${token}renewed`);
      const said: string[] = [];
      const watch = {
        connect: () => {},
        secured: () => {},
        said: (_who: string, text: string) => void said.push(text),
      };
      const transport = await connect(
        tokens.get,
        ({ command, line, before }) => {
          const blob = line.split(" ")[2] ?? "";
          if (command === "AUTH" && before === 0)
            return { reply: `334 ${encoded(JSON.stringify({ status: tokenIn(line), scope: blob }))}` };
          if (command === "answer") return { reply: `535 5.7.8 not ${token}` };
          if (command === "AUTH") return { reply: `235 2.7.0 hello ${tokenIn(line)} ${blob}` };
          return command === "MAIL" ? { reply: `550 5.7.1 ${token}renewed ${encoded(token)}` } : undefined;
        },
        { watch },
      );
      await transport.open(never);
      const failure = await transport
        .checkSender(user, never)
        .then(() => assert.fail("it was taken"))
        .catch((error: unknown) => (error as SendError).failure);
      const all = `${said.join("\n")}\n${JSON.stringify(failure)}`;
      assert.match(all, /AUTH XOAUTH2/);
      assert.match(all, /550 5\.7\.1 •••/);
      for (const secret of [
        "aB3-_x",
        "aB3-_x/+aB3",
        encoded(token).slice(0, 20),
        xoauth2Response(user, token).slice(48, 70),
      ])
        assert.ok(!all.includes(secret), `${secret} in ${all}`);
    });

    it("in the failure of a token that was refused twice", async () => {
      const failure = await failureOf(
        await connect(new FakeTokens(token).get, ({ command, line }) =>
          command === "AUTH" ? { reply: `535 5.7.8 ${line}` } : undefined,
        ),
      );
      assert.equal(failure.signIn, true);
      assert.ok(!JSON.stringify(failure).includes(xoauth2Response(user, token).slice(48, 70)), failure.reply);
    });
  });
});

describe("a run that signs in with access tokens (R6, R29, R37)", () => {
  let bench: RunBench;
  beforeEach(async () => (bench = await RunBench.open()));
  afterEach(() => bench.close());

  const account = { auth: "oauth2", user };
  const shown = (): string[] => bench.server.lines.filter((line) => line.startsWith("AUTH")).map(tokenIn);
  const run = (plan: Parameters<RunBench["run"]>[0], tokens: FakeTokens): Promise<RunSummary> =>
    bench.run(plan, { ports: { accessTokens: tokens.get } });

  /**
   * A server that ends every connection of whoever signed in with a token that is not good any more, once it has five connections and
   * so many messages.
   */
  function ending(after: number, isGood: (token: string) => boolean, refusal: Refusal = "challenge"): Script {
    const tokens = new Map<number, string>();
    return (step) => {
      const isOver = bench.server.accepted.length >= after && tokens.size >= 5;
      if (step.command === "AUTH") tokens.set(step.connection, tokenIn(step.line));
      if (step.command === "MAIL" && isOver && !isGood(tokens.get(step.connection) ?? "")) return { end: "close" };
      return tokenServer(user, (token) => !isOver || isGood(token), refusal)(step);
    };
  }

  it("five connections with a token that has ended: one refusal, one renewal", async () => {
    const tokens = new FakeTokens("old", () => "new");
    await bench.serve(
      tokenServer(user, (token) => token === "new"),
      offer,
    );
    const plan = await bench.plan(undefined, smallCampaign(20), { connections: 5 }, { account });
    assert.deepEqual((await run(plan, tokens)).ending, { kind: "finished" });
    bench.everyoneOnce(20);
    assert.equal(shown().filter((token) => token === "old").length, 1);
    assert.equal(shown().length, bench.server.connections);
    assert.equal(tokens.renewals, 1);
  });

  it("five connections whose tokens are all refused: two sign-ins, and the run waits for a person", async () => {
    const tokens = new FakeTokens("old");
    await bench.serve(
      tokenServer(user, () => false),
      offer,
    );
    const plan = await bench.plan(undefined, smallCampaign(20), { connections: 5 }, { account });
    const { ending } = await run(plan, tokens);
    assert.ok(ending.kind === "account" && ending.failure.signIn === true, JSON.stringify(ending));
    assert.deepEqual(shown(), ["old", "old-new"]);
    assert.deepEqual(bench.server.accepted, []);
  });

  for (const refusal of ["challenge", "closing"] as const)
    it(`a token that ends in the middle: one refusal, and everybody is mailed once (refused by: ${refusal})`, async () => {
      const tokens = new FakeTokens("old", () => "new");
      await bench.serve(
        ending(20, (token) => token === "new", refusal),
        offer,
      );
      const plan = await bench.plan(undefined, smallCampaign(60), { connections: 5 }, { account });
      assert.deepEqual((await run(plan, tokens)).ending, { kind: "finished" });
      bench.everyoneOnce(60);
      assert.equal(tokens.renewals, 1);
      // Five to begin with, and the one that finds out.
      assert.equal(shown().filter((token) => token === "old").length, 6);
    });

  it("a grant that is taken back in the middle pauses the run; after a new sign-in it goes on, nobody twice", async () => {
    const tokens = new FakeTokens("old");
    await bench.serve(
      ending(20, (token) => token === "again"),
      offer,
    );
    const get: AccessTokens = (refused) => {
      if (refused !== undefined) tokens.failure = revoked;
      return tokens.get(refused);
    };
    const plan = await bench.plan(undefined, smallCampaign(60), { connections: 5 }, { account });
    const { ending: paused } = await bench.run(plan, { ports: { accessTokens: get } });
    assert.ok(paused.kind === "account" && paused.failure.signIn === true, JSON.stringify(paused));
    assert.match(paused.failure.text, /taken back/);
    assert.ok(bench.server.accepted.length >= 20 && bench.server.accepted.length < 60);
    assert.equal(shown().length, 6, "nobody knocks again");

    assert.equal((await run(plan, new FakeTokens("again"))).ending.kind, "finished");
    bench.everyoneOnce(60);
  });

  it("a grant's tokens do the same: the provider is asked once for five connections", async () => {
    let asked = 0;
    const grant: Grant = {
      ...{ provider: "google", clientId: "client", clientSecret: "", refreshToken: "refresh", scopes: [], user },
      grantedAt: "2026-01-01T00:00:00Z",
    };
    const tokens = new GrantTokens(
      grant,
      async (of) => {
        asked++;
        await Promise.resolve();
        return { ok: true, grant: of, token: "new", expiresInMs: 3_600_000 };
      },
      systemClock,
      undefined,
      { token: "old", expiresInMs: 3_600_000 },
    );
    await bench.serve(
      ending(20, (token) => token === "new"),
      offer,
    );
    const plan = await bench.plan(undefined, smallCampaign(60), { connections: 5 }, { account });
    assert.deepEqual((await bench.run(plan, { ports: { accessTokens: tokens.get } })).ending, { kind: "finished" });
    bench.everyoneOnce(60);
    assert.equal(asked, 1);
    assert.equal(shown().filter((token) => token === "old").length, 6);
  });

  it("a run without a sign-in stops before anything is shown, and asks for one", async () => {
    await bench.serve(undefined, offer);
    const plan = await bench.plan(undefined, smallCampaign(3), {}, { account });
    const { ending } = await bench.run(plan);
    assert.ok(ending.kind === "account" && ending.failure.signIn === true);
    assert.deepEqual(shown(), []);
  });

  it("a provider that is out of reach for a moment costs nobody an attempt", async () => {
    const tokens = new FakeTokens("good");
    tokens.failure = { ok: false, failure: { class: "offline", stage: "connect", text: "No answer." } };
    await bench.serve(
      tokenServer(user, () => true),
      offer,
    );
    const plan = await bench.plan(undefined, smallCampaign(3), {}, { account });
    let asked = 0;
    const get: AccessTokens = (refused) => {
      if (++asked === 3) tokens.failure = undefined;
      return tokens.get(refused);
    };
    const { ending } = await bench.run(plan, { ports: { accessTokens: get } });
    assert.deepEqual(ending, { kind: "finished" });
    bench.everyoneOnce(3);
    assert.deepEqual(
      bench.events.map(({ result }) => result),
      ["retry", "retry", "accepted", "accepted", "accepted"],
    );
  });
});

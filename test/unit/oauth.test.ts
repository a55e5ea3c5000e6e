import assert from "node:assert/strict";
import fc from "fast-check";
import type { Account } from "../../src/mail/account";
import type { HttpsWay } from "../../src/mail/https";
import {
  authorizationRequest,
  parseOAuthClient,
  readLanding,
  redeemCode,
  refreshToken,
  revokeGrant,
  type AuthorizationRequest,
  type Grant,
  type Granted,
  type OAuthClient,
} from "../../src/mail/oauth";
import { oauthProviderOf, oauthProviders, permissionsUrlOf } from "../../src/mail/oauthProviders";
import { never } from "../fakes/connectBench";
import { answerJson, Interceptor, type RequestHandler } from "../fakes/interceptor";
import { oauthAccount } from "../fakes/oauthAccounts";
import { googleClientFile, knownClient, SignInServer } from "../fakes/signInServer";

const clientOf = (provider: "google" | "microsoft"): OAuthClient => ({ provider, ...knownClient[provider] });
const redirect = { google: "http://127.0.0.1:54321", microsoft: "http://localhost:54321" };

describe("signing in with OAuth", () => {
  let interceptor: Interceptor;
  let server: SignInServer;
  const ways = new Map<string, HttpsWay>();
  beforeEach(async () => (interceptor = await Interceptor.start()));
  afterEach(async () => {
    await server.close();
    await interceptor.close();
    ways.clear();
  });

  const start = async (provider: "google" | "microsoft"): Promise<void> => {
    server = await SignInServer.start(interceptor, provider);
  };
  /** One way an account, as hosts have it: it is the ways that share what is parsed. */
  const wayOf = (account: Account): HttpsWay => {
    const key = JSON.stringify(account);
    const made = ways.get(key) ?? {
      account,
      ca: interceptor.ca,
      credentials: {},
      lookup: () => assert.fail("A name was looked up outside of the proxy."),
    };
    ways.set(key, made);
    return made;
  };
  const account = (kind: Parameters<typeof oauthAccount>[1], more = {}): Account =>
    oauthAccount(interceptor, kind, more);

  /** Goes all the way with the browser's part played. */
  async function signIn(
    from: Account,
    client = clientOf(server.provider),
    change: (request: AuthorizationRequest) => AuthorizationRequest = (request) => request,
  ): Promise<Granted> {
    const request = authorizationRequest(from, client, redirect[server.provider]);
    const landing = readLanding(request, await server.consent(request.url));
    assert.ok(landing.kind === "code");
    return redeemCode(client, change(request), landing.code, wayOf(from), never);
  }
  async function failureOf(attempt: Promise<Granted>): Promise<Extract<Granted, { ok: false }>["failure"]> {
    const granted = await attempt;
    assert.ok(!granted.ok, "It was granted.");
    assert.equal(granted.failure.stage, "auth");
    assertNoSecret(JSON.stringify(granted.failure));
    return granted.failure;
  }

  /** Nothing that was ever told or given stands in a text. */
  function assertNoSecret(text: string): void {
    const given = [...server.accessTokens, ...server.refreshTokens];
    const told = server.tokenRequests.flatMap((form) => [
      form.code,
      form.code_verifier,
      form.refresh_token,
      form.client_secret,
    ]);
    for (const secret of [...given, ...told])
      if (secret !== undefined && secret !== "") assert.ok(!text.includes(secret));
  }

  describe("with Google", () => {
    beforeEach(() => start("google"));

    it("goes from the browser to tokens that refresh, through the account's proxy and CA (R1, R13, R20)", async () => {
      const from = account("gmailApi");
      const granted = await signIn(from);
      assert.ok(granted.ok, JSON.stringify(granted));
      assert.equal(granted.token, server.accessTokens[0]);
      assert.equal(granted.expiresInMs, 3_600_000);
      const { grant } = granted;
      assert.deepEqual([...server.refreshTokens], [grant.refreshToken]);
      assert.equal(grant.user, "ada@gmail.com");
      assert.deepEqual(grant.scopes, ["https://www.googleapis.com/auth/gmail.send", "openid", "email"]);
      assert.ok(Math.abs(Date.parse(grant.grantedAt) - Date.now()) < 60_000);

      const again = await refreshToken(grant, wayOf(from), never);
      assert.ok(again.ok);
      assert.notEqual(again.token, granted.token);
      assert.deepEqual(again.grant, grant);
      assert.deepEqual(new Set(interceptor.connections), new Set(["oauth2.googleapis.com:443"]));
    });

    it("asks in the browser for what the transport needs and for no more", () => {
      const asked = (from: Account): Record<string, string> => {
        const { url, state, verifier, redirectUri } = authorizationRequest(from, clientOf("google"), redirect.google);
        assert.ok(url.startsWith("https://accounts.google.com/o/oauth2/v2/auth?"));
        assert.ok(!url.includes(verifier));
        const parameters = Object.fromEntries(new URL(url).searchParams);
        assert.equal(parameters.state, state);
        assert.equal(parameters.redirect_uri, redirectUri);
        assert.match(verifier, /^[\w-]{43}$/);
        assert.match(state, /^[\w-]{43}$/);
        assert.match(parameters.code_challenge ?? "", /^[\w-]{43}$/);
        return parameters;
      };
      const api = asked(account("gmailApi"));
      assert.equal(api.scope, "https://www.googleapis.com/auth/gmail.send openid email");
      assert.equal(api.code_challenge_method, "S256");
      assert.equal(api.access_type, "offline");
      assert.equal(api.prompt, "consent");
      assert.equal(api.login_hint, "ada@gmail.com");
      assert.equal(asked(account("gmailSmtp")).scope, "https://mail.google.com/ openid email");
      assert.notEqual(asked(account("gmailApi")).state, asked(account("gmailApi")).state);
    });

    it("gives nothing for a wrong verifier: PKCE is enforced (R16)", async () => {
      const wrong = await failureOf(
        signIn(account("gmailApi"), undefined, (request) => ({ ...request, verifier: "w".repeat(43) })),
      );
      assert.equal(wrong.class, "account");
      assert.deepEqual(server.accessTokens, []);
    });

    it("takes the code of a sign-in once only", async () => {
      const from = account("gmailApi");
      const client = clientOf("google");
      const request = authorizationRequest(from, client, redirect.google);
      const landing = readLanding(request, await server.consent(request.url));
      assert.ok(landing.kind === "code");
      assert.ok((await redeemCode(client, request, landing.code, wayOf(from), never)).ok);
      await failureOf(redeemCode(client, request, landing.code, wayOf(from), never));
    });

    it("refuses who is somebody else, in any writing of the address but their own", async () => {
      for (const user of ["Ada@Gmail.com", "a.da@gmail.com", "ada@googlemail.com"])
        assert.ok((await signIn(account("gmailApi", { user }))).ok, user);
      const other = await failureOf(signIn(account("gmailApi", { user: "grace@gmail.com" })));
      const { text, reply, signIn: again } = other;
      assert.match(text, /^Somebody else signed in than this account is for\. Sign in as/);
      assert.equal(reply, "signed in as “ada@gmail.com”, the account is for “grace@gmail.com”");
      assert.equal(again, true);
      server.email = undefined;
      assert.ok((await signIn(account("gmailApi", { user: "grace@gmail.com" }))).ok, "Nobody knows who signed in.");
    });

    it("says so when the box for sending stays unticked, or no refresh token comes", async () => {
      server.withheld = ["https://www.googleapis.com/auth/gmail.send"];
      const unticked = await failureOf(signIn(account("gmailApi")));
      assert.match(unticked.text, /box was left unticked.*leave every box ticked/);
      server.withheld = [];
      server.isLasting = false;
      const fleeting = await failureOf(signIn(account("gmailApi")));
      assert.match(fleeting.text, /no refresh token.*myaccount\.google\.com\/permissions/);
    });

    it("names a wrong client", async () => {
      const { text, reply } = await failureOf(
        signIn(account("gmailApi"), { ...clientOf("google"), clientSecret: "GOCSPX-another-secret" }),
      );
      assert.match(text, /does not know the OAuth client, or not with this secret/);
      assert.equal(reply, "invalid_client: The OAuth client was not found: •••");
    });

    it("explains a sign-in that was taken back, with the rule of 7 days (R37)", async () => {
      const granted = await signIn(account("gmailApi"));
      assert.ok(granted.ok);
      server.revokeAll();
      const failure = await failureOf(refreshToken(granted.grant, wayOf(account("gmailApi")), never));
      assert.equal(failure.class, "account");
      assert.equal(failure.signIn, true);
      assert.match(failure.text, /7 days.*Testing.*Sign in again/);
      assert.match(failure.reply ?? "", /^invalid_grant: Token has been expired or revoked: •••$/);
    });

    it("takes a grant back, twice without harm, and says when nobody could be told", async () => {
      const from = account("gmailApi");
      const granted = await signIn(from);
      assert.ok(granted.ok);
      assert.equal(await revokeGrant(granted.grant, wayOf(from), never), true);
      assert.equal(server.refreshTokens.size, 0);
      assert.equal(await revokeGrant(granted.grant, wayOf(from), never), true);
      await interceptor.close();
      assert.equal(await revokeGrant(granted.grant, wayOf(from), never), false);
      interceptor = await Interceptor.start();
    });

    it("never lends a grant to an account of another provider, user or right: nothing is asked", async () => {
      const granted = await signIn(account("gmailApi"));
      assert.ok(granted.ok);
      const { asked } = server;
      const refresh = (from: Account): Promise<Granted> => refreshToken(granted.grant, wayOf(from), never);
      assert.match((await failureOf(refresh(account("outlook")))).text, /not one of Google/);
      assert.match((await failureOf(refresh(account("gmailApi", { user: "eve@gmail.com" })))).text, /^Somebody else/);
      assert.match((await failureOf(refresh(account("gmailSmtp")))).text, /gave no right to send/);
      assert.equal(server.asked, asked);
    });

    it("lets the right for all of Gmail send through the API too", async () => {
      const granted = await signIn(account("gmailSmtp"));
      assert.ok(granted.ok);
      assert.ok((await refreshToken(granted.grant, wayOf(account("gmailApi")), never)).ok);
    });
  });

  describe("with Microsoft", () => {
    beforeEach(async () => {
      await start("microsoft");
      server.email = "ada@outlook.com";
    });

    it("goes from the browser to tokens without a secret, and keeps the refresh token that is new (R6)", async () => {
      const from = account("outlook");
      const granted = await signIn(from);
      assert.ok(granted.ok, JSON.stringify(granted));
      assert.deepEqual(granted.grant.scopes[0], "https://outlook.office.com/SMTP.Send");
      assert.ok(server.tokenRequests.every((form) => !("client_secret" in form)));
      const again = await refreshToken(granted.grant, wayOf(from), never);
      assert.ok(again.ok);
      assert.notEqual(again.grant.refreshToken, granted.grant.refreshToken);
      assert.ok(server.refreshTokens.has(again.grant.refreshToken));
      const third = await refreshToken(again.grant, wayOf(from), never);
      assert.ok(third.ok);
      assert.match(
        (await failureOf(refreshToken(granted.grant, wayOf(from), never))).text,
        /Microsoft no longer takes this sign-in.*90 days/,
      );
    });

    it("knows who signs in under another name than the mail address, and nobody else (R6)", async () => {
      server.email = "ada.lovelace@example.com";
      server.principal = "ada@corp.example.com";
      const work = { provider: "microsoft365", host: "smtp.office365.com" };
      for (const user of [server.email, "Ada@Corp.example.com"]) {
        const from = account("outlook", { ...work, user });
        const granted = await signIn(from);
        assert.ok(granted.ok, JSON.stringify(granted));
        assert.ok((await refreshToken(granted.grant, wayOf(from), never)).ok);
      }
      const { reply = "" } = await failureOf(signIn(account("outlook", { ...work, user: "grace@corp.example.com" })));
      assert.match(reply, /signed in as “ada\.lovelace@example\.com”/);
    });

    it("names the page where what was allowed is taken back: another one at work (R6)", async () => {
      assert.equal(permissionsUrlOf({ provider: "outlook" }), "https://account.microsoft.com/privacy/app-access");
      assert.equal(permissionsUrlOf({ provider: "gmail" }), "https://myaccount.google.com/permissions");
      assert.equal(permissionsUrlOf({ provider: "custom" }), "");
      server.isLasting = false;
      const work = account("outlook", { provider: "microsoft365", host: "smtp.office365.com" });
      const { text } = await failureOf(signIn(work));
      assert.match(text, /no refresh token.*https:\/\/myapps\.microsoft\.com, then sign in again/);
    });

    it("has no way to take a grant back", async () => {
      const granted = await signIn(account("outlook"));
      assert.ok(granted.ok);
      const { length } = interceptor.connections;
      assert.equal(await revokeGrant(granted.grant, wayOf(account("outlook")), never), false);
      assert.equal(interceptor.connections.length, length);
    });
  });

  describe("when the provider is in trouble", () => {
    beforeEach(() => start("google"));
    const grant = (): Grant => ({
      ...clientOf("google"),
      refreshToken: server.grant(),
      scopes: [],
      user: "",
      grantedAt: "2026-01-01T00:00:00.000Z",
    });
    const refresh = (): Promise<Granted> => refreshToken(grant(), wayOf(account("gmailApi")), never);
    const json =
      (status: number, body: unknown, headers = {}): RequestHandler =>
      (_request, response) =>
        answerJson(response, status, body, headers);
    const page: RequestHandler = (_request, response) =>
      response.writeHead(200, { "Content-Type": "text/html" }).end("<html><h1>Free Wi-Fi: log in</h1></html>");
    const tokens = { access_token: "ya29.a", expires_in: 3599, token_type: "Bearer" };

    for (const [name, instead, expected, text] of [
      ["500", json(500, { error: "internal_failure" }), "offline", /cannot give an access token now/],
      ["503 in HTML", json(503, "<html>"), "offline", /cannot give an access token now/],
      ["429", json(429, { error: "rate_limit_exceeded" }), "throttled", /slow down/],
      ["a network's own page", page, "offline", /answered in Google's place/],
      ["JSON without a token", json(200, { hello: 1 }), "offline", /gave no access token/],
      ["JSON that is no object", json(200, "token"), "offline", /gave no access token/],
      [
        "a token that breaks out of its header",
        json(200, { ...tokens, access_token: "a\r\nb" }),
        "offline",
        /no access/,
      ],
      ["a megabyte", json(200, { ...tokens, id_token: "a".repeat(1_000_000) }), "offline", /in Google's place/],
      [
        "more than a megabyte",
        json(200, { ...tokens, id_token: "a".repeat(3_000_000) }),
        "offline",
        /in Google's place/,
      ],
      ["a hang-up", (request) => request.socket.destroy(), "offline", /is not reached.*tried again/],
    ] as readonly (readonly [string, RequestHandler, string, RegExp])[])
      it(`${name} → ${expected}, without a word to sign in again`, async () => {
        server.instead = instead;
        const failure = await failureOf(refresh());
        assert.equal(failure.class, expected);
        assert.match(failure.text, text);
        assert.equal(failure.signIn, undefined);
        assert.doesNotMatch(failure.reply ?? "", /</);
        server.instead = undefined;
        assert.ok((await refresh()).ok);
      });

    it("waits as long as it is asked to, from a second to a day", async () => {
      for (const [header, ms] of [
        ["120", 120_000],
        ["0", 1000],
        ["9999999", 86_400_000],
        ["soon", undefined],
      ] as const) {
        server.instead = json(429, {}, { "Retry-After": header });
        assert.equal((await failureOf(refresh())).retryAfterMs, ms);
      }
    });

    it("that is not there is the network's trouble; a certificate of a stranger's is not (R13)", async () => {
      const stranger = await failureOf(refreshToken(grant(), { ...wayOf(account("gmailApi")), ca: undefined }, never));
      assert.equal(stranger.class, "account");
      assert.match(stranger.text, /^The certificate of oauth2\.googleapis\.com is not signed by an authority/);
      const gone = account("gmailApi", { proxy: "http://127.0.0.1:1" });
      const down = await failureOf(refreshToken(grant(), wayOf(gone), never));
      assert.deepEqual([down.class, down.systemCode], ["offline", "EPROXYDOWN"]);
    });

    it("that speaks no TLS is spoken of by its name, not as a mail server with ports to choose", async () => {
      interceptor.playSocket("oauth2.googleapis.com:443", (socket) => socket.end("HTTP/1.1 403 Forbidden\r\n\r\n"));
      const failure = await failureOf(refreshToken(grant(), wayOf(account("gmailApi")), never));
      assert.equal(failure.class, "account");
      assert.match(failure.text, /^No encrypted connection to oauth2\.googleapis\.com could be made\./);
    });

    it("ends at once when it is called off", async () => {
      const stop = new AbortController();
      server.instead = () => stop.abort();
      const failure = await failureOf(refreshToken(grant(), wayOf(account("gmailApi")), stop.signal));
      assert.equal(failure.class, "offline");
    });

    it("an hour is meant where the life of a token is not said, or makes no sense", async () => {
      for (const [expires_in, ms] of [
        [undefined, 3_600_000],
        ["1800", 1_800_000],
        [-5, 3_600_000],
        ["soon", 3_600_000],
        [1e12, 86_400_000],
      ]) {
        server.instead = json(200, { ...tokens, expires_in });
        const granted = await refresh();
        assert.equal(granted.ok && granted.expiresInMs, ms);
      }
    });

    it("an ID token that is broken, or of another client, names nobody", async () => {
      const jwt = (claims: unknown): string =>
        ["e30", Buffer.from(JSON.stringify(claims)).toString("base64url"), "sig"].join(".");
      const { clientId: aud } = clientOf("google");
      for (const [id_token, user] of [
        [jwt({ aud, email: "ada@gmail.com" }), "ada@gmail.com"],
        // Its times are the provider's: a machine whose clock is wrong signs in all the same.
        [jwt({ aud, email: "ada@gmail.com", iat: 9_999_999_999, exp: 1 }), "ada@gmail.com"],
        [jwt({ aud: [aud, "other"], preferred_username: "ada@gmail.com" }), "ada@gmail.com"],
        [jwt({ aud: "another client", email: "eve@gmail.com" }), ""],
        [jwt({ aud, email: { toString: "eve" } }), ""],
        [jwt({ aud, email: "no address" }), ""],
        [jwt(null), ""],
        ["e30.%%%.sig", ""],
        ["", ""],
        [7, ""],
      ] as const) {
        server.instead = json(200, { ...tokens, id_token });
        const granted = await refresh();
        assert.equal(granted.ok && granted.grant.user, user, String(id_token));
      }
    });
  });

  describe("where the browser lands", () => {
    beforeEach(() => start("google"));
    const request = (): AuthorizationRequest =>
      authorizationRequest(account("gmailApi"), clientOf("google"), redirect.google);

    it("is known by the state alone, through tunnels and with what people paste around it", async () => {
      const asked = request();
      const { search } = new URL(await server.consent(asked.url));
      const code = new URLSearchParams(search).get("code");
      for (const address of [
        `http://127.0.0.1:54321/${search}`,
        `/${search}`,
        search,
        `https://user-54321.app.github.dev/${search}`,
        `  <http://127.0.0.1:54321/${search}>\n`,
        `"http://localhost:54321/callback${search}"`,
      ])
        assert.deepEqual(readLanding(asked, address), { kind: "code", code }, address);
    });

    it("of another sign-in, or without a state, is foreign (R16)", () => {
      const asked = request();
      const { state } = asked;
      for (const address of [
        "",
        "/",
        "/favicon.ico",
        "not an address",
        "http://[",
        "/?code=abc",
        `/?code=abc&state=${request().state}`,
        `/?code=abc&state=${state}x`,
        `/?code=abc&state=${state.slice(0, -1)}`,
        `/?code=abc&state=${state}&state=${state}`,
        `/?code=abc&code=def&state=${state}`,
        `/?code=&state=${state}`,
        `/?state=${state}`,
        `/?error=access_denied&state=${request().state}`,
        `/?error=access_denied`,
        `/#code=abc&state=${state}`,
        `/?code=${"a".repeat(30_000)}&state=${state}`,
      ])
        assert.deepEqual(readLanding(asked, address), { kind: "foreign" }, address.slice(0, 80));
    });

    it("never takes a code without the very state, whatever is pasted (property)", () => {
      const asked = request();
      const part = fc.oneof(
        fc.string(),
        fc.constantFrom("code=abc", "&", "?", "#", "/", "state=", asked.state.slice(1), "http://127.0.0.1:54321/"),
      );
      fc.assert(
        fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
          assert.equal(readLanding(asked, parts.join("")).kind, "foreign");
        }),
      );
    });

    for (const [error, text] of [
      ["access_denied", /not allowed to let Bulk Mail send.*test users/],
      ["admin_policy_enforced", /rules of your organisation.*administrator/],
      ["invalid_scope", /does not give the right to send/],
      ["redirect_uri_mismatch", /does not know the address.*Desktop app/],
      ["something_new", /does not accept how we ask/],
    ] as const)
      it(`with ${error} says what to do (R37)`, async () => {
        server.refusal = error;
        const asked = request();
        const landing = readLanding(asked, `${await server.consent(asked.url)}&error_description=%3Cb%3E`);
        assert.ok(landing.kind === "refused");
        assert.match(landing.text, text);
        assert.doesNotMatch(landing.text, /PROVIDER|</);
      });
  });

  it("offers itself for Google's and Microsoft's accounts only", async () => {
    await start("google");
    assert.equal(oauthProviderOf({ provider: "gmail" }), oauthProviders.google);
    assert.equal(oauthProviderOf({ provider: "outlook" }), oauthProviders.microsoft);
    for (const provider of ["custom", "yahoo", "nonsense", "__proto__", "constructor"])
      assert.equal(oauthProviderOf({ provider }), undefined);
  });

  it("reads the very file of Google's console", async () => {
    await start("google");
    assert.deepEqual(parseOAuthClient("google", googleClientFile), { ok: true, client: clientOf("google") });
  });
});

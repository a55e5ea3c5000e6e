import assert from "node:assert/strict";
import { request as httpRequest, Server } from "node:http";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mock } from "node:test";
import { authorizationRequest, parseAccount } from "../../src/mail/index";
import type { AccessTokens } from "../../src/mail/index";
import type { MicrosoftAnswer } from "../../src/signIn";
import { FakeClock } from "../fakes/fakeClock";
import { SignInDesk } from "../fakes/signInDesk";
import { googleClientFile, knownClient } from "../fakes/signInServer";

const signedIn = { kind: "signedIn", user: "ada@gmail.com" } as const;

describe("signing in with the browser", () => {
  let desk: SignInDesk;
  afterEach(async () => await desk.close());

  /** Where the browser comes back to, by the page that was opened last. */
  const redirectOf = (url: string): string => new URL(url).searchParams.get("redirect_uri") ?? "";
  const isClosed = async (address: string): Promise<boolean> =>
    await fetch(address).then(
      () => false,
      () => true,
    );
  const failure = async (): Promise<string> => {
    const end = await desk.signIn();
    assert.ok(end.kind === "failed", JSON.stringify(end));
    return end.text;
  };
  async function tokens(): Promise<AccessTokens> {
    const resolution = await desk.accounts.resolve(undefined, "work");
    assert.ok(resolution.kind === "account", JSON.stringify(resolution));
    return resolution.accessToken;
  }
  function assertNothingTold(): void {
    const { accessTokens, refreshTokens, tokenRequests } = desk.server;
    const secrets = tokenRequests.flatMap(({ code, code_verifier }) => [code, code_verifier]);
    const all = [...accessTokens, ...refreshTokens, ...secrets, knownClient.google.clientSecret];
    for (const secret of all) if (secret !== undefined) assert.ok(!desk.everything().includes(secret));
    for (const token of accessTokens) assert.ok(![...desk.secrets.values()].join("\n").includes(token));
  }

  describe("with Google", () => {
    beforeEach(async () => (desk = await SignInDesk.open("google")));

    it("R1 R13 R20 goes round by loopback, over the account's proxy and CA file", async () => {
      const pages: { status: number; text: string; headers: Headers }[] = [];
      desk.browser.onPage = async (url) => {
        const page = await fetch(await desk.server.consent(url));
        pages.push({ status: page.status, text: await page.text(), headers: page.headers });
      };
      assert.deepEqual(await desk.signIn(), signedIn);
      assert.deepEqual(new Set(desk.interceptor.connections), new Set(["oauth2.googleapis.com:443"]));
      assert.equal((await desk.signInState())?.user, "ada@gmail.com");
      assert.equal(desk.grants().length, 1);
      const [page] = pages;
      assert.equal(page?.status, 200);
      assert.match(page.text, /Signed in\. You can close this tab\./);
      assert.doesNotMatch(page.text, /<script|https?:|src=|href=/);
      assert.equal(page.headers.get("cache-control"), "no-store");
      assert.equal(page.headers.get("referrer-policy"), "no-referrer");
      assert.match(page.headers.get("content-security-policy") ?? "", /^default-src 'none'/);
      assert.ok(await isClosed(redirectOf(desk.browser.pages[0] ?? "")), "nobody listens any more");
      assert.equal(desk.browser.boxes.size, 0, "the box is gone");
      assertNothingTold();
      // The access token that came along is used: nothing more is asked for.
      assert.deepEqual(await (await tokens())(), { ok: true, token: desk.server.accessTokens[0] });
      assert.equal(desk.server.asked, 1);
    });

    it("goes round by the address that the browser ended on, where it cannot come back (SSH, tunnels)", async () => {
      desk.browser.onPage = async (url) => {
        const { box } = desk.browser;
        assert.match(box.validate("https://example.com/?code=1") ?? "", /not the address that this sign-in ends on/);
        const address = await desk.server.consent(url);
        assert.equal(box.validate(` ${address}\n`), undefined);
        // A tunnel may have rewritten host and port.
        box.accept(address.replace(/127\.0\.0\.1:\d+/, "127.0.0.1:1"));
      };
      assert.deepEqual(await desk.signIn(), signedIn);
      assertNothingTold();
    });

    it("goes round by that address alone where nobody may listen", async () => {
      const listen = mock.method(Server.prototype, "listen", function (this: Server) {
        const error = Object.assign(new Error("listen EPERM: operation not permitted 127.0.0.1"), { code: "EPERM" });
        setImmediate(() => this.emit("error", error));
        return this;
      });
      desk.browser.onPage = async (url) => {
        listen.mock.restore();
        assert.match(desk.browser.box.prompt, /^Your browser will end on a page that cannot be shown/);
        desk.browser.box.accept(await desk.server.consent(url));
      };
      try {
        assert.deepEqual(await desk.signIn(), signedIn);
      } finally {
        listen.mock.restore();
      }
    });

    it("refuses a wrong state, and waits on for the right one", async () => {
      desk.browser.onPage = async (url) => {
        const address = await desk.server.consent(url);
        const wrong = await fetch(address.replace(/state=[^&]*/, "state=wrong"));
        assert.equal(wrong.status, 400);
        assert.match(await wrong.text(), /not the sign-in that Bulk Mail waits for/);
        assert.equal(desk.server.asked, 0, "its code was not redeemed");
        await fetch(address);
      };
      assert.deepEqual(await desk.signIn(), signedIn);
    });

    it("answers nothing but GET / on its own name, and nothing large", async () => {
      desk.browser.onPage = async (url) => {
        const address = await desk.server.consent(url);
        const { origin, search, port } = new URL(address);
        const post = await fetch(address, { method: "POST", body: "x" });
        assert.equal(post.status, 405);
        assert.equal((await fetch(`${origin}/favicon.ico`)).status, 404);
        assert.equal((await fetch(`${origin}/other${search}`)).status, 404);
        assert.equal((await fetch(`${origin}/?x=${"y".repeat(20_000)}`)).status, 431);
        const rebound = await new Promise<number | undefined>((resolve) => {
          const headers = { Host: "evil.example" };
          httpRequest({ host: "127.0.0.1", port, path: `/${search}`, headers }, ({ statusCode }) =>
            resolve(statusCode),
          ).end();
        });
        assert.equal(rebound, 400, "a page whose name points here is no browser that comes back");
        assert.equal(desk.server.asked, 0);
        await fetch(address);
      };
      assert.deepEqual(await desk.signIn(), signedIn);
    });

    it("refuses a code that was got with another verifier: PKCE is enforced (R16)", async () => {
      desk.browser.onPage = async (url) => {
        // Somebody who knows the state, but got the code in a sign-in of their own.
        const account = parseAccount("work", desk.settings.work).value;
        assert.ok(account);
        const theirs = authorizationRequest(account, { provider: "google", ...knownClient.google }, redirectOf(url));
        const code = new URL(await desk.server.consent(theirs.url)).searchParams.get("code") ?? "";
        const page = await fetch((await desk.server.consent(url)).replace(/code=[^&]*/, `code=${code}`));
        assert.match(await page.text(), /Nobody was signed in/);
      };
      await failure();
      assert.deepEqual(desk.grants(), []);
      assertNothingTold();
    });

    it("gives up when nobody comes back in time, and listens no more", async () => {
      desk.browser.timeoutMs = 20;
      desk.browser.onPage = () => undefined;
      assert.match(await failure(), /^Nobody came back from the browser in time/);
      assert.ok(await isClosed(redirectOf(desk.browser.pages[0] ?? "")));
      assert.equal(desk.browser.boxes.size, 0);
    });

    it("ends when the person cancels, and listens no more", async () => {
      desk.browser.onPage = () => desk.browser.cancel();
      assert.deepEqual(await desk.signIn(), { kind: "cancelled" });
      assert.ok(await isClosed(redirectOf(desk.browser.pages[0] ?? "")));
      assert.deepEqual(desk.grants(), []);
    });

    it("keeps nothing when the person cancels while the code is redeemed", async () => {
      desk.server.instead = (_request, response) => {
        desk.browser.cancel();
        response.writeHead(503).end();
      };
      assert.deepEqual(await desk.signIn(), { kind: "cancelled" });
      assert.deepEqual(desk.grants(), []);
    });

    it("is a sign-in for whoever cancels when it is stored already", async () => {
      desk.onStore = (key) => key.startsWith("grant/") && desk.browser.cancel();
      assert.deepEqual(await desk.signIn(), signedIn);
      assert.equal(desk.grants().length, 1);
    });

    it("ends the first sign-in when a second one begins", async () => {
      const consent = desk.browser.onPage;
      let second: ReturnType<SignInDesk["signIn"]> | undefined;
      desk.browser.onPage = () => {
        desk.browser.onPage = consent;
        second = desk.signIn();
      };
      assert.deepEqual(await desk.signIn(), { kind: "cancelled" });
      assert.deepEqual(await second, signedIn);
      assert.ok(await isClosed(redirectOf(desk.browser.pages[0] ?? "")));
    });

    it("says so when the person does not allow it", async () => {
      desk.server.refusal = "access_denied";
      assert.match(await failure(), /was not allowed to let Bulk Mail send/);
      assert.deepEqual(desk.grants(), []);
      desk.server.refusal = undefined;
      desk.server.withheld = ["https://www.googleapis.com/auth/gmail.send"];
      await failure();
      assert.deepEqual(desk.grants(), []);
    });

    it("keeps no sign-in of somebody else", async () => {
      desk.server.email = "bob@gmail.com";
      const end = await desk.signIn();
      assert.ok(end.kind === "failed");
      assert.match(end.text, /^Somebody else signed in than this account is for\./);
      assert.doesNotMatch(end.text, /@/, "words of the provider are no words of a toast");
      assert.equal(end.detail, "signed in as “bob@gmail.com”, the account is for “ada@gmail.com”");
      assert.ok(desk.log.some((line) => line.includes("bob@gmail.com")));
      assert.deepEqual(desk.grants(), []);
      assert.equal((await desk.signInState())?.kind, "signedOut");
      assertNothingTold();
    });

    it("redeems no code for an account that was changed while the browser was open", async () => {
      const consent = desk.browser.onPage;
      desk.browser.onPage = (url) => {
        desk.settings = { work: { ...(desk.settings.work as object), proxy: "http://127.0.0.1:9" } };
        return consent(url);
      };
      assert.match(await failure(), /^The account was changed in the meantime/);
      assert.equal(desk.server.asked, 0);
    });

    it("is asked for by whoever resolves the account, and refreshes over the account's way", async () => {
      const get = await tokens();
      assert.deepEqual(
        desk.questions.map(({ title }) => title),
        ["Sign in with Google to send through ada@gmail.com?"],
      );
      const first = await get();
      assert.ok(first.ok);
      const second = await get(first.token);
      assert.ok(second.ok);
      assert.notEqual(second.token, first.token);
      assert.equal(desk.server.asked, 2);
      assertNothingTold();
    });

    it("is renewed by the clock that counted most: asleep, set forward, set back (clock skew)", async () => {
      const clock = (desk.clock = new FakeClock());
      const get = await tokens();
      const good = async (): Promise<string> => {
        const reply = await get();
        assert.ok(reply.ok, JSON.stringify(reply));
        return reply.token;
      };
      const first = await good();
      clock.advance(50 * 60_000);
      assert.equal(await good(), first);
      clock.advance(10 * 60_000);
      const second = await good();
      assert.notEqual(second, first);
      clock.suspend(60 * 60_000);
      const third = await good();
      assert.notEqual(third, second, "the token grew old while the machine was asleep");
      clock.setWall(-24 * 60 * 60_000);
      assert.equal(await good(), third, "a clock that was set back makes no token older");
      clock.advance(60 * 60_000);
      assert.notEqual(await good(), third, "nor keeps it young");
      assert.equal(desk.server.asked, 4);
    });

    it("R37 wants a new sign-in once it was taken back, which a run then goes on with", async () => {
      const running = await tokens();
      const first = await running();
      assert.ok(first.ok);
      desk.server.revokeAll();
      const refused = await running(first.token);
      assert.ok(!refused.ok && refused.failure.signIn === true);
      assert.match(refused.failure.text, /7 days/, "the rule of projects in testing is explained");
      assert.deepEqual(await running(), refused, "and Google is not asked again and again");
      assert.equal(desk.server.asked, 2);
      assert.equal((await desk.signInState())?.kind, "signedOut");
      await tokens();
      assert.deepEqual(await running(), { ok: true, token: desk.server.accessTokens[0] });
      assertNothingTold();
    });

    it("signing out tells Google and forgets everything but the client", async () => {
      const running = await tokens();
      assert.ok((await running()).ok);
      await desk.signIns.signOut(undefined, "work");
      assert.equal(desk.server.refreshTokens.size, 0);
      assert.deepEqual(desk.grants(), []);
      assert.equal(desk.toasts.at(-1)?.message, "Signed out, and Google was told.");
      const refused = await running();
      assert.ok(!refused.ok && refused.failure.signIn === true);
      assert.ok(await desk.signIns.hasClient("google"));
      await desk.signIns.signOut(undefined, "work");
      assert.equal(desk.toasts.at(-1)?.message, "Nobody is signed in to this account.");
    });

    it("signing out ends a sign-in for another setup too, and Google is told", async () => {
      await desk.signIn();
      desk.settings = { work: { ...(desk.settings.work as object), transport: "smtp", auth: "oauth2" } };
      assert.equal((await desk.signInState())?.kind, "elsewhere");
      await desk.signIns.signOut(undefined, "work");
      assert.equal(desk.toasts.at(-1)?.message, "Signed out, and Google was told.");
      assert.equal(desk.server.refreshTokens.size, 0);
      assert.deepEqual(desk.grants(), []);
    });

    it("removing an account, or forgetting its secrets, tells Google as well", async () => {
      await desk.signIn();
      await desk.accounts.forget("work");
      assert.equal(desk.server.refreshTokens.size, 0);
      await desk.signIn();
      assert.equal(desk.server.refreshTokens.size, 1);
      await desk.accounts.remove(undefined, "work", "user");
      assert.equal(desk.server.refreshTokens.size, 0);
      assert.equal(desk.toasts.at(-1)?.message, "Signed out, and Google was told.");
      assert.deepEqual(desk.grants(), []);
    });

    it("signing out of one of two accounts of one user leaves the other signed in, as Google ends both at once", async () => {
      const { work } = desk.settings;
      desk.settings = { work, news: { ...(work as object), user: "a.da@googlemail.com" } };
      await desk.signIn();
      assert.equal((await desk.signIns.signIn(undefined, "news")).kind, "signedIn");
      await desk.signIns.signOut(undefined, "work");
      assert.match(
        desk.toasts.at(-1)?.message ?? "",
        /^Signed out here\. Google was not told, because that would end the sign-in of news too/,
      );
      assert.equal(desk.server.refreshTokens.size, 2);
      assert.equal(desk.grants().length, 1);
      await desk.signIns.signOut(undefined, "news");
      assert.equal(desk.toasts.at(-1)?.message, "Signed out, and Google was told.");
    });

    it("signing out works offline, and says that Google could not be told", async () => {
      await tokens();
      desk.interceptor.play("oauth2.googleapis.com", (request) => request.socket.destroy());
      await desk.signIns.signOut(undefined, "work");
      assert.deepEqual(desk.grants(), []);
      assert.match(desk.toasts.at(-1)?.message ?? "", /^Signed out here, but Google could not be told/);
    });
  });

  describe("with the person's own client", () => {
    beforeEach(async () => (desk = await SignInDesk.open("google", {}, false)));

    it("asks for it once: by file, and keeps it in Secret Storage only", async () => {
      const file = join(desk.root, "client.json");
      await writeFile(file, googleClientFile);
      desk.answer("Choose the JSON file…", file);
      assert.deepEqual(await desk.signIn(), signedIn);
      assertNothingTold();
      assert.deepEqual(await desk.signIn(), signedIn);
      assert.equal(desk.questions.length, 2, "the stored one is used again");
    });

    it("takes it pasted", async () => {
      desk.answer("Paste its content…", googleClientFile);
      assert.deepEqual(await desk.signIn(), signedIn);
    });

    it("says what is wrong with a file, and signs nobody in", async () => {
      const file = join(desk.root, "client.json");
      await writeFile(file, JSON.stringify({ web: {} }));
      desk.answer("Choose the JSON file…", file);
      assert.match(await failure(), /of the type Web application/);
      desk.answer("Choose the JSON file…", join(desk.root, "missing.json"));
      assert.match(await failure(), /cannot be read/);
      await writeFile(file, "x".repeat(100_000));
      desk.answer("Choose the JSON file…", file);
      assert.match(await failure(), /too large/);
      assert.deepEqual(desk.browser.pages, []);
    });

    it("ends when the person turns away from the question", async () => {
      desk.answer(undefined);
      assert.deepEqual(await desk.signIn(), { kind: "cancelled" });
    });

    it("takes another one from the box, or when it is asked for anew", async () => {
      await desk.signIns.takeClient("google", googleClientFile.replace("1234-abc", "9999-old"));
      const consent = desk.browser.onPage;
      desk.browser.onPage = () => {
        desk.browser.onPage = consent;
        desk.browser.box.otherClient();
      };
      desk.answer("Paste its content…", googleClientFile);
      assert.deepEqual(await desk.signIn(), signedIn);
      desk.answer("Paste its content…", googleClientFile);
      assert.deepEqual(await desk.signIns.signIn(undefined, "work", { askClient: true }), signedIn);
      assert.equal((await desk.signIns.takeClient("google", "{}")).kind, "failed");
    });
  });

  describe("with Microsoft (R6)", () => {
    beforeEach(async () => (desk = await SignInDesk.open("microsoft")));

    it("goes by VS Code's own sign-in, with the person's application", async () => {
      desk.microsoft.answer = { kind: "signedIn", account: { id: "1", label: "Ada@Outlook.com" } };
      desk.microsoft.accessToken = "from VS Code";
      assert.deepEqual(await desk.signIn(), { kind: "signedIn", user: "ada@outlook.com" });
      assert.deepEqual(desk.microsoft.asked, [{ clientId: knownClient.microsoft.clientId, user: "ada@outlook.com" }]);
      assert.deepEqual(desk.browser.pages, []);
      assert.equal((await desk.signInState())?.by, "vscode");
      assert.deepEqual(await (await tokens())(), { ok: true, token: "from VS Code" });
      await desk.signIns.signOut(undefined, "work");
      assert.match(desk.toasts.at(-1)?.message ?? "", /VS Code itself stays signed in/);
      assert.deepEqual(desk.grants(), []);
    });

    it("keeps no sign-in of somebody else there", async () => {
      desk.microsoft.answer = { kind: "signedIn", account: { id: "2", label: "bob@outlook.com" } };
      desk.answer(undefined);
      assert.match(await failure(), /^Somebody else signed in/);
      assert.deepEqual(desk.grants(), []);
      assert.ok(desk.log.some((line) => line.includes("as “bob@outlook.com”, the account is for “ada@outlook.com”")));
    });

    it("offers the browser where VS Code names the same person by another name than the mail address", async () => {
      desk.microsoft.answer = { kind: "signedIn", account: { id: "2", label: "ada@tenant.onmicrosoft.com" } };
      desk.answer("Sign in in the browser");
      assert.deepEqual(await desk.signIn(), { kind: "signedIn", user: "ada@outlook.com" });
      assert.equal((await desk.signInState())?.by, "browser");
      desk.answer("Use another application…", undefined);
      assert.deepEqual(await desk.signIn(), { kind: "cancelled" });
    });

    it("ends at once when it is cancelled while VS Code asks, whatever becomes of VS Code's question", async () => {
      let late: ((answer: MicrosoftAnswer) => void) | undefined;
      desk.microsoft.answer = new Promise((resolve) => (late = resolve));
      desk.microsoft.onAsk = () => desk.signIns.cancel();
      assert.deepEqual(await desk.signIn(), { kind: "cancelled" });
      late?.({ kind: "signedIn", account: { id: "1", label: "ada@outlook.com" } });
      await desk.microsoft.answer;
      assert.deepEqual(desk.grants(), [], "a late answer signs nobody in");
    });

    it("ends the first sign-in when a second one begins while VS Code asks", async () => {
      desk.microsoft.answer = new Promise(() => undefined);
      let second: ReturnType<SignInDesk["signIn"]> | undefined;
      desk.microsoft.onAsk = () => {
        desk.microsoft.onAsk = () => undefined;
        desk.microsoft.answer = { kind: "signedIn", account: { id: "1", label: "ada@outlook.com" } };
        second = desk.signIn();
      };
      assert.deepEqual(await desk.signIn(), { kind: "cancelled" });
      assert.equal((await second)?.kind, "signedIn");
    });

    it("opens no page when it is cancelled while another way is picked or an application asked for", async () => {
      desk.microsoft.answer = { kind: "cancelled" };
      desk.whileAsked = () => desk.signIns.cancel();
      desk.answer("Sign in in the browser");
      assert.deepEqual(await desk.signIn(), { kind: "cancelled" });
      desk.answer(knownClient.microsoft.clientId);
      assert.deepEqual(await desk.signIns.signIn(undefined, "work", { askClient: true }), { kind: "cancelled" });
      assert.equal(desk.microsoft.asked.length, 1);
      assert.deepEqual(desk.browser.pages, []);
    });

    it("ends when the person cancels there, and offers the browser", async () => {
      desk.microsoft.answer = { kind: "cancelled" };
      desk.answer(undefined);
      assert.deepEqual(await desk.signIn(), { kind: "cancelled" });
      assert.deepEqual(desk.browser.pages, []);
      desk.answer("Sign in in the browser");
      assert.equal((await desk.signIn()).kind, "signedIn");
      desk.answer("Use another application…", undefined);
      assert.deepEqual(await desk.signIn(), { kind: "cancelled" });
    });

    it("goes round by loopback where VS Code has no such sign-in, and keeps every new refresh token", async () => {
      assert.deepEqual(await desk.signIn(), { kind: "signedIn", user: "ada@outlook.com" });
      const [page = ""] = desk.browser.pages;
      assert.match(redirectOf(page), /^http:\/\/localhost:\d+$/);
      assert.equal((await desk.signInState())?.by, "browser");
      const before = desk.grants()[0] ?? "";
      const get = await tokens();
      const first = await get();
      assert.ok(first.ok);
      assert.ok((await get(first.token)).ok);
      assert.equal(desk.grants().length, 1);
      assert.notEqual(desk.grants()[0], before, "Microsoft replaces the refresh token");
      assert.ok([...desk.server.refreshTokens].some((token) => desk.grants()[0]?.includes(token)));
      assert.ok(desk.log.some((line) => line.startsWith("VS Code's own sign-in with Microsoft is not to be had")));
      await desk.signIns.signOut(undefined, "work");
      assert.match(desk.toasts.at(-1)?.message ?? "", /^Signed out here\. What you allowed stays listed/);
    });

    it("names the page of work accounts to whom signs out of one", async () => {
      await desk.close();
      desk = await SignInDesk.open("microsoft", { provider: "microsoft365", auth: "oauth2" });
      assert.equal((await desk.signIn()).kind, "signedIn");
      await desk.signIns.signOut(undefined, "work");
      assert.match(desk.toasts.at(-1)?.message ?? "", /stays listed at Microsoft: https:\/\/myapps\.microsoft\.com$/);
    });

    it("listens on both addresses of localhost", async () => {
      const seen: number[] = [];
      desk.browser.onPage = async (url) => {
        const address = await desk.server.consent(url);
        const { port } = new URL(address);
        for (const host of ["127.0.0.1", "[::1]"]) {
          const answer = await fetch(`http://${host}:${port}/?state=wrong`).catch(() => undefined);
          if (answer !== undefined) seen.push(answer.status);
        }
        await fetch(address.replace("localhost", "127.0.0.1"));
      };
      assert.equal((await desk.signIn()).kind, "signedIn");
      assert.ok(seen.length > 0 && seen.every((status) => status === 400), String(seen));
    });
  });
});

import assert from "node:assert/strict";
import { ownFailures, type Failure } from "../../src/mail/classify";
import { GrantTokens } from "../../src/mail/grantTokens";
import type { Grant, Granted } from "../../src/mail/oauth";
import type { TokenReply } from "../../src/mail/ports";
import { FakeClock, LeapingClock } from "../fakes/fakeClock";
import { turn } from "../fakes/connectBench";

const minute = 60_000;
const hour = 60 * minute;
const grant: Grant = {
  provider: "google",
  clientId: "id",
  clientSecret: "secret",
  refreshToken: "refresh-0",
  scopes: [],
  user: "ada@gmail.com",
  grantedAt: "2026-01-01T00:00:00.000Z",
};
const offline: Failure = { class: "offline", stage: "auth", text: "Not reached. Try again." };
const revoked: Failure = { class: "account", stage: "auth", text: "Taken back. Sign in again.", signIn: true };

/** An endpoint that counts, and answers as it is told. */
class Endpoint {
  asked = 0;
  readonly grants: Grant[] = [];
  failure: Failure | undefined;
  expiresInMs = hour;
  rotates = false;
  /** Answers wait for it. */
  held: Promise<void> = Promise.resolve();

  readonly refresh = async (used: Grant): Promise<Granted> => {
    const token = `token-${String(++this.asked)}`;
    this.grants.push(used);
    await this.held;
    if (this.failure !== undefined) return { ok: false, failure: this.failure };
    const refreshToken = this.rotates ? `refresh-${String(this.asked)}` : used.refreshToken;
    return { ok: true, grant: { ...used, refreshToken }, token, expiresInMs: this.expiresInMs };
  };
}

const tokenOf = (reply: TokenReply): string => (reply.ok ? reply.token : `no: ${reply.failure.text}`);
const given = async (tokens: GrantTokens, refused?: string): Promise<string> => tokenOf(await tokens.get(refused));

describe("access tokens of a grant", () => {
  let endpoint: Endpoint;
  let clock: FakeClock;
  let tokens: GrantTokens;
  beforeEach(() => {
    endpoint = new Endpoint();
    clock = new FakeClock();
    tokens = new GrantTokens(grant, endpoint.refresh, clock);
  });

  it("one serves everybody until five minutes before its end", async () => {
    assert.equal(await given(tokens), "token-1");
    clock.advance(54 * minute);
    assert.equal(await given(tokens), "token-1");
    clock.advance(minute);
    assert.equal(await given(tokens), "token-2");
    assert.equal(endpoint.asked, 2);
  });

  it("the one that came with the sign-in is used first", async () => {
    tokens = new GrantTokens(grant, endpoint.refresh, clock, undefined, { token: "token-0", expiresInMs: hour });
    assert.equal(await given(tokens), "token-0");
    clock.advance(hour);
    assert.equal(await given(tokens), "token-1");
  });

  it("all lanes at once make one request", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => given(tokens)));
    assert.deepEqual(new Set(all), new Set(["token-1"]));
    const refused = await Promise.all(Array.from({ length: 20 }, () => given(tokens, "token-1")));
    assert.deepEqual(new Set(refused), new Set(["token-2"]));
    assert.equal(endpoint.asked, 2);
  });

  describe("whatever the clocks do", () => {
    for (const [name, tamper] of [
      ["the wall clock is hours slow", () => clock.setWall(-5 * hour)],
      ["the wall clock is years fast", () => clock.setWall(20_000 * hour)],
    ] as const)
      it(`a machine where ${name} from the start gets tokens as any other`, async () => {
        tamper();
        assert.equal(await given(tokens), "token-1");
        clock.advance(54 * minute);
        assert.equal(await given(tokens), "token-1");
        clock.advance(2 * minute);
        assert.equal(await given(tokens), "token-2");
      });

    it("a wall clock that is set back does not keep a dead token alive", async () => {
      assert.equal(await given(tokens), "token-1");
      clock.setWall(-10 * hour);
      assert.equal(await given(tokens), "token-1");
      clock.advance(hour);
      assert.equal(await given(tokens), "token-2");
    });

    it("one that jumps ahead costs one request", async () => {
      assert.equal(await given(tokens), "token-1");
      clock.setWall(10 * hour);
      assert.equal(await given(tokens), "token-2");
      assert.equal(await given(tokens), "token-2");
    });

    it("a machine that slept has a new token, though the clock that never runs back stood still", async () => {
      assert.equal(await given(tokens), "token-1");
      clock.suspend(2 * hour);
      assert.equal(await given(tokens), "token-2");
      clock.suspend(2 * hour);
      clock.setWall(-2 * hour);
      assert.equal(await given(tokens), "token-3");
    });
  });

  it("tokens of seconds are used for seconds, and do not hammer the endpoint", async () => {
    endpoint.expiresInMs = 0;
    assert.equal(await given(tokens), "token-1");
    assert.equal(await given(tokens), "token-1");
    clock.advance(20_000);
    assert.equal(await given(tokens), "token-2");
  });

  describe("a token that is refused (R37)", () => {
    it("is replaced once; whoever comes late with it gets the new one", async () => {
      await tokens.get();
      assert.equal(await given(tokens, "token-1"), "token-2");
      assert.equal(await given(tokens, "token-1"), "token-2");
      assert.equal(await given(tokens), "token-2");
      assert.equal(endpoint.asked, 2);
    });

    it("and the fresh one too: a person must sign in, and nobody asks the endpoint again", async () => {
      await tokens.get();
      await tokens.get("token-1");
      const reply = await tokens.get("token-2");
      assert.ok(!reply.ok);
      assert.equal(reply.failure.class, "account");
      assert.equal(reply.failure.signIn, true);
      assert.match(reply.failure.text, /refused two fresh access tokens.*sign in again and resume/);
      for (const refused of [undefined, "token-1", "token-2", "token-3"])
        assert.deepEqual(await tokens.get(refused), reply);
      clock.advance(24 * hour);
      assert.deepEqual(await tokens.get(), reply);
      assert.equal(endpoint.asked, 2);
    });

    it("while another is got already: that one counts as its replacement", async () => {
      await tokens.get();
      clock.advance(hour);
      let release = (): void => {};
      endpoint.held = new Promise((resolve) => (release = resolve));
      const renewed = given(tokens);
      const replaced = given(tokens, "token-1");
      release();
      assert.deepEqual([await renewed, await replaced], ["token-2", "token-2"]);
      const reply = await tokens.get("token-2");
      assert.equal(!reply.ok && reply.failure.signIn, true);
      assert.equal(endpoint.asked, 2);
    });

    it("long after it was good is another case", async () => {
      await tokens.get();
      await tokens.get("token-1");
      clock.advance(30 * minute);
      assert.equal(await given(tokens, "token-2"), "token-3");
      assert.match(await given(tokens, "token-3"), /sign in again/);
    });
  });

  describe("a sign-in that was taken back (R37)", () => {
    it("is said at once to everybody, and asked about once", async () => {
      endpoint.failure = revoked;
      const replies = await Promise.all([tokens.get(), tokens.get(), tokens.get("token-0")]);
      for (const reply of replies) assert.deepEqual(reply, { ok: false, failure: revoked });
      endpoint.failure = undefined;
      clock.advance(24 * hour);
      assert.deepEqual(await tokens.get(), { ok: false, failure: revoked });
      assert.equal(endpoint.asked, 1);
    });
  });

  describe("an endpoint that is not reached", () => {
    it("is asked again with seconds between, and its failure is not kept", async () => {
      const leaping = new LeapingClock();
      tokens = new GrantTokens(grant, endpoint.refresh, leaping);
      endpoint.failure = offline;
      for (let i = 0; i < 3; i++) assert.deepEqual(await tokens.get(), { ok: false, failure: offline });
      assert.deepEqual(
        leaping.slept.filter((ms) => ms > 0),
        [5000, 5000],
      );
      endpoint.failure = undefined;
      assert.equal(await given(tokens), "token-4");
      assert.equal(await given(tokens), "token-4");
    });

    it("keeps many lanes waiting for one request", async () => {
      endpoint.failure = offline;
      await tokens.get();
      endpoint.failure = undefined;
      const all = Promise.all([given(tokens), given(tokens), given(tokens)]);
      await turn();
      assert.equal(endpoint.asked, 1);
      clock.advance(5000);
      assert.deepEqual(await all, ["token-2", "token-2", "token-2"]);
    });

    it("that asks for a longer wait is left alone so long; whoever asks is told how much is left", async () => {
      endpoint.failure = { ...offline, class: "throttled", retryAfterMs: 60_000 };
      await tokens.get();
      clock.advance(20_000);
      const reply = await tokens.get();
      assert.equal(!reply.ok && reply.failure.retryAfterMs, 40_000);
      assert.equal(endpoint.asked, 1);
      endpoint.failure = undefined;
      clock.advance(40_000);
      assert.equal(await given(tokens), "token-2");
    });

    it("keeps a token that replaces a refused one in mind", async () => {
      await tokens.get();
      endpoint.failure = offline;
      assert.match(await given(tokens, "token-1"), /Not reached/);
      endpoint.failure = undefined;
      clock.advance(5000);
      assert.equal(await given(tokens), "token-3");
      assert.match(await given(tokens, "token-3"), /sign in again/);
    });

    it("or a thread that is gone: the port itself never throws", async () => {
      tokens = new GrantTokens(grant, () => Promise.reject(new Error("The thread ended.")), clock);
      const reply = await tokens.get();
      assert.equal(!reply.ok && reply.failure.class, "offline");
      const broken = new GrantTokens(grant, () => assert.fail("The port is closed."), clock);
      assert.equal((await broken.get()).ok, false);
    });

    it("a failure of this machine's that signing in cannot mend is looked at again later", async () => {
      endpoint.failure = { class: "account", stage: "auth", text: "The certificate is a stranger's." };
      assert.match(await given(tokens), /stranger/);
      endpoint.failure = undefined;
      clock.advance(5000);
      assert.equal(await given(tokens), "token-2");
    });

    it("a request that was called off is no reason to sign in", async () => {
      endpoint.failure = { ...ownFailures.stopped, stage: "auth" };
      await tokens.get();
      endpoint.failure = undefined;
      clock.advance(5000);
      assert.equal(await given(tokens), "token-2");
    });
  });

  describe("a refresh token that is replaced", () => {
    it("is kept before its access token is used, and is the one that is used from then on", async () => {
      endpoint.rotates = true;
      const kept: string[] = [];
      let release = (): void => {};
      const disk = new Promise<void>((resolve) => (release = resolve));
      tokens = new GrantTokens(grant, endpoint.refresh, clock, ({ refreshToken }) => {
        kept.push(refreshToken);
        return disk;
      });
      let isGiven = false;
      const first = given(tokens).then((token) => {
        isGiven = true;
        return token;
      });
      await turn();
      assert.deepEqual([kept, isGiven], [["refresh-1"], false]);
      release();
      assert.equal(await first, "token-1");
      clock.advance(hour);
      await tokens.get();
      assert.deepEqual(
        endpoint.grants.map(({ refreshToken }) => refreshToken),
        ["refresh-0", "refresh-1"],
      );
      assert.deepEqual(kept, ["refresh-1", "refresh-2"]);
    });

    it("that cannot be kept stops nothing", async () => {
      endpoint.rotates = true;
      tokens = new GrantTokens(grant, endpoint.refresh, clock, () => Promise.reject(new Error("ENOSPC")));
      assert.equal(await given(tokens), "token-1");
    });

    it("is not spoken of where it stays the same", async () => {
      tokens = new GrantTokens(grant, endpoint.refresh, clock, () => assert.fail("Nothing changed."));
      assert.equal(await given(tokens), "token-1");
    });
  });
});

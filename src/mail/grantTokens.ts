/** Access tokens from a grant: kept in memory, renewed in time, one request for all who wait. */
import type { Failure } from "./classify";
import type { Grant, Granted } from "./oauth";
import { oauthFailures } from "./oauthFailures";
import { oauthProviders } from "./oauthProviders";
import type { AccessTokens, Clock, TokenReply } from "./ports";

/** An access token is renewed so long before its end at the latest: it may wait in a connection's queue. Milliseconds. */
const marginMs = 5 * 60_000;

/** One that lives shorter than the margin is used for this long. */
const leastMs = 20_000;

/** A token that replaced a refused one, and is refused within this time, was refused fresh. */
const freshMs = 10 * 60_000;

/** The endpoint is asked again after a failure no sooner than this. */
const restMs = 5_000;

/** A token and what is known of it. */
interface Held {
  readonly token: string;
  readonly got: Moment;
  readonly lifeMs: number;
  /** It was got because the one before it was refused. */
  readonly isSecond: boolean;
}

/** A moment on every clock: each one alone may stand still or be set. */
interface Moment {
  readonly wall: number;
  readonly monotonic: number;
  readonly boot: ReturnType<Clock["boot"]>;
}

/** Turns a grant into access tokens. A new sign-in takes a new one of these. */
export class GrantTokens {
  private held: Held | undefined;
  private flight: Promise<TokenReply> | undefined;
  /** Somebody's token was refused, and the next one is to replace it. */
  private isReplacing = false;
  /** Nothing helps but signing in again. */
  private dead: Failure | undefined;
  private lastFailure: { readonly failure: Failure; readonly at: Moment } | undefined;

  /**
   * @param refresh gets another access token for a grant, over the account's own way; may reject
   * @param onRotated keeps a grant whose refresh token was replaced; it is awaited before the new access token is used
   * @param first the access token that came with the grant
   */
  constructor(
    private grant: Grant,
    private readonly refresh: (grant: Grant) => Promise<Granted>,
    private readonly clock: Clock,
    private readonly onRotated: (grant: Grant) => unknown = () => {},
    first?: { readonly token: string; readonly expiresInMs: number },
  ) {
    if (first !== undefined) this.held = this.hold(first.token, first.expiresInMs, false);
  }

  /** The port. A refused token is replaced once; if the next one is refused too, a person has to sign in again. */
  readonly get: AccessTokens = async (refused) => {
    if (this.dead !== undefined) return { ok: false, failure: this.dead };
    const { held } = this;
    if (refused !== undefined && (held === undefined || held.token === refused)) {
      if (held?.isSecond === true && this.since(held.got) < freshMs) return this.die(this.refusedTwice());
      this.held = undefined;
      this.isReplacing = true;
    } else if (held !== undefined && this.since(held.got) < held.lifeMs) return { ok: true, token: held.token };
    this.flight ??= this.renew().finally(() => (this.flight = undefined));
    return this.flight;
  };

  private async renew(): Promise<TokenReply> {
    const wait = await this.rest();
    if (wait !== undefined) return { ok: false, failure: wait };
    const { refreshToken } = this.grant;
    const granted = await this.ask();
    if (!granted.ok) {
      this.lastFailure = { failure: granted.failure, at: this.moment() };
      return granted.failure.signIn === true ? this.die(granted.failure) : granted;
    }
    this.lastFailure = undefined;
    this.grant = granted.grant;
    if (granted.grant.refreshToken !== refreshToken) {
      try {
        await this.onRotated(granted.grant);
      } catch {
        // It goes on in memory; whoever keeps grants says what became of that.
      }
    }
    this.held = this.hold(granted.token, granted.expiresInMs, this.isReplacing);
    this.isReplacing = false;
    return { ok: true, token: granted.token };
  }

  private async ask(): Promise<Granted> {
    try {
      return await this.refresh(this.grant);
    } catch {
      const failure = oauthFailures.unreachable(oauthProviders[this.grant.provider]);
      return { ok: false, failure: { ...failure, stage: "auth" } };
    }
  }

  /** Lets the time pass that a failed endpoint is left alone; a failure where it asked for longer. */
  private async rest(): Promise<Failure | undefined> {
    if (this.lastFailure === undefined) return undefined;
    const { failure, at } = this.lastFailure;
    const since = this.since(at);
    const asked = (failure.retryAfterMs ?? 0) - since;
    if (asked > restMs) return { ...failure, retryAfterMs: asked };
    await this.clock.sleep(Math.max(restMs - since, asked, 0));
    return undefined;
  }

  private die(failure: Failure): TokenReply {
    this.dead = failure;
    this.held = undefined;
    return { ok: false, failure };
  }

  private refusedTwice(): Failure {
    return { ...oauthFailures.refusedTwice(oauthProviders[this.grant.provider]), stage: "auth" };
  }

  private hold(token: string, expiresInMs: number, isSecond: boolean): Held {
    const lifeMs = Math.max(expiresInMs - Math.min(marginMs, expiresInMs / 2), leastMs);
    return { token, got: this.moment(), lifeMs, isSecond };
  }

  private moment(): Moment {
    return { wall: this.clock.now(), monotonic: this.clock.monotonic(), boot: this.clock.boot() };
  }

  /** Milliseconds since a moment by the clock that counted most: a token that is renewed too early does no harm. */
  private since({ wall, monotonic, boot }: Moment): number {
    const now = this.moment();
    const byBoot = now.boot.id === boot.id ? now.boot.ms - boot.ms : 0;
    return Math.max(now.monotonic - monotonic, now.wall - wall, byBoot);
  }
}

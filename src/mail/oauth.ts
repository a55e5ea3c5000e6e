/** Signing in with OAuth 2.0: the authorization code with PKCE over the system's browser (RFC 8252, RFC 7636), and tokens after that. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Account } from "./account";
import { isSameMailbox } from "./address";
import type { Failure } from "./classify";
import type { HttpsWay } from "./https";
import type { OAuthClient } from "./oauthClient";
import { judgeOAuthError, oauthFailures, wrongUser } from "./oauthFailures";
import {
  canSend,
  oauthProviderOf,
  oauthProviders,
  permissionsUrlOf,
  scopesFor,
  type OAuthProvider,
} from "./oauthProviders";
import { postForm, requestTokens, type Tokens } from "./oauthTokens";
import { systemClock } from "./ports";
import type { OAuthProviderId } from "./providers";

export { parseOAuthClient, type OAuthClient } from "./oauthClient";

/** A sign-in that waits for the browser. `state` and `verifier` are secrets of this process. */
export interface AuthorizationRequest {
  /** For the browser. */
  readonly url: string;
  readonly state: string;
  readonly verifier: string;
  readonly redirectUri: string;
}

/** What the browser came back with. */
export type Landing =
  | { readonly kind: "code"; readonly code: string }
  /** `text` is our sentence with the next step. */
  | { readonly kind: "refused"; readonly text: string }
  /** Not ours, or of another sign-in. */
  | { readonly kind: "foreign" };

/** What a person allowed, to be kept like a password. */
export interface Grant {
  readonly provider: OAuthProviderId;
  readonly clientId: string;
  /** Empty where there is none. */
  readonly clientSecret: string;
  readonly refreshToken: string;
  readonly scopes: readonly string[];
  /** Who signed in, by the ID token, under the name that the account goes by; empty when that does not say. */
  readonly user: string;
  /** ISO 8601. */
  readonly grantedAt: string;
}

/** Tokens, or why there are none. */
export type Granted =
  | { readonly ok: true; readonly grant: Grant; readonly token: string; readonly expiresInMs: number }
  | { readonly ok: false; readonly failure: Failure };

/** A sign-in for an account with a client of the account's provider. `redirectUri` is `http://HOST:PORT` on this machine. */
export function authorizationRequest(
  account: Account,
  { provider: id, clientId }: OAuthClient,
  redirectUri: string,
): AuthorizationRequest {
  const provider = oauthProviders[id];
  const state = randomBytes(32).toString("base64url");
  const verifier = randomBytes(32).toString("base64url");
  const url = new URL(provider.authorizationUrl);
  url.search = new URLSearchParams({
    client_id: clientId,
    redirect_uri: redirectUri,
    response_type: "code",
    scope: scopesFor(account, provider).join(" "),
    state,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    ...(account.user === "" ? {} : { login_hint: account.user }),
    ...provider.extra,
  }).toString();
  return { url: url.href, state, verifier, redirectUri };
}

/** An address has some hundred characters. */
const longestAddress = 20_000;

/**
 * Reads the address that the browser came back to, as a listener got it or as a person pasted it. The state tells whose it is, not
 * host and port: a tunnel may have rewritten these.
 */
export function readLanding(request: AuthorizationRequest, address: string): Landing {
  const foreign: Landing = { kind: "foreign" };
  if (address.length > longestAddress) return foreign;
  const text = address.trim().replace(/^[<"']+|[>"']+$/g, "");
  if (!URL.canParse(text, request.redirectUri)) return foreign;
  const { searchParams } = new URL(text, request.redirectUri);
  const only = (name: string): string | undefined => {
    const [value, ...more] = searchParams.getAll(name);
    return value === "" || more.length > 0 ? undefined : value;
  };
  if (!isSame(only("state") ?? "", request.state)) return foreign;
  const error = only("error");
  const code = only("code");
  if (error !== undefined) {
    const provider = providerOfUrl(request.url);
    const { text: sentence } = judgeOAuthError(provider, "consent", error, only("error_description") ?? "");
    return { kind: "refused", text: sentence };
  }
  return code === undefined ? foreign : { kind: "code", code };
}

/** Tokens for the code that the browser came back with. Who signed in must be the account's user, and must have allowed to send. */
export async function redeemCode(
  client: OAuthClient,
  { verifier, redirectUri }: AuthorizationRequest,
  code: string,
  way: HttpsWay,
  signal: AbortSignal,
): Promise<Granted> {
  const provider = oauthProviders[client.provider];
  if (oauthProviderOf(way.account) !== provider) return failed(oauthFailures.elsewhere(provider));
  const reply = await requestTokens(
    provider,
    "code",
    { grant_type: "authorization_code", code, code_verifier: verifier, redirect_uri: redirectUri, ...loginOf(client) },
    way,
    signal,
  );
  if (!reply.ok) return reply;
  const { tokens } = reply;
  const scopes = tokens.scopes ?? scopesFor(way.account, provider);
  const wrong = wrongPerson(tokens, way.account) ?? missingScope(way.account, provider, scopes);
  if (wrong !== undefined) return failed(wrong);
  if (tokens.refreshToken === undefined)
    return failed(oauthFailures.fleeting({ ...provider, permissionsUrl: permissionsUrlOf(way.account) }));
  const grant: Grant = {
    ...client,
    refreshToken: tokens.refreshToken,
    scopes,
    user: userOf(tokens, way.account),
    grantedAt: new Date(systemClock.now()).toISOString(),
  };
  return { ok: true, grant, token: tokens.accessToken, expiresInMs: tokens.expiresInMs };
}

/** Another access token. The grant in the reply is the one to keep: providers may replace the refresh token. */
export async function refreshToken(grant: Grant, way: HttpsWay, signal: AbortSignal): Promise<Granted> {
  const provider = oauthProviders[grant.provider];
  const { account } = way;
  // A grant goes with the account that it was given for, whatever its settings say by now.
  if (oauthProviderOf(account) !== provider) return failed(oauthFailures.elsewhere(provider));
  if (grant.user !== "" && account.user !== "" && !isSameMailbox(grant.user, account.user))
    return failed(wrongUser(grant.user, account.user));
  if (grant.scopes.length > 0 && !canSend(account, provider, grant.scopes))
    return failed(oauthFailures.unticked(provider));
  const reply = await requestTokens(
    provider,
    "refresh",
    { grant_type: "refresh_token", refresh_token: grant.refreshToken, ...loginOf(grant) },
    way,
    signal,
  );
  if (!reply.ok) return reply;
  const { tokens } = reply;
  const scopes = tokens.scopes ?? grant.scopes;
  const wrong =
    wrongPerson(tokens, account) ?? (scopes.length > 0 ? missingScope(account, provider, scopes) : undefined);
  if (wrong !== undefined) return failed(wrong);
  const kept: Grant = {
    ...grant,
    scopes,
    refreshToken: tokens.refreshToken ?? grant.refreshToken,
    user: grant.user === "" ? userOf(tokens, account) : grant.user,
  };
  return { ok: true, grant: kept, token: tokens.accessToken, expiresInMs: tokens.expiresInMs };
}

/** Takes a grant back (RFC 7009). False: the provider could not be told, or has no such thing. */
export async function revokeGrant(grant: Grant, way: HttpsWay, signal: AbortSignal): Promise<boolean> {
  const { revokeUrl } = oauthProviders[grant.provider];
  if (revokeUrl === undefined) return false;
  const reply = await postForm(revokeUrl, { token: grant.refreshToken }, way, signal);
  // Google says 400 about a token that is worth nothing any more.
  return reply.ok && (reply.status === 200 || (reply.status === 400 && reply.error === "invalid_token"));
}

function loginOf({ clientId, clientSecret }: Pick<OAuthClient, "clientId" | "clientSecret">): Record<string, string> {
  return { client_id: clientId, ...(clientSecret === "" ? {} : { client_secret: clientSecret }) };
}

/** Who signed in by the ID token, against the account's user, where both are known. */
function wrongPerson({ users }: Tokens, { user }: Account): ReturnType<typeof wrongUser> | undefined {
  const [signedIn] = users;
  if (signedIn === undefined || user === "") return undefined;
  return users.some((one) => isSameMailbox(one, user)) ? undefined : wrongUser(signedIn, user);
}

/** Of the names of who signed in the one that the account goes by. */
function userOf({ users }: Tokens, { user }: Account): string {
  return users.find((one) => isSameMailbox(one, user)) ?? users[0] ?? "";
}

function missingScope(
  account: Account,
  provider: OAuthProvider,
  scopes: readonly string[],
): ReturnType<typeof oauthFailures.unticked> | undefined {
  return canSend(account, provider, scopes) ? undefined : oauthFailures.unticked(provider);
}

/** Hashes of one length, so that the time says nothing. */
function isSame(a: string, b: string): boolean {
  const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}

function providerOfUrl(url: string): OAuthProvider {
  const { google, microsoft } = oauthProviders;
  return url.startsWith(google.authorizationUrl) ? google : microsoft;
}

function failed(failure: Pick<Failure, "class" | "text" | "signIn" | "reply">): Granted {
  return { ok: false, failure: { ...failure, stage: "auth" } };
}

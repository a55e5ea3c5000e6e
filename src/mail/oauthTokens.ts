/** The token endpoint (RFC 6749 §3.2): one request over the account's own way, and what its answer means. */
import * as v from "valibot";
import { ownFailures, type Failure } from "./classify";
import { HttpsError, httpsRequest, type HttpsReply, type HttpsWay } from "./https";
import { httpsFailure } from "./httpsFailures";
import { judgeOAuthError, judgeOAuthStatus, oauthFailures, type OAuthStep } from "./oauthFailures";
import type { OAuthProvider } from "./oauthProviders";
import { plainText } from "./problems";
import { secretRemover } from "./secretText";

/** What the endpoint gave. */
export interface Tokens {
  readonly accessToken: string;
  readonly expiresInMs: number;
  readonly refreshToken: string | undefined;
  /** Undefined: those that were asked for (RFC 6749 §5.1). */
  readonly scopes: readonly string[] | undefined;
  /** The addresses of who signed in, by the ID token. */
  readonly users: readonly string[];
}

const token = v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,16384}$/));
const address = v.pipe(v.string(), v.regex(/^[^\s@\p{Cc}]{1,200}@[^\s@\p{Cc}]{1,200}$/u));
const tokenSchema = v.object({
  access_token: token,
  // RFC 6749 has a number; some write it as text.
  expires_in: v.fallback(v.pipe(v.union([v.number(), v.string()]), v.transform(Number), v.minValue(0)), 3600),
  refresh_token: v.optional(token),
  scope: v.fallback(v.optional(v.string()), undefined),
  id_token: v.fallback(v.optional(v.string()), undefined),
});
const errorSchema = v.object({
  error: v.pipe(v.string(), v.maxLength(200)),
  error_description: v.fallback(v.string(), ""),
  error_subtype: v.fallback(v.string(), ""),
});
const claimsSchema = v.object({
  aud: v.union([v.string(), v.array(v.string())]),
  email: v.fallback(v.optional(address), undefined),
  preferred_username: v.fallback(v.optional(address), undefined),
  upn: v.fallback(v.optional(address), undefined),
});

/** Answers have some thousand bytes. */
const longestAnswer = 128 * 1024;
/** A token endpoint answers in a moment, or not at all. */
const patienceMs = 60_000;
const dayMs = 24 * 3600 * 1000;

/** Asks a provider for tokens. Never throws. */
export async function requestTokens(
  provider: OAuthProvider,
  step: OAuthStep,
  form: Readonly<Record<string, string>>,
  way: HttpsWay,
  signal: AbortSignal,
): Promise<{ readonly ok: true; readonly tokens: Tokens } | { readonly ok: false; readonly failure: Failure }> {
  const fail = (failure: Omit<Failure, "stage">): { readonly ok: false; readonly failure: Failure } => ({
    ok: false,
    failure: { ...failure, stage: "auth" },
  });
  const answer = await post(provider.tokenUrl, form, way, signal);
  if (answer instanceof HttpsError) return fail(unreached(provider, answer));
  const json = jsonOf(answer);
  const told = v.safeParse(errorSchema, json);
  const words = told.success ? `${told.output.error_subtype} ${told.output.error_description}`.trim() : "";
  const said = told.success ? wordsWithout(form, `${told.output.error}: ${words}`) : undefined;
  const reply = said === undefined ? {} : { reply: said };
  const byStatus = judgeOAuthStatus(provider, answer.status);
  if (byStatus !== undefined) return fail({ ...byStatus, ...reply, ...retryAfterOf(answer) });
  if (told.success) {
    const verdict = judgeOAuthError(provider, step, told.output.error, words);
    return fail({ ...verdict, ...reply, ...(verdict.class === "throttled" && retryAfterOf(answer)) });
  }
  if (json === undefined) return fail(oauthFailures.intercepted(provider));
  const parsed = v.safeParse(tokenSchema, json);
  if (answer.status !== 200 || !parsed.success) return fail(oauthFailures.notUnderstood(provider));
  const { access_token, expires_in, refresh_token, scope, id_token } = parsed.output;
  const tokens: Tokens = {
    accessToken: access_token,
    expiresInMs: Math.min(expires_in * 1000, dayMs),
    refreshToken: refresh_token,
    scopes: scope?.split(/\s+/).filter((one) => one !== ""),
    users: usersOf(id_token ?? "", form.client_id ?? ""),
  };
  return { ok: true, tokens };
}

/** Posts a form to an endpoint that answers nothing of interest; `error` is that of RFC 6749, empty where there is none. Never throws. */
export async function postForm(
  url: string,
  form: Readonly<Record<string, string>>,
  way: HttpsWay,
  signal: AbortSignal,
): Promise<{ readonly ok: false } | { readonly ok: true; readonly status: number; readonly error: string }> {
  const answer = await post(url, form, way, signal);
  if (answer instanceof HttpsError) return { ok: false };
  const told = v.safeParse(errorSchema, jsonOf(answer));
  return { ok: true, status: answer.status, error: told.success ? told.output.error : "" };
}

async function post(
  url: string,
  form: Readonly<Record<string, string>>,
  way: HttpsWay,
  signal: AbortSignal,
): Promise<HttpsReply | HttpsError> {
  const headers = { "Content-Type": "application/x-www-form-urlencoded", Accept: "application/json" };
  const body = [Buffer.from(new URLSearchParams(form).toString())];
  try {
    return await httpsRequest(impatient(way), { method: "POST", url, headers, body }, signal);
  } catch (error) {
    if (error instanceof HttpsError) return error;
    throw error;
  }
}

const impatientWays = new WeakMap<HttpsWay, HttpsWay>();

/** The same one for the same way: connections of one way share what is parsed once. */
function impatient(way: HttpsWay): HttpsWay {
  const known = impatientWays.get(way);
  if (known !== undefined) return known;
  const { timeouts } = way.account;
  const socket = timeouts.socket === 0 ? patienceMs : Math.min(timeouts.socket, patienceMs);
  const made: HttpsWay = { ...way, account: { ...way.account, timeouts: { ...timeouts, socket } } };
  impatientWays.set(way, made);
  return made;
}

/** No answer: certificates and proxies have causes of their own, all else is the network. */
function unreached(provider: OAuthProvider, error: HttpsError): Omit<Failure, "stage"> {
  const { systemCode, reply } = error;
  if (systemCode === "ABORT_ERR") return ownFailures.stopped;
  const failure = httpsFailure(error, new URL(provider.tokenUrl).hostname);
  const isOwn = failure.class === "account" || systemCode === "EPROXYDOWN";
  const words = plainText(reply);
  return {
    ...(isOwn ? { class: failure.class, text: failure.text } : oauthFailures.unreachable(provider)),
    systemCode,
    ...(words === "" ? {} : { reply: words }),
  };
}

function jsonOf({ body }: HttpsReply): unknown {
  if (body.length > longestAnswer) return undefined;
  try {
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch {
    return undefined;
  }
}

/** The provider's words without what we told it, nor anything else that could be a token. */
function wordsWithout(form: Readonly<Record<string, string>>, words: string): string {
  const secrets = ["code", "code_verifier", "refresh_token", "client_secret"].map((name) => form[name] ?? "");
  const without = secrets.reduce(
    (text, password) => secretRemover({ user: "", proxyUser: "" }, { password })(text),
    words,
  );
  return plainText(without.replace(/[\w.~+/=-]{41,}/g, "•••"));
}

function retryAfterOf({ headers }: HttpsReply): { readonly retryAfterMs?: number } {
  const seconds = /^\d{1,7}$/.exec((headers["retry-after"] ?? "").trim())?.[0];
  return seconds === undefined ? {} : { retryAfterMs: Math.min(Math.max(Number(seconds), 1) * 1000, dayMs) };
}

/**
 * Who an ID token speaks of. It came from the token endpoint itself over TLS, so that stands in for a check of its signature
 * (OpenID Connect Core §3.1.3.7). One for another client says nothing.
 */
function usersOf(idToken: string, clientId: string): readonly string[] {
  const [, payload = ""] = idToken.split(".");
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  } catch {
    return [];
  }
  const claims = v.safeParse(claimsSchema, json);
  if (!claims.success || ![claims.output.aud].flat().includes(clientId)) return [];
  const { email, preferred_username, upn } = claims.output;
  return [email, preferred_username, upn].filter((one) => one !== undefined);
}

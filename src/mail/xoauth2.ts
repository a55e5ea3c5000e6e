/** Signing in with an access token over SMTP: SASL XOAUTH2, as Google and Microsoft document it. */

/** Characters of an access token (RFC 6749 appendix A.12, without the space, which is in none). */
const tokenCharacters = /^[\u0021-\u007e]+$/;

/** Whether a text can be an access token. */
export function isAccessToken(text: string): boolean {
  return tokenCharacters.test(text);
}

/** The initial response of XOAUTH2, in base64. `user` holds no control characters: accounts have none. */
export function xoauth2Response(user: string, token: string): string {
  return Buffer.from(`user=${user}\u0001auth=Bearer ${token}\u0001\u0001`, "utf8").toString("base64");
}

/** A challenge longer than this is not read, characters: the known ones have some hundred. */
const longestChallenge = 4096;

/**
 * What a server says in its challenge to a token that it does not take: base64 of JSON with `status`, `schemes` and `scope`. Not cut to a
 * length yet, such as `status 401, schemes Bearer, scope https://mail.google.com/`; empty when it is no such thing.
 */
export function readChallenge(reply: string): string {
  const encoded = /^334 +([A-Za-z0-9+/]+=*)\s*$/.exec(reply)?.[1];
  if (encoded === undefined || encoded.length > longestChallenge) return "";
  try {
    const value: unknown = JSON.parse(Buffer.from(encoded, "base64").toString("utf8"));
    if (typeof value !== "object" || value === null) return "";
    const words = ["status", "schemes", "scope"].flatMap((name) => {
      const said = (value as Readonly<Record<string, unknown>>)[name];
      return typeof said === "string" || typeof said === "number" ? [`${name} ${String(said)}`] : [];
    });
    return words.join(", ");
  } catch {
    return "";
  }
}

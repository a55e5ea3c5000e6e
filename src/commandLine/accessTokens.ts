/** Access tokens of an account that signs in with OAuth. They come from the environment or from a file of the user's own. */
import * as path from "node:path";
import * as v from "valibot";
import {
  GrantTokens,
  oauthProviderOf,
  plainText,
  refreshToken,
  systemClock,
  type AccessTokens,
  type Account,
  type Grant,
  type Granted,
  type HttpsWay,
} from "../mail/index";
import { readPrivateFile, replacePrivateFile } from "./privateFile";
import { Refusal } from "./usage";

const word = v.pipe(v.string(), v.trim(), v.regex(/^[\x21-\x7e]{1,16384}$/));

/** What gcloud and google-auth write; the same with `client_id` and `refresh_token` alone for Microsoft. Endpoints in it are not used. */
const fileSchema = v.object({
  type: v.optional(v.literal("authorized_user"), "authorized_user"),
  client_id: word,
  client_secret: v.optional(v.union([v.literal(""), word]), ""),
  refresh_token: word,
});

/**
 * The tokens of `BULK_MAIL_TOKEN` or `BULK_MAIL_TOKEN_FILE`; undefined for an account that does not sign in with OAuth. `warn` is told when
 * a new refresh token cannot be kept, and when nobody says whose it is. Throws `Refusal` when there is none, or none that can be used.
 */
export async function accessTokensFromEnvironment(
  way: HttpsWay,
  signal: AbortSignal,
  warn: (text: string) => void,
): Promise<AccessTokens | undefined> {
  const { account } = way;
  if (account.auth !== "oauth2") return undefined;
  const { BULK_MAIL_TOKEN: token = "", BULK_MAIL_TOKEN_FILE: file = "" } = process.env;
  if (token !== "" && file !== "")
    throw new Refusal("BULK_MAIL_TOKEN and BULK_MAIL_TOKEN_FILE are both set. Keep one of them.");
  if (token !== "") return givenToken(token);
  if (file !== "") return tokensOfFile(path.resolve(file), way, signal, warn);
  throw new Refusal(
    "The account signs in with OAuth. Name a file with its refresh token in the environment variable BULK_MAIL_TOKEN_FILE, or give an access token in BULK_MAIL_TOKEN.",
  );
}

/** An access token as it is; there is no other one when it is refused. */
function givenToken(text: string): AccessTokens {
  const parsed = v.safeParse(word, text);
  if (!parsed.success) throw new Refusal("BULK_MAIL_TOKEN holds no access token. Give the token alone, on one line.");
  const { output: token } = parsed;
  return (refused) =>
    Promise.resolve(
      refused === token
        ? {
            ok: false,
            failure: {
              class: "account",
              stage: "auth",
              text: "The server refused the access token in BULK_MAIL_TOKEN: it lasts about an hour. Give a fresh one, then send again: nobody is mailed twice.",
            },
          }
        : { ok: true, token },
    );
}

async function tokensOfFile(
  file: string,
  way: HttpsWay,
  signal: AbortSignal,
  warn: (text: string) => void,
): Promise<AccessTokens> {
  const { client_id, client_secret, refresh_token } = parseTokenFile(file, await readPrivateFile(file), way.account);
  const grant: Grant = {
    provider: providerOf(way.account),
    clientId: client_id,
    clientSecret: client_secret,
    refreshToken: refresh_token,
    // The endpoint says what it was granted for, and to whom.
    scopes: [],
    user: "",
    grantedAt: "",
  };
  const keep = async (rotated: Grant): Promise<void> => {
    try {
      const json = jsonOf(await readPrivateFile(file)) ?? {};
      const renewed = { ...json, refresh_token: rotated.refreshToken };
      await replacePrivateFile(file, `${JSON.stringify(renewed, undefined, 2)}\n`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      warn(
        `The new refresh token could not be written into ${plainText(file)} (${code ?? plainText(message)}). The old one in it may not work next time: then sign in again.`,
      );
    }
  };
  const { account } = way;
  let hasWarned = false;
  const refresh = async (used: Grant): Promise<Granted> => {
    const granted = await refreshToken(used, way, signal);
    // Through SMTP the user goes along with the token, and the server compares the two.
    if (granted.ok && granted.grant.user === "" && account.transport === "gmailApi" && !hasWarned) {
      hasWarned = true;
      warn(
        `Google does not say whose sign-in ${plainText(file)} holds, so the mails leave as whoever that is, not surely as ${plainText(account.user)}. Sign in with the scopes openid and email to have it compared.`,
      );
    }
    return granted;
  };
  return new GrantTokens(grant, refresh, systemClock, keep).get;
}

function parseTokenFile(file: string, text: string, account: Account): v.InferOutput<typeof fileSchema> {
  const name = plainText(file);
  const json = jsonOf(text);
  if (json !== undefined && ["installed", "web"].some((key) => Object.hasOwn(json, key)))
    throw new Refusal(`${name} is an OAuth client, not a sign-in. Name a file that holds a refresh_token too.`);
  const parsed = v.safeParse(fileSchema, json);
  if (!parsed.success)
    throw new Refusal(
      `${name} is no file of a sign-in. It must be JSON with type "authorized_user", client_id, client_secret (Google only) and refresh_token.`,
    );
  if (providerOf(account) === "google" && parsed.output.client_secret === "")
    throw new Refusal(`${name} holds no client_secret, which Google wants. Add the one of your OAuth client.`);
  return parsed.output;
}

function providerOf(account: Account): Grant["provider"] {
  const provider = oauthProviderOf(account);
  if (provider === undefined) throw new Refusal(`Account ${plainText(account.id)} has no provider that signs in.`);
  return provider.id;
}

function jsonOf(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text.replace(/^\ufeff/, ""));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

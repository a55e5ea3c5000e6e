/** The OAuth client that a person made with the provider: Bulk Mail brings none along. */
import * as v from "valibot";
import type { OAuthProviderId } from "./providers";

/** A client of one's own (RFC 6749 §2). */
export interface OAuthClient {
  readonly provider: OAuthProviderId;
  readonly clientId: string;
  /** Empty where there is none. */
  readonly clientSecret: string;
}

/** A client, or our sentence about what was given instead, with the next step. */
export type ParsedClient =
  { readonly ok: true; readonly client: OAuthClient } | { readonly ok: false; readonly text: string };

/** Files of the providers have some hundred characters. */
const longestText = 20_000;

const desktop =
  "In the Google Cloud console create an OAuth client of the type Desktop app, and give the JSON file of that.";
const number =
  "Copy the application (client) ID from the overview of your app registration, such as 12345678-90ab-cdef-1234-567890abcdef.";

/** What people give by mistake, and what they should give. */
const say = {
  empty: { google: `Nothing was given. ${desktop}`, microsoft: `Nothing was given. ${number}` },
  tooLong: {
    google: `This is too long for the file of an OAuth client. ${desktop}`,
    microsoft: `This is too long for a client ID. ${number}`,
  },
  notJson: `This is not the JSON file of an OAuth client. ${desktop}`,
  brokenJson:
    "This JSON is not complete. Download the client's file again in the Google Cloud console, and give the whole of it.",
  web: `This client is of the type Web application, which cannot come back to a program on this machine. ${desktop}`,
  serviceAccount: `This is the key of a service account, which has no mailbox. ${desktop} Delete the key if it is used nowhere.`,
  apiKey: `This is an API key, which signs nobody in. ${desktop}`,
  idOnly: `This is the client's ID alone, and Google wants its secret too. ${desktop}`,
  authorizedUser: `This is a sign-in that another program got, not a client. ${desktop}`,
  noSecret:
    "This file holds no client secret: Google shows it once only. Add a new secret to the client in the Google Cloud console, and download the file again.",
  wrongClientId: `The client ID in this file is none of Google's. ${desktop}`,
  wrongEndpoints:
    "This file names other servers than Google's own for signing in, so it is not used. Download the client's file in the Google Cloud console.",
  secretValue: `This is a client secret, which is not needed here. ${number}`,
  notNumber: `This is no application (client) ID. ${number}`,
  otherFile: {
    google: `This file holds no OAuth client. ${desktop}`,
    microsoft: `This file holds no client_id. ${number}`,
  },
} as const;

const word = v.pipe(v.string(), v.trim(), v.regex(/^[\x21-\x7e]{1,512}$/));
const googleClient = v.object({
  client_id: word,
  client_secret: v.optional(v.string()),
  auth_uri: v.optional(v.string()),
  token_uri: v.optional(v.string()),
});
const isGuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const isGoogleClientId = /^[\w-]{1,200}\.apps\.googleusercontent\.com$/;

/**
 * Reads what a person picked, pasted or dropped: for Google the JSON file of its console (a Desktop app), for Microsoft the application
 * (client) ID, bare or as JSON with `client_id`. No endpoint is ever taken from it.
 */
export function parseOAuthClient(provider: OAuthProviderId, text: string): ParsedClient {
  if (text.length > longestText) return wrong(say.tooLong[provider]);
  const given = text.replace(/^\ufeff/, "").trim();
  if (given === "") return wrong(say.empty[provider]);
  return provider === "google" ? googleClientOf(given) : microsoftClientOf(given);
}

function googleClientOf(text: string): ParsedClient {
  const json = jsonOf(text);
  if (json === undefined) {
    if (/^AIza[\w-]{30,}$/.test(text)) return wrong(say.apiKey);
    if (isGoogleClientId.test(text)) return wrong(say.idOnly);
    return wrong(/^\s*[{[]/.test(text) ? say.brokenJson : say.notJson);
  }
  if (own(json, "type") === "service_account" || own(json, "private_key") !== undefined)
    return wrong(say.serviceAccount);
  if (own(json, "type") === "authorized_user") return wrong(say.authorizedUser);
  if (own(json, "web") !== undefined) return wrong(say.web);
  const parsed = v.safeParse(googleClient, own(json, "installed"));
  if (!parsed.success) return wrong(say.otherFile.google);
  const { client_id: clientId, client_secret: secret = "", auth_uri, token_uri } = parsed.output;
  if (!isGoogleClientId.test(clientId)) return wrong(say.wrongClientId);
  if (![auth_uri, token_uri].every((uri) => uri === undefined || isGoogles(uri))) return wrong(say.wrongEndpoints);
  const clientSecret = v.safeParse(word, secret);
  if (!clientSecret.success) return wrong(say.noSecret);
  return { ok: true, client: { provider: "google", clientId, clientSecret: clientSecret.output } };
}

function microsoftClientOf(text: string): ParsedClient {
  const json = jsonOf(text);
  const id = json === undefined ? text.replace(/^["'{]+|["'}]+$/g, "") : own(json, "client_id");
  if (typeof id !== "string") return wrong(say.otherFile.microsoft);
  const clientId = id.trim().toLowerCase();
  // Such a secret has 40 characters, a tilde among the first.
  if (/^[\w.-]{3,6}~[\w.~-]{30,40}$/.test(clientId)) return wrong(say.secretValue);
  if (!isGuid.test(clientId)) return wrong(say.notNumber);
  return { ok: true, client: { provider: "microsoft", clientId, clientSecret: "" } };
}

/** Google's files name its endpoints. They are not used; a file with others is not Google's. */
function isGoogles(uri: string): boolean {
  if (!URL.canParse(uri)) return false;
  const { protocol, hostname } = new URL(uri);
  return protocol === "https:" && /(?:^|\.)(?:google|googleapis)\.com$/.test(hostname);
}

/** An object of JSON; undefined for anything else. */
function jsonOf(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What an object holds itself, not what its prototype does. */
function own(value: object, key: string): unknown {
  return Object.hasOwn(value, key) ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
}

function wrong(text: string): ParsedClient {
  return { ok: false, text };
}

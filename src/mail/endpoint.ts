/** What a secret is bound to: everything that decides where, how and as whom it is handed over. */
import { createHash } from "node:crypto";
import * as path from "node:path";
import type { Account } from "./account";
import { diskFiles, FileError } from "./files";
import { plainText } from "./problems";

/** An account's endpoint as plain pairs. Pairs that stand at their default are left out, so that later additions change nothing. */
export type Endpoint = Readonly<Record<string, string>>;

/** The people's names of an endpoint's pairs. */
const labels: Readonly<Record<string, string>> = {
  transport: "transport",
  auth: "sign-in",
  host: "server",
  port: "port",
  security: "encryption",
  servername: "server name",
  verify: "certificate check",
  ca: "CA file",
  minVersion: "minimum TLS version",
  proxy: "proxy",
  proxyUser: "user at the proxy",
  user: "user",
};

/** The people's words for values that are words of ours. */
const words: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  transport: { smtp: "SMTP", gmailApi: "Gmail API" },
  auth: { oauth2: "in the browser" },
};

/** What it means that a pair is left out, where that is not nothing. */
const defaults: Readonly<Record<string, string>> = { verify: "on", minVersion: "TLSv1.2" };

/** The endpoint of an account, its proxy resolved, whose CA file has this SHA-256 (hex; undefined without one). */
export function endpointOf(account: Account, caSha256: string | undefined): Endpoint {
  return {
    transport: account.transport,
    auth: account.auth,
    host: account.host,
    port: String(account.port),
    security: account.security,
    user: account.user,
    ...(account.tls.servername === "" ? {} : { servername: account.tls.servername }),
    ...(account.tls.verify ? {} : { verify: "off" }),
    ...(caSha256 === undefined ? {} : { ca: caSha256 }),
    ...(account.tls.minVersion === "TLSv1.2" ? {} : { minVersion: account.tls.minVersion }),
    ...(account.proxy === "" ? {} : { proxy: account.proxy }),
    ...(account.proxyUser === "" ? {} : { proxyUser: account.proxyUser }),
  };
}

/** A name for the endpoint that tells nothing about it: SHA-256, hex. */
export function endpointHash(endpoint: Endpoint): string {
  return hash(endpoint);
}

/** A name for the whole account, its pace, sender and CA content included: SHA-256, hex. */
export function accountHash(account: Account, caSha256: string | undefined): string {
  return hash({ account, ca: caSha256 ?? "" });
}

/** What differs, one phrase a pair, such as `server: smtp.example.com, was mail.example.org`. */
export function endpointChanges(before: Endpoint, after: Endpoint): readonly string[] {
  const keys = [...new Set([...Object.keys(labels), ...Object.keys(before), ...Object.keys(after)])];
  return keys
    .filter((key) => before[key] !== after[key])
    .map((key) => {
      const label = labels[key] ?? plainText(key, 40);
      if (key === "ca") return `${label}: another content`;
      return `${label}: ${shown(key, after[key])}, was ${shown(key, before[key])}`;
    });
}

/**
 * The account's CA file, which lies below `root`: its PEM text and the SHA-256 of its content, hex. Undefined when the account
 * names none. Throws `FileError`.
 */
export async function readAuthorities(
  account: Account,
  root: string | undefined,
): Promise<{ readonly pem: string; readonly sha256: string } | undefined> {
  const { caFile } = account.tls;
  if (caFile === "") return undefined;
  if (root === undefined) throw new FileError("outside", caFile, "there is no folder that it could lie in");
  const content = await (await diskFiles(root)).read(path.resolve(root, caFile));
  return { pem: content.toString("utf8"), sha256: createHash("sha256").update(content).digest("hex") };
}

function shown(key: string, value: string | undefined): string {
  if (value === undefined) return defaults[key] ?? "none";
  return words[key]?.[value] ?? plainText(value, 80);
}

function hash(value: unknown): string {
  return createHash("sha256").update(sortedJson(value)).digest("hex");
}

/** JSON whose keys are sorted, so that the order of a settings file does not matter. */
function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

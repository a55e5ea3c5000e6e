/** Servers and proxies may repeat what they were told: no form of a secret stays in what is kept of their words. */
import type { Account } from "./account";
import type { Credentials } from "./ports";
import { xoauth2Response } from "./xoauth2";

/** A function that takes every form of the account's secrets out of a text, which must not be shortened yet. */
export function secretRemover(
  { user, proxyUser }: Pick<Account, "user" | "proxyUser">,
  { password = "", proxyPassword = "" }: Credentials,
): (text: string) => string {
  const forms = [...formsOf(user, password), ...formsOf(proxyUser, proxyPassword)];
  // The longest first: a short one may stand inside of it.
  forms.sort((a, b) => b.length - a.length);
  return (text) => forms.reduce((rest, form) => rest.replaceAll(form, "•••"), text);
}

/** As it is, in base64 (also with its user: RFC 4616 §2 and RFC 7617 §2), and URL-encoded. */
function formsOf(user: string, secret: string): readonly string[] {
  if (secret === "") return [];
  const bytes = Buffer.from(secret, "utf8");
  const pair = (text: string): string => Buffer.from(text, "utf8").toString("base64");
  // What came out of UTF-8 has no lone surrogates, which an encoder would throw at.
  const encoded = encodeURIComponent(bytes.toString("utf8"));
  return [secret, bytes.toString("base64"), pair(`\0${user}\0${secret}`), pair(`${user}:${secret}`), encoded];
}

/** So many characters of an access token in a row are no coincidence. */
const piece = /[A-Za-z0-9+/_.~%-]{16,}={0,2}/g;

/**
 * A function that takes every form of an access token out of a text, and every longer piece of one: tokens may be longer than what is
 * kept of a reply, and than a line.
 */
export function tokenRemover(user: string, token: string): (text: string) => string {
  const bytes = Buffer.from(token, "utf8");
  const base64 = [xoauth2Response(user, token), ...alignments(bytes)];
  const urlSafe = base64.map((form) => form.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""));
  const encoded = encodeURIComponent(bytes.toString("utf8"));
  const forms = [...new Set([...base64, ...urlSafe, encoded, token])].filter((form) => form !== "");
  forms.sort((a, b) => b.length - a.length);
  return (text) =>
    forms
      .reduce((rest, form) => rest.replaceAll(form, "•••"), text)
      .replaceAll(piece, (run) => (forms.some((form) => form.includes(run.replace(/=+$/, ""))) ? "•••" : run));
}

/** What base64 of any text has in common that holds these bytes: by where in three octets they begin. */
function alignments(bytes: Buffer): readonly string[] {
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    // The first and last characters also depend on what stands around.
    const whole = Math.floor(((before + bytes.length) * 8) / 6);
    return text.slice(Math.ceil((before * 8) / 6), whole);
  });
}

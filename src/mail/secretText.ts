/** Servers and proxies may repeat what they were told: no form of a secret stays in what is kept of their words. */
import type { Account } from "./account";
import type { Credentials } from "./ports";

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

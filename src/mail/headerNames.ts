/** Which headers a campaign may set itself. */

/** Names besides X-… that change nothing about who gets a message, who sent it or how it is read. */
const allowed: ReadonlySet<string> = new Set([
  "auto-submitted",
  "comments",
  "feedback-id",
  "importance",
  "in-reply-to",
  "keywords",
  "list-archive",
  "list-help",
  "list-id",
  "list-owner",
  "list-post",
  "list-subscribe",
  "organization",
  "precedence",
  "priority",
  "references",
  "sensitivity",
]);

/** What a campaign may do with a header: `name` means that it is none (RFC 5322 §2.2, at most 60 characters of letters, digits, dashes). */
export function judgeHeaderName(name: string): "allowed" | "refused" | "name" {
  if (!/^[A-Za-z0-9-]{1,60}$/.test(name) || !/[A-Za-z0-9]/.test(name)) return "name";
  const lower = name.toLowerCase();
  return allowed.has(lower) || /^x-[a-z0-9]/.test(lower) ? "allowed" : "refused";
}

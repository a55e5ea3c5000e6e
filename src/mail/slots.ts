/** Values on their way into a message: each is escaped for the place where it lands, and refused where it cannot stand. */

/** Where a value lands. */
export type Landing =
  /** Between tags; line breaks become <br>. */
  | "text"
  /** In an attribute, or in an element that holds one line of text. */
  | "attribute"
  /** Inside a URL, behind its start. */
  | "urlPart"
  /** In the address of a mailto: URL (RFC 6068 §2). */
  | "mailto"
  /** A whole URL, or its start. */
  | "urlStart"
  /** In a style. */
  | "css";

/** What became of a value: the text to put in, or why it cannot stand there. */
export type Landed =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly code: "url.scheme" | "css.value" };

/** A value for its place in a plain text. */
export function landPlain(value: string, landing: Landing): Landed {
  switch (landing) {
    case "text":
    case "attribute":
      return { ok: true, text: cleanText(value) };
    case "urlPart":
      return { ok: true, text: encodeUrlPart(value) };
    case "mailto":
      return { ok: true, text: encodeUrlPart(value).replace(/%40/g, "@") };
    case "urlStart": {
      const text = wholeUrl(value);
      return text === undefined ? { ok: false, code: "url.scheme" } : { ok: true, text };
    }
    case "css":
      return /^[\p{L}\p{N} #%.,_+-]*$/u.test(value) ? { ok: true, text: value } : { ok: false, code: "css.value" };
  }
}

/** A value for its place in HTML. */
export function landHtml(value: string, landing: Landing): Landed {
  if (landing === "text") return { ok: true, text: escapeHtml(cleanText(value)).replace(/\n/g, "<br>") };
  if (landing === "attribute") return { ok: true, text: escapeHtml(cleanText(value).replace(/[\n\t]+/g, " ")) };
  const landed = landPlain(value, landing);
  return landed.ok ? { ok: true, text: escapeHtml(landed.text) } : landed;
}

/** HTML's own characters as references, so that the text is text in every place. */
export function escapeHtml(text: string): string {
  if (!/[&<>"']/.test(text)) return text;
  return text
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;")
    .replace(/'/g, "&#39;");
}

/** Line breaks as LF; no other control characters, no halves of surrogate pairs. */
export function cleanText(text: string): string {
  if (!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ud800-\udfff]/.test(text)) return text;
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "")
    .replace(/\p{Surrogate}/gu, "\ufffd");
}

/** For a line of a header: no line breaks, no control, bidirectional or invisible characters. */
export function cleanLine(text: string): string {
  if (/^[ -~\u00a1-\u00ac\u00ae-\u02ff]*$/.test(text)) return text;
  return text
    .replace(/[\r\n\t\u2028\u2029\u0085]+/g, " ")
    .replace(/[\p{Cc}\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu, "")
    .replace(/\p{Surrogate}/gu, "\ufffd");
}

/** Percent-encodes all but the unreserved characters (RFC 3986 §2.3). */
export function encodeUrlPart(value: string): string {
  return encodeURIComponent(value.replace(/\p{Surrogate}/gu, "\ufffd")).replace(/[!'()*]/g, percent);
}

/** A URL as a cell holds it, with what no URL may hold percent-encoded. Undefined unless it is http, https, mailto or tel. */
export function wholeUrl(value: string): string | undefined {
  const url = value.trim();
  if (!/^(?:https?:\/\/[^\s/?#]|mailto:[^\s]|tel:[+\d(])/i.test(url)) return undefined;
  return url
    .replace(/\p{Surrogate}/gu, "\ufffd")
    .replace(/[^A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+/gu, encodeURIComponent);
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** Everything that can be wrong with a campaign or its list, by code, and the one sentence (cause, next step) for each. */

/** A place in a text: both zero-based, `character` counts UTF-16 units, as in VS Code. */
export interface Position {
  readonly line: number;
  readonly character: number;
}

/** A stretch of a text, end exclusive. */
export interface Range {
  readonly start: Position;
  readonly end: Position;
}

/** `error` keeps a message (or all) from being sent; `warning` and `information` do not. */
export type Severity = "error" | "warning" | "information";

/** A change of a text that mends a problem; offered, never made by itself. */
export interface Fix {
  readonly title: string;
  readonly file: string;
  readonly range: Range;
  readonly text: string;
}

/** One thing that is wrong, where it stands and what to do about it. */
export interface Problem {
  readonly code: ProblemCode;
  readonly severity: Severity;
  /** One sentence with the cause, one with the next step; plain text. */
  readonly message: string;
  /** Absolute path. */
  readonly file: string;
  readonly range: Range;
  /** Another place that explains this one, such as the first of two equal addresses. */
  readonly related?: readonly { readonly file: string; readonly range: Range; readonly message: string }[];
  readonly fixes?: readonly Fix[];
  /** True when only this row is affected, so that the others can be sent without it (`--skip-invalid`). */
  readonly rowOnly?: boolean;
}

/** What every parser and check returns: what could be made of the input, and all that is wrong with it. */
export interface Checked<T> {
  readonly value: T;
  readonly problems: readonly Problem[];
}

/** The sentences, by code. Arguments come from files and are shortened by `quote`. */
export const sentences = {
  // account.ts
  "account.id": () =>
    "An account's name has 1 to 64 letters, digits, dots, dashes or underscores, and starts with a letter or digit.",
  "account.id.reserved": (a: { id: string }) => `${quote(a.id)} is the built-in account. Take another name.`,
  "account.id.taken": (a: { id: string }) => `There is an account ${quote(a.id)} already. Take another name.`,
  "account.ca.missing": (a: { path: string; detail: string }) =>
    `The CA file ${quote(a.path)} does not exist. Give its path in the workspace.`,
  "account.ca.outside": (a: { path: string; detail: string }) =>
    `The CA file ${quote(a.path)} lies outside the workspace folder. Move it inside: files elsewhere are never read.`,
  "account.ca.unreadable": (a: { path: string; detail: string }) =>
    `The CA file ${quote(a.path)} cannot be read: ${a.detail}.`,
  "account.shape": () => "An account is an object with at least host and user.",
  "account.unknownKey": (a: { key: string; suggestion?: string }) =>
    `${quote(a.key)} is no key of an account.${didYouMean(a.suggestion)}`,
  "account.password": (a: { key: string }) =>
    `${quote(a.key)} does not belong into settings, where others can read it. Delete it here, and enter the password in Bulk Mail: Accounts.`,
  "account.type": (a: { expected: string }) => `This must be ${a.expected}.`,
  "account.provider": (a: { id: string; suggestion?: string }) =>
    `${quote(a.id)} is no known provider.${a.suggestion === undefined ? " Use custom." : didYouMean(a.suggestion)}`,
  "account.host.missing": () => "The server is missing. Enter its host name, such as smtp.example.com.",
  "account.host.invalid": (a: { host: string }) =>
    `${quote(a.host)} is no host name. Enter the name alone, such as smtp.example.com.`,
  "account.host.port": (a: { host: string; port: number }) =>
    `The port ${String(a.port)} does not belong to the host. Put it into its own field.`,
  "account.proxy.userInfo": () =>
    "A proxy's password does not belong into settings. Write the address alone, the user under proxyUser; the password is asked for and kept in Secret Storage.",
  "account.proxy.httpProxy": () =>
    "VS Code's setting http.proxy is no proxy address that mail can go through. Correct it to http://host:port or socks5://host:port, or write the proxy into the account.",
  "account.proxy.httpProxy.https": () =>
    "VS Code's setting http.proxy names a proxy that is reached by https://, which mail cannot go through. Write an http:// or socks5:// proxy into the account.",
  "account.user.missing": () => "The user name is missing. Enter it, or choose to send without signing in.",
  "account.oauth.provider": () =>
    "Signing in with the browser works with Gmail, Outlook.com and Microsoft 365. Choose one of these as provider, or a password.",
  "account.oauth.gmailApi": () => "The Gmail API sends for Gmail accounts only. Choose Gmail as provider, or SMTP.",
  "account.oauth.gmailApiAuth": () =>
    "The Gmail API takes no password. Choose to sign in with Google, or send through SMTP.",
  "account.oauth.host": () =>
    "Who signs in with the browser sends through the provider's own server only, because the access token opens the whole mailbox. Remove the host.",
  "account.oauth.insecure": () => "An access token is never sent without encryption. Use STARTTLS or TLS.",
  "account.oauth.unverified": () =>
    "An access token is never sent to a server whose certificate is not checked. Check the certificate, or name a CA file.",
  "account.oauth.servername": () => "An access token goes to the provider's own server only. Remove the server name.",
  "account.mailbox": (a: { key: string; text: string; detail: string }) =>
    `${quote(a.text)} cannot be used as ${a.key}: ${a.detail}. Write ada@example.com or Ada <ada@example.com>.`,
  "account.from.missing": () =>
    "There is no sender yet. Enter the address that mails come from, or name one in every campaign.",
  "account.pair.starttls": (a: { port: number }) =>
    `Port ${String(a.port)} starts encrypted, so STARTTLS cannot work there. Use TLS with it.`,
  "account.pair.tls": (a: { port: number }) =>
    `Port ${String(a.port)} starts in clear text, so TLS from the start cannot work there. Use STARTTLS with it.`,
  "account.port25": () => "Port 25 is for servers among themselves and is often blocked. Use 587 with STARTTLS.",
  "account.insecure": () =>
    "Without encryption, everybody on the way can read the password and every message. Use STARTTLS or TLS where the server has it.",
  "account.unverified": () =>
    "Without checking the certificate, the password may go to an impostor. Name the server's own CA file instead.",
  // campaign.ts
  "frontMatter.missing": () =>
    "This campaign has no front matter. Start the file with a block between two lines of three dashes that names at least id, subject and recipients.",
  "frontMatter.unclosed": () => "The front matter is not closed. End it with a line of three dashes.",
  "frontMatter.yaml": (a: { detail: string }) => `The front matter is not valid YAML: ${a.detail}. Mend this line.`,
  "frontMatter.braces": (a: { key: string }) =>
    `YAML reads unquoted {{ as a map. Put the value of ${quote(a.key)} in double quotes.`,
  "frontMatter.quotes": (a: { key: string }) =>
    `The value of ${quote(a.key)} has signs that mean something to YAML, such as ": ". Put it in double quotes.`,
  "frontMatter.comment": (a: { comment: string }) =>
    `YAML takes ${quote(a.comment)} for a comment and leaves it out. Put the whole value in double quotes.`,
  "frontMatter.unknownKey": (a: { key: string; suggestion?: string }) =>
    `${quote(a.key)} is not a campaign key.${didYouMean(a.suggestion)}`,
  "frontMatter.type": (a: { key: string; expected: string }) => `${quote(a.key)} must be ${a.expected}.`,
  "frontMatter.required": (a: { key: string }) => `The campaign names no ${a.key}. Add a line ${quote(`${a.key}: …`)}.`,
  "body.ignored": () =>
    "The text below the front matter is not sent, because body names a file. Remove one of the two.",
  "id.missing": () =>
    "The campaign has no id. It needs one, so that nobody is mailed twice: add the id that the quick fix offers.",
  "id.invalid": () => "The id is not a UUID. Restore the id that the campaign had, or take a new one.",
  "id.copied": (a: { other: string }) =>
    `The id is the same as in ${quote(a.other)}. A copy is a campaign of its own: give this one a new id.`,
  "header.notAllowed": (a: { name: string }) =>
    `The header ${quote(a.name)} cannot be set here. Use X- headers, or the campaign's own keys.`,
  "header.name": (a: { name: string }) =>
    `${quote(a.name)} is no header name. Use letters, digits and dashes, at most 60.`,
  "unsubscribe.scheme": () => "unsubscribe must be a mailto: or https: address.",
  "unsubscribe.oneClick": () => "oneClick needs an https: address in unsubscribe.",

  // files.ts
  "file.missing": (a: { role: string; path: string }) =>
    `The ${a.role} ${quote(a.path)} does not exist. Create it, or correct the path: it is relative to the campaign file.`,
  "file.outside": (a: { role: string; path: string; root: string }) =>
    `The ${a.role} ${quote(a.path)} lies outside ${quote(a.root)}. Move it inside: files elsewhere are never read.`,
  "file.unreadable": (a: { role: string; path: string; detail: string }) =>
    `The ${a.role} ${quote(a.path)} cannot be read: ${a.detail}.`,

  // decode.ts
  "encoding.fallback": (a: { encoding: string }) =>
    `This file is not UTF-8 and was read as ${a.encoding}. If accents look wrong, save it as UTF-8 or set bulkMail.csv.encoding.`,
  "encoding.unknown": (a: { encoding: string }) =>
    `${quote(a.encoding)} is no encoding that can be read here. Save the file as UTF-8.`,
  "encoding.malformed": (a: { encoding: string }) =>
    `Here stand bytes that are no text in ${a.encoding}. Save the file as UTF-8, or name its encoding in bulkMail.csv.encoding.`,

  // recipients.ts
  "list.empty": () => "The recipients file has no rows. Add a header line and at least one row.",
  "list.nobody": () => "No row is left to mail after where and suppress. Check both.",
  "list.noAddressColumn": (a: { columns: string }) =>
    `No column holds e-mail addresses. The columns are ${a.columns}: name the right one in the campaign, such as to: "{{ email }}".`,
  "list.duplicateHeader": (a: { name: string; renamed: string }) =>
    `The column ${quote(a.name)} stands twice. The second is called ${quote(a.renamed)} here: rename one of them.`,
  "list.emptyHeader": (a: { renamed: string }) =>
    `This column has no name and is called ${quote(a.renamed)} here. Give it one if the campaign uses it.`,
  "list.unclosedQuote": () =>
    "A quote opens here and never closes, so the rest of the file would be one cell. Close or remove it.",
  "list.quote": (a: { detail: string }) =>
    `This row's quotes do not match: ${a.detail}. Double a quote inside a quoted cell.`,
  "list.shortRow": (a: { expected: number; found: number }) =>
    `This row has ${String(a.found)} cells, the header has ${String(a.expected)}. The missing cells count as empty.`,
  "list.longRow": (a: { expected: number; found: number }) =>
    `This row has ${String(a.found)} cells, the header only ${String(a.expected)}. Quote cells that contain the separator.`,
  "list.noHeader": (a: { text: string }) =>
    `${quote(a.text)} stands in the first line, which must name the columns. Put a header line above it, such as email,name.`,
  "list.hugeRow": (a: { limit: string }) =>
    `This row is larger than ${a.limit}, so this is no list of recipients. Correct the file.`,
  "list.json": () =>
    'This is no JSON list. Write an array of objects, one a recipient, such as [{ "email": "ada@example.com" }].',
  "list.jsonLine": () => "This line is no JSON object. Write one object a line, one a recipient.",
  "list.jsonRow": () => "This is no object, so it is no recipient. Write one object a recipient.",
  "list.jsonNested": (a: { name: string }) =>
    `${quote(a.name)} holds a list or an object here, which a letter shows as JSON. Give it a text or a number.`,
  "list.workbook": (a: { detail: string }) =>
    `This workbook cannot be read: ${a.detail}. Save it as .xlsx without a password, or as CSV (UTF-8).`,
  "list.nul": () => "This file contains NUL bytes, so it is no CSV text. Export it again as CSV (UTF-8).",
  "suppress.noAddresses": (a: { columns: string }) =>
    `No column of the suppression file holds e-mail addresses. The columns are ${a.columns}: write one address a line.`,
  "address.empty": () => "This row has no address. Fill the cell, or leave the row out with where.",
  "address.invalid": (a: { text: string; detail: string }) =>
    `${quote(a.text)} is not an address that can be mailed: ${a.detail}. Correct the cell.`,
  "address.several": (a: { text: string }) =>
    `${quote(a.text)} holds more than one address. Give each its own row, or use cc.`,
  "address.duplicate": (a: { address: string; line: number }) =>
    `${quote(a.address)} stands in line ${String(a.line)} already, with different data. Add key: with a column that tells the two messages apart, or remove a row.`,
  "address.repeated": (a: { address: string; line: number }) =>
    `${quote(a.address)} stands in line ${String(a.line)} already with the same data. It is mailed once.`,
  "key.unknown": (a: { name: string; suggestion?: string }) =>
    `key names ${quote(a.name)}, which is no column.${didYouMean(a.suggestion)}`,
  "key.empty": (a: { name: string }) => `The key column ${quote(a.name)} is empty in this row. Fill the cell.`,

  // template.ts
  "liquid.syntax": (a: { detail: string }) => `The template is not valid Liquid: ${a.detail}.`,
  "liquid.unknown": (a: { name: string; suggestion?: string }) =>
    `${quote(a.name)} is no column of the recipients file.${didYouMean(a.suggestion)}`,
  "liquid.unknownFilter": (a: { name: string; suggestion?: string }) =>
    `${quote(a.name)} is no filter.${didYouMean(a.suggestion)}`,
  "liquid.unsupportedTag": (a: { name: string }) =>
    `The tag ${quote(a.name)} is not available in a campaign. Use if, unless, case, for, assign or comment.`,
  "liquid.emptyCell": (a: { name: string; line: number; expression: string }) =>
    `${quote(a.name)} is empty in line ${String(a.line)}, but the campaign uses it. Fill the cell, or write {{ ${a.expression} | default: "…" }}.`,
  "liquid.notNumber": (a: { name: string; text: string }) =>
    `${quote(a.name)} is used as a number, but ${quote(a.text)} is none. Correct the cell: digits, with a point before decimals.`,
  "liquid.yesNo": (a: { name: string; text: string; expression: string }) =>
    `${quote(a.text)} in ${quote(a.name)} counts as true in a bare condition. Write a comparison, such as ${a.expression} == true.`,
  "html.script": () => "Mail programs never run scripts. Remove the script element.",
  "html.placeholderPosition": (a: { name: string }) =>
    `${quote(a.name)} stands where HTML takes no text. Put it in a text, an attribute's value or a link.`,
  "url.scheme": (a: { text: string }) =>
    `${quote(a.text)} cannot be a link: only http, https, mailto and tel can. Correct the cell.`,
  "css.value": (a: { text: string }) =>
    `${quote(a.text)} cannot stand in a style: only letters, digits and # % . , - can. Correct the cell.`,
  "render.failed": (a: { detail: string }) => `The message cannot be made: ${a.detail}.`,

  // message.ts
  "replyTo.invalid": (a: { text: string }) =>
    `${quote(a.text)} is not an address for replies. Write Name <name@example.com>, in the campaign or in the account.`,
  "from.missing": () => "No sender is known. Set from in the campaign or in the account.",
  "from.invalid": (a: { text: string }) => `${quote(a.text)} is not a sender address. Write Name <name@example.com>.`,
  "from.replaced": (a: { address: string; user: string }) =>
    `Gmail sends as ${quote(a.user)} instead, unless ${quote(a.address)} is among the account's own addresses there. Look in Gmail's settings under Accounts, Send mail as.`,
  "subject.empty": () => "The subject is empty. Fill it.",
  "subject.long": (a: { length: number }) =>
    `The subject has ${String(a.length)} characters; most mail programs show fewer than 80. Say the main thing first.`,
  "body.remoteImage": () =>
    "Mail programs show this picture only after asking, because it comes from the web. A file beside the campaign goes along with the letter.",
  "body.noScheme": (a: { target: string }) =>
    `This link leads nowhere in a mail: ${quote(a.target)} needs https:// before it.`,
  "body.noText": () =>
    "The letter has no text beside its pictures: programs without pictures, and many filters, see nothing. Add a sentence.",
  "unsubscribe.missing": (a: { count: number }) =>
    `${a.count.toLocaleString("en")} people get this and have no way to leave the list. Add unsubscribe with a mailto: or https: address.`,
  "address.role": (a: { address: string }) =>
    `${quote(a.address)} is a role's mailbox and no person's. Leave it out unless it asked for this letter.`,
  "attachment.missing": (a: { path: string }) =>
    `The attachment ${quote(a.path)} does not exist. Create it, or correct the path: it is relative to the campaign file.`,
  "attachment.outside": (a: { path: string; root: string }) =>
    `The attachment ${quote(a.path)} lies outside ${quote(a.root)}. Move it inside: files elsewhere are never attached.`,
  "attachment.unreadable": (a: { path: string; detail: string }) =>
    `The attachment ${quote(a.path)} cannot be read: ${a.detail}.`,
  "message.tooLarge": (a: { size: string; limit: string }) =>
    `The files have ${a.size}, and the account's provider leaves room for ${a.limit}. Use smaller files, or link to them.`,

  // account.ts
  "account.unknown": (a: { id: string }) =>
    `There is no account ${quote(a.id)}. Add it in Bulk Mail: Accounts, or correct the name.`,
  "account.field": (a: { id: string; field: string; detail: string }) =>
    `Account ${quote(a.id)}: ${a.field}: ${a.detail}. Correct it in Bulk Mail: Accounts.`,
} as const satisfies Record<string, (args: never) => string>;

/** Names a kind of problem; stable, so that tests and fixes can rely on it. */
export type ProblemCode = keyof typeof sentences;

type Arguments<C extends ProblemCode> = Parameters<(typeof sentences)[C]> extends [infer A] ? [A] : [];

/** The sentence of `code`. */
export function sentence<C extends ProblemCode>(code: C, ...args: Arguments<C>): string {
  return (sentences[code] as (...values: unknown[]) => string)(...args);
}

/** What the sentence of a code is about; an empty object where it takes nothing. */
export type ProblemDetails<C extends ProblemCode> =
  Parameters<(typeof sentences)[C]> extends [infer A] ? A : Record<string, never>;

/** A problem with the sentence of its code; an error unless `more` says otherwise. */
export function problemAt<C extends ProblemCode>(
  code: C,
  details: ProblemDetails<C>,
  place: { readonly file: string; readonly range: Range },
  more: Partial<Pick<Problem, "severity" | "related" | "fixes" | "rowOnly">> = {},
): Problem {
  const message = (sentences[code] as (details: unknown) => string)(details);
  return { code, severity: "error", message, file: place.file, range: place.range, ...more };
}

/** The start of a file: for problems that have no better place. */
export const fileStart: Range = { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } };

/** `text` in quotes, on one line, without control or bidirectional characters, at most 80 characters. */
export function quote(text: string): string {
  return `“${plainText(text, 80)}”`;
}

/** Text from a server, cell or file made safe to show: no control, ANSI or bidi characters, on one line, at most `limit` characters. */
export function plainText(text: string, limit = 300): string {
  const clean = text
    // ANSI sequences whole, so that their letters do not stay behind.
    .replace(/\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/gu, "")
    .replace(/[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu, "")
    .replace(/[\p{Cc}\u2028\u2029]+/gu, " ")
    .trim();
  const characters = Array.from(clean);
  return characters.length > limit ? `${characters.slice(0, limit - 1).join("")}…` : clean;
}

/** The candidate nearest to `name`, when one is near enough to be what was meant. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function didYouMean(suggestion: string | undefined): string {
  return suggestion === undefined ? " Correct the name." : ` Did you mean ${quote(suggestion)}?`;
}

/** Edits between two texts, two letters swapped counting as one; given up (returning `limit`) once it cannot be below `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwap ? (beforePrevious[j - 2] ?? 0) + 1 : limit;
      current.push(Math.min(substitution, swap, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? limit;
}

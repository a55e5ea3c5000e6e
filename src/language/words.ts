/** What the keys of the front matter, the filters and the tags mean: one sentence each, for completion and hover. */

/** Keys of a campaign's front matter. */
export const keyWords: Readonly<Record<string, string>> = {
  id: "Who this campaign is, for the record of what was sent. Keep it when you rename the file; a copy needs a new one.",
  subject: "The subject line. Placeholders work.",
  from: "Who sends: Name <address>. Without it the account's sender counts.",
  recipients: "The list, a file relative to this one.",
  to: "Whom a row's mail goes to, such as {{ name }} <{{ email }}>. Without it, the column that holds addresses.",
  where: 'A condition without braces: only rows that meet it are mailed, such as plan == "pro".',
  key: "A column: the same address may be mailed once for each of its values, such as an invoice number.",
  replyTo: "Where answers go. Without it, what the account says.",
  account: "The account that sends, or sandbox. Without it, the default account.",
  unsubscribe: "A mailto: or https: address for the List-Unsubscribe header.",
  suppress: "A CSV of addresses that are never mailed, whatever the list says.",
  body: "Another file that holds the letter.",
  cc: "Who gets a copy that everybody sees: one address or a list.",
  bcc: "Who gets a hidden copy: one address or a list.",
  attachments: "Files that go with every mail; with placeholders, a row's own: invoices/{{ invoice }}.pdf.",
  headers: "Headers of your own, such as X-Campaign: spring.",
  oneClick: "true: mail programs offer one-click unsubscribing (RFC 8058). It needs an https: address in unsubscribe.",
};

/** Filters that letters need. LiquidJS knows more. */
export const filterWords: Readonly<Record<string, string>> = {
  default: 'Takes the place of an empty cell: {{ name | default: "friend" }}.',
  capitalize: "Makes the first letter big and the others small.",
  upcase: "Makes every letter big.",
  downcase: "Makes every letter small.",
  strip: "Takes away blanks at both ends.",
  date: 'Writes a date: {{ due | date: "%-d %B %Y" }}. {{ "now" | date: "%Y" }} is today.',
  round: "Rounds a number: {{ price | round: 2 }}.",
  ceil: "Rounds a number up.",
  floor: "Rounds a number down.",
  abs: "The number without its sign.",
  plus: "Adds: {{ seats | plus: 1 }}.",
  minus: "Subtracts: {{ total | minus: paid }}.",
  times: "Multiplies: {{ price | times: seats }}.",
  divided_by: "Divides: {{ total | divided_by: seats }}.",
  modulo: "What is left after dividing.",
  append: 'Adds a text behind: {{ code | append: "-2026" }}.',
  prepend: "Puts a text before.",
  replace: 'Replaces a text everywhere: {{ code | replace: "-", " " }}.',
  remove: "Takes a text away everywhere.",
  slice: "A part of a text: {{ code | slice: 0, 3 }}.",
  truncate: "Shortens to so many characters: {{ note | truncate: 80 }}.",
  truncatewords: "Shortens to so many words.",
  split: 'Makes a list of a text, for a loop: {% assign all = items | split: ";" %}.',
  join: "Makes a text of a list.",
  first: "The first of a list.",
  last: "The last of a list.",
  size: "How many characters, or entries of a list.",
  url_encode: "Nothing to do: values in links are encoded by themselves.",
};

/** Tags, with what to insert for each. */
export const tagWords: Readonly<Record<string, { readonly means: string; readonly snippet: string }>> = {
  if: { means: "Only for rows that meet a condition.", snippet: "if ${1:condition} %}$0{% endif" },
  unless: { means: "Only for rows that do not meet a condition.", snippet: "unless ${1:condition} %}$0{% endunless" },
  case: {
    means: "One of several texts, by a value.",
    snippet: 'case ${1:column} %}{% when "${2:value}" %}$0{% else %}{% endcase',
  },
  for: { means: "Once for each entry of a list.", snippet: "for ${1:item} in ${2:list} %}$0{% endfor" },
  assign: { means: "Gives a value a name.", snippet: "assign ${1:name} = ${2:value}" },
  elsif: { means: "Another condition, when those before did not hold.", snippet: "elsif ${1:condition}" },
  else: { means: "When no condition before held.", snippet: "else" },
  when: { means: "A value of the case around.", snippet: 'when "${1:value}"' },
  comment: { means: "A note that is never mailed.", snippet: "comment %}$0{% endcomment" },
  raw: { means: "A text in which braces mean nothing.", snippet: "raw %}$0{% endraw" },
};

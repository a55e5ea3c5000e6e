/** What a new campaign may start as: letters that stand as they are, for the columns that a list has. */
import type { ListColumn, ListReply } from "../workerProtocol";

/** What a starter needs to know of a column. */
export type NamedColumn = Pick<ListColumn, "name" | "alias" | "empty">;

/** A list as a starter sees it. */
export type StarterList = Pick<ListReply, "addressColumn"> & { readonly columns: readonly NamedColumn[] };

/** A kind of letter. */
export interface Starter {
  readonly id: "plain" | "announcement" | "invoice" | "invitation";
  readonly label: string;
  readonly description: string;
  /** How the campaign's file ends. */
  readonly ending: ".mail.md" | ".mail.html";
}

/** Every starter, the simplest first. */
export const starters: readonly Starter[] = [
  { id: "plain", label: "Plain letter", description: "a greeting and your text, in Markdown", ending: ".mail.md" },
  {
    id: "announcement",
    label: "Announcement",
    description: "news with a heading and a button, in HTML that fits phones",
    ending: ".mail.html",
  },
  {
    id: "invoice",
    label: "Invoice with attachment",
    description: "a file of their own for everybody, in Markdown",
    ending: ".mail.md",
  },
  {
    id: "invitation",
    label: "Event invitation",
    description: "when, where and a link to answer, in HTML that fits phones",
    ending: ".mail.html",
  },
];

/** A campaign on the list called `list`, in the same folder. `id` is a UUID. */
export function campaignText(starter: Starter["id"], id: string, list: string, columns: StarterList): string {
  const known = new Columns(columns);
  const { matter, body } = letters[starter](known);
  const { address, name } = known;
  const to = name === undefined ? [] : [`${placeholder(name)} <${address === undefined ? "" : placeholder(address)}>`];
  const recipient = address === undefined ? undefined : (to[0] ?? placeholder(address));
  return [
    "---",
    `id: ${id}`,
    ...matter.slice(0, 1),
    `recipients: ${quoted(list)}`,
    ...(recipient === undefined ? [] : [`to: ${quoted(recipient)}`]),
    ...matter.slice(1),
    "---",
    ...body,
    "",
  ].join("\n");
}

/** The columns of a list by what they are for. */
class Columns {
  readonly address: NamedColumn | undefined;
  /** Those that a letter can name, without the address. */
  readonly others: readonly NamedColumn[];
  readonly name: NamedColumn | undefined;

  constructor({ columns, addressColumn }: StarterList) {
    this.address = addressColumn === undefined ? undefined : columns[addressColumn];
    this.others = columns.filter(
      (column) => column !== this.address && column.name.trim() !== "" && canBeNamed(column),
    );
    this.name = this.others.find(
      (column) => /^(?:full[_ ]?|first[_ ]?)?name$/i.test(column.name) && column.empty === 0,
    );
  }

  get greeting(): string {
    return this.name === undefined ? "Hello," : `Hello ${placeholder(this.name)},`;
  }

  /** The first column whose name looks like one of these, filled in every row. */
  like(pattern: RegExp): NamedColumn | undefined {
    return this.others.find((column) => pattern.test(column.name) && column.empty === 0);
  }
}

/** Lines of the front matter, the subject first, and of the body. */
interface Letter {
  readonly matter: readonly string[];
  readonly body: readonly string[];
}

const letters: Readonly<Record<Starter["id"], (columns: Columns) => Letter>> = {
  plain: ({ name, others }) => {
    const lines = others.map((column) => `- ${markdown(column.name)}: ${placeholder(column)}`);
    return {
      matter: [`subject: ${quoted(name === undefined ? "Hello" : `Hello ${placeholder(name)}`)}`],
      body: [
        name === undefined ? "Hello," : `Hello **${placeholder(name)}**,`,
        "",
        "this is your first campaign. Write Markdown here, and put a column of the list in double braces where its value belongs.",
        ...(lines.length === 0 ? [] : ["", ...lines]),
      ],
    };
  },
  announcement: ({ greeting }) => ({
    matter: [`subject: "There is something new"`],
    body: page("There is something new", [
      `<p>${greeting}</p>`,
      "<p>Say in two sentences what is new and what people gain from it.</p>",
      ...button("https://example.com/news", "Read more"),
      "<p>Say whom to ask, and how to reach you.</p>",
    ]),
  }),
  invoice: (columns) => {
    const number = columns.like(/invoice|rechnung|facture|number|nummer|\bno\b/i) ?? columns.name;
    const amount = columns.like(/amount|total|sum|betrag|price/i);
    const due = columns.like(/due|date|datum|deadline/i);
    const shown = number === undefined ? "" : ` ${placeholder(number)}`;
    const file = number === undefined ? "invoices/invoice.pdf" : `invoices/${placeholder(number)}.pdf`;
    return {
      matter: [`subject: ${quoted(`Your invoice${shown}`)}`, `attachments:`, `  - ${quoted(file)}`],
      body: [
        columns.greeting,
        "",
        `your invoice${shown} is attached.`,
        ...(amount === undefined ? [] : ["", `Amount: **${placeholder(amount)}**`]),
        ...(due === undefined ? [] : ["", `Please pay by **${placeholder(due)}**.`]),
        "",
        "Thank you, and write back if anything is unclear.",
      ],
    };
  },
  invitation: ({ greeting }) => ({
    matter: [`subject: "You are invited"`],
    body: page("You are invited", [
      `<p>${greeting}</p>`,
      "<p>Say in one sentence what happens and why it is worth coming.</p>",
      `<table class="facts" role="presentation">`,
      "  <tr><td>When</td><td>Friday, 12 June, 18:00</td></tr>",
      "  <tr><td>Where</td><td>1 Example Street, Example Town</td></tr>",
      "</table>",
      ...button("https://example.com/answer", "I am coming"),
      "<p>Please answer a week before.</p>",
    ]),
  }),
};

/** A page in one column that mail programs show alike: a table around it, styles that are written into the tags when it is sent. */
function page(heading: string, lines: readonly string[]): readonly string[] {
  return [
    "<!doctype html>",
    `<html lang="en">`,
    "<head>",
    `  <meta name="viewport" content="width=device-width, initial-scale=1">`,
    "  <style>",
    "    body { margin: 0; padding: 0; background: #f4f4f4; }",
    "    .page { width: 100%; max-width: 600px; margin: 0 auto; background: #ffffff; }",
    "    .text { padding: 24px; font: 16px/1.5 Arial, Helvetica, sans-serif; color: #222222; }",
    "    h1 { margin: 0 0 16px; font-size: 24px; line-height: 1.3; }",
    "    .button a { display: inline-block; padding: 12px 20px; background: #0b5cad; color: #ffffff; text-decoration: none; border-radius: 4px; }",
    "    .facts td { padding: 4px 16px 4px 0; vertical-align: top; }",
    "  </style>",
    "</head>",
    "<body>",
    `  <table class="page" role="presentation" cellpadding="0" cellspacing="0" align="center">`,
    "    <tr>",
    `      <td class="text">`,
    `        <h1>${heading}</h1>`,
    ...lines.map((line) => `        ${line}`),
    "      </td>",
    "    </tr>",
    "  </table>",
    "</body>",
    "</html>",
  ];
}

function button(url: string, text: string): readonly string[] {
  return [`<p class="button"><a href="${url}">${text}</a></p>`];
}

function markdown(text: string): string {
  return text.replace(/([\\*_`[\]<>{}])/g, "\\$1");
}

/** A Liquid text has no escapes: a name with both kinds of quotes cannot be written. */
function canBeNamed({ name, alias }: NamedColumn): boolean {
  return alias !== undefined || !(name.includes('"') && name.includes("'"));
}

/** The placeholder of a column; one that some rows leave empty says what stands there instead. */
function placeholder({ name, alias, empty }: NamedColumn): string {
  const plain = /^[A-Za-z_][A-Za-z0-9_]*$/;
  const variable = plain.test(name) ? name : (alias ?? (name.includes('"') ? `['${name}']` : `["${name}"]`));
  return empty > 0 ? `{{ ${variable} | default: "–" }}` : `{{ ${variable} }}`;
}

/** A YAML double-quoted text (YAML 1.2 §7.3.1); JSON's escapes are among YAML's. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

/** What the command line offers, and how it refuses. */

/** Exit codes. */
export const exit = {
  ok: 0,
  /** Some failed or unknown, or problems in the campaign. */
  problems: 1,
  /** Wrong usage, or an approval is missing. */
  usage: 2,
  /** An account error stopped the run. */
  account: 3,
  /** Paused: limit reached, quota, lock held elsewhere, handed over to another machine. */
  paused: 4,
  cancelled: 130,
} as const;

/** Ends the program with a sentence on stderr and an exit code. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly code: number = exit.usage,
  ) {
    super(message);
    this.name = "Refusal";
  }
}

/** The options of all commands, as `parseArgs` takes them. */
export const options = {
  account: { type: "string" },
  again: { type: "boolean" },
  approve: { type: "boolean" },
  as: { type: "string" },
  at: { type: "string" },
  continue: { type: "boolean" },
  "dry-run": { type: "string" },
  failed: { type: "boolean" },
  format: { type: "string" },
  "hand-over": { type: "boolean" },
  help: { type: "boolean", short: "h" },
  limit: { type: "string" },
  out: { type: "string" },
  quiet: { type: "boolean" },
  root: { type: "string" },
  row: { type: "string" },
  rows: { type: "string" },
  settings: { type: "string" },
  "skip-invalid": { type: "boolean" },
  "state-dir": { type: "string" },
  "take-over": { type: "boolean" },
  version: { type: "boolean" },
  yes: { type: "boolean", short: "y" },
} as const;

/** What `parseArgs` makes of them. */
export type Flags = {
  readonly [K in keyof typeof options]?: (typeof options)[K]["type"] extends "boolean" ? boolean : string;
};

/** The help text. */
export const usage = `bulk-mail: personalised mail to a list, from the command line

  bulk-mail check   FILE                      problems as file:line:col: severity: text
  bulk-mail preview FILE [--row N] [--format eml|html|text]
  bulk-mail send    FILE [--account ID] [--yes] [--skip-invalid] [--again] [--continue]
                         [--limit N] [--at TIME] [--dry-run DIR] [--quiet] [--approve] [--take-over]
  bulk-mail report  FILE [--account sandbox] [--format table|csv|json]
  bulk-mail report  FILE --rows failed|unknown|pending[,…]   these rows of the list, to be mended and sent again
  bulk-mail resolve FILE                      who may have got the message, and where to look
  bulk-mail resolve FILE --as sent|retry [ADDRESS…] [--failed]
  bulk-mail doctor  --account ID [--format text|json] [--quiet] [--approve]
  bulk-mail journal export FILE --out ARCHIVE [--hand-over]
  bulk-mail journal import ARCHIVE [FILE]
  bulk-mail journal delete FILE [--yes]

send --at waits for HH:MM (today or tomorrow) or a moment such as 2027-03-01T09:30; the process must stay alive.
resolve decides about everybody unknown, with --failed about everybody who failed, or about the addresses
that are named; after --as retry, send mails them. An unfinished run is exported with --hand-over: from then on
only the machine that imports it goes on with it.
All take --settings FILE, --state-dir DIR and --root DIR. The password comes from BULK_MAIL_PASSWORD,
that of a proxy from BULK_MAIL_PROXY_PASSWORD. An account that signs in with OAuth takes an access token from
BULK_MAIL_TOKEN, or gets its own with the file that BULK_MAIL_TOKEN_FILE names: JSON with client_id,
client_secret (Google only) and refresh_token, as gcloud writes it, readable by nobody else. Whose token
BULK_MAIL_TOKEN holds is not looked at, nor whose sign-in a file holds that was made without the scopes openid
and email: the Gmail API then sends as whoever that is.
Exit codes: 0 all accepted, 1 some failed, unknown or problems, 2 usage or approval, 3 stopped by an
account error, 4 paused, 130 cancelled.
`;

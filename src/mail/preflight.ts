/** Everything that can be known before sending: opens what a campaign names, compiles it, and checks every row. */
import { mailingSize } from "./advice";
import type { Mailbox } from "./address";
import { parseMailbox } from "./address";
import type { Campaign } from "./campaign";
import type { Stamp } from "./composer";
import type { Files } from "./files";
import type { Message } from "./message";
import { Opening } from "./opening";
import type { Fix, Problem, ProblemCode } from "./problems";
import { fileStart, problemAt } from "./problems";
import type { CsvOptions, RecipientList, Row } from "./recipients";
import type { Judgement } from "./rowJudge";
import type { Mention } from "./template";

export type { Stamp } from "./composer";
export { RowError } from "./composer";
export type { Judgement } from "./rowJudge";
export { suppression } from "./suppression";

/** What the account adds to a campaign. */
export interface SenderDefaults {
  /** `Name <address>`; used when the campaign has no `from`. */
  readonly from: string | undefined;
  readonly replyTo: string | undefined;
  /** The address that the account's provider puts in place of any sender that it does not know as the account's; undefined where it does not. */
  readonly replacedBy?: string | undefined;
  /** Octets of a whole message that the account's provider takes; undefined where none is published. */
  readonly maxSize?: number | undefined;
}

/** What to open and how. */
export interface PrepareRequest {
  /** Absolute path of the campaign. */
  readonly file: string;
  readonly files: Files;
  readonly csv: CsvOptions;
  readonly sender: SenderDefaults;
  /** Other campaigns with their ids, to tell a copy: id → absolute path. */
  readonly otherCampaigns?: ReadonlyMap<string, string>;
}

/** One row of the list and what becomes of it. */
export type Entry =
  /** Will be mailed. `identity` is the address key, with the row's `key` behind a tab when the campaign names one. */
  | {
      readonly kind: "mail";
      readonly row: Row;
      readonly to: Mailbox;
      readonly identity: string;
      readonly key: string | undefined;
    }
  /** Cannot be mailed: stands in the report as failed. */
  | {
      readonly kind: "invalid";
      readonly row: Row;
      readonly address: string;
      readonly identity: string;
      readonly problems: readonly Problem[];
    }
  /** Is left out on purpose: an identical repetition, or suppressed. */
  | {
      readonly kind: "skipped";
      readonly row: Row;
      readonly address: string;
      readonly identity: string;
      readonly reason: "repeated" | "suppressed";
    };

/** How the rows fall; `excluded` are those that `where` leaves out. */
export interface Counts {
  readonly rows: number;
  readonly mail: number;
  readonly invalid: number;
  readonly skipped: number;
  readonly excluded: number;
}

/** A campaign with everything it names opened and compiled. */
export interface Prepared {
  readonly campaign: Campaign;
  readonly list: RecipientList;
  /** Every file that was opened: role and absolute path. The plan copies these. */
  readonly opened: readonly {
    readonly role: "campaign" | "body" | "recipients" | "suppress" | "image";
    readonly file: string;
    /** As `stampOf` gave it before the file was read. */
    readonly stamp: string;
  }[];
  /**
   * The rows that `where` keeps, in order, each with its fate. Reads the list and the suppression file again. Throws
   * `FileError`, and the signal's reason when it is aborted.
   */
  entries(signal?: AbortSignal): AsyncIterable<Entry>;
  /** All rows in batches, those that `where` leaves out too, each with all that was found. Throws like `entries`. */
  judgements(signal?: AbortSignal): AsyncIterable<readonly Judgement[]>;
  /** Where it names columns, as far as its texts compile. */
  readonly mentions: readonly Mention[];
  /** Absolute path → size in bytes of the attachments that all rows share. */
  readonly attachments: ReadonlyMap<string, number>;
  /** Whether an address, or an entry's identity, must not be mailed, from the file as it is now. Throws `FileError`. */
  isSuppressed(identityOrAddress: string): Promise<boolean>;
  /**
   * The exact message for an entry. Throws `RowError` when this row cannot be made into one, and `FileError` when a file is
   * there but cannot be read.
   */
  compose(entry: Extract<Entry, { kind: "mail" }>, stamp: Stamp): Promise<Message>;
}

/** What the whole check found. */
export interface CheckResult {
  /** Problems in order of file and place; at most `problemLimit` a code, with a count of the rest in `more`. */
  readonly problems: readonly Problem[];
  readonly counts: Counts;
  /** The first addresses that would be mailed, at most three. */
  readonly first: readonly string[];
  /** How many problems of a code are not among `problems`. */
  readonly more: ReadonlyMap<ProblemCode, number>;
  /** Absolute path → size in bytes of every attachment of any row. */
  readonly attachments: ReadonlyMap<string, number>;
}

/** Problems of one code that a check keeps; the rest is counted. */
export const problemLimit = 50;

/**
 * Opens a campaign and compiles it. `value` is undefined when there is no list or nobody knows where the addresses stand. With
 * any error that is not `rowOnly`, here or from `checkRows`, nothing may be sent: `compose` then throws `RowError` for all rows.
 */
export async function prepareCampaign(
  request: PrepareRequest,
): Promise<{ readonly value: Prepared | undefined; readonly problems: readonly Problem[] }> {
  const opening = new Opening(request);
  const value = await opening.open();
  return { value, problems: opening.problems };
}

/**
 * Checks every row of a prepared campaign: addresses, doubles, cells, links, attachments. Throws `FileError`, and the signal's
 * reason when it is aborted.
 */
export async function checkRows(prepared: Prepared, signal?: AbortSignal): Promise<CheckResult> {
  const kept: Problem[] = [];
  const counted = new Map<ProblemCode, number>();
  const counts = { rows: 0, mail: 0, invalid: 0, skipped: 0, excluded: 0 };
  const first: string[] = [];
  const attachments = new Map(prepared.attachments);
  for await (const batch of prepared.judgements(signal)) {
    for (const { entry, problems, files } of batch) {
      counts.rows++;
      counts[entry?.kind ?? "excluded"]++;
      if (entry?.kind === "mail" && first.length < 3) first.push(entry.to.address);
      for (const { file, size } of files) attachments.set(file, size);
      for (const problem of problems) {
        const count = (counted.get(problem.code) ?? 0) + 1;
        counted.set(problem.code, count);
        if (count <= problemLimit) kept.push(problem);
      }
    }
  }
  if (counts.rows > 0 && counts.mail + counts.invalid === 0) {
    const { campaign } = prepared;
    const field = campaign.where ?? campaign.suppress ?? campaign.recipients;
    kept.push(problemAt("list.nobody", {}, field ?? { file: campaign.file, range: fileStart }));
  }
  const { campaign: letter } = prepared;
  if (counts.mail >= mailingSize && letter.unsubscribe === undefined) {
    const place = letter.recipients ?? { file: letter.file, range: fileStart };
    const more = { severity: "information", fixes: leaveFixes(letter) } as const;
    kept.push(problemAt("unsubscribe.missing", { count: counts.mail }, place, more));
  }
  const more = new Map(
    [...counted].map(([code, count]) => [code, count - problemLimit] as const).filter(([, n]) => n > 0),
  );
  return { problems: kept.sort(byPlace), more, counts, first, attachments };
}

/** A mail to the sender, as the simplest way to leave a list. */
function leaveFixes({ from, recipients }: Campaign): readonly Fix[] {
  const sender = parseMailbox(from?.text ?? "");
  if (!sender.ok || recipients === undefined) return [];
  const { address } = sender.mailbox;
  const { file, range } = recipients;
  const text = `\nunsubscribe: "mailto:${encodeURI(address)}?subject=unsubscribe"`;
  return [
    { title: `Let people leave by a mail to ${address}`, file, range: { start: range.end, end: range.end }, text },
  ];
}

function byPlace(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.range.start.line - b.range.start.line || a.range.start.character - b.range.start.character;
}

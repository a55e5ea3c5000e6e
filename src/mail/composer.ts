/** One row's message: every text with its values, every file with its bytes. */
import * as path from "node:path";
import type { Mailbox } from "./address";
import { parseMailbox } from "./address";
import type { FileCache } from "./attachments";
import { attachmentProblem } from "./attachments";
import type { Campaign, Field } from "./campaign";
import type { CampaignTemplates } from "./campaignTemplates";
import { dateless } from "./campaignTemplates";
import { FileError, fileProblem } from "./files";
import type { Message, Part } from "./message";
import { composeMessage, messageIdFor } from "./message";
import type { Entry } from "./preflight";
import type { Checked, Problem, Range } from "./problems";
import type { Column } from "./recipients";
import { addressProblem } from "./rowJudge";
import type { SuppressionQuestion } from "./suppression";
import type { LineTemplate } from "./template";

/** What changes from run to run. */
export interface Stamp {
  readonly runId: string;
  readonly date: Date;
  /** A test goes to this mailbox alone, its subject marked. */
  readonly testTo?: Mailbox;
  /** Asked instead of the campaign's own suppression file: a run works on a copy of that, and people leave meanwhile. */
  readonly isSuppressed?: SuppressionQuestion;
}

/** A row that cannot be made into a message. */
export class RowError extends Error {
  constructor(readonly problems: readonly Problem[]) {
    super(problems[0]?.message ?? "This row cannot be mailed.");
    this.name = "RowError";
  }
}

/** What messages are made of. */
export interface ComposerContext {
  readonly campaign: Campaign;
  readonly templates: CampaignTemplates;
  readonly columns: readonly Column[];
  readonly from: Mailbox;
  /** Replaces the campaign's `replyTo` where it has none. */
  readonly replyTo: Mailbox | undefined;
  readonly cache: FileCache;
  readonly root: string;
  /** Absolute folder of the campaign file and of the body's file. */
  readonly folder: string;
  readonly bodyFolder: string;
  /** The body as written, for places. */
  readonly body: Field;
  readonly isSuppressed: SuppressionQuestion;
}

type Mailable = Extract<Entry, { kind: "mail" }>;

/**
 * Makes the message of a row. Throws `RowError` when the row cannot be made into one, and `FileError` when a file is there but
 * cannot be read, which is nothing about the row.
 */
export async function compose(context: ComposerContext, entry: Mailable, stamp: Stamp): Promise<Message> {
  const { campaign, templates, columns, from } = context;
  const values = { columns, row: entry.row, now: stamp.date };
  const problems: Problem[] = [];
  const take = <T>({ value, problems: found }: Checked<T>): T => {
    problems.push(...found.filter(({ severity }) => severity === "error"));
    return value;
  };
  const line = (template: LineTemplate | undefined): string =>
    template === undefined ? "" : take(template.render(values));
  const mailbox = (template: LineTemplate): readonly Mailbox[] => {
    const text = take(template.render(dateless(values)));
    const parsed = parseMailbox(text);
    if (parsed.ok) return [parsed.mailbox];
    if (parsed.reason !== "empty") problems.push(addressProblem(text, parsed, template.field, { rowOnly: true }));
    return [];
  };

  const subject = line(templates.subject);
  const body = templates.body === undefined ? undefined : take(templates.body.render(values));
  const headers = templates.headers.map(({ name, value }) => ({ name, value: line(value) }));
  const unsubscribe = templates.unsubscribe === undefined ? "" : take(templates.unsubscribe.render(values, "url"));
  const replyTo = templates.replyTo === undefined ? context.replyTo : mailbox(templates.replyTo)[0];
  const { testTo, isSuppressed = context.isSuppressed } = stamp;
  const cc = testTo === undefined ? templates.cc.flatMap(mailbox) : [];
  const bcc = testTo === undefined ? templates.bcc.flatMap(mailbox) : [];
  const attachments: Part[] = [];
  for (const template of templates.attachments) {
    const written = take(template.render(dateless(values)));
    if (written === "") continue;
    const refuse = (error: FileError): Problem =>
      attachmentProblem(error, written, context.root, template.field, { rowOnly: template.uses.size > 0 });
    const content = await read(context, path.resolve(context.folder, written), refuse, problems);
    if (content !== undefined) attachments.push({ filename: path.basename(written), content });
  }
  for (const { path: written, cid } of body?.images ?? []) {
    const refuse = (error: FileError): Problem =>
      fileProblem(error, "image", written, context.root, placeInText(context.body, written));
    const content = await read(context, path.resolve(context.bodyFolder, written), refuse, problems);
    if (content !== undefined) attachments.push({ filename: path.basename(written), content, cid });
  }
  if (problems.length > 0) throw new RowError(problems);

  return await composeMessage({
    from,
    to: testTo ?? entry.to,
    cc: await unsuppressed(isSuppressed, cc),
    bcc: await unsuppressed(isSuppressed, bcc),
    replyTo,
    subject: testTo === undefined ? subject : `[Test] ${subject}`,
    html: body?.html ?? "",
    text: body?.text ?? "",
    attachments,
    headers: headers.filter(({ value }) => value !== ""),
    unsubscribe: unsubscribe === "" ? undefined : unsubscribe,
    oneClick: campaign.oneClick,
    messageId: messageIdFor(campaign.id ?? "", stamp.runId, entry.identity, domainOf(from)),
    date: stamp.date,
  });
}

async function read(
  { cache }: ComposerContext,
  file: string,
  refuse: (error: FileError) => Problem,
  problems: Problem[],
): Promise<Buffer | undefined> {
  try {
    return await cache.read(file);
  } catch (error) {
    if (!(error instanceof FileError) || error.reason === "unreadable") throw error;
    problems.push(refuse(error));
    return undefined;
  }
}

/** Where a text names a file; the text's start when the name is not there as it is used. */
export function placeInText(field: Field, written: string): { readonly file: string; readonly range: Range } {
  const offset = field.text.indexOf(written);
  const { start } = field.range;
  return { file: field.file, range: offset < 0 ? { start, end: start } : field.locate(offset, written.length) };
}

/** The suppression file wins over copies too: who is on it gets nothing. */
async function unsuppressed(
  isSuppressed: SuppressionQuestion,
  mailboxes: readonly Mailbox[],
): Promise<readonly Mailbox[]> {
  const kept: Mailbox[] = [];
  for (const mailbox of mailboxes) if (!(await isSuppressed(mailbox.address))) kept.push(mailbox);
  return kept;
}

function domainOf({ address }: Mailbox): string {
  return address.slice(address.lastIndexOf("@") + 1);
}

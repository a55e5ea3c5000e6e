/** All texts of a campaign, compiled for the columns of its list. */
import type { Campaign, Field } from "./campaign";
import type { Checked, Problem } from "./problems";
import type { Column, Row } from "./recipients";
import type { BodyTemplate, Condition, LineTemplate, RowIssue, RowValues } from "./template";
import { compileBody, compileCondition, compileLine } from "./template";

/** What is left out failed to compile, or the campaign has none; the problems tell which. */
export interface CampaignTemplates {
  readonly where: Condition | undefined;
  readonly to: LineTemplate | undefined;
  readonly subject: LineTemplate | undefined;
  readonly cc: readonly LineTemplate[];
  readonly bcc: readonly LineTemplate[];
  readonly replyTo: LineTemplate | undefined;
  readonly headers: readonly { readonly name: string; readonly value: LineTemplate }[];
  readonly unsubscribe: LineTemplate | undefined;
  readonly attachments: readonly LineTemplate[];
  readonly body: BodyTemplate | undefined;
}

/** Compiles everything; `body` may stand in another file. With an error among the problems something is left out. */
export function compileCampaign(
  campaign: Campaign,
  body: Campaign["body"] | undefined,
  columns: readonly Column[],
): Checked<CampaignTemplates> {
  const problems: Problem[] = [];
  const take = <T>({ value, problems: found }: Checked<T>): T => {
    problems.push(...found);
    return value;
  };
  const line = (field: Field | undefined): LineTemplate | undefined =>
    field === undefined ? undefined : take(compileLine(field, columns));
  const lines = (fields: readonly Field[]): readonly LineTemplate[] => fields.flatMap((field) => line(field) ?? []);
  const value: CampaignTemplates = {
    where: campaign.where === undefined ? undefined : take(compileCondition(campaign.where, columns)),
    to: line(campaign.to),
    subject: line(campaign.subject),
    cc: lines(campaign.cc),
    bcc: lines(campaign.bcc),
    replyTo: line(campaign.replyTo),
    headers: campaign.headers.flatMap(({ name, value: field }) => {
      const template = line(field);
      return template === undefined ? [] : [{ name, value: template }];
    }),
    unsubscribe: line(campaign.unsubscribe),
    attachments: lines(campaign.attachments),
    body: body === undefined ? undefined : take(compileBody(body, columns)),
  };
  return { value, problems };
}

/** A text that is checked for every row, and how it is rendered later. */
export interface CheckedTemplate {
  readonly uses: ReadonlySet<number>;
  check(values: RowValues): readonly RowIssue[];
}

/** The texts of which the cells alone decide whether a row can be mailed; not `where` and `to`. */
export function plainTemplates(templates: CampaignTemplates): readonly CheckedTemplate[] {
  const { subject, cc, bcc, replyTo, headers, unsubscribe, attachments, body } = templates;
  const dated: readonly (CheckedTemplate | undefined)[] = [subject, ...headers.map(({ value }) => value), body];
  const undated = [...cc, ...bcc, replyTo, ...attachments].filter((template) => template !== undefined);
  return [
    ...dated.filter((template) => template !== undefined),
    ...undated.map((template): CheckedTemplate => {
      return { uses: template.uses, check: (values) => template.check(dateless(values)) };
    }),
    ...(unsubscribe === undefined ? [] : [checkedUrl(unsubscribe)]),
  ];
}

function checkedUrl(template: LineTemplate): CheckedTemplate {
  return { uses: template.uses, check: (values) => template.check(values, "url") };
}

/** Indexes of all columns that make a difference to a message, `where` aside. */
export function usedColumns(templates: CampaignTemplates): readonly number[] {
  const used = new Set(templates.to?.uses);
  for (const { uses } of plainTemplates(templates)) for (const column of uses) used.add(column);
  return [...used].sort((a, b) => a - b);
}

/** Stands in for the date of a message where only checking is done: any will do. */
const someDate = new Date(0);

/** A row for a check of texts that may name today's date. */
export function checkedValues(columns: readonly Column[], row: Row): RowValues {
  return { columns, row, now: someDate };
}

/**
 * The values for texts in which "now" has no meaning: who gets a message and which files go with it must not change because
 * midnight passes while a list is sent.
 */
export function dateless({ columns, row }: RowValues): RowValues {
  return { columns, row };
}

/** Whether a text always has something that stands outside of placeholders and tags. */
export function isNeverBlank(text: string): boolean {
  return !text.includes("{%") && text.replace(/\{\{.*?\}\}/gs, "").trim() !== "";
}

/** What is wrong with a rendered `unsubscribe`; an empty one is left out. */
export function unsubscribeFault(
  url: string,
  oneClick: boolean,
): "unsubscribe.scheme" | "unsubscribe.oneClick" | undefined {
  if (url === "" || /^https:/i.test(url)) return undefined;
  if (!/^mailto:/i.test(url)) return "unsubscribe.scheme";
  return oneClick ? "unsubscribe.oneClick" : undefined;
}

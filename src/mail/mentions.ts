/** Where a campaign names the columns of its list. */
import type { Campaign } from "./campaign";
import type { CampaignTemplates } from "./campaignTemplates";
import type { Mention } from "./template";

/** Every place, in no order. Texts that do not compile are left out. */
export function mentionsIn(
  campaign: Campaign,
  templates: CampaignTemplates,
  keyColumn: number | undefined,
): readonly Mention[] {
  const { where, to, subject, cc, bcc, replyTo, headers, unsubscribe, attachments, body } = templates;
  const values = headers.map(({ value }) => value);
  const all = [where, to, subject, ...cc, ...bcc, replyTo, ...values, unsubscribe, ...attachments, body];
  const mentions = all.flatMap((template) => template?.mentions ?? []);
  const { key } = campaign;
  if (key === undefined || keyColumn === undefined) return mentions;
  return [...mentions, { column: keyColumn, file: key.file, range: key.range, as: "header" }];
}

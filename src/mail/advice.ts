/** What is not wrong and still worth knowing before a campaign leaves: each at its place, never a reason not to send. */
import { isSameMailbox, type Mailbox } from "./address";
import type { Campaign, Field } from "./campaign";
import type { CampaignTemplates } from "./campaignTemplates";
import type { SenderDefaults } from "./preflight";
import type { Fix, Problem } from "./problems";
import { problemAt } from "./problems";

/** Characters of a subject that most mail programs show. */
const subjectLength = 78;

/** So many recipients are a mailing, from which people expect to get off again. */
export const mailingSize = 200;

/** Mailboxes that stand for a role (RFC 2142) or for nobody: letters there reach no person, or several. */
const roles: ReadonlySet<string> = new Set(
  "abuse admin administrator billing contact hostmaster info mailer-daemon marketing no-reply noc noreply office postmaster root sales security support webmaster".split(
    " ",
  ),
);

/** Whether an address is a role's and no person's. */
export function isRoleAddress(address: string): boolean {
  const at = address.lastIndexOf("@");
  // The longest role has 13 letters: nearly every address is told by its length or first letter.
  return at > 0 && at <= 13 && roles.has(address.slice(0, at).toLowerCase());
}

/** Advice about the sender that a campaign itself names, which the account's provider may put another one in place of. */
export function senderAdvice(
  { from }: Campaign,
  sender: Mailbox | undefined,
  { replacedBy }: SenderDefaults,
): readonly Problem[] {
  if (from === undefined || sender === undefined || replacedBy === undefined) return [];
  const { address } = sender;
  if (isSameMailbox(address, replacedBy)) return [];
  return [problemAt("from.replaced", { address, user: replacedBy }, from, { severity: "information" })];
}

/** Advice about the texts of a campaign; `body` is its letter, wherever it stands. */
export function advice(
  { subject }: Campaign,
  templates: CampaignTemplates,
  body: Campaign["body"] | undefined,
): readonly Problem[] {
  const problems: Problem[] = [];
  if (subject !== undefined) {
    const { length } = subject.text.replace(/\{[{%].*?[%}]\}/g, "").trim();
    if (length > subjectLength)
      problems.push(problemAt("subject.long", { length }, subject, { severity: "information" }));
  }
  if (body === undefined) return problems;
  problems.push(...linkAdvice(body));
  if (templates.body?.hasText === false)
    problems.push(problemAt("body.noText", {}, firstLineOf(body.field), { severity: "warning" }));
  return problems;
}

/** Targets of links and images: as Markdown and as HTML. Bounded, so that no text takes long. */
const targets =
  /(?<bang>!?)\[[^[\]\n]{0,500}\]\(\s{0,9}<?(?<markdown>[^\s()<>]{1,2000})|<(?<tag>a|img)\b[^<>]{0,1000}?\s(?:href|src)\s{0,9}=\s{0,9}["']?(?<html>[^\s"'<>]{1,2000})/gi;

/** What looks like the beginning of a web address. */
const webAddress =
  /^(?:www\.|[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,5}\.(?:com|org|net|edu|gov|io|eu|de|fr|uk|at|ch|nl|it|es|us)(?:[/?#:]|$))/i;

function linkAdvice({ kind, field }: Campaign["body"]): readonly Problem[] {
  const problems: Problem[] = [];
  const text = kind === "html" ? field.text : withoutCode(field.text);
  for (const { index, 0: whole, groups = {} } of text.matchAll(targets)) {
    const { bang, markdown, tag, html } = groups as Readonly<Record<string, string | undefined>>;
    const target = markdown ?? html ?? "";
    if (target.startsWith("{")) continue;
    const range = field.locate(index + whole.length - target.length, target.length);
    const place = { file: field.file, range };
    const isImage = bang === "!" || tag?.toLowerCase() === "img";
    if (isImage && /^https?:/i.test(target))
      problems.push(problemAt("body.remoteImage", {}, place, { severity: "information" }));
    if (isImage || !webAddress.test(target)) continue;
    const fixes: readonly Fix[] = [{ title: `Change to https://${target}`, ...place, text: `https://${target}` }];
    problems.push(problemAt("body.noScheme", { target }, place, { severity: "warning", fixes }));
  }
  return problems;
}

/** A Markdown text with blanks in place of code, where links are none; offsets stay. */
function withoutCode(text: string): string {
  let fence = "";
  const lines = text.split("\n").map((line) => {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? "";
    const isInside = fence !== "";
    if (!isInside) fence = mark;
    else if (mark.startsWith(fence)) fence = "";
    return isInside || mark !== "" ? " ".repeat(line.length) : line;
  });
  return lines.join("\n").replace(/`[^`\n]{1,500}`/g, (code) => " ".repeat(code.length));
}

function firstLineOf(field: Field): Pick<Problem, "file" | "range"> {
  const start = Math.max(0, field.text.search(/\S/));
  const length = /^[^\r\n]*/.exec(field.text.slice(start))?.[0].length ?? 0;
  return { file: field.file, range: field.locate(start, length) };
}

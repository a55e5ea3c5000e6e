/** Opens everything that a campaign names, step by step, and gathers what is wrong with it. */
import { randomUUID } from "node:crypto";
import * as path from "node:path";
import { advice, senderAdvice } from "./advice";
import type { Mailbox } from "./address";
import { parseMailbox } from "./address";
import { attachmentProblem, FileCache, FileLooks, filesWithin, tooLarge } from "./attachments";
import type { Campaign, Field } from "./campaign";
import { parseCampaign, wholeFileField } from "./campaign";
import type { CampaignTemplates } from "./campaignTemplates";
import { checkedValues, compileCampaign, dateless, unsubscribeFault } from "./campaignTemplates";
import { ColumnNames } from "./columnNames";
import { compose, placeInText, RowError } from "./composer";
import { decodeText } from "./decode";
import { FileError, fileProblem, stampOf } from "./files";
import { mentionsIn } from "./mentions";
import type { Prepared, PrepareRequest } from "./preflight";
import type { Fix, Problem } from "./problems";
import { fileStart, nearest, plainText, problemAt } from "./problems";
import type { RecipientList } from "./recipients";
import { detectAddressColumn, openRecipients } from "./recipients";
import type { Judgement } from "./rowJudge";
import { addressProblem, RowJudge } from "./rowJudge";
import { readSuppressed, suppressionFile, suppressionQuestion } from "./suppression";
import type { LineTemplate, RowValues } from "./template";
import { TextPlaces } from "./textPlaces";

type Opened = Prepared["opened"][number];
type Place = Pick<Problem, "file" | "range">;

/** One opening of one campaign. */
export class Opening {
  readonly problems: Problem[] = [];
  /** Those of `problems` that keep every message from being made, not only from being sent. */
  private readonly fatal: Problem[] = [];
  private readonly opened: Opened[] = [];
  private readonly folder: string;
  private readonly looks: FileLooks;

  constructor(private readonly request: PrepareRequest) {
    this.folder = path.dirname(request.file);
    this.looks = new FileLooks(request.files);
  }

  /** Undefined when there is no list or nobody knows where its addresses stand. Throws for broken code only. */
  async open(): Promise<Prepared | undefined> {
    const { files, csv, file } = this.request;
    const text = await this.text("campaign", "campaign", file, file, { file, range: fileStart });
    if (text === undefined) return undefined;
    const { value: campaign, problems } = parseCampaign(text, file);
    this.problems.push(...problems);
    this.checkId(campaign, text);
    const from = this.sender(campaign);
    const replyTo = this.defaultReplyTo(campaign);
    const body = await this.body(campaign);
    const hasSuppression = await this.checkSuppression(campaign);
    const list = await this.list(campaign);
    if (list === undefined) return undefined;

    const { value: templates, problems: faults } = compileCampaign(campaign, body, list.columns);
    this.report(faults);
    const blank = checkedValues(list.columns, { values: list.columns.map(() => ""), line: 0, endLine: 0 });
    this.checkConstants(campaign, templates, blank);
    const attachments = await this.checkAttachments(templates, blank);
    await this.checkImages(templates, body?.field);
    this.problems.push(...senderAdvice(campaign, from, this.request.sender), ...advice(campaign, templates, body));
    const keyColumn = this.keyColumn(campaign, list);
    const addressColumn = await this.addressColumn(campaign, list, templates);
    if (addressColumn === undefined) return undefined;

    const { folder, fatal } = this;
    const { root } = files;
    const bodyFolder = path.dirname(body?.field.file ?? file);
    const rowImages = body !== undefined && hasRowImages(body.field.text);
    const roomForFiles = this.roomForFiles(attachments, campaign);
    const judge = { list, roomForFiles, templates, addressColumn, keyColumn, root, folder, bodyFolder, rowImages };
    const suppressed = async (): Promise<ReadonlySet<string>> => {
      const name = suppressionFile(campaign);
      return name === undefined || !hasSuppression ? new Set() : (await readSuppressed(files, name, csv)).value;
    };
    const passes = async function* (signal?: AbortSignal): AsyncIterable<readonly Judgement[]> {
      const looks = new FileLooks(files);
      const rows = new RowJudge({ ...judge, oneClick: campaign.oneClick, looks, suppressed: await suppressed() });
      for await (const batch of list.batches(signal)) yield await rows.judge(batch);
    };
    const isSuppressed = suppressionQuestion(files, campaign, csv);
    const cache = new FileCache(files);
    return {
      campaign,
      list,
      opened: this.opened,
      mentions: mentionsIn(campaign, templates, keyColumn),
      attachments,
      isSuppressed,
      judgements: passes,
      entries: async function* (signal) {
        for await (const batch of passes(signal)) for (const { entry } of batch) if (entry !== undefined) yield entry;
      },
      compose: async (entry, stamp) => {
        if (fatal.length > 0 || from === undefined || body === undefined) throw new RowError(fatal);
        const made = { campaign, templates, columns: list.columns, from, replyTo, body: body.field };
        return await compose({ ...made, cache, root, folder, bodyFolder, isSuppressed }, entry, stamp);
      },
    };
  }

  /** Reports problems; the errors among them are fatal. */
  private report(problems: readonly Problem[]): void {
    this.problems.push(...problems);
    this.fatal.push(...problems.filter(({ severity }) => severity === "error"));
  }

  private async text(
    role: Opened["role"],
    name: string,
    file: string,
    written: string,
    place: Place,
  ): Promise<string | undefined> {
    const { files, csv } = this.request;
    try {
      const stamp = await stampOf(files, file);
      const { value, problems } = decodeText(await files.read(file), file, csv.encoding);
      this.opened.push({ role, file, stamp });
      this.report(problems);
      return value;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.report([fileProblem(error, name, written, files.root, place)]);
      return undefined;
    }
  }

  private checkId({ id, file }: Campaign, text: string): void {
    const other = id === undefined ? undefined : this.request.otherCampaigns?.get(id);
    if (id === undefined || other === undefined || other === file) return;
    const start = text.toLowerCase().indexOf(id);
    const range = new TextPlaces(text).range(Math.max(start, 0), Math.max(start, 0) + id.length);
    const fixes = [{ title: "Take a new id", file, range, text: randomUUID() }];
    const details = { other: path.relative(this.folder, other) };
    this.problems.push(problemAt("id.copied", details, { file, range }, { fixes }));
  }

  private sender({ from, file }: Campaign): Mailbox | undefined {
    const place: Place = from ?? { file, range: firstLine };
    const text = from?.text ?? this.request.sender.from ?? "";
    if (text.trim() === "") {
      this.report([problemAt("from.missing", {}, place)]);
      return undefined;
    }
    const parsed = parseMailbox(text);
    // Braces are allowed in addresses, but nobody means them: who sends is the same for every row.
    if (parsed.ok && !/\{[{%]/.test(text)) return parsed.mailbox;
    this.report([problemAt("from.invalid", { text }, place)]);
    return undefined;
  }

  private defaultReplyTo({ replyTo, file }: Campaign): Mailbox | undefined {
    const text = replyTo === undefined ? (this.request.sender.replyTo ?? "") : "";
    if (text.trim() === "") return undefined;
    const parsed = parseMailbox(text);
    if (parsed.ok) return parsed.mailbox;
    this.report([problemAt("replyTo.invalid", { text }, { file, range: firstLine })]);
    return undefined;
  }

  private async body({ body, bodyFile }: Campaign): Promise<Campaign["body"] | undefined> {
    if (bodyFile === undefined) return body;
    const file = this.resolve(bodyFile);
    const text = await this.text("body", "body file", file, bodyFile.text, bodyFile);
    return text === undefined ? undefined : { kind: body.kind, field: wholeFileField(text, file) };
  }

  /** False when the campaign names no suppression file or it cannot be read. */
  private async checkSuppression(campaign: Campaign): Promise<boolean> {
    const file = suppressionFile(campaign);
    if (campaign.suppress === undefined || file === undefined) return false;
    const { files, csv } = this.request;
    try {
      const stamp = await stampOf(files, file);
      this.report((await readSuppressed(files, file, csv)).problems);
      this.opened.push({ role: "suppress", file, stamp });
      return true;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.report([fileProblem(error, "suppression file", campaign.suppress.text, files.root, campaign.suppress)]);
      return false;
    }
  }

  private async list({ recipients }: Campaign): Promise<RecipientList | undefined> {
    if (recipients === undefined) return undefined;
    const { files, csv } = this.request;
    const file = this.resolve(recipients);
    const look = await this.looks.at(file);
    if (!look.ok) {
      this.report([fileProblem(look.error, "recipients file", recipients.text, files.root, recipients)]);
      return undefined;
    }
    this.opened.push({ role: "recipients", file, stamp: await stampOf(files, file) });
    const { value, problems } = await openRecipients(files, file, csv);
    this.problems.push(...problems);
    return value;
  }

  private async addressColumn(
    { to, recipients, file }: Campaign,
    list: RecipientList,
    templates: CampaignTemplates,
  ): Promise<number | undefined> {
    const detected = await detectAddressColumn(list);
    if (to !== undefined) {
      const uses = [...(templates.to?.uses ?? [])];
      return detected !== undefined && uses.includes(detected) ? detected : (uses.at(-1) ?? detected ?? 0);
    }
    // Without rows there is nothing to detect, and that is said already.
    if (detected === undefined && !this.problems.some(({ code }) => code === "list.empty")) {
      const columns = plainText(list.columns.map(({ name }) => name).join(", "), 200);
      const place = recipients ?? { file, range: fileStart };
      const fixes = recipients === undefined ? [] : addressFixes(list, recipients);
      this.report([problemAt("list.noAddressColumn", { columns }, place, { fixes })]);
    }
    return detected;
  }

  private keyColumn({ key }: Campaign, list: RecipientList): number | undefined {
    if (key === undefined) return undefined;
    const names = new ColumnNames(list.columns);
    const name = key.text.trim();
    const column = names.find(name);
    if (column !== undefined) return column;
    const suggestion = nearest(
      name,
      list.columns.flatMap((one) => [one.name, one.alias ?? one.name]),
    );
    this.problems.push(problemAt("key.unknown", { name, ...(suggestion !== undefined && { suggestion }) }, key));
    return undefined;
  }

  /** What is the same for every row is checked once, at its own place. */
  private checkConstants({ oneClick }: Campaign, templates: CampaignTemplates, values: RowValues): void {
    const isConstant = (template: LineTemplate | undefined): template is LineTemplate => template?.uses.size === 0;
    const { to, subject, unsubscribe, headers } = templates;
    const copies = [...templates.cc, ...templates.bcc, templates.replyTo];
    for (const template of [to, ...copies].filter(isConstant)) {
      const text = this.constant(template, dateless(values));
      const parsed = parseMailbox(text ?? "");
      if (text !== undefined && !parsed.ok && (template === to || parsed.reason !== "empty"))
        this.report([addressProblem(text, parsed, template.field)]);
    }
    if (isConstant(subject) && this.constant(subject, values) === "")
      this.report([problemAt("subject.empty", {}, subject.field)]);
    for (const { value } of headers) if (isConstant(value)) this.constant(value, values);
    if (isConstant(unsubscribe)) {
      const fault = unsubscribeFault(this.constant(unsubscribe, values, "url") ?? "", oneClick);
      const isKnown = this.problems.some(({ code }) => code === fault);
      if (fault !== undefined && !isKnown) this.report([problemAt(fault, {}, unsubscribe.field)]);
    }
    const { body } = templates;
    if (body?.uses.size === 0) this.report(body.render(values).problems.map(forAll));
  }

  /** A text that is the same for every row; undefined, with a problem, when it cannot be rendered. */
  private constant(template: LineTemplate, values: RowValues, encode?: "url"): string | undefined {
    const { value, problems } = template.render(values, encode);
    this.report(problems.map(forAll));
    return problems.some(({ severity }) => severity === "error") ? undefined : value;
  }

  /** Sizes of the attachments that all rows share. */
  private async checkAttachments(
    templates: CampaignTemplates,
    values: RowValues,
  ): Promise<ReadonlyMap<string, number>> {
    const sizes = new Map<string, number>();
    for (const template of templates.attachments) {
      if (template.uses.size > 0) continue;
      const written = this.constant(template, dateless(values)) ?? "";
      if (written === "") continue;
      const file = path.resolve(this.folder, written);
      const look = await this.looks.at(file);
      if (look.ok) sizes.set(file, look.size);
      else this.problems.push(attachmentProblem(look.error, written, this.request.files.root, template.field));
    }
    return sizes;
  }

  /** What is left of the largest message for the files of one row, octets; what all rows share already may be too much. */
  private roomForFiles(shared: ReadonlyMap<string, number>, { attachments: [first] }: Campaign): number {
    const { maxSize } = this.request.sender;
    if (maxSize === undefined) return Infinity;
    const limit = filesWithin(maxSize);
    const total = [...shared.values()].reduce((sum, size) => sum + size, 0);
    if (total > limit && first !== undefined) this.report([tooLarge(total, limit, first)]);
    return limit - total;
  }

  /** The images that all rows share are part of the campaign, as its body is. */
  private async checkImages(templates: CampaignTemplates, body: Field | undefined): Promise<void> {
    if (body === undefined) return;
    for (const written of templates.body?.images ?? []) {
      const file = path.resolve(path.dirname(body.file), written);
      const look = await this.looks.at(file);
      if (look.ok) this.opened.push({ role: "image", file, stamp: await stampOf(this.request.files, file) });
      else {
        const place = placeInText(body, written);
        this.problems.push(fileProblem(look.error, "image", written, this.request.files.root, place));
      }
    }
  }

  private resolve(field: Field): string {
    return path.resolve(this.folder, field.text.trim());
  }
}

/** The dashes that open the front matter: for what is missing in it. */
const firstLine = { start: { line: 0, character: 0 }, end: { line: 0, character: 3 } };

/** Columns that are offered at most. */
const offered = 8;

/** The columns of a list, each as the one with the addresses: a line more below `recipients`. */
function addressFixes({ columns }: RecipientList, { file, range: { end } }: Field): readonly Fix[] {
  const names = new ColumnNames(columns);
  const range = { start: end, end };
  return columns.flatMap(({ name }, index) => {
    const expression = names.expression(index);
    if (index >= offered || /["']/.test(expression)) return [];
    return [
      { title: `Take the addresses from ${plainText(name, 60)}`, file, range, text: `\nto: "{{ ${expression} }}"` },
    ];
  });
}

/** A problem of a text that is the same for every row is nobody's own. */
function forAll(problem: Problem): Problem {
  return { ...problem, rowOnly: false };
}

/** Whether a body names an image by a placeholder, so that only rendering tells which file a row needs. */
function hasRowImages(text: string): boolean {
  return /<img\b[^<>]*\{[{%]/i.test(text) || /!\[[^\]]*\]\([^()\n]*\{[{%]/.test(text);
}

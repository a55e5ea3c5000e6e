/** The worker's language work: opens, checks and previews campaigns. Pure adapters around the core. */
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import * as path from "node:path";
import {
  checkRows,
  ColumnNames,
  detectAddressColumn,
  diskFiles,
  openRecipients,
  plainText,
  prepareCampaign,
  readCampaign,
  RowError,
  sentence,
  takeApart,
} from "./mail/index";
import type {
  Campaign,
  CampaignIds,
  CheckResult,
  CsvOptions,
  Entry,
  Files,
  Message,
  Prepared,
  Problem,
  SenderDefaults,
} from "./mail/index";
import type {
  CampaignFacts,
  CampaignRequest,
  CheckReply,
  ListReply,
  PreviewMessage,
  PreviewReply,
  PreviewRow,
  RowWanted,
  SymbolsReply,
} from "./workerProtocol";

/** How much of a message's source a preview shows, bytes. */
const sourceBytes = 200_000;

/** At most so many rows of a list stay in memory for stepping through a preview; later ones are read again. */
const keptEntries = 5_000;

/** A campaign with everything that could be opened of it. */
export interface OpenedCampaign {
  readonly campaign: Campaign;
  readonly facts: CampaignFacts;
  readonly sender: SenderDefaults;
  readonly prepared: Prepared | undefined;
  readonly problems: readonly Problem[];
  /** Paths of every file it consists of. */
  readonly files: readonly string[];
}

/** Opens the campaign of `request` and whatever it names. */
export async function openCampaign(request: CampaignRequest, ids: CampaignIds): Promise<OpenedCampaign> {
  const files = await diskFiles(request.root, request.overlay);
  // Read ahead of the rest, because the account decides whom the core gets as the sender.
  const campaign = await readCampaign(files, request.file);
  const account = campaign.account?.text.trim() ?? request.defaultAccount;
  const known = request.senders.get(account);
  const sender = known ?? { from: undefined, replyTo: undefined };
  const others = request.others.filter((other) => other !== request.file);
  const opened = await prepareCampaign({
    file: request.file,
    files,
    csv: request.csv,
    sender,
    otherCampaigns: await ids.among(others),
  });
  const problems = [...opened.problems];
  if (known === undefined && campaign.account !== undefined) {
    const { file, range } = campaign.account;
    problems.push({
      code: "account.unknown",
      severity: "error",
      message: sentence("account.unknown", { id: account }),
      file,
      range,
    });
  }
  return {
    campaign,
    sender,
    facts: {
      id: campaign.id,
      subject: campaign.subject?.text,
      from: campaign.from?.text ?? sender.from,
      replyTo: campaign.replyTo?.text ?? sender.replyTo,
      cc: campaign.cc.map((field) => field.text),
      bcc: campaign.bcc.map((field) => field.text),
      account,
      accountKnown: known !== undefined,
    },
    prepared: opened.value,
    problems,
    files: namedFiles(campaign, opened.value),
  };
}

/** Checks the campaign and every row. Rejects when `signal` aborts. */
export async function checkCampaign(
  request: CampaignRequest,
  ids: CampaignIds,
  signal: AbortSignal,
): Promise<{
  readonly reply: CheckReply;
  readonly opened: OpenedCampaign;
  /** Undefined when something keeps every row from being made. */
  readonly checked: CheckResult | undefined;
}> {
  const opened = await openCampaign(request, ids);
  signal.throwIfAborted();
  const checked = opened.prepared === undefined ? undefined : await checkRows(opened.prepared, signal);
  signal.throwIfAborted();
  const found = {
    campaign: opened.facts,
    problems: [...opened.problems, ...(checked === undefined ? [] : withRest(checked))],
    counts: checked?.counts,
    first: checked?.first ?? [],
    attachments: checked?.attachments ?? new Map<string, number>(),
    files: opened.files,
  };
  const hash = createHash("sha256");
  hash.update(
    JSON.stringify([found.campaign, opened.sender, found.counts, found.first, [...found.attachments], request.csv]),
  );
  hash.update(await stampsOf(request, opened.files));
  return { reply: { ...found, fingerprint: hash.digest("hex") }, opened, checked };
}

/** The problems that a check kept; the last of each kind tells how many there are besides. */
function withRest({ problems, more }: CheckResult): readonly Problem[] {
  const last = new Map(problems.map((problem) => [problem.code, problem]));
  return problems.map((problem) => {
    const rest = more.get(problem.code) ?? 0;
    if (rest === 0 || last.get(problem.code) !== problem) return problem;
    return { ...problem, message: `${problem.message} (${rest.toLocaleString("en")} more like this one.)` };
  });
}

/**
 * Checks a campaign of nobody's, so that everything is loaded and compiled before the first real check, whose time is
 * limited.
 */
export async function warmUp(ids: CampaignIds): Promise<void> {
  const file = path.join(tmpdir(), "warm-up.mail.md");
  const list = path.join(tmpdir(), "warm-up.csv");
  const head = "---\nid: 00000000-0000-4000-8000-000000000000\nsubject: Hello\nrecipients: warm-up.csv\n---\n";
  const request: CampaignRequest = {
    file,
    root: tmpdir(),
    overlay: new Map([
      [file, `${head}Hello **{{ name }}**\n`],
      [list, "email,name\nada@example.com,Ada\n"],
    ]),
    csv: { delimiter: "auto", encoding: "auto" },
    senders: new Map([["", { from: "ada@example.com", replyTo: undefined }]]),
    defaultAccount: "",
    others: [],
  };
  const { signal } = new AbortController();
  await checkCampaign(request, ids, signal);
}

/** Steps through the rows of one campaign at a time; keeps what it has opened until something changes. */
export class Previews {
  private kept:
    | {
        readonly stamp: string;
        readonly opened: OpenedCampaign;
        readonly entries: readonly Entry[];
        readonly count: number;
      }
    | undefined;

  constructor(private readonly ids: CampaignIds) {}

  /** The row at `index`, or the nearest there is. Rejects when `signal` aborts. */
  async preview(request: CampaignRequest, index: number, signal: AbortSignal): Promise<PreviewReply> {
    const { opened, entries, count } = await this.open(request, signal);
    const nearest = Math.max(0, Math.min(Math.trunc(index), count - 1));
    const entry =
      entries[nearest] ??
      (opened.prepared === undefined ? undefined : await entryAt(opened.prepared, (_, at) => at === nearest, signal));
    const { row, problems } = entry === undefined ? { row: undefined, problems: [] } : await rowOf(opened, entry);
    return { index: nearest, count, problems: [...opened.problems, ...problems], row, files: opened.files };
  }

  /** The index of a row that is looked for; undefined when there is none. Rejects when `signal` aborts. */
  async find(
    request: CampaignRequest,
    wanted: RowWanted,
    from: number,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { opened } = await this.open(request, signal);
    let at = -1;
    let first: number | undefined;
    let best = { score: 0, at: undefined as number | undefined };
    for await (const entry of opened.prepared?.entries(signal) ?? []) {
      at++;
      if (wanted.kind === "text") {
        if (!holds(entry, wanted.text.toLowerCase())) continue;
        if (at > from) return at;
        first ??= at;
      } else if (entry.kind === "mail") {
        const score = hardness[wanted.by](entry.row.values);
        if (score > best.score) best = { score, at };
      }
    }
    signal.throwIfAborted();
    return wanted.kind === "text" ? first : best.at;
  }

  private async open(request: CampaignRequest, signal: AbortSignal): Promise<NonNullable<Previews["kept"]>> {
    const kept = this.kept;
    if (kept?.stamp === (await stampOfRequest(request, kept?.opened.files ?? []))) return kept;
    this.kept = undefined;
    const opened = await openCampaign(request, this.ids);
    const entries: Entry[] = [];
    let count = 0;
    if (opened.prepared !== undefined) {
      for await (const entry of opened.prepared.entries(signal)) {
        if (count++ < keptEntries) entries.push(entry);
      }
      signal.throwIfAborted();
    }
    const made = { stamp: await stampOfRequest(request, opened.files), opened, entries, count };
    // A problem may be about a file that is not there yet, whose coming no stamp tells.
    if (opened.problems.length === 0) this.kept = made;
    return made;
  }
}

function holds({ row }: Entry, text: string): boolean {
  return row.values.some((value) => value.toLowerCase().includes(text));
}

/** How hard a row is for a letter. */
const hardness: Readonly<Record<Extract<RowWanted, { kind: "hardest" }>["by"], (values: readonly string[]) => number>> =
  {
    longest: (values) => Math.max(...values.map(({ length }) => length)),
    emptiest: (values) => values.filter((value) => value.trim() === "").length,
    foreign: (values) => values.reduce((sum, value) => sum + (value.match(/[^\u0000-\u007f]/g)?.length ?? 0), 0),
  };

/** Changes whenever the request, or one of `files`, does. */
export async function stampOfRequest(request: CampaignRequest, files: readonly string[]): Promise<string> {
  const asked = JSON.stringify([{ ...request, overlay: [...request.overlay], senders: [...request.senders] }]);
  return `${asked} ${await stampsOf(request, files)}`;
}

/** The first entry that `wanted` accepts, by itself and its index, read from the list; undefined when there is none. */
export async function entryAt(
  prepared: Prepared,
  wanted: (entry: Entry, index: number) => boolean,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  let at = 0;
  for await (const entry of prepared.entries(signal)) {
    if (wanted(entry, at++)) return entry;
  }
  signal.throwIfAborted();
  return undefined;
}

/** The columns of a list, for a campaign that does not exist yet. */
export async function describeList(file: string, root: string, csv: CsvOptions): Promise<ListReply> {
  return await describe(await diskFiles(root), file, csv, Infinity);
}

/** The names in a campaign. Rejects when `signal` aborts. */
export async function symbolsOf(
  request: CampaignRequest,
  ids: CampaignIds,
  signal: AbortSignal,
): Promise<SymbolsReply> {
  const { campaign, prepared, files } = await openCampaign(request, ids);
  signal.throwIfAborted();
  const written = campaign.recipients?.text.trim();
  const list = written === undefined ? undefined : path.resolve(path.dirname(request.file), written);
  const disk = await diskFiles(request.root, request.overlay);
  const columns = list === undefined ? undefined : await describe(disk, list, request.csv, sampledRows);
  signal.throwIfAborted();
  return { list, columns, mentions: prepared?.mentions ?? [], files };
}

/** So many rows tell what a column holds. */
const sampledRows = 1_000;
/** Values of a column that are shown, and characters of each. */
const sampleCount = 3;
const sampleLength = 60;

async function describe(files: Files, file: string, csv: CsvOptions, most: number): Promise<ListReply> {
  const { value: list, problems } = await openRecipients(files, file, csv);
  if (list === undefined) return { columns: [], addressColumn: undefined, problems, rows: 0, complete: true };
  const names = new ColumnNames(list.columns);
  const samples = list.columns.map(() => new Set<string>());
  const empty = list.columns.map(() => 0);
  let rows = 0;
  let complete = true;
  for await (const { row } of list.rows()) {
    if (rows === most) {
      complete = false;
      break;
    }
    rows++;
    row.values.forEach((value, index) => {
      if (value.trim() === "") empty[index] = (empty[index] ?? 0) + 1;
      else if ((samples[index]?.size ?? 0) < sampleCount) samples[index]?.add(plainText(value, sampleLength));
    });
  }
  const columns = list.columns.map(({ name, alias, range }, index) => ({
    name,
    alias,
    expression: names.expression(index),
    range,
    samples: [...(samples[index] ?? [])],
    empty: empty[index] ?? 0,
  }));
  return { columns, addressColumn: await detectAddressColumn(list), problems, rows, complete };
}

async function rowOf(opened: OpenedCampaign, entry: Entry): Promise<{ row: PreviewRow; problems: readonly Problem[] }> {
  const line = entry.row.line + 1;
  if (entry.kind === "invalid") {
    return { row: { line, address: entry.address, fate: "invalid", message: undefined }, problems: entry.problems };
  }
  if (entry.kind === "skipped") {
    return { row: { line, address: entry.address, fate: entry.reason, message: undefined }, problems: [] };
  }
  try {
    const message = await opened.prepared?.compose(entry, { runId: "preview", date: new Date() });
    const taken = message === undefined ? undefined : await previewOf(message);
    return { row: { line, address: entry.to.address, fate: "mail", message: taken }, problems: [] };
  } catch (error) {
    if (!(error instanceof RowError)) throw error;
    return { row: { line, address: entry.to.address, fate: "invalid", message: undefined }, problems: error.problems };
  }
}

async function previewOf({ bytes, envelope }: Message): Promise<PreviewMessage> {
  // A page is given what a person can read; the rest of a large message is its attachments in base64.
  const cut = bytes.length - sourceBytes;
  const source = `${bytes.toString("utf8", 0, sourceBytes)}${cut > 0 ? `\r\n… ${String(cut)} more bytes` : ""}`;
  return { ...(await takeApart(bytes)), envelope: envelope.to, source, size: bytes.length };
}

/** The campaign's own files: what was opened, and what it names even when that cannot be opened yet. */
function namedFiles(campaign: Campaign, prepared: Prepared | undefined): readonly string[] {
  const folder = path.dirname(campaign.file);
  const named = [campaign.recipients, campaign.bodyFile, campaign.suppress]
    .filter((field) => field !== undefined)
    .map((field) => path.resolve(folder, field.text));
  return [...new Set([campaign.file, ...named, ...(prepared?.opened.map(({ file }) => file) ?? [])])];
}

/** Size and time of each file, or its missing, or its unsaved text. */
async function stampsOf(request: CampaignRequest, paths: readonly string[]): Promise<string> {
  const files = await diskFiles(request.root);
  const stamps: unknown[] = [];
  for (const file of paths) {
    const stat = await files.stat(file).catch(() => undefined);
    stamps.push([file, stat?.size, stat?.mtimeMs, request.overlay.get(file)]);
  }
  return JSON.stringify(stamps);
}

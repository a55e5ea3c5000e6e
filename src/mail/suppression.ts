/** Who must never be mailed: the file that `suppress` names, read again whenever it changes. */
import * as path from "node:path";
import { addressKey, parseMailbox } from "./address";
import type { Campaign } from "./campaign";
import type { Files } from "./files";
import { FileError } from "./files";
import type { Checked, Problem } from "./problems";
import { problemAt } from "./problems";
import type { CsvOptions, RecipientList, Row } from "./recipients";
import { detectAddressColumn, openRecipients } from "./recipients";

/** Bad cells that are reported. */
const problemLimit = 50;

/** Problems that a list of recipients has and a list of addresses has not: it needs neither a header nor rows. */
const harmless: ReadonlySet<string> = new Set([
  "list.empty",
  "list.noHeader",
  "list.duplicateHeader",
  "list.emptyHeader",
  "list.quote",
]);

/** Absolute path of the suppression file, or undefined when the campaign names none. */
export function suppressionFile(campaign: Campaign): string | undefined {
  const { suppress, file } = campaign;
  return suppress === undefined ? undefined : path.resolve(path.dirname(file), suppress.text.trim());
}

/** Whether an address, or an identity that starts with one, must not be mailed. Throws `FileError`: then nobody may be. */
export type SuppressionQuestion = (identityOrAddress: string) => Promise<boolean>;

/**
 * The question for a campaign's suppression file, answered from the file as it is at that moment. Throws `FileError` when it
 * cannot be read or understood now.
 */
export async function suppression(files: Files, campaign: Campaign, csv?: CsvOptions): Promise<SuppressionQuestion> {
  const question = suppressionQuestion(files, campaign, csv);
  await question("");
  return question;
}

/** The same without looking at the file yet. */
export function suppressionQuestion(
  files: Files,
  campaign: Campaign,
  csv: CsvOptions = { delimiter: "auto", encoding: "auto" },
): SuppressionQuestion {
  const file = suppressionFile(campaign);
  if (file === undefined) return () => Promise.resolve(false);
  let kept: { readonly stamp: string; readonly addresses: Promise<ReadonlySet<string>> } | undefined;
  const load = async (): Promise<ReadonlySet<string>> => {
    const { value, problems } = await readSuppressed(files, file, csv);
    const error = problems.find(({ severity }) => severity === "error");
    if (error !== undefined) throw new FileError("unreadable", file, error.message);
    return value;
  };
  return async (identityOrAddress) => {
    const { size, mtimeMs } = await files.stat(file);
    const stamp = `${size} ${mtimeMs}`;
    if (kept?.stamp !== stamp) kept = { stamp, addresses: load() };
    const [address = ""] = identityOrAddress.split("\t");
    try {
      return (await kept.addresses).has(addressKey(address));
    } catch (error) {
      kept = undefined;
      throw error;
    }
  };
}

/**
 * The keys of all addresses in a suppression file: a CSV with a column of addresses, or one address a line, header or not. With
 * an error among the problems some may be missing. Throws `FileError`.
 */
export async function readSuppressed(
  files: Files,
  file: string,
  csv: CsvOptions,
): Promise<Checked<ReadonlySet<string>>> {
  const addresses = new Set<string>();
  // A missing file is thrown: whoever asked knows what it was for.
  if ((await files.stat(file)).size === 0) return { value: addresses, problems: [] };
  const { value: list, problems: found } = await openRecipients(files, file, csv);
  const problems = found.filter(({ code }) => !harmless.has(code));
  if (list === undefined) return { value: addresses, problems };
  for (const { name } of list.columns) addAddresses(name, addresses);
  const column = (await detectAddressColumn(list)) ?? list.columns.findIndex(({ name }) => parseMailbox(name).ok);
  let rows = 0;
  for await (const batch of list.batches()) {
    rows += batch.length;
    for (const { row, problems: written } of batch) {
      problems.push(...written.filter(({ severity, rowOnly }) => severity === "error" && rowOnly !== true));
      // Cells may have moved in a badly written row, and each can be the one that counts.
      const isTrusted = written.every(({ severity }) => severity !== "error");
      if (isTrusted && column >= 0) readCell(list, row, column, addresses, problems);
      else for (const cell of row.values) addAddresses(cell, addresses);
    }
  }
  if (column < 0 && rows > 0) {
    const columns = list.columns.map(({ name }) => name).join(", ");
    const range = list.columns[0]?.range ?? { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } };
    problems.push(problemAt("suppress.noAddresses", { columns }, { file, range }));
  }
  return { value: addresses, problems };
}

function readCell(list: RecipientList, row: Row, column: number, addresses: Set<string>, problems: Problem[]): void {
  const cell = row.values[column] ?? "";
  if (cell.trim() === "" || addAddresses(cell, addresses) || problems.length >= problemLimit) return;
  const parsed = parseMailbox(cell);
  const details = { text: cell, detail: parsed.ok ? "" : parsed.detail };
  const place = { file: list.file, range: list.cellRange(row, column) };
  problems.push(problemAt("address.invalid", details, place, { severity: "warning" }));
}

/** Adds what `text` holds; one too many does less harm here than one too few. False when it holds none. */
function addAddresses(text: string, addresses: Set<string>): boolean {
  const parsed = parseMailbox(text);
  if (parsed.ok) {
    addresses.add(addressKey(parsed.mailbox.address));
    return true;
  }
  if (parsed.reason !== "several") return false;
  let found = false;
  for (const part of text.split(/[,;|\s<>]+/)) {
    const one = parseMailbox(part);
    if (one.ok) addresses.add(addressKey(one.mailbox.address));
    found ||= one.ok;
  }
  return found;
}

/** Rows of a run's list by what became of them, to be mended and sent again. */
import { open } from "node:fs/promises";
import * as path from "node:path";
import { readHistory } from "./history";
import type { Plan } from "./plan";
import { outcomeOf, preparedRun } from "./report";

/** Separators that are found without help. */
const common = new Set([",", ";", "\t", "|"]);

/**
 * The rows of a run's list that ended so, as a CSV in UTF-8 with the original header, columns, separator and order; rows that
 * could not be mailed count as failed. It is a list to send again, not a report: cells stand as they were written, so one that
 * begins like a formula still does, as in the original. Has a byte order mark when the original had one or was not UTF-8.
 * Throws `PlanError`, and `JournalError` when the journal is damaged: nobody knows then who may be sent to again.
 */
export async function* exportRows(
  plan: Plan,
  which: readonly ("failed" | "unknown" | "pending")[],
): AsyncGenerator<Buffer> {
  const history = await readHistory(plan.directory);
  const prepared = await preparedRun(plan);
  const { list } = prepared;
  const wanted = new Set<string>(which);
  const mark = list.encoding !== "utf-8" || (await hasMark(plan)) ? "\ufeff" : "";
  const separator = common.has(list.delimiter) ? "" : `sep=${list.delimiter}\r\n`;
  yield Buffer.from(`${mark}${separator}${list.headerText}\r\n`);
  for await (const batch of prepared.judgements()) {
    let text = "";
    for (const { entry, row } of batch)
      if (entry !== undefined && wanted.has(outcomeOf(entry, history))) text += `${list.rowText(row)}\r\n`;
    if (text !== "") yield Buffer.from(text);
  }
}

async function hasMark(plan: Plan): Promise<boolean> {
  const copy = plan.copies.find((one) => one.copy.endsWith("-recipients"))?.copy ?? "";
  const handle = await open(path.join(plan.directory, copy), "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(3), 0, 3, 0);
    return bytesRead === 3 && buffer.equals(Buffer.from("\ufeff"));
  } finally {
    await handle.close();
  }
}

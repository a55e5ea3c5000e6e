/** `check` and `preview`: what a campaign is worth before anything is sent. */
import * as path from "node:path";
import {
  checkRows,
  plainText,
  prepareCampaign,
  RowError,
  takeApart,
  type Prepared,
  type Problem,
  type SenderDefaults,
} from "../mail/index";
import { senderOfAccount, type Context } from "./context";
import { otherCampaigns } from "./otherCampaigns";
import { exit, Refusal, type Flags } from "./usage";

/** Prints every problem; 1 when there is an error among them. */
export async function check(context: Context): Promise<number> {
  const { value, problems } = await prepare(context, defaultSender(context));
  const all = value === undefined ? problems : [...problems, ...(await checkRows(value)).problems];
  process.stdout.write(all.map((problem) => `${formatProblem(problem)}\n`).join(""));
  if (all.length === 0) process.stdout.write("No problems.\n");
  return all.some(({ severity }) => severity === "error") ? exit.problems : exit.ok;
}

/** Prints one row's message. */
export async function preview(context: Context, flags: Flags): Promise<number> {
  const { value, problems } = await prepare(context, defaultSender(context));
  if (value === undefined) throw new Refusal(problems.map(formatProblem).join("\n"), exit.problems);
  const wanted = wholeNumber(flags.row ?? "1", "--row");
  let index = 0;
  for await (const entry of value.entries()) {
    if (++index < wanted) continue;
    if (entry.kind !== "mail")
      throw new Refusal(
        entry.kind === "invalid"
          ? entry.problems.map(formatProblem).join("\n")
          : `Row ${String(wanted)} is left out: ${entry.reason}.`,
        exit.problems,
      );
    try {
      const { bytes } = await value.compose(entry, { runId: "00000000-0000-4000-8000-000000000000", date: new Date() });
      process.stdout.write(await formatMessage(bytes, flags.format ?? "text"));
    } catch (error) {
      if (error instanceof RowError) throw new Refusal(error.problems.map(formatProblem).join("\n"), exit.problems);
      throw error;
    }
    return exit.ok;
  }
  throw new Refusal(`There is no row ${String(wanted)}: the list has ${String(index)}.`);
}

/** Opens the campaign of a context. */
export async function prepare(
  { file, files, csv, root }: Context,
  sender: SenderDefaults,
): Promise<{ readonly value: Prepared | undefined; readonly problems: readonly Problem[] }> {
  return await prepareCampaign({ file, files, csv, sender, otherCampaigns: await otherCampaigns(root, file) });
}

/** A problem as compilers print one. */
export function formatProblem({ file, range, severity, message }: Problem): string {
  const { line, character } = range.start;
  return `${plainText(path.relative(process.cwd(), file))}:${String(line + 1)}:${String(character + 1)}: ${severity}: ${plainText(message, 500)}`;
}

/** A whole number above 0 from an option. */
export function wholeNumber(text: string, option: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Refusal(`${option} takes a whole number above 0.`);
  return value;
}

/** Without an account the sender is whoever the settings' default account sends as. */
function defaultSender(context: Context): SenderDefaults {
  const id = context.settings.get("defaultAccount");
  return id === "" ? { from: undefined, replyTo: undefined } : senderOfAccount(context.settings, id);
}

async function formatMessage(bytes: Buffer, format: string): Promise<string | Buffer> {
  if (format === "eml") return bytes;
  const { html, text } = await takeApart(bytes);
  if (format === "html") return html;
  if (format === "text") return `${text.trimEnd()}\n`;
  throw new Refusal("--format takes eml, html or text.");
}

/** New Campaign: from a list to a campaign that could be sent, without overwriting anything. */
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import * as path from "node:path";
import * as vscode from "vscode";
import { rootOf } from "../campaignFiles";
import { readSettings } from "../config";
import { HumanError } from "../notify";
import type { ListColumn, ListReply } from "../workerProtocol";
import type { Services } from "./services";

/** What a list without any file of one's own looks like. */
const smallList = `email,name,plan
ada@example.com,Ada,pro
grace@example.org,Grace,free
`;

/** Asks for a list, writes a campaign beside it with the list's columns as placeholders, and opens it. */
export async function newCampaign(services: Services): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0];
  if (folder?.uri.scheme !== "file") {
    throw new HumanError("A campaign needs a folder to live in. Open one first.", {
      title: "Open Folder…",
      run: () => vscode.commands.executeCommand("workbench.action.files.openFolder"),
    });
  }
  const list = await chooseList(services, folder.uri.fsPath);
  if (list === undefined) return;
  const uri = vscode.Uri.file(list);
  const described = await services.work.describeList(list, rootOf(uri), readSettings(uri).csv);
  if (described.columns.length === 0) {
    throw new HumanError("This list has no columns that can be read. Save it as CSV with a header line.");
  }
  const campaign = await writeNew(
    path.dirname(list),
    "hello",
    ".mail.md",
    campaignText(randomUUID(), path.basename(list), described),
  );
  // To be worked on: no preview tab, which the next file would replace.
  await vscode.window.showTextDocument(vscode.Uri.file(campaign), { preview: false });
}

/** A list of the workspace, or a new small one in `folder`; undefined when the person turned away. */
async function chooseList(services: Services, folder: string): Promise<string | undefined> {
  const found = await vscode.workspace.findFiles("**/*.{csv,tsv,xlsx,jsonl}", "**/node_modules/**", 200);
  const small = { label: "$(add) Make a small list", description: "people.csv with two rows", file: undefined };
  const lists = found.map((uri) => ({
    label: vscode.workspace.asRelativePath(uri),
    description: "",
    file: uri.fsPath,
  }));
  const sorted = lists.sort((a, b) => a.label.localeCompare(b.label));
  const choice = await services.dialogs.pick("New Campaign", "Who is it for? Choose the list of recipients", [
    ...sorted,
    small,
  ]);
  if (choice === undefined) return undefined;
  return choice.file ?? (await writeNew(folder, "people", ".csv", smallList));
}

/** Writes a file under the first name that is free: `hello.mail.md`, `hello-2.mail.md`, … */
async function writeNew(folder: string, stem: string, extension: string, text: string): Promise<string> {
  for (let number = 1; ; number++) {
    const file = path.join(folder, `${stem}${number === 1 ? "" : `-${String(number)}`}${extension}`);
    try {
      // `wx` fails where something stands already, whoever put it there in the meantime.
      await writeFile(file, text, { flag: "wx" });
      return file;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

/** What a new campaign needs to know of a column. */
type NamedColumn = Pick<ListColumn, "name" | "alias" | "empty">;

/** A campaign on the list called `list` (in the same folder) that uses every column. */
export function campaignText(
  id: string,
  list: string,
  { columns, addressColumn }: Pick<ListReply, "addressColumn"> & { readonly columns: readonly NamedColumn[] },
): string {
  const address = addressColumn === undefined ? undefined : columns[addressColumn];
  const others = columns.filter((column) => column !== address && column.name.trim() !== "" && canBeNamed(column));
  const name = others.find((column) => /^(?:full[_ ]?|first[_ ]?)?name$/i.test(column.name) && column.empty === 0);
  const frontMatter = [
    `id: ${id}`,
    `subject: ${quoted(name === undefined ? "Hello" : `Hello ${placeholder(name)}`)}`,
    `recipients: ${quoted(list)}`,
    ...(address === undefined
      ? []
      : [
          `to: ${quoted(name === undefined ? placeholder(address) : `${placeholder(name)} <${placeholder(address)}>`)}`,
        ]),
  ];
  const greeting = name === undefined ? "Hello," : `Hello **${placeholder(name)}**,`;
  const lines = others.map((column) => `- ${column.name.replace(/([\\*_`[\]<>{}])/g, "\\$1")}: ${placeholder(column)}`);
  return [
    "---",
    ...frontMatter,
    "---",
    greeting,
    "",
    "this is your first campaign. Write Markdown here, and put a column of the list in double braces where its value belongs.",
    ...(lines.length === 0 ? [] : ["", ...lines]),
    "",
  ].join("\n");
}

/** A Liquid text has no escapes: a name with both kinds of quotes cannot be written. */
function canBeNamed({ name, alias }: NamedColumn): boolean {
  return alias !== undefined || !(name.includes('"') && name.includes("'"));
}

/** The placeholder of a column; one that some rows leave empty says what stands there instead. */
function placeholder({ name, alias, empty }: NamedColumn): string {
  const plain = /^[A-Za-z_][A-Za-z0-9_]*$/;
  const variable = plain.test(name) ? name : (alias ?? (name.includes('"') ? `['${name}']` : `["${name}"]`));
  return empty > 0 ? `{{ ${variable} | default: "–" }}` : `{{ ${variable} }}`;
}

/** A YAML double-quoted text (YAML 1.2 §7.3.1); JSON's escapes are among YAML's. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

/** New Campaign: from a list to a campaign that could be sent, without overwriting anything. */
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import * as path from "node:path";
import * as vscode from "vscode";
import { rootOf } from "../campaignFiles";
import { readSettings } from "../config";
import { HumanError } from "../notify";
import { campaignText, starters } from "./campaignStarters";
import type { Services } from "./services";

/** What a list without any file of one's own looks like. */
const smallList = `email,name,plan
ada@example.com,Ada,pro
grace@example.org,Grace,free
`;

/**
 * Asks for a list unless one is given, and for a kind of letter; writes a campaign beside the list with its columns as placeholders, and
 * opens it.
 */
export async function newCampaign(services: Services, given?: unknown): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0];
  if (folder?.uri.scheme !== "file") {
    throw new HumanError("A campaign needs a folder to live in. Open one first.", {
      title: "Open Folder…",
      run: () => vscode.commands.executeCommand("workbench.action.files.openFolder"),
    });
  }
  const list = listOf(given) ?? (await chooseList(services, folder.uri.fsPath));
  if (list === undefined) return;
  const uri = vscode.Uri.file(list);
  const described = await services.work.describeList(list, rootOf(uri), readSettings(uri).csv);
  if (described.columns.length === 0) {
    throw new HumanError("This list has no columns that can be read. Save it as CSV with a header line.");
  }
  const starter = await services.dialogs.pick("New Campaign", "What kind of letter is it?", starters);
  if (starter === undefined) return;
  const text = campaignText(starter.id, randomUUID(), path.basename(list), described);
  const campaign = await writeNew(
    path.dirname(list),
    starter.id === "plain" ? "hello" : starter.id,
    starter.ending,
    text,
  );
  // To be worked on: no preview tab, which the next file would replace.
  await vscode.window.showTextDocument(vscode.Uri.file(campaign), { preview: false });
}

/** The list that a menu or a command's argument names, when it is one of the workspace. */
function listOf(given: unknown): string | undefined {
  if (!(given instanceof vscode.Uri) || given.scheme !== "file") return undefined;
  const isList = /\.(?:csv|tsv|xlsx|json|jsonl|txt)$/i.test(given.path);
  return isList && vscode.workspace.getWorkspaceFolder(given) !== undefined ? given.fsPath : undefined;
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

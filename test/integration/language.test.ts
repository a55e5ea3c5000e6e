/** Writing a campaign in the real editor: completion, hover, definition, references, rename, fix all. */
import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import * as path from "node:path";
import * as vscode from "vscode";
import { closeEditors, makeFolder } from "../fakes/editor";
import { eventually } from "../host/wait";

const people = "email,First Name,plan,note\nada@example.com,Ada,pro,\ngrace@example.org,Grace,free,<b>hi</b>\n";

/** A campaign with these lines, the cursor where `¦` stands. */
function campaign(lines: readonly string[], body: string): string {
  const head = ["---", "id: 5e3b7c1e-52a4-4b0e-9f0e-0f6f9a1d2c01", "from: Ada <ada@example.com>", ...lines, "---"];
  return [...head, body, ""].join("\n");
}

const usual = ["subject: For {{ first_name }}", "recipients: people.csv"];

describe("writing a campaign (R50, R51)", () => {
  let folder: string;

  before(async () => {
    await vscode.extensions.getExtension("bulk-mail.bulk-mail")?.activate();
  });

  afterEach(async () => {
    await closeEditors();
    await rm(folder, { recursive: true, force: true });
  });

  const uri = (name: string): vscode.Uri => vscode.Uri.file(path.join(folder, name));

  /** Opens `file` of `files` with the cursor at its `¦`. */
  async function open(
    files: Readonly<Record<string, string>>,
    file: string,
  ): Promise<{ document: vscode.TextDocument; position: vscode.Position }> {
    const marked = files[file] ?? "";
    folder = await makeFolder({ "people.csv": people, ...files, [file]: marked.replace("¦", "") });
    const document = await vscode.workspace.openTextDocument(uri(file));
    await vscode.window.showTextDocument(document);
    return { document, position: document.positionAt(marked.indexOf("¦")) };
  }

  async function completions(text: string, file = "hello.mail.md"): Promise<readonly vscode.CompletionItem[]> {
    const { document, position } = await open({ [file]: text }, file);
    const list = await vscode.commands.executeCommand<vscode.CompletionList>(
      "vscode.executeCompletionItemProvider",
      document.uri,
      position,
    );
    // Words of the text are VS Code's own proposals.
    return list.items.filter(({ kind }) => kind !== vscode.CompletionItemKind.Text && kind !== undefined);
  }

  const labels = (items: readonly vscode.CompletionItem[]): readonly string[] =>
    items.map(({ label }) => (typeof label === "string" ? label : label.label));

  async function hoverText(text: string, file = "hello.mail.md"): Promise<string> {
    const { document, position } = await open({ "hello.mail.md": campaign(usual, "x"), [file]: text }, file);
    const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
      "vscode.executeHoverProvider",
      document.uri,
      position,
    );
    const contents = hovers.flatMap(({ contents: all }) => all);
    return contents.map((part) => (part instanceof vscode.MarkdownString ? part.value : "")).join("\n");
  }

  describe("completion", () => {
    it("offers the columns between braces, in the list's order, with what they hold", async () => {
      const items = await completions(campaign(usual, "Hello {{¦}}"));
      const columns = items.filter(({ kind }) => kind === vscode.CompletionItemKind.Field);
      assert.deepEqual(labels(columns), ["email", "first_name", "plan", "note"]);
      assert.equal(columns[1]?.insertText, " first_name ");
      const { documentation } = columns[3] ?? {};
      assert.equal(documentation, "Column note of people.csv: such as <b>hi</b>; empty in 1 of 2 rows.");
    });

    it("offers the columns in a condition and in a tag", async () => {
      const inTag = await completions(campaign(usual, "{% if pl¦ %}"));
      assert.ok(labels(inTag).includes("plan"));
      await rm(folder, { recursive: true });
      const inWhere = await completions(campaign([...usual, "where: pl¦"], "x"));
      assert.ok(labels(inWhere).includes("plan"));
    });

    it("offers filters behind a pipe and tags behind {%", async () => {
      assert.ok(labels(await completions(campaign(usual, "{{ plan | ¦ }}"))).includes("default"));
      await rm(folder, { recursive: true });
      assert.ok(labels(await completions(campaign(usual, "{% ¦ %}"))).includes("if"));
    });

    it("offers keys that are not there yet, accounts and files", async () => {
      const keys = labels(await completions(campaign([...usual, "¦"], "x")));
      assert.ok(keys.includes("attachments") && !keys.includes("subject"), keys.join());
      await rm(folder, { recursive: true });
      const accounts = labels(await completions(campaign([...usual, "account: ¦"], "x")));
      assert.ok(accounts.includes("sandbox"), accounts.join());
    });

    it("has nothing to say in Markdown of others", async () => {
      const items = await completions("Hello {{ ¦ }}", "notes.md");
      assert.ok(!labels(items).includes("plan"));
    });
  });

  describe("hover", () => {
    it("tells what a column holds, as text", async () => {
      const text = await hoverText(campaign(usual, "Hello {{ no¦te }}"));
      assert.match(text, /Column note of people\\\.csv/);
      assert.ok(text.includes("\\<b\\>hi\\</b\\>"), text);
    });

    it("tells in the list how to write a column in a letter", async () => {
      const text = await eventually("the list's hover", async () => {
        const found = await hoverText(people.replace("First", "Fir¦st"), "people.csv");
        return found === "" ? undefined : found;
      });
      assert.ok(text.replace(/\\/g, "").includes("{{ first_name }}"), text);
    });

    it("explains keys and filters", async () => {
      assert.match(await hoverText(campaign(usual, "x").replace("recip", "recip¦")), /list/);
      await rm(folder, { recursive: true });
      assert.match(await hoverText(campaign(usual, "{{ plan | upc¦ase }}")), /big/);
    });
  });

  it("leads from a placeholder to the list's header, and from a key to its file", async () => {
    const { document, position } = await open({ "hello.mail.md": campaign(usual, "{{ pl¦an }}") }, "hello.mail.md");
    const go = (at: vscode.Position): Thenable<(vscode.LocationLink | vscode.Location)[]> =>
      vscode.commands.executeCommand("vscode.executeDefinitionProvider", document.uri, at);
    const [column] = (await go(position)) as vscode.LocationLink[];
    assert.equal(column?.targetUri.fsPath, uri("people.csv").fsPath);
    assert.deepEqual(column.targetRange, new vscode.Range(0, 17, 0, 21));
    const line = document.getText().split("\n").indexOf("recipients: people.csv");
    const [file] = (await go(new vscode.Position(line, 14))) as vscode.LocationLink[];
    assert.equal(file?.targetUri.fsPath, uri("people.csv").fsPath);
  });

  it("finds every placeholder of a column, over campaigns", async () => {
    const { document, position } = await open(
      {
        "hello.mail.md": campaign(usual, "{{ pl¦an }} {{ plan }}"),
        "other.mail.md": campaign(usual, "{{ plan }}").replace("5e3b", "6e3b"),
      },
      "hello.mail.md",
    );
    const found = await eventually("all places", async () => {
      const places = await vscode.commands.executeCommand<vscode.Location[]>(
        "vscode.executeReferenceProvider",
        document.uri,
        position,
      );
      return places.length === 4 ? places : undefined;
    });
    const files = found.map((place) => path.basename(place.uri.fsPath)).sort();
    assert.deepEqual(files, ["hello.mail.md", "hello.mail.md", "other.mail.md", "people.csv"]);
  });

  describe("rename", () => {
    async function rename(text: string, name: string): Promise<Readonly<Record<string, string>>> {
      const other = campaign(usual, 'And {{ ["First Name"] }}').replace("5e3b", "6e3b");
      const { document, position } = await open({ "hello.mail.md": text, "other.mail.md": other }, "hello.mail.md");
      const edit = await vscode.commands.executeCommand<vscode.WorkspaceEdit>(
        "vscode.executeDocumentRenameProvider",
        document.uri,
        position,
        name,
      );
      assert.ok(await vscode.workspace.applyEdit(edit));
      const texts = ["hello.mail.md", "other.mail.md", "people.csv"].map(async (file) => {
        const changed = await vscode.workspace.openTextDocument(uri(file));
        await changed.save();
        return [file, changed.getText()] as const;
      });
      return Object.fromEntries(await Promise.all(texts));
    }

    it("changes the list and every campaign that uses it", async () => {
      const files = await rename(campaign(usual, "Hello {{ first_na¦me | upcase }}"), "Given Name");
      assert.match(files["people.csv"] ?? "", /^email,Given Name,plan,note\n/);
      assert.match(files["hello.mail.md"] ?? "", /subject: For \{\{ given_name \}\}/);
      assert.match(files["hello.mail.md"] ?? "", /Hello \{\{ given_name \| upcase \}\}/);
      assert.match(files["other.mail.md"] ?? "", /And \{\{ given_name \}\}/);
    });

    it("refuses a name that is another column's, and a text that it cannot change exactly", async () => {
      await assert.rejects(rename(campaign(usual, "{{ first_na¦me }}"), "plan"));
      await rm(folder, { recursive: true });
      const block = ["subject: >-", "  For {{ first_name }}", "  today", "recipients: people.csv"];
      await assert.rejects(rename(campaign(block, "{{ first_na¦me }}"), "Given Name"));
      assert.match(await readFile(uri("people.csv").fsPath, "utf8"), /First Name/);
    });
  });

  it("mends all that can be mended at once, but never takes a new id by itself", async () => {
    const text = campaign(["subjekt: For {{ first_name }}", "recipients: people.csv"], "{{ frist_name }} {{ plann }}¦");
    const { document } = await open({ "hello.mail.md": text, "copy.mail.md": campaign(usual, "x") }, "hello.mail.md");
    const whole = new vscode.Range(0, 0, document.lineCount, 0);
    const action = await eventually("fix all", async () => {
      const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
        "vscode.executeCodeActionProvider",
        document.uri,
        whole,
        vscode.CodeActionKind.SourceFixAll.value,
      );
      const [first] = actions;
      return first?.edit?.get(document.uri).length === 3 ? first : undefined;
    });
    assert.ok(action.edit !== undefined && (await vscode.workspace.applyEdit(action.edit)));
    const mended = document.getText();
    assert.match(mended, /^subject: For/m);
    assert.match(mended, /\{\{ first_name \}\} \{\{ plan \}\}/);
    assert.match(mended, /^id: 5e3b7c1e/m);
  });
});

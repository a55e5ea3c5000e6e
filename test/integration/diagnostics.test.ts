/** Problems as VS Code shows them: the right file, line and code for each kind of bad input. */
import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { isDeepStrictEqual } from "node:util";
import * as vscode from "vscode";
import { closeEditors, extensionRoot, makeFolder, until, writeFiles } from "../fakes/editor";
import { eventually } from "../host/wait";

const id = "5e3b7c1e-52a4-4b0e-9f0e-0f6f9a1d2c01";
const people = "email,name,plan\nada@example.com,Ada,pro\ngrace@example.org,Grace,free\n";

/** A campaign as lines, so that the line numbers in the tests can be counted. */
function campaign(lines: Readonly<Record<string, string>> = {}, body = "Hello {{ name }}"): string {
  const fields = { id, subject: "Hello", from: "Ada <ada@example.com>", recipients: "people.csv", ...lines };
  const front = Object.entries(fields).filter(([, value]) => value !== "");
  return ["---", ...front.map(([key, value]) => `${key}: ${value}`), "---", body, ""].join("\n");
}

function summary(diagnostics: readonly vscode.Diagnostic[]): readonly string[] {
  return diagnostics.map(({ code, range }) => `${typeof code === "string" ? code : ""}:${String(range.start.line)}`);
}

/** Where a problem is expected: file, zero-based line, code. */
interface Expected {
  readonly file: string;
  readonly line: number;
  readonly code: string;
}

// What VS Code itself shows here comes from the extension that it activated, not from services of the tests.
describe("diagnostics", () => {
  let folder: string;

  afterEach(async () => {
    await closeEditors();
    await rm(folder, { recursive: true, force: true });
  });

  before(async () => {
    await vscode.extensions.getExtension("bulk-mail.bulk-mail")?.activate();
  });

  const uri = (name: string): vscode.Uri => vscode.Uri.file(path.join(folder, name));

  /** Writes the files, opens the campaign, and awaits its check: the CodeLens counts something then. */
  async function open(files: Readonly<Record<string, string | Buffer>>): Promise<void> {
    folder = await makeFolder(files);
    await vscode.window.showTextDocument(uri("hello.mail.md"));
    await eventually("the check", async () => {
      const [first] = await lenses();
      return first === undefined || first === "Checking…" ? undefined : true;
    });
  }

  async function lenses(name = "hello.mail.md"): Promise<readonly string[]> {
    const found = await vscode.commands.executeCommand<vscode.CodeLens[]>("vscode.executeCodeLensProvider", uri(name));
    assert.ok(found.every(({ range }) => range.start.line === 0));
    return found.map(({ command }) => command?.title ?? "");
  }

  function shown(file: string): readonly vscode.Diagnostic[] {
    return vscode.languages.getDiagnostics(uri(file)).filter(({ source }) => source === "Bulk Mail");
  }

  async function shows(what: string, file: string, codes: readonly string[]): Promise<void> {
    await until(what, vscode.languages.onDidChangeDiagnostics, () =>
      isDeepStrictEqual(
        shown(file).map(({ code }) => code),
        codes,
      ),
    );
  }

  const kinds: readonly (readonly [string, Readonly<Record<string, string | Buffer>>, Expected])[] = [
    [
      "an unknown placeholder, with what was meant",
      { "hello.mail.md": campaign({}, "Hello {{ nmae }}"), "people.csv": people },
      { file: "hello.mail.md", line: 6, code: "liquid.unknown" },
    ],
    [
      "broken YAML",
      {
        "hello.mail.md": `---\nid: ${id}\nsubject: "Hello\nrecipients: people.csv\n---\nHello\n`,
        "people.csv": people,
      },
      { file: "hello.mail.md", line: 2, code: "frontMatter.yaml" },
    ],
    [
      "a missing recipients file",
      { "hello.mail.md": campaign({ recipients: "nobody.csv" }), "people.csv": people },
      { file: "hello.mail.md", line: 4, code: "file.missing" },
    ],
    [
      "no address column",
      { "hello.mail.md": campaign(), "people.csv": "name,plan\nAda,pro\nGrace,free\n" },
      { file: "hello.mail.md", line: 4, code: "list.noAddressColumn" },
    ],
    [
      "a bad address in a cell",
      { "hello.mail.md": campaign(), "people.csv": `${people}linus@@example.net,Linus,free\n` },
      { file: "people.csv", line: 3, code: "address.invalid" },
    ],
    [
      "a duplicate address with different data",
      { "hello.mail.md": campaign(), "people.csv": `${people}ADA@example.com,Augusta,free\n` },
      { file: "people.csv", line: 3, code: "address.duplicate" },
    ],
    [
      "a missing id",
      { "hello.mail.md": campaign({ id: "" }), "people.csv": people },
      { file: "hello.mail.md", line: 0, code: "id.missing" },
    ],
    [
      "a copied id",
      { "hello.mail.md": campaign(), "copy.mail.md": campaign(), "people.csv": people },
      { file: "hello.mail.md", line: 1, code: "id.copied" },
    ],
    [
      "a quote that never closes",
      { "hello.mail.md": campaign(), "people.csv": `${people}linus@example.net,"Linus,free\n` },
      { file: "people.csv", line: 3, code: "list.unclosedQuote" },
    ],
    [
      "a missing attachment",
      { "hello.mail.md": campaign({ attachments: "[terms.pdf]" }), "people.csv": people },
      { file: "hello.mail.md", line: 5, code: "attachment.missing" },
    ],
    [
      "an attachment outside the workspace",
      { "hello.mail.md": campaign({ attachments: "[../../outside.pdf]" }), "people.csv": people },
      { file: "hello.mail.md", line: 5, code: "attachment.outside" },
    ],
    [
      "an empty list",
      { "hello.mail.md": campaign(), "people.csv": "email,name,plan\n" },
      { file: "people.csv", line: 0, code: "list.empty" },
    ],
    [
      "an encoding that is not UTF-8",
      {
        "hello.mail.md": campaign(),
        "people.csv": Buffer.from(`${people}rene@example.net,Ren\u00e9,free\n`, "latin1"),
      },
      { file: "people.csv", line: 3, code: "encoding.fallback" },
    ],
  ];

  for (const [title, files, expected] of kinds) {
    it(`shows ${title} at its place`, async () => {
      await open(files);
      const seen = (): string => JSON.stringify([shown("people.csv"), shown("hello.mail.md")].map(summary));
      // What is about another file may come with a later check, when VS Code has told of that file.
      await eventually(
        () => Promise.resolve(`${expected.code} in line ${String(expected.line)} among ${seen()}`),
        () =>
          Promise.resolve(
            shown(expected.file).some(({ range, code }) => range.start.line === expected.line && code === expected.code)
              ? true
              : undefined,
          ),
      );
    });
  }

  it("notices a copied id in a folder that was moved into the workspace", async () => {
    await open({ "hello.mail.md": campaign(), "people.csv": people });
    const outside = await mkdtemp(path.join(tmpdir(), "bulk-mail-moved-"));
    await writeFiles(outside, { "copy.mail.md": campaign(), "people.csv": people });
    await rename(outside, uri("moved").fsPath);
    await shows("the copied id", "hello.mail.md", ["id.copied"]);
  });

  it("has nothing to say about a good campaign, and counts it in the CodeLens", async () => {
    await open({ "hello.mail.md": campaign(), "people.csv": people });
    assert.deepEqual([...shown("hello.mail.md"), ...shown("people.csv")], []);
    assert.deepEqual(await lenses(), ["2 recipients", "Preview", "Send test to me", "Rehearse", "Send…"]);
  });

  it("finds nothing wrong with the example that people try first", async () => {
    folder = await makeFolder({});
    await cp(path.join(extensionRoot(), "examples", "spring"), folder, { recursive: true });
    await vscode.window.showTextDocument(uri("spring.mail.md"));
    await eventually("the count", async () =>
      (await lenses("spring.mail.md"))[0] === "25 recipients" ? true : undefined,
    );
    assert.deepEqual(shown("spring.mail.md"), []);
  });

  it("counts problems in the CodeLens, and offers no sending then", async () => {
    await open({ "hello.mail.md": campaign({}, "{{ nmae }}"), "people.csv": people });
    assert.deepEqual(await lenses(), ["$(error) 1 problem", "Preview"]);
  });

  it("follows what is typed, unsaved, in the list", async () => {
    await open({ "hello.mail.md": campaign(), "people.csv": people });
    const edit = new vscode.WorkspaceEdit();
    edit.insert(uri("people.csv"), new vscode.Position(3, 0), "nobody,No,pro\n");
    await vscode.workspace.applyEdit(edit);
    await shows("the bad address", "people.csv", ["address.invalid"]);
    assert.equal(await readFile(uri("people.csv").fsPath, "utf8"), people, "nothing was saved");
    await vscode.window.showTextDocument(uri("people.csv"));
    await vscode.commands.executeCommand("workbench.action.files.revert");
    await shows("the end of the problem", "people.csv", []);
  });

  it("notices a missing attachment that comes, and one that goes", async () => {
    await open({ "hello.mail.md": campaign({ attachments: "[terms.pdf]" }), "people.csv": people });
    await shows("the missing attachment", "hello.mail.md", ["attachment.missing"]);
    await writeFiles(folder, { "terms.pdf": "terms" });
    await shows("the attachment", "hello.mail.md", []);
    await rm(uri("terms.pdf").fsPath);
    await shows("its end", "hello.mail.md", ["attachment.missing"]);
  });

  it("forgets its problems when the campaign is gone", async () => {
    await open({ "hello.mail.md": campaign({}, "{{ nmae }}"), "people.csv": people });
    await shows("the problem", "hello.mail.md", ["liquid.unknown"]);
    await vscode.commands.executeCommand("workbench.action.closeAllEditors");
    await vscode.workspace.fs.delete(uri("hello.mail.md"));
    await shows("the end of the problem", "hello.mail.md", []);
  });

  it("gives a campaign without id one by a quick fix, and is content then", async () => {
    await open({ "hello.mail.md": campaign({ id: "" }), "people.csv": people });
    const [problem] = shown("hello.mail.md");
    assert.equal(problem?.code, "id.missing");
    const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
      "vscode.executeCodeActionProvider",
      uri("hello.mail.md"),
      problem.range,
      vscode.CodeActionKind.QuickFix.value,
    );
    const fix = actions.find(({ title }) => title === "Add an id");
    assert.ok(fix?.edit, `there is no fix among ${actions.map(({ title }) => title).join(", ")}`);
    await vscode.workspace.applyEdit(fix.edit);
    const text = (await vscode.workspace.openTextDocument(uri("hello.mail.md"))).getText();
    assert.match(text, /^---\nid: [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n/);
    await shows("the end of the problem", "hello.mail.md", []);
  });

  it("ends a check that takes over two seconds and says so", async () => {
    await open({ "hello.mail.md": campaign(), "people.csv": people });
    const rows = Array.from({ length: 600_000 }, (_, i) => `person${String(i)}@example.com,Person ${String(i)},pro`);
    await writeFile(uri("people.csv").fsPath, `email,name,plan\n${rows.join("\n")}\n`);
    await eventually("the end of the check", async () =>
      (await lenses())[0]?.includes("too long to check while you type") === true ? true : undefined,
    );
  });
});

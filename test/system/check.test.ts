import assert from "node:assert/strict";
import { symlink, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { Sandbox } from "../fakes/cli";

const isWindows = process.platform === "win32";
const id = "0b0e7d3a-8f4e-4d52-9f0a-6f2f1f9e5a11";
const list = "email,name\nada@example.com,Ada\nbob@example.org,Bob\n";

/** A campaign's text; a key set to undefined is left out. */
function campaign(keys: Readonly<Record<string, string | undefined>> = {}, body = "Hello {{ name }}"): string {
  const all: Readonly<Record<string, string | undefined>> = {
    id,
    subject: "Hi",
    from: "Ada <ada@example.com>",
    recipients: "people.csv",
    ...keys,
  };
  const lines = Object.entries(all).flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${value}`]));
  return ["---", ...lines, "---", body, ""].join("\n");
}

/** Bad input: the files, where `check` must point (file:line:column), and what the sentence says, the next step included. */
const kinds: readonly (readonly [string, Readonly<Record<string, string | Buffer>>, string, RegExp])[] = [
  [
    "an unknown placeholder",
    { "a.mail.md": campaign({}, "Hello {{ nmae }}") },
    "a.mail.md:7:10",
    /“nmae”.*Did you mean “name”\?/,
  ],
  ["broken YAML", { "a.mail.md": campaign({ subject: '"Hi' }) }, "a.mail.md:3:10", /not valid YAML.*Mend this line/],
  [
    "a missing recipients file",
    { "a.mail.md": campaign({ recipients: "gone.csv" }) },
    "a.mail.md:5:13",
    /“gone\.csv” does not exist\. Create it/,
  ],
  [
    "no address column",
    { "people.csv": "who,name\nAda,Ada\n" },
    "a.mail.md:5:13",
    /No column holds e-mail addresses.*name the right one/,
  ],
  [
    "a bad address in a cell",
    { "people.csv": "email,name\nada@example.com,Ada\nbob at example,Bob\n" },
    "people.csv:3:1",
    /“bob at example”.*Correct the cell/,
  ],
  [
    "one address with different data",
    { "people.csv": `${list}ada@example.com,Eve\n` },
    "people.csv:4:1",
    /stands in line 2 already, with different data\. Add key:/,
  ],
  ["a missing id", { "a.mail.md": campaign({ id: undefined }) }, "a.mail.md:1:1", /has no id.*add the id/],
  [
    "a copied id",
    { "other.mail.md": campaign() },
    "a.mail.md:2:5",
    /same as in “other\.mail\.md”.*give this one a new id/,
  ],
  [
    "an unclosed quote",
    { "people.csv": 'email,name\nada@example.com,Ada\nbob@example.org,"Bob\n' },
    "people.csv:3:17",
    /never closes.*Close or remove it/,
  ],
  [
    "a missing attachment",
    { "a.mail.md": campaign({ attachments: "[terms.pdf]" }) },
    "a.mail.md:6:15",
    /“terms\.pdf” does not exist\. Create it/,
  ],
  [
    "an attachment outside the workspace",
    { "a.mail.md": campaign({ attachments: "[../outside.txt]" }) },
    "a.mail.md:6:15",
    /lies outside.*Move it inside/,
  ],
  [
    "an attachment that is a link to outside",
    { "a.mail.md": campaign({ attachments: "[link.txt]" }) },
    "a.mail.md:6:15",
    /lies outside.*Move it inside/,
  ],
  [
    "an empty list",
    { "people.csv": "email,name\n" },
    "people.csv:1:1",
    /no rows\. Add a header line and at least one row/,
  ],
  [
    "an encoding that had to be guessed",
    { "people.csv": Buffer.from("email,name\nada@example.com,Ren\xe9\n", "latin1") },
    "people.csv:2:20",
    /not UTF-8.*save it as UTF-8/,
  ],
];

describe("check points at every bad input: file, line, column and the next step (R50, R51)", () => {
  let sandbox: Sandbox;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
    await writeFile(path.join(sandbox.folder, "outside.txt"), "secret");
    // Windows lets only few users make links; there the one case that needs it is skipped.
    if (!isWindows) await symlink(path.join(sandbox.folder, "outside.txt"), path.join(sandbox.workspace, "link.txt"));
    await sandbox.write({ "a.mail.md": campaign(), "people.csv": list });
  });
  afterEach(() => sandbox.remove());

  it("nothing where nothing is wrong (the frame of these tests)", async () => {
    const { code, stdout } = await sandbox.run(["check", "a.mail.md"]);
    assert.deepEqual([code, stdout], [0, "No problems.\n"]);
  });

  for (const [title, files, place, sentence] of kinds)
    it(title, async function () {
      if (isWindows && title.includes("link")) return this.skip();
      await sandbox.write(files);
      const { code, stdout } = await sandbox.run(["check", "a.mail.md"]);
      const found = stdout.split("\n").filter((line) => sentence.test(line));
      assert.equal(found.length, 1, stdout);
      assert.ok(found[0]?.startsWith(`${place}: `), found[0]);
      assert.equal(code, found[0]?.includes(" warning: ") === true ? 0 : 1);
    });
});

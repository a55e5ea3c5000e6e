/** Where campaigns name columns, and what a column may be called. */
import assert from "node:assert/strict";
import { realpath } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { columnsAfterRename, diskFiles, prepareCampaign, type Mention } from "../../src/mail/index";

describe("mentions of columns (R51)", () => {
  async function mentions(
    campaign: string,
    list = "email,First Name,plan\nada@example.com,Ada,pro\n",
  ): Promise<string[]> {
    const root = await realpath(tmpdir());
    const file = path.join(root, "mentions.mail.md");
    const texts = new Map([
      [file, campaign],
      [path.join(root, "people.csv"), list],
    ]);
    const files = await diskFiles(root, texts);
    const { value } = await prepareCampaign({
      file,
      files,
      csv: { delimiter: "auto", encoding: "auto" },
      sender: { from: "Ada <ada@example.com>", replyTo: undefined },
    });
    const lines = campaign.split("\n");
    return (value?.mentions ?? []).map((mention) => `${String(mention.column)} ${shown(mention, lines)} ${mention.as}`);
  }

  function shown({ range: { start, end } }: Mention, lines: readonly string[]): string {
    assert.equal(start.line, end.line);
    return `${String(start.line)}:${lines[start.line]?.slice(start.character, end.character) ?? ""}`;
  }

  it("finds them in every text, with brackets and quotes, and in conditions", async () => {
    const campaign = [
      "---",
      "id: 5e3b7c1e-52a4-4b0e-9f0e-0f6f9a1d2c01",
      'subject: "For {{ first_name | upcase }}"',
      "recipients: people.csv",
      "where: plan == 'pro'",
      "key: plan",
      "---",
      `Hello {{ ["First Name"] }}, {% if plan.size > 2 %}{{ email | append: plan }}{% endif %}`,
      "{% assign x = first_name %}{{ x }}{% for plan in x %}{{ plan }}{% endfor %}",
    ].join("\n");
    assert.deepEqual((await mentions(campaign)).sort(), [
      "0 7:email expression",
      "1 2:first_name expression",
      '1 7:["First Name"] expression',
      "1 8:first_name expression",
      "2 4:plan expression",
      "2 5:plan header",
      "2 7:plan expression",
      "2 7:plan expression",
    ]);
  });
});

describe("a column's new name (R51)", () => {
  const columns = [
    { name: "email", alias: undefined },
    { name: "First Name", alias: "first_name" },
    { name: "plan", alias: undefined },
  ];
  const table: readonly (readonly [string, string])[] = [
    ["nickname", "nickname"],
    ["Given Name", "given_name"],
    ["Straße", "Straße"],
    ["2nd", "_2nd"],
    ["plan", "refused"],
    ["Plan", "refused"],
    ["E-Mail", "E-Mail"],
    ["", "refused"],
    ['a "b"', "refused"],
    ["ada@example.com", "refused"],
    ["!!!", "refused"],
    ["a\nb", "refused"],
  ];
  for (const [name, expected] of table)
    it(`${JSON.stringify(name)} is ${expected === "refused" ? "refused with a reason" : `written ${expected}`}`, () => {
      const renamed = columnsAfterRename(columns, 1, name);
      if (expected === "refused") assert.ok(!renamed.ok && renamed.text.endsWith("."));
      else assert.deepEqual(renamed, { ok: true, header: name, expression: expected });
    });

  it("its own name is no clash", () => {
    assert.deepEqual(columnsAfterRename(columns, 1, "first name"), {
      ok: true,
      header: "first name",
      expression: "first_name",
    });
  });
});

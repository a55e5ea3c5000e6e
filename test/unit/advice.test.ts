/** What is not wrong and still told: each at its place, none a reason not to send. */
import assert from "node:assert/strict";
import { mkdtemp, realpath, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { advice, isRoleAddress } from "../../src/mail/advice";
import { parseCampaign } from "../../src/mail/campaign";
import type { CampaignTemplates } from "../../src/mail/campaignTemplates";
import { checkRows, diskFiles, parseAccount, prepareCampaign, senderOf } from "../../src/mail/index";
import type { Problem } from "../../src/mail/index";

describe("advice about a campaign (R10, R44, R52, R59)", () => {
  let root: string;

  beforeEach(async () => {
    root = await realpath(await mkdtemp(path.join(tmpdir(), "advice-")));
  });
  afterEach(() => rm(root, { recursive: true }));

  interface Campaign {
    readonly lines?: readonly string[];
    readonly body?: string;
    readonly list?: string;
    readonly name?: string;
    readonly maxSize?: number | undefined;
    readonly replacedBy?: string;
  }

  async function problems({
    lines = [],
    body = "Hello {{ name }}",
    list = "email,name\nada@example.com,Ada\n",
    name = "hello.mail.md",
    maxSize,
    replacedBy,
  }: Campaign): Promise<readonly Problem[]> {
    const subject = lines.some((line) => line.startsWith("subject:")) ? [] : ["subject: Hello"];
    const from = lines.some((line) => line.startsWith("from:")) ? [] : ["from: Ada <ada@example.com>"];
    const head = ["---", "id: 5e3b7c1e-52a4-4b0e-9f0e-0f6f9a1d2c01", ...subject, ...from];
    const file = path.join(root, name);
    await writeFile(file, [...head, "recipients: people.csv", ...lines, "---", body, ""].join("\n"));
    await writeFile(path.join(root, "people.csv"), list);
    const { value, problems: opened } = await prepareCampaign({
      file,
      files: await diskFiles(root),
      csv: { delimiter: "auto", encoding: "auto" },
      sender: { from: undefined, replyTo: undefined, maxSize, replacedBy },
    });
    const checked = value === undefined ? [] : (await checkRows(value)).problems;
    return [...opened, ...checked];
  }

  const shown = (found: readonly Problem[]): readonly string[] =>
    found.map(
      ({ code, severity, range: { start } }) => `${code} ${severity} ${String(start.line)}:${String(start.character)}`,
    );

  it("has nothing to say about a plain letter", async () => {
    assert.deepEqual(await problems({ body: "Hello {{ name }}, [see](https://example.com)" }), []);
  });

  it("a subject that nobody sees the end of; placeholders do not count", async () => {
    const long = "x".repeat(79);
    assert.deepEqual(shown(await problems({ lines: [`subject: ${long}`] })), ["subject.long information 4:9"]);
    const filled = `subject: "${"x".repeat(70)} {{ name | default: 'a name that is long' }}"`;
    assert.deepEqual(shown(await problems({ lines: [filled] })), []);
  });

  it("pictures from the web, in Markdown and HTML", async () => {
    const found = await problems({
      body: 'A ![b](https://example.com/b.png) and\n<img alt="x" src="http://example.com/c.png">',
    });
    assert.deepEqual(shown(found), ["body.remoteImage information 6:7", "body.remoteImage information 7:18"]);
  });

  it("links without a scheme, with the scheme as a fix", async () => {
    const found = await problems({
      body: "[a](www.example.com/x) [b](example.org) [c](#top) [d](terms.pdf)\n`[e](www.example.com)`",
    });
    assert.deepEqual(shown(found), ["body.noScheme warning 6:4", "body.noScheme warning 6:27"]);
    assert.deepEqual(
      found.map(({ fixes }) => fixes?.[0]?.text),
      ["https://www.example.com/x", "https://example.org"],
    );
    const html = await problems({ name: "hello.mail.html", body: "<p>x</p><a class='y' href='www.example.com'>x</a>" });
    assert.deepEqual(shown(html), ["body.noScheme warning 6:27"]);
  });

  describe("a sender that the account's provider may replace (R1)", () => {
    it("is told at its line, with both addresses", async () => {
      const [found, ...more] = await problems({ replacedBy: "grace@gmail.com" });
      assert.deepEqual(more, []);
      assert.deepEqual(found && shown([found]), ["from.replaced information 3:6"]);
      assert.match(found?.message ?? "", /sends as “grace@gmail\.com” instead, unless “ada@example\.com” is among/);
    });

    it("is nobody whose address is the account's own, in any writing that Gmail takes for it", async () => {
      for (const from of ["ada.l@gmail.com", "Ada <AdaL@gmail.com>", '"Ada L." <a.dal@googlemail.com>'])
        assert.deepEqual(await problems({ lines: [`from: '${from}'`], replacedBy: "adal@gmail.com" }), [], from);
      const lines = ["from: adal+news@gmail.com"];
      assert.deepEqual(shown(await problems({ lines, replacedBy: "adal@gmail.com" })), [
        "from.replaced information 4:6",
      ]);
    });

    it("is known of Gmail alone, whichever way the mail takes", () => {
      const replacedBy = (settings: object): string | undefined => {
        const { value } = parseAccount("work", settings);
        assert.ok(value !== undefined);
        return senderOf(value).replacedBy;
      };
      const user = "ada@example.com";
      for (const transport of ["smtp", "gmailApi"])
        assert.equal(replacedBy({ provider: "gmail", user, transport, from: "news@example.com" }), user);
      assert.equal(replacedBy({ provider: "outlook", user }), undefined);
      assert.equal(replacedBy({ host: "smtp.example.com", user }), undefined);
    });
  });

  it("offers the columns where nobody knows which one holds the addresses", async () => {
    const [problem] = await problems({ list: "Contact,First Name\nask Ada,Ada\n", body: "Hello" });
    assert.equal(problem?.code, "list.noAddressColumn");
    assert.deepEqual(
      problem.fixes?.map(({ title, text }) => [title, text]),
      [
        ["Take the addresses from Contact", '\nto: "{{ Contact }}"'],
        ["Take the addresses from First Name", '\nto: "{{ first_name }}"'],
      ],
    );
  });

  it("takes no time for hostile bodies", () => {
    for (const body of [
      "[".repeat(200_000),
      "<a ".repeat(100_000),
      "`".repeat(200_000),
      "```\n".repeat(50_000),
      "![](".repeat(50_000),
    ]) {
      const began = performance.now();
      const { value } = parseCampaign(`---\nid: x\n---\n${body}`, "/hello.mail.md");
      advice(value, { body: undefined } as unknown as CampaignTemplates, value.body);
      assert.ok(performance.now() - began < 2_000, body.slice(0, 6));
    }
  });

  it("a letter that is nothing but pictures", async () => {
    await writeFile(path.join(root, "banner.png"), "PNG");
    const found = await problems({ name: "hello.mail.html", body: '<img src="banner.png" alt="">' });
    assert.deepEqual(shown(found), ["body.noText warning 6:0"]);
  });

  it("a mailing without a way to leave the list", async () => {
    const rows = (count: number): string =>
      `email,name\n${Array.from({ length: count }, (_, i) => `p${String(i)}@example.com,P\n`).join("")}`;
    assert.deepEqual(shown(await problems({ list: rows(199) })), []);
    assert.deepEqual(shown(await problems({ list: rows(200) })), ["unsubscribe.missing information 4:12"]);
    const [fix] = (await problems({ list: rows(200) }))[0]?.fixes ?? [];
    assert.equal(fix?.text, '\nunsubscribe: "mailto:ada@example.com?subject=unsubscribe"');
    assert.deepEqual([fix.range.start, fix.range.end], [fix.range.end, { line: 4, character: 22 }]);
    const lines = ["unsubscribe: mailto:leave@example.com"];
    assert.deepEqual(shown(await problems({ list: rows(200), lines })), []);
  });

  it("mailboxes of roles, row by row", async () => {
    const found = await problems({
      list: "email,name\nInfo@example.com,I\nada@example.com,A\nno-reply@example.com,N\n",
    });
    assert.deepEqual(shown(found), ["address.role information 1:0", "address.role information 3:0"]);
    assert.ok(isRoleAddress("MAILER-DAEMON@example.com"));
    for (const other of ["information@example.com", "ada.info@example.com", "x@info", "@", ""])
      assert.ok(!isRoleAddress(other));
  });

  describe("files that the account's provider does not take", () => {
    const file = async (name: string, megabytes: number): Promise<void> => {
      await writeFile(path.join(root, name), "x");
      await truncate(path.join(root, name), megabytes * 1024 * 1024);
    };
    const maxSize = 25 * 1024 * 1024;

    it("of all rows: nothing is sent", async () => {
      await file("big.pdf", 19);
      const lines = ["attachments: [big.pdf]"];
      assert.deepEqual(shown(await problems({ lines, maxSize })), ["message.tooLarge error 5:14"]);
      assert.deepEqual(shown(await problems({ lines })), []);
      await file("big.pdf", 17);
      assert.deepEqual(shown(await problems({ lines, maxSize })), []);
    });

    it("of one row: the others are sent", async () => {
      await file("all.pdf", 10);
      await file("ada.pdf", 9);
      await file("grace.pdf", 1);
      const found = await problems({
        lines: ["attachments:", '  - "all.pdf"', '  - "{{ name }}.pdf"'],
        list: "email,name\nada@example.com,ada\ngrace@example.com,grace\n",
        maxSize,
      });
      assert.deepEqual(shown(found), ["message.tooLarge error 1:0"]);
      assert.equal(found[0]?.rowOnly, true);
    });

    it("the limit is the provider's", () => {
      const { value } = parseAccount("gmail", { provider: "gmail", user: "ada@example.com" });
      assert.equal(value === undefined ? undefined : senderOf(value).maxSize, maxSize);
      const { value: own } = parseAccount("own", { host: "smtp.example.com", user: "ada@example.com" });
      assert.equal(own === undefined ? 0 : senderOf(own).maxSize, undefined);
    });
  });
});

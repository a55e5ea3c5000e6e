import assert from "node:assert/strict";
import { mkdtemp, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import fc from "fast-check";
import { diskFiles } from "../../src/mail/files";
import { exportRows } from "../../src/mail/exportRows";
import { Journal, JournalError, type JournalRecord } from "../../src/mail/journal";
import { createPlan, lastRun, type Plan } from "../../src/mail/plan";
import { systemClock } from "../../src/mail/ports";
import { checkRows, prepareCampaign } from "../../src/mail/preflight";
import { readReport, writeReportCsv } from "../../src/mail/report";
import { quickPace } from "../fakes/accounts";

const campaignId = "7d0c1a52-0000-4000-8000-000000000001";
const csv = { delimiter: "auto", encoding: "auto" } as const;
const sender = { from: "Ada <ada@example.com>", replyTo: undefined };

describe("rows of a report (R33, R35, R36, R58)", function () {
  // Real plans and journals on a disk that may be busy.
  this.timeout(60_000);
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "report-"));
    await mkdir(path.join(folder, "workspace"));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  /** A run of this list whose journal holds these records. */
  async function runOf(list: string | Buffer, records: readonly JournalRecord[], matter = ""): Promise<Plan> {
    const root = path.join(folder, "workspace");
    await rm(path.join(folder, "state"), { recursive: true, force: true });
    const file = path.join(root, "spring.mail.md");
    await writeFile(path.join(root, "list.csv"), list);
    await writeFile(
      file,
      `---\nid: ${campaignId}\nsubject: Hello {{ name }}\nrecipients: list.csv\n${matter}---\nHello {{ name }}\n`,
    );
    const { value: prepared, problems } = await prepareCampaign({ file, files: await diskFiles(root), csv, sender });
    assert.ok(prepared !== undefined, JSON.stringify(problems));
    const plan = await createPlan(
      {
        stateDirectory: path.join(folder, "state"),
        prepared,
        check: await checkRows(prepared),
        target: { kind: "sandbox" },
        root,
        csv,
        sender,
        pace: quickPace,
        previousRunId: undefined,
      },
      systemClock,
    );
    const about = { campaignId, runId: plan.runId, generation: 1, at: 1, host: "h" };
    const journal = await Journal.open(plan.directory, about);
    journal.append(...records);
    await journal.close();
    return plan;
  }

  const begun = (k: string): readonly JournalRecord[] => [
    { t: "attempt", k, n: 1, id: `<${k}>`, at: 1 },
    { t: "data", k, n: 1, at: 2 },
  ];

  /** What can be on record of somebody. */
  const ends: readonly ((k: string) => readonly JournalRecord[])[] = [
    () => [],
    begun,
    (k) => [...begun(k), { t: "ok", k, reply: "250 Ok", ms: 7, at: Date.parse("2026-01-05T09:00:00Z") }],
    (k) => [...begun(k), { t: "fail", k, class: "recipient", reply: "550 no such user", ms: 8, at: 4 }],
    (k) => [...begun(k), { t: "unknown", k, why: "no reply", at: 5 }],
    (k) => [...begun(k), { t: "defer", k, class: "deferred", reply: "450 later", next: 9, counts: true, at: 6 }],
    (k) => [{ t: "skip", k, why: "suppressed since", at: 6 }],
    (k) => [...begun(k), { t: "unknown", k, why: "no reply", at: 5 }, { t: "resolve", k, as: "sent", at: 6 }],
  ];

  const seven =
    'name,email\r\n"O, Pen",pending@x.org\r\nDoubt,doubt@x.org\r\nOk,ok@x.org\r\n"=Fail ""q""\nof two",fail@x.org\r\nUnknown,unknown@x.org\r\nDefer,defer@x.org\r\nSkip,skip@x.org\r\nBad,not an address\r\n';
  const people = ["pending", "doubt", "ok", "fail", "unknown", "defer", "skip"].map((name) => `${name}@x.org`);
  const recordsOfSeven = people.flatMap((k, index) => ends[index]?.(k) ?? []);

  it("have outcome, class, reply, attempts, message id, time and duration of each", async () => {
    const { recipients, totals } = await readReport(await runOf(seven, recordsOfSeven));
    assert.deepEqual(
      recipients.map((row) => [row.address, row.line, row.outcome, row.class, row.attempts, row.reply, row.messageId]),
      [
        ["pending@x.org", 2, "pending", undefined, 0, undefined, undefined],
        ["doubt@x.org", 3, "unknown", "unknown", 1, undefined, "<doubt@x.org>"],
        ["ok@x.org", 4, "accepted", undefined, 1, "250 Ok", "<ok@x.org>"],
        ["fail@x.org", 5, "failed", "recipient", 1, "550 no such user", "<fail@x.org>"],
        ["unknown@x.org", 7, "unknown", "unknown", 1, "no reply", "<unknown@x.org>"],
        ["defer@x.org", 8, "pending", "deferred", 1, "450 later", "<defer@x.org>"],
        ["skip@x.org", 9, "skipped", undefined, 0, "suppressed since", undefined],
        ["not an address", 10, "failed", "recipient", 0, recipients[7]?.reply, undefined],
      ],
    );
    assert.match(recipients[7]?.reply ?? "", /not an address/);
    assert.deepEqual(recipients.map(({ acceptedAt, durationMs }) => [acceptedAt, durationMs]).slice(1, 4), [
      [undefined, undefined],
      ["2026-01-05T09:00:00.000Z", 7],
      [undefined, 8],
    ]);
    assert.deepEqual(totals, { accepted: 1, failed: 2, unknown: 2, pending: 2, skipped: 1 });
  });

  it("add up to the totals and to the list, whatever the list and the journal are (property)", async () => {
    const cell = fc.constantFrom("a@x.org", "b@x.org", "c@x.org", "d@x.org", "é@x.org", "not an address", "");
    const rows = fc.array(fc.tuple(cell, fc.constantFrom("Ada", "Bob"), fc.constantFrom("yes", "no")), {
      minLength: 1,
      maxLength: 12,
    });
    const fates = fc.array(fc.nat({ max: ends.length - 1 }), { minLength: 5, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(rows, fates, async (list, picks) => {
        const text = `name,email,go\n${list.map(([address, name, go]) => `${name},${address},${go}\n`).join("")}`;
        // A row of the list that is sure to be kept: one without anybody is no run.
        const plan = await runOf(`${text}Eve,e@x.org,yes\n`, [], `where: go == "yes"\n`);
        const mailable = (await readReport(plan)).recipients.filter(({ outcome }) => outcome === "pending");
        const records = mailable.flatMap(({ address }, index) => ends[picks[index % 5] ?? 0]?.(address) ?? []);
        const journal = await Journal.open(plan.directory, {
          campaignId,
          runId: plan.runId,
          generation: 2,
          at: 1,
          host: "h",
        });
        journal.append(...records);
        await journal.close();
        const { recipients, totals } = await readReport(plan);
        const counted = { accepted: 0, failed: 0, unknown: 0, skipped: 0, pending: 0 };
        for (const { outcome } of recipients) counted[outcome]++;
        assert.deepEqual(totals, counted);
        assert.equal(recipients.length, list.filter(([, , go]) => go === "yes").length + 1);
      }),
      { numRuns: 15 },
    );
  });

  it("are written as a CSV into the run's folder, for this user alone, and nothing else is left there", async () => {
    const plan = await runOf(seven, recordsOfSeven);
    await writeReportCsv(plan);
    const file = await writeReportCsv(plan);
    assert.equal(file, path.join(plan.directory, "report.csv"));
    assert.equal((await readFile(file, "utf8")).split("\r\n").length, 1 + 8 + 1);
    if (process.platform !== "win32") assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.deepEqual(
      (await readdir(plan.directory)).filter((name) => name.startsWith("report")),
      ["report.csv"],
    );
  });

  describe("of a damaged journal (R57)", () => {
    /** A byte in the record before the last acceptance is flipped. */
    async function damagedRun(): Promise<Plan> {
      const plan = await runOf(seven, [...recordsOfSeven, { t: "ctl", what: "stop", at: 9 }]);
      const file = path.join(plan.directory, "journal-000001.jsonl");
      const bytes = await readFile(file);
      bytes[bytes.indexOf("550 no such user")] = 0x20;
      await writeFile(file, bytes);
      return plan;
    }

    it("count whoever is not accepted as unknown, add up, and come with a note", async () => {
      const { note, recipients, totals } = await readReport(await damagedRun());
      assert.match(
        note ?? "",
        /^The journal journal-000001\.jsonl is damaged at byte \d+, so who was mailed is not certain\. .* Until then, whoever is not accepted counts as unknown\.$/,
      );
      assert.deepEqual(
        recipients.map(({ outcome }) => outcome),
        ["unknown", "unknown", "accepted", "unknown", "unknown", "unknown", "unknown", "failed"],
      );
      assert.deepEqual(totals, { accepted: 1, failed: 1, unknown: 6, pending: 0, skipped: 0 });
    });

    it("are for looking only: the last run, and rows to send again, are refused", async () => {
      const plan = await damagedRun();
      const state = path.join(folder, "state");
      await assert.rejects(lastRun(state, campaignId, "sandbox"), JournalError);
      assert.equal((await lastRun(state, campaignId, "sandbox", { tolerant: true }))?.totals.unknown, 6);
      await assert.rejects(exported(plan, ["failed"]), JournalError);
    });
  });

  async function exported(plan: Plan, which: readonly ("failed" | "unknown" | "pending")[]): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of exportRows(plan, which)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  describe("to be sent again (R58)", () => {
    it("are the original's, cell by cell and in its order, under its header; invalid ones count as failed", async () => {
      const plan = await runOf(seven, recordsOfSeven);
      assert.equal(
        (await exported(plan, ["failed"])).toString(),
        'name,email\r\n"=Fail ""q""\nof two",fail@x.org\r\nBad,not an address\r\n',
      );
      assert.equal(
        (await exported(plan, ["unknown", "pending"])).toString(),
        'name,email\r\n"O, Pen",pending@x.org\r\nDoubt,doubt@x.org\r\nUnknown,unknown@x.org\r\nDefer,defer@x.org\r\n',
      );
    });

    it("come from the confirmed copy, whatever became of the original", async () => {
      const plan = await runOf(seven, recordsOfSeven);
      await writeFile(path.join(folder, "workspace", "list.csv"), "email\nother@x.org\n");
      assert.match((await exported(plan, ["pending"])).toString(), /^name,email\r\n"O, Pen",pending@x\.org\r\n/);
    });

    it("keep the separator, also one that only a first line tells, and a mark for what was not UTF-8", async () => {
      const semicolons = await runOf("name;email\nAda, dear;a@x.org\n", []);
      assert.equal((await exported(semicolons, ["pending"])).toString(), "name;email\r\nAda, dear;a@x.org\r\n");
      const carets = await runOf("sep=^\nname^email\nAda^a@x.org\n", []);
      assert.equal((await exported(carets, ["pending"])).toString(), "sep=^\r\nname^email\r\nAda^a@x.org\r\n");
      const marked = await runOf("\ufeffname,email\nAda,a@x.org\n", []);
      assert.equal((await exported(marked, ["pending"])).toString(), "\ufeffname,email\r\nAda,a@x.org\r\n");
      const latin = await runOf(Buffer.from("name,email\nRené,a@x.org\n", "latin1"), []);
      assert.equal((await exported(latin, ["pending"])).toString(), "\ufeffname,email\r\nRené,a@x.org\r\n");
    });

    it("are a list that mails exactly these people again (round trip)", async () => {
      const plan = await runOf(seven, recordsOfSeven);
      const again = await runOf(await exported(plan, ["failed", "unknown", "pending"]), []);
      const { recipients } = await readReport(again);
      assert.deepEqual(
        recipients.map(({ address, outcome }) => [address, outcome]),
        [
          ["pending@x.org", "pending"],
          ["doubt@x.org", "pending"],
          ["fail@x.org", "pending"],
          ["unknown@x.org", "pending"],
          ["defer@x.org", "pending"],
          ["not an address", "failed"],
        ],
      );
    });
  });
});

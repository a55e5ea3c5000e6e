import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "csv-parse/sync";
import { nameTarget, type OpenReport, type Report, type ReportHead, type ReportRow } from "../../src/mail/report";
import { formatReport, formatTable } from "../../src/mail/reportFormats";
import { loopbackAccount } from "../fakes/accounts";

const totals = { accepted: 1, failed: 1, unknown: 1, pending: 1, skipped: 1 };

function row(more: Partial<ReportRow> = {}): ReportRow {
  return {
    address: "bob@example.org",
    key: undefined,
    line: 2,
    outcome: "accepted",
    class: undefined,
    attempts: 1,
    reply: "250 Ok",
    messageId: "<1@example.com>",
    acceptedAt: "2026-01-05T09:00:00.000Z",
    durationMs: 12,
    ...more,
  };
}

/** A report of these rows, which come in batches of at most three. */
function report(recipients: readonly ReportRow[], more: Partial<ReportHead> = {}): OpenReport {
  return {
    campaign: { id: "7d0c1a52-0000-4000-8000-000000000001", file: "/w/spring.mail.md", subject: "Hello {{ name }}" },
    runs: [
      {
        runId: "7d0c1a52-0000-4000-8000-000000000002",
        createdAt: "2026-01-05T08:59:00.000Z",
        finished: true,
        target: "work (smtp.example.com:587)",
        totals,
      },
    ],
    totals,
    ...more,
    rows: async function* () {
      yield [];
      for (let index = 0; index < recipients.length; index += 3) {
        await Promise.resolve();
        yield recipients.slice(index, index + 3);
      }
    },
  };
}

async function text(opened: OpenReport, format: "table" | "csv" | "json"): Promise<string> {
  let all = "";
  for await (const piece of formatReport(opened, format)) all += piece;
  return all;
}

/** The cells of the only row, as a program reads them. */
async function cellsOf(more: Partial<ReportRow>): Promise<Record<string, string>> {
  const [first] = parse<Record<string, string>>(await text(report([row(more)]), "csv"), { columns: true });
  assert.ok(first !== undefined);
  return first;
}

describe("report as CSV (R58)", () => {
  it("has one line a recipient below its header", async () => {
    assert.equal(
      await text(
        report([row(), row({ address: "c@example.org", acceptedAt: undefined, durationMs: undefined })]),
        "csv",
      ),
      [
        "address,key,line,outcome,class,attempts,reply,messageId,acceptedAt,durationMs",
        "bob@example.org,,2,accepted,,1,250 Ok,<1@example.com>,2026-01-05T09:00:00.000Z,12",
        "c@example.org,,2,accepted,,1,250 Ok,<1@example.com>,,",
        "",
      ].join("\r\n"),
    );
  });

  for (const start of ["=", "+", "-", "@", "\t", "\r", "\0", "＝", "＋", "－", "＠"])
    it(`is no formula when a cell starts with ${JSON.stringify(start)}`, async () => {
      const formula = `${start}HYPERLINK("http://evil.example","x")`;
      for (const column of ["address", "key", "reply", "messageId"] as const)
        assert.equal((await cellsOf({ [column]: formula }))[column], `'${formula}`, column);
    });

  it("leaves numbers and dates what they are", async () => {
    const cells = await cellsOf({ line: 7, attempts: 2, durationMs: 0 });
    assert.deepEqual([cells.line, cells.attempts, cells.durationMs], ["7", "2", "0"]);
    assert.equal(cells.acceptedAt, "2026-01-05T09:00:00.000Z");
  });

  it("keeps every text as it is behind the quotes, and no cell begins like a formula (property)", async () => {
    const cell = fc.string({
      unit: fc.constantFrom("a", '"', ",", ";", "\n", "\r", "=", "-", "@", "+", "\t", " ", "'", "é", "＝", "\0"),
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(cell, cell, async (reply, key) => {
        const cells = await cellsOf({ reply, key });
        for (const [cell, value] of [
          [cells.reply, reply],
          [cells.key, key],
        ]) {
          assert.ok(cell === value || cell === `'${String(value)}`);
          assert.ok(!/^[=+\-@\t\r\0＝＋－＠]/.test(String(cell)));
        }
        assert.equal(Object.keys(cells).length, 10);
      }),
    );
  });
});

describe("report as a table (R58)", () => {
  it("has a summary and aligned columns", async () => {
    const shown = await text(
      report([
        row({ line: 2, reply: "250 Ok" }),
        row({
          line: 11,
          address: "a.long.name@example.org",
          key: "inv-7",
          outcome: "failed",
          class: "recipient",
          reply: "550 no such user",
          acceptedAt: undefined,
        }),
        row({ line: 12, outcome: "unknown", class: "unknown", reply: undefined, acceptedAt: undefined }),
      ]),
      "table",
    );
    assert.deepEqual(shown.split("\n"), [
      "Campaign      /w/spring.mail.md",
      "Subject       Hello {{ name }}",
      "Sent through  work (smtp.example.com:587)",
      "Started       2026-01-05T08:59:00.000Z",
      "State         finished",
      "Totals        1 accepted, 1 failed, 1 unknown, 1 pending, 1 skipped",
      "",
      "Line  Address                          Outcome            Time                      Detail",
      "────  ───────────────────────────────  ─────────────────  ────────────────────────  ────────────────",
      "2     bob@example.org                  accepted           2026-01-05T09:00:00.000Z  250 Ok",
      "11    a.long.name@example.org (inv-7)  failed: recipient                            550 no such user",
      "12    bob@example.org                  unknown",
      "",
    ]);
  });

  it("stays plain text, one line a row, whatever servers and files say", async () => {
    const hostile = "550 \u001b[2J\u001b]0;x\u0007[click](command:evil)\u202e\r\nTotals  9 accepted\u2028\u009b1m";
    const shown = await text(
      report([row({ reply: hostile, key: hostile, address: hostile })], {
        campaign: { id: "x", file: hostile, subject: hostile },
      }),
      "table",
    );
    assert.ok(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/.test(shown), JSON.stringify(shown));
    assert.equal(shown.split("\n").length, 11);
    assert.match(shown, /550 \[click\]\(command:evil\) Totals {2}9 accepted/);
  });

  it("shortens what is endless and still aligns the other rows", async () => {
    const shown = await text(report([row({ address: "x".repeat(10_000) }), row()]), "table");
    const [endless, short] = shown.split("\n").slice(9, 11);
    assert.ok((endless?.length ?? 0) < 700);
    assert.equal(short?.indexOf("accepted"), 6 + 60 + 2);
  });

  it("says that a run is not finished, and survives an empty list", async () => {
    assert.match(await text(report([], { runs: [] }), "table"), /State {9}not finished/);
  });
});

describe("report as JSON (R58)", () => {
  it("has the shape that programs rely on", async () => {
    const parsed = JSON.parse(await text(report([row({ key: "inv-7", class: "recipient" })]), "json")) as Report;
    assert.deepEqual(Object.keys(parsed), ["campaign", "runs", "totals", "recipients"]);
    assert.deepEqual(Object.keys(parsed.totals).sort(), ["accepted", "failed", "pending", "skipped", "unknown"]);
    assert.deepEqual(Object.keys(parsed.recipients[0] ?? {}), [
      "address",
      "key",
      "line",
      "outcome",
      "class",
      "attempts",
      "reply",
      "messageId",
      "acceptedAt",
      "durationMs",
    ]);
  });

  it("gives back every value", async () => {
    const original = report([row({ reply: '\u001b[1m"=1+1', key: "é" })]);
    const json = await text(original, "json");
    const recipients = [row({ reply: '\u001b[1m"=1+1', key: "é" })];
    assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify({ ...original, recipients })));
    assert.ok(json.endsWith("}\n"));
  });
});

describe("report of a damaged journal (R57)", () => {
  const note = "The journal is damaged. Until then, whoever is not accepted counts as unknown.";

  it("says so first in a table, and in JSON", async () => {
    assert.ok((await text(report([row()], { note }), "table")).startsWith(`Note          ${note}\nCampaign`));
    assert.equal((JSON.parse(await text(report([row()], { note }), "json")) as Report).note, note);
  });
});

describe("report of a long list (R44, R58)", () => {
  const of = (outcome: ReportRow["outcome"], line: number): ReportRow =>
    row({ outcome, line, address: `p${String(line)}@example.org`, acceptedAt: undefined, reply: undefined });
  const list = (count: number, troubled: (line: number) => boolean): ReportRow[] =>
    Array.from({ length: count }, (_, line) => of(troubled(line) ? "failed" : "accepted", line));

  it("is a table whose columns go on beyond the first thousand rows", async () => {
    const lines = (await text(report(list(2500, () => false)), "table")).split("\n");
    assert.equal(lines.length, 6 + 1 + 2 + 2500 + 1);
    assert.equal(lines.at(-2)?.indexOf("accepted"), lines[9]?.indexOf("accepted"));
  });

  /** What an editor shows, and how often the file was asked for. */
  async function shown(
    rows: readonly ReportRow[],
  ): Promise<{ readonly lines: readonly string[]; readonly asked: number }> {
    let asked = 0;
    const everybody = (): Promise<string> => {
      asked++;
      return Promise.resolve("/state/report.csv");
    };
    const table = await formatTable(report(rows), { most: 10, everybody });
    return { lines: table.split("\n"), asked };
  }

  const addresses = (lines: readonly string[]): readonly (string | undefined)[] =>
    lines.filter((line) => /^\d/.test(line)).map((line) => /p\d+/.exec(line)?.[0]);

  it("is whole, in the order of the list and without a word on files, up to its limit", async () => {
    const rows = list(10, (line) => line > 7);
    const { lines, asked } = await shown(rows);
    assert.equal(asked, 0);
    assert.deepEqual(
      addresses(lines),
      rows.map(({ line }) => `p${String(line)}`),
    );
    assert.equal(lines.join("\n"), await text(report(rows), "table"));
  });

  it("beyond it shows who failed or is unknown first, and where everybody is", async () => {
    const rows = list(2000, (line) => line === 900 || line === 1500);
    const { lines, asked } = await shown(rows);
    assert.equal(asked, 1);
    assert.equal(
      lines[7],
      "The list has 2,000 recipients; these are the 2 that failed or are unknown, then the first 8 of the others. Everybody is in /state/report.csv.",
    );
    assert.deepEqual(addresses(lines).slice(0, 4), ["p900", "p1500", "p0", "p1"]);
    assert.equal(addresses(lines).length, 10);
  });

  it("counts those in trouble who do not fit, and says when nobody is", async () => {
    const many = await shown(list(50, (line) => line % 2 === 0));
    assert.match(many.lines[7] ?? "", /these are the first 10 of the 25 that failed or are unknown\. Everybody/);
    const none = await shown(list(50, () => false));
    assert.match(none.lines[7] ?? "", /none failed or unknown; these are the first 10\. Everybody/);
  });
});

describe("report as JSON of nobody", () => {
  it("has an empty list", async () => {
    assert.deepEqual((JSON.parse(await text(report([]), "json")) as Report).recipients, []);
  });
});

describe("where a run goes, in words", () => {
  it("names account and server, or that nothing left the machine", () => {
    assert.equal(
      nameTarget({ kind: "account", account: loopbackAccount(2525), caSha256: undefined }),
      "loopback (127.0.0.1:2525)",
    );
    assert.match(nameTarget({ kind: "sandbox" }), /nothing left this machine/);
    assert.match(nameTarget({ kind: "outbox", directory: "/w/mails" }), /^Dry run.*\/w\/mails$/);
  });
});

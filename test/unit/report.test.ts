import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "csv-parse/sync";
import { formatReport, nameTarget, type Report, type ReportRow } from "../../src/mail/report";
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

function report(recipients: readonly ReportRow[], more: Partial<Report> = {}): Report {
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
    recipients,
    ...more,
  };
}

/** The cells of the only row, as a program reads them. */
function cellsOf(more: Partial<ReportRow>): Record<string, string> {
  const [first] = parse<Record<string, string>>(formatReport(report([row(more)]), "csv"), { columns: true });
  assert.ok(first !== undefined);
  return first;
}

describe("report as CSV (R58)", () => {
  it("has one line a recipient below its header", () => {
    assert.equal(
      formatReport(
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

  for (const start of ["=", "+", "-", "@", "\t", "\r", "\0"])
    it(`is no formula when a cell starts with ${JSON.stringify(start)}`, () => {
      const text = `${start}HYPERLINK("http://evil.example","x")`;
      for (const column of ["address", "key", "reply", "messageId"] as const)
        assert.equal(cellsOf({ [column]: text })[column], `'${text}`, column);
    });

  it("leaves numbers and dates what they are", () => {
    const cells = cellsOf({ line: 7, attempts: 2, durationMs: 0 });
    assert.deepEqual([cells.line, cells.attempts, cells.durationMs], ["7", "2", "0"]);
    assert.equal(cells.acceptedAt, "2026-01-05T09:00:00.000Z");
  });

  it("keeps every text as it is behind the quotes, and no cell begins like a formula (property)", () => {
    const text = fc.string({
      unit: fc.constantFrom("a", '"', ",", ";", "\n", "\r", "=", "-", "@", "+", "\t", " ", "'", "é"),
      maxLength: 12,
    });
    fc.assert(
      fc.property(text, text, (reply, key) => {
        const cells = cellsOf({ reply, key });
        for (const [cell, value] of [
          [cells.reply, reply],
          [cells.key, key],
        ]) {
          assert.ok(cell === value || cell === `'${String(value)}`);
          assert.ok(!/^[=+\-@\t\r]/.test(String(cell)));
        }
        assert.equal(Object.keys(cells).length, 10);
      }),
    );
  });
});

describe("report as a table (R58)", () => {
  it("has a summary and aligned columns", () => {
    const text = formatReport(
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
    assert.deepEqual(text.split("\n"), [
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

  it("stays plain text, one line a row, whatever servers and files say", () => {
    const hostile = "550 \u001b[2J\u001b]0;x\u0007[click](command:evil)\u202e\r\nTotals  9 accepted\u2028\u009b1m";
    const text = formatReport(
      report([row({ reply: hostile, key: hostile, address: hostile })], {
        campaign: { id: "x", file: hostile, subject: hostile },
      }),
      "table",
    );
    assert.ok(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/.test(text), JSON.stringify(text));
    assert.equal(text.split("\n").length, 11);
    assert.match(text, /550 \[click\]\(command:evil\) Totals {2}9 accepted/);
  });

  it("shortens what is endless and still aligns the other rows", () => {
    const text = formatReport(report([row({ address: "x".repeat(10_000) }), row()]), "table");
    const [endless, short] = text.split("\n").slice(9, 11);
    assert.ok((endless?.length ?? 0) < 700);
    assert.equal(short?.indexOf("accepted"), 6 + 60 + 2);
  });

  it("says that a run is not finished, and survives an empty list", () => {
    assert.match(formatReport(report([], { runs: [] }), "table"), /State {9}not finished/);
  });
});

describe("report as JSON (R58)", () => {
  it("has the shape that programs rely on", () => {
    const parsed = JSON.parse(formatReport(report([row({ key: "inv-7", class: "recipient" })]), "json")) as Report;
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

  it("gives back every value", () => {
    const original = report([row({ reply: '\u001b[1m"=1+1', key: "é" })]);
    assert.deepEqual(JSON.parse(formatReport(original, "json")), JSON.parse(JSON.stringify(original)));
    assert.ok(formatReport(original, "json").endsWith("}\n"));
  });
});

describe("where a run goes, in words", () => {
  it("names account and server, or that nothing left the machine", () => {
    assert.equal(
      nameTarget({ kind: "smtp", account: loopbackAccount(2525), caSha256: undefined }),
      "loopback (127.0.0.1:2525)",
    );
    assert.match(nameTarget({ kind: "sandbox" }), /nothing left this machine/);
    assert.match(nameTarget({ kind: "outbox", directory: "/w/mails" }), /^Dry run.*\/w\/mails$/);
  });
});

/** What people read: questions, toasts, status bar, log. Words of servers and files stay plain text. */
import assert from "node:assert/strict";
import { confirmation, span } from "../../src/commands/confirmation";
import type { Sending } from "../../src/commands/confirmation";
import { campaignText } from "../../src/commands/campaignStarters";
import { lensTitles } from "../../src/language/codeLens";
import { attemptLine } from "../../src/log";
import { unlimited } from "../../src/mail/index";
import type { Ending, Failure, Totals } from "../../src/mail/index";
import { unlinked } from "../../src/notify";
import { phaseText } from "../../src/progress";
import { announceEnd } from "../../src/runEnd";
import type { RunEnd, RunView } from "../../src/runView";
import { statusText } from "../../src/statusBar";
import type { CheckReply } from "../../src/workerProtocol";

const totals: Totals = { accepted: 310, failed: 0, unknown: 2, skipped: 0, pending: 188 };
const view: RunView = {
  file: "/w/spring.mail.md",
  name: "spring",
  sandbox: false,
  phase: "sending",
  total: 500,
  totals,
};
const nobody: Totals = { accepted: 0, failed: 0, unknown: 0, skipped: 0, pending: 0 };

const reply: CheckReply = {
  campaign: {
    id: "5e3b7c1e-52a4-4b0e-9f0e-0f6f9a1d2c01",
    subject: "Hello {{ name }}",
    from: "Ada <ada@example.com>",
    replyTo: "office@example.com",
    cc: ["copy@example.com"],
    bcc: ["archive@example.com"],
    account: "work",
    accountKnown: true,
  },
  problems: [],
  counts: { rows: 30, mail: 24, invalid: 2, skipped: 3, excluded: 1 },
  first: ["ada@example.com"],
  attachments: new Map([["/w/terms.pdf", 12_345]]),
  files: [],
  fingerprint: "",
};

function sending(change: Partial<Sending> = {}): Sending {
  const pace = {
    delay: 1000,
    connections: 1,
    maxAttempts: 5,
    retryInitialDelay: 0,
    retryMaxDelay: 0,
    ...unlimited,
    pauseAfterFailures: 5,
  };
  return {
    name: "spring",
    reply,
    server: "work: smtp.example.com:587 (STARTTLS), as ada",
    pace,
    stateDirectory: "/state",
    remoteName: undefined,
    mailedBefore: 0,
    ...change,
  };
}

describe("sentences", () => {
  it("the question before a send has every number", () => {
    const { message, detail, button } = confirmation(sending());
    assert.equal(message, "Send “spring” to 24 people, without the 2 rows that cannot be mailed?");
    assert.equal(button, "Send");
    const lines = detail.split("\n").filter((line) => !line.startsWith("From this machine: "));
    assert.deepEqual(lines, [
      "List: 30 rows, left out: 1 by where, 3 repeated or suppressed, 2 with errors",
      "From: Ada <ada@example.com>",
      "Reply-To: office@example.com",
      "Cc: copy@example.com",
      "Bcc: archive@example.com",
      "Subject: Hello {{ name }}",
      "Through: work: smtp.example.com:587 (STARTTLS), as ada",
      "Attachments: terms.pdf (12 KB)",
      "First: ada@example.com",
      "Takes: about 23 s, at one message a second",
    ]);
  });

  it("the question names sandbox, repetition and remote machine", () => {
    const sandbox = confirmation(sending({ server: undefined }));
    assert.match(sandbox.message, /into the sandbox\?$/);
    assert.match(sandbox.detail, /^Sandbox: nothing leaves this machine\./);
    const forecast = confirmation(sending({ forecast: "478 today, the rest until Thu 10:40" })).detail;
    assert.match(forecast, /^When: 478 today, the rest until Thu 10:40$/m);
    assert.doesNotMatch(forecast, /^Takes: /m);
    assert.match(confirmation(sending({ mailedBefore: 3 })).detail, /^The last run mailed 3 messages/);
    assert.match(confirmation(sending({ remoteName: "ssh-remote" })).detail, /\(SSH host\)/);
    assert.match(confirmation(sending({ remoteName: "dev-container" })).detail, /\/state, which a rebuild .* deletes/);
  });

  it("spans have two units at most", () => {
    assert.deepEqual([0, 1000, 61_000, 7_500_000, 90_000_000].map(span), [
      "1 s",
      "1 s",
      "1 min 1 s",
      "2 h 5 min",
      "1 d 1 h",
    ]);
  });

  it("the status bar says how far a run is, and what to do with a paused one", () => {
    assert.equal(statusText(view), "$(sync~spin) spring: 312 of 500, 2 unknown");
    assert.equal(statusText({ ...view, phase: "paused" }), "$(debug-pause) spring: 312 of 500, 2 unknown · Resume");
    const signedOut = statusText({ ...view, phase: "paused", signIn: true });
    assert.equal(signedOut, "$(debug-pause) spring: 312 of 500, 2 unknown · Sign In");
    assert.equal(statusText({ ...view, name: "$(bug) x", phase: "queued" }), "$(clock) $ (bug) x: waiting");
    const who = "$(bug) [x](command:y)";
    assert.equal(
      statusText({ ...view, phase: "queued", waiting: { why: "mailbox", until: undefined, who } }),
      "$(clock) spring: the mailbox is in use by $ (bug) [x] (command:y)",
    );
  });

  it("the status bar says why a run waits and until when, and when one was to start (R26)", () => {
    const now = new Date(2026, 2, 4, 20, 30).getTime();
    const tomorrow = new Date(2026, 2, 5, 9, 0).getTime();
    assert.equal(
      statusText({ ...view, phase: "waiting", waiting: { why: "window", until: tomorrow } }, now),
      "$(clock) spring: 312 of 500, 2 unknown · outside the sending hours, goes on Thu 09:00",
    );
    const unsent: RunView = { ...view, phase: "paused", totals: { ...nobody, pending: 500 } };
    assert.equal(
      statusText({ ...unsent, startAt: tomorrow }, now),
      "$(debug-pause) spring: is to start Thu 09:00 · Resume",
    );
    assert.equal(
      statusText({ ...unsent, startAt: now - 60_000 }, now),
      "$(debug-pause) spring: was to start 20:29 · Resume",
    );
    assert.equal(
      statusText({ ...view, phase: "paused", startAt: now - 60_000 }, now),
      "$(debug-pause) spring: 312 of 500, 2 unknown · Resume",
    );
  });

  it("progress has percentage, numbers and no words from outside (R34)", () => {
    assert.equal(phaseText(view), "62 % · 312 of 500 · 2 unknown");
    assert.equal(phaseText({ ...view, totals: { ...totals, unknown: 0, failed: 1 } }), "62 % · 312 of 500 · 1 failed");
    assert.equal(phaseText({ ...view, phase: "preparing", totals: undefined }), "preparing");
  });

  it("one line a message, with the server's words as plain text (R35, R36)", () => {
    const attempt = {
      address: "ada@example.com",
      line: 1,
      attempt: 1,
      durationMs: 311.6,
      messageId: "<1@example.com>",
    };
    assert.equal(
      attemptLine({ ...attempt, result: "accepted", reply: "250 2.0.0 Ok" }),
      "accepted ada@example.com (line 2, 312 ms) 250 2.0.0 Ok",
    );
    assert.equal(
      attemptLine({
        ...attempt,
        result: "failed",
        attempt: 2,
        class: "recipient",
        text: "The address does not exist.",
        reply: "550 \u001b[31mno\u001b[0m\r\nsuch \u202euser",
      }),
      "failed ada@example.com (line 2, 312 ms, attempt 2, recipient) The address does not exist. Server: 550 no such user",
    );
    assert.match(
      attemptLine({ ...attempt, result: "retry", class: "throttled", retryInMs: 4200, text: "Slow down." }),
      /^retry .*throttled, again in 5 s\) Slow down\.$/,
    );
  });

  it("a file's name becomes neither link nor icon", () => {
    assert.equal(unlinked("[go](command:x)\n$(bug)\u001b[31m"), "[go] (command:x) $ (bug)");
  });

  it("the CodeLens counts rows that cannot be mailed and still offers to send", () => {
    const titles = lensTitles({ kind: "checked", reply }).map(({ title }) => title);
    assert.deepEqual(titles.slice(0, 3), ["24 recipients", "$(error) 2 rows cannot be mailed", "Preview"]);
    assert.ok(titles.includes("Send…"));
  });

  it("the CodeLens steps through the rows that a preview shows (R54)", () => {
    const steps = (index: number, count: number): readonly string[] =>
      lensTitles({ kind: "checked", reply }, { index, count })
        .filter(({ row }) => row !== undefined)
        .map(({ title, row }) => `${title} ${String(row)}`);
    assert.deepEqual(steps(2, 1025), ["◀ 1", "Row 3 of 1,025 2", "▶ 3"]);
    assert.deepEqual(steps(0, 1), ["Row 1 of 1 0"]);
    assert.deepEqual(lensTitles({ kind: "checked", reply }).at(-1)?.title, "Send…");
  });

  it("one toast a run, with the button that leads on", () => {
    const failure: Failure = { class: "account", stage: "auth", text: "The password was refused.", reply: "535 no" };
    const ended = (ending: Ending, change: Partial<Totals> = {}, sandbox = false): RunEnd => ({
      view: { ...view, sandbox },
      outcome: {
        kind: "ran",
        campaignId: "5e3b7c1e-52a4-4b0e-9f0e-0f6f9a1d2c01",
        summary: { ...nobody, ...change, runId: "1", ending, durationMs: 1 },
      },
    });
    const said = (end: RunEnd): readonly string[] => {
      const toasts: string[] = [];
      const say =
        (kind: string) =>
        (message: string, ...actions: readonly { title: string }[]): void =>
          void toasts.push(`${kind} ${message} [${actions.map(({ title }) => title).join("|")}]`);
      const none = (): void => undefined;
      announceEnd(
        end,
        { info: say("info"), warn: say("warn"), error: say("error") },
        { openReport: none, resume: none, takeOver: none, signIn: none, openAccounts: none, showLog: none },
      );
      return toasts;
    };
    assert.deepEqual(said(ended({ kind: "finished" }, { accepted: 24, failed: 1 })), [
      "warn spring: 24 accepted, 1 failed. [Open Report]",
    ]);
    assert.deepEqual(said(ended({ kind: "finished" }, { accepted: 25 }, true)), [
      "info Rehearsed spring: 25 of 25 accepted. Sandbox: nothing left this machine. [Open Report]",
    ]);
    assert.deepEqual(said(ended({ kind: "stopped" })), []);
    assert.deepEqual(said(ended({ kind: "account", failure })), [
      "error spring stopped. The password was refused. [Accounts|Resume…|Show Log]",
    ]);
    // A sign-in that is over pauses a run: it goes on once somebody signs in.
    const signedOut: Failure = { ...failure, text: "Nobody is signed in to this account.", signIn: true };
    assert.deepEqual(said(ended({ kind: "account", failure: signedOut })), [
      "warn spring paused. Nobody is signed in to this account. [Sign In Again|Show Log]",
    ]);
    const text = "This campaign is held by process 7 on host, which has not stirred for 30 seconds.";
    assert.deepEqual(said(ended({ kind: "locked", silent: true, text })), [
      `warn spring was not sent. ${text} [Take Over…|Show Log]`,
    ]);
    assert.deepEqual(said(ended({ kind: "locked", silent: false, text })), [
      `warn spring was not sent. ${text} [Show Log]`,
    ]);
    assert.deepEqual(said({ view, outcome: { kind: "died" } }), [
      "error spring came to rest unexpectedly. Nobody is mailed twice when you resume. [Resume…|Show Log]",
    ]);
  });

  it("a new campaign quotes what YAML and Markdown would misread", () => {
    const columns = [
      { name: "email", alias: undefined, empty: 0 },
      { name: "Name", alias: "name", empty: 0 },
      { name: 'a "b" *c*', alias: undefined, empty: 1 },
    ];
    const text = campaignText("plain", "5e3b7c1e-52a4-4b0e-9f0e-0f6f9a1d2c01", "people: all.csv", {
      columns,
      addressColumn: 0,
    });
    assert.match(text, /^recipients: "people: all\.csv"$/m);
    assert.match(text, /^to: "\{\{ Name \}\} <\{\{ email \}\}>"$/m);
    assert.ok(text.includes('- a "b" \\*c\\*: {{ [\'a "b" *c*\'] | default: "–" }}'), text);
  });
});

/** What is on record, and what a person decides about it: retried, resolved, exported, carried away, deleted. */
import assert from "node:assert/strict";
import { hostname } from "node:os";
import { readFile, stat, writeFile } from "node:fs/promises";
import { systemClock } from "../../src/mail/index";
import { Journal } from "../../src/mail/journal";
import { writeReceipt } from "../../src/mail/receipt";
import { smallCampaign } from "../fakes/campaigns";
import { SendingDesk, through } from "../fakes/sendingDesk";

describe("records of runs", () => {
  let desk: SendingDesk;
  /** Whom the server refuses just now. */
  let refused: string | undefined;
  beforeEach(async () => {
    refused = undefined;
    desk = await SendingDesk.open(smallCampaign(3, through), (address) =>
      address === refused ? "550 5.1.1 no such user" : undefined,
    );
  });
  afterEach(async () => await desk.close());

  const send = async (): Promise<void> => {
    desk.editor.dialogs.answer("Send");
    await desk.editor.run("send", desk.campaign);
  };
  /** Sends to all three; the receipt of it lies beside the campaign. */
  const sendWithReceipt = async (): Promise<void> => {
    await send();
    const nobody = { failed: 0, unknown: 0, skipped: 0, pending: 0 };
    await writeReceipt(await desk.plan(), "finished", { ...nobody, accepted: 3 }, systemClock);
  };
  const lastQuestion = () => desk.editor.dialogs.asked.at(-1);
  const lastToast = (): string | undefined => desk.editor.toasts.at(-1)?.message;

  it("Retry Failed mails those who failed once more, after a question with numbers, and nobody else (R58)", async () => {
    const { editor, server, campaign } = desk;
    refused = "person1@example.com";
    await send();
    assert.equal(lastToast(), "hello: 2 accepted, 1 failed.");
    refused = undefined;
    editor.dialogs.answer(undefined);
    await editor.run("retryFailed", campaign);
    assert.equal(server.received.length, 2, "nothing happens without a yes");
    editor.dialogs.answer("Send Again");
    await editor.run("retryFailed", campaign);
    assert.equal(lastQuestion()?.message, "Send “hello” again to 1 recipient who failed?");
    assert.match(lastQuestion()?.detail ?? "", /^2 accepted, 1 failed$/m);
    assert.match(lastQuestion()?.detail ?? "", /^Through: work: 127\.0\.0\.1/m);
    assert.equal(lastToast(), "hello: 3 accepted.");
    assert.deepEqual(new Set(server.perRecipient.values()), new Set([1]));
    await editor.run("retryFailed", campaign);
    assert.match(lastToast() ?? "", /^Nobody failed in the last run/);
  });

  it("Resolve Unknown shows Message-ID, time and where to look, and takes both decisions (R58)", async () => {
    const { editor, server, campaign } = desk;
    await desk.pauseInTheMiddle();
    const taken = new Set(server.perRecipient.keys());
    const left = ["person0", "person1", "person2"]
      .map((name) => `${name}@example.com`)
      .filter((one) => !taken.has(one));
    const [first = "", ...others] = left;
    assert.ok(others.length > 0);
    await doubt(left);

    editor.dialogs.answer(first, "They Have It");
    await editor.run("resolveUnknown", campaign);
    const shown = editor.dialogs.shown.find(({ label }) => label === first);
    assert.match(shown?.detail ?? "", /Message-ID <.*@example\.com> · handed over \d\d:\d\d · Number \d/);
    assert.match(shown?.description ?? "", /^line \d$/);
    assert.equal(lastQuestion()?.message, "Does this 1 recipient have the message?");
    assert.match(lastQuestion()?.detail ?? "", /Sent folder of ada/);

    editor.dialogs.answer(others.join("\n"), "Send Again…", "Send Again");
    await editor.run("resolveUnknown", campaign);
    assert.match(
      lastQuestion()?.message ?? "",
      new RegExp(`^Send “hello” again to ${String(others.length)} recipient`),
    );
    assert.match(lastQuestion()?.detail ?? "", /may have the message already, and then gets? it twice/);
    assert.equal(lastToast(), "hello: 3 accepted.");
    assert.ok(!server.perRecipient.has(first), "who counts as sent is not mailed");
    for (const one of others) assert.equal(server.perRecipient.get(one), 1);
    await editor.run("resolveUnknown", campaign);
    assert.match(lastToast() ?? "", /^Nobody is in doubt/);
  });

  it("Export Report writes what is chosen, for this user alone (R58)", async () => {
    const { editor, campaign } = desk;
    await editor.run("exportReport", campaign);
    assert.match(lastToast() ?? "", /^This campaign has not been sent yet/);
    await send();
    for (const [name, pattern] of [
      ["report.csv", /^address,key,line,outcome/],
      ["report.json", /"recipients": \[/],
      ["report.txt", /^Campaign /],
    ] as const) {
      const file = editor.uri(name).fsPath;
      editor.dialogs.answer(file);
      await editor.run("exportReport", campaign);
      const text = await readFile(file, "utf8");
      assert.match(text, pattern);
      assert.match(text, /person2@example\.com/);
      if (process.platform !== "win32") assert.equal((await stat(file)).mode & 0o077, 0);
    }
    const before = editor.toasts.length;
    editor.dialogs.answer(undefined);
    await editor.run("exportReport", campaign);
    assert.equal(editor.toasts.length, before, "who turns away hears nothing");
    editor.dialogs.answer(editor.uri("nowhere/report.csv").fsPath);
    await editor.run("exportReport", campaign);
    assert.match(lastToast() ?? "", /^The file cannot be written \(ENOENT\)/);
  });

  it("Export Failed Rows writes who failed and who could not be mailed, with the columns of the list (R58)", async () => {
    const { editor, server, campaign } = desk;
    await send();
    await editor.run("exportFailedRows", campaign);
    assert.equal(lastToast(), "Nobody failed in the last run: there are no rows to export.");

    const list = 'Zahl;Name;E-Mail\r\n1;Änne;person1@example.com\r\n2;"=B; o";person2@example.com\r\n3;Cy;nobody\r\n';
    await writeFile(editor.uri("people.csv").fsPath, list);
    const text = await readFile(campaign.fsPath, "utf8");
    const other = text
      .replace("0b0e7d3a", "1c0e7d3a")
      .replace("{{ email }}", "{{ e_mail }}")
      .replaceAll("number", "zahl");
    await writeFile(campaign.fsPath, other);
    refused = "person2@example.com";
    editor.dialogs.answer("Send Again to Everyone…", "Send Again");
    await editor.run("send", campaign);
    assert.equal(lastToast(), "hello: 1 accepted, 2 failed.");
    const sent = server.received.length;

    const before = editor.toasts.length;
    editor.dialogs.answer(undefined);
    await editor.run("exportFailedRows", campaign);
    assert.equal(lastQuestion()?.detail, editor.uri("hello.failed.csv").fsPath);
    const file = editor.uri("again.csv").fsPath;
    editor.dialogs.answer(file);
    await editor.run("exportFailedRows", campaign);
    const [header = "", , second = "", third = ""] = list.split("\r\n");
    assert.equal(await readFile(file, "utf8"), `${header}\r\n${second}\r\n${third}\r\n`);
    if (process.platform !== "win32") assert.equal((await stat(file)).mode & 0o077, 0);
    assert.deepEqual([editor.toasts.length, server.received.length], [before, sent]);
  });

  it("deleted history is warned about; a receipt then blocks Send until its journal is imported", async () => {
    const { editor, server, campaign } = desk;
    await sendWithReceipt();
    const archive = editor.uri("hello.bulkmail").fsPath;
    editor.dialogs.answer(archive);
    await editor.run("exportJournal", campaign);

    editor.dialogs.answer(undefined);
    await editor.run("deleteHistory", campaign);
    assert.equal(lastQuestion()?.message, "Delete the history of “hello”?");
    assert.match(lastQuestion()?.detail ?? "", /^Last run: 3 accepted\.\n.*can no longer prevent a second send/s);
    editor.dialogs.answer("Delete History");
    await editor.run("deleteHistory", campaign);
    await editor.run("openReport", campaign);
    assert.match(lastToast() ?? "", /^This campaign has not been sent yet/);

    editor.dialogs.answer("Import Journal…", archive);
    await editor.run("send", campaign);
    const question = editor.dialogs.asked.at(-2);
    assert.equal(question?.message, "“hello” was sent from another machine.");
    assert.match(question.detail, new RegExp(`^Sent from ${hostname()} on .*: 3 accepted\\.`));
    editor.dialogs.answer(undefined);
    await editor.run("send", campaign);
    assert.equal(lastQuestion()?.message, "“hello” was sent already.");
    assert.equal(server.received.length, 3);
  });

  it("without the journal a new run says how many are mailed a second time", async () => {
    const { editor, server, campaign } = desk;
    await sendWithReceipt();
    editor.dialogs.answer("Delete History");
    await editor.run("deleteHistory", campaign);
    editor.dialogs.answer("Start a New Run…", undefined);
    await editor.run("send", campaign);
    assert.match(lastQuestion()?.detail ?? "", /^The last run mailed 3 messages/m);
    assert.equal(server.received.length, 3);
  });

  it("an unfinished run that is handed over goes on nowhere else, and here again once it is imported", async () => {
    const { editor, server, campaign } = desk;
    await desk.pauseInTheMiddle();
    const archive = editor.uri("hello.bulkmail").fsPath;
    editor.dialogs.answer("Hand Over…", archive);
    await editor.run("exportJournal", campaign);
    assert.deepEqual(editor.services.task.views, [], "nothing is offered that cannot go on");
    await editor.run("resume", campaign);
    assert.match(lastToast() ?? "", /^This run was handed over to another machine/);
    await editor.run("send", campaign);
    assert.match(lastToast() ?? "", /^This run was handed over to another machine/);
    editor.dialogs.answer(archive);
    await editor.run("importJournal", campaign);
    assert.deepEqual(
      editor.services.task.views.map(({ name, phase }) => [name, phase]),
      [["hello", "paused"]],
    );
    editor.dialogs.answer("Resume");
    await editor.run("resume", campaign);
    assert.equal(lastToast(), "hello: 3 accepted.");
    assert.deepEqual(new Set(server.perRecipient.values()), new Set([1]));
  });

  /** Lets the journal say that these were being handed over when the process died. */
  async function doubt(addresses: readonly string[]): Promise<void> {
    const plan = await desk.plan();
    const { campaignId, runId, directory } = plan;
    const journal = await Journal.open(directory, { campaignId, runId, generation: 900, at: Date.now(), host: "here" });
    for (const [index, k] of addresses.entries()) {
      const id = `<doubt-${String(index)}@example.com>`;
      journal.append({ t: "attempt", k, n: 1, id, at: Date.now() });
      journal.append({ t: "data", k, n: 1, at: Date.now() });
    }
    await journal.close();
  }
});

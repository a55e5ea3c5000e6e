import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import * as path from "node:path";
import type { Frame } from "playwright-core";
import { authorityFile, MailServer } from "../fakes/mailServer";
import { beginAccount, fieldOf, filesWith, openWorkspace, type Opened } from "./workspace";

const user = "ada@example.com";
const password = "correct-horse&battery/staple=42";

/** A server's words with a command link and HTML in them. */
const hostileRefusal = "535 5.7.8 no [sign in](command:workbench.action.quit) <b id=evil>here</b>";

const rows = [
  ["Zoë Ørsted", "zoe@example.org", "12"],
  ["Łukasz O'Brien", "lukasz@example.net", "7"],
  ['Ana "Nina" Núñez', "ana@example.com", "31"],
];

const campaign = `---
id: 6a0f7f0e-3a57-4a0e-8a55-0e2f6b0f3c11
subject: "Invoice {{ invoice }} for {{ name }}"
recipients: customers.csv
to: "{{ name }} <{{ email }}>"
attachments:
  - terms.txt
---
# Hello {{ name }}

Your invoice has number **{{ invoice }}**.
`;

function csv(extra: readonly (readonly string[])[] = []): string {
  const cell = (text: string): string => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return ["name,email,invoice", ...[...rows, ...extra].map((row) => row.map(cell).join(","))].join("\n") + "\n";
}

describe("the whole story, by clicking and typing (R1-R4, R8, R11, R13, R15, R33, R34, R50-R56)", () => {
  let opened: Opened;
  let server: MailServer;

  before(async () => {
    const onRcpt = (address: string): string | undefined =>
      address === "gone@example.org"
        ? "550 5.1.1 no such [user](command:workbench.action.quit) <b>here</b>"
        : undefined;
    server = await MailServer.start(user, password, onRcpt, hostileRefusal);
    opened = await openWorkspace({
      "invoices.mail.md": campaign,
      "customers.csv": csv(),
      "terms.txt": "Thirty days.\n",
      "certs/ca.pem": await readFile(authorityFile()),
    });
  });
  after(async () => {
    await opened.close();
    await server.close();
  });

  const fill = async (frame: Frame, field: string, text: string): Promise<void> => {
    await fieldOf(frame, field).fill(text);
  };
  const settingsFile = (): Promise<string> => readFile(path.join(opened.workspace, ".vscode", "settings.json"), "utf8");

  it("adds an account in the panel; host, port and user are in the settings, the password in no file", async () => {
    const { workbench } = opened;
    const frame = await beginAccount(opened);
    await fill(frame, "name", "work");
    await fill(frame, "host", "localhost");
    await fill(frame, "port", String(server.port));
    await fill(frame, "user", user);
    await fill(frame, "password", password);
    await fill(frame, "from", "Ada Example <ada@example.com>");
    await fill(frame, "caFile", "certs/ca.pem");
    await frame.getByText("Advanced").click();
    await fill(frame, "delay", "0");
    await workbench.screenshot("accounts-filled");
    await frame.getByRole("button", { name: /^save/i }).click();
    await frame.getByText("Saved.").waitFor();
    const settings = JSON.parse(await settingsFile()) as Record<string, Record<string, Record<string, unknown>>>;
    assert.deepEqual(
      { ...settings["bulkMail.accounts"]?.work },
      { ...settings["bulkMail.accounts"]?.work, host: "localhost", port: server.port, user },
    );
    assert.doesNotMatch(await settingsFile(), /correct-horse|password"\s*:\s*"[^"]*horse/);
    assert.deepEqual(await filesWith(opened.folder, password, user), []);
    assert.deepEqual(workbench.consoleErrors, []);
  });

  it("tests the connection with what was entered (R37-R39)", async () => {
    const frame = await opened.workbench.webview("Accounts");
    await frame.getByRole("button", { name: /test connection/i }).click();
    const said = await frame.getByText(/^The connection works/).textContent();
    const where = `localhost, port ${String(server.port)}`;
    assert.equal(said, `The connection works: signed in as ${user} at ${where}. Nothing was sent.`);
    assert.deepEqual(server.signIns.at(-1), { user, password });
  });

  it("says in place that a password is refused, with the server's words as plain text and no toast", async () => {
    const { workbench } = opened;
    const before = await workbench.notificationHistory();
    const frame = await workbench.webview("Accounts");
    await fill(frame, "password", "wrong");
    await frame.getByRole("button", { name: /test connection/i }).click();
    const outcome = frame.locator(".outcome", { hasText: "refused the user name or the password" });
    await outcome.waitFor();
    const said = (await outcome.textContent()) ?? "";
    assert.ok(said.includes("no [sign in](command:workbench.action.quit) <b id=evil>here</b>"), said);
    assert.equal(await frame.locator("#evil, .outcome a[href]").count(), 0);
    assert.equal(server.signIns.filter((one) => one.password === "wrong").length, 1, "a wrong password is tried once");
    assert.deepEqual(await workbench.notificationHistory(), before);
    await workbench.screenshot("accounts-refused");
    await frame.getByRole("button", { name: /discard/i }).click();
  });

  it("rehearses into the sandbox, sends a test to myself; both settle nobody", async () => {
    const { workbench } = opened;
    await workbench.openFile("invoices.mail.md");
    await workbench.runCommand("Bulk Mail: Rehearse in Sandbox");
    await workbench.waitForNotification(/3 of 3|3 accepted/);
    assert.equal(server.received.length, 0);
    await workbench.openFile("invoices.mail.md");
    await workbench.runCommand("Bulk Mail: Send Test to Myself…");
    await workbench.quickInput("me@example.com");
    await server.until(1);
    assert.deepEqual(server.received[0]?.to, ["me@example.com"]);
    assert.match(server.received[0].parsed.subject ?? "", /Invoice 12 for Zoë Ørsted/);
    server.received.length = 0;
  });

  it("confirms once with the numbers, sends to everyone once, logs one line a message and opens the report", async () => {
    const { workbench } = opened;
    await workbench.openFile("invoices.mail.md");
    await workbench.runCommand("Bulk Mail: Send Campaign…");
    const modal = await workbench.modal();
    assert.match(modal.message, /3 people/);
    for (const part of [
      /Ada Example <ada@example\.com>/,
      /localhost/,
      /terms\.txt/,
      /zoe@example\.org, lukasz@example\.net, ana@example\.com/,
    ])
      assert.match(modal.detail, part);
    await workbench.screenshot("send-confirmation");
    await modal.press("Send");
    await server.until(3);
    await workbench.waitForNotification(/3 accepted/);
    assert.deepEqual(
      [...server.perRecipient],
      rows.map(([, email]) => [email, 1]),
    );
    for (const [index, [name, email, invoice]] of rows.entries()) {
      const mail = server.received[index]?.parsed;
      assert.equal(mail?.subject, `Invoice ${String(invoice)} for ${String(name)}`);
      assert.deepEqual(mail.from?.value, [{ name: "Ada Example", address: "ada@example.com" }]);
      assert.deepEqual(mail.to === undefined || Array.isArray(mail.to) ? [] : mail.to.value, [
        { name, address: email },
      ]);
      assert.ok(String(mail.html).includes(`>${String(invoice)}</strong>`));
      assert.match(mail.text ?? "", new RegExp(`number ${String(invoice)}`));
      assert.deepEqual(
        mail.attachments.map(({ filename, content }) => [filename, content.toString()]),
        [["terms.txt", "Thirty days.\n"]],
      );
    }
    const log = await readFile(await workbench.logFile("Bulk Mail"), "utf8");
    for (const [, email] of rows)
      assert.equal(
        log.split("\n").filter((line) => line.includes(`accepted`) && line.includes(String(email))).length >= 1,
        true,
      );
    await workbench.notificationButton(/3 accepted/, "Open Report");
    await workbench.page.locator(".tab.active", { hasText: /report/i }).waitFor();
    const report = await workbench.editorText();
    assert.match(report, /3 accepted, 0 failed/);
    for (const [, email] of rows) assert.ok(report.includes(String(email)));
    await workbench.screenshot("report");
  });

  it("nothing is mailed a second time without saying so twice", async () => {
    const { workbench } = opened;
    await workbench.openFile("invoices.mail.md");
    await workbench.runCommand("Bulk Mail: Send Campaign…");
    const modal = await workbench.modal();
    assert.match(modal.message, /was sent already/);
    await modal.press("Cancel");
    assert.equal(server.received.length, 3);
  });

  it("a bad address fails, the others arrive, and the server's words stay plain text everywhere", async () => {
    const { workbench } = opened;
    server.received.length = 0;
    await writeFile(
      path.join(opened.workspace, "second.mail.md"),
      // Under the first one's subject it would be taken for the same letter, and asked about as such.
      campaign
        .replace("6a0f7f0e", "7b0f7f0e")
        .replace("customers.csv", "second.csv")
        .replace('"Invoice', '"Reminder of invoice'),
    );
    await writeFile(
      path.join(opened.workspace, "second.csv"),
      csv([
        ["Gone", "gone@example.org", "99"],
        ["Bob", "bob@example.net", "5"],
      ]),
    );
    await workbench.openFile("second.mail.md");
    await workbench.runCommand("Bulk Mail: Send Campaign…");
    await (await workbench.modal()).press("Send");
    await server.until(4);
    const toast = await workbench.waitForNotification(/4 accepted, 1 failed/);
    assert.doesNotMatch(toast, /no such|command:/);
    assert.deepEqual(
      [...server.perRecipient.keys()],
      ["zoe@example.org", "lukasz@example.net", "ana@example.com", "bob@example.net"],
    );
    const log = await readFile(await workbench.logFile("Bulk Mail"), "utf8");
    assert.match(log, /gone@example\.org.*\[user\]\(command:workbench\.action\.quit\)/);
    await workbench.notificationButton(/4 accepted, 1 failed/, "Open Report");
    await workbench.page.locator(".tab.active", { hasText: /report/i }).waitFor();
    assert.match(
      await workbench.editorText(),
      /gone@example\.org +failed.*\[user\]\(command:workbench\.action\.quit\) <b>here<\/b>/,
    );
    // No link was made of it anywhere.
    assert.equal(
      await workbench.page
        .locator('a[href^="command:workbench.action.quit"], a[data-href^="command:workbench.action.quit"]')
        .count(),
      0,
    );
  });

  it("the list is sorted and saved in the middle of a run: every message keeps its own row's values", async () => {
    const { workbench } = opened;
    server.received.length = 0;
    const many = Array.from({ length: 12 }, (_, i) => [
      `Person ${String(i)}`,
      `p${String(i)}@example.com`,
      String(1000 + i),
    ]);
    await writeFile(
      path.join(opened.workspace, "third.mail.md"),
      campaign.replace("6a0f7f0e", "8c0f7f0e").replace("customers.csv", "third.csv"),
    );
    const text = (list: readonly (readonly string[])[]): string =>
      `name,email,invoice\n${list.map((row) => row.join(",")).join("\n")}\n`;
    await writeFile(path.join(opened.workspace, "third.csv"), text(many));
    const release = server.hold();
    await workbench.openFile("third.mail.md");
    await workbench.runCommand("Bulk Mail: Send Campaign…");
    await (await workbench.modal()).press("Send");
    await workbench.openFile("third.csv");
    await workbench.replaceEditorText(
      text([...many].reverse().map((row, i) => [String(row[0]), String(many[i]?.[1]), String(row[2])])),
    );
    await workbench.save();
    release();
    await server.until(12);
    for (const mail of server.received) {
      const number = /^p(\d+)@/.exec(mail.to[0] ?? "")?.[1] ?? "";
      assert.equal(mail.parsed.subject, `Invoice ${String(1000 + Number(number))} for Person ${number}`);
    }
    await workbench.waitForNotification(/12 accepted/);
  });

  it("no secret is in any file: workspace, home, state, user data, logs, package", async () => {
    assert.ok(server.signIns.length > 0, "the password was used");
    assert.deepEqual(await filesWith(opened.folder, password, user), []);
    assert.deepEqual(await filesWith(opened.workbench.dataDir, password, user), []);
    assert.deepEqual(opened.workbench.consoleErrors, []);
  });
});

import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import * as path from "node:path";
import type { Frame, Locator } from "playwright-core";
import { authorityFile, MailServer } from "../fakes/mailServer";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";
import { faults } from "./axe";
import { fieldOf, openWorkspace, secretForms, type Opened } from "./workspace";

const user = "ada@example.com";
const password = "correct-horse&battery/staple=42";

/** What Gmail says to the account's own password, with a command link and HTML in it. */
const refusal = "534 5.7.9 Application-specific password [required](command:workbench.action.quit) <b id=evil>now</b>";

const themes = ["Default Light Modern", "Default High Contrast", "Default High Contrast Light", "Default Dark Modern"];

describe("the doctor in the accounts panel (R2, R11, R13, R37-R42, R54, R55)", () => {
  let opened: Opened;
  let server: MailServer;
  /** Never greets. */
  let silent: ScriptedSmtp;
  let refusedPort: number;

  before(async () => {
    server = await MailServer.start(user, password, () => undefined, refusal);
    silent = await ScriptedSmtp.start(({ command }) => (command === "connect" ? { end: "hang" } : undefined));
    refusedPort = await freePort();
    opened = await openWorkspace(
      { "certs/ca.pem": await readFile(authorityFile()) },
      { "bulkMail.accounts": accounts() },
    );
  });
  after(async () => {
    await opened.close();
    await server.close();
    await silent.close();
  });

  const own = { host: "localhost", user, from: "Ada Example <ada@example.com>", limits: { delay: 0 } };
  const trusting = { ...own, tls: { caFile: "certs/ca.pem" } };
  const accounts = (): Record<string, Record<string, unknown>> => ({
    work: { ...trusting, port: server.port, security: "tls" },
    pair: { ...own, host: "mail.example.com", port: 465, security: "starttls" },
    silent: { ...own, port: silent.port, auth: "none" },
  });

  const panel = async (): Promise<Frame> => {
    await opened.workbench.runCommand("Bulk Mail: Accounts…");
    return await opened.workbench.webview("Accounts");
  };
  const turnTo = async (frame: Frame, account: string): Promise<void> => {
    await frame.locator(".account-item", { hasText: account }).click();
    await frame.locator("h1", { hasText: account }).waitFor();
  };
  const test = (frame: Frame): Promise<void> => frame.getByRole("button", { name: "Test Connection" }).click();
  const headline = (frame: Frame, text: string | RegExp): Promise<void> =>
    frame.locator(".outcome-line", { hasText: text }).waitFor();
  const step = (frame: Frame, name: string): Locator => frame.locator(`[data-step="${name}"]`);
  const steps = (frame: Frame): Promise<readonly string[]> =>
    frame.evaluate<string[]>("[...document.querySelectorAll('.step')].map((item) => item.dataset.step)");
  const focused = (frame: Frame): Promise<string | undefined> =>
    frame.evaluate<string | undefined>("document.activeElement?.closest('[data-field]')?.dataset.field");
  const userSettings = async (): Promise<Record<string, Record<string, Record<string, unknown>>>> =>
    JSON.parse(await readFile(path.join(opened.workbench.userDataDir, "User", "settings.json"), "utf8")) as never;

  it("a pair of port and encryption that cannot work is mended by the offered click (R11)", async () => {
    const frame = await panel();
    await turnTo(frame, "pair");
    await frame.getByRole("button", { name: "Use TLS on port 465" }).click();
    await frame.getByRole("button", { name: /^save/i }).click();
    await frame.getByText("Saved.").waitFor();
    const saved = (await userSettings())["bulkMail.accounts"]?.pair;
    assert.deepEqual([saved?.port, saved?.security], [465, "tls"]);
  });

  it("TLS on a port for STARTTLS: the step, the sentence, and a click that mends it (R11, R38)", async () => {
    const { workbench } = opened;
    const frame = await panel();
    await turnTo(frame, "work");
    await fieldOf(frame, "password").fill(password);
    await test(frame);
    await headline(frame, "This port does not speak TLS from the start.");
    assert.deepEqual(await steps(frame), ["dns", "tcp", "starttls"]);
    await step(frame, "tcp")
      .getByText(`port ${String(server.port)}`)
      .waitFor();
    await workbench.screenshot("doctor-wrong-tls");
    await step(frame, "starttls")
      .getByRole("button", { name: `Use STARTTLS on port ${String(server.port)}` })
      .click();
    await headline(frame, "Filled in. Test again");
    assert.equal(server.signIns.length, 0, "nothing was said to a server that does not encrypt");
    assert.equal(await fieldOf(frame, "password").inputValue(), password, "what was typed is still there");
    await workbench.page.keyboard.press("Enter");
    await headline(frame, `The connection works: signed in as ${user} at localhost, port ${String(server.port)}.`);
    assert.deepEqual(await steps(frame), [
      "dns",
      "tcp",
      "greeting",
      "ehlo",
      "starttls",
      "certificate",
      "auth",
      "sender",
    ]);
    assert.equal(await frame.locator(".step-failed").count(), 0);
    assert.deepEqual(server.signIns, [{ user, password }]);
    assert.equal(server.received.length, 0);
    await frame.getByRole("button", { name: /^save/i }).click();
    await frame.getByText("Saved.").waitFor();
  });

  it("copies a transcript without the password, whatever form it took (R37)", async () => {
    const frame = await panel();
    await test(frame);
    await headline(frame, "Nothing was sent.");
    await frame.getByRole("button", { name: "Copy Transcript" }).click();
    await frame.getByText("Copied.").waitFor();
    const text = await opened.workbench.page.evaluate<string>("navigator.clipboard.readText()");
    assert.match(text, /ok +Sign in/);
    assert.match(text, /C: EHLO /);
    for (const form of secretForms(password, user)) assert.ok(!text.includes(form.toString()), text);
  });

  it("sends a test mail to the account's own address, after the question of VS Code itself (R55)", async () => {
    const { workbench } = opened;
    const frame = await panel();
    await test(frame);
    const mail = frame.getByRole("button", { name: "Send a Test Mail to Me…" });
    await mail.click();
    const question = await workbench.modal();
    assert.equal(question.message, `Send a test mail to ${user}?`);
    await question.press("Cancel");
    await headline(frame, "No test mail was sent.");
    assert.equal(server.received.length, 0);
    await test(frame);
    await mail.click();
    await (await workbench.modal()).press("Send Test Mail");
    await headline(frame, `The server took the test mail to ${user}.`);
    assert.deepEqual(
      server.received.map(({ to }) => to),
      [[user]],
    );
    assert.equal(await mail.isVisible(), false);
  });

  it("an app password is needed: named, the server's words quoted, and no password is tried twice (R37)", async () => {
    const { workbench } = opened;
    const before = await workbench.notificationHistory();
    const frame = await panel();
    server.signIns.length = 0;
    await fieldOf(frame, "password").fill("wrong");
    await test(frame);
    await headline(frame, "The server wants an app password instead of the account's own.");
    const failed = step(frame, "auth");
    assert.ok(
      (await failed.locator("q").textContent())?.includes("[required](command:workbench.action.quit) <b id=evil>"),
    );
    assert.equal(await frame.locator("#evil, .outcome a[href]").count(), 0);
    assert.deepEqual(server.signIns, [{ user, password: "wrong" }]);
    await failed.getByRole("button", { name: "Enter the password again" }).click();
    assert.equal(await focused(frame), "password");
    assert.deepEqual(await workbench.notificationHistory(), before);
    await frame.getByRole("button", { name: /discard/i }).click();
    assert.equal(await frame.locator(".outcome").isVisible(), false);
  });

  for (const theme of themes)
    it(`is readable, and free of accessibility faults, in ${theme}`, async () => {
      const { workbench } = opened;
      const name = theme.replace("Default ", "").replaceAll(" ", "-").toLowerCase();
      await workbench.setTheme(theme);
      const frame = await panel();
      await turnTo(frame, "work");
      await fieldOf(frame, "password").fill("wrong");
      await test(frame);
      await headline(frame, "The server wants an app password");
      await workbench.screenshot(`doctor-failed-${name}`);
      assert.deepEqual(await faults(frame), []);
      await frame.getByRole("button", { name: /discard/i }).click();
      await test(frame);
      await headline(frame, "The connection works");
      await workbench.screenshot(`doctor-works-${name}`);
      assert.deepEqual(await faults(frame), []);
    });

  it("follows settings that are edited by hand, and a refused port leads to the field that is wrong (R2, R38)", async () => {
    const { workbench } = opened;
    const { work, ...others } = (await userSettings())["bulkMail.accounts"] ?? {};
    await workbench.changeSettings({ "bulkMail.accounts": { ...others, work: { ...work, port: refusedPort } } });
    const frame = await panel();
    await turnTo(frame, "work");
    assert.equal(await fieldOf(frame, "port").inputValue(), String(refusedPort));
    await frame.getByText(/was entered for another endpoint \(port/).waitFor();
    await fieldOf(frame, "password").fill(password);
    await test(frame);
    await headline(frame, "Nothing answers at this host and port.");
    assert.deepEqual((await steps(frame)).at(-1), "tcp");
    await workbench.screenshot("doctor-refused-port");
    await step(frame, "tcp").getByRole("button", { name: "Correct host and port" }).click();
    assert.equal(await focused(frame), "host");
    await fieldOf(frame, "port").fill(String(server.port));
    assert.equal(await frame.locator(".outcome").isVisible(), false, "what was said of another port is gone");
    await test(frame);
    await headline(frame, "The connection works");
    await frame.getByRole("button", { name: /discard/i }).click();
  });

  it("an open panel follows a settings file of the workspace at once", async () => {
    const frame = await panel();
    const file = path.join(opened.workspace, ".vscode", "settings.json");
    await mkdir(path.dirname(file), { recursive: true });
    const shared = (host: string): string => JSON.stringify({ "bulkMail.accounts": { shared: { ...own, host } } });
    await writeFile(file, shared("one.example.com"));
    await turnTo(frame, "shared");
    assert.equal(await fieldOf(frame, "host").inputValue(), "one.example.com");
    await writeFile(file, shared("two.example.com"));
    await frame.locator(".account-item", { hasText: "two.example.com" }).waitFor();
    assert.equal(await fieldOf(frame, "host").inputValue(), "two.example.com");
    await writeFile(file, "{}");
    await frame.locator(".account-item", { hasText: "shared" }).waitFor({ state: "detached" });
  });

  it("can be cancelled, and says nothing about an account that is not shown any more", async () => {
    const frame = await panel();
    await turnTo(frame, "silent");
    await test(frame);
    await headline(frame, "Testing the connection to localhost");
    await step(frame, "tcp").waitFor();
    await frame.getByRole("button", { name: "Cancel" }).click();
    await headline(frame, "The test was cancelled.");
    const before = silent.connections;
    await test(frame);
    await step(frame, "tcp").waitFor();
    assert.equal(silent.connections, before + 1);
    await turnTo(frame, "work");
    assert.equal(await frame.locator(".outcome").isVisible(), false);
    await turnTo(frame, "silent");
    assert.equal(await frame.locator(".outcome").isVisible(), false);
  });

  it("the command tests without the panel: our sentence in a toast, every step in the log (R37, R38)", async () => {
    const { workbench } = opened;
    const { work = {}, ...others } = (await userSettings())["bulkMail.accounts"] ?? {};
    const changed = { ...others, work: { ...work, port: server.port } };
    await workbench.changeSettings({ "bulkMail.accounts": changed });
    await workbench.runCommand("Bulk Mail: Test Connection…");
    await workbench.quickPick("work");
    await workbench.waitForNotification(/The connection works: the server let us in\. Nothing was sent\./);
    await workbench.changeSettings({
      "bulkMail.accounts": { ...changed, work: { ...changed.work, port: refusedPort, auth: "none" } },
    });
    await workbench.runCommand("Bulk Mail: Test Connection…");
    await workbench.quickPick("work");
    const toast = /Nothing answers at this host and port/;
    await workbench.waitForNotification(toast);
    await workbench.notificationButton(toast, "Open Accounts");
    const frame = await workbench.webview("Accounts");
    await frame.locator("h1", { hasText: "work" }).waitFor();
    const log = await readFile(await workbench.logFile("Bulk Mail"), "utf8");
    assert.match(log, /Test of work: Sign in ok \(\d+ ms\)/);
    assert.match(log, /Test of work: Connect failed \(\d+ ms\)/);
    assert.ok(!log.includes(password));
    assert.deepEqual(workbench.consoleErrors, []);
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

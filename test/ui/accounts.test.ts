import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import * as path from "node:path";
import { beginAccount, fieldOf, filesWith, openWorkspace, type Opened } from "./workspace";

const secret = "xkcd-typed-but-never-saved-936";

describe("the accounts panel (R2, R5, R15, R37)", () => {
  let opened: Opened;
  before(async () => {
    opened = await openWorkspace({ "list.csv": "email\nada@example.com\n" });
  });
  after(() => opened.close());

  it("an address suggests its provider, which brings its server and says what password it takes", async () => {
    const { workbench } = opened;
    const frame = await beginAccount(opened);
    await fieldOf(frame, "user").fill("ada@gmail.com");
    await frame.getByRole("button", { name: /gmail/i }).first().click();
    assert.equal(await fieldOf(frame, "host").inputValue(), "smtp.gmail.com");
    assert.equal(await fieldOf(frame, "port").inputValue(), "587");
    const help = frame.locator('[data-field="password"]');
    await help.getByText(/app password of 16 letters/).waitFor();
    assert.match(
      (await help.locator("vscode-link").first().getAttribute("href")) ?? "",
      /^https:\/\/myaccount\.google\.com\/apppasswords/,
    );
    await workbench.screenshot("accounts-gmail");
  });

  it("what is typed survives a reload of the window, the password does not", async () => {
    const { workbench } = opened;
    const before = await workbench.webview("Accounts");
    // For the next test: keeps what the page gets from VS Code to speak to its host.
    await workbench.page.addInitScript(`{
      let real;
      Object.defineProperty(globalThis, "acquireVsCodeApi", {
        configurable: true,
        set: (value) => (real = value),
        get: () => real && (() => (window.hostApi = real())),
      });
    }`);
    await fieldOf(before, "password").fill(secret);
    await fieldOf(before, "from").fill("Ada Example <ada@gmail.com>");
    await workbench.reload();
    const frame = await workbench.webview("Accounts");
    await fieldOf(frame, "from").waitFor();
    await frame.getByText("Unsaved changes").waitFor();
    assert.equal(await fieldOf(frame, "from").inputValue(), "Ada Example <ada@gmail.com>");
    assert.equal(await fieldOf(frame, "user").inputValue(), "ada@gmail.com");
    assert.equal(await fieldOf(frame, "password").inputValue(), "");
    assert.deepEqual(await filesWith(opened.folder, secret, "ada@gmail.com"), []);
    const settings = path.join(opened.workspace, ".vscode", "settings.json");
    assert.ok(!existsSync(settings) || !(await readFile(settings, "utf8")).includes("gmail"), "nothing was saved");
  });

  it("a hostile message from the page starts nothing, and its scripts come with a nonce only", async () => {
    const { workbench } = opened;
    const frame = await workbench.webview("Accounts");
    const policy = await frame.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute("content");
    const scripts = /script-src ([^;]*)/.exec(policy ?? "")?.[1] ?? "";
    assert.match(scripts, /^'nonce-[^']+'$/);
    // As a script that got into the page would speak: with the page's own way to its host.
    const answers = await frame.evaluate<readonly { id: number; rpc: string }[]>(`
      (async () => {
        const hostile = [
          { method: "save", args: [{ form: { name: "evil" }, level: "user" }, { password: "x", proxyPassword: "" }] },
          { method: "save", args: [{ ...window.lastEdit, level: "everywhere" }, { password: "x", proxyPassword: "" }] },
          { method: "remove", args: ["work"] },
          { method: "executeCommand", args: ["bulkMail.send"] },
          { method: "constructor", args: [] },
          { method: "__proto__", args: [] },
        ].map((call, index) => ({ rpc: "request", id: 9000 + index, ...call }));
        const answers = new Map();
        const all = new Promise((resolve) => addEventListener("message", ({ data }) => {
          if (data?.id >= 9000) answers.set(data.id, { id: data.id, rpc: data.rpc });
          if (answers.size === hostile.length) resolve([...answers.values()]);
        }));
        for (const nonsense of ["save", null, 7, ["save"], { rpc: "event", method: "save", args: [] }]) window.hostApi.postMessage(nonsense);
        for (const message of hostile) window.hostApi.postMessage(message);
        return await all;
      })()
    `);
    assert.deepEqual([...new Set(answers.map(({ rpc }) => rpc))], ["error"]);
    // The page still works afterwards, and what it asks is answered.
    await frame.getByText("Advanced").click();
    await fieldOf(frame, "host").fill("mail host");
    await frame
      .getByText(/is not a host name|no host name|host name/i)
      .first()
      .waitFor();
    await frame.getByRole("button", { name: /discard/i }).click();
    assert.deepEqual(await filesWith(opened.folder, "evil", "evil"), []);
  });

  it("a closed tab loses nothing that was typed but the password, and says so (R2)", async () => {
    const { workbench } = opened;
    const frame = await beginAccount(opened);
    await fieldOf(frame, "user").fill("grace@example.org");
    await fieldOf(frame, "password").fill(secret);
    await frame.getByText("Unsaved changes").waitFor();
    await workbench.runCommand("View: Close Editor");
    await workbench.waitForNotification(/What you changed in Accounts is not saved/);
    await workbench.runCommand("Bulk Mail: Accounts…");
    const again = await workbench.webview("Accounts");
    await again.getByText("Unsaved changes").waitFor();
    assert.equal(await fieldOf(again, "user").inputValue(), "grace@example.org");
    assert.equal(await fieldOf(again, "password").inputValue(), "");
    assert.deepEqual(workbench.consoleErrors, []);
  });
});

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import * as path from "node:path";
import type { Frame, Locator } from "playwright-core";
import { answerJson, Interceptor } from "../fakes/interceptor";
import { googleClientFile, knownClient, SignInServer } from "../fakes/signInServer";
import { eventually } from "../host/wait";
import type { Workbench } from "../host/workbench";
import { faults } from "./axe";
import { beginAccount, fieldOf, filesWith, openWorkspace, type Opened } from "./workspace";

const user = "ada@gmail.com";
const themes = ["Default Light Modern", "Default High Contrast", "Default High Contrast Light", "Default Dark Modern"];

describe("signing in from the accounts panel (R1, R6, R15, R37)", () => {
  let opened: Opened;
  let interceptor: Interceptor;
  let google: SignInServer;

  before(async () => {
    interceptor = await Interceptor.start();
    google = await SignInServer.start(interceptor, "google");
    interceptor.play("gmail.googleapis.com", (_request, response) =>
      answerJson(response, 401, { error: { code: 401 } }),
    );
    opened = await openWorkspace({
      "list.csv": "email\nada@example.com\n",
      "certs/ca.pem": await readFile(interceptor.caFile),
    });
    await opened.workbench.page.setViewportSize({ width: 1280, height: 1000 });
  });
  after(async () => {
    await opened.close();
    await google.close();
    await interceptor.close();
  });

  const panel = (): Promise<Frame> => opened.workbench.webview("Accounts");
  const box = (frame: Frame): Locator => frame.locator('[data-field="signIn"]');
  const field = (frame: Frame, name: string): Locator => frame.locator(`[data-field="${name}"]`);
  const focused = (frame: Frame): Promise<string> =>
    frame.evaluate<string>("document.activeElement?.textContent ?? ''");
  const settings = async (): Promise<Record<string, unknown>> => {
    const file = path.join(opened.workspace, ".vscode", "settings.json");
    return JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
  };

  /** The form from *Sign-In* on, for the pages in `docs`. */
  const picture = async (frame: Frame, name: string): Promise<void> => {
    const section = frame.locator("section", { has: frame.locator("#section-sign-in") });
    await frame.evaluate("document.getElementById('section-sign-in').scrollIntoView()");
    const [part, whole] = [await section.boundingBox(), await frame.locator(".detail").boundingBox()];
    assert.ok(part !== null && whole !== null);
    const height = Math.min(part.height, whole.y + whole.height - part.y);
    await opened.workbench.screenshot(name, { ...part, height });
  };

  it("Gmail offers Google's sign-in and the Gmail API; what does not matter goes, what was typed stays (R1)", async () => {
    const frame = await beginAccount(opened);
    await choose(frame, "provider", "Gmail");
    await fieldOf(frame, "user").fill(user);
    await fieldOf(frame, "password").fill("abcd efgh");
    await frame.getByText("Advanced").click();
    await choose(frame, "security", "TLS");
    await fieldOf(frame, "port").fill("465");
    await choose(frame, "transport", "Gmail API");
    await frame.getByText("Sends through the Gmail API.").waitFor();
    for (const name of ["host", "port", "security", "servername", "verify", "password"])
      assert.equal(await field(frame, name).isVisible(), false, name);
    for (const name of ["user", "client", "signIn", "caFile", "proxy", "perDay"])
      assert.equal(await field(frame, name).isVisible(), true, name);
    const perMinute = frame.locator('[data-field="perMinute"] vscode-text-field');
    assert.equal(await perMinute.getAttribute("placeholder"), "150", "what Google allows through its API");
    await picture(frame, "docs-sign-in-new");
    await choose(frame, "transport", "Gmail's mail server (SMTP)");
    assert.equal(await fieldOf(frame, "password").inputValue(), "abcd efgh");
    assert.deepEqual(
      [await fieldOf(frame, "port").inputValue(), await fieldOf(frame, "host").inputValue()],
      ["465", "smtp.gmail.com"],
    );
    await choose(frame, "auth", "Sign in with Google");
    assert.equal(await field(frame, "password").isVisible(), false);
    assert.equal(await field(frame, "port").isVisible(), true);
    assert.equal(await field(frame, "host").isVisible(), false);
    await choose(frame, "transport", "Gmail API");
  });

  it("a client that is none is refused in place; the button says that it saves first", async () => {
    const frame = await panel();
    await fieldOf(frame, "proxy").fill(interceptor.proxy);
    await fieldOf(frame, "caFile").fill("certs/ca.pem");
    const start = frame.getByRole("button", { name: "Save and Sign in with Google" });
    await start.click();
    await field(frame, "client").getByText("is needed first").waitFor();
    await choosesFile(frame, "key.json", JSON.stringify({ type: "service_account", private_key: "none" }));
    await field(frame, "client").getByText("This is the key of a service account").waitFor();
    assert.equal(await fieldOf(frame, "client").inputValue(), "");
    assert.equal(interceptor.connections.length, 0);
  });

  it("saves, opens the browser and shows who is signed in since when; the secrets are in no file (R1, R15)", async () => {
    const { workbench } = opened;
    const frame = await panel();
    await choosesFile(frame, "client_secret.json", googleClientFile);
    await field(frame, "client").getByText("Stored.").waitFor();
    assert.equal(await fieldOf(frame, "client").inputValue(), "");
    const browser = catchBrowser(workbench);
    await frame.getByRole("button", { name: "Save and Sign in with Google" }).click();
    const address = await browser;
    await box(frame).getByText("Waiting for your browser…").waitFor();
    await workbench.screenshot("docs-sign-in-waiting", { x: 340, y: 0, width: 940, height: 330 });
    google.email = user;
    await fetch(await google.consent(address));
    await box(frame).getByText(`Signed in as ${user} since`).waitFor();
    await frame.locator(".account-item.selected", { hasText: `Signed in as ${user}` }).waitFor();
    assert.equal(await field(frame, "client").isVisible(), false);
    await picture(frame, "docs-sign-in-done");
    const { gmail } = (await settings())["bulkMail.accounts"] as Record<string, unknown>;
    assert.deepEqual(gmail, {
      provider: "gmail",
      transport: "gmailApi",
      auth: "oauth2",
      user,
      tls: { caFile: "certs/ca.pem" },
      proxy: interceptor.proxy,
    });
    for (const secret of [knownClient.google.clientSecret, ...google.refreshTokens, ...google.accessTokens])
      assert.deepEqual(await filesWith(opened.folder, secret, user), []);
  });

  for (const theme of themes)
    it(`is readable and free of accessibility faults in ${theme}, with the guide open`, async () => {
      const { workbench } = opened;
      const name = theme.replace("Default ", "").replaceAll(" ", "-").toLowerCase();
      await workbench.setTheme(theme);
      const frame = await panel();
      await box(frame).scrollIntoViewIfNeeded();
      await workbench.screenshot(`sign-in-${name}`);
      assert.deepEqual(await faults(frame), []);
      // Another user is another endpoint: then the client and its guide are there again.
      await fieldOf(frame, "user").fill("grace@gmail.com");
      await box(frame).getByText("Signed in for the account as it was saved.").waitFor();
      await frame.evaluate(
        "{ const guide = document.querySelector('.guide:not([hidden])'); guide.open = true; guide.scrollIntoView({ block: 'end' }); }",
      );
      await workbench.screenshot(`sign-in-guide-${name}`);
      assert.deepEqual(await faults(frame), []);
      await frame.getByRole("button", { name: /discard/i }).click();
    });

  it("with the keyboard alone: signs in again, cancels, and the focus stays where the button was", async () => {
    const { workbench } = opened;
    const { page } = workbench;
    const frame = await panel();
    const browser = catchBrowser(workbench);
    await box(frame).getByRole("button", { name: "Sign In Again" }).focus();
    await page.keyboard.press("Enter");
    await browser;
    await box(frame).getByText("Waiting for your browser…").waitFor();
    await box(frame).getByRole("button", { name: "Cancel" }).focus();
    await page.keyboard.press("Enter");
    await box(frame).getByText(`Signed in as ${user} since`).waitFor();
    assert.equal((await focused(frame)).trim(), "Sign In Again");
    await page.keyboard.press("Tab");
    assert.equal((await focused(frame)).trim(), "Sign Out");
  });

  it("a test of a sign-in that ended offers to sign in, and that goes on from there (R37)", async () => {
    const { workbench } = opened;
    const frame = await panel();
    await frame.getByRole("button", { name: "Test Connection" }).click();
    await frame.getByText(`The connection works: signed in as ${user} at the Gmail API.`).waitFor();
    google.revokeAll();
    await frame.getByRole("button", { name: "Send a Test Mail to Me…" }).click();
    await (await workbench.modal()).press("Send Test Mail");
    const failed = frame.locator('[data-step="auth"].step-failed');
    await failed.waitFor();
    await workbench.screenshot("sign-in-ended");
    await box(frame).getByText("Not signed in.").waitFor();
    const browser = catchBrowser(workbench);
    await failed.getByRole("button", { name: "Sign in with Google" }).click();
    await fetch(await google.consent(await browser));
    await box(frame).getByText(`Signed in as ${user} since`).waitFor();
    await frame.locator(".outcome").waitFor({ state: "hidden" });
  });

  it("says in place what the provider refused", async () => {
    const { workbench } = opened;
    const frame = await panel();
    google.refusal = "access_denied";
    const browser = catchBrowser(workbench);
    await box(frame).getByRole("button", { name: "Sign In Again" }).click();
    await fetch(await google.consent(await browser));
    await box(frame).locator(".message-error").waitFor();
    google.refusal = undefined;
    await workbench.screenshot("sign-in-refused");
    assert.deepEqual(await faults(frame), []);
  });

  it("signs out after VS Code's own question, and says so on the card", async () => {
    const { workbench } = opened;
    const frame = await panel();
    await box(frame).getByRole("button", { name: "Sign Out" }).click();
    const question = await workbench.modal();
    assert.equal(question.message, "Sign out of gmail?");
    await question.press("Sign Out");
    await box(frame).getByText("Not signed in.").waitFor();
    await frame.locator(".account-item.selected", { hasText: "Not signed in" }).waitFor();
    await workbench.waitForNotification("Signed out, and Google was told.");
    assert.equal(google.refreshTokens.size, 0);
    assert.match(
      (await fieldOf(frame, "client").getAttribute("placeholder")) ?? "",
      /^Stored/,
      "the client is kept for the next time",
    );
    assert.deepEqual(workbench.consoleErrors, []);
  });

  it("opens our own page about it, with its pictures", async () => {
    const { workbench } = opened;
    const frame = await panel();
    await frame.evaluate("document.querySelector('.guide:not([hidden])').open = true");
    await frame.getByRole("button", { name: "Each click, and what Google is asked for" }).click();
    const guide = await workbench.webview("sign-in-with-google.md");
    await guide.getByRole("heading", { name: "Sign in with Google" }).waitFor();
    await eventually("the pictures to be there", async () =>
      (await guide.evaluate<boolean>("[...document.images].every((image) => image.complete && image.naturalWidth > 0)"))
        ? true
        : undefined,
    );
  });
});

/** Chooses in a drop-down of the panel by its label. */
async function choose(frame: Frame, name: string, label: string): Promise<void> {
  const list = frame.locator(`[data-field="${name}"] vscode-dropdown`);
  await list.click();
  await list.getByRole("option", { name: label, exact: true }).click();
}

/** What a person does with *Choose File…*. */
async function choosesFile(frame: Frame, name: string, text: string): Promise<void> {
  const file = { name, mimeType: "application/json", buffer: Buffer.from(text) };
  await frame.locator('[data-field="client"] input[type="file"]').setInputFiles(file);
}

/** The page that VS Code opens in the person's browser: its address, without going there. */
async function catchBrowser(workbench: Workbench): Promise<string> {
  const context = workbench.page.context();
  const pattern = "https://accounts.google.com/**";
  const opening = context.waitForEvent("page");
  const address = await new Promise<string>((resolve, reject) => {
    opening.catch(reject);
    void context.route(pattern, async (route) => {
      resolve(route.request().url());
      await route.abort();
    });
    // In a browser, VS Code asks before it opens another page.
    workbench
      .modal()
      .then((question) => question.press("Open"))
      .catch(reject);
  });
  // The window that was left behind takes the place in front again.
  await (await opening).close();
  await context.unroute(pattern);
  return address;
}

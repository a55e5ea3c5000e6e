import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { repositoryRoot } from "../host/repo";
import { faults } from "./axe";
import { fieldOf, openWorkspace, type Opened } from "./workspace";

const themes = ["Default Light Modern", "Default Dark Modern", "Default High Contrast", "Default High Contrast Light"];

/** The example campaign as the workspace. */
function example(): Readonly<Record<string, Buffer>> {
  const folder = path.join(repositoryRoot(), "examples", "spring");
  return Object.fromEntries(
    readdirSync(folder).map((name) => [`spring/${name}`, readFileSync(path.join(folder, name))]),
  );
}

describe("the panels in four themes (R2, R54)", () => {
  let opened: Opened;

  before(async () => {
    opened = await openWorkspace(example(), {
      "bulkMail.accounts": { work: { provider: "gmail", user: "ada@example.com", from: "Ada <ada@example.com>" } },
    });
  });
  after(() => opened.close());

  for (const theme of themes)
    it(`accounts and preview are free of accessibility faults in ${theme}`, async () => {
      const { workbench } = opened;
      const name = theme.replace("Default ", "").replaceAll(" ", "-").toLowerCase();
      await workbench.setTheme(theme);
      await workbench.runCommand("Bulk Mail: Accounts…");
      const accounts = await workbench.webview("Accounts");
      // The form stands before it is filled: an empty one would say little.
      await accounts.getByText("Sends through smtp.gmail.com").waitFor();
      // What a known provider does not need is tucked away: it is looked at all the same.
      await accounts.evaluate("document.querySelector('details.advanced').open = true");
      await fieldOf(accounts, "host").waitFor();
      await workbench.screenshot(`accounts-${name}`);
      assert.deepEqual(await faults(accounts), []);
      await workbench.openFile("spring/spring.mail.md");
      await workbench.runCommand("Bulk Mail: Preview");
      const preview = await workbench.webview("Preview");
      await preview.getByText("amelie.fontaine@example.com").first().waitFor();
      await workbench.screenshot(`preview-${name}`);
      assert.deepEqual(await faults(preview), []);
      assert.deepEqual(workbench.consoleErrors, []);
    });
});

/** The preview as a person uses it: rows found, the message looked at as mail programs show it, nothing fetched unasked. */
import assert from "node:assert/strict";
import type { Frame } from "playwright-core";
import { eventually } from "../host/wait";
import { openWorkspace, type Opened } from "./workspace";

const picture = "https://pictures.example.com/banner.png";

const files = {
  "hello.mail.html": `---
id: 5e3b7c1e-52a4-4b0e-9f0e-0f6f9a1d2c01
subject: "For {{ name }}"
from: Ada <ada@example.com>
recipients: people.csv
---
<h1>Hello {{ name }}</h1><img src="${picture}" alt="A banner" width="10" height="10"><p>{{ note | default: "nothing" }}</p>
`,
  "other.mail.html": `---
id: 6e3b7c1e-52a4-4b0e-9f0e-0f6f9a1d2c01
subject: Other
from: Ada <ada@example.com>
recipients: people.csv
---
<h1>Other</h1><img src="${picture}?to={{ email }}" alt="">
`,
  "people.csv":
    "email,name,note\nada@example.com,Ada,short\nlukasz@example.net,Łukasz Żółć,two\ngrace@example.org,Grace,a much longer note than all of the others\nlinus@example.com,Linus,\n",
};

describe("the preview in the real workbench (R54)", () => {
  let opened: Opened;
  let preview: Frame;
  let fetched = 0;

  before(async () => {
    opened = await openWorkspace(files);
    const { workbench } = opened;
    await workbench.page.context().route("https://pictures.example.com/**", async (route) => {
      fetched++;
      await route.fulfill({ status: 200, contentType: "image/png", body: Buffer.alloc(0) });
    });
    await workbench.openFile("hello.mail.html");
    await workbench.runCommand("Bulk Mail: Preview");
    preview = await workbench.webview("Preview");
    await shows("ada@example.com");
  });
  after(() => opened.close());

  /** Waits until the row of this address is on show. */
  async function shows(address: string): Promise<void> {
    await preview.locator(".facts", { hasText: address }).waitFor();
  }

  const letter = (): ReturnType<Frame["frameLocator"]> => preview.frameLocator("iframe.message");

  it("finds a row by any of its cells, from the last one on to the first", async () => {
    const find = preview.getByRole("searchbox", { name: "Find a row by any of its cells" });
    await find.fill("GRACE");
    await find.press("Enter");
    await shows("grace@example.org");
    await find.fill("example.com");
    await find.press("Enter");
    await shows("linus@example.com");
    await find.press("Enter");
    await shows("ada@example.com");
    await find.fill("nobody of this name");
    await find.press("Enter");
    await preview.getByText("No row holds this.").waitFor();
    await shows("ada@example.com");
  });

  it("turns to the hard rows", async () => {
    const hard = preview.getByLabel("Turn to a hard row");
    for (const [what, address] of [
      ["Longest cell", "grace@example.org"],
      ["Most empty cells", "linus@example.com"],
      ["Most letters beyond ASCII", "lukasz@example.net"],
    ] as const) {
      await hard.selectOption({ label: what });
      await shows(address);
      assert.equal(await hard.inputValue(), "");
    }
  });

  it("steps from the line above the letter too", async () => {
    const lens = (text: string) => opened.workbench.page.locator(".codelens-decoration a", { hasText: text }).first();
    // The line is drawn anew when the row changes: a click before that meets the turn of the row before.
    await lens("Row 2 of 4").waitFor();
    await lens("◀").click();
    await shows("ada@example.com");
    await lens("Row 1 of 4").waitFor();
    await lens("▶").click();
    await shows("lukasz@example.net");
  });

  it("shows it as on a phone and in the dark, and the message stays what it is", async () => {
    const frame = preview.locator("iframe.message");
    const wide = (await frame.boundingBox())?.width ?? 0;
    await preview.getByRole("button", { name: "Phone width" }).click();
    const narrow = await eventually("the width of a phone", async () => {
      const width = (await frame.boundingBox())?.width ?? 0;
      return width <= 375 ? width : undefined;
    });
    assert.ok(wide === 0 || narrow <= wide);
    await preview.getByRole("button", { name: "Dark" }).click();
    assert.match((await frame.getAttribute("srcdoc")) ?? "", /<meta name="color-scheme" content="dark">/);
    await letter().getByRole("heading").waitFor();
    await opened.workbench.screenshot("preview-phone-dark");
    await preview.getByRole("tab", { name: "Headers" }).click();
    const head = (await preview.locator("pre.plain").textContent()) ?? "";
    assert.match(head, /^Message-ID: .*\(set when it is sent\)$/m);
    assert.ok(!head.includes("<h1>"), head);
    await preview.getByRole("tab", { name: "HTML" }).click();
    await preview.getByRole("button", { name: "Phone width" }).click();
    await preview.getByRole("button", { name: "Dark" }).click();
  });

  it("fetches pictures from the web when a person asks, and not before", async () => {
    await letter().getByRole("heading").waitFor();
    assert.equal(fetched, 0);
    await preview.getByRole("button", { name: "Pictures from the web" }).click();
    await eventually("the picture", () => Promise.resolve(fetched > 0 ? true : undefined));
    // Another letter may tell its sender of every row that is looked at: there nobody has asked yet.
    await opened.workbench.runCommand("View: Focus First Editor Group");
    await opened.workbench.openFile("other.mail.html");
    const before = fetched;
    await opened.workbench.runCommand("Bulk Mail: Preview");
    await letter().getByRole("heading", { name: "Other" }).waitFor();
    const pictures = preview.getByRole("button", { name: "Pictures from the web" });
    assert.equal(await pictures.getAttribute("aria-pressed"), "false");
    assert.equal(fetched, before);
  });
});

import assert from "node:assert/strict";
import { smallCampaign } from "../fakes/campaigns";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";
import { eventually } from "../host/wait";
import { openWorkspace, type Opened } from "./workspace";

describe("a workspace that is not trusted (R4, R15, R16)", () => {
  let opened: Opened;
  let server: ScriptedSmtp;

  before(async () => {
    server = await ScriptedSmtp.start();
    const account = { host: "127.0.0.1", port: server.port, security: "none", auth: "none" };
    opened = await openWorkspace(
      smallCampaign(3),
      {
        "bulkMail.accounts": { work: { ...account, from: "Ada <ada@example.com>" } },
        // Restricted from the start, as who answers No; the question itself is VS Code's.
        "security.workspace.trust.startupPrompt": "never",
      },
      { trust: true },
    );
  });
  after(async () => {
    await opened.close();
    await server.close();
  });

  it("is checked and previewed, and can send nothing, to anybody, by any command", async () => {
    const { workbench } = opened;
    await workbench.openFile("hello.mail.md");
    await workbench.runCommand("Bulk Mail: Preview");
    const preview = await workbench.webview("Preview");
    await preview.getByText("person0@example.com").first().waitFor();
    const refusals = async (): Promise<number> =>
      (await workbench.notificationHistory()).filter((text) => text.includes("This workspace is not trusted")).length;
    const commands = ["Send Campaign…", "Send Test to Myself…", "Rehearse in Sandbox", "Test Connection…"];
    for (const [index, title] of commands.entries()) {
      await workbench.openFile("hello.mail.md");
      await workbench.runCommand(`Bulk Mail: ${title}`);
      await eventually(`the refusal of ${title}`, async () => ((await refusals()) > index ? true : undefined));
    }
    assert.equal(server.connections, 0);
    await workbench.screenshot("untrusted");
  });
});

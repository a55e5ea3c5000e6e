/** Send Test to Myself: one row's real message, to another address, through the campaign's own account. */
import * as vscode from "vscode";
import { campaignName } from "../campaignFiles";
import { parseMailbox, plainText } from "../mail/index";
import { HumanError } from "../notify";
import { cancellable, check, requireTrust } from "./services";
import type { Services } from "./services";
import { signInAgain } from "./signIn";
import { wayOf } from "./way";

/** Where the address is remembered. */
const memoryKey = "testAddress";

/** Sends the row (zero-based), else the one in the preview, else the first that can be mailed. */
export async function sendTest(services: Services, campaign: vscode.Uri, row: number | undefined): Promise<void> {
  requireTrust();
  const reply = await check(services, campaign);
  if (reply === undefined) return;
  if (reply.counts === undefined || reply.campaign.id === undefined) {
    await vscode.commands.executeCommand("workbench.actions.view.problems");
    throw new HumanError("No message can be made of this campaign yet. The Problems view says why.");
  }
  const way = await wayOf(services, campaign, reply.campaign.account);
  if (way === undefined) return;
  const to = await services.dialogs.askText({
    title: `Send a Test of ${plainText(campaignName(campaign.fsPath), 60)}`,
    prompt:
      way.server === undefined ? "Into the sandbox: nothing leaves this machine." : `Through ${plainText(way.server)}`,
    placeholder: "your.address@example.com",
    value: services.memory.get<string>(memoryKey) ?? "",
    validate: (text) => {
      const parsed = parseMailbox(text);
      return parsed.ok ? undefined : `This is no single address: ${parsed.detail}.`;
    },
  });
  if (to === undefined) return;
  await services.memory.update(memoryKey, to);
  const order = {
    campaign: await services.campaigns.request(campaign),
    index: row ?? services.previews.rowOf(campaign),
    to,
    target: way.target,
    stateDirectory: services.stateDirectory(),
  };
  const tried = await cancellable("Sending a test", (signal) => services.task.sendTest(order, way.secrets, signal));
  if (tried === undefined) return;
  if (tried.ok) {
    services.log.info(`test accepted ${to} ${plainText(tried.reply)}`);
    services.speak.info(
      way.server === undefined
        ? "The sandbox took the test. Sandbox: nothing left this machine."
        : "The server accepted the test. It is on its way to you.",
    );
    return;
  }
  if ("problems" in tried) {
    const [first] = tried.problems;
    services.log.warn(`test not made: ${first?.message ?? "this row is not mailed"}`);
    throw new HumanError("This row's message cannot be made. Choose another row in the preview.", {
      title: "Preview",
      run: () => services.previews.open(campaign, row),
    });
  }
  const { text, reply: words, signIn } = tried.failure;
  services.log.error(`test failed ${to} ${text}${words === undefined ? "" : ` Server: ${words}`}`);
  const again = signIn === true && way.account !== undefined ? [signInAgain(services, campaign, way.account.id)] : [];
  const showLog = { title: "Show Log", run: () => services.log.show() };
  throw new HumanError(`The test was not sent. ${text}`, ...again, showLog);
}

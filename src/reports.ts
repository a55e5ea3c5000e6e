/** Reports as read-only documents: what the journal says, never what memory says. */
import * as vscode from "vscode";
import { campaignName } from "./campaignFiles";
import { DisposableStore } from "./dispose";
import type { Disposable } from "./dispose";
import type { Logger, RunState, World } from "./mail/index";
import type { SendTask } from "./sendTask";

const scheme = "bulk-mail-report";

/** Opens reports in the editor. */
export class Reports implements vscode.TextDocumentContentProvider, Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.add(new vscode.EventEmitter<vscode.Uri>());

  readonly onDidChange = this.changed.event;

  constructor(
    private readonly task: Pick<SendTask, "ask" | "onDidEnd">,
    private readonly stateDirectory: () => string,
    private readonly logger: Logger,
  ) {
    this.owned.add(vscode.workspace.registerTextDocumentContentProvider(scheme, this));
    // An open report follows its campaign's runs.
    this.owned.add(
      task.onDidEnd(() => {
        for (const { uri } of vscode.workspace.textDocuments) if (uri.scheme === scheme) this.changed.fire(uri);
      }),
    );
  }

  /** The campaign's newest run in either world, undefined when it was never sent. */
  async newest(campaignId: string): Promise<{ readonly world: World; readonly run: RunState } | undefined> {
    const runs: { readonly world: World; readonly run: RunState }[] = [];
    for (const world of ["real", "sandbox"] as const) {
      const address = { stateDirectory: this.stateDirectory(), campaignId, world, tolerant: true };
      const run = await this.task.ask.request("lastRun", address);
      if (run !== undefined) runs.push({ world, run });
    }
    return runs.sort((a, b) => (a.run.plan.createdAt < b.run.plan.createdAt ? 1 : -1))[0];
  }

  /** Opens the report of the campaign's last run in a world. */
  async open(file: string, campaignId: string, world: World): Promise<void> {
    const name = `${campaignName(file)}${world === "sandbox" ? " (sandbox)" : ""} report.txt`;
    const uri = vscode.Uri.from({ scheme, path: `/${name}`, query: `${campaignId}/${world}` });
    this.changed.fire(uri);
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri), { preview: true });
  }

  async provideTextDocumentContent({ query }: vscode.Uri): Promise<string> {
    const [campaignId = "", world] = query.split("/");
    if (world !== "real" && world !== "sandbox") return "";
    const text = await this.task.ask
      .request("report", { stateDirectory: this.stateDirectory(), campaignId, world })
      .then((report) => report ?? "This campaign has not been sent yet.\n")
      .catch((error: unknown) => {
        this.logger.error(`The report cannot be read: ${error instanceof Error ? error.message : String(error)}`);
        return "The report cannot be read. The log says why.\n";
      });
    return world === "sandbox" ? `Sandbox: nothing left this machine.\n\n${text}` : text;
  }

  dispose(): void {
    this.owned.dispose();
  }
}

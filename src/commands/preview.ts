/** Preview: the exact message of one row, beside the editor. */
import type * as vscode from "vscode";
import type { Services } from "./services";

/** Opens the preview at a row (zero-based), or where it was. */
export async function preview(services: Services, campaign: vscode.Uri, row: number | undefined): Promise<void> {
  await services.previews.open(campaign, row);
}

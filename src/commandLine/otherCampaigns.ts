/** The other campaigns below the root: one with the same id is a copy, and a copy's record would be the original's. */
import { readdir } from "node:fs/promises";
import * as path from "node:path";
import { CampaignIds } from "../mail/index";

/** Folders that hold no campaigns, and may hold very much else. */
const skipped: ReadonlySet<string> = new Set(["node_modules"]);

/** Id → absolute path of every campaign below `root` besides `file`. What cannot be read is passed over. */
export async function otherCampaigns(root: string, file: string): Promise<ReadonlyMap<string, string>> {
  const found: string[] = [];
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const at = path.join(folder, entry.name);
      if (entry.isDirectory() && !entry.name.startsWith(".") && !skipped.has(entry.name)) folders.push(at);
      else if (entry.isFile() && at !== file && /\.mail\.(?:md|html)$/.test(entry.name)) found.push(at);
    }
  }
  return new CampaignIds().among(found.sort());
}

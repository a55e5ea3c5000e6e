/** Where journals and captured mails live: per user, one place for every editor and the command line. */
import { chmod, mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import * as path from "node:path";
import type { World } from "./plan";

/** The state directory of this user, made from the home directory. */
export function defaultStateDirectory(): string {
  const home = homedir();
  if (process.platform === "darwin") return path.join(home, "Library", "Application Support", "bulk-mail");
  if (process.platform === "win32") return path.join(home, "AppData", "Local", "bulk-mail");
  return path.join(home, ".local", "state", "bulk-mail");
}

/** Whether a text is a campaign id: a lower-case UUID. */
export function isCampaignId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}

/** The folder of a campaign's runs in one world. `campaignId` is a UUID: no name is ever made from other user text. */
export function campaignDirectory(stateDirectory: string, campaignId: string, world: World): string {
  if (!isCampaignId(campaignId)) throw new Error("A campaign id must be a UUID.");
  return path.join(stateDirectory, "campaigns", campaignId, world);
}

/** Where the sandbox server keeps the mails of a campaign, one `.eml` file each. */
export function sandboxDirectory(stateDirectory: string, campaignId: string): string {
  return path.join(campaignDirectory(stateDirectory, campaignId, "sandbox"), "mails");
}

/** Makes a folder that only this user can enter, with its parents. */
export async function makePrivateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // mkdir's mode is cut by the umask only; a folder that stood there already may be wider.
  await chmod(directory, 0o700);
}

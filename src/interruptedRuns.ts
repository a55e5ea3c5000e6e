/** On the way in: shows what an earlier window left unfinished. Nothing resumes by itself. */
import { access } from "node:fs/promises";
import * as path from "node:path";
import type { CampaignFiles } from "./campaignFiles";
import type { Disposable } from "./dispose";
import { toDisposable } from "./dispose";
import type { Logger } from "./mail/index";
import type { SendTask } from "./sendTask";

/** Long enough for VS Code to have come to rest after its start, milliseconds. */
const idleMs = 3_000;

/** Looks once, when the window is idle, in the worker, and only where anything was ever sent. */
export function lookForInterrupted(
  campaigns: CampaignFiles,
  task: SendTask,
  stateDirectory: () => string,
  logger: Logger,
  onHistory: () => void,
): Disposable {
  const timer = setTimeout(() => {
    // The place itself may be refused: that too is for the log, not for the timer.
    void (async () => {
      if (await look(campaigns, task, stateDirectory())) onHistory();
    })().catch((error: unknown) =>
      logger.warn(`Interrupted runs cannot be looked for: ${error instanceof Error ? error.message : String(error)}`),
    );
  }, idleMs);
  return toDisposable(() => clearTimeout(timer));
}

/** Shows the interrupted runs of this workspace's campaigns; whether anything was ever sent on this machine. */
export async function look(campaigns: CampaignFiles, task: SendTask, stateDirectory: string): Promise<boolean> {
  const files = (await campaigns.list()).map(({ fsPath }) => fsPath);
  const sent = await access(path.join(stateDirectory, "campaigns")).then(
    () => true,
    () => false,
  );
  if (!sent || files.length === 0) return sent;
  task.showInterrupted(await task.ask.request("interrupted", files, stateDirectory));
  return true;
}

/** What the program says when it cannot go on, and its exit code. */
import { FileError, JournalError, plainText, PlanError, RunningError } from "../mail/index";
import { exit, Refusal } from "./usage";

/** Codes of the system that are about disks and files. */
const diskCodes = /^(?:EACCES|EDQUOT|EIO|EISDIR|EMFILE|ENAMETOOLONG|ENOENT|ENOSPC|ENOTDIR|EPERM|EROFS)$/;

/** What we know is a sentence; anything else is a fault of ours and keeps its trace. */
export function describeFailure(error: unknown): { readonly text: string; readonly code: number } {
  if (error instanceof Refusal) return { text: plain(error.message), code: error.code };
  if (error instanceof RunningError) return { text: plain(error.message), code: exit.paused };
  if (error instanceof PlanError || error instanceof JournalError || error instanceof FileError)
    return { text: plain(error.message), code: exit.account };
  const { code = "", path, stack } = error as NodeJS.ErrnoException;
  if (error instanceof Error && diskCodes.test(code))
    return {
      text: plain(
        `${path ?? "The disk"} cannot be used (${code}). Free space or mend the disk, or its permissions, then try again.`,
      ),
      code: exit.account,
    };
  return { text: stack ?? String(error), code: exit.problems };
}

function plain(text: string): string {
  return text
    .split("\n")
    .map((line) => plainText(line, 1000))
    .join("\n");
}

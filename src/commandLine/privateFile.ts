/** Files with secrets that belong to the user: nobody else may read them, and they are replaced whole. */
import { constants, open, realpath, rename, rm } from "node:fs/promises";
import { plainText } from "../mail/index";
import { Refusal } from "./usage";

/** Such files have some hundred bytes. */
const longest = 64 * 1024;

/** The text of a file that its owner alone can read (where the system knows of that). Throws `Refusal`. */
export async function readPrivateFile(file: string): Promise<string> {
  const name = plainText(file);
  let handle;
  try {
    // Without waiting: a pipe that nobody writes to opens at once, and is found to be no file. Windows has neither.
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    throw new Refusal(
      code === "ENOENT" ? `${name} does not exist.` : `${name} cannot be read (${code}). Look at its permissions.`,
    );
  }
  try {
    const about = await handle.stat();
    if (!about.isFile() || about.size > longest) throw new Refusal(`${name} is no file of a sign-in.`);
    if (process.platform !== "win32" && (about.mode & 0o077) !== 0)
      throw new Refusal(
        `${name} can be read or changed by other users of this machine, and it holds secrets. Run chmod 600 on it, then try again.`,
      );
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

/** Puts a new text in place of an old one, all or nothing, for its owner alone. Throws the system's errors. */
export async function replacePrivateFile(file: string, text: string): Promise<void> {
  // A link stays one, and points to the new text.
  const target = await realpath(file);
  const temporary = `${target}.${String(process.pid)}.tmp`;
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** The dry run: one `.eml` file a message, nothing leaves the machine. */
import { mkdir, open, rename } from "node:fs/promises";
import * as path from "node:path";
import { createHash } from "node:crypto";
import { classify } from "../classify";
import type { Message } from "../message";
import { SendError, type Gate, type Receipt, type Transport } from "./transport";

/** Writes messages into `directory`, which is made if it is missing. */
export class OutboxTransport implements Transport {
  readonly heardAt = -Infinity;
  readonly isOpen = false;

  constructor(private readonly directory: string) {}

  async open(): Promise<void> {
    try {
      // A folder that stands already is somebody's: it keeps its mode.
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new SendError({
        ...classify({ stage: "connect" }),
        class: "account",
        text: `The folder for the dry run cannot be made (${String((error as NodeJS.ErrnoException).code)}). Choose another.`,
      });
    }
  }

  async send(message: Message, gate: Gate): Promise<Receipt> {
    await gate();
    const name = emlName(message.messageId);
    const file = path.join(this.directory, name);
    const temporary = `${file}.part`;
    try {
      const handle = await open(temporary, "w", 0o600);
      try {
        await handle.writeFile(message.bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, file);
    } catch (error) {
      throw new SendError({
        ...classify({ stage: "body" }),
        class: "account",
        text: `The dry run cannot write its files (${String((error as NodeJS.ErrnoException).code)}). Free space, or choose another folder.`,
      });
    }
    return { reply: `written to ${name}` };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  drop(): void {
    // There is no connection.
  }
}

/** A file name for a message: no name is ever made from user text. */
export function emlName(messageId: string): string {
  return `${createHash("sha256").update(messageId).digest("hex").slice(0, 24)}.eml`;
}

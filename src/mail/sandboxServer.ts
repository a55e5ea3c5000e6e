/** The built-in SMTP server: loopback only, takes everything, keeps every mail as an `.eml` file. Nothing leaves the machine. */
import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename, unlink } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";
import { SMTPServer } from "smtp-server";
import { makePrivateDirectory } from "./stateDirectory";

/** A running sandbox. */
export interface SandboxServer {
  readonly port: number;
  /** Folder of the captured mails. */
  readonly directory: string;
  close(): Promise<void>;
}

/** Starts the server on a free port of 127.0.0.1. `directory` is made if it is missing; mails in it stay. */
export async function startSandbox(directory: string): Promise<SandboxServer> {
  await makePrivateDirectory(directory);
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    disableReverseLookup: true,
    hideENHANCEDSTATUSCODES: false,
    banner: "Bulk Mail sandbox",
    logger: false,
    onData(stream, _session, callback) {
      keep(stream, directory).then(
        () => callback(null, "kept in the sandbox, sent to nobody"),
        (error: unknown) => callback(error instanceof Error ? error : new Error(String(error))),
      );
    },
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
  // A client that drops its connection is the client's affair.
  server.on("error", () => {});
  return {
    port: (server.server.address() as AddressInfo).port,
    directory,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Captured mails sort by time; the random part keeps two of the same millisecond apart. */
async function keep(stream: NodeJS.ReadableStream, directory: string): Promise<void> {
  const stamp = new Date().toISOString().replace(/[-:]/g, "").replace(".", "-");
  const file = path.join(directory, `${stamp}-${randomBytes(4).toString("hex")}.eml`);
  const temporary = `${file}.part`;
  try {
    await pipeline(stream, createWriteStream(temporary, { mode: 0o600 }));
    await rename(temporary, file);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
}

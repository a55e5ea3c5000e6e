/** Postfix's own smtp-sink on loopback: a server that does one thing wrong, as its options say. */
import { chown, mkdir, mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import type { ServerPrograms } from "./debianPackages";
import type { DeliveredMail } from "./deliveredMail";
import { freePort, ServerProcess } from "./serverProcess";

/** The machine's `daemon`. */
const daemonId = 1;

/** A running one. */
export class SmtpSink {
  private constructor(
    private readonly server: ServerProcess,
    readonly port: number,
  ) {}

  /** Every command that came in. */
  get log(): string {
    return this.server.log;
  }

  /**
   * Starts one on a port of 127.0.0.1, by default a free one.
   * @throws with the log when it ends or does not come up.
   */
  static async start(programs: ServerPrograms, options: readonly string[] = [], port?: number): Promise<SmtpSink> {
    const folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-sink-"));
    const sink = new SmtpSink(new ServerProcess(folder, path.join(folder, "log")), port ?? (await freePort()));
    try {
      await chown(folder, daemonId, daemonId);
      const dumps = path.join(folder, "dumps");
      await mkdir(dumps);
      await chown(dumps, daemonId, daemonId);
      const own = ["-4", "-v", "-u", "daemon", "-d", path.join(dumps, "mail.")];
      const where = [`127.0.0.1:${String(sink.port)}`, "100"];
      const env = { LD_LIBRARY_PATH: programs.libraryPath, TZ: "UTC" };
      sink.server.start(path.join(programs.root, "usr/sbin/smtp-sink"), [...own, ...options, ...where], env);
      await sink.server.untilListening(sink.port);
    } catch (error) {
      await sink.close();
      throw error;
    }
    return sink;
  }

  /** Every message that came in whole, whatever was answered to it; it is there before the answer. */
  async mails(): Promise<readonly DeliveredMail[]> {
    const dumps = path.join(this.server.folder, "dumps");
    const names = await readdir(dumps);
    const sources = await Promise.all(names.map((name) => readFile(path.join(dumps, name), "utf8")));
    return (
      sources
        .map((source) => ({
          from: /^X-Mail-Args: <(.*?)>/m.exec(source)?.[1] ?? "",
          to: /^X-Rcpt-Args: <(.*?)>/m.exec(source)?.[1] ?? "",
          source,
        }))
        // What was broken off has its envelope at the most.
        .filter(({ source }) => /^Subject: /m.test(source))
    );
  }

  close(): Promise<void> {
    return this.server.close();
  }
}

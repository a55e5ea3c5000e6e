/** Debian's own OpenSMTPD on loopback: no PIPELINING, no SMTPUTF8. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { serverPrograms, type ServerPrograms, type Unavailable } from "./debianPackages";
import { readMaildir, type DeliveredMail } from "./deliveredMail";
import { chroot, makeRoot, whereChroot } from "./ownRoot";
import { freePort, ServerProcess } from "./serverProcess";

/** Where its unprivileged half sees nothing. */
const nowhere = "/var/lib/opensmtpd/empty";
/** The machine's `daemon`, `mail` and `nobody`: it wants two users of its own, and one that gets the mail. */
const users = [
  { name: "opensmtpd", id: 1, home: nowhere },
  { name: "opensmtpq", id: 8, home: nowhere },
  { name: "nobody", id: 65534, home: "/mail" },
] as const;

/** Fetches the programs on first use, or says why this machine cannot run them. */
export async function openSmtpdPrograms(): Promise<ServerPrograms | Unavailable> {
  const programs = await serverPrograms(["opensmtpd"]);
  return programs.kind === "unavailable" ? programs : await whereChroot(programs);
}

/** A running one. It keeps all mail in one mailbox. */
export class OpenSmtpd {
  private constructor(
    private readonly server: ServerProcess,
    readonly port: number,
  ) {}

  /** Everything it has heard and said so far, and its deliveries. */
  get log(): string {
    return this.server.log;
  }

  /**
   * Starts it on a free port of 127.0.0.1; resolves when it answers there.
   * @throws with the log when it ends or does not come up.
   */
  static async start(programs: ServerPrograms): Promise<OpenSmtpd> {
    const folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-opensmtpd-"));
    const server = new OpenSmtpd(new ServerProcess(folder, path.join(folder, "log")), await freePort());
    try {
      await makeRoot(folder, programs, {
        // It hands mail to a shell's command line.
        programs: ["/usr/sbin/smtpd", "/usr/libexec/opensmtpd/mail.maildir", "/bin/sh"],
        users,
        files: { "/etc/smtpd.conf": settings(server.port) },
        folders: { [nowhere]: 0, "/var/spool/smtpd": 0, "/var/run": 0, "/tmp": 0, "/mail": 65534 },
      });
      const words = [folder, "/usr/sbin/smtpd", "-d", "-T", "smtp", "-f", "/etc/smtpd.conf"];
      server.server.start(chroot, words, { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", TZ: "UTC" });
      await server.server.untilListening(server.port);
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** Waits until this many messages have been delivered, and reads the mailbox. */
  async mails(count: number): Promise<readonly DeliveredMail[]> {
    await this.server.until(/ mda delivery .* result=Ok /, count);
    return await readMaildir(path.join(this.server.folder, "mail"));
  }

  close(): Promise<void> {
    return this.server.close();
  }
}

function settings(port: number): string {
  return `listen on 127.0.0.1 port ${String(port)} hostname localhost
table everybody { "@" = nobody }
action "mailbox" maildir "/mail" virtual <everybody>
match from any for any action "mailbox"
`;
}

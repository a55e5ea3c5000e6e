/** Debian's own Exim on loopback: it gives no enhanced codes, and what it refuses is told in its words alone. */
import { chown, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { serverPrograms, type ServerPrograms, type Unavailable } from "./debianPackages";
import { readMaildir, type DeliveredMail } from "./deliveredMail";
import { chroot, makeRoot, whereChroot } from "./ownRoot";
import { freePort, ServerProcess } from "./serverProcess";

/** The machine's `daemon`; Debian's Exim insists on a user of another name, so it gets a root directory of its own. */
const user = { name: "Debian-exim", id: 1, home: "/spool" };

/** Whom it treats how, by local part; everybody else is taken. */
export interface EximOptions {
  /** 550 Unknown user, to RCPT. */
  readonly unknown?: string;
  /** 550 after the body. */
  readonly spam?: string;
  /** 451 to the first RCPT of everybody. */
  readonly greylist?: boolean;
}

/** Fetches the program on first use, or says why this machine cannot run it. */
export async function eximPrograms(): Promise<ServerPrograms | Unavailable> {
  const programs = await serverPrograms(["exim4-daemon-light"]);
  return programs.kind === "unavailable" ? programs : await whereChroot(programs);
}

/** A running one. It keeps all mail in one mailbox. */
export class Exim {
  private constructor(
    private readonly server: ServerProcess,
    readonly port: number,
  ) {}

  /** Its main log, and what it says while it starts. */
  get log(): string {
    return this.server.log;
  }

  /**
   * Starts it on a free port of 127.0.0.1; resolves when it listens.
   * @throws with the log when it ends or does not come up.
   */
  static async start(programs: ServerPrograms, options: EximOptions = {}): Promise<Exim> {
    const folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-exim-"));
    const log = path.join(folder, "log", "main");
    await mkdir(path.dirname(log));
    await writeFile(log, "");
    const exim = new Exim(new ServerProcess(folder, log), await freePort());
    try {
      await makeRoot(folder, programs, {
        programs: ["/usr/sbin/exim4"],
        users: [user],
        files: { "/etc/exim.conf": settings(exim.port, options) },
        folders: { "/spool": user.id, "/mail": user.id, "/log": user.id, "/tmp": user.id },
      });
      await chown(log, user.id, user.id);
      exim.server.start(chroot, [folder, "/usr/sbin/exim4", "-bdf", "-C", "/etc/exim.conf"], { TZ: "UTC" });
      await exim.server.until(/daemon started: pid=\d+, .* listening for SMTP/);
    } catch (error) {
      await exim.close();
      throw error;
    }
    return exim;
  }

  /** Waits until this many messages have been delivered, and reads the mailbox. */
  async mails(count: number): Promise<readonly DeliveredMail[]> {
    await this.server.until(/ Completed$/, count);
    return await readMaildir(path.join(this.server.folder, "mail"));
  }

  close(): Promise<void> {
    return this.server.close();
  }
}

function settings(port: number, { unknown, spam, greylist = false }: EximOptions): string {
  return `primary_hostname = localhost
exim_user = ${user.name}
exim_group = ${user.name}
never_users = root
spool_directory = /spool
log_file_path = /log/%s
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${String(port)}
disable_ipv6 = true
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
smtp_accept_queue_per_connection = 0
smtputf8_advertise_hosts = *
acl_smtp_rcpt = recipient
acl_smtp_data = content

begin acl
recipient:
${unknown === undefined ? "" : `  deny message = Unknown user\n       local_parts = ${unknown}\n`}${
    // The rate is above one only when the same pair comes for the second time.
    greylist
      ? "  defer message = Greylisted, try later\n        !ratelimit = 1.5 / 1h / strict / per_cmd / $sender_address:$local_part@$domain\n"
      : ""
  }  accept
content:
${spam === undefined ? "" : `  deny message = This message looks like spam\n       condition = \${if eq{$recipients}{${spam}@example.com}}\n`}  accept

begin routers
everybody:
  driver = accept
  transport = mailbox

begin transports
mailbox:
  driver = appendfile
  maildir_format
  directory = /mail
  headers_add = Delivered-To: $local_part@$domain
  return_path_add
  user = ${user.name}
  group = ${user.name}

begin retry
`;
}

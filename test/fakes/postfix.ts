/** Debian's own Postfix on loopback, with Dovecot's sign-in where it is asked for: nothing of them is ours but the settings. */
import { chmod, chown, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { repositoryRoot } from "../host/repo";
import { serverPrograms, tryProgram, type ServerPrograms, type Unavailable } from "./debianPackages";
import { readMaildir, type DeliveredMail } from "./deliveredMail";
import { freePort, ServerProcess } from "./serverProcess";

/** Base Debian's `daemon`, user and group: Postfix wants an owner of its own for its queue, and its package makes none here. */
const daemonId = 1;
/** Seconds after which Postfix ends by itself, should nobody be left to end it. */
const lifetime = "300";

/** How a Postfix is set up. */
export interface PostfixOptions {
  /** Who may sign in, after STARTTLS only; mail is then passed on for nobody else. Without it, for everybody on this machine. */
  readonly signIn?: { readonly user: string; readonly password: string };
  /** More of main.cf. */
  readonly main?: Readonly<Record<string, string>>;
}

/** Fetches the programs on first use, or says why this machine cannot run them. */
export async function postfixPrograms(): Promise<ServerPrograms | Unavailable> {
  const own = ["postfix", "dovecot", "dovecot/modules/old-stats"];
  const programs = await serverPrograms(["postfix", "dovecot-core"], own);
  if (programs.kind === "unavailable") return programs;
  const version = await tryProgram(programs, "usr/sbin/dovecot", ["--version"]);
  if (version.kind === "unavailable") return version;
  if (!version.stdout.startsWith("2.3."))
    return { kind: "unavailable", reason: `the settings are for Dovecot 2.3, here is ${version.stdout.trim()}` };
  return programs;
}

/** A running one. It puts whatever it passes on into one mailbox instead: no mail leaves the machine. */
export class Postfix {
  private constructor(
    private readonly server: ServerProcess,
    readonly port: number,
  ) {}

  /** What all of its programs have logged so far. */
  get log(): string {
    return this.server.log;
  }

  /**
   * Starts it on a free port of 127.0.0.1; resolves when it listens.
   * @throws with the log when a program ends or does not come up.
   */
  static async start(programs: ServerPrograms, options: PostfixOptions = {}): Promise<Postfix> {
    const folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-postfix-"));
    const postfix = new Postfix(new ServerProcess(folder, path.join(folder, "log")), await freePort());
    try {
      await postfix.prepare(programs, options);
      await postfix.run(programs, options);
    } catch (error) {
      await postfix.close();
      throw error;
    }
    return postfix;
  }

  /** Waits until the log has this many matches. */
  until(pattern: RegExp, count = 1): Promise<void> {
    return this.server.until(pattern, count);
  }

  /** Waits until everything that came in has left the queue, `count` messages in all, and reads the mailbox. */
  async mails(count = 0): Promise<readonly DeliveredMail[]> {
    await this.until(/postfix\/qmgr\[\d+\]: \w+: removed/, count);
    return await readMaildir(path.join(this.server.folder, "mail"));
  }

  close(): Promise<void> {
    return this.server.close();
  }

  private async prepare({ root, libraryPath }: ServerPrograms, { signIn, main }: PostfixOptions): Promise<void> {
    const { folder } = this.server;
    // The programs change to users that are not root, and these must reach their files.
    await chmod(folder, 0o755);
    const queues = "active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace";
    const owned = ["data", "mail", ...queues.split(" ").map((name) => path.join("queue", name))];
    for (const name of [...owned, "settings", "queue/pid"]) await mkdir(path.join(folder, name), { recursive: true });
    for (const name of owned) await chown(path.join(folder, name), daemonId, daemonId);
    const files = {
      // Of two lines with one name Postfix takes the last.
      "main.cf":
        mainSettings(root, libraryPath, folder) +
        (signIn === undefined ? openRelay : signInRelay(folder)) +
        Object.entries(main ?? {})
          .map(([name, value]) => `${name} = ${value}\n`)
          .join(""),
      "master.cf": services(this.port),
      "dovecot.conf": signInSettings(root, libraryPath, folder),
      users: `${signIn?.user ?? ""}:{PLAIN}${signIn?.password ?? ""}\n`,
    };
    for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, "settings", name), text);
  }

  private async run({ root, libraryPath }: ServerPrograms, { signIn }: PostfixOptions): Promise<void> {
    const settings = path.join(this.server.folder, "settings");
    const env = { PATH: process.env.PATH, LD_LIBRARY_PATH: libraryPath, MAIL_CONFIG: settings, TZ: "UTC" };
    if (signIn !== undefined) {
      // Dovecot would look for doveconf where the package puts it; doveconf, asked to, starts Dovecot itself.
      const file = path.join(settings, "dovecot.conf");
      const read = ["-f", "service=master", "-c", file, "-m", "master", "-p"];
      const words = [...read, "-e", path.join(root, "usr/sbin/dovecot"), "-F", "-c", file];
      this.server.start(path.join(root, "usr/bin/doveconf"), words, env);
      await this.until(/Dovecot v\S+ .*starting up/);
    }
    this.server.start(path.join(root, "usr/lib/postfix/sbin/master"), ["-s", "-c", settings, "-e", lifetime], env);
    await this.until(/postfix\/master\[\d+\]: daemon started/);
  }
}

function mainSettings(root: string, libraryPath: string, folder: string): string {
  const tls = path.join(repositoryRoot(), "test", "fixtures", "tls");
  return `compatibility_level = 3.6
queue_directory = ${folder}/queue
data_directory = ${folder}/data
meta_directory = ${folder}/settings
command_directory = ${root}/usr/sbin
daemon_directory = ${root}/usr/lib/postfix/sbin
shlib_directory = ${root}/usr/lib/postfix
import_environment = MAIL_CONFIG TZ LD_LIBRARY_PATH=${libraryPath}
mail_owner = daemon
setgid_group = mail
maillog_file = /dev/stdout
myhostname = localhost
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
alias_maps =
smtpd_peername_lookup = no
smtpd_tls_cert_file = ${tls}/server.pem
smtpd_tls_key_file = ${tls}/server.key
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
default_transport = virtual
virtual_mailbox_domains =
virtual_mailbox_base = ${folder}
virtual_mailbox_maps = static:mail/
virtual_minimum_uid = ${String(daemonId)}
virtual_uid_maps = static:${String(daemonId)}
virtual_gid_maps = static:${String(daemonId)}
`;
}

/** Limits of a client hold for this machine too. */
const openRelay = `mynetworks = 127.0.0.1/32
smtpd_client_event_limit_exceptions =
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
`;

function signInRelay(folder: string): string {
  return `mynetworks =
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = ${folder}/sign-in
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
`;
}

/** No service that could carry a mail to another machine is among them. */
function services(port: number): string {
  return `127.0.0.1:${String(port)} inet n - n - - smtpd
anvil unix - - n - 1 anvil
bounce unix - - n - 0 bounce
cleanup unix n - n - 0 cleanup
defer unix - - n - 0 bounce
error unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
proxymap unix - - n - - proxymap
qmgr unix n - n 300 1 qmgr
retry unix - - n - - error
rewrite unix - - n - - trivial-rewrite
tlsmgr unix - - n 1000? 1 tlsmgr
trace unix - - n - 0 bounce
virtual unix - n n - - virtual
`;
}

function signInSettings(root: string, libraryPath: string, folder: string): string {
  return `protocols =
ssl = no
base_dir = ${folder}/dovecot
state_dir = ${folder}/dovecot
libexec_dir = ${root}/usr/lib/dovecot
import_environment = TZ LD_LIBRARY_PATH=${libraryPath}
log_path = /dev/stderr
default_internal_user = daemon
default_internal_group = daemon
default_login_user = nobody
auth_mechanisms = plain login
auth_failure_delay = 0
disable_plaintext_auth = no
passdb {
  driver = passwd-file
  args = ${folder}/settings/users
}
service auth {
  unix_listener ${folder}/sign-in {
    mode = 0666
  }
}
`;
}

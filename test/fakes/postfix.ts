/** Debian's own Postfix with Dovecot's sign-in on loopback, as a provider runs them: nothing of them is ours but the settings. */
import { execFile, type ChildProcess } from "node:child_process";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { closeSync, openSync, readFileSync, watch, type FSWatcher } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { startChild, stopChild } from "../host/children";
import { debianPackages } from "../host/debianPackages";
import { repositoryRoot } from "../host/repo";

/** Base Debian's `daemon`, user and group: Postfix wants an owner of its own for its queue, and its package makes none here. */
const daemonId = 1;
/** Seconds after which Postfix ends by itself, should nobody be left to end it. */
const lifetime = "300";
/** How long a line in a log is waited for, in milliseconds. */
const patienceMs = 20_000;

/** Where the programs lie. */
export interface PostfixPrograms {
  readonly kind: "programs";
  readonly root: string;
  /** What the loader needs, as LD_LIBRARY_PATH. */
  readonly libraryPath: string;
}

/** A mail in the mailbox, with the envelope that Postfix noted. */
export interface DeliveredMail {
  readonly from: string;
  readonly to: string;
  readonly source: string;
}

/** Fetches the programs on first use, or says why this machine cannot run them. */
export async function postfixPrograms(): Promise<PostfixPrograms | { kind: "unavailable"; reason: string }> {
  const unavailable = (reason: string) => ({ kind: "unavailable", reason }) as const;
  if (process.platform !== "linux") return unavailable("Debian's Postfix runs on Linux only");
  if (process.getuid?.() !== 0) return unavailable("Postfix starts as root only");
  const packages = await debianPackages(["postfix", "dovecot-core"]);
  if (packages.kind === "unavailable") return packages;
  const { root } = packages;
  const own = ["postfix", "dovecot", "dovecot/modules/old-stats"].map((name) => path.join(root, "usr/lib", name));
  const libraryPath = [...own, ...packages.libraries].join(":");
  try {
    const env = { ...process.env, LD_LIBRARY_PATH: libraryPath };
    const { stdout } = await promisify(execFile)(path.join(root, "usr/sbin/dovecot"), ["--version"], { env });
    if (!stdout.startsWith("2.3.")) return unavailable(`the settings are for Dovecot 2.3, here is ${stdout.trim()}`);
  } catch (error) {
    return unavailable(`Dovecot does not run here: ${error instanceof Error ? error.message.trim() : String(error)}`);
  }
  return { kind: "programs", root, libraryPath };
}

/**
 * A running pair. It knows one user, offers the sign-in after STARTTLS only, passes mail on for who signed in, and puts
 * whatever it passes on into one mailbox instead: no mail leaves the machine.
 */
export class Postfix {
  private readonly children: ChildProcess[] = [];
  private readonly listeners = new Set<() => void>();
  private readonly logFile: number;
  private readonly watcher: FSWatcher;

  private constructor(
    private readonly folder: string,
    readonly port: number,
  ) {
    this.logFile = openSync(path.join(folder, "log"), "a");
    this.watcher = watch(path.join(folder, "log"), () => this.changed());
  }

  /** What both have logged so far. */
  get log(): string {
    return readFileSync(path.join(this.folder, "log"), "utf8");
  }

  /**
   * Starts both on a free port of 127.0.0.1; resolves when Postfix listens.
   * @throws with the log when one of them ends or does not come up.
   */
  static async start(programs: PostfixPrograms, user: string, password: string): Promise<Postfix> {
    const folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-postfix-"));
    const postfix = new Postfix(folder, await freePort());
    try {
      await postfix.prepare(programs, user, password);
      await postfix.run(programs);
    } catch (error) {
      await postfix.close();
      throw error;
    }
    return postfix;
  }

  /** Waits until the log has this many matches. */
  until(pattern: RegExp, count = 1): Promise<void> {
    const all = new RegExp(pattern, "g");
    return new Promise((resolve, reject) => {
      const finish = (failure?: string): void => {
        clearTimeout(timer);
        this.listeners.delete(look);
        if (failure === undefined) resolve();
        else reject(new Error(`${failure} before ${String(count)} × ${String(pattern)} was logged:\n${this.log}`));
      };
      const look = (): void => {
        if ((this.log.match(all)?.length ?? 0) >= count) finish();
        else if (this.children.some(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null))
          finish("A server ended");
      };
      const timer = setTimeout(() => finish(`${String(patienceMs / 1000)} s passed`), patienceMs);
      this.listeners.add(look);
      look();
    });
  }

  /** Every mail that was delivered, by recipient. Wait for its line in the log first: delivery comes after the reply. */
  async mails(): Promise<readonly DeliveredMail[]> {
    const box = path.join(this.folder, "mail", "new");
    const sources = await Promise.all(
      (await readdir(box).catch(() => [])).map((name) => readFile(path.join(box, name), "utf8")),
    );
    return sources
      .map((source) => ({
        from: /^Return-Path: <(.*)>$/m.exec(source)?.[1] ?? "",
        to: /^Delivered-To: (.*)$/m.exec(source)?.[1] ?? "",
        source,
      }))
      .sort((a, b) => a.to.localeCompare(b.to));
  }

  async close(): Promise<void> {
    for (const child of this.children) await stopChild(child);
    this.watcher.close();
    closeSync(this.logFile);
    // What was killed with its master may still be closing its files.
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  private changed(): void {
    for (const look of [...this.listeners]) look();
  }

  private async prepare({ root, libraryPath }: PostfixPrograms, user: string, password: string): Promise<void> {
    const { folder } = this;
    // Both change to users that are not root, and these must reach their files.
    await chmod(folder, 0o755);
    const queues = "active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace";
    const owned = ["data", "mail", ...queues.split(" ").map((name) => path.join("queue", name))];
    for (const name of [...owned, "settings", "queue/pid"]) await mkdir(path.join(folder, name), { recursive: true });
    for (const name of owned) await chown(path.join(folder, name), daemonId, daemonId);
    const files = {
      "main.cf": mainSettings(root, libraryPath, folder),
      "master.cf": services(this.port),
      "dovecot.conf": signInSettings(root, libraryPath, folder),
      users: `${user}:{PLAIN}${password}\n`,
    };
    for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, "settings", name), text);
  }

  private async run({ root, libraryPath }: PostfixPrograms): Promise<void> {
    const settings = path.join(this.folder, "settings");
    const env = { PATH: process.env.PATH, LD_LIBRARY_PATH: libraryPath, MAIL_CONFIG: settings, TZ: "UTC" };
    // A file, because Postfix opens /dev/stdout by name, and that fails with the sockets that Node calls pipes.
    const start = (command: string, words: readonly string[]): void => {
      const child = startChild(path.join(root, command), words, { env, stdio: ["ignore", this.logFile, this.logFile] });
      this.children.push(child);
      child.once("exit", () => this.changed());
      child.once("error", () => this.changed());
    };
    // Dovecot would look for doveconf where the package puts it; doveconf, asked to, starts Dovecot itself.
    const file = path.join(settings, "dovecot.conf");
    const read = ["-f", "service=master", "-c", file, "-m", "master", "-p"];
    start("usr/bin/doveconf", [...read, "-e", path.join(root, "usr/sbin/dovecot"), "-F", "-c", file]);
    await this.until(/Dovecot v\S+ .*starting up/);
    start("usr/lib/postfix/sbin/master", ["-s", "-c", settings, "-e", lifetime]);
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
mynetworks =
mydestination =
alias_maps =
smtpd_peername_lookup = no
smtpd_tls_cert_file = ${tls}/server.pem
smtpd_tls_key_file = ${tls}/server.key
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = ${folder}/sign-in
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
default_transport = virtual
virtual_mailbox_domains =
virtual_mailbox_base = ${folder}
virtual_mailbox_maps = static:mail/
virtual_minimum_uid = ${String(daemonId)}
virtual_uid_maps = static:${String(daemonId)}
virtual_gid_maps = static:${String(daemonId)}
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

/** A port that was free a moment ago: Postfix reads its port from a file. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

/** Debian's postgrey, the greylisting that Postfix asks: who is new is told to come again later. */
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { serverPrograms, tryProgram, type ServerPrograms, type Unavailable } from "./debianPackages";
import { freePort, ServerProcess } from "./serverProcess";

/** Base Debian's `daemon`, user and group. */
const daemonId = 1;

/** Fetches the program on first use, or says why this machine cannot run it. */
export async function postgreyPrograms(): Promise<ServerPrograms | Unavailable> {
  const programs = await serverPrograms(["postgrey"]);
  if (programs.kind === "unavailable") return programs;
  const tried = await tryProgram(programs, perlOf(programs), [...words(programs), "--version"]);
  return tried.kind === "unavailable" ? tried : programs;
}

/** A running one. */
export class Postgrey {
  private constructor(
    private readonly server: ServerProcess,
    private readonly port: number,
  ) {}

  /** What Postfix is told in `smtpd_recipient_restrictions`. */
  get restriction(): string {
    return `check_policy_service inet:127.0.0.1:${String(this.port)}`;
  }

  /**
   * Starts it on a free port of 127.0.0.1. A recipient that is new to a sender is put off for `delaySeconds`, unless it is one of
   * `welcome`.
   * @throws with the log when it does not come up.
   */
  static async start(
    programs: ServerPrograms,
    delaySeconds: number,
    welcome: readonly string[] = [],
  ): Promise<Postgrey> {
    const folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-postgrey-"));
    const postgrey = new Postgrey(new ServerProcess(folder, path.join(folder, "log")), await freePort());
    try {
      await chmod(folder, 0o755);
      const data = path.join(folder, "data");
      await mkdir(data);
      await chown(data, daemonId, daemonId);
      await writeFile(path.join(folder, "clients"), "");
      await writeFile(path.join(folder, "recipients"), welcome.map((address) => `${address}\n`).join(""));
      const options = {
        inet: `127.0.0.1:${String(postgrey.port)}`,
        delay: String(delaySeconds),
        dbdir: data,
        user: "daemon",
        group: "daemon",
        // It would stop asking a client that came back a few times.
        "auto-whitelist-clients": "0",
        "whitelist-clients": path.join(folder, "clients"),
        "whitelist-recipients": path.join(folder, "recipients"),
        pidfile: path.join(data, "pid"),
      };
      const given = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
      const env = { PATH: process.env.PATH, LD_LIBRARY_PATH: programs.libraryPath };
      postgrey.server.start(perlOf(programs), [...words(programs), ...given], env);
      // It gives up root after it has bound its port.
      await postgrey.server.until(/Setting uid to/);
    } catch (error) {
      await postgrey.close();
      throw error;
    }
    return postgrey;
  }

  close(): Promise<void> {
    return this.server.close();
  }
}

/** Perl came with the packages unless the machine has the very same already. */
function perlOf({ root }: ServerPrograms): string {
  const own = path.join(root, "usr/bin/perl");
  return existsSync(own) ? own : "/usr/bin/perl";
}

/** postgrey runs in Perl's taint mode, which does not look at PERL5LIB. */
function words({ root, libraryPath }: ServerPrograms): readonly string[] {
  const below = libraryPath.split(":").map((folder) => path.join(folder, "perl"));
  const libraries = [path.join(root, "usr/share/perl"), ...below].map((folder) => `${folder}/5.36`);
  const modules = [path.join(root, "usr/share/perl5"), ...below.map((folder) => `${folder}5/5.36`)];
  return [
    "-T",
    ...[...modules, ...libraries].flatMap((folder) => ["-I", folder]),
    path.join(root, "usr/sbin/postgrey"),
  ];
}

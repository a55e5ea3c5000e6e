/** A small root directory for servers that find everything by fixed paths, or by names of users that this machine lacks. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, chown, cp, mkdir, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { promisify } from "node:util";
import { tryProgram, type ServerPrograms, type Unavailable } from "./debianPackages";

const execute = promisify(execFile);

/** Changes the root directory of what it starts (chroot(2)); the machine's own files stay as they are. */
export const chroot = "/usr/sbin/chroot";

/** A user of such a root; the ids are the machine's own `daemon`, `mail` or `nobody`, under the name that the server wants. */
export interface OwnUser {
  readonly name: string;
  readonly id: number;
  readonly home: string;
}

/** What the root is to hold besides the packages. */
export interface OwnRoot {
  /** Programs by absolute path, from the packages or else the machine; each comes with its libraries. */
  readonly programs: readonly string[];
  readonly users: readonly OwnUser[];
  /** Text by absolute path. */
  readonly files: Readonly<Record<string, string>>;
  /** Owner's id by absolute path. */
  readonly folders: Readonly<Record<string, number>>;
}

/** The programs, if this machine lets us start something below another root directory. */
export async function whereChroot(programs: ServerPrograms): Promise<ServerPrograms | Unavailable> {
  const tried = await tryProgram(programs, chroot, [programs.root, "/nowhere"]);
  const why = tried.kind === "unavailable" ? tried.reason : "";
  // That there is no such program is told from inside.
  return why.includes("/nowhere") && why.includes("No such file") ? programs : { kind: "unavailable", reason: why };
}

/** Lays the root out in an empty folder. */
export async function makeRoot(folder: string, from: ServerPrograms, root: OwnRoot): Promise<void> {
  await chmod(folder, 0o755);
  await cp(from.root, folder, { recursive: true, verbatimSymlinks: true });
  for (const program of root.programs) {
    const own = path.join(from.root, program);
    const env = { ...process.env, LD_LIBRARY_PATH: from.libraryPath };
    const { stdout } = await execute("ldd", [existsSync(own) ? own : program], { env });
    const libraries = [...stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map(([, library]) => String(library));
    const wanted = existsSync(own) ? libraries : [program, ...libraries];
    for (const file of wanted.filter((one) => !one.startsWith(from.root))) {
      await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
      await cp(file, path.join(folder, file), { dereference: true });
    }
  }
  const users = [{ name: "root", id: 0, home: "/" }, ...root.users];
  const files = {
    "/etc/passwd": users
      .map(({ name, id, home }) => `${name}:x:${String(id)}:${String(id)}::${home}:/bin/sh\n`)
      .join(""),
    "/etc/group": users.map(({ name, id }) => `${name}:x:${String(id)}:\n`).join(""),
    ...root.files,
  };
  for (const [name, owner] of Object.entries(root.folders)) {
    await mkdir(path.join(folder, name), { recursive: true });
    await chown(path.join(folder, name), owner, owner);
    // As spools are: OpenSMTPD insists on it.
    await chmod(path.join(folder, name), 0o711);
  }
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
}

/** The built command line in a process of its own, with a home of its own. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { repositoryRoot } from "../host/repo";

/** What a finished process left. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder that is gone after the test, with a workspace, a home and a state directory in it. */
export class Sandbox {
  private readonly children = new Set<ChildProcess>();

  private constructor(readonly folder: string) {}

  static async create(): Promise<Sandbox> {
    const sandbox = new Sandbox(await mkdtemp(path.join(tmpdir(), "bulk-mail-test-")));
    await mkdir(sandbox.workspace);
    await mkdir(sandbox.home);
    // What makes a folder a workspace for the command line.
    await mkdir(path.join(sandbox.workspace, ".vscode"));
    return sandbox;
  }

  get workspace(): string {
    return path.join(this.folder, "workspace");
  }

  get home(): string {
    return path.join(this.folder, "home");
  }

  get state(): string {
    return path.join(this.folder, "state");
  }

  /** Writes files into the workspace, by relative path. */
  async write(files: Readonly<Record<string, string | Buffer>>): Promise<void> {
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(this.workspace, name);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, content);
    }
  }

  /** Starts the command line, or another copy of it (`file`); the state directory is ours unless `own` is false. */
  start(
    words: readonly string[],
    env: Readonly<Record<string, string>> = {},
    own = true,
    file = cliFile(),
  ): { child: ChildProcess; done: Promise<Finished> } {
    const child = spawn(process.execPath, [file, ...words, ...(own ? ["--state-dir", this.state] : [])], {
      cwd: this.workspace,
      env: { ...process.env, HOME: this.home, USERPROFILE: this.home, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.children.add(child);
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const done = once(child, "close").then(([code]) => {
      this.children.delete(child);
      return { code: code as number | null, stdout, stderr };
    });
    return { child, done };
  }

  /** Runs the command line to its end. */
  run(words: readonly string[], env?: Readonly<Record<string, string>>, own?: boolean): Promise<Finished> {
    return this.start(words, env, own).done;
  }

  async remove(): Promise<void> {
    for (const child of this.children) child.kill("SIGKILL");
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The built command line. */
export function cliFile(): string {
  return path.join(repositoryRoot(), "dist", "cli.js");
}

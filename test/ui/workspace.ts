/** A workspace for UI tests: a copy in a folder of its own, a state directory beside it, and the packaged extension. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import type { Frame, Locator } from "playwright-core";
import { repositoryRoot } from "../host/repo";
import { openWorkbench, type Workbench } from "../host/workbench";

/** A workspace and the workbench that shows it. */
export interface Opened {
  readonly workbench: Workbench;
  /** The workspace's folder. */
  readonly workspace: string;
  readonly state: string;
  /** Everything that the test's programs wrote. */
  readonly folder: string;
  close(): Promise<void>;
}

/** Opens a workbench on these files (relative path → content). Settings are the user's. */
export async function openWorkspace(
  files: Readonly<Record<string, string | Buffer>>,
  settings: Readonly<Record<string, unknown>> = {},
  options: { readonly trust?: boolean; readonly theme?: string } = {},
): Promise<Opened> {
  const folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-workspace-"));
  const workspace = path.join(folder, "workspace");
  const state = path.join(folder, "state");
  const home = path.join(folder, "home");
  await mkdir(home, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(workspace, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  const workbench = await openWorkbench({
    vsix: path.join(repositoryRoot(), "bulk-mail.vsix"),
    workspace,
    userSettings: { "bulkMail.stateDirectory": state, ...settings },
    extraEnv: { HOME: home, USERPROFILE: home },
    ...options,
  });
  return {
    workbench,
    workspace,
    state,
    folder,
    close: async () => {
      await workbench.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** The files below `folder` that hold `needle` in any of the forms in which a secret leaks; paths. */
export async function filesWith(folder: string, needle: string, user: string): Promise<readonly string[]> {
  const forms = secretForms(needle, user).map((form) => Buffer.from(form));
  const found: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const content = await readFile(file).catch(() => Buffer.alloc(0));
    if (forms.some((form) => content.includes(form))) found.push(file);
  }
  return found;
}

/** A secret raw, URL-encoded, in base64 (also of `AUTH PLAIN`, RFC 4616) and in UTF-16, as databases keep text. */
export function secretForms(secret: string, user: string): readonly (string | Buffer)[] {
  const plain = Buffer.from(`\u0000${user}\u0000${secret}`).toString("base64");
  return [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString("base64"),
    plain,
    Buffer.from(secret).toString("hex"),
    Buffer.from(secret, "utf16le"),
  ];
}

/** A field of the accounts panel by its name; it may lie under *Advanced*. */
export function fieldOf(frame: Frame, name: string): Locator {
  return frame.locator(`[data-field="${name}"] input:not([type="file"])`);
}

/** Begins a new account in the accounts panel, which it opens. */
export async function beginAccount({ workbench }: Opened): Promise<Frame> {
  await workbench.runCommand("Bulk Mail: Accounts…");
  const frame = await workbench.webview("Accounts");
  await frame
    .getByRole("button", { name: /add account/i })
    .first()
    .click();
  return frame;
}

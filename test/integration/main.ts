/** Runs the integration tests in a real VS Code on a copy of an empty workspace; ends with their exit code. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { runIntegration } from "../host/integration";

async function main(): Promise<number> {
  const root = path.resolve(__dirname, "..", "..", "..");
  const workspace = await mkdtemp(path.join(tmpdir(), "bulk-mail-workspace-"));
  try {
    // A campaign, so that the extension is activated as it is for people.
    await writeFile(path.join(workspace, "start.mail.md"), "---\nsubject: Start\n---\n");
    const { exitCode } = await runIntegration({
      extensionDevelopmentPath: root,
      extensionTestsPath: path.join(root, "out", "test", "integration", "index.js"),
      workspace,
      userSettings: { "bulkMail.sending.delay": 0 },
    });
    return exitCode;
  } finally {
    await rm(workspace, { recursive: true, force: true });
  }
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);

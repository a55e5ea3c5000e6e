/** Entry point inside the extension host: runs every test of this folder with mocha. */
import { readdirSync } from "node:fs";
import * as path from "node:path";
import Mocha from "mocha";

/** Called by VS Code; rejects when a test failed. The counts are left in the file BULK_MAIL_TEST_RESULTS. */
export async function run(): Promise<void> {
  const root = path.resolve(__dirname, "..", "..", "..");
  process.env.BULK_MAIL_TEST_RESULTS ??= path.join(root, "out", "test-results", "integration.json");
  const mocha = new Mocha({ reporter: path.join(root, "test", "reporter.cjs"), timeout: 60_000, color: false });
  const only = process.env.BULK_MAIL_TEST_ONLY;
  if (only !== undefined) mocha.grep(only);
  for (const name of readdirSync(__dirname).sort()) {
    if (name.endsWith(".test.js")) mocha.addFile(path.join(__dirname, name));
  }
  await mocha.loadFilesAsync();
  const failures = await new Promise<number>((resolve) => mocha.run(resolve));
  if (failures > 0) throw new Error(`${String(failures)} integration tests failed.`);
}

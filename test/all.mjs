// Runs the levels of the tests and sums them up. Usage: node test/all.mjs [types|lint|unit|system|integration|ui ...]
// Without names: all of them. The last line is "N passed, N failed, N skipped".
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const node = process.execPath;
const mocha = path.join(root, "node_modules", "mocha", "bin", "mocha.js");
const npm = process.platform === "win32" ? "npm.cmd" : "npm";

/** A level is one command; those with tests leave their counts in a file. */
const levels = {
  types: { command: [npm, "run", "--silent", "check-types"] },
  lint: { command: [npm, "run", "--silent", "lint"] },
  unit: { command: mochaCommand("unit", 10_000), counts: true },
  system: { command: mochaCommand("system", 120_000), counts: true },
  integration: { command: [node, "out/test/integration/main.js"], counts: true },
  ui: { command: mochaCommand("ui", 300_000), counts: true, needs: "package" },
};

function mochaCommand(level, timeout) {
  return [
    node,
    "--enable-source-maps",
    mocha,
    "--reporter",
    "test/reporter.cjs",
    "--timeout",
    String(timeout),
    `out/test/${level}/**/*.test.js`,
  ];
}

function run(name, command, env = {}) {
  console.log(`\n── ${name} ${"─".repeat(Math.max(0, 70 - name.length))}`);
  const started = Date.now();
  const [program, ...args] = command;
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env },
    shell: process.platform === "win32" && program === npm,
  });
  if (error !== undefined) console.error(error.message);
  console.log(`── ${name}: ${status === 0 ? "ok" : "failed"} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  return status === 0;
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in levels));
if (unknown.length > 0) {
  console.error(`No such level: ${unknown.join(", ")}. There are ${Object.keys(levels).join(", ")}.`);
  process.exit(2);
}
const chosen = asked.length > 0 ? asked : Object.keys(levels);

const sum = { passed: 0, failed: 0, skipped: [] };
/** A level without counts of its own is one test. */
const single = (ok) => (ok ? sum.passed++ : sum.failed++);

if (chosen.some((name) => levels[name].counts)) single(run("build", [node, "esbuild.js", "--tests"]));
for (const name of chosen) {
  const level = levels[name];
  if (level.needs !== undefined) single(run(level.needs, [npm, "run", "--silent", level.needs]));
  if (!level.counts) {
    single(run(name, level.command));
    continue;
  }
  const file = path.join(root, "out", "test-results", `${name}.json`);
  rmSync(file, { force: true });
  const ok = run(name, level.command, { BULK_MAIL_TEST_RESULTS: file });
  const counts = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
  sum.passed += counts?.passed ?? 0;
  sum.failed += counts?.failed ?? 0;
  sum.skipped.push(...(counts?.skipped ?? []));
  // A level that ended badly without a failed test (it crashed, it never started) has failed all the same.
  if (!ok && (counts?.failed ?? 0) === 0) sum.failed++;
  if (ok && (counts?.passed ?? 0) === 0) sum.failed++;
}

console.log("");
for (const title of sum.skipped) console.log(`skipped: ${title}`);
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped.length} skipped`);
process.exit(sum.failed === 0 ? 0 : 1);

// One table of bundles. Usage: node esbuild.js [--production] [--watch] [--tests]
const esbuild = require("esbuild");
const { existsSync, readdirSync, rmSync, writeFileSync, mkdirSync } = require("node:fs");
const path = require("node:path");

const flags = new Set(process.argv.slice(2));
const production = flags.has("--production");

const common = {
  bundle: true,
  logLevel: "warning",
  metafile: true,
  minify: production,
  sourcemap: production ? false : "linked",
};

/** What runs in node. Only the extension may see `vscode`: elsewhere an import of it fails the build. */
const node = {
  ...common,
  platform: "node",
  target: "node20",
  format: "cjs",
  outdir: "dist",
  mainFields: ["module", "main"],
};

/** The core is one bundle behind its one door; worker and command line share it. */
const throughTheDoor = {
  name: "through-the-door",
  setup: ({ onResolve }) => onResolve({ filter: /\/mail\/index$/ }, () => ({ path: "./mail.js", external: true })),
};

/** Google's client is large: it is a bundle of its own, loaded with the first message that goes through the Gmail API. */
const onDemand = {
  name: "on-demand",
  setup: ({ onResolve }) => onResolve({ filter: /\/gmailClient$/ }, () => ({ path: "./gmail.js", external: true })),
};

/**
 * What libraries bring and we have no use for: the HTTP clients of cheerio and of Google's client (what goes out goes through
 * `https.ts`), Google's own sign-in with its environment variables, and the private key that smtp-server serves TLS with when it
 * is given none (our sandbox speaks no TLS).
 */
const leftOut = {
  name: "left-out",
  setup: ({ onResolve, onLoad }) => {
    const nothing = /^(?:undici|node-fetch|https-proxy-agent|google-auth-library)$/;
    onResolve({ filter: nothing }, ({ path }) => ({ path, namespace: "left-out" }));
    onLoad({ filter: /.*/, namespace: "left-out" }, () => ({ contents: "module.exports = { GoogleAuth: class {} }" }));
    onLoad({ filter: /smtp-server[\\/].*tls-options\.js$/ }, () => ({
      contents: "export default (options) => options ?? {};",
    }));
  },
};

/** The browser halves of the panels. */
const pages = { ...common, platform: "browser", target: "es2022", format: "iife", outdir: "dist/pages" };

const bundles = [
  { ...node, entryPoints: ["src/extension.ts"], external: ["vscode"], plugins: [leftOut] },
  { ...node, entryPoints: [{ in: "src/mail/index.ts", out: "mail" }], plugins: [leftOut, onDemand] },
  { ...node, entryPoints: [{ in: "src/mail/transports/gmailClient.ts", out: "gmail" }], plugins: [leftOut] },
  { ...node, entryPoints: ["src/worker.ts"], plugins: [throughTheDoor] },
  { ...node, entryPoints: ["src/cli.ts"], plugins: [throughTheDoor], banner: { js: "#!/usr/bin/env node" } },
  { ...pages, entryPoints: filesIn("src/webview/pages", /^(settings|preview)\.ts$/) },
];

/** Tests and benchmarks: every file a bundle of its own, packages left to node. */
const tests = {
  ...common,
  platform: "node",
  target: "node20",
  format: "cjs",
  outdir: "out",
  outbase: ".",
  packages: "external",
  external: ["vscode"],
  minify: false,
  entryPoints: [...filesIn("test", /\.ts$/), ...filesIn("bench", /\.ts$/)],
};

function filesIn(folder, pattern) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name) && !entry.parentPath.includes("fixtures"))
    .map((entry) => path.join(entry.parentPath, entry.name));
}

async function main() {
  const table = flags.has("--tests") ? [...bundles, tests] : bundles;
  if (flags.has("--watch")) {
    for (const bundle of table) await (await esbuild.context({ ...bundle, logLevel: "info" })).watch();
    return;
  }
  rmSync("dist", { recursive: true, force: true });
  if (flags.has("--tests")) rmSync("out/test", { recursive: true, force: true });
  const results = await Promise.all(table.filter((b) => b.entryPoints.length > 0).map((b) => esbuild.build(b)));
  // The metafiles let a test hold the table of who may import whom.
  mkdirSync("out", { recursive: true });
  writeFileSync("out/metafile.json", JSON.stringify(results.map((result) => result.metafile)));
}

// A test builds single bundles of the table.
module.exports = { bundles };

if (require.main === module)
  main().catch((error) => {
    if (error.errors === undefined) console.error(error);
    process.exit(1);
  });

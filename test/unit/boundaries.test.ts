import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import { build, type BuildOptions } from "esbuild";
import { repositoryRoot } from "../host/repo";

interface Metafile {
  readonly inputs: Readonly<
    Record<string, { readonly imports: readonly { readonly path: string; readonly external?: boolean }[] }>
  >;
  readonly outputs: Readonly<
    Record<string, { readonly inputs: Readonly<Record<string, { readonly bytesInOutput: number }>> }>
  >;
}

/** The layers, from the outermost to the innermost, each with the files that are in it. A file belongs to the first that fits. */
const layers: readonly (readonly [string, RegExp])[] = [
  ["entry", /^src\/(extension|worker|cli)\.ts$/],
  ["door", /^src\/mail\/index\.ts$/],
  ["core", /^src\/mail\//],
  ["pages", /^src\/webview\/pages\//],
  ["protocol", /^src\/(rpc|webview\/protocol)\.ts$/],
  ["commands", /^src\/(commands|language|webview)\//],
  ["command line", /^src\/commandLine\//],
  ["wiring", /^src\/wiring\.ts$/],
  ["host", /^src\/[A-Za-z]+\.ts$/],
];

/** Who may import whom, besides the own layer. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  entry: ["wiring", "commands", "command line", "host", "protocol", "door"],
  wiring: ["commands", "host", "protocol", "door"],
  commands: ["host", "protocol", "door"],
  "command line": ["host", "door"],
  host: ["protocol", "door"],
  protocol: ["door"],
  pages: ["protocol"],
  door: ["core"],
  core: [],
};

function layerOf(file: string): string {
  const found = layers.find(([, pattern]) => pattern.test(file));
  assert.ok(found !== undefined, `${file} belongs to no layer`);
  return found[0];
}

describe("who may import whom", () => {
  const all = JSON.parse(
    readFileSync(path.join(repositoryRoot(), "out", "metafile.json"), "utf8"),
  ) as readonly Metafile[];
  const bundles = new Map(
    all.flatMap((meta) => Object.entries(meta.outputs).map(([name, output]) => [name, { meta, output }] as const)),
  );
  const edges = all
    .flatMap(({ inputs }) =>
      Object.entries(inputs).flatMap(([from, { imports }]) =>
        imports.map(({ path: to, external }) => ({ from, to, external })),
      ),
    )
    .filter(({ from }) => from.startsWith("src/"));

  it("every import inside src follows the table", () => {
    const inside = edges.filter(({ to }) => to.startsWith("src/"));
    assert.ok(inside.length > 200, "the metafile holds the whole of src");
    const wrong = inside.filter(({ from, to }) => {
      const [a, b] = [layerOf(from), layerOf(to)];
      return a !== b && allowed[a]?.includes(b) !== true;
    });
    assert.deepEqual(wrong, []);
  });

  it("nothing imports an entry point", () => {
    assert.deepEqual(
      edges.filter(({ to }) => to.startsWith("src/") && layerOf(to) === "entry"),
      [],
    );
  });

  it("vscode is seen by the extension's bundle alone", () => {
    for (const [name, { meta }] of bundles) {
      const sees = Object.values(meta.inputs).some(({ imports }) => imports.some(({ path: to }) => to === "vscode"));
      if (name.startsWith("dist/") && name.endsWith(".js")) assert.equal(sees, name === "dist/extension.js", name);
    }
  });

  it("the page toolkit is known to one file", () => {
    assert.deepEqual(
      edges.filter(({ from, to }) => to.includes("webview-ui-toolkit") && from !== "src/webview/pages/controls.ts"),
      [],
    );
  });

  it("the extension's bundle carries nothing heavy: templates, lists, mail and servers are the worker's", () => {
    const extension = bundles.get("dist/extension.js")?.output;
    assert.ok(extension !== undefined);
    const heavy =
      /node_modules\/(liquidjs|nodemailer|csv-parse|markdown-it|juice|cheerio|html-to-text|mailparser|smtp-server|yaml)\//;
    const carried = Object.entries(extension.inputs).filter(
      ([file, { bytesInOutput }]) => heavy.test(file) && bytesInOutput > 0,
    );
    assert.deepEqual(carried, []);
    const core = Object.entries(extension.inputs).filter(
      ([file, { bytesInOutput }]) => file.startsWith("src/mail/") && bytesInOutput > 0,
    );
    assert.ok(
      !core.some(([file]) => /\/(sender|template|recipients|message|preflight)\.ts$/.test(file)),
      JSON.stringify(core),
    );
  });

  it("Google's client is a bundle of its own, without anything of ours and without an HTTP client or a sign-in of its own", () => {
    const core = bundles.get("dist/mail.js");
    const client = bundles.get("dist/gmail.js");
    assert.ok(core !== undefined && client !== undefined);
    const inOutput = ({ output }: typeof client, pattern: RegExp): readonly string[] =>
      Object.entries(output.inputs).flatMap(([file, { bytesInOutput }]) =>
        pattern.test(file) && bytesInOutput > 0 ? [file] : [],
      );
    assert.deepEqual(inOutput(client, /^src\//), ["src/mail/transports/gmailClient.ts"]);
    assert.deepEqual(
      inOutput(client, /node_modules\/(google-auth-library|gcp-metadata|gtoken|node-fetch|https-proxy-agent)\//),
      [],
    );
    assert.deepEqual(inOutput(core, /node_modules\/(googleapis|gaxios|google-)|gmailClient/), []);
  });

  it("Google's client is no larger than 450 KB as it is shipped", async function () {
    this.timeout(60_000);
    const { bundles: table } = createRequire(__filename)(path.join(repositoryRoot(), "esbuild.js")) as {
      readonly bundles: readonly BuildOptions[];
    };
    const bundle = table.find(({ entryPoints }) => JSON.stringify(entryPoints).includes("gmailClient"));
    assert.ok(bundle !== undefined);
    const { outputFiles } = await build({
      ...bundle,
      absWorkingDir: repositoryRoot(),
      minify: true,
      sourcemap: false,
      write: false,
    });
    const sizes = outputFiles.map(({ contents }) => contents.length);
    assert.ok(sizes.length === 1 && (sizes[0] ?? Infinity) <= 450 * 1024, `${sizes.join()} bytes`);
  });
});

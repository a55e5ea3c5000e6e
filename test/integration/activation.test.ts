/** The extension as VS Code loads it. */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import * as path from "node:path";
import * as vscode from "vscode";
import { commands } from "../../src/contributions";
import { extensionRoot } from "../fakes/editor";

interface Metafile {
  readonly outputs: Readonly<Record<string, { readonly inputs: Readonly<Record<string, unknown>> }>>;
}

describe("activation", () => {
  const extension = (): vscode.Extension<unknown> => {
    const found = vscode.extensions.getExtension("bulk-mail.bulk-mail");
    assert.ok(found, "the extension is not installed");
    return found;
  };

  it("waits for a campaign in the workspace, a command or one of its panels, and for nothing else", () => {
    const { activationEvents } = extension().packageJSON as { activationEvents: string[] };
    assert.deepEqual(activationEvents.toSorted(), [
      "onWebviewPanel:bulkMail.preview",
      "onWebviewPanel:bulkMail.settings",
      "workspaceContains:**/*.mail.{md,html}",
    ]);
  });

  it("exposes nothing, and registers every command of the manifest", async () => {
    // VS Code gives up its search for campaigns after some seconds on a busy machine: this does not depend on it.
    assert.equal(await extension().activate(), undefined);
    assert.equal(extension().exports, undefined);
    const registered = new Set(await vscode.commands.getCommands(true));
    const contributed = (
      extension().packageJSON as { contributes: { commands: { command: string }[] } }
    ).contributes.commands.map(({ command }) => command);
    assert.deepEqual(
      contributed.filter((id) => !registered.has(id)),
      [],
    );
    assert.deepEqual(
      contributed.toSorted(),
      Object.values(commands)
        .map(({ id }) => id)
        .toSorted(),
    );
  });

  it("loads none of the heavy libraries into the extension host", () => {
    const metafiles = JSON.parse(
      readFileSync(path.join(extensionRoot(), "out", "metafile.json"), "utf8"),
    ) as Metafile[];
    const bundle = metafiles.map(({ outputs }) => outputs["dist/extension.js"]).find((output) => output !== undefined);
    assert.ok(bundle);
    const packages = Object.keys(bundle.inputs)
      .filter((input) => input.includes("node_modules/"))
      .map((input) => input.replace(/^.*node_modules\/((?:@[^/]+\/)?[^/]+)\/.*$/, "$1"));
    assert.deepEqual(
      [...new Set(packages)].filter((name) => name !== "valibot"),
      [],
    );
    const loaded = Object.keys(require.cache).filter((file) => file.startsWith(path.join(extensionRoot(), "dist")));
    assert.deepEqual(
      loaded.map((file) => path.basename(file)).filter((name) => name !== "extension.js"),
      [],
    );
    assert.ok(statSync(path.join(extensionRoot(), "dist", "extension.js")).size < 440_000);
  });
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import * as path from "node:path";
import { repositoryRoot } from "../host/repo";

describe("npm start", () => {
  it("opens VS Code with the extension on the examples, prints its address and ends on Ctrl+C", async function () {
    const { VSCODE_PATH: named, ...env } = process.env;
    const installed = (env.PATH ?? "").split(path.delimiter).some((folder) => existsSync(path.join(folder, "code")));
    // A VS Code of this machine would be opened before a person's eyes; Windows knows no SIGINT between processes.
    if (process.platform === "win32" || installed || named !== undefined) return this.skip();
    const root = repositoryRoot();
    const child = spawn(process.execPath, [path.join(root, "out", "test", "host", "start.js")], {
      cwd: root,
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    const address = await new Promise<string>((resolve, reject) => {
      child.once("close", (code) => reject(new Error(`ended with ${String(code)}: ${said}`)));
      child.stdout.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        const found = /http:\/\/127\.0\.0\.1:\S+/.exec(said)?.[0];
        if (found !== undefined) resolve(found);
      });
    });
    assert.match(decodeURIComponent(address), /folder=.*examples$/);
    assert.equal((await fetch(address)).status, 200);
    child.removeAllListeners("close");
    child.kill("SIGINT");
    const [code] = (await once(child, "close")) as [number | null];
    assert.equal(code, 0);
  });
});

import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import type { Files } from "../../src/mail/files";
import { diskFiles, FileError, fileProblem, isBelow } from "../../src/mail/files";
import { fileStart } from "../../src/mail/problems";

describe("files: everything a campaign names lies below the root", function () {
  this.timeout(30_000);

  let folder: string;
  let root: string;
  let files: Files;
  const inRoot = (name: string): string => path.join(root, name);

  before(async () => {
    folder = await realpath(await mkdtemp(path.join(tmpdir(), "files-")));
    root = path.join(folder, "workspace");
    await mkdir(path.join(root, "inner"), { recursive: true });
    await mkdir(path.join(folder, "workspace-two"));
    await writeFile(inRoot("list.csv"), "email\nada@example.com\n");
    await writeFile(path.join(folder, "secret.txt"), "secret");
    await writeFile(path.join(folder, "workspace-two", "secret.txt"), "secret");
    await symlink(path.join(folder, "secret.txt"), inRoot("innocent.txt"));
    await symlink(folder, inRoot("up"));
    await symlink(inRoot("list.csv"), inRoot(path.join("inner", "alias.csv")));
    await symlink(root, path.join(folder, "shortcut"));
    files = await diskFiles(root);
  });
  after(() => rm(folder, { recursive: true }));

  async function streamed(from: Files, file: string): Promise<string> {
    let text = "";
    for await (const chunk of from.stream(file)) text += chunk.toString();
    return text;
  }

  /** The reason for which every way to a file refuses it. */
  async function refusal(from: Files, file: string): Promise<string> {
    const reasons = new Set<string>();
    for (const attempt of [() => from.read(file), () => streamed(from, file), () => from.stat(file)]) {
      await assert.rejects(attempt, (error) => {
        assert.ok(error instanceof FileError, String(error));
        assert.equal(error.file, file);
        reasons.add(error.reason);
        return true;
      });
    }
    return [...reasons].join();
  }

  it("reads whole, streamed, and tells size and time", async () => {
    assert.equal((await files.read(inRoot("list.csv"))).toString(), "email\nada@example.com\n");
    assert.equal(await streamed(files, inRoot("list.csv")), "email\nada@example.com\n");
    const { size, mtimeMs } = await files.stat(inRoot("list.csv"));
    assert.equal(size, 22);
    assert.ok(Math.abs(mtimeMs - Date.now()) < 60_000);
  });

  it("streams in pieces, so that a long file is never whole in memory", async () => {
    await writeFile(inRoot("long.csv"), "x".repeat(1024 * 1024));
    const sizes: number[] = [];
    for await (const chunk of files.stream(inRoot("long.csv"))) sizes.push(chunk.length);
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      1024 * 1024,
    );
    assert.ok(Math.max(...sizes) <= 256 * 1024);
  });

  it("follows links that stay inside, and a root that is a link itself", async () => {
    assert.equal((await files.read(inRoot("inner/alias.csv"))).length, 22);
    const linked = await diskFiles(path.join(folder, "shortcut"));
    assert.equal(linked.root, root);
    assert.equal((await linked.read(path.join(folder, "shortcut", "list.csv"))).length, 22);
    assert.equal(await refusal(linked, path.join(folder, "shortcut", "none.csv")), "missing");
  });

  const outside: readonly (readonly [string, string])[] = [
    ["a link out of the root", "innocent.txt"],
    ["a folder link out of the root", "up/secret.txt"],
    ["two dots", "../secret.txt"],
    ["two dots behind a folder", "inner/../../secret.txt"],
    ["a neighbour whose name starts the same", "../workspace-two/secret.txt"],
    ["a file outside that is not even there", "../none.txt"],
    ["a system file", "/etc/passwd"],
  ];
  for (const [name, file] of outside) {
    it(`refuses ${name}`, async () => {
      assert.equal(await refusal(files, path.isAbsolute(file) ? file : `${root}/${file}`), "outside");
    });
  }

  it("checks again at every read: a link that is turned around later is refused", async () => {
    await symlink(inRoot("list.csv"), inRoot("turning.csv"));
    assert.equal((await files.read(inRoot("turning.csv"))).length, 22);
    await rm(inRoot("turning.csv"));
    await symlink(path.join(folder, "secret.txt"), inRoot("turning.csv"));
    assert.equal(await refusal(files, inRoot("turning.csv")), "outside");
  });

  it("tells what is missing from what is no file", async () => {
    assert.equal(await refusal(files, inRoot("none.csv")), "missing");
    assert.equal(await refusal(files, inRoot("list.csv/none.csv")), "missing");
    assert.equal(await refusal(files, inRoot("inner")), "unreadable");
  });

  it("refuses a root that does not exist", async () => {
    await assert.rejects(
      diskFiles(inRoot("none")),
      (error) => error instanceof FileError && error.reason === "missing",
    );
  });

  describe("texts of an editor that are not saved", () => {
    const text = "email\nbob@example.com\nZoë\n";

    it("win over the disk, and need no file", async () => {
      const names = ["list.csv", "new.csv"].map(inRoot);
      const edited = await diskFiles(root, new Map(names.map((name) => [name, text])));
      for (const name of names) {
        assert.equal((await edited.read(name)).toString(), text);
        assert.equal(await streamed(edited, name), text);
        assert.equal((await edited.stat(name)).size, Buffer.byteLength(text));
      }
      assert.equal((await edited.read(inRoot("long.csv"))).length, 1024 * 1024);
    });

    it("lie below the root like all others", async () => {
      const names = [path.join(folder, "secret.txt"), path.join(folder, "new.txt"), inRoot("innocent.txt")];
      const edited = await diskFiles(root, new Map(names.map((name) => [name, text])));
      for (const name of names) assert.equal(await refusal(edited, name), "outside");
    });
  });

  it("isBelow: the root itself and what is in it, not what only starts like it", () => {
    assert.equal(isBelow("/a/b", "/a/b"), true);
    assert.equal(isBelow("/a/b", "/a/b/c"), true);
    assert.equal(isBelow("/a/b", "/a/b/..c"), true);
    assert.equal(isBelow("/a/b", "/a/bc"), false);
    assert.equal(isBelow("/a/b", "/a"), false);
    assert.equal(isBelow("/a/b", "/a/b/../c"), false);
  });

  it("puts a refusal into a sentence with the next step", () => {
    const place = { file: "/a/x.mail.md", range: fileStart };
    const problem = (reason: FileError["reason"], detail: string): string => {
      const { code, message, file } = fileProblem(
        new FileError(reason, "/a/b.csv", detail),
        "recipients file",
        "b.csv",
        "/a",
        place,
      );
      assert.equal(file, place.file);
      return `${code}: ${message}`;
    };
    assert.match(problem("missing", "x"), /^file\.missing: .*recipients file “b\.csv” does not exist\. Create it/);
    assert.match(problem("outside", "x"), /^file\.outside: .*“b\.csv” lies outside “\/a”\. Move it inside/);
    assert.match(problem("unreadable", "EACCES"), /^file\.unreadable: .*“b\.csv” cannot be read: EACCES/);
  });
});

import assert from "node:assert/strict";
import { FileCache, FileLooks } from "../../src/mail/attachments";
import { FileError } from "../../src/mail/files";
import type { Files } from "../../src/mail/files";

/** Files that exist as sizes only, and count how often each is read. */
class CountingFiles implements Files {
  readonly root = "/work";
  readonly reads: string[] = [];
  readonly looks: string[] = [];

  constructor(private readonly sizes: Readonly<Record<string, number>>) {}

  async read(file: string): Promise<Buffer> {
    this.reads.push(file);
    await Promise.resolve();
    return Buffer.alloc(this.size(file), file.slice(-1));
  }

  stream(file: string): AsyncIterable<Buffer> {
    throw new FileError("unreadable", file, "is never streamed here");
  }

  async stat(file: string): Promise<{ readonly size: number; readonly mtimeMs: number }> {
    this.looks.push(file);
    await Promise.resolve();
    return { size: this.size(file), mtimeMs: 0 };
  }

  private size(file: string): number {
    const size = this.sizes[file];
    if (size === undefined) throw new FileError("missing", file, "does not exist");
    return size;
  }
}

const megabyte = 1024 * 1024;

describe("attachments: R44 R53 files that many messages share", () => {
  it("are read once, also by messages that are made at the same time", async () => {
    const files = new CountingFiles({ "/a": 3 });
    const cache = new FileCache(files);
    const all = await Promise.all([cache.read("/a"), cache.read("/a"), cache.read("/a")]);
    assert.deepEqual(all.map(String), ["aaa", "aaa", "aaa"]);
    assert.equal(String(await cache.read("/a")), "aaa");
    assert.deepEqual(files.reads, ["/a"]);
  });

  it("are dropped, longest unused first, beyond 32 MB", async () => {
    const files = new CountingFiles({ "/a": 12 * megabyte, "/b": 12 * megabyte, "/c": 12 * megabyte });
    const cache = new FileCache(files);
    for (const file of ["/a", "/b", "/a", "/c", "/a", "/b"]) await cache.read(file);
    assert.deepEqual(files.reads, ["/a", "/b", "/c", "/b"]);
  });

  it("are not kept when one would push out all others", async () => {
    const files = new CountingFiles({ "/a": 3, "/huge": 17 * megabyte });
    const cache = new FileCache(files);
    for (const file of ["/a", "/huge", "/huge", "/a"]) await cache.read(file);
    assert.deepEqual(files.reads, ["/a", "/huge", "/huge"]);
  });

  it("are tried again after a failure", async () => {
    const sizes: Record<string, number> = {};
    const files = new CountingFiles(sizes);
    const cache = new FileCache(files);
    await assert.rejects(cache.read("/a"), FileError);
    sizes["/a"] = 1;
    assert.equal((await cache.read("/a")).length, 1);
  });

  it("are looked at once in a check, whether they are there or not", async () => {
    const files = new CountingFiles({ "/a": 3 });
    const looks = new FileLooks(files);
    await Promise.all([looks.at("/a"), looks.at("/a"), looks.at("/none")]);
    assert.deepEqual(await looks.at("/a"), { ok: true, size: 3 });
    const none = await looks.at("/none");
    assert.equal(!none.ok && none.error.reason, "missing");
    assert.deepEqual(files.looks, ["/a", "/none"]);
  });
});

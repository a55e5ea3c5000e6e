import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { FileCache, FileLooks } from "../../src/mail/attachments";
import { diskFiles, FileError } from "../../src/mail/files";
import type { Files } from "../../src/mail/files";
import { prepareCampaign } from "../../src/mail/preflight";
import { smallCampaign } from "../fakes/campaigns";

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

  it("are read and encoded once in a run, and not copied into its messages", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "attachments-"));
    try {
      const campaign = smallCampaign(20, 'attachments:\n  - terms.pdf\n  - "{{ number }}.txt"\n');
      for (const [name, text] of Object.entries(campaign)) await writeFile(path.join(folder, name), text);
      await writeFile(path.join(folder, "terms.pdf"), Buffer.alloc(100_000, "%PDF"));
      for (let i = 0; i < 20; i++) await writeFile(path.join(folder, `${String(i)}.txt`), `own ${String(i)}`);
      const disk = await diskFiles(folder);
      const reads: string[] = [];
      const files: Files = {
        ...disk,
        read: (file) => {
          reads.push(path.basename(file));
          return disk.read(file);
        },
      };
      const { value, problems } = await prepareCampaign({
        file: path.join(folder, "hello.mail.md"),
        files,
        csv: { delimiter: "auto", encoding: "auto" },
        sender: { from: undefined, replyTo: undefined },
      });
      assert.ok(value !== undefined, problems[0]?.message);
      const shared = new Set<Buffer>();
      let messages = 0;
      for await (const entry of value.entries()) {
        assert.ok(entry.kind === "mail");
        const message = await value.compose(entry, { runId: "run", date: new Date(0) });
        for (const piece of message.pieces) if (piece.length > 100_000) shared.add(piece);
        assert.equal(message.size, message.bytes.length);
        assert.ok(message.bytes.includes(Buffer.from(`own ${String(messages++)}`).toString("base64")));
      }
      assert.equal(messages, 20);
      assert.equal(shared.size, 1);
      assert.equal(reads.filter((name) => name === "terms.pdf").length, 1);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { readCertificates } from "../../src/mail/delivery";
import { OutboxTransport } from "../../src/mail/transports/outbox";
import { loopbackAccount } from "../fakes/accounts";

describe("what stands around a transport", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-delivery-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("a CA file counts only with the content that was approved (R13)", async () => {
    const account = loopbackAccount(587, { tls: { caFile: "ca.pem" } });
    await writeFile(path.join(folder, "ca.pem"), "the authority");
    const approved = createHash("sha256").update("the authority").digest("hex");
    assert.equal(await readCertificates(account, folder, approved), "the authority");
    await writeFile(path.join(folder, "ca.pem"), "another authority");
    await assert.rejects(readCertificates(account, folder, approved), {
      reason: "unreadable",
      detail: /since it was approved/,
    });
    await assert.rejects(readCertificates(account, folder, undefined), { reason: "unreadable" });
  });

  it("a CA file is looked for in a folder only, and an account without one needs none", async () => {
    await assert.rejects(readCertificates(loopbackAccount(587, { tls: { caFile: "ca.pem" } }), undefined, "00"), {
      reason: "outside",
    });
    assert.equal(await readCertificates(loopbackAccount(587), undefined, undefined), undefined);
  });

  it("a dry run into a folder that stands already leaves its mode alone (R56)", async function () {
    if (process.platform === "win32") return this.skip();
    const own = path.join(folder, "own");
    await mkdir(own, { mode: 0o755 });
    await new OutboxTransport(own).open();
    assert.equal((await stat(own)).mode & 0o777, 0o755);
    await new OutboxTransport(path.join(folder, "new")).open();
    assert.equal((await stat(path.join(folder, "new"))).mode & 0o777, 0o700);
  });
});

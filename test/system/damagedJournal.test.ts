import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { loopbackSettings, smallCampaign } from "../fakes/campaigns";
import { Sandbox } from "../fakes/cli";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";

const through = ["--settings", "settings.json", "--account", "local", "--yes"];

describe("a damaged journal, on the command line (R57, R58)", () => {
  let sandbox: Sandbox;
  let server: ScriptedSmtp;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
    server = await ScriptedSmtp.start();
    await sandbox.write({ ...smallCampaign(3), "settings.json": loopbackSettings(server.port) });
    assert.equal((await sandbox.run(["send", "hello.mail.md", ...through, "--limit", "2"])).code, 4);
  });
  afterEach(async () => {
    await server.close();
    await sandbox.remove();
  });

  /** Flips a byte of the first recipient's acceptance. */
  async function damage(): Promise<void> {
    const names = await readdir(sandbox.state, { recursive: true });
    const journal = names.find((name) => /journal-\d{6}\.jsonl$/.test(name));
    assert.ok(journal !== undefined, names.join());
    const file = path.join(sandbox.state, journal);
    const bytes = await readFile(file);
    const at = bytes.indexOf('"t":"ok"');
    assert.ok(at > 0);
    bytes[at] = 0x20;
    await writeFile(file, bytes);
  }

  it("sends to nobody and says what to do", async () => {
    await damage();
    const { code, stderr } = await sandbox.run(["send", "hello.mail.md", ...through]);
    assert.notEqual(code, 0);
    assert.match(stderr, /is damaged at byte \d+, so who was mailed is not certain\. Restore it from a backup/);
    assert.equal(server.accepted.length, 2);
  });

  it("still has a report, with a note, in which only the accepted are certain", async () => {
    await damage();
    const table = await sandbox.run(["report", "hello.mail.md"]);
    assert.equal(table.code, 1);
    assert.match(table.stdout, /^Note {10}The journal .* counts as unknown\.$/m);
    assert.match(table.stdout, /^Totals {8}1 accepted, 0 failed, 2 unknown, 0 pending, 0 skipped$/m);
    const csv = await sandbox.run(["report", "hello.mail.md", "--format", "csv"]);
    assert.match(csv.stderr, /^The journal .* counts as unknown\.$/m);
    assert.equal(csv.stdout.match(/,unknown,/g)?.length, 2);
  });

  it("a reader of the report that has read enough is no error", async () => {
    const { child, done } = sandbox.start(["report", "hello.mail.md", "--format", "csv"]);
    child.stdout?.destroy();
    await once(child, "exit");
    assert.equal((await done).stderr, "");
  });
});

/** What became of each row of a list as it stands now (R33, R36). */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { RowOutcomes } from "../../src/mail/index";
import { attempt, finish, openFiles, planRun, record, smallCampaignId } from "../fakes/runs";

const head = `---\nid: ${smallCampaignId}\nsubject: Hello\nfrom: Ada <ada@example.com>\nrecipients: people.csv\n`;
const list =
  "email,name\nada@example.com,Ada\nbob@example.com,Bob\ncy@example.com,Cy\ndi@example.com,Di\nada@example.com,Ada\n";

describe("outcomes of rows", () => {
  let folder: string;
  let root: string;
  let state: string;
  beforeEach(async () => {
    folder = await realpath(await mkdtemp(path.join(tmpdir(), "outcomes-")));
    [root, state] = [path.join(folder, "workspace"), path.join(folder, "state")];
    await mkdir(root);
  });
  afterEach(() => rm(folder, { recursive: true }));

  const at = Date.parse("2026-03-01T10:41:00Z");
  const { signal } = new AbortController();

  it("says what the journal says, row by row, and grows with it", async () => {
    const files = { "hello.mail.md": `${head}---\nHello {{ name }}\n`, "people.csv": list };
    const prepared = await openFiles(root, files);
    const plan = await planRun(root, state, files);
    await record(plan, [...attempt("ada@example.com", at, "ok"), ...attempt("bob@example.com", at, "fail")]);
    const outcomes = await RowOutcomes.open(plan, prepared, signal);
    const shown = async (first = 0, last = 99): Promise<readonly string[]> =>
      (await outcomes.between(first, last, at)).map(({ line, outcome }) => `${String(line)} ${outcome}`);
    assert.deepEqual(await shown(), ["1 accepted", "2 failed", "3 pending", "4 pending", "5 skipped"]);
    assert.deepEqual(await shown(2, 3), ["2 failed", "3 pending"]);
    const [ada, bob] = await outcomes.between(1, 2, at);
    assert.match(ada?.text ?? "", /^Sent \d\d:41: 250 taken$/);
    assert.match(bob?.text ?? "", /^Failed \d\d:41: 550 no such user$/);
    await record(plan, attempt("cy@example.com", at, "unknown"));
    assert.deepEqual((await shown()).slice(2), ["3 unknown", "4 pending", "5 skipped"]);
  });

  it("knows rows by their people, wherever they stand by now, and says nothing of who came later", async () => {
    const files = { "hello.mail.md": `${head}---\nHello {{ name }}\n`, "people.csv": list };
    const plan = await planRun(root, state, files);
    await record(plan, [
      ...["ada", "bob", "cy", "di"].flatMap((name) => attempt(`${name}@example.com`, at, "ok")),
      finish(at),
    ]);
    const later = "email,name\nnew@example.com,New\nBOB@example.com,Bob\n";
    const now = await openFiles(root, { ...files, "people.csv": later });
    const outcomes = await RowOutcomes.open(plan, now, signal);
    assert.deepEqual(
      (await outcomes.between(0, 99, at)).map(({ line, outcome }) => `${String(line)} ${outcome}`),
      ["2 accepted"],
    );
  });
});

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { overlappingRun } from "../../src/mail/overlap";
import type { Target } from "../../src/mail/plan";
import { smallCampaign } from "../fakes/campaigns";
import { attempt, openFiles, planRun, record, smallCampaignId } from "../fakes/runs";

const otherId = "7d0c1a52-0000-4000-8000-000000000001";
const people = (numbers: readonly number[]): string =>
  `email,name,number\n${numbers.map((n) => `Person${String(n)}@example.com,P,${String(n)}\n`).join("")}`;

describe("the same letter to the same people under another id (R57)", () => {
  let folder: string;
  let state: string;
  let root: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "overlap-"));
    [state, root] = [path.join(folder, "state"), path.join(folder, "workspace")];
    await mkdir(root);
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  /** A run of ten people that accepted the first ones. */
  async function sent(accepted: number, options: { target?: Target; end?: "ok" | "unknown" } = {}): Promise<void> {
    const { target, end = "ok" } = options;
    const plan = await planRun(root, state, smallCampaign(10), target === undefined ? {} : { target });
    const who = Array.from({ length: accepted }, (_, i) => `person${String(i)}@example.com`);
    await record(
      plan,
      who.flatMap((k) => attempt(k, 1, end)),
    );
  }

  /** The id of the run that is found for a copy of the letter with an id of its own. */
  async function found(list: string, change = (text: string): string => text): Promise<string | undefined> {
    const text = smallCampaign(1)["hello.mail.md"]?.replace(smallCampaignId, otherId) ?? "";
    const prepared = await openFiles(path.join(root, "copy"), { "copy.mail.md": change(text), "people.csv": list });
    return (await overlappingRun(state, prepared))?.plan.campaignId;
  }

  it("is found from a fifth of the people on, whatever the case of their addresses", async () => {
    await sent(2);
    assert.equal(await found(people([0, 1, 20, 21, 22, 23, 24, 25, 26, 27])), smallCampaignId);
    assert.equal(await found(people([0, 20, 21, 22, 23])), smallCampaignId);
    assert.equal(await found(people([0, 20, 21, 22, 23, 24])), undefined);
    assert.equal(await found(people([8, 9])), undefined);
  });

  it("another subject is another letter", async () => {
    await sent(10);
    assert.equal(await found(people([0, 1]), (text) => text.replace("Number {{", "Nr. {{")), undefined);
    assert.equal(await found(people([0, 1])), smallCampaignId);
  });

  it("people are told apart by their address, not by the key of one message", async () => {
    await sent(2);
    assert.equal(await found(people([0, 1]), (text) => text.replace("to:", "key: number\nto:")), smallCampaignId);
  });

  it("its own record, a rehearsal, and a run that reached nobody are no reason", async () => {
    await sent(10, { target: { kind: "sandbox" } });
    assert.equal(await found(people([0, 1])), undefined);
    await sent(0);
    assert.equal(await found(people([0, 1])), undefined);
    const prepared = await openFiles(root, smallCampaign(10));
    assert.equal(await overlappingRun(state, prepared), undefined);
  });

  it("of several the one that reached most of them is named", async () => {
    await sent(3);
    const third = "9d0c1a52-0000-4000-8000-000000000003";
    const files = smallCampaign(10);
    const renamed = { ...files, "hello.mail.md": files["hello.mail.md"]?.replace(smallCampaignId, third) ?? "" };
    const plan = await planRun(path.join(root, "third"), state, renamed);
    await record(
      plan,
      [0, 1, 2, 3, 4].flatMap((n) => attempt(`person${String(n)}@example.com`, 1, "ok")),
    );
    assert.equal(await found(people([0, 1, 2, 3, 4])), third);
  });
});

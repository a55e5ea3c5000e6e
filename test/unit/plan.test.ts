import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import fc from "fast-check";
import { FileError } from "../../src/mail/files";
import { History, Journal, type Fate } from "../../src/mail/journal";
import { acquireLock } from "../../src/mail/lock";
import {
  createPlan,
  isLastRun,
  lastRun,
  PlanError,
  plannedFiles,
  runsOf,
  totalsOf,
  worldOf,
  type Plan,
  type PlanRequest,
  type Target,
} from "../../src/mail/plan";
import { systemClock } from "../../src/mail/ports";
import type { CheckResult, Counts, Prepared } from "../../src/mail/preflight";
import { loopbackAccount, quickPace } from "../fakes/accounts";
import { stampNow } from "../fakes/campaigns";

const campaignId = "7d0c1a52-0000-4000-8000-000000000001";
const smtp: Target = { kind: "account", account: loopbackAccount(2525), caSha256: undefined };

type Role = Prepared["opened"][number]["role"];

describe("plan (R57)", () => {
  let folder: string;
  let root: string;
  let stateDirectory: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "plan-"));
    root = path.join(folder, "workspace");
    stateDirectory = path.join(folder, "state");
    await mkdir(root);
    for (const [name, content] of [
      ["spring.mail.md", "the campaign"],
      ["list.csv", "email\nbob@example.org\n"],
      ["out.csv", "email\n"],
      ["logo.png", "a picture"],
      ["terms.pdf", "the terms"],
    ] as const)
      await writeFile(inRoot(name), content);
    await writeFile(path.join(folder, "secret.txt"), "outside");
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  function inRoot(name: string): string {
    return path.join(root, name);
  }

  /** A request for these files, as the check would have left it. */
  function requestFor(
    more: Partial<PlanRequest> & {
      readonly opened?: readonly (readonly [Role, string])[];
      readonly attachments?: readonly string[];
    } = {},
  ): PlanRequest {
    const opened = more.opened ?? [
      ["campaign", inRoot("spring.mail.md")],
      ["recipients", inRoot("list.csv")],
      ["suppress", inRoot("out.csv")],
      ["image", inRoot("logo.png")],
    ];
    const attachments = more.attachments ?? [inRoot("terms.pdf")];
    return {
      stateDirectory,
      // What a plan needs of a prepared campaign; the rest is never touched.
      prepared: {
        campaign: { id: campaignId, file: inRoot("spring.mail.md") },
        opened: opened.map(([role, file]) => ({ role, file, stamp: stampNow(root, file) })),
      } as unknown as Prepared,
      check: {
        problems: [],
        counts: { rows: 10, mail: 6, invalid: 1, skipped: 2, excluded: 1 },
        first: [],
        more: new Map(),
        attachments: new Map(attachments.map((file) => [file, 9])),
      } satisfies CheckResult,
      target: smtp,
      root,
      csv: { delimiter: "auto", encoding: "auto" },
      sender: { from: "Ada <ada@example.com>", replyTo: undefined },
      pace: quickPace,
      previousRunId: undefined,
      ...more,
    };
  }

  function create(more: Parameters<typeof requestFor>[0] = {}): Promise<Plan> {
    return createPlan(requestFor(more), systemClock);
  }

  const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

  it("copies what the campaign consists of, with hashes, and pins the attachments", async () => {
    const plan = await create();
    assert.deepEqual(plan.copies, [
      { original: inRoot("spring.mail.md"), copy: "000-campaign", sha256: sha256("the campaign") },
      { original: inRoot("list.csv"), copy: "001-recipients", sha256: sha256("email\nbob@example.org\n") },
      { original: inRoot("out.csv"), copy: "002-suppress", sha256: sha256("email\n") },
      { original: inRoot("logo.png"), copy: "003-image", sha256: sha256("a picture") },
    ]);
    assert.deepEqual(plan.attachments, [{ file: inRoot("terms.pdf"), size: 9, sha256: sha256("the terms") }]);
    assert.deepEqual((await readdir(plan.directory)).sort(), [
      "000-campaign",
      "001-recipients",
      "002-suppress",
      "003-image",
      "plan.json",
    ]);
    assert.equal(await readFile(path.join(plan.directory, "000-campaign"), "utf8"), "the campaign");
  });

  it("can be read back as it was made", async () => {
    const plan = await create();
    assert.deepEqual((await lastRun(stateDirectory, campaignId, "real"))?.plan, JSON.parse(JSON.stringify(plan)));
  });

  it("is not made of a list that was changed since it was checked", async () => {
    const request = requestFor();
    await writeFile(inRoot("list.csv"), "email\nsomebody.else@example.com\n");
    await assert.rejects(
      createPlan(request, systemClock),
      (error) => error instanceof PlanError && error.message.includes("was changed"),
    );
    assert.equal(await lastRun(stateDirectory, campaignId, "real"), undefined);
  });

  it("copies a file once that is opened twice", async () => {
    const plan = await create({
      opened: [
        ["campaign", inRoot("spring.mail.md")],
        ["image", inRoot("logo.png")],
        ["image", inRoot("logo.png")],
      ],
    });
    assert.equal(plan.copies.length, 2);
  });

  it("is for this user's eyes only", async function () {
    if (process.platform === "win32") return this.skip();
    const { directory } = await create();
    const modes = async (file: string): Promise<number> => (await stat(file)).mode & 0o777;
    assert.equal(await modes(directory), 0o700);
    for (let above = path.dirname(directory); above !== folder; above = path.dirname(above))
      assert.equal(await modes(above), 0o700, above);
    for (const file of await readdir(directory)) assert.equal(await modes(path.join(directory, file)), 0o600, file);
  });

  it("holds no secret and makes no name from user text", async () => {
    const odd = inRoot("..%2f & evil;name.csv");
    await writeFile(odd, "email\n");
    const plan = await create({ opened: [["recipients", odd]], attachments: [] });
    assert.deepEqual(
      plan.copies.map(({ copy }) => copy),
      ["000-recipients"],
    );
    assert.match(path.basename(plan.directory), /^0001-[0-9a-f-]{36}$/);
  });

  describe("what lies outside the root", () => {
    const outside: readonly [string, (root: string) => Promise<string>][] = [
      ["a path with ..", (below) => Promise.resolve(path.join(below, "..", "secret.txt"))],
      [
        "a link",
        async (below) => {
          await symlink(path.join(below, "..", "secret.txt"), path.join(below, "link.txt"));
          return path.join(below, "link.txt");
        },
      ],
    ];
    for (const [name, make] of outside) {
      it(`is never copied: ${name}`, async function () {
        if (process.platform === "win32") return this.skip();
        const file = await make(root);
        await assert.rejects(
          create({ opened: [["image", file]] }),
          (error) => error instanceof FileError && error.reason === "outside",
        );
        assert.equal(await lastRun(stateDirectory, campaignId, "real"), undefined);
      });

      it(`is never attached: ${name}`, async function () {
        if (process.platform === "win32") return this.skip();
        await assert.rejects(create({ attachments: [await make(root)] }), { reason: "outside" });
      });
    }

    it("leaves nothing behind when it fails, and holds no lock", async () => {
      await assert.rejects(create({ attachments: [inRoot("missing.pdf")] }), { reason: "missing" });
      const left = await readdir(path.join(stateDirectory, "campaigns", campaignId, "real"));
      assert.deepEqual(
        left.filter((name) => !name.startsWith("lock-")),
        [],
      );
      await create();
    });
  });

  describe("two runs of one campaign", () => {
    it("are never planned on the same ground: the second is refused", async () => {
      await create();
      await assert.rejects(create(), PlanError);
    });

    it("follow each other when the person knows of the first", async () => {
      const first = await create();
      const second = await create({ previousRunId: first.runId });
      assert.deepEqual(
        (await runsOf(second)).map(({ runId }) => runId),
        [first.runId, second.runId],
      );
      assert.deepEqual([await isLastRun(first), await isLastRun(second)], [false, true]);
      await assert.rejects(create({ previousRunId: first.runId }), PlanError);
      assert.equal((await lastRun(stateDirectory, campaignId, "real"))?.plan.runId, second.runId);
    });

    it("have one winner when they are planned at the same moment", async () => {
      const plans = await Promise.allSettled(Array.from({ length: 8 }, () => create()));
      const made = plans.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      assert.equal(made.length, 1);
      for (const one of plans) if (one.status === "rejected") assert.ok(one.reason instanceof PlanError);
      assert.equal((await runsOf(made[0]!)).length, 1);
    });

    it("cannot be planned while the campaign is being sent", async () => {
      const plan = await create();
      const lock = await acquireLock(path.dirname(plan.directory), systemClock, { takeOver: false, atLeast: 1 });
      assert.ok(lock.kind === "held");
      await assert.rejects(create({ previousRunId: plan.runId }), /being sent/);
      await lock.release();
      await create({ previousRunId: plan.runId });
    });

    it("of different worlds know nothing of each other", async () => {
      const real = await create();
      const rehearsal = await create({ target: { kind: "sandbox" } });
      const dry = await create({ target: { kind: "outbox", directory: path.join(folder, "mails") } });
      for (const plan of [real, rehearsal, dry]) assert.equal((await runsOf(plan)).length, 1);
      assert.deepEqual(
        [real, rehearsal, dry].map(({ target }) => worldOf(target)),
        ["real", "sandbox", "outbox"],
      );
    });
  });

  it("ignores the draft of a plan whose maker was killed", async () => {
    const home = path.join(stateDirectory, "campaigns", campaignId, "real");
    await mkdir(path.join(home, "new-7d0c1a52-0000-4000-8000-00000000abcd"), { recursive: true });
    assert.equal(await lastRun(stateDirectory, campaignId, "real"), undefined);
    const plan = await create();
    assert.equal((await runsOf(plan)).length, 1);
  });

  it("needs an id that is a UUID: no folder is named by anything else", async () => {
    const { prepared } = requestFor();
    const withId = (id: string | undefined): Prepared => ({ ...prepared, campaign: { ...prepared.campaign, id } });
    await assert.rejects(create({ prepared: withId(undefined) }), PlanError);
    await assert.rejects(create({ prepared: withId("../../evil") }));
    assert.deepEqual((await readdir(folder)).sort(), ["secret.txt", "workspace"]);
  });

  it("refuses a plan of a newer version", async () => {
    const { directory } = await create();
    const file = path.join(directory, "plan.json");
    await writeFile(file, (await readFile(file, "utf8")).replace('"version": 1', '"version": 2'));
    await assert.rejects(lastRun(stateDirectory, campaignId, "real"), /newer Bulk Mail/);
  });

  describe("the files of a run", () => {
    const textOf = async (chunks: AsyncIterable<Buffer>): Promise<string> => {
      const all: Buffer[] = [];
      for await (const chunk of chunks) all.push(chunk);
      return Buffer.concat(all).toString("utf8");
    };

    it("are the copies, whatever becomes of the originals", async () => {
      const files = await plannedFiles(await create());
      await writeFile(inRoot("list.csv"), "email\nmallory@example.net\n");
      await rm(inRoot("spring.mail.md"));
      assert.equal((await files.read(inRoot("list.csv"))).toString(), "email\nbob@example.org\n");
      assert.equal(await textOf(files.stream(inRoot("list.csv"))), "email\nbob@example.org\n");
      assert.equal((await files.read(inRoot("spring.mail.md"))).toString(), "the campaign");
      assert.equal((await files.stat(inRoot("spring.mail.md"))).size, 12);
    });

    it("include an attachment that is what was confirmed, and no other", async () => {
      const files = await plannedFiles(await create());
      assert.equal((await files.read(inRoot("terms.pdf"))).toString(), "the terms");
      await writeFile(inRoot("terms.pdf"), "the TERMS");
      await assert.rejects(
        files.read(inRoot("terms.pdf")),
        (error) => error instanceof FileError && error.detail.includes("has changed"),
      );
    });

    it("include nothing that was not part of the confirmation", async () => {
      await writeFile(inRoot("later.pdf"), "new");
      const files = await plannedFiles(await create());
      await assert.rejects(files.read(inRoot("later.pdf")), FileError);
      await assert.rejects(textOf(files.stream(inRoot("later.pdf"))), FileError);
      await assert.rejects(files.read(path.join(folder, "secret.txt")), { reason: "outside" });
    });

    it("do not follow an attachment that became a link to elsewhere", async function () {
      if (process.platform === "win32") return this.skip();
      const files = await plannedFiles(await create());
      await rm(inRoot("terms.pdf"));
      await writeFile(path.join(folder, "same.pdf"), "the terms");
      await symlink(path.join(folder, "same.pdf"), inRoot("terms.pdf"));
      await assert.rejects(files.read(inRoot("terms.pdf")), { reason: "unreadable" });
    });
  });

  describe("the last run", () => {
    it("is none before the first", async () => {
      assert.equal(await lastRun(stateDirectory, campaignId, "real"), undefined);
    });

    it("names the originals that are no longer what was confirmed", async () => {
      await create();
      const changed = async (): Promise<readonly string[] | undefined> =>
        (await lastRun(stateDirectory, campaignId, "real"))?.changed;
      assert.deepEqual(await changed(), []);
      await writeFile(inRoot("list.csv"), "email\n");
      await rm(inRoot("logo.png"));
      assert.deepEqual(await changed(), [inRoot("list.csv"), inRoot("logo.png")]);
    });

    it("expects the suppression file to change", async () => {
      await create();
      await writeFile(inRoot("out.csv"), "email\nbob@example.org\n");
      assert.deepEqual((await lastRun(stateDirectory, campaignId, "real"))?.changed, []);
    });

    it("names all of them when the workspace is gone", async () => {
      await create();
      await rm(root, { recursive: true });
      const changed = (await lastRun(stateDirectory, campaignId, "real"))?.changed;
      assert.deepEqual(changed, ["spring.mail.md", "list.csv", "logo.png"].map(inRoot));
    });

    it("is interrupted, running or finished", async () => {
      const plan = await create();
      const state = async (): Promise<string | undefined> => (await lastRun(stateDirectory, campaignId, "real"))?.state;
      assert.equal(await state(), "interrupted");
      const lock = await acquireLock(path.dirname(plan.directory), systemClock, { takeOver: false, atLeast: 1 });
      assert.ok(lock.kind === "held");
      assert.equal(await state(), "running");
      const header = { campaignId, runId: plan.runId, generation: lock.generation, at: 1, host: "h" };
      const journal = await Journal.open(plan.directory, header);
      journal.append({ t: "ctl", what: "finish", at: 2 });
      await journal.close();
      await lock.release();
      assert.equal(await state(), "finished");
    });

    it("knows where everybody stands", async () => {
      const plan = await create();
      const header = { campaignId, runId: plan.runId, generation: 1, at: 1, host: "h" };
      const journal = await Journal.open(plan.directory, header);
      for (const k of ["a", "b"]) journal.append({ t: "attempt", k, n: 1, id: "<1@example.com>", at: 2 });
      journal.append({ t: "ok", k: "a", reply: "250", ms: 1, at: 3 });
      journal.append({ t: "data", k: "b", n: 1, at: 3 });
      await journal.close();
      assert.deepEqual((await lastRun(stateDirectory, campaignId, "real"))?.totals, {
        accepted: 1,
        failed: 1,
        unknown: 1,
        skipped: 2,
        pending: 4,
      });
    });
  });

  it("totals add up to the list less the excluded rows, whatever became of whom (property)", () => {
    const outcomes = fc.constantFrom<Fate["outcome"]>("pending", "doubt", "accepted", "failed", "unknown", "skipped");
    const small = fc.nat({ max: 9 });
    fc.assert(
      fc.property(fc.array(outcomes, { maxLength: 20 }), small, small, small, small, (fates, extra, ...counts) => {
        const [invalid, skipped, excluded] = counts;
        const mail = fates.length + extra;
        const rows: Counts = { rows: mail + invalid + skipped + excluded, mail, invalid, skipped, excluded };
        const history = new History();
        for (const [index, outcome] of fates.entries()) {
          const about = { k: String(index), at: 1 };
          history.apply({ ...about, t: "attempt", n: 1, id: "" }, 0);
          if (outcome === "doubt") history.apply({ ...about, t: "data", n: 1 }, 0);
          if (outcome === "accepted") history.apply({ ...about, t: "ok", reply: "", ms: 1 }, 0);
          if (outcome === "failed") history.apply({ ...about, t: "fail", class: "recipient", reply: "", ms: 1 }, 0);
          if (outcome === "unknown" || outcome === "skipped")
            history.apply({ ...about, t: outcome === "unknown" ? "unknown" : "skip", why: "" }, 0);
        }
        const totals = totalsOf({ counts: rows } as Plan, history);
        const sum = Object.values<number>({ ...totals }).reduce((all: number, one: number) => all + one, 0);
        assert.equal(sum, rows.rows - rows.excluded);
        const count = (...wanted: readonly Fate["outcome"][]): number =>
          fates.filter((outcome) => wanted.includes(outcome)).length;
        assert.deepEqual(totals, {
          accepted: count("accepted"),
          failed: count("failed") + invalid,
          unknown: count("unknown", "doubt"),
          skipped: count("skipped") + skipped,
          pending: count("pending") + extra,
        });
      }),
    );
  });
});

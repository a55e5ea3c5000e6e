import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Accounts, type Draft, type Resolution } from "../../src/accounts";
import type { AccountSettings, Level, SettingsScope } from "../../src/config";

type Settings = Record<string, unknown>;

const work: Settings = { host: "smtp.example.com", user: "ada@example.com" };

/** A person, a settings file a level, Secret Storage and state, as VS Code would give them. */
class Desk {
  readonly levels: Partial<Record<Level, Settings>> = {};
  defaults: Partial<Record<Level, string>> = {};
  readonly secrets = new Map<string, string>();
  readonly state = new Map<string, unknown>();
  /** Every question asked, and how the person answers. */
  readonly questions: string[] = [];
  agrees = true;
  password: { secret: string; store: boolean } | undefined = { secret: "typed", store: true };
  trusted = true;
  whileAsked: () => void = () => {};
  folder = "file:///folder";
  root: string | undefined;

  private readonly settings: AccountSettings<SettingsScope> = {
    read: () =>
      (["workspaceFolder", "workspace", "user"] as const).flatMap((level) => {
        const accounts = this.levels[level];
        return accounts === undefined ? [] : [{ level, accounts }];
      }),
    write: (_scope, level, accounts) => {
      this.levels[level] = { ...accounts };
      return Promise.resolve();
    },
    defaultAccount: () => this.defaults.workspace ?? this.defaults.user ?? "",
    writeDefaultAccount: (_scope, level, id) => {
      this.defaults[level] = id;
      return Promise.resolve();
    },
    place: (_scope, level) => ({ owner: level === "user" ? "" : this.folder, root: this.root }),
    levels: () => (this.trusted ? ["workspace", "user"] : ["user"]),
  };

  readonly accounts = new Accounts({
    settings: this.settings,
    secrets: {
      get: (key) => Promise.resolve(this.secrets.get(key)),
      store: (key, value) => Promise.resolve(void this.secrets.set(key, value)),
      delete: (key) => Promise.resolve(void this.secrets.delete(key)),
      keys: () => Promise.resolve([...this.secrets.keys()]),
    },
    memento: {
      get: <T>(key: string): T | undefined => this.state.get(key) as T | undefined,
      update: (key: string, value: unknown) => Promise.resolve(void this.state.set(key, value)),
    },
    dialogs: {
      confirm: (message, detail) => {
        this.questions.push(`${message} ${detail}`);
        this.whileAsked();
        return Promise.resolve(this.agrees);
      },
      askSecret: (title, prompt) => {
        this.questions.push(`${title} ${prompt}`);
        this.whileAsked();
        return Promise.resolve(this.password);
      },
    },
    isTrusted: () => this.trusted,
  });

  resolve(id = "work"): Promise<Resolution> {
    return this.accounts.resolve(undefined, id);
  }

  /** The password that `resolve` hands out, or what came instead. */
  async handedOut(id = "work"): Promise<string | undefined> {
    const resolution = await this.resolve(id);
    return resolution.kind === "account" ? resolution.credentials.password : resolution.kind;
  }

  save(draft: Partial<Draft> & { readonly level: Level }): ReturnType<Accounts["save"]> {
    return this.accounts.save(undefined, { id: "work", settings: work, ...draft });
  }

  /** What is in Secret Storage besides the records of endpoints. */
  stored(): string[] {
    return [...this.secrets].filter(([key]) => !key.startsWith("endpoint/")).map(([, value]) => value);
  }
}

describe("accounts", () => {
  let desk: Desk;
  beforeEach(() => (desk = new Desk()));

  it("R15 saves the account in its level and the password in Secret Storage only", async () => {
    assert.deepEqual(await desk.save({ level: "workspace", password: "hunter2" }), { kind: "saved" });
    assert.deepEqual(desk.levels, { workspace: { work } });
    assert.deepEqual(desk.stored(), ["hunter2"]);
    assert.ok(!JSON.stringify([desk.levels, [...desk.state], [...desk.secrets.keys()]]).includes("hunter2"));
    assert.equal(await desk.handedOut(), "hunter2");
    assert.deepEqual(desk.questions, [], "who typed it all is not asked again");
  });

  it("R16 asks for a missing password, and again next time unless it may be stored", async () => {
    desk.levels.user = { work };
    desk.password = { secret: "once", store: false };
    assert.equal(await desk.handedOut(), "once");
    assert.deepEqual(desk.stored(), []);
    desk.password = { secret: "kept", store: true };
    assert.equal(await desk.handedOut(), "kept");
    desk.password = undefined;
    assert.equal(await desk.handedOut(), "kept");
    assert.equal(desk.questions.length, 2);
    assert.match(desk.questions[0] ?? "", /ada@example\.com at smtp\.example\.com, port 587/);
  });

  it("asks nothing for an account that does not sign in", async () => {
    desk.levels.user = { work: { ...work, auth: "none", from: "ada@example.com" } };
    assert.equal(await desk.handedOut(), undefined);
    assert.deepEqual(desk.questions, []);
  });

  it("resolves nothing without trust, not even the user's own account or the sandbox", async () => {
    await desk.save({ level: "user", password: "hunter2" });
    desk.trusted = false;
    assert.equal((await desk.resolve()).kind, "refused");
    assert.equal((await desk.resolve("sandbox")).kind, "refused");
    const draft: Draft = { id: "work", level: "user", settings: work, password: "x" };
    assert.equal((await desk.accounts.resolveDraft(undefined, draft)).kind, "refused");
    desk.trusted = true;
    assert.equal((await desk.resolve("sandbox")).kind, "sandbox");
  });

  it("writes no workspace settings without trust, because those that stand there cannot be seen", async () => {
    desk.trusted = false;
    assert.equal((await desk.save({ level: "workspace", password: "hunter2" })).kind, "failed");
    assert.deepEqual([desk.levels, desk.secrets.size], [{}, 0]);
    assert.equal((await desk.save({ level: "user" })).kind, "saved");
  });

  it("refuses an account that does not exist or is broken, with the reason", async () => {
    desk.levels.user = { work: { ...work, port: "587" } };
    const broken = await desk.resolve();
    assert.ok(broken.kind === "refused");
    assert.match(broken.detail, /port: This must be a whole number/);
    const missing = await desk.resolve("[x](command:evil)\u001b[31m");
    assert.ok(missing.kind === "refused");
    assert.ok(!missing.text.includes("evil") && !missing.detail.includes("\u001b"));
  });

  describe("a workspace that wants the user's password", () => {
    beforeEach(async () => {
      await desk.save({ level: "user", password: "hunter2" });
      desk.password = undefined;
    });

    const moves: Record<string, Settings> = {
      "whole account, other host": { ...work, host: "evil.example" },
      "whole account, other port": { ...work, port: 2525 },
      "whole account, no encryption": { ...work, security: "none" },
      "whole account, implicit TLS": { ...work, security: "tls" },
      "whole account, other server name": { ...work, tls: { servername: "evil.example" } },
      "whole account, no verification": { ...work, tls: { verify: false } },
      "whole account, other user": { ...work, user: "eve@example.com" },
    };
    for (const [name, settings] of Object.entries(moves)) {
      it(`gets none: ${name}`, async () => {
        desk.levels.workspace = { work: settings };
        assert.equal(await desk.handedOut(), "cancelled");
        assert.match(desk.questions[0] ?? "", /This workspace defines the account work/);
        // Even an agreement to the account does not bring the old password along: it is asked for, with what changed.
        assert.match(desk.questions.at(-1) ?? "", /The stored password was entered for another one \(/);
      });
    }

    it("gets none: a fragment that VS Code would merge into the user's account", async () => {
      desk.levels.workspace = { work: { host: "evil.example" } };
      const resolution = await desk.resolve();
      assert.ok(resolution.kind === "refused");
      assert.match(resolution.detail, /user name is missing/);
      const [entry] = await desk.accounts.list(undefined);
      assert.deepEqual([entry?.level, entry?.account, entry?.overrides], ["workspace", undefined, ["user"]]);
    });

    it("gets no connection with the same endpoint before a person agreed, and the sender counts too", async () => {
      desk.levels.workspace = { work: { ...work, from: "boss@example.com" } };
      desk.agrees = false;
      assert.equal(await desk.handedOut(), "cancelled");
      assert.match(desk.questions[0] ?? "", /From: boss@example\.com/);
      desk.agrees = true;
      assert.equal(await desk.handedOut(), "hunter2");
      assert.equal(await desk.handedOut(), "hunter2");
      assert.equal(desk.questions.length, 2, "an approval lasts");
      desk.levels.workspace = { work: { ...work, from: "boss@example.com", replyTo: "eve@example.org" } };
      desk.agrees = false;
      assert.equal(await desk.handedOut(), "cancelled", "any change asks again");
    });

    it("gets none by an approval that was given in another folder", async () => {
      desk.levels.workspace = { work: { ...work, from: "ada@example.com" } };
      assert.equal(await desk.handedOut(), "hunter2");
      desk.folder = "file:///elsewhere";
      desk.agrees = false;
      assert.equal(await desk.handedOut(), "cancelled");
    });

    it("gets none by changing the settings while a question is open", async () => {
      desk.levels.workspace = { work: { ...work, from: "ada@example.com" } };
      desk.whileAsked = () => (desk.levels.workspace = { work: { ...work, host: "evil.example" } });
      assert.equal((await desk.resolve()).kind, "refused");
    });

    it("is noticed by stillHolds right before the connection", async () => {
      const resolved = await desk.resolve();
      assert.ok(resolved.kind === "account");
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), true);
      desk.levels.workspace = { work: { ...work, host: "evil.example" } };
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), false);
      desk.levels.workspace = { work };
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), false, "another level is another account");
      delete desk.levels.workspace;
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), true);
      delete desk.levels.user;
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), false);
    });

    it("gets nothing through the panel: neither a test nor a save of its account is an approval", async () => {
      const settings = { ...work, host: "evil.example" };
      desk.levels.workspace = { work: settings };
      const previous = { id: "work", level: "workspace" } as const;
      desk.agrees = false;
      const draft: Draft = { id: "work", level: "workspace", settings, previous, password: "typed" };
      assert.equal((await desk.accounts.resolveDraft(undefined, draft)).kind, "cancelled");
      await desk.accounts.save(undefined, draft);
      assert.equal(await desk.handedOut(), "cancelled");
    });

    it("R23 finds the user's own account first when nothing names one", () => {
      desk.levels.workspace = { evil: { ...work, host: "evil.example" } };
      assert.equal(desk.accounts.defaultId(undefined), "work");
    });
  });

  it("a changed CA file is another endpoint and another account", async () => {
    const root = await mkdtemp(join(tmpdir(), "bulk-mail-accounts-"));
    try {
      desk.root = root;
      await writeFile(join(root, "ca.pem"), "mine");
      const settings = { ...work, tls: { caFile: "ca.pem" } };
      await desk.save({ level: "workspace", settings, password: "hunter2" });
      const resolved = await desk.resolve();
      assert.ok(resolved.kind === "account" && resolved.credentials.password === "hunter2");
      await writeFile(join(root, "ca.pem"), "theirs");
      assert.equal(await desk.accounts.stillHolds(undefined, resolved), false);
      desk.password = undefined;
      assert.equal(await desk.handedOut(), "cancelled");
      assert.match(desk.questions[0] ?? "", /This workspace defines/);
      assert.match(desk.questions[1] ?? "", /CA file: another content/);
      await rm(join(root, "ca.pem"));
      const [entry] = await desk.accounts.list(undefined);
      assert.deepEqual(
        entry?.problems.map(({ field, code }) => [field, code]),
        [["tls.caFile", "account.ca.missing"]],
      );
    } finally {
      await rm(root, { recursive: true });
    }
  });

  for (const [name, danger] of [
    ["without encryption", { security: "none" }],
    ["without checking the certificate", { tls: { verify: false } }],
  ] as const) {
    it(`R12 connects ${name} only after a person agreed, once an account`, async () => {
      const settings = { ...work, ...danger };
      desk.agrees = false;
      assert.deepEqual(await desk.save({ level: "user", settings, password: "x" }), { kind: "cancelled" });
      assert.deepEqual([desk.levels.user, desk.stored()], [undefined, []]);
      desk.levels.user = { work: settings };
      assert.equal(await desk.handedOut(), "cancelled");
      desk.agrees = true;
      desk.questions.length = 0;
      assert.equal(await desk.handedOut(), "typed");
      assert.equal(await desk.handedOut(), "typed");
      assert.equal(desk.questions.filter((question) => question.includes(name)).length, 1);
    });
  }

  it("uses a typed password for a test without storing it, and the stored one only for its own endpoint", async () => {
    await desk.save({ level: "user", password: "hunter2" });
    const previous = { id: "work", level: "user" } as const;
    const tested = async (draft: Partial<Draft>): Promise<unknown> => {
      const full: Draft = { id: "work", level: "user", settings: work, previous, ...draft };
      const resolution = await desk.accounts.resolveDraft(undefined, full);
      return resolution.kind === "account" ? resolution.credentials.password : resolution.kind;
    };
    assert.equal(await tested({ password: "new" }), "new");
    assert.equal(await tested({}), "hunter2");
    assert.equal(await tested({ id: "renamed" }), "hunter2");
    desk.password = undefined;
    assert.equal(await tested({ settings: { ...work, host: "smtp.example.org" } }), "cancelled");
    assert.deepEqual(desk.stored(), ["hunter2"]);
  });

  it("forgets the password of an endpoint that a saved one replaces", async () => {
    await desk.save({ level: "user", password: "old" });
    const previous = { id: "work", level: "user" } as const;
    await desk.save({ level: "user", settings: { ...work, port: 465, security: "tls" }, previous, password: "new" });
    assert.deepEqual(desk.stored(), ["new"]);
  });

  it("renames in place: order, password and default stay", async () => {
    desk.levels.user = { work, other: work };
    await desk.save({ level: "user", previous: { id: "work", level: "user" }, password: "hunter2" });
    await desk.accounts.setDefault(undefined, "work");
    await desk.save({ id: "office", level: "user", previous: { id: "work", level: "user" } });
    assert.deepEqual(Object.keys(desk.levels.user), ["office", "other"]);
    assert.equal(desk.accounts.defaultId(undefined), "office");
    assert.equal(await desk.handedOut("office"), "hunter2");
    assert.deepEqual(desk.stored(), ["hunter2"]);
  });

  it("takes no name twice in a level", async () => {
    desk.levels.user = { work };
    const saved = await desk.save({ level: "user" });
    assert.ok(saved.kind === "problems");
    assert.deepEqual(
      saved.problems.map(({ field, code }) => [field, code]),
      [["id", "account.id.taken"]],
    );
    assert.deepEqual(await desk.save({ level: "workspace" }), { kind: "saved" }, "another level may have its own");
  });

  it("moving to a farther level leaves the nearer one, moving nearer keeps the farther", async () => {
    await desk.save({ level: "workspace", password: "hunter2" });
    await desk.save({ level: "user", previous: { id: "work", level: "workspace" } });
    assert.deepEqual(desk.levels, { workspace: {}, user: { work } });
    await desk.save({ level: "workspace", previous: { id: "work", level: "user" } });
    assert.deepEqual(desk.levels, { workspace: { work }, user: { work } });
    assert.equal(await desk.handedOut(), "hunter2");
  });

  it("removes an account with its passwords, but keeps those of the same name at another level", async () => {
    await desk.save({ level: "user", password: "hunter2" });
    await desk.save({ level: "workspace", previous: { id: "work", level: "user" } });
    await desk.accounts.remove(undefined, "work", "workspace");
    assert.deepEqual(desk.levels, { workspace: {}, user: { work } });
    assert.deepEqual(desk.stored(), ["hunter2"]);
    await desk.accounts.remove(undefined, "work", "user");
    assert.equal(desk.secrets.size, 0);
  });

  it("forgets one account's passwords, or all", async () => {
    await desk.save({ level: "user", password: "one" });
    await desk.save({ id: "other", level: "user", password: "two" });
    let heard = 0;
    const listening = desk.accounts.onDidChangeSecrets(() => heard++);
    await desk.accounts.forget("work");
    assert.deepEqual(desk.stored(), ["two"]);
    assert.equal(await desk.accounts.forgetAll(), 1);
    assert.equal(desk.secrets.size, 0);
    assert.equal(heard, 2);
    listening.dispose();
    await desk.accounts.forget("work");
    assert.equal(heard, 2);
  });

  it("tells whether a password is stored, here or for another endpoint", async () => {
    const state = async (): Promise<unknown> => (await desk.accounts.list(undefined))[0]?.secret;
    desk.levels.user = { work };
    assert.deepEqual(await state(), { kind: "none" });
    await desk.save({ level: "user", previous: { id: "work", level: "user" }, password: "hunter2" });
    assert.deepEqual(await state(), { kind: "stored" });
    desk.levels.user = { work: { ...work, host: "smtp.example.org" } };
    assert.deepEqual(await state(), { kind: "elsewhere", changes: ["server: smtp.example.org, was smtp.example.com"] });
  });

  it("one more account does not change the default", async () => {
    await desk.save({ id: "near", level: "workspace" });
    assert.deepEqual([desk.accounts.defaultId(undefined), desk.defaults], ["near", {}]);
    await desk.save({ id: "own", level: "user" });
    assert.equal(desk.accounts.defaultId(undefined), "near");
    await desk.save({ id: "renamed", level: "workspace", previous: { id: "near", level: "workspace" } });
    assert.equal(desk.accounts.defaultId(undefined), "renamed");
  });

  it("the sandbox is the default until there is an account, and a setting decides over both", () => {
    assert.equal(desk.accounts.defaultId(undefined), "sandbox");
    desk.levels.workspace = { near: work };
    assert.equal(desk.accounts.defaultId(undefined), "near");
    desk.defaults = { user: "sandbox" };
    assert.equal(desk.accounts.defaultId(undefined), "sandbox");
  });
});

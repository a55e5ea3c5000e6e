import assert from "node:assert/strict";
import { Accounts } from "../../src/accounts";
import { addAccount } from "../../src/commands/addAccount";
import type { AccountSettings, Level, SettingsScope } from "../../src/config";
import type { Choice, Dialogs } from "../../src/dialogs";
import type { Action } from "../../src/notify";

/** A person who answers in the order of the questions; undefined turns away. An answer is the beginning of an item, or a text. */
class Person implements Pick<Dialogs, "pick" | "askText" | "askSecret" | "confirm"> {
  /** Every question, with what could be chosen or what stood in the field. */
  readonly asked: { readonly question: string; readonly offered: readonly string[] }[] = [];
  private readonly answers: (string | undefined)[] = [];

  says(...answers: readonly (string | undefined)[]): void {
    this.answers.push(...answers);
  }

  pick = <T extends Choice>(_title: string, question: string, items: readonly T[]): Promise<T | undefined> => {
    const lines = items.map(({ label, description = "", detail = "" }) => [label, description, detail].join("|"));
    this.asked.push({ question, offered: lines });
    const answer = this.next(question);
    const found = items.find(
      ({ label }) => answer !== undefined && label.replace(/^\$\([^)]*\) /, "").startsWith(answer),
    );
    assert.ok(answer === undefined || found !== undefined, `“${String(answer)}” is not among ${lines.join("; ")}`);
    return Promise.resolve(found);
  };

  askText: Dialogs["askText"] = ({ prompt, value = "", validate }) => {
    this.asked.push({ question: prompt, offered: [value] });
    for (;;) {
      const answer = this.next(prompt);
      if (answer === undefined) return Promise.resolve(undefined);
      const text = answer === "(as it stands)" ? value : answer;
      const wrong = validate?.(text);
      if (wrong === undefined) return Promise.resolve(text);
      this.asked.push({ question: wrong, offered: [] });
    }
  };

  askSecret: Dialogs["askSecret"] = (_title, question) => {
    this.asked.push({ question, offered: [] });
    const secret = this.next(question);
    return Promise.resolve(secret === undefined ? undefined : { secret, store: true });
  };

  confirm = (message: string): Promise<boolean> => {
    this.asked.push({ question: message, offered: [] });
    return Promise.resolve(this.next(message) === "yes");
  };

  private next(question: string): string | undefined {
    assert.ok(this.answers.length > 0, `nobody foresaw “${question}”`);
    return this.answers.shift();
  }

  /** The last question that says `text`. */
  find(text: string | RegExp): { readonly question: string; readonly offered: readonly string[] } {
    const found = this.asked.findLast(({ question }) => question.match(text) !== null);
    assert.ok(found, `${String(text)} was not among ${this.asked.map(({ question }) => question).join("; ")}`);
    return found;
  }
}

/** Settings, Secret Storage and state in memory, and real accounts on top of them. */
class Desk {
  readonly person = new Person();
  readonly settings: Partial<Record<Level, Record<string, unknown>>> = {};
  readonly secrets = new Map<string, string>();
  readonly state = new Map<string, unknown>();
  readonly toasts: { readonly message: string; readonly actions: readonly Action[] }[] = [];
  readonly tested: string[] = [];
  readonly signedIn: string[] = [];
  readonly opened: string[] = [];
  readonly logged: string[] = [];
  levels: readonly Level[] = ["workspace", "user"];
  writable = true;

  private readonly memory = {
    get: <T>(key: string): T | undefined => this.state.get(key) as T | undefined,
    update: (key: string, value: unknown) => Promise.resolve(void this.state.set(key, value)),
  };
  private readonly port: AccountSettings<SettingsScope> = {
    read: () =>
      this.levels.flatMap((level) => {
        const accounts = this.settings[level];
        return accounts === undefined ? [] : [{ level, accounts }];
      }),
    write: (_scope, level, accounts) => {
      if (!this.writable) return Promise.reject(new Error("settings.json has errors"));
      this.settings[level] = { ...accounts };
      return Promise.resolve();
    },
    defaultAccount: () => "",
    writeDefaultAccount: () => Promise.resolve(),
    place: (_scope, level) => ({ owner: level === "user" ? "" : "file:///folder", root: undefined }),
    levels: () => this.levels,
    httpProxy: () => "",
  };
  readonly accounts = new Accounts({
    settings: this.port,
    secrets: {
      get: (key) => Promise.resolve(this.secrets.get(key)),
      store: (key, value) => Promise.resolve(void this.secrets.set(key, value)),
      delete: (key) => Promise.resolve(void this.secrets.delete(key)),
      keys: () => Promise.resolve([...this.secrets.keys()]),
    },
    memento: this.memory,
    dialogs: this.person,
    tokens: {
      refresh: () => Promise.reject(new Error("Nobody signs in here.")),
      microsoftToken: () => Promise.reject(new Error("Nobody signs in here.")),
    },
    signIn: () => Promise.reject(new Error("Nobody signs in here.")),
    takeBack: () => Promise.reject(new Error("Nobody signs in here.")),
    isTrusted: () => true,
  });

  /** Runs the command with these answers; every one of them must have been asked for. */
  async add(...answers: readonly (string | undefined)[]): Promise<void> {
    this.person.says(...answers);
    const toast = (message: string, ...actions: readonly Action[]): void => void this.toasts.push({ message, actions });
    const log = (text: string): void => void this.logged.push(text);
    await addAccount({
      accounts: this.accounts,
      dialogs: this.person,
      speak: { info: toast, warn: toast, error: toast },
      log: { debug: log, info: log, warn: log, error: log, show: () => {} },
      memory: this.memory,
      levels: this.levels,
      open: (url) => this.opened.push(url),
      test: (id) => this.tested.push(id),
      signIn: (id) => this.signedIn.push(id),
    });
    assert.throws(() => this.person.askSecret("", "the end"), /nobody foresaw/, "every answer was asked for");
  }

  /** Values in Secret Storage besides the records of endpoints. */
  stored(): string[] {
    return [...this.secrets].filter(([key]) => !key.startsWith("endpoint/")).map(([, value]) => value);
  }
}

describe("Add Account as quick picks", () => {
  let desk: Desk;
  beforeEach(() => (desk = new Desk()));

  it("R2 R5 R15 adds Gmail by address, keeps the password in Secret Storage and offers the test", async () => {
    await desk.add(
      "Gmail",
      "App password",
      "Ada <ada@gmail.com>",
      "(as it stands)",
      "(as it stands)",
      "User",
      "Save",
      "abcd efgh",
    );
    assert.deepEqual(desk.settings, {
      user: { gmail: { provider: "gmail", user: "ada@gmail.com", from: "Ada <ada@gmail.com>" } },
    });
    assert.deepEqual(desk.stored(), ["abcd efgh"]);
    assert.match(desk.person.find(/2-Step Verification/).question, /app password.*Leave it empty/i);
    assert.match(desk.person.asked[0]?.offered[1] ?? "", /Outlook\.com.*\|.*takes no password for sending/);
    const [toast] = desk.toasts;
    assert.equal(toast?.message, "The account is saved.");
    assert.deepEqual(
      toast.actions.map(({ title }) => title),
      ["Test Connection"],
    );
    toast.actions[0]?.run();
    assert.deepEqual(desk.tested, ["gmail"]);
    assert.deepEqual(
      (await desk.accounts.list(undefined)).map(({ secret }) => secret.kind),
      ["stored"],
    );
  });

  it("R8 R11 adds another server: host, port with its encryption, user, name and place", async () => {
    const last = ["ada", "office", "Workspace", "Save", undefined] as const;
    await desk.add("Another server", "ada@example.com", "smtp.example.com", "465, TLS", ...last);
    assert.deepEqual(desk.settings, {
      workspace: {
        office: {
          provider: "custom",
          host: "smtp.example.com",
          port: 465,
          security: "tls",
          user: "ada",
          from: "ada@example.com",
        },
      },
    });
    assert.deepEqual(desk.person.find("Port and encryption").offered, [
      "587, STARTTLS|recommended|",
      "465, TLS||",
      "Another port…||",
    ]);
    assert.deepEqual(desk.stored(), [], "the password may be left for later");
  });

  it("R9 recommends port 465 for a company server, and takes a port of one's own", async () => {
    const start = ["Company server", "ada@example.com", "mail.corp.example", "Another port…", "0", "2465", "TLS"];
    await desk.add(...start, "(as it stands)", "(as it stands)", "User", "Save", undefined);
    assert.match(desk.person.find("Port and encryption").offered[0] ?? "", /^465, TLS\|recommended/);
    assert.match(desk.person.find(/whole number from 1 to 65535/).question, /^This must be/);
    const { work } = desk.settings.user ?? {};
    assert.deepEqual(work, {
      provider: "enterprise",
      host: "mail.corp.example",
      port: 2465,
      security: "tls",
      user: "ada@example.com",
    });
  });

  it("R10 asks for the region of Amazon SES, and for no user where there is only one", async () => {
    const end = ["(as it stands)", "User", "Save", undefined] as const;
    await desk.add("Amazon SES", "ada@example.com", "Europe (Ireland)", "AKIAEXAMPLE", ...end);
    await desk.add("SendGrid", "ada@example.com", ...end);
    assert.deepEqual(desk.settings.user, {
      ses: {
        provider: "ses",
        host: "email-smtp.eu-west-1.amazonaws.com",
        user: "AKIAEXAMPLE",
        from: "ada@example.com",
      },
      sendgrid: { provider: "sendgrid", from: "ada@example.com" },
    });
    const accounts = await desk.accounts.list(undefined);
    assert.deepEqual(
      accounts.map(({ account }) => account?.user),
      ["AKIAEXAMPLE", "apikey"],
    );
  });

  it("an address at a known provider suggests it, and it can be declined", async () => {
    const end = ["(as it stands)", "(as it stands)", "User", "Save", undefined] as const;
    await desk.add("Another server", "ada@yahoo.com", "Use Yahoo", ...end);
    assert.deepEqual(desk.settings.user, { yahoo: { provider: "yahoo", user: "ada@yahoo.com" } });
    await desk.add("Another server", "ada@yahoo.com", "Keep", "relay.example.com", "587", ...end);
    const own = (await desk.accounts.list(undefined)).find(({ id }) => id === "work");
    assert.equal(own?.account?.host, "relay.example.com");
  });

  it("nothing that was answered is lost when the person turns away, at whichever question", async () => {
    const answers = ["Another server", "ada@example.com", "smtp.example.com", "587", "ada", "office", "User"];
    for (const [index, answer] of answers.entries()) {
      if (index === 0) await desk.add(answer, undefined);
      else await desk.add("Go on", answer, undefined);
    }
    assert.deepEqual(desk.settings, {});
    await desk.add("Go on", "Save", undefined);
    assert.deepEqual(desk.settings.user?.office, {
      provider: "custom",
      host: "smtp.example.com",
      port: 587,
      security: "starttls",
      user: "ada",
      from: "ada@example.com",
    });
    // What is saved is finished: the next one starts from the beginning.
    await desk.add(undefined);
    assert.equal(desk.person.asked.at(-2)?.question, "Who is the mail sent through?");
    assert.ok(!JSON.stringify([...desk.state]).includes('addAccount.answers",{"provider'));
  });

  it("what was begun can be left behind, and no memory holds a password", async () => {
    await desk.add("Gmail", "App password", "ada@gmail.com", "(as it stands)", "(as it stands)", "User", undefined);
    assert.equal(desk.person.find("Save it, or change something").offered[0], "$(save) Save|gmail|");
    await desk.add("Start over", "Yahoo", undefined);
    await desk.add("Go on", "ada@yahoo.com", "(as it stands)", "(as it stands)", "User", "Save", "hunter2");
    assert.deepEqual(Object.keys(desk.settings.user ?? {}), ["yahoo"]);
    assert.ok(!JSON.stringify([...desk.state]).includes("hunter2"));
  });

  it("every answer can be changed before saving; one that is not given stays as it was", async () => {
    const start = ["Another server", "ada@example.com", "smtp.example.com", "587", "ada", "office", "User"] as const;
    await desk.add(
      ...start,
      "Server",
      "mail.example.com",
      "User name",
      undefined,
      "Account name",
      "post",
      "Save",
      undefined,
    );
    const post = desk.settings.user?.post as { host: string; user: string };
    assert.deepEqual([post.host, post.user], ["mail.example.com", "ada"]);
  });

  it("another provider brings its own server, and keeps the person's own answers", async () => {
    const start = [
      "Another server",
      "ada@example.com",
      "smtp.example.com",
      "465",
      "ada@example.com",
      "office",
    ] as const;
    await desk.add(...start, "User", "Provider", "Microsoft 365", "Password", "Save", undefined);
    assert.deepEqual(desk.settings.user?.office, { provider: "microsoft365", user: "ada@example.com" });
  });

  it("R11 R38 a pair that cannot work is explained, and mended by one choice", async () => {
    const start = [
      "Another server",
      "ada@example.com",
      "smtp.example.com",
      "Another port…",
      "465",
      "STARTTLS",
    ] as const;
    await desk.add(...start, "ada", "office", "User", "Use TLS on port 465", "Save", undefined);
    const review = desk.person.find("Something is not right yet");
    assert.match(review.offered[0] ?? "", /Port 465 starts encrypted, so STARTTLS cannot work there/);
    const office = desk.settings.user?.office as { port: number; security: string };
    assert.deepEqual([office.port, office.security], [465, "tls"]);
  });

  it("R12 an account without encryption is saved only after its question, and goes on from there", async () => {
    const start = [
      "Another server",
      "ada@example.com",
      "127.0.0.1",
      "Another port…",
      "2500",
      "None",
      "",
      "local",
    ] as const;
    await desk.add(...start, "User", "Save", "no", "Save", "yes");
    assert.deepEqual(desk.settings.user?.local, {
      provider: "custom",
      host: "127.0.0.1",
      port: 2500,
      security: "none",
      auth: "none",
      from: "ada@example.com",
    });
    assert.ok(!desk.person.asked.some(({ question }) => question.includes("password of that user")));
  });

  it("says what is wrong with an answer in place: sender, host and name", async () => {
    desk.settings.user = { work: { host: "smtp.example.com", user: "ada@example.com" } };
    const start = ["Another server", "Ada", "ada@example.com", "https://x", "smtp.example.com", "587", "ada"] as const;
    await desk.add(...start, "work", "a b", "(as it stands)", undefined);
    desk.person.find(/“Ada” cannot be used as sender/);
    desk.person.find(/“https:\/\/x” is no host name/);
    desk.person.find(/There is an account “work” already/);
    desk.person.find(/1 to 64 letters/);
    assert.deepEqual(desk.person.find(/^Account name/).offered, ["work-2"]);
  });

  it("R15 a password typed for one server is asked for again when the server was changed before saving", async () => {
    const start = [
      "Another server",
      "ada@example.com",
      "smtp.example.com",
      "Another port…",
      "2500",
      "None",
      "ada",
    ] as const;
    const end = ["Save", "for-the-first", "no", "Server", "mail.example.com", "Save", "for-the-second", "yes"] as const;
    await desk.add(...start, "office", "User", ...end);
    assert.deepEqual(desk.stored(), ["for-the-second"]);
  });

  it("R1 adds Gmail through its API: signs in with Google, asks for no password and offers the sign-in", async () => {
    const end = ["ada@gmail.com", "(as it stands)", "(as it stands)", "User", "Save"] as const;
    await desk.add("Gmail", "Sign in with Google", "Gmail API", ...end);
    assert.deepEqual(desk.settings.user, {
      gmail: { provider: "gmail", transport: "gmailApi", auth: "oauth2", user: "ada@gmail.com" },
    });
    assert.match(desk.person.find("How do you want to sign in?").offered[1] ?? "", /OAuth client of your own/);
    assert.match(desk.person.find("What should mails be sent through?").offered[0] ?? "", /^Gmail API\|recommended\|/);
    const review = desk.person.find("Save it, or change something").offered.join("\n");
    assert.match(review, /Sign-in\|Sign in with Google/);
    assert.doesNotMatch(review, /password|Port and encryption/);
    assert.deepEqual(desk.stored(), []);
    const [toast] = desk.toasts;
    toast?.actions.find(({ title }) => title === "Sign In")?.run();
    assert.deepEqual([desk.signedIn, desk.tested], [["gmail"], []]);
  });

  it("R1 signs in with Google for Gmail's mail server too, and the way can be changed before saving", async () => {
    const end = ["ada@gmail.com", "(as it stands)", "(as it stands)", "User"] as const;
    await desk.add("Gmail", "Sign in with Google", "Gmail's mail server", ...end, "Save");
    assert.deepEqual(desk.settings.user?.gmail, { provider: "gmail", auth: "oauth2", user: "ada@gmail.com" });
    const change = ["Sign-in", "App password", "Save", "abcd"] as const;
    await desk.add("Gmail", "Sign in with Google", "Gmail API", ...end, ...change);
    assert.deepEqual(desk.settings.user["gmail-2"], { provider: "gmail", user: "ada@gmail.com" });
    assert.deepEqual(desk.stored(), ["abcd"]);
  });

  it("R6 Outlook.com takes no password: it asks for none, and offers to sign in with Microsoft", async () => {
    await desk.add("Outlook", "ada@outlook.com", "(as it stands)", "(as it stands)", "User", "Save");
    assert.deepEqual(desk.settings.user?.outlook, { provider: "outlook", auth: "oauth2", user: "ada@outlook.com" });
    assert.deepEqual(desk.stored(), []);
    assert.deepEqual(
      desk.toasts.map(({ message, actions }) => [message, actions.map(({ title }) => title)]),
      [["The account is saved. Sign in to send through it.", ["Sign In"]]],
    );
  });

  it("R6 Microsoft 365 leaves the choice: a password as before, or the browser", async () => {
    const end = ["ada@example.com", "(as it stands)", "(as it stands)", "User", "Save"] as const;
    await desk.add("Microsoft 365", "Sign in with Microsoft", ...end);
    const { microsoft365 } = desk.settings.user ?? {};
    assert.deepEqual(microsoft365, { provider: "microsoft365", auth: "oauth2", user: "ada@example.com" });
  });

  it("R7 opens the page where an app password is made, and comes back", async () => {
    const start = ["Yahoo", "ada@yahoo.com", "(as it stands)", "(as it stands)", "User"] as const;
    await desk.add(...start, "Get the password", "Save", "abcd");
    assert.deepEqual(desk.opened, ["https://login.yahoo.com/account/security"]);
    assert.deepEqual(desk.stored(), ["abcd"]);
  });

  it("asks for no place where there is only one, and keeps the answers when the settings cannot be written", async () => {
    desk.levels = ["user"];
    desk.writable = false;
    await desk.add("Gmail", "App password", "ada@gmail.com", "(as it stands)", "(as it stands)", "Save", "abcd");
    assert.equal(desk.toasts.at(-1)?.message, "The account could not be saved. The log says why.");
    assert.deepEqual(desk.logged, ["settings.json has errors"]);
    desk.writable = true;
    await desk.add("Go on", "Save", "abcd");
    assert.deepEqual(desk.settings.user, { gmail: { provider: "gmail", user: "ada@gmail.com" } });
  });
});

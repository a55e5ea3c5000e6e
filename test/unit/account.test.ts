import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Account,
  accountHash,
  endpointChanges,
  endpointHash,
  endpointOf,
  FileError,
  parseAccount,
  readAuthorities,
  senderOf,
} from "../../src/mail/index";

const good = { host: "smtp.example.com", user: "ada@example.com" };

function account(settings: object = {}): Account {
  const { value, problems } = parseAccount("work", { ...good, ...settings });
  assert.ok(value, JSON.stringify(problems));
  return value;
}

/** `field: code` of every problem. */
function codes(settings: unknown, id = "work"): string[] {
  return parseAccount(id, settings).problems.map(({ field, code }) => `${field}: ${code}`);
}

describe("account", () => {
  it("R2 R21 R28 fills in every default", () => {
    assert.deepEqual(account(), {
      id: "work",
      provider: "custom",
      transport: "smtp",
      host: "smtp.example.com",
      port: 587,
      security: "starttls",
      user: "ada@example.com",
      auth: "password",
      from: "",
      replyTo: "",
      tls: { verify: true, caFile: "", servername: "", minVersion: "TLSv1.2" },
      proxy: "",
      proxyUser: "",
      timeouts: { dns: 30_000, connection: 30_000, greeting: 30_000, socket: 600_000 },
      limits: {},
    });
  });

  it("R5 R10 lets the provider fill in what the account does not say", () => {
    const gmail = parseAccount("work", { provider: "gmail", user: "ada@gmail.com" }).value;
    assert.deepEqual([gmail?.host, gmail?.port, gmail?.security], ["smtp.gmail.com", 587, "starttls"]);
    const exchange = account({ provider: "microsoft365", limits: { delay: 5000 } });
    assert.deepEqual(exchange.limits, { delay: 5000 });
  });

  it("keeps port and security of a preset together when only one of them is given", () => {
    const pair = (settings: object): unknown => {
      const { port, security } = account({ provider: "gmail", ...settings });
      return [port, security];
    };
    assert.deepEqual(pair({ port: 465 }), [465, "tls"]);
    assert.deepEqual(pair({ security: "tls" }), [465, "tls"]);
    assert.deepEqual(pair({ port: 587 }), [587, "starttls"]);
    assert.deepEqual(pair({ security: "none" }), [587, "none"]);
  });

  it("takes host names, IP addresses and names of other scripts", () => {
    assert.equal(account({ host: " SMTP.Example.com " }).host, "smtp.example.com");
    assert.equal(account({ host: "127.0.0.1" }).host, "127.0.0.1");
    assert.equal(account({ host: "::1" }).host, "::1");
    assert.equal(account({ host: "mail.bücher.example" }).host, "mail.xn--bcher-kva.example");
  });

  it("names a missing or impossible host, and offers to take a port out of it", () => {
    assert.deepEqual(codes({ user: "ada", from: "ada@example.com" }), ["host: account.host.missing"]);
    assert.deepEqual(codes({ ...good, host: "  " }), ["host: account.host.missing"]);
    for (const host of ["https://smtp.example.com", "smtp.example.com/x", "a b", "-a.example", "a..b", "x@y", "[::1]"])
      assert.deepEqual(codes({ ...good, host }), ["host: account.host.invalid"], host);
    const { problems } = parseAccount("work", { ...good, host: "smtp.example.com:465" });
    assert.deepEqual(problems[0]?.mend?.values, { host: "smtp.example.com", port: 465 });
  });

  it("reports every mistake at once, each at its field", () => {
    const broken = {
      host: "smtp.example.com",
      port: "587",
      security: "ssl",
      tls: { verfy: false },
      limits: { delay: -1, connections: 0, perDay: -1, perHour: 1.5, perMinute: "30" },
      from: "Ada",
      pasword: "x",
    };
    assert.deepEqual(codes(broken, "a b").sort(), [
      "from: account.mailbox",
      "id: account.id",
      "limits.connections: account.type",
      "limits.delay: account.type",
      "limits.perDay: account.type",
      "limits.perHour: account.type",
      "limits.perMinute: account.type",
      "pasword: account.unknownKey",
      "port: account.type",
      "security: account.type",
      "tls.verfy: account.unknownKey",
      "user: account.user.missing",
    ]);
  });

  it("suggests the key that was meant", () => {
    const problem = parseAccount("work", { ...good, tls: { verfy: false } }).problems[0];
    assert.match(problem?.message ?? "", /Did you mean “tls\.verify”\?/);
  });

  it("R15 says where a password belongs when one stands in the settings", () => {
    for (const key of ["password", "pass", "smtpPassword", "accessToken", "clientSecret"])
      assert.deepEqual(codes({ ...good, [key]: "hunter2" }), [`${key}: account.password`]);
    const { value, problems } = parseAccount("work", { ...good, password: "hunter2" });
    assert.equal(value, undefined);
    assert.ok(!JSON.stringify(problems).includes("hunter2"));
  });

  it("is no account when it is no object, and has no value when there is an error", () => {
    for (const settings of [null, undefined, "smtp", 5, [], true]) {
      assert.deepEqual(codes(settings), [": account.shape"]);
      assert.equal(parseAccount("work", settings).value, undefined);
    }
  });

  it("reserves the sandbox's name and allows no name that could be anything else", () => {
    assert.deepEqual(codes(good, "sandbox"), ["id: account.id.reserved"]);
    for (const id of ["", "a/b", "../x", ".a", "a b", "ä", "x".repeat(65), "__proto__", "a\nb"])
      assert.deepEqual(codes(good, id), ["id: account.id"], id);
  });

  it("R11 R38 warns of pairs that cannot work and mends them", () => {
    const mend = (settings: object): unknown => {
      const { value, problems } = parseAccount("work", { ...good, ...settings });
      assert.ok(value, "a warning does not keep an account from being used");
      return problems.map((problem) => [problem.severity, problem.code, problem.mend?.values]);
    };
    assert.deepEqual(mend({ port: 465 }), [["warning", "account.pair.starttls", { security: "tls" }]]);
    for (const port of [587, 2525])
      assert.deepEqual(mend({ port, security: "tls" }), [["warning", "account.pair.tls", { security: "starttls" }]]);
    assert.deepEqual(mend({ port: 465, security: "tls" }), []);
    assert.deepEqual(mend({ port: 10_025, security: "tls" }), []);
  });

  it("R11 R38 mends port 25, alone and with an encryption that it does not have", () => {
    const found = (settings: object): unknown =>
      parseAccount("work", { ...good, port: 25, ...settings }).problems.map(({ field, code, mend }) => [
        `${field}: ${code}`,
        mend?.values,
      ]);
    const submission = ["port: account.port25", { port: 587, security: "starttls" }];
    assert.deepEqual(found({}), [submission]);
    assert.deepEqual(found({ security: "tls" }), [
      ["security: account.pair.tls", { security: "starttls" }],
      submission,
    ]);
  });

  it("R11 R38 one click leaves nothing to mend, whatever the pair was", () => {
    for (const port of [25, 465, 587, 2525])
      for (const security of ["starttls", "tls", "none"]) {
        let settings: Record<string, unknown> = { ...good, port, security };
        for (let clicks = 0; ; clicks++) {
          assert.ok(clicks <= 2, `${String(port)} ${security} is mended by two clicks at most`);
          const { problems } = parseAccount("work", settings);
          const mend = problems.find((problem) => problem.mend !== undefined)?.mend;
          if (mend === undefined) {
            assert.deepEqual(problems, [], `${String(port)} ${security}`);
            break;
          }
          assert.match(mend.title, /^Use /);
          settings = { ...settings, ...mend.values };
        }
      }
  });

  it("takes a proxy's address and no user info in it, which would be a password in a file", () => {
    for (const proxy of ["", "vscode", "http://proxy:3128", "http://proxy.example:3128/", "socks5://[::1]:1080"])
      assert.deepEqual(codes({ ...good, proxy }), [], proxy);
    for (const proxy of ["http://ada:secret@proxy:3128", "socks5://ada@proxy:1080"])
      assert.deepEqual(codes({ ...good, proxy }), ["proxy: account.proxy.userInfo"], proxy);
    for (const proxy of ["https://proxy", "proxy:3128", "socks4://proxy", "http://", "http://proxy/path", "vscod"])
      assert.deepEqual(codes({ ...good, proxy }), ["proxy: account.type"], proxy);
    assert.ok(!JSON.stringify(parseAccount("work", { ...good, proxy: "http://a:hunter2@p" })).includes("hunter2"));
  });

  it("R11 R12 warns of connections that are not encrypted or not verified", () => {
    assert.deepEqual(codes({ ...good, security: "none" }), ["security: account.insecure"]);
    assert.deepEqual(codes({ ...good, tls: { verify: false } }), ["tls.verify: account.unverified"]);
    assert.deepEqual(codes({ ...good, security: "none", tls: { verify: false } }), ["security: account.insecure"]);
  });

  it("needs a user exactly when it signs in", () => {
    assert.deepEqual(codes({ host: "smtp.example.com", from: "ada@example.com" }), ["user: account.user.missing"]);
    assert.deepEqual(codes({ host: "smtp.example.com", from: "ada@example.com", auth: "none" }), []);
  });

  it("R60 takes the user as sender where that is an address", () => {
    assert.deepEqual(senderOf(account()), { from: "ada@example.com", replyTo: undefined });
    assert.deepEqual(senderOf(account({ from: "Ada <a@example.org>", replyTo: "b@example.org" })), {
      from: "Ada <a@example.org>",
      replyTo: "b@example.org",
    });
    assert.equal(senderOf(account({ user: "ada" })).from, undefined);
    assert.deepEqual(codes({ ...good, user: "ada" }), ["from: account.from.missing"]);
  });

  it("refuses control characters everywhere, so that no setting can carry a second line", () => {
    for (const key of ["host", "user", "from", "replyTo", "proxy", "proxyUser"])
      assert.notDeepEqual(codes({ ...good, [key]: "a@example.com\r\nBcc: b@example.com" }), [], key);
    assert.deepEqual(codes({ ...good, tls: { caFile: "a\0b" } }), ["tls.caFile: account.type"]);
  });
});

describe("endpoint", () => {
  const ca = "00".repeat(32);

  it("changes with everything that decides where a secret goes, and with nothing else", () => {
    const base = endpointHash(endpointOf(account(), undefined));
    const moved: Record<string, object> = {
      host: { host: "smtp.example.org" },
      port: { port: 588 },
      security: { security: "none" },
      user: { user: "eve@example.com" },
      auth: { auth: "none" },
      servername: { tls: { servername: "other.example" } },
      verify: { tls: { verify: false } },
      minVersion: { tls: { minVersion: "TLSv1.3" } },
      proxy: { proxy: "socks5://proxy.example:1080" },
      proxyUser: { proxyUser: "ada" },
    };
    const hashes = Object.entries(moved).map(([name, change]) => {
      const hash = endpointHash(endpointOf(account(change), undefined));
      assert.notEqual(hash, base, name);
      return hash;
    });
    hashes.push(endpointHash(endpointOf(account(), ca)));
    assert.equal(new Set([base, ...hashes]).size, hashes.length + 1);

    const same = {
      from: "x@example.com",
      replyTo: "y@example.com",
      limits: { delay: 1 },
      timeouts: { socket: 1 },
      provider: "enterprise",
      port: 587,
      security: "starttls",
    };
    assert.equal(endpointHash(endpointOf(account(same), undefined)), base);
    assert.equal(endpointHash(endpointOf(account({ host: "SMTP.example.com" }), undefined)), base);
  });

  it("the account's hash changes with sender and pace too", () => {
    const base = accountHash(account(), undefined);
    for (const change of [
      { from: "x@example.com" },
      { replyTo: "x@example.com" },
      { limits: { delay: 0 } },
      { limits: { perMinute: 0 } },
      { limits: { perHour: 60 } },
      { limits: { perDay: 500 } },
      { tls: { caFile: "x" } },
    ])
      assert.notEqual(accountHash(account(change), undefined), base);
    assert.notEqual(accountHash(account(), ca), base);
    assert.equal(accountHash(account({ port: 587, security: "starttls" }), undefined), base);
  });

  it("says what changed in words", () => {
    const before = endpointOf(account(), undefined);
    const after = endpointOf(account({ host: "evil.example", tls: { verify: false } }), ca);
    assert.deepEqual(endpointChanges(before, after), [
      "server: evil.example, was smtp.example.com",
      "certificate check: off, was on",
      "CA file: another content",
    ]);
    assert.deepEqual(endpointChanges(before, before), []);
    const parsed = parseAccount("work", { provider: "gmail", user: "ada@gmail.com", transport: "gmailApi" });
    assert.ok(parsed.value !== undefined, JSON.stringify(parsed.problems));
    const gmail = endpointOf(parsed.value, undefined);
    assert.deepEqual(
      endpointChanges(
        endpointOf(account({ port: 587, security: "starttls", user: "ada@gmail.com" }), undefined),
        gmail,
      ),
      [
        "transport: Gmail API, was SMTP",
        "sign-in: in the browser, was password",
        "server: gmail.googleapis.com, was smtp.example.com",
        "port: 443, was 587",
        "encryption: tls, was starttls",
      ],
    );
  });
});

describe("CA file", () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "bulk-mail-account-"));
    await mkdir(join(root, "folder/certs"), { recursive: true });
    await writeFile(join(root, "folder/certs/ca.pem"), "one");
    await writeFile(join(root, "outside.pem"), "secret");
    await symlink(join(root, "outside.pem"), join(root, "folder/link.pem"));
  });
  after(() => rm(root, { recursive: true }));

  const hash = (caFile: string): Promise<string | undefined> =>
    readAuthorities(account({ tls: { caFile } }), join(root, "folder")).then((found) => found?.sha256);

  it("R13 is bound by its content", async () => {
    const one = await hash("certs/ca.pem");
    assert.match(one ?? "", /^[0-9a-f]{64}$/);
    await writeFile(join(root, "folder/certs/ca.pem"), "two");
    assert.notEqual(await hash("certs/ca.pem"), one);
    assert.equal(await hash(""), undefined);
  });

  it("is read below the folder only, by real path", async () => {
    const reason = (caFile: string): Promise<string> =>
      hash(caFile).then(
        () => "read",
        (error: unknown) => (error instanceof FileError ? error.reason : String(error)),
      );
    assert.equal(await reason("../outside.pem"), "outside");
    assert.equal(await reason(join(root, "outside.pem")), "outside");
    assert.equal(await reason("link.pem"), "outside");
    assert.equal(await reason("certs/none.pem"), "missing");
    assert.equal(await reason("certs"), "unreadable");
    await assert.rejects(readAuthorities(account({ tls: { caFile: "certs/ca.pem" } }), undefined), FileError);
  });
});

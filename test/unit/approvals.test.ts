import assert from "node:assert/strict";
import { Approvals, type Candidate } from "../../src/approvals";
import { parseAccount, type Account } from "../../src/mail/index";

function account(more: Readonly<Record<string, unknown>> = {}): Account {
  const { value } = parseAccount("work", { host: "smtp.example.com", user: "ada@example.com", ...more });
  assert.ok(value !== undefined);
  return value;
}

describe("approvals: what a person agreed to once (R12)", () => {
  const questions: string[] = [];
  let agrees = true;
  let approvals: Approvals;

  beforeEach(() => {
    questions.length = 0;
    agrees = true;
    const state = new Map<string, unknown>();
    approvals = new Approvals(
      {
        get: <T>(key: string): T | undefined => state.get(key) as T | undefined,
        update: (key: string, value: unknown) => Promise.resolve(void state.set(key, value)),
      },
      {
        confirm: (message, detail) => {
          questions.push(`${message}\n${detail}`);
          return Promise.resolve(agrees);
        },
      },
    );
  });

  const candidate = (more: Readonly<Record<string, unknown>> = {}, rest: Partial<Candidate> = {}): Candidate => ({
    owner: "file:///folder",
    account: account(more),
    caSha256: undefined,
    ...rest,
  });

  it("the question shows everything that decides where a password goes", async () => {
    await approvals.askWorkspace(
      candidate({
        port: 465,
        security: "tls",
        tls: { servername: "mail.example.com", caFile: "ca.pem", minVersion: "TLSv1.3", verify: false },
        proxy: "socks5://proxy.example:1080",
        proxyUser: "eve",
        from: "Boss <boss@example.com>",
        replyTo: "eve@example.net",
      }),
    );
    for (const line of [
      "Server: smtp.example.com:465, TLS",
      "Server name: mail.example.com",
      "TLS: 1.3 or newer",
      "Certificate: not checked",
      "CA file: ca.pem",
      "Proxy: socks5://proxy.example:1080",
      "User at the proxy: eve",
      "User: ada@example.com",
      "From: Boss <boss@example.com>",
      "Reply-To: eve@example.net",
    ])
      assert.ok(questions[0]?.split("\n").includes(line), `${line} is not in ${questions[0] ?? ""}`);
  });

  it("what stands at nothing has no line, and TLS always has one where it is used", async () => {
    await approvals.askWorkspace(candidate());
    await approvals.askWorkspace(candidate({ security: "none" }));
    assert.doesNotMatch(questions.join("\n"), /Proxy|proxy|CA file|Server name/);
    assert.match(questions[0] ?? "", /^TLS: 1\.2 or newer$/m);
    assert.doesNotMatch(questions[1] ?? "", /^TLS:/m);
  });

  const changes: Readonly<Record<string, Partial<Candidate>>> = {
    host: candidate({ host: "evil.example" }),
    port: candidate({ port: 2525 }),
    security: candidate({ security: "tls" }),
    "server name": candidate({ tls: { servername: "evil.example" } }),
    "minimum TLS": candidate({ tls: { minVersion: "TLSv1.3" } }),
    "sign-in": candidate({ auth: "none" }),
    verification: candidate({ tls: { verify: false } }),
    "CA content": { caSha256: "00" },
    proxy: candidate({ proxy: "http://evil.example:3128" }),
    "user at the proxy": candidate({ proxy: "", proxyUser: "eve" }),
    user: candidate({ user: "eve@example.com" }),
    from: candidate({ from: "eve@example.com" }),
    "reply address": candidate({ replyTo: "eve@example.com" }),
    limits: candidate({ limits: { connections: 50 } }),
    timeouts: candidate({ timeouts: { socket: 1 } }),
    owner: { owner: "file:///elsewhere" },
  };
  for (const [name, change] of Object.entries(changes)) {
    it(`is asked again after a change of the ${name}`, async () => {
      assert.equal(await approvals.askWorkspace(candidate()), true);
      assert.equal(await approvals.askWorkspace(candidate()), true);
      assert.equal(questions.length, 1);
      agrees = false;
      assert.equal(await approvals.askWorkspace({ ...candidate(), ...change }), false);
      assert.equal(questions.length, 2);
    });
  }

  it("an account of the user's own is not asked about, unless it is not safe", async () => {
    assert.equal(await approvals.askWorkspace(candidate({}, { owner: "" })), true);
    assert.equal(await approvals.askUnsafe(candidate({}, { owner: "" })), true);
    assert.deepEqual(questions, []);
    agrees = false;
    assert.equal(await approvals.askUnsafe(candidate({ security: "none" }, { owner: "" })), false);
    assert.equal(await approvals.askUnsafe(candidate({ tls: { verify: false } }, { owner: "" })), false);
    assert.equal(questions.length, 2);
  });

  it("an approval of the workspace's account is none of its danger, and a refusal is not remembered", async () => {
    const open = candidate({ security: "none" });
    assert.equal(await approvals.askWorkspace(open), true);
    agrees = false;
    assert.equal(await approvals.askUnsafe(open), false);
    agrees = true;
    assert.equal(await approvals.askUnsafe(open), true);
    assert.equal(await approvals.askUnsafe(open), true);
    assert.equal(questions.length, 3);
  });

  it("words of the settings are plain text in the question", async () => {
    await approvals.askWorkspace(candidate({ user: "\u202eeve [x](command:evil)" }));
    assert.ok(!questions[0]?.includes("\u202e"));
  });
});

/** The command line with accounts that sign in with OAuth: tokens from the environment and from files, against played providers. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { smallCampaign } from "../fakes/campaigns";
import { Sandbox, type Finished } from "../fakes/cli";
import { answerJson, bodyOf, Interceptor } from "../fakes/interceptor";
import { knownClient, SignInServer } from "../fakes/signInServer";
import { playTokenMail, type TokenMails } from "../fakes/tokenMailServer";

const named = ["--settings", "settings.json", "--account", "work"];
const send = ["send", "hello.mail.md", ...named, "--yes"];
const user = "ada@outlook.com";

describe("bulk-mail with accounts that sign in with OAuth (R6, R15, R16)", () => {
  let sandbox: Sandbox;
  let interceptor: Interceptor;
  let provider: SignInServer;
  let mails: TokenMails;
  beforeEach(async () => {
    sandbox = await Sandbox.create();
    interceptor = await Interceptor.start();
    provider = await SignInServer.start(interceptor, "microsoft");
    provider.email = user;
    mails = playTokenMail(interceptor, "smtp-mail.outlook.com:587", user, (token) =>
      provider.accessTokens.includes(token),
    );
    const shared = { proxy: interceptor.proxy, tls: { caFile: "ca.pem" }, limits: { delay: 0 } };
    const accounts = {
      work: { provider: "outlook", user, ...shared },
      google: { provider: "gmail", user: "ada@gmail.com", auth: "oauth2", ...shared },
    };
    await sandbox.write({
      ...smallCampaign(3),
      "ca.pem": interceptor.ca,
      "settings.json": JSON.stringify({
        "bulkMail.accounts": accounts,
        "bulkMail.retry.initialDelay": 10,
        "bulkMail.retry.maxDelay": 50,
      }),
    });
  });
  afterEach(async () => {
    await provider.close();
    await interceptor.close();
    await sandbox.remove();
  });

  /** Writes a file of a sign-in beside the workspace; returns the environment that names it. */
  async function tokenFile(json: unknown, mode = 0o600): Promise<{ readonly BULK_MAIL_TOKEN_FILE: string }> {
    const file = path.join(sandbox.folder, "token.json");
    await writeFile(file, typeof json === "string" ? json : JSON.stringify(json), { mode });
    await chmod(file, mode);
    return { BULK_MAIL_TOKEN_FILE: file };
  }
  const signedIn = (): Record<string, unknown> => ({
    type: "authorized_user",
    client_id: knownClient.microsoft.clientId,
    refresh_token: provider.grant(),
  });
  const refreshTokenIn = async (file: string): Promise<unknown> =>
    (JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>).refresh_token;

  /** No secret in what was printed, nor in any file that the program wrote. */
  async function assertKeptQuiet({ stdout, stderr }: Finished, ...more: readonly string[]): Promise<void> {
    const secrets = [...provider.accessTokens, ...provider.refreshTokens, ...mails.tokens, ...more];
    const told = provider.tokenRequests.map((form) => form.refresh_token ?? "");
    const texts = [stdout, stderr];
    for (const folder of [sandbox.state, sandbox.workspace])
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []))
        if (entry.isFile()) texts.push(await readFile(path.join(entry.parentPath, entry.name), "latin1"));
    assert.ok(secrets.length + told.length > 0);
    for (const secret of [...secrets, ...told].filter((one) => one !== ""))
      for (const form of [secret, Buffer.from(secret).toString("base64")])
        assert.ok(!texts.some((text) => text.includes(form)), "A secret was written.");
  }

  it("sends with a file's refresh token, and keeps the one that replaces it there, for its owner alone", async () => {
    const env = await tokenFile({ ...signedIn(), quota_project_id: "kept" });
    const first = await refreshTokenIn(env.BULK_MAIL_TOKEN_FILE);
    const sent = await sandbox.run(send, env);
    assert.equal(sent.code, 0, sent.stderr);
    assert.match(sent.stdout, /^3 accepted/);
    assert.equal(mails.received.length, 3);
    assert.equal(provider.asked, 1);
    const kept = await refreshTokenIn(env.BULK_MAIL_TOKEN_FILE);
    assert.notEqual(kept, first);
    assert.ok(provider.refreshTokens.has(String(kept)));
    assert.equal(((await stat(env.BULK_MAIL_TOKEN_FILE)).mode & 0o777).toString(8), "600");
    assert.match(await readFile(env.BULK_MAIL_TOKEN_FILE, "utf8"), /"quota_project_id": "kept"/);
    assert.deepEqual(
      (await readdir(sandbox.folder)).filter((name) => name.includes("token")),
      ["token.json"],
    );
    await assertKeptQuiet(sent, String(first));

    const again = await sandbox.run([...send, "--again"], env);
    assert.equal(again.code, 0, again.stderr);
    assert.equal(mails.received.length, 6);
    assert.notEqual(await refreshTokenIn(env.BULK_MAIL_TOKEN_FILE), kept);
  });

  it("keeps a new refresh token behind a link, and says when it cannot be kept", async () => {
    const { BULK_MAIL_TOKEN_FILE: real } = await tokenFile(signedIn());
    const link = path.join(sandbox.folder, "link.json");
    await symlink(real, link);
    const sent = await sandbox.run(send, { BULK_MAIL_TOKEN_FILE: link });
    assert.equal(sent.code, 0, sent.stderr);
    assert.ok(provider.refreshTokens.has(String(await refreshTokenIn(real))));
    assert.equal(await readFile(link, "utf8"), await readFile(real, "utf8"));
    // Where the new text would be written first, there is something else already.
    const doctor = sandbox.start(["doctor", ...named, "--approve"], { BULK_MAIL_TOKEN_FILE: link });
    await writeFile(`${real}.${String(doctor.child.pid)}.tmp`, "");
    const { code, stderr } = await doctor.done;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /new refresh token could not be written into .*link\.json \(EEXIST\).*sign in again/);
  });

  it("stops when the sign-in was taken back, and goes on with a new one: nobody is mailed twice (R37)", async () => {
    const env = await tokenFile(signedIn());
    provider.revokeAll();
    const stopped = await sandbox.run(send, env);
    assert.equal(stopped.code, 3, stopped.stderr);
    assert.match(stopped.stdout, /Microsoft no longer takes this sign-in/);
    assert.match(stopped.stdout, /give a new sign-in in BULK_MAIL_TOKEN_FILE/);
    assert.deepEqual(mails.received, []);
    await assertKeptQuiet(stopped, String(await refreshTokenIn(env.BULK_MAIL_TOKEN_FILE)));

    const resumed = await sandbox.run(send, await tokenFile(signedIn()));
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.equal(mails.received.length, 3);
  });

  it("refreshes a token once when the server refuses it, and not again", async () => {
    const env = await tokenFile(signedIn());
    mails = playTokenMail(interceptor, "smtp-mail.outlook.com:587", user, () => false);
    const refused = await sandbox.run(send, env);
    assert.equal(refused.code, 3, refused.stderr);
    assert.equal(provider.asked, 2);
    assert.equal(new Set(mails.tokens).size, 2);
    await assertKeptQuiet(refused);
  });

  it("uses an access token as it is, and asks for a fresh one when it is refused", async () => {
    provider.accessTokens.push("good-access-token-0123456789");
    const sent = await sandbox.run(send, { BULK_MAIL_TOKEN: "good-access-token-0123456789\n" });
    assert.equal(sent.code, 0, sent.stderr);
    assert.equal(provider.asked, 0);
    await assertKeptQuiet(sent);
    const stale = "stale-access-token-0123456789";
    const refused = await sandbox.run([...send, "--again"], { BULK_MAIL_TOKEN: stale });
    assert.equal(refused.code, 3, refused.stderr);
    assert.match(refused.stdout, /refused the access token in BULK_MAIL_TOKEN.*Give a fresh one/);
    assert.equal(mails.tokens.filter((token) => token === stale).length, 1);
    await assertKeptQuiet(refused, stale);
  });

  it("examines the account with the same tokens (R37-R41)", async () => {
    const seen = await sandbox.run(["doctor", ...named, "--approve"], await tokenFile(signedIn()));
    assert.equal(seen.code, 0, `${seen.stdout}${seen.stderr}`);
    assert.match(seen.stdout, /ok +Sign in/);
    assert.deepEqual(mails.received, []);
    await assertKeptQuiet(seen);
  });

  it("says what is wrong with what it was given, before it connects anywhere", async () => {
    const google = ["send", "hello.mail.md", "--settings", "settings.json", "--account", "google", "--yes"];
    const id = knownClient.microsoft.clientId;
    const rows: readonly (readonly [Readonly<Record<string, string>>, RegExp, (readonly string[])?])[] = [
      [{}, /signs in with OAuth\. Name a file .* BULK_MAIL_TOKEN_FILE/],
      [{ BULK_MAIL_TOKEN: "a", BULK_MAIL_TOKEN_FILE: "b" }, /both set/],
      [{ BULK_MAIL_TOKEN: "Bearer secret-token" }, /holds no access token/],
      [{ BULK_MAIL_TOKEN_FILE: "nowhere.json" }, /nowhere\.json does not exist/],
      [{ BULK_MAIL_TOKEN_FILE: "." }, /no file of a sign-in/],
      [await tokenFile({ installed: { client_id: id } }), /is an OAuth client, not a sign-in/],
    ];
    for (const [env, expected, words = send] of rows) await refused(words, env, expected);
    await refused(send, await tokenFile("{"), /no file of a sign-in.*authorized_user/);
    await refused(send, await tokenFile({ ...signedIn(), type: "service_account" }), /no file of a sign-in/);
    await refused(send, await tokenFile({ client_id: id, refresh_token: "a b" }), /no file of a sign-in/);
    await refused(send, await tokenFile("x".repeat(100_000)), /no file of a sign-in/);
    if (process.platform !== "win32") {
      const pipe = path.join(sandbox.folder, "pipe.json");
      execFileSync("mkfifo", ["-m", "600", pipe]);
      await refused(send, { BULK_MAIL_TOKEN_FILE: pipe }, /pipe\.json is no file of a sign-in/);
    }
    await refused(google, await tokenFile(signedIn()), /holds no client_secret, which Google wants/);
    if (process.platform !== "win32")
      for (const mode of [0o640, 0o604, 0o620])
        await refused(send, await tokenFile(signedIn(), mode), /by other users of this machine.*chmod 600/);
    assert.deepEqual(interceptor.connections, []);
  });

  async function refused(
    words: readonly string[],
    env: Readonly<Record<string, string>>,
    expected: RegExp,
  ): Promise<void> {
    const { code, stdout, stderr } = await sandbox.run(words, env);
    assert.equal(code, 2, stderr);
    assert.match(stderr, expected);
    assert.doesNotMatch(`${stdout}${stderr}`, /secret-token/);
    for (const token of provider.refreshTokens) assert.ok(!`${stdout}${stderr}`.includes(token));
  }
});

describe("bulk-mail through the Gmail API (R1)", () => {
  let sandbox: Sandbox;
  let interceptor: Interceptor;
  let provider: SignInServer;
  /** Who was mailed, in order. */
  let mailed: string[];
  /** What happens before the request of that number is looked at. */
  let before: Readonly<Record<number, () => void>>;
  beforeEach(async () => {
    [mailed, before] = [[], {}];
    sandbox = await Sandbox.create();
    interceptor = await Interceptor.start();
    provider = await SignInServer.start(interceptor, "google");
    let count = 0;
    interceptor.play("gmail.googleapis.com", async (request, response) => {
      const { raw = "" } = JSON.parse((await bodyOf(request)).toString()) as { readonly raw?: string };
      before[++count]?.();
      const [, token = ""] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? [];
      if (!provider.accessTokens.includes(token)) {
        answerJson(response, 401, {
          error: { code: 401, status: "UNAUTHENTICATED", message: "Invalid Credentials" },
        });
        return;
      }
      const text = Buffer.from(raw, "base64url").toString("latin1");
      mailed.push(/^To: .*?<?(person\d@example\.com)/m.exec(text)?.[1] ?? "");
      answerJson(response, 200, { id: String(count), threadId: "1", labelIds: ["SENT"] });
    });
    const account = { provider: "gmail", transport: "gmailApi", user: "ada@gmail.com", proxy: interceptor.proxy };
    await sandbox.write({
      ...smallCampaign(6),
      "ca.pem": interceptor.ca,
      "settings.json": JSON.stringify({
        "bulkMail.accounts": { work: { ...account, tls: { caFile: "ca.pem" }, limits: { delay: 0 } } },
        "bulkMail.retry.initialDelay": 10,
        "bulkMail.retry.maxDelay": 50,
      }),
    });
  });
  afterEach(async () => {
    await provider.close();
    await interceptor.close();
    await sandbox.remove();
  });

  async function tokenFile(): Promise<{ readonly BULK_MAIL_TOKEN_FILE: string }> {
    const file = path.join(sandbox.folder, "token.json");
    const { clientId: client_id, clientSecret: client_secret } = knownClient.google;
    const json = { type: "authorized_user", client_id, client_secret, refresh_token: provider.grant() };
    await writeFile(file, JSON.stringify(json), { mode: 0o600 });
    return { BULK_MAIL_TOKEN_FILE: file };
  }
  const everybody = Array.from({ length: 6 }, (_, i) => `person${String(i)}@example.com`);

  it("gets another token in the middle of a run, and leaves a file alone whose refresh token stays", async () => {
    const env = await tokenFile();
    const text = await readFile(env.BULK_MAIL_TOKEN_FILE, "utf8");
    before = { 3: () => (provider.accessTokens.length = 0) };
    const sent = await sandbox.run(send, env);
    assert.equal(sent.code, 0, `${sent.stdout}${sent.stderr}`);
    assert.deepEqual([...mailed].sort(), everybody);
    assert.equal(provider.asked, 2);
    assert.equal(await readFile(env.BULK_MAIL_TOKEN_FILE, "utf8"), text);
  });

  it("stops when the sign-in is taken back in the middle, and goes on with a new one: nobody is mailed twice (R37)", async () => {
    before = { 4: () => provider.revokeAll() };
    const stopped = await sandbox.run(send, await tokenFile());
    assert.equal(stopped.code, 3, `${stopped.stdout}${stopped.stderr}`);
    assert.match(stopped.stdout, /7 days.*Testing/);
    assert.equal(mailed.length, 3);
    const resumed = await sandbox.run(send, await tokenFile());
    assert.equal(resumed.code, 0, `${resumed.stdout}${resumed.stderr}`);
    assert.deepEqual([...mailed].sort(), everybody);
  });

  it("does not send as somebody else than the account's user, whoever the file is of", async () => {
    provider.email = "eve@gmail.com";
    const refused = await sandbox.run(send, await tokenFile());
    assert.equal(refused.code, 3, refused.stderr);
    assert.match(refused.stdout, /signed in as “eve@gmail\.com”, the account is for “ada@gmail\.com”/);
    assert.deepEqual(mailed, []);
  });

  it("says once that nobody knows who a file is of where the provider does not tell (R16)", async () => {
    provider.email = undefined;
    before = { 3: () => (provider.accessTokens.length = 0) };
    const sent = await sandbox.run(send, await tokenFile());
    assert.equal(sent.code, 0, `${sent.stdout}${sent.stderr}`);
    assert.equal(provider.asked, 2);
    const warning = /does not say whose sign-in .*token\.json holds.*not surely as ada@gmail\.com.*openid and email/g;
    assert.equal(sent.stderr.match(warning)?.length, 1, sent.stderr);
    provider.email = "ada@gmail.com";
    const known = await sandbox.run([...send, "--again"], await tokenFile());
    assert.equal(known.code, 0, known.stderr);
    assert.doesNotMatch(known.stderr, /whose sign-in/);
  });

  it("is approved by name as any account, with what it is: nothing is asked of anybody before (R16)", async () => {
    await sandbox.write({ ".vscode/settings.json": await readFile(path.join(sandbox.workspace, "settings.json")) });
    const { code, stderr } = await sandbox.run(["send", "hello.mail.md", "--yes"], await tokenFile());
    assert.equal(code, 2);
    assert.match(stderr, /gmail\.googleapis\.com:443 \(TLS\), user ada@gmail\.com \(signs in with OAuth\)/);
    assert.match(
      stderr,
      /transport gmailApi, CA file ca\.pem .*, proxy http:.*If you trust it with your sign-in, .*--approve/s,
    );
    assert.doesNotMatch(stderr, /password/);
    assert.deepEqual(interceptor.connections, []);
  });
});

/** Signing in, and sending through who signed in: the real worker, over the account's own proxy and CA file. */
import assert from "node:assert/strict";
import { copyFile, readdir, readFile } from "node:fs/promises";
import { connect } from "node:net";
import * as path from "node:path";
import * as vscode from "vscode";
import { SignInSessions } from "../../src/authenticationProvider";
import { browserPorts } from "../../src/browserPorts";
import { onDidChangeSettings } from "../../src/config";
import { authentication } from "../../src/contributions";
import { answerTo, tokenOf } from "../../src/microsoftSignIn";
import { HumanError, toastsOf } from "../../src/notify";
import { smallCampaign } from "../fakes/campaigns";
import { Editor } from "../fakes/editor";
import { answerJson, bodyOf, Interceptor } from "../fakes/interceptor";
import { MailServer } from "../fakes/mailServer";
import { googleClientFile, knownClient, SignInServer } from "../fakes/signInServer";

const through = "account: work\n";
const gmail = { provider: "gmail", transport: "gmailApi", user: "ada@gmail.com", from: "Ada <ada@gmail.com>" };
const outlook = { provider: "outlook", user: "ada@outlook.com", from: "Ada <ada@outlook.com>" };

describe("what VS Code's own sign-in and toasts say", () => {
  it("tells a person who turns away from VS Code's own sign-in from one that is not to be had", () => {
    for (const message of ["User did not consent to login.", "Cancelled", "user_canceled: User canceled the flow."])
      assert.equal(answerTo(new Error(message)).kind, "cancelled", message);
    assert.equal(answerTo(new vscode.CancellationError()).kind, "cancelled");
    const missing = "Timed out waiting for authentication provider 'microsoft' to register.";
    assert.equal(answerTo(new Error(missing)).kind, "unavailable");
    assert.equal(answerTo("odd").kind, "unavailable");
  });

  it("R37 tells a session that VS Code cannot renew now from one that was ended", async () => {
    const account = { id: "1", label: "ada@outlook.com" };
    const session = { id: "s", accessToken: "a token", account, scopes: [] };
    const asked = async (
      sessions: readonly vscode.AuthenticationSession[],
      accounts: readonly vscode.AuthenticationSessionAccountInformation[],
    ): Promise<unknown> => {
      const getSession = (): Promise<vscode.AuthenticationSession | undefined> => Promise.resolve(sessions[0]);
      const played = { getSession, getAccounts: () => Promise.resolve(accounts) };
      return await tokenOf(played as unknown as typeof vscode.authentication, "an application", account);
    };
    const bob = { id: "2", label: "bob@outlook.com" };
    assert.deepEqual(await asked([session], []), { kind: "token", token: "a token" });
    assert.deepEqual(await asked([], [bob, account]), { kind: "unreachable" });
    assert.deepEqual(await asked([], [bob]), { kind: "signedOut" });
    assert.deepEqual(await asked([{ ...session, account: bob }], [bob]), { kind: "signedOut" });
  });

  it("a button that fails leaves the buttons of what went wrong", async () => {
    const shown: string[][] = [];
    let choose = ["Sign In Again", "Try Once More"];
    const done = new Promise<void>((resolve) => {
      const toast = (message: string, ...items: string[]): Promise<string | undefined> => {
        shown.push([message, ...items]);
        const [chosen, ...later] = choose;
        choose = later;
        return Promise.resolve(chosen);
      };
      const toasts = toastsOf({ showInformationMessage: toast, showWarningMessage: toast, showErrorMessage: toast });
      const again = new HumanError("Not [signed](in).", { title: "Try Once More", run: () => resolve() });
      toasts.warn("Paused.", { title: "Sign In Again", run: () => Promise.reject(again) });
    });
    await done;
    assert.deepEqual(shown, [
      ["Paused.", "Sign In Again"],
      ["Not [signed] (in).", "Try Once More"],
    ]);
  });
});

describe("Sign In", () => {
  let editor: Editor;
  let interceptor: Interceptor;
  let server: SignInServer;
  /** To whom messages came, as often as they came. */
  let mailed: string[];
  /** Called with how many messages came, before one is looked at. */
  let onMessage: (count: number) => unknown;

  afterEach(async () => {
    await editor.close();
    await vscode.workspace
      .getConfiguration("bulkMail")
      .update("accounts", undefined, vscode.ConfigurationTarget.Workspace);
    await server.close();
    await interceptor.close();
    assert.equal(editor.browser.failure, undefined);
  });

  /** A campaign that goes through an account which signs in, and a Gmail that takes what comes with a good access token. */
  async function open(count: number, settings: Readonly<Record<string, unknown>> = gmail): Promise<vscode.Uri> {
    mailed = [];
    onMessage = () => undefined;
    interceptor = await Interceptor.start();
    const provider = settings.provider === "gmail" ? "google" : "microsoft";
    server = await SignInServer.start(interceptor, provider);
    server.email = String(settings.user);
    interceptor.play("gmail.googleapis.com", async (request, response) => {
      const body = await bodyOf(request);
      await onMessage(mailed.length);
      const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
      if (!server.accessTokens.includes(token)) {
        answerJson(response, 401, { error: { code: 401, status: "UNAUTHENTICATED", errors: [] } });
        return;
      }
      const { raw } = JSON.parse(body.toString()) as { raw: string };
      mailed.push(/^To: (?:.*<)?([^<>\r]*)/m.exec(Buffer.from(raw, "base64url").toString())?.[1] ?? "");
      answerJson(response, 200, { id: `m${String(mailed.length)}`, threadId: "t", labelIds: ["SENT"] });
    });
    editor = await Editor.open(smallCampaign(count, through));
    const authority = editor.uri("ca.pem");
    await copyFile(interceptor.caFile, authority.fsPath);
    const saved = await editor.services.accounts.save(undefined, {
      id: "work",
      level: "workspace",
      settings: {
        ...settings,
        proxy: interceptor.proxy,
        tls: { caFile: vscode.workspace.asRelativePath(authority) },
        limits: { delay: 0 },
      },
    });
    assert.deepEqual(saved, { kind: "saved" });
    const client = provider === "google" ? googleClientFile : knownClient.microsoft.clientId;
    assert.equal((await editor.services.signIns.takeClient(provider, client)).kind, "stored");
    editor.browser.onPage = async (url) => await fetch(await server.consent(url));
    return editor.uri("hello.mail.md");
  }

  const toasts = (): readonly string[] => editor.toasts.map(({ message }) => message);
  const once = (count: number): readonly string[] =>
    Array.from({ length: count }, (_, i) => `person${String(i)}@example.com`);
  const titles = (): readonly string[] => editor.dialogs.asked.map(({ message }) => message);

  /** No token, code, verifier or client secret lies in a file, the log, a setting, a toast or a question. */
  async function assertNothingTold(...more: readonly string[]): Promise<void> {
    const { accessTokens, refreshTokens, tokenRequests } = server;
    const told = tokenRequests.flatMap((form) => [form.code, form.code_verifier, form.refresh_token]);
    const secrets = [...accessTokens, ...refreshTokens, ...told, knownClient.google.clientSecret, ...more];
    const settings = JSON.stringify(vscode.workspace.getConfiguration("bulkMail").inspect("accounts"));
    const memory = editor.memory.keys().map((key) => editor.memory.get(key));
    const said = JSON.stringify([editor.log, editor.toasts, editor.dialogs.asked, memory, [...editor.secrets.keys()]]);
    const texts = [settings, said, ...(await textsBelow(editor.stateDirectory)), ...(await textsBelow(editor.folder))];
    for (const folder of userData()) texts.push(...(await textsBelow(folder)));
    assert.ok(texts.length > 10);
    for (const secret of secrets.filter((one) => one !== undefined && one !== ""))
      assert.ok(!texts.some((text) => text.includes(secret ?? "")), "a secret was told");
    for (const token of [...accessTokens, ...more]) assert.ok(![...editor.secrets.values()].join().includes(token));
  }

  it("R1 R15 signs in and sends through the Gmail API, and keeps every token to itself", async () => {
    const campaign = await open(3);
    await editor.run("signIn");
    assert.deepEqual(toasts(), ["You are signed in: campaigns can be sent through this account."]);
    editor.dialogs.answer("Send");
    await editor.run("send", campaign);
    assert.equal(toasts().at(-1), "hello: 3 accepted.");
    assert.deepEqual(mailed.sort(), once(3));
    assert.equal(server.asked, 1, "the access token that came with the sign-in was used");
    assert.ok(interceptor.requests.every(({ host }) => host.endsWith("googleapis.com")));
    await assertNothingTold();
    await editor.run("signOut");
    assert.equal(toasts().at(-1), "Signed out, and Google was told.");
    assert.equal(server.refreshTokens.size, 0);
  });

  it("asks to sign in before a send starts, and for nothing when the person turns away", async () => {
    const campaign = await open(2);
    editor.dialogs.answer(undefined);
    await editor.run("send", campaign);
    assert.deepEqual(titles(), ["Sign in with Google to send through ada@gmail.com?"]);
    assert.deepEqual([mailed, editor.browser.pages], [[], []]);
    editor.dialogs.answer("Sign In", "Send");
    await editor.run("send", campaign);
    assert.deepEqual(mailed.sort(), once(2));
    editor.dialogs.answer("me@example.net");
    await editor.run("sendTest", campaign);
    assert.equal(mailed.length, 3);
  });

  it("R37 gets another access token in the middle of a run, and mails everybody once", async () => {
    const campaign = await open(4);
    // The hour is over after two messages.
    onMessage = (count) => count === 2 && server.asked === 1 && (server.accessTokens.length = 0);
    editor.dialogs.answer("Sign In", "Send");
    await editor.run("send", campaign);
    assert.equal(toasts().at(-1), "hello: 4 accepted.");
    assert.deepEqual(mailed.sort(), once(4));
    assert.equal(server.asked, 2);
    await assertNothingTold();
  });

  it("R37 pauses when the sign-in is taken back in the middle of a run, and resumes after Sign In Again: nobody twice", async () => {
    const campaign = await open(4);
    onMessage = (count) => count === 2 && server.asked === 1 && server.revokeAll();
    editor.dialogs.answer("Sign In", "Send");
    await editor.run("send", campaign);
    assert.deepEqual(mailed.sort(), once(2));
    assert.equal(editor.toasts.length, 1, "one toast a run");
    const [toast] = editor.toasts;
    assert.match(toast?.message ?? "", /^hello paused\. Google no longer takes this sign-in/);
    assert.deepEqual(
      toast?.actions.map(({ title }) => title),
      ["Sign In Again", "Show Log"],
    );
    assert.equal(editor.services.task.views[0]?.signIn, true);
    assert.equal(titles().length, 2, "nobody is asked during a run");
    server.refusal = "access_denied";
    const refused = await Promise.resolve(toast.actions[0]?.run()).catch((error: unknown) => error);
    assert.ok(refused instanceof HumanError && refused.message.includes("was not allowed"));
    assert.deepEqual(
      refused.actions.map(({ title }) => title),
      ["Sign In Again", "Use Another Client…"],
    );
    server.refusal = undefined;
    await refused.actions[0]?.run();
    assert.equal(editor.browser.pages.length, 3);
    assert.equal(editor.toasts.length, 1, "the run is resumed, which tells enough");
    editor.dialogs.answer("Resume");
    await editor.run("resume", campaign);
    assert.equal(toasts().at(-1), "hello: 4 accepted.");
    assert.deepEqual(mailed.sort(), once(4));
    await assertNothingTold();
  });

  it("resuming asks to sign in by itself", async () => {
    const campaign = await open(3);
    onMessage = (count) => count === 1 && server.asked === 1 && server.revokeAll();
    editor.dialogs.answer("Sign In", "Send");
    await editor.run("send", campaign);
    editor.dialogs.answer("Sign In", "Resume");
    await editor.run("resume", campaign);
    assert.equal(titles()[2], "Sign in with Google to send through ada@gmail.com?");
    assert.deepEqual(mailed.sort(), once(3));
  });

  it("a test that comes to nothing for want of a sign-in offers one (R37)", async () => {
    const campaign = await open(1);
    editor.dialogs.answer("Sign In", "me@example.net");
    onMessage = () => server.asked === 1 && server.revokeAll();
    await editor.run("sendTest", campaign);
    const [toast] = editor.toasts;
    assert.match(toast?.message ?? "", /^The test was not sent\. Google no longer takes this sign-in/);
    assert.equal(toast?.actions[0]?.title, "Sign In Again");
    await toast.actions[0].run();
    assert.match(toasts().at(-1) ?? "", /^You are signed in/);
    editor.dialogs.answer("me@example.net");
    await editor.run("sendTest", campaign);
    assert.deepEqual(mailed, ["me@example.net"]);
  });

  it("a run pauses at its next need of a token when the person signs out", async () => {
    const campaign = await open(3);
    onMessage = async (count) => {
      if (count === 1 && server.refreshTokens.size > 0) await editor.run("signOut");
    };
    editor.dialogs.answer("Sign In", "Send");
    await editor.run("send", campaign);
    assert.match(toasts().at(-1) ?? "", /^hello paused\. Nobody is signed in to this account/);
    assert.ok(mailed.length < 3);
  });

  it("goes on at another pace in the middle of a run, but not to another place", async () => {
    const campaign = await open(6);
    const change = async (more: object): Promise<void> => {
      const settings = vscode.workspace.getConfiguration("bulkMail");
      const { work } = settings.inspect<Record<string, object>>("accounts")?.workspaceValue ?? {};
      await settings.update("accounts", { work: { ...work, ...more } }, vscode.ConfigurationTarget.Workspace);
    };
    onMessage = async (count) => {
      if (count === 1) await change({ limits: { delay: 1 } });
      if (count === 4) await change({ proxy: "http://127.0.0.1:9" });
    };
    editor.dialogs.answer("Sign In", "Send");
    await editor.run("send", campaign);
    assert.match(toasts().at(-1) ?? "", /^hello stopped\. The account was changed in the meantime/);
    assert.equal(mailed.length, 5);
  });

  it("says how to get an account that signs in, where there is none", async () => {
    await open(1, { host: "127.0.0.1", user: "ada", provider: "custom" });
    await editor.run("signIn");
    assert.match(toasts().at(-1) ?? "", /^No account signs in in the browser yet\. Add one for Gmail/);
    await editor.run("signOut");
    assert.equal(editor.toasts.length, 2);
  });

  it("R6 sends through Outlook.com with the tokens of VS Code's own sign-in", async () => {
    const campaign = await open(2, outlook);
    editor.microsoft.answer = { kind: "signedIn", account: { id: "1", label: "ada@outlook.com" } };
    editor.microsoft.accessToken = "EwB4-the-token-of-vs-code";
    const mails = await MailServer.start("ada@outlook.com", editor.microsoft.accessToken, undefined, undefined, {
      certificate: "providers",
      token: true,
    });
    try {
      interceptor.playSocket("smtp-mail.outlook.com:587", (socket) => {
        const upstream = connect(mails.port, "127.0.0.1");
        upstream.on("error", () => socket.destroy());
        socket.pipe(upstream).pipe(socket);
      });
      editor.dialogs.answer("Sign In", "Send");
      await editor.run("send", campaign);
      assert.deepEqual(toasts(), ["hello: 2 accepted."]);
      assert.deepEqual([...mails.perRecipient.values()], [1, 1]);
      await assertNothingTold(editor.microsoft.accessToken);
    } finally {
      await mails.close();
    }
  });

  it("closing the box for the address ends nothing: the browser may be half way", async () => {
    await open(1);
    editor.browser.openAddressBox = (question) => browserPorts.openAddressBox(question);
    editor.browser.onPage = async (url) => {
      const address = await server.consent(url);
      await vscode.commands.executeCommand("workbench.action.closeQuickOpen");
      await fetch(address);
    };
    const end = await editor.services.signIns.signIn(undefined, "work");
    assert.deepEqual(end, { kind: "signedIn", user: "ada@gmail.com" });
  });

  it("cancelling in the notification ends it, and a late answer of the browser changes nothing", async () => {
    await open(1);
    const opened: string[] = [];
    editor.browser.onPage = (url) => {
      opened.push(url);
      editor.browser.cancel();
    };
    assert.deepEqual(await editor.services.signIns.signIn(undefined, "work"), { kind: "cancelled" });
    await assert.rejects(fetch(await server.consent(opened[0] ?? "")));
    assert.equal(server.asked, 0);
  });

  describe("in VS Code's Accounts menu", () => {
    const isTrusted = (): boolean => true;

    it("lists who is signed in by a name and a handle, never with a token", async () => {
      const campaign = await open(1);
      const { accounts, signIns } = editor.services;
      const { dialogs } = editor;
      const sessions = new SignInSessions("google", { accounts, signIns, dialogs, onDidChangeSettings, isTrusted });
      const changes: vscode.AuthenticationProviderAuthenticationSessionsChangeEvent[] = [];
      const changed = new Promise<void>((resolve) => {
        sessions.onDidChangeSessions((change) => {
          changes.push(change);
          if (changes.length === 2) resolve();
        });
      });
      assert.deepEqual(await sessions.getSessions(undefined), []);
      const session = await sessions.createSession();
      assert.equal(session.account.label, "ada@gmail.com (work)");
      assert.match(session.accessToken, /^[0-9a-f]{64}$/);
      assert.deepEqual(await sessions.getSessions(undefined), [session]);
      assert.deepEqual(await sessions.getSessions(["https://mail.google.com/"]), [], "nobody else gets a session");
      editor.dialogs.answer("Send");
      await editor.run("send", campaign);
      await sessions.removeSession(session.id);
      assert.deepEqual(await sessions.getSessions(undefined), []);
      assert.equal(server.refreshTokens.size, 0, "Google was told");
      await changed;
      assert.deepEqual(
        changes.map(({ added, removed }) => [added?.length, removed?.length]),
        [
          [1, 0],
          [0, 1],
        ],
      );
      sessions.dispose();
    });

    it("leaves who signed in by way of VS Code to VS Code's own entry", async () => {
      await open(1, outlook);
      const { accounts, signIns } = editor.services;
      const { dialogs } = editor;
      const sessions = new SignInSessions("microsoft", { accounts, signIns, dialogs, onDidChangeSettings, isTrusted });
      editor.microsoft.answer = { kind: "signedIn", account: { id: "1", label: "ada@outlook.com" } };
      assert.deepEqual(await signIns.signIn(undefined, "work"), { kind: "signedIn", user: "ada@outlook.com" });
      assert.deepEqual(await sessions.getSessions(undefined), []);
      sessions.dispose();
    });

    it("is where the extension itself registers both providers", async () => {
      await open(1);
      for (const { id } of Object.values(authentication)) {
        assert.equal(await vscode.authentication.getSession(id, [], { silent: true }), undefined);
        assert.deepEqual(await vscode.authentication.getAccounts(id), []);
      }
    });
  });
});

/** Where the VS Code of these tests keeps settings, state and logs, as far as it says. */
function userData(): readonly string[] {
  const socket = process.env.VSCODE_IPC_HOOK_CLI;
  return socket === undefined ? [] : [path.dirname(socket)];
}

/** The texts of all files below a folder, their names included. */
async function textsBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => path.join(parentPath, name));
  const texts = await Promise.all(files.map((file) => readFile(file, "latin1").catch(() => "")));
  return [...files, ...texts];
}

/** Somebody who signs in: accounts in memory, a played browser, and a real provider on loopback behind the account's own proxy. */
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Accounts } from "../../src/accounts";
import type { SignInState } from "../../src/heldSignIns";
import type { Clock, Granted } from "../../src/mail/index";
import type { OAuthProviderId } from "../../src/mail/providers";
import type { Action } from "../../src/notify";
import { Secrets } from "../../src/secrets";
import { SignIns } from "../../src/signIn";
import * as oauth from "../../src/workerOAuth";
import { Interceptor } from "./interceptor";
import { PlayedBrowser, PlayedMicrosoft } from "./signInBrowser";
import { googleClientFile, knownClient, SignInServer } from "./signInServer";

/** What the person is asked beside the browser. */
export interface Question {
  readonly title: string;
  readonly choices: readonly string[];
}

/** The desk. Its account `work` goes over the interceptor, whose authority only its CA file knows. */
export class SignInDesk {
  readonly browser = new PlayedBrowser();
  readonly microsoft = new PlayedMicrosoft();
  readonly secrets = new Map<string, string>();
  readonly state = new Map<string, unknown>();
  readonly questions: Question[] = [];
  readonly toasts: { readonly kind: string; readonly message: string; readonly actions: readonly Action[] }[] = [];
  readonly log: string[] = [];
  settings: Record<string, unknown>;
  clock: Clock | undefined;
  agrees = true;
  /** Called while a question is open. */
  whileAsked: (title: string) => unknown = () => undefined;
  /** Called before something goes to Secret Storage. */
  onStore: (key: string) => unknown = () => undefined;
  readonly accounts: Accounts;
  readonly signIns: SignIns;
  private readonly answers: (string | undefined)[] = [];

  private constructor(
    readonly interceptor: Interceptor,
    readonly server: SignInServer,
    readonly root: string,
    account: Readonly<Record<string, unknown>>,
  ) {
    this.settings = { work: { ...account, proxy: interceptor.proxy, tls: { caFile: "ca.pem" } } };
    this.accounts = this.makeAccounts();
    this.signIns = this.makeSignIns();
  }

  /** Starts the provider; `more` changes the account. The provider's client is stored unless `withClient` says no. */
  static async open(
    provider: OAuthProviderId,
    more: Readonly<Record<string, unknown>> = {},
    withClient = true,
  ): Promise<SignInDesk> {
    const interceptor = await Interceptor.start();
    const root = await mkdtemp(join(tmpdir(), "bulk-mail-sign-in-"));
    await copyFile(interceptor.caFile, join(root, "ca.pem"));
    const usual =
      provider === "google"
        ? { provider: "gmail", transport: "gmailApi", user: "ada@gmail.com" }
        : { provider: "outlook", user: "ada@outlook.com" };
    const server = await SignInServer.start(interceptor, provider);
    server.email = usual.user;
    const desk = new SignInDesk(interceptor, server, root, { ...usual, ...more });
    const client = provider === "google" ? googleClientFile : knownClient.microsoft.clientId;
    if (withClient) await desk.signIns.takeClient(provider, client);
    desk.browser.onPage = async (url) => await fetch(await server.consent(url));
    return desk;
  }

  /** The next answers to questions: a choice, a text, or undefined to turn away. */
  answer(...answers: readonly (string | undefined)[]): void {
    this.answers.push(...answers);
  }

  signIn(): ReturnType<SignIns["signIn"]> {
    return this.signIns.signIn(undefined, "work");
  }

  async signInState(): Promise<SignInState | undefined> {
    return (await this.accounts.list(undefined))[0]?.signIn;
  }

  /** Grants in Secret Storage. */
  grants(): readonly string[] {
    return [...this.secrets].filter(([key]) => key.startsWith("grant/")).map(([, value]) => value);
  }

  /** Everything that anybody but Secret Storage may have seen. */
  everything(): string {
    return JSON.stringify([
      this.settings,
      [...this.state],
      [...this.secrets.keys()],
      this.toasts,
      this.log,
      this.questions,
    ]);
  }

  async close(): Promise<void> {
    this.signIns.dispose();
    await this.server.close();
    await this.interceptor.close();
    await rm(this.root, { recursive: true, force: true });
    if (this.browser.failure instanceof Error) throw this.browser.failure;
  }

  private next(title: string, choices: readonly string[]): string | undefined {
    this.questions.push({ title, choices });
    this.whileAsked(title);
    if (this.answers.length === 0) throw new Error(`Nobody foresaw the question “${title}”.`);
    return this.answers.shift();
  }

  private makeAccounts(): Accounts {
    return new Accounts({
      settings: {
        read: () => [{ level: "user", accounts: this.settings }],
        write: (_scope, _level, accounts) => Promise.resolve(void (this.settings = { ...accounts })),
        defaultAccount: () => "",
        writeDefaultAccount: () => Promise.resolve(),
        place: () => ({ owner: "", root: this.root }),
        levels: () => ["user"],
        httpProxy: () => "",
      },
      secrets: this.secretStorage,
      memento: this.memory,
      dialogs: {
        confirm: (title, _detail, button) => {
          this.questions.push({ title, choices: [button] });
          this.whileAsked(title);
          return Promise.resolve(this.agrees);
        },
        askSecret: () => Promise.reject(new Error("No password is needed.")),
      },
      tokens: {
        refresh: (way, grant): Promise<Granted> => oauth.refresh(way, grant),
        microsoftToken: this.microsoft.token,
        clock: {
          now: () => this.clock?.now() ?? Date.now(),
          monotonic: () => this.clock?.monotonic() ?? performance.now(),
          boot: () => this.clock?.boot() ?? { id: "boot", ms: performance.now() },
          sleep: () => Promise.resolve(),
        },
      },
      signIn: (scope, way) => this.signIns.signInTo(scope, way),
      takeBack: (found, forgotten) => this.signIns.takeBack(found, forgotten),
      isTrusted: () => true,
    });
  }

  private makeSignIns(): SignIns {
    const toast =
      (kind: string) =>
      (message: string, ...actions: readonly Action[]): void =>
        void this.toasts.push({ kind, message, actions });
    const log = (text: string): void => void this.log.push(text);
    return new SignIns({
      accounts: this.accounts,
      secrets: new Secrets(this.secretStorage, this.memory),
      dialogs: {
        pick: (title, _placeholder, items) => {
          const labels = items.map(({ label }) => label);
          const answer = this.next(title, labels);
          if (answer !== undefined && !labels.includes(answer)) throw new Error(`There is no ${answer}.`);
          return Promise.resolve(items.find(({ label }) => label === answer));
        },
        openFile: (title) => Promise.resolve(this.next(title, [])),
        askText: ({ title, validate }) => {
          const answer = this.next(title, []);
          const wrong = answer === undefined ? undefined : validate?.(answer);
          return wrong === undefined ? Promise.resolve(answer) : Promise.reject(new Error(wrong));
        },
      },
      speak: { info: toast("info"), warn: toast("warn"), error: toast("error") },
      logger: { debug: log, info: log, warn: log, error: log },
      browser: this.browser,
      microsoft: this.microsoft,
      oauth,
    });
  }

  private get secretStorage(): ConstructorParameters<typeof Secrets>[0] {
    return {
      get: (key) => Promise.resolve(this.secrets.get(key)),
      store: (key, value) => {
        this.onStore(key);
        return Promise.resolve(void this.secrets.set(key, value));
      },
      delete: (key) => Promise.resolve(void this.secrets.delete(key)),
      keys: () => Promise.resolve([...this.secrets.keys()]),
    };
  }

  private get memory(): ConstructorParameters<typeof Secrets>[1] {
    return {
      get: <T>(key: string): T | undefined => this.state.get(key) as T | undefined,
      update: (key: string, value: unknown) => Promise.resolve(void this.state.set(key, value)),
    };
  }
}

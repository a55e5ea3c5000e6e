/** What each page and its host say to each other: plain data, two interfaces a panel. Pages get whole snapshots. */

/** Where an account is kept, as in the settings. */
export type AccountLevel = "user" | "workspace" | "workspaceFolder";

/** An account as a form holds it: what stands in the fields, numbers as typed. The password is never part of it. */
export interface AccountForm {
  readonly name: string;
  readonly provider: string;
  readonly transport: string;
  readonly host: string;
  readonly port: string;
  readonly security: string;
  readonly auth: string;
  readonly user: string;
  readonly from: string;
  readonly replyTo: string;
  readonly verify: boolean;
  readonly caFile: string;
  readonly servername: string;
  readonly minVersion: string;
  readonly proxy: string;
  readonly proxyUser: string;
  readonly delay: string;
  readonly connections: string;
  readonly perMinute: string;
  readonly perHour: string;
  readonly perDay: string;
  readonly dnsTimeout: string;
  readonly connectionTimeout: string;
  readonly greetingTimeout: string;
  readonly socketTimeout: string;
}

/** What a form shows where the settings say nothing. */
export const atRest = {
  transport: "smtp",
  auth: "password",
  user: "",
  from: "",
  replyTo: "",
  verify: true,
  caFile: "",
  servername: "",
  minVersion: "TLSv1.2",
  proxy: "",
  proxyUser: "",
  delay: "",
  connections: "",
  perMinute: "",
  perHour: "",
  perDay: "",
  dnsTimeout: "30000",
  connectionTimeout: "30000",
  greetingTimeout: "30000",
  socketTimeout: "600000",
} as const satisfies Partial<AccountForm>;

/** Of an account that signs in with the browser: its provider's own server is reached, as the certificate of that proves. */
const idleWithToken: readonly (keyof AccountForm)[] = ["host", "verify", "servername"];
const idleWithApi: readonly (keyof AccountForm)[] = [...idleWithToken, "port", "security", "greetingTimeout"];

/** Whether a field has no meaning for the way in which an account signs in and sends. */
export function isIdle(
  field: keyof AccountForm,
  { auth, transport }: Pick<AccountForm, "auth" | "transport">,
): boolean {
  if (transport === "gmailApi") return idleWithApi.includes(field);
  return auth === "oauth2" && idleWithToken.includes(field);
}

/** The name of a field; the empty name stands for the whole form. */
export type FieldName = keyof AccountForm | "";

/** One thing that is wrong, in the words of a form. */
export interface FormProblem {
  readonly field: FieldName;
  /** An `error` keeps the account from being used; a `danger` does not, but is shown in red. */
  readonly severity: "error" | "danger" | "warning" | "information";
  readonly message: string;
  /** What one click can do about it. */
  readonly mend?: { readonly title: string; readonly values: Partial<AccountForm> };
}

/** Who signs people in with the browser. */
export type SignInProvider = "google" | "microsoft";

/** What is known about a provider. */
export interface ProviderFacts {
  readonly id: string;
  readonly label: string;
  readonly host: string;
  /** Where the account decides which of several hosts counts, such as that of its region. */
  readonly hosts?: readonly { readonly label: string; readonly host: string }[];
  readonly ports: readonly { readonly port: number; readonly security: string }[];
  readonly user?: string;
  readonly userHint: string;
  readonly passwordHint: string;
  /** `password` and `oauth2`, the recommended one first. */
  readonly auths: readonly string[];
  /** Who signs people in with the browser. */
  readonly oauth?: SignInProvider;
  readonly appPasswordUrl?: string;
  readonly helpUrl?: string;
  readonly retired?: string;
  readonly note?: string;
  readonly domains?: readonly string[];
}

/** The limits of an account; milliseconds for `delay`, 0 for no limit elsewhere. */
export type LimitName = "delay" | "connections" | "perMinute" | "perHour" | "perDay";

/** Whether somebody is signed in with the browser. */
export interface SignInState {
  /** `elsewhere`: somebody is, for another endpoint; `changes` says what differs. */
  readonly kind: "signedIn" | "signedOut" | "elsewhere";
  /** The address that signed in; empty when it is not known. */
  readonly user: string;
  /** ISO 8601; empty when nobody is. */
  readonly since: string;
  readonly changes: readonly string[];
}

/** An account of the list. */
export interface AccountCard {
  readonly id: string;
  readonly level: AccountLevel;
  readonly form: AccountForm;
  readonly problems: readonly FormProblem[];
  /** `stored`: for this very endpoint; `lost`: it was, and VS Code no longer has it; `elsewhere`: for another one, `changes` says what differs. */
  readonly secret: { readonly kind: "stored" | "none" | "lost" | "elsewhere"; readonly changes: readonly string[] };
  /** Of an account that signs in with the browser; undefined for any other. */
  readonly signIn?: SignInState | undefined;
  /** Labels of farther levels that define the same account, without effect. */
  readonly overrides: readonly string[];
}

/** Everything that the settings page shows. */
export interface SettingsState {
  readonly accounts: readonly AccountCard[];
  readonly defaultId: string;
  /** Where an account can be kept, nearest first; the label stands before the word settings. */
  readonly levels: readonly { readonly level: AccountLevel; readonly label: string }[];
  readonly providers: readonly ProviderFacts[];
  readonly trusted: boolean;
  /** What holds where an account has no limit of its own, by the provider's id; `gmailApi` is the Gmail API. */
  readonly limits: Readonly<Record<string, Readonly<Record<LimitName, number>>>>;
  /** Whose OAuth client is stored. */
  readonly clients: Readonly<Record<SignInProvider, boolean>>;
  /** An account that the page should turn to; empty for none. */
  readonly select: string;
}

/** An account that is being edited; `previous` is undefined for a new one. */
export interface AccountEdit {
  readonly form: AccountForm;
  readonly level: AccountLevel;
  readonly previous?: { readonly id: string; readonly level: AccountLevel } | undefined;
}

/** What is edited and not saved, by the page's own key for the account; never a password. */
export type KeptDrafts = readonly (readonly [key: string, edit: AccountEdit])[];

/** Secrets that were typed just now, empty where none was: the one way they travel is from the page to its host. */
export interface TypedSecrets {
  readonly password: string;
  readonly proxyPassword: string;
}

/** What came of saving. */
export type SaveReply =
  | { readonly kind: "saved" }
  | { readonly kind: "problems"; readonly problems: readonly FormProblem[] }
  | { readonly kind: "cancelled" }
  | { readonly kind: "failed"; readonly text: string };

/** What came of signing in with the browser. */
export type SignInReply =
  | { readonly kind: "signedIn" }
  | { readonly kind: "cancelled" }
  /** `text` is the cause and the next step. */
  | { readonly kind: "failed"; readonly text: string };

/** What came of giving an OAuth client. */
export type ClientReply = { readonly kind: "stored" } | { readonly kind: "failed"; readonly text: string };

/** Something that mends what a test found; the page makes a button of each. */
export type TestFix =
  | { readonly kind: "set"; readonly title: string; readonly values: Partial<AccountForm> }
  /** A page of a provider out of our own table, https. */
  | { readonly kind: "open"; readonly title: string; readonly url: string }
  | { readonly kind: "signIn"; readonly title: string }
  | {
      readonly kind: "field";
      readonly title: string;
      readonly field: keyof AccountForm | "password" | "proxyPassword";
    };

/** One step of a connection test. */
export interface TestStep {
  readonly name: string;
  readonly title: string;
  readonly state: "ok" | "warning" | "failed";
  readonly ms: number;
  /** What was seen. When `quoted`, these are words of the server, to be shown as such. */
  readonly seen: string;
  readonly quoted: boolean;
  /** Ours: the cause and the next step; empty when all is well. */
  readonly text: string;
  readonly fixes: readonly TestFix[];
}

/** What came of a test. */
export type TestReply =
  | {
      readonly kind: "tested";
      readonly ok: boolean;
      /** The whole in one sentence; of a failure the cause and the next step. */
      readonly text: string;
      readonly steps: readonly TestStep[];
      /** Where a test mail can be sent now; empty when nowhere, or when it just was. */
      readonly mailTo: string;
    }
  /** It was not tried at all; `text` says why. */
  | { readonly kind: "refused"; readonly text: string }
  | { readonly kind: "problems"; readonly problems: readonly FormProblem[] }
  | { readonly kind: "cancelled" };

/** What the settings page may ask of its host. */
export interface SettingsHost {
  /** The page's first call. */
  load(): Promise<SettingsState>;
  /** What an earlier page of this window left unsaved. */
  drafts(): Promise<KeptDrafts>;
  /** Keeps what is unsaved, for the case that the panel is closed. */
  keepDrafts(drafts: KeptDrafts): void;
  check(edit: AccountEdit): Promise<readonly FormProblem[]>;
  save(edit: AccountEdit, typed: TypedSecrets): Promise<SaveReply>;
  /** Asks the person first; false when they turned away. */
  remove(id: string, level: AccountLevel): Promise<boolean>;
  forgetPassword(id: string): Promise<boolean>;
  setDefault(id: string): Promise<void>;
  /**
   * Walks the way to the server and signs in. With `mail` a test mail goes to the account's own From address, once the
   * host has asked the person. A new test ends the one before; `run` tells them apart.
   */
  test(run: number, edit: AccountEdit, typed: TypedSecrets, mail: boolean): Promise<TestReply>;
  cancelTest(): void;
  /** Puts the dialogue of a test that is over into the clipboard, without secrets; false when it is gone. */
  copyTranscript(run: number): Promise<boolean>;
  openSettings(level: AccountLevel): void;
  /** Signs in to a saved account in the person's browser, with the client that is stored. A second sign-in ends the first. */
  signIn(id: string, level: AccountLevel): Promise<SignInReply>;
  /** Asks the person first; false when they turned away. */
  signOut(id: string, level: AccountLevel): Promise<boolean>;
  cancelSignIn(): void;
  /** Stores an OAuth client: like passwords, it travels from the page to its host and never back. */
  takeClient(provider: SignInProvider, text: string): Promise<ClientReply>;
  /** Opens our own page about signing in. */
  openGuide(provider: SignInProvider): void;
}

/** What the host tells the settings page. */
export interface SettingsPage {
  show(state: SettingsState): void;
  /** Every step of a test so far. */
  testSteps(run: number, steps: readonly TestStep[]): void;
}

/** One thing that is wrong with the previewed row or the campaign. */
export interface PreviewProblem {
  readonly severity: "error" | "warning" | "information";
  readonly message: string;
  /** File name and line, for people. */
  readonly place: string;
}

/** The message of the previewed row, taken apart from its exact bytes. */
export interface PreviewedMessage {
  readonly subject: string;
  readonly from: string;
  readonly to: string;
  /** Recipients of the envelope besides `to`: cc and bcc. */
  readonly copies: readonly string[];
  /** Never trusted: shown in a sandboxed frame only. Inline images are `data:` URIs in it. */
  readonly html: string;
  readonly text: string;
  readonly source: string;
  /** Bytes. */
  readonly size: number;
  readonly attachments: readonly { readonly name: string; readonly size: number }[];
}

/** Everything that the preview page shows. */
export interface PreviewState {
  /** Absolute path of the campaign; the page keeps it, so that VS Code can restore the panel. */
  readonly file: string;
  readonly name: string;
  /** Zero-based among `count` rows. */
  readonly index: number;
  readonly count: number;
  readonly row:
    | {
        /** One-based line in the recipients file. */
        readonly line: number;
        readonly address: string;
        readonly fate: "mail" | "invalid" | "repeated" | "suppressed";
      }
    | undefined;
  readonly problems: readonly PreviewProblem[];
  /** The row's message; when it cannot be made, the last one that could, and `stale` is true. */
  readonly message: PreviewedMessage | undefined;
  readonly stale: boolean;
  /** Something to know about the whole, such as that the preview took too long; empty for nothing. */
  readonly notice: string;
  /** Whether pictures from the web may be shown when a person asks for them. */
  readonly mayFetch: boolean;
}

/** Rows that show soonest whether a letter holds: the longest cells, the most empty ones, the most letters beyond ASCII. */
export type HardRow = "longest" | "emptiest" | "foreign";

/** What the preview page may ask of its host. */
export interface PreviewHost {
  /** The page's first call; the answer comes as `show`. */
  load(): void;
  /** Turns to another row. */
  turnTo(index: number): void;
  /** Turns to the next row that holds this text in any cell; from the last one on to the first. */
  find(text: string): void;
  findHard(what: HardRow): void;
  /** Opens the place of a problem of the last `show`. */
  openProblem(index: number): void;
}

/** What the host tells the preview page. */
export interface PreviewPage {
  show(state: PreviewState): void;
}

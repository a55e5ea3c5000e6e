/** What the extension host and its worker threads say to each other: plain data only, two interfaces, one a side. */
import type {
  Account,
  AttemptEvent,
  AuthorizationRequest,
  Counts,
  Credentials,
  CsvOptions,
  Diagnosis,
  DoctorStep,
  ForecastRequest,
  Grant,
  Granted,
  Imported,
  Mention,
  OAuthClient,
  Pace,
  PastRun,
  Place,
  Problem,
  Progress,
  Range,
  Resolution,
  RowOutcome,
  RunState,
  RunSummary,
  SenderDefaults,
  TakenApart,
  Target,
  TokenReply,
  Totals,
  Tried,
  UnknownRecipient,
  World,
} from "./mail/index";

/** A campaign as the editor sees it. Paths are absolute. */
export interface CampaignRequest {
  readonly file: string;
  readonly root: string;
  /** Texts that are not saved yet, by path; they win over the disk. */
  readonly overlay: ReadonlyMap<string, string>;
  readonly csv: CsvOptions;
  /** What each known account adds to a message, by account id. */
  readonly senders: ReadonlyMap<string, SenderDefaults>;
  /** The account of a campaign that names none. */
  readonly defaultAccount: string;
  /** The other campaigns of the workspace: a copied id is a problem. */
  readonly others: readonly string[];
}

/** What a campaign says of itself, as written (placeholders included); undefined where it says nothing. */
export interface CampaignFacts {
  readonly id: string | undefined;
  readonly subject: string | undefined;
  /** The campaign's own, else the account's. */
  readonly from: string | undefined;
  readonly replyTo: string | undefined;
  readonly cc: readonly string[];
  readonly bcc: readonly string[];
  /** The id of the account that it is sent through: named by the campaign, else the default. */
  readonly account: string;
  readonly accountKnown: boolean;
}

/** What a check found. */
export interface CheckReply {
  readonly campaign: CampaignFacts;
  readonly problems: readonly Problem[];
  /** Undefined when something keeps every row from being made. */
  readonly counts: Counts | undefined;
  /** The first addresses that would be mailed, at most three. */
  readonly first: readonly string[];
  /** Path → size in bytes. */
  readonly attachments: ReadonlyMap<string, number>;
  /** Every file that the campaign consists of, itself included, without attachments. */
  readonly files: readonly string[];
  /** Changes whenever any of all this, or a file behind it, does: what is sent is what was confirmed. */
  readonly fingerprint: string;
}

/** One row as its recipient would see it. */
export interface PreviewReply {
  /** Zero-based among the rows that `where` keeps, moved into the list's bounds. */
  readonly index: number;
  /** How many rows `where` keeps. */
  readonly count: number;
  readonly problems: readonly Problem[];
  readonly row: PreviewRow | undefined;
  /** As in `CheckReply.files`. */
  readonly files: readonly string[];
}

/** A row that somebody looks for. */
export type RowWanted =
  | { readonly kind: "text"; readonly text: string }
  /** Among those that are mailed: the longest cells, the most empty ones, the most letters beyond ASCII. */
  | { readonly kind: "hardest"; readonly by: "longest" | "emptiest" | "foreign" };

/** The row of a preview. */
export interface PreviewRow {
  /** One-based line in the recipients file. */
  readonly line: number;
  readonly address: string;
  readonly fate: "mail" | "invalid" | "repeated" | "suppressed";
  readonly message: PreviewMessage | undefined;
}

/** The exact message, taken apart again. */
export interface PreviewMessage extends TakenApart {
  /** Every recipient of the envelope, so that bcc shows. */
  readonly envelope: readonly string[];
  /** The bytes as they go over the wire. */
  readonly source: string;
  readonly size: number;
}

/** A column as the editor tells of it. */
export interface ListColumn {
  /** The header, and the name that placeholders may use instead. */
  readonly name: string;
  readonly alias: string | undefined;
  /** What to write between braces. */
  readonly expression: string;
  /** The header's cell, quotes included. */
  readonly range: Range;
  /** The first different values, at most three, plain text. */
  readonly samples: readonly string[];
  /** How many of the rows that were read leave the cell empty. */
  readonly empty: number;
}

/** A recipients file as far as it was read. */
export interface ListReply {
  readonly columns: readonly ListColumn[];
  /** Index of the column with the addresses. */
  readonly addressColumn: number | undefined;
  readonly problems: readonly Problem[];
  /** How many rows were read, and whether these are all. */
  readonly rows: number;
  readonly complete: boolean;
}

/** The names in a campaign, and what they stand for. */
export interface SymbolsReply {
  /** Path of the list; undefined when the campaign names none. */
  readonly list: string | undefined;
  readonly columns: ListReply | undefined;
  readonly mentions: readonly Mention[];
  /** As in `CheckReply.files`. */
  readonly files: readonly string[];
}

/** Starts or goes on with a run. */
export type RunOrder = RunBase &
  (
    | {
        readonly kind: "new";
        readonly campaign: CampaignRequest;
        /** Of the check that was confirmed; another one now means that something changed in between. */
        readonly fingerprint: string;
        /** The run that was the last when the person decided; undefined when there was none. */
        readonly previousRunId: string | undefined;
      }
    | {
        readonly kind: "resume";
        readonly campaignId: string;
        readonly runId: string;
        /** Take over from a live owner that has been silent for 30 s; a person said so. */
        readonly takeOver: boolean;
      }
  );

interface RunBase {
  /** The host's name for the run; steering and events carry it. */
  readonly key: string;
  readonly stateDirectory: string;
  /** For `resume` the account as it is now: host or limits may have been mended since. */
  readonly target: Target;
  /** What holds at the beginning; `pace` changes it on the way. */
  readonly pace: Pace;
  /** Not before this moment, ISO 8601; undefined is at once, whatever the plan of a run that is resumed says. */
  readonly startAt: string | undefined;
}

/** How a run order ended. */
export type RunReply =
  | { readonly kind: "ran"; readonly campaignId: string; readonly summary: RunSummary }
  /** What was confirmed is no longer what stands on disk; nothing was sent. */
  | { readonly kind: "changed" }
  /** No run can be made now; the text is fit to show. */
  | { readonly kind: "refused"; readonly text: string }
  /** It was stopped before there was anything to send. */
  | { readonly kind: "cancelled" };

/** A single message to somebody who is not on the list. */
export interface TestOrder {
  readonly key: string;
  readonly campaign: CampaignRequest;
  /** As in `PreviewReply.index`; undefined is the first row that can be mailed. */
  readonly index: number | undefined;
  /** `Name <address>` or an address. */
  readonly to: string;
  readonly target: Target;
  readonly stateDirectory: string;
}

/** What became of it. */
export type TestReply = Tried | { readonly ok: false; readonly problems: readonly Problem[] };

/** What a forecast is asked about. */
export type ForecastAbout = Pick<ForecastRequest, "pace" | "messages" | "recipientsEach">;

/** Names the runs of one campaign in one world. */
export interface RunAddress {
  readonly stateDirectory: string;
  readonly campaignId: string;
  readonly world: World;
  /** For who only looks: a damaged journal is no error. */
  readonly tolerant?: boolean;
}

/** Names one run, which must still be the last one. */
export interface RunName extends RunAddress {
  readonly runId: string;
}

/** An exported journal. */
export interface ArchiveReply {
  readonly campaignId: string;
  /** The campaign among those that were given; undefined when it is none of them. */
  readonly campaignFile: string | undefined;
}

/** A run that another machine sent. */
export interface ReceiptReply {
  /** Plain text, as `text` is. */
  readonly machine: string;
  readonly text: string;
  /** How many have or may have the message. */
  readonly mailed: number;
}

/** A run that came to rest before its end. */
export interface InterruptedRun {
  readonly file: string;
  readonly campaignId: string;
  readonly runId: string;
  readonly world: World;
  readonly totals: Totals;
  /** When it was to start, if it was to wait; ISO 8601. */
  readonly startAt: string | undefined;
  /** Its owner lives and has not stirred for 30 s: a person may take over. */
  readonly silent: boolean;
}

/** Who holds a run. */
export interface RunHolder {
  readonly pid: number;
  readonly host: string;
}

/** The way to the provider that signs an account in: over its own proxy, with its own CA file. */
export interface OAuthWay {
  readonly account: Account;
  /** The folder below which the CA file lies. */
  readonly root: string | undefined;
  readonly caSha256: string | undefined;
  /** For the proxy. */
  readonly credentials: Credentials;
}

/** What the worker does when asked. */
export interface WorkerApi {
  /** Answers once the thread listens. */
  ready(): undefined;
  /** Loads and compiles what checks need, for a thread whose checks are limited in time. */
  warmUp(): Promise<void>;
  /** Checks everything. A newer check of the same file makes an older one give up (it rejects). */
  check(request: CampaignRequest): Promise<CheckReply>;
  /** Makes the message of one row. A newer preview of the same file makes an older one give up. */
  preview(request: CampaignRequest, index: number): Promise<PreviewReply>;
  /** The row, as in `PreviewReply.index`, that is looked for: the next one behind `from` that holds a text, or the hardest of the list. */
  findRow(request: CampaignRequest, wanted: RowWanted, from: number): Promise<number | undefined>;
  describeList(file: string, root: string, csv: CsvOptions): Promise<ListReply>;
  /** Where the campaign names columns, and the first thousand rows of its list. A newer one of the same file makes an older one give up. */
  symbols(request: CampaignRequest): Promise<SymbolsReply>;
  /** What the campaign's last real run made of the rows between two zero-based lines of its list; a newer question makes an older one give up. */
  outcomes(
    request: CampaignRequest,
    stateDirectory: string,
    lines: readonly [first: number, last: number],
  ): Promise<readonly RowOutcome[]>;
  /** Runs to the end, a stop or a failure. */
  run(order: RunOrder): Promise<RunReply>;
  /** Takes nothing new and awaits what is in flight; `run` then ends. */
  stop(key: string): undefined;
  /** Ends at once; what was handed over without a reply is unknown. */
  abort(key: string): undefined;
  /** The pace of a run from now on. */
  pace(key: string, pace: Pace): undefined;
  /** Walks the way to the account's server; `sendTo` (`Name <address>` or an address) gets a test mail at its end. */
  diagnose(
    key: string,
    account: Account,
    root: string | undefined,
    caSha256: string | undefined,
    sendTo: string | undefined,
  ): Promise<Diagnosis>;
  sendTest(order: TestOrder): Promise<TestReply>;
  /** Turns what the browser brought into a grant. Aborting `key` gives up. */
  redeemCode(
    key: string,
    way: OAuthWay,
    client: OAuthClient,
    request: AuthorizationRequest,
    code: string,
  ): Promise<Granted>;
  /** Gets another access token. */
  refreshToken(way: OAuthWay, grant: Grant): Promise<Granted>;
  /** Tells the provider that the grant is of no use any more; false when it could not be told. Aborting `key` gives up. */
  revokeGrant(key: string, way: OAuthWay, grant: Grant): Promise<boolean>;
  /** How messages fit into the account's pace and what its mailbox has left of the day: no capital, no full stop. */
  forecast(stateDirectory: string, account: Account, about: ForecastAbout): Promise<string>;
  /** The id of a campaign on disk. */
  idOf(file: string): Promise<string | undefined>;
  lastRun(address: RunAddress): Promise<RunState | undefined>;
  /** Who holds the campaign's runs; undefined when nobody does, or cannot be named. */
  holder(address: RunAddress): Promise<RunHolder | undefined>;
  /**
   * The last real run of the same file under another id, if it mailed anybody, else one that mailed a fifth of these people under the
   * same subject: a changed id forgets who was mailed.
   */
  underAnotherId(request: CampaignRequest, campaignId: string, stateDirectory: string): Promise<RunState | undefined>;
  /** Interrupted runs of the given campaigns, those with a silent owner included, real ones before rehearsals. */
  interrupted(files: readonly string[], stateDirectory: string): Promise<readonly InterruptedRun[]>;
  /** The last run's report as a plain-text table. */
  report(address: RunAddress): Promise<string | undefined>;
  /** Writes a decision about recipients, by identity or about everybody who failed, into the run's journal. */
  resolve(run: RunName, which: readonly string[] | "failed", as: "sent" | "retry"): Promise<Resolution>;
  /** Everybody of the run who may have the message. */
  unknown(run: RunName): Promise<readonly UnknownRecipient[]>;
  /** Writes the last run's report into a file, which is replaced. */
  exportReport(address: RunAddress, format: "table" | "csv" | "json", file: string): Promise<void>;
  /** Writes the rows of the run's list that failed or could not be mailed into a CSV with the list's own columns, which is replaced. */
  exportFailedRows(run: RunName, file: string): Promise<void>;
  /** Writes the campaign's record into a file, which is replaced; with `handOver` an unfinished run moves with it. */
  exportJournal(address: RunAddress, handOver: boolean, file: string): Promise<void>;
  /** Whose journal a file is. */
  describeArchive(archive: string, files: readonly string[]): Promise<ArchiveReply>;
  importJournal(stateDirectory: string, archive: string, place: Place | undefined): Promise<Imported>;
  /** Deletes all records of a campaign. */
  forget(stateDirectory: string, campaignId: string): Promise<readonly PastRun[]>;
  /** Deletes finished runs that are older than so many days; how many. */
  forgetOld(stateDirectory: string, days: number): Promise<number>;
  /** The receipt beside the campaign of a run that is not on record here. */
  receipt(stateDirectory: string, campaignFile: string, campaignId: string): Promise<ReceiptReply | undefined>;
}

/** What the worker asks and tells. */
export interface HostApi {
  /** The secret for a run, a test or a diagnosis, right before it is needed. */
  credentials(key: string): Promise<Credentials>;
  /** An access token for the same; `refused` is one that the server did not take. */
  accessToken(key: string, refused: string | undefined): Promise<TokenReply>;
  /** Whole snapshots, at most four a second. */
  progress(key: string, progress: Progress): undefined;
  /** In order, gathered over a moment. */
  attempts(key: string, events: readonly AttemptEvent[]): undefined;
  /** A step of a diagnosis as soon as it is known; a later one of the same name takes its place. */
  doctorStep(key: string, step: DoctorStep): undefined;
  log(level: "debug" | "info" | "warn" | "error", text: string): undefined;
}

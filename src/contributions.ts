/** Every id that package.json and the code must agree on. A test compares the two. */
import { windowProblem } from "./mail/index";
import type { PaceSettings } from "./mail/index";

/** The category of every command in the palette. */
export const category = "Bulk Mail";

/** Commands: name in code → id and title. */
export const commands = {
  newCampaign: { id: "bulkMail.newCampaign", title: "New Campaign…" },
  checkCampaign: { id: "bulkMail.checkCampaign", title: "Check Campaign" },
  preview: { id: "bulkMail.preview", title: "Preview" },
  sendTest: { id: "bulkMail.sendTest", title: "Send Test to Myself…" },
  rehearse: { id: "bulkMail.rehearse", title: "Rehearse in Sandbox" },
  send: { id: "bulkMail.send", title: "Send Campaign…" },
  sendAt: { id: "bulkMail.sendAt", title: "Send At…" },
  pause: { id: "bulkMail.pause", title: "Pause" },
  resume: { id: "bulkMail.resume", title: "Resume" },
  stop: { id: "bulkMail.stop", title: "Stop" },
  takeOver: { id: "bulkMail.takeOver", title: "Take Over…" },
  retryFailed: { id: "bulkMail.retryFailed", title: "Retry Failed…" },
  resolveUnknown: { id: "bulkMail.resolveUnknown", title: "Resolve Unknown…" },
  openReport: { id: "bulkMail.openReport", title: "Open Report" },
  exportReport: { id: "bulkMail.exportReport", title: "Export Report…" },
  exportFailedRows: { id: "bulkMail.exportFailedRows", title: "Export Failed Rows…" },
  exportJournal: { id: "bulkMail.exportJournal", title: "Export Journal…" },
  importJournal: { id: "bulkMail.importJournal", title: "Import Journal…" },
  deleteHistory: { id: "bulkMail.deleteHistory", title: "Delete History…" },
  accounts: { id: "bulkMail.accounts", title: "Accounts…" },
  addAccount: { id: "bulkMail.addAccount", title: "Add Account…" },
  testConnection: { id: "bulkMail.testConnection", title: "Test Connection…" },
  signIn: { id: "bulkMail.signIn", title: "Sign In…" },
  signOut: { id: "bulkMail.signOut", title: "Sign Out…" },
  forgetSecrets: { id: "bulkMail.forgetSecrets", title: "Forget All Secrets" },
  showLog: { id: "bulkMail.showLog", title: "Show Log" },
} as const;

/** The name of a command in code. */
export type CommandName = keyof typeof commands;

/** Keys for `when` and `enablement`, set with the built-in command `setContext`; all are booleans. */
export const contextKeys = {
  /** A campaign is being sent. */
  running: "bulkMail.running",
  /** A run is paused or was interrupted and can be resumed. */
  resumable: "bulkMail.resumable",
  /** A run is held by a process that lives and has not stirred for a while. */
  silent: "bulkMail.silent",
  /** Something was sent or rehearsed on this machine. */
  hasHistory: "bulkMail.hasHistory",
  /** There is an account besides the sandbox. */
  hasAccount: "bulkMail.hasAccount",
} as const;

/** Authentication providers of ours, for VS Code's Accounts menu: who signed in to which provider in the browser. */
export const authentication = {
  google: { id: "bulkMail-google", label: "Bulk Mail (Google)" },
  microsoft: { id: "bulkMail-microsoft", label: "Bulk Mail (Microsoft)" },
} as const;

/** View types of our webview panels; VS Code restores panels by them. */
export const viewTypes = { settings: "bulkMail.settings", preview: "bulkMail.preview" } as const;

/** Where a run shows how far it is. */
export type ProgressPlace = "notification" | "statusBar";

/** What each setting holds, by its key without `bulkMail.`. Times are in milliseconds. */
export interface SettingTypes extends PaceSettings {
  readonly accounts: Readonly<Record<string, unknown>>;
  readonly defaultAccount: string;
  readonly stateDirectory: string;
  /** Days that the record of a finished campaign is kept; 0 is for ever. */
  readonly "history.retention": number;
  readonly progress: ProgressPlace;
  readonly codeLens: boolean;
  readonly "csv.delimiter": string;
  readonly "csv.encoding": string;
}

/** Key of a setting, without `bulkMail.`. */
export type SettingKey = keyof SettingTypes;

/** How a setting is declared. `minimum` and `maximum` bound numbers, both inclusive; `options` are all that a text may be; `takes` judges the rest. */
export interface Setting<T> {
  readonly default: T;
  readonly scope: "resource" | "machine" | "window";
  readonly minimum?: number;
  readonly maximum?: number;
  readonly options?: readonly string[];
  readonly takes?: (value: unknown) => boolean;
}

const day = 24 * 3600 * 1000;
const count = { default: 0, scope: "window", minimum: 0, maximum: 1_000_000 } as const;

/** Every setting with its default. */
export const settings: { readonly [K in SettingKey]: Setting<SettingTypes[K]> } = {
  accounts: { default: {}, scope: "resource" },
  defaultAccount: { default: "", scope: "resource" },
  stateDirectory: { default: "", scope: "machine" },
  "sending.delay": { default: 1000, scope: "window", minimum: 0, maximum: day },
  "sending.connections": { default: 1, scope: "window", minimum: 1, maximum: 50 },
  "sending.perMinute": count,
  "sending.perHour": count,
  "sending.perDay": count,
  "sending.batchSize": count,
  "sending.batchPause": { default: 60_000, scope: "window", minimum: 0, maximum: day },
  "sending.window": { default: {}, scope: "window", takes: (value) => windowProblem(value) === undefined },
  "retry.maxAttempts": { default: 5, scope: "window", minimum: 1, maximum: 100 },
  "retry.initialDelay": { default: 5000, scope: "window", minimum: 0, maximum: day },
  "retry.maxDelay": { default: 300_000, scope: "window", minimum: 0, maximum: day },
  pauseAfterFailures: { default: 5, scope: "window", minimum: 0, maximum: 1_000_000 },
  // It deletes: what a workspace says does not count.
  "history.retention": { default: 180, scope: "machine", minimum: 0, maximum: 36_500 },
  progress: { default: "notification", scope: "window", options: ["notification", "statusBar"] },
  codeLens: { default: true, scope: "window" },
  "csv.delimiter": { default: "auto", scope: "resource", options: ["auto", ",", ";", "\t", "|"] },
  "csv.encoding": { default: "auto", scope: "resource" },
};

/** The section of all settings. */
export const section = "bulkMail";

/** `value` when the setting may hold it, else undefined: then its default counts. */
export function checkedSetting<K extends SettingKey>(key: K, value: unknown): SettingTypes[K] | undefined {
  const { default: fallback, minimum = -Infinity, maximum = Infinity, options, takes } = settings[key];
  if (typeof value !== typeof fallback || value === null || Array.isArray(value)) return undefined;
  if (typeof value === "number" && !(Number.isInteger(value) && value >= minimum && value <= maximum)) return undefined;
  if (typeof value === "string" && options !== undefined && !options.includes(value)) return undefined;
  if (takes !== undefined && !takes(value)) return undefined;
  return value as SettingTypes[K];
}

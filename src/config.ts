/** The only reader and writer of settings. What it hands out is checked and frozen. */
import * as vscode from "vscode";
import type { ProgressPlace, SettingKey, SettingTypes } from "./contributions";
import { checkedSetting, section, settings } from "./contributions";
import { unlimited } from "./mail/index";
import type { Account, CsvOptions, Pace } from "./mail/index";

/** Where a setting stands: the nearer level wins. `workspaceFolder` exists in workspaces of several folders only. */
export type Level = "user" | "workspace" | "workspaceFolder";

/** The settings that steer everything but accounts and pace. */
export interface Settings {
  /** Account id, or empty for the automatic choice. */
  readonly defaultAccount: string;
  /** Absolute path, or empty for the place made from the home directory. Never a workspace's value. */
  readonly stateDirectory: string;
  readonly progress: ProgressPlace;
  readonly codeLens: boolean;
  readonly csv: CsvOptions;
  /** What the settings alone say: milliseconds between messages, and connections. `readPace` says what holds. */
  readonly sending: { readonly delay: number; readonly connections: number };
}

/** The accounts of one level as written there, unchecked. */
export interface LevelAccounts {
  readonly level: Level;
  readonly accounts: Readonly<Record<string, unknown>>;
}

/** Where the settings of a scope come from. */
export interface Place {
  /** Identity of the level's owner: a folder's or workspace file's URI; empty for the user. */
  readonly owner: string;
  /** Absolute path of the folder that relative paths of accounts start from; undefined without a folder. */
  readonly root: string | undefined;
}

/** What accounts need of the settings: a port, so that their rules can be tested without an editor. */
export interface AccountSettings<Scope> {
  /** Every level that holds accounts, nearest first. Never merged: VS Code's own merge would mix objects of two levels. */
  read(scope: Scope): readonly LevelAccounts[];
  /** Replaces the accounts of one level. Rejects with VS Code's reason when the settings file cannot be written. */
  write(scope: Scope, level: Level, accounts: Readonly<Record<string, unknown>>): Promise<void>;
  defaultAccount(scope: Scope): string;
  writeDefaultAccount(scope: Scope, level: Level, id: string): Promise<void>;
  place(scope: Scope, level: Level): Place;
  /** The levels that can be written here, nearest first. */
  levels(scope: Scope): readonly Level[];
  /** VS Code's `http.proxy` as the person set it; a workspace has no say in where a password goes. Empty for none. */
  httpProxy(): string;
}

/** Anything whose folder decides: a campaign, a folder, or undefined for the first folder. */
export type SettingsScope = vscode.Uri | undefined;

/** Reads the settings that hold for `scope`. A value of the wrong type or out of bounds counts as its default. */
export function readSettings(scope?: SettingsScope): Settings {
  return Object.freeze({
    defaultAccount: read("defaultAccount", scope),
    stateDirectory: userValue("stateDirectory"),
    progress: read("progress", scope),
    codeLens: read("codeLens", scope),
    csv: Object.freeze({
      delimiter: read("csv.delimiter", scope) as CsvOptions["delimiter"],
      encoding: read("csv.encoding", scope),
    }),
    sending: Object.freeze({ delay: read("sending.delay", scope), connections: read("sending.connections", scope) }),
  });
}

/**
 * How fast and how stubbornly a run may go. The account's own limits win over the settings; for an account of the user's
 * own, a workspace may slow it down and never speed it up. Undefined is the sandbox: as fast as it goes.
 */
export function readPace(account: Account | undefined, level: Level, scope?: SettingsScope): Pace {
  const tightened = (key: PaceKey, tighter: (mine: number, theirs: number) => number): number =>
    level === "user" ? tighter(userValue(key), workspaceValue(key, scope) ?? userValue(key)) : read(key, scope);
  const retries = {
    maxAttempts: tightened("retry.maxAttempts", Math.min),
    retryInitialDelay: tightened("retry.initialDelay", Math.max),
    retryMaxDelay: tightened("retry.maxDelay", Math.max),
    // 0 never pauses, so it is the loosest of all.
    pauseAfterFailures: tightened("pauseAfterFailures", (mine, theirs) =>
      mine === 0 ? theirs : theirs === 0 ? mine : Math.min(mine, theirs),
    ),
  };
  if (account === undefined) return Object.freeze({ delay: 0, connections: 1, ...unlimited, ...retries });
  const own = level === "user";
  const delay = account.limits.delay ?? (own ? userValue("sending.delay") : read("sending.delay", scope));
  const connections =
    account.limits.connections ?? (own ? userValue("sending.connections") : read("sending.connections", scope));
  const slower = own ? workspaceValue("sending.delay", scope) : undefined;
  const fewer = own ? workspaceValue("sending.connections", scope) : undefined;
  return Object.freeze({
    delay: Math.max(delay, slower ?? 0),
    connections: Math.min(connections, fewer ?? connections),
    ...unlimited,
    ...retries,
  });
}

type PaceKey = "retry.maxAttempts" | "retry.initialDelay" | "retry.maxDelay" | "pauseAfterFailures";

/** Calls `listener` whenever one of our settings or the proxy of VS Code changes, by whatever hand. */
export function onDidChangeSettings(listener: () => void): vscode.Disposable {
  return vscode.workspace.onDidChangeConfiguration((event) => {
    if (event.affectsConfiguration(section) || event.affectsConfiguration("http.proxy")) listener();
  });
}

/** The accounts' settings in this VS Code. */
export const accountSettings: AccountSettings<SettingsScope> = {
  read: (scope) => {
    const found = configuration(scope).inspect<unknown>("accounts");
    const levels: readonly (readonly [Level, unknown])[] = [
      ["workspaceFolder", severalFolders() ? found?.workspaceFolderValue : undefined],
      ["workspace", found?.workspaceValue],
      ["user", found?.globalValue],
    ];
    return levels.flatMap(([level, value]) => (isRecord(value) ? [{ level, accounts: plain(value) }] : []));
  },
  write: async (scope, level, accounts) => {
    const value = Object.keys(accounts).length === 0 ? undefined : accounts;
    await configuration(scope).update("accounts", value, target(level));
  },
  defaultAccount: (scope) => read("defaultAccount", scope),
  writeDefaultAccount: async (scope, level, id) => {
    // A nearer level that already names one would win: then that is the place to change.
    const found = configuration(scope).inspect<string>("defaultAccount");
    const nearer =
      severalFolders() && found?.workspaceFolderValue !== undefined
        ? "workspaceFolder"
        : level === "user" && found?.workspaceValue !== undefined
          ? "workspace"
          : level;
    await configuration(scope).update("defaultAccount", id === "" ? undefined : id, target(nearer));
  },
  place: (scope, level) => {
    const folder = folderOf(scope);
    const root = folder?.uri.scheme === "file" ? folder.uri.fsPath : undefined;
    switch (level) {
      case "user":
        return { owner: "", root };
      case "workspace":
        return { owner: (vscode.workspace.workspaceFile ?? folder?.uri)?.toString() ?? "", root };
      case "workspaceFolder":
        return { owner: folder?.uri.toString() ?? "", root };
    }
  },
  levels: (scope) =>
    // Without trust VS Code hides what a workspace sets here: writing would replace what cannot be seen.
    folderOf(scope) === undefined || !vscode.workspace.isTrusted
      ? ["user"]
      : severalFolders()
        ? ["workspaceFolder", "workspace", "user"]
        : ["workspace", "user"],
  httpProxy: () => {
    const value = vscode.workspace.getConfiguration("http").inspect<unknown>("proxy")?.globalValue;
    return typeof value === "string" ? value : "";
  },
};

function configuration(scope: SettingsScope): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration(section, folderOf(scope)?.uri);
}

/** VS Code warns in its log when a setting of the whole window is read for a resource. */
function configurationFor(key: SettingKey, scope: SettingsScope): vscode.WorkspaceConfiguration {
  return settings[key].scope === "resource" ? configuration(scope) : vscode.workspace.getConfiguration(section);
}

function folderOf(scope: SettingsScope): vscode.WorkspaceFolder | undefined {
  const own = scope === undefined ? undefined : vscode.workspace.getWorkspaceFolder(scope);
  return own ?? vscode.workspace.workspaceFolders?.[0];
}

/** In a workspace of one folder, VS Code reports the folder's settings at both levels: there is only one. */
function severalFolders(): boolean {
  return vscode.workspace.workspaceFile !== undefined;
}

function target(level: Level): vscode.ConfigurationTarget {
  switch (level) {
    case "user":
      return vscode.ConfigurationTarget.Global;
    case "workspace":
      return vscode.ConfigurationTarget.Workspace;
    case "workspaceFolder":
      return vscode.ConfigurationTarget.WorkspaceFolder;
  }
}

function read<K extends SettingKey>(key: K, scope: SettingsScope): SettingTypes[K] {
  return checkedSetting(key, configurationFor(key, scope).get<unknown>(key)) ?? settings[key].default;
}

function userValue<K extends SettingKey>(key: K): SettingTypes[K] {
  const found = vscode.workspace.getConfiguration(section).inspect<unknown>(key);
  return checkedSetting(key, found?.globalValue) ?? settings[key].default;
}

function workspaceValue<K extends SettingKey>(key: K, scope: SettingsScope): SettingTypes[K] | undefined {
  const found = configurationFor(key, scope).inspect<unknown>(key);
  return checkedSetting(key, found?.workspaceFolderValue ?? found?.workspaceValue);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A copy without VS Code's proxies, frozen. */
function plain(value: Record<string, unknown>): Readonly<Record<string, unknown>> {
  return Object.freeze(JSON.parse(JSON.stringify(value)) as Record<string, unknown>);
}

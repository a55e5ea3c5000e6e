/** The only reader and writer of settings. What it hands out is checked and frozen. */
import * as vscode from "vscode";
import type { ProgressPlace, SettingKey, SettingTypes } from "./contributions";
import { checkedSetting, section, settings } from "./contributions";
import { defaultLimits, paceFrom, providers } from "./mail/index";
import type { Account, CsvOptions, Limits, Pace, PaceReader, PaceSettings } from "./mail/index";
import { HumanError } from "./notify";

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
  /** Days that records are kept; 0 is for ever. Never a workspace's value. */
  readonly historyRetention: number;
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
    historyRetention: userValue("history.retention"),
  });
}

/**
 * How fast and how stubbornly a run may go, by `paceFrom`. Undefined is the sandbox: as fast as it goes. Throws `HumanError`
 * for a value that a setting cannot have: its default would be looser than what somebody meant.
 */
export function readPace(account: Account | undefined, level: Level, scope?: SettingsScope): Pace {
  return Object.freeze(paceFrom(account, paceReader(level, scope)));
}

/** What an account of each provider is limited to when it says nothing itself, by the provider's id, and the Gmail API. Never throws. */
export function readDefaultLimits(): Readonly<Record<string, Limits>> {
  const get: PaceReader["get"] = (key) => read(key, undefined);
  const byServer = providers.map(({ id }) => [id, defaultLimits(id, { get })] as const);
  return { ...Object.fromEntries(byServer), gmailApi: defaultLimits("gmail", { get }, "gmailApi") };
}

/** Settings are taken whole from one level: VS Code's own merge would mix the hours of two. */
function paceReader(level: Level, scope: SettingsScope): PaceReader {
  const own = level === "user";
  return {
    get: (key) =>
      (own ? undefined : written(key, scope, "workspace")) ?? written(key, scope, "user") ?? settings[key].default,
    tighter: (key) => (own ? written(key, scope, "workspace") : undefined),
  };
}

/** What a person or a workspace wrote, undefined where nothing. Throws `HumanError` where it cannot be used. */
function written<K extends keyof PaceSettings>(
  key: K,
  scope: SettingsScope,
  by: "user" | "workspace",
): PaceSettings[K] | undefined {
  const found = configurationFor(key, scope).inspect<unknown>(key);
  const value = by === "user" ? found?.globalValue : (found?.workspaceFolderValue ?? found?.workspaceValue);
  if (value === undefined) return undefined;
  const checked = checkedSetting(key, plainValue(value));
  if (checked === undefined)
    throw new HumanError(`The setting ${section}.${key} has a value that it cannot have. Correct it, then send.`, {
      title: "Open Settings",
      run: () => vscode.commands.executeCommand("workbench.action.openSettings", `${section}.${key}`),
    });
  return checked;
}

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

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A copy without VS Code's proxies, frozen. */
function plain(value: Record<string, unknown>): Readonly<Record<string, unknown>> {
  return Object.freeze(plainValue(value) as Record<string, unknown>);
}

function plainValue(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}

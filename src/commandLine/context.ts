/** Where a command works: the campaign, its root, the settings that count and the state directory. */
import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { parse, printParseErrorCode, type ParseError } from "jsonc-parser";
import { checkedSetting, section, settings, type SettingKey, type SettingTypes } from "../contributions";
import {
  defaultStateDirectory,
  diskFiles,
  parseAccount,
  plainText,
  resolveProxy,
  senderOf,
  paceFrom,
  type Account,
  type CsvOptions,
  type Files,
  type Pace,
  type SenderDefaults,
} from "../mail/index";
import { Refusal, type Flags } from "./usage";

/** What accounts need of it. */
export interface AccountContext {
  readonly root: string;
  readonly stateDirectory: string;
  readonly settings: SettingsFile;
}

/** Everything that follows from the options and the campaign's place. */
export interface Context extends AccountContext {
  /** Absolute path of the campaign. */
  readonly file: string;
  readonly files: Files;
  readonly csv: CsvOptions;
}

/** Settings as a file holds them. */
export interface SettingsFile {
  /** Absolute path. */
  readonly file: string;
  /** True when a person named the file: then its accounts are that person's own. */
  readonly named: boolean;
  /** VS Code's `http.proxy` as it stands in the file, unchecked. */
  readonly httpProxy: unknown;
  get<K extends SettingKey>(key: K): SettingTypes[K];
}

/** Opens the context of a campaign. Throws `Refusal`. */
export async function openContext(campaign: string | undefined, flags: Flags): Promise<Context> {
  if (campaign === undefined) throw new Refusal("Name the campaign file, such as bulk-mail check hello.mail.md.");
  const file = path.resolve(campaign);
  if (!existsSync(file)) throw new Refusal(`${plainText(campaign)} does not exist.`);
  const context = openAccountContext(flags, path.dirname(file));
  return {
    ...context,
    file,
    files: await diskFiles(context.root),
    csv: {
      delimiter: context.settings.get("csv.delimiter") as CsvOptions["delimiter"],
      encoding: context.settings.get("csv.encoding"),
    },
  };
}

/** Opens the context of accounts alone, for work in `folder`. Throws `Refusal`. */
export function openAccountContext(flags: Flags, folder: string): AccountContext {
  const root = flags.root === undefined ? findRoot(folder) : path.resolve(flags.root);
  if (!existsSync(root)) throw new Refusal(`The root ${plainText(root)} does not exist.`);
  const settings = readSettingsFile(
    flags.settings === undefined ? path.join(root, ".vscode", "settings.json") : path.resolve(flags.settings),
    flags.settings !== undefined,
  );
  return { root, stateDirectory: stateDirectoryOf(flags, settings), settings };
}

/** `--state-dir`, else what a settings file says that a person named, else the user's own. A workspace has no say in it. */
export function stateDirectoryOf(flags: Flags, settingsFile?: SettingsFile): string {
  const option = flags["state-dir"];
  if (option !== undefined) return path.resolve(option);
  const setting = settingsFile?.named === true ? settingsFile.get("stateDirectory") : "";
  if (setting === "") return defaultStateDirectory();
  if (!path.isAbsolute(setting)) throw new Refusal(`${section}.stateDirectory must be an absolute path.`);
  return setting;
}

/** Whom the account with this id sends as, without a look at its proxy. Throws `Refusal` when it is missing or wrong. */
export function senderOfAccount(settingsFile: SettingsFile, id: string): SenderDefaults {
  return senderOf(writtenAccount(settingsFile, id));
}

/** The account with this id, its proxy resolved. Throws `Refusal` when it is missing or wrong. */
export function accountOf(settingsFile: SettingsFile, id: string): Account {
  return readAccount(settingsFile, id).account;
}

/** The password that `http.proxy` holds for the account's proxy, if it goes through that one. */
export function ownProxyPassword(settingsFile: SettingsFile, { id }: Account): string | undefined {
  return readAccount(settingsFile, id).proxyPassword;
}

function readAccount(
  settingsFile: SettingsFile,
  id: string,
): { readonly account: Account; readonly proxyPassword: string | undefined } {
  const value = writtenAccount(settingsFile, id);
  const { named, file, httpProxy } = settingsFile;
  // A workspace has no say in where VS Code's own traffic goes; without VS Code, nor has anybody who is not named.
  if (value.proxy === "vscode" && (!named || httpProxy === undefined))
    throw new Refusal(
      named
        ? `${plainText(id)} goes through VS Code's proxy, and ${file} does not say which: add http.proxy to it ("" for none), or write the proxy's address into the account.`
        : `${plainText(id)} goes through VS Code's proxy, which a workspace's own settings cannot name. Name a settings file that holds http.proxy with --settings, or write the proxy's address into the account.`,
    );
  const resolved = resolveProxy(value, httpProxy);
  if (resolved.kind === "wrong") throw new Refusal(`${plainText(id)}: ${resolved.problem.message}`);
  return resolved;
}

function writtenAccount(settingsFile: SettingsFile, id: string): Account {
  const accounts = settingsFile.get("accounts");
  if (!Object.hasOwn(accounts, id))
    throw new Refusal(
      `There is no account ${plainText(id)} in ${settingsFile.file}. Add it there, or use --account sandbox.`,
    );
  const { value, problems } = parseAccount(id, accounts[id]);
  if (value === undefined) throw new Refusal(problems.map(({ message }) => `${plainText(id)}: ${message}`).join("\n"));
  return value;
}

/** The pace of an account; undefined is the sandbox or a dry run, which wait for nothing. One file says it all: nobody tightens. */
export function paceOf(settingsFile: SettingsFile, account: Account | undefined): Pace {
  return paceFrom(account, { get: (key) => settingsFile.get(key), tighter: () => undefined });
}

/** The nearest folder above that looks like a project, else the campaign's own. */
function findRoot(folder: string): string {
  for (let at = folder; ; at = path.dirname(at)) {
    if (existsSync(path.join(at, ".vscode")) || existsSync(path.join(at, ".git"))) return at;
    if (at === path.dirname(at)) return folder;
  }
}

function readSettingsFile(file: string, named: boolean): SettingsFile {
  let values: Record<string, unknown> = {};
  if (existsSync(file)) {
    const errors: ParseError[] = [];
    const parsed: unknown = parse(readFileSync(file, "utf8"), errors, { allowTrailingComma: true });
    const [first] = errors;
    if (first !== undefined)
      throw new Refusal(
        `${file} is not valid: ${printParseErrorCode(first.error)} at character ${String(first.offset + 1)}.`,
      );
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed))
      values = parsed as Record<string, unknown>;
  } else if (named) throw new Refusal(`The settings file ${plainText(file)} does not exist.`);
  return {
    file,
    named,
    httpProxy: Object.hasOwn(values, "http.proxy") ? values["http.proxy"] : undefined,
    get: (key) => {
      const value = Object.hasOwn(values, `${section}.${key}`) ? values[`${section}.${key}`] : undefined;
      if (value === undefined) return settings[key].default;
      const checked = checkedSetting(key, value);
      if (checked === undefined) throw new Refusal(`${file}: ${section}.${key} has a value that it cannot have.`);
      return checked;
    },
  };
}

/** Reads an account of the settings as it would be used: its proxy resolved, its CA file read. */
import type { Account, AccountProblem, Endpoint } from "./mail/index";
import { endpointOf, FileError, parseAccount, readAuthorities, resolveProxy, sentence } from "./mail/index";

/** An account of the settings. */
export interface ReadAccount {
  /** Checked, with an address for a proxy; undefined when an error is among the problems. */
  readonly account: Account | undefined;
  readonly problems: readonly AccountProblem[];
  /** Of the CA file as it is now, hex; undefined without one. */
  readonly caSha256: string | undefined;
  /** What a secret of this account is bound to; undefined exactly when the account is. */
  readonly endpoint: Endpoint | undefined;
  /** The password that VS Code's own `http.proxy` brings along. */
  readonly proxyPassword: string | undefined;
}

/** What an account's settings rest on. */
export interface Grounds {
  /** The folder below which the CA file lies. */
  readonly root: string | undefined;
  /** The person's own `http.proxy`. */
  readonly httpProxy: string;
}

/** Everything about an account, and everything that is wrong with it. */
export async function readAccount(id: string, settings: unknown, { root, httpProxy }: Grounds): Promise<ReadAccount> {
  const parsed = parseAccount(id, settings);
  const nothing = { account: undefined, caSha256: undefined, endpoint: undefined, proxyPassword: undefined };
  if (parsed.value === undefined) return { ...nothing, problems: parsed.problems };
  const proxied = resolveProxy(parsed.value, httpProxy);
  const ca = await readCa(parsed.value, root);
  const wrong = [
    ...(proxied.kind === "wrong" ? [proxied.problem] : []),
    ...(ca.problem === undefined ? [] : [ca.problem]),
  ];
  const problems = [...parsed.problems, ...wrong];
  if (proxied.kind === "wrong" || ca.problem !== undefined) return { ...nothing, problems };
  const { account, proxyPassword } = proxied;
  return { account, problems, caSha256: ca.sha256, endpoint: endpointOf(account, ca.sha256), proxyPassword };
}

async function readCa(
  account: Account,
  root: string | undefined,
): Promise<{ readonly sha256: string | undefined; readonly problem?: AccountProblem }> {
  try {
    return { sha256: (await readAuthorities(account, root))?.sha256 };
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const path = account.tls.caFile;
    const code = `account.ca.${error.reason}` as const;
    const message = sentence(code, { path, detail: error.detail });
    return { sha256: undefined, problem: { code, severity: "error", field: "tls.caFile", message } };
  }
}

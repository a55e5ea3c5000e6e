/** VS Code's own proxy in place of `proxy: "vscode"`: hosts resolve it before an account is hashed, approved or used. */
import type { Account, AccountProblem } from "./account";
import type { ProblemCode } from "./problems";
import { sentence } from "./problems";

/** An account whose proxy is an address or empty, or why it is neither. */
export type ResolvedProxy =
  /** `proxyPassword` is what the setting holds for the account's `proxyUser`; it is never shown, stored or hashed. */
  | { readonly kind: "resolved"; readonly account: Account; readonly proxyPassword: string | undefined }
  | { readonly kind: "wrong"; readonly problem: AccountProblem };

/**
 * Puts the value of `http.proxy` in the place of `vscode`; any other account comes back as it is. User info (RFC 3986 §3.2.1) is
 * split off: a `proxyUser` of the account's own wins, and gets the setting's password only when it is the same user.
 */
export function resolveProxy(account: Account, httpProxy: unknown): ResolvedProxy {
  if (account.proxy !== "vscode") return { kind: "resolved", account, proxyPassword: undefined };
  if (httpProxy === undefined || httpProxy === null || httpProxy === "")
    return { kind: "resolved", account: { ...account, proxy: "", proxyUser: "" }, proxyPassword: undefined };
  const url = typeof httpProxy === "string" && URL.canParse(httpProxy.trim()) ? new URL(httpProxy.trim()) : undefined;
  if (url?.protocol === "https:") return wrong("account.proxy.httpProxy.https");
  const scheme = schemes[url?.protocol ?? ""];
  const bare = url !== undefined && /^\/?$/.test(url.pathname) && url.search === "" && url.hash === "";
  if (scheme === undefined || !bare || url.hostname === "") return wrong("account.proxy.httpProxy");
  const user = decoded(url.username);
  const password = decoded(url.password);
  const proxyUser = account.proxyUser === "" ? user : account.proxyUser;
  // It becomes a line of a handshake: RFC 1929 §2 and RFC 7617 §2 know no control characters.
  if (/\p{Cc}/u.test(proxyUser + password)) return wrong("account.proxy.httpProxy");
  return {
    kind: "resolved",
    account: { ...account, proxy: `${scheme}//${url.host}`, proxyUser },
    proxyPassword: password !== "" && proxyUser === user ? password : undefined,
  };
}

/** The spellings that VS Code takes for the two kinds of proxy that we speak to. */
const schemes: Readonly<Record<string, string>> = {
  "http:": "http:",
  "socks:": "socks5:",
  "socks5:": "socks5:",
  "socks5h:": "socks5:",
};

function wrong(code: Extract<ProblemCode, `account.proxy.httpProxy${string}`>): ResolvedProxy {
  return { kind: "wrong", problem: { code, severity: "error", field: "proxy", message: sentence(code) } };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

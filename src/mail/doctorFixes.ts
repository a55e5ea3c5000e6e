/** From a failed step to what mends it: the cause in plain words, and fixes that a host makes into buttons. */
import type { Account } from "./account";
import { ownFailures, type Failure } from "./classify";
import { say } from "./failureSentences";
import type { DoctorFix, DoctorStepName } from "./diagnosis";
import { oauthProviderOf } from "./oauthProviders";
import { providerById, type Provider, type ServerPort } from "./providers";

/** What is known of a failure. */
export interface Findings {
  readonly account: Account;
  readonly failure: Failure;
  readonly step: DoctorStepName;
  /** Ports of the same host that do answer. */
  readonly answering: readonly ServerPort[];
  /** Ports that were tried for that. */
  readonly probed: readonly ServerPort[];
  /** Whether the port expects TLS from the start. */
  readonly tlsAtOnce: boolean;
}

/** The sentence and the fixes of a failed step. */
export function fixesOf(findings: Findings): { readonly text: string; readonly fixes: readonly DoctorFix[] } {
  const { account, failure, step } = findings;
  switch (step) {
    case "dns":
      return { text: failure.text, fixes: [...hostFixes(account, "Correct the host name"), proxyFix(account)] };
    case "proxy":
      return {
        text: failure.text,
        fixes:
          failure.systemCode === "EPROXYAUTH"
            ? [
                field("Correct the proxy's user name", "proxyUser"),
                field("Enter the proxy's password again", "proxyPassword"),
              ]
            : [
                field("Correct the proxy", "proxy"),
                { kind: "set", title: "Connect without a proxy", values: { proxy: "" } },
              ],
      };
    case "tcp":
    case "greeting":
      return network(findings);
    case "starttls":
      return encryption(findings);
    case "certificate":
      return { text: failure.text, fixes: certificate(account, failure) };
    case "auth":
      return {
        text: failure.text,
        fixes: account.auth === "oauth2" ? token(account, failure) : password(account, failure),
      };
    case "sender":
      return { text: failure.text, fixes: failure.class === "account" ? senderFixes(failure) : [] };
    default:
      return { text: failure.text, fixes: [] };
  }
}

function network({ account, failure, step, answering, probed, tlsAtOnce }: Findings): ReturnType<typeof fixesOf> {
  if (tlsAtOnce)
    return {
      text: "This port expects TLS from the start, and the account waits for STARTTLS. Use TLS on this port.",
      fixes: [set(`Use TLS on port ${String(account.port)}`, { security: "tls" })],
    };
  const fixes = answering.map(portFix);
  if (failure.code !== undefined) return { text: failure.text, fixes: [] };
  if (fixes.length > 0)
    return {
      text: `${failure.text} The same server does answer on port ${answering.map(({ port }) => String(port)).join(" and ")}.`,
      fixes,
    };
  const others = probed.filter(({ port }) => port !== account.port).map(({ port }) => String(port));
  const blocked =
    others.length === 0
      ? ""
      : ` Nor does it answer on ${others.join(", ")}: when the host name is right, a firewall or the internet provider blocks mail. Try another network, a VPN, or a proxy.`;
  return {
    text: `${failure.text}${blocked}`,
    fixes: [...(step === "tcp" ? hostFixes(account, "Correct host and port") : []), proxyFix(account)],
  };
}

function encryption({ account, failure, answering }: Findings): ReturnType<typeof fixesOf> {
  if (account.transport === "gmailApi") return { text: failure.text, fixes: [proxyFix(account)] };
  if (account.security === "tls" && /WRONG_VERSION|EPROTO|PACKET_LENGTH/.test(failure.systemCode ?? ""))
    return {
      text: "This port does not speak TLS from the start. Use STARTTLS on it, or port 465 with TLS.",
      fixes: [
        set(`Use STARTTLS on port ${String(account.port)}`, { security: "starttls" }),
        ...answering.filter(({ security }) => security === "tls").map(portFix),
      ],
    };
  if (account.tls.minVersion === "TLSv1.3" && failure.systemCode?.includes("PROTOCOL") === true)
    return { text: failure.text, fixes: [set("Allow TLS 1.2", { "tls.minVersion": "TLSv1.2" })] };
  if (account.security === "starttls" && failure.text.includes("no encryption"))
    return {
      text: `${failure.text} If this server did offer it before, something between you and it takes the offer away: do not sign in from this network.`,
      fixes: answering.filter(({ security }) => security === "tls").map(portFix),
    };
  return { text: failure.text, fixes: [] };
}

/** The name on a certificate is never taken over by a click: whoever sits in between would choose it. */
function certificate(account: Account, { systemCode = "" }: Failure): readonly DoctorFix[] {
  if (systemCode.includes("ALTNAME"))
    return [
      ...hostFixes(account, "Correct the host name"),
      ...(account.auth === "oauth2" ? [] : [field("Set the name on the certificate", "tls.servername")]),
    ];
  // Only who is not known can become known by a CA file: not who is expired or revoked.
  return /SELF_SIGNED|^UNABLE_TO|^CERT_UNTRUSTED$/.test(systemCode) ? [field("Trust this CA file…", "tls.caFile")] : [];
}

function password(account: Account, { text }: Failure): readonly DoctorFix[] {
  const provider = providerById(account.provider);
  const enter: readonly DoctorFix[] = [
    field("Enter the password again", "password"),
    field("Correct the user name", "user"),
  ];
  const page = provider === undefined ? [] : pageOf(provider);
  if (text.includes("offers no sign-in"))
    // Never a click to go without: whoever took the offer away would have it so.
    return [field("Check port and encryption", "security")];
  const label = oauthProviderOf(account)?.label;
  const isRetired = text === ownFailures.noPasswordAuth.text || text === say.basicOff;
  const browser = isRetired && label !== undefined ? [set(`Sign in with ${label} instead`, { auth: "oauth2" })] : [];
  return [...browser, ...page, ...enter];
}

/** Nothing to type: a token comes from signing in, where that helps. */
function token(account: Account, { text, signIn, class: kind }: Failure): readonly DoctorFix[] {
  if (signIn === true)
    return [{ kind: "signIn", title: `Sign in with ${oauthProviderOf(account)?.label ?? "the provider"}` }];
  if (text === ownFailures.noTokenAuth.text) return [field("Check port and encryption", "security")];
  if (kind === "offline") return [proxyFix(account)];
  const provider = providerById(account.provider);
  return provider?.helpUrl === undefined ? [] : [helpPage(provider.label, provider.helpUrl)];
}

/** Who signs in with a token has no other host than the provider's own. */
function hostFixes({ auth }: Account, title: string): readonly DoctorFix[] {
  return auth === "oauth2" ? [] : [field(title, "host")];
}

function senderFixes({ code }: Failure): readonly DoctorFix[] {
  return code === 530 ? [field("Set a sign-in", "auth")] : [field("Change the sender", "from")];
}

/** Where the provider makes the password for sending, else where it explains. */
function pageOf({ label, appPasswordUrl, helpUrl, passwordHint }: Provider): readonly DoctorFix[] {
  if (appPasswordUrl !== undefined) {
    const title = /app(?:-specific)? password/i.test(passwordHint)
      ? "Create an app password"
      : `Create the password at ${label}`;
    return [{ kind: "open", title, url: appPasswordUrl }];
  }
  return helpUrl === undefined ? [] : [helpPage(label, helpUrl)];
}

function helpPage(label: string, url: string): DoctorFix {
  return { kind: "open", title: `What ${label} asks for`, url };
}

function portFix({ port, security }: ServerPort): DoctorFix {
  return set(`Use port ${String(port)} with ${security === "tls" ? "TLS" : "STARTTLS"}`, { port, security });
}

function proxyFix({ proxy }: Account): DoctorFix {
  return proxy === "" ? field("Set a proxy", "proxy") : field("Change the proxy", "proxy");
}

function field(title: string, name: string): DoctorFix {
  return { kind: "field", title, field: name };
}

function set(title: string, values: Readonly<Record<string, string | number | boolean>>): DoctorFix {
  return { kind: "set", title, values };
}

/**
 * Who signs people in, as data: the endpoints of Google and Microsoft and what is asked of them. Constants on purpose: whoever could change
 * an endpoint would be handed the keys to a mailbox.
 */
import type { Account } from "./account";
import { providerById, type OAuthProviderId } from "./providers";

/** A provider that signs in with OAuth 2.0 (RFC 6749, RFC 8252 for programs on a person's own machine). */
export interface OAuthProvider {
  readonly id: OAuthProviderId;
  /** For people. */
  readonly label: string;
  readonly authorizationUrl: string;
  readonly tokenUrl: string;
  /** RFC 7009; absent where the provider has no such thing. */
  readonly revokeUrl?: string;
  /** Where the browser comes back to, on a free port and with no path: what the provider takes for this machine. */
  readonly redirectHost: "127.0.0.1" | "localhost";
  /** Parameters of the authorization request that are the provider's own. */
  readonly extra: Readonly<Record<string, string>>;
  /** Asked for beside what sends: who it is that signed in, and a token that outlives the hour. */
  readonly identityScopes: readonly string[];
  /** By transport: what sends. The first one is asked for; any of them is enough. */
  readonly sendScopes: Readonly<Record<Account["transport"], readonly string[]>>;
  /** Where people see and end what they allowed. */
  readonly permissionsUrl: string;
  /** The same by the account's provider, where it is another page for some. */
  readonly permissionsUrls?: Readonly<Record<string, string>>;
}

const gmailSend = "https://www.googleapis.com/auth/gmail.send";
const wholeGmail = "https://mail.google.com/";
const smtpSend = "https://outlook.office.com/SMTP.Send";

/** The providers by id. */
export const oauthProviders: Readonly<Record<OAuthProviderId, OAuthProvider>> = {
  // https://developers.google.com/identity/protocols/oauth2/native-app
  google: {
    id: "google",
    label: "Google",
    authorizationUrl: "https://accounts.google.com/o/oauth2/v2/auth",
    tokenUrl: "https://oauth2.googleapis.com/token",
    revokeUrl: "https://oauth2.googleapis.com/revoke",
    redirectHost: "127.0.0.1",
    // Without the question Google gives no refresh token to who was signed in before.
    extra: { access_type: "offline", prompt: "consent" },
    identityScopes: ["openid", "email"],
    sendScopes: { gmailApi: [gmailSend, wholeGmail], smtp: [wholeGmail] },
    permissionsUrl: "https://myaccount.google.com/permissions",
  },
  // https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
  microsoft: {
    id: "microsoft",
    label: "Microsoft",
    authorizationUrl: "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
    tokenUrl: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
    redirectHost: "localhost",
    extra: {},
    // The name that a work account signs in with comes with `profile` only, and need not be its mail address.
    identityScopes: ["offline_access", "openid", "email", "profile"],
    sendScopes: { gmailApi: [], smtp: [smtpSend] },
    permissionsUrl: "https://account.microsoft.com/privacy/app-access",
    // That page knows personal accounts only; here each program has “Manage your application”, where consent is taken back.
    permissionsUrls: { microsoft365: "https://myapps.microsoft.com" },
  },
};

/** Who signs in the people of an account; undefined where its provider has no such sign-in. */
export function oauthProviderOf({ provider }: Pick<Account, "provider">): OAuthProvider | undefined {
  const id = providerById(provider)?.oauth;
  return id === undefined ? undefined : oauthProviders[id];
}

/** Where the person of an account sees and ends what was allowed; empty where nobody signs in. */
export function permissionsUrlOf(account: Pick<Account, "provider">): string {
  const provider = oauthProviderOf(account);
  return provider?.permissionsUrls?.[account.provider] ?? provider?.permissionsUrl ?? "";
}

/** The scopes to ask for, so that the account can send. */
export function scopesFor({ transport }: Pick<Account, "transport">, provider: OAuthProvider): readonly string[] {
  return [...provider.sendScopes[transport].slice(0, 1), ...provider.identityScopes];
}

/** Whether what was granted is enough to send with. Providers write scopes in any case. */
export function canSend(
  { transport }: Pick<Account, "transport">,
  provider: OAuthProvider,
  granted: readonly string[],
): boolean {
  const have = new Set(granted.map((scope) => scope.toLowerCase()));
  return provider.sendScopes[transport].some((scope) => have.has(scope.toLowerCase()));
}

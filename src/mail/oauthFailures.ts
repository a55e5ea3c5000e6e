/** What it means that a sign-in with OAuth failed, as data: RFC 6749 §4.1.2.1 and §5.2, and the providers' own codes. First match wins. */
import type { Failure, OutcomeClass } from "./classify";
import type { OAuthProvider } from "./oauthProviders";
import { quote } from "./problems";
import type { OAuthProviderId } from "./providers";

/** What was asked for: the browser's consent, tokens for its code, or another access token for a refresh token. */
export type OAuthStep = "consent" | "code" | "refresh";

/** One row of the table; every condition that stands must hold. */
export interface OAuthRule {
  /** Tested against `error`. */
  readonly error: RegExp;
  /** Tested against the provider's words: `error_subtype` and `error_description`. */
  readonly words?: RegExp;
  readonly provider?: OAuthProviderId;
  readonly steps?: readonly OAuthStep[];
  readonly class: OutcomeClass;
  /** Signing in again is what helps. */
  readonly signIn?: true;
  readonly text: string;
}

const resume = "then resume: whoever has the message stays out.";
const anything = /^/;

/** Our sentences: the cause and the next step. `PROVIDER` is its name. */
const say = {
  revokedGoogle: `PROVIDER no longer takes this sign-in: it was taken back, the password was changed, or it is older than 7 days in a project whose publishing status is Testing. Sign in again, ${resume} If that happens every week, set the project to In production in the Google Cloud console.`,
  revokedMicrosoft: `PROVIDER no longer takes this sign-in: it was taken back, the password was changed, or it was not used for 90 days. Sign in again, ${resume}`,
  again: `PROVIDER wants to see you sign in again, as your organisation's rules say. Sign in again, ${resume}`,
  code: "The answer of the browser was used already, or came too late. Sign in once more.",
  client:
    "PROVIDER does not know the OAuth client, or not with this secret. Look whether it still exists, then sign in again and give it anew.",
  disabled:
    "The OAuth client was switched off at PROVIDER. Switch it on there, or give another one, then sign in again.",
  publicClient:
    "The app registration at PROVIDER takes no sign-in from programs. In its Authentication allow public client flows and add http://localhost as Mobile and desktop application, then sign in again.",
  audience:
    "The app registration at PROVIDER does not let accounts of this kind sign in. Let it support any organisational directory and personal accounts, then sign in again.",
  secretMissing: "PROVIDER wants the client's secret too. Give the whole JSON file of the client, then sign in again.",
  deniedGoogle:
    "PROVIDER was not allowed to let Bulk Mail send. Sign in again and allow it; while the project's publishing status is Testing, your address must stand among its test users.",
  denied: "PROVIDER was not allowed to let Bulk Mail send. Sign in again and allow it.",
  admin:
    "The rules of your organisation do not let this OAuth client send mail. Ask its administrator to allow the client, or use another account.",
  scope:
    "PROVIDER does not give the right to send to this OAuth client. Look at the client's scopes and, at Google, whether the Gmail API is switched on; then sign in again.",
  redirect:
    "PROVIDER does not know the address where the browser comes back to. The client must be of the type Desktop app (Google) or have http://localhost among its Mobile and desktop applications (Microsoft).",
  slow: "PROVIDER asks to slow down with signing in. The run goes on by itself after a pause.",
  busy: "PROVIDER cannot give an access token now. It is tried again.",
  dialogue:
    "PROVIDER does not accept how we ask for the sign-in. Sign in again; if that does not help, make a new client.",
} as const;

/** The table. */
export const oauthRules: readonly OAuthRule[] = [
  // https://learn.microsoft.com/entra/identity-platform/reference-error-codes
  { error: anything, words: /AADSTS50011\b|redirect_uri/i, class: "account", text: say.redirect },
  { error: anything, words: /AADSTS(?:7000218|700025|9002327)\b/, class: "account", text: say.publicClient },
  { error: anything, words: /AADSTS(?:700016|50020|50194|500207)\b/, class: "account", text: say.audience },
  { error: anything, words: /AADSTS(?:90094|90095|50105|53003)\b/, class: "account", text: say.admin },
  { error: anything, words: /AADSTS65001\b/, class: "account", signIn: true, text: say.denied },
  {
    error: anything,
    words: /AADSTS(?:50076|50079|50158)\b/,
    steps: ["refresh"],
    class: "account",
    signIn: true,
    text: say.again,
  },
  { error: /^redirect_uri_mismatch$/, class: "account", text: say.redirect },
  // Google Workspace's session length: "reauth related error (invalid_rapt)".
  { error: /^invalid_grant$/, words: /invalid_rapt|reauth/i, class: "account", signIn: true, text: say.again },
  { error: /^invalid_grant$/, steps: ["code"], class: "account", signIn: true, text: say.code },
  { error: /^invalid_grant$/, provider: "google", class: "account", signIn: true, text: say.revokedGoogle },
  { error: /^invalid_grant$/, class: "account", signIn: true, text: say.revokedMicrosoft },
  {
    error: /^(?:interaction|login|consent)_required$|^account_selection_required$/,
    class: "account",
    signIn: true,
    text: say.again,
  },
  { error: /^invalid_request$/, words: /client_secret/i, class: "account", signIn: true, text: say.secretMissing },
  { error: /^disabled_client$/, class: "account", signIn: true, text: say.disabled },
  { error: /^(?:invalid|deleted|unauthorized)_client$/, class: "account", signIn: true, text: say.client },
  { error: /^admin_policy_enforced$|^org_internal$/, class: "account", text: say.admin },
  { error: /^access_denied$/, provider: "google", class: "account", signIn: true, text: say.deniedGoogle },
  { error: /^access_denied$/, class: "account", signIn: true, text: say.denied },
  { error: /^invalid_scope$|^invalid_resource$/, class: "account", signIn: true, text: say.scope },
  { error: /^slow_down$|^(?:user_)?rate_?limit_?exceeded$/i, class: "throttled", text: say.slow },
  {
    error: /^(?:server_error|temporarily_unavailable|internal_failure|backend_?error)$/i,
    class: "offline",
    text: say.busy,
  },
  { error: anything, class: "account", signIn: true, text: say.dialogue },
];

/** What the table says about an `error` of RFC 6749 and the words that came with it. */
export function judgeOAuthError(
  provider: OAuthProvider,
  step: OAuthStep,
  error: string,
  words: string,
): Pick<Failure, "class" | "text" | "signIn"> {
  const rule = oauthRules.find(
    (candidate) =>
      candidate.error.test(error) &&
      (candidate.words?.test(words) ?? true) &&
      (candidate.provider === undefined || candidate.provider === provider.id) &&
      (candidate.steps?.includes(step) ?? true),
  );
  return verdict(provider, rule ?? { class: "account", text: say.dialogue });
}

/** What a status means whatever the body says: RFC 9110 §15.6, RFC 6585 §4. Undefined where the body decides. */
export function judgeOAuthStatus(
  provider: OAuthProvider,
  status: number,
): Pick<Failure, "class" | "text" | "signIn"> | undefined {
  if (status === 429) return verdict(provider, { class: "throttled", text: say.slow });
  if (status >= 500 || status === 408) return verdict(provider, { class: "offline", text: say.busy });
  return undefined;
}

/** What we find ourselves, without an `error` of the provider's. */
export const oauthFailures = {
  unreachable: ({ label }) => ({
    class: "offline",
    text: `${label}'s server for signing in is not reached. Check this machine's connection, and the account's proxy; it is tried again.`,
  }),
  intercepted: ({ label }) => ({
    class: "offline",
    text: `Something on the way answered in ${label}'s place, such as the sign-in page of this network. Open any page in the browser and see, then try again.`,
  }),
  notUnderstood: ({ label }) => ({
    class: "offline",
    text: `${label} gave no access token in its answer. It is tried again; if that does not help, sign in again.`,
  }),
  unticked: ({ label }) => ({
    class: "account",
    text: `${label} gave no right to send mail: its box was left unticked, or the sign-in was made for something else. Sign in again and leave every box ticked.`,
    signIn: true,
  }),
  fleeting: ({ label, permissionsUrl }) => ({
    class: "account",
    text: `${label} gave no refresh token, so the sign-in would end within the hour. Remove the client's access at ${permissionsUrl}, then sign in again.`,
    signIn: true,
  }),
  elsewhere: ({ label }) => ({
    class: "account",
    text: `The account is not one of ${label}, where it was signed in. Sign in again.`,
    signIn: true,
  }),
  refusedTwice: ({ label }) => ({
    class: "account",
    text: `The server refused two fresh access tokens of ${label} in a row. Check that the account's user is who signed in, and that the mailbox may send through it; then sign in again and resume: whoever has the message stays out.`,
    signIn: true,
  }),
} as const satisfies Record<string, (provider: OAuthProvider) => Pick<Failure, "class" | "text" | "signIn">>;

/** Somebody else signed in. Who that is are the provider's words, which our own sentence leaves out. */
export function wrongUser(signedIn: string, user: string): Pick<Failure, "class" | "text" | "signIn" | "reply"> {
  return {
    class: "account",
    text: "Somebody else signed in than this account is for. Sign in as the account's user, or correct its user in Bulk Mail: Accounts.",
    reply: `signed in as ${quote(signedIn)}, the account is for ${quote(user)}`,
    signIn: true,
  };
}

function verdict(
  { label }: OAuthProvider,
  rule: Pick<OAuthRule, "class" | "text" | "signIn">,
): Pick<Failure, "class" | "text" | "signIn"> {
  return {
    class: rule.class,
    text: rule.text.replaceAll("PROVIDER", label),
    ...(rule.signIn !== undefined && { signIn: rule.signIn }),
  };
}

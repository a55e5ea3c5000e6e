/** Every row of the table in `oauthFailures.ts`. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import type { OutcomeClass } from "../../src/mail/classify";
import {
  judgeOAuthError,
  judgeOAuthStatus,
  oauthFailures,
  oauthRules,
  type OAuthStep,
} from "../../src/mail/oauthFailures";
import { oauthProviders } from "../../src/mail/oauthProviders";
import type { OAuthProviderId } from "../../src/mail/providers";
import { repositoryRoot } from "../host/repo";

const rows: readonly (readonly [
  provider: OAuthProviderId,
  step: OAuthStep,
  error: string,
  words: string,
  expected: OutcomeClass,
  signIn: boolean,
  text: RegExp,
])[] = [
  ["google", "refresh", "invalid_grant", "Token has been expired or revoked.", "account", true, /7 days.*Testing/],
  ["google", "refresh", "invalid_grant", "Bad Request", "account", true, /7 days.*Testing/],
  ["google", "refresh", "invalid_grant", "invalid_rapt reauth related error (invalid_rapt)", "account", true, /rules/],
  ["google", "code", "invalid_grant", "Malformed auth code.", "account", true, /came too late/],
  ["google", "code", "redirect_uri_mismatch", "Bad Request", "account", false, /Desktop app/],
  ["google", "code", "invalid_request", "client_secret is missing.", "account", true, /secret too/],
  ["google", "refresh", "invalid_client", "Unauthorized", "account", true, /does not know the OAuth client/],
  ["google", "refresh", "deleted_client", "The OAuth client was deleted.", "account", true, /does not know/],
  ["google", "refresh", "disabled_client", "The OAuth client was disabled.", "account", true, /switched off/],
  ["google", "refresh", "unauthorized_client", "Unauthorized", "account", true, /does not know/],
  ["google", "consent", "access_denied", "", "account", true, /test users/],
  ["google", "consent", "admin_policy_enforced", "", "account", false, /administrator/],
  ["google", "consent", "org_internal", "", "account", false, /administrator/],
  ["google", "consent", "invalid_scope", "", "account", true, /right to send/],
  ["google", "refresh", "rate_limit_exceeded", "", "throttled", false, /slow down/],
  ["google", "refresh", "internal_failure", "", "offline", false, /tried again/],
  ["google", "consent", "server_error", "", "offline", false, /tried again/],
  ["google", "consent", "temporarily_unavailable", "", "offline", false, /tried again/],
  ["google", "code", "unsupported_grant_type", "", "account", true, /how we ask/],
  ["microsoft", "refresh", "invalid_grant", "AADSTS70008: expired due to inactivity.", "account", true, /90 days/],
  ["microsoft", "refresh", "invalid_grant", "AADSTS50076: you must use multi-factor", "account", true, /rules/],
  ["microsoft", "refresh", "interaction_required", "AADSTS50079", "account", true, /rules/],
  ["microsoft", "refresh", "invalid_grant", "AADSTS50173: The provided grant has expired", "account", true, /password/],
  ["microsoft", "refresh", "invalid_grant", "AADSTS65001: has not consented", "account", true, /not allowed/],
  [
    "microsoft",
    "code",
    "invalid_client",
    "AADSTS7000218: must contain client_secret",
    "account",
    false,
    /public client/,
  ],
  ["microsoft", "consent", "unauthorized_client", "AADSTS700016: not found", "account", false, /personal accounts/],
  ["microsoft", "consent", "invalid_request", "AADSTS50011: The redirect URI", "account", false, /http:\/\/localhost/],
  [
    "microsoft",
    "consent",
    "access_denied",
    "AADSTS65004: User declined",
    "account",
    true,
    /^Microsoft was not allowed/,
  ],
  ["microsoft", "consent", "access_denied", "AADSTS90094: admin", "account", false, /administrator/],
  ["microsoft", "consent", "consent_required", "", "account", true, /sign in again/],
  ["microsoft", "code", "invalid_scope", "AADSTS70011: scope is not valid", "account", true, /right to send/],
];

describe("what a failed sign-in means (R37)", () => {
  for (const [id, step, error, words, expected, signIn, text] of rows)
    it(`${id}, ${step}: ${error} ${words}`.trimEnd(), () => {
      const verdict = judgeOAuthError(oauthProviders[id], step, error, words);
      assert.equal(verdict.class, expected);
      assert.equal(verdict.signIn === true, signIn);
      assert.match(verdict.text, text);
    });

  it("has a row of this test for every row of the table", () => {
    const seen = new Set(
      rows.map(([id, step, error, words]) => {
        const { text } = judgeOAuthError(oauthProviders[id], step, error, words);
        return oauthRules.findIndex((rule) => rule.text.replaceAll("PROVIDER", oauthProviders[id].label) === text);
      }),
    );
    const texts = new Set(oauthRules.map(({ text }) => text));
    assert.equal(seen.size, texts.size);
  });

  it("ends with a row for everything", () => {
    for (const error of ["", "brand_new", "__proto__"])
      assert.match(judgeOAuthError(oauthProviders.google, "refresh", error, "").text, /how we ask/);
  });

  it("goes by the status first where the server has trouble of its own", () => {
    const judge = (status: number): string | undefined => judgeOAuthStatus(oauthProviders.google, status)?.class;
    assert.deepEqual([200, 400, 401, 403, 408, 429, 500, 503].map(judge), [
      undefined,
      undefined,
      undefined,
      undefined,
      "offline",
      "throttled",
      "offline",
      "offline",
    ]);
  });

  it("stands in TROUBLESHOOTING.md, every message as it is shown", () => {
    const page = readFileSync(path.join(repositoryRoot(), "TROUBLESHOOTING.md"), "utf8");
    const { google, microsoft } = oauthProviders;
    const shown = [
      ...oauthRules.map(({ text }) => [google, microsoft].map(({ label }) => text.replaceAll("PROVIDER", label))),
      ...Object.values(oauthFailures).map((failure) => [google, microsoft].map((one) => failure(one).text)),
    ];
    for (const texts of shown)
      assert.ok(
        texts.some((text) => page.includes(text)),
        texts[0],
      );
  });

  it("is a sentence of cause and one of next step, for each provider by its name", () => {
    const own = Object.values(oauthFailures).flatMap((failure) =>
      Object.values(oauthProviders).map((one) => failure(one)),
    );
    const judged = rows.map(([id, step, error, words]) => judgeOAuthError(oauthProviders[id], step, error, words));
    for (const { text } of [...own, ...judged]) {
      assert.match(text, /^[A-Z][^]*[.;:] [^]*\.$/);
      assert.doesNotMatch(text, /PROVIDER|undefined/);
    }
  });
});

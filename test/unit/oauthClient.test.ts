import assert from "node:assert/strict";
import fc from "fast-check";
import { parseOAuthClient } from "../../src/mail/oauthClient";
import { googleClientFile, knownClient } from "../fakes/signInServer";

const client = JSON.parse(googleClientFile) as { readonly installed: Readonly<Record<string, unknown>> };
const installed = (more: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({ installed: { ...client.installed, ...more } });

describe("the OAuth client that a person gives", () => {
  describe("of Google", () => {
    const good = { ok: true, client: { provider: "google", ...knownClient.google } };

    it("is the console's JSON file, with all that editors and clipboards put around it", () => {
      for (const text of [
        googleClientFile,
        `\ufeff${googleClientFile}\r\n`,
        JSON.stringify(client, undefined, 2),
        JSON.stringify({
          installed: {
            client_id: ` ${knownClient.google.clientId}`,
            client_secret: `${knownClient.google.clientSecret}\n`,
          },
        }),
      ])
        assert.deepEqual(parseOAuthClient("google", text), good);
    });

    const isNo = /[.!] .*[A-Z][^]*\.$/;
    for (const [name, text, sentence] of [
      ["nothing", " \n", /Nothing was given\./],
      ["a web client", JSON.stringify({ web: client.installed }), /type Web application.*type Desktop app/],
      ["a service account", JSON.stringify({ type: "service_account", private_key: "-----BEGIN" }), /service account/],
      ["an API key", `AIza${"x".repeat(35)}`, /is an API key/],
      ["the client's ID alone", knownClient.google.clientId, /ID alone.*secret too/],
      [
        "a sign-in of gcloud's",
        JSON.stringify({ type: "authorized_user", refresh_token: "1//x" }),
        /another program got/,
      ],
      ["half a file", googleClientFile.slice(0, 100), /not complete.*Download/],
      ["words", "my client", /not the JSON file/],
      ["another file", JSON.stringify({ name: "bulk-mail" }), /holds no OAuth client/],
      ["a list", "[1]", /not complete|no OAuth client/],
      ["a file without the secret", installed({ client_secret: undefined }), /no client secret.*new secret/],
      ["an empty secret", installed({ client_secret: "" }), /no client secret/],
      ["a client ID of Microsoft's", installed({ client_id: knownClient.microsoft.clientId }), /none of Google's/],
      [
        "other endpoints",
        installed({ token_uri: "https://oauth2.googleapis.com.evil.example/token" }),
        /other servers than Google's/,
      ],
      ["endpoints without TLS", installed({ auth_uri: "http://accounts.google.com/o/oauth2/auth" }), /other servers/],
      ["a prototype", '{"__proto__": {"installed": {"client_id": "1.apps.googleusercontent.com"}}}', /no OAuth client/],
      ["too much", `{"installed": "${"a".repeat(30_000)}"}`, /too long/],
    ] as const)
      it(`is not ${name}`, () => {
        const parsed = parseOAuthClient("google", text);
        assert.ok(!parsed.ok);
        assert.match(parsed.text, sentence);
        assert.match(parsed.text, isNo);
      });
  });

  describe("of Microsoft", () => {
    const good = { ok: true, client: { provider: "microsoft", ...knownClient.microsoft } };
    const { clientId } = knownClient.microsoft;

    it("is the application's number, bare or in JSON", () => {
      for (const text of [
        clientId,
        ` ${clientId.toUpperCase()}\n`,
        `"${clientId}"`,
        `{${clientId}}`,
        JSON.stringify({ client_id: clientId, client_secret: "not used" }),
      ])
        assert.deepEqual(parseOAuthClient("microsoft", text), good, text);
    });

    for (const [name, text, sentence] of [
      ["nothing", "", /Nothing was given/],
      ["a secret's value", `abc8Q~${"x".repeat(34)}`, /client secret, which is not needed/],
      ["Google's file", googleClientFile, /no client_id/],
      ["words", "Bulk Mail", /no application/],
      ["too much", "1".repeat(30_000), /too long/],
    ] as const)
      it(`is not ${name}`, () => {
        const parsed = parseOAuthClient("microsoft", text);
        assert.ok(!parsed.ok);
        assert.match(parsed.text, sentence);
      });
  });

  it("whatever is given, a client comes out that is one, or a sentence without what was given (R16)", () => {
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map((json) => `{"installed": ${json}}`),
      fc
        .dictionary(fc.constantFrom("client_id", "client_secret", "auth_uri", "__proto__"), fc.string())
        .map((one) => JSON.stringify({ installed: one, ...one })),
    );
    fc.assert(
      fc.property(fc.constantFrom("google", "microsoft"), texts, (provider, text) => {
        const parsed = parseOAuthClient(provider, text);
        if (parsed.ok) assert.match(parsed.client.clientId, /^[\x21-\x7e]+$/);
        else assert.match(parsed.text, /^[A-Z].*\.$/);
      }),
    );
    const secret = "GOCSPX-do-not-show-me";
    for (const text of [
      secret,
      installed({ client_secret: secret, client_id: "x" }),
      `{"web": {"client_secret": "${secret}"}}`,
    ])
      for (const provider of ["google", "microsoft"] as const)
        assert.doesNotMatch(JSON.stringify(parseOAuthClient(provider, text)), /do-not-show-me/);
  });
});

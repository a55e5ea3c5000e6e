/** The ways to an app registration at Microsoft, as the page and the panel tell them, against where we sign in. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { oauthProviders } from "../../src/mail/oauthProviders";
import { repositoryRoot } from "../host/repo";

const read = (...names: readonly string[]): string => readFileSync(path.join(repositoryRoot(), ...names), "utf8");
const guides = {
  page: read("docs", "sign-in-with-microsoft.md"),
  panel: read("src", "webview", "pages", "signInGuide.ts"),
};

describe("guides to a client of one's own (R6)", () => {
  for (const [name, text] of Object.entries(guides))
    it(`the ${name} names the one type of registration that Microsoft lets in where we sign in`, () => {
      // A registration for one organization ends there in AADSTS50194.
      const { authorizationUrl, tokenUrl } = oauthProviders.microsoft;
      for (const url of [authorizationUrl, tokenUrl]) assert.equal(new URL(url).pathname.split("/")[1], "common");
      assert.match(text, /Any Entra ID tenant \+ personal Microsoft accounts/);
      assert.match(text, /at work too|for a work address too/);
      assert.doesNotMatch(text, /\b(?:your own|only your|this) organi[sz]ation\b/i);
    });
});

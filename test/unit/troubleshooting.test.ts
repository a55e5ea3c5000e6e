import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { classify, ownFailures, type RawFailure } from "../../src/mail/classify";
import { say } from "../../src/mail/failureSentences";
import { HttpsError } from "../../src/mail/https";
import { httpsFailure } from "../../src/mail/httpsFailures";
import { gmailRules } from "../../src/mail/transports/gmailErrors";
import { repositoryRoot } from "../host/repo";

const root = repositoryRoot();
const page = readFileSync(path.join(root, "TROUBLESHOOTING.md"), "utf8");

/** Each topic of the requirements: the heading that it stands under, and the failures that belong to it. */
const topics: readonly (readonly [topic: string, heading: string, failures: readonly RawFailure[]])[] = [
  [
    "R37: signing in",
    "Signing in",
    [
      { stage: "auth", reply: "535 5.7.8 no" },
      { stage: "auth", reply: "534 5.7.9 no" },
      { stage: "auth", reply: "535 5.7.139 no" },
      { stage: "auth", reply: "535 5.7.139 SmtpClientAuthentication is disabled" },
      { stage: "mail", reply: "550 not your address" },
      { stage: "rcpt", reply: "554 5.7.1 relay access denied" },
    ],
  ],
  [
    "R37: signing in with an access token",
    "Signing in with the browser",
    [
      { stage: "auth", token: true, reply: "535 5.7.8 no" },
      { stage: "auth", token: true, reply: "534 5.7.14 no" },
      { stage: "auth", token: true, reply: "535 5.7.139 no" },
    ],
  ],
  [
    "R38, R42, R17: ports and blocks",
    "Ports and firewalls",
    [
      { stage: "connect", systemCode: "ECONNREFUSED" },
      { stage: "connect", systemCode: "ETIMEDOUT" },
      { stage: "greeting", reply: "554 no" },
      { stage: "greeting", reply: "421 later" },
    ],
  ],
  [
    "R39, R19: certificates",
    "Certificates and the clock",
    [
      { stage: "connect", systemCode: "DEPTH_ZERO_SELF_SIGNED_CERT" },
      { stage: "connect", systemCode: "ERR_TLS_CERT_ALTNAME_INVALID" },
      { stage: "connect", systemCode: "CERT_HAS_EXPIRED" },
      { stage: "connect", systemCode: "CERT_REVOKED" },
      { stage: "connect", systemCode: "ERR_SSL_UNSUPPORTED_PROTOCOL" },
      { stage: "connect", systemCode: "ERR_SSL_ANYTHING" },
    ],
  ],
  [
    "R40: names",
    "Names (DNS)",
    [
      { stage: "connect", systemCode: "ENOTFOUND" },
      { stage: "connect", systemCode: "EAI_AGAIN" },
      { stage: "connect", systemCode: "ENETUNREACH" },
    ],
  ],
  [
    "R41: proxies",
    "Proxies",
    [
      { stage: "connect", systemCode: "EPROXYDOWN" },
      { stage: "connect", systemCode: "EPROXYAUTH" },
      { stage: "connect", systemCode: "EPROXYTARGET" },
    ],
  ],
  ["R43: pace", "Too slow", []],
  ["R44: size", "Size and memory", [{ stage: "mail", reply: "552 5.3.4 too large" }]],
];

describe("TROUBLESHOOTING.md", () => {
  for (const [topic, heading, failures] of topics)
    it(`has ${topic}, with every message as it is shown`, () => {
      const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
      assert.notEqual(section, "");
      for (const failure of failures) {
        const { text } = classify(failure);
        assert.ok(section.includes(text), text);
      }
    });

  it("has R1: every message about the Gmail API", () => {
    const section = page.split(/^## /m).find((part) => part.startsWith("The Gmail API\n")) ?? "";
    const codes = ["ENOTFOUND", "SELF_SIGNED_CERT_IN_CHAIN", "CERT_HAS_EXPIRED", "EPROTO", "EPROXYTARGET", "ETIMEDOUT"];
    const unreached = codes.map((code) => httpsFailure(new HttpsError("connect", code), "gmail.googleapis.com").text);
    const general = new Set<string>([say.sender, say.tooLarge]);
    const told = gmailRules.map(({ text }) => text).filter((text) => !general.has(text));
    for (const text of [...told, ...unreached]) assert.ok(section.includes(text), text);
  });

  it("has what the connection test finds by itself, and its picture", () => {
    for (const own of ["noAuth", "noPasswordAuth", "noTokenAuth", "noStarttls"] as const)
      assert.ok(page.includes(ownFailures[own].text), own);
    for (const [, image = ""] of page.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g))
      assert.ok(existsSync(path.join(root, image)), image);
    assert.match(readFileSync(path.join(root, "README.md"), "utf8"), /\(TROUBLESHOOTING\.md\)/);
  });
});

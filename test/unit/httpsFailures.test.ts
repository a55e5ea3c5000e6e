import assert from "node:assert/strict";
import { HttpsError } from "../../src/mail/https";
import { httpsFailure } from "../../src/mail/httpsFailures";

const host = "gmail.googleapis.com";

describe("why a request over HTTPS got no reply (R29)", () => {
  it("silence is the host's, before a request and in the middle of one: nobody has a mail port to choose", () => {
    for (const stage of ["connect", "body"] as const) {
      const failure = httpsFailure(new HttpsError(stage, "ETIMEDOUT"), host);
      assert.deepEqual([failure.class, failure.stage], ["offline", stage]);
      assert.match(failure.text, /^gmail\.googleapis\.com does not answer\./);
    }
  });

  it("a connection that breaks in the middle of a request is tried again, whatever broke it", () => {
    for (const code of ["ECONNRESET", "ECONNECTION", "ERR_SSL_BAD_RECORD_TYPE"]) {
      const failure = httpsFailure(new HttpsError("body", code), host);
      assert.equal(failure.class, "offline");
      assert.match(failure.text, /before the message was handed over\. It is tried again/);
    }
  });

  it("behind the last byte nobody knows, whatever the cause", () => {
    for (const code of ["ETIMEDOUT", "ECONNRESET", "ABORT_ERR"])
      assert.equal(httpsFailure(new HttpsError("reply", code), host).class, "unknown");
  });
});

import assert from "node:assert/strict";
import { parseAccount } from "../../src/mail/index";
import { formOf, formProblem, settingsOf } from "../../src/webview/accountForm";

describe("account form", () => {
  it("gives back what stood in the settings, without what is at rest", () => {
    for (const settings of [
      { provider: "custom", host: "smtp.example.com", port: 587, security: "starttls", user: "ada@example.com" },
      {
        provider: "enterprise",
        host: "smtp.example.com",
        port: 465,
        security: "tls",
        auth: "none",
        from: "Ada <ada@example.com>",
        replyTo: "office@example.com",
        tls: { verify: false, caFile: "certs/ca.pem", servername: "mail.example.com" },
        limits: { delay: 0, connections: 3 },
        timeouts: { connection: 5000, greeting: 0, socket: 1 },
      },
    ])
      assert.deepEqual(settingsOf(formOf("work", settings)), settings);
  });

  it("shows what the provider fills in, but leaves its limits to it", () => {
    const form = formOf("work", { provider: "microsoft365", user: "ada@example.com" });
    assert.deepEqual([form.host, form.port, form.security, form.delay], ["smtp.office365.com", "587", "starttls", ""]);
    assert.equal("limits" in settingsOf(form), false);
  });

  it("shows broken values as far as a field can, so that they can be mended", () => {
    const form = formOf("work", {
      host: "a b",
      port: 99_999,
      security: "ssl",
      tls: "yes",
      user: 5,
      limits: { delay: "x" },
    });
    assert.deepEqual(
      [form.host, form.port, form.security, form.caFile, form.verify, form.user, form.delay],
      ["a b", "99999", "ssl", "", true, "5", "x"],
    );
    assert.equal(formOf("work", null).host, "");
  });

  it("leaves what is no number for the schema to refuse, at its own field", () => {
    const form = {
      ...formOf("work", { host: "smtp.example.com", user: "ada@example.com" }),
      port: "5x7",
      delay: "1.5",
    };
    const problems = parseAccount("work", settingsOf(form)).problems.map(formProblem);
    assert.deepEqual(problems.map(({ field }) => field).sort(), ["delay", "port"]);
    assert.deepEqual(
      parseAccount("work", settingsOf({ ...form, port: "", delay: "" })).problems.map(formProblem)[0]?.field,
      "port",
    );
  });

  it("turns problems and their mends into the form's words", () => {
    const mended = parseAccount("work", { host: "smtp.example.com", user: "a@example.com", port: 465 }).problems.map(
      formProblem,
    );
    assert.deepEqual(mended[0]?.mend?.values, { security: "tls" });
    const checked = parseAccount("a b", { host: "smtp.example.com", user: "a@example.com", tls: { verify: false } });
    assert.deepEqual(
      checked.problems.map(formProblem).map(({ field, severity, mend }) => [field, severity, mend?.values]),
      [
        ["name", "error", undefined],
        ["verify", "danger", { verify: true }],
      ],
    );
    const unknown = parseAccount("work", { host: "smtp.example.com", user: "a@example.com", pasword: "x" });
    assert.equal(unknown.problems.map(formProblem)[0]?.field, "");
  });
});

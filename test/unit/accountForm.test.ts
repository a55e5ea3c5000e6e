import assert from "node:assert/strict";
import { parseAccount, providers } from "../../src/mail/index";
import { formOf, formProblem, settingsOf } from "../../src/webview/accountForm";
import { newDraft, restored } from "../../src/webview/pages/drafts";
import { authValues, providerValues, suggestProvider, transportValues } from "../../src/webview/pages/providerChoice";
import type { AccountForm, SettingsState } from "../../src/webview/protocol";

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
        tls: { verify: false, caFile: "certs/ca.pem", servername: "mail.example.com", minVersion: "TLSv1.3" },
        proxy: "socks5://proxy.example.com:1080",
        proxyUser: "ada",
        limits: { delay: 0, connections: 3, perMinute: 0, perHour: 200, perDay: 2000 },
        timeouts: { dns: 2000, connection: 5000, greeting: 0, socket: 1 },
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

describe("the form of an account that signs in with the browser (R1, R6, R37)", () => {
  const ofGmail = (values: Partial<AccountForm> = {}): AccountForm => ({
    ...formOf("work", { provider: "gmail", user: "ada@gmail.com" }),
    ...values,
  });
  const api = { transport: "gmailApi", auth: "oauth2" };

  it("the Gmail API needs no server in the settings, and gets none from what stood in the form before", () => {
    const form = ofGmail({ ...api, port: "465", security: "tls", servername: "mail.example.com", verify: false });
    assert.deepEqual(settingsOf(form), {
      provider: "gmail",
      transport: "gmailApi",
      auth: "oauth2",
      user: "ada@gmail.com",
    });
    assert.deepEqual(parseAccount("work", settingsOf(form)).problems, []);
  });

  it("holds the mail server of a saved Gmail API account, so that turning to SMTP needs no typing", () => {
    const form = formOf("work", { provider: "gmail", transport: "gmailApi", user: "ada@gmail.com" });
    assert.deepEqual(
      [form.transport, form.auth, form.host, form.port, form.security],
      ["gmailApi", "oauth2", "smtp.gmail.com", "587", "starttls"],
    );
    const turned = { ...form, ...transportValues("smtp", undefined) };
    assert.deepEqual(parseAccount("work", settingsOf(turned)).problems, []);
    assert.equal(parseAccount("work", settingsOf(turned)).value?.host, "smtp.gmail.com");
  });

  it("the API brings the sign-in with Google along, and turning back brings back what stood there", () => {
    const before = ofGmail({ port: "465", security: "tls", caFile: "certs/ca.pem" });
    const there = { ...before, ...transportValues("gmailApi", undefined) };
    assert.deepEqual([there.transport, there.auth], ["gmailApi", "oauth2"]);
    assert.deepEqual({ ...there, ...transportValues("smtp", before.auth) }, before);
    assert.deepEqual({ ...there, ...authValues("password") }, before);
    assert.equal({ ...before, ...authValues("oauth2") }.transport, "smtp");
  });

  it("an access token goes to the provider's own server, whatever server the form held for a password", () => {
    const form = ofGmail({ auth: "oauth2", host: "evil.example.com", servername: "evil.example.com", verify: false });
    const { value, problems } = parseAccount("work", settingsOf(form));
    assert.deepEqual(
      [value?.host, value?.tls.servername, value?.tls.verify, problems],
      ["smtp.gmail.com", "", true, []],
    );
  });

  it("what was written by hand into the settings is shown as it is, with a click that mends it", () => {
    const written = { provider: "gmail", auth: "oauth2", host: "evil.example.com", user: "ada@gmail.com" };
    assert.equal(formOf("work", written).host, "evil.example.com");
    const found = parseAccount("work", {
      ...written,
      security: "none",
      tls: { verify: false, servername: "a.example" },
    });
    assert.deepEqual(
      found.problems.map(formProblem).map(({ field, severity, mend }) => [field, severity, mend?.values]),
      [
        ["host", "error", { host: "smtp.gmail.com" }],
        ["security", "error", { security: "starttls" }],
        ["verify", "error", { verify: true }],
        ["servername", "error", { servername: "" }],
      ],
    );
    const mended = { provider: "gmail", transport: "gmailApi", auth: "password", user: "ada@gmail.com" };
    assert.deepEqual(parseAccount("work", mended).problems.map(formProblem)[0]?.mend?.values, { auth: "oauth2" });
    const elsewhere = { provider: "yahoo", auth: "oauth2", user: "ada@yahoo.com" };
    assert.deepEqual(parseAccount("work", elsewhere).problems.map(formProblem)[0]?.mend?.values, { auth: "password" });
  });

  it("another provider brings its own way to sign in; at a server of one's own it may stay none", () => {
    const at = (id: string, form: AccountForm): AccountForm => ({ ...form, ...providerValues(id, form, providers) });
    const outlook = at("outlook", ofGmail(api));
    assert.deepEqual([outlook.auth, outlook.transport], ["oauth2", "smtp"]);
    assert.deepEqual(parseAccount("work", settingsOf(outlook)).problems, []);
    assert.equal(at("yahoo", outlook).auth, "password");
    assert.equal(at("custom", outlook).auth, "password");
    assert.equal(at("enterprise", { ...at("custom", outlook), auth: "none" }).auth, "none");
    assert.equal(at("gmail", { ...at("custom", outlook), auth: "none" }).auth, "password");
  });
});

describe("choosing a provider", () => {
  const state: SettingsState = {
    accounts: [],
    defaultId: "sandbox",
    levels: [{ level: "user", label: "User" }],
    providers,
    trusted: true,
    limits: {},
    clients: { google: false, microsoft: false },
    select: "",
  };
  const fresh = (values: Partial<AccountForm> = {}): AccountForm => ({ ...newDraft(state).form, ...values });
  const suggested = (values: Partial<AccountForm>): string | undefined =>
    suggestProvider(fresh(values), providers)?.label;

  it("R5–R9 an address in a new account suggests its provider, which one click fills in", () => {
    const suggestion = suggestProvider(fresh({ user: "ada@googlemail.com" }), providers);
    assert.equal(suggestion?.label, "Gmail");
    const form = fresh(suggestion.values);
    assert.deepEqual(
      [form.host, form.port, form.security, form.user],
      ["smtp.gmail.com", "587", "starttls", "ada@googlemail.com"],
    );
    assert.deepEqual(parseAccount("work", settingsOf(form)).problems, []);
    assert.equal(suggested({ ...form }), undefined);
  });

  it("the sender's address suggests one too, and becomes the user where there is none", () => {
    const suggestion = suggestProvider(fresh({ from: "Ada <Ada@Yahoo.com>" }), providers);
    assert.deepEqual([suggestion?.label, suggestion?.values.user], ["Yahoo", "Ada@Yahoo.com"]);
    assert.equal(suggested({ user: "ada", from: "Ada <ada@yahoo.com>" }), undefined);
  });

  it("says so when another mailbox provider was chosen, and keeps quiet about a server of one's own and sending services", () => {
    assert.equal(suggested({ ...providerValues("gmail", undefined, providers), user: "ada@yahoo.com" }), "Yahoo");
    assert.equal(suggested({ ...providerValues("ses", undefined, providers), user: "ada@gmail.com" }), undefined);
    assert.equal(suggested({ host: "smtp.example.com", user: "ada@gmail.com" }), undefined);
    for (const user of ["ada@example.com", "ada@notgmail.com", "gmail.com", ""])
      assert.equal(suggested({ user }), undefined, user);
  });

  it("keeps a host typed by hand for a server of one's own, and no host of another provider or region", () => {
    const host = (typed: string): string | undefined =>
      providerValues("enterprise", fresh({ host: typed }), providers).host;
    assert.equal(host("smtp.example.com"), "smtp.example.com");
    assert.equal(host("smtp.gmail.com"), "");
    assert.equal(host("email-smtp.eu-west-1.amazonaws.com"), "");
    assert.equal(providerValues("sendgrid", fresh(), providers).user, "apikey");
  });

  it("a draft that an older version kept gets the fields that came later", () => {
    const later = ["proxy", "proxyUser", "minVersion", "dnsTimeout"];
    const now = Object.entries(fresh({ host: "smtp.example.com" }));
    const old = Object.fromEntries(now.filter(([key]) => !later.includes(key))) as unknown as AccountForm;
    const [[, draft] = []] = restored([["new", { form: old, level: "user", previous: undefined }]]);
    assert.deepEqual(draft?.form, fresh({ host: "smtp.example.com" }));
  });
});

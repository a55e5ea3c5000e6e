import assert from "node:assert/strict";
import { parseAccount, providerById, providers, suggestProvider } from "../../src/mail/index";

describe("providers", () => {
  it("R5–R9 knows servers and ports of the providers that everybody asks for", () => {
    const facts = (id: string): unknown[] => {
      const provider = providerById(id);
      return [provider?.host, ...(provider?.ports.map(({ port, security }) => `${String(port)} ${security}`) ?? [])];
    };
    assert.deepEqual(facts("gmail"), ["smtp.gmail.com", "587 starttls", "465 tls"]);
    assert.deepEqual(facts("outlook"), ["smtp-mail.outlook.com", "587 starttls"]);
    assert.deepEqual(facts("microsoft365"), ["smtp.office365.com", "587 starttls"]);
    assert.deepEqual(facts("yahoo"), ["smtp.mail.yahoo.com", "465 tls", "587 starttls"]);
    assert.deepEqual(facts("postmark"), ["smtp-broadcasts.postmarkapp.com", "587 starttls", "2525 starttls"]);
    assert.deepEqual(facts("enterprise"), ["", "465 tls"]);
  });

  it("R11 pairs 465 with TLS and every other port with STARTTLS, so no preset can be an impossible pair", () => {
    for (const { id, ports } of providers)
      for (const { port, security } of ports)
        assert.equal(security, port === 465 ? "tls" : "starttls", `${id} ${String(port)}`);
  });

  it("every preset makes a valid account without warnings from a user (and a host where it has none)", () => {
    for (const { id, host } of providers) {
      const settings = { provider: id, user: "ada@example.com", ...(host === "" ? { host: "smtp.example.com" } : {}) };
      const { value, problems } = parseAccount("work", settings);
      assert.deepEqual(problems, [], id);
      assert.equal(value?.host, host === "" ? "smtp.example.com" : host);
    }
  });

  it("R6 a provider that takes no password says so, since when, and what can be used instead", () => {
    for (const { id, auths, retired } of providers) {
      assert.equal(retired !== undefined, !auths.includes("password"), id);
      assert.ok(auths.length > 0, id);
    }
    assert.match(
      providerById("outlook")?.retired ?? "",
      /since September 2024.*sign in with Microsoft.*app registration/,
    );
    assert.equal(providerById("gmail")?.retired, undefined);
    assert.match(providerById("microsoft365")?.note ?? "", /off by default from the end of December 2026/);
  });

  it("R5 R7 R10 knows where an app password is made, apart from where it is explained", () => {
    for (const id of ["gmail", "yahoo", "icloud", "fastmail"]) assert.ok(providerById(id)?.appPasswordUrl, id);
    for (const { id, appPasswordUrl, helpUrl } of providers) {
      for (const url of [appPasswordUrl, helpUrl])
        if (url !== undefined) assert.equal(new URL(url).protocol, "https:", id);
      if (appPasswordUrl !== undefined) assert.ok(helpUrl !== undefined && helpUrl !== appPasswordUrl, id);
    }
  });

  it("R10 R23 keeps a pace that the published limits allow", () => {
    for (const { id, limits, published } of providers) {
      if (published?.perMinute !== undefined) assert.ok(60_000 / (limits?.delay ?? 1000) <= published.perMinute, id);
      if (published?.connections !== undefined) assert.ok((limits?.connections ?? 1) <= published.connections, id);
    }
    assert.deepEqual(providerById("microsoft365")?.published, {
      perMinute: 30,
      perDay: 10_000,
      connections: 3,
      recipients: 500,
      maxSize: 35 * 1024 * 1024,
    });
    assert.equal(providerById("gmail")?.published?.perDay, 500);
  });

  it("R10 offers the regions of those that have several, and takes any of their servers", () => {
    const hosts = providerById("ses")?.hosts ?? [];
    assert.ok(hosts.length >= 20);
    for (const { host } of hosts) assert.match(host, /^email-smtp\.[a-z]{2}(?:-gov)?-[a-z]+-\d\.amazonaws\.com$/);
    for (const { id, host, hosts: all } of providers) {
      if (all === undefined) continue;
      assert.equal(all[0]?.host, host, id);
      assert.equal(new Set(all.map((one) => one.host)).size, all.length, id);
      for (const one of all) {
        const { value, problems } = parseAccount("work", { provider: id, user: "ada@example.com", host: one.host });
        assert.deepEqual([value?.host, problems], [one.host, []]);
      }
    }
    assert.equal(providerById("mailguneu")?.host, "smtp.eu.mailgun.org");
    assert.match(providerById("postmark")?.host ?? "", /broadcasts/);
  });

  it("suggests the provider of an address by its domain", () => {
    assert.equal(suggestProvider("ada@gmail.com")?.id, "gmail");
    assert.equal(suggestProvider("Ada <ADA@GoogleMail.com> ")?.id, "gmail");
    assert.equal(suggestProvider("ada@hotmail.com")?.id, "outlook");
    assert.equal(suggestProvider("ada@example.com"), undefined);
    assert.equal(suggestProvider("ada@notgmail.com"), undefined);
    assert.equal(suggestProvider("gmail.com"), undefined);
  });

  it("has one id, one label and one home a domain", () => {
    const domains = providers.flatMap((provider) => provider.domains ?? []);
    for (const list of [providers.map(({ id }) => id), providers.map(({ label }) => label), domains])
      assert.equal(new Set(list).size, list.length);
  });
});

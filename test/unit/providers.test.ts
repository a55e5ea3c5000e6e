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

  it("R6 says that Outlook.com takes no password any more", () => {
    assert.match(providerById("outlook")?.retired ?? "", /OAuth2/);
    assert.equal(providerById("gmail")?.retired, undefined);
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
    for (const { helpUrl } of providers) if (helpUrl !== undefined) assert.equal(new URL(helpUrl).protocol, "https:");
  });
});

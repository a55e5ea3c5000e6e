import assert from "node:assert/strict";
import { secretRemover } from "../../src/mail/secretText";
import { SendError } from "../../src/mail/transports/transport";
import { smtpTransports } from "../../src/mail/transports/smtp";
import { loopbackAccount } from "../fakes/accounts";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";

const user = "ada@example.com";

describe("words of servers hold no secret (R15)", () => {
  it("whatever form it has", () => {
    const remove = secretRemover({ user, proxyUser: "p" }, { password: "sé&cret", proxyPassword: "other" });
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    for (const form of [
      "sé&cret",
      base64("sé&cret"),
      base64(`\0${user}\0sé&cret`),
      "s%C3%A9%26cret",
      "other",
      base64("p:other"),
    ])
      assert.equal(remove(`550 <${form}>`), "550 <•••>", form);
  });

  it("is nothing where there is none, and takes what no encoder takes", () => {
    assert.equal(secretRemover({ user, proxyUser: "" }, {})("550 5.1.1 no"), "550 5.1.1 no");
    assert.doesNotThrow(() => secretRemover({ user, proxyUser: "" }, { password: "\ud800" }));
  });

  it("no part of one survives at the edge where a reply is cut", async () => {
    const password = "correct-horse-battery-staple";
    const server = await ScriptedSmtp.start(
      ({ command }) => (command === "AUTH" ? { reply: `535 ${"x".repeat(285)}${password}` } : undefined),
      ["AUTH PLAIN"],
    );
    const account = loopbackAccount(server.port, { auth: "password", user });
    const transport = smtpTransports({ account, ca: undefined, credentials: { password } })();
    await assert.rejects(transport.open(new AbortController().signal), (error) => {
      assert.ok(error instanceof SendError);
      assert.equal(error.failure.class, "account");
      assert.doesNotMatch(error.failure.reply ?? "", /corr/);
      return true;
    });
    await server.close();
  });

  it("a password that reads like a code does not change what a reply means", async () => {
    const server = await ScriptedSmtp.start(
      ({ command }) => (command === "AUTH" ? { reply: "535 5.7.8 no" } : undefined),
      ["AUTH PLAIN"],
    );
    const account = loopbackAccount(server.port, { auth: "password", user });
    const transport = smtpTransports({ account, ca: undefined, credentials: { password: "535" } })();
    await assert.rejects(transport.open(new AbortController().signal), (error) => {
      assert.ok(error instanceof SendError);
      assert.equal(error.failure.code, 535);
      return true;
    });
    await server.close();
  });
});

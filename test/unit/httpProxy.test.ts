import assert from "node:assert/strict";
import { parseAccount, resolveProxy, type Account } from "../../src/mail/index";

function account(more: Readonly<Record<string, unknown>>): Account {
  const { value } = parseAccount("work", { host: "smtp.example.com", user: "ada", ...more });
  assert.ok(value !== undefined);
  return value;
}

/** Proxy, its user and its password, or the code of the problem. */
function through(httpProxy: unknown, more: Readonly<Record<string, unknown>> = {}): unknown {
  const resolved = resolveProxy(account({ proxy: "vscode", ...more }), httpProxy);
  if (resolved.kind === "wrong") return resolved.problem.code;
  return [resolved.account.proxy, resolved.account.proxyUser, resolved.proxyPassword];
}

describe("the proxy of VS Code in an account (R20)", () => {
  const cases: readonly [string, unknown, unknown][] = [
    ["unset", undefined, ["", "", undefined]],
    ["empty", "", ["", "", undefined]],
    ["HTTP", "http://proxy.example:3128", ["http://proxy.example:3128", "", undefined]],
    ["HTTP at its own port", "http://proxy.example/", ["http://proxy.example", "", undefined]],
    ["SOCKS5", "socks5://proxy.example:1080", ["socks5://proxy.example:1080", "", undefined]],
    ["SOCKS5 that resolves names", "socks5h://proxy.example:1080", ["socks5://proxy.example:1080", "", undefined]],
    ["SOCKS as VS Code spells it", "socks://proxy.example:1080", ["socks5://proxy.example:1080", "", undefined]],
    ["an IPv6 address", "http://[::1]:3128", ["http://[::1]:3128", "", undefined]],
    ["user info", "http://ada:p%40ss%3Aword@proxy.example:1", ["http://proxy.example:1", "ada", "p@ss:word"]],
    ["a user alone", "http://ada@proxy.example:1", ["http://proxy.example:1", "ada", undefined]],
    ["a stray percent sign", "http://ada:100%25%zz@proxy.example:1", ["http://proxy.example:1", "ada", "100%25%zz"]],
    ["HTTPS", "https://proxy.example", "account.proxy.httpProxy.https"],
    ["SOCKS4", "socks4://proxy.example:1080", "account.proxy.httpProxy"],
    ["no scheme", "proxy.example:3128", "account.proxy.httpProxy"],
    ["a path", "http://proxy.example:3128/pac", "account.proxy.httpProxy"],
    ["a script", "javascript:alert(1)", "account.proxy.httpProxy"],
    ["a line break in the user", "http://a%0d%0ab:x@proxy.example:1", "account.proxy.httpProxy"],
    ["no text", 8080, "account.proxy.httpProxy"],
  ];
  for (const [name, httpProxy, expected] of cases)
    it(`takes http.proxy: ${name}`, () => assert.deepEqual(through(httpProxy), expected));

  it("gives its password to its own user only", () => {
    const httpProxy = "http://ada:secret@proxy.example:1";
    assert.deepEqual(through(httpProxy, { proxyUser: "ada" }), ["http://proxy.example:1", "ada", "secret"]);
    assert.deepEqual(through(httpProxy, { proxyUser: "eve" }), ["http://proxy.example:1", "eve", undefined]);
  });

  it("leaves every other account alone", () => {
    for (const proxy of ["", "http://own.example:1", "socks5://own.example:1"]) {
      const own = account({ proxy, proxyUser: "ada" });
      const resolved = resolveProxy(own, "http://eve:secret@evil.example:1");
      assert.ok(resolved.kind === "resolved");
      assert.deepEqual([resolved.account, resolved.proxyPassword], [own, undefined]);
    }
  });

  it("a problem names the cause and the next step, and not the value", () => {
    const resolved = resolveProxy(account({ proxy: "vscode" }), "https://ada:secret@proxy.example");
    assert.ok(resolved.kind === "wrong");
    assert.match(
      resolved.problem.message,
      /http\.proxy .*https:\/\/.*Write an http:\/\/ or socks5:\/\/ proxy into the account/,
    );
    assert.ok(!resolved.problem.message.includes("secret"));
  });
});

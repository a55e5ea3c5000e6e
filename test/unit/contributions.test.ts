import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { category, commands, contextKeys, section, settings, viewTypes } from "../../src/contributions";
import { accountSchema, parseAccount, providers } from "../../src/mail/index";
import { repositoryRoot } from "../host/repo";

interface JsonSchema {
  readonly type?: string;
  readonly default?: unknown;
  readonly scope?: string;
  readonly enum?: readonly string[];
  readonly enumDescriptions?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly patternErrorMessage?: string;
  readonly defaultSnippets?: readonly { readonly label: string; readonly body: Readonly<Record<string, unknown>> }[];
  readonly markdownDescription?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | false;
  readonly propertyNames?: { readonly pattern: string };
}

interface Manifest {
  readonly activationEvents: readonly string[];
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly title: string; readonly category: string }[];
    readonly configuration: { readonly properties: Readonly<Record<string, JsonSchema>> };
  };
  readonly capabilities: {
    readonly untrustedWorkspaces: { readonly supported: string; readonly restrictedConfigurations: readonly string[] };
    readonly virtualWorkspaces: { readonly supported: boolean };
  };
}

describe("contributions", () => {
  const manifest = JSON.parse(readFileSync(join(repositoryRoot(), "package.json"), "utf8")) as Manifest;
  const properties = manifest.contributes.configuration.properties;

  it("every command of the manifest is typed, and the other way round", () => {
    assert.deepEqual(
      manifest.contributes.commands.map(({ command, title, category }) => ({ command, title, category })),
      Object.values(commands).map(({ id, title }) => ({ command: id, title, category })),
    );
  });

  it("every context key in a condition is one that is set", () => {
    const known = new Set<string>([...Object.values(contextKeys), ...Object.values(viewTypes)]);
    const conditions = [...JSON.stringify(manifest.contributes).matchAll(/"(?:when|enablement)":"((?:[^"\\]|\\.)*)"/g)];
    const used = conditions.flatMap(([, condition = ""]) => condition.match(/bulkMail\.[A-Za-z.]+/g) ?? []);
    for (const key of used) assert.ok(known.has(key), key);
  });

  it("every setting has its type, default, scope, bounds and a description", () => {
    assert.deepEqual(
      Object.keys(properties).sort(),
      Object.keys(settings)
        .map((key) => `${section}.${key}`)
        .sort(),
    );
    assert.ok(Object.keys(properties).length <= 25);
    for (const [key, setting] of Object.entries(settings)) {
      const declared = properties[`${section}.${key}`];
      const type = typeof setting.default === "number" ? "integer" : typeof setting.default;
      assert.deepEqual(
        [declared?.type, declared?.default, declared?.scope, declared?.minimum, declared?.maximum, declared?.enum],
        [type, setting.default, setting.scope, setting.minimum, setting.maximum, setting.options],
        key,
      );
      assert.ok((declared?.markdownDescription ?? "").length > 20, key);
      if (declared?.enumDescriptions !== undefined)
        assert.equal(declared.enumDescriptions.length, declared.enum?.length, key);
    }
  });

  it("an untrusted workspace cannot steer sending", () => {
    const { untrustedWorkspaces, virtualWorkspaces } = manifest.capabilities;
    assert.equal(untrustedWorkspaces.supported, "limited");
    assert.equal(virtualWorkspaces.supported, false);
    const harmless = ["stateDirectory", "history.retention", "progress", "codeLens", "csv.delimiter", "csv.encoding"];
    assert.deepEqual(
      [...untrustedWorkspaces.restrictedConfigurations].sort(),
      Object.keys(settings)
        .filter((key) => !harmless.includes(key))
        .map((key) => `${section}.${key}`)
        .sort(),
    );
    // These are read from the user's settings alone, so a workspace has nothing to restrict.
    assert.equal(settings.stateDirectory.scope, "machine");
    assert.equal(settings["history.retention"].scope, "machine");
  });

  it("VS Code wakes the extension for campaigns and for our panels, and for nothing else", () => {
    assert.deepEqual(
      [...manifest.activationEvents].sort(),
      [
        ...Object.values(viewTypes).map((type) => `onWebviewPanel:${type}`),
        "workspaceContains:**/*.mail.{md,html}",
      ].sort(),
    );
  });

  describe("the JSON schema of accounts", () => {
    const schema = properties["bulkMail.accounts"]?.additionalProperties;
    assert.ok(typeof schema === "object");

    it("has the keys, types, values, bounds and defaults of the schema that decides, and describes each", () => {
      const seen: string[] = [];
      const compare = (json: JsonSchema, entries: Readonly<Record<string, unknown>>, path: string): void => {
        assert.equal(json.additionalProperties, false, path);
        assert.deepEqual(Object.keys(json.properties ?? {}).sort(), Object.keys(entries).sort(), path);
        for (const [key, entry] of Object.entries(entries)) {
          const property = json.properties?.[key] ?? {};
          const at = `${path}.${key}`;
          seen.push(at);
          assert.ok((property.description ?? property.markdownDescription ?? "").length > 10, `${at} is described`);
          const rules = rulesOf(entry);
          if (rules.entries !== undefined) {
            compare(property, rules.entries, at);
            continue;
          }
          assert.deepEqual(
            [property.type, property.default, property.minimum, property.maximum, property.maxLength],
            [
              rules.type,
              rules.default,
              rules.minimum,
              rules.maximum,
              property.enum === undefined ? rules.maxLength : undefined,
            ],
            at,
          );
          if (key !== "provider") assert.deepEqual(property.enum, rules.options, at);
          if (property.enumDescriptions !== undefined)
            assert.equal(property.enumDescriptions.length, property.enum?.length, at);
        }
      };
      compare(schema, accountSchema.entries, "account");
      for (const key of ["tls.minVersion", "proxy", "proxyUser", "timeouts.dns", "limits.connections", "limits.perDay"])
        assert.ok(seen.includes(`account.${key}`), key);
    });

    it("offers every provider by its name and server, and says which takes no password", () => {
      const { provider } = schema.properties ?? {};
      assert.deepEqual(
        provider?.enum,
        providers.map(({ id }) => id),
      );
      assert.deepEqual(
        provider.enumDescriptions,
        providers.map(
          ({ label, host, retired }) =>
            `${label}${host === "" ? "" : ` (${host})`}${retired === undefined ? "" : ": takes no password any more"}`,
        ),
      );
    });

    it("has the defaults that an account gets", () => {
      const { value } = parseAccount("work", { host: "smtp.example.com", user: "ada@example.com" });
      const defaults = (json: JsonSchema | undefined, values: object): void => {
        for (const [key, property] of Object.entries(json?.properties ?? {})) {
          const actual = (values as Readonly<Record<string, unknown>>)[key];
          if (property.default !== undefined && key !== "user") assert.equal(property.default, actual, key);
          if (typeof actual === "object" && actual !== null) defaults(property, actual);
        }
      };
      defaults(schema, value ?? {});
    });

    it("R20 takes the same proxies, and none with a user or password in it", () => {
      const { pattern = "", patternErrorMessage } = schema.properties?.proxy ?? {};
      assert.match(patternErrorMessage ?? "", /proxyUser/);
      const takes = (proxy: string): boolean => new RegExp(pattern, "u").test(proxy);
      for (const proxy of [
        "",
        "vscode",
        "http://proxy:3128",
        "http://proxy.example.com/",
        "SOCKS5://proxy:1080",
        "socks5://[::1]:1080",
        "https://proxy:3128",
        "socks4://proxy:1080",
        "proxy:3128",
        "http://",
        "http://proxy/path",
        "http://proxy?x=y",
        "http://ada:secret@proxy:3128",
        "socks5://ada@proxy:1080",
        "http://ada%40x:secret@proxy",
      ]) {
        const { problems } = parseAccount("work", { host: "smtp.example.com", user: "ada@example.com", proxy });
        assert.equal(takes(proxy), !problems.some(({ field }) => field === "proxy"), proxy);
      }
      assert.equal(takes("http://ada:secret@proxy:3128"), false);
    });

    it("completes whole accounts that are valid as they come", () => {
      const snippets = schema.defaultSnippets ?? [];
      assert.ok(snippets.length >= 4);
      for (const { label, body } of snippets) {
        const text = JSON.stringify(body).replace(/\$\{\d+:([^}]*)\}/g, "$1");
        assert.deepEqual(parseAccount("work", JSON.parse(text)).problems, [], label);
      }
    });

    it("allows the same names", () => {
      const names = new RegExp(properties["bulkMail.accounts"]?.propertyNames?.pattern ?? "^$", "u");
      for (const id of ["work", "a.b_c-1", "sandbox", "sandbox2", "", "a b", ".a", "x".repeat(64), "x".repeat(65)]) {
        const { problems } = parseAccount(id, { host: "smtp.example.com", user: "ada@example.com" });
        assert.equal(names.test(id), !problems.some(({ field }) => field === "id"), id);
      }
    });
  });
});

/** What a schema asks of a value, in the words of JSON Schema. */
interface Rules {
  readonly type: string;
  readonly default: unknown;
  readonly options: readonly string[] | undefined;
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
  readonly maxLength: number | undefined;
  readonly entries: Readonly<Record<string, unknown>> | undefined;
}

/** A schema, or a rule of its pipe, as valibot holds it. */
interface Part {
  readonly type: string;
  readonly wrapped?: Part;
  readonly default?: unknown;
  readonly options?: readonly string[];
  readonly requirement?: unknown;
  readonly entries?: Readonly<Record<string, unknown>>;
  readonly pipe?: readonly Part[];
}

function rulesOf(entry: unknown): Rules {
  const outer = entry as Part;
  const schema = outer.wrapped ?? outer;
  const parts = partsOf(schema);
  const limit = (type: string): number | undefined => {
    const found = parts.find((part) => part.type === type)?.requirement;
    return typeof found === "number" ? found : undefined;
  };
  const types: Readonly<Record<string, string>> = { picklist: "string", strict_object: "object" };
  const type = parts.some((part) => part.type === "integer") ? "integer" : (types[schema.type] ?? schema.type);
  return {
    type,
    default: outer.default,
    options: schema.options,
    minimum: limit("min_value"),
    maximum: limit("max_value"),
    maxLength: limit("max_length"),
    entries: schema.entries,
  };
}

/** A schema and every rule of its pipe, pipes within it included. */
function partsOf(part: Part): readonly Part[] {
  return [part, ...(part.pipe ?? []).filter((inner) => inner !== part).flatMap((inner) => partsOf(inner))];
}

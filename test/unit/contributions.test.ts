import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
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
    const harmless = ["stateDirectory", "progress", "codeLens", "csv.delimiter", "csv.encoding"];
    assert.deepEqual(
      [...untrustedWorkspaces.restrictedConfigurations].sort(),
      Object.keys(settings)
        .filter((key) => !harmless.includes(key))
        .map((key) => `${section}.${key}`)
        .sort(),
    );
    // It is read from the user's settings alone, so a workspace has nothing to restrict.
    assert.equal(settings.stateDirectory.scope, "machine");
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

    it("knows the same keys as the schema that decides", () => {
      const compare = (json: JsonSchema, entries: Readonly<Record<string, unknown>>, path: string): void => {
        assert.equal(json.additionalProperties, false, path);
        assert.deepEqual(Object.keys(json.properties ?? {}).sort(), Object.keys(entries).sort(), path);
        for (const [key, entry] of Object.entries(entries)) {
          const inner = objectEntries(entry);
          const property = json.properties?.[key];
          if (inner !== undefined) compare(property ?? {}, inner, `${path}.${key}`);
          assert.ok(property?.description ?? property?.markdownDescription, `${path}.${key} is described`);
        }
      };
      compare(schema, accountSchema.entries, "account");
      assert.deepEqual(
        schema.properties?.provider?.enum,
        providers.map(({ id }) => id),
      );
    });

    it("has the same defaults", () => {
      const { value } = parseAccount("work", { host: "smtp.example.com", user: "ada@example.com" });
      const defaults = (json: JsonSchema | undefined, values: object): void => {
        for (const [key, property] of Object.entries(json?.properties ?? {})) {
          const actual = (values as Readonly<Record<string, unknown>>)[key];
          if (property.default !== undefined) assert.equal(property.default, actual, key);
          if (typeof actual === "object" && actual !== null) defaults(property, actual);
        }
      };
      defaults(schema, value ?? {});
    });

    it("allows the same values and names", () => {
      const allowed = (key: "security" | "auth" | "transport"): readonly string[] | undefined =>
        schema.properties?.[key]?.enum;
      const wrapped = {
        security: accountSchema.entries.security,
        auth: accountSchema.entries.auth,
        transport: accountSchema.entries.transport,
      };
      for (const key of ["security", "auth", "transport"] as const)
        assert.deepEqual(allowed(key), v.unwrap(wrapped[key]).options, key);
      const names = new RegExp(properties["bulkMail.accounts"]?.propertyNames?.pattern ?? "^$", "u");
      for (const id of ["work", "a.b_c-1", "sandbox", "sandbox2", "", "a b", ".a", "x".repeat(64), "x".repeat(65)]) {
        const { problems } = parseAccount(id, { host: "smtp.example.com", user: "ada@example.com" });
        assert.equal(names.test(id), !problems.some(({ field }) => field === "id"), id);
      }
    });
  });
});

/** The entries of an object schema, also within `optional`. */
function objectEntries(schema: unknown): Readonly<Record<string, unknown>> | undefined {
  const { entries, wrapped } = schema as { entries?: Readonly<Record<string, unknown>>; wrapped?: unknown };
  return entries ?? (wrapped === undefined ? undefined : objectEntries(wrapped));
}

/** Secrets in Secret Storage, each bound to the endpoint it was entered for. */
import type { Memento, SecretStorage } from "vscode";
import type { Endpoint } from "./mail/index";
import { endpointChanges, endpointHash } from "./mail/index";

/** What a secret opens: the account's server, or the proxy on the way to it. */
export type SecretKind = "password" | "proxyPassword";

/** What is known of an account's secret without looking at it. */
export type SecretState =
  | { readonly kind: "stored" }
  | { readonly kind: "none" }
  /** It was stored for this very endpoint and VS Code no longer has it: without a keyring it keeps secrets in memory only. */
  | { readonly kind: "lost" }
  /** One is stored, for another endpoint: it is of no use here. `changes` says what differs. */
  | { readonly kind: "elsewhere"; readonly changes: readonly string[] };

/** The part of Secret Storage that is needed. */
export type SecretStore = Pick<SecretStorage, "get" | "store" | "delete" | "keys">;

interface Stored {
  readonly endpoint: Endpoint;
  /** ISO 8601. */
  readonly storedAt: string;
}

const kinds: readonly SecretKind[] = ["password", "proxyPassword"];
/** In the memento: the keys of secrets that were stored and never forgotten, with the time. No secret stands there. */
const storedKey = "secrets.stored";

/**
 * Secrets by kind, account and endpoint. The endpoint's hash is part of the key: when a setting changes, the old secret is not
 * found, whoever changed it. A record beside it, without the secret, remembers what it was entered for.
 */
export class Secrets {
  constructor(
    private readonly storage: SecretStore,
    private readonly memento: Pick<Memento, "get" | "update">,
  ) {}

  /** The secret for exactly this endpoint. What cannot be decrypted any more is not there. */
  async get(kind: SecretKind, id: string, endpoint: Endpoint): Promise<string | undefined> {
    return this.storage.get(secretKey(kind, id, endpoint));
  }

  /** Rejects with VS Code's reason; the state is then `lost`. */
  async store(kind: SecretKind, id: string, endpoint: Endpoint, secret: string): Promise<void> {
    const key = secretKey(kind, id, endpoint);
    const storedAt = new Date().toISOString();
    await this.memento.update(storedKey, { ...this.remembered(), [key]: storedAt });
    const record: Stored = { endpoint, storedAt };
    await this.storage.store(key, secret);
    await this.storage.store(recordKey(id, endpoint), JSON.stringify(record));
  }

  async state(kind: SecretKind, id: string, endpoint: Endpoint): Promise<SecretState> {
    const keys = await this.storage.keys();
    const key = secretKey(kind, id, endpoint);
    if (keys.includes(key)) return { kind: "stored" };
    if (Object.hasOwn(this.remembered(), key)) return { kind: "lost" };
    const others: Stored[] = [];
    for (const other of keys.filter((other) => other.startsWith(`${kind}/${id}/`))) {
      const record = parseStored(await this.storage.get(`endpoint${other.slice(kind.length)}`));
      if (record !== undefined) others.push(record);
    }
    const last = others.sort((a, b) => (a.storedAt < b.storedAt ? 1 : -1))[0];
    return last === undefined
      ? { kind: "none" }
      : { kind: "elsewhere", changes: endpointChanges(last.endpoint, endpoint) };
  }

  /** Forgets the secrets for one endpoint of an account, or all that the account ever had. */
  async forget(id: string, endpoint?: Endpoint): Promise<void> {
    const end = endpoint === undefined ? "" : `/${endpointHash(endpoint)}`;
    const isMeant = (key: string): boolean =>
      [...kinds, "endpoint"].some((kind) => key.startsWith(`${kind}/${id}/`)) && key.endsWith(end);
    for (const key of (await this.storage.keys()).filter(isMeant)) await this.storage.delete(key);
    await this.forgetRemembered(isMeant);
  }

  /** Forgets everything that this extension ever stored; how many secrets there were. */
  async forgetAll(): Promise<number> {
    const keys = await this.storage.keys();
    for (const key of keys) await this.storage.delete(key);
    await this.forgetRemembered(() => true);
    return keys.filter((key) => !key.startsWith("endpoint/")).length;
  }

  private remembered(): Readonly<Record<string, string>> {
    return this.memento.get<Record<string, string>>(storedKey) ?? {};
  }

  private async forgetRemembered(isMeant: (key: string) => boolean): Promise<void> {
    const before = Object.entries(this.remembered());
    const kept = before.filter(([key]) => !isMeant(key));
    if (kept.length < before.length) await this.memento.update(storedKey, Object.fromEntries(kept));
  }
}

function secretKey(kind: SecretKind, id: string, endpoint: Endpoint): string {
  return `${kind}/${id}/${endpointHash(endpoint)}`;
}

function recordKey(id: string, endpoint: Endpoint): string {
  return `endpoint/${id}/${endpointHash(endpoint)}`;
}

function parseStored(text: string | undefined): Stored | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Stored);
  } catch {
    return undefined;
  }
}

/** Passwords in Secret Storage, each bound to the endpoint it was entered for. */
import type { SecretStorage } from "vscode";
import type { Endpoint } from "./mail/index";
import { endpointChanges, endpointHash } from "./mail/index";

/** What is known of an account's password without looking at it. */
export type SecretState =
  | { readonly kind: "stored" }
  | { readonly kind: "none" }
  /** One is stored, for another endpoint: it is of no use here. `changes` says what differs. */
  | { readonly kind: "elsewhere"; readonly changes: readonly string[] };

/** The part of Secret Storage that is needed. */
export type SecretStore = Pick<SecretStorage, "get" | "store" | "delete" | "keys">;

interface Stored {
  readonly endpoint: Endpoint;
  /** ISO 8601. */
  readonly storedAt: string;
}

/**
 * Passwords by account and endpoint. The endpoint's hash is part of the key: when a setting changes, the old password is not
 * found, whoever changed it. A record beside it, without the password, remembers what it was entered for.
 */
export class Secrets {
  constructor(private readonly storage: SecretStore) {}

  /** The password for exactly this endpoint. What cannot be decrypted any more counts as never stored. */
  async get(id: string, endpoint: Endpoint): Promise<string | undefined> {
    return this.storage.get(passwordKey(id, endpoint));
  }

  async store(id: string, endpoint: Endpoint, password: string): Promise<void> {
    const record: Stored = { endpoint, storedAt: new Date().toISOString() };
    await this.storage.store(passwordKey(id, endpoint), password);
    await this.storage.store(recordKey(id, endpoint), JSON.stringify(record));
  }

  async state(id: string, endpoint: Endpoint): Promise<SecretState> {
    const keys = await this.storage.keys();
    if (keys.includes(passwordKey(id, endpoint))) return { kind: "stored" };
    const others: Stored[] = [];
    for (const key of keys.filter((key) => key.startsWith(`endpoint/${id}/`))) {
      const record = parseStored(await this.storage.get(key));
      if (record !== undefined) others.push(record);
    }
    const last = others.sort((a, b) => (a.storedAt < b.storedAt ? 1 : -1))[0];
    return last === undefined
      ? { kind: "none" }
      : { kind: "elsewhere", changes: endpointChanges(last.endpoint, endpoint) };
  }

  /** Forgets the password for one endpoint of an account, or all that the account ever had. */
  async forget(id: string, endpoint?: Endpoint): Promise<void> {
    for (const key of await this.storage.keys()) {
      const ours = key.startsWith(`password/${id}/`) || key.startsWith(`endpoint/${id}/`);
      if (ours && (endpoint === undefined || key.endsWith(`/${endpointHash(endpoint)}`)))
        await this.storage.delete(key);
    }
  }

  /** Forgets everything that this extension ever stored; how many secrets there were. */
  async forgetAll(): Promise<number> {
    const keys = await this.storage.keys();
    for (const key of keys) await this.storage.delete(key);
    return keys.filter((key) => !key.startsWith("endpoint/")).length;
  }
}

function passwordKey(id: string, endpoint: Endpoint): string {
  return `password/${id}/${endpointHash(endpoint)}`;
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

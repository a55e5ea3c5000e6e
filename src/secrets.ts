/** Secrets in Secret Storage, each bound to the endpoint it was entered for. */
import type { Memento, SecretStorage } from "vscode";
import type { Endpoint } from "./mail/index";
import { endpointChanges, endpointHash } from "./mail/index";
import type { OAuthProviderId } from "./mail/index";

/** What a secret opens: the account's server, the proxy on the way to it, or with a grant the provider that signs in. */
export type SecretKind = "password" | "proxyPassword" | "grant";

/** What is known of an account's secret without looking at it. */
export type SecretState =
  | { readonly kind: "stored" }
  | { readonly kind: "none" }
  /** It was stored for this very endpoint and VS Code no longer has it: without a keyring it keeps secrets in memory only. */
  | { readonly kind: "lost" }
  /** One is stored, for another endpoint: it is of no use here. `changes` says what differs. */
  | { readonly kind: "elsewhere"; readonly changes: readonly string[] };

/** What is known of a sign-in without looking at its grant. */
export interface SignInNote {
  /** The address that signed in. */
  readonly user: string;
  /** ISO 8601. */
  readonly since: string;
  /** In our own browser flow, or by VS Code's own authentication. */
  readonly by: "browser" | "vscode";
  /** Set once the provider does not take it any more. */
  readonly ended?: true;
}

/** The part of Secret Storage that is needed. */
export type SecretStore = Pick<SecretStorage, "get" | "store" | "delete" | "keys">;

interface Stored {
  readonly endpoint: Endpoint;
  /** ISO 8601. */
  readonly storedAt: string;
}

const kinds: readonly SecretKind[] = ["password", "proxyPassword", "grant"];
/** In the memento: the keys of secrets that were stored and never forgotten, with the time. No secret stands there. */
const storedKey = "secrets.stored";
/** In the memento: who signed in and when, by the grant's key. */
const notesKey = "secrets.signIns";

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

  /** Who signed in for exactly this endpoint, or with another one where no grant is stored for this. */
  async signInNote(id: string, endpoint: Endpoint): Promise<SignInNote | undefined> {
    const notes = this.notes();
    const note = notes[secretKey("grant", id, endpoint)];
    if (note !== undefined) return note;
    const keys = await this.storage.keys();
    const others = keys.filter((key) => key.startsWith(`grant/${id}/`)).map((key) => notes[key]);
    return others.filter((other) => other !== undefined).sort((a, b) => (a.since < b.since ? 1 : -1))[0];
  }

  /** Remembers who signed in. */
  async noteSignIn(id: string, endpoint: Endpoint, note: SignInNote): Promise<void> {
    await this.memento.update(notesKey, { ...this.notes(), [secretKey("grant", id, endpoint)]: note });
  }

  /** Every grant that is stored, with the account that it is of. */
  async grants(): Promise<readonly { readonly id: string; readonly text: string }[]> {
    const keys = (await this.storage.keys()).filter((key) => key.startsWith("grant/"));
    const grants = keys.map(async (key) => {
      const text = await this.storage.get(key);
      return text === undefined ? [] : [{ id: key.slice("grant/".length, key.lastIndexOf("/")), text }];
    });
    return (await Promise.all(grants)).flat();
  }

  /** The person's own OAuth client for a provider, as it was stored. */
  async client(provider: OAuthProviderId): Promise<string | undefined> {
    return this.storage.get(`client/${provider}`);
  }

  /** Stores it in place of another one; rejects with VS Code's reason. */
  async storeClient(provider: OAuthProviderId, client: string): Promise<void> {
    await this.storage.store(`client/${provider}`, client);
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

  /** Forgets the secrets for one endpoint of an account, or all that the account ever had; `only` one kind of them. */
  async forget(id: string, endpoint?: Endpoint, only?: SecretKind): Promise<void> {
    const end = endpoint === undefined ? "" : `/${endpointHash(endpoint)}`;
    const meant = only === undefined ? [...kinds, "endpoint"] : [only];
    const isMeant = (key: string): boolean =>
      meant.some((kind) => key.startsWith(`${kind}/${id}/`)) && key.endsWith(end);
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
    for (const [name, all] of [
      [storedKey, this.remembered()],
      [notesKey, this.notes()],
    ] as const) {
      const before = Object.entries(all);
      const kept = before.filter(([key]) => !isMeant(key));
      if (kept.length < before.length) await this.memento.update(name, Object.fromEntries(kept));
    }
  }

  private notes(): Readonly<Record<string, SignInNote | undefined>> {
    return this.memento.get<Record<string, SignInNote>>(notesKey) ?? {};
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

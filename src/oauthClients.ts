/** The OAuth clients that a person made with Google or Microsoft: asked for once, kept in Secret Storage. */
import { readFile, stat } from "node:fs/promises";
import type { Dialogs } from "./dialogs";
import { parseOAuthClient } from "./mail/index";
import type { Logger, OAuthClient, OAuthProvider, OAuthProviderId } from "./mail/index";
import type { Secrets } from "./secrets";

/** What they ask of the outside. */
export interface OAuthClientPorts {
  readonly secrets: Pick<Secrets, "client" | "storeClient">;
  readonly dialogs: Pick<Dialogs, "pick" | "openFile" | "askText">;
  readonly logger: Logger;
}

/** What came of giving a client. */
export type Taken =
  | { readonly kind: "client"; readonly client: OAuthClient }
  /** The text is ours, with the next step. */
  | { readonly kind: "failed"; readonly text: string };

/** No provider's file of a client is larger; bytes. */
const mostBytes = 64 * 1024;

/** One client a provider. */
export class OAuthClients {
  constructor(private readonly ports: OAuthClientPorts) {}

  /** The client that was given last. */
  async stored(provider: OAuthProviderId): Promise<OAuthClient | undefined> {
    const stored = await this.ports.secrets.client(provider);
    try {
      return stored === undefined ? undefined : (JSON.parse(stored) as OAuthClient);
    } catch {
      return undefined;
    }
  }

  /** Stores a client that was picked, pasted or dropped, in place of the one before. */
  async take(provider: OAuthProviderId, text: string): Promise<Taken> {
    const parsed = parseOAuthClient(provider, text);
    if (!parsed.ok) return { kind: "failed", text: parsed.text };
    try {
      await this.ports.secrets.storeClient(provider, JSON.stringify(parsed.client));
    } catch {
      this.ports.logger.warn("VS Code could not store the OAuth client: it is asked for again at the next sign-in.");
    }
    return { kind: "client", client: parsed.client };
  }

  /** Asks for a client by file or paste, and stores it. */
  async ask(provider: OAuthProvider): Promise<Taken | { readonly kind: "cancelled" }> {
    const { dialogs } = this.ports;
    const title = `Sign in with ${provider.label}`;
    if (provider.id === "google") {
      const placeholder = "The OAuth client that you made with Google: its JSON file";
      const picked = await dialogs.pick(title, placeholder, [chooseFile, pasteJson]);
      if (picked === undefined) return { kind: "cancelled" };
      if (picked === chooseFile) {
        const file = await dialogs.openFile("OAuth Client of Google", { JSON: ["json"] });
        return file === undefined ? { kind: "cancelled" } : await this.read(provider.id, file);
      }
    }
    const text = await dialogs.askText({
      title,
      prompt:
        provider.id === "google"
          ? "Paste the whole JSON of the OAuth client that you made with Google."
          : "The application (client) ID that you registered with Microsoft.",
      validate: (typed) => {
        const parsed = parseOAuthClient(provider.id, typed);
        return parsed.ok ? undefined : parsed.text;
      },
    });
    return text === undefined ? { kind: "cancelled" } : await this.take(provider.id, text);
  }

  private async read(provider: OAuthProviderId, file: string): Promise<Taken> {
    let text;
    try {
      if ((await stat(file)).size > mostBytes) return { kind: "failed", text: tooLarge };
      text = await readFile(file, "utf8");
    } catch (error) {
      const { code = "unknown" } = error as NodeJS.ErrnoException;
      this.ports.logger.warn(`The file of the OAuth client cannot be read (${code}).`);
      return { kind: "failed", text: unreadable };
    }
    return await this.take(provider, text);
  }
}

const chooseFile = { label: "Choose the JSON file…", detail: "client_secret_….json, as Google let you download it" };
const pasteJson = { label: "Paste its content…", detail: "the same JSON as text" };
const tooLarge = "This file is too large for an OAuth client. Choose the JSON file that Google let you download.";
const unreadable = "This file cannot be read. Choose the JSON file that Google let you download.";

/** Who is signed in: grants in Secret Storage, and the access tokens got with them, which stay in memory. */
import { endpointHash, GrantTokens, ownFailures, signedOut, systemClock } from "./mail/index";
import type { AccessTokens, Account, Clock, Credentials, Endpoint, Grant, Granted, TokenReply } from "./mail/index";
import type { Secrets, SignInNote } from "./secrets";
import type { OAuthWay } from "./workerProtocol";

/** An account whose person signs in, and the way to its provider. */
export interface SignInWay {
  /** The id under which its secrets are stored. */
  readonly id: string;
  readonly account: Account;
  readonly endpoint: Endpoint;
  readonly root: string | undefined;
  readonly caSha256: string | undefined;
  /** For a proxy on the way. */
  readonly credentials: Credentials;
}

/** A Microsoft account of VS Code's own authentication. */
export interface MicrosoftAccount {
  readonly id: string;
  readonly label: string;
}

/** What VS Code's own authentication gave. */
export type MicrosoftToken =
  | { readonly kind: "token"; readonly token: string }
  /** The account is signed in there, but no access token is to be had now. */
  | { readonly kind: "unreachable" }
  /** The account is not signed in there any more. */
  | { readonly kind: "signedOut" };

/** What is stored of a sign-in. It never leaves Secret Storage but for the worker that talks to the provider. */
export type SignedIn =
  | { readonly kind: "grant"; readonly grant: Grant }
  /** VS Code keeps the tokens. */
  | {
      readonly kind: "vscode";
      readonly clientId: string;
      readonly account: MicrosoftAccount;
      /** ISO 8601. */
      readonly since: string;
    };

/** What a person sees of it. */
export interface SignInState {
  /** `elsewhere`: signed in for another endpoint, which is of no use here. */
  readonly kind: "signedIn" | "signedOut" | "elsewhere";
  /** The address that signed in; empty where nobody did. */
  readonly user: string;
  /** ISO 8601; empty where nobody did. */
  readonly since: string;
  /** What differs, for `elsewhere`. */
  readonly changes: readonly string[];
  /** In our own browser flow, or by VS Code's own authentication; undefined where nobody did. */
  readonly by?: SignInNote["by"];
}

/** What sign-ins ask of the outside. */
export interface SignInTokens {
  /** Gets another access token from the provider. */
  refresh(way: OAuthWay, grant: Grant): Promise<Granted>;
  /** An access token of VS Code's own Microsoft authentication, got without a question. */
  microsoftToken(clientId: string, account: MicrosoftAccount): Promise<MicrosoftToken>;
  readonly clock?: Clock;
}

/** An access token that came with its grant. */
interface FirstToken {
  readonly token: string;
  readonly expiresInMs: number;
}

interface Held {
  /** Every text under which this grant was stored: the provider may have given a newer one on the way. */
  readonly texts: Set<string>;
  readonly get: AccessTokens;
  /** As whoever asked last goes: the password of the proxy may be another one by now. */
  way: SignInWay;
}

/** Sign-ins by account and endpoint, bound to it as passwords are. */
export class HeldSignIns {
  private readonly held = new Map<string, Held>();
  /** What is stored is changed by one at a time: who compares first must find nothing else when it writes. */
  private changing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly secrets: Secrets,
    private readonly tokens: SignInTokens,
    private readonly changed: () => void,
  ) {}

  async state(id: string, endpoint: Endpoint): Promise<SignInState> {
    const state = await this.secrets.state("grant", id, endpoint);
    const note = state.kind === "none" ? undefined : await this.secrets.signInNote(id, endpoint);
    const who = { user: note?.user ?? "", since: note?.since ?? "", ...(note === undefined ? {} : { by: note.by }) };
    switch (state.kind) {
      case "stored":
        return { kind: note?.ended === true ? "signedOut" : "signedIn", ...who, changes: [] };
      case "elsewhere":
        return { kind: "elsewhere", ...who, changes: state.changes };
      case "none":
      case "lost":
        return { kind: "signedOut", ...who, changes: [] };
    }
  }

  async get(id: string, endpoint: Endpoint): Promise<SignedIn | undefined> {
    return parseSignedIn(await this.secrets.get("grant", id, endpoint));
  }

  /** Stores a sign-in in place of the one before; `first` is the access token that came along. Rejects with VS Code's reason. */
  async store(way: SignInWay, signedIn: SignedIn, first?: FirstToken): Promise<void> {
    await this.inTurn(async () => {
      const text = await this.write(way.id, way.endpoint, signedIn);
      this.held.set(nameOf(way.id, way.endpoint), this.hold(way, signedIn, text, first));
    });
    this.changed();
  }

  /** Whether somebody is signed in as `state` says: what VS Code keeps may be gone without a word to us. */
  async isSignedIn(way: SignInWay, state: SignInState): Promise<boolean> {
    if (state.kind !== "signedIn") return false;
    return state.by !== "vscode" || (await this.tokensOf(way)()).ok;
  }

  /** Every sign-in that is stored, with its account and for whichever endpoint. */
  async all(): Promise<readonly { readonly id: string; readonly signedIn: SignedIn }[]> {
    const stored = (await this.secrets.grants()).map(({ id, text }) => ({ id, signedIn: parseSignedIn(text) }));
    return stored.flatMap(({ id, signedIn }) => (signedIn === undefined ? [] : [{ id, signedIn }]));
  }

  /** Forgets the grants and access tokens of an account for every endpoint, and unless `only` them its passwords; what was signed in. */
  async forget(id: string, only?: "grant"): Promise<readonly SignedIn[]> {
    const forgotten = await this.inTurn(async () => {
      const all = await this.all();
      await this.secrets.forget(id, undefined, only);
      return all.filter((one) => one.id === id).map(({ signedIn }) => signedIn);
    });
    this.changed();
    return forgotten;
  }

  /** Does something that forgets sign-ins along with more, while nobody else stores one. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.changing.then(work);
    this.changing = done.catch(() => undefined);
    return await done;
  }

  /** Lets a renamed account keep its sign-in. */
  async move(from: string, to: string, endpoint: Endpoint): Promise<void> {
    await this.inTurn(async () => {
      const kept = await this.get(from, endpoint);
      if (kept === undefined) return;
      const note = await this.secrets.signInNote(from, endpoint);
      await this.write(to, endpoint, kept);
      // What the provider does not take any more, it takes under no other name.
      if (note?.ended === true) await this.secrets.noteSignIn(to, endpoint, note);
    });
  }

  /**
   * Hands out access tokens of whoever is signed in when one is asked for, so that a run goes on with a new sign-in and stops at a
   * sign-out. Asks nobody, and never throws.
   */
  tokensOf(way: SignInWay): AccessTokens {
    return async (refused) => {
      try {
        const { get, text } = await this.holding(way);
        const reply = await get(refused);
        const isOver = !reply.ok && reply.failure.signIn === true && reply !== noSession;
        if (isOver && text !== undefined) await this.ended(way, text);
        return reply;
      } catch {
        // VS Code could not be asked, or the thread that talks to the provider died.
        return unreadable;
      }
    };
  }

  /** What is stored now decides, in whichever window it was stored. */
  private async holding(way: SignInWay): Promise<{ readonly get: AccessTokens; readonly text: string | undefined }> {
    const name = nameOf(way.id, way.endpoint);
    const text = await this.secrets.get("grant", way.id, way.endpoint);
    const signedIn = parseSignedIn(text);
    if (text === undefined || signedIn === undefined) {
      this.held.delete(name);
      return { get: () => Promise.resolve(signedOut), text: undefined };
    }
    const before = this.held.get(name);
    if (before?.texts.has(text) === true) {
      before.way = way;
      return { get: before.get, text };
    }
    const held = this.hold(way, signedIn, text);
    this.held.set(name, held);
    return { get: held.get, text };
  }

  private async write(id: string, endpoint: Endpoint, signedIn: SignedIn): Promise<string> {
    const text = JSON.stringify(signedIn);
    await this.secrets.store("grant", id, endpoint, text);
    await this.secrets.noteSignIn(id, endpoint, noteOf(signedIn));
    return text;
  }

  private hold(way: SignInWay, signedIn: SignedIn, text: string, first?: FirstToken): Held {
    const texts = new Set([text]);
    if (signedIn.kind === "vscode") return { texts, get: this.microsoft(signedIn), way };
    const rotated = async (grant: Grant): Promise<void> => {
      const newer = JSON.stringify({ kind: "grant", grant } satisfies SignedIn);
      await this.inTurn(async () => {
        // Somebody may have signed out meanwhile, or in again: then this one is of no use any more.
        const stored = await this.secrets.get("grant", way.id, way.endpoint);
        if (stored === undefined || !texts.has(stored)) return;
        texts.add(newer);
        await this.secrets.store("grant", way.id, way.endpoint, newer);
      });
    };
    const tokens = new GrantTokens(
      signedIn.grant,
      (grant) => this.tokens.refresh(oauthWay(held.way), grant),
      this.tokens.clock ?? systemClock,
      // What cannot be stored counts as long as this window lives.
      rotated,
      first,
    );
    const held: Held = { texts, get: tokens.get, way };
    return held;
  }

  /** VS Code renews its tokens itself: one that comes again after it was refused is of no use. */
  private microsoft({ clientId, account }: Extract<SignedIn, { kind: "vscode" }>): AccessTokens {
    const clock = this.tokens.clock ?? systemClock;
    let missingSince: number | undefined;
    return async (refused) => {
      const reply = await this.tokens.microsoftToken(clientId, account);
      if (reply.kind === "token") {
        missingSince = undefined;
        return reply.token === refused ? signedOut : { ok: true, token: reply.token };
      }
      missingSince ??= clock.monotonic();
      // VS Code does not say whether Microsoft was not reached or wants to see the person: only that one ends by itself.
      const isPatient = reply.kind === "unreachable" && clock.monotonic() - missingSince < patienceMs;
      return isPatient ? unreachable : noSession;
    };
  }

  /** The provider wants a new sign-in: that is asked for the next time, and until then nobody is signed in. */
  private async ended({ id, endpoint }: SignInWay, text: string): Promise<void> {
    const isNews = await this.inTurn(async () => {
      const note = await this.secrets.signInNote(id, endpoint);
      if (note === undefined || note.ended === true) return false;
      if ((await this.secrets.get("grant", id, endpoint)) !== text) return false;
      await this.secrets.noteSignIn(id, endpoint, { ...note, ended: true });
      return true;
    });
    if (isNews) this.changed();
  }
}

/** What the worker needs to know to talk to the provider. */
export function oauthWay({ account, root, caSha256, credentials }: SignInWay): OAuthWay {
  return { account, root, caSha256, credentials };
}

/** VS Code has no session: it was ended in its Accounts menu, or Microsoft wants to see the person. It may have one again. */
const noSession: TokenReply = { ...signedOut };

/** How long a session that gives no token counts as one that is out of reach, milliseconds. */
const patienceMs = 15 * 60_000;

const unreachable: TokenReply = {
  ok: false,
  failure: {
    class: "offline",
    stage: "auth",
    text: "VS Code gets no access token of Microsoft now. Check this machine's connection; it is tried again, and a person is asked to sign in if that does not help.",
  },
};

const unreadable: TokenReply = { ok: false, failure: { ...ownFailures.signInLost, stage: "auth" } };

function nameOf(id: string, endpoint: Endpoint): string {
  return `${id}/${endpointHash(endpoint)}`;
}

function noteOf(signedIn: SignedIn): SignInNote {
  if (signedIn.kind === "vscode") return { user: signedIn.account.label, since: signedIn.since, by: "vscode" };
  return { user: signedIn.grant.user, since: signedIn.grant.grantedAt, by: "browser" };
}

function parseSignedIn(text: string | undefined): SignedIn | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as SignedIn);
  } catch {
    return undefined;
  }
}

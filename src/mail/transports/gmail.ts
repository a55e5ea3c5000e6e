/** The Gmail API (users.messages.send) over one connection, held back by our gate. */
import type { Account } from "../account";
import { ownFailures, type Stage } from "../classify";
import type { Lookup } from "../connect";
import { HttpsConnection, HttpsError, type HttpsReply, type HttpsWatch, type HttpsWay } from "../https";
import { httpsFailure } from "../httpsFailures";
import type { Message } from "../message";
import type { AccessTokens, Credentials } from "../ports";
import { accessToken } from "./accessToken";
import type { ClientRequest } from "./gmailClient";
import { classifyGmail, readMessageId } from "./gmailErrors";
import { ServerWords } from "./serverWords";
import { SendError, type Gate, type Receipt, type Transport } from "./transport";

/** What a connection to the Gmail API needs. */
export interface GmailOptions {
  readonly account: Account;
  /** PEM text of the account's own authorities. */
  readonly ca: string | undefined;
  readonly credentials: Credentials;
  /** Without it nobody is signed in. */
  readonly accessTokens?: AccessTokens | undefined;
  /** Asked instead of the system for the server's addresses. */
  readonly lookup?: Lookup;
  readonly watch?: HttpsWatch;
}

const host = "gmail.googleapis.com";

/** A message of so many bytes goes as an upload of its own: as base64 inside of JSON it would be a third larger. */
const uploadFrom = 512 * 1024;

/** The API's own limit for a message, bytes (users.messages.send, maximum file size). */
const maxSize = 36_700_160;

/** What of the client's headers is sent; the others tell of this machine, or ask for what we do not read. */
const sentHeaders = ["content-type", "accept"] as const;

/** Makes transports for one account; they share the parsed certificates. */
export function gmailTransports(options: GmailOptions): () => Transport {
  const { account, ca, credentials, lookup, watch } = options;
  const way: HttpsWay = {
    ...{ account, ca, credentials },
    ...(lookup !== undefined && { lookup }),
    ...(watch !== undefined && { watch }),
  };
  return () => new GmailTransport(options, way);
}

/** One connection to the API. */
class GmailTransport implements Transport {
  private readonly connection: HttpsConnection;
  /** Nothing that the server repeats may show a token, or the proxy's password. */
  private readonly words: ServerWords;
  private token = "";

  constructor(
    private readonly options: GmailOptions,
    way: HttpsWay,
  ) {
    this.connection = new HttpsConnection(way, host);
    this.words = new ServerWords(options.account, options.credentials);
  }

  get heardAt(): number {
    return this.connection.heardAt;
  }

  get isOpen(): boolean {
    return this.connection.isOpen;
  }

  /** Connects, and gets the access token for the next message: the one from before may be over. */
  async open(signal: AbortSignal): Promise<void> {
    try {
      await this.connection.open(signal);
    } catch (error) {
      throw this.unanswered(error, "connect");
    }
    await this.signIn(undefined, signal);
  }

  async send(message: Message, gate: Gate, signal: AbortSignal, onRefused = (): void => {}): Promise<Receipt> {
    if (signal.aborted) throw own("stopped", "mail");
    if (message.size > maxSize) throw own("tooLarge", "mail");
    const { sendMessage } = await import("./gmailClient");
    // Gmail takes the recipients from the headers, and takes this one out of what it delivers.
    const bytes = [Buffer.from(message.bccHeader), ...message.pieces];
    const asUpload = message.size >= uploadFrom;
    const hand = (pass: Gate): Promise<HttpsReply> =>
      sendMessage(bytes, asUpload, (request) => this.ask(request, pass, signal));
    let reply = await hand(gate);
    if (reply.status === 401) {
      // Refused before it was looked at: nothing of it was sent. Getting another token takes time, in which somebody may have taken over.
      onRefused();
      await this.signIn(this.token, signal);
      await this.reopen(signal);
      reply = await hand(gate);
    }
    return this.receipt(reply);
  }

  async close(): Promise<void> {
    await this.connection.close();
  }

  drop(): void {
    this.connection.drop();
  }

  private async ask(request: ClientRequest, gate: Gate, signal: AbortSignal): Promise<HttpsReply> {
    const kept = sentHeaders.flatMap((name) => {
      const value = request.headers[name];
      return value === undefined ? [] : [[name, value] as const];
    });
    const headers = { ...Object.fromEntries(kept), "User-Agent": "Bulk-Mail", Authorization: `Bearer ${this.token}` };
    try {
      return await this.connection.request({ method: "POST", ...request, headers }, gate, signal);
    } catch (error) {
      throw this.unanswered(error, "mail");
    }
  }

  /** The server may end a connection with its refusal. */
  private async reopen(signal: AbortSignal): Promise<void> {
    try {
      await this.connection.open(signal);
    } catch (error) {
      throw this.unanswered(error, "connect");
    }
  }

  private async signIn(refused: string | undefined, signal: AbortSignal): Promise<void> {
    this.token = await accessToken(this.options.accessTokens, refused, signal);
    this.words.keepOut(this.token);
  }

  private receipt(reply: HttpsReply): Receipt {
    const { status, headers, body } = reply;
    const isYes = status >= 200 && status < 300 && /^application\/json\b/i.test(headers["content-type"] ?? "");
    if (!isYes) {
      const failure = classifyGmail(reply, Date.now());
      throw new SendError({ ...failure, reply: this.words.kept(failure.reply ?? "") });
    }
    const serverMessageId = readMessageId(body);
    return { reply: `${String(status)} OK`, ...(serverMessageId !== undefined && { serverMessageId }) };
  }

  /** @param stage how far it had come without a reply, where the request did not begin */
  private unanswered(error: unknown, stage: Stage): unknown {
    if (!(error instanceof HttpsError)) return error;
    const failure = httpsFailure(error, host, stage);
    return new SendError(error.reply === "" ? failure : { ...failure, reply: this.words.kept(error.reply) });
  }
}

function own(what: keyof typeof ownFailures, stage: Stage): SendError {
  return new SendError({ ...ownFailures[what], stage });
}

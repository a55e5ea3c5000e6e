/** Google's client for the Gmail API, as far as it writes our requests; a bundle of its own, because it is large. What goes over the wire goes through `ask`. */
import { gmail } from "googleapis/build/src/apis/gmail";

/** A request as the client wants it. */
export interface ClientRequest {
  readonly url: string;
  /** By lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: readonly Buffer[];
}

/** What goes with every call: nothing is read from the environment, nothing is repeated, no sign-in of the client's own. */
const options = {
  rootUrl: "https://gmail.googleapis.com/",
  universeDomain: "googleapis.com",
  retry: false,
  // Stands for a connection: without one the client looks for proxies in the environment.
  agent: {} as never,
  validateStatus: () => true,
  responseType: "text",
} as const;

/**
 * Calls users.messages.send: the message as JSON, or as an upload of its own (`asUpload`). Resolves with what `ask` does, and rejects as it
 * does.
 */
export async function sendMessage<Reply>(
  message: readonly Buffer[],
  asUpload: boolean,
  ask: (request: ClientRequest) => Promise<Reply>,
): Promise<Reply> {
  const whole = Buffer.concat(message);
  let asked: Promise<Reply> | undefined;
  const fetchImplementation = async (
    url: string | URL | Request,
    { headers, body }: { headers?: RequestInit["headers"]; body?: unknown } = {},
  ): Promise<Response> => {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(String(body));
    asked = ask({
      url: url instanceof Request ? url.url : url.toString(),
      headers: Object.fromEntries(new Headers(headers ?? {})),
      body: [bytes],
    });
    await asked;
    return new Response();
  };
  const params = asUpload
    ? { userId: "me", media: { mimeType: "message/rfc822", body: whole } }
    : { userId: "me", requestBody: { raw: whole.toString("base64url") } };
  const call = gmail("v1").users.messages.send(params, { ...options, fetchImplementation });
  // Our own error comes out of `asked`; the client's is a wrapping of it.
  await call.catch((error: unknown) => {
    if (asked === undefined) throw error;
  });
  if (asked === undefined) throw new Error("The Gmail API's client asked nothing.");
  return await asked;
}

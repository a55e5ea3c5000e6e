/** The access token for a connection. */
import { ownFailures } from "../classify";
import { signedOut, type AccessTokens } from "../ports";
import { isAccessToken } from "../xoauth2";
import { SendError } from "./transport";

/**
 * An access token for now, in place of one that was refused if there is one; waited for no longer than anybody waits for us. Throws
 * `SendError`.
 */
export async function accessToken(
  accessTokens: AccessTokens | undefined,
  refused: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  let onAbort = (): void => {};
  const aborted = new Promise<"stopped">((resolve) => {
    onAbort = () => resolve("stopped");
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    const reply = await Promise.race([accessTokens?.(refused) ?? signedOut, aborted]);
    if (reply === "stopped") throw new SendError({ ...ownFailures.stopped, stage: "auth" });
    if (!reply.ok) throw new SendError({ ...reply.failure, stage: "auth" });
    if (!isAccessToken(reply.token)) throw new SendError({ ...ownFailures.unusableToken, stage: "auth" });
    return reply.token;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** The worker's sign-ins: codes, tokens and grants over the account's own way to its provider. Pure adapters around the core. */
import { readCertificates, redeemCode, refreshToken, revokeGrant } from "./mail/index";
import type { AuthorizationRequest, Grant, Granted, HttpsWay, OAuthClient } from "./mail/index";
import type { OAuthWay } from "./workerProtocol";
import { certificatesMissing } from "./workerRuns";

/** Turns the code that the browser brought into a grant and its first access token. */
export async function redeem(
  way: OAuthWay,
  client: OAuthClient,
  request: AuthorizationRequest,
  code: string,
  signal: AbortSignal,
): Promise<Granted> {
  return await along(way, (https) => redeemCode(client, request, code, https, signal));
}

/** Gets another access token. Nobody waits for it in vain: the account's own time-outs hold. */
export async function refresh(way: OAuthWay, grant: Grant): Promise<Granted> {
  return await along(way, (https) => refreshToken(grant, https, new AbortController().signal));
}

/** Tells the provider that the grant is of no use any more; false when it could not be told. */
export async function revoke(way: OAuthWay, grant: Grant, signal: AbortSignal): Promise<boolean> {
  try {
    return await revokeGrant(grant, await httpsWay(way), signal);
  } catch (error) {
    certificatesMissing(error);
    return false;
  }
}

async function along(way: OAuthWay, work: (https: HttpsWay) => Promise<Granted>): Promise<Granted> {
  let https;
  try {
    https = await httpsWay(way);
  } catch (error) {
    return { ok: false, failure: { class: "account", stage: "connect", text: certificatesMissing(error) } };
  }
  return await work(https);
}

async function httpsWay({ account, root, caSha256, credentials }: OAuthWay): Promise<HttpsWay> {
  return { account, ca: await readCertificates(account, root, caSha256), credentials };
}

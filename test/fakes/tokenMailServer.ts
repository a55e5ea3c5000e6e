/** A provider's mail server behind an interceptor: STARTTLS, XOAUTH2 and nothing else. */
import { SMTPServer } from "smtp-server";
import { providerCertificate, type Interceptor } from "./interceptor";

/** What it took. */
export interface TokenMails {
  /** Recipients, in order. */
  readonly received: readonly string[];
  /** Access tokens as they came in, good or not. */
  readonly tokens: readonly string[];
}

/** Plays `authority`, such as `smtp.gmail.com:587`. `isGood` says which tokens are good at that moment. */
export function playTokenMail(
  interceptor: Interceptor,
  authority: string,
  user: string,
  isGood: (token: string) => boolean,
): TokenMails {
  const received: string[] = [];
  const tokens: string[] = [];
  const server = new SMTPServer({
    key: providerCertificate.key,
    cert: providerCertificate.cert,
    authMethods: ["XOAUTH2"],
    disableReverseLookup: true,
    logger: false,
    onAuth({ username, accessToken = "" }, _session, callback) {
      tokens.push(accessToken);
      if (username === user && isGood(accessToken)) callback(null, { user });
      else callback(null, { data: { status: "401", schemes: "bearer", scope: "mail" } });
    },
    onData(stream, { envelope }, callback) {
      stream.resume().on("end", () => {
        received.push(...envelope.rcptTo.map(({ address }) => address));
        callback(null, "taken");
      });
    },
  });
  server.on("error", () => {});
  interceptor.playSocket(authority, (socket) => server.server.emit("connection", socket));
  return { received, tokens };
}

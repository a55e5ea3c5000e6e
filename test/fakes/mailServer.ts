/** A real SMTP server on loopback as a provider runs one: STARTTLS with its own authority, sign-in, mails kept in memory. */
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { simpleParser, type ParsedMail } from "mailparser";
import { SMTPServer } from "smtp-server";
import { repositoryRoot } from "../host/repo";

/** A mail that was taken. */
export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  readonly source: Buffer;
  readonly parsed: ParsedMail;
}

/** The authority of a server's certificate, which no machine trusts by itself. */
export function authorityFile(of: "server" | "expired" = "server"): string {
  return tlsFile(of === "server" ? "ca.pem" : "expired-ca.pem");
}

/** The server; it takes one user with one password, and no mail without STARTTLS and sign-in. */
export class MailServer {
  readonly received: ReceivedMail[] = [];
  /** Passwords as they came in, right or wrong. */
  readonly signIns: { readonly user: string; readonly password: string }[] = [];
  private readonly waiters: (() => void)[] = [];
  private held: Promise<void> | undefined;

  private constructor(private readonly server: SMTPServer) {}

  /**
   * Starts one on a free port of 127.0.0.1. `onRcpt` may refuse a recipient by returning a reply text with its code;
   * `refusal` is what a wrong password is answered with.
   */
  static async start(
    user: string,
    password: string,
    onRcpt: (address: string) => string | undefined = () => undefined,
    refusal = "535 5.7.8 Username and Password not accepted",
    more: {
      /** TLS from the start, as on port 465. */
      readonly secure?: boolean;
      readonly certificate?: "server" | "expired" | "selfsigned" | "providers";
      /** Speaks TLS 1.0 only. */
      readonly old?: boolean;
      readonly newest?: "TLSv1.2";
      /** Takes an access token in the password's place, and nothing else (XOAUTH2). */
      readonly token?: boolean;
    } = {},
  ): Promise<MailServer> {
    const { secure = false, certificate = "server", old = false, newest, token = false } = more;
    const server: SMTPServer = new SMTPServer({
      key: readFileSync(tlsFile(`${certificate}.key`)),
      cert: readFileSync(tlsFile(`${certificate}.pem`)),
      secure,
      ...(newest !== undefined && { maxVersion: newest }),
      ...(old && { minVersion: "TLSv1", maxVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" }),
      authMethods: token ? ["XOAUTH2"] : ["PLAIN", "LOGIN"],
      disableReverseLookup: true,
      logger: false,
      onAuth(auth, _session, callback) {
        const secret = (token ? auth.accessToken : auth.password) ?? "";
        mails.signIns.push({ user: auth.username ?? "", password: secret });
        if (auth.username === user && secret === password) callback(null, { user });
        else if (token) callback(null, { data: { status: "401", schemes: "bearer mac", scope: "send" } });
        else callback(reply(refusal));
      },
      onRcptTo(address, _session, callback) {
        const refusal = onRcpt(address.address);
        callback(refusal === undefined ? null : reply(refusal));
      },
      onData(stream, session, callback) {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", () => {
          void (async () => {
            const source = Buffer.concat(chunks);
            const { mailFrom, rcptTo } = session.envelope;
            await mails.held;
            mails.received.push({
              from: mailFrom === false ? "" : mailFrom.address,
              to: rcptTo.map(({ address }) => address),
              source,
              parsed: await simpleParser(source),
            });
            callback(null, "taken");
            for (const wake of mails.waiters.splice(0)) wake();
          })();
        });
      },
    });
    const mails = new MailServer(server);
    server.on("error", () => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return mails;
  }

  get port(): number {
    return (this.server.server.address() as AddressInfo).port;
  }

  /** Keeps every reply to a body back until the returned function is called. */
  hold(): () => void {
    let release = (): void => {};
    this.held = new Promise((resolve) => (release = resolve));
    return () => {
      this.held = undefined;
      release();
    };
  }

  /** Resolves once so many mails were taken. */
  async until(count: number): Promise<void> {
    while (this.received.length < count) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  /** How often each address was mailed. */
  get perRecipient(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { to } of this.received) for (const address of to) counts.set(address, (counts.get(address) ?? 0) + 1);
    return counts;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}

function tlsFile(name: string): string {
  return path.join(repositoryRoot(), "test", "fixtures", "tls", name);
}

/** An error as smtp-server turns it into a reply. */
function reply(text: string): Error {
  return Object.assign(new Error(text.slice(4)), { responseCode: Number(text.slice(0, 3)) });
}

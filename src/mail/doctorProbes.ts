/** What the doctor asks a server after a failure. None of these connections carries a secret or a mail. */
import { isIP } from "node:net";
import * as tls from "node:tls";
import type { Account } from "./account";
import { openSocket, type Lookup } from "./connect";
import type { Credentials } from "./ports";
import { plainText } from "./problems";
import type { ServerPort } from "./providers";
import { smtpTransports, type SmtpWatch } from "./transports/smtp";

/** The ports of submission (RFC 8314 §3.3, RFC 6409 §3.1) and the one that many providers open beside them. */
export const otherPorts: readonly ServerPort[] = [
  { port: 587, security: "starttls" },
  { port: 465, security: "tls" },
  { port: 2525, security: "starttls" },
];

/** How long a port may take to show that it answers, milliseconds. */
const probeMs = 5_000;

/** A server's certificate, as far as people need it. Names are not verified here. */
export interface Certificate {
  readonly subject: string;
  readonly names: readonly string[];
  readonly issuer: string;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
  readonly selfSigned: boolean;
  /** Such as `TLSv1.3, TLS_AES_256_GCM_SHA384`. */
  readonly protocol: string;
}

/** What connections of the doctor need. */
interface ProbeOptions {
  readonly credentials: Credentials;
  readonly signal: AbortSignal;
  readonly lookup?: Lookup;
}

/** Questions about one account's server. */
export class Probes {
  constructor(
    private readonly account: Account,
    private readonly options: ProbeOptions,
  ) {}

  /** Those of `ports`, without the account's own, on which the same host answers as a mail server. */
  async answering(ports: readonly ServerPort[]): Promise<readonly ServerPort[]> {
    const others = ports.filter(({ port }) => port !== this.account.port);
    const answers = await Promise.all(others.map((port) => this.answers(port)));
    return others.filter((_port, index) => answers[index]);
  }

  /** The certificate that the server shows, whoever vouches for it. */
  async certificate(): Promise<Certificate | undefined> {
    let seen: Certificate | undefined;
    await this.opens(this.account, (socket) => (seen = certificateOf(socket)));
    return seen;
  }

  private answers({ port, security }: ServerPort): Promise<boolean> {
    return this.opens({ ...this.account, port, security: security === "tls" ? "tls" : "none" });
  }

  /** Whether a connection opens, without signing in and without a look at who answers. */
  private async opens(account: Account, secured: SmtpWatch["secured"] = () => {}): Promise<boolean> {
    const { credentials, lookup, signal } = this.options;
    const transport = smtpTransports({
      account: { ...account, auth: "none", tls: { ...account.tls, verify: false } },
      ca: undefined,
      credentials: proxyOnly(credentials),
      ...(lookup !== undefined && { lookup }),
      watch: { connect: () => {}, said: () => {}, secured },
    })();
    try {
      await transport.open(AbortSignal.any([signal, AbortSignal.timeout(probeMs)]));
      return true;
    } catch {
      return false;
    } finally {
      await transport.close();
    }
  }
}

/** Whether the account's port expects TLS from the start, as 465 does. */
export async function speaksTls(account: Account, options: ProbeOptions): Promise<boolean> {
  return (await certificateAt(account, options)) !== undefined;
}

/** The certificate that is shown where TLS starts at once, whoever vouches for it; undefined where that is not so. */
export async function certificateAt(account: Account, options: ProbeOptions): Promise<Certificate | undefined> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(probeMs)]);
  const name = isIP(account.host) === 0 ? { servername: account.host } : {};
  try {
    const plain = await openSocket(account, proxyOnly(options.credentials), signal, undefined, options.lookup);
    return await new Promise<Certificate | undefined>((resolve) => {
      const socket = tls.connect({ socket: plain, rejectUnauthorized: false, ...name });
      const settle = (answer: Certificate | undefined): void => {
        signal.removeEventListener("abort", onAbort);
        socket.destroy();
        plain.destroy();
        resolve(answer);
      };
      const onAbort = (): void => settle(undefined);
      signal.addEventListener("abort", onAbort, { once: true });
      socket.once("secureConnect", () => settle(certificateOf(socket)));
      socket.on("error", () => settle(undefined));
      socket.once("close", () => settle(undefined));
    });
  } catch {
    return undefined;
  }
}

/** The certificate of a connection. */
export function certificateOf(socket: tls.TLSSocket): Certificate {
  const { subject, subjectaltname, issuer, valid_from, valid_to, fingerprint256, issuerCertificate } =
    socket.getPeerCertificate(true) as Partial<tls.DetailedPeerCertificate>;
  const name = (value: string | string[] | undefined): string => plainText([value ?? []].flat().join(", "), 100);
  return {
    subject: name(subject?.CN),
    names: (subjectaltname ?? "")
      .split(", ")
      .map((one) => plainText(one.replace(/^(?:DNS|IP Address):/, ""), 100))
      .filter((one) => one !== ""),
    issuer: name(issuer?.O) || name(issuer?.CN),
    from: Date.parse(valid_from ?? ""),
    to: Date.parse(valid_to ?? ""),
    selfSigned: issuerCertificate !== undefined && issuerCertificate.fingerprint256 === fingerprint256,
    protocol: `${socket.getProtocol() ?? "TLS"}, ${socket.getCipher().name}`,
  };
}

/** A certificate in words, and what somebody should look at although it works. */
export function describeCertificate(
  certificate: Certificate,
  now: number,
): { readonly seen: string; readonly warning: string } {
  const { subject, names, issuer, from, to, selfSigned, protocol } = certificate;
  const day = (at: number): string => (Number.isNaN(at) ? "?" : new Date(at).toISOString().slice(0, 10));
  const left = Math.floor((to - now) / 86_400_000);
  const warning =
    left >= 0 && left < 14
      ? `The certificate ends in ${String(left)} ${left === 1 ? "day" : "days"}. The server's owner must renew it.`
      : "";
  const who = selfSigned ? "signed by itself" : `issued by ${issuer || "nobody named"}`;
  const all = (names.length === 0 ? [subject] : names).slice(0, 5).join(", ");
  return { seen: `for ${all}; ${who}; valid from ${day(from)} to ${day(to)}; ${protocol}`, warning };
}

/** The proxy may need its password; the server gets none. */
function proxyOnly({ proxyPassword }: Credentials): Credentials {
  return proxyPassword === undefined ? {} : { proxyPassword };
}

/** The doctor: walks the very way that sending goes, step by step, says what it saw, and on failure asks further. */
import type { TLSSocket } from "node:tls";
import type { Account } from "./account";
import type { Mailbox } from "./address";
import type { Failure, Stage } from "./classify";
import type { ConnectEvent, Lookup } from "./connect";
import { readCertificates } from "./delivery";
import type { Diagnosis, DoctorStep, DoctorStepName } from "./diagnosis";
import { otherPorts, Probes, speaksTls } from "./doctorProbes";
import { Walk } from "./doctorWalk";
import type { TextResolver } from "./domainHints";
import type { AccessTokens, Clock, Credentials } from "./ports";
import { plainText } from "./problems";
import type { ServerPort } from "./providers";
import { smtpTransports, type SmtpTransport, type SmtpWatch } from "./transports/smtp";
import { SendError } from "./transports/transport";

/** What a diagnosis needs besides the account. */
export interface DoctorOptions {
  /** The folder below which the account's CA file lies, and the SHA-256 (hex) of the content that was approved. */
  readonly root: string | undefined;
  readonly caSha256: string | undefined;
  readonly credentials: Credentials;
  readonly accessTokens?: AccessTokens | undefined;
  readonly signal: AbortSignal;
  /** Told each step as soon as it is known; the last word on a step is in the diagnosis. */
  readonly onStep: (step: DoctorStep) => void;
  /** Sends a test mail there at the end. */
  readonly sendTo?: Mailbox;
  /** Asked instead of the system. */
  readonly lookup?: Lookup;
  readonly resolver?: TextResolver;
  readonly clock?: Clock;
  /** Tried when the account's own port does not answer. */
  readonly ports?: readonly ServerPort[];
}

/**
 * Connects and signs in with the transport that sends, once: a refused password is never tried again, a refused access token is replaced
 * once. Further questions, which carry no secret, are asked only after a failure. Throws `FileError` for the CA file, and whatever `signal`
 * aborts with.
 */
export async function diagnose(account: Account, options: DoctorOptions): Promise<Diagnosis> {
  const ca = await readCertificates(account, options.root, options.caSha256);
  if (account.transport === "gmailApi") {
    const { walkGmail } = await import("./doctorGmail");
    return await walkGmail(account, ca, options);
  }
  return await new Examination(account, ca, options).run();
}

/** One walk over SMTP. */
class Examination implements SmtpWatch {
  private readonly walk: Walk;
  private readonly probes: Probes;
  private greeted = false;
  private lastCommand = "";

  constructor(
    private readonly account: Account,
    private readonly ca: string | undefined,
    private readonly options: DoctorOptions,
  ) {
    this.walk = new Walk(account, options);
    this.probes = new Probes(account, options);
  }

  async run(): Promise<Diagnosis> {
    const { account, options, ca, walk } = this;
    const { accessTokens } = walk;
    const transport = smtpTransports({ ...options, accessTokens, account, ca, watch: this })();
    let failure: Failure | undefined;
    try {
      await transport.open(options.signal);
      if (account.auth === "none") walk.step("auth", "skipped", "the account signs in without a password");
      await this.sender(transport);
      await walk.mail(transport);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof SendError)) throw error;
      failure = error.failure;
      await this.fail(failure);
    } finally {
      await transport.close();
    }
    if (failure === undefined) await walk.domain();
    options.signal.throwIfAborted();
    return walk.diagnosis(failure);
  }

  connect(event: ConnectEvent): void {
    this.walk.connect(event);
  }

  said(who: "client" | "server", text: string): void {
    // Whom a test mail goes to is nobody's business in a ticket.
    for (const line of text.split(/\r?\n/))
      this.walk.write(`${who === "client" ? "C" : "S"}: ${plainText(line, 1000).replace(/^(RCPT TO:<)[^>]*/i, "$1…")}`);
    if (who === "client") {
      this.lastCommand = /^[A-Za-z]+/.exec(text)?.[0].toUpperCase() ?? "";
      return;
    }
    if (!this.greeted) {
      this.greeted = true;
      if (text.startsWith("2")) this.greeting(text);
    } else if (this.lastCommand === "EHLO" && text.startsWith("2")) this.walk.step("ehlo", "ok", capabilities(text));
    else if (this.lastCommand === "STARTTLS" && text.startsWith("2"))
      this.walk.step("starttls", "ok", plainText(text, 120));
    // Nothing else is answered so, and the last line of a sign-in need not be the command.
    else if (text.startsWith("235")) this.walk.step("auth", "ok", plainText(text, 120));
  }

  secured(socket: TLSSocket): void {
    this.walk.secured(socket, this.account.tls.verify);
  }

  private greeting(text: string): void {
    // Many servers greet with their date: the one chance to notice a wrong clock before certificates fail for it.
    const stamp = /\b\d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (?:[+-]\d{4}|GMT|UTC)/.exec(text)?.[0];
    const skew = stamp === undefined ? 0 : this.walk.now() - Date.parse(stamp);
    if (Math.abs(skew) < 5 * 60_000 || Number.isNaN(skew))
      return this.walk.step("greeting", "ok", plainText(text, 200));
    const minutes = Math.round(Math.abs(skew) / 60_000);
    this.walk.step("greeting", "warning", plainText(text, 200), {
      text: `This machine's clock is ${String(minutes)} minutes ${skew > 0 ? "ahead of" : "behind"} the server's. Set the date and time: certificates depend on them.`,
    });
  }

  private async sender(transport: SmtpTransport): Promise<void> {
    const { walk } = this;
    const from = walk.sender();
    if (from === undefined) {
      walk.step("sender", "skipped", "the account names no sender");
      return;
    }
    walk.start();
    const reply = await transport.checkSender(from.address, this.options.signal);
    walk.step("sender", "ok", `${from.address}: ${reply}`);
  }

  /** Says which step failed, why, and what mends it; asks the server further where that helps. */
  private async fail(failure: Failure): Promise<void> {
    const name = this.failedStep(failure);
    this.walk.write(`# failed: ${failure.text}`);
    const ms = this.walk.elapsed();
    const { account, probes } = this;
    // A server that spoke is there: whoever is turned away does not come three times more.
    const silent = failure.code === undefined;
    const ports =
      silent && (name === "tcp" || name === "greeting" || name === "starttls")
        ? (this.options.ports ?? otherPorts)
        : [];
    const [answering, tlsAtOnce] = await Promise.all([
      probes.answering(ports),
      silent && account.security === "starttls" && name === "greeting" ? speaksTls(account, this.options) : false,
    ]);
    const certificate = name === "certificate" ? await probes.certificate() : undefined;
    this.walk.fail(name, failure, { answering, probed: ports, tlsAtOnce }, certificate, ms);
  }

  private failedStep(failure: Failure): DoctorStepName {
    const { stage, systemCode } = failure;
    const common = this.walk.commonStep(failure);
    if (common !== undefined) return common;
    // Who keeps silent where TLS is due has not greeted.
    if (stage === "starttls" && systemCode === "ETIMEDOUT" && this.account.security === "tls") return "greeting";
    if (stage === "connect" && systemCode !== undefined && /^(?:ERR_SSL|ERR_TLS|EPROTO)/.test(systemCode))
      return "starttls";
    const steps: Readonly<Record<Stage, DoctorStepName>> = {
      connect: this.walk.has("tcp") || this.walk.has("proxy") ? "greeting" : "tcp",
      greeting: "greeting",
      ehlo: "ehlo",
      starttls: "starttls",
      auth: "auth",
      mail: this.walk.has("sender") ? "mail" : "sender",
      rcpt: "mail",
      data: "mail",
      body: "mail",
      reply: "mail",
    };
    return steps[stage];
  }
}

/** The extensions of an EHLO reply (RFC 5321 §4.1.1.1), without the server's name. */
function capabilities(reply: string): string {
  const names = reply
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.slice(4).trim())
    .filter((line) => line !== "");
  return plainText(names.join(", ") || "none");
}

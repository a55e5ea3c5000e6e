/** The doctor: walks the very way that sending goes, step by step, says what it saw, and on failure asks further. */
import { isIP } from "node:net";
import type { TLSSocket } from "node:tls";
import { randomUUID } from "node:crypto";
import { senderOf, type Account } from "./account";
import { parseMailbox, type Mailbox } from "./address";
import type { Failure, Stage } from "./classify";
import type { ConnectEvent, Lookup } from "./connect";
import { readCertificates } from "./delivery";
import { doctorSteps, type Diagnosis, type DoctorFix, type DoctorStep, type DoctorStepName } from "./diagnosis";
import { fixesOf, isAboutCertificate } from "./doctorFixes";
import { certificateOf, describeCertificate, otherPorts, Probes, speaksTls } from "./doctorProbes";
import { domainHints, systemResolver, type TextResolver } from "./domainHints";
import { composeMessage } from "./message";
import { systemClock, type AccessTokens, type Clock, type Credentials } from "./ports";
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
 * Connects and signs in with the transport that sends, once: a refused password is never tried again. Further questions, which
 * carry no secret, are asked only after a failure. Throws `FileError` for the CA file, and whatever `signal` aborts with.
 */
export async function diagnose(account: Account, options: DoctorOptions): Promise<Diagnosis> {
  const ca = await readCertificates(account, options.root, options.caSha256);
  return await new Examination(account, ca, options).run();
}

/** One walk. */
class Examination implements SmtpWatch {
  private readonly found = new Map<DoctorStepName, DoctorStep>();
  private readonly lines: string[] = [];
  private readonly clock: Clock;
  private readonly probes: Probes;
  private mark: number;
  private greeted = false;
  private lastCommand = "";

  constructor(
    private readonly account: Account,
    private readonly ca: string | undefined,
    private readonly options: DoctorOptions,
  ) {
    this.clock = options.clock ?? systemClock;
    this.mark = this.clock.monotonic();
    this.probes = new Probes(account, options);
  }

  async run(): Promise<Diagnosis> {
    const { account, options, ca } = this;
    const transport = smtpTransports({ ...options, account, ca, watch: this })();
    let failure: Failure | undefined;
    try {
      await transport.open(options.signal);
      if (account.auth === "none") this.step("auth", "skipped", "the account signs in without a password");
      await this.sender(transport);
      await this.mail(transport);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof SendError)) throw error;
      failure = error.failure;
      await this.fail(failure);
    } finally {
      await transport.close();
    }
    if (failure === undefined) await this.domain();
    options.signal.throwIfAborted();
    const steps = doctorSteps.map((name): DoctorStep => this.found.get(name) ?? skipped(name));
    return {
      steps,
      ok: failure === undefined,
      ...(failure !== undefined && { failure }),
      transcript: this.lines.join("\n"),
    };
  }

  connect(event: ConnectEvent): void {
    this.lines.push(`# ${describe(event)}`);
    // Behind a proxy these two are about the proxy, which looks the server's name up itself.
    const whose = this.account.proxy === "" ? "" : "the proxy: ";
    switch (event.kind) {
      case "resolved":
        return this.step("dns", "ok", `${whose}${event.addresses.join(", ")}`, { ms: event.ms });
      case "connected":
        return this.step("tcp", "ok", `${whose}${event.address}, port ${String(event.port)}`, { ms: event.ms });
      case "proxied":
        return this.step("proxy", "ok", event.proxy, { ms: event.ms });
    }
  }

  said(who: "client" | "server", text: string): void {
    // Whom a test mail goes to is nobody's business in a ticket.
    for (const line of text.split(/\r?\n/))
      this.lines.push(`${who === "client" ? "C" : "S"}: ${plainText(line, 1000).replace(/^(RCPT TO:<)[^>]*/i, "$1…")}`);
    if (who === "client") {
      this.lastCommand = /^[A-Za-z]+/.exec(text)?.[0].toUpperCase() ?? "";
      return;
    }
    if (!this.greeted) {
      this.greeted = true;
      if (text.startsWith("2")) this.greeting(text);
    } else if (this.lastCommand === "EHLO" && text.startsWith("2")) this.step("ehlo", "ok", capabilities(text));
    else if (this.lastCommand === "STARTTLS" && text.startsWith("2")) this.step("starttls", "ok", plainText(text, 120));
    // Nothing else is answered so, and the last line of a sign-in need not be the command.
    else if (text.startsWith("235")) this.step("auth", "ok", plainText(text, 120));
  }

  secured(socket: TLSSocket): void {
    const { seen, warning } = describeCertificate(certificateOf(socket), this.clock.now());
    const unverified = this.account.tls.verify
      ? ""
      : "The certificate is not checked, so an impostor would not be noticed.";
    const text = unverified || warning;
    this.lines.push(`# encrypted: ${seen}`);
    this.step("certificate", text === "" ? "ok" : "warning", seen, {
      text,
      fixes:
        unverified === ""
          ? []
          : [{ kind: "set", title: "Check the certificate", values: { "tls.verify": true } } satisfies DoctorFix],
    });
  }

  private greeting(text: string): void {
    // Many servers greet with their date: the one chance to notice a wrong clock before certificates fail for it.
    const stamp = /\b\d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (?:[+-]\d{4}|GMT|UTC)/.exec(text)?.[0];
    const skew = stamp === undefined ? 0 : this.clock.now() - Date.parse(stamp);
    if (Math.abs(skew) < 5 * 60_000 || Number.isNaN(skew)) return this.step("greeting", "ok", plainText(text, 200));
    const minutes = Math.round(Math.abs(skew) / 60_000);
    this.step("greeting", "warning", plainText(text, 200), {
      text: `This machine's clock is ${String(minutes)} minutes ${skew > 0 ? "ahead of" : "behind"} the server's. Set the date and time: certificates depend on them.`,
    });
  }

  private async sender(transport: SmtpTransport): Promise<void> {
    const from = senderOf(this.account).from;
    const mailbox = from === undefined ? undefined : parseMailbox(from);
    if (mailbox?.ok !== true) {
      this.step("sender", "skipped", "the account names no sender");
      return;
    }
    this.mark = this.clock.monotonic();
    const reply = await transport.checkSender(mailbox.mailbox.address, this.options.signal);
    this.step("sender", "ok", `${mailbox.mailbox.address}: ${reply}`);
  }

  private async mail(transport: SmtpTransport): Promise<void> {
    const { sendTo, signal } = this.options;
    const from = parseMailbox(senderOf(this.account).from ?? "");
    if (sendTo === undefined || !from.ok) return;
    this.mark = this.clock.monotonic();
    const message = await composeMessage({
      from: from.mailbox,
      to: sendTo,
      cc: [],
      bcc: [],
      replyTo: undefined,
      subject: "Test of your mail account",
      text: `This is a test of the account ${this.account.id}. It arrived, so sending works.\r\n`,
      html: "",
      attachments: [],
      headers: [],
      unsubscribe: undefined,
      oneClick: false,
      messageId: `<${randomUUID()}@${from.mailbox.address.split("@").at(-1) ?? "localhost"}>`,
      date: new Date(this.clock.now()),
    });
    const { reply } = await transport.send(message, () => Promise.resolve(), signal);
    this.step("mail", "ok", `to ${sendTo.address}: ${reply}`);
  }

  private async domain(): Promise<void> {
    const from = parseMailbox(senderOf(this.account).from ?? "");
    const domain = from.ok ? from.mailbox.address.split("@").at(-1) : undefined;
    if (domain === undefined || isIP(domain) !== 0) return;
    this.mark = this.clock.monotonic();
    const hints = await domainHints(domain, this.options.resolver ?? systemResolver(), this.options.signal);
    if (hints !== undefined)
      this.step("domain", hints.text === "" ? "ok" : "warning", hints.seen, { text: hints.text });
  }

  /** Says which step failed, why, and what mends it; asks the server further where that helps. */
  private async fail(failure: Failure): Promise<void> {
    const name = this.failedStep(failure);
    this.lines.push(`# failed: ${failure.text}`);
    const ms = this.clock.monotonic() - this.mark;
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
    const seen =
      certificate === undefined ? (failure.reply ?? "") : describeCertificate(certificate, this.clock.now()).seen;
    const { text, fixes } = fixesOf({ account, failure, step: name, answering, probed: ports, tlsAtOnce });
    this.step(name, "failed", seen, { text, fixes, ms });
  }

  private failedStep({ stage, systemCode }: Failure): DoctorStepName {
    if (systemCode !== undefined && /^(?:ENOTFOUND|ENODATA|EAI_AGAIN|EDNS)$/.test(systemCode)) return "dns";
    if (systemCode?.startsWith("EPROXY") === true) return "proxy";
    if (systemCode !== undefined && isAboutCertificate(systemCode)) return "certificate";
    // Who keeps silent where TLS is due has not greeted.
    if (stage === "starttls" && systemCode === "ETIMEDOUT" && this.account.security === "tls") return "greeting";
    if (stage === "connect" && systemCode !== undefined && /^(?:ERR_SSL|ERR_TLS|EPROTO)/.test(systemCode))
      return "starttls";
    const steps: Readonly<Record<Stage, DoctorStepName>> = {
      connect: this.found.has("tcp") || this.found.has("proxy") ? "greeting" : "tcp",
      greeting: "greeting",
      ehlo: "ehlo",
      starttls: "starttls",
      auth: "auth",
      mail: this.found.has("sender") ? "mail" : "sender",
      rcpt: "mail",
      data: "mail",
      body: "mail",
      reply: "mail",
    };
    return steps[stage];
  }

  private step(
    name: DoctorStepName,
    state: DoctorStep["state"],
    seen: string,
    more: { readonly text?: string; readonly fixes?: readonly DoctorFix[]; readonly ms?: number } = {},
  ): void {
    const now = this.clock.monotonic();
    const { text = "", fixes = [], ms = now - this.mark } = more;
    this.mark = now;
    const step: DoctorStep = { name, state, ms, seen, text, fixes };
    this.found.set(name, step);
    this.options.onStep(step);
  }
}

function skipped(name: DoctorStepName): DoctorStep {
  return { name, state: "skipped", ms: 0, seen: "", text: "", fixes: [] };
}

function describe(event: ConnectEvent): string {
  switch (event.kind) {
    case "resolved":
      return `${event.name} is ${event.addresses.join(", ")}`;
    case "connected":
      return `connected to ${event.address}, port ${String(event.port)}`;
    case "proxied":
      return `through ${event.proxy}`;
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

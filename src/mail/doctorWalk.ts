/** What every walk of the doctor has: its steps, its transcript, and what does not depend on how mail is handed over. */
import { randomUUID } from "node:crypto";
import { isIP } from "node:net";
import type { TLSSocket } from "node:tls";
import { senderOf, type Account } from "./account";
import { parseMailbox, type Mailbox } from "./address";
import type { Failure } from "./classify";
import type { ConnectEvent } from "./connect";
import { doctorSteps, type Diagnosis, type DoctorFix, type DoctorStep, type DoctorStepName } from "./diagnosis";
import type { DoctorOptions } from "./doctor";
import { fixesOf, type Findings } from "./doctorFixes";
import { certificateOf, describeCertificate, type Certificate } from "./doctorProbes";
import { domainHints, systemResolver } from "./domainHints";
import { composeMessage } from "./message";
import { systemClock, type AccessTokens, type Clock } from "./ports";
import type { Transport } from "./transports/transport";

/** One walk, as it goes. */
export class Walk {
  private readonly found = new Map<DoctorStepName, DoctorStep>();
  private readonly lines: string[] = [];
  private readonly clock: Clock;
  private mark: number;
  /** Why there was no access token. */
  private noToken: Failure | undefined;

  constructor(
    readonly account: Account,
    private readonly options: DoctorOptions,
  ) {
    this.clock = options.clock ?? systemClock;
    this.mark = this.clock.monotonic();
  }

  /** The account's access tokens; that one was got, and that none was, is remembered here. */
  get accessTokens(): AccessTokens | undefined {
    const { accessTokens } = this.options;
    if (accessTokens === undefined) return undefined;
    return async (refused) => {
      const reply = await accessTokens(refused);
      this.noToken = reply.ok ? undefined : reply.failure;
      if (reply.ok) this.write(refused === undefined ? "# got an access token" : "# got another access token");
      return reply;
    };
  }

  /** From where on the next step is measured. */
  start(): void {
    this.mark = this.clock.monotonic();
  }

  /** The time, milliseconds since the epoch. */
  now(): number {
    return this.clock.now();
  }

  /** Adds a line to the transcript. */
  write(line: string): void {
    this.lines.push(line);
  }

  /** Whether a step was reached. */
  has(name: DoctorStepName): boolean {
    return this.found.has(name);
  }

  step(
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

  connect(event: ConnectEvent): void {
    this.write(`# ${describe(event)}`);
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

  /** @param isVerified whether the connection would have failed with another's certificate */
  secured(socket: TLSSocket, isVerified: boolean): void {
    const { seen, warning } = describeCertificate(certificateOf(socket), this.now());
    const unverified = isVerified ? "" : "The certificate is not checked, so an impostor would not be noticed.";
    const text = unverified || warning;
    this.write(`# encrypted: ${seen}`);
    this.step("certificate", text === "" ? "ok" : "warning", seen, {
      text,
      fixes:
        unverified === ""
          ? []
          : [{ kind: "set", title: "Check the certificate", values: { "tls.verify": true } } satisfies DoctorFix],
    });
  }

  /** From whom the account sends; undefined when it names nobody. */
  sender(): Mailbox | undefined {
    const from = parseMailbox(senderOf(this.account).from ?? "");
    return from.ok ? from.mailbox : undefined;
  }

  /** Sends a mail that shows that sending works, where one is asked for. Throws as the transport does. */
  async mail(transport: Transport): Promise<void> {
    const { sendTo, signal } = this.options;
    const from = this.sender();
    if (sendTo === undefined || from === undefined) return;
    this.start();
    const message = await composeMessage({
      from,
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
      messageId: `<${randomUUID()}@${from.address.split("@").at(-1) ?? "localhost"}>`,
      date: new Date(this.now()),
    });
    const { reply } = await transport.send(message, () => Promise.resolve(), signal);
    this.step("mail", "ok", `to ${sendTo.address}: ${reply}`);
  }

  /** What receivers find of the sender's domain. */
  async domain(): Promise<void> {
    const domain = this.sender()?.address.split("@").at(-1);
    if (domain === undefined || isIP(domain) !== 0) return;
    this.start();
    const { resolver = systemResolver(), signal } = this.options;
    const hints = await domainHints(domain, resolver, signal);
    if (hints !== undefined)
      this.step("domain", hints.text === "" ? "ok" : "warning", hints.seen, { text: hints.text });
  }

  /** The step of a failure that is the same on every way; undefined where the way decides. */
  commonStep(failure: Failure): DoctorStepName | undefined {
    const { systemCode = "" } = failure;
    // Whatever was in the way of a token was in its way, not in the mail's.
    if (this.noToken?.text === failure.text || failure.signIn === true) return "auth";
    if (/^(?:ENOTFOUND|ENODATA|EAI_AGAIN|EDNS)$/.test(systemCode)) return "dns";
    if (systemCode.startsWith("EPROXY")) return "proxy";
    return isAboutCertificate(systemCode) ? "certificate" : undefined;
  }

  /** Says which step failed, why, and what mends it. */
  fail(
    step: DoctorStepName,
    failure: Failure,
    findings: Partial<Findings> = {},
    certificate?: Certificate,
    ms = this.elapsed(),
  ): void {
    const seen = certificate === undefined ? (failure.reply ?? "") : describeCertificate(certificate, this.now()).seen;
    const { account } = this;
    const nothing = { answering: [], probed: [], tlsAtOnce: false };
    this.step(step, "failed", seen, { ...fixesOf({ ...nothing, ...findings, account, failure, step }), ms });
  }

  /** Milliseconds since the step before. */
  elapsed(): number {
    return this.clock.monotonic() - this.mark;
  }

  diagnosis(failure: Failure | undefined): Diagnosis {
    return {
      steps: doctorSteps.map((name): DoctorStep => this.found.get(name) ?? skipped(name)),
      ok: failure === undefined,
      ...(failure !== undefined && { failure }),
      transcript: this.lines.join("\n"),
    };
  }
}

/** Whether a code is about the server's certificate; an alert is the server's word about ours. */
function isAboutCertificate(systemCode: string): boolean {
  return /^CERT_|^ERR_TLS_CERT|SELF_SIGNED|^UNABLE_TO/.test(systemCode);
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

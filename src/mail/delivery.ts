/** Ways to a transport: one for a target, a try of an account, a single test message. */
import { accountSchema, sandboxId, type Account } from "./account";
import type { Mailbox } from "./address";
import type { Failure } from "./classify";
import type { Diagnosis } from "./diagnosis";
import type { DoctorOptions } from "./doctor";
import { readAuthorities } from "./endpoint";
import { FileError } from "./files";
import { sandboxDirectory } from "./stateDirectory";
import type { Target } from "./plan";
import type { AccessTokens, Credentials } from "./ports";
import type { Entry, Prepared } from "./preflight";
import { SendError, type Transport } from "./transports/transport";
import * as v from "valibot";

/** What became of a try. */
export type Tried = { readonly ok: true; readonly reply: string } | { readonly ok: false; readonly failure: Failure };

/** Where a run's transports come from; the sandbox's server lives as long as this. */
export interface Delivery {
  /** A new transport, one a connection. */
  transport(): Transport;
  close(): Promise<void>;
}

/** Opens the way to a target. Starts the sandbox server where the target is the sandbox. */
export async function openDelivery(
  target: Target,
  about: {
    readonly stateDirectory: string;
    readonly campaignId: string;
    /** PEM text of the account's own authorities. */
    readonly ca: string | undefined;
    readonly credentials: Credentials;
    readonly accessTokens?: AccessTokens | undefined;
  },
): Promise<Delivery> {
  switch (target.kind) {
    case "account": {
      const options = { ...about, account: target.account };
      const transport =
        target.account.transport === "gmailApi"
          ? (await import("./transports/gmail")).gmailTransports(options)
          : (await import("./transports/smtp")).smtpTransports(options);
      return { transport, close: () => Promise.resolve() };
    }
    case "outbox": {
      const { OutboxTransport } = await import("./transports/outbox");
      return { transport: () => new OutboxTransport(target.directory), close: () => Promise.resolve() };
    }
    case "sandbox": {
      const [{ smtpTransports }, { startSandbox }] = await Promise.all([
        import("./transports/smtp"),
        import("./sandboxServer"),
      ]);
      const server = await startSandbox(sandboxDirectory(about.stateDirectory, about.campaignId));
      const account = sandboxAccount(server.port);
      return { transport: smtpTransports({ ...about, ca: undefined, account }), close: () => server.close() };
    }
  }
}

/** The built-in account as its server's port makes it. */
function sandboxAccount(port: number): Account {
  return {
    ...v.parse(accountSchema, { host: "127.0.0.1", port, security: "none", auth: "none" }),
    id: sandboxId,
  };
}

/**
 * The PEM text of an account's own authorities, undefined when it names none; the file lies below `root`. Whoever these authorities vouch for gets the password: a content other than the approved one (SHA-256, hex) is
 * refused. Throws `FileError`.
 */
export async function readCertificates(
  account: Account,
  root: string | undefined,
  approved: string | undefined,
): Promise<string | undefined> {
  const found = await readAuthorities(account, root);
  if (found !== undefined && found.sha256 !== approved)
    throw new FileError("unreadable", account.tls.caFile, "has changed since it was approved");
  return found?.pem;
}

/** The doctor, loaded when it is called: see `doctor.ts`. */
export async function diagnose(account: Account, options: DoctorOptions): Promise<Diagnosis> {
  const doctor = await import("./doctor");
  return await doctor.diagnose(account, options);
}

/** Sends one row's message to `to` alone, its subject marked; no journal, so it never counts as sent to the row's recipient. */
export async function sendTest(
  prepared: Prepared,
  entry: Extract<Entry, { kind: "mail" }>,
  to: Mailbox,
  target: Target,
  about: {
    readonly stateDirectory: string;
    readonly ca: string | undefined;
    readonly credentials: Credentials;
    readonly accessTokens?: AccessTokens | undefined;
    /** A new UUID: every test is a message of its own. */
    readonly testId: string;
    readonly date: Date;
  },
  signal: AbortSignal,
): Promise<Tried> {
  const campaignId = prepared.campaign.id;
  if (campaignId === undefined) throw new Error("A campaign without id is never sent.");
  const message = await prepared.compose(entry, { runId: about.testId, date: about.date, testTo: to });
  const delivery = await openDelivery(target, { ...about, campaignId });
  const transport = delivery.transport();
  try {
    await transport.open(signal);
    const receipt = await transport.send(message, () => Promise.resolve(), signal);
    return { ok: true, reply: receipt.reply };
  } catch (error) {
    return failed(error);
  } finally {
    await transport.close();
    await delivery.close();
  }
}

function failed(error: unknown): Tried {
  if (error instanceof SendError) return { ok: false, failure: error.failure };
  throw error;
}

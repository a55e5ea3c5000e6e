/** The doctor's way to the Gmail API: no ports to choose and no dialogue, but a sign-in that may have ended. */
import type { Account } from "./account";
import type { Failure } from "./classify";
import type { Diagnosis, DoctorFix, DoctorStepName } from "./diagnosis";
import type { DoctorOptions } from "./doctor";
import { certificateAt } from "./doctorProbes";
import { Walk } from "./doctorWalk";
import { quote } from "./problems";
import { gmailTransports } from "./transports/gmail";
import { SendError } from "./transports/transport";

/** Walks. `ca` is the PEM text of the account's own authorities. Throws whatever the options' signal aborts with. */
export async function walkGmail(account: Account, ca: string | undefined, options: DoctorOptions): Promise<Diagnosis> {
  const walk = new Walk(account, options);
  const { accessTokens } = walk;
  const transport = gmailTransports({
    ...{ account, ca, accessTokens, credentials: options.credentials },
    ...(options.lookup !== undefined && { lookup: options.lookup }),
    watch: {
      connect: (event) => walk.connect(event),
      // There is no way to leave the check out here.
      secured: (socket) => walk.secured(socket, true),
      replied: (method, url, status) => {
        const { host, pathname } = new URL(url);
        walk.write(`${method} ${host}${pathname}: ${String(status)}`);
      },
    },
  })();
  let failure: Failure | undefined;
  try {
    await transport.open(options.signal);
    walk.step("auth", "ok", "an access token was got");
    sender(walk);
    await walk.mail(transport);
  } catch (error) {
    options.signal.throwIfAborted();
    if (!(error instanceof SendError)) throw error;
    failure = error.failure;
    walk.write(`# failed: ${failure.text}`);
    const ms = walk.elapsed();
    const name = walk.commonStep(failure) ?? failedStep(walk, failure);
    const certificate = name === "certificate" ? await certificateAt(account, options) : undefined;
    walk.fail(name, failure, {}, certificate, ms);
  } finally {
    await transport.close();
  }
  if (failure === undefined) await walk.domain();
  options.signal.throwIfAborted();
  return walk.diagnosis(failure);
}

/** Gmail says nothing about a sender that it does not know: it puts the account's own address in its place. */
function sender(walk: Walk): void {
  const from = walk.sender();
  const { user } = walk.account;
  if (from === undefined) return walk.step("sender", "skipped", "the account names no sender");
  if (from.address.toLowerCase() === user.toLowerCase())
    return walk.step("sender", "ok", `${from.address}: the account's own address`);
  walk.step("sender", "warning", from.address, {
    text: `Gmail puts ${quote(user)} in place of ${quote(from.address)}, unless that is set up in Gmail's settings under “Send mail as”. Set it up there, or use the account's own address.`,
    fixes: [{ kind: "field", title: "Change the sender", field: "from" } satisfies DoctorFix],
  });
}

function failedStep(walk: Walk, { stage, systemCode = "" }: Failure): DoctorStepName {
  if (stage === "auth") return "auth";
  if (stage !== "connect") return "mail";
  if (/^(?:ERR_SSL|ERR_TLS|EPROTO)/.test(systemCode)) return "starttls";
  // A connection that stands is what a mail is lost on, one that does not come about is not encrypted.
  if (walk.has("auth")) return "mail";
  return walk.has("tcp") || walk.has("proxy") ? "starttls" : "tcp";
}

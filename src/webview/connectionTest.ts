/** The host half of a connection test: the doctor's words as the page shows them, and the questions that come before. */
import * as vscode from "vscode";
import type { Accounts, Draft, ResolvedAccount } from "../accounts";
import type { Dialogs } from "../dialogs";
import type { Account, Diagnosis, DoctorFix, DoctorStep, DoctorStepName } from "../mail/index";
import {
  doctorStepNames,
  doctorSteps,
  formatDiagnosis,
  parseMailbox,
  plainText,
  providers,
  senderOf,
} from "../mail/index";
import type { SendTask } from "../sendTask";
import { fieldOf, formProblem, formValues } from "./accountForm";
import type { TestFix, TestReply, TestStep } from "./protocol";

/** Who walks the way to a server. */
export type Doctor = Pick<SendTask, "diagnose">;

/** Tests drafts of accounts, one at a time. */
export class ConnectionTest {
  private testing: AbortController | undefined;
  private last: { readonly run: number; readonly transcript: string } | undefined;

  /** @param show is told every step of a run so far, after each */
  constructor(
    private readonly ports: {
      readonly accounts: Accounts;
      readonly dialogs: Pick<Dialogs, "confirm">;
      readonly doctor: Doctor;
    },
    private readonly show: (run: number, steps: readonly TestStep[]) => void,
  ) {}

  /** Ends the test in progress, if there is one. */
  cancel(): void {
    this.testing?.abort();
    this.testing = undefined;
  }

  /** Tests a draft. With `mail` it asks the person, then sends one message to the account's own From address. */
  async run(run: number, draft: Draft, mail: boolean): Promise<TestReply> {
    this.cancel();
    this.last = undefined;
    const { signal } = (this.testing = new AbortController());
    const { accounts, doctor } = this.ports;
    const problems = await accounts.check(undefined, draft);
    if (problems.some((problem) => problem.severity === "error"))
      return { kind: "problems", problems: problems.map(formProblem) };
    const resolved = await accounts.resolveDraft(undefined, draft);
    if (resolved.kind === "refused") return { kind: "refused", text: `${resolved.text} ${resolved.detail}`.trim() };
    if (resolved.kind !== "account") return { kind: "cancelled" };
    const own = ownAddress(resolved);
    const sendTo = mail ? own : undefined;
    if (mail && (sendTo === undefined || !(await this.confirm(resolved, sendTo)))) return { kind: "cancelled" };
    if (signal.aborted) return { kind: "cancelled" };
    // Questions take time: the secret goes only where it was resolved for.
    if (!(await accounts.draftStillHolds(undefined, draft, resolved)))
      return { kind: "refused", text: "The account was changed in the meantime, so nothing was tried. Test it again." };

    const steps = new Map<DoctorStepName, TestStep>();
    const onStep = (step: DoctorStep): void => {
      if (signal.aborted) return;
      steps.set(step.name, testStep(step, resolved.account));
      this.show(run, inOrder(steps));
    };
    const { credentials, accessToken } = resolved;
    const secrets = { credentials: () => Promise.resolve(credentials), accessToken };
    const walk = doctor.diagnose(resolved, secrets, { sendTo, onStep, signal });
    const diagnosis = await Promise.race([walk, aborted(signal)]).catch((error: unknown) => {
      if (signal.aborted) return undefined;
      throw error;
    });
    if (diagnosis === undefined) return { kind: "cancelled" };
    this.last = { run, transcript: ticket(diagnosis) };
    return {
      kind: "tested",
      ok: diagnosis.ok,
      text: headline(diagnosis, resolved, sendTo),
      steps: diagnosis.steps.filter(({ state }) => state !== "skipped").map((step) => testStep(step, resolved.account)),
      mailTo: diagnosis.ok && !mail ? (own ?? "") : "",
    };
  }

  /** Copies the dialogue of the last test; false when it is of another one. */
  async copyTranscript(run: number): Promise<boolean> {
    if (this.last?.run !== run) return false;
    await vscode.env.clipboard.writeText(this.last.transcript);
    return true;
  }

  private confirm({ account }: ResolvedAccount, sendTo: string): Promise<boolean> {
    return this.ports.dialogs.confirm(
      `Send a test mail to ${plainText(sendTo, 320)}?`,
      `One message leaves through ${placeOf(account)}, to the account's own From address and to nobody else.`,
      "Send Test Mail",
    );
  }
}

/** Where mail is handed over, for people. */
function placeOf({ transport, host, port }: Account): string {
  return transport === "gmailApi" ? "the Gmail API" : `${host}, port ${String(port)}`;
}

function ownAddress({ account }: ResolvedAccount): string | undefined {
  const found = parseMailbox(senderOf(account).from ?? "");
  return found.ok ? found.mailbox.address : undefined;
}

function headline(diagnosis: Diagnosis, { account }: ResolvedAccount, sendTo: string | undefined): string {
  const failed = diagnosis.steps.find(({ state }) => state === "failed");
  if (failed !== undefined) return failed.text;
  const { user, auth } = account;
  const where = placeOf(account);
  if (sendTo !== undefined)
    return `The server took the test mail to ${plainText(sendTo, 320)}. Look whether it arrives, and where.`;
  const who = auth === "none" ? `connected to ${where}` : `signed in as ${plainText(user, 100)} at ${where}`;
  return `The connection works: ${who}. Nothing was sent.`;
}

/** For a support ticket: steps in our own words, then the dialogue. What servers said stands in the dialogue only, which is scrubbed. */
function ticket(diagnosis: Diagnosis): string {
  const steps = diagnosis.steps.map((step) => ({ ...step, seen: "" }));
  return `${formatDiagnosis({ ...diagnosis, steps })}\n${diagnosis.transcript}\n`;
}

/** Steps that show what this machine found out by itself; of the others the server's words are shown. */
const ownWords: ReadonlySet<DoctorStepName> = new Set(["dns", "proxy", "tcp", "certificate", "domain"]);

function testStep({ name, state, ms, seen, text, fixes }: DoctorStep, { transport }: Account): TestStep {
  // The Gmail API has no dialogue: what it says is a failure.
  const own = transport === "gmailApi" || ownWords.has(name);
  return {
    name,
    title: doctorStepNames[name],
    state: state === "skipped" ? "ok" : state,
    ms,
    seen: plainText(seen, 500),
    quoted: !own || (state === "failed" && name !== "certificate"),
    text: plainText(text, 1000),
    fixes: fixes.map(testFix).filter((fix) => fix !== undefined),
  };
}

const helpPages: ReadonlySet<string | undefined> = new Set(
  providers.flatMap(({ helpUrl, appPasswordUrl }) => [helpUrl, appPasswordUrl]),
);

/** A fix as the form can take it; undefined for one that it cannot. */
function testFix(fix: DoctorFix): TestFix | undefined {
  const { title } = fix;
  switch (fix.kind) {
    case "signIn":
      return { kind: "signIn", title };
    case "open":
      return fix.url.startsWith("https://") && helpPages.has(fix.url)
        ? { kind: "open", title, url: fix.url }
        : undefined;
    case "set": {
      const values = formValues(fix.values);
      return "" in values ? undefined : { kind: "set", title, values };
    }
    case "field": {
      if (fix.field === "password" || fix.field === "proxyPassword") return { kind: "field", title, field: fix.field };
      const field = fieldOf(fix.field);
      return field === "" ? undefined : { kind: "field", title, field };
    }
  }
}

function inOrder(steps: ReadonlyMap<DoctorStepName, TestStep>): readonly TestStep[] {
  return doctorSteps.map((name) => steps.get(name)).filter((step) => step !== undefined);
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(undefined), { once: true }));
}

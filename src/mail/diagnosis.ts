/** What the doctor says: steps, what mends them, and the whole as text. */
import type { Failure } from "./classify";

/** The steps, in order. `sender` is MAIL FROM, `domain` the DNS of the From address, `mail` a test mail to oneself. */
export const doctorSteps = [
  "dns",
  "proxy",
  "tcp",
  "greeting",
  "ehlo",
  "starttls",
  "certificate",
  "auth",
  "sender",
  "mail",
  "domain",
] as const;
export type DoctorStepName = (typeof doctorSteps)[number];

/** Something that mends a failure. Hosts make a button of each. */
export type DoctorFix =
  /** New values, by field of the account (nested with a dot), as in `AccountProblem.mend`. */
  | {
      readonly kind: "set";
      readonly title: string;
      readonly values: Readonly<Record<string, string | number | boolean>>;
    }
  /** A page of the provider, such as the one that makes app passwords. Always https and from our own table. */
  | { readonly kind: "open"; readonly title: string; readonly url: string }
  /** Sign in with the provider in the browser. */
  | { readonly kind: "signIn"; readonly title: string }
  /** Go to a field of the form and let the person fill it: `tls.caFile`, `proxy`, `password`, `from`, … */
  | { readonly kind: "field"; readonly title: string; readonly field: string };

/** One step as it went. All texts are plain. */
export interface DoctorStep {
  readonly name: DoctorStepName;
  /** `warning`: it works, but somebody should look. Steps that were not reached or do not apply are `skipped`. */
  readonly state: "ok" | "warning" | "failed" | "skipped";
  readonly ms: number;
  /** What was seen, such as `203.0.113.5 and 2001:db8::1` or `PIPELINING, SIZE 35 MB, AUTH PLAIN LOGIN`. May hold words of the server. */
  readonly seen: string;
  /** Ours: the cause and the next step; empty when all is well. */
  readonly text: string;
  readonly fixes: readonly DoctorFix[];
}

/** What the doctor found. */
export interface Diagnosis {
  /** Every step, in order. */
  readonly steps: readonly DoctorStep[];
  readonly ok: boolean;
  /** Of the step that failed. */
  readonly failure?: Failure;
  /** The dialogue for a support ticket: no password, no token, no recipient. */
  readonly transcript: string;
}

/** The names of the steps, for people. */
export const doctorStepNames: Readonly<Record<DoctorStepName, string>> = {
  dns: "Look up the server's name",
  proxy: "Go through the proxy",
  tcp: "Connect",
  greeting: "Greeting",
  ehlo: "Capabilities",
  starttls: "Start encryption",
  certificate: "Certificate",
  auth: "Sign in",
  sender: "Sender address",
  mail: "Test mail",
  domain: "Sender's domain",
};

/** A diagnosis as plain text with the transcript, for a terminal or a ticket. */
export function formatDiagnosis(diagnosis: Diagnosis): string {
  const marks = { ok: "ok", warning: "!", failed: "FAILED", skipped: "-" } as const;
  const lines = diagnosis.steps
    .filter(({ state }) => state !== "skipped")
    .flatMap(({ name, state, ms, seen, text, fixes }) => [
      `${marks[state].padEnd(7)}${doctorStepNames[name].padEnd(28)}${String(Math.round(ms)).padStart(6)} ms  ${seen}`.trimEnd(),
      ...(text === "" ? [] : [`       ${text}`]),
      ...fixes.map((fix) => `       - ${fix.kind === "open" ? `${fix.title}: ${fix.url}` : fix.title}`),
    ]);
  return `${lines.join("\n")}\n`;
}

/** The one toast at a run's end, and none where the person asked for the end. */
import { momentText, waitingText } from "./mail/index";
import type { Totals } from "./mail/index";
import { unlinked } from "./notify";
import type { Action, Notifications } from "./notify";
import type { RunEnd } from "./runView";

/** Buttons of the toast. */
export interface EndActions {
  openReport(end: RunEnd): unknown;
  resume(end: RunEnd): unknown;
  takeOver(end: RunEnd): unknown;
  /** Signs in to the account of the run, then offers to go on. */
  signIn(end: RunEnd): unknown;
  openAccounts(): unknown;
  showLog(): unknown;
}

/** Says how a run came to rest. Numbers and our own sentences only: what servers said is in log and report. */
export function announceEnd(end: RunEnd, speak: Notifications, actions: EndActions): void {
  const name = unlinked(end.view.name, 60);
  const openReport: Action = { title: "Open Report", run: () => actions.openReport(end) };
  const resume: Action = { title: "Resume…", run: () => actions.resume(end) };
  const takeOver: Action = { title: "Take Over…", run: () => actions.takeOver(end) };
  const signIn: Action = { title: "Sign In Again", run: () => actions.signIn(end) };
  const showLog: Action = { title: "Show Log", run: () => actions.showLog() };
  const accounts: Action = { title: "Accounts", run: () => actions.openAccounts() };
  const { outcome } = end;
  switch (outcome.kind) {
    case "cancelled":
      return;
    case "changed": {
      speak.warn(`${name} was changed while you were asked, so nothing was sent. Send it again.`);
      return;
    }
    case "refused": {
      speak.error(`${name}: ${outcome.text}`, showLog);
      return;
    }
    case "died": {
      speak.error(`${name} came to rest unexpectedly. Nobody is mailed twice when you resume.`, resume, showLog);
      return;
    }
    case "ran":
      break;
  }
  const { summary } = outcome;
  const { ending } = summary;
  switch (ending.kind) {
    case "finished": {
      speak[summary.failed + summary.unknown > 0 ? "warn" : "info"](finishedText(name, end), openReport);
      return;
    }
    case "stopped":
    case "limit":
      return;
    case "later": {
      speak.info(`${name} rests: ${waitingText(ending.waiting, Date.now())}.`, resume);
      return;
    }
    case "missed": {
      speak.warn(`${name} was to start at ${momentText(Date.parse(ending.startAt), Date.now())}, and did not.`, resume);
      return;
    }
    case "account": {
      if (ending.failure.signIn === true) {
        speak.warn(`${name} paused. ${ending.failure.text}`, signIn, showLog);
        return;
      }
      speak.error(`${name} stopped. ${ending.failure.text}`, accounts, resume, showLog);
      return;
    }
    case "failures": {
      speak.warn(`${name} paused. ${ending.text}`, openReport, resume);
      return;
    }
    case "broken": {
      speak.error(`${name} stopped. ${ending.text}`, openReport, showLog);
      return;
    }
    case "locked": {
      speak.warn(`${name} was not sent. ${ending.text}`, ...(ending.silent ? [takeOver] : []), showLog);
      return;
    }
  }
}

function finishedText(name: string, { view, outcome }: RunEnd): string {
  const totals = outcome.kind === "ran" ? outcome.summary : undefined;
  if (totals === undefined) return name;
  const { accepted, failed, unknown, skipped } = totals;
  if (!view.sandbox) return `${name}: ${outcomeText(totals)}.`;
  const others = failed + unknown + skipped === 0 ? "" : `, ${outcomeText({ ...totals, accepted: 0 })}`;
  const all = accepted + failed + unknown + skipped;
  return `Rehearsed ${name}: ${String(accepted)} of ${String(all)} accepted${others}. Sandbox: nothing left this machine.`;
}

/** `24 accepted, 1 failed`, nothing that is zero but the accepted ones. */
function outcomeText({ accepted, failed, unknown, skipped }: Totals): string {
  const parts: readonly (readonly [number, string])[] = [
    [accepted, "accepted"],
    [failed, "failed"],
    [unknown, "in doubt"],
    [skipped, "skipped"],
  ];
  const shown = parts.filter(([count]) => count > 0).map(([count, word]) => `${String(count)} ${word}`);
  return shown.length === 0 ? "0 accepted" : shown.join(", ");
}

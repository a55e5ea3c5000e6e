/** An account while its questions are being answered: what is still open, and what the settings get. */
import type { Draft } from "../accounts";
import type { Level } from "../config";
import type { Provider } from "../mail/index";
import { parseMailbox, providerById } from "../mail/index";

/** One question. */
export type Step = "provider" | "auth" | "transport" | "host" | "from" | "pair" | "user" | "name" | "level";

/** What was answered so far, all of it as text; never a password. `user` is empty for an account that does not sign in. */
export interface Answers {
  readonly provider?: string | undefined;
  /** How one signs in, where the provider leaves that open. */
  readonly auth?: string | undefined;
  readonly transport?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: string | undefined;
  readonly security?: string | undefined;
  /** The sender, with or without a name. */
  readonly from?: string | undefined;
  readonly user?: string | undefined;
  readonly name?: string | undefined;
  readonly level?: string | undefined;
}

const keys = ["provider", "auth", "transport", "host", "port", "security", "from", "user", "name", "level"] as const;

/** The order of the questions. */
const order: readonly Step[] = ["provider", "auth", "transport", "from", "host", "pair", "user", "name", "level"];

/** The provider of the answers; an own server until there is one. */
export function providerOf({ provider = "custom" }: Answers): Provider {
  const found = providerById(provider) ?? providerById("custom");
  if (found === undefined) throw new Error("The table of providers has no custom one.");
  return found;
}

/** Whether the account signs in with the browser, with what was answered so far. */
export function signsInWithBrowser(answers: Answers): boolean {
  const { oauth, auths } = providerOf(answers);
  return oauth !== undefined && (answers.auth ?? auths[0]) === "oauth2";
}

/** Whether the account sends through an API, and so needs no mail server. */
function isApi(answers: Answers): boolean {
  return signsInWithBrowser(answers) && answers.transport === "gmailApi";
}

/** Questions that the person can answer for this provider; what it fills in by itself can still be changed. */
export function stepsOf(answers: Answers, levels: readonly Level[]): readonly Step[] {
  const provider = providerOf(answers);
  return order.filter(
    (step) =>
      !(step === "auth" && (provider.oauth === undefined || provider.auths.length < 2)) &&
      !(step === "transport" && !(provider.id === "gmail" && signsInWithBrowser(answers))) &&
      !(step === "pair" && isApi(answers)) &&
      !(step === "host" && provider.host !== "" && provider.hosts === undefined) &&
      !(step === "user" && provider.user !== undefined) &&
      !(step === "level" && levels.length < 2),
  );
}

/** The first question that is still open and that nobody else answers. */
export function nextStep(answers: Answers, levels: readonly Level[]): Step | undefined {
  const own = providerOf(answers).host === "";
  return stepsOf(answers, levels).find((step) =>
    step === "pair" ? own && answers.port === undefined : answers[step] === undefined,
  );
}

/** Another provider brings its own server; everything else that was answered stays. */
export function withProvider(answers: Answers, id: string): Answers {
  const { from, name, level, user } = answers;
  return { provider: id, from, name, level, user: user === "" ? undefined : user };
}

/** The answers as an account to check and save, without a password. */
export function draftOf(answers: Answers, levels: readonly Level[]): Draft {
  const provider = providerOf(answers);
  const { from = "", user = "", port, security } = answers;
  const ownHost = answers.host !== undefined && answers.host !== provider.host;
  const browser = signsInWithBrowser(answers) ? { auth: "oauth2" } : {};
  const signsIn = provider.user !== undefined || user !== "";
  return {
    id: answers.name ?? "",
    level: levels.find((level) => level === answers.level) ?? levels[0] ?? "user",
    settings: {
      provider: provider.id,
      ...(isApi(answers) ? { transport: "gmailApi" } : {}),
      ...browser,
      ...(ownHost ? { host: answers.host } : {}),
      ...(port === undefined || isApi(answers) ? {} : { port: Number(port), security }),
      ...(!signsIn ? { auth: "none" } : provider.user === undefined ? { user } : {}),
      ...(from === "" || from === user ? {} : { from }),
    },
  };
}

/** The address of a sender. */
export function addressOf(from: string): string {
  const parsed = parseMailbox(from);
  return parsed.ok ? parsed.mailbox.address : from;
}

/** A name that no account has yet. */
export function freeName(provider: Provider, taken: readonly string[]): string {
  const base = provider.host === "" ? "work" : provider.id;
  let name = base;
  for (let number = 2; taken.includes(name); number++) name = `${base}-${String(number)}`;
  return name;
}

/** Answers out of a memory that anybody may have written. */
export function answersFrom(kept: unknown): Answers {
  if (typeof kept !== "object" || kept === null) return {};
  const found = kept as Readonly<Record<string, unknown>>;
  return Object.fromEntries(keys.flatMap((key) => (typeof found[key] === "string" ? [[key, found[key]]] : [])));
}

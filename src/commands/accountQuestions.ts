/** The questions about a new account, each with what was answered before as its beginning. */
import type { Accounts } from "../accounts";
import type { Level } from "../config";
import type { Dialogs } from "../dialogs";
import { parseAccount, parseMailbox, providers, sentence, suggestProvider } from "../mail/index";
import type { Answers, Step } from "./newAccount";
import { addressOf, draftOf, freeName, providerOf, signsInWithBrowser, withProvider } from "./newAccount";

/** What the questions need. */
export interface QuestionPorts {
  readonly accounts: Pick<Accounts, "list">;
  readonly dialogs: Pick<Dialogs, "pick" | "askText" | "askSecret">;
  /** Where accounts can be kept, nearest first. */
  readonly levels: readonly Level[];
}

/** What stands above every question. */
export const title = "Add Account";

/** One question; undefined when the person turned away. */
export async function ask(ports: QuestionPorts, answers: Answers, step: Step): Promise<Answers | undefined> {
  switch (step) {
    case "provider":
      return await askProvider(ports, answers);
    case "auth":
      return await askAuth(ports, answers);
    case "transport":
      return await askTransport(ports, answers);
    case "from":
      return await askFrom(ports, answers);
    case "host":
      return await askHost(ports, answers);
    case "pair":
      return await askPair(ports, answers);
    case "user":
      return await askUser(ports, answers);
    case "name":
      return await askName(ports, answers);
    case "level":
      return await askLevel(ports, answers);
  }
}

async function askProvider({ dialogs }: QuestionPorts, answers: Answers): Promise<Answers | undefined> {
  const items = providers.map(({ id, label, host, retired, note, passwordHint }) => ({
    label,
    description: host,
    detail: retired ?? note ?? passwordHint,
    id,
  }));
  const choice = await dialogs.pick(title, "Who is the mail sent through?", items);
  if (choice === undefined) return undefined;
  return choice.id === answers.provider ? answers : withProvider(answers, choice.id);
}

const browserNames = { google: "Sign in with Google", microsoft: "Sign in with Microsoft" } as const;

/** The ways to sign in at a provider, by what stands in the settings. */
function waysToSignIn(answers: Answers): Readonly<Record<"password" | "oauth2", string>> {
  const { oauth = "google" } = providerOf(answers);
  return { password: oauth === "google" ? "App password" : "Password", oauth2: browserNames[oauth] };
}

async function askAuth({ dialogs }: QuestionPorts, answers: Answers): Promise<Answers | undefined> {
  const { auths, oauth, passwordHint } = providerOf(answers);
  const names = waysToSignIn(answers);
  const details = {
    password: passwordHint,
    oauth2: `In your browser, with ${oauth === "google" ? "an OAuth client" : "an app registration"} of your own, made once and for nothing.`,
  };
  const items = auths.map((auth) => ({ label: names[auth], detail: details[auth], auth }));
  const choice = await dialogs.pick(title, "How do you want to sign in?", items);
  return choice === undefined ? undefined : { ...answers, auth: choice.auth };
}

const transports = [
  {
    label: "Gmail API",
    description: "recommended",
    detail: "Works where mail ports are blocked, and is allowed to send mail and nothing else.",
    transport: "gmailApi",
  },
  {
    label: "Gmail's mail server (SMTP)",
    description: "",
    detail: "Asks for access to the whole mailbox.",
    transport: "smtp",
  },
] as const;

async function askTransport({ dialogs }: QuestionPorts, answers: Answers): Promise<Answers | undefined> {
  const choice = await dialogs.pick(title, "What should mails be sent through?", transports);
  return choice === undefined ? undefined : { ...answers, transport: choice.transport };
}

async function askFrom({ dialogs }: QuestionPorts, answers: Answers): Promise<Answers | undefined> {
  const from = await dialogs.askText({
    title,
    prompt: "The address that mails come from, with a name if you like.",
    placeholder: "ada@example.com or Ada <ada@example.com>",
    value: answers.from ?? "",
    validate: (text) => {
      const parsed = parseMailbox(text);
      if (parsed.ok) return undefined;
      return sentence("account.mailbox", { key: "sender", text, detail: parsed.detail });
    },
  });
  if (from === undefined) return undefined;
  const next = { ...answers, from: from.trim() };
  const better = suggestProvider(from);
  // Somebody who chose a provider knows it; who chose "another server" may not have looked for it.
  if (better === undefined || answers.provider !== "custom" || answers.host !== undefined) return next;
  const use = { label: `Use ${better.label}`, description: better.host, detail: better.retired ?? "" };
  const keep = { label: "Keep another server", description: "" };
  const choice = await dialogs.pick(title, `This address is at ${better.label}`, [use, keep]);
  // Turned away here, the address is not lost: the next question can be turned away too.
  return choice === use ? withProvider(next, better.id) : next;
}

async function askHost({ dialogs }: QuestionPorts, answers: Answers): Promise<Answers | undefined> {
  const { hosts, label } = providerOf(answers);
  if (hosts !== undefined) {
    const items = hosts.map((one) => ({ label: one.label, description: one.host }));
    const choice = await dialogs.pick(title, `In which region does your account at ${label} live?`, items);
    return choice === undefined ? undefined : { ...answers, host: choice.description };
  }
  const host = await dialogs.askText({
    title,
    prompt: "The name of the mail server.",
    placeholder: "smtp.example.com",
    value: answers.host ?? "",
    validate: (text) => fieldProblem({ ...answers, host: text.trim() }, "host"),
  });
  return host === undefined ? undefined : { ...answers, host: host.trim() };
}

const names = { starttls: "STARTTLS", tls: "TLS", none: "not encrypted" } as const;

/** Port and encryption are one question: one without the other makes the pairs that cannot work. */
async function askPair({ dialogs }: QuestionPorts, answers: Answers): Promise<Answers | undefined> {
  const usual = [
    { port: 587, security: "starttls" },
    { port: 465, security: "tls" },
  ] as const;
  const { host, ports } = providerOf(answers);
  const [first] = ports;
  const offered = host === "" ? usual.toSorted((a, b) => rank(a.port) - rank(b.port)) : ports;
  function rank(port: number): number {
    return port === first?.port ? 0 : 1;
  }
  const items = offered.map(({ port, security }, index) => ({
    label: `${String(port)}, ${names[security]}`,
    description: index === 0 ? "recommended" : "",
    pair: { port: String(port), security },
  }));
  const other = { label: "Another port…", description: "", pair: undefined };
  const choice = await dialogs.pick(title, "Port and encryption", [...items, other]);
  if (choice === undefined) return undefined;
  if (choice.pair !== undefined) return { ...answers, ...choice.pair };
  const port = await dialogs.askText({
    title,
    prompt: "The port of the mail server.",
    value: answers.port ?? "",
    validate: (text) => fieldProblem({ ...answers, port: text.trim(), security: "none" }, "port"),
  });
  if (port === undefined) return undefined;
  const security = await dialogs.pick(title, `Encryption on port ${port.trim()}`, [
    { label: names.starttls, description: "must succeed before anything is sent", value: "starttls" },
    { label: names.tls, description: "encrypted from the first byte", value: "tls" },
    { label: "None", description: "everybody on the way can read the password and every message", value: "none" },
  ]);
  return security === undefined ? undefined : { ...answers, port: port.trim(), security: security.value };
}

async function askUser({ dialogs }: QuestionPorts, answers: Answers): Promise<Answers | undefined> {
  const { userHint, host } = providerOf(answers);
  const user = await dialogs.askText({
    title,
    prompt: `User name. ${userHint}${host === "" ? " Leave it empty for a server that lets everybody send." : ""}`,
    value: answers.user ?? addressOf(answers.from ?? ""),
    validate: (text) =>
      host !== "" && text.trim() === ""
        ? sentence("account.user.missing")
        : fieldProblem({ ...answers, user: text.trim() }, "user"),
  });
  return user === undefined ? undefined : { ...answers, user: user.trim() };
}

async function askName({ accounts, dialogs }: QuestionPorts, answers: Answers): Promise<Answers | undefined> {
  const taken = (await accounts.list(undefined)).map(({ id }) => id);
  const name = await dialogs.askText({
    title,
    prompt: "Account name: how campaigns and commands name this account.",
    value: answers.name ?? freeName(providerOf(answers), taken),
    validate: (text) => {
      const id = text.trim();
      return taken.includes(id) ? sentence("account.id.taken", { id }) : fieldProblem({ ...answers, name: id }, "id");
    },
  });
  return name === undefined ? undefined : { ...answers, name: name.trim() };
}

const places: Readonly<Record<Level, { readonly label: string; readonly description: string }>> = {
  user: { label: "User settings", description: "yours in every workspace" },
  workspace: { label: "Workspace settings", description: "can be shared with the workspace; the password never is" },
  workspaceFolder: { label: "Folder settings", description: "can be shared with the folder; the password never is" },
};

async function askLevel({ dialogs, levels }: QuestionPorts, answers: Answers): Promise<Answers | undefined> {
  const items = levels.map((level) => ({ ...places[level], level }));
  const choice = await dialogs.pick(title, "Where should the account be kept?", items);
  return choice === undefined ? undefined : { ...answers, level: choice.level };
}

/** What each question is about. */
export const stepNames: Readonly<Record<Step, string>> = {
  provider: "Provider",
  auth: "Sign-in",
  transport: "Sent through",
  from: "From",
  host: "Server",
  pair: "Port and encryption",
  user: "User name",
  name: "Account name",
  level: "Kept in",
};

/** An answer as one reads it back. */
export function answerTo(step: Step, answers: Answers, level: Level): string {
  const provider = providerOf(answers);
  switch (step) {
    case "provider":
      return provider.label;
    case "auth":
      return waysToSignIn(answers)[signsInWithBrowser(answers) ? "oauth2" : "password"];
    case "transport":
      return (transports.find(({ transport }) => transport === answers.transport) ?? transports[1]).label;
    case "from":
      return answers.from ?? "";
    case "host":
      return answers.host ?? provider.host;
    case "pair": {
      const port = answers.port ?? String(provider.ports[0]?.port ?? "");
      const security = answers.security ?? provider.ports[0]?.security ?? "starttls";
      return `${port}, ${names[security as keyof typeof names]}`;
    }
    case "user":
      return answers.user === "" ? "none: the account does not sign in" : (answers.user ?? "");
    case "name":
      return answers.name ?? "";
    case "level":
      return places[level].label;
  }
}

/** What is wrong with one field, as a sentence. */
function fieldProblem(answers: Answers, field: string): string | undefined {
  const { id, settings } = draftOf(answers, []);
  const { problems } = parseAccount(id, settings);
  return problems.find((problem) => problem.field === field && problem.severity === "error")?.message;
}

/** A password to store; empty when there is none to ask for, or it is to be asked for later. */
export async function askPassword({ dialogs }: QuestionPorts, answers: Answers): Promise<string> {
  const { passwordHint } = providerOf(answers);
  const { settings } = draftOf(answers, []);
  if (settings.auth === "none" || settings.auth === "oauth2") return "";
  const prompt = `${passwordHint} Leave it empty to be asked when it is needed.`;
  const answer = await dialogs.askSecret(title, prompt);
  return answer?.store === true ? answer.secret : "";
}

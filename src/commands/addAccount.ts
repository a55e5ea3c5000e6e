/** Add Account: what the accounts panel does, as quick picks. Turning away at any question keeps the answers for next time. */
import type { Accounts } from "../accounts";
import type { AccountProblem, Logger } from "../mail/index";
import type { Notifications } from "../notify";
import type { QuestionPorts } from "./accountQuestions";
import { answerTo, ask, askPassword, stepNames, title } from "./accountQuestions";
import type { Answers, Step } from "./newAccount";
import { answersFrom, draftOf, nextStep, providerOf, signsInWithBrowser, stepsOf } from "./newAccount";

/** What the command needs. */
export interface AddAccountPorts extends QuestionPorts {
  readonly accounts: Pick<Accounts, "list" | "check" | "save">;
  readonly speak: Notifications;
  readonly log: Logger & { show(): void };
  /** Keeps the answers of an account that is not finished. */
  readonly memory: {
    get(key: string): unknown;
    update(key: string, value: unknown): PromiseLike<void>;
  };
  /** Opens a page of a provider in the browser. */
  open(url: string): unknown;
  /** Tests the connection of a saved account, and tells of everything itself. */
  test(id: string): unknown;
  /** Signs in to a saved account with the browser, and tells of everything itself. */
  signIn(id: string): unknown;
}

const memoryKey = "addAccount.answers";

/** Asks for an account, shows what is wrong with it, saves it and offers to test it. */
export async function addAccount(ports: AddAccountPorts): Promise<void> {
  let answers = await begun(ports);
  let password: string | undefined;
  while (answers !== undefined) {
    await ports.memory.update(memoryKey, answers);
    const step = nextStep(answers, ports.levels);
    if (step !== undefined) {
      answers = await ask(ports, answers, step);
      continue;
    }
    const choice = await review(ports, answers);
    if (choice === undefined) return;
    // A password that was typed for another server, or another user, is not the one of this.
    if (choice.kind === "ask" || choice.kind === "mend") password = undefined;
    switch (choice.kind) {
      case "ask":
        // A question that is asked again and not answered leaves the answer as it was.
        answers = (await ask(ports, answers, choice.step)) ?? answers;
        break;
      case "mend":
        answers = { ...answers, ...choice.values };
        break;
      case "open":
        ports.open(choice.url);
        break;
      case "save":
        password ??= await askPassword(ports, answers);
        if (await save(ports, answers, password)) return;
    }
  }
}

/** The answers to start from; undefined when the person turned away. */
async function begun({ dialogs, memory }: AddAccountPorts): Promise<Answers | undefined> {
  const kept = answersFrom(memory.get(memoryKey));
  if (Object.keys(kept).length === 0) return {};
  const goOn = { label: "Go on where you stopped", description: summary(kept) };
  const startOver = { label: "Start over", description: "" };
  const choice = await dialogs.pick(title, "There is an account that you began to add", [goOn, startOver]);
  if (choice === undefined) return undefined;
  return choice === goOn ? kept : {};
}

function summary(answers: Answers): string {
  const { provider, from } = answers;
  return [provider === undefined ? "" : providerOf(answers).label, from].filter((part) => part).join(", ");
}

/** What the person wants to do with a finished account. */
type Choice =
  | { readonly kind: "save" }
  | { readonly kind: "ask"; readonly step: Step }
  | { readonly kind: "mend"; readonly values: Answers }
  | { readonly kind: "open"; readonly url: string };

interface Item {
  readonly label: string;
  readonly description: string;
  readonly detail?: string;
  readonly choice: Choice;
}

/** Everything that was answered, what is wrong with it, and the way on; undefined when the person turned away. */
async function review({ accounts, dialogs, levels }: AddAccountPorts, answers: Answers): Promise<Choice | undefined> {
  const draft = draftOf(answers, levels);
  const problems = await accounts.check(undefined, draft);
  const { appPasswordUrl } = providerOf(answers);
  const usable = !problems.some(({ severity }) => severity === "error");
  const items: readonly Item[] = [
    ...problems.flatMap((problem) => problemItems(problem)),
    ...(usable ? [{ label: "$(save) Save", description: draft.id, choice: { kind: "save" } } satisfies Item] : []),
    ...(appPasswordUrl === undefined || signsInWithBrowser(answers)
      ? []
      : [
          {
            label: "$(link-external) Get the password for sending",
            description: "opens the provider's page; what you entered stays",
            choice: { kind: "open", url: appPasswordUrl },
          } satisfies Item,
        ]),
    ...stepsOf(answers, levels).map((step): Item => ({
      label: `$(edit) ${stepNames[step]}`,
      description: answerTo(step, answers, draft.level),
      choice: { kind: "ask", step },
    })),
  ];
  const wrong = problems.some(({ severity }) => severity !== "information");
  return (await dialogs.pick(title, wrong ? "Something is not right yet" : "Save it, or change something", items))
    ?.choice;
}

function problemItems({ severity, field, message, mend }: AccountProblem): readonly Item[] {
  const values = mend === undefined ? undefined : answersTo(mend.values);
  if (mend !== undefined && values !== undefined)
    return [
      { label: `$(lightbulb) ${mend.title}`, description: "", detail: message, choice: { kind: "mend", values } },
    ];
  const step = stepOf(field);
  const icon = severity === "error" ? "error" : severity === "warning" ? "warning" : "info";
  const label = `$(${icon}) ${stepNames[step]}`;
  return [{ label, description: "", detail: message, choice: { kind: "ask", step } }];
}

/** The question that a key of the account's object belongs to. */
function stepOf(field: string): Step {
  const steps: Readonly<Record<string, Step>> = {
    id: "name",
    provider: "provider",
    host: "host",
    port: "pair",
    security: "pair",
    user: "user",
    auth: "auth",
    transport: "transport",
    from: "from",
  };
  return steps[field] ?? "provider";
}

/** A mend in terms of answers; undefined when it mends something that is not asked here. */
function answersTo(values: Readonly<Record<string, string | number | boolean>>): Answers | undefined {
  const asked = ["host", "port", "security"];
  if (!Object.keys(values).every((key) => asked.includes(key))) return undefined;
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(value)]));
}

/** Saves; false when the person should have another look. */
async function save(ports: AddAccountPorts, answers: Answers, password: string): Promise<boolean> {
  const { accounts, memory, speak, log } = ports;
  const draft = draftOf(answers, ports.levels);
  const saved = await accounts.save(undefined, { ...draft, ...(password === "" ? {} : { password }) });
  const showLog = { title: "Show Log", run: () => log.show() };
  switch (saved.kind) {
    case "saved":
      await memory.update(memoryKey, undefined);
      if (signsInWithBrowser(answers))
        speak.info("The account is saved. Sign in to send through it.", {
          title: "Sign In",
          run: () => ports.signIn(draft.id),
        });
      else speak.info("The account is saved.", { title: "Test Connection", run: () => ports.test(draft.id) });
      return true;
    case "failed": {
      log.error(saved.text);
      const there = (await accounts.list(undefined)).some(({ id }) => id === draft.id);
      if (there) await memory.update(memoryKey, undefined);
      const text = there ? "The account is saved without its password." : "The account could not be saved.";
      speak.error(`${text} The log says why.`, showLog);
      return true;
    }
    case "problems":
    case "cancelled":
      return false;
  }
}

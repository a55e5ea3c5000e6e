/** The form of one account. It is built once and shows one account after another. */
import type { AccountForm, AccountLevel, FormProblem, ProviderFacts, SettingsState } from "../protocol";
import type { FieldOptions, Message } from "./controls";
import { Check, Choice, linkButton, messageBox, TextLine } from "./controls";
import { apply, element, icon } from "./dom";

/** What the form shows of an account. */
export interface Editing {
  readonly form: AccountForm;
  readonly level: AccountLevel;
  readonly password: string;
  /** As it is saved; undefined for a new account. */
  readonly saved: { readonly form: AccountForm; readonly level: AccountLevel } | undefined;
  readonly secret: SettingsState["accounts"][number]["secret"];
  /** Fields that the person has been in; what is missing elsewhere is not yet a mistake. */
  readonly touched: ReadonlySet<string>;
  readonly problems: readonly FormProblem[];
}

/** What the form tells its owner. */
export interface EditorActions {
  /** A field was changed by the person. */
  changed(values: Partial<AccountForm>): void;
  /** One click filled several fields: what was wrong with them is history. */
  filled(values: Partial<AccountForm>): void;
  passwordChanged(password: string): void;
  levelChanged(level: AccountLevel): void;
  left(field: keyof AccountForm): void;
  forgetPassword(): void;
}

/** The form. */
export interface AccountEditor {
  readonly element: HTMLElement;
  show(editing: Editing, state: SettingsState): void;
  /** Turns to the first field that keeps the account from being used, opening its section. */
  focusFirstError(problems: readonly FormProblem[]): void;
  focusFirst(): void;
}

type TextName = { [K in keyof AccountForm]: AccountForm[K] extends string ? K : never }[keyof AccountForm];

const levelDescriptions: Readonly<Record<AccountLevel, string>> = {
  user: "The account is yours in every workspace.",
  workspace: "The account is kept in this workspace and can be shared with it. The password is never part of it.",
  workspaceFolder: "The account is kept in this folder and can be shared with it. The password is never part of it.",
};

/** Makes the form. */
export function accountEditor(actions: EditorActions): AccountEditor {
  const options = (name: keyof AccountForm, label: string, description?: string): FieldOptions => ({
    name,
    label,
    ...(description === undefined ? {} : { description }),
    onChange: () => actions.changed({ [name]: fields[name].value }),
    onLeave: () => actions.left(name),
  });
  const line = (name: TextName, label: string, description?: string): TextLine =>
    new TextLine(options(name, label, description));
  const number = (name: TextName, label: string, description?: string): TextLine =>
    new TextLine({ ...options(name, label, description), small: true });

  const provider = new Choice({
    ...options("provider", "Provider"),
    onChange: () => actions.filled(providerValues(provider.value)),
  });
  const fields = {
    provider,
    name: line("name", "Account Name", "How campaigns and commands name this account."),
    host: line("host", "Host", "The name of the mail server, such as smtp.example.com."),
    port: number("port", "Port", "587 goes with STARTTLS, 465 with TLS."),
    security: new Choice(
      options(
        "security",
        "Encryption",
        "STARTTLS must succeed before anything is sent; TLS is encrypted from the start.",
      ),
    ),
    auth: new Choice(options("auth", "Authentication")),
    user: line("user", "User Name"),
    from: line("from", "From", "Sender of campaigns that name none, such as Ada <ada@example.com>."),
    replyTo: line("replyTo", "Reply-To", "Where answers go, when not to the sender."),
    verify: new Check(options("verify", "Verify Certificate", "Connect only when the server proves who it is.")),
    caFile: line(
      "caFile",
      "CA File",
      "A certificate authority to trust besides those of the system: the path of a PEM file in the workspace folder.",
    ),
    servername: line(
      "servername",
      "Server Name",
      "The name that the certificate must carry, when it is not the server's.",
    ),
    delay: number("delay", "Delay", "Milliseconds between two messages."),
    connections: number("connections", "Connections", "Connections to the server at the same time."),
    connectionTimeout: number("connectionTimeout", "Connection Time-Out", "Milliseconds to wait for the connection."),
    greetingTimeout: number("greetingTimeout", "Greeting Time-Out", "Milliseconds to wait for the server's greeting."),
    socketTimeout: number("socketTimeout", "Answer Time-Out", "Milliseconds to wait for any other answer."),
  } satisfies { [K in keyof AccountForm]: Choice | TextLine | Check };
  const password = new TextLine({
    name: "password",
    label: "Password",
    secret: true,
    onChange: () => actions.passwordChanged(password.value),
  });
  const level = new Choice({
    name: "level",
    label: "Save In",
    onChange: () => actions.levelChanged(level.value as AccountLevel),
  });
  fields.security.offer([
    ["starttls", "STARTTLS (required)"],
    ["tls", "TLS"],
    ["none", "None"],
  ]);
  fields.auth.offer([
    ["password", "User name and password"],
    ["none", "None"],
  ]);

  const formMessages = element("div", { class: "form-messages" });
  const suggestion = element("div", { class: "field-messages" });
  const forget = linkButton("Forget Password", () => actions.forgetPassword());
  const advanced = element(
    "details",
    { class: "advanced" },
    element("summary", {}, icon("chevron"), element("h2", { text: "Advanced" })),
    fields.delay.element,
    fields.connections.element,
    fields.connectionTimeout.element,
    fields.greetingTimeout.element,
    fields.socketTimeout.element,
  );
  const root = element(
    "div",
    { class: "account-form" },
    formMessages,
    section("Account", fields.provider, fields.name, level),
    section("Server", fields.host, fields.port, fields.security),
    section("Sign-In", fields.auth, fields.user, password),
    section("Sender", fields.from, fields.replyTo),
    section("Security", fields.verify, fields.caFile, fields.servername),
    advanced,
  );
  fields.user.element.append(suggestion);
  password.append(forget);

  let providers: readonly ProviderFacts[] = [];
  let current: AccountForm | undefined;

  /** What choosing a provider fills in. A server typed by hand is kept where the provider has none of its own. */
  function providerValues(id: string): Partial<AccountForm> {
    const facts = providers.find((one) => one.id === id);
    if (facts === undefined) return { provider: id };
    const first = facts.ports[0];
    const ownHost = current !== undefined && !providers.some((one) => one.host !== "" && one.host === current?.host);
    return {
      provider: id,
      host: facts.host === "" && ownHost ? (current?.host ?? "") : facts.host,
      ...(first === undefined ? {} : { port: String(first.port), security: first.security }),
      ...(facts.user === undefined ? {} : { user: facts.user }),
      delay: "",
      connections: "",
    };
  }

  return {
    element: root,
    focusFirst: () => fields.provider.focus(),
    focusFirstError: (problems) => {
      const wrong = new Set(problems.filter((problem) => problem.severity === "error").map((problem) => problem.field));
      const first = (Object.keys(fields) as (keyof AccountForm)[])
        .filter((name) => wrong.has(name))
        .sort((a, b) => position(fields[a].element) - position(fields[b].element))[0];
      if (first === undefined) return;
      if (advanced.contains(fields[first].element)) advanced.open = true;
      fields[first].focus();
    },
    show: (editing, state) => {
      const { form, saved, secret } = editing;
      ({ providers } = state);
      current = form;
      const facts = providers.find((one) => one.id === form.provider);

      provider.offer(providers.map(({ id, label }) => [id, label]));
      level.offer(state.levels.map(({ level, label }) => [level, `${label} settings`]));
      level.visible = state.levels.length > 1;
      for (const name of Object.keys(fields) as (keyof AccountForm)[]) {
        const field = fields[name];
        if (field.value !== form[name]) (field as { value: string | boolean }).value = form[name];
        field.mark(saved !== undefined && saved.form[name] !== form[name]);
        field.show(messagesFor(name, editing, actions));
      }
      if (advanced.querySelector(".invalid") !== null) advanced.open = true;
      if (level.value !== editing.level) level.value = editing.level;
      level.mark(saved !== undefined && saved.level !== editing.level);
      level.describe(levelDescriptions[editing.level]);

      fields.provider.describe(facts?.note ?? "Fills in host, port and encryption.");
      fields.user.describe(facts?.userHint ?? "Often your full e-mail address.");
      password.describe(
        facts?.passwordHint ?? "",
        facts?.helpUrl === undefined ? undefined : { title: "How to get one", url: facts.helpUrl },
      );
      fields.user.visible = password.visible = form.auth !== "none";
      if (password.value !== editing.password) password.value = editing.password;
      password.placeholder = secret.kind === "stored" && !isMoved(editing) ? "Stored: leave empty to keep it" : "";
      password.mark(editing.password !== "");
      password.show(passwordMessages(editing, facts));
      forget.hidden = secret.kind !== "stored";
      fields.from.placeholder = form.user.includes("@") ? form.user : "";
      fields.servername.placeholder = form.host;
      fields.delay.placeholder = String(facts?.limits?.delay ?? state.pace.delay);
      fields.connections.placeholder = String(facts?.limits?.connections ?? state.pace.connections);

      const whole = editing.problems.filter((problem) => problem.field === "");
      formMessages.replaceChildren(...whole.map((problem) => messageBox(messageOf(problem, actions))));
      apply(suggestion, { hidden: true });
      suggestion.replaceChildren();
      const better = suggestedProvider(form, providers);
      if (better !== undefined) {
        suggestion.hidden = false;
        const action = {
          title: `Use ${better.label}`,
          run: () => actions.filled({ ...providerValues(better.id), user: form.user }),
        };
        suggestion.append(messageBox({ severity: "information", text: `This address is at ${better.label}.`, action }));
      }
    },
  };
}

function section(title: string, ...fields: readonly { readonly element: HTMLElement }[]): HTMLElement {
  const id = `section-${title.toLowerCase()}`;
  return element(
    "section",
    { class: "form-section", attributes: { "aria-labelledby": id } },
    element("h2", { id, text: title }),
    ...fields.map((field) => field.element),
  );
}

/** What to say below a field. Something missing is a mistake only once the person has been there. */
function messagesFor(name: keyof AccountForm, editing: Editing, actions: EditorActions): readonly Message[] {
  return editing.problems
    .filter((problem) => problem.field === name)
    .filter(({ severity }) => severity === "warning" || severity === "danger" || editing.touched.has(name))
    .map((problem) => messageOf(problem, actions));
}

function messageOf({ severity, message, mend }: FormProblem, actions: EditorActions): Message {
  if (mend === undefined) return { severity, text: message };
  return { severity, text: message, action: { title: mend.title, run: () => actions.filled(mend.values) } };
}

/** The fields that a stored password is bound to. */
const endpointFields = ["host", "port", "security", "auth", "user", "verify", "caFile", "servername"] as const;

function isMoved({ form, saved }: Editing): boolean {
  return saved !== undefined && endpointFields.some((name) => form[name] !== saved.form[name]);
}

function passwordMessages(editing: Editing, facts: ProviderFacts | undefined): readonly Message[] {
  const { secret, password } = editing;
  const messages: Message[] = [];
  if (facts?.retired !== undefined) messages.push({ severity: "warning", text: facts.retired });
  if (secret.kind === "stored" && password === "" && isMoved(editing)) {
    const text = "The stored password belongs to the account as it was saved. Enter it again for this one.";
    messages.push({ severity: "information", text });
  }
  if (secret.kind === "elsewhere" && password === "") {
    const text = `The stored password was entered for another endpoint (${secret.changes.join("; ")}). Enter it again to use it here.`;
    messages.push({ severity: "warning", text });
  }
  return messages;
}

/** The provider of the user's address, while the form still stands at "another server" without one. */
function suggestedProvider(form: AccountForm, providers: readonly ProviderFacts[]): ProviderFacts | undefined {
  const domain = /@([^@\s]+)$/.exec(form.user.trim())?.[1]?.toLowerCase();
  if (domain === undefined || form.host !== "") return undefined;
  return providers.find((provider) => provider.id !== form.provider && provider.domains?.includes(domain) === true);
}

function position(row: HTMLElement): number {
  return row.getBoundingClientRect().top;
}

/** The form of one account. It is built once and shows one account after another. */
import type {
  AccountForm,
  AccountLevel,
  FormProblem,
  LimitName,
  ProviderFacts,
  SettingsState,
  SignInProvider,
  SignInState,
  TypedSecrets,
} from "../protocol";
import { isIdle } from "../protocol";
import type { FieldOptions, Message } from "./controls";
import { Check, Choice, linkButton, messageBox, TextLine } from "./controls";
import { apply, element, icon } from "./dom";
import { authValues, providerValues, suggestProvider, transportValues } from "./providerChoice";
import type { SignInPhase } from "./signInBox";
import { signInBox } from "./signInBox";

/** What the form shows of an account. */
export interface Editing {
  /** The page's key for the account. */
  readonly key: string;
  readonly form: AccountForm;
  readonly level: AccountLevel;
  readonly typed: TypedSecrets;
  /** As it is saved; undefined for a new account. */
  readonly saved: { readonly form: AccountForm; readonly level: AccountLevel } | undefined;
  readonly secret: SettingsState["accounts"][number]["secret"];
  readonly signIn: SignInState | undefined;
  readonly signInPhase: SignInPhase;
  /** Something is not saved. */
  readonly modified: boolean;
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
  /** A secret was typed, or emptied again. */
  typed(secrets: Partial<TypedSecrets>): void;
  levelChanged(level: AccountLevel): void;
  left(field: keyof AccountForm): void;
  forgetPassword(): void;
  signIn(): void;
  cancelSignIn(): void;
  signOut(): void;
  /** Stores an OAuth client; what is wrong with it, empty when nothing is. */
  takeClient(provider: SignInProvider, text: string): Promise<string>;
  openGuide(provider: SignInProvider): void;
}

/** The form. */
export interface AccountEditor {
  readonly element: HTMLElement;
  show(editing: Editing, state: SettingsState): void;
  /** Turns to the first field that keeps the account from being used, opening its section. */
  focusFirstError(problems: readonly FormProblem[]): void;
  focusFirst(): void;
  /** Turns to a field by its name, opening the section that hides it. */
  focusField(name: keyof AccountForm | keyof TypedSecrets): void;
  /** Presses the button that signs in. */
  startSignIn(): void;
}

type TextName = { [K in keyof AccountForm]: AccountForm[K] extends string ? K : never }[keyof AccountForm];

const levelDescriptions: Readonly<Record<AccountLevel, string>> = {
  user: "The account is yours in every workspace.",
  workspace: "The account is kept in this workspace and can be shared with it. The password is never part of it.",
  workspaceFolder: "The account is kept in this folder and can be shared with it. The password is never part of it.",
};

/** In the order of the form. */
const limitNames = ["delay", "connections", "perMinute", "perHour", "perDay"] as const satisfies readonly LimitName[];

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
    onChange: () => actions.filled(providerValues(provider.value, current, providers)),
  });
  // One server of several is a choice of its own: what it sets is the host.
  const region = new Choice({
    name: "region",
    label: "Region",
    description: "Where the account lives: each region has its own server and its own password.",
    onChange: () => actions.filled({ host: region.value }),
  });
  const auth = new Choice({
    ...options("auth", "Sign In With"),
    onChange: () => actions.filled(authValues(auth.value)),
  });
  /** What an account signed in with before the Gmail API was chosen for it. */
  let beforeApi: { readonly key: string; readonly auth: string } | undefined;
  const transport = new Choice({
    ...options("transport", "Send Through"),
    onChange: () => {
      if (transport.value === "gmailApi") beforeApi = { key, auth: current?.auth ?? "password" };
      const before = beforeApi?.key === key ? beforeApi.auth : undefined;
      actions.filled(transportValues(transport.value, before));
    },
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
    auth,
    transport,
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
    minVersion: new Choice(
      options("minVersion", "Minimum TLS Version", "A server that offers older ones only is not connected to."),
    ),
    proxy: line(
      "proxy",
      "Proxy",
      "http://host:port, socks5://host:port, or vscode for the setting http.proxy of VS Code. Empty for none.",
    ),
    proxyUser: line("proxyUser", "Proxy User", "Where the proxy asks for one."),
    delay: number("delay", "Delay", "Milliseconds between two messages."),
    connections: number("connections", "Connections", "Connections to the server at the same time."),
    perMinute: number("perMinute", "Per Minute", "Messages in any minute; 0 is no limit."),
    perHour: number("perHour", "Per Hour", "Messages in any hour; 0 is no limit."),
    perDay: number("perDay", "Per Day", "Recipients in any 24 hours, cc and bcc included; 0 is no limit."),
    dnsTimeout: number("dnsTimeout", "DNS Time-Out", "Milliseconds to wait for the server's addresses."),
    connectionTimeout: number("connectionTimeout", "Connection Time-Out", "Milliseconds to wait for the connection."),
    greetingTimeout: number("greetingTimeout", "Greeting Time-Out", "Milliseconds to wait for the server's greeting."),
    socketTimeout: number("socketTimeout", "Answer Time-Out", "Milliseconds to wait for any other answer."),
  } satisfies { [K in keyof AccountForm]: Choice | TextLine | Check };
  const password = new TextLine({
    name: "password",
    label: "Password",
    secret: true,
    onChange: () => actions.typed({ password: password.value }),
  });
  const proxyPassword = new TextLine({
    name: "proxyPassword",
    label: "Proxy Password",
    description: "Kept apart from the account's own, and asked for when it is needed and none is stored.",
    secret: true,
    onChange: () => actions.typed({ proxyPassword: proxyPassword.value }),
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
  fields.minVersion.offer([
    ["TLSv1.2", "TLS 1.2"],
    ["TLSv1.3", "TLS 1.3"],
  ]);
  transport.offer([
    ["smtp", "Gmail's mail server (SMTP)"],
    ["gmailApi", "Gmail API"],
  ]);

  const formMessages = element("div", { class: "form-messages" });
  const suggestion = element("div", { class: "field-messages" });
  const forget = linkButton("Forget Password", () => actions.forgetPassword());
  const signIn = signInBox({
    signIn: () => actions.signIn(),
    takeClient: (who, text) => actions.takeClient(who, text),
    cancel: () => actions.cancelSignIn(),
    signOut: () => actions.signOut(),
    openGuide: (who) => actions.openGuide(who),
  });
  const sections = {
    server: section("Server", fields.host, fields.port, fields.security),
    signIn: section("Sign-In", fields.auth, fields.transport, fields.user, password, signIn),
    sender: section("Sender", fields.from, fields.replyTo),
    security: section("Security", fields.verify, fields.caFile, fields.servername, fields.minVersion),
    network: section(
      "Network",
      fields.proxy,
      fields.proxyUser,
      proxyPassword,
      fields.dnsTimeout,
      fields.connectionTimeout,
      fields.greetingTimeout,
      fields.socketTimeout,
    ),
    limits: section("Limits", ...limitNames.map((name) => fields[name])),
  };
  const advanced = element(
    "details",
    { class: "advanced" },
    element("summary", {}, icon("chevron"), element("h2", { text: "Advanced" })),
    sections.network,
    sections.limits,
  );
  const root = element(
    "div",
    { class: "account-form" },
    formMessages,
    section("Account", fields.provider, region, fields.name, level),
    sections.server,
    sections.signIn,
    sections.sender,
    sections.security,
    advanced,
  );
  fields.user.element.append(suggestion);
  password.append(forget);

  let providers: readonly ProviderFacts[] = [];
  let key = "";
  let current: AccountForm | undefined;

  /** A server of the person's own needs its name and maybe a CA file: these come first there, and last where they are known. */
  function arrange(ownServer: boolean): void {
    const isFirst = sections.server.parentElement === root;
    if (ownServer === isFirst) return;
    for (const each of [sections.server, sections.security]) setLevel(each, ownServer ? 2 : 3);
    if (ownServer) {
      root.insertBefore(sections.server, sections.signIn);
      root.insertBefore(sections.security, advanced);
    } else {
      advanced.insertBefore(sections.server, sections.network);
      advanced.insertBefore(sections.security, sections.network);
    }
  }

  for (const each of [sections.network, sections.limits]) setLevel(each, 3);

  function focusField(name: keyof AccountForm | keyof TypedSecrets): void {
    const field = { ...fields, password, proxyPassword }[name];
    if (advanced.contains(field.element)) advanced.open = true;
    field.focus();
  }

  let warned = false;
  /** Opens what hides something wrong, once: after that the person may close it. */
  function reveal(): void {
    const wrong = advanced.querySelector(".message-error, .message-danger, .message-warning") !== null;
    if (wrong && !warned) advanced.open = true;
    warned = wrong;
  }

  return {
    element: root,
    focusFirst: () => fields.provider.focus(),
    focusField,
    startSignIn: () => signIn.start(),
    focusFirstError: (problems) => {
      const wrong = new Set(problems.filter((problem) => problem.severity === "error").map((problem) => problem.field));
      const first = (Object.keys(fields) as (keyof AccountForm)[])
        .filter((name) => wrong.has(name))
        .sort((a, b) => position(fields[a].element) - position(fields[b].element))[0];
      if (first !== undefined) focusField(first);
    },
    show: (editing, state) => {
      const { form, saved, secret } = editing;
      ({ providers } = state);
      ({ key } = editing);
      current = form;
      const facts = providers.find((one) => one.id === form.provider);

      const ownServer = (facts?.host ?? "") === "";
      arrange(ownServer);

      provider.offer(providers.map(({ id, label }) => [id, label]));
      region.visible = facts?.hosts !== undefined;
      region.offer((facts?.hosts ?? []).map(({ host, label }) => [host, label]));
      if (facts?.hosts !== undefined && region.value !== form.host) region.value = form.host;
      level.offer(state.levels.map(({ level, label }) => [level, `${label} settings`]));
      level.visible = state.levels.length > 1;
      auth.offer(waysToSignIn(facts));
      for (const name of Object.keys(fields) as (keyof AccountForm)[]) {
        const field = fields[name];
        if (field.value !== form[name]) (field as { value: string | boolean }).value = form[name];
        field.mark(saved !== undefined && saved.form[name] !== form[name]);
        const messages = messagesFor(name, editing, actions);
        field.show(messages);
        field.visible = (!isIdle(name, form) && applies(name, form, facts)) || messages.length > 0;
      }
      for (const each of [sections.server, sections.security])
        each.hidden = [...each.querySelectorAll<HTMLElement>(".field")].every((field) => field.hidden);
      reveal();
      if (level.value !== editing.level) level.value = editing.level;
      level.mark(saved !== undefined && saved.level !== editing.level);
      level.describe(levelDescriptions[editing.level]);

      const server =
        form.transport === "gmailApi"
          ? "Sends through the Gmail API."
          : `Sends through ${form.host}, port ${form.port}.`;
      fields.provider.describe(
        [ownServer ? "" : server, facts?.note ?? (ownServer ? "Fills in host, port and encryption." : "")]
          .join(" ")
          .trim(),
      );
      fields.user.describe(facts?.userHint ?? "Often your full e-mail address.");
      password.describe(facts?.passwordHint ?? "", passwordPage(facts));
      auth.describe(facts?.retired ?? "");
      transport.describe(waysToSend[form.auth === "oauth2" ? "token" : "password"]);
      password.visible = form.auth === "password";
      signIn.element.hidden = form.auth !== "oauth2" || facts?.oauth === undefined;
      if (form.auth === "oauth2" && facts?.oauth !== undefined)
        signIn.show({
          key,
          provider: facts.oauth,
          state: saved?.form.auth === "oauth2" ? editing.signIn : undefined,
          modified: editing.modified,
          moved: isMoved(editing),
          hasClient: state.clients[facts.oauth],
          phase: editing.signInPhase,
        });
      // The user of VS Code's own proxy stands in that setting.
      proxyPassword.visible =
        form.proxyUser.trim() !== "" || form.proxy.trim() === "vscode" || editing.typed.proxyPassword !== "";
      if (password.value !== editing.typed.password) password.value = editing.typed.password;
      if (proxyPassword.value !== editing.typed.proxyPassword) proxyPassword.value = editing.typed.proxyPassword;
      proxyPassword.mark(editing.typed.proxyPassword !== "");
      password.placeholder = secret.kind === "stored" && !isMoved(editing) ? "Stored: leave empty to keep it" : "";
      password.mark(editing.typed.password !== "");
      password.show(passwordMessages(editing, facts));
      forget.hidden = secret.kind !== "stored";
      fields.from.placeholder = form.user.includes("@") ? form.user : "";
      fields.servername.placeholder = form.host;
      const usual = state.limits[form.transport === "gmailApi" ? "gmailApi" : (facts?.id ?? "custom")];
      for (const name of limitNames) fields[name].placeholder = String(usual?.[name] ?? 0);

      const whole = editing.problems.filter((problem) => problem.field === "");
      formMessages.replaceChildren(...whole.map((problem) => messageBox(messageOf(problem, actions))));
      apply(suggestion, { hidden: true });
      suggestion.replaceChildren();
      const better = suggestProvider(form, providers);
      if (better !== undefined) {
        suggestion.hidden = false;
        const action = { title: `Use ${better.label}`, run: () => actions.filled(better.values) };
        suggestion.append(messageBox({ severity: "information", text: `This address is at ${better.label}.`, action }));
      }
    },
  };
}

/** What differs between the two ways to send with Gmail, by what one signs in with. */
const waysToSend = {
  password: "The Gmail API needs no app password: one signs in with Google, and it works where mail ports are blocked.",
  token:
    "The Gmail API works where mail ports are blocked and is allowed to send mail, nothing else. The mail server asks for access to the whole mailbox.",
} as const;

const providerNames = { google: "Google", microsoft: "Microsoft" } as const;

/** The ways to sign in at a provider, for people. */
function waysToSignIn(facts: ProviderFacts | undefined): readonly (readonly [value: string, label: string])[] {
  const oauth = facts?.oauth;
  if (facts === undefined || oauth === undefined)
    return [
      ["password", "User name and password"],
      ["none", "None"],
    ];
  const password = oauth === "google" ? "App password" : "User name and password";
  return facts.auths.map((auth) => [auth, auth === "oauth2" ? `Sign in with ${providerNames[oauth]}` : password]);
}

/** Whether a field is a question for this provider at all. */
function applies(name: keyof AccountForm, form: AccountForm, facts: ProviderFacts | undefined): boolean {
  switch (name) {
    case "transport":
      return form.provider === "gmail" || form.transport !== "smtp";
    case "auth":
      // One way only is no choice.
      return waysToSignIn(facts).length > 1 || waysToSignIn(facts)[0]?.[0] !== form.auth;
    case "user":
      return form.auth !== "none";
    case "proxyUser":
      return form.proxy.trim() !== "" || form.proxyUser !== "";
    default:
      return true;
  }
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

/** Tells screen readers how deep a section lies: below *Advanced*, or beside it. */
function setLevel(part: HTMLElement, level: 2 | 3): void {
  part.querySelector("h2")?.setAttribute("aria-level", String(level));
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

/** The fields that a stored password, or a sign-in, is bound to. */
const endpointFields = [
  "transport",
  "host",
  "port",
  "security",
  "auth",
  "user",
  "verify",
  "caFile",
  "servername",
  "minVersion",
  "proxy",
  "proxyUser",
] as const;

function isMoved({ form, saved }: Editing): boolean {
  return saved !== undefined && endpointFields.some((name) => !isIdle(name, form) && form[name] !== saved.form[name]);
}

function passwordMessages(editing: Editing, facts: ProviderFacts | undefined): readonly Message[] {
  const { secret } = editing;
  const { password } = editing.typed;
  const messages: Message[] = [];
  if (facts?.retired !== undefined) messages.push({ severity: "warning", text: facts.retired });
  if (secret.kind === "stored" && password === "" && isMoved(editing)) {
    const text = "The stored password belongs to the account as it was saved. Enter it again for this one.";
    messages.push({ severity: "information", text });
  }
  if (secret.kind === "lost" && password === "") {
    const text =
      "The password that you stored is gone: VS Code could not keep it, most likely because this system has no keyring. It is asked for when it is needed.";
    messages.push({ severity: "information", text });
  }
  if (secret.kind === "elsewhere" && password === "") {
    const text = `The stored password was entered for another endpoint (${secret.changes.join("; ")}). Enter it again to use it here.`;
    messages.push({ severity: "warning", text });
  }
  return messages;
}

/** The page where the password is made, else the one that explains it. */
function passwordPage(facts: ProviderFacts | undefined): { readonly title: string; readonly url: string } | undefined {
  if (facts?.appPasswordUrl !== undefined) return { title: "Get one", url: facts.appPasswordUrl };
  return facts?.helpUrl === undefined ? undefined : { title: "Read more", url: facts.helpUrl };
}

function position(row: HTMLElement): number {
  return row.getBoundingClientRect().top;
}

/** The page of the accounts panel: which account is shown, what is not saved, and what the host says. */
import { createRpc } from "../../rpc";
import type {
  AccountCard,
  AccountEdit,
  AccountForm,
  AccountLevel,
  FormProblem,
  SettingsHost,
  SettingsPage,
  SettingsState,
} from "../protocol";
import type { Editing } from "./accountEditor";
import { accountEditor } from "./accountEditor";
import type { ListItem } from "./accountList";
import { accountList } from "./accountList";
import { button, messageBox } from "./controls";
import { connect, element } from "./dom";
import { outcomeBar } from "./outcomeBar";

/** An account as it is being edited. Only what is not saved is kept here. */
interface Draft {
  form: AccountForm;
  level: AccountLevel;
  readonly previous: { readonly id: string; readonly level: AccountLevel } | undefined;
  /** In memory only: never in the page's state, so a reload forgets it. */
  password: string;
  touched: ReadonlySet<string>;
  problems: readonly FormProblem[];
}

/** What survives a reload of the window: everything but passwords. */
interface KeptState {
  readonly selected: string;
  readonly drafts: readonly (readonly [string, Pick<Draft, "form" | "level" | "previous">])[];
}

const sandboxKey = "sandbox";
const newKey = "new";
const keyOf = (id: string, level: AccountLevel): string => `${level}/${id}`;

const connection = connect<KeptState>();
const drafts = new Map<string, Draft>();
let state: SettingsState | undefined;
let selected = "";
/** While an account is being saved, new states wait: half of them would still show the draft. */
let saving = false;
let waiting: SettingsState | undefined;
/** The account that is being removed: its draft goes with it. */
let removing = "";

const host = createRpc<SettingsHost, SettingsPage>(connection.port, {
  show: (next) => {
    if (saving) waiting = next;
    else show(next);
  },
});

const list = accountList({ select, add });
const editor = accountEditor({
  changed: (values) => edit((draft) => ({ form: { ...draft.form, ...values }, touched: touchedBy(draft, values) })),
  filled: (values) =>
    edit((draft) => ({
      form: { ...draft.form, ...named(draft, values) },
      touched: touchedBy(draft, values),
      problems: draft.problems.filter(({ field }) => field === "" || values[field] === undefined),
    })),
  passwordChanged: (password) => edit(() => ({ password })),
  levelChanged: (level) => edit(() => ({ level })),
  left: (field) => touch(field),
  forgetPassword: () => {
    const card = selectedCard();
    if (card !== undefined) run(host.request("forgetPassword", card.id));
  },
});
const bar = outcomeBar({ save, test, cancelTest: () => host.event("cancelTest"), discard });
const heading = element("h1", {});
const headingDetail = element("p", { class: "heading-detail" });
const headingActions = element("div", { class: "heading-actions" });
const banner = element("div", { class: "banner" });
const empty = element("div", { class: "empty" });
const detail = element(
  "div",
  { class: "detail" },
  element(
    "header",
    { class: "heading" },
    element("div", { class: "heading-line" }, heading, headingActions),
    headingDetail,
  ),
  banner,
  empty,
  editor.element,
);
document.getElementById("page")?.append(list.element, element("div", { class: "detail-column" }, detail, bar.element));
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
  event.preventDefault();
  save();
});

const blank: Omit<AccountForm, "name"> = {
  provider: "custom",
  host: "",
  port: "587",
  security: "starttls",
  auth: "password",
  user: "",
  from: "",
  replyTo: "",
  verify: true,
  caFile: "",
  servername: "",
  delay: "",
  connections: "",
  connectionTimeout: "30000",
  greetingTimeout: "30000",
  socketTimeout: "600000",
};

run(start());

async function start(): Promise<void> {
  // Before the first state arrives, by whatever way: showing one keeps what there is.
  const kept = connection.state();
  for (const [key, draft] of kept?.drafts ?? [])
    drafts.set(key, { ...draft, password: "", touched: new Set(), problems: [] });
  selected = kept?.selected ?? "";
  show(await host.request("load"));
}

/** Takes over a new state; what is being edited stays as it is. */
function show(next: SettingsState): void {
  state = next;
  const keys = new Set(next.accounts.map(({ id, level }) => keyOf(id, level)));
  for (const [key, draft] of [...drafts]) {
    if (key === newKey || keys.has(key)) continue;
    // The account is gone from the settings: what was typed becomes a new one.
    drafts.delete(key);
    if (key === removing) continue;
    if (!drafts.has(newKey)) drafts.set(newKey, { ...draft, previous: undefined });
    if (selected === key) selected = newKey;
  }
  const wanted = next.accounts.find(({ id }) => id === next.select);
  if (wanted !== undefined) selected = keyOf(wanted.id, wanted.level);
  if (selected !== sandboxKey && !keys.has(selected) && !drafts.has(selected)) selected = [...keys][0] ?? sandboxKey;
  const draft = drafts.get(selected);
  if (draft !== undefined) check(draft);
  render();
}

function select(key: string): void {
  if (key === selected) return;
  bar.clear();
  selected = key;
  render();
  detail.scrollTop = 0;
}

function add(): void {
  if (state === undefined) return;
  if (!drafts.has(newKey)) {
    const level = state.levels[0]?.level ?? "user";
    drafts.set(newKey, {
      form: { ...blank, name: freeName("work") },
      level,
      previous: undefined,
      password: "",
      touched: new Set(),
      problems: [],
    });
  }
  bar.clear();
  selected = newKey;
  render();
  detail.scrollTop = 0;
  editor.focusFirst();
}

/** Changes what is being edited; a draft that says what is saved is none. */
function edit(change: (draft: Draft) => Partial<Draft>): void {
  const draft = currentDraft();
  if (draft === undefined) return;
  Object.assign(draft, change(draft));
  drafts.set(selected, draft);
  const card = selectedCard();
  if (card !== undefined && !isModified(draft, card)) drafts.delete(selected);
  bar.clear();
  check(draft);
  render();
}

function touch(field: keyof AccountForm): void {
  const draft = drafts.get(selected);
  if (draft === undefined || draft.touched.has(field)) return;
  draft.touched = new Set([...draft.touched, field]);
  render();
}

let checkTimer: number | undefined;
/** Asks the host what is wrong, a moment after the last key. */
function check(draft: Draft): void {
  clearTimeout(checkTimer);
  checkTimer = setTimeout(() => {
    const edit = editOf(draft);
    run(
      host.request("check", edit).then((problems) => {
        // An answer to an older question is of no use.
        if (draft.form !== edit.form || draft.level !== edit.level) return;
        draft.problems = problems;
        render();
      }),
    );
  }, 120);
}

function save(): void {
  const draft = currentDraft();
  if (draft === undefined || saving) return;
  const key = selected;
  saving = true;
  bar.busy("Saving…");
  run(
    host
      .request("save", editOf(draft), draft.password)
      .then(async (reply) => {
        switch (reply.kind) {
          case "saved":
            drafts.delete(key);
            if (selected === key) selected = keyOf(draft.form.name.trim(), draft.level);
            waiting = await host.request("load");
            bar.say("pass", "Saved.");
            break;
          case "problems":
            showProblems(key, draft, reply.problems);
            break;
          case "failed":
            bar.say("error", "The settings could not be written.", { who: "VS Code said", words: reply.text });
            break;
          case "cancelled":
            bar.clear();
        }
      })
      .finally(() => {
        saving = false;
        if (waiting !== undefined) show(waiting);
        waiting = undefined;
      }),
  );
}

function test(): void {
  const draft = currentDraft();
  if (draft === undefined) return;
  const key = selected;
  bar.testing(`Connecting to ${draft.form.host.trim() || "the server"}…`);
  run(
    host.request("test", editOf(draft), draft.password).then((reply) => {
      if (selected !== key) return;
      switch (reply.kind) {
        case "ok":
          bar.say("pass", drafts.has(key) ? `${reply.text} Save the account to use it.` : reply.text);
          break;
        case "failed":
          bar.say("error", reply.text, { who: "The server said", words: reply.reply });
          break;
        case "problems":
          showProblems(key, draft, reply.problems);
          break;
        case "cancelled":
          bar.say("information", "The test was cancelled.");
      }
    }),
  );
}

/** Shows every problem of a draft and turns to the first that must be mended. */
function showProblems(key: string, draft: Draft, problems: readonly FormProblem[]): void {
  drafts.set(key, { ...draft, problems, touched: new Set(Object.keys(draft.form)) });
  render();
  const errors = problems.filter((problem) => problem.severity === "error");
  const what = errors.length === 1 ? "One field needs" : `${String(errors.length)} fields need`;
  bar.say("error", `${what} your attention before this works.`);
  editor.focusFirstError(problems);
}

function discard(): void {
  drafts.delete(selected);
  bar.clear();
  if (state !== undefined) show(state);
}

/** What is being edited: the draft, or what is saved, as one. */
function currentDraft(): Draft | undefined {
  const draft = drafts.get(selected);
  if (draft !== undefined) return draft;
  const card = selectedCard();
  if (card === undefined) return undefined;
  const previous = { id: card.id, level: card.level };
  return { form: card.form, level: card.level, previous, password: "", touched: new Set(), problems: card.problems };
}

function selectedCard(): AccountCard | undefined {
  return state?.accounts.find(({ id, level }) => keyOf(id, level) === selected);
}

function isModified(draft: Draft, card: AccountCard): boolean {
  return (
    draft.password !== "" ||
    draft.level !== card.level ||
    (Object.keys(card.form) as (keyof AccountForm)[]).some((name) => card.form[name] !== draft.form[name])
  );
}

function editOf({ form, level, previous }: Draft): AccountEdit {
  return { form, level, ...(previous === undefined ? {} : { previous }) };
}

/** A field that was filled counts as visited. */
function touchedBy(draft: Draft, values: Partial<AccountForm>): ReadonlySet<string> {
  const filled = (Object.keys(values) as (keyof AccountForm)[]).filter((name) => values[name] !== "");
  return new Set([...draft.touched, ...filled]);
}

/** A new account is named after its provider until the person names it. */
function named(draft: Draft, values: Partial<AccountForm>): Partial<AccountForm> {
  if (values.provider === undefined || draft.previous !== undefined || draft.touched.has("name")) return values;
  const ownServer = values.provider === "custom" || values.provider === "enterprise";
  return { ...values, name: freeName(ownServer ? "work" : values.provider) };
}

function freeName(base: string): string {
  const taken = new Set(state?.accounts.map(({ id }) => id));
  let name = base;
  for (let n = 2; taken.has(name); n++) name = `${base}-${String(n)}`;
  return name;
}

function render(): void {
  if (state === undefined) return;
  const card = selectedCard();
  const draft = currentDraft();
  list.show(listItems(state), selected);
  renderHeading(state, card, draft);

  banner.hidden = state.trusted;
  if (!state.trusted && banner.childElementCount === 0)
    banner.append(
      messageBox({
        severity: "warning",
        text: "This workspace is not trusted: accounts can be looked at and edited, but nothing connects or is sent until you trust it.",
      }),
    );

  empty.hidden = draft !== undefined;
  if (draft === undefined) renderSandbox(state.accounts.length === 0);

  editor.element.hidden = bar.element.hidden = draft === undefined;
  if (draft !== undefined) {
    editor.show(editingOf(draft, card), state);
    bar.setModified(drafts.has(selected));
  }
  connection.keep({
    selected,
    drafts: [...drafts].map(([key, { form, level, previous }]) => [key, { form, level, previous }]),
  });
}

function editingOf(draft: Draft, card: AccountCard | undefined): Editing {
  return {
    form: draft.form,
    level: draft.level,
    password: draft.password,
    saved: card === undefined ? undefined : { form: card.form, level: card.level },
    secret: card?.secret ?? { kind: "none", changes: [] },
    touched: card === undefined ? draft.touched : new Set(Object.keys(draft.form)),
    problems: draft.problems,
  };
}

function listItems({ accounts, defaultId, levels }: SettingsState): readonly ListItem[] {
  const labels = new Map(levels.map(({ level, label }) => [level, label]));
  const saved = accounts.map((card): ListItem => {
    const key = keyOf(card.id, card.level);
    return {
      key,
      title: card.id,
      detail: [card.form.host, labels.get(card.level)].filter((part) => part !== "" && part !== undefined).join(" · "),
      isDefault: card.id === defaultId,
      modified: drafts.has(key),
      broken: card.problems.some((problem) => problem.severity === "error"),
    };
  });
  const fresh = drafts.get(newKey);
  return [
    ...saved,
    ...(fresh === undefined ? [] : [itemOfNew(fresh)]),
    {
      key: sandboxKey,
      title: "Sandbox",
      detail: "Built in · nothing leaves this machine",
      isDefault: defaultId === sandboxKey,
      modified: false,
      broken: false,
    },
  ];
}

function itemOfNew({ form }: Draft): ListItem {
  return {
    key: newKey,
    title: form.name.trim() === "" ? "New account" : form.name,
    detail: form.host === "" ? "Not saved yet" : `${form.host} · not saved yet`,
    isDefault: false,
    modified: true,
    broken: false,
  };
}

let headingShown = "";
function renderHeading(now: SettingsState, card: AccountCard | undefined, draft: Draft | undefined): void {
  // Rebuilt only when it changes, so that a focused button stays.
  const shown = JSON.stringify([selected, card?.id, card?.level, card?.overrides, now.defaultId, draft === undefined]);
  if (shown === headingShown) return;
  headingShown = shown;
  headingActions.replaceChildren();
  if (card === undefined) {
    heading.textContent = draft === undefined ? "Sandbox" : "New Account";
    headingDetail.textContent =
      draft === undefined ? "Sandbox: nothing leaves this machine." : "Where and as whom your campaigns are sent.";
    return;
  }
  const label = now.levels.find(({ level }) => level === card.level)?.label ?? "";
  heading.textContent = card.id;
  headingDetail.textContent = [
    `Kept in the ${label} settings.`,
    card.id === now.defaultId ? "Campaigns that name no account are sent through this one." : "",
    card.overrides.length > 0
      ? `Takes the place of the same name in the ${card.overrides.join(" and ")} settings.`
      : "",
  ]
    .filter((part) => part !== "")
    .join(" ");
  if (card.id !== now.defaultId)
    headingActions.append(button("Set as Default", "secondary", () => run(host.request("setDefault", card.id))));
  headingActions.append(
    button("Edit in settings.json", "secondary", () => host.event("openSettings", card.level)),
    button("Remove", "secondary", () => remove(card)),
  );
}

function remove({ id, level }: AccountCard): void {
  removing = keyOf(id, level);
  run(
    host
      .request("remove", id, level)
      .then((removed) => removed && bar.clear())
      .finally(() => {
        removing = "";
      }),
  );
}

let sandboxShown: boolean | undefined;
function renderSandbox(only: boolean): void {
  if (sandboxShown === only) return;
  sandboxShown = only;
  empty.replaceChildren(
    element("p", {
      text: "The sandbox is a mail server inside the extension. Rehearsals go there, and so does every campaign until you add an account: the mails are kept as files that you can open.",
    }),
    ...(only
      ? [
          element("p", { text: "To send real mail, add the account that you send it from." }),
          button("Add Account", "primary", add),
        ]
      : [element("p", { text: "It needs no settings." })]),
  );
}

/** Waits for something in the background; what fails is said at the bottom of the form. */
function run(work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    bar.element.hidden = false;
    bar.say("error", "That did not work. The log of Bulk Mail says more.", {
      who: "What went wrong",
      words: error instanceof Error ? error.message : String(error),
    });
  });
}

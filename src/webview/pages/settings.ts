/** The page of the accounts panel: which account is shown, what is not saved, and what the host says. */
import { createRpc } from "../../rpc";
import type {
  AccountCard,
  AccountForm,
  FormProblem,
  KeptDrafts,
  SettingsHost,
  SettingsPage,
  SettingsState,
  TestFix,
} from "../protocol";
import type { Editing } from "./accountEditor";
import { accountEditor } from "./accountEditor";
import { accountHeading } from "./accountHeading";
import { accountList, listItems } from "./accountList";
import { connect, element } from "./dom";
import type { Draft } from "./drafts";
import {
  changed,
  draftOf,
  editOf,
  filled,
  isModified,
  kept,
  keyOf,
  newDraft,
  newKey,
  restored,
  sandboxKey,
} from "./drafts";
import { outcomeBar } from "./outcomeBar";
import type { SavedAccount } from "./signInFlow";
import { SignInFlow } from "./signInFlow";

/** What survives a reload of the window: everything but passwords. */
interface KeptState {
  readonly selected: string;
  readonly drafts: KeptDrafts;
}

const connection = connect<KeptState>();
const drafts = new Map<string, Draft>();
let state: SettingsState | undefined;
let selected = "";
/** Whether the person chose what is on show, and whether they were quicker than the first state with it. */
let chosen = false;
let adding = false;
/** While an account is being saved, new states wait: half of them would still show the draft. */
let saving = false;
let waiting: SettingsState | undefined;
/** The account that is being removed: its draft goes with it. */
let removing = "";
/** The test that is running or whose end is shown, and what was tested: its words are of no use for anything else. */
let tested: { readonly run: number; readonly what: string; running: boolean } | undefined;
/** Runs of an earlier page may still tell of themselves. */
let lastRun = Date.now();

const host = createRpc<SettingsHost, SettingsPage>(connection.port, {
  show: (next) => {
    if (saving) waiting = next;
    else show(next);
  },
  testSteps: (run, steps) => {
    if (tested?.run === run && tested.running) bar.steps(steps);
  },
});

const list = accountList({ select, add });
const editor = accountEditor({
  changed: (values) => edit((draft) => changed(draft, values)),
  filled: (values) => edit((draft) => filled(draft, values, state?.accounts ?? [])),
  typed: (secrets) => edit(({ typed }) => ({ typed: { ...typed, ...secrets } })),
  levelChanged: (level) => edit(() => ({ level })),
  left: (field) => touch(field),
  forgetPassword: () => {
    const card = selectedCard();
    if (card !== undefined) run(host.request("forgetPassword", card.id));
  },
  signIn,
  cancelSignIn: () => flow.cancel(),
  signOut: () => {
    const card = selectedCard();
    if (card !== undefined) run(host.request("signOut", card.id, card.level));
  },
  takeClient: async (provider, text) => {
    const reply = await host.request("takeClient", provider, text);
    return reply.kind === "failed" ? reply.text : "";
  },
  openGuide: (provider) => host.event("openGuide", provider),
});
const flow = new SignInFlow(host, render);
const bar = outcomeBar({
  save: () => void save(),
  test: () => test(false),
  cancelTest: () => host.event("cancelTest"),
  sendTestMail: () => test(true),
  copyTranscript: () => (tested === undefined ? Promise.resolve(false) : host.request("copyTranscript", tested.run)),
  mend,
  discard,
});
const heading = accountHeading({
  add,
  setDefault: ({ id }) => run(host.request("setDefault", id)),
  openSettings: ({ level }) => host.event("openSettings", level),
  remove,
});
const detail = element("div", { class: "detail" }, heading.element, editor.element);
document.getElementById("page")?.append(list.element, element("div", { class: "detail-column" }, detail, bar.element));
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
  event.preventDefault();
  void save();
});

run(start());

async function start(): Promise<void> {
  // Before the first state arrives, by whatever way: showing one keeps what there is.
  const before = connection.state();
  // A panel that was closed has no state of its own any more.
  const unsaved = before?.drafts ?? (await host.request("drafts"));
  for (const [key, draft] of restored(unsaved)) drafts.set(key, draft);
  // Whoever chose one already, because the host was quicker with a state, keeps that.
  if (!chosen) selected = before?.selected ?? unsaved[0]?.[0] ?? "";
  show(await host.request("load"));
  if (adding) add();
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
  if (draft !== undefined) check(selected, draft);
  render();
}

function select(key: string): void {
  chosen = true;
  if (key === selected) return;
  bar.clear();
  selected = key;
  render();
  detail.scrollTop = 0;
}

function add(): void {
  adding = state === undefined;
  if (state === undefined) return;
  if (!drafts.has(newKey)) drafts.set(newKey, newDraft(state));
  bar.clear();
  chosen = true;
  selected = newKey;
  render();
  detail.scrollTop = 0;
  editor.focusFirst();
}

/** Changes what is being edited; a draft that says what is saved is none. */
function edit(change: (draft: Draft) => Partial<Draft>): void {
  const before = currentDraft();
  if (before === undefined) return;
  const draft = { ...before, ...change(before) };
  const card = selectedCard();
  if (card === undefined || isModified(draft, card)) drafts.set(selected, draft);
  else drafts.delete(selected);
  bar.clear();
  flow.forget(selected);
  check(selected, draft);
  render();
}

function touch(field: keyof AccountForm): void {
  const draft = drafts.get(selected);
  if (draft === undefined || draft.touched.has(field)) return;
  drafts.set(selected, { ...draft, touched: new Set([...draft.touched, field]) });
  render();
}

let checkTimer: number | undefined;
/** Asks the host what is wrong, a moment after the last key. */
function check(key: string, { form, level, previous }: Draft): void {
  clearTimeout(checkTimer);
  checkTimer = setTimeout(() => {
    run(
      host.request("check", editOf({ form, level, previous })).then((problems) => {
        const draft = drafts.get(key);
        // An answer to an older question is of no use.
        if (draft?.form !== form || draft.level !== level) return;
        drafts.set(key, { ...draft, problems });
        render();
      }),
    );
  }, 120);
}

/** Saves what is edited; undefined where that did not work, which the bar then says. */
async function save(): Promise<SavedAccount | undefined> {
  const draft = currentDraft();
  if (draft === undefined || saving) return undefined;
  const key = selected;
  saving = true;
  endTest();
  bar.busy("Saving…");
  try {
    const reply = await host.request("save", editOf(draft), draft.typed);
    switch (reply.kind) {
      case "saved":
        settle(key, draft);
        waiting = await host.request("load");
        bar.say("pass", "Saved.");
        return { id: draft.form.name.trim(), level: draft.level };
      case "problems":
        showProblems(key, draft, reply.problems);
        break;
      case "failed":
        bar.say("error", "The settings could not be written.", { who: "The reason", words: reply.text });
        break;
      case "cancelled":
        bar.clear();
    }
  } catch (error) {
    complain(error);
  } finally {
    saving = false;
    if (waiting !== undefined) show(waiting);
    waiting = undefined;
  }
  return undefined;
}

/** Saves what is not saved, then signs in: a sign-in belongs to an account of the settings. */
function signIn(): void {
  const card = selectedCard();
  const saved =
    drafts.has(selected) || card === undefined ? save : () => Promise.resolve({ id: card.id, level: card.level });
  // What a test said of the sign-in before is history.
  run(flow.signIn(saved).then((signedIn) => signedIn && endTest()));
}

/** After saving: what was typed in the meantime goes on as a draft of the saved account. */
function settle(key: string, draft: Draft): void {
  const later = drafts.get(key);
  const previous = { id: draft.form.name.trim(), level: draft.level };
  const savedKey = keyOf(previous.id, previous.level);
  drafts.delete(key);
  if (later !== undefined && (later.form !== draft.form || later.typed !== draft.typed))
    drafts.set(savedKey, { ...later, previous });
  if (selected === key) selected = savedKey;
}

function test(mail: boolean): void {
  const draft = currentDraft();
  if (draft === undefined || saving) return;
  const key = selected;
  const own: NonNullable<typeof tested> = { run: ++lastRun, what: whatIsEdited(), running: true };
  tested = own;
  const { transport, host: server } = draft.form;
  bar.testing(
    `Testing the connection to ${transport === "gmailApi" ? "the Gmail API" : server.trim() || "the server"}…`,
  );
  run(
    host
      .request("test", own.run, editOf(draft), draft.typed, mail)
      .finally(() => (own.running = false))
      .then((reply) => {
        if (tested !== own) return;
        switch (reply.kind) {
          case "tested": {
            const unsaved = reply.ok && drafts.has(key) ? " Save the account to use it." : "";
            bar.tested(reply.ok ? "pass" : "error", `${reply.text}${unsaved}`, reply.steps, reply.mailTo !== "");
            break;
          }
          case "refused":
            bar.say("error", reply.text);
            break;
          case "problems":
            showProblems(key, draft, reply.problems);
            break;
          case "cancelled":
            bar.say("information", mail ? "No test mail was sent." : "The test was cancelled.");
        }
      }),
  );
}

/** What a test is about; a test of anything else says nothing of it. */
function whatIsEdited(): string {
  const draft = currentDraft();
  return JSON.stringify([selected, draft?.form, draft?.level, draft?.typed]);
}

/** Forgets a test, and stops it where it still runs. */
function endTest(): void {
  if (tested?.running === true) host.event("cancelTest");
  tested = undefined;
  bar.clear();
}

/** Does what a step of a test offers; whether it helps, the person finds out by testing again. */
function mend(fix: TestFix): void {
  if (fix.kind === "field") editor.focusField(fix.field);
  if (fix.kind === "signIn") editor.startSignIn();
  if (fix.kind !== "set") return;
  edit((draft) => filled(draft, fix.values, state?.accounts ?? []));
  bar.say("information", "Filled in. Test again to see whether that helps.");
  bar.focusTest();
}

/** Shows every problem of a draft and turns to the first that must be mended. */
function showProblems(key: string, draft: Draft, problems: readonly FormProblem[]): void {
  // A saved account shows all of its problems anyway.
  if (drafts.has(key)) drafts.set(key, { ...draft, problems, touched: new Set(Object.keys(draft.form)) });
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
  return card === undefined ? undefined : draftOf(card);
}

function selectedCard(): AccountCard | undefined {
  return state?.accounts.find(({ id, level }) => keyOf(id, level) === selected);
}

function render(): void {
  if (state === undefined) return;
  if (tested !== undefined && tested.what !== whatIsEdited()) endTest();
  const card = selectedCard();
  const draft = currentDraft();
  list.show(listItems(state, drafts), selected);
  if (card !== undefined) heading.show({ kind: "saved", card }, state);
  else heading.show({ kind: draft === undefined ? "sandbox" : "new" }, state);
  editor.element.hidden = bar.element.hidden = draft === undefined;
  if (draft !== undefined) {
    editor.show(editingOf(draft, card), state);
    bar.setModified(drafts.has(selected));
  }
  keep(kept(drafts));
}

let keptText = "[]";
/** Keeps what is unsaved twice: VS Code's state of the page for a reload, and the host for a panel that is closed. */
function keep(unsaved: KeptDrafts): void {
  connection.keep({ selected, drafts: unsaved });
  const text = JSON.stringify(unsaved);
  if (text === keptText) return;
  keptText = text;
  host.event("keepDrafts", unsaved);
}

function editingOf(draft: Draft, card: AccountCard | undefined): Editing {
  return {
    key: selected,
    form: draft.form,
    level: draft.level,
    typed: draft.typed,
    saved: card === undefined ? undefined : { form: card.form, level: card.level },
    secret: card?.secret ?? { kind: "none", changes: [] },
    signIn: card?.signIn,
    signInPhase: flow.phaseOf(selected),
    modified: drafts.has(selected),
    touched: card === undefined ? draft.touched : new Set(Object.keys(draft.form)),
    problems: draft.problems,
  };
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

/** Waits for something in the background; what fails is said at the bottom of the form. */
function run(work: Promise<unknown>): void {
  work.catch(complain);
}

function complain(error: unknown): void {
  bar.element.hidden = false;
  bar.say("error", "That did not work. The log of Bulk Mail says more.", {
    who: "What went wrong",
    words: error instanceof Error ? error.message : String(error),
  });
}

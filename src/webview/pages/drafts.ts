/** What is typed and not saved: kept by account, in memory; all but passwords survives a reload of the window. */
import { atRest } from "../protocol";
import type {
  AccountCard,
  AccountEdit,
  AccountForm,
  AccountLevel,
  FormProblem,
  KeptDrafts,
  SettingsState,
  TypedSecrets,
} from "../protocol";

/** An account as it is being edited. */
export interface Draft {
  readonly form: AccountForm;
  readonly level: AccountLevel;
  readonly previous: { readonly id: string; readonly level: AccountLevel } | undefined;
  /** In memory only: never in the page's state, so a reload forgets them. */
  readonly typed: TypedSecrets;
  /** Fields that the person has been in. */
  readonly touched: ReadonlySet<string>;
  readonly problems: readonly FormProblem[];
}

/** The key of the built-in account, and of an account that does not exist yet. */
export const sandboxKey = "sandbox";
export const newKey = "new";

/** The key of a saved account; it is never one of the two above. */
export function keyOf(id: string, level: AccountLevel): string {
  return `${level}/${id}`;
}

const blank: Omit<AccountForm, "name"> = {
  provider: "custom",
  host: "",
  port: "587",
  security: "starttls",
  ...atRest,
};

const nothingTyped: TypedSecrets = { password: "", proxyPassword: "" };
const untouched = { typed: nothingTyped, touched: new Set<string>(), problems: [] };

/** A new account, to be kept in the nearest level. */
export function newDraft({ accounts, levels }: SettingsState): Draft {
  const form = { ...blank, name: freeName("work", accounts) };
  return { form, level: levels[0]?.level ?? "user", previous: undefined, ...untouched };
}

/** A saved account as the draft that says the same. */
export function draftOf({ id, level, form, problems }: AccountCard): Draft {
  return { form, level, previous: { id, level }, ...untouched, problems };
}

/** Drafts from the page's state. */
export function restored(kept: KeptDrafts): [string, Draft][] {
  // What an older version kept knows nothing of fields that came later.
  return kept.map(([key, { form, level, previous }]) => [
    key,
    { form: { ...blank, ...form }, level, previous, ...untouched },
  ]);
}

/** Drafts for the page's state, without passwords. */
export function kept(drafts: ReadonlyMap<string, Draft>): KeptDrafts {
  return [...drafts].map(([key, draft]) => [key, editOf(draft)]);
}

/** Whether a draft says something else than what is saved. */
export function isModified(draft: Draft, card: AccountCard): boolean {
  return (
    draft.typed.password !== "" ||
    draft.typed.proxyPassword !== "" ||
    draft.level !== card.level ||
    (Object.keys(card.form) as (keyof AccountForm)[]).some((name) => card.form[name] !== draft.form[name])
  );
}

/** A draft for the host. */
export function editOf({ form, level, previous }: Pick<Draft, "form" | "level" | "previous">): AccountEdit {
  return { form, level, ...(previous === undefined ? {} : { previous }) };
}

/** A draft in which a person has changed a field. */
export function changed(draft: Draft, values: Partial<AccountForm>): Partial<Draft> {
  const filled = (Object.keys(values) as (keyof AccountForm)[]).filter((name) => values[name] !== "");
  return { form: { ...draft.form, ...values }, touched: new Set([...draft.touched, ...filled]) };
}

/** A draft in which one click has filled several fields: what was wrong with them is history. */
export function filled(draft: Draft, values: Partial<AccountForm>, accounts: readonly AccountCard[]): Partial<Draft> {
  const { provider } = values;
  // A new account is named after its provider until the person names it.
  const unnamed = provider !== undefined && draft.previous === undefined && !draft.touched.has("name");
  const base = provider === "custom" || provider === "enterprise" ? "work" : (provider ?? "");
  const { form } = changed(draft, unnamed ? { ...values, name: freeName(base, accounts) } : values);
  return {
    ...changed(draft, values),
    ...(form === undefined ? {} : { form }),
    problems: draft.problems.filter(({ field }) => field === "" || values[field] === undefined),
  };
}

function freeName(base: string, accounts: readonly AccountCard[]): string {
  const taken = new Set(accounts.map(({ id }) => id));
  let name = base;
  for (let n = 2; taken.has(name); n++) name = `${base}-${String(n)}`;
  return name;
}

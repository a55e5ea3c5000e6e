/** What choosing a provider fills into the form, and which one an address suggests. */
import type { AccountForm, ProviderFacts } from "../protocol";

/** What choosing a provider fills in. A server typed by hand is kept where the provider has none of its own. */
export function providerValues(
  id: string,
  current: AccountForm | undefined,
  providers: readonly ProviderFacts[],
): Partial<AccountForm> {
  const facts = providers.find((one) => one.id === id);
  if (facts === undefined) return { provider: id };
  const first = facts.ports[0];
  const host =
    facts.host === "" && current !== undefined && !isPreset(current.host, providers) ? current.host : facts.host;
  return {
    provider: id,
    transport: "smtp",
    auth: authAt(facts, current),
    host,
    ...(first === undefined ? {} : { port: String(first.port), security: first.security }),
    ...(facts.user === undefined ? {} : { user: facts.user }),
    delay: "",
    connections: "",
  };
}

/** A provider says how one signs in there; at a server of one's own, it may also be that one does not. */
function authAt({ host, auths }: ProviderFacts, current: AccountForm | undefined): string {
  const own = host === "" && current !== undefined && current.auth !== "oauth2";
  return own ? current.auth : (auths[0] ?? "password");
}

/** What choosing a way to sign in fills in: an app password is of no use to the Gmail API. */
export function authValues(auth: string): Partial<AccountForm> {
  return auth === "oauth2" ? { auth } : { auth, transport: "smtp" };
}

/** What choosing a way to send fills in. Turning back from the Gmail API brings back `before`, the sign-in that stood there. */
export function transportValues(transport: string, before: string | undefined): Partial<AccountForm> {
  if (transport === "gmailApi") return { transport, auth: "oauth2" };
  return { transport, ...(before === undefined ? {} : { auth: before }) };
}

/** A provider that an address of the form lives at, and what one click fills in. */
export interface Suggestion {
  readonly label: string;
  readonly values: Partial<AccountForm>;
}

/**
 * The provider of the user's address, or of the sender's where there is no user yet: as long as no server was typed by hand,
 * and also when another mailbox provider was chosen, which would never let this user in.
 */
export function suggestProvider(form: AccountForm, providers: readonly ProviderFacts[]): Suggestion | undefined {
  const chosen = providers.find(({ id }) => id === form.provider);
  const preset = chosen?.domains !== undefined && form.host === chosen.host;
  if (form.host !== "" && !preset) return undefined;
  const user = addressIn(form.user);
  const from = form.user.trim() === "" && !preset ? addressIn(form.from) : undefined;
  const found = user ?? from;
  if (found === undefined) return undefined;
  const better = providers.find(({ domains }) => domains?.includes(found.domain) === true);
  if (better === undefined || better.id === form.provider) return undefined;
  return { label: better.label, values: { ...providerValues(better.id, form, providers), user: found.address } };
}

function isPreset(host: string, providers: readonly ProviderFacts[]): boolean {
  return providers.some(
    (one) => one.host !== "" && (one.host === host || one.hosts?.some((each) => each.host === host)),
  );
}

/** The address in `ada@example.com` or `Ada <ada@example.com>`. */
function addressIn(text: string): { readonly address: string; readonly domain: string } | undefined {
  const found = /(?:^|<)([^\s<>@]+@([^\s<>@]+))>?$/.exec(text.trim());
  const [, address, domain] = found ?? [];
  return address === undefined || domain === undefined ? undefined : { address, domain: domain.toLowerCase() };
}

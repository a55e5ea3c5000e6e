/** Between an account's object in the settings and the flat form of the page. */
import type { AccountProblem } from "../mail/index";
import { parseAccount } from "../mail/index";
import { atRest, isIdle } from "./protocol";
import type { AccountForm, FieldName, FormProblem } from "./protocol";

/** Where each field of the form stands in the account's object. */
const paths = {
  provider: "provider",
  transport: "transport",
  host: "host",
  port: "port",
  security: "security",
  auth: "auth",
  user: "user",
  from: "from",
  replyTo: "replyTo",
  verify: "tls.verify",
  caFile: "tls.caFile",
  servername: "tls.servername",
  minVersion: "tls.minVersion",
  proxy: "proxy",
  proxyUser: "proxyUser",
  delay: "limits.delay",
  connections: "limits.connections",
  perMinute: "limits.perMinute",
  perHour: "limits.perHour",
  perDay: "limits.perDay",
  dnsTimeout: "timeouts.dns",
  connectionTimeout: "timeouts.connection",
  greetingTimeout: "timeouts.greeting",
  socketTimeout: "timeouts.socket",
} as const satisfies Record<Exclude<keyof AccountForm, "name">, string>;

const numbers: ReadonlySet<string> = new Set([
  "port",
  "delay",
  "connections",
  "perMinute",
  "perHour",
  "perDay",
  "dnsTimeout",
  "connectionTimeout",
  "greetingTimeout",
  "socketTimeout",
]);

/** The form of an account as it stands in the settings, broken values included as far as a field can show them. */
export function formOf(id: string, settings: unknown): AccountForm {
  const written = isRecord(settings) ? settings : {};
  const { value } = parseAccount(id, settings);
  // Of an account that sends through an API, the form holds the mail server that it would send through.
  const server = written.transport === "gmailApi" ? parseAccount(id, { ...written, transport: "smtp" }).value : value;
  const { host, port, security } = server ?? written;
  const account = { ...(value ?? written), host, port, security };
  const at = (field: keyof typeof paths): unknown =>
    paths[field].split(".").reduce<unknown>((part, key) => (isRecord(part) ? part[key] : undefined), account);
  const text = (field: keyof typeof paths, fallback = ""): string => {
    const found = at(field);
    return typeof found === "string" || typeof found === "number" ? String(found) : fallback;
  };
  return {
    name: id,
    provider: text("provider", "custom"),
    transport: text("transport", atRest.transport),
    host: text("host"),
    port: text("port", "587"),
    security: text("security", "starttls"),
    auth: text("auth", "password"),
    user: text("user"),
    from: text("from"),
    replyTo: text("replyTo"),
    verify: at("verify") !== false,
    caFile: text("caFile"),
    servername: text("servername"),
    minVersion: text("minVersion", atRest.minVersion),
    proxy: text("proxy"),
    proxyUser: text("proxyUser"),
    delay: text("delay"),
    connections: text("connections"),
    perMinute: text("perMinute"),
    perHour: text("perHour"),
    perDay: text("perDay"),
    dnsTimeout: text("dnsTimeout", atRest.dnsTimeout),
    connectionTimeout: text("connectionTimeout", atRest.connectionTimeout),
    greetingTimeout: text("greetingTimeout", atRest.greetingTimeout),
    socketTimeout: text("socketTimeout", atRest.socketTimeout),
  };
}

/**
 * The object for the settings: what is at rest is left out, a number that is none stays text and fails the schema. So is what
 * has no meaning for this way of sending: the form keeps it for the case that one turns back.
 */
export function settingsOf(form: AccountForm): Readonly<Record<string, unknown>> {
  const settings: Record<string, unknown> = {};
  for (const field of Object.keys(paths) as (keyof typeof paths)[]) {
    if (isIdle(field, form)) continue;
    const typed = form[field];
    const value = typeof typed === "string" ? typed.trim() : typed;
    if (value === (atRest as Partial<AccountForm>)[field]) continue;
    const [group = "", key] = paths[field].split(".");
    const stored = numbers.has(field) && typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
    if (key === undefined) settings[group] = stored;
    else settings[group] = { ...(settings[group] as object | undefined), [key]: stored };
  }
  return settings;
}

/** What is shown in red although it keeps nothing from working: the password, or every mail, is at risk. */
const dangers: ReadonlySet<string> = new Set(["account.insecure", "account.unverified"]);

/** A problem in the words of the form. */
export function formProblem({ code, field, severity, message, mend }: AccountProblem): FormProblem {
  return {
    field: fieldOf(field),
    severity: dangers.has(code) ? "danger" : severity,
    message,
    ...(mend === undefined ? {} : { mend: { title: mend.title, values: formValues(mend.values) } }),
  };
}

/** New values by path in the account's object as values by field. */
export function formValues(values: Readonly<Record<string, string | number | boolean>>): Partial<AccountForm> {
  return Object.fromEntries(
    Object.entries(values).map(([path, value]) => [fieldOf(path), typeof value === "boolean" ? value : String(value)]),
  );
}

/** The field of a path in the account's object; empty when the form has none for it. */
export function fieldOf(path: string): FieldName {
  if (path === "id") return "name";
  const found = Object.entries(paths).find(([, own]) => own === path);
  return (found?.[0] as FieldName | undefined) ?? "";
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What DNS says of a sender's domain: receivers look for SPF (RFC 7208) and DMARC (RFC 7489) before they take mail. */
import { promises as dns } from "node:dns";

/** Asks for TXT records; rejects with ENOTFOUND or ENODATA where there are none. */
export interface TextResolver {
  resolveTxt(name: string): Promise<readonly (readonly string[])[]>;
}

/** The machine's own resolver, which gives up after a few seconds and never asks for names that are kept for examples. */
export function systemResolver(): TextResolver {
  const resolver = new dns.Resolver({ timeout: 3_000, tries: 1 });
  return {
    resolveTxt: (name) =>
      reserved.test(name)
        ? Promise.reject(Object.assign(new Error(`${name} is reserved`), { code: "ERESERVED" }))
        : resolver.resolveTxt(name),
  };
}

/** RFC 2606 §2 and §3, RFC 6761 §6. */
const reserved = /(?:^|\.)(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)$/i;

/** Which of both a domain has. Undefined when DNS does not answer: that says nothing about the domain. */
export async function domainHints(
  domain: string,
  resolver: TextResolver,
  signal: AbortSignal,
): Promise<{ readonly seen: string; readonly text: string } | undefined> {
  const labels = domain.split(".");
  // The policy of the organisation's domain covers its subdomains (RFC 7489 §6.6.3).
  const parents = labels.slice(0, -1).map((_label, index) => labels.slice(index).join("."));
  const asked = Promise.all([
    has(resolver, domain, /^v=spf1(?:\s|$)/i),
    Promise.all(parents.map((name) => has(resolver, `_dmarc.${name}`, /^v=DMARC1\s*(?:;|$)/i))),
  ]);
  const aborted = new Promise<undefined>((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const answers = await Promise.race([asked, aborted]);
  if (answers === undefined) return undefined;
  const [spf, policies] = answers;
  if (spf === undefined || policies.includes(undefined)) return undefined;
  const dmarc = policies.includes(true);
  const missing = [...(spf ? [] : ["SPF"]), ...(dmarc ? [] : ["DMARC"])];
  const seen = `${domain}: SPF ${spf ? "found" : "missing"}, DMARC ${dmarc ? "found" : "missing"}`;
  if (missing.length === 0) return { seen, text: "" };
  return {
    seen,
    text: `The sender's domain publishes no ${missing.join(" and no ")} record, so large providers may refuse or file away its mail. Ask whoever runs the domain to add ${missing.length === 1 ? "it" : "them"}.`,
  };
}

async function has(resolver: TextResolver, name: string, record: RegExp): Promise<boolean | undefined> {
  try {
    return (await resolver.resolveTxt(name)).some((parts) => record.test(parts.join("")));
  } catch (error) {
    return /^(?:ENOTFOUND|ENODATA)$/.test((error as NodeJS.ErrnoException).code ?? "") ? false : undefined;
  }
}

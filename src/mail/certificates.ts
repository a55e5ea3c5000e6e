/** Whom we trust to name a server: one list for every connection of every host. */
import { readFileSync } from "node:fs";
import * as tls from "node:tls";

/**
 * A TLS context that trusts node's roots, the system's where node can read them, NODE_EXTRA_CA_CERTS, and `ca` (PEM) on top.
 * Made once an account: parsing the roots takes milliseconds.
 */
export function secureContext(ca: string | undefined, minVersion: tls.SecureVersion): tls.SecureContext {
  const extra = process.env.NODE_EXTRA_CA_CERTS;
  return tls.createSecureContext({
    // Here and not at the connection: whoever brings a context along has decided.
    minVersion,
    ca: [
      ...tls.rootCertificates,
      ...systemCertificates(),
      ...(extra === undefined || extra === "" ? [] : readIfThere(extra)),
      ...(ca === undefined ? [] : [ca]),
    ],
  });
}

/** Node 22.15 and newer can read the system's store. */
function systemCertificates(): readonly string[] {
  const get = (tls as { getCACertificates?: (type: "system") => string[] }).getCACertificates;
  return get === undefined ? [] : get("system");
}

function readIfThere(file: string): readonly string[] {
  try {
    return [readFileSync(file, "utf8")];
  } catch {
    // Node itself only warns when this file is missing.
    return [];
  }
}

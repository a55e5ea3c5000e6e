/** The campaign that all senders send: Markdown with CSS, HTML and text, three placeholders, about 5 KB a message. */
import { mkdir, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { unlimited, type Pace } from "../src/mail/index";

const paragraph =
  "The garden opens its gates again, and with it the small stage under the lime trees. There will be music, soup and a long table for everybody who comes. ";

/** Nothing is waited for and nothing tried again. */
export function flatOut(connections: number): Pace {
  return {
    delay: 0,
    connections,
    maxAttempts: 1,
    retryInitialDelay: 1,
    retryMaxDelay: 1,
    ...unlimited,
    pauseAfterFailures: 1,
  };
}

/** A file that does not get shorter in any encoding. */
export function attachmentOf(octets: number): Buffer {
  return Buffer.from(Array.from({ length: octets }, (_, i) => (i * 31 + (i >> 8)) & 255));
}

/**
 * Writes the campaign and its list of `count` recipients into `folder`, with a file of `attachment` octets for everybody; returns the
 * campaign's path.
 */
export async function writeCampaign(folder: string, count: number, attachment = 0): Promise<string> {
  await mkdir(path.join(folder, ".vscode"), { recursive: true });
  const rows = Array.from(
    { length: count },
    (_, i) => `Person ${String(i)},person${String(i)}@example.com,${String(1000 + i)}`,
  );
  await writeFile(path.join(folder, "list.csv"), `name,email,invoice\n${rows.join("\n")}\n`);
  if (attachment > 0) await writeFile(path.join(folder, "terms.pdf"), attachmentOf(attachment));
  const campaign = path.join(folder, "bench.mail.md");
  await writeFile(
    campaign,
    `---
id: 5f0c2f4e-3c0e-4b0f-9d5c-0a2b7c9d1e2f
subject: "Invoice {{ invoice }} for {{ name }}"
from: Ada <ada@example.com>
recipients: list.csv
${attachment > 0 ? "attachments: [terms.pdf]\n" : ""}---
<style>h1 { color: #234; } p { line-height: 1.5; } .note { background: #eef; padding: 8px; }</style>

# Hello {{ name }}

${Array.from({ length: 8 }, () => paragraph).join("\n\n")}

<p class="note">Your invoice is number **{{ invoice }}**.</p>

* [See it](https://example.com/invoices/{{ invoice }})
* or write to us
`,
  );
  return campaign;
}

/** The campaign that all senders send: Markdown with CSS, HTML and text, three placeholders, about 5 KB a message. */
import { mkdir, writeFile } from "node:fs/promises";
import * as path from "node:path";

const paragraph =
  "The garden opens its gates again, and with it the small stage under the lime trees. There will be music, soup and a long table for everybody who comes. ";

/** Writes the campaign and its list of `count` recipients into `folder`; returns the campaign's path. */
export async function writeCampaign(folder: string, count: number): Promise<string> {
  await mkdir(path.join(folder, ".vscode"), { recursive: true });
  const rows = Array.from(
    { length: count },
    (_, i) => `Person ${String(i)},person${String(i)}@example.com,${String(1000 + i)}`,
  );
  await writeFile(path.join(folder, "list.csv"), `name,email,invoice\n${rows.join("\n")}\n`);
  const campaign = path.join(folder, "bench.mail.md");
  await writeFile(
    campaign,
    `---
id: 5f0c2f4e-3c0e-4b0f-9d5c-0a2b7c9d1e2f
subject: "Invoice {{ invoice }} for {{ name }}"
from: Ada <ada@example.com>
recipients: list.csv
---
<style>h1 { color: #234; } p { line-height: 1.5; } .note { background: #eef; padding: 8px; }</style>

# Hello {{ name }}

${Array.from({ length: 5 }, () => paragraph).join("\n\n")}

<p class="note">Your invoice is number **{{ invoice }}**.</p>

* [See it](https://example.com/invoices/{{ invoice }})
* or write to us
`,
  );
  return campaign;
}

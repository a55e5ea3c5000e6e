/** Small campaigns as text, and files of campaigns. */
import { realpathSync, statSync } from "node:fs";
import { isBelow } from "../../src/mail/files";

/** The id of every `smallCampaign`. */
export const campaignIdOfSmall = "0b0e7d3a-8f4e-4d52-9f0a-6f2f1f9e5a11";

/** A campaign with its list: `count` recipients person0… at example.com, the row's number in subject and body. */
export function smallCampaign(count: number, frontMatter = ""): Readonly<Record<string, string>> {
  const rows = Array.from(
    { length: count },
    (_, i) => `person${String(i)}@example.com,Person ${String(i)},${String(i)}`,
  );
  return {
    "hello.mail.md": `---
id: ${campaignIdOfSmall}
subject: "Number {{ number }}"
from: Ada <ada@example.com>
recipients: people.csv
to: "{{ name }} <{{ email }}>"
${frontMatter}---
Hello **{{ name }}**, this is number {{ number }}.
`,
    "people.csv": `email,name,number\n${rows.join("\n")}\n`,
  };
}

/** Settings with one account without encryption on loopback, as a file of its own. */
export function loopbackSettings(port: number, more: Readonly<Record<string, unknown>> = {}): string {
  const account = { host: "127.0.0.1", port, security: "none", auth: "none", limits: { delay: 0 }, ...more };
  return JSON.stringify({
    "bulkMail.accounts": { local: account },
    "bulkMail.retry.initialDelay": 10,
    "bulkMail.retry.maxDelay": 50,
  });
}

/** The stamp of a file as a campaign that was opened now would hold it (`stampOf`, without its wait). */
export function stampNow(root: string, file: string): string {
  try {
    const real = realpathSync(file);
    if (!isBelow(realpathSync(root), real)) return "missing";
    const { size, mtimeMs } = statSync(real);
    return `${String(size)} ${String(mtimeMs)}`;
  } catch {
    return "missing";
  }
}

/** One measured check of a long list, in a process of its own. */
import { createWriteStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { checkRows, diskFiles, prepareCampaign } from "../src/mail/index";
import type { ListCheck } from "./bigList";
import { told } from "./processes";

const campaign = `---
id: 5f0c2f4e-3c0e-4b0f-9d5c-0a2b7c9d1e2f
subject: "News for {{ name }}"
from: Ada <ada@example.com>
recipients: list.csv
to: "{{ name }} <{{ email }}>"
where: plan == "pro"
suppress: gone.csv
---
Hello {{ name }}{% if city %} in {{ city }}{% endif %}, your number is {{ number }}.
`;

/** Every hundredth address is there twice, every second row has no city, every fifth another plan. */
function row(i: number): string {
  const address = `person${String(i % 100 === 99 ? i - 1 : i)}@example.com`;
  return `Person ${String(i)},${address},${i % 5 === 0 ? "free" : "pro"},${i % 2 === 0 ? "" : "Lübeck"},${String(i)}\n`;
}

async function main(): Promise<void> {
  const { rows } = await told<{ rows: number }>();
  const folder = await mkdtemp(path.join(tmpdir(), "bulk-mail-bench-"));
  try {
    const file = path.join(folder, "big.mail.md");
    await writeFile(file, campaign);
    const gone = Array.from({ length: 1000 }, (_, i) => `person${String(i * 7)}@example.com\n`);
    await writeFile(path.join(folder, "gone.csv"), `email\n${gone.join("")}`);
    await writeList(path.join(folder, "list.csv"), 100);
    // Idle is a process that has checked a small list before.
    await check(folder, file);
    await writeList(path.join(folder, "list.csv"), rows);
    const idleRssKb = process.memoryUsage.rss() / 1024;
    const began = performance.now();
    const { counts } = await check(folder, file);
    const reply: ListCheck = {
      ms: performance.now() - began,
      mail: counts.mail,
      excluded: counts.excluded,
      idleRssKb,
      maxRssKb: process.resourceUsage().maxRSS,
    };
    process.send?.(reply);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function check(folder: string, file: string): ReturnType<typeof checkRows> {
  const { value, problems } = await prepareCampaign({
    file,
    files: await diskFiles(folder),
    csv: { delimiter: "auto", encoding: "auto" },
    sender: { from: undefined, replyTo: undefined },
  });
  if (value === undefined) throw new Error(problems[0]?.message);
  return await checkRows(value);
}

async function writeList(file: string, rows: number): Promise<void> {
  const stream = createWriteStream(file);
  stream.write("name,email,plan,city,number\n");
  for (let i = 0; i < rows; i++) if (!stream.write(row(i))) await once(stream, "drain");
  stream.end();
  await once(stream, "close");
}

void main();

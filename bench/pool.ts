/** One measured run of nodemailer's own pool: the same MIME tree, its parts ready-made before the clock starts. */
import { createTransport } from "nodemailer";

async function main(): Promise<void> {
  const [port, count, connections] = process.argv.slice(2).map(Number);
  const { html, text } = await new Promise<{ html: string; text: string }>((resolve) =>
    process.once("message", resolve),
  );
  const transport = createTransport({
    host: "127.0.0.1",
    port,
    pool: true,
    maxConnections: connections,
    maxMessages: Infinity,
    ignoreTLS: true,
  });
  const total = count ?? 0;
  const began = performance.now();
  let next = 0;
  // As many in hand as keep every connection busy: queueing all at once costs memory for nothing.
  const lane = async (): Promise<void> => {
    while (next < total) {
      const i = next++;
      await transport.sendMail({
        from: "Ada <ada@example.com>",
        to: { name: `Person ${String(i)}`, address: `person${String(i)}@example.com` },
        subject: `Invoice ${String(1000 + i)} for Person ${String(i)}`,
        html,
        text,
      });
    }
  };
  await Promise.all(Array.from({ length: (connections ?? 1) * 2 }, lane));
  const ms = performance.now() - began;
  transport.close();
  process.send?.({ ms, maxRssKb: process.resourceUsage().maxRSS });
}

void main();

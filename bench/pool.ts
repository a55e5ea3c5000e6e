/** One measured run of nodemailer's own pool with its own defaults: the same MIME tree, its parts ready-made before the clock starts. */
import { createTransport } from "nodemailer";
import { attachmentOf } from "./campaign";
import { stopwatch, told, type Order } from "./processes";

async function main(): Promise<void> {
  const { port, count, connections, attachment, parts } = await told<Order>();
  const transport = createTransport({
    host: "127.0.0.1",
    port,
    pool: true,
    maxConnections: connections,
    ignoreTLS: true,
  });
  const attachments = attachment > 0 ? [{ filename: "terms.pdf", content: attachmentOf(attachment) }] : [];
  const measure = stopwatch();
  let next = 0;
  // As many in hand as keep every connection busy: queueing all at once costs memory for nothing.
  const lane = async (): Promise<void> => {
    while (next < count) {
      const i = next++;
      await transport.sendMail({
        from: "Ada <ada@example.com>",
        to: { name: `Person ${String(i)}`, address: `person${String(i)}@example.com` },
        subject: `Invoice ${String(1000 + i)} for Person ${String(i)}`,
        html: parts.html,
        text: parts.text,
        attachments,
      });
    }
  };
  await Promise.all(Array.from({ length: connections * 2 }, lane));
  const measured = measure();
  transport.close();
  process.send?.(measured);
}

void main();

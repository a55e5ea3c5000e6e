/** A question on the terminal. */
import { createInterface } from "node:readline/promises";

/** Asks on stderr and reads one line; true for "yes" alone. */
export async function isConfirmed(question: string): Promise<boolean> {
  const readline = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await readline.question(question)).trim().toLowerCase() === "yes";
  } finally {
    readline.close();
  }
}

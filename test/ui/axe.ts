/** What axe finds wrong with a page. */
import type { AxeResults } from "axe-core";
import { source as axeSource } from "axe-core";
import type { Frame } from "playwright-core";

/** Every fault as a short line; WCAG 2 and 2.1, A and AA. */
export async function faults(frame: Frame): Promise<readonly string[]> {
  await frame.evaluate(axeSource);
  const results = await frame.evaluate<AxeResults>(
    `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], iframes: false })`,
  );
  return results.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${target.join(" ")} ${failureSummary ?? ""}`),
  );
}

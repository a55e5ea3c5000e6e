/** The same letter to the same people under another id: a lost or copied id forgets who was mailed. */
import { readdir } from "node:fs/promises";
import * as path from "node:path";
import { readHistory } from "./journal";
import { lastPlan, lastRun, type Plan, type RunState } from "./plan";
import type { Prepared } from "./preflight";
import { campaignDirectory, isCampaignId } from "./stateDirectory";

/** The share of a list's people from which on a run counts as the same one. */
const share = 0.2;
/** At most so many runs with the same subject are compared, the newest first. */
const runLimit = 20;

/**
 * The real run under another id that accepted the most of this campaign's people with the same subject template, if it was a fifth
 * of them or more. Of each other campaign the last run counts. The journals of those alone are read whose plan has this very subject. Throws
 * `JournalError`, `FileError` and the signal's reason.
 */
export async function overlappingRun(
  stateDirectory: string,
  prepared: Prepared,
  signal?: AbortSignal,
): Promise<RunState | undefined> {
  const subject = prepared.campaign.subject?.text;
  if (subject === undefined || subject.trim() === "") return undefined;
  const candidates = [];
  for (const plan of await plansWith(subject, stateDirectory, prepared.campaign.id)) {
    const accepted = new Set<string>();
    const { fates } = await readHistory(plan.directory);
    for (const [identity, { outcome }] of fates) if (outcome === "accepted") accepted.add(person(identity));
    if (accepted.size > 0) candidates.push({ plan, accepted, met: 0 });
  }
  if (candidates.length === 0) return undefined;
  let people = 0;
  for await (const entry of prepared.entries(signal)) {
    if (entry.kind !== "mail") continue;
    people++;
    const who = person(entry.identity);
    for (const one of candidates) if (one.accepted.has(who)) one.met++;
  }
  const [most] = candidates.sort((a, b) => b.met - a.met);
  if (most === undefined || most.met === 0 || most.met < people * share) return undefined;
  return await lastRun(stateDirectory, most.plan.campaignId, "real");
}

/** The last real run of each other campaign that has this subject, the newest first. */
async function plansWith(subject: string, stateDirectory: string, ownId: string | undefined): Promise<readonly Plan[]> {
  const ids = await readdir(path.join(stateDirectory, "campaigns")).catch(() => []);
  const found: Plan[] = [];
  for (const id of ids.filter((one) => isCampaignId(one) && one !== ownId)) {
    // A plan that this version cannot read says nothing about its subject.
    const plan = await lastPlan(campaignDirectory(stateDirectory, id, "real")).catch(() => undefined);
    if (plan?.subject === subject) found.push(plan);
  }
  return found.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1)).slice(0, runLimit);
}

/** The address of an identity: two invoices to one person are to one person. */
function person(identity: string): string {
  return identity.split("\t", 1)[0] ?? identity;
}

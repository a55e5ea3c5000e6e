/** Who holds a campaign's runs, for the question whether to take over. */
import { ownerIn, type Owner } from "./lock";
import type { World } from "./plan";
import { campaignDirectory } from "./stateDirectory";

/** The process that holds the runs of a campaign in a world, whether it stirs or not; undefined when nobody does. */
export async function ownerOfRuns(
  stateDirectory: string,
  campaignId: string,
  world: World,
): Promise<Pick<Owner, "pid" | "host"> | undefined> {
  const owner = await ownerIn(campaignDirectory(stateDirectory, campaignId, world));
  return owner === undefined || owner.released ? undefined : { pid: owner.pid, host: owner.host };
}

/** Connections that the server has given up since their last message: nobody's failure, and no reason to stop. */
import assert from "node:assert/strict";
import { loopbackSettings, smallCampaign } from "../fakes/campaigns";
import { Sandbox } from "../fakes/cli";
import { ScriptedSmtp } from "../fakes/scriptedSmtp";

const connections = 5;

describe("connections that died in idleness (R29, R30)", function () {
  this.timeout(60_000);

  it("one recipient that meets all of them is mailed over a new one, with the default number of attempts", async () => {
    const sandbox = await Sandbox.create();
    const used = new Set<number>();
    let letGo = (): void => {};
    const allBusy = new Promise<void>((resolve) => (letGo = resolve));
    // Every connection takes one message, all at the same time; then it hangs up as soon as it is spoken to.
    const server = await ScriptedSmtp.start(async ({ command, connection }) => {
      if (command === "MAIL" && used.has(connection)) return { end: "close" };
      if (command === "dot") {
        used.add(connection);
        if (used.size >= connections) letGo();
        await allBusy;
      }
      return undefined;
    });
    try {
      await sandbox.write({
        ...smallCampaign(connections + 1),
        "settings.json": loopbackSettings(server.port, { limits: { delay: 0, connections } }),
      });
      const { code, stdout, stderr } = await sandbox.run([
        ..."send hello.mail.md --settings settings.json --account local --yes".split(" "),
      ]);
      assert.equal(code, 0, stdout + stderr);
      assert.equal(server.accepted.length, connections + 1);
    } finally {
      letGo();
      await server.close();
      await sandbox.remove();
    }
  });
});

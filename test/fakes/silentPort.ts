/** A port that does not answer at all, as behind a firewall that drops what comes: its backlog is full and nobody accepts. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import * as path from "node:path";

const backlog = 1;

/** Starts one on 127.0.0.1; `folder` takes the script of its process. POSIX only: its process is stopped by a signal. */
export async function silentPort(folder: string): Promise<{ readonly port: number; close(): Promise<void> }> {
  const script = path.join(folder, "listen.cjs");
  writeFileSync(
    script,
    `const server = require("node:net").createServer();
server.listen({ port: 0, host: "127.0.0.1", backlog: ${String(backlog)} }, () => process.send(server.address().port));
process.on("disconnect", () => process.exit());`,
  );
  const child = fork(script, { stdio: "ignore" });
  const [port] = (await once(child, "message")) as [number];
  child.kill("SIGSTOP");
  // The kernel itself completes one handshake more than the backlog says; after those it drops every SYN.
  const fillers: Socket[] = [];
  for (let n = 0; n <= backlog; n++) {
    const filler = connect(port, "127.0.0.1").on("error", () => {});
    fillers.push(filler);
    await once(filler, "connect");
  }
  return {
    port,
    close: async () => {
      for (const filler of fillers) filler.destroy();
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

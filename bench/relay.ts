/** A process that passes TCP on with a delay, so that a loopback server is as far away as a real one. */
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { told } from "./processes";

async function main(): Promise<void> {
  const { port, delayMs } = await told<{ port: number; delayMs: number }>();
  const server = createServer((client) => {
    const target = connect({ port, host: "127.0.0.1", noDelay: true });
    client.setNoDelay(true);
    pass(client, target, delayMs);
    pass(target, client, delayMs);
  });
  server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
}

/** Half of the round trip in each direction. */
function pass(from: Socket, to: Socket, delayMs: number): void {
  from.on("data", (chunk) => setTimeout(() => to.write(chunk), delayMs));
  from.on("end", () => setTimeout(() => to.end(), delayMs));
  from.on("error", () => to.destroy());
}

process.on("disconnect", () => process.exit(0));
void main();

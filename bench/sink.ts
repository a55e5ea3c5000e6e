/** A process that takes mail as fast as it comes: the same other side for every sender. Tells its port, and when asked how many it has. */
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";

const greeting = "220 sink ESMTP\r\n";
const ehlo = "250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n";

let taken = 0;
const server = createServer((socket) => {
  let buffer = "";
  let inBody = false;
  socket.setNoDelay(true);
  socket.on("error", () => {});
  socket.write(greeting);
  socket.on("data", (chunk) => {
    buffer += chunk.toString("latin1");
    let replies = "";
    for (;;) {
      if (inBody) {
        const end = buffer.indexOf("\r\n.\r\n");
        if (end < 0) {
          // Only the last bytes can belong to an end that is still to come.
          buffer = buffer.slice(-4);
          break;
        }
        buffer = buffer.slice(end + 5);
        inBody = false;
        taken++;
        replies += "250 2.0.0 Ok\r\n";
        continue;
      }
      const end = buffer.indexOf("\r\n");
      if (end < 0) break;
      const command = buffer.slice(0, 4).toUpperCase();
      buffer = buffer.slice(end + 2);
      if (command === "EHLO") replies += ehlo;
      else if (command === "DATA") {
        replies += "354 go\r\n";
        inBody = true;
      } else if (command === "QUIT") {
        socket.end(`${replies}221 bye\r\n`);
        return;
      } else replies += "250 Ok\r\n";
    }
    if (replies !== "") socket.write(replies);
  });
});
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on("message", (question) => {
  if (question === "taken") process.send?.({ taken });
});
process.on("disconnect", () => process.exit(0));

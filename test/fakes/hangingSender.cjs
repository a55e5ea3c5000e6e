// An SMTP server that takes a body and never answers it, and beside it the program that the further arguments name:
// node hangingSender.cjs PORT PROGRAM ARGUMENT... Says "body" on stdout when the first body has come.
const { spawn } = require("node:child_process");
const { createServer } = require("node:net");

const [port, program, ...words] = process.argv.slice(2);
createServer((socket) => {
  let body = false;
  socket.on("error", () => {});
  socket.write("220 hanging\r\n");
  socket.on("data", (chunk) => {
    for (const line of chunk.toString().split("\r\n").slice(0, -1)) {
      if (body) {
        if (line === ".") process.stdout.write("body\n");
      } else {
        body = line === "DATA";
        socket.write(body ? "354 go ahead\r\n" : "250 ok\r\n");
      }
    }
  });
}).listen(Number(port), "127.0.0.1", () => {
  const child = spawn(program, words, { stdio: ["ignore", "ignore", "inherit"] });
  child.once("exit", (code) => process.exit(code ?? 1));
});

// Preloaded into a sender (node --require): it stops itself (SIGSTOP) at one point of the gate, for its nth `data` record.
// BULK_MAIL_STOP_POINT says where, BULK_MAIL_STOP_NTH (from 1) at which record.
const fs = require("node:fs");
const net = require("node:net");

const point = process.env.BULK_MAIL_STOP_POINT;
const nth = Number(process.env.BULK_MAIL_STOP_NTH);
const { writeSync, fdatasync, readdirSync } = fs;
const { write } = net.Socket.prototype;

let records = 0;
/** True from the chosen record on, until the process was stopped. */
let armed = false;
let flushed = false;
let looks = 0;

function stopAt(here) {
  if (!armed || here !== point) return;
  armed = false;
  process.kill(process.pid, "SIGSTOP");
}

fs.writeSync = (descriptor, data, ...rest) => {
  if (Buffer.from(data).includes('"t":"data"') && ++records === nth) armed = true;
  stopAt("before the record");
  const written = writeSync(descriptor, data, ...rest);
  stopAt("before the flush");
  return written;
};
fs.fdatasync = (descriptor, done) =>
  fdatasync(descriptor, (error) => {
    flushed = armed;
    stopAt("before the look");
    done(error);
  });
fs.readdirSync = (...asked) => {
  const names = readdirSync(...asked);
  // The first look is at the mailbox's lock, the second and last one at the run's.
  if (flushed && ++looks === 2) stopAt("in the look");
  return names;
};
net.Socket.prototype.write = function (...what) {
  if (flushed && this.remotePort !== undefined) stopAt("before the body");
  return write.apply(this, what);
};

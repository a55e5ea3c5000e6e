// Preloaded into a sender (node --require): the disk fails at the first journal record of one kind, and from then on.
// BULK_MAIL_DISK_RECORD: hdr, attempt, data, ok, defer, fail, unknown, start or finish (the last two are `ctl` records).
// BULK_MAIL_DISK_FAULT: ENOSPC (nothing is written), half (half the line is), EIO (the line is written, its flush fails).
const fs = require("node:fs");
const promises = require("node:fs/promises");

const record = process.env.BULK_MAIL_DISK_RECORD;
const fault = process.env.BULK_MAIL_DISK_FAULT;
const { writeSync, fdatasync, fsyncSync } = fs;
let broken = false;

const errorOf = (code, syscall) => Object.assign(new Error(`${code}: ${syscall}`), { code, syscall, errno: -1 });
const isIt = (line) =>
  line.includes(`"t":"${record}"`) || (line.includes('"t":"ctl"') && line.includes(`"what":"${record}"`));

fs.writeSync = (descriptor, data, ...rest) => {
  // One write may hold several lines.
  const lines = Buffer.from(data);
  const isLine = lines.includes(' {"t":"');
  if (isLine && isIt(lines)) broken = true;
  if (!isLine || !broken) return writeSync(descriptor, data, ...rest);
  if (fault === "ENOSPC") throw errorOf("ENOSPC", "write");
  if (fault === "half") return writeSync(descriptor, lines.subarray(0, lines.length >> 1));
  return writeSync(descriptor, data, ...rest);
};
fs.fdatasync = (descriptor, done) =>
  broken && fault === "EIO" ? setImmediate(() => done(errorOf("EIO", "fdatasync"))) : fdatasync(descriptor, done);
fs.fsyncSync = (descriptor) => {
  if (broken && fault === "EIO") throw errorOf("EIO", "fsync");
  fsyncSync(descriptor);
};
// A full disk takes no report either.
const { writeFile } = promises;
promises.writeFile = (...what) =>
  broken && fault === "ENOSPC" ? Promise.reject(errorOf("ENOSPC", "write")) : writeFile(...what);

/**
 * JavaScript that stands in for VS Code's native log writer (the module `@vscode/spdlog`) in the server from npm.
 *
 * The real one needs a compiler to install; without any, log output channels stay empty and write no file.
 * Levels and the default pattern are those of the real one.
 */
export const fileLogger = `"use strict";
const fs = require("node:fs");
const path = require("node:path");
const names = ["trace", "debug", "info", "warning", "error", "critical"];
class Logger {
  constructor(kind, name, file) {
    this.file = file;
    this.level = 2;
    this.raw = false;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.appendFileSync(file, "");
  }
  write(level, text) {
    if (level < this.level) return;
    const time = new Date(Date.now() - new Date().getTimezoneOffset() * 60000).toISOString().replace("T", " ").replace("Z", "");
    fs.appendFileSync(this.file, this.raw ? String(text) : time + " [" + names[level] + "] " + text + "\\n");
  }
  trace(text) { this.write(0, text); }
  debug(text) { this.write(1, text); }
  info(text) { this.write(2, text); }
  warn(text) { this.write(3, text); }
  error(text) { this.write(4, text); }
  critical(text) { this.write(5, text); }
  getLevel() { return this.level; }
  setLevel(level) { this.level = level; }
  setPattern() {}
  clearFormatters() { this.raw = true; }
  flush() {}
  drop() {}
}
async function create(name, file) { return new Logger("", name, file); }
exports.version = 0;
exports.setLevel = function () {};
exports.setFlushOn = function () {};
exports.Logger = Logger;
exports.createRotatingLogger = create;
exports.createAsyncRotatingLogger = create;
`;

/**
 * JavaScript that stands in for `@vscode/native-watchdog`, native for the same reason: an extension host whose server
 * was killed must end as well.
 */
export const watchdog = `"use strict";
exports.start = function (pid) {
  setInterval(() => {
    try { process.kill(pid, 0); } catch { process.exit(87); }
  }, 1000).unref();
};
exports.exit = function (code) { process.exit(code || 0); };
`;

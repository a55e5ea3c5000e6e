import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const commands = [
  "google-chrome-stable",
  "google-chrome",
  "chromium",
  "chromium-browser",
  "microsoft-edge-stable",
  "microsoft-edge",
];
const macApps = ["Google Chrome", "Chromium", "Microsoft Edge"];
const windowsPrograms = ["Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe"];

/** Every Chrome, Chromium and Edge of this machine, the best first; `CHROME_PATH` comes before all. */
export function systemBrowsers(): readonly string[] {
  const named = process.env.CHROME_PATH;
  return [...(named === undefined || named === "" ? [] : [named]), ...usualPlaces()].filter((path) => existsSync(path));
}

function usualPlaces(): readonly string[] {
  if (process.platform === "darwin") return macApps.map((app) => `/Applications/${app}.app/Contents/MacOS/${app}`);
  if (process.platform === "win32") {
    const roots = ["ProgramFiles", "ProgramFiles(x86)", "LocalAppData"].map((name) => process.env[name] ?? "");
    return roots.filter(Boolean).flatMap((root) => windowsPrograms.map((program) => join(root, program)));
  }
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  return commands.flatMap((command) => folders.map((folder) => join(folder, command)));
}

import { spawnSync } from "node:child_process";
import { createReadStream, createWriteStream } from "node:fs";
import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";
import { chromium, type Browser } from "playwright-core";
import { cached } from "./npmCache";
import { systemBrowsers } from "./systemBrowsers";

const chromiumVersion = "153.0.0";
const fontsVersion = "2.37.3";

/** Its own handlers would keep the process alive after a SIGTERM; the browser ends with us without them. */
const signals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false } as const;

/** Nothing a test does may reach another machine, not even by the browser's own services. */
const quietArgs = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-quic",
  "--no-proxy-server",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

/**
 * A headless Chromium: the system's Chrome, Chromium or Edge, else the one that npm carries (Linux on x64).
 *
 * Close it when done; it also ends with this process.
 * @throws when there is none, or it does not start.
 */
export async function launchBrowser(): Promise<Browser> {
  const failures: string[] = [];
  for (const executablePath of systemBrowsers()) {
    try {
      return await chromium.launch({ executablePath, args: [...quietArgs, ...sandboxArgs()], ...signals });
    } catch (error) {
      failures.push(`${executablePath}: ${firstLine(error)}`);
    }
  }
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(
      ["No Chrome, Chromium or Edge starts here. Install one, or set CHROME_PATH.", ...failures].join("\n"),
    );
  }
  return launchPackaged(await installChromium());
}

async function launchPackaged(folder: string): Promise<Browser> {
  // Written at every start, with whole paths: what is relative in it would be looked for in the working directory.
  await writeFile(join(folder, "fonts.conf"), fontsConf(folder));
  const executablePath = join(folder, "chromium");
  return await chromium.launch({
    ...signals,
    executablePath,
    args: [
      ...quietArgs,
      "--headless=shell",
      "--no-sandbox",
      "--use-gl=angle",
      "--use-angle=swiftshader",
      "--font-render-hinting=none",
    ],
    env: { ...process.env, ...libraryPath(executablePath, folder), FONTCONFIG_FILE: join(folder, "fonts.conf") },
  });
}

/** Chrome refuses to start its sandbox for root, the usual user in a container. */
function sandboxArgs(): readonly string[] {
  return process.getuid?.() === 0 ? ["--no-sandbox"] : [];
}

/** The package's own copy of the NSS libraries, only where the system has none: mixing them with the system's may not work. */
function libraryPath(executable: string, folder: string): { readonly LD_LIBRARY_PATH?: string } {
  if (spawnSync(executable, ["--version"], { stdio: "ignore" }).status === 0) return {};
  return { LD_LIBRARY_PATH: [join(folder, "libraries/lib"), process.env.LD_LIBRARY_PATH].filter(Boolean).join(":") };
}

/** Unpacked beside the packages, so that it lives and dies with the cache. */
function installChromium(): Promise<string> {
  return cached({
    name: `chromium-${chromiumVersion}`,
    packages: [`@sparticuz/chromium@${chromiumVersion}`, `dejavu-fonts-ttf@${fontsVersion}`],
    finish: async (folder) => {
      const archives = join(folder, "node_modules/@sparticuz/chromium/bin");
      const executable = join(folder, "chromium");
      await unbrotli(join(archives, "chromium.br"), executable);
      await chmod(executable, 0o755);
      await untar(join(archives, "swiftshader.tar.br"), folder);
      await untar(join(archives, "al2023.tar.br"), join(folder, "libraries"));
      await untar(join(archives, "fonts.tar.br"), join(folder, "fonts"));
      await rename(join(folder, "node_modules/dejavu-fonts-ttf/ttf"), join(folder, "fonts/DejaVu"));
      // Sixty-odd megabytes that nobody needs any more.
      await rm(archives, { recursive: true });
    },
  });
}

async function untar(archive: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const plain = join(folder, "plain.tar");
  await unbrotli(archive, plain);
  const tar = spawnSync("tar", ["-x", "-f", plain, "-C", folder], { encoding: "utf8" });
  if (tar.status !== 0) throw new Error(`tar could not unpack ${archive}: ${tar.error?.message ?? tar.stderr}`);
  await rm(plain);
}

function unbrotli(archive: string, file: string): Promise<void> {
  return pipeline(createReadStream(archive), createBrotliDecompress(), createWriteStream(file));
}

/** The same letters on every machine, also one without fonts; the system's own stay as a fallback for other scripts. */
const fontsConf = (folder: string): string => `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${join(folder, "fonts")}</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${join(folder, "fonts/cache")}</cachedir>
  <alias binding="strong"><family>system-ui</family><prefer><family>Open Sans</family><family>DejaVu Sans</family></prefer></alias>
  <alias binding="strong"><family>sans-serif</family><prefer><family>Open Sans</family><family>DejaVu Sans</family></prefer></alias>
  <alias binding="strong"><family>serif</family><prefer><family>DejaVu Serif</family></prefer></alias>
  <alias binding="strong"><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
`;

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "";
}

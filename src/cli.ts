/** Entry 3: the command line. Options in, exit code out; the work is in `commandLine` and the core. */
import { parseArgs } from "node:util";
import { version } from "../package.json";
import { check, preview } from "./commandLine/check";
import { openAccountContext, openContext } from "./commandLine/context";
import { doctor } from "./commandLine/doctor";
import { deleteJournal, exportJournal, importJournal } from "./commandLine/journal";
import { report } from "./commandLine/report";
import { resolve } from "./commandLine/resolve";
import { send } from "./commandLine/send";
import { describeFailure } from "./commandLine/failure";
import { exit, options, Refusal, usage, type Flags } from "./commandLine/usage";

async function main(): Promise<number> {
  const { flags, words } = readArguments();
  const [command, first, second, third] = words;
  if (flags.version === true) {
    process.stdout.write(`${version}\n`);
    return exit.ok;
  }
  if (flags.help === true || command === undefined || command === "help") {
    process.stdout.write(usage);
    return flags.help === true || command === "help" ? exit.ok : exit.usage;
  }
  switch (command) {
    case "check":
      return check(await openContext(first, flags));
    case "preview":
      return preview(await openContext(first, flags), flags);
    case "send":
      return send(await openContext(first, flags), flags);
    case "report":
      return report(await openContext(first, flags), flags);
    case "resolve":
      return resolve(await openContext(first, flags), flags, words.slice(2));
    case "doctor":
      return doctor(openAccountContext(flags, process.cwd()), flags);
    case "journal":
      if (first === "export") return exportJournal(await openContext(second, flags), flags);
      if (first === "import") return importJournal(second, third, flags);
      if (first === "delete") return deleteJournal(await openContext(second, flags), flags);
      throw new Refusal("bulk-mail journal takes export, import or delete.");
    default:
      throw new Refusal(`${command} is no command. bulk-mail --help lists them.`);
  }
}

function readArguments(): { readonly flags: Flags; readonly words: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    return { flags: values, words: positionals };
  } catch (error) {
    throw new Refusal(`${(error as Error).message} bulk-mail --help lists the options.`);
  }
}

// Whoever read our output has gone, as head(1) does: no reason to end, least of all while sending.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    const { text, code } = describeFailure(error);
    process.stderr.write(`${text}\n`);
    process.exitCode = code;
  },
);

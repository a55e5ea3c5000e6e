/** The columns of a list from its header line: unique names, and the snake_case names that templates may use instead. */
import { parseMailbox } from "./address";
import type { CsvRecord } from "./csvRecords";
import { isIdentifier } from "./columnNames";
import type { Checked, Problem } from "./problems";
import { fileStart, plainText, problemAt } from "./problems";
import type { Column } from "./recipients";

/**
 * Names the columns of a header. A name that stands twice gets a number behind it, an empty one is called `column_3`. A header
 * that holds an address is a recipient in the wrong place, which is an error: it would silently get no mail.
 */
export function columnsOf(header: CsvRecord, delimiter: string, file: string): Checked<readonly Column[]> {
  const problems: Problem[] = [];
  const ranges = header.cellRanges(delimiter);
  const written = header.cells.map((cell) => cell.trim());
  const taken = new Set(written);
  const seen = new Set<string>();
  const named = written.map((name, index) => {
    const range = ranges[index] ?? fileStart;
    const place = { file, range };
    if (parseMailbox(name).ok) problems.push(problemAt("list.noHeader", { text: name }, place));
    if (name === "") {
      const renamed = unusedName("column", index + 1, taken);
      problems.push(problemAt("list.emptyHeader", { renamed }, place, { severity: "information" }));
      return { name: renamed, range };
    }
    if (!seen.has(name)) {
      seen.add(name);
      return { name, range };
    }
    const renamed = unusedName(name, 2, taken);
    problems.push(problemAt("list.duplicateHeader", { name, renamed }, place, { severity: "warning" }));
    return { name: renamed, range };
  });
  const aliases = named.map(({ name }) => snakeCase(name));
  const value = named.map(({ name, range }, index) => {
    const alias = aliases[index];
    const shared = alias === undefined || taken.has(alias) || aliases.filter((other) => other === alias).length > 1;
    return { name, alias: shared ? undefined : alias, range };
  });
  return { value, problems };
}

/**
 * Whether the column at `index` may be called `name`, and how templates name it then. Refused is what would make another column
 * lose its name, and what no template could name.
 */
export function columnsAfterRename(
  columns: readonly Pick<Column, "name" | "alias">[],
  index: number,
  name: string,
):
  | { readonly ok: true; readonly header: string; readonly expression: string }
  | { readonly ok: false; readonly text: string } {
  const refused = (text: string): { ok: false; text: string } => ({ ok: false, text });
  if (name === "" || /[\p{Cc}"'\\[\]{}]/u.test(name))
    return refused("A column's name is one line without quotes, backslashes, brackets and braces.");
  if (parseMailbox(name).ok) return refused("An address cannot be a column's name: it would be taken for a row.");
  const alias = snakeCase(name);
  const expression = isIdentifier(name) ? name : alias;
  if (expression === undefined) return refused("A column's name needs a letter, so that placeholders can name it.");
  const clash = columns.find(
    (other, at) => at !== index && [other.name, other.alias].some((taken) => taken === name || taken === alias),
  );
  if (clash !== undefined) return refused(`The column ${plainText(clash.name, 60)} has that name already.`);
  return { ok: true, header: name, expression };
}

function unusedName(name: string, first: number, taken: Set<string>): string {
  for (let number = first; ; number++) {
    const candidate = `${name}_${number}`;
    if (taken.has(candidate)) continue;
    taken.add(candidate);
    return candidate;
  }
}

/** Words that mean something else in a template. */
const reserved: ReadonlySet<string> = new Set(
  "true false nil null empty blank and or not contains forloop tablerowloop".split(" "),
);

/** `First Name` and `firstName` as `first_name`; undefined when no letter or digit is left. */
function snakeCase(name: string): string | undefined {
  const words = name
    .normalize("NFC")
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, "$1_$2")
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, "_")
    .replace(/^_+|_+$/g, "");
  if (words === "" || reserved.has(words)) return undefined;
  return /^\p{N}/u.test(words) ? `_${words}` : words;
}

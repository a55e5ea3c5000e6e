/** How a template names the columns of a list. */
import { nearest } from "./problems";
import type { Column } from "./recipients";

/** Words that Liquid takes for itself. */
const reserved = new Set(["true", "false", "nil", "null", "empty", "blank", "and", "or", "not", "contains", "forloop"]);

/** The names of a list's columns: each under its header and, where it has one, its alias. */
export class ColumnNames {
  private readonly indexByName = new Map<string, number>();

  constructor(private readonly columns: readonly Column[]) {
    columns.forEach(({ alias }, index) => {
      if (alias !== undefined) this.indexByName.set(alias, index);
    });
    columns.forEach(({ name }, index) => this.indexByName.set(name, index));
  }

  /** The column's index. */
  find(name: string): number | undefined {
    return this.indexByName.get(name);
  }

  /** The header of a column. */
  nameOf(index: number): string {
    return this.columns[index]?.name ?? "";
  }

  /** What to write between braces for a column. */
  expression(index: number): string {
    const column = this.columns[index];
    if (column === undefined) return "";
    return isIdentifier(column.name) ? column.name : (column.alias ?? `["${column.name.replace(/"/g, '\\"')}"]`);
  }

  /** What was probably meant by `text`, as it is to be written; `others` are names that are no columns. */
  suggestion(text: string, others: Iterable<string> = []): string | undefined {
    const plain = simplify(text);
    const index = this.columns.findIndex(
      ({ name, alias }) => simplify(name) === plain || (alias !== undefined && simplify(alias) === plain),
    );
    if (index >= 0 && plain !== "") return this.expression(index);
    const found = nearest(text, [...this.indexByName.keys(), ...others]);
    const column = found === undefined ? undefined : this.indexByName.get(found);
    return column === undefined ? found : this.expression(column);
  }
}

/** Whether Liquid reads `name` as one name outside of brackets. */
export function isIdentifier(name: string): boolean {
  return /^[\p{L}_][\p{L}\p{N}_-]*$/u.test(name) && !reserved.has(name);
}

function simplify(text: string): string {
  return text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
}

/** Accounts in the levels of the settings: which one counts, and how one is written, moved and removed. */
import type { Draft } from "./accounts";
import type { AccountSettings, Level, SettingsScope } from "./config";

/** An account as it stands in the nearest level that defines it. */
export interface FoundAccount {
  readonly id: string;
  readonly level: Level;
  /** Unchecked. */
  readonly settings: unknown;
  /** Farther levels that define the same id, without effect. */
  readonly overrides: readonly Level[];
}

/** Reads and writes accounts level by level: an id at a nearer level replaces the whole object, nothing is ever merged. */
export class AccountLevels {
  constructor(private readonly settings: AccountSettings<SettingsScope>) {}

  /** The nearest entry of every id: the user's own first, then the workspace's, each in the order of its file. */
  nearest(scope: SettingsScope): readonly FoundAccount[] {
    const found = new Map<string, FoundAccount>();
    for (const { level, accounts } of this.settings.read(scope)) {
      for (const [id, settings] of Object.entries(accounts)) {
        const nearer = found.get(id);
        if (nearer === undefined) found.set(id, { id, level, settings, overrides: [] });
        else found.set(id, { ...nearer, overrides: [...nearer.overrides, level] });
      }
    }
    const all = [...found.values()];
    return [...all.filter((one) => one.level === "user"), ...all.filter((one) => one.level !== "user")];
  }

  /** The accounts of one level, unchecked. */
  at(scope: SettingsScope, level: Level): Readonly<Record<string, unknown>> {
    return this.settings.read(scope).find((one) => one.level === level)?.accounts ?? {};
  }

  /** Writes a draft. A renamed account keeps its place; one moved to a farther level leaves the nearer, which would hide it. */
  async write(scope: SettingsScope, { id, level, settings, previous }: Draft): Promise<void> {
    const here = this.at(scope, level);
    const renamed = previous !== undefined && previous.id !== id;
    if (renamed && previous.level === level) {
      const entries = Object.entries(here).map(([other, value]): [string, unknown] =>
        other === previous.id ? [id, settings] : [other, value],
      );
      await this.settings.write(scope, level, Object.fromEntries(entries));
    } else {
      await this.settings.write(scope, level, { ...here, [id]: settings });
    }
    if (previous !== undefined && isNearer(previous.level, level))
      await this.remove(scope, previous.level, previous.id);
    if (renamed && this.settings.defaultAccount(scope) === previous.id)
      await this.settings.writeDefaultAccount(scope, level, id);
  }

  /** Takes an id out of one level. */
  async remove(scope: SettingsScope, level: Level, id: string): Promise<void> {
    const rest = Object.entries(this.at(scope, level)).filter(([other]) => other !== id);
    await this.settings.write(scope, level, Object.fromEntries(rest));
  }
}

const order: readonly Level[] = ["workspaceFolder", "workspace", "user"];

function isNearer(a: Level, b: Level): boolean {
  return order.indexOf(a) < order.indexOf(b);
}

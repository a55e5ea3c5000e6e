/**
 * The allowance of a mailbox: what left through it in the last 24 hours, over all campaigns and restarts. The caller holds
 * the mailbox's lease, so there is one writer.
 */
import { createHash } from "node:crypto";
import { closeSync, fdatasync, openSync, writeSync } from "node:fs";
import { open, readFile, rename } from "node:fs/promises";
import * as path from "node:path";
import type { Account } from "./account";
import { mailboxKey } from "./address";
import { syncDirectory } from "./files";
import { JournalError } from "./journal";
import { agesOf, formatStamp, readStamps, stampOf, type Stamp } from "./ledgerFile";
import type { Pace } from "./pace";
import type { Clock } from "./ports";
import { dayMs, RollingCounts } from "./rollingCounts";
import { makePrivateDirectory } from "./stateDirectory";
import { SteadyTime } from "./steadyTime";

/** The mailbox of an account: accounts with one provider (or host) and one user share an allowance, whatever their ids. */
export function mailboxOf(account: Pick<Account, "id" | "provider" | "host" | "user">): string {
  const user = mailboxKey(account.user);
  if (user === "") return `account ${account.id}`;
  const provider = account.provider.trim().toLowerCase();
  const where = provider === "" || provider === "custom" ? account.host.trim().toLowerCase() : provider;
  return where === "" ? `account ${account.id}` : `${where} ${user}`;
}

/** The folder of a mailbox; its name tells nobody whose it is. */
export function mailboxDirectory(stateDirectory: string, mailbox: string): string {
  return path.join(stateDirectory, "mailboxes", createHash("sha256").update(mailbox).digest("hex").slice(0, 32));
}

/** What left in the last 24 hours, oldest first: when (milliseconds since the epoch, never after the look), and to how many. */
export interface Usage {
  readonly at: Float64Array;
  readonly recipients: Float64Array;
}

/** A mailbox that nothing left through. */
export const noUsage: Usage = { at: new Float64Array(0), recipients: new Float64Array(0) };

/** Looks at a mailbox's ledger without its lease and without touching it. Throws for broken I/O only. */
export async function readUsage(directory: string, clock: Clock): Promise<Usage> {
  const { messages } = await load(path.join(directory, "ledger.jsonl"), clock);
  return toUsage(
    messages.map(({ age, n }) => ({ time: -age, recipients: n })),
    clock.now(),
  );
}

/** A place in the allowance. What is neither committed nor given back counts as leaving now. */
export interface Reservation {
  /** Writes it down, before the message leaves: from then on it is never returned. Throws `JournalError` when the disk does not take it. */
  commit(): void;
  /** Nothing was handed over. Does nothing after `commit`. */
  giveBack(): void;
}

/**
 * The ledger, open for writing. All limits hold in every window, rolling and exact, by a time that no setting of the wall
 * clock moves. A kill loses nothing; a loss of power may lose the entries of the last seconds.
 */
export class QuotaLedger {
  private readonly time: SteadyTime;
  private readonly counts = new RollingCounts();
  private readonly pending = { messages: 0, recipients: 0 };
  private broken: JournalError | undefined;

  private constructor(
    private readonly descriptor: number,
    private readonly clock: Clock,
    messages: readonly Aged[],
  ) {
    this.time = new SteadyTime(clock);
    const now = this.time.now();
    for (const { age, n } of messages) this.counts.add(now - age, n);
  }

  /** Opens the ledger in `directory`, which it makes; drops what is older than 24 hours. Throws for broken I/O. */
  static async open(directory: string, clock: Clock): Promise<QuotaLedger> {
    await makePrivateDirectory(path.dirname(directory));
    await makePrivateDirectory(directory);
    const file = path.join(directory, "ledger.jsonl");
    const { now, stamps, clean, messages, old } = await load(file, clock);
    const kept = stamps.slice(old);
    // One line a boot at least: ages over several boots add up from it, and a stamp from the future cannot stay young for ever.
    const isNewBoot = kept.length > 0 && kept.at(-1)?.boot !== now.boot;
    if (!clean || old > 0 || isNewBoot) await replace(file, isNewBoot ? [...kept, now] : kept);
    return new QuotaLedger(openSync(file, "a", 0o600), clock, messages);
  }

  /** How long until one message more, to so many recipients, keeps every limit; milliseconds. 0 is now, Infinity never. */
  waitMs(limits: Pick<Pace, "perMinute" | "perHour" | "perDay">, recipients: number): number {
    const now = this.time.now();
    this.counts.dropOld(now);
    const rate = this.counts.messageFitsAt(limits.perMinute, limits.perHour, now, this.pending);
    return Math.max(rate, this.counts.recipientsFitAt(limits.perDay, recipients, now, this.pending)) - now;
  }

  /** Takes a place at once, asked or not: ask `waitMs` right before. */
  take(recipients: number): Reservation {
    let state: "held" | "committed" | "returned" = "held";
    this.pending.messages++;
    this.pending.recipients += recipients;
    const settle = (as: typeof state): void => {
      state = as;
      this.pending.messages--;
      this.pending.recipients -= recipients;
    };
    return {
      commit: () => {
        if (state === "committed") return;
        if (state === "returned") throw new Error("A reservation that was given back cannot be committed.");
        this.append(recipients);
        settle("committed");
        // It counts from now, not from when it was taken: the message leaves after this.
        this.counts.add(this.time.now(), recipients);
      },
      giveBack: () => {
        if (state === "held") settle("returned");
      },
    };
  }

  /** Recipients in the last 24 hours, with what is about to leave. */
  get usedToday(): number {
    this.counts.dropOld(this.time.now());
    return this.counts.recipients + this.pending.recipients;
  }

  /** How long until the oldest entry leaves the 24 hours, milliseconds; 0 when there is none. */
  get soonestFreeMs(): number {
    const now = this.time.now();
    this.counts.dropOld(now);
    return (this.counts.oldestLeavesAt ?? now) - now;
  }

  /** What left, for a forecast. */
  get usage(): Usage {
    const now = this.time.now();
    this.counts.dropOld(now);
    const entries = [...this.counts.entries()].map(({ time, recipients }) => ({ time: time - now, recipients }));
    return toUsage(entries, this.clock.now());
  }

  /** Flushes and closes; nothing can be committed any more. Never throws. */
  async close(): Promise<void> {
    this.broken ??= new JournalError("The mailbox's ledger is closed. Resume the run to go on.");
    await new Promise((resolve) => fdatasync(this.descriptor, resolve));
    closeSync(this.descriptor);
  }

  private append(recipients: number): void {
    if (this.broken !== undefined) throw this.broken;
    const line = formatStamp(stampOf(this.clock, recipients));
    try {
      const written = writeSync(this.descriptor, line);
      if (written !== line.length) throw new Error(`only ${String(written)} of ${String(line.length)} bytes written`);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      this.broken = new JournalError(
        `The mailbox's ledger cannot be written (${code}), so sending stopped. Free space or mend the disk, then resume.`,
      );
      throw this.broken;
    }
  }
}

/** A message and how long ago it left. */
interface Aged {
  readonly age: number;
  readonly n: number;
}

/** Reads a ledger; `old` is how many of its first stamps are 24 hours old or more, `messages` what the others say. */
async function load(
  file: string,
  clock: Clock,
): Promise<{
  readonly now: Stamp;
  readonly stamps: readonly Stamp[];
  readonly clean: boolean;
  readonly messages: readonly Aged[];
  readonly old: number;
}> {
  const bytes = await readFile(file).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  });
  const now = stampOf(clock, 0);
  const { stamps, clean } = readStamps(bytes, now);
  const ages = agesOf(stamps, now);
  const young = ages.findIndex((age) => age < dayMs);
  const old = young < 0 ? stamps.length : young;
  const messages = stamps.flatMap(({ n }, index) => (index < old || n === 0 ? [] : [{ age: ages[index] ?? 0, n }]));
  return { now, stamps, clean, messages, old };
}

/** Writes a file anew: it is the old one or the new one, whatever happens. */
async function replace(file: string, stamps: readonly Stamp[]): Promise<void> {
  const temporary = `${file}.new`;
  const handle = await open(temporary, "w", 0o600);
  try {
    await handle.writeFile(Buffer.concat(stamps.map(formatStamp)));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  await syncDirectory(path.dirname(file));
}

function toUsage(entries: readonly { readonly time: number; readonly recipients: number }[], now: number): Usage {
  return {
    at: Float64Array.from(entries, ({ time }) => now + time),
    recipients: Float64Array.from(entries, ({ recipients }) => recipients),
  };
}

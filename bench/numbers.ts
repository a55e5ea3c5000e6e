/** How measurements are summed up. */

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

/** The median of the rounds' ratios with the lowest and the highest: rounds, not totals, see the same load of the machine. */
export function ratios(ours: readonly number[], theirs: readonly number[]): string {
  const each = ours.map((value, i) => value / (theirs[i] ?? NaN));
  return `${median(each).toFixed(2)}× (${Math.min(...each).toFixed(2)}–${Math.max(...each).toFixed(2)})`;
}

/** A whole number from the environment. */
export function setting(name: string, otherwise: number): number {
  return Number(process.env[name] ?? otherwise);
}

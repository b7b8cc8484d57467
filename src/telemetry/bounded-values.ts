/** What stands for every value that came too late to have a series of its own. */
export const otherValues = '_other';

/** Distinct values of one label; whatever comes after them is counted together. */
export const valuesMax = { prompt: 1_000, model: 200, label: 100, budget: 500 };

/**
 * Keeps a label of a metric from growing without end: the first `max` distinct values stay as they are.
 * @returns the value, or `_other`
 */
export function boundValues(max: number): (value: string) => string {
  const known = new Set<string>();
  return (value) => {
    if (known.has(value)) return value;
    if (known.size >= max) return otherValues;
    known.add(value);
    return value;
  };
}

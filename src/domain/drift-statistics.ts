/**
 * The tests that drift is judged by. jstat has the functions of the distributions; the tests over two samples, which it
 * does not have, are here. All are two-sided, and all are valid where values tie, only more careful.
 */
import jstat from 'jstat';

export interface TestedDifference {
  /** 0: alike, 1: nothing in common. Of rates: the new one less the old one. */
  readonly effect: number;
  /** How likely so great a difference is when there is none. */
  readonly pValue: number;
}

/**
 * Kolmogorov and Smirnov: the greatest distance between the two distributions, whatever makes it. The probability is
 * Stephens' approximation, good from about ten values a side. Neither side may be empty.
 */
export function compareDistributions(before: readonly number[], now: readonly number[]): TestedDifference {
  const a = before.toSorted((x, y) => x - y);
  const b = now.toSorted((x, y) => x - y);
  let effect = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const value = Math.min(a[i]!, b[j]!);
    while (i < a.length && a[i]! <= value) i++;
    while (j < b.length && b[j]! <= value) j++;
    effect = Math.max(effect, Math.abs(i / a.length - j / b.length));
  }
  const root = Math.sqrt((a.length * b.length) / (a.length + b.length));
  return { effect, pValue: kolmogorovTail((root + 0.12 + 0.11 / root) * effect) };
}

/** P(K > x) of Kolmogorov's distribution. */
function kolmogorovTail(x: number): number {
  // The series says nothing below this, where the probability is 1 to fifteen digits.
  if (x < 0.2) return 1;
  let sum = 0;
  for (let k = 1; k <= 100; k++) {
    const term = Math.exp(-2 * k * k * x * x);
    sum += k % 2 === 1 ? term : -term;
    if (term < 1e-16) break;
  }
  return Math.min(1, Math.max(0, 2 * sum));
}

export interface Share {
  readonly hits: number;
  readonly count: number;
}

/** Fisher's exact test: right for rare events and small samples too. Neither side may be empty. */
export function compareRates(before: Share, now: Share): TestedDifference {
  const effect = now.hits / now.count - before.hits / before.count;
  const hits = before.hits + now.hits;
  const logOf = (k: number) => logChoose(before.count, k) + logChoose(now.count, hits - k);
  const total = logChoose(before.count + now.count, hits);
  const observed = logOf(before.hits);
  let pValue = 0;
  for (let k = Math.max(0, hits - now.count); k <= Math.min(hits, before.count); k++) {
    const log = logOf(k);
    // As likely as what was seen, or less: equal ones must not be lost to rounding.
    if (log <= observed + 1e-9) pValue += Math.exp(log - total);
  }
  return { effect, pValue: Math.min(1, pValue) };
}

function logChoose(n: number, k: number): number {
  return jstat.jStat.gammaln(n + 1) - jstat.jStat.gammaln(k + 1) - jstat.jStat.gammaln(n - k + 1);
}

export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((x, y) => x - y);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? sorted[Math.floor(middle)]!
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

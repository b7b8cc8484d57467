/**
 * What so many passes prove. The bounds are exact (Clopper and Pearson): right also where all or none passed, which is
 * where approximations promise too much. jstat inverts the beta distribution; it is one package without dependencies,
 * and agrees with stdlib's port of Boost, which brings 224, to nine digits.
 */
import jstat from 'jstat';
import { compareSigns } from './paired-test.ts';

/** Least rate that `passed` of `count` proves, one-sided: at 0.95, 20 of 20 prove 0.861. Null of nothing. */
export function lowerBound(passed: number, count: number, confidence: number): number | null {
  if (count === 0) return null;
  return passed <= 0 ? 0 : jstat.jStat.beta.inv(1 - confidence, passed, count - passed + 1);
}

/** Greatest rate that `passed` of `count` leaves possible, one-sided. Null of nothing. */
export function upperBound(passed: number, count: number, confidence: number): number | null {
  if (count === 0) return null;
  return passed >= count ? 1 : jstat.jStat.beta.inv(confidence, passed + 1, count - passed);
}

export interface PairedDifference {
  /** New rate less old rate, -1 to 1. */
  readonly difference: number;
  /** The difference is at least this, at the confidence asked for. */
  readonly lower: number;
  /** Cases that passed before and do not now, and the other way round. */
  readonly broken: number;
  readonly fixed: number;
  /** McNemar's exact test, two-sided: how likely so uneven a split is when neither version is better. */
  readonly pValue: number;
}

/**
 * Two versions on the same cases; each figure is the share of a case's answers that passed. The lower bound is what is
 * at least gained less what is at most lost, each exact and at half of the error: it promises too little rather than too
 * much. Undefined without cases.
 */
export function comparePaired(
  pairs: readonly { readonly before: number; readonly now: number }[],
  confidence: number,
): PairedDifference | undefined {
  const count = pairs.length;
  if (count === 0) return undefined;
  let lost = 0;
  let gained = 0;
  for (const { before, now } of pairs) {
    if (now < before) lost += before - now;
    else gained += now - before;
  }
  const broken = pairs.filter(({ before, now }) => before === 1 && now < 1).length;
  const fixed = pairs.filter(({ before, now }) => before < 1 && now === 1).length;
  const each = 1 - (1 - confidence) / 2;
  const lower = (lowerBound(gained, count, each) ?? 0) - (upperBound(lost, count, each) ?? 1);
  return { difference: (gained - lost) / count, lower, broken, fixed, pValue: compareSigns(fixed, broken) };
}

/** Cases that have all to pass to prove a rate: 29 for 0.9 at 0.95. */
export function casesToProve(rate: number, confidence: number): number {
  return rate >= 1 ? Number.POSITIVE_INFINITY : Math.ceil(Math.log(1 - confidence) / Math.log(rate));
}

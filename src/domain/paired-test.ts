/**
 * Whether a figure moved between two answers to the same question. Pairs are compared with themselves, so what differs
 * from input to input cancels out. jstat has the distributions.
 */
import jstat from 'jstat';

export interface PairedChange {
  readonly count: number;
  /** Mean of the differences, new less old, and between what it is at the confidence asked for; null of fewer than two. */
  readonly mean: number;
  readonly lower: number | null;
  readonly upper: number | null;
  /** Wilcoxon's signed ranks, two-sided: how likely so uneven differences are when neither side is larger. */
  readonly pValue: number;
}

/** Undefined of nothing. @param differences new less old, one for each pair */
export function compareDifferences(
  differences: readonly number[],
  confidence: number,
): PairedChange | undefined {
  const count = differences.length;
  if (count === 0) return undefined;
  const mean = differences.reduce((sum, one) => sum + one, 0) / count;
  const pValue = signedRanks(differences);
  if (count === 1) return { count, mean, lower: null, upper: null, pValue };
  const variance = differences.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (count - 1);
  const reach = jstat.jStat.studentt.inv((1 + confidence) / 2, count - 1) * Math.sqrt(variance / count);
  return { count, mean, lower: mean - reach, upper: mean + reach, pValue };
}

/** Up to here every way that the signs could have fallen is counted; beyond it the normal curve is as good. */
const exactUpTo = 25;

function signedRanks(differences: readonly number[]): number {
  const moved = differences.filter((one) => one !== 0).sort((a, b) => Math.abs(a) - Math.abs(b));
  const count = moved.length;
  if (count === 0) return 1;
  const { ranks, ties } = rank(moved.map(Math.abs));
  const up = ranks.reduce((sum, place, index) => sum + (moved[index]! > 0 ? place : 0), 0);
  const whole = (count * (count + 1)) / 2;
  const smaller = Math.min(up, whole - up);
  if (count <= exactUpTo && ties === 0) return Math.min(1, 2 * shareAtMost(smaller, count));
  const spread = Math.sqrt((count * (count + 1) * (2 * count + 1)) / 24 - ties / 48);
  // Half a rank towards the middle: ranks are whole numbers and the curve is not.
  const distance = Math.max(0, whole / 2 - smaller - 0.5) / spread;
  return Math.min(1, 2 * jstat.jStat.normal.cdf(-distance, 0, 1));
}

/** Equal sizes share the mean of their ranks; `ties` is the sum of t³ - t over them. */
function rank(sorted: readonly number[]): { ranks: number[]; ties: number } {
  const ranks: number[] = [];
  let ties = 0;
  for (let from = 0; from < sorted.length; ) {
    let to = from;
    while (to < sorted.length && sorted[to] === sorted[from]) to++;
    for (let index = from; index < to; index++) ranks.push((from + 1 + to) / 2);
    ties += (to - from) ** 3 - (to - from);
    from = to;
  }
  return { ranks, ties };
}

/** Of all 2^count ways to sign the ranks 1 to `count`, the share whose positive ones sum to at most `sum`. */
function shareAtMost(sum: number, count: number): number {
  const ways = new Array<number>((count * (count + 1)) / 2 + 1).fill(0);
  ways[0] = 1;
  for (let place = 1; place <= count; place++) {
    for (let at = ways.length - 1; at >= place; at--) ways[at]! += ways[at - place]!;
  }
  return ways.slice(0, sum + 1).reduce((total, one) => total + one, 0) / 2 ** count;
}

/** The sign test, which of pairs that pass or fail is McNemar's: of `rises + falls` changes, so many went up. 1 where nothing changed. */
export function compareSigns(rises: number, falls: number): number {
  const changed = rises + falls;
  if (changed === 0) return 1;
  return Math.min(1, 2 * jstat.jStat.binomial.cdf(Math.min(rises, falls), changed, 0.5));
}

/**
 * Holm's correction for many tests, in the order given: at most a share alpha of all runs in which nothing changed has
 * any corrected value below alpha, however the tests depend on each other.
 */
export function correctForMany(pValues: readonly number[]): number[] {
  const order = pValues.map((_, index) => index).sort((a, b) => pValues[a]! - pValues[b]!);
  const corrected = new Array<number>(pValues.length);
  let least = 0;
  order.forEach((index, place) => {
    least = Math.max(least, Math.min(1, (pValues.length - place) * pValues[index]!));
    corrected[index] = least;
  });
  return corrected;
}

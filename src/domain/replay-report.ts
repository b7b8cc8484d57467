/** How answers moved over a batch of replays: outputs, tokens, cost, latency, failures, each with how sure that is. */
import { formatMoney, parseMoney } from './money.ts';
import { compareDifferences, correctForMany, type PairedChange } from './paired-test.ts';
import { comparePaired, lowerBound, upperBound } from './pass-rate.ts';
import type { AnswerSide, ReplayPair } from './replay-pair.ts';

export const metricNames = ['length', 'prompt_tokens', 'completion_tokens', 'cost', 'latency_ms'] as const;
export type MetricName = (typeof metricNames)[number];

export interface Spread {
  readonly mean: number;
  readonly median: number;
  readonly p95: number;
}

/** One figure on both sides, of the pairs that succeeded on both and have it. */
export interface Movement extends PairedChange {
  readonly name: MetricName;
  readonly before: Spread;
  readonly after: Spread;
  /** `pValue`, corrected for all the tests of the report. */
  readonly corrected: number;
}

/** A share with its bounds at the confidence of the report. */
export interface Share {
  readonly count: number;
  readonly of: number;
  readonly lower: number;
  readonly upper: number;
}

/** A yes or no on both sides. */
export interface ShareMovement {
  readonly before: Share;
  readonly after: Share;
  /** New share less old one. */
  readonly difference: number;
  readonly lower: number;
  readonly upper: number;
  /** Pairs that were not and are now, and the other way round. */
  readonly gained: number;
  readonly lost: number;
  /** McNemar's exact test. */
  readonly pValue: number;
  readonly corrected: number;
}

export interface Tally {
  readonly value: string;
  readonly before: number;
  readonly after: number;
}

export interface ReplayFindings {
  readonly confidence: number;
  /** Pairs with an answer or a failure on both sides: what everything else counts. */
  readonly pairs: number;
  /** Answers that are the same by hash, of pairs that succeeded on both sides. */
  readonly equal: Share | null;
  /** Mean share of the text that changed. */
  readonly meanChange: number | null;
  readonly failures: ShareMovement | null;
  readonly movements: readonly Movement[];
  readonly outcomes: readonly Tally[];
  readonly finishReasons: readonly Tally[];
  readonly responseModels: readonly Tally[];
  /** Exact sums over the pairs whose cost is known on both sides; null without any. */
  readonly cost: CostMovement | null;
  /** Of pairs whose assertions say pass or fail on both sides. */
  readonly assertions: ShareMovement | null;
}

export interface CostMovement {
  readonly pairs: number;
  readonly currency: string;
  /** Decimal text. */
  readonly before: string;
  readonly after: string;
  /** May be negative. */
  readonly difference: string;
}

interface Answered extends ReplayPair {
  readonly before: AnswerSide;
  readonly after: AnswerSide;
}

export const reportConfidence = 0.95;

export function summariseReplays(all: readonly ReplayPair[]): ReplayFindings {
  const pairs = all.filter((pair): pair is Answered => pair.before !== null && pair.after !== null);
  const succeeded = pairs.filter(({ before, after }) => before.ok && after.ok);
  const movements = metricNames.flatMap((name) => moveOf(name, succeeded) ?? []);
  const failures = compareShares(pairs.map(({ before, after }) => [!before.ok, !after.ok]));
  const judged = pairs.flatMap(({ before, after }): [boolean, boolean][] =>
    before.passed === null || after.passed === null ? [] : [[before.passed, after.passed]],
  );
  const assertions = compareShares(judged);
  const tested = [...movements, ...(failures ? [failures] : []), ...(assertions ? [assertions] : [])];
  const corrected = correctForMany(tested.map(({ pValue }) => pValue));
  const correct = <T extends object>(test: T | null, at: number) =>
    test && { ...test, corrected: corrected[at] ?? 1 };
  const known = succeeded.filter(({ equal }) => equal !== null);
  const tally = (read: (side: AnswerSide) => string | null) => tallyBoth(pairs, read);
  return {
    confidence: reportConfidence,
    pairs: pairs.length,
    equal: known.length === 0 ? null : toShare(known.filter(({ equal }) => equal).length, known.length),
    meanChange: meanOf(succeeded.flatMap(({ change }) => change ?? [])),
    failures: correct(failures, movements.length),
    movements: movements.map((movement, index) => ({ ...movement, corrected: corrected[index] ?? 1 })),
    outcomes: tally(({ outcome }) => outcome),
    finishReasons: tally(({ finishReason }) => finishReason),
    responseModels: tally(({ responseModel }) => responseModel),
    cost: sumCosts(pairs),
    assertions: correct(assertions, tested.length - 1),
  };
}

/** What a plot shows of a side. */
export function readMetric(name: MetricName, side: AnswerSide): number | null {
  switch (name) {
    case 'length':
      return side.length;
    case 'prompt_tokens':
      return side.promptTokens;
    case 'completion_tokens':
      return side.completionTokens;
    case 'cost':
      return side.cost === null ? null : Number(side.cost);
    case 'latency_ms':
      return side.latencyMs;
  }
}

function moveOf(name: MetricName, pairs: readonly Answered[]): Omit<Movement, 'corrected'> | undefined {
  const values = pairs.flatMap(({ before, after }): [number, number][] => {
    const [was, is] = [readMetric(name, before), readMetric(name, after)];
    return was === null || is === null ? [] : [[was, is]];
  });
  const change = compareDifferences(
    values.map(([was, is]) => is - was),
    reportConfidence,
  );
  if (!change) return undefined;
  const spread = (side: 0 | 1) => spreadOf(values.map((value) => value[side]));
  return { name, ...change, before: spread(0), after: spread(1) };
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { mean: meanOf(sorted) ?? 0, median: at(0.5), p95: at(0.95) };
}

function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Clopper and Pearson's bounds, half of the error on each side. */
function toShare(count: number, of: number): Share {
  const each = 1 - (1 - reportConfidence) / 2;
  return { count, of, lower: lowerBound(count, of, each) ?? 0, upper: upperBound(count, of, each) ?? 1 };
}

function compareShares(
  pairs: readonly (readonly [before: boolean, after: boolean])[],
): Omit<ShareMovement, 'corrected'> | null {
  const rates = pairs.map(([before, now]) => ({ before: Number(before), now: Number(now) }));
  const each = 1 - (1 - reportConfidence) / 2;
  const paired = comparePaired(rates, each);
  const turned = comparePaired(
    rates.map(({ before, now }) => ({ before: now, now: before })),
    each,
  );
  if (!paired || !turned) return null;
  const count = (side: 0 | 1) => pairs.filter((pair) => pair[side]).length;
  return {
    before: toShare(count(0), pairs.length),
    after: toShare(count(1), pairs.length),
    difference: paired.difference,
    lower: paired.lower,
    upper: -turned.lower,
    gained: paired.fixed,
    lost: paired.broken,
    pValue: paired.pValue,
  };
}

function tallyBoth(pairs: readonly Answered[], read: (side: AnswerSide) => string | null): Tally[] {
  const counts = new Map<string, { before: number; after: number }>();
  for (const pair of pairs) {
    for (const side of ['before', 'after'] as const) {
      const value = read(pair[side]);
      if (value === null) continue;
      const count = counts.get(value) ?? { before: 0, after: 0 };
      counts.set(value, { ...count, [side]: count[side] + 1 });
    }
  }
  return [...counts]
    .map(([value, count]) => ({ value, ...count }))
    .sort((a, b) => b.before + b.after - a.before - a.after || (a.value < b.value ? -1 : 1));
}

/** Of one currency: what is billed in another one cannot be added. */
function sumCosts(pairs: readonly Answered[]): CostMovement | null {
  const currency = pairs[0]?.before.currency ?? '';
  const known = pairs.flatMap(({ before, after }) => {
    if (before.currency !== currency || after.currency !== currency) return [];
    const was = before.cost === null ? undefined : parseMoney(before.cost);
    const is = after.cost === null ? undefined : parseMoney(after.cost);
    return was === undefined || is === undefined ? [] : [{ was, is }];
  });
  if (known.length === 0) return null;
  const before = known.reduce((sum, { was }) => sum + was, 0n);
  const after = known.reduce((sum, { is }) => sum + is, 0n);
  const difference = after - before;
  return {
    pairs: known.length,
    currency,
    before: formatMoney(before),
    after: formatMoney(after),
    difference: difference < 0n ? `-${formatMoney(-difference)}` : formatMoney(difference),
  };
}

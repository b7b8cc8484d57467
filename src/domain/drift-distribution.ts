/**
 * Whether numbers and rates of two windows come from one distribution. Every measure that has enough values on both sides
 * is one test; that it is no chance is judged where all tests of a run are known.
 */
import { type DriftSample, type DriftWindows, isAnswered } from './drift-sample.ts';
import { type DriftSignal, nearest, toPercent } from './drift-signal.ts';
import { compareDistributions, compareRates, medianOf } from './drift-statistics.ts';

/** Values on each side; with fewer nothing is said. */
export const leastSamples = 30;
/** Distance of two distributions: under it a change is real at most, and no matter. */
const leastDistance = 0.2;
/** Difference of two rates. */
const leastRateChange = 0.05;

interface NumberMeasure {
  readonly name: string;
  readonly read: (sample: DriftSample) => number | null;
  readonly show: (median: number, sample: DriftSample) => string;
}

const ofAnswers =
  (read: (sample: DriftSample) => number | null) =>
  (sample: DriftSample): number | null =>
    isAnswered(sample) ? read(sample) : null;

const rounded = (value: number) => Number(value.toPrecision(3)).toString();

const numberMeasures: readonly NumberMeasure[] = [
  {
    name: 'output_length',
    read: ofAnswers(({ outputLength }) => outputLength),
    show: (median) => `${rounded(median)} characters`,
  },
  // Not what the model does but what it is asked: where this moves, the rest may follow from it.
  {
    name: 'prompt_tokens',
    read: ofAnswers(({ promptTokens }) => promptTokens),
    show: (median) => `${rounded(median)} tokens`,
  },
  {
    name: 'completion_tokens',
    read: ofAnswers(({ completionTokens }) => completionTokens),
    show: (median) => `${rounded(median)} tokens`,
  },
  {
    name: 'latency',
    read: ofAnswers(({ latencyMs }) => latencyMs),
    show: (median) => `${rounded(median)} ms`,
  },
  {
    name: 'cost',
    read: ofAnswers(({ cost }) => cost),
    show: (median, { currency }) => `${rounded(median)} ${currency}`,
  },
  // Sees a change of price that the varying length of answers hides in the cost.
  {
    name: 'cost_per_token',
    read: ofAnswers(costPerToken),
    show: (median, { currency }) => `${rounded(median * 1_000)} ${currency} for 1,000 tokens`,
  },
];

function costPerToken({ cost, promptTokens, completionTokens }: DriftSample): number | null {
  const tokens = (promptTokens ?? 0) + (completionTokens ?? 0);
  return cost === null || promptTokens === null || tokens === 0 ? null : cost / tokens;
}

export function detectShifts(windows: DriftWindows): DriftSignal[] {
  const { baseline, now } = windows;
  const answered = { baseline: baseline.filter(isAnswered), now: now.filter(isAnswered) };
  const settled = { baseline: baseline.filter(isSettled), now: now.filter(isSettled) };
  return [
    ...numberMeasures.flatMap((measure) => compareNumbers(measure, windows)),
    ...[...new Set([...answered.baseline, ...answered.now].map(({ finishReason }) => finishReason))]
      .filter((reason) => reason !== null)
      .sort()
      .flatMap((reason) =>
        compareShares(`finish_reason=${reason}`, answered, ({ finishReason }) => finishReason === reason),
      ),
    ...compareShares('refusals', answered, ({ refused }) => refused),
    ...compareShares('errors', settled, ({ status }) => status === 'failed'),
    ...compareJson(answered),
  ];
}

/** What says something about the provider: neither a caller who left nor a call whose end is not known does. */
function isSettled({ status, errorCode }: DriftSample): boolean {
  return status === 'succeeded' || (status === 'failed' && errorCode !== 'audit_unavailable');
}

function compareNumbers({ name, read, show }: NumberMeasure, { baseline, now }: DriftWindows): DriftSignal[] {
  // Prices of two currencies are no numbers of one measure.
  const { currency } = now[0]!;
  const of = (samples: readonly DriftSample[]) =>
    samples.filter((one) => read(one) !== null && one.currency === currency);
  const [before, after] = [of(baseline), of(now)];
  if (before.length < leastSamples || after.length < leastSamples) return [];
  const values = [before.map((one) => read(one)!), after.map((one) => read(one)!)] as const;
  const medians = values.map(medianOf) as [number, number];
  const { effect, pValue } = compareDistributions(...values);
  return [
    {
      ...{ detector: 'distribution', measure: name, effect, pValue, relevant: effect >= leastDistance },
      baselineCount: before.length,
      nowCount: after.length,
      before: `median ${show(medians[0], before[0]!)}`,
      after: `median ${show(medians[1], after[0]!)}`,
      evidence: { before: nearest(before, read, medians[0]), after: nearest(after, read, medians[1]) },
    },
  ];
}

function compareShares(
  measure: string,
  { baseline, now }: DriftWindows,
  hit: (sample: DriftSample) => boolean,
): DriftSignal[] {
  if (baseline.length < leastSamples || now.length < leastSamples) return [];
  const before = { hits: baseline.filter(hit).length, count: baseline.length };
  const after = { hits: now.filter(hit).length, count: now.length };
  if (before.hits + after.hits === 0) return [];
  const { effect, pValue } = compareRates(before, after);
  // Of a rate that rose a case that has it is shown, of one that fell a case that has it no more.
  const rose = effect > 0;
  return [
    {
      ...{ detector: 'distribution', measure, effect, pValue },
      relevant: Math.abs(effect) >= leastRateChange,
      baselineCount: before.count,
      nowCount: after.count,
      before: toPercent(before.hits, before.count),
      after: toPercent(after.hits, after.count),
      evidence: {
        before: baseline.findLast((one) => hit(one) !== rose)?.id ?? null,
        after: now.find((one) => hit(one) === rose)?.id ?? null,
      },
    },
  ];
}

/** Whether answers are JSON, and whether it looks as most of them do. Nothing where none is JSON. */
function compareJson(answered: DriftWindows): DriftSignal[] {
  const both = [...answered.baseline, ...answered.now];
  const shapes = Map.groupBy(
    both.filter(({ jsonShape }) => jsonShape !== null),
    ({ jsonShape }) => jsonShape,
  );
  if (shapes.size === 0) return [];
  // The commonest of both windows together: chosen from one alone, it would favour that one.
  const [[commonest] = []] = [...shapes].sort(([, a], [, b]) => b.length - a.length);
  return [
    ...compareShares('json_validity', answered, ({ jsonShape }) => jsonShape !== null),
    ...compareShares('json_shape', answered, ({ jsonShape }) => jsonShape === commonest),
  ];
}

import { describe, expect, it } from 'vitest';
import { compareDifferences, correctForMany } from '../../src/domain/paired-test.ts';
import type { AnswerSide, ReplayPair } from '../../src/domain/replay-pair.ts';
import { summariseReplays } from '../../src/domain/replay-report.ts';
import { drawSample } from '../../src/domain/replay-sample.ts';

describe('paired differences', () => {
  // Reference values: scipy.stats.wilcoxon and scipy.stats.t of the same numbers.
  it('are judged as SciPy judges them: every sign counted, or the curve with ties and half a rank', () => {
    const few = compareDifferences([1.5, -0.4, 2.2, 0.9, -1.1, 3.0, 0.7, 1.8, -0.2, 2.6], 0.95);
    expect(few?.pValue).toBeCloseTo(0.048828125, 9);
    expect([few?.mean, few?.lower, few?.upper].map((value) => value?.toFixed(6))).toEqual([
      '1.100000',
      '0.125550',
      '2.074450',
    ]);
    const many = Array.from({ length: 60 }, (_, index) => ((index * 37) % 61) - 24);
    expect(compareDifferences(many, 0.95)?.pValue).toBeCloseTo(0.016227476697, 9);
    const tied = [0, 0, 1, 1, 2, -1, 3, 3, 3, -2, 5, 0];
    expect(compareDifferences(tied, 0.95)?.pValue).toBeCloseTo(0.064176394755, 9);
  });

  it('say nothing of nothing, and nothing moved where nothing did', () => {
    expect(compareDifferences([], 0.95)).toBeUndefined();
    expect(compareDifferences([0, 0], 0.95)).toEqual({ count: 2, mean: 0, lower: 0, upper: 0, pValue: 1 });
    expect(compareDifferences([3], 0.95)).toEqual({ count: 1, mean: 3, lower: null, upper: null, pValue: 1 });
  });

  it('are corrected for their number, in the order given', () => {
    // R: p.adjust(c(0.01, 0.04, 0.03, 0.5), "holm")
    expect(correctForMany([0.01, 0.04, 0.03, 0.5]).map((p) => p.toFixed(3))).toEqual([
      '0.040',
      '0.090',
      '0.090',
      '0.500',
    ]);
  });
});

describe('a sample', () => {
  const groups = (sizes: Record<string, number>, size: number) =>
    Object.entries(sizes).flatMap(([group, count]) =>
      Array.from({ length: Math.min(count, size) }, (_, index) => ({
        id: `${group}${index}`,
        group,
        groupSize: count,
      })),
    );
  const counts = (sizes: Record<string, number>, size: number) => {
    const { ids, population } = drawSample(groups(sizes, size), size);
    const drawn = Object.keys(sizes).map((group) => ids.filter((id) => id.startsWith(group)).length);
    return [population, ...drawn];
  };

  it('has of every group its share, at least one while there is room, and all where there are fewer', () => {
    expect(counts({ a: 900, b: 90, c: 10 }, 100)).toEqual([1000, 90, 9, 1]);
    expect(counts({ a: 9_990, b: 9, c: 1 }, 100)).toEqual([10_000, 98, 1, 1]);
    expect(counts({ a: 3, b: 2 }, 100)).toEqual([5, 3, 2]);
    expect(counts({ a: 50, b: 50, c: 50 }, 2)).toEqual([150, 1, 1, 0]);
    expect(drawSample([], 10)).toEqual({ ids: [], population: 0 });
  });
});

describe('the findings of a batch', () => {
  const side = (changes: Partial<AnswerSide>): AnswerSide => ({
    executionId: 'x',
    ok: true,
    outcome: 'succeeded',
    finishReason: 'stop',
    responseModel: 'm',
    length: 10,
    promptTokens: 5,
    completionTokens: 5,
    cost: '0.1',
    currency: 'USD',
    latencyMs: 100,
    passed: null,
    ...changes,
  });
  const pair = (before: Partial<AnswerSide>, after: Partial<AnswerSide> | null): ReplayPair => ({
    executionId: 'x',
    before: side(before),
    after: after && side(after),
    reason: after ? null : 'the run ended before it',
    reproduced: true,
    equal: after ? true : null,
    change: after ? 0 : null,
  });

  it('sum costs exactly, of one currency, and leave out what has no second side', () => {
    const { cost, pairs } = summariseReplays([
      pair({ cost: '0.1' }, { cost: '0.3' }),
      pair({ cost: '0.2' }, { cost: '0.000000000001' }),
      pair({ cost: null }, { cost: '7' }),
      pair({ currency: 'EUR' }, { currency: 'EUR' }),
      pair({}, null),
    ]);
    expect(pairs).toBe(4);
    expect(cost).toEqual({
      pairs: 2,
      currency: 'USD',
      before: '0.3',
      after: '0.300000000001',
      difference: '0.000000000001',
    });
    expect(summariseReplays([pair({ cost: '0.3' }, { cost: '0.1' })]).cost?.difference).toBe('-0.2');
  });

  it('count a failure as a failure and not as a cheap and fast answer', () => {
    const failed = { ok: false, outcome: 'provider_rejected', latencyMs: 1, completionTokens: null };
    const found = summariseReplays([pair({}, failed), pair({}, {}), pair({}, {})]);
    expect(found.failures).toMatchObject({
      before: { count: 0 },
      after: { count: 1, of: 3 },
      gained: 1,
      lost: 0,
    });
    const latency = found.movements.find(({ name }) => name === 'latency_ms');
    expect(latency).toMatchObject({ count: 2, mean: 0 });
    expect(summariseReplays([])).toMatchObject({ pairs: 0, equal: null, failures: null, movements: [] });
  });
});

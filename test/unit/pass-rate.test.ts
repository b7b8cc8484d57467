import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { casesToProve, comparePaired, lowerBound, upperBound } from '../../src/domain/pass-rate.ts';

describe('what passes prove', () => {
  it('20 of 20 prove 86.1 % at 95 %, and no more', () => {
    expect(lowerBound(20, 20, 0.95)).toBeCloseTo(0.05 ** (1 / 20), 12);
    expect(lowerBound(20, 20, 0.95)).toBeCloseTo(0.8609, 4);
  });

  // R: binom.test(x, n, alternative = "greater" | "less", conf.level = 0.95)$conf.int
  it.each([
    [0, 10, 0, 0.2588656],
    [1, 10, 0.0051162, 0.3941633],
    [9, 10, 0.6058367, 0.9948838],
    [450, 500, 0.8750284, 0.9213434],
  ])('%i of %i is between %f and %f', (passed, count, lower, upper) => {
    expect(lowerBound(passed, count, 0.95)).toBeCloseTo(lower, 3);
    expect(upperBound(passed, count, 0.95)).toBeCloseTo(upper, 3);
  });

  it('nothing proves nothing', () => {
    expect([lowerBound(0, 0, 0.95), upperBound(0, 0, 0.95)]).toEqual([null, null]);
    expect(comparePaired([], 0.95)).toBeUndefined();
  });

  it('keeps its promise: a version that is worse than the bound passes so often in at most 5 % of runs', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 60 }), (count, given) => {
        const passed = Math.min(given, count);
        const rate = lowerBound(passed, count, 0.95)!;
        expect(atLeast(passed, count, rate)).toBeLessThanOrEqual(0.05 + 1e-6);
      }),
    );
  });

  it('says how many cases a rate takes', () => {
    expect(casesToProve(0.9, 0.95)).toBe(29);
    expect(lowerBound(29, 29, 0.95)).toBeGreaterThan(0.9);
    expect(lowerBound(28, 28, 0.95)).toBeLessThan(0.9);
  });
});

/** P(X >= k) of n trials, summed. */
function atLeast(k: number, n: number, rate: number): number {
  if (k === 0) return 0;
  let sum = 0;
  let term = (1 - rate) ** n;
  for (let i = 0; i < k; i++) {
    sum += term;
    term *= ((n - i) / (i + 1)) * (rate / (1 - rate));
  }
  return 1 - sum;
}

describe('two versions on the same cases', () => {
  const pair = (before: number, now: number, times: number) =>
    Array.from({ length: times }, () => ({ before, now }));

  it('counts what broke and what was fixed, by case', () => {
    const pairs = [...pair(1, 1, 15), ...pair(1, 0, 1), ...pair(0, 1, 3), ...pair(0.5, 0, 1)];
    const compared = comparePaired(pairs, 0.95)!;
    expect(compared).toMatchObject({ broken: 1, fixed: 3 });
    expect(compared.difference).toBeCloseTo((3 - 1 - 0.5) / 20, 12);
    expect(compared.pValue).toBeCloseTo(0.625, 12);
    expect(compared.lower).toBeLessThan(compared.difference);
  });

  it('does not take the absence of a difference for proof that there is none', () => {
    expect(comparePaired(pair(1, 1, 5), 0.95)!.lower).toBeCloseTo(-upperBound(0, 5, 0.975)!, 12);
    expect(comparePaired(pair(1, 1, 500), 0.95)!.lower).toBeGreaterThan(-0.01);
  });
});

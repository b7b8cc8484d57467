import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareCostAmounts } from '../../src/domain/cost-comparison.ts';
import type { CostAmount } from '../../src/domain/cost-line.ts';

/** The sums that the rollups would hold of these calls. */
function amountOf(calls: readonly (readonly [cost: number, promptTokens: number])[]): CostAmount {
  const sum = (of: (cost: number, tokens: number) => number) =>
    calls.reduce((total, [cost, tokens]) => total + of(cost, tokens), 0);
  return {
    currency: 'USD',
    cost: String(sum((cost) => cost)),
    laterCost: '0',
    priced: calls.length,
    promptTokens: sum((_, tokens) => tokens),
    costSquares: String(sum((cost) => cost * cost)),
    costPromptTokens: String(sum((cost, tokens) => cost * tokens)),
    promptTokensSquares: String(sum((_, tokens) => tokens * tokens)),
  };
}

/** Small and seeded, so that a failure comes again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

/** Calls that cost `rate` for a token of prompt, give or take a fifth, and something for the answer. */
function calls(count: number, rate: number, meanTokens: number, seed: number) {
  const next = random(seed);
  return Array.from({ length: count }, () => {
    const tokens = Math.round(meanTokens * (0.5 + next()));
    return [tokens * rate * (0.8 + 0.4 * next()), tokens] as const;
  });
}

describe('comparing the cost of versions', () => {
  it('takes the volume of the input out', () => {
    // Twice the input at the same price: a run costs twice as much, a token does not.
    const { perExecution, perThousandPromptTokens } = compareCostAmounts(
      amountOf(calls(2_000, 1e-6, 500, 1)),
      amountOf(calls(2_000, 1e-6, 1_000, 2)),
      0.95,
    );
    expect(perExecution!.change).toBeCloseTo(1, 1);
    expect(perExecution!.lower).toBeGreaterThan(0.8);
    expect(Math.abs(perThousandPromptTokens!.change)).toBeLessThan(0.02);
    expect(perThousandPromptTokens!.lower).toBeLessThan(0);
    expect(perThousandPromptTokens!.upper).toBeGreaterThan(0);
  });

  it('says by how much, and how sure it is', () => {
    const { perThousandPromptTokens: change } = compareCostAmounts(
      amountOf(calls(500, 1e-6, 700, 3)),
      amountOf(calls(500, 1.4e-6, 900, 4)),
      0.95,
    );
    expect(change!.change).toBeCloseTo(0.4, 1);
    expect(change!.lower).toBeGreaterThan(0.35);
    expect(change!.upper).toBeLessThan(0.45);
    expect(change!.pValue).toBeLessThan(1e-6);
  });

  it('holds what it promises: of 400 comparisons of versions 40 % apart, about 95 % have it within their bounds', () => {
    let held = 0;
    for (let run = 0; run < 400; run++) {
      const { perThousandPromptTokens: change } = compareCostAmounts(
        amountOf(calls(30, 1e-6, 700, 2 * run + 1_000)),
        amountOf(calls(40, 1.4e-6, 900, 2 * run + 1_001)),
        0.95,
      );
      if (change!.lower! < 0.4 && change!.upper! > 0.4) held++;
    }
    expect(held).toBeGreaterThan(365);
    expect(held).toBeLessThan(395);
  });

  it('promises nothing of too few calls, and nothing of none', () => {
    const one = amountOf([[0.001, 100]]);
    const many = amountOf(calls(50, 1e-6, 100, 5));
    expect(compareCostAmounts(one, many, 0.95).perExecution).toMatchObject({
      lower: null,
      upper: null,
      pValue: null,
    });
    expect(compareCostAmounts(undefined, many, 0.95)).toMatchObject({
      perExecution: null,
      perThousandPromptTokens: null,
      from: { executions: 0, perExecution: null },
    });
  });

  it('changes sign and never its size when the sides change places', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 200 }),
        fc.integer({ min: 2, max: 200 }),
        fc.nat(1000),
        (a, b, seed) => {
          const [left, right] = [
            amountOf(calls(a, 1e-6, 300, seed)),
            amountOf(calls(b, 2e-6, 900, seed + 1)),
          ];
          const there = compareCostAmounts(left, right, 0.9).perThousandPromptTokens!;
          const back = compareCostAmounts(right, left, 0.9).perThousandPromptTokens!;
          expect((1 + there.change) * (1 + back.change)).toBeCloseTo(1, 9);
          expect((1 + there.lower!) * (1 + back.upper!)).toBeCloseTo(1, 9);
          expect(there.pValue).toBeCloseTo(back.pValue!, 9);
        },
      ),
    );
  });
});

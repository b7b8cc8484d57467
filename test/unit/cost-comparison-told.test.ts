import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type ComparisonView, renderComparison } from '../../src/cli/cost-comparison.ts';
import { compareCostAmounts } from '../../src/domain/cost-comparison.ts';
import type { CostAmount } from '../../src/domain/cost-line.ts';
import { toComparisonView } from '../../src/http/cost-view.ts';

/** Twenty runs that differ a little. */
function amountOf(meanCost: number, meanTokens: number): CostAmount {
  const runs = Array.from({ length: 20 }, (_, i) => {
    const share = 0.9 + i / 95;
    return [meanCost * share, Math.round(meanTokens * share)] as const;
  });
  const sum = (of: (cost: number, tokens: number) => number) =>
    runs.reduce((total, [cost, tokens]) => total + of(cost, tokens), 0);
  return {
    currency: 'USD',
    cost: String(sum((cost) => cost)),
    laterCost: '0',
    priced: runs.length,
    promptTokens: sum((_, tokens) => tokens),
    costSquares: String(sum((cost) => cost * cost)),
    costPromptTokens: String(sum((cost, tokens) => cost * tokens)),
    promptTokensSquares: String(sum((_, tokens) => tokens * tokens)),
  };
}

function told(from: CostAmount, to: CostAmount): string[] {
  const data = toComparisonView([{ currency: 'USD', ...compareCostAmounts(from, to, 0.95) }]);
  const view: ComparisonView = { prompt: 'digest', from: 2, to: 3, confidence: 0.95, data };
  return stripVTControlCharacters(renderComparison(view, data[0]!)).split('\n').slice(4);
}

describe('two versions side by side', () => {
  it('say what is paid first, and that a template which grew is cheaper by the token alone', () => {
    // The answer costs most of it, so ten times the tokens are three times the price.
    const [headline, byTokens, note] = told(amountOf(0.0002, 150), amountOf(0.0006, 1_050));
    expect(headline).toMatch(/^A run of version 3 costs 200\.0 % more \(95 % sure: \+\d/);
    expect(byTokens).toMatch(
      /^For each 1,000 prompt tokens, those of its template included, it costs 57\.\d % less \(95 % sure: −/,
    );
    expect(note).toContain('differ by the tokens in a run');
  });

  it('say nothing more where both go the same way', () => {
    expect(told(amountOf(0.0002, 150), amountOf(0.0006, 160))).toHaveLength(2);
  });
});

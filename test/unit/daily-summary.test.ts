import { describe, expect, it } from 'vitest';
import type { CostLine } from '../../src/domain/cost-line.ts';
import { toDailySummary } from '../../src/domain/daily-summary.ts';

/** What ran of a version on a day. */
function line(day: string, version: number, costs: Readonly<Record<string, string>>): CostLine {
  const none = { label: null, model: null, key: null, purpose: null, status: null };
  const products = { costSquares: '0', costPromptTokens: '0', promptTokensSquares: '0' };
  return {
    group: { day, prompt: 'digest', version, ...none },
    ...{ executions: 4, succeeded: 4, promptTokens: 40, completionTokens: 4, cachedTokens: 0 },
    ...{ cacheWriteTokens: 0, reasoningTokens: 0, attempts: 4, unknownCosts: 0, laterCosts: 0 },
    ...{ meanLatencyMs: null, p50Ms: null, p95Ms: null, p99Ms: null },
    costs: Object.entries(costs).map(([currency, cost]) => {
      return { currency, cost, laterCost: '0', priced: 4, promptTokens: 40, ...products };
    }),
  };
}

const summaryOf = (lines: readonly CostLine[]) =>
  toDailySummary('2026-11-20', lines, [], { budgets: [], pending: 0 });

describe('the summary of a day', () => {
  it('says that traffic stopped: of a version, of a currency, of everything', () => {
    const { total, lines } = summaryOf([
      line('2026-11-19', 1, { USD: '0.5' }),
      line('2026-11-19', 2, { EUR: '0.1', USD: '0.1' }),
      line('2026-11-20', 2, { USD: '0.2' }),
    ]);
    expect(total).toMatchObject({
      executions: 4,
      costs: [
        { currency: 'EUR', cost: '0', dayBefore: '0.1', change: -1 },
        { currency: 'USD', cost: '0.2', dayBefore: '0.6' },
      ],
    });
    expect(lines).toMatchObject([
      { version: 1, executions: 0, costs: [{ currency: 'USD', cost: '0', dayBefore: '0.5', change: -1 }] },
      {
        version: 2,
        executions: 4,
        costs: [
          { cost: '0', change: -1 },
          { cost: '0.2', change: 1 },
        ],
      },
    ]);
    const silent = summaryOf([line('2026-11-19', 1, { USD: '0.5' })]);
    expect(silent.total).toMatchObject({ executions: 0, costs: [{ cost: '0', change: -1, weekChange: -1 }] });
  });

  it('is silent about what had stopped before', () => {
    expect(summaryOf([line('2026-11-18', 1, { USD: '0.5' })])).toMatchObject({
      lines: [],
      total: { executions: 0, costs: [] },
    });
  });
});

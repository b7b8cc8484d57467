import { describe, expect, it } from 'vitest';
import { readCoverage } from '../../src/application/read-coverage.ts';
import { type TrafficCount, toCoverage } from '../../src/domain/coverage.ts';

const count = (changes: Partial<TrafficCount>): TrafficCount => ({
  ...{ keyId: 'a', actor: 'key:a', purpose: 'call', currency: 'USD' },
  ...{ calls: 1, unknownCosts: 0, cost: '0', refused: 0, simulated: 0 },
  ...changes,
});

describe('coverage', () => {
  it('adds by key and in all, each currency by itself and without rounding', () => {
    const { total, keys } = toCoverage([
      count({ calls: 3, unknownCosts: 1, cost: '0.1' }),
      count({ currency: 'EUR', cost: '0.000000000001' }),
      count({ keyId: 'b', actor: 'key:b', calls: 2, cost: '0.2' }),
      count({ keyId: 'b', actor: 'key:b', purpose: 'raw', calls: 4, cost: '0.1', refused: 5 }),
    ]);
    expect(total).toEqual({
      governed: { calls: 6, costs: { USD: '0.3', EUR: '0.000000000001' }, unknownCosts: 1 },
      raw: { calls: 4, costs: { USD: '0.1' }, unknownCosts: 0 },
      ...{ rawRefused: 5, simulated: 0, callShare: 0.6 },
      costShares: { EUR: 1, USD: expect.closeTo(0.75) },
    });
    expect(keys.map(({ actor, callShare }) => [actor, callShare])).toEqual([
      ['key:b', 2 / 6],
      ['key:a', 1],
    ]);
  });

  it('takes an unknown cost for nothing nowhere', () => {
    const { total } = toCoverage([
      count({ calls: 2, unknownCosts: 2 }),
      count({ purpose: 'raw', cost: '1' }),
    ]);
    expect(total.governed).toEqual({ calls: 2, costs: {}, unknownCosts: 2 });
    expect(total.costShares).toEqual({ USD: 0 });
  });

  it('has no share of nothing, and keeps what was simulated or refused out of it', () => {
    const { total } = toCoverage([
      count({ calls: 0, simulated: 3 }),
      count({ calls: 0, purpose: 'raw', refused: 2 }),
    ]);
    expect(total).toMatchObject({ callShare: null, costShares: {}, simulated: 3, rawRefused: 2 });
  });

  it('looks at a bounded time, and without admin at the own key', async () => {
    const asked: unknown[] = [];
    const audit = {
      async countTraffic(filter: unknown) {
        asked.push(filter);
        return [];
      },
    };
    const actor = { name: 'key:a', keyId: 'a', scopes: ['execute'] as const };
    const until = new Date('2026-11-21T00:00:00Z');
    await readCoverage(audit, actor, { until });
    expect(asked).toEqual([{ since: new Date('2026-11-14T00:00:00Z'), until, keyId: 'a' }]);
    for (const since of ['2026-08-01T00:00:00Z', '2026-11-21T00:00:00Z']) {
      const refused = readCoverage(audit, actor, { since: new Date(since), until });
      await expect(refused).rejects.toMatchObject({ code: 'invalid_request' });
    }
  });
});

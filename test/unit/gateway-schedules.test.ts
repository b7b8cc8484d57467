import { describe, expect, it } from 'vitest';
import { gatewaySchedules } from '../../src/application/gateway-schedules.ts';
import { tellUntaken } from '../../src/application/tell-untaken.ts';

describe('a run by the clock', () => {
  it('first tells again what nobody is known to have taken, of drift and of probes', async () => {
    const told: unknown[] = [];
    const untaken = (what: string) => ({ listUntaken: async (afterMs: number) => [`${what} ${afterMs}`] });
    const deps = { drift: untaken('drift'), probes: untaken('probe') };
    const news = { drift: (one: unknown) => told.push(one), probe: (one: unknown) => told.push(one) };
    const gateway = {
      tellUntaken: () => tellUntaken({ ...deps, news } as never),
      detectDueDrift: async () => void told.push('looked'),
      runProbe: async () => void told.push('asked'),
    };
    const job = { key: 'greet/default', dueAt: new Date(0) };
    const schedules = gatewaySchedules(gateway as never, { drift: '30 6 * * *', costs: 'off' });
    for (const { name, run } of schedules) if (name !== 'costs') await run(job);
    const again = ['drift 7200000', 'probe 7200000'];
    expect(told).toEqual([...again, 'looked', ...again, 'asked']);
    // Nobody wants to be told: nothing is read.
    await tellUntaken({ drift: null, probes: null } as never);
  });
});

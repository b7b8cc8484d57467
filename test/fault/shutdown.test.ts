/** SIGTERM with calls in flight. */
import { afterEach, describe, expect, it } from 'vitest';
import { countStatuses, type Rig, startRig } from '../support/fault-rig.ts';
import { isLong, report } from '../support/fault-run.ts';
import type { Call } from '../support/gateway-process.ts';

let rig: Rig;
afterEach(() => rig?.close());

const inFlight = 100;
const timeout = 90_000;

async function startCalls(): Promise<Promise<Call>[]> {
  await rig.gateway.start();
  await rig.provider.behave({ holdAt: 'answer' });
  const calls = Array.from({ length: inFlight }, (_, number) => rig.gateway.call(`call-term-${number}`));
  await expect.poll(() => rig.provider.held, { timeout: 20_000 }).toBe(inFlight);
  return calls;
}

const kinds = isLong ? (['PostgreSQL', 'PGlite'] as const) : (['PostgreSQL'] as const);

describe.each(kinds)('SIGTERM with 100 calls in flight, on %s', (kind) => {
  it('lets them finish, loses none and exits with 0', { timeout }, async () => {
    rig = await startRig(kind);
    const calls = await startCalls();
    rig.gateway.signal('SIGTERM');
    await rig.provider.release();
    const answers = await Promise.all(calls);
    expect(await rig.gateway.exited()).toBe(0);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(inFlight);
    expect(countStatuses(await rig.expectNothingWrong(answers))).toEqual({ succeeded: inFlight });
  });

  it('and a second one ends sooner, and every call still has its one outcome', { timeout }, async () => {
    rig = await startRig(kind);
    const calls = await startCalls();
    const from = performance.now();
    rig.gateway.signal('SIGTERM');
    await expect
      .poll(async () => (await rig.gateway.get('/readyz').catch(() => null))?.status ?? 503)
      .toBe(503);
    rig.gateway.signal('SIGTERM');
    const code = await rig.gateway.exited();
    const ms = performance.now() - from;
    const answers = await Promise.all(calls);
    const trail = await rig.expectNothingWrong(answers);
    report(`two SIGTERMs on ${kind}`, { code, ms: Math.round(ms), ...countStatuses(trail) });
    expect(countStatuses(trail)).toEqual({ cancelled: inFlight });
    // It tells of outcomes that were left to recovery, and none was.
    expect(code).toBe(0);
    expect(ms).toBeLessThan(15_000);
  });
});

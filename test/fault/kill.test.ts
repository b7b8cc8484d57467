/** SIGKILL of a real gateway, wherever it is: what the provider received is on record, and what was answered stays. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countStatuses, type Rig, startRig } from '../support/fault-rig.ts';
import { randomBetween, report, scaled } from '../support/fault-run.ts';
import { type Call, runLoad } from '../support/gateway-process.ts';

const timeout = scaled(60_000, 3_600_000);

describe.each(['PostgreSQL', 'PGlite'] as const)('a gateway on %s that is killed', (kind) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig(kind);
    await rig.gateway.start();
  });
  afterAll(() => rig.close());

  it('at random points under load, and while calls are in flight, loses and doubles nothing', {
    timeout,
  }, async () => {
    const kills = scaled(kind === 'PostgreSQL' ? 4 : 1, 200);
    let killed = 0;
    await rig.provider.behave({ delayMs: 10 });
    const load = runLoad(rig.gateway, { concurrency: 8, prefix: 'kill', until: () => killed === kills });
    while (killed < kills) {
      // The instant is the point: somewhere between two bytes of some call.
      await delay(randomBetween(0, 600));
      await rig.gateway.kill();
      await rig.restart();
      killed += 1;
    }
    const calls = await load;
    const held: Promise<Call>[] = [];
    for (const holdAt of ['request', 'answer'] as const) {
      await rig.provider.behave({ holdAt });
      held.push(rig.gateway.call(`call-held-at-${holdAt}`));
      await expect.poll(() => rig.provider.held, { timeout: 10_000 }).toBe(1);
      await rig.gateway.kill();
      await rig.provider.release();
      await rig.restart();
    }
    const trail = await rig.expectNothingWrong([...calls, ...(await Promise.all(held))]);
    report(`SIGKILL on ${kind}`, { kills, calls: calls.length, ...countStatuses(trail) });
    // Nobody knows whether the provider did the work, and nobody sends it again.
    expect(countStatuses(trail, 'held-at')).toEqual({ unknown: 2 });
    expect(rig.provider.ledger().filter(({ token }) => token.includes('held-at'))).toHaveLength(2);
  });
});

describe('a gateway on PostgreSQL that is killed', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig('PostgreSQL');
    await rig.gateway.start();
  });
  afterAll(() => rig.close());

  async function killAndRestart(): Promise<void> {
    await rig.gateway.kill();
    rig.proxy.thaw();
    await rig.restart();
  }

  it('before its intent is committed has called no provider', async () => {
    rig.proxy.freeze();
    const call = rig.gateway.call('call-before-intent');
    await delay(200);
    await killAndRestart();
    const trail = await rig.expectNothingWrong([await call]);
    expect(rig.provider.ledger()).toEqual([]);
    expect(trail.executions.filter(({ status }) => status !== 'unknown')).toEqual([]);
  });

  it('when its intent is committed and it has not heard so has called no provider, and says unknown', async () => {
    const committed = rig.proxy.freezeAtCommit();
    const call = rig.gateway.call('call-after-intent');
    await committed;
    await killAndRestart();
    const trail = await rig.expectNothingWrong([await call]);
    expect(rig.provider.ledger()).toEqual([]);
    expect(countStatuses(trail, 'after-intent')).toEqual({ unknown: 1 });
  });

  it('before its outcome is committed leaves an unknown outcome', async () => {
    await rig.provider.behave({ holdAt: 'answer' });
    const call = rig.gateway.call('call-before-outcome');
    await expect.poll(() => rig.provider.held, { timeout: 10_000 }).toBe(1);
    rig.proxy.freeze();
    await rig.provider.release();
    await delay(200);
    await killAndRestart();
    const trail = await rig.expectNothingWrong([await call]);
    expect(countStatuses(trail, 'before-outcome')).toEqual({ unknown: 1 });
  });

  it('when its outcome is committed and nobody has heard keeps that outcome', async () => {
    await rig.provider.behave({ holdAt: 'answer' });
    const call = rig.gateway.call('call-after-outcome');
    await expect.poll(() => rig.provider.held, { timeout: 10_000 }).toBe(1);
    const committed = rig.proxy.freezeAtCommit();
    await rig.provider.release();
    await committed;
    await killAndRestart();
    const trail = await rig.expectNothingWrong([await call]);
    expect(countStatuses(trail, 'after-outcome')).toEqual({ succeeded: 1 });
  });
});

/** A connection that ends while a commit is on its way: whether it was made is in doubt, and must not matter. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { countStatuses, type Rig, startRig } from '../support/fault-rig.ts';
import { randomBetween, report, scaled } from '../support/fault-run.ts';
import { runLoad } from '../support/gateway-process.ts';

let rig: Rig;
afterEach(() => rig?.close());

const times = scaled(12, 200);
const timeout = scaled(60_000, 900_000);

describe('a gateway whose connection to PostgreSQL is cut', () => {
  it('after COMMIT was sent loses nothing, doubles nothing and pays for nothing twice', {
    timeout,
  }, async () => {
    rig = await startRig('PostgreSQL');
    await rig.gateway.start();
    rig.proxy.cutAtCommit({
      when: () => (['sent', 'committed', 'spare'] as const)[randomBetween(0, 2)] ?? 'spare',
      times,
    });
    const done = () => rig.proxy.cuts >= times;
    const calls = await runLoad(rig.gateway, { concurrency: 8, prefix: 'commit', until: done });
    const trail = await rig.expectNothingWrong(calls);
    report('cut at COMMIT', { cuts: rig.proxy.cuts, calls: calls.length, ...countStatuses(trail) });
    expect(calls.every(({ status }) => status === 200 || status === 503)).toBe(true);
  });

  it('after any number of bytes loses nothing, doubles nothing and pays for nothing twice', {
    timeout,
  }, async () => {
    rig = await startRig('PostgreSQL');
    await rig.gateway.start();
    let armed = 0;
    const arm = () => {
      if (rig.proxy.cuts < armed) return false;
      rig.proxy.cutAfter(randomBetween(1, 20_000));
      armed += 1;
      return armed > times;
    };
    const calls = await runLoad(rig.gateway, { concurrency: 8, prefix: 'bytes', until: arm });
    rig.proxy.cutAfter(Number.POSITIVE_INFINITY);
    const trail = await rig.expectNothingWrong(calls);
    report('cut after N bytes', { cuts: rig.proxy.cuts, calls: calls.length, ...countStatuses(trail) });
  });

  it('all at once, again and again, on a slow line, loses nothing and doubles nothing', {
    timeout,
  }, async () => {
    rig = await startRig('PostgreSQL');
    await rig.gateway.start();
    rig.proxy.setLatency(10);
    const resets = scaled(5, 50);
    let done = false;
    const load = runLoad(rig.gateway, { concurrency: 8, prefix: 'reset', until: () => done });
    for (let reset = 0; reset < resets; reset++) {
      await delay(randomBetween(50, 400));
      rig.proxy.reset();
    }
    done = true;
    const calls = await load;
    const trail = await rig.expectNothingWrong(calls);
    report('reset of every connection', { resets, calls: calls.length, ...countStatuses(trail) });
  });
});

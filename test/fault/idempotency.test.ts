/** One Idempotency-Key, many requests: one of them is executed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Rig, startRig } from '../support/fault-rig.ts';
import { type Call, runLoad } from '../support/gateway-process.ts';

describe.each(['PostgreSQL', 'PGlite'] as const)('an Idempotency-Key on %s', (kind) => {
  let rig: Rig;
  const calls: Call[] = [];
  beforeAll(async () => {
    rig = await startRig(kind);
    await rig.gateway.start();
  });
  afterAll(() => rig.close());

  const sent = (token: string) => rig.provider.ledger().filter((entry) => entry.token === token).length;

  it('sent 100 times at once calls the provider once', async () => {
    const options = { headers: { 'idempotency-key': 'order-1' } };
    await rig.provider.behave({ delayMs: 300 });
    const burst = Array.from({ length: 100 }, () => rig.gateway.call('call-once', options));
    calls.push(...(await Promise.all(burst)));
    const again = await rig.gateway.call('call-once', options);
    expect(again).toMatchObject({ status: 200 });
    expect(sent('call-once')).toBe(1);
    expect(calls.some(({ status }) => status === 200)).toBe(true);
    for (const call of calls) {
      if (call.status === 200) expect(call.id).toBe(again.id);
      else expect([call.status, call.headers?.has('retry-after')]).toEqual([409, true]);
    }
  });

  it('of a call that died with its gateway is told as unknown and not run again', async () => {
    const options = { headers: { 'idempotency-key': 'order-2' } };
    await rig.provider.behave({ holdAt: 'answer' });
    const first = rig.gateway.call('call-died', options);
    await expect.poll(() => rig.provider.held, { timeout: 10_000 }).toBe(1);
    await rig.gateway.kill();
    await rig.provider.behave({});
    await rig.restart();
    const inFlight = async () => (await rig.gateway.call('call-died', options)).headers?.has('retry-after');
    await expect.poll(inFlight, { timeout: 20_000 }).toBe(false);
    const told = await rig.gateway.call('call-died', options);
    expect([told.status, told.code]).not.toEqual([200, null]);
    expect(sent('call-died')).toBe(1);
    calls.push(await first, ...(await runLoad(rig.gateway, { concurrency: 4, count: 8, prefix: 'after' })));
    await rig.expectNothingWrong(calls);
  });
});

/** A gateway that is slow, not dead: what others concluded meanwhile stays, and what it knows is kept beside it. */
import { afterEach, describe, expect, it } from 'vitest';
import { type Rig, startRig } from '../support/fault-rig.ts';
import { isLong } from '../support/fault-run.ts';

let rig: Rig;
afterEach(() => rig?.close());

describe('a gateway that was stopped past its lease and goes on', () => {
  it('finds its call unknown, and its late outcome is kept beside that', async () => {
    rig = await startRig('PostgreSQL');
    await rig.gateway.start();
    await rig.provider.behave({ holdAt: 'answer' });
    const call = rig.gateway.call('call-late');
    await expect.poll(() => rig.provider.held, { timeout: 10_000 }).toBe(1);
    rig.gateway.signal('SIGSTOP');
    const second = await rig.startSecond();
    const statusOf = () => rig.query('select id, status from ai_executions');
    await expect.poll(statusOf, { timeout: 15_000 }).toMatchObject([{ status: 'unknown' }]);
    await rig.provider.release();
    rig.gateway.signal('SIGCONT');
    await call;
    const [execution] = await statusOf();
    expect(execution?.status).toBe('unknown');
    const late = await rig.query(
      `select execution_id as id, outcome ->> 'status' as status from ai_execution_late_outcomes`,
    );
    expect(late).toEqual([{ id: execution?.id, status: 'succeeded' }]);
    expect(rig.provider.ledger()).toHaveLength(1);
    await second.stop();
  });
});

describe('a gateway beside one that died', () => {
  it.runIf(isLong)(
    'makes its calls unknown when its lease has run out, and not before',
    async () => {
      rig = await startRig('PostgreSQL');
      await rig.gateway.start();
      await rig.provider.behave({ holdAt: 'answer' });
      const call = rig.gateway.call('call-orphan');
      await expect.poll(() => rig.provider.held, { timeout: 10_000 }).toBe(1);
      const remaining = `select extract(epoch from max(lease_expires_at) - clock_timestamp()) * 1000 as ms from gateway_instances`;
      await rig.gateway.kill();
      const [lease] = await rig.query(remaining);
      const from = performance.now();
      await rig.gateway.start();
      await rig.expectNothingWrong([await call]);
      expect(performance.now() - from).toBeGreaterThan(Number(lease?.ms));
    },
    60_000,
  );
});

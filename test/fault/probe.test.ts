/**
 * SIGKILL of the gateway that runs a probe, in the middle of it: the other one goes on. It takes as long as the job
 * library waits for a sign of life, so only the long run has it; `test/e2e/probes.test.ts` cuts a run without a death.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLong, report } from '../support/fault-run.ts';
import { startProbing } from '../support/probing.ts';

const cases = Array.from({ length: 20 }, (_, index) => `case-${String(index).padStart(2, '0')}`);
const answered = 8;

describe.skipIf(!isLong)('a gateway that is killed while it runs a probe', () => {
  const stuck = Promise.withResolvers<void>();
  let probing: Awaited<ReturnType<typeof startProbing>>;
  let asked = 0;
  beforeAll(async () => {
    probing = await startProbing(cases, (text) =>
      ++asked > answered ? { text, after: stuck.promise } : { text },
    );
  });
  afterAll(() => probing.close());

  it('leaves the rest to another, which repeats no call and takes none that it does not know for a pass', {
    timeout: 240_000,
  }, async () => {
    const { sql } = probing;
    const first = await probing.start();
    await expect.poll(() => asked, { timeout: 30_000, interval: 20 }).toBe(answered + 4);
    const second = await probing.start();
    first.signal('SIGKILL');
    await first.ended;
    stuck.resolve();
    const killedAt = Date.now();
    const [run] = await sql`select run_id, due_at from probe_runs order by created_at limit 1`;
    const outcome = async () => (await sql`select * from probe_outcomes where run_id = ${run!.run_id}`)[0];
    await expect
      .poll(async () => (await outcome()) !== undefined, { timeout: 200_000, interval: 500 })
      .toBe(true);
    const tookS = Math.round((Date.now() - killedAt) / 1_000);
    const texts = await sql`
      select metadata->>'case' as id, status, count(*)::integer as rows from ai_executions where run_id = ${run!.run_id} group by 1, 2`;
    expect(texts.filter(({ rows }) => rows > 1)).toEqual([]);
    const unknown = texts.filter(({ status }) => status === 'unknown').length;
    expect([texts.length, unknown]).toEqual([cases.length, 4]);
    expect(await outcome()).toMatchObject({ outcome: 'insufficient', passed_count: cases.length - 4 });
    // One run of the time, and of each case one request; later times have runs of their own.
    const times = await sql`select due_at from probe_runs where due_at = ${run!.due_at}`;
    expect(times).toHaveLength(1);
    report('probe', { cases: cases.length, answered, unknown, tookS, second: second.pid > 0 });
  });
});

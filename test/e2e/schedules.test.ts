// Two real gateways with the same schedule on one database.
import { PgBoss } from 'pg-boss';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProbing } from '../support/probing.ts';

const cases = ['Ada', 'Ben', 'Cleo'];

describe('two gateways with the same schedule', () => {
  let probing: Awaited<ReturnType<typeof startProbing>>;
  let gateways: Awaited<ReturnType<typeof probing.start>>[];
  beforeAll(async () => {
    probing = await startProbing(cases);
    gateways = await Promise.all([probing.start(), probing.start()]);
  });
  afterAll(() => probing.close());

  it('run each probe once, also when the job library gives the same time out again and again', async () => {
    const { sql, asked } = probing;
    const outcomes = () => sql`select outcome from probe_outcomes`;
    await expect.poll(outcomes, { timeout: 25_000, interval: 200 }).toEqual([{ outcome: 'passed' }]);
    const library = new PgBoss({
      connectionString: probing.url,
      schema: 'promptgate_jobs',
      schedule: false,
      supervise: false,
    });
    await library.start();
    const again = { key: 'ticked/default', cron: '* * * * *' };
    for (let time = 0; time < 4; time++) await library.send('probes', again);
    const jobs = () =>
      sql`select state, count(*)::integer from promptgate_jobs.job where name = 'probes' group by state`;
    await expect
      .poll(async () => (await jobs()).map(({ state }) => state), { timeout: 25_000, interval: 200 })
      .toEqual(['completed']);
    await library.stop({ graceful: false });

    const runs = await sql`select due_at, count(*)::integer as runs from probe_runs group by due_at`;
    expect(runs.map((run) => run.runs)).toEqual(runs.map(() => 1));
    expect(runs.every(({ due_at }) => due_at.getTime() % 60_000 === 0)).toBe(true);
    const rows = await sql`
      select run_id, metadata->>'case' as id, count(*)::integer as calls from ai_executions where purpose = 'probe' group by 1, 2`;
    expect(rows.map(({ calls }) => calls)).toEqual(Array(runs.length * cases.length).fill(1));
    expect(asked).toHaveLength(runs.length * cases.length);
    // Both have had jobs; what one found done by the other it left alone.
    const done = await Promise.all(
      gateways.map(async ({ ready }) => {
        const metrics = await (await fetch(`${ready.url}/metrics`)).text();
        return Number(/schedule="probes",outcome="completed"\} (\d+)/.exec(metrics)?.[1] ?? 0);
      }),
    );
    const [{ count } = { count: 0 }] = await jobs();
    expect([Math.min(...done) > 0, done[0]! + done[1]!]).toEqual([true, count]);
  });
});

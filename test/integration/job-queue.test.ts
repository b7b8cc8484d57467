import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DueJob, JobQueue } from '../../src/application/job-queue.ts';
import { openJobQueue } from '../../src/store/job-queue.ts';
import { databases, type TestDatabase } from '../support/databases.ts';

describe.each(databases)('the job queue on $name', ({ create }) => {
  let database: TestDatabase;
  let sql: postgres.Sql;
  const queues: JobQueue[] = [];
  const errors: unknown[] = [];

  beforeAll(async () => {
    database = await create();
    sql = postgres(database.url, { max: 1, onnotice: () => {} });
    for (let gateway = 0; gateway < 2; gateway++) {
      queues.push(
        await openJobQueue({
          url: database.url,
          embedded: database.kind === 'embedded',
          onError: (error) => errors.push(error),
          everySeconds: { jobs: 0.5, times: 1, retry: 1 },
        }),
      );
    }
  });
  afterAll(async () => {
    await Promise.all(queues.map((queue) => queue.stop(1_000)));
    await sql.unsafe('drop schema promptgate_jobs cascade');
    await sql.end();
    await database.drop();
  });

  it('gives what falls due to one of two gateways, once, and again to one when it was given back', async () => {
    const done: DueJob[] = [];
    const givenBack: DueJob[] = [];
    for (const queue of queues) {
      await queue.set('ticks', new Map([['a/b', '* * * * *']]));
      await queue.work('ticks', async (job) => {
        if (givenBack.length === 0) {
          givenBack.push(job);
          throw new Error('the gateway stops');
        }
        done.push(job);
      });
    }
    // A minute may end meanwhile: then the next one's job is done beside it.
    await expect
      .poll(() => done.some(({ dueAt }) => dueAt.getTime() === givenBack[0]?.dueAt.getTime()), {
        timeout: 15_000,
      })
      .toBe(true);
    const { key, dueAt } = givenBack[0]!;
    expect([key, dueAt.getTime() % 60_000, Date.now() - dueAt.getTime() < 120_000]).toEqual(['a/b', 0, true]);
    // Until both have looked again at what is due, more than once each.
    const looks = new Set<string>();
    await expect
      .poll(
        async () =>
          looks.add(String((await sql`select cron_on from promptgate_jobs.version`)[0]?.cron_on)).size,
        { timeout: 15_000, interval: 200 },
      )
      .toBeGreaterThan(1);
    const minutes = done.map((job) => job.dueAt.getTime());
    expect(new Set(minutes).size).toBe(minutes.length);
    expect(errors).toEqual([]);
  });

  it('makes up for what fell due while no gateway ran: once, for the last time that was missed', async () => {
    const done: DueJob[] = [];
    const hour = 3_600_000;
    await queues[0]!.set('hours', new Map([['', '0 * * * *']]));
    await sql`update promptgate_jobs.schedule set created_on = now() - interval '1 day' where name = 'hours'`;
    await sql`update promptgate_jobs.version set cron_on = now() - interval '5 hours'`;
    await queues[1]!.work('hours', async (job) => void done.push(job));
    await expect.poll(() => done, { timeout: 15_000 }).not.toEqual([]);
    expect(done.map(({ dueAt }) => dueAt.getTime())).toEqual([Math.floor(Date.now() / hour) * hour]);
  });

  it('forgets what is not scheduled any more', async () => {
    await queues[0]!.set('ticks', new Map([['c', '0 6 * * *']]));
    expect(await sql`select key, cron, timezone from promptgate_jobs.schedule where name = 'ticks'`).toEqual([
      { key: 'c', cron: '0 6 * * *', timezone: 'UTC' },
    ]);
    // Another gateway gives back what is missing, and leaves what has a time.
    await queues[1]!.restore(
      'ticks',
      new Map([
        ['c', '0 7 * * *'],
        ['d', '0 8 * * *'],
      ]),
    );
    expect(
      await sql`select key, cron from promptgate_jobs.schedule where name = 'ticks' order by key`,
    ).toEqual([
      { key: 'c', cron: '0 6 * * *' },
      { key: 'd', cron: '0 8 * * *' },
    ]);
    await queues[1]!.set('ticks', new Map());
    expect(await sql`select key from promptgate_jobs.schedule where name = 'ticks'`).toEqual([]);
  });
});

import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rendererVersion } from '../../src/domain/template.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { evaluation, evaluationSuite, promptVersion } from '../support/records.ts';

describe.each(databases)('suites and evaluations on $name', ({ create }) => {
  let database: TestDatabase;
  let store: Store;
  let sql: postgres.Sql;

  beforeAll(async () => {
    database = await create();
    store = await openStore({ databaseUrl: database.url });
    sql = postgres(database.url, { max: 1, onnotice: () => {} });
    await store.registry.addVersion(promptVersion(), 'cli:ada');
    await store.registry.addVersion(
      promptVersion({ name: 'judge', version: 3, checksum: 'judge-3' }),
      'cli:ada',
    );
  });
  afterAll(async () => {
    await sql.end();
    await store.close();
    await database.drop();
  });

  it('keep every suite that was ever registered; the latest of a name is in force, also an old one again', async () => {
    const { evaluations } = store;
    const suite = (checksum: string) => evaluationSuite({ suite: 'tone', checksum });
    const first = await evaluations.registerSuite(suite('one'));
    expect(first).toMatchObject(suite('one'));
    expect(await evaluations.registerSuite(suite('one'))).toBeNull();
    expect(await evaluations.registerSuite(suite('two'))).toMatchObject({ checksum: 'two' });
    expect(await evaluations.registerSuite(suite('one'))).toMatchObject({ checksum: 'one' });
    expect(await evaluations.findSuite('summarize', 'tone')).toMatchObject({ checksum: 'one' });
    expect(await evaluations.listSuites('summarize')).toMatchObject([{ suite: 'tone', checksum: 'one' }]);
    expect(await sql`select from evaluation_suites where suite = 'tone'`).toHaveLength(3);
    await expect(evaluations.registerSuite(evaluationSuite({ promptName: 'unknown' }))).rejects.toMatchObject(
      { code: 'not_found' },
    );
  });

  it('keep an evaluation with everything that it is bound to, once for each run', async () => {
    const given = evaluation({
      judges: [{ name: 'judge', version: 3, checksum: 'judge-3' }],
      baseline: { version: 1, checksum: 'a'.repeat(64), difference: -0.05, differenceLower: -0.11 },
    });
    const recorded = await store.evaluations.recordEvaluation(given);
    expect(recorded).toEqual({ ...given, id: expect.any(Number), passRate: 1, createdAt: expect.any(Date) });
    expect(await store.evaluations.recordEvaluation({ ...given, passedCount: 0, verdict: 'failed' })).toEqual(
      recorded,
    );
    expect(await store.evaluations.findEvaluation(given.runId)).toEqual(recorded);
    const page = await store.evaluations.listEvaluations('summarize', { version: 1 }, { limit: 1 });
    expect(page).toEqual([recorded]);
    expect(
      await store.evaluations.listEvaluations('summarize', {}, { limit: 9, before: recorded.id }),
    ).toEqual([]);
  });

  it('know of a version, a baseline and judges only as they are registered', async () => {
    const record = (changes: Parameters<typeof evaluation>[0]) =>
      store.evaluations.recordEvaluation(evaluation(changes));
    const baseline = { version: 1, checksum: 'other', difference: 0, differenceLower: -0.1 };
    for (const changes of [
      { versionChecksum: 'other' },
      { version: 2 },
      { baseline },
      { judges: [{ name: 'judge', version: 3, checksum: 'other' }] },
    ]) {
      await expect(record(changes)).rejects.toMatchObject({ code: 'not_found' });
    }
  });

  it.each([
    ['a case without a trial', { trialCount: 19, passedCount: 19 }],
    ['no case at all', { caseCount: 0, trialCount: 0, passedCount: 0 }],
    ['fewer passed than the threshold asks', { passedCount: 18 }],
    ['more passed than were tried', { passedCount: 21 }],
    ['no confidence bound', { lowerBound: null }],
  ])('never say "passed" of a run with %s', async (_what, changes) => {
    await expect(store.evaluations.recordEvaluation(evaluation(changes))).rejects.toMatchObject({
      code: 'internal',
    });
  });

  it('know which renderer this program is: its number is in a migration', async () => {
    expect(await sql`select max(version) as version from renderer_versions`).toEqual([
      { version: rendererVersion },
    ]);
  });
});

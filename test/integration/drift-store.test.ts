// Which findings of drift are news: what a run found that the last run before it did not.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DriftRun } from '../../src/application/drift-store.ts';
import type { DriftFinding } from '../../src/domain/drift.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { driftFinding, driftRun } from '../support/records.ts';

describe.each(databases)('findings of drift on $name', ({ create }) => {
  let database: TestDatabase;
  let store: Store;
  beforeAll(async () => {
    database = await create();
    store = await openStore({ databaseUrl: database.url });
  });
  afterAll(async () => {
    await store.close();
    await database.drop();
  });

  /** Runs that look at one prompt, each in the millisecond after the one before. */
  let at = Date.now() - 86_400_000;
  const idAt = (ms = ++at) =>
    `${ms
      .toString(16)
      .padStart(12, '0')
      .replace(/^(.{8})/, '$1-')}-7000-8000-000000000000`;
  const subjectOf = (promptName: string) => {
    const { promptVersion, purpose, simulated, provider, model } = driftFinding();
    return { promptName, promptVersion, purpose, simulated, provider, model };
  };
  /** @returns of each finding whether it is news */
  async function run(
    promptName: string,
    findings: readonly Partial<DriftFinding>[],
    changes: Partial<DriftRun> = {},
    note: string | null = null,
  ) {
    const compared = [{ ...subjectOf(promptName), baselineCount: 200, nowCount: 100, tests: 9, note }];
    const recorded = await store.drift.record(
      driftRun({ id: idAt(), compared, ...changes }),
      findings.map((one) => driftFinding({ promptName, ...one })),
    );
    return recorded?.map(({ knownSince }) => knownSince === null);
  }
  const model = (...newValues: string[]): Partial<DriftFinding> => ({
    ...{ detector: 'identity', measure: 'response_model', pValue: null, correctedP: null, newValues },
  });

  it('are news when they are of another model than last time, and known as long as each run finds them', async () => {
    expect(await run('models', [model('b')])).toEqual([true]);
    expect(await run('models', [model('b'), {}])).toEqual([false, true]);
    expect(await run('models', [model('c'), {}])).toEqual([true, false]);
    expect(await run('models', [model('b', 'c')])).toEqual([true]);
    expect(await run('models', [model('c')])).toEqual([false]);
  });

  it('are news again when a run in between compared the same and did not find it; one that could not says nothing', async () => {
    const slow = [{ measure: 'latency' }];
    const few = 'numbers and rates need 30 on each side';
    expect(await run('slow', slow)).toEqual([true]);
    const [found] = await store.drift.listFindings({ promptName: 'slow' }, { limit: 1 });
    await run('other', []);
    await run('slow', [], {}, few);
    await run('slow', [], { promptName: 'other' });
    expect(await run('slow', slow, {}, few)).toEqual([false]);
    expect(await run('slow', slow)).toEqual([false]);
    const [again] = await store.drift.listFindings({ promptName: 'slow' }, { limit: 1 });
    expect(again!.knownSince).toEqual(found!.createdAt);
    await run('slow', []);
    expect(await run('slow', slow)).toEqual([true]);
    const dayMs = 86_400_000;
    expect(await run('old', slow, { id: idAt(Date.now() - 8 * dayMs) })).toEqual([true]);
    expect(await run('old', slow)).toEqual([true]);
  });

  it('of a schedule go by its own runs, of which there is one of each time', async () => {
    const actor = 'schedule:drift';
    const dueAt = new Date('2026-11-21T06:30:00Z');
    expect(await run('daily', [{}])).toEqual([true]);
    expect(await run('daily', [{}], { actor, dueAt })).toEqual([true]);
    expect(await run('daily', [{}], { actor, dueAt })).toBeUndefined();
    expect(await store.drift.listFindings({ promptName: 'daily' }, { limit: 9 })).toHaveLength(2);
    expect(await run('daily', [])).toEqual([]);
    expect(await run('daily', [{}], { actor, dueAt: new Date('2026-11-22T06:30:00Z') })).toEqual([false]);
  });

  it('by the clock are told until they were taken; what nobody found news in, and what somebody asked for, is not', async () => {
    const actor = 'schedule:drift';
    const due = (day: number) => ({ actor, dueAt: new Date(Date.UTC(2026, 10, day, 7)) });
    await run('told', [{}, model('b')], due(1));
    await run('told', [{}], due(2));
    await run('told', [], due(3));
    await run('told', [model('c')]);
    const untaken = async () =>
      (await store.drift.listUntaken(0)).filter(({ findings }) => findings[0]?.promptName === 'told');
    const [first, ...others] = await untaken();
    expect(others).toEqual([]);
    expect(first!.run).toEqual(driftRun({ id: first!.run.id, ...due(1), compared: first!.run.compared }));
    expect(first!.findings.map(({ measure }) => measure)).toEqual(['latency', 'response_model']);
    expect(await store.drift.listUntaken(3_600_000)).toEqual([]);
    await store.webhooks.recordTaken(`drift_${first!.run.id}`);
    await store.webhooks.recordTaken(`drift_${first!.run.id}`);
    expect(await untaken()).toEqual([]);
  });
});

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LabelMove, Rollback } from '../../src/application/registry-store.ts';
import type { Deployment } from '../../src/domain/prompt-version.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { promptVersion } from '../support/records.ts';

const who = { actor: 'cli:ada', reason: 'because', gitCommit: null };
const label = { promptName: 'summarize', label: 'production' };

describe.each(databases)('labels on $name', ({ name, create }) => {
  let database: TestDatabase;
  /** Two gateways on one database. */
  let one: Store;
  let other: Store;

  beforeEach(async () => {
    database = await create();
    one = await openStore({ databaseUrl: database.url });
    other = await openStore({ databaseUrl: database.url });
    for (let version = 1; version <= 4; version++) {
      await one.registry.addVersion(promptVersion({ version, checksum: `${version}` }), 'cli:ada');
    }
  });

  afterEach(async () => {
    await Promise.all([one.close(), other.close()]);
    await database.drop();
  });

  const deploy = (toVersion: number, changes: Partial<LabelMove> = {}) =>
    one.registry.moveLabel({ ...label, ...who, toVersion, kind: 'deploy', ...changes });
  const rollBack = (changes: Partial<Rollback> = {}) =>
    one.registry.rollBack({ ...label, ...who, ...changes });
  const ledger = async (): Promise<Deployment[]> =>
    (await one.registry.listDeployments('summarize', { label: 'production', limit: 10_000 })).reverse();
  const held = async () =>
    (await other.registry.labelsAt(null)).map(({ deployment }) => deployment.toVersion);

  describe('rolling back', () => {
    it('goes to what the ledger says ran before, twice goes back twice, and each is on record', async () => {
      for (const version of [1, 2, 3]) await deploy(version);
      expect(await rollBack({ reason: 'first' })).toMatchObject({
        kind: 'rollback',
        fromVersion: 3,
        toVersion: 2,
      });
      expect(await rollBack({ reason: 'second' })).toMatchObject({
        fromVersion: 2,
        toVersion: 1,
        reason: 'second',
      });
      await expect(rollBack()).rejects.toMatchObject({ code: 'conflict' });
      expect(await held()).toEqual([1]);
      expect((await ledger()).map((row) => row.kind)).toEqual([
        'deploy',
        'deploy',
        'deploy',
        'rollback',
        'rollback',
      ]);
    });

    it('of a label that was never set is not_found', async () => {
      await expect(rollBack()).rejects.toMatchObject({ code: 'not_found' });
    });

    it('from another version than the caller saw is a conflict: two who react to one incident go back once', async () => {
      for (const version of [1, 2, 3]) await deploy(version);
      const both = await Promise.allSettled([
        rollBack({ expectedVersion: 3 }),
        other.registry.rollBack({ ...label, ...who, expectedVersion: 3 }),
      ]);
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(await held()).toEqual([2]);
    });

    it('to what is archived by now is a conflict that says so, and moves nothing', async () => {
      for (const version of [1, 2]) await deploy(version);
      await one.registry.archive({ promptName: 'summarize', version: 1, archived: true, ...archivist });
      await expect(rollBack()).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('archived'),
      });
      expect(await held()).toEqual([2]);
    });
  });

  it('a review that refuses, inside the transaction, leaves neither a move nor a row', async () => {
    await deploy(1);
    const seen: unknown[] = [];
    const refused = deploy(2, {
      review(from, to) {
        seen.push(from?.version, to.version);
        throw new Error('no');
      },
    });
    await expect(refused).rejects.toThrow();
    expect(seen).toEqual([1, 2]);
    expect([await held(), (await ledger()).length]).toEqual([[1], 1]);
  });

  describe('what a label held at a time', () => {
    it('is what the ledger says, to the row', async () => {
      const moves: Deployment[] = [];
      for (const version of [1, 2, 3]) moves.push((await deploy(version)) as Deployment);
      moves.push(await rollBack());
      for (const [index, move] of moves.entries()) {
        const [at] = await one.registry.labelsAt(move.createdAt);
        expect(at?.deployment).toEqual(moves[index]);
      }
      expect(await one.registry.labelsAt(new Date((moves[0]?.createdAt.getTime() ?? 0) - 1))).toEqual([]);
    });

    it('now is what the pointers say, whatever the clock of the caller', async () => {
      await deploy(2);
      await deploy(3, { label: 'staging' });
      const { labels } = await one.registry.loadChanges(0);
      const now = await one.registry.labelsAt(null);
      expect(now.map(({ deployment }) => [deployment.label, deployment.toVersion])).toEqual(
        labels.map(({ label, version }) => [label, version]),
      );
    });

    it('says whether the label was gated then', async () => {
      const before = (await deploy(1)) as Deployment;
      await one.registry.setLabelPolicy({ label: 'production', gated: true, actor: 'cli:ada', reason: null });
      expect((await one.registry.labelsAt(before.createdAt))[0]?.gated).toBe(false);
      expect((await one.registry.labelsAt(null))[0]?.gated).toBe(true);
    });
  });

  const archivist = { actor: 'cli:ada', reason: 'superseded' };

  describe('an archived version', () => {
    const archive = (version: number | null, archived = true) =>
      one.registry.archive({ promptName: 'summarize', version, archived, ...archivist });

    it('is not newly deployed, until it is taken out again; both are facts', async () => {
      expect(await archive(2)).toMatchObject({
        promptName: 'summarize',
        version: 2,
        archived: true,
        ...archivist,
      });
      expect(await archive(2)).toBeNull();
      await expect(deploy(2)).rejects.toMatchObject({ code: 'conflict' });
      expect((await other.registry.loadChanges(0)).archives).toMatchObject([{ version: 2, archived: true }]);
      expect(await archive(2, false)).toMatchObject({ archived: false });
      expect(await deploy(2)).toMatchObject({ toVersion: 2 });
    });

    it('goes on being held by the labels that hold it', async () => {
      await deploy(2);
      await archive(2);
      expect(await held()).toEqual([2]);
    });

    it('keeps its number: other content under it is a conflict', async () => {
      await archive(4);
      await expect(
        one.registry.addVersion(promptVersion({ version: 4, checksum: 'other' }), 'cli:ada'),
      ).rejects.toMatchObject({ code: 'conflict' });
    });

    it('of an archived prompt is no different', async () => {
      await archive(null);
      await expect(deploy(1)).rejects.toMatchObject({ code: 'conflict' });
      await archive(null, false);
      expect(await deploy(1)).toMatchObject({ toVersion: 1 });
    });

    it('has to exist', async () => {
      await expect(archive(9)).rejects.toMatchObject({ code: 'not_found' });
      const unknown = { promptName: 'unknown', version: null, archived: true, ...archivist };
      await expect(one.registry.archive(unknown)).rejects.toMatchObject({ code: 'not_found' });
    });

    it('raises the revision, so that every gateway hears of it', async () => {
      const before = await other.registry.revision();
      await archive(1);
      expect(await other.registry.revision()).toBeGreaterThan(before);
    });
  });

  describe('a gated label', () => {
    const gate = (gated: boolean) =>
      one.registry.setLabelPolicy({ label: 'production', gated, actor: 'cli:ada', reason: 'audit' });

    it('takes nothing without evidence, can be rolled back, and is on record', async () => {
      for (const version of [1, 2]) await deploy(version);
      expect(await gate(true)).toMatchObject({ gated: true, actor: 'cli:ada', reason: 'audit' });
      expect(await gate(true)).toBeNull();
      await expect(deploy(3)).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('gated'),
      });
      expect(await rollBack()).toMatchObject({ toVersion: 1 });
      await gate(false);
      expect(await deploy(3)).toMatchObject({ toVersion: 3 });
      expect((await other.registry.listLabelPolicies('production')).map(({ gated }) => gated)).toEqual([
        false,
        true,
      ]);
    });

    it('leaves other labels alone', async () => {
      await gate(true);
      expect(await deploy(1, { label: 'staging' })).toMatchObject({ toVersion: 1 });
    });
  });

  it.runIf(name === 'PostgreSQL')(
    'two deploys and two rollbacks racing, 100 rounds: one chain, no lost move, no duplicate',
    async () => {
      await deploy(1);
      let wins = 1;
      for (let round = 0; round < 100; round++) {
        const [current] = await held();
        const expectedVersion = current ?? null;
        const [left, right] = [1, 2, 3, 4].filter((version) => version !== current);
        const how = { ...label, ...who, kind: 'deploy', expectedVersion } as const;
        const results = await Promise.allSettled([
          one.registry.moveLabel({ ...how, toVersion: left ?? 0 }),
          other.registry.moveLabel({ ...how, toVersion: right ?? 0 }),
        ]);
        const won = results.filter((result) => result.status === 'fulfilled');
        expect(won).toHaveLength(1);
        for (const result of results) {
          if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' });
        }
        expect(await held()).toEqual(won.map((result) => result.value?.toVersion));
        wins += 1;
      }
      const rows = await ledger();
      expect(rows).toHaveLength(wins);
      rows.forEach((row, index) => {
        expect(row.fromVersion).toBe(rows[index - 1]?.toVersion ?? null);
      });
      // And then all the way back, from two sides at once: each step is taken by one of them.
      for (let left = wins - 1; left > 0; ) {
        const both = await Promise.allSettled([
          one.registry.rollBack({ ...label, ...who }),
          other.registry.rollBack({ ...label, ...who }),
        ]);
        const done = both.filter(({ status }) => status === 'fulfilled').length;
        expect(done).toBe(Math.min(left, 2));
        left -= done;
      }
      expect(await held()).toEqual([1]);
      await expect(rollBack()).rejects.toMatchObject({ code: 'conflict' });
    },
    60_000,
  );
});

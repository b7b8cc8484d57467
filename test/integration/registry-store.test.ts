import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LabelMove } from '../../src/application/registry-store.ts';
import { type ApiKey, createSecret, hashSecret } from '../../src/domain/api-key.ts';
import type { PromptVersion } from '../../src/domain/prompt-version.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { promptVersion } from '../support/records.ts';

describe.each(databases)('the registry on $name', ({ name, create }) => {
  let database: TestDatabase;
  /** Two gateways on one database. */
  let one: Store;
  let other: Store;

  beforeEach(async () => {
    database = await create();
    one = await openStore({ databaseUrl: database.url });
    other = await openStore({ databaseUrl: database.url });
  });

  afterEach(async () => {
    await Promise.all([one.close(), other.close()]);
    await database.drop();
  });

  function move(changes: Partial<LabelMove>): LabelMove {
    const defaults = { promptName: 'summarize', label: 'production', toVersion: 1 };
    return {
      ...defaults,
      kind: 'deploy',
      actor: 'cli:ada',
      reason: 'because',
      gitCommit: 'c0ffee',
      ...changes,
    };
  }

  async function addVersions(count: number): Promise<void> {
    for (let version = 1; version <= count; version++) {
      await one.registry.addVersion(promptVersion({ version, checksum: `${version}` }), 'cli:ada');
    }
  }

  describe('adding a version', () => {
    it('keeps every field, and the order of schema keys', async () => {
      const { tools, ...wanted } = promptVersion();
      const { created, version } = await one.registry.addVersion({ ...wanted, tools }, 'cli:ada');
      expect(created).toBe(true);
      expect(version).toMatchObject(wanted);
      const sql = postgres(database.url, { max: 1 });
      expect([...(await sql`select tools from prompt_versions`)]).toEqual([{ tools }]);
      await sql.end();
      const { versions } = await other.registry.loadChanges(0);
      expect(versions).toEqual([version]);
      expect(JSON.stringify(versions[0]?.outputSchema)).toBe(JSON.stringify(wanted.outputSchema));
    });

    it('keeps absent fields as null', async () => {
      const { tools, ...bare } = promptVersion({
        ...{ parameters: {}, messages: [], outputFormat: 'text', outputSchema: null, description: null },
        ...{ author: null, partials: {}, path: null, gitCommit: null, gitMessage: null, metadata: {} },
      });
      expect((await one.registry.addVersion({ ...bare, tools }, 'cli:ada')).version).toMatchObject(bare);
    });

    it('twice at once ends the same for both', async () => {
      const results = await Promise.all(
        [one, other, one, other].map((store) => store.registry.addVersion(promptVersion(), 'cli:ada')),
      );
      expect(results.filter((result) => result.created)).toHaveLength(1);
      expect(new Set(results.map((result) => result.version.id)).size).toBe(1);
    });

    it('with other content under a number that is taken is a conflict, also in a race', async () => {
      const results = await Promise.allSettled(
        ['x', 'y', 'z'].map((checksum) => other.registry.addVersion(promptVersion({ checksum }), 'cli:ada')),
      );
      expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' });
      }
    });
  });

  describe('moving a label', () => {
    it('points it and records who, why and from what', async () => {
      await addVersions(2);
      expect(await one.registry.moveLabel(move({ toVersion: 1 }))).toMatchObject({
        fromVersion: null,
        toVersion: 1,
      });
      const moved = await one.registry.moveLabel(move({ toVersion: 2, kind: 'sync' }));
      expect(moved).toMatchObject({
        ...{ promptName: 'summarize', label: 'production', kind: 'sync', fromVersion: 1, toVersion: 2 },
        ...{ actor: 'cli:ada', reason: 'because', gitCommit: 'c0ffee' },
      });
      expect((await other.registry.loadChanges(0)).labels).toMatchObject([
        { label: 'production', version: 2 },
      ]);
      const ledger = await other.registry.listDeployments('summarize', { label: 'production', limit: 10 });
      expect(ledger.map((row) => row.toVersion)).toEqual([2, 1]);
      expect(ledger[0]).toEqual(moved);
    });

    it('to where it points already records nothing', async () => {
      await addVersions(1);
      await one.registry.moveLabel(move({}));
      const revision = await one.registry.revision();
      expect(await one.registry.moveLabel(move({}))).toBeNull();
      expect(await one.registry.revision()).toBe(revision);
      expect(await one.registry.listDeployments('summarize', { limit: 10 })).toHaveLength(1);
    });

    it('to a version that does not exist is not_found', async () => {
      await expect(one.registry.moveLabel(move({ toVersion: 9 }))).rejects.toMatchObject({
        code: 'not_found',
      });
    });

    it('from a version that it does not hold is a conflict: of many movers who saw the same, one wins', async () => {
      await addVersions(6);
      await one.registry.moveLabel(move({ toVersion: 1, expectedVersion: null }));
      const results = await Promise.allSettled(
        [2, 3, 4, 5, 6].map((toVersion, index) =>
          (index % 2 ? one : other).registry.moveLabel(move({ toVersion, expectedVersion: 1 })),
        ),
      );
      expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' });
      }
    });

    it('by many at once leaves a ledger that is one unbroken chain', async () => {
      await addVersions(5);
      const targets = Array.from({ length: 40 }, (_, index) => 1 + (index % 5));
      await Promise.all(
        targets.map((toVersion, index) => (index % 2 ? one : other).registry.moveLabel(move({ toVersion }))),
      );
      const ledger = (await one.registry.listDeployments('summarize', { limit: 100 })).reverse();
      ledger.forEach((row, index) => {
        expect(row.fromVersion).toBe(ledger[index - 1]?.toVersion ?? null);
      });
      expect((await one.registry.loadChanges(0)).labels[0]?.version).toBe(ledger.at(-1)?.toVersion);
    });
  });

  it('an incremental reader misses no version of concurrent writers', async () => {
    const seen = new Map<number, PromptVersion>();
    let since = 0;
    let writing = true;
    const read = async () => {
      const changes = await other.registry.loadChanges(since);
      for (const version of changes.versions) seen.set(version.id, version);
      since = changes.revision;
    };
    const reader = (async () => {
      while (writing) await read();
    })();
    await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        (index % 2 ? one : other).registry.addVersion(promptVersion({ name: `p${index}` }), 'cli:ada'),
      ),
    );
    writing = false;
    await reader;
    await read();
    expect(seen.size).toBe(60);
    expect(new Set([...seen.values()].map((version) => version.revision)).size).toBe(60);
  });

  it('a change reaches the listeners of another gateway', async () => {
    const heard = vi.fn();
    await other.registry.onChange(heard);
    heard.mockClear();
    await one.registry.addVersion(promptVersion(), 'cli:ada');
    // Embedded, a notification arrives with the next answer of the one session.
    await vi.waitFor(async () => {
      await one.ping();
      expect(heard).toHaveBeenCalled();
    });
  });

  it.runIf(name === 'PostgreSQL')('a listener whose connection is cut listens again', async () => {
    const heard = vi.fn();
    await other.registry.onChange(heard);
    heard.mockClear();
    const sql = postgres(database.url, { max: 1 });
    const cut = await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query ilike 'listen%'`;
    expect(cut).toHaveLength(1);
    // Told once on its return, because something may have changed meanwhile; then told of every change again.
    await vi.waitFor(() => expect(heard).toHaveBeenCalledTimes(1), 5_000);
    await one.registry.addVersion(promptVersion(), 'cli:ada');
    await vi.waitFor(() => expect(heard).toHaveBeenCalledTimes(2));
    await sql.end();
  });

  describe('keys', () => {
    const key = (changes: Partial<ApiKey> = {}): ApiKey => ({
      ...{
        id: 'k1',
        name: 'ci',
        prefix: 'pg_abc',
        hash: hashSecret(createSecret()),
        scopes: ['execute', 'admin'],
        limits: { prompts: ['billing-*'], labels: null },
      },
      ...{ createdAt: new Date('2026-11-20T10:00:00.001Z'), createdBy: 'cli:ada', revokedAt: null },
      ...changes,
    });

    it('are kept as given, and revoked by name or id, once', async () => {
      const first = key();
      await one.registry.createKey(first);
      expect((await other.registry.loadChanges(0)).keys).toEqual([first]);
      const revoked = await one.registry.revokeKey('ci');
      expect(revoked).toEqual({ ...first, revokedAt: expect.any(Date) });
      expect(await other.registry.revokeKey('k1')).toEqual(revoked);
      expect(await one.registry.revokeKey('nobody')).toBeUndefined();
    });

    it('share no name while in force; a revoked name is free again, and revoking it revokes the new key', async () => {
      await one.registry.createKey(key());
      const second = key({ id: 'k2' });
      await expect(one.registry.createKey(second)).rejects.toMatchObject({ code: 'conflict' });
      await one.registry.revokeKey('ci');
      await one.registry.createKey(second);
      expect((await one.registry.revokeKey('ci'))?.id).toBe('k2');
    });

    it('raise the revision, so that every gateway hears of a revocation', async () => {
      await one.registry.createKey(key());
      const before = await other.registry.revision();
      await one.registry.revokeKey('ci');
      expect(await other.registry.revision()).toBeGreaterThan(before);
    });
  });
});

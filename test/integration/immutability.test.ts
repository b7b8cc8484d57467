import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSecret, hashSecret } from '../../src/domain/api-key.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import {
  driftFinding,
  driftRun,
  evaluation,
  evaluationSuite,
  execution,
  promptVersion,
  replayRun,
} from '../support/records.ts';

describe.each(databases)('on $name', ({ create }) => {
  let database: TestDatabase;
  let store: Store;
  let sql: postgres.Sql;

  beforeAll(async () => {
    database = await create();
    store = await openStore({ databaseUrl: database.url });
    sql = postgres(database.url, { max: 2, onnotice: () => {} });
    for (const version of [1, 2]) {
      await store.registry.addVersion(promptVersion({ version, checksum: `${version}` }), 'cli:ada');
    }
    await move(1);
    await store.audit.settle([execution()]);
    const who = { actor: 'cli:ada', reason: null };
    await store.registry.archive({ promptName: 'summarize', version: 2, archived: true, ...who });
    await store.registry.archive({ promptName: 'summarize', version: 2, archived: false, ...who });
    await store.registry.setLabelPolicy({ label: 'gated', gated: true, ...who });
    await store.evaluations.registerSuite(evaluationSuite());
    await store.evaluations.recordEvaluation(evaluation({ versionChecksum: '1' }));
    await store.replays.recordRun(replayRun());
    await store.drift.record(driftRun(), [driftFinding()]);
  });

  afterAll(async () => {
    await sql.end();
    await store.close();
    await database.drop();
  });

  function move(toVersion: number) {
    const how = { kind: 'deploy', actor: 'cli:ada', reason: null, gitCommit: null } as const;
    return store.registry.moveLabel({ promptName: 'summarize', label: 'production', toVersion, ...how });
  }

  const refused = /refused: its rows are only ever added|permission denied/;

  it.each([
    ['prompts', 'created_by'],
    ['prompt_versions', 'source'],
    ['prompt_deployments', 'reason'],
    ['prompt_archives', 'reason'],
    ['label_policies', 'reason'],
    ['evaluations', 'suite'],
    ['evaluation_suites', 'source'],
    ['ai_executions', 'raw_output'],
    ['replay_runs', 'actor'],
    ['drift_runs', 'actor'],
    ['drift_findings', 'after'],
  ])('the owner cannot update, delete or truncate %s', async (table, column) => {
    const before = await sql.unsafe(`select * from ${table}`);
    expect(before.length).toBeGreaterThan(0);
    await expect(sql.unsafe(`update ${table} set ${column} = 'x'`)).rejects.toThrow(refused);
    await expect(sql.unsafe(`update ${table} set created_at = now()`)).rejects.toThrow(refused);
    await expect(sql.unsafe(`delete from ${table}`)).rejects.toThrow(refused);
    await expect(sql.unsafe(`truncate ${table} cascade`)).rejects.toThrow(refused);
    expect(await sql.unsafe(`select * from ${table}`)).toEqual(before);
  });

  it('an owner who grants itself the privileges back still meets the triggers', async () => {
    await sql`grant all on all tables in schema public to current_user`;
    for (const table of ['prompt_versions', 'ai_executions']) {
      await expect(sql.unsafe(`update ${table} set model = 'x'`)).rejects.toMatchObject({
        code: '23001',
        message: `UPDATE on ${table} refused: its rows are only ever added`,
      });
      await expect(sql.unsafe(`delete from ${table}`)).rejects.toMatchObject({ code: '23001' });
      await expect(sql.unsafe(`truncate ${table} cascade`)).rejects.toMatchObject({ code: '23001' });
    }
  });

  it('what a batch of replays drew is what it drew: recorded again under its id, it stays as it was', async () => {
    const run = replayRun();
    await store.replays.recordRun(run);
    await store.replays.recordRun({ ...run, actor: 'eve', executionIds: [], promptName: 'other' });
    expect(await store.replays.findRun(run.runId)).toMatchObject(run);
    const upsert = `insert into replay_runs select * from replay_runs on conflict (run_id) do update set actor = 'eve'`;
    await expect(sql.unsafe(upsert)).rejects.toThrow(refused);
  });

  it('every partition refuses as the whole table does', async () => {
    const partitions = await sql`select inhrelid::regclass::text as name from pg_inherits
      where inhparent = 'ai_executions'::regclass`;
    expect(partitions.length).toBeGreaterThanOrEqual(5);
    for (const { name } of partitions) {
      await expect(sql.unsafe(`update ${name} set model = 'x'`)).rejects.toThrow(refused);
      await expect(sql.unsafe(`delete from ${name}`)).rejects.toThrow(refused);
      await expect(sql.unsafe(`truncate ${name}`)).rejects.toThrow(refused);
    }
  });

  it('an upsert cannot rewrite an outcome', async () => {
    await expect(
      sql`insert into ai_executions select * from ai_executions on conflict (id) do update set model = 'x'`,
    ).rejects.toThrow(refused);
  });

  it('a key changes once, when it is revoked, and is never deleted', async () => {
    const key = {
      id: 'k1',
      name: 'ci',
      prefix: 'pg_',
      hash: hashSecret(createSecret()),
      scopes: ['execute'] as const,
      limits: { prompts: null, labels: ['staging'] },
    };
    await store.registry.createKey({ ...key, createdAt: new Date(), createdBy: 'cli:ada', revokedAt: null });
    await expect(sql`update api_keys set scopes = '["admin"]'`).rejects.toThrow('a key never changes');
    await expect(sql`update api_keys set hash = 'x', revoked_at = now()`).rejects.toThrow(
      'a key never changes',
    );
    await expect(sql`delete from api_keys`).rejects.toThrow(refused);
    await expect(sql`truncate api_keys`).rejects.toThrow(refused);
    expect((await store.registry.revokeKey('ci'))?.revokedAt).toBeInstanceOf(Date);
    await expect(sql`update api_keys set revoked_at = null`).rejects.toThrow('a key never changes');
    await expect(sql`update api_keys set revoked_at = now()`).rejects.toThrow('a key never changes');
  });

  describe('a label', () => {
    it('cannot move without a ledger row, nor back to an older one, nor vanish', async () => {
      const first = await sql`select deployment_id from prompt_labels`;
      await move(2);
      await expect(sql`update prompt_labels set version = 1`).rejects.toMatchObject({ code: '23503' });
      await expect(
        sql`update prompt_labels set version = 1, deployment_id = ${first[0]?.deployment_id}`,
      ).rejects.toThrow('only together with a new row');
      await expect(sql`delete from prompt_labels`).rejects.toThrow(refused);
      await expect(sql`truncate prompt_labels`).rejects.toThrow(refused);
    });

    const record = (tx: postgres.TransactionSql, from: number | null, to: number) =>
      tx`insert into prompt_deployments (prompt_name, label, kind, from_version, to_version, actor)
        values ('summarize', 'production', 'deploy', ${from}::integer, ${to}, 'eve') returning id`;

    it('leaves no ledger row behind that moved nothing', async () => {
      await expect(sql.begin((tx) => record(tx, 2, 1))).rejects.toThrow('did not move');
    });

    it('has a ledger that tells the truth about where it came from', async () => {
      const lying = sql.begin(async (tx) => {
        const [row] = await record(tx, null, 1);
        await tx`update prompt_labels set version = 1, deployment_id = ${row?.id}`;
      });
      await expect(lying).rejects.toThrow('does not agree');
    });

    it('takes nothing archived, nothing without evidence where it is gated, and no rollback to what it never held', async () => {
      const [row] = await sql`insert into prompt_archives (prompt_name, version, archived, actor)
        values ('summarize', 1, true, 'eve') returning id`;
      expect(row?.id).toBeDefined();
      await expect(sql.begin((tx) => record(tx, 2, 1))).rejects.toThrow('(version_archived)');
      await sql`insert into prompt_archives (prompt_name, version, archived, actor)
        values ('summarize', 1, false, 'eve'), ('summarize', null, true, 'eve')`;
      await expect(sql.begin((tx) => record(tx, 2, 1))).rejects.toThrow('(prompt_archived)');
      await sql`insert into prompt_archives (prompt_name, archived, actor) values ('summarize', false, 'eve')`;
      const raw = (label: string, kind: string) =>
        sql`insert into prompt_deployments (prompt_name, label, kind, to_version, actor)
          values ('summarize', ${label}, ${kind}, 2, 'eve')`;
      await expect(raw('gated', 'deploy')).rejects.toThrow('(not_evaluated)');
      await expect(raw('gated', 'sync')).rejects.toThrow('(not_evaluated)');
      await expect(raw('gated', 'rollback')).rejects.toThrow('(never_held)');
    });

    it('points only at a version that exists', async () => {
      const missing = sql.begin(async (tx) => {
        const [row] = await record(tx, 2, 9);
        await tx`update prompt_labels set version = 9, deployment_id = ${row?.id}`;
      });
      await expect(missing).rejects.toMatchObject({ code: '23503' });
    });

    it('moves by raw SQL that tells the whole truth', async () => {
      await sql.begin(async (tx) => {
        const [row] = await record(tx, 2, 1);
        await tx`update prompt_labels set version = 1, deployment_id = ${row?.id}`;
      });
      expect((await store.registry.loadChanges(0)).labels[0]?.version).toBe(1);
    });
  });

  it('the revision rises with any raw write and never falls', async () => {
    const before = await store.registry.revision();
    await sql`insert into prompts (name, created_by) values ('raw', 'eve')`;
    await sql`insert into prompt_versions (name, version, model, messages, parameters, input_schema, output_format,
      checksum, source, partials, metadata, created_by, registry_revision)
      values ('raw', 1, 'm', '[]', '{}', '{}', 'text', 'x', '', '{}', '{}', 'eve', 0)`;
    const changes = await store.registry.loadChanges(before);
    expect(changes.versions.map((version) => version.name)).toEqual(['raw']);
    expect(changes.revision).toBe(before + 1);
    await expect(sql`update registry_state set revision = 0`).rejects.toThrow('only rises');
    await expect(sql`delete from registry_state`).rejects.toThrow(refused);
  });
});

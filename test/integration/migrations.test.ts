import { readdirSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/store/connection.ts';
import { migrate, migrationStatus, migrationsDirectory } from '../../src/store/migrator.ts';
import { loadQueries } from '../../src/store/query-catalog.ts';
import { databases, type TestDatabase } from '../support/databases.ts';

const queries = loadQueries();
const known = readdirSync(migrationsDirectory)
  .map((file) => Number(file.slice(0, 4)))
  .sort((a, b) => a - b);
/** Number of the migration after the newest one. */
const next = String((known.at(-1) ?? 0) + 1).padStart(4, '0');

describe.each(databases)('migrations on $name', ({ create }) => {
  let database: TestDatabase;
  let sql: postgres.Sql;
  let directory: string;

  beforeEach(async () => {
    database = await create({ migrated: false });
    sql = connect(database.url, { max: 2 });
    directory = await mkdtemp(join(tmpdir(), 'promptgate-migrations-'));
    await cp(migrationsDirectory, directory, { recursive: true });
  });

  afterEach(async () => {
    await sql.end();
    await database.drop();
    await rm(directory, { recursive: true });
  });

  const at = () => pathToFileURL(`${directory}/`);

  it('run once each when five processes start at the same moment', async () => {
    const clients = Array.from({ length: 5 }, () => connect(database.url, { max: 1 }));
    const applied = await Promise.all(clients.map((client) => migrate(client, queries)));
    await Promise.all(clients.map((client) => client.end()));
    expect(applied.flat().map((one) => one.version)).toEqual(known);
    expect(applied.filter((one) => one.length > 0)).toHaveLength(1);
  });

  it('are listed as pending, then as applied, and do nothing the second time', async () => {
    expect((await migrationStatus(sql, queries)).map((one) => one.appliedAt)).toEqual(known.map(() => null));
    expect(await migrate(sql, queries)).toHaveLength(known.length);
    expect(await migrate(sql, queries)).toEqual([]);
    for (const one of await migrationStatus(sql, queries)) expect(one.appliedAt).toBeInstanceOf(Date);
  });

  it('refuse an applied file that was edited, and name it', async () => {
    await migrate(sql, queries, at());
    await writeFile(join(directory, '0001_registry.sql'), 'select 1');
    await expect(migrate(sql, queries, at())).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('0001_registry was applied and its file has changed'),
    });
  });

  it('read a file with CRLF line ends as the same file', async () => {
    await migrate(sql, queries);
    await writeFile(join(directory, `${next}_more.sql`), 'select 1;\n');
    await migrate(sql, queries, at());
    await writeFile(join(directory, `${next}_more.sql`), 'select 1;\r\n');
    expect(await migrate(sql, queries, at())).toEqual([]);
  });

  it('refuse a database that is newer than the program, and name what it does not know', async () => {
    await writeFile(join(directory, `${next}_future.sql`), 'create table future ()');
    await migrate(sql, queries, at());
    const refusal = {
      code: 'conflict',
      message: expect.stringMatching(/newer than this program.*_future/),
    };
    await expect(migrate(sql, queries)).rejects.toMatchObject(refusal);
    await expect(migrationStatus(sql, queries)).rejects.toMatchObject(refusal);
  });

  it('refuse a server older than PostgreSQL 14, and touch nothing there', async () => {
    const old = `select 130022 as number, '13.22' as name`;
    const get = (name: string) => (name === 'serverVersion' ? old : queries.get(name));
    await expect(migrate(sql, { ...queries, get })).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'PostgreSQL 13.22 is too old: promptgate needs 14 or newer.',
    });
    expect(await sql`select from pg_class where relname = 'schema_migrations'`).toHaveLength(0);
  });

  it('leave nothing behind when one of them fails', async () => {
    await writeFile(join(directory, `${next}_broken.sql`), 'create table half (); select 1/0');
    await expect(migrate(sql, queries, at())).rejects.toMatchObject({
      code: 'internal',
      message: `Migration ${next}_broken failed; nothing was applied.`,
    });
    expect(await sql`select from pg_class where relname in ('half', 'prompts')`).toHaveLength(0);
  });

  it('cover the months ahead with partitions, whoever asks how often', async () => {
    await migrate(sql, queries);
    const ensure = () => sql`select ensure_execution_partitions(5) as created`;
    const created = await Promise.all([ensure(), ensure(), ensure()]);
    expect(created.map((rows) => rows[0]?.created).sort()).toEqual([0, 0, 2]);
    const [count] = await sql`select count(*) from pg_inherits where inhparent = 'ai_executions'::regclass`;
    expect(count?.count).toBe(7);
  });
});

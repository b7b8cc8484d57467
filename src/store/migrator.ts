/**
 * Forward-only migrations. All that are pending run in one transaction under one lock, so any number of processes may
 * start at once and a failed migration leaves nothing behind. An applied file must never be edited, and a database
 * newer than this program is left alone.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type postgres from 'postgres';
import { z } from 'zod';
import { PromptgateError } from '../domain/errors.ts';
import { toContactError, toStoreError } from './connection.ts';
import type { QueryCatalog, Row, Sql } from './query-catalog.ts';
import { inTransaction } from './transaction.ts';

export interface Migration {
  readonly version: number;
  readonly name: string;
  /** SHA-256 of the file with LF line ends, hex. */
  readonly checksum: string;
}

interface MigrationFile extends Migration {
  readonly text: string;
}

export interface MigrationStatus extends Migration {
  /** Null: pending. */
  readonly appliedAt: Date | null;
}

export const migrationsDirectory = new URL('../../sql/migrations/', import.meta.url);

/** Oldest server whose SQL this program speaks, as `server_version_num` has it. */
const minimumServer = 140_000;

const rowSchema = z.object({
  version: z.number(),
  name: z.string(),
  checksum: z.string(),
  applied_at: z.date(),
});

/**
 * Runs what is pending and returns it, oldest first.
 * @throws PromptgateError conflict — an applied file was edited, or the database is newer than this program
 * @throws PromptgateError invalid_request — the server cannot be reached, or is older than PostgreSQL 14
 */
export async function migrate(
  sql: postgres.Sql,
  queries: QueryCatalog,
  directory: URL = migrationsDirectory,
): Promise<Migration[]> {
  const files = loadMigrations(directory);
  const run = bindQueries(queries);
  try {
    await refuseOldServer(sql, run);
    return await inTransaction(sql, async (tx) => {
      await run.unlimit(tx);
      await run.lock(tx);
      await run.create(tx);
      const applied = (await run.list(tx)).map((row) => rowSchema.parse(row));
      const pending = pendingOf(files, applied);
      for (const file of pending) {
        await apply(tx, file);
        await run.insert(tx, file.version, file.name, file.checksum);
      }
      return pending.map(({ version, name, checksum }) => ({ version, name, checksum }));
    });
  } catch (error) {
    throw toStoreError(error, 'registering');
  }
}

async function apply(tx: Sql, file: MigrationFile): Promise<void> {
  try {
    await tx.unsafe(file.text);
  } catch (cause) {
    // The one driver error that may be shown to the log whole: a migration holds no data.
    throw new PromptgateError('internal', `Migration ${file.name} failed; nothing was applied.`, { cause });
  }
}

/** Every migration this program knows, applied or pending. @throws PromptgateError as `migrate` does */
export async function migrationStatus(
  sql: postgres.Sql,
  queries: QueryCatalog,
  directory: URL = migrationsDirectory,
): Promise<MigrationStatus[]> {
  const files = loadMigrations(directory);
  const run = bindQueries(queries);
  try {
    await refuseOldServer(sql, run);
    const [table] = await run.exists(sql);
    const applied = table?.present === true ? (await run.list(sql)).map((row) => rowSchema.parse(row)) : [];
    pendingOf(files, applied);
    return files.map(({ version, name, checksum }) => {
      const row = applied.find((one) => one.version === version);
      return { version, name, checksum, appliedAt: row?.applied_at ?? null };
    });
  } catch (error) {
    throw toStoreError(error, 'reading');
  }
}

function bindQueries(queries: QueryCatalog) {
  // Not prepared: the table of migrations may not exist yet, and none of these runs twice.
  const plain = (name: string) => {
    const text = queries.get(name);
    return async (sql: Sql, ...args: (string | number)[]): Promise<Row[]> => [
      ...(await sql.unsafe(text, args)),
    ];
  };
  return {
    serverVersion: plain('serverVersion'),
    unlimit: plain('unlimitStatement'),
    lock: plain('lockMigrations'),
    create: plain('createMigrations'),
    list: plain('listMigrations'),
    insert: plain('insertMigration'),
    exists: plain('hasMigrations'),
  };
}

async function refuseOldServer(sql: Sql, run: ReturnType<typeof bindQueries>): Promise<void> {
  const [row] = await run.serverVersion(sql).catch((error) => {
    throw toContactError(error);
  });
  const server = z.object({ number: z.number(), name: z.string() }).parse(row);
  if (server.number < minimumServer) {
    throw new PromptgateError(
      'invalid_request',
      `PostgreSQL ${server.name} is too old: promptgate needs 14 or newer.`,
    );
  }
}

function loadMigrations(directory: URL): MigrationFile[] {
  const files = readdirSync(directory).filter((file) => file.endsWith('.sql'));
  let last = 0;
  return files.sort().map((file) => {
    const version = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(file)?.[1]);
    // Gaps are allowed, so that several branches can each take numbers of their own; order and set decide, not count.
    if (!(version > last)) {
      throw new Error(`sql/migrations/${file}: migrations are named 0001_name.sql, each number once`);
    }
    last = version;
    const text = readFileSync(new URL(file, directory), 'utf8').replaceAll('\r\n', '\n');
    const checksum = createHash('sha256').update(text).digest('hex');
    return { version, name: file.replace(/\.sql$/, ''), checksum, text };
  });
}

function pendingOf(files: readonly MigrationFile[], applied: readonly Migration[]): MigrationFile[] {
  const unknown = applied.filter((row) => !files.some((file) => file.version === row.version));
  if (unknown.length > 0) {
    const names = unknown.map((row) => row.name).join(', ');
    throw new PromptgateError(
      'conflict',
      `The database is newer than this program: it has migrations that this program does not know (${names}). Run the newer promptgate.`,
    );
  }
  for (const row of applied) {
    const file = files.find((one) => one.version === row.version);
    if (file?.checksum !== row.checksum) {
      throw new PromptgateError(
        'conflict',
        `Migration ${row.name} was applied and its file has changed since. Restore sql/migrations/${file?.name}.sql as it was, and put the change into a new migration.`,
      );
    }
  }
  return files.filter((file) => !applied.some((row) => row.version === file.version));
}

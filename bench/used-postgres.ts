/**
 * PostgreSQL as it is after its first hours: WAL files are there to be used again. A new one makes them as it goes, 16 MiB of
 * zeros each that are synced while every commit waits, and with 1,000 executions a second that is a stall every two seconds.
 */
import postgres from 'postgres';
import { type PostgresProcess, startPostgres } from '../test/support/postgres-process.ts';

const settings = ['max_connections=300', 'min_wal_size=1GB', 'max_wal_size=10GB'];
/** As many as `min_wal_size` keeps. */
const segments = 64;

/** @param parent where its files go; by default the directory for temporary ones */
export async function startUsedPostgres(parent?: string): Promise<PostgresProcess> {
  const database = await startPostgres(settings, parent);
  const sql = postgres(database.url, { max: 1 });
  try {
    await fillWal(sql);
  } catch (error) {
    await database.stop();
    throw error;
  } finally {
    await sql.end({ timeout: 1 });
  }
  return database;
}

async function fillWal(sql: postgres.Sql): Promise<void> {
  await sql`create table filling (x int)`;
  for (let segment = 0; segment < segments; segment++) {
    await sql`insert into filling values (1)`;
    await sql`select pg_switch_wal()`;
  }
  await sql`drop table filling`;
  await sql`checkpoint`;
}
